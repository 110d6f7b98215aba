"""The two codecs that need no library."""

from __future__ import annotations

import math
import struct
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from halloo.base.errors import Malformed, UsageError
from halloo.media.codec import FRAME_BYTES, FRAME_SAMPLES, SAMPLE_RATE, SILENCE, CodecFactory, MuLaw, Silence

CODECS: list[CodecFactory] = [MuLaw(), Silence()]


def tone(frame: int, hertz: float = 300.0, level: float = 8000.0) -> bytes:
    return struct.pack(
        f"<{FRAME_SAMPLES}h",
        *(
            round(level * math.sin(math.tau * hertz * (frame * FRAME_SAMPLES + n) / SAMPLE_RATE))
            for n in range(FRAME_SAMPLES)
        ),
    )


def power(pcm: bytes) -> float:
    samples = struct.unpack(f"<{len(pcm) // 2}h", pcm)
    return sum(x * x for x in samples) / len(samples)


@pytest.mark.parametrize("codec", CODECS, ids=lambda each: each.name)
@given(pcm=st.binary(min_size=FRAME_BYTES, max_size=FRAME_BYTES), more=st.binary(max_size=400))
def test_any_frame_and_any_packet(codec: CodecFactory, pcm: bytes, more: bytes) -> None:
    decoder = codec.decoder()
    assert len(decoder.decode(codec.encoder().encode(pcm))) == FRAME_BYTES
    for decode in (decoder.decode, decoder.decode_lost_from):
        try:
            assert len(decode(more)) == FRAME_BYTES
        except Malformed:
            pass
    assert len(decoder.conceal(FRAME_SAMPLES)) == FRAME_BYTES
    assert len(decoder.conceal(120)) == 240


@pytest.mark.parametrize("codec", CODECS, ids=lambda each: each.name)
@pytest.mark.parametrize("size", [0, 1, FRAME_BYTES - 2, FRAME_BYTES + 2])
def test_a_frame_of_another_size_is_our_own_mistake(codec: CodecFactory, size: int) -> None:
    with pytest.raises(UsageError):
        codec.encoder().encode(bytes(size))


def test_mu_law_keeps_a_tone() -> None:
    encoder, decoder = MuLaw().encoder(), MuLaw().decoder()
    frames = [decoder.decode(encoder.encode(tone(n))) for n in range(5)]
    assert power(frames[-1]) == pytest.approx(power(tone(4)), rel=0.1)
    # The averaging and the straight lines together lag by a known time: 3.5 samples.
    said = struct.unpack(f"<{FRAME_SAMPLES}h", tone(4))
    heard = struct.unpack(f"<{FRAME_SAMPLES}h", frames[-1])
    worst = max(abs(a - b) for a, b in zip(said[:-4], heard[4:], strict=True))
    assert worst < 800


def test_mu_law_knows_the_values_of_the_recommendation() -> None:
    # G.711, table 2a: the ends of the scale, zero, and the first steps around it.
    decoder = MuLaw().decoder()
    for byte, value in ((0xFF, 0), (0x80, 32124), (0x00, -32124), (0xFE, 8), (0x7E, -8), (0xEF, 132)):
        frame = decoder.decode(bytes((byte,)) * 160)
        assert struct.unpack_from("<h", frame, FRAME_BYTES - 2)[0] == value


def test_mu_law_concealment_fades() -> None:
    encoder, decoder = MuLaw().encoder(), MuLaw().decoder()
    for n in range(3):
        last = decoder.decode(encoder.encode(tone(n)))
    powers = [power(last)] + [power(decoder.conceal(FRAME_SAMPLES)) for _ in range(20)]
    assert all(after <= before for before, after in pairwise(powers))
    assert powers[1] > 0
    assert powers[-1] <= 1


def test_silence_is_silent() -> None:
    assert Silence().encoder().encode(tone(0)) == b"\0"
    assert Silence().decoder().decode(b"\0") == SILENCE
    with pytest.raises(Malformed):
        Silence().decoder().decode(b"")
