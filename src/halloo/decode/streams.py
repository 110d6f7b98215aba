"""Explains one direction of a TCP connection: the opening, then frame after frame."""

from __future__ import annotations

from random import Random

from halloo.base.errors import Malformed, PeerError
from halloo.decode.datagrams import Frames, NotOurs
from halloo.decode.tree import Cursor, Part
from halloo.wire.frame import MAX_STREAM_FRAME, Control

__all__ = ["StreamSide"]

LONGEST_OPENING = 4_096  # bytes; no suite's opening is longer, so more without a frame is none of ours
_NAMES = {int(kind): kind.name.lower() for kind in Control}


class StreamSide:
    """What one side writes."""

    def __init__(self, frames: Frames) -> None:
        self._frames = frames
        self._cloak = frames.suite.stream_cloak(frames.cloak_key, Random(0))  # only ever reads: no chance is used
        self._disguise = frames.suite.disguise
        self._greeting = bytearray()
        """What was heard before it is known whether the stream wears a disguise; then whatever is too short for it."""
        self._greeted = self._disguise is None
        self._covered = 0
        self._opened = False
        self._plain = bytearray()
        self._at = 0
        self.over = False
        """Whether it was found to be none of ours, or made no sense."""

    def feed(self, data: bytes, now: float) -> list[Part]:
        """What is whole now, with ``data`` after what came before.

        Raises:
            NotOurs: it does not begin as a stream of this network does.
        """
        if self.over or not data:
            return []
        parts: list[Part] = []
        if not self._greeted:
            data = self._undisguised(data, parts)
            if not data:
                return parts
        try:
            plain = self._cloak.receive(data)
        except PeerError as fault:
            self.over = True
            raise NotOurs(str(fault)) from None
        self._covered += len(data)
        if plain and not self._opened:
            self._opened = True
            size = self._covered - len(plain)
            opening = data[: max(0, len(data) - len(plain))]
            parts.append(Part("opening", 0, opening, f"{size} bytes in all; then frames"))
        elif not self._opened and self._covered > LONGEST_OPENING:
            self.over = True
            raise NotOurs("a stream without an opening of ours")
        self._plain += plain
        return parts + self._whole(now)

    def _undisguised(self, data: bytes, parts: list[Part]) -> bytes:
        """Take off the greeting of another protocol that some streams begin with; what comes after it."""
        assert self._disguise is not None
        self._greeting += data
        held = bytes(self._greeting)
        for name, worn, size in (
            ("hello in disguise", self._disguise.hello, self._disguise.hello_size),
            ("answer in disguise", self._disguise.answer, len(self._disguise.answer)),
        ):
            begun = min(len(held), len(worn))
            if held[:begun] == worn[:begun]:
                if len(held) < size:
                    return b""
                parts.append(Part(name, 0, held[:size], "imitates another protocol, and means nothing"))
                self._greeted = True
                return held[size:]
        self._greeted = True
        return held

    @property
    def begun(self) -> bool:
        """Whether anything was heard of it."""
        return bool(self._covered or self._greeting)

    @property
    def waiting(self) -> int:
        """Bytes of a frame that is not whole yet."""
        return len(self._plain)

    def _whole(self, now: float) -> list[Part]:
        out = []
        held, at = bytes(self._plain), 0
        while at < len(held):
            try:
                size = _size(held[at : at + 4])
                if size is None or at + size > len(held):
                    break
                out.append(self._frame(Cursor(held[at : at + size]), now))
            except PeerError as fault:
                self.over = True
                rest = held[at:]
                out.append(Part("frame", 0, rest, f"at {self._at} of the stream", fault=str(fault), fresh=True))
                at = len(held)
                break
            at += size
            self._at += size
        del self._plain[:at]
        return out

    def _frame(self, cursor: Cursor, now: float) -> Part:
        """One whole frame.  Raises Malformed."""
        value = cursor.varint()
        is_control = bool(value & 1)
        cursor.note("length", 0, f"{value >> 1} bytes of a {'control' if is_control else 'payload'} frame")
        name = self._control(cursor, now) if is_control else self._payload(cursor)
        meaning = f"frame at {self._at} of the stream, uncovered"
        return Part(name, 0, cursor.whole, meaning, cursor.parts, fresh=True)

    def _payload(self, cursor: Cursor) -> str:
        start = cursor.position
        frame = cursor.number(2)
        cursor.note("frame id", start, f"{frame:#06x}")
        body = cursor.rest()
        cursor.parts.append(Part("payload", 0, body, "", self._frames.payload(frame, body), fresh=True))
        return "payload"

    def _control(self, cursor: Cursor, now: float) -> str:
        start = cursor.position
        kind = cursor.byte()
        name = _NAMES.get(kind, f"unknown control frame {kind:#04x}")
        cursor.note("type", start, f"{kind:#04x} {name}")
        start = cursor.position
        match kind:
            case Control.MEDIA:
                link = cursor.take(4)
                cursor.note("link", start, f"to the link number {link.hex()}")
                start = cursor.position
                number = cursor.number(2)
                cursor.note("frame id", start, f"{number:#06x}")
                cursor.parts += self._frames.media(number, link, cursor.rest())
            case Control.FORWARD:
                token = cursor.take(8)
                cursor.note("token", start, token.hex())
                cursor.parts += self._frames.forward(token, cursor.rest(), now)
            case Control.PADDING:
                cursor.rest()
                cursor.note("padding", start, "means nothing")
            case _:
                cursor.rest()
                cursor.note("unknown", start, "a node passes over it")
        return name


def _size(start: bytes) -> int | None:
    """How many bytes the frame has that begins so; None while that cannot be told.  Raises Malformed."""
    end = next((i for i, byte in enumerate(start) if byte < 0x80), None)
    if end is None:
        if len(start) == 4:
            raise Malformed("the length of a stream frame is out of bounds")
        return None
    value = Cursor(start[: end + 1]).varint()
    size = value >> 1
    if size > MAX_STREAM_FRAME or size < (1 if value & 1 else 2):
        raise Malformed(f"a stream frame of {size} bytes")
    return end + 1 + size
