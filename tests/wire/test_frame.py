"""Fragments, the small frames, and frames in a stream."""

import random

import pytest
from framed import HOSTS, stream_frames
from hypothesis import given
from hypothesis import strategies as st

from halloo.base.errors import Malformed
from halloo.wire.frame import (
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

CHALLENGES = st.integers(0, 0xFFFF_FFFF)
FRAMES = stream_frames(300)


@given(HOSTS, CHALLENGES, st.integers(0, 0xFFFF))
def test_the_small_frames_come_back(host: bytes, challenge: int, port: int) -> None:
    assert decode_nack(encode_nack(host, challenge)) == (host, challenge)
    assert decode_ack(encode_ack(host, port)) == (host, port)


def test_sizes_are_the_published_ones() -> None:
    assert 3 + len(encode_nack(bytes(4), 1)) == 11
    assert 3 + len(encode_ack(bytes(4), 1)) == 11
    assert len(encode_resend(1, 2, bytes(4))) == 9


@given(CHALLENGES, st.binary(min_size=4, max_size=4))
def test_a_resend_carries_challenge_and_destination(challenge: int, host: bytes) -> None:
    assert decode_resend(encode_resend(1, challenge, host)) == (challenge, host)
    assert decode_resend(encode_resend(1, challenge, bytes(16))) == (challenge, bytes(4))


@pytest.mark.parametrize("size", [0, 7, 9, 19, 21])
def test_other_sizes_are_malformed(size: int) -> None:
    with pytest.raises(Malformed):
        decode_nack(bytes(size))
    with pytest.raises(Malformed):
        decode_ack(bytes(size))


@given(st.binary(min_size=1, max_size=3000), st.integers(200, 1355), st.integers(0, 1 << 20), st.randoms())
def test_fragments_in_any_order_and_doubled_are_put_together_once(
    payload: bytes, size: int, message: int, rng: random.Random
) -> None:
    pieces = cut(payload, size, message)
    arriving = [*pieces, *pieces[:-1]]
    rng.shuffle(arriving)
    reassembly = Reassembly()
    whole = [done for head, piece in arriving if (done := reassembly.add(head, piece, 0.0)) is not None]
    assert whole[0] == payload


def test_unfinished_payloads_are_few_and_forgotten() -> None:
    reassembly = Reassembly(most=3, patience=5.0)
    for message in range(50):
        head, piece = cut(bytes(500), 300, message)[0]
        assert reassembly.add(head, piece, 0.0) is None
    assert reassembly.held <= 3 * 300
    head, piece = cut(bytes(500), 300, 60)[0]
    reassembly.add(head, piece, 10.0)
    assert reassembly.held == 300


@pytest.mark.parametrize("head", ["00008102", "00007002", "0000800f", "0000f002"])
def test_heads_that_make_no_sense_are_refused(head: str) -> None:
    reassembly = Reassembly()
    first, piece = cut(bytes(500), 300, 0)[0]
    reassembly.add(first, piece, 0.0)
    try:
        done = reassembly.add(bytes.fromhex(head), b"x", 0.0)
    except Malformed:
        return
    assert head == "00008102"  # a proper end of the first
    assert done == piece + b"x"


def test_pieces_beyond_the_last_do_not_fit() -> None:
    reassembly = Reassembly()
    reassembly.add(bytes.fromhex("00010502"), b"later", 0.0)
    with pytest.raises(Malformed, match="fit"):
        reassembly.add(bytes.fromhex("00018102"), b"end", 0.0)


def test_what_needs_too_many_fragments_is_our_own_error() -> None:
    with pytest.raises(ValueError, match="16"):
        cut(bytes(17 * 100), 100, 1)


@given(st.lists(FRAMES, max_size=6), st.integers(1, 40))
def test_a_stream_may_be_cut_anywhere(frames: list[StreamFrame], step: int) -> None:
    data = b"".join(encode_stream_frame(frame) for frame in frames)
    reader = StreamReader()
    out = [frame for at in range(0, len(data), step) for frame in reader.feed(data[at : at + step])]
    assert out == frames


@given(st.binary(max_size=200))
def test_random_streams_are_frames_or_malformed(data: bytes) -> None:
    reader = StreamReader()
    try:
        reader.feed(data)
    except Malformed:
        return
    assert len(reader._held) <= len(data)


def test_a_stream_frame_is_bounded() -> None:
    with pytest.raises(Malformed):
        StreamReader().feed(b"\xff\xff\xff\xff")
    with pytest.raises(Malformed):
        StreamReader().feed(bytes.fromhex("fefc1f"))
    assert StreamReader().feed(bytes.fromhex("0777aabb")) == []  # an unknown control frame is passed over
