"""Variable integers and bounded reads."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from halloo.base.address import Address
from halloo.base.errors import Malformed
from halloo.wire.buffer import Reader, Writer, varint


@given(st.integers(0, (1 << 64) - 1))
def test_a_number_has_one_form_and_comes_back(value: int) -> None:
    form = varint(value)
    assert Reader(form).varint() == value
    assert len(form) <= 10


def test_the_published_form_of_a_number() -> None:
    assert varint(218) == bytes.fromhex("DA01")


@pytest.mark.parametrize("form", ["8000", "80808000", "ffffffffffffffffff02", "ff" * 11, "80", ""])
def test_longer_spellings_and_overflows_are_refused(form: str) -> None:
    with pytest.raises(Malformed):
        Reader(bytes.fromhex(form)).varint()


@pytest.mark.parametrize("value", [-1, 1 << 64])
def test_what_does_not_fit_is_the_callers_error(value: int) -> None:
    with pytest.raises(ValueError, match="64-bit"):
        varint(value)


def test_fields_come_back_in_order() -> None:
    address = Address.parse("[2001:db8::1]:33033")
    data = bytes(Writer().byte(7).number(0x1234, 2).varint(300).text("häuser").address(address))
    reader = Reader(data)
    assert (reader.byte(), reader.number(2), reader.varint()) == (7, 0x1234, 300)
    assert (reader.text(10), reader.address(16), reader.left) == ("häuser", address, 0)


@given(st.binary(max_size=40), st.integers(0, 60))
def test_reading_past_the_end_is_malformed(data: bytes, size: int) -> None:
    reader = Reader(data)
    if size <= len(data):
        assert reader.take(size) == data[:size]
    else:
        with pytest.raises(Malformed):
            reader.take(size)


@pytest.mark.parametrize("data", [b"abc", b"abcdef\0", b"\xff\xfe\0"])
def test_a_string_ends_in_time_and_is_utf8(data: bytes) -> None:
    with pytest.raises(Malformed):
        Reader(data).text(4)


def test_a_zero_inside_a_string_is_the_callers_error() -> None:
    with pytest.raises(ValueError, match="zero"):
        Writer().text("a\0b")
