"""TCP connections: the cloak of each, its frames, and what waits until it may be said.

    the side that connects             the other
      | -- (hello in disguise) ------> |   classic, to port 443 only
      | <- (answer to it) ------------ |
      | -- opening, frames ----------> |   at once
      | <- opening, frames ----------- |   once the first opening is recognised

Whoever was connected to says nothing before it has heard an opening of this network that was never heard before: a
stranger who knocks, or plays a recorded opening again, is met with silence, and after a while shown out; so is who is
recognised and begins no link, once what he asked in the open has had time to be answered.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from math import inf
from random import Random

from halloo.base.address import Address, Stream
from halloo.base.effects import StreamClose, StreamOpen, StreamWrite
from halloo.base.errors import Malformed
from halloo.base.machine import Effect
from halloo.crypto.suite import DISGUISED_PORT, StreamCloak, Suite
from halloo.wire.frame import StreamFrame, StreamReader, encode_stream_frame

__all__ = ["Streams"]

MAX_WAITING = 65_536  # bytes kept for a connection that is not open yet
MAX_STREAMS = 1_024  # connections at once; beyond it those go first that have said nothing, then those without a link
SILENT_FOR = 10.0  # seconds that a connection has to begin as one of ours, and a link over it
MAX_OPENINGS = 65_536  # openings remembered, so that they are not taken twice


@dataclass(slots=True)
class _Connection:
    route: Stream
    cloak: StreamCloak
    inbound: bool
    reader: StreamReader = field(default_factory=StreamReader)
    waiting: bytearray = field(default_factory=bytearray)
    """Frames to be said once we have opened."""
    opened: bool = False
    """Whether our opening was said."""
    greeted: bool = True
    """Whether the disguise is done with, or none is worn."""
    held: bytearray = field(default_factory=bytearray)
    """What was heard of a greeting that is not whole yet."""


class Streams:
    """The open connections of one node."""

    def __init__(self, suite: Suite, cloak_key: bytes, rng: Random) -> None:
        self._suite = suite
        self._key = cloak_key
        self._rng = rng
        self._open: dict[int, _Connection] = {}
        self._silent: OrderedDict[int, float] = OrderedDict()
        """Connections that came in and have not been recognised yet, and until when they may stay."""
        self._unlinked: OrderedDict[int, float] = OrderedDict()
        """The same of those that were recognised, and over which no link was begun yet."""
        self._openings: OrderedDict[bytes, None] = OrderedDict()

    def __contains__(self, number: int) -> bool:
        return number in self._open

    def __len__(self) -> int:
        return len(self._open)

    @property
    def wake_at(self) -> float:
        """When somebody has been silent for too long."""
        return min(next(iter(waiting.values()), inf) for waiting in (self._silent, self._unlinked))

    def silent(self, now: float) -> list[int]:
        """Connections that have had their time."""
        waiting = (*self._silent.items(), *self._unlinked.items())
        return [number for number, until in waiting if until <= now]

    def linked(self, number: int) -> None:
        """A link is begun over a connection: it lasts as long as that."""
        self._unlinked.pop(number, None)

    def opened(self, number: int, address: Address, now: float) -> list[Effect]:
        """A connection stands, ours or one that came in."""
        held = self._open.get(number)
        if held is not None:
            if self._suite.disguise is None or address.port != DISGUISED_PORT:
                return self._speak(held)
            held.greeted = False
            hello = self._suite.disguise.hello + self._rng.randbytes(self._suite.disguise.challenge)
            return [StreamWrite(number, hello)]
        out: list[Effect] = []
        if len(self._open) >= MAX_STREAMS:
            first = next(iter((*self._silent, *self._unlinked)), None)
            if first is None:
                return [StreamClose(number)]
            out += self.close(first)
        connection = self._new(Stream(number, address), inbound=True)
        connection.greeted = self._suite.disguise is None
        self._silent[number] = now + SILENT_FOR
        return out

    def receive(self, number: int, data: bytes) -> tuple[Stream, list[StreamFrame], list[Effect]]:
        """(the route, the frames completed by ``data``, what to write at once).

        Raises:
            Malformed: the other side does not speak our language; the connection is of no more use.
        """
        held = self._open.get(number)
        if held is None or not (held.inbound or held.opened or not held.greeted):
            return Stream(number, Address(bytes(4), 0)), [], []
        out: list[Effect] = []
        if not held.greeted:
            data, out = self._greet(held, data)
            if not held.greeted:
                return held.route, [], out
        frames = held.reader.feed(held.cloak.receive(data)) if data else []
        if held.cloak.recognised is not None and number in self._silent:
            self._unlinked[number] = self._silent.pop(number)
            self._once(held.cloak.recognised)
            out += self._speak(held)
        return held.route, frames, out

    def send(self, route: Stream, frame: StreamFrame) -> list[Effect]:
        """Write one frame; opens the connection when there is none yet."""
        data = encode_stream_frame(frame)
        held = self._open.get(route.number)
        if held is not None and held.opened:
            return [StreamWrite(route.number, held.cloak.send(data))]
        out: list[Effect] = []
        if held is None:
            held = self._new(route, inbound=False)
            out.append(StreamOpen(route.number, route.address, route.proxied))
        if len(held.waiting) + len(data) <= MAX_WAITING:
            held.waiting += data
        return out

    def close(self, number: int) -> list[Effect]:
        """Close a connection from our side."""
        self._wait_no_more(number)
        return [StreamClose(number)] if self._open.pop(number, None) else []

    def closed(self, number: int) -> None:
        """A connection ended, or could not be made."""
        self._wait_no_more(number)
        self._open.pop(number, None)

    def _wait_no_more(self, number: int) -> None:
        self._silent.pop(number, None)
        self._unlinked.pop(number, None)

    def _new(self, route: Stream, *, inbound: bool) -> _Connection:
        cloak = self._suite.stream_cloak(self._key, self._rng)
        self._open[route.number] = _Connection(route, cloak, inbound)
        return self._open[route.number]

    def _speak(self, held: _Connection) -> list[Effect]:
        """Open, and say what waited."""
        first = held.cloak.opening()
        if held.waiting:
            first += held.cloak.send(bytes(held.waiting))
            held.waiting.clear()
        held.opened = True
        return [StreamWrite(held.route.number, first)]

    def _greet(self, held: _Connection, data: bytes) -> tuple[bytes, list[Effect]]:
        """Take the greeting off what was heard: (the rest, what to write).  Raises Malformed."""
        disguise = self._suite.disguise
        assert disguise is not None
        held.held += data
        expected = disguise.hello if held.inbound else disguise.answer
        size = disguise.hello_size if held.inbound else len(disguise.answer)
        begun = min(len(held.held), len(expected))
        worn = held.held[:begun] == expected[:begun]
        if worn and len(held.held) < size:
            return b"", []
        if not worn and not held.inbound:
            raise Malformed("a stream whose greeting is not answered as ours are")
        held.greeted = True
        rest = bytes(held.held[size:] if worn else held.held)
        if not held.inbound:
            return rest, self._speak(held)
        return rest, [StreamWrite(held.route.number, disguise.answer)] if worn else []

    def _once(self, opening: bytes) -> None:
        """Raises Malformed where an opening was heard before."""
        if opening in self._openings:
            raise Malformed("a stream that begins as another one did")
        if opening:
            self._openings[opening] = None
            if len(self._openings) > MAX_OPENINGS:
                self._openings.popitem(last=False)
