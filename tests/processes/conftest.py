"""Ports for networks of real processes: two tests that run beside each other never choose the same."""

from __future__ import annotations

import itertools
import os
import socket
from collections.abc import Iterator

import pytest

from halloo.lab import processes

FIRST = 20_000  # below those that a system gives to whoever asks for any
EACH = 2_000  # ports for each of the workers that run tests beside each other
_next = itertools.count()


def _ports(worker: int) -> Iterator[int]:
    """Ports of a worker's own range that are free, each once before any comes again."""
    for number in _next:
        port = FIRST + EACH * worker + number % EACH
        with socket.socket(type=socket.SOCK_STREAM) as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
            try:
                tcp.bind(("127.0.0.1", port))
                udp.bind(("127.0.0.1", port))
            except OSError:
                continue
        yield port


@pytest.fixture(autouse=True)
def _ports_of_our_own(monkeypatch: pytest.MonkeyPatch) -> None:
    worker = os.environ.get("PYTEST_XDIST_WORKER", "")
    if worker:
        ports = _ports(int(worker.removeprefix("gw")))
        monkeypatch.setattr(processes, "free_ports", lambda count: list(itertools.islice(ports, count)))
