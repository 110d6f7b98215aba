"""The raw form of an object list: typed values, each under an id that names the parameter.

    list    = 0x41 count object*
    object  = kind(1) id(varint) value

    kind  name             value
    0     number           varint
    1     64-bit value     8 bytes
    2     IPv4 and port    4 + 2 bytes
    3     string           UTF-8, terminated by a zero
    4     blob             varint length, bytes
    5     object list      a whole list, in either form (``objects``)
    6     list of numbers  varint count, varints
    7     IPv6 and port    16 + 2 bytes (this network's own addition)

The kinds are those of the classic protocol.  Every count is bounded before anything is made of it: an unbounded
one was the classic client's known hole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import IntEnum

from halloo.base.address import Address
from halloo.base.errors import Malformed
from halloo.wire.buffer import Reader, Writer, varint

__all__ = [
    "MAX_DEPTH",
    "MAX_ID",
    "MAX_NUMBERS",
    "MAX_OBJECTS",
    "MAX_TEXT",
    "RAW",
    "Kind",
    "Object",
    "ObjectList",
    "Value",
    "decode_raw",
    "encode_objects",
]

RAW = 0x41
MAX_OBJECTS = 256  # in one list: the longest honest one (a page of directory records) has some forty
MAX_NUMBERS = 1_024  # in one list of numbers
MAX_TEXT = 4_096  # bytes: a chat line fits, a flood does not
MAX_DEPTH = 4  # lists within lists
MAX_ID = 0xFFFF  # of an object; ours are below 256


class Kind(IntEnum):
    """What a value is, and so how it is written."""

    NUMBER = 0
    WIDE = 1
    ADDRESS4 = 2
    TEXT = 3
    BLOB = 4
    OBJECTS = 5
    NUMBERS = 6
    ADDRESS6 = 7


NUMBER, WIDE, ADDRESS4, TEXT, BLOB, OBJECTS, NUMBERS, ADDRESS6 = map(int, Kind)
"""The same as plain numbers, to compare with: an enumeration's are slow, and each object is compared."""

Value = int | bytes | Address | str | tuple[int, ...] | list["Object"]
Object = tuple[Kind, int, Value]
ObjectList = list[Object]
Inner = Callable[[Reader, int], ObjectList]


def encode_objects(objects: Iterable[Object]) -> bytes:
    """The raw form of a list.  Raises ValueError for a value that is not of its kind: our own mistake."""
    out = Writer()
    body = list(objects)
    out.byte(RAW).varint(len(body))
    for kind, key, value in body:
        out.append(kind)
        out += varint(key)
        if kind == BLOB and isinstance(value, bytes):
            out += varint(len(value))
            out += value
        elif kind == NUMBER and isinstance(value, int):
            out += varint(value)
        elif kind == TEXT and isinstance(value, str):
            out.text(value)
        elif kind == WIDE and isinstance(value, bytes) and len(value) == 8:
            out += value
        elif kind in (ADDRESS4, ADDRESS6) and isinstance(value, Address):
            out.address(value)
        elif kind == OBJECTS and isinstance(value, list):
            out += encode_objects(value)
        elif kind == NUMBERS and isinstance(value, tuple):
            out += varint(len(value))
            for number in value:
                out += varint(number)
        else:
            raise ValueError(f"object {key} is of kind {kind.name} but holds {value!r}")
    return bytes(out)


def decode_raw(reader: Reader, depth: int = 0, inner: Inner | None = None) -> ObjectList:
    """Read one list in its raw form; lists in it by ``inner``, or raw as well.

    Raises:
        Malformed: not a raw list, cut short, of an unknown kind, nested deeper than four, or out of bounds.
    """
    if depth >= MAX_DEPTH:
        raise Malformed(f"object lists nested deeper than {MAX_DEPTH}")
    if (head := reader.byte()) != RAW:
        raise Malformed(f"an object list cannot begin with {head:#04x}")
    count = reader.varint()
    if count > MAX_OBJECTS:
        raise Malformed(f"{count} objects in one list, at most {MAX_OBJECTS} are read")
    return [_object(reader, depth, inner) for _ in range(count)]


def _object(reader: Reader, depth: int, inner: Inner | None) -> Object:
    kind, key = reader.byte(), reader.varint()
    if key > MAX_ID:
        raise Malformed(f"object id {key} is out of range")
    if kind == BLOB:
        return Kind.BLOB, key, reader.take(reader.varint())
    if kind == NUMBER:
        return Kind.NUMBER, key, reader.varint()
    if kind == TEXT:
        return Kind.TEXT, key, reader.text(MAX_TEXT)
    if kind == WIDE:
        return Kind.WIDE, key, reader.take(8)
    if kind == ADDRESS4:
        return Kind.ADDRESS4, key, reader.address(4)
    if kind == OBJECTS:
        return Kind.OBJECTS, key, inner(reader, depth + 1) if inner else decode_raw(reader, depth + 1)
    if kind == NUMBERS:
        count = reader.varint()
        if count > MAX_NUMBERS:
            raise Malformed(f"{count} numbers in one list, at most {MAX_NUMBERS} are read")
        return Kind.NUMBERS, key, tuple(reader.varint() for _ in range(count))
    if kind == ADDRESS6:
        return Kind.ADDRESS6, key, reader.address(16)
    raise Malformed(f"unknown object kind {kind}")
