"""What was said against what was heard."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from halloo.base.errors import UsageError
from halloo.runtime.resample import resampled
from halloo.runtime.score import Measure, measures, score
from halloo.runtime.speech import speech_file
from halloo.runtime.wav import WavWriter, read_wav

SAID = speech_file("caller")
RATE = 48_000


def speech() -> np.ndarray:
    rate, sound = read_wav(SAID)
    return resampled(sound, rate, RATE)


def written(path: Path, sound: np.ndarray) -> Path:
    writer = WavWriter(path)
    writer.write(np.clip(np.round(sound * 32768), -32768, 32767).astype("<i2").tobytes())
    writer.close()
    return path


@pytest.mark.parametrize("delay", [-250.0, 0.0, 1.0, 66.5, 123.25, 2000.0])
def test_the_delay_is_found_to_a_fraction_of_a_millisecond(tmp_path: Path, delay: float) -> None:
    shift = round(delay * RATE / 1000)
    sound = speech()
    heard = np.concatenate([np.zeros(shift), sound]) if shift >= 0 else sound[-shift:]
    result = score(SAID, written(tmp_path / "a.wav", 0.3 * heard), "snr")
    assert result.delay_ms == pytest.approx(delay, abs=0.1)
    assert result.alike > 0.99
    assert result.missing == 0.0


@pytest.mark.parametrize("measure", measures())
def test_the_same_is_best_and_worse_is_less(tmp_path: Path, measure: Measure) -> None:
    best = {"pesq-wb": 4.6, "stoi": 0.99, "snr": 30.0}[measure]
    rng = np.random.default_rng(1)
    sound = speech()
    values = []
    for noise in (0.0, 0.01, 0.1):
        heard = written(tmp_path / f"{noise}.wav", 0.7 * (sound + noise * rng.standard_normal(len(sound))))
        result = score(SAID, heard, measure)
        assert result.measure == measure
        assert result.value is not None
        values.append(result.value)
    assert values[0] >= best
    assert values[0] > values[1] > values[2]


def test_what_is_missing_is_counted(tmp_path: Path) -> None:
    sound = speech()
    sound[len(sound) // 2 :] = 0.0
    result = score(SAID, written(tmp_path / "half.wav", sound), "snr")
    assert result.missing == pytest.approx(0.5, abs=0.06)
    assert result.delay_ms == pytest.approx(0.0, abs=0.1)


def test_a_long_recording_is_scored_in_pieces(tmp_path: Path) -> None:
    sound = np.tile(speech(), 5)
    reference = written(tmp_path / "long.wav", sound)
    result = score(reference, written(tmp_path / "heard.wav", np.concatenate([np.zeros(4800), sound])))
    assert result.value is not None
    assert result.value >= {"pesq-wb": 4.6, "stoi": 0.99, "snr": 30.0}[result.measure]
    assert result.delay_ms == pytest.approx(100.0, abs=0.1)


@pytest.mark.parametrize(
    ("sound", "note", "missing"),
    [
        (np.zeros(0), "shorter", None),
        (np.zeros(100), "shorter", None),
        (np.zeros(RATE * 5), "silent", 1.0),
        (np.random.default_rng(3).standard_normal(RATE * 9) * 0.1, "not what was said", None),
    ],
    ids=["empty", "short", "silence", "noise"],
)
def test_nothing_to_compare_is_said(tmp_path: Path, sound: np.ndarray, note: str, missing: float | None) -> None:
    result = score(SAID, written(tmp_path / "a.wav", sound))
    assert result.value is None
    assert result.delay_ms is None
    assert result.missing == missing
    assert note in result.note
    backwards = score(tmp_path / "a.wav", SAID)
    assert backwards.value is None
    assert backwards.note


def test_without_the_packages_there_is_still_a_measure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert measures() == ("snr",)
    assert score(SAID, SAID).measure == "snr"


def test_a_package_that_breaks_gives_way_to_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> float:
        raise RuntimeError("broken")

    monkeypatch.setattr("halloo.runtime.score._pesq", broken)
    monkeypatch.setattr("halloo.runtime.score._stoi", broken)
    result = score(SAID, SAID)
    assert result.measure == "snr"
    assert result.value == pytest.approx(35.0)
    assert result.note.count("broken") == len(measures()) - 1


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"missing\.wav"):
        score(SAID, tmp_path / "missing.wav")


def test_the_measure_is_loaded_only_when_taken() -> None:
    import subprocess

    code = "import sys, halloo.runtime.score, halloo.runtime.sound, halloo.runtime.opus; print('numpy' in sys.modules)"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert told.stdout.strip() == "False"
