"""A PostgreSQL server of our own, where one is installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from halloo.lab.processes import free_ports

USER = "postgres"


class DatabaseServer:
    """A database server of our own, in a temporary folder, on loopback alone."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (self.port,) = free_ports(1)
        # It does not run as root; then the folder belongs to the user that its package brings.
        self._as = {"user": USER} if os.geteuid() == 0 else {}
        self._run("initdb", "-D", str(folder / "data"), "-U", USER, "-A", "trust", "-E", "UTF8", "--no-sync")

    @property
    def url(self) -> str:
        return f"postgresql://{USER}@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -k {self.folder} -c fsync=off"
        data, log = str(self.folder / "data"), str(self.folder / "log")
        self._run("pg_ctl", "-D", data, "-l", log, "-w", "-o", options, "start")

    def stop(self) -> None:
        self._run("pg_ctl", "-D", str(self.folder / "data"), "-m", "fast", "-w", "stop")

    def _run(self, *command: str) -> None:
        subprocess.run(command, check=True, capture_output=True, cwd=self.folder, timeout=60, **self._as)  # type: ignore[call-overload]


@contextmanager
def database_server() -> Iterator[DatabaseServer]:
    """One that runs; skips where it cannot."""
    pytest.importorskip("pg8000")
    if shutil.which("initdb") is None or shutil.which("pg_ctl") is None:
        pytest.skip("no PostgreSQL is installed here")
    folder = Path(tempfile.mkdtemp(prefix="halloo-postgresql-"))
    try:
        if os.geteuid() == 0:
            try:
                shutil.chown(folder, USER)
            except LookupError:
                pytest.skip("PostgreSQL does not run as root, and there is no user for it")
        made = DatabaseServer(folder)
        made.start()
        try:
            yield made
        finally:
            made.stop()
    finally:
        shutil.rmtree(folder)
