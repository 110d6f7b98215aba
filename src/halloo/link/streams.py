"""TCP connections: the cloak of each, its frames, and what waits until it is open.

    client                         server
      | -- opening ----------------> |   each side sends its own, at once
      | <- opening ----------------- |
      | == frames under the cloak == |
"""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

from halloo.base.address import Address, Stream
from halloo.base.effects import StreamClose, StreamOpen, StreamWrite
from halloo.base.machine import Effect
from halloo.crypto.suite import StreamCloak, Suite
from halloo.wire.frame import StreamFrame, StreamReader, encode_stream_frame

__all__ = ["Streams"]

MAX_WAITING = 65_536  # bytes kept for a connection that is not open yet
MAX_STREAMS = 1_024  # connections at once; beyond it the new ones are closed


@dataclass(slots=True)
class _Connection:
    route: Stream
    cloak: StreamCloak | None = None
    reader: StreamReader = field(default_factory=StreamReader)
    waiting: bytearray = field(default_factory=bytearray)


class Streams:
    """The open connections of one node."""

    def __init__(self, suite: Suite, cloak_key: bytes, rng: Random) -> None:
        self._suite = suite
        self._key = cloak_key
        self._rng = rng
        self._open: dict[int, _Connection] = {}

    def __contains__(self, number: int) -> bool:
        return number in self._open

    def __len__(self) -> int:
        return len(self._open)

    def opened(self, number: int, address: Address) -> list[Effect]:
        """A connection stands, ours or one that came in."""
        held = self._open.get(number)
        if held is None:
            if len(self._open) >= MAX_STREAMS:
                return [StreamClose(number)]
            held = self._open[number] = _Connection(Stream(number, address))
        held.cloak = self._suite.stream_cloak(self._key, self._rng)
        first = held.cloak.opening()
        if held.waiting:
            first += held.cloak.send(bytes(held.waiting))
            held.waiting.clear()
        return [StreamWrite(number, first)]

    def receive(self, number: int, data: bytes) -> tuple[Stream, list[StreamFrame]]:
        """The frames completed by ``data``.

        Raises:
            Malformed: the other side does not speak our language; the connection is of no more use.
        """
        held = self._open.get(number)
        if held is None or held.cloak is None:
            return Stream(number, Address(bytes(4), 0)), []
        return held.route, held.reader.feed(held.cloak.receive(data))

    def send(self, route: Stream, frame: StreamFrame) -> list[Effect]:
        """Write one frame; opens the connection when there is none yet."""
        data = encode_stream_frame(frame)
        held = self._open.get(route.number)
        if held is not None and held.cloak is not None:
            return [StreamWrite(route.number, held.cloak.send(data))]
        out: list[Effect] = []
        if held is None:
            held = self._open[route.number] = _Connection(route)
            out.append(StreamOpen(route.number, route.address))
        if len(held.waiting) + len(data) <= MAX_WAITING:
            held.waiting += data
        return out

    def close(self, number: int) -> list[Effect]:
        """Close a connection from our side."""
        return [StreamClose(number)] if self._open.pop(number, None) else []

    def closed(self, number: int) -> None:
        """A connection ended, or could not be made."""
        self._open.pop(number, None)
