"""How much of a recording arrived: what was said against what was heard.

The two are aligned first, by their loudness over time (robust to every codec), then to the sample.  The measure is
PESQ (ITU-T P.862.2, wide band, 1 to 4.64) where its package is installed, else STOI (0 to 1), else a segmental signal
to noise ratio (dB) computed here: compare values of one measure only.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from halloo.runtime.resample import resampled
from halloo.runtime.wav import read_wav

if TYPE_CHECKING:
    from numpy import float32
    from numpy.typing import NDArray

    Sound = NDArray[float32]

__all__ = ["Measure", "Score", "aligned", "measures", "score"]

RATE = 16_000  # Hz; what wide-band PESQ is defined for
ENVELOPE_HOP = 16  # samples, 1 ms
SEARCH = 0.010  # s around the first guess that are searched to the sample
ALIKE = 0.2  # least correlation for which an alignment is believed
LEAST = 0.4  # s; PESQ needs a quarter of a second of speech, STOI 0.4 s
PIECE = 20.0  # s scored at a time; PESQ was made for 8 to 30 s
FRAME = 320  # samples, 20 ms
SILENT = 1e-4  # of full scale, -80 dBFS: quieter than the noise of any room
ACTIVE = 0.02  # of the loudest frame, -34 dB: speech rather than a pause
GONE = 0.03  # of the expected loudness, -30 dB: not there

Measure = Literal["pesq-wb", "stoi", "snr"]


@dataclass(frozen=True, slots=True)
class Score:
    """What came of the comparison."""

    measure: Measure
    value: float | None
    """None when nothing can be said; ``note`` says why."""
    delay_ms: float | None
    """By how much the received file lags behind the reference (negative: it leads); None when they are not alike."""
    missing: float | None
    """Share of the speech, 0 to 1, that is silence in what was received."""
    alike: float
    """Correlation of the two in their best alignment, 0 to 1."""
    note: str = ""


def measures() -> tuple[Measure, ...]:
    """The measures that can be taken on this machine, best first."""
    from importlib.util import find_spec

    optional: tuple[tuple[str, Measure], ...] = (("pesq", "pesq-wb"), ("pystoi", "stoi"))
    return (*(measure for package, measure in optional if find_spec(package)), "snr")


def score(reference: str | Path, received: str | Path, measure: Measure | None = None) -> Score:
    """Compare two WAV files of any kind that ``read_wav`` reads.  ``measure``: that one only, if it is there.

    Silence and files too short to say anything give a value of None with a note.

    Raises:
        UsageError: a file cannot be read.
    """
    said, heard = (_prepared(path) for path in (reference, received))
    chosen = [each for each in measures() if measure in (None, each)] or ["snr"]
    if len(said) < LEAST * RATE or len(heard) < LEAST * RATE:
        return Score(chosen[0], None, None, None, 0.0, f"a file is shorter than {LEAST} s")
    if _loudness(said).max() < SILENT:
        return Score(chosen[0], None, None, None, 0.0, "the reference is silent")
    if _loudness(heard).max() < SILENT:
        return Score(chosen[0], None, None, 1.0, 0.0, "what was received is silent")
    lag, alike = aligned(said, heard)
    if alike < ALIKE:
        return Score(chosen[0], None, None, None, alike, "what was received is not what was said")
    heard = _shifted(heard, lag, len(said))
    missing = _missing(said, heard)
    delay = 1000.0 * lag / RATE
    note = ""
    for each in chosen:
        value, problem = _value(each, said, heard)
        if value is not None:
            return Score(each, value, delay, missing, alike, note)
        note = f"{note}; {each}: {problem}".lstrip("; ")
    return Score(chosen[0], None, delay, missing, alike, note)


def aligned(said: Sound, heard: Sound) -> tuple[int, float]:
    """By how many samples ``heard`` lags behind ``said`` (both at 16,000 Hz), and their correlation there, 0 to 1."""
    import numpy as np

    envelopes = [np.sqrt(_loudness(each, ENVELOPE_HOP)) for each in (said, heard)]
    rough = _lag(envelopes[0] - envelopes[0].mean(), envelopes[1] - envelopes[1].mean())[0] * ENVELOPE_HOP
    reach = int(SEARCH * RATE)
    fine, alike = _lag(said, _shifted(heard, rough - reach, len(said) + 2 * reach), 0, 2 * reach)
    if alike >= ALIKE:
        return rough - reach + fine, alike
    # A codec that keeps the sound but not the wave: trust the loudness.
    a, b = envelopes[0], np.sqrt(_loudness(_shifted(heard, rough, len(said)), ENVELOPE_HOP))
    a, b = a - a.mean(), b[: len(a)] - b.mean()
    together = float(np.dot(a, b) / (np.linalg.norm(a) * np.linalg.norm(b) + 1e-12))
    return rough, max(0.0, together) if together > 0.5 else alike


def _prepared(path: str | Path) -> Sound:
    rate, sound = read_wav(path)
    return resampled(sound, rate, RATE)


def _loudness(sound: Sound, hop: int = FRAME) -> Sound:
    """The root mean square of each ``hop`` samples."""
    import numpy as np

    whole = len(sound) // hop
    return np.asarray(np.sqrt(np.mean(np.square(sound[: whole * hop]).reshape(whole, hop), axis=1)), np.float32)


def _lag(a: Sound, b: Sound, least: int | None = None, most: int | None = None) -> tuple[int, float]:
    """Where ``b`` fits ``a`` best when moved to the left, and the normalised correlation there."""
    import numpy as np

    size = 1 << (len(a) + len(b)).bit_length()
    together = np.fft.irfft(np.fft.rfft(b, size) * np.conj(np.fft.rfft(a, size)), size)
    lags = np.arange(-len(a) + 1 if least is None else least, len(b) if most is None else most + 1)
    best = int(lags[np.argmax(together[lags % size])])
    overlap = b[max(0, best) : best + len(a)]
    alike = together[best % size] / (np.linalg.norm(a) * np.linalg.norm(overlap) + 1e-12)
    return best, float(np.clip(alike, 0.0, 1.0))


def _shifted(sound: Sound, lag: int, length: int) -> Sound:
    """``length`` samples of ``sound`` from ``lag`` on, silence where there are none."""
    import numpy as np

    out = np.zeros(length, np.float32)
    begin = max(0, -lag)
    piece = sound[max(0, lag) : max(0, lag + length)][: max(0, length - begin)]
    out[begin : begin + len(piece)] = piece
    return out


def _missing(said: Sound, heard: Sound) -> float:
    import numpy as np

    before, after = _loudness(said), _loudness(heard)
    active = before > ACTIVE * before.max()
    gain = float(np.median(after[active] / before[active])) or 1.0
    return float(np.mean(after[active] < GONE * gain * before[active]))


def _value(measure: Measure, said: Sound, heard: Sound) -> tuple[float | None, str]:
    """The measure over all pieces, each weighted by its length; or None, and why."""
    import numpy as np

    pieces = max(1, round(len(said) / (PIECE * RATE)))
    bounds = np.linspace(0, len(said), pieces + 1).astype(int)
    values, weights, problem = [], [], "no piece with speech in it"
    take = {"pesq-wb": _pesq, "stoi": _stoi, "snr": _snr}[measure]
    for begin, end in pairwise(bounds):
        a, b = said[begin:end], heard[begin:end]
        if len(a) < LEAST * RATE or _loudness(a).max() < SILENT:
            continue
        try:
            value = take(a, b)
        except Exception as problem_of_it:  # the packages raise errors of their own, and of numpy and C
            problem = str(problem_of_it) or type(problem_of_it).__name__
            continue
        if np.isfinite(value):
            values.append(value)
            weights.append(float(end - begin))
    if not values:
        return None, problem
    return float(np.average(values, weights=weights)), ""


def _pesq(said: Sound, heard: Sound) -> float:
    from pesq import pesq

    if _loudness(heard).max() < SILENT:
        return 1.0  # the lowest that it gives; it refuses silence
    return float(pesq(RATE, said, heard, "wb"))


def _stoi(said: Sound, heard: Sound) -> float:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what it has to say of short files is in its value
        from pystoi import stoi

        return float(stoi(said, heard, RATE))


def _snr(said: Sound, heard: Sound) -> float:
    """Segmental signal to noise ratio in dB: per 20 ms of speech, from -10 to 35, after the loudness is matched."""
    import numpy as np

    gain = float(np.dot(said, heard) / (np.dot(heard, heard) + 1e-12))
    whole = len(said) // FRAME * FRAME
    signal = np.sum(np.square(said[:whole]).reshape(-1, FRAME), axis=1)
    noise = np.sum(np.square(said[:whole] - gain * heard[:whole]).reshape(-1, FRAME), axis=1)
    active = signal > ACTIVE**2 * signal.max()
    ratio = 10.0 * np.log10((signal[active] + 1e-12) / (noise[active] + 1e-12))
    return float(np.mean(np.clip(ratio, -10.0, 35.0)))
