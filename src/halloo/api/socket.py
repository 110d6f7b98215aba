"""The door for programs of this machine: ``HOME/control.sock``, one command per line, mode 0600.

    program                       node
      | --- CALL bob\\n ---------> |
      | <-- CALL 1 STATUS UNPLACED |
      | <-- CALL 1 STATUS RINGING  |   notifications, as they happen
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from pathlib import Path

from halloo.api.engine import Engine
from halloo.api.language import MAX_LINE
from halloo.base.errors import Unusable

__all__ = ["ControlClient", "ControlDoor", "is_open"]

MAX_CLIENTS = 32
MAX_OWED = 1 << 20  # bytes that a program may leave unread before it is turned out


class ControlDoor:
    """Serves one engine on a local socket."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._engine: Engine | None = None
        self._server: asyncio.Server | None = None
        self._clients: dict[asyncio.StreamWriter, None] = {}
        self._turns: set[asyncio.Task[None]] = set()

    def tell(self, notification: str) -> None:
        """Say something to every program that listens."""
        for writer in list(self._clients):
            _write(writer, notification)

    async def open(self, engine: Engine) -> None:
        """Begin to serve.

        Raises:
            Unusable: another node serves this home, or the path is too long for a socket.
        """
        self._engine = engine
        if await is_open(self._path):
            raise Unusable(f"another node runs in {self._path.parent} already")
        if os.path.lexists(self._path) and not self._path.is_socket():
            raise Unusable(f"{self._path} is in the way: it is no socket of ours; move it and try again")
        try:
            self._path.unlink(missing_ok=True)  # left by a node that was killed
            self._path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as fault:
            raise Unusable(f"cannot open {self._path}: {fault.strerror}") from None
        before = os.umask(0o177)
        try:
            self._server = await asyncio.start_unix_server(self._serve, str(self._path), limit=MAX_LINE)
        except OSError as fault:
            raise Unusable(f"cannot open {self._path}: {fault}") from None
        finally:
            os.umask(before)

    async def close(self) -> None:
        """Stop serving."""
        if self._server is None:
            return
        self._server.close()
        for writer in list(self._clients):
            writer.close()
        for turn in list(self._turns):
            turn.cancel()
        await asyncio.gather(*self._turns, return_exceptions=True)
        await self._server.wait_closed()
        self._path.unlink(missing_ok=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        turn = asyncio.current_task()
        assert turn is not None
        self._turns.add(turn)
        try:
            if len(self._clients) >= MAX_CLIENTS:
                _write(writer, "ERROR 9901 too many programs are connected")
                return
            self._clients[writer] = None
            while raw := await reader.readline():
                assert self._engine is not None
                _write(writer, await self._engine.hear(raw.decode("utf-8", "replace")))
        except (ValueError, ConnectionError):
            _write(writer, "ERROR 1 General syntax error")  # a line longer than any command
        finally:
            self._clients.pop(writer, None)
            self._turns.discard(turn)
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()


class ControlClient:
    """A program's end of the door."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._asked = 0
        self._early: list[str] = []

    @classmethod
    async def connect(cls, path: Path) -> ControlClient:
        """Connect.  Raises OSError when nobody serves there."""
        return cls(*await asyncio.open_unix_connection(str(path), limit=1 << 24))

    async def ask(self, command: str) -> str:
        """The reply to one command, without its tag; notifications that come between are kept.

        Raises:
            Unusable: the node went away, or answered with an ERROR.
        """
        self._asked += 1
        tag = f"#{self._asked}"
        self._writer.write(f"{tag} {command}\n".encode())
        await self._writer.drain()
        while True:
            line = await self._line()
            if line.startswith(f"{tag} "):
                reply = line.removeprefix(f"{tag} ")
                if reply.startswith("ERROR "):
                    raise Unusable(reply.split(" ", 2)[-1])
                return reply
            self._early.append(line)

    async def say(self, command: str) -> None:
        """Send a command whose reply nobody waits for."""
        self._writer.write(f"{command}\n".encode())
        await self._writer.drain()

    async def notifications(self) -> AsyncIterator[str]:
        """Everything the node tells, until it goes away."""
        while True:
            if self._early:
                yield self._early.pop(0)
                continue
            try:
                yield await self._line()
            except Unusable:
                return

    async def close(self) -> None:
        """Hang up on the node."""
        self._writer.close()
        with contextlib.suppress(ConnectionError):
            await self._writer.wait_closed()

    async def _line(self) -> str:
        raw = await self._reader.readline()
        if not raw:
            raise Unusable("the node that runs in this home went away")
        return raw.decode("utf-8", "replace").rstrip("\n")


async def is_open(path: Path) -> bool:
    """Whether a node serves there."""
    try:
        client = await ControlClient.connect(path)
    except OSError:
        return False
    await client.close()
    return True


def _write(writer: asyncio.StreamWriter, line: str) -> None:
    if writer.is_closing():
        return
    if writer.transport.get_write_buffer_size() > MAX_OWED:
        writer.transport.abort()
        return
    writer.write(line.replace("\n", " ").encode() + b"\n")
