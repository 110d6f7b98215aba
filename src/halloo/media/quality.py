"""From loss, jitter and delay to a score and a sentence.

The score is that of the E-model (ITU-T G.107) in its short form: a rating R from 0 to 100, less what delay and loss
take away, turned into a mean opinion score from 1 (bad) to 4.4 (as good as a narrow-band scale can say).
"""

from __future__ import annotations

from dataclasses import dataclass

from halloo.media.codec import FRAME_SECONDS

__all__ = ["Arrivals", "Quality", "opinion", "quality_of", "rating"]

BEST_RATING = 93.2  # G.107: R of a clean line with the default values
NOTICED_DELAY = 177.3  # ms, one way; beyond it people begin to talk into each other's words (G.107, short form)
LOSS_ROBUSTNESS = 8.5  # Bpl of G.107, percent; fitted to PESQ at 5, 10 and 20 % loss with Opus' own concealment
RESTORED = 0.1  # of a lost frame's harm remains when a coarse copy was played; fitted in the same way
JITTER_GAIN = 16  # RFC 3550, 6.4.1: each arrival moves the estimate by a sixteenth


class Arrivals:
    """The interarrival jitter of RFC 3550 (6.4.1): how unevenly packets come, in seconds."""

    __slots__ = ("_transit", "jitter")

    def __init__(self) -> None:
        self._transit: float | None = None
        self.jitter = 0.0

    def heard(self, number: int, now: float) -> None:
        """Frame ``number`` (counted without wrapping) came at ``now``."""
        transit = now - number * FRAME_SECONDS
        if self._transit is not None:
            # More than a second is no jitter but a sender that began anew.
            change = min(abs(transit - self._transit), 1.0)
            self.jitter += (change - self.jitter) / JITTER_GAIN
        self._transit = transit


@dataclass(frozen=True, slots=True)
class Quality:
    """How one direction of a call has been, from its beginning until now."""

    loss_percent: float
    """Share of frames that were not there when they were to be played; late ones count as lost."""
    restored_percent: float
    """Share of frames that were lost, but restored from the coarse copy in the packet behind: part of the above."""
    jitter_ms: float
    """Interarrival jitter (RFC 3550)."""
    delay_ms: float
    """Mouth to ear without the sound cards: codec, frame, network where it is known, and buffer."""
    rating: float
    """R of the E-model, 0 to 100."""
    mos: float
    """Mean opinion score expected, 1 to 4.4."""
    sentence: str
    """The same for people."""


def rating(loss_percent: float, delay_ms: float, burst_ratio: float = 1.0) -> float:
    """R of the E-model, 0 to 93.2.

    ``burst_ratio`` is the mean length of gaps over that expected of independent losses, 1 or more (G.107, BurstR).
    """
    late = max(0.0, delay_ms - NOTICED_DELAY)
    delay_impairment = 0.024 * delay_ms + 0.11 * late
    loss_impairment = 95.0 * loss_percent / (loss_percent / burst_ratio + LOSS_ROBUSTNESS)
    return min(BEST_RATING, max(0.0, BEST_RATING - delay_impairment - loss_impairment))


def opinion(rated: float) -> float:
    """The mean opinion score that goes with R (G.107, Annex B)."""
    if rated <= 0.0:
        return 1.0
    if rated >= 100.0:
        return 4.5
    return max(1.0, 1.0 + 0.035 * rated + 7e-6 * rated * (rated - 60.0) * (100.0 - rated))


def quality_of(
    frames: int, lost: int, restored: int, gaps: int, jitter: float, delay: float, received: int
) -> Quality:
    """Sum up: frames due, those of them that were lost, restored of these, gaps; jitter and delay in seconds."""
    loss = 100.0 * lost / frames if frames else 0.0
    coarse = 100.0 * restored / frames if frames else 0.0
    burst = max(1.0, lost / gaps * (1.0 - loss / 100.0)) if gaps else 1.0
    rated = rating(loss - (1.0 - RESTORED) * coarse, 1000.0 * delay, burst) if received else 0.0
    mos = opinion(rated)
    words = _sentence(mos, loss, coarse, 1000.0 * delay) if received else "No sound has been heard yet."
    return Quality(loss, coarse, 1000.0 * jitter, 1000.0 * delay, rated, mos, words)


_VERDICTS = ((4.2, "Excellent"), (4.0, "Good"), (3.6, "Fair"), (3.1, "Poor"), (0.0, "Bad"))


def _sentence(mos: float, loss: float, coarse: float, delay: float) -> str:
    verdict = next(word for least, word in _VERDICTS if mos >= least)
    if loss < 0.1 and delay <= NOTICED_DELAY:
        return f"{verdict}: nothing was lost, and the answer comes at once."
    if rating(loss, 0.0) <= rating(0.0, delay):
        how = ", most of it restored from copies" if coarse > loss / 2 else ""
        return f"{verdict}: {loss:.1f} % of the sound was lost on the way{how}."
    if delay > NOTICED_DELAY:
        return f"{verdict}: words take {delay:.0f} ms to arrive, long enough to talk into each other."
    return f"{verdict}: hardly anything was lost ({loss:.1f} %)."
