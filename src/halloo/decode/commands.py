"""Explains the command layer: commands, object lists, and the shapes inside blobs, field by field.

What each id means is read from the declarations in ``messages``, so a message that is added there is explained here.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from enum import IntEnum
from typing import Any, cast

from halloo.base.errors import Malformed, PeerError
from halloo.base.machine import Message
from halloo.decode.tree import Cursor, Part
from halloo.messages.call import Why
from halloo.messages.catalogue import OPEN, SEALED
from halloo.messages.credential import Claims, Listing, Presence, SignedClaims
from halloo.messages.log import EntryKind, Head
from halloo.messages.login import Carriage, Purpose, Verdict
from halloo.wire.buffer import Reader
from halloo.wire.command import Declaration, FieldRule, Form, Shape, decode_commands, decode_shape, rules_of
from halloo.wire.objects import decode_objects
from halloo.wire.raw import MAX_DEPTH, MAX_ID, MAX_NUMBERS, MAX_OBJECTS, MAX_TEXT, RAW, Kind, Value, encode_objects

__all__ = ["LANGUAGE", "explain_commands", "explain_shape", "read_commands"]

LANGUAGE: Mapping[tuple[int, Form], Declaration] = {**OPEN, **SEALED}
SHORT = 16  # bytes of a blob that are shown with its meaning
_FORMS: dict[int, str] = {Form.NOTICE: "one-way", Form.REQUEST: "request", Form.REPLY: "reply"}
_ENUMS: dict[str, type[IntEnum]] = {
    "carriage": Carriage,
    "kind": EntryKind,
    "purpose": Purpose,
    "state": Presence,
    "verdict": Verdict,
    "why": Why,
}
_TIMES = ("expires", "issued", "wall")
_INSIDE: dict[str, type[Shape]] = {"credential": SignedClaims, "claims": Claims, "head": Head, "listing": Listing}
"""By the name of a blob's field, the shape that it holds."""


def read_commands(payload: bytes, network: bytes = b"") -> list[Message]:
    """The messages of a payload, as a node reads them; none where it would refuse the payload."""
    try:
        return decode_commands(payload, LANGUAGE, network)
    except Malformed:
        return []


def explain_commands(cursor: Cursor, language: Mapping[tuple[int, Form], Declaration], first: int = 0) -> None:
    """Note the commands from where the cursor stands to its end, numbered from ``first`` (0: not numbered)."""
    count, begin = 0, cursor.position
    try:
        while cursor.left:
            start = cursor.position
            if not (length := cursor.varint()):
                cursor.rest()
                cursor.note("padding", start, "zeros" if not any(cursor.whole[start:]) else "ends what was said")
                break
            _command(cursor, language, start, length, first + count if first else 0)
            count += 1
    except Malformed as fault:
        cursor.stop(fault, begin)


def _command(
    cursor: Cursor, language: Mapping[tuple[int, Form], Declaration], start: int, length: int, number: int
) -> None:
    outer, cursor.parts = cursor.parts, []
    here, name, meaning = cursor.parts, "command", ""
    try:
        cursor.note("length", start, f"{length} bytes follow the head")
        at = cursor.position
        head = cursor.varint()
        key, form = head >> 3, head & 0b111
        declared = language.get((key, cast(Form, form)))
        elsewhere = LANGUAGE.get((key, cast(Form, form)))
        name = declared.kind.__name__ if declared else f"unknown command {key}"
        meaning = _FORMS.get(form, f"form {form}") + (f", command number {number}" if number else "")
        if declared is None and elsewhere is not None:
            meaning += f"; {elsewhere.kind.__name__}, which is not understood here"
        cursor.note("head", at, f"command {key} ({key:#x}), {_FORMS.get(form, f'form {form}')}")
        end = cursor.limit(length)
        try:
            if form in (Form.REQUEST, Form.REPLY):
                at = cursor.position
                cursor.note("request", at, f"{cursor.number(2):#06x}")
            known = declared or elsewhere
            explain_list(cursor, known.rules if known else {}, key)
            if cursor.left:
                raise Malformed(f"{name} is followed by {cursor.left} bytes that belong to nothing")
            # Bounds, and what must be there:
            decode_commands(cursor.whole[start : cursor.position], language, cursor.network)
        except Malformed as fault:
            if declared is not None:
                cursor.stop(fault)
            else:
                at = cursor.position
                cursor.rest()
                cursor.note("unknown", at, "of a command that is not known here; a node passes over it")
        finally:
            cursor.unlimit(end)
    finally:
        cursor.parts = outer
        cursor.note(name, start, meaning, here)


def explain_shape(kind: type[Shape], data: bytes) -> Part:
    """A shape on its own."""
    cursor = Cursor(data)
    try:
        explain_list(cursor, rules_of(kind))
        decode_shape(kind, data)
    except PeerError as fault:
        cursor.stop(fault)
    return Part(kind.__name__, 0, data, "", cursor.parts, fresh=True)


def explain_list(cursor: Cursor, rules: Mapping[str, FieldRule], subject: int = 0, depth: int = 0) -> None:
    """Note one object list of command number ``subject`` (0: of none).

    Raises:
        Malformed: it cannot be read on; what was read is noted before.
    """
    by_key = {rule.key: (name, rule) for name, rule in rules.items()}
    start = cursor.position
    if cursor.whole[start : start + 1] != bytes([RAW]):
        _packed(cursor, rules, subject, depth)
        return
    if depth >= MAX_DEPTH:
        raise Malformed(f"object lists nested deeper than {MAX_DEPTH}")
    cursor.byte()
    count = cursor.varint()
    cursor.note("list", start, f"raw, {_counted(count)}")
    if count > MAX_OBJECTS:
        raise Malformed(f"{count} objects in one list, at most {MAX_OBJECTS} are read")
    for _ in range(count):
        _object(cursor, by_key, depth)


def _packed(cursor: Cursor, rules: Mapping[str, FieldRule], subject: int, depth: int) -> None:
    """A compressed list: its objects have no places of their own, so its raw form is explained."""
    start = cursor.position
    reader = Reader(cursor.whole[start : start + cursor.left])
    objects = decode_objects(reader, subject, depth, cursor.network)
    cursor.take(reader.position)
    raw = encode_objects(objects)
    inner = Cursor(raw)
    explain_list(inner, rules, subject, depth)
    if objects:
        parts = [Part("raw form", 0, raw, "", inner.parts, fresh=True)]
        cursor.note("list", start, f"compressed, {_counted(len(objects))}, {len(raw)} bytes when raw", parts)
    else:
        cursor.note("list", start, "compressed, empty")


def _object(cursor: Cursor, by_key: Mapping[int, tuple[str, FieldRule]], depth: int) -> None:
    start = cursor.position
    number, key = cursor.byte(), cursor.varint()
    if key > MAX_ID:
        raise Malformed(f"object id {key} is out of range")
    if number not in Kind._value2member_map_:
        raise Malformed(f"unknown object kind {number}")
    kind = Kind(number)
    name, rule = by_key.get(key, (f"object {key:#04x}", None))
    value: Value
    inside: list[Part] = []
    match kind:
        case Kind.NUMBER:
            value = cursor.varint()
        case Kind.WIDE:
            value = cursor.take(8)
        case Kind.ADDRESS4 | Kind.ADDRESS6:
            value = cursor.address(4 if kind is Kind.ADDRESS4 else 16)
        case Kind.TEXT:
            value = cursor.text(MAX_TEXT)
        case Kind.BLOB:
            value = cursor.take(cursor.varint())
            if name in _INSIDE and value:
                inside = [explain_shape(_INSIDE[name], value)]
        case Kind.NUMBERS:
            count = cursor.varint()
            if count > MAX_NUMBERS:
                raise Malformed(f"{count} numbers in one list, at most {MAX_NUMBERS} are read")
            value = tuple(cursor.varint() for _ in range(count))
        case Kind.OBJECTS:
            outer, cursor.parts = cursor.parts, inside
            try:
                explain_list(cursor, rules_of(rule.inner) if rule and rule.inner else {}, 0, depth + 1)
            finally:
                cursor.parts = outer
            value = []
    known = "" if rule else " (not known here; a node passes over it)"
    cursor.note(name, start, f"id {key:#04x}, {_said(kind, name, value, rule)}{known}", inside)


def _counted(count: int) -> str:
    """So many objects, in words."""
    return "1 object" if count == 1 else f"{count} objects"


def _said(kind: Kind, name: str, value: Any, rule: FieldRule | None) -> str:
    """A value, for people."""
    match kind:
        case Kind.NUMBER:
            return f"number {value}{_number(name, value, rule)}"
        case Kind.WIDE:
            return f"64 bits {value.hex()}"
        case Kind.ADDRESS4 | Kind.ADDRESS6:
            return f"address {value}"
        case Kind.TEXT:
            return f"text {value!r}"
        case Kind.BLOB:
            return f"blob of {len(value)} bytes" + (f" {value.hex()}" if 0 < len(value) <= SHORT else "")
        case Kind.NUMBERS:
            return f"{len(value)} numbers {list(value)}"
    return "list"


def _number(name: str, value: int, rule: FieldRule | None) -> str:
    """What a number stands for, where it does."""
    if rule is not None and rule.boolean:
        return " (yes)" if value else " (no)"
    if name in _ENUMS and value in _ENUMS[name]._value2member_map_:
        return f" ({_ENUMS[name](value).name.lower()})"
    if name in _TIMES and 0 < value < 1 << 36:
        return f" ({datetime.fromtimestamp(value, UTC):%Y-%m-%d %H:%M:%S} UTC)"
    return ""
