"""One packet of sound: which frame it is, the frame, and whole copies of earlier frames.

    byte 0      version in the upper four bits (1), two zero bits, number of copies in the lower two (0 to 3)
    bytes 1-4   frame number, big-endian: media time in frames of 20 ms, wrapping at 2^32 (after 2.7 years)
    per copy    how many frames earlier (1 to 255), length (two bytes, big-endian), the copy
    the rest    the frame itself

With a codec of constant rate and a fixed number of copies every packet has the same size: nothing is learnt from it.
The seal around it protects all of it, so there is no checksum.
"""

from __future__ import annotations

from dataclasses import dataclass

from halloo.base.errors import Malformed, UsageError

__all__ = ["MAX_COPIES", "MAX_FRAME", "MAX_PACKET", "NUMBERS", "Copy", "Packet"]

VERSION = 1
HEADER = 5  # bytes: version and count, frame number
COPY_HEADER = 3  # bytes: offset, length
MAX_COPIES = 3  # two are used beyond 12 % loss; what more would cost is better spent on the first frame
MAX_FRAME = 1275  # bytes; the largest packet of one Opus frame (RFC 6716, 3.2.1)
MAX_PACKET = 1400  # bytes; with seal and headers still below an Ethernet's 1,500
NUMBERS = 1 << 32  # frame numbers wrap here


@dataclass(frozen=True, slots=True)
class Copy:
    """A whole earlier frame that rides along."""

    offset: int
    """How many frames before the packet's own, 1 to 255."""
    frame: bytes


@dataclass(frozen=True, slots=True)
class Packet:
    """A frame, its number (media time in frames, below 2^32), and copies of earlier ones, nearest first."""

    number: int
    frame: bytes
    copies: tuple[Copy, ...] = ()

    def build(self) -> bytes:
        """The bytes to send.  Raises UsageError when a part does not fit."""
        if not 0 <= self.number < NUMBERS or not 0 < len(self.frame) <= MAX_FRAME:
            raise UsageError(f"no packet for frame {self.number} of {len(self.frame)} bytes")
        if len(self.copies) > MAX_COPIES:
            raise UsageError(f"a packet carries at most {MAX_COPIES} copies")
        out = bytearray((VERSION << 4 | len(self.copies),))
        out += self.number.to_bytes(4, "big")
        nearest = 0
        for copy in self.copies:
            if not nearest < copy.offset < 256 or not 0 < len(copy.frame) <= MAX_FRAME:
                raise UsageError("copies are of 1 to 255 frames earlier, nearest first, and not empty")
            nearest = copy.offset
            out.append(copy.offset)
            out += len(copy.frame).to_bytes(2, "big")
            out += copy.frame
        out += self.frame
        if len(out) > MAX_PACKET:
            raise UsageError(f"a packet of sound has at most {MAX_PACKET} bytes, not {len(out)}")
        return bytes(out)

    @classmethod
    def parse(cls, data: bytes) -> Packet:
        """Read a packet.  Raises Malformed for anything that ``build`` would not write."""
        if not HEADER < len(data) <= MAX_PACKET:
            raise Malformed(f"{len(data)} bytes are no packet of sound")
        first = data[0]
        if first >> 4 != VERSION or first & 0x0C:
            raise Malformed(f"a packet of sound of an unknown kind, {first:#04x}")
        copies = []
        at, nearest = HEADER, 0
        for _ in range(first & 0x03):
            if at + COPY_HEADER > len(data):
                raise Malformed("a packet of sound ends inside a copy")
            offset, size = data[at], int.from_bytes(data[at + 1 : at + 3], "big")
            at += COPY_HEADER
            if offset <= nearest or not 0 < size <= min(MAX_FRAME, len(data) - at):
                raise Malformed("a copy in a packet of sound is out of bounds")
            copies.append(Copy(offset, data[at : at + size]))
            at += size
            nearest = offset
        if not 0 < len(data) - at <= MAX_FRAME:
            raise Malformed("a packet of sound without its own frame")
        return cls(int.from_bytes(data[1:5], "big"), data[at:], tuple(copies))
