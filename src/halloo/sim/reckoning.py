"""What comes of a story: the figures that all scenarios have, and how the supernodes' number has gone."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from math import exp, inf
from statistics import fmean
from typing import TYPE_CHECKING, Any

from halloo.sim.distances import MEDIAN, SPREAD
from halloo.sim.figures import Outcome, quantile

if TYPE_CHECKING:
    from halloo.sim.play import Play

__all__ = ["drift", "outcome", "share_of", "swings"]

WINDOW = 600.0  # seconds in which the number of supernodes may change by no more than a few of a hundred
SETTLES = 120.0  # seconds after an event from which the number of supernodes may not swing any more
MOST_LATENCIES = 20_000  # of searches that an outcome keeps, for a picture

Series = Sequence[dict[str, float]]


def swings(series: Series, since: float) -> int:
    """How often the number of supernodes has changed its direction from two minutes after ``since`` on."""
    counts = [sample["supernodes"] for sample in series if sample["time"] >= since + SETTLES]
    steps = [b - a for a, b in itertools.pairwise(counts) if b != a]
    return sum((a > 0) != (b > 0) for a, b in itertools.pairwise(steps))


def drift(series: Series, since: float, until: float = inf) -> float:
    """From two minutes after ``since`` on, the most changes of role within ten minutes, one of them left out, as a
    share of the supernodes.  Who dies changes no role, and who takes up again what he did before neither.
    """
    counts = [(one["time"], one["roles_changed"], one["supernodes"]) for one in series]
    counts = [one for one in counts if since + SETTLES <= one[0] <= until]
    worst = 0.0
    for i, (begin, before, supernodes) in enumerate(counts):
        after = max(changed for at, changed, _ in counts[i:] if at <= begin + WINDOW)
        worst = max(worst, (after - before - 1) / max(1, supernodes))
    return round(worst, 4)


def outcome(stage: Play, scenario: str) -> Outcome:
    """What has come of it so far."""
    found, recent = stage.found_on_line, stage.found_recent
    mean_round_trip = MEDIAN * exp(SPREAD**2 / 2)
    figures: dict[str, Any] = {
        "supernodes_at_first": stage.setting.supernodes,
        "supernodes_at_last": len(stage.supernodes_now()),
        "promoted": stage.promoted,
        "demoted": stage.demoted,
        "virtual_seconds": round(stage.now, 1),
        "messages": stage.world.delivered,
        "joins": stage.joins,
        "losses": stage.losses,
        "joins_given_up": stage.join_failures,
        "calls_under_way": len(stage.calls),
        "calls_lost": len(stage.calls_lost),
        "calls_lost_because": stage.calls_lost[:5],
        "supernodes_shut_down": stage.shut_down,
        "attempts_peak_per_s": round(stage.attempts_peak, 2),
        "searches": found.asked,
        "search_success": share_of(found.found, found.asked),
        "search_p50_ms": _ms(quantile(found.latencies, 0.5)),
        "search_p99_ms": _ms(quantile(found.latencies, 0.99)),
        "search_round_trips": round(fmean(found.latencies) / mean_round_trip, 3) if found.latencies else None,
        "recent_searches": recent.asked,
        "recent_success": share_of(recent.found, recent.asked),
    }
    return Outcome(
        scenario,
        stage.setting.seed,
        stage.setting.nodes,
        stage.setting.timings,
        stage.degree,
        figures,
        series=stage.series,
        latencies=[round(latency, 4) for latency in found.latencies[:MOST_LATENCIES]],
        map=stage.map(),
    )


def share_of(part: int, whole: int) -> float | None:
    """A part of a whole; None of nothing."""
    return round(part / whole, 6) if whole else None


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else round(1_000 * seconds, 1)
