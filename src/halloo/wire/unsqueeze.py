"""Reading a compressed object list: see ``squeeze`` for its form.

The number is unfolded into a plan of the list first; only when that is known to be within its bounds, and what stands
beside to be there, is anything made of it.
"""

from __future__ import annotations

from typing import Any

from halloo.base.address import Address
from halloo.base.errors import Malformed
from halloo.wire.alphabet import (
    CLASS,
    DISTANT,
    FREQUENT_FROM,
    GROWTH,
    GROWTH_FREE,
    KINDS,
    LARGE,
    LETTERS,
    LIST_IN_BLOB,
    OTHER,
    SAME,
    SAME_STEP,
    SHIFT,
    TOP,
    Memory,
    Model,
    chunks,
    cumulative,
    letter_context,
    start,
)
from halloo.wire.buffer import MAX_NUMBER, Reader
from halloo.wire.interval import Decoder
from halloo.wire.raw import (
    ADDRESS4,
    ADDRESS6,
    BLOB,
    MAX_DEPTH,
    MAX_ID,
    MAX_NUMBERS,
    MAX_OBJECTS,
    MAX_TEXT,
    NUMBER,
    NUMBERS,
    OBJECTS,
    TEXT,
    WIDE,
    Kind,
    ObjectList,
    encode_objects,
)
from halloo.wire.tables import FREQUENT

__all__ = ["unsqueezed"]

_HEAD, _CLASS, _LETTER = map(int, (Model.HEAD, Model.CLASS, Model.LETTER))
"""As plain numbers: most choices are of these."""


def unsqueezed(reader: Reader, subject: int, depth: int = 0, network: bytes = b"") -> ObjectList:
    """Read one compressed list.

    Raises:
        Malformed: cut short, out of bounds, nested deeper than four, or grown beyond what its bytes may carry.
    """
    if depth >= MAX_DEPTH:
        raise Malformed(f"object lists nested deeper than {MAX_DEPTH}")
    reader.byte()
    unfolding = _Unfolding(reader)
    plan = unfolding.plan(TOP + subject, depth)
    reader.position = unfolding.end()
    return _built(plan, reader, Memory(network))


Planned = tuple[int, int, Any]
"""(kind or ``LIST_IN_BLOB``, id, what of the value the number says)."""


class _Unfolding:
    """From the choices of one number to a plan of the list; what stands beside is not touched yet."""

    def __init__(self, reader: Reader) -> None:
        start = reader.position
        if not reader.left:
            raise Malformed("a compressed list is cut short")
        data = reader.data
        self._decoder = Decoder(bytes([data[start] - SHIFT & 0xFF]) + data[start + 1 :])
        self._choice = self._decoder.choice
        self.start = start
        self._reader = reader
        self._most = min(reader.grown + GROWTH_FREE + GROWTH * reader.left, GROWTH_FREE + GROWTH * len(reader.data))
        """What all lists of this reader may have grown by after this one: many small ones do not add up to more."""
        self._left = reader.left
        """Bytes that may still stand beside."""
        self._large = Memory()

    def end(self) -> int:
        """Where the number ends and what stands beside begins.  Raises Malformed."""
        return self.start + self._decoder.end()

    def plan(self, parent: int, depth: int) -> list[Planned]:
        """One list."""
        out: list[Planned] = []
        order, last, context = list(KINDS), 0, start(parent)
        while head := self._choice(cumulative(_HEAD, context)):
            if len(out) >= MAX_OBJECTS:
                raise Malformed(f"more than {MAX_OBJECTS} objects in one list")
            self._grow(2)
            if head < SAME_STEP:
                step = head - SAME
            else:
                if head >= OTHER:
                    order.insert(0, order.pop(head - OTHER + 1))
                step = self._signed(context)
            code, last = order[0], last + step
            if not 0 <= last <= MAX_ID:
                raise Malformed(f"object id {last} is out of range")
            context = parent << 20 | code << 16 | last
            if code in (OBJECTS, LIST_IN_BLOB):
                if depth + 1 >= MAX_DEPTH:
                    raise Malformed(f"object lists nested deeper than {MAX_DEPTH}")
                out.append((code, last, self.plan(last + 1, depth + 1)))
            else:
                out.append((code, last, self._value(code, parent << 16 | last)))
        return out

    def _value(self, kind: int, context: int) -> object:
        if kind == BLOB:
            length = self._bits(Model.LENGTH, context)
            self._beside(length)
            return length
        if kind == TEXT:
            return self._text()
        if kind == NUMBER:
            return self._number(context)
        if kind == WIDE:
            place = self._choice(cumulative(Model.WIDE, context))
            self._beside(0 if place else 8)
            return place
        if kind == NUMBERS:
            count = self._bits(Model.COUNT, context)
            if count > MAX_NUMBERS:
                raise Malformed(f"{count} numbers in one list, at most {MAX_NUMBERS} are read")
            self._grow(count)
            return tuple(self._bits(Model.ITEM, context) for _ in range(count))
        size, model = (4, Model.HOST4) if kind == ADDRESS4 else (16, Model.HOST6)
        shared, same = divmod(self._choice(cumulative(model, context)), 2)
        self._beside(size - shared + (0 if same else 2))
        return shared, bool(same)

    def _number(self, context: int) -> int:
        chosen = self._choice(cumulative(Model.NUMBER, context))
        if chosen < DISTANT:
            value = self._rest(chosen)
        else:
            if chosen >= FREQUENT_FROM:
                distance = FREQUENT[chosen - FREQUENT_FROM]
            else:
                bits, negative = divmod(chosen - DISTANT, 2)
                distance = self._rest(bits) * (-1 if negative else 1)
            value = self._large.latest + distance
            if not LARGE <= value <= MAX_NUMBER:
                raise Malformed("a number is out of range")
        self._large.large(value)
        return value

    def _signed(self, context: int) -> int:
        bits, negative = divmod(self._choice(cumulative(Model.STEP, context)), 2)
        return self._rest(bits) * (-1 if negative else 1)

    def _bits(self, model: Model, context: int) -> int:
        return self._rest(self._choice(cumulative(model, context)))

    def _rest(self, bits: int) -> int:
        if bits < 2:
            return bits
        if bits <= 17:  # most are this short
            return 1 << bits - 1 | self._decoder.bits(bits - 1)
        value = 1
        for size, _ in chunks(bits - 1):
            value = value << size | self._decoder.bits(size)
        return value

    def _text(self) -> str:
        out = bytearray()
        last = 0
        choice = self._choice
        while kind := choice(cumulative(_CLASS, CLASS[last])):
            self._grow(1)
            letters = LETTERS[kind]
            place = choice(cumulative(_LETTER, letter_context(kind, last)))
            if place >= len(letters):
                raise Malformed("a compressed list holds a letter that is none")
            last = letters[place]
            out.append(last)
            if len(out) > MAX_TEXT:
                raise Malformed(f"a string has no end within {MAX_TEXT} bytes")
        try:
            return out.decode()
        except UnicodeDecodeError:
            raise Malformed("a string is not UTF-8") from None

    def _grow(self, size: int) -> None:
        self._reader.grown += size
        if self._reader.grown > self._most:
            raise Malformed("a compressed list would grow to more than its bytes may carry")

    def _beside(self, size: int) -> None:
        self._left -= size
        if self._left < 0:
            raise Malformed("a compressed list is cut short")


def _built(plan: list[Planned], reader: Reader, memory: Memory) -> ObjectList:
    """The list of a plan, with what stands beside taken from ``reader``.  Raises Malformed."""
    out: ObjectList = []
    for code, key, detail in plan:
        if code == BLOB:
            out.append((Kind.BLOB, key, reader.take(detail)))
        elif code == OBJECTS:
            out.append((Kind.OBJECTS, key, _built(detail, reader, memory)))
        elif code == LIST_IN_BLOB:
            out.append((Kind.BLOB, key, encode_objects(_built(detail, reader, memory))))
        elif code == WIDE:
            if detail > len(memory.wides):
                raise Malformed("a compressed list refers to what it did not say")
            wide = memory.wides[detail - 1] if detail else reader.take(8)
            memory.wide(wide)
            out.append((Kind.WIDE, key, wide))
        elif code in (ADDRESS4, ADDRESS6):
            shared, same = detail
            kind, size = (Kind.ADDRESS4, 4) if code == ADDRESS4 else (Kind.ADDRESS6, 16)
            before = memory.latest_address(size)
            host = before.host[:shared] + reader.take(size - shared)
            address = Address(host, before.port if same else reader.number(2))
            memory.address(address)
            out.append((kind, key, address))
        else:
            out.append((Kind(code), key, detail))
    return out
