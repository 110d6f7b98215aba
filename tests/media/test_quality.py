"""From figures to a score and a sentence."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from halloo.media.quality import Arrivals, opinion, quality_of, rating


def test_known_points_of_the_model() -> None:
    # G.107, Annex B: R 93.2 is 4.41, R 80 is 4.02, R 70 is 3.60, R 60 is 3.10, R 50 is 2.58.
    for rated, mos in ((93.2, 4.41), (80, 4.02), (70, 3.60), (60, 3.10), (50, 2.58), (0, 1.0), (100, 4.5)):
        assert opinion(rated) == pytest.approx(mos, abs=0.01)
    assert rating(0.0, 0.0) == 93.2
    assert rating(0.0, 100.0) == pytest.approx(93.2 - 2.4)
    assert rating(0.0, 277.3) == pytest.approx(93.2 - 0.024 * 277.3 - 11.0)


def test_loss_weighs_as_measured() -> None:
    # PESQ of Opus' own concealment at independent losses of 5, 10 and 20 %.
    for loss, pesq in ((5, 2.9), (10, 2.2), (20, 1.6)):
        assert opinion(rating(loss, 90.0)) == pytest.approx(pesq, abs=0.35)


@given(st.floats(0, 100), st.floats(0, 5000), st.floats(1, 20))
def test_bounds_and_direction(loss: float, delay: float, burst: float) -> None:
    here = rating(loss, delay, burst)
    assert 0.0 <= here <= 93.2
    assert 1.0 <= opinion(here) <= 4.5
    assert rating(min(100.0, loss + 1), delay, burst) <= here
    assert rating(loss, delay + 10, burst) <= here
    assert rating(loss, delay, burst + 1) <= here


def test_jitter_is_that_of_rfc_3550() -> None:
    steady = Arrivals()
    for n in range(100):
        steady.heard(n, 5.0 + n * 0.02)
    assert steady.jitter == pytest.approx(0.0, abs=1e-9)
    shaky = Arrivals()
    for n in range(500):
        shaky.heard(n, n * 0.02 + (0.01 if n % 2 else 0.0))
    assert shaky.jitter == pytest.approx(0.01, rel=0.01)
    restarted = Arrivals()
    restarted.heard(2**40, 0.0)
    restarted.heard(0, 0.02)
    assert restarted.jitter <= 1 / 16


def test_sentences() -> None:
    def words(lost: int, delay: float, received: int = 1000, restored: int = 0) -> str:
        return quality_of(1000, lost, restored, max(1, lost) if lost else 0, 0.002, delay, received).sentence

    assert words(0, 0.09) == "Excellent: nothing was lost, and the answer comes at once."
    assert words(100, 0.09).startswith("Bad: 10.0 % of the sound was lost")
    restored = "Good: 5.0 % of the sound was lost on the way, most of it restored from copies."
    assert words(50, 0.09, restored=47) == restored
    assert words(0, 0.4).endswith("400 ms to arrive, long enough to talk into each other.")
    assert words(0, 0.09, received=0) == "No sound has been heard yet."
    assert words(2, 0.09).startswith("Excellent")
    assert quality_of(0, 0, 0, 0, 0.0, 0.1, 0).mos == 1.0
