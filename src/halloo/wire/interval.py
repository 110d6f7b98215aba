"""Arithmetic coding: a sequence of choices becomes a number in an interval, and the number the choices again.

The unit interval is divided by the frequencies of the first choice; the part that was chosen is divided by those of
the second, and so on.  Whoever knows the frequencies finds every choice again from any number in the last part; the
number with the fewest digits is written.  The interval is kept with 32 bits and its settled digits are given out byte
by byte, a carry running back into them (a range coder, after Martin, 1979), so work is linear in the choices.

Frequencies of a choice add up to 2^12.  ``Decoder.end`` finds from the interval where the number ends: whatever
follows it may stand right behind it.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence

from halloo.base.errors import Malformed

__all__ = ["PRECISION", "Decoder", "encode_choices"]

PRECISION = 12  # bits of a frequency
_WHOLE = 1 << 32
_MASK = _WHOLE - 1
_SETTLED = 1 << 24  # an interval smaller than this has a settled first byte, a carry apart


def encode_choices(choices: Iterable[tuple[int, int, int]]) -> bytearray:
    """The shortest number for choices, each (frequencies before it, its own, bits of their sum: at most 16)."""
    low, size = 0, _WHOLE
    out = bytearray()
    for before, own, bits in choices:
        unit = size >> bits
        low += unit * before
        size = unit * own
        while size < _SETTLED:
            if low > _MASK:
                _carry(out)
                low &= _MASK
            out.append(low >> 24)
            low = low << 8 & _MASK
            size <<= 8
    number, count = _shortest(low, size)
    if number > _MASK:
        _carry(out)
        number &= _MASK
    return out + number.to_bytes(4, "big")[:count]


class Decoder:
    """Finds the choices again.  Reads a few bytes beyond the number's end; they may be anything."""

    __slots__ = ("_code", "_data", "_next", "_size")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._code = int.from_bytes(data[:4].ljust(4, b"\0"), "big")
        """How far into the interval the number lies."""
        self._size = _WHOLE
        self._next = 4

    def choice(self, cumulative: Sequence[int]) -> int:
        """Which one was chosen; ``cumulative[i]`` frequencies stand before choice ``i``.  Raises Malformed."""
        unit = self._size >> PRECISION
        at = self._code // unit
        if at >> PRECISION:
            raise Malformed("a compressed list holds a number that no list has")
        chosen = bisect_right(cumulative, at) - 1
        before = cumulative[chosen]
        self._code -= unit * before
        size = unit * (cumulative[chosen + 1] - before)
        if size < _SETTLED:
            self._shrink(size)
        else:
            self._size = size
        return chosen

    def bits(self, count: int) -> int:
        """A number of ``count`` bits (at most 16), all of them equally likely.  Raises Malformed."""
        unit = self._size >> count
        value = self._code // unit
        if value >> count:
            raise Malformed("a compressed list holds a number that no list has")
        self._code -= unit * value
        self._shrink(unit)
        return value

    def end(self) -> int:
        """Where the number ended.  Raises Malformed when it is not the shortest one."""
        read = self._data[self._next - 4 : self._next].ljust(4, b"\0")
        low = int.from_bytes(read, "big") - self._code & _MASK
        number, count = _shortest(low, self._size)
        end = self._next - 4 + count
        if end > len(self._data) or read[:count] != (number & _MASK).to_bytes(4, "big")[:count]:
            raise Malformed("a compressed list is cut short, or not written in its shortest form")
        return end

    def _shrink(self, size: int) -> None:
        while size < _SETTLED:
            if self._next > len(self._data) + 4:
                raise Malformed("a compressed list is cut short")
            byte = self._data[self._next] if self._next < len(self._data) else 0
            self._code = self._code << 8 | byte
            self._next += 1
            size <<= 8
        self._size = size


def _shortest(low: int, size: int) -> tuple[int, int]:
    """(number, bytes): the fewest bytes after which nothing that follows leaves the interval."""
    for count in range(4):
        unit = _WHOLE >> 8 * count
        number = -(-low // unit) * unit
        if number + unit <= low + size:
            return number, count
    return low, 4


def _carry(out: bytearray) -> None:
    """Add one to the digits given out so far."""
    at = len(out) - 1
    while out[at] == 0xFF:
        out[at] = 0
        at -= 1
    out[at] += 1
