"""The compressed form of object lists, and the number it is."""

from itertools import pairwise

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from lists import AT_THEIR_BOUNDS, LISTS_IN_BLOBS

from halloo.base.address import Address
from halloo.base.errors import Malformed
from halloo.messages.catalogue import OPEN, SEALED
from halloo.wire.alphabet import ALPHABET, GROWTH, GROWTH_FREE, cumulative
from halloo.wire.buffer import Reader, varint
from halloo.wire.interval import PRECISION, Decoder, encode_choices
from halloo.wire.objects import Kind, ObjectList, decode_objects, encode_objects, shortest_form
from halloo.wire.squeeze import squeezed
from halloo.wire.tables import ANY, FREQUENT, TABLES

SUBJECTS = st.sampled_from([0, *sorted({number for number, _ in (*OPEN, *SEALED)})])
WHOLE = 1 << PRECISION


# --- the number ---------------------------------------------------------------------------------------------------


@st.composite
def divisions(draw: st.DrawFn) -> list[tuple[list[int], int]]:
    """Choices, each with its own division of the interval."""
    out = []
    for _ in range(draw(st.integers(0, 60))):
        cuts = draw(st.lists(st.integers(1, WHOLE - 1), max_size=6, unique=True))
        each = [0, *sorted(cuts), WHOLE]
        out.append((each, draw(st.integers(0, len(each) - 2))))
    return out


def parts(chosen: list[tuple[list[int], int]]) -> list[tuple[int, int, int]]:
    return [(each[i], each[i + 1] - each[i], PRECISION) for each, i in chosen]


@given(divisions(), st.binary(max_size=6))
def test_the_choices_come_back_and_the_end_is_found(chosen: list[tuple[list[int], int]], after: bytes) -> None:
    number = bytes(encode_choices(parts(chosen)))
    decoder = Decoder(number + after)
    assert [decoder.choice(each) for each, _ in chosen] == [i for _, i in chosen]
    assert decoder.end() == len(number)


@given(divisions())
def test_the_number_is_the_shortest_in_its_interval(chosen: list[tuple[list[int], int]]) -> None:
    """The same interval with all its digits kept, instead of 32 bits and a carry."""
    low, size, digits = 0, 1 << 32, 0
    for before, own, bits in parts(chosen):
        low, size = low + (size >> bits) * before, (size >> bits) * own
        while size < 1 << 24:
            low, size, digits = low << 8, size << 8, digits + 1
    number = encode_choices(parts(chosen))
    value = int.from_bytes(number, "big") << 32 >> 8 * (len(number) - digits) if number else 0
    assert low <= value
    assert value + (1 << 32 >> 8 * (len(number) - digits)) <= low + size
    if number:
        unit = 1 << 32 >> 8 * (len(number) - digits - 1) if len(number) > digits else 0
        assert not unit or -(-low // unit) * unit + unit > low + size


@given(divisions().filter(bool), st.data())
def test_another_number_is_not_the_same_choices(chosen: list[tuple[list[int], int]], data: st.DataObject) -> None:
    number = bytes(encode_choices(parts(chosen)))
    assume(number)
    other = number[:-1] + bytes([(number[-1] + data.draw(st.integers(1, 255))) % 256])
    decoder = Decoder(other)
    try:
        read = [decoder.choice(each) for each, _ in chosen]
        decoder.end()
    except Malformed:
        return
    assert read != [i for _, i in chosen]


# --- the list -----------------------------------------------------------------------------------------------------


def test_the_empty_list_is_the_published_one() -> None:
    assert squeezed([], 27, 2) == shortest_form([], 27) == bytes.fromhex("4215")
    assert all(squeezed([], number, 2) == bytes.fromhex("4215") for number, _ in (*OPEN, *SEALED))
    assert decode_objects(Reader(bytes.fromhex("4215")), 27) == []


@given(LISTS_IN_BLOBS, SUBJECTS, st.binary(max_size=6), st.sampled_from([b"", b"network!"]))
def test_every_list_comes_back(objects: ObjectList, subject: int, after: bytes, network: bytes) -> None:
    raw = encode_objects(objects)
    packed = squeezed(objects, subject, len(raw), network)
    if packed is None:
        assert len(raw) > GROWTH_FREE + GROWTH
        return
    reader = Reader(packed + after)
    assert decode_objects(reader, subject, 0, network) == objects
    assert reader.left == len(after)


@given(LISTS_IN_BLOBS, SUBJECTS)
def test_the_shorter_form_is_taken(objects: ObjectList, subject: int) -> None:
    raw = encode_objects(objects)
    packed = squeezed(objects, subject, len(raw))
    assert len(shortest_form(objects, subject)) == min(len(raw), len(packed or raw))


@given(LISTS_IN_BLOBS, SUBJECTS)
@settings(max_examples=40)
def test_every_prefix_is_malformed(objects: ObjectList, subject: int) -> None:
    packed = squeezed(objects, subject, 0)
    assert packed is not None
    for end in range(len(packed)):
        with pytest.raises(Malformed):
            decode_objects(Reader(packed[:end]), subject)


@given(st.binary(max_size=120), SUBJECTS)
def test_random_bytes_are_a_list_or_malformed(data: bytes, subject: int) -> None:
    reader = Reader(b"\x42" + data)
    try:
        objects = decode_objects(reader, subject)
    except Malformed:
        return
    raw = encode_objects(objects)
    assert len(raw) <= GROWTH_FREE + GROWTH * (1 + len(data)) + 2 * len(raw) // 3
    assert decode_objects(Reader(raw)) == objects


@given(st.binary(max_size=40))
def test_a_compressed_list_in_a_raw_one_is_read(data: bytes) -> None:
    inner: ObjectList = [(Kind.BLOB, 1, data), (Kind.NUMBER, 2, 7)]
    packed = squeezed(inner, 0, 0)
    assert packed is not None
    whole = b"\x41\x01\x05\x09" + packed
    assert decode_objects(Reader(whole)) == [(Kind.OBJECTS, 9, inner)]


def test_a_few_bytes_do_not_become_many() -> None:
    objects: ObjectList = [(Kind.NUMBERS, 1, (0,) * 1024)] * 4
    raw = encode_objects(objects)
    packed = squeezed(objects, 27, 0)
    assert packed is not None
    assert len(packed) * GROWTH + GROWTH_FREE < len(raw)
    assert squeezed(objects, 27, len(raw)) is None
    assert shortest_form(objects, 27) == raw
    with pytest.raises(Malformed, match="grow"):
        decode_objects(Reader(packed), 27)


def test_many_lists_in_a_raw_one_do_not_become_many_bytes_either() -> None:
    inner: ObjectList = [(Kind.NUMBERS, 1, (0,) * 300)]
    packed = squeezed(inner, 0, 0)
    assert packed is not None
    one = b"\x05\x01" + packed
    assert decode_objects(Reader(b"\x41\x01" + one + bytes(30))) == [(Kind.OBJECTS, 1, inner)]
    for count in (20, 100, 200):
        whole = b"\x41" + varint(count) + one * count
        assert count * 300 > GROWTH_FREE + GROWTH * len(whole)
        with pytest.raises(Malformed, match="grow"):
            decode_objects(Reader(whole))


def test_many_honest_lists_in_a_raw_one_are_read() -> None:
    inner: ObjectList = [(Kind.TEXT, 1, "alice"), (Kind.NUMBER, 2, 7), (Kind.NUMBERS, 3, (1, 2, 3))]
    packed = squeezed(inner, 0, 0)
    assert packed is not None
    whole = b"\x41" + varint(200) + (b"\x05\x01" + packed) * 200
    assert decode_objects(Reader(whole)) == [(Kind.OBJECTS, 1, inner)] * 200


def test_what_stands_beside_is_missed_before_anything_is_made() -> None:
    packed = squeezed([(Kind.BLOB, 1, bytes(60_000))], 27, 0)
    assert packed is not None
    with pytest.raises(Malformed, match="cut short"):
        decode_objects(Reader(packed[:40]), 27)


def test_lists_nest_only_so_deep() -> None:
    objects: ObjectList = []
    for _ in range(4):
        objects = [(Kind.OBJECTS, 1, objects)]
    packed = squeezed(objects, 27, 0)
    assert packed is not None
    with pytest.raises(Malformed, match="deeper"):
        decode_objects(Reader(packed), 27)


def test_repeated_values_are_referred_to() -> None:
    network, key = bytes(range(8)), bytes(range(100, 132))
    there = Address(bytes([192, 0, 2, 7]), 33_033)
    one: ObjectList = [(Kind.WIDE, 1, network), (Kind.ADDRESS4, 2, there), (Kind.BLOB, 3, key)]
    once, twice = squeezed(one, 27, 0), squeezed([*one, *one], 27, 0)
    assert once is not None
    assert twice is not None
    assert len(twice) - len(once) < len(key) + 14 + 8


def test_the_network_is_known_to_both() -> None:
    objects: ObjectList = [(Kind.WIDE, 1, b"network!"), (Kind.BLOB, 2, bytes(range(40)))]
    known, unknown = squeezed(objects, 27, 0, b"network!"), squeezed(objects, 27, 0)
    assert known is not None
    assert unknown is not None
    assert len(known) <= len(unknown) - 7
    with pytest.raises(Malformed, match="refers to"):
        decode_objects(Reader(known), 27)


@pytest.mark.parametrize("objects", AT_THEIR_BOUNDS, ids=str)
def test_lists_at_their_bounds(objects: ObjectList) -> None:
    packed = squeezed(objects, 27, 0)
    assert packed is not None
    assert decode_objects(Reader(packed + bytes(10_000)), 27) == objects


# --- the tables ---------------------------------------------------------------------------------------------------


def test_the_tables_are_whole() -> None:
    assert sorted(TABLES) == sorted(int(model) for model in ALPHABET)
    for model, contexts in TABLES.items():
        assert ANY in contexts
        for context, table in contexts.items():
            assert all(0 <= chosen < ALPHABET[model] and own > 1 for chosen, own in table.items())
            each = cumulative(model, context)
            assert len(each) == ALPHABET[model] + 1
            assert each[-1] == WHOLE
            assert all(a < b for a, b in pairwise(each))
    assert len(set(FREQUENT)) == len(FREQUENT)
