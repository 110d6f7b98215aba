"""Object lists to test with, by hypothesis."""

from hypothesis import strategies as st

from halloo.base.address import Address
from halloo.wire.objects import Kind, ObjectList, encode_objects

__all__ = ["AT_THEIR_BOUNDS", "FLAT", "IDS", "LISTS", "LISTS_IN_BLOBS", "NESTED"]

IDS = st.one_of(st.integers(0, 0x20), st.integers(0, 0xFFFF))
CLOCK = 1_790_000_000
NUMBERS = st.one_of(
    st.integers(0, 300), st.integers(0, (1 << 64) - 1), st.integers(CLOCK - 10**7, CLOCK + 10**7), st.just(CLOCK)
)
TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=30)
WIDES = st.one_of(st.binary(min_size=8, max_size=8), st.sampled_from([b"network!", b"anothers"]))


def addresses(size: int) -> st.SearchStrategy[Address]:
    hosts = st.one_of(st.binary(min_size=size, max_size=size), st.just(bytes(range(size))))
    return st.builds(Address, hosts, st.one_of(st.integers(0, 0xFFFF), st.just(33_033)))


FLAT = st.one_of(
    st.tuples(st.just(Kind.NUMBER), IDS, NUMBERS),
    st.tuples(st.just(Kind.WIDE), IDS, WIDES),
    st.tuples(st.just(Kind.ADDRESS4), IDS, addresses(4)),
    st.tuples(st.just(Kind.ADDRESS6), IDS, addresses(16)),
    st.tuples(st.just(Kind.TEXT), IDS, TEXTS),
    st.tuples(st.just(Kind.BLOB), IDS, st.binary(max_size=60)),
    st.tuples(st.just(Kind.NUMBERS), IDS, st.lists(NUMBERS, max_size=8).map(tuple)),
)
LISTS = st.lists(FLAT, max_size=6)
NESTED = st.lists(st.one_of(FLAT, st.tuples(st.just(Kind.OBJECTS), IDS, LISTS)), max_size=6)
IN_BLOBS = st.tuples(st.just(Kind.BLOB), IDS, NESTED.map(encode_objects))
LISTS_IN_BLOBS = st.lists(st.one_of(FLAT, IN_BLOBS, st.tuples(st.just(Kind.OBJECTS), IDS, NESTED)), max_size=6)

AT_THEIR_BOUNDS: list[ObjectList] = [
    [(Kind.NUMBER, 0xFFFF, (1 << 64) - 1), (Kind.NUMBER, 0, 1 << 20), (Kind.NUMBER, 1, (1 << 20) - 1)],
    [(Kind.NUMBER, 1, (1 << 64) - 1), (Kind.NUMBER, 1, (1 << 64) - (1 << 24)), (Kind.NUMBER, 1, 1 << 20)],
    [(Kind.WIDE, 1, bytes([number]) * 8) for number in (1, 2, 3, 4, 5, 1, 2, 5, 5)],
    [(Kind.TEXT, 3, "".join(chr(code) for code in range(1, 0x250)))],
    [(Kind.NUMBERS, 6, tuple((1 << bits) - 1 for bits in range(65)))],
    [(Kind.BLOB, 4, b""), (Kind.BLOB, 4, b"\x41"), (Kind.BLOB, 4, b"\x41\x00"), (Kind.BLOB, 4, b"\x41\x01")],
    [(Kind.OBJECTS, 5, [(Kind.BLOB, 1, encode_objects([(Kind.BLOB, 2, encode_objects([(Kind.WIDE, 1, bytes(8))]))]))])],
    [(Kind.ADDRESS4, 1, Address(bytes(4), 0)), (Kind.ADDRESS6, 1, Address(bytes(16), 0))],
]
