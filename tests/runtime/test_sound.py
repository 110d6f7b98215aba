"""Sources and sinks, WAV files, and the sound card that is none."""

from __future__ import annotations

import os
import struct
import wave
from pathlib import Path

import miniaudio
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from halloo.base.errors import Unusable, UsageError
from halloo.media.codec import FRAME_BYTES, SAMPLE_RATE, SILENCE
from halloo.runtime.resample import resampled
from halloo.runtime.sound import Loudspeaker, Microphone, Source, WavSource, open_sink, open_source
from halloo.runtime.speech import speech_file
from halloo.runtime.wav import read_wav


def all_of(source: Source, most: int = 10_000) -> bytes:
    out = b""
    for _ in range(most):
        frame = source.read()
        if frame is None:
            break
        assert len(frame) == FRAME_BYTES
        out += frame
    source.close()
    return out


def chunk(name: bytes, body: bytes) -> bytes:
    return name + len(body).to_bytes(4, "little") + body + b"\0" * (len(body) & 1)


def riff(*chunks: bytes) -> bytes:
    body = b"WAVE" + b"".join(chunks)
    return b"RIFF" + len(body).to_bytes(4, "little") + body


def shape(kind: int, channels: int, rate: int, bits: int, extra: bytes = b"") -> bytes:
    step = channels * bits // 8
    return chunk(b"fmt ", struct.pack("<HHIIHH", kind, channels, rate, rate * step, step, bits) + extra)


TYPES = {(1, 8): "u1", (1, 16): "<i2", (1, 32): "<i4", (3, 32): "<f4", (3, 64): "<f8"}


def wav(kind: int, bits: int, sound: np.ndarray, rate: int) -> bytes:
    """``sound``: samples by channels, from -1 to 1."""
    if kind == 3:
        data = sound.astype(TYPES[kind, bits]).tobytes()
    elif bits == 8:
        data = np.clip(np.round(sound * 128 + 128), 0, 255).astype("u1").tobytes()
    else:
        full = 2 ** (bits - 1)
        whole = np.clip(np.round(sound * full), -full, full - 1).astype("<i4")
        if bits == 24:
            data = whole.reshape(-1, 1).view("u1").reshape(-1, 4)[:, :3].tobytes()
        else:
            data = whole.astype(TYPES[kind, bits]).tobytes()
    return riff(shape(kind, sound.shape[1], rate, bits), chunk(b"data", data))


def tone(rate: int, seconds: float = 0.5, hertz: float = 700.0) -> np.ndarray:
    return 0.5 * np.sin(2 * np.pi * hertz * np.arange(int(rate * seconds)) / rate)


@pytest.mark.parametrize("rate", [8_000, 11_025, 16_000, 22_050, 44_100, 48_000, 96_000])
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize(("kind", "bits"), [(1, 8), (1, 16), (1, 24), (1, 32), (3, 32), (3, 64)])
def test_every_common_kind_of_wav(tmp_path: Path, rate: int, channels: int, kind: int, bits: int) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(wav(kind, bits, np.repeat(tone(rate)[:, None], channels, axis=1), rate))
    pcm = np.frombuffer(all_of(open_source(str(path))), "<i2") / 32768.0
    expected = tone(SAMPLE_RATE)
    assert len(pcm) == len(expected)
    middle = slice(2000, -2000)
    noise = 20 * np.log10(np.std(pcm[middle] - expected[middle]) / np.std(expected))
    assert noise < (-40 if bits == 8 else -80)


def test_channels_are_averaged_and_floats_are_bounded(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    sound = np.array([[np.nan, np.nan], [np.inf, 1.0], [-9e300, -1.0], [0.5, -0.5]])
    path.write_bytes(wav(3, 64, sound, 48_000))
    assert list(read_wav(path)[1]) == [0.0, 1.0, -1.0, 0.0]


def test_an_extensible_format_with_more_chunks(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    extra = struct.pack("<HHIH14s", 22, 16, 4, 1, bytes(14))
    data = chunk(b"data", struct.pack("<3h", 1, -2, 3))
    path.write_bytes(riff(chunk(b"LIST", b"odd"), shape(0xFFFE, 1, 48_000, 16, extra), chunk(b"fact", bytes(4)), data))
    rate, sound = read_wav(path)
    assert rate == 48_000
    assert list(sound * 32768) == [1, -2, 3]


def test_a_size_that_was_never_filled_in_means_the_rest(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(riff(shape(1, 1, 48_000, 16)) + b"data\xff\xff\xff\xff" + struct.pack("<2hB", 5, 6, 7))
    assert list(read_wav(path)[1] * 32768) == [5, 6]


GOOD = riff(shape(1, 1, 48_000, 16), chunk(b"data", bytes(4000)))
WRONG = {
    "empty": (b"", "RIFF"),
    "text": (b"hello, this is no sound at all", "RIFF"),
    "cut": (GOOD[:-1], "cut short"),
    "no data": (riff(shape(1, 1, 48_000, 16)), "ends before any sound"),
    "no format": (riff(chunk(b"data", bytes(10))), "before its format"),
    "mp3 inside": (riff(shape(0x55, 1, 48_000, 16)), "not known here"),
    "12 bit": (riff(shape(1, 1, 48_000, 12)), "not known here"),
    "no channel": (riff(shape(1, 0, 48_000, 16)), "channels"),
    "rate 0": (riff(shape(1, 1, 0, 16)), "Hz"),
    "rate huge": (riff(shape(1, 1, 2**32 // 4, 16)), "Hz"),
    "step": (riff(chunk(b"fmt ", struct.pack("<HHIIHH", 1, 1, 48_000, 0, 7, 16))), "contradicts"),
    "format short": (riff(chunk(b"fmt ", bytes(8))), "format"),
    "format cut": (riff(b"fmt \x10\0\0\0" + bytes(4)), "format"),
    "half sample": (riff(shape(1, 2, 48_000, 16), chunk(b"data", bytes(6))), "inside a sample"),
    "chunks without end": (riff(*([chunk(b"junk", b"")] * 2000)), "thousand"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_wav_is_named_with_its_cause(tmp_path: Path, case: str) -> None:
    data, cause = WRONG[case]
    path = tmp_path / "bad.wav"
    path.write_bytes(data)
    with pytest.raises(UsageError, match=cause) as told:
        open_source(str(path))
    assert str(path) in str(told.value)


def test_a_recording_too_long_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "long.wav"
    size = 8_000 * 601 * 2
    with path.open("wb") as file:
        file.write(riff(shape(1, 1, 8_000, 16))[:36] + b"data" + size.to_bytes(4, "little"))
        file.truncate(44 + size)
    with pytest.raises(UsageError, match="longer than 600 s"):
        open_source(str(path))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cut=st.integers(0, len(GOOD)), at=st.integers(0, 60), byte=st.integers(0, 255), more=st.binary(max_size=40))
def test_damaged_wav_files(tmp_path: Path, cut: int, at: int, byte: int, more: bytes) -> None:
    path = tmp_path / "damaged.wav"
    damaged = bytearray(GOOD)
    damaged[at] = byte
    path.write_bytes(bytes(damaged[:cut]) + more)
    try:
        rate, sound = read_wav(path)
    except UsageError:
        return
    assert 4_000 <= rate <= 192_000
    assert len(sound) <= len(GOOD) + len(more)


@pytest.mark.parametrize("text", ["nothing", "", "a.mp3", "microphone", "/tmp", "speaker", "null"])
def test_no_such_source(text: str) -> None:
    with pytest.raises(UsageError):
        open_source(text)


@pytest.mark.parametrize("text", ["nothing", "", "a.mp3", "mic", "tone", "silence"])
def test_no_such_sink(text: str) -> None:
    with pytest.raises(UsageError):
        open_sink(text)


@pytest.mark.parametrize("name", ["missing.wav", "missing.raw"])
def test_a_missing_file(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match=rf"{name} cannot be read: No such file"):
        open_source(str(tmp_path / name))
    with pytest.raises(UsageError, match=rf"{name} cannot be written"):
        open_sink(str(tmp_path / "no such folder" / name))


def test_silence_and_tone() -> None:
    assert open_source("silence").read() == SILENCE
    source = open_source("tone")
    pcm = np.frombuffer(b"".join(source.read() or b"" for _ in range(100)), "<i2")
    spectrum = np.abs(np.fft.rfft(pcm / 32768.0))
    assert np.argmax(spectrum) == 880  # 440 Hz in two seconds
    assert np.delete(spectrum, 880).max() < spectrum[880] / 1000  # no click where it begins anew


def test_raw_files(tmp_path: Path) -> None:
    path = tmp_path / "a.raw"
    sink = open_sink(str(path))
    frame = bytes(range(256)) * 7 + bytes(128)
    sink.write(frame)
    sink.write(frame)
    sink.close()
    sink.close()
    sink.write(frame)
    with path.open("ab") as file:
        file.write(b"\1\2\3")
    assert all_of(open_source(str(path))) == frame * 2 + (b"\1\2").ljust(FRAME_BYTES, b"\0")


def test_a_wav_is_whole_after_every_frame(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    sink = open_sink(str(path))
    assert len(read_wav(path)[1]) == 0
    for n in range(1, 5):
        sink.write(struct.pack("<h", 1000 * n) * 960)
        with wave.open(str(path)) as file:  # nothing was closed: as after a crash
            assert (file.getnframes(), file.getframerate(), file.getnchannels(), file.getsampwidth()) == (
                960 * n,
                48_000,
                1,
                2,
            )
            assert file.readframes(960 * n)[-2:] == struct.pack("<h", 1000 * n)
    sink.close()
    sink.close()
    sink.write(SILENCE)
    assert path.stat().st_size == 44 + 4 * FRAME_BYTES
    assert all_of(WavSource(path))[-2:] == struct.pack("<h", 4000)


def test_a_closed_source_ends(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(GOOD)
    source = open_source(str(path))
    assert source.read() == SILENCE
    source.close()
    source.close()
    assert source.read() is None


def test_the_null_sink() -> None:
    sink = open_sink("null")
    sink.write(SILENCE)
    sink.close()


@settings(max_examples=40, deadline=None)
@given(source=st.integers(4_000, 192_000), target=st.sampled_from([16_000, 48_000]), length=st.integers(0, 400))
def test_any_rate_to_any_other(source: int, target: int, length: int) -> None:
    out = resampled(np.ones(length, np.float32), source, target)
    assert abs(len(out) - length * target / source) <= 1
    assert np.abs(out).max(initial=0.0) < 1.3


def test_resampling_does_not_shift_in_time_and_cuts_what_does_not_fit() -> None:
    click = np.zeros(3200, np.float32)
    click[1600] = 1.0
    assert np.argmax(resampled(click, 16_000, 48_000)) == 4800
    high = resampled(tone(48_000, hertz=12_000).astype(np.float32), 48_000, 16_000)
    assert np.std(high[300:-300]) < 1e-4


def test_no_sound_card_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(**options: object) -> None:
        assert all(each.name != "NULL" for each in options["backends"])  # type: ignore[attr-defined]
        raise miniaudio.MiniaudioError("no backend")

    monkeypatch.setattr(miniaudio, "CaptureDevice", none)
    monkeypatch.setattr(miniaudio, "PlaybackDevice", none)
    with pytest.raises(Unusable, match="no microphone on this machine"):
        open_source("mic")
    with pytest.raises(Unusable, match="no loudspeaker on this machine"):
        open_sink("speaker")


def test_what_the_systems_libraries_chatter_is_kept_from_people(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def chatters(**options: object) -> None:
        os.write(2, b"cannot find card '0'\n")
        raise miniaudio.MiniaudioError("no backend")

    monkeypatch.setattr(miniaudio, "CaptureDevice", chatters)
    with pytest.raises(Unusable):
        open_source("mic")
    os.write(2, b"heard again\n")
    assert capfd.readouterr().err == "heard again\n"


def test_a_missing_package_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "miniaudio", None)
    with pytest.raises(UsageError, match="pip install miniaudio"):
        open_source("mic")


def test_a_card_that_is_none_takes_and_gives_frames() -> None:
    nothing = [miniaudio.Backend.NULL]
    speaker, microphone = Loudspeaker(nothing), Microphone(nothing)
    for _ in range(50):
        speaker.write(SILENCE)
        assert len(microphone.read() or b"") == FRAME_BYTES
    for each in (speaker, microphone):
        each.close()
        each.close()
    assert microphone.read() is None
    speaker.write(SILENCE)


def test_the_card_is_given_what_it_asks_for() -> None:
    speaker = Loudspeaker([miniaudio.Backend.NULL])
    speaker.close()
    speaker._frames.clear()
    play = speaker._play()
    next(play)
    assert play.send(100) == bytes(200)
    speaker.write(b"\1" * FRAME_BYTES)
    speaker.write(b"\2" * FRAME_BYTES)
    assert play.send(1000) == b"\1" * 1920 + b"\2" * 80
    assert play.send(1000) == b"\2" * 1840 + bytes(160)
    for n in range(20):
        speaker.write(bytes((n,)) * FRAME_BYTES)
    assert play.send(1) == b"\x0f" * 2  # the fifth last: what was older was dropped


def test_the_card_gives_frames_of_whatever_it_gathers() -> None:
    microphone = Microphone([miniaudio.Backend.NULL])
    microphone._device.close()
    microphone._frames.clear()
    gather = microphone._gather()
    next(gather)
    for _ in range(3):
        gather.send(b"\1" * 1000)
    assert [microphone.read(), microphone.read()] == [b"\1" * FRAME_BYTES, SILENCE]


@pytest.mark.parametrize("who", ["caller", "callee"])
def test_the_speech_that_comes_along(who: str) -> None:
    path = speech_file(who)  # type: ignore[arg-type]
    assert path.stat().st_size <= 350_000
    rate, sound = read_wav(path)
    assert rate == 16_000
    assert 8 <= len(sound) / rate <= 11
    assert np.abs(sound).max() == pytest.approx(0.5, abs=0.01)
    edge = int(0.3 * rate)
    assert not sound[:edge].any()
    assert not sound[-edge:].any()
    loud = np.flatnonzero(np.abs(sound) > 0.01)
    assert np.diff(loud).max() < 0.7 * rate
    assert (path.parent / "README.md").read_text().count(path.name) == 1


def test_no_other_speech() -> None:
    with pytest.raises(UsageError):
        speech_file("nobody")  # type: ignore[arg-type]
