"""Opus through libopus: quality, concealment, copies, hostile packets."""

from __future__ import annotations

import gc
import os
from itertools import pairwise
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from halloo.base.errors import Malformed, UsageError
from halloo.media.codec import FRAME_BYTES, SILENCE
from halloo.media.packet import Packet
from halloo.media.stream import SoundStream
from halloo.runtime import opus
from halloo.runtime.opus import Opus, OpusDecoder, OpusEncoder, libopus
from halloo.runtime.score import measures, score
from halloo.runtime.sound import WavSink, WavSource
from halloo.runtime.speech import speech_file

LEAST = {"pesq-wb": 4.2, "stoi": 0.98, "snr": 5.0}  # what a clean line must reach, by each measure


def frames(who: str) -> list[bytes]:
    source = WavSource(speech_file(who))  # type: ignore[arg-type]
    out = []
    while (frame := source.read()) is not None:
        out.append(frame)
    return out + [SILENCE] * 5


def recorded(path: Path, pcm: list[bytes]) -> Path:
    sink = WavSink(path)
    for frame in pcm:
        sink.write(frame)
    sink.close()
    return path


@pytest.mark.parametrize("who", ["caller", "callee"])
def test_a_clean_line_sounds_well(who: str, tmp_path: Path) -> None:
    encoder, decoder = Opus().encoder(), Opus().decoder()
    heard = recorded(tmp_path / "heard.wav", [decoder.decode(encoder.encode(frame)) for frame in frames(who)])
    result = score(speech_file(who), heard)  # type: ignore[arg-type]
    assert result.value is not None
    assert result.value >= LEAST[result.measure]
    assert result.measure == measures()[0]
    assert result.delay_ms == pytest.approx(6.5, abs=1.0)
    assert result.missing == 0.0


def test_packets_have_one_size() -> None:
    for bitrate, size in ((16_000, 40), (24_000, 60), (32_000, 80), (48_000, 120)):
        encoder = OpusEncoder(bitrate)
        assert {len(encoder.encode(frame)) for frame in frames("caller")[:100]} == {size}
    encoder.expect_loss(0)
    assert {len(encoder.encode(frame)) for frame in frames("caller")[:100]} == {120}


def test_copies_are_seen() -> None:
    def share(expected_loss: int) -> float:
        encoder, decoder = OpusEncoder(expected_loss=expected_loss), OpusDecoder()
        sent = [encoder.encode(frame) for frame in frames("caller")]
        known = getattr(libopus(), "opus_packet_has_lbrr", None)  # libopus 1.5 and later
        if known is not None:
            assert [bool(known(packet, len(packet))) for packet in sent] == [decoder.has_copy(p) for p in sent]
        return sum(map(decoder.has_copy, sent)) / len(sent)

    assert share(0) == 0.0
    assert share(10) > 0.6  # none where nobody speaks


@given(st.binary(max_size=300))
def test_any_bytes_have_a_copy_or_not(data: bytes) -> None:
    decoder = OpusDecoder()
    seen = decoder.has_copy(data)
    try:
        decoder.decode(data)
    except Malformed:
        return
    known = getattr(libopus(), "opus_packet_has_lbrr", None)
    one_frame = data[0] & 0x03 == 0 or (data[0] & 0x03 == 3 and data[1] & 0x3F == 1)
    if known is not None and one_frame and len(data) > 1:
        assert seen == bool(known(data, len(data)))


def test_a_lossy_line_is_restored() -> None:
    one, other = SoundStream(OpusEncoder(), OpusDecoder()), SoundStream(OpusEncoder(), OpusDecoder())
    for n, frame in enumerate(frames("caller")):
        sent = one.speak(frame, n * 0.02)
        if sent is not None and n % 20 != 10:
            other.hear(sent, n * 0.02)
        other.listen(n * 0.02 + 0.001)
    assert other.frames_concealed == 25
    assert 15 <= other.frames_restored <= 25
    quality = other.quality(10.0)
    assert quality.loss_percent == pytest.approx(5.0, abs=0.2)
    assert quality.mos > 3.6
    assert "restored" in quality.sentence


def test_concealment_and_copies_help(tmp_path: Path) -> None:
    said = frames("caller")
    rng = Random(7)
    lost = {n for n in range(5, len(said)) if rng.random() < 0.1}
    values = {}
    for how in ("silence", "conceal", "copy"):
        encoder, decoder = OpusEncoder(expected_loss=10 if how == "copy" else 0), OpusDecoder()
        sent = [encoder.encode(frame) for frame in said]
        heard = []
        for n, packet in enumerate(sent):
            if n not in lost:
                heard.append(decoder.decode(packet))
            elif how == "silence":
                decoder.conceal(960)
                heard.append(SILENCE)
            elif how == "copy" and n + 1 < len(sent) and n + 1 not in lost:
                heard.append(decoder.decode_lost_from(sent[n + 1]))
            else:
                heard.append(decoder.conceal(960))
        values[how] = score(speech_file("caller"), recorded(tmp_path / f"{how}.wav", heard)).value or 0.0
    assert values["silence"] < values["conceal"] < values["copy"]


def test_concealment_fades_to_nothing() -> None:
    encoder, decoder = OpusEncoder(), OpusDecoder()
    for frame in frames("caller")[:60]:
        decoder.decode(encoder.encode(frame))

    def loudness(pcm: bytes) -> int:
        return sum(abs(x) for x in memoryview(pcm).cast("h"))

    powers = [loudness(decoder.conceal(960)) for _ in range(30)]
    assert powers[0] > 0
    assert powers[-1] < powers[0] / 10
    assert len(decoder.conceal(480)) == 960
    assert len(decoder.conceal(5760)) == 11520


@pytest.mark.parametrize("samples", [0, -960, 1, 961, 5880, 10**9])
def test_other_lengths_are_not_concealed(samples: int) -> None:
    with pytest.raises(UsageError):
        OpusDecoder().conceal(samples)


@settings(max_examples=200, deadline=None)
@given(st.one_of(st.binary(max_size=200), st.binary(min_size=1270, max_size=1300)))
def test_hostile_packets(data: bytes) -> None:
    decoder = OpusDecoder()
    for decode in (decoder.decode, decoder.decode_lost_from):
        try:
            assert len(decode(data)) == FRAME_BYTES
        except Malformed:
            pass
    assert len(decoder.conceal(960)) == FRAME_BYTES


def test_packets_of_other_lengths_are_malformed() -> None:
    decoder = OpusDecoder()
    for shape in (0x08 << 3, 0x0A << 3, 0x03 << 3):  # RFC 6716, table 2: 10 ms and 60 ms of speech
        with pytest.raises(Malformed):
            decoder.decode(bytes((shape,)) + bytes(40) if shape else b"")
    with pytest.raises(Malformed):
        decoder.decode(b"")
    with pytest.raises(Malformed):
        decoder.decode(bytes(1276))


def test_damaged_packets_never_stop_the_sound() -> None:
    rng = Random(2)
    one, other = SoundStream(OpusEncoder(), OpusDecoder()), SoundStream(OpusEncoder(), OpusDecoder())
    for n, frame in enumerate(frames("callee")[:200]):
        sent = one.speak(frame, n * 0.02)
        assert sent is not None
        damaged = bytearray(Packet.parse(sent).frame)
        for _ in range(rng.randrange(4)):
            damaged[rng.randrange(len(damaged))] = rng.randrange(256)
        other.hear(Packet(n, bytes(damaged[: rng.randrange(1, 81)])).build(), n * 0.02)
        assert len(other.listen(n * 0.02 + 0.001)) == FRAME_BYTES
    assert other.frames_played + other.frames_concealed == 198


@pytest.mark.parametrize("pcm", [b"", bytes(FRAME_BYTES - 1), bytes(2 * FRAME_BYTES)])
def test_frames_of_another_size_are_our_own_mistake(pcm: bytes) -> None:
    with pytest.raises(UsageError):
        OpusEncoder().encode(pcm)


@pytest.mark.parametrize("settings_", [{"bitrate": 0}, {"bitrate": 10**9}, {"complexity": 11}, {"expected_loss": 101}])
def test_settings_out_of_range(settings_: dict[str, int]) -> None:
    with pytest.raises(UsageError):
        OpusEncoder(**settings_)  # type: ignore[arg-type]


def test_handles_are_freed() -> None:
    encoder, decoder = OpusEncoder(), OpusDecoder()
    freed = encoder._freed, decoder._freed
    del encoder, decoder
    gc.collect()
    assert not any(each.alive for each in freed)


def test_order_of_search(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPUS_LIBRARY", "/somewhere/libopus.so")
    found = list(opus._candidates())
    assert found[0] == "/somewhere/libopus.so"
    assert all("opuslib_next" not in after or "opuslib_next" in before for before, after in pairwise(found[1:]))
    monkeypatch.delenv("OPUS_LIBRARY")
    assert list(opus._candidates()) == found[1:]


def test_a_named_library_that_is_none_falls_through(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "libopus.so").write_bytes(b"no library")
    monkeypatch.setenv("OPUS_LIBRARY", os.fspath(tmp_path / "libopus.so"))
    libopus.cache_clear()
    assert len(OpusDecoder().conceal(960)) == FRAME_BYTES
    libopus.cache_clear()


def test_no_library_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opus, "_candidates", lambda: iter(["/nowhere/libopus.so"]))
    libopus.cache_clear()
    for make in (OpusEncoder, OpusDecoder):
        with pytest.raises(UsageError, match=r"pip install opuslib-next-bundled[\s\S]*tried /nowhere/libopus\.so"):
            make()
    libopus.cache_clear()
