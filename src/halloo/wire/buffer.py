"""Reading and writing bytes: fixed fields, variable integers, byte strings; every read is bounded.

Variable integers are unsigned, little-endian groups of seven bits, the top bit meaning "more" (LEB128), as the
classic protocol writes them; a second spelling of the same number is refused, so that one value has one form.
"""

from __future__ import annotations

from halloo.base.address import Address
from halloo.base.errors import Malformed

__all__ = ["Reader", "Writer", "varint"]

MAX_NUMBER = (1 << 64) - 1  # what the widest number on the wire can be
_SHORT = tuple(bytes([value]) for value in range(0x80))


def varint(value: int) -> bytes:
    """The variable-length form of ``value`` (0 to 2^64 - 1)."""
    if 0 <= value < 0x80:  # most are this short
        return _SHORT[value]
    if not 0 <= value <= MAX_NUMBER:
        raise ValueError(f"{value} does not fit a 64-bit number")
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


class Reader:
    """A cursor over bytes.  Every method raises Malformed when the bytes are not there."""

    __slots__ = ("_end", "data", "grown", "position")

    def __init__(self, data: bytes) -> None:
        self.data = data
        self._end = len(data)
        self.position = 0
        self.grown = 0
        """Bytes by which all compressed lists read so far grew: what may grow is bounded for the whole."""

    @property
    def left(self) -> int:
        """How many bytes are still unread."""
        return self._end - self.position

    def byte(self) -> int:
        """One byte, as a number."""
        if self.position >= self._end:
            raise Malformed("bytes end where one more was announced")
        value = self.data[self.position]
        self.position += 1
        return value

    def peek(self) -> int:
        """The next byte, still unread.  Only where ``left`` says that there is one."""
        return self.data[self.position]

    def take(self, size: int) -> bytes:
        """Exactly ``size`` bytes."""
        if size > self._end - self.position:
            raise Malformed(f"{size} bytes announced, {self.left} there")
        start = self.position
        self.position = start + size
        return self.data[start : self.position]

    def number(self, size: int) -> int:
        """A fixed number of ``size`` bytes, big-endian."""
        return int.from_bytes(self.take(size), "big")

    def varint(self) -> int:
        """A variable-length number below 2^64, in its shortest form."""
        position = self.position
        if position < self._end and self.data[position] < 0x80:  # most are this short
            self.position = position + 1
            return self.data[position]
        value = shift = 0
        while True:
            byte = self.byte()
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                if byte == 0 and shift:
                    raise Malformed("a number is written longer than it needs")
                if value > MAX_NUMBER:
                    raise Malformed("a number is larger than 64 bits")
                return value
            shift += 7
            if shift > 63:
                raise Malformed("a number is longer than 64 bits")

    def text(self, most: int) -> str:
        """A zero-terminated UTF-8 string of at most ``most`` bytes."""
        end = self.data.find(b"\0", self.position, min(self._end, self.position + most + 1))
        if end < 0:
            raise Malformed(f"a string has no end within {most} bytes")
        raw = self.data[self.position : end]
        self.position = end + 1
        try:
            return raw.decode()
        except UnicodeDecodeError:
            raise Malformed("a string is not UTF-8") from None

    def address(self, host_size: int) -> Address:
        """A host of 4 or 16 bytes and a port of two."""
        return Address(self.take(host_size), self.number(2))

    def rest(self) -> bytes:
        """All that is left."""
        return self.take(self.left)


class Writer(bytearray):
    """Bytes under construction.  The methods mirror those of Reader."""

    def byte(self, value: int) -> Writer:
        """One byte."""
        self.append(value)
        return self

    def number(self, value: int, size: int) -> Writer:
        """A fixed number, big-endian."""
        self += value.to_bytes(size, "big")
        return self

    def varint(self, value: int) -> Writer:
        """A variable-length number."""
        self += varint(value)
        return self

    def text(self, value: str) -> Writer:
        """A zero-terminated string.  A zero inside is the caller's error."""
        if "\0" in value:
            raise ValueError("a string on the wire cannot hold a zero character")
        self += value.encode()
        self.append(0)
        return self

    def address(self, value: Address) -> Writer:
        """Host and port."""
        self += value.host
        return self.number(value.port, 2)
