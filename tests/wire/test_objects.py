"""Object lists of every kind."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lists import NESTED

from halloo.base.errors import Malformed
from halloo.wire.buffer import Reader, varint
from halloo.wire.objects import Kind, ObjectList, decode_objects, encode_objects


def test_the_empty_list_is_the_published_one() -> None:
    assert encode_objects([]) == bytes.fromhex("4100")


@given(NESTED)
def test_every_list_comes_back(objects: ObjectList) -> None:
    reader = Reader(encode_objects(objects))
    assert decode_objects(reader) == objects
    assert not reader.left


@given(NESTED.filter(bool))
@settings(max_examples=40)
def test_every_prefix_is_malformed(objects: ObjectList) -> None:
    data = encode_objects(objects)
    for end in range(len(data)):
        with pytest.raises(Malformed):
            decode_objects(Reader(data[:end]))


@given(st.binary(max_size=120))
def test_random_bytes_are_a_list_or_malformed(data: bytes) -> None:
    try:
        objects = decode_objects(Reader(b"\x41" + data))
    except Malformed:
        return
    assert decode_objects(Reader(encode_objects(objects))) == objects


def test_lists_nest_only_so_deep() -> None:
    objects: ObjectList = []
    for _ in range(3):
        objects = [(Kind.OBJECTS, 1, objects)]
    assert decode_objects(Reader(encode_objects(objects))) == objects
    with pytest.raises(Malformed, match="deeper"):
        decode_objects(Reader(encode_objects([(Kind.OBJECTS, 1, objects)])))


@pytest.mark.parametrize(
    "data",
    [
        b"\x43\x15",  # the compressed form is not spoken yet
        b"\x41" + varint(257),  # too many objects
        b"\x41\x01\x06\x01" + varint(0x8000_0010),  # the count that overflowed in the classic client
        b"\x41\x01\x08\x01",  # no such kind
        b"\x41\x01\x00" + varint(0x1_0000) + b"\x00",  # no such id
        b"\x41\x01\x04\x01" + varint(1 << 40),  # a blob longer than what follows
    ],
)
def test_what_is_out_of_bounds_is_refused_before_anything_is_made_of_it(data: bytes) -> None:
    with pytest.raises(Malformed):
        decode_objects(Reader(data))


def test_a_value_of_the_wrong_kind_is_our_own_error() -> None:
    with pytest.raises(ValueError, match="kind"):
        encode_objects([(Kind.TEXT, 1, 5)])
