"""Every message of the network: it comes back, its prefixes are refused, its bounds are kept."""

from typing import Any

import pytest
from declared import MESSAGES, SHAPES, of_class
from hypothesis import given, settings
from hypothesis import strategies as st

from halloo.base.errors import Malformed
from halloo.base.machine import Message
from halloo.messages import directory, overlay
from halloo.messages.catalogue import OPEN, SEALED
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

LANGUAGE = Catalogue(MESSAGES)


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
        {"copies": 1, "reason": "x" * 201, "request": 1},
        {"copies": 1, "reason": 5, "request": 1},
    ],
)
def test_our_own_values_out_of_bounds_are_our_own_error(fields: dict[str, Any]) -> None:
    with pytest.raises((ValueError, TypeError)):
        encode_command(directory.Stored(**fields))


def test_two_values_where_one_belongs_are_malformed() -> None:
    stored = declaration_of(directory.Stored)
    body = bytes.fromhex("0001") + bytes.fromhex("410203026100") + bytes.fromhex("03026200")
    with pytest.raises(Malformed, match="two of reason"):
        decode_commands(bytes([len(body)]) + varint(stored.number << 3 | Form.REPLY) + body, SEALED)


def test_two_messages_cannot_share_a_number() -> None:
    with pytest.raises(TypeError, match="share number"):
        Catalogue([overlay.Leave, overlay.Leave])


def test_only_requests_and_replies_have_a_request_number() -> None:
    with pytest.raises(TypeError, match="request"):

        @command(0x7FF, Form.REQUEST)
        class _Nameless(Message):
            pass
