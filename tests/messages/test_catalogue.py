"""Every message of the network: it comes back, its prefixes are refused, its bounds are kept."""

import dataclasses
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from halloo.base.address import Address
from halloo.base.errors import Malformed
from halloo.base.machine import Message
from halloo.messages import log, login, overlay
from halloo.messages.catalogue import OPEN, SEALED
from halloo.messages.credential import Claims, Listing, Record, SignedClaims
from halloo.messages.link import Proof
from halloo.wire.buffer import varint
from halloo.wire.command import (
    Catalogue,
    Form,
    command,
    declaration_of,
    decode_commands,
    decode_shape,
    encode_command,
    encode_shape,
    split_commands,
)
from halloo.wire.objects import Kind

MESSAGES = [declared.kind for declared in (*OPEN.values(), *SEALED.values())]
LOG_SHAPES = [log.LogEntry, log.Head, log.SignedHead]
SHAPES: list[Any] = [Claims, SignedClaims, Listing, Record, Proof, login.Application, login.Decision, *LOG_SHAPES]
LANGUAGE = Catalogue(MESSAGES)
ADDRESSES = st.builds(
    Address, st.one_of(st.binary(min_size=4, max_size=4), st.binary(min_size=16, max_size=16)), st.integers(0, 0xFFFF)
)
LETTERS = st.characters(exclude_characters="\0", exclude_categories=["Cs"])


def of_rule(rule: Any) -> st.SearchStrategy[Any]:
    """Values that a field may have."""
    if rule.inner is not None:
        return st.lists(of_class(rule.inner), max_size=min(rule.most, 2)).map(tuple)
    match rule.kinds[0]:
        case Kind.NUMBER if rule.boolean:
            one: st.SearchStrategy[Any] = st.booleans()
        case Kind.NUMBER:
            one = st.integers(rule.least, rule.most)
        case Kind.WIDE:
            one = st.binary(min_size=8, max_size=8)
        case Kind.TEXT:
            one = st.text(LETTERS, max_size=min(rule.most, 12))
        case Kind.BLOB:
            one = st.binary(min_size=rule.least, max_size=min(rule.most, 40))
        case Kind.NUMBERS:
            return st.lists(st.integers(0, 1 << 32), max_size=4).map(tuple)
        case _:
            one = ADDRESSES
    return st.lists(one, max_size=min(rule.most, 3)).map(tuple) if rule.many else one


def of_class(kind: type[Any]) -> st.SearchStrategy[Any]:
    """Instances of a declared class."""
    fields = {}
    for field in dataclasses.fields(kind):
        rule = field.metadata.get("rule")
        fields[field.name] = of_rule(rule) if rule is not None else st.integers(0, 0xFFFF)
    return st.builds(kind, **fields)


@pytest.mark.parametrize("kind", MESSAGES, ids=lambda kind: kind.__name__)
@given(data=st.data())
@settings(max_examples=30)
def test_a_message_comes_back_and_its_prefixes_are_malformed(kind: type[Message], data: st.DataObject) -> None:
    message = data.draw(of_class(kind))
    form = encode_command(message)
    assert decode_commands(form, LANGUAGE) == [message]
    assert decode_commands(form + form + bytes(7), LANGUAGE) == [message, message]
    assert split_commands(form + form + bytes(7)) == [form, form]
    for end in range(1, len(form)):
        with pytest.raises(Malformed):
            decode_commands(form[:end], LANGUAGE)


@pytest.mark.parametrize("kind", SHAPES, ids=lambda kind: kind.__name__)
@given(data=st.data())
@settings(max_examples=30)
def test_a_shape_comes_back(kind: type[Any], data: st.DataObject) -> None:
    value = data.draw(of_class(kind))
    form = encode_shape(value)
    assert decode_shape(kind, form) == value
    with pytest.raises(Malformed):
        decode_shape(kind, form + b"\0")


@given(st.binary(max_size=200))
@settings(max_examples=300)
def test_random_bytes_are_messages_or_malformed(data: bytes) -> None:
    for language in (OPEN, SEALED):
        try:
            decode_commands(data, language)
        except Malformed:
            continue


@given(st.sampled_from(MESSAGES), st.data())
@settings(max_examples=150)
def test_a_flipped_bit_is_a_message_or_malformed(kind: type[Message], data: st.DataObject) -> None:
    form = bytearray(encode_command(data.draw(of_class(kind))))
    bit = data.draw(st.integers(0, 8 * len(form) - 1))
    form[bit // 8] ^= 1 << bit % 8
    try:
        decode_commands(bytes(form), LANGUAGE)
    except Malformed:
        pass


def test_the_probe_is_the_published_one_but_for_its_empty_list() -> None:
    # The dumps of 2006 end in the empty compressed list 42 15; ours in the empty raw list 41 00.
    for request, published in ((0x7F45, "04DA017F454215"), (0x7F4D, "04DA017F4D4215"), (0x7F47, "04DA017F474215")):
        ours = encode_command(overlay.Probe(request=request))
        assert ours[:-2] == bytes.fromhex(published)[:-2]
        assert ours[-2:] == b"\x41\x00"


def test_a_message_out_of_place_is_not_understood() -> None:
    attach = encode_command(overlay.Attach(node=bytes(8), port=1))
    assert decode_commands(attach, OPEN) == []
    assert len(decode_commands(attach, SEALED)) == 1


def test_unknown_commands_and_objects_are_passed_over() -> None:
    known = encode_command(overlay.Leave())
    unknown = bytes.fromhex("02F97F4100")  # a notice of a number that nobody speaks
    assert decode_commands(unknown + known, SEALED) == [overlay.Leave()]
    leave = declaration_of(overlay.Leave)
    body = bytes.fromhex("41010099010A")  # one number under id 153, which Leave does not have
    head = bytes([len(body)]) + varint(leave.number << 3 | Form.NOTICE)
    assert decode_commands(head + body, SEALED) == [overlay.Leave()]


@pytest.mark.parametrize(
    "fields",
    [
        {"name": "x" * 33, "request": 1},
        {"name": 5, "request": 1},
    ],
)
def test_our_own_values_out_of_bounds_are_our_own_error(fields: dict[str, Any]) -> None:
    with pytest.raises((ValueError, TypeError)):
        encode_command(overlay.Search(**fields))


def test_two_values_where_one_belongs_are_malformed() -> None:
    search = declaration_of(overlay.Search)
    body = bytes.fromhex("0001") + bytes.fromhex("410203046100") + bytes.fromhex("03046200")
    with pytest.raises(Malformed, match="two of name"):
        decode_commands(bytes([len(body)]) + varint(search.number << 3 | Form.REQUEST) + body, SEALED)


def test_two_messages_cannot_share_a_number() -> None:
    with pytest.raises(TypeError, match="share number"):
        Catalogue([overlay.Leave, overlay.Leave])


def test_only_requests_and_replies_have_a_request_number() -> None:
    with pytest.raises(TypeError, match="request"):

        @command(0x7FF, Form.REQUEST)
        class _Nameless(Message):
            pass
