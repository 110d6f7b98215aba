"""Two endpoints and a wire between them, for the tests of this room."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from typing import Any

from halloo.base.address import Address, Peer, Wire
from halloo.base.effects import StreamClose, StreamOpen, StreamWrite, Transmit
from halloo.crypto.suite import Suite
from halloo.link.endpoint import Endpoint
from halloo.link.notice import Notice, Up
from halloo.link.persona import Persona
from halloo.messages.credential import Notary

HERE = Address.parse("192.0.2.1:1000")
THERE = Address.parse("192.0.2.2:2000")
CLOAK_KEY = bytes(range(32))


def persona(suite: Suite, seed: str) -> Persona:
    rng = random.Random(seed)
    notary = Notary(bytes(8), (), suite.network_identity.verify, suite.identity.verify, suite.digest)
    return Persona(suite, notary, suite.identity.make(rng), b"", rng)


class Pair:
    """Two endpoints.  ``spoil`` may change, drop or double a datagram on its way."""

    def __init__(self, suite: Suite, *, hosts: bool = True) -> None:
        self.ends = {
            HERE: Endpoint(persona(suite, "here"), CLOAK_KEY, [HERE.host] if hosts else [], 1.8e9),
            THERE: Endpoint(persona(suite, "there"), CLOAK_KEY, [THERE.host] if hosts else [], 1.8e9),
        }
        self.notices: dict[Address, list[Notice]] = {HERE: [], THERE: []}
        self.now = 0.0
        self.datagrams: list[tuple[Address, bytes]] = []
        self.spoil: Callable[[bytes], list[bytes]] = lambda data: [data]
        self.flying: deque[tuple[Address, Address, bytes]] = deque()
        self.closed_streams: list[int] = []
        self.source = dict.fromkeys(self.ends)

    def outcome(self, who: Address, outputs: list[Any]) -> None:
        for item in outputs:
            match item:
                case Transmit():
                    self.datagrams.append((who, item.data))
                    self.flying += [(who, item.address, data) for data in self.spoil(item.data)]
                case StreamClose():
                    self.closed_streams.append(item.number)
                case StreamOpen() | StreamWrite():
                    raise AssertionError("no streams in this world")
                case _:
                    self.notices[who].append(item)

    def flush(self) -> None:
        for who, end in self.ends.items():
            self.outcome(who, end.flush(self.now))

    def run(self, seconds: float = 1.0) -> None:
        """Deliver everything, and let time pass."""
        until = self.now + seconds
        self.flush()
        while True:
            while self.flying:
                source, to, data = self.flying.popleft()
                if to in self.ends:
                    self.outcome(to, self.ends[to].receive(data, source, self.now))
                self.flush()
            at = min(end.wake_at for end in self.ends.values())
            if at > until:
                self.now = until
                return
            self.now = max(self.now, at)
            for who, end in self.ends.items():
                self.outcome(who, end.wake(self.now))
            self.flush()

    def link(self) -> tuple[Peer, Peer]:
        """A standing link from here to there: what each calls the other."""
        self.outcome(HERE, self.ends[HERE].link(Peer(1), Wire(THERE), self.now))
        self.run()
        (up,) = [notice for notice in self.notices[THERE] if isinstance(notice, Up)]
        return Peer(1), up.peer
