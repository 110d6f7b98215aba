"""A command: a message declared once as a class, from which its bytes, its parser and its documentation follow.

    command = length(varint) head(varint) [request(2)] object-list
    head    = number << 3 | 0b010 request, 0b011 reply, 0b001 one-way

``length`` counts what follows the head.  Several commands may follow each other in one payload; a zero in the
place of a length is padding, and ends it.  Unknown commands and unknown objects are passed over, so that a newer
node can say more.

    @command(27, Form.REQUEST)
    class Probe(Message):
        '''May I attach to you?'''
        node: bytes = wide(0x01)
        request: int = request_id(default=0)
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Any, TypeVar, cast, dataclass_transform

from halloo.base.address import Address
from halloo.base.errors import HallooError, Malformed
from halloo.base.machine import Message
from halloo.wire.buffer import Reader, Writer
from halloo.wire.objects import Kind, Object, ObjectList, decode_objects, encode_objects, shortest_form

__all__ = [
    "Catalogue",
    "Declaration",
    "FieldRule",
    "Form",
    "Shape",
    "address",
    "addresses",
    "blob",
    "command",
    "declaration_of",
    "decode_commands",
    "decode_shape",
    "encode_command",
    "encode_shape",
    "flag",
    "nested",
    "number",
    "numbers",
    "request_id",
    "rules_of",
    "shape",
    "sparse_shape",
    "split_commands",
    "text",
    "wide",
]

MAX_LIST = 64  # repeated objects under one id: a page of addresses or records


class Form(IntEnum):
    """The low bits of a command's head: does it expect an answer, is it one, or neither?"""

    NOTICE = 0b001
    REQUEST = 0b010
    REPLY = 0b011


class Shape:
    """Typed fields that travel as one object list: the body of a command, or a list inside another."""

    __slots__ = ()


NEVER: Any = object()
"""What no field holds."""


@dataclass(frozen=True, slots=True)
class FieldRule:
    """How one field is written: kind and id of its object, and the bounds of its value."""

    key: int
    kinds: tuple[Kind, ...]
    least: int = 0
    most: int = (1 << 64) - 1
    many: bool = False
    inner: type[Shape] | None = None
    boolean: bool = False
    absent: Any = NEVER
    """What it holds where it is left out: not written with that, and malformed where it is."""


@dataclass(frozen=True, slots=True)
class Declaration:
    """What was declared of one message: number, form, and its fields by name."""

    kind: type[Any]
    number: int
    form: Form
    rules: Mapping[str, FieldRule]


_RULES: dict[type[Any], Mapping[str, FieldRule]] = {}
_BY_KEY: dict[type[Any], dict[int, tuple[str, FieldRule]]] = {}
"""The same by the ids of their objects, with the names of the fields: to read by."""
_DECLARED: dict[type[Any], Declaration] = {}
_REQUEST = "request"
_NOTHING: Any = dataclasses.MISSING


def _field(rule: FieldRule, default: Any) -> Any:
    absent = default if rule.boolean or default is None else NEVER
    return dataclasses.field(default=default, metadata={"rule": replace(rule, absent=absent)})


def number(key: int, *, most: int = (1 << 64) - 1, default: Any = _NOTHING) -> Any:
    """A number from 0 to ``most``."""
    return _field(FieldRule(key, (Kind.NUMBER,), most=most), default)


def flag(key: int, *, default: Any) -> Any:
    """Yes or no, written as the number 1 or left out; ``default`` is no."""
    return _field(FieldRule(key, (Kind.NUMBER,), most=1, boolean=True), default)


def wide(key: int, *, default: Any = _NOTHING) -> Any:
    """A 64-bit value, as eight bytes."""
    return _field(FieldRule(key, (Kind.WIDE,)), default)


def text(key: int, *, most: int = 256, default: Any = _NOTHING) -> Any:
    """A string of at most ``most`` characters."""
    return _field(FieldRule(key, (Kind.TEXT,), most=most), default)


def blob(key: int, *, least: int = 0, most: int = 4096, default: Any = _NOTHING) -> Any:
    """Bytes, from ``least`` to ``most`` of them."""
    return _field(FieldRule(key, (Kind.BLOB,), least=least, most=most), default)


def address(key: int, *, default: Any = _NOTHING) -> Any:
    """An internet address with a port, IPv4 or IPv6."""
    return _field(FieldRule(key, (Kind.ADDRESS4, Kind.ADDRESS6)), default)


def addresses(key: int, *, default: Any, most: int = MAX_LIST) -> Any:
    """Up to ``most`` addresses, each an object of its own under the same id."""
    return _field(FieldRule(key, (Kind.ADDRESS4, Kind.ADDRESS6), most=most, many=True), default)


def numbers(key: int, *, default: Any, most: int = 1024) -> Any:
    """A list of numbers."""
    return _field(FieldRule(key, (Kind.NUMBERS,), most=most), default)


def nested(key: int, inner: type[Shape], *, default: Any, most: int = MAX_LIST) -> Any:
    """Up to ``most`` values of a declared shape, each an object list of its own."""
    return _field(FieldRule(key, (Kind.OBJECTS,), most=most, many=True, inner=inner), default)


def request_id(*, default: Any) -> Any:
    """The number that joins a reply to its request; 16 bits, set by whoever asks."""
    return dataclasses.field(default=default)


T = TypeVar("T")
S = TypeVar("S", bound=Shape)


def _declare(declared: type[T], *, sparse: bool = False) -> type[T]:
    made = dataclass(frozen=True, slots=True, kw_only=True)(declared)
    fields = [f for f in dataclasses.fields(cast(Any, made)) if "rule" in f.metadata]
    rules: dict[str, FieldRule] = {f.name: f.metadata["rule"] for f in fields}
    if sparse:
        absent = {f.name: f.default for f in fields if f.default is not _NOTHING}
        rules = {name: replace(rule, absent=absent.get(name, NEVER)) for name, rule in rules.items()}
    keys = [rule.key for rule in rules.values()]
    if len(set(keys)) != len(keys):
        raise TypeError(f"{declared.__name__} gives two fields the same object id")
    _RULES[made] = rules
    _BY_KEY[made] = {rule.key: (name, rule) for name, rule in rules.items()}
    return made


@dataclass_transform(
    frozen_default=True,
    kw_only_default=True,
    field_specifiers=(number, flag, wide, text, blob, address, addresses, numbers, nested, request_id),
)
def shape(declared: type[T]) -> type[T]:
    """Declare a shape that travels inside commands or letters."""
    return _declare(declared)


@dataclass_transform(
    frozen_default=True,
    kw_only_default=True,
    field_specifiers=(number, flag, wide, text, blob, address, addresses, numbers, nested, request_id),
)
def sparse_shape(declared: type[T]) -> type[T]:
    """Declare a shape that is mostly empty: what holds its default is left out, so a value has one form."""
    return _declare(declared, sparse=True)


@dataclass_transform(
    frozen_default=True,
    kw_only_default=True,
    field_specifiers=(number, flag, wide, text, blob, address, addresses, numbers, nested, request_id),
)
def command(key: int, form: Form) -> Callable[[type[T]], type[T]]:
    """Declare a message under its command number.  Requests and replies need a field ``request``."""

    def declare(declared: type[T]) -> type[T]:
        made = _declare(declared)
        names = {f.name for f in dataclasses.fields(cast(Any, made))}
        if (_REQUEST in names) != (form is not Form.NOTICE):
            raise TypeError(f"{declared.__name__}: requests and replies, and only they, have a field 'request'")
        _DECLARED[made] = Declaration(made, key, form, _RULES[made])
        return made

    return declare


def declaration_of(kind: type[Message]) -> Declaration:
    """What was declared of a message class."""
    return _DECLARED[kind]


def rules_of(kind: type[Any]) -> Mapping[str, FieldRule]:
    """How the fields of a message or shape are written, by name."""
    return _RULES[kind]


class Catalogue(dict[tuple[int, Form], Declaration]):
    """Declarations by number and form: the language that a parser understands."""

    def __init__(self, kinds: Sequence[type[Message]]) -> None:
        super().__init__()
        for kind in kinds:
            declared = declaration_of(kind)
            key = declared.number, declared.form
            if key in self:
                raise TypeError(f"{kind.__name__} and {self[key].kind.__name__} share number {declared.number}")
            self[key] = declared


# --- writing ----------------------------------------------------------------------------------------------------


def encode_command(message: Message, *, compressed: bool = False, network: bytes = b"") -> bytes:
    """The bytes of a message: in its raw form, which is what digests are made of, or in the shortest, to be sent.

    ``network``: the id of the network it is sent in; the shortest form relies on it.

    Raises ValueError where a field is beyond its declared bounds: a bug of ours.
    """
    declared = _DECLARED[type(message)]
    objects = _objects(message, declared.rules)
    body = shortest_form(objects, declared.number, network) if compressed else encode_objects(objects)
    request = b"" if declared.form is Form.NOTICE else (getattr(message, _REQUEST) & 0xFFFF).to_bytes(2, "big")
    out = Writer()
    out.varint(len(request) + len(body)).varint(declared.number << 3 | declared.form)
    out += request
    out += body
    return bytes(out)


def encode_shape(value: Shape) -> bytes:
    """The bytes of a shape on its own: what is signed, or sealed into a letter."""
    return encode_objects(_objects(value, _RULES[type(value)]))


def _objects(value: object, rules: Mapping[str, FieldRule]) -> ObjectList:
    out: ObjectList = []
    for name, rule in rules.items():
        held = getattr(value, name)
        if held == rule.absent:
            continue
        for item in held if rule.many else (held,):
            if not _within(rule, item) or (rule.many and len(held) > rule.most):
                raise ValueError(f"{type(value).__name__}.{name} is out of its bounds: {item!r}")
            out.append(_object(rule, item))
    return out


def _object(rule: FieldRule, item: Any) -> Object:
    if rule.inner is not None:
        return Kind.OBJECTS, rule.key, _objects(item, _RULES[type(item)])
    if isinstance(item, Address):
        return (Kind.ADDRESS4 if len(item.host) == 4 else Kind.ADDRESS6), rule.key, item
    return rule.kinds[0], rule.key, int(item) if rule.boolean else item


def _within(rule: FieldRule, item: Any) -> bool:
    """Whether a value keeps the bounds declared for it."""
    match rule.kinds[0]:
        case Kind.NUMBER:
            return isinstance(item, int) and rule.least <= item <= rule.most
        case Kind.TEXT | Kind.BLOB | Kind.NUMBERS:
            return rule.least <= len(item) <= rule.most
    return True


# --- reading ----------------------------------------------------------------------------------------------------


def decode_commands(
    payload: bytes, catalogue: Mapping[tuple[int, Form], Declaration], network: bytes = b""
) -> list[Message]:
    """All known messages in a payload, in order; ``network``: the id of the one it came in.

    Raises:
        Malformed: any command in it is cut short, out of bounds or lacks a parameter.
    """
    reader = Reader(payload)
    out: list[Message] = []
    while reader.left and (length := reader.varint()):
        head = reader.varint()
        body = Reader(reader.take(length))
        declared = catalogue.get((head >> 3, cast(Form, head & 0b111)))
        if declared is None:
            continue
        values: dict[str, Any] = {}
        if declared.form is not Form.NOTICE:
            values[_REQUEST] = body.number(2)
        values |= _values(declared.kind, decode_objects(body, declared.number, 0, network))
        if body.left:
            raise Malformed(f"{declared.kind.__name__} is followed by {body.left} bytes that belong to nothing")
        out.append(_make(declared.kind, values))
    return out


def split_commands(payload: bytes) -> list[bytes]:
    """The commands of a payload, each in its own bytes, unread.  Raises Malformed."""
    reader = Reader(payload)
    out: list[bytes] = []
    while reader.left:
        start = reader.position
        length = reader.varint()
        if not length:
            break
        reader.varint()
        reader.take(length)
        out.append(payload[start : reader.position])
    return out


def decode_shape(kind: type[S], data: bytes) -> S:
    """Read a shape on its own.  Raises Malformed."""
    reader = Reader(data)
    value = _make(kind, _values(kind, decode_objects(reader)))
    if reader.left:
        raise Malformed(f"{kind.__name__} is followed by {reader.left} bytes that belong to nothing")
    return value


def _make(kind: type[T], values: dict[str, Any]) -> T:
    try:
        return kind(**values)
    except TypeError:
        raise Malformed(f"{kind.__name__} lacks a parameter") from None
    except HallooError as fault:
        raise Malformed(f"{kind.__name__}: {fault}") from None


def _values(kind: type[Any], objects: ObjectList) -> dict[str, Any]:
    name, rules = kind.__name__, _BY_KEY[kind]
    values: dict[str, Any] = {}
    for form, key, held in objects:
        known = rules.get(key)
        if known is None:
            continue
        field_name, rule = known
        if form not in rule.kinds:
            raise Malformed(f"{name}.{field_name} cannot be a {Kind(form).name}")
        item: Any = held
        if rule.inner is not None:
            item = _make(rule.inner, _values(rule.inner, cast(ObjectList, held)))
        elif not _within(rule, item):
            raise Malformed(f"{name}.{field_name} is out of its bounds")
        if rule.many:
            values.setdefault(field_name, []).append(item)
            if len(values[field_name]) > rule.most:
                raise Malformed(f"{name} holds more than {rule.most} of {field_name}")
        elif field_name in values:
            raise Malformed(f"{name} holds two of {field_name}")
        elif item == rule.absent:
            raise Malformed(f"{name}.{field_name} is written, and holds what it would hold if it were left out")
        else:
            values[field_name] = bool(item) if rule.boolean else item
    return {key: tuple(held) if type(held) is list else held for key, held in values.items()}
