"""Explains a whole capture, packet after packet: datagrams as they come, streams put in order first.

Bounded: so many streams at once, so many bytes of each that wait for an earlier piece.  A stream whose beginning the
capture does not have cannot be read (its key is in the opening), and that is said once.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from halloo.base.address import Address
from halloo.base.errors import Malformed
from halloo.decode.capture import Captured, CutShort
from halloo.decode.datagrams import Frames, NotOurs
from halloo.decode.packets import LINKS, Segment, carried
from halloo.decode.streams import StreamSide
from halloo.decode.tree import Part

__all__ = ["Explained", "Tally", "explain_capture"]

MAX_STREAMS = 1_024  # directions of TCP connections followed at once
MAX_EARLY = 256 * 1024  # bytes of one direction that wait for an earlier piece
MAX_EARLY_PIECES = 256  # and in how many pieces
_WRAPPED = b"\x16\x03"  # how a TLS connection begins


@dataclass(frozen=True, slots=True)
class Explained:
    """One packet of a capture that is ours.  ``number`` counts all packets of the capture from 1."""

    number: int
    time: float
    way: str
    source: Address
    destination: Address
    part: Part


@dataclass(slots=True)
class Tally:
    """What a capture held."""

    packets: int = 0
    explained: int = 0
    foreign: int = 0
    """Packets that are none of ours, or nothing of UDP or TCP."""
    faults: int = 0
    """Packets of ours that a node would not take."""
    first_fault: str = ""
    remarks: list[str] = field(default_factory=list)
    damaged: str = ""
    """Why the capture could not be read to its end; a mere cut is only a remark."""


@dataclass(slots=True)
class _Side:
    """One direction of a TCP connection, put in order."""

    stream: StreamSide
    next: int | None = None
    early: dict[int, bytes] = field(default_factory=dict)
    held: int = 0

    def add(self, segment: Segment) -> bytes:
        """The bytes that are in order now."""
        assert segment.sequence is not None
        if segment.begins:
            self.next, self.early, self.held = segment.sequence + 1 & 0xFFFF_FFFF, {}, 0
        if self.next is None:
            return b""
        if segment.data:
            at = segment.sequence + segment.begins & 0xFFFF_FFFF
            known = len(self.early.get(at, b""))
            room = self.held + len(segment.data) <= MAX_EARLY and len(self.early) < MAX_EARLY_PIECES
            if len(segment.data) > known and (room or at == self.next):
                self.held += len(segment.data) - known
                self.early[at] = segment.data
        return self._in_order()

    def _in_order(self) -> bytes:
        out = bytearray()
        while True:
            assert self.next is not None
            for at, data in self.early.items():
                behind = self.next - at & 0xFFFF_FFFF
                if behind < 1 << 31:  # begins at or before what is expected: what of it is new?
                    del self.early[at]
                    self.held -= len(data)
                    if behind < len(data):
                        out += data[behind:]
                        self.next = self.next + len(data) - behind & 0xFFFF_FFFF
                    break
            else:
                return bytes(out)


class Traffic:
    """Explains packets one by one."""

    def __init__(self, frames: Frames, tally: Tally) -> None:
        self._frames = frames
        self._tally = tally
        self._sides: OrderedDict[tuple[Address, Address], _Side] = OrderedDict()

    def explain(self, packet: Captured) -> Explained | None:
        """One packet; None when there is nothing of ours in it."""
        tally = self._tally
        tally.packets += 1
        if packet.link not in LINKS:
            self._remark(f"links of kind {packet.link} are not known here; packets seen there are passed over")
        if not packet.whole:
            self._remark("some packets were not captured whole (a snap length was set); they are passed over")
        segment = carried(packet.link, packet.data) if packet.whole else None
        if segment is None:
            tally.foreign += 1
            return None
        try:
            if segment.sequence is None:
                ends = segment.source, segment.destination
                part = self._frames.datagram(segment.data, *ends, packet.time, certain=True)
            else:
                part = self._stream(segment, packet.time)
        except NotOurs:
            tally.foreign += 1
            return None
        if not part.parts:  # an empty segment, a part of a frame, or more of a stream that is none of ours
            return None
        tally.explained += 1
        if part.faults:
            tally.faults += 1
            tally.first_fault = tally.first_fault or f"packet {tally.packets}: {part.faults[0]}"
        way = "udp" if segment.sequence is None else "tcp"
        return Explained(tally.packets, packet.time, way, segment.source, segment.destination, part)

    def _stream(self, segment: Segment, now: float) -> Part:
        key = segment.source, segment.destination
        side = self._sides.get(key)
        if side is None or (segment.begins and side.next is not None and side.next != segment.sequence):
            side = self._sides[key] = _Side(StreamSide(self._frames))
            if len(self._sides) > MAX_STREAMS:
                self._sides.popitem(last=False)
        self._sides.move_to_end(key)
        data = side.add(segment)
        if side.next is None and segment.data:
            self._remark("some streams began before the capture did; their keys are in what it lacks")
        wrapped = self._frames.suite.wrapped and data[:2] == _WRAPPED and not side.stream.begun
        try:
            parts = side.stream.feed(data, now)
        except NotOurs:
            if wrapped:
                self._remark("some streams are TLS connections: what a node says inside one cannot be read here")
            raise
        if segment.ends:
            self._sides.pop(key, None)
        return Part("stream", 0, segment.data, f"{len(segment.data)} bytes of a connection", parts)

    def _remark(self, words: str) -> None:
        if words not in self._tally.remarks:
            self._tally.remarks.append(words)


def explain_capture(packets: Iterable[Captured], frames: Frames, tally: Tally) -> Iterator[Explained]:
    """Explain what is ours in a capture; ``tally`` counts along.

    A capture that is cut or damaged ends there, with a remark; what came before is explained.
    """
    traffic = Traffic(frames, tally)
    try:
        for packet in packets:
            found = traffic.explain(packet)
            if found is not None:
                yield found
    except CutShort as fault:
        tally.remarks.append(str(fault))
    except Malformed as fault:
        tally.damaged = f"after packet {tally.packets}: {fault}"
