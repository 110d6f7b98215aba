"""The compressed form of an object list: what is likely costs a fraction of a bit, what is random goes beside it.

    list = 0x42, one number (see ``interval``) that says everything but the random, random bytes

The number is made of choices, each by a static table of frequencies trained on this network's own traffic (``tables``,
made by tools/train.py).  The choices, in the order of the objects:

    head      end of the list; same kind, id + 0 … 4; same kind, id moved by a coded step; another kind, by its place
              in the order of last use, and a coded step.  Context: kind and id of the object before
    number    how many bits it has, then those after the first; or, for large ones, its distance from the large number
              before it, by bits or (frequent ones) as a whole.  Context: the id
    text      for each byte its class, in the context of the class before it; then which of its class it is, in the
              context of the byte before it
    blob      its length; or, when it is itself the raw form of a list, that list
    64 bits   the same as one of the last four in this list (before the first one: the network's id), or new
    address   how much of the host and whether the port is that of the address before it
    list      what is in it, up to four deep
    numbers   how many, then each

New blobs, 64-bit values and what is new of addresses stand behind the number, as they are.  A list may be at most
eight times as long, raw, as what carries it (``GROWTH``), so that a few bytes cannot become many.
The head 0x42 names the version of the tables, too: other tables will have another head.
"""

from __future__ import annotations

from typing import Any

from halloo.base.errors import Malformed
from halloo.wire.alphabet import (
    BITS,
    CLASS,
    DISTANT,
    END,
    END_OF_TEXT,
    FREQUENT_FROM,
    GROWTH,
    GROWTH_FREE,
    KINDS,
    LIST_IN_BLOB,
    NEAR,
    OTHER,
    PLACE,
    SAME,
    SAME_STEP,
    SHIFT,
    SQUEEZED,
    TOP,
    Choice,
    Memory,
    Model,
    chunks,
    cumulative,
    letter_context,
    start,
)
from halloo.wire.buffer import Reader
from halloo.wire.interval import PRECISION, encode_choices
from halloo.wire.raw import (
    ADDRESS4,
    BLOB,
    MAX_DEPTH,
    NUMBER,
    NUMBERS,
    OBJECTS,
    RAW,
    TEXT,
    WIDE,
    ObjectList,
    decode_raw,
)
from halloo.wire.tables import FREQUENT

__all__ = ["Walk", "squeezed"]

_HEAD, _STEP, _CLASS, _LETTER = map(int, (Model.HEAD, Model.STEP, Model.CLASS, Model.LETTER))
"""As plain numbers: most choices are of these."""


def squeezed(objects: ObjectList, subject: int, raw_size: int, network: bytes = b"") -> bytes | None:
    """The compressed form of a list, which is ``raw_size`` bytes long as it is; None where a reader would refuse it.

    ``subject``: the number of the command that the list belongs to; ``network``: the id of the network it is said in.
    """
    walk = Walk(network)
    walk.add(objects, TOP + subject, 0)
    number = encode_choices(_parts(walk.choices))
    number[0] = number[0] + SHIFT & 0xFF
    packed = bytes([SQUEEZED]) + number + walk.beside
    return packed if raw_size <= GROWTH_FREE + GROWTH * len(packed) else None


def _parts(choices: list[Choice]) -> list[tuple[int, int, int]]:
    parts, find = [], cumulative
    for model, context, chosen in choices:
        if model == BITS:
            parts.append((chosen, 1, context))
        else:
            each = find(model, context)
            before = each[chosen]
            parts.append((before, each[chosen + 1] - before, PRECISION))
    return parts


class Walk:
    """The choices that make up one list, and the bytes beside them; also what tables are trained on."""

    def __init__(self, network: bytes = b"") -> None:
        self.choices: list[Choice] = []
        self.beside = bytearray()
        self._memory = Memory(network)

    def add(self, objects: ObjectList, parent: int, depth: int) -> None:
        """Walk through a list under ``parent``."""
        choices = self.choices
        order, last, context = list(KINDS), 0, start(parent)
        for kind, key, value in objects:
            code: int = kind
            inner = None
            if code == BLOB and value[:1] == _RAW:  # type: ignore[index]
                inner = _list_in(value, depth)  # type: ignore[arg-type]
                code = BLOB if inner is None else LIST_IN_BLOB
            step = key - last
            if code != order[0]:
                place = order.index(code)
                order.insert(0, order.pop(place))
                choices.append((_HEAD, context, OTHER + place - 1))
                self._signed(context, step)
            elif 0 <= step < SAME_STEP - SAME:
                choices.append((_HEAD, context, SAME + step))
            else:
                choices.append((_HEAD, context, SAME_STEP))
                self._signed(context, step)
            last, context = key, parent << 20 | code << 16 | key
            if inner is not None:
                self.add(inner, key + 1, depth + 1)
            elif code == OBJECTS:
                self.add(value, key + 1, depth + 1)  # type: ignore[arg-type]
            else:
                self._value(code, parent << 16 | key, value)
        choices.append((_HEAD, context, END))

    def _value(self, kind: int, context: int, value: Any) -> None:
        if kind == BLOB:
            self._bits(Model.LENGTH, context, len(value))
            self.beside += value
        elif kind == TEXT:
            self._text(value)
        elif kind == NUMBER:
            self._number(context, value)
        elif kind == WIDE:
            place = self._memory.wide(value)
            self.choices.append((Model.WIDE, context, place))
            if not place:
                self.beside += value
        elif kind == NUMBERS:
            self._bits(Model.COUNT, context, len(value))
            for item in value:
                self._bits(Model.ITEM, context, item)
        else:
            before = self._memory.address(value)
            shared = _shared(value.host, before.host)
            same = value.port == before.port
            self.choices.append((Model.HOST4 if kind == ADDRESS4 else Model.HOST6, context, 2 * shared + same))
            self.beside += value.host[shared:] + (b"" if same else value.port.to_bytes(2, "big"))

    def _number(self, context: int, value: int) -> None:
        before = self._memory.large(value)
        if before:
            distance = value - before
            if distance in FREQUENT:
                self.choices.append((Model.NUMBER, context, FREQUENT_FROM + FREQUENT.index(distance)))
                return
            if -NEAR < distance < NEAR:
                bits = abs(distance).bit_length()
                self.choices.append((Model.NUMBER, context, DISTANT + 2 * bits + (distance < 0)))
                self._rest(abs(distance), bits)
                return
        self._bits(Model.NUMBER, context, value)

    def _signed(self, context: int, step: int) -> None:
        bits = step.bit_length()
        self.choices.append((_STEP, context, 2 * bits + (step < 0)))
        if bits > 1:
            self._rest(abs(step), bits)

    def _bits(self, model: int, context: int, value: int) -> None:
        bits = value.bit_length()
        self.choices.append((model, context, bits))
        if bits > 1:
            self._rest(value, bits)

    def _rest(self, value: int, bits: int) -> None:
        """The bits after the first, which is a one."""
        if 1 < bits <= 17:  # most are this short
            self.choices.append((BITS, bits - 1, value & (1 << bits - 1) - 1))
            return
        for size, shift in chunks(bits - 1):
            self.choices.append((BITS, size, value >> shift & (1 << size) - 1))

    def _text(self, value: str) -> None:
        last = 0
        say = self.choices.append
        for byte in value.encode():
            kind = CLASS[byte]
            say((_CLASS, CLASS[last], kind))
            say((_LETTER, letter_context(kind, last), PLACE[byte]))
            last = byte
        say((_CLASS, CLASS[last], END_OF_TEXT))


_RAW = bytes([RAW])


def _list_in(blob: bytes, depth: int) -> ObjectList | None:
    """The list whose raw form a blob is, if it is one that a reader would follow so deep."""
    if blob[:1] != _RAW or depth + 1 >= MAX_DEPTH:
        return None
    reader = Reader(blob)
    try:
        objects = decode_raw(reader, depth + 1)
    except Malformed:
        return None
    return objects if not reader.left else None


def _shared(host: bytes, before: bytes) -> int:
    return next((i for i, (a, b) in enumerate(zip(host, before, strict=True)) if a != b), len(host))
