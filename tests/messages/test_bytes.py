"""What bytes may do to the language: every message, every prefix, every bit, random bytes, and the largest."""

from __future__ import annotations

from typing import Any

import pytest
from declared import MESSAGES, SHAPES, largest, of_class
from hypothesis import given, settings
from hypothesis import strategies as st

from halloo.base.errors import Malformed
from halloo.base.machine import Message
from halloo.crypto.suites import SUITES
from halloo.messages.block import News, Replicate
from halloo.messages.catalogue import OPEN, SEALED
from halloo.messages.credential import MAX_CREDENTIAL, Record
from halloo.messages.directory import Found
from halloo.messages.log import LogTold
from halloo.messages.whitepages import WordsFound
from halloo.wire.command import (
    Catalogue,
    decode_commands,
    decode_shape,
    encode_command,
    encode_shape,
    split_commands,
)
from halloo.wire.frame import MAX_PIECES, MAX_STREAM_FRAME, cut

LANGUAGE = Catalogue(MESSAGES)
SMALL = 7_000  # bytes: all but pages of records and entries stay below
PAGES = (Found, News, Replicate, LogTold, WordsFound)

each_message = pytest.mark.parametrize("kind", MESSAGES, ids=lambda kind: kind.__name__)
each_shape = pytest.mark.parametrize("kind", SHAPES, ids=lambda kind: kind.__name__)


def messages_or_malformed(data: bytes) -> None:
    """What was read is written, and read again the same."""
    for language in (OPEN, SEALED, LANGUAGE):
        try:
            messages = decode_commands(data, language)
        except Malformed:
            continue
        assert decode_commands(b"".join(map(encode_command, messages)), language) == messages
    try:
        assert data.startswith(b"".join(split_commands(data)))
    except Malformed:
        pass


def shape_or_malformed(kind: type[Any], data: bytes) -> None:
    try:
        value = decode_shape(kind, data)
    except Malformed:
        return
    assert decode_shape(kind, encode_shape(value)) == value


def flips(form: bytes) -> list[bytes]:
    """A form with each of its bits flipped."""
    number, size = int.from_bytes(form, "big"), len(form)
    return [(number ^ 1 << bit).to_bytes(size, "big") for bit in range(8 * size)]


@each_message
@given(data=st.data())
@settings(max_examples=4)
def test_every_flipped_bit_of_a_message_is_a_message_or_malformed(kind: type[Message], data: st.DataObject) -> None:
    for altered in flips(encode_command(data.draw(of_class(kind)))[:300]):
        messages_or_malformed(altered)


@each_message
@given(data=st.data(), noise=st.binary(max_size=40))
@settings(max_examples=15)
def test_a_message_with_random_bytes_in_it(kind: type[Message], data: st.DataObject, noise: bytes) -> None:
    form = encode_command(data.draw(of_class(kind)))
    at = data.draw(st.integers(0, len(form)))
    messages_or_malformed(form[:at] + noise + form[at:])
    messages_or_malformed(form[:at] + noise + form[at + len(noise) :])
    messages_or_malformed(form[:1] + noise)


@given(st.binary(max_size=200))
@settings(max_examples=300)
def test_random_bytes_are_messages_or_malformed(data: bytes) -> None:
    messages_or_malformed(data)


@each_shape
@given(data=st.data())
@settings(max_examples=8)
def test_every_prefix_of_a_shape_is_malformed_and_every_bit_survived(kind: type[Any], data: st.DataObject) -> None:
    form = encode_shape(data.draw(of_class(kind)))
    for end in range(len(form)):
        with pytest.raises(Malformed):
            decode_shape(kind, form[:end])
    for altered in flips(form[:300]):
        shape_or_malformed(kind, altered)
        shape_or_malformed(kind, altered + form[300:])


@given(st.binary(max_size=200))
def test_random_bytes_are_a_shape_or_malformed(data: bytes) -> None:
    for kind in SHAPES:
        shape_or_malformed(kind, data)


@each_message
def test_the_largest_message_comes_back_and_fits_a_frame(kind: type[Message]) -> None:
    message = largest(kind)
    form = encode_command(message)
    assert decode_commands(form, LANGUAGE) == [message]
    assert len(form) <= (MAX_STREAM_FRAME if kind in PAGES else SMALL)


@each_shape
def test_the_largest_shape_comes_back(kind: type[Any]) -> None:
    value = largest(kind)
    assert decode_shape(kind, encode_shape(value)) == value


@pytest.mark.parametrize("suite", SUITES.values(), ids=lambda suite: suite.name)
def test_the_longest_list_of_true_records_fits_the_fragments(suite: Any) -> None:
    """Whoever pads his own record as far as it goes cannot make a supernode say what no datagram carries."""
    longest = Record(
        credential=bytes(MAX_CREDENTIAL), listing=bytes(1024), signature=bytes(suite.identity.signature_size)
    )
    said = encode_command(Replicate(records=(longest,) * 8))
    assert 1 < len(cut(said + bytes(100), suite.fragment_size, 1)) <= MAX_PIECES
