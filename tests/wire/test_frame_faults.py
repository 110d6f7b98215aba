"""Frames that were altered: streams, fragments and the bodies of small frames are values or Malformed, and bounded."""

from __future__ import annotations

import pytest
from flips import flipped
from framed import HOSTS, stream_frames
from hypothesis import given, settings
from hypothesis import strategies as st

from halloo.base.errors import Malformed
from halloo.wire.frame import (
    MAX_PIECES,
    MAX_STREAM_FRAME,
    Reassembly,
    StreamFrame,
    StreamReader,
    cut,
    decode_ack,
    decode_nack,
    decode_resend,
    encode_ack,
    encode_nack,
    encode_resend,
    encode_stream_frame,
)

FRAMES = stream_frames(40)


def read(text: bytes, step: int) -> tuple[list[StreamFrame], bool]:
    """The frames of a stream that comes in pieces, and whether it broke."""
    reader, out = StreamReader(), list[StreamFrame]()
    for at in range(0, len(text), step):
        try:
            out += reader.feed(text[at : at + step])
        except Malformed:
            return out, True
        assert len(reader._held) <= MAX_STREAM_FRAME + 4
    return out, False


@given(st.lists(FRAMES, min_size=1, max_size=4), st.data())
@settings(max_examples=60)
def test_an_altered_stream_reads_the_same_however_it_is_cut(frames: list[StreamFrame], data: st.DataObject) -> None:
    sound = b"".join(map(encode_stream_frame, frames))
    text = flipped(sound, data.draw(st.integers(0, 8 * len(sound) - 1)))
    whole, broken = read(text, len(text))
    for step in (1, 2, 7):
        parts, parts_broken = read(text, step)
        assert parts_broken == broken
        assert broken or parts == whole


@given(FRAMES)
def test_every_prefix_of_a_stream_frame_waits_for_the_rest(frame: StreamFrame) -> None:
    text = encode_stream_frame(frame)
    for end in range(len(text)):
        reader = StreamReader()
        assert reader.feed(text[:end]) == []
        assert reader.feed(text[end:]) == [frame]


@given(st.lists(st.tuples(st.binary(min_size=4, max_size=4), st.binary(max_size=30), st.integers(0, 8)), max_size=60))
def test_random_fragments_are_held_within_bounds(fragments: list[tuple[bytes, bytes, int]]) -> None:
    held, now = Reassembly(), 0.0
    for head, piece, later in fragments:
        now += later / 4
        try:
            whole = held.add(head, piece, now)
            assert whole is None or len(whole) <= MAX_PIECES * 30
        except Malformed:
            pass
        assert len(held._partial) <= held.most
        assert held.held <= held.most * MAX_PIECES * 30


@given(st.binary(min_size=1, max_size=300), st.integers(20, 60), st.data())
def test_a_fragment_with_a_flipped_bit_gives_a_payload_of_that_size_or_none(
    payload: bytes, size: int, data: st.DataObject
) -> None:
    pieces = cut(payload, size, 7)
    which, bit = data.draw(st.integers(0, len(pieces) - 1)), data.draw(st.integers(0, 31))
    held, out = Reassembly(), list[bytes]()
    for number, (head, piece) in enumerate(pieces):
        changed = (int.from_bytes(head, "big") ^ 1 << bit).to_bytes(4, "big") if number == which else head
        try:
            whole = held.add(changed, piece, 0.0)
        except Malformed:
            continue
        out += [] if whole is None else [whole]
    assert all(len(whole) <= len(payload) for whole in out)
    assert len(out) <= len(pieces)


@given(HOSTS, st.integers(0, 0xFFFF_FFFF), st.integers(0, 0xFFFF))
def test_prefixes_of_the_small_bodies_are_malformed(host: bytes, challenge: int, port: int) -> None:
    for body, decode in ((encode_nack(host, challenge), decode_nack), (encode_ack(host, port), decode_ack)):
        for end in {*range(len(body))} - {8}:  # eight bytes are those of IPv4
            with pytest.raises(Malformed):
                decode(body[:end])


@given(st.binary(max_size=40))
def test_random_small_bodies_are_values_or_malformed(body: bytes) -> None:
    for decode in (decode_nack, decode_ack):
        try:
            host, number = decode(body)
        except Malformed:
            assert len(body) not in (8, 20)
            continue
        assert len(host) in (4, 16)
        assert 0 <= number <= 0xFFFF_FFFF


@given(st.binary(min_size=9, max_size=9))
def test_any_nine_bytes_are_the_head_of_a_resend(head: bytes) -> None:
    challenge, host = decode_resend(head)
    assert encode_resend(head[0], challenge, host) == head
