"""What can be declared, and what a declaration refuses."""

import pytest

from halloo.base.address import Address
from halloo.base.errors import Malformed
from halloo.base.machine import Message
from halloo.wire.buffer import varint
from halloo.wire.command import (
    Catalogue,
    Form,
    Shape,
    addresses,
    command,
    decode_commands,
    decode_shape,
    encode_command,
    encode_shape,
    flag,
    nested,
    number,
    numbers,
    request_id,
    rules_of,
    shape,
    sparse_shape,
    text,
)
from halloo.wire.objects import Kind, Object, encode_objects


@shape
class Point(Shape):
    """A shape of two numbers."""

    across: int = number(0x01, most=10)
    up: int = number(0x02, most=10, default=0)


@command(99, Form.NOTICE)
class Drawing(Message):
    """Points, where they lie, and how long the lines are."""

    points: tuple[Point, ...] = nested(0x01, Point, most=2, default=())
    places: tuple[Address, ...] = addresses(0x02, most=2, default=())
    lengths: tuple[int, ...] = numbers(0x03, most=3, default=())
    title: str = text(0x04, most=5, default="")


@sparse_shape
class Dot(Shape):
    """A point with what it mostly does not have."""

    across: int = number(0x01, most=10)
    size: int = number(0x02, most=10, default=7)
    label: str = text(0x03, most=5, default="")
    dark: bool = flag(0x04, default=False)
    near: tuple[Address, ...] = addresses(0x05, most=2, default=())


LANGUAGE = Catalogue([Drawing])
FULL = Drawing(
    points=(Point(across=1), Point(across=2, up=3)),
    places=(Address.parse("192.0.2.1:1"), Address.parse("[2001:db8::1]:2")),
    lengths=(1, 2, 3),
    title="lines",
)


@pytest.mark.parametrize("compressed", [False, True])
def test_it_comes_back(compressed: bool) -> None:
    assert decode_commands(encode_command(FULL, compressed=compressed), LANGUAGE) == [FULL]
    assert rules_of(Drawing)["lengths"].most == 3


@pytest.mark.parametrize(
    "wrong",
    [
        Drawing(points=(Point(across=1),) * 3),
        Drawing(points=(Point(across=11),)),
        Drawing(lengths=(1, 2, 3, 4)),
        Drawing(title="too long"),
        Drawing(places=(Address.parse("192.0.2.1:1"),) * 3),
    ],
)
def test_what_is_out_of_bounds_is_not_written(wrong: Drawing) -> None:
    with pytest.raises(ValueError, match="out of its bounds"):
        encode_command(wrong)


@pytest.mark.parametrize(
    ("objects", "words"),
    [
        ([(Kind.OBJECTS, 1, [(Kind.NUMBER, 1, 1)])] * 3, "more than 2 of points"),
        ([(Kind.OBJECTS, 1, [(Kind.NUMBER, 2, 1)])], "Point lacks a parameter"),
        ([(Kind.OBJECTS, 1, [(Kind.NUMBER, 1, 11)])], "Point.across is out of its bounds"),
        ([(Kind.NUMBER, 1, 1)], "points cannot be a NUMBER"),
        ([(Kind.NUMBERS, 3, (1, 2, 3, 4))], "lengths is out of its bounds"),
        ([(Kind.TEXT, 4, "a"), (Kind.TEXT, 4, "b")], "two of title"),
    ],
)
def test_what_is_out_of_bounds_is_not_read(objects: object, words: str) -> None:
    body = encode_objects(objects)  # type: ignore[arg-type]
    with pytest.raises(Malformed, match=words):
        decode_commands(varint(len(body)) + varint(99 << 3 | Form.NOTICE) + body, LANGUAGE)


def test_what_is_unknown_is_passed_over() -> None:
    body = encode_objects([(Kind.NUMBER, 1, 7), (Kind.WIDE, 0x77, bytes(8))])
    assert decode_shape(Point, body) == Point(across=7)
    with pytest.raises(Malformed, match="belong to nothing"):
        decode_shape(Point, encode_shape(Point(across=7)) + b"\0")


def test_what_a_sparse_shape_does_not_have_is_left_out() -> None:
    assert encode_shape(Dot(across=0)) == encode_objects([(Kind.NUMBER, 1, 0)])
    full = Dot(across=1, size=0, label="a", dark=True, near=(Address.parse("192.0.2.1:1"),))
    for dot in (Dot(across=0), full):
        assert decode_shape(Dot, encode_shape(dot)) == dot


@pytest.mark.parametrize("needless", [(Kind.NUMBER, 2, 7), (Kind.TEXT, 3, ""), (Kind.NUMBER, 4, 0)])
def test_what_a_sparse_shape_does_not_have_is_malformed_where_it_is_written(needless: Object) -> None:
    with pytest.raises(Malformed, match="would hold if it were left out"):
        decode_shape(Dot, encode_objects([(Kind.NUMBER, 1, 1), needless]))
    assert decode_shape(Point, encode_objects([(Kind.NUMBER, 1, 1), (Kind.NUMBER, 2, 0)])) == Point(across=1)


def test_declarations_that_contradict_themselves() -> None:
    with pytest.raises(TypeError, match="same object id"):

        @shape
        class Twice(Shape):
            """Two fields under one id."""

            one: int = number(0x01)
            other: int = number(0x01)

    with pytest.raises(TypeError, match="have a field 'request'"):

        @command(98, Form.REQUEST)
        class Asks(Message):
            """A request that nothing can answer."""

    with pytest.raises(TypeError, match="have a field 'request'"):

        @command(98, Form.NOTICE)
        class Tells(Message):
            """A notice that wants an answer."""

            request: int = request_id(default=0)

    @command(99, Form.NOTICE)
    class Another(Message):
        """Under a number that is taken."""

    with pytest.raises(TypeError, match="share number 99"):
        Catalogue([Drawing, Another])
