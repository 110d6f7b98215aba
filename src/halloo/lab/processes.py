"""A whole network as processes on this machine: started with the verbs a person would type, heard by their JSON lines.

    login server (two ports) · supernodes · whoever else is started

Whatever happens, nothing is left running when the network is closed.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import socket
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from halloo.base.errors import HallooError

__all__ = ["Part", "ProcessNetwork", "free_ports"]

STARTS_WITHIN = 20.0  # seconds for a process to say that it is there; a loaded machine needs five
STOPS_WITHIN = 4.0  # seconds for a polite end, last words to other nodes included
LOGIN_PORTS = 2
LONGEST_LINE = 1 << 22  # bytes of one JSON line: a call's report with an hour of seconds fits
KEPT_ERRORS = 50  # lines of a process's standard error


@dataclass
class Part:
    """One process, and the JSON lines it has said."""

    name: str
    process: asyncio.subprocess.Process
    lines: list[dict[str, Any]] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    readers: list[asyncio.Task[None]] = field(default_factory=list)

    async def line(self, event: str, number: int = 1, within: float = STARTS_WITHIN) -> dict[str, Any]:
        """The n-th line of a kind.

        Raises:
            HallooError: the process ended, or did not say it in time.
        """
        until = time.monotonic() + within
        while True:
            found = [line for line in self.lines if line.get("event") == event]
            if len(found) >= number:
                return found[number - 1]
            left = until - time.monotonic()
            if self.process.returncode is not None and all(reader.done() for reader in self.readers):
                raise HallooError(f"{self.name} ended: {self.last_words}")
            if left <= 0:
                raise HallooError(f"{self.name} did not report {event!r} within {within:.0f} s: {self.last_words}")
            self.changed.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.changed.wait(), min(left, 0.5))

    @property
    def last_words(self) -> str:
        """What it said last about what went wrong."""
        return self.errors[-1] if self.errors else "it said nothing"


class ProcessNetwork:
    """A network under ``folder``: its keys in ``network/``, a home for each user beside it."""

    def __init__(self, folder: Path, profile: str, *, supernodes: int = 3) -> None:
        self.homes = folder
        self.profile = profile
        self.fingerprint = ""
        ports = free_ports(LOGIN_PORTS + supernodes)
        self.login_servers = [f"127.0.0.1:{port}" for port in ports[:LOGIN_PORTS]]
        self.supernodes = [f"127.0.0.1:{port}" for port in ports[LOGIN_PORTS:]]
        self.descriptor = folder / "network" / "network.toml"
        self.parts: list[Part] = []
        self.password = secrets.token_urlsafe(12)
        self._environment = {**os.environ, "HALLOO_PASSWORD": self.password}
        self._environment.pop("HALLOO_HOME", None)

    async def __aenter__(self) -> ProcessNetwork:
        try:
            await self.create()
            await self.serve()
            await self.meshed()
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    # --- the network

    async def create(self) -> None:
        """Make the keys and the description."""
        arguments = ["network", "create", "demo", "--dir", str(self.homes / "network"), "--profile", self.profile]
        for address in self.login_servers:
            arguments += ["--login", address]
        for address in self.supernodes:
            arguments += ["--supernode", address]
        made = await self.once("network", [*arguments, "--json"])
        self.fingerprint = made["fingerprint"]

    async def serve(self) -> None:
        """Start the login server and the supernodes."""
        await self.start("login", ["serve", "login", "--network", str(self.homes / "network"), "--json"])
        for number in range(len(self.supernodes)):
            await self.start_supernode(number)
        await asyncio.gather(*(part.line("listening") for part in self.parts if part.process.returncode is None))

    async def start_supernode(self, number: int) -> Part:
        """Start one supernode."""
        arguments = ["serve", "supernode", "--network", str(self.descriptor), "--listen", self.supernodes[number]]
        return await self.start(f"supernode{number}", [*arguments, "--json"])

    async def meshed(self) -> None:
        """Wait until every supernode knows the others."""
        others = len(self.supernodes) - 1
        supernodes = [part for part in self.parts if part.name.startswith("supernode")]
        if others:
            await asyncio.gather(*(part.line("mesh", others) for part in supernodes))

    async def sign_up(self, name: str) -> dict[str, Any]:
        """A user joins and makes an account."""
        await self.once(name, ["join", str(self.descriptor), "--json"])
        return await self.once(name, ["signup", name, "--json"])

    # --- processes

    async def start(self, name: str, arguments: list[str], **environment: str) -> Part:
        """Start a verb in the home of ``name``."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "halloo", "--home", str(self.homes / name), *arguments),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={**self._environment, **environment},
            limit=LONGEST_LINE,
        )
        part = Part(name, process)
        assert process.stdout is not None
        assert process.stderr is not None
        part.readers = [
            asyncio.create_task(_read_lines(part, process.stdout)),
            asyncio.create_task(_read_errors(part, process.stderr)),
        ]
        self.parts.append(part)
        return part

    async def once(self, name: str, arguments: list[str], within: float = STARTS_WITHIN) -> dict[str, Any]:
        """Run a verb to its end; its JSON.

        Raises:
            HallooError: it failed, in its own words, or took too long.
        """
        part = await self.run(name, arguments, within)
        if part.process.returncode:
            raise HallooError(f"{name}: {arguments[0]} failed: {part.last_words}")
        return part.lines[-1] if part.lines else {}

    async def run(
        self, name: str, arguments: list[str], within: float = STARTS_WITHIN, **environment: str
    ) -> Part:
        """Run a verb to its end, however that is.  Raises HallooError when it takes too long."""
        part = await self.start(name, arguments, **environment)
        try:
            await asyncio.wait_for(part.process.wait(), within)
        except TimeoutError:
            raise HallooError(f"{name}: {arguments[0]} did not end within {within:.0f} s: {part.last_words}") from None
        await asyncio.gather(*part.readers)
        return part

    async def stop(self, *parts: Part) -> None:
        """End processes, politely, then not."""
        running = [part for part in parts if part.process.returncode is None]
        for part in running:
            with contextlib.suppress(ProcessLookupError):
                part.process.terminate()
        for part in running:
            try:
                await asyncio.wait_for(part.process.wait(), STOPS_WITHIN)
            except TimeoutError:
                with contextlib.suppress(ProcessLookupError):
                    part.process.kill()
                await part.process.wait()
        for part in parts:
            await asyncio.gather(*part.readers, return_exceptions=True)

    async def close(self) -> None:
        """End everything that was started."""
        await self.stop(*self.parts)


async def _read_lines(part: Part, stream: asyncio.StreamReader) -> None:
    async for raw in stream:
        try:
            line = json.loads(raw)
        except ValueError:
            part.errors.append(raw.decode("utf-8", "replace").strip())
            continue
        if isinstance(line, dict):
            part.lines.append(line)
        part.changed.set()
    part.changed.set()


async def _read_errors(part: Part, stream: asyncio.StreamReader) -> None:
    async for raw in stream:
        part.errors.append(raw.decode("utf-8", "replace").rstrip())
        del part.errors[:-KEPT_ERRORS]


def free_ports(count: int) -> list[int]:
    """Ports of the loopback address that are free now, for UDP and TCP."""
    held: list[socket.socket] = []
    ports: list[int] = []
    try:
        while len(ports) < count:
            tcp = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            held.append(tcp)
            tcp.bind(("127.0.0.1", 0))
            udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            held.append(udp)
            with contextlib.suppress(OSError):
                udp.bind(("127.0.0.1", tcp.getsockname()[1]))
                ports.append(tcp.getsockname()[1])
    finally:
        for one in held:
            one.close()
    return ports
