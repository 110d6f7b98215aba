"""A crowd: whether it tells the same story as minds do, and how large and how fast it is.

    python -m bench.crowd [--json] [--compare 2000] [--seeds 1] [--nodes 0] [--hours 0.5] [--seed 1]

``--compare``: so many nodes play one story at both degrees of truth (0: none), and what differs by more than is
allowed fails.  ``--nodes``: so many come and go as a crowd (0: none), for ``--hours``.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from typing import Any

from halloo.sim.play import Setting
from halloo.sim.scenarios.catalogue import SCENARIOS
from halloo.sim.truth import apart

MOST_MEMORY = 8_192  # MB, for a million nodes
LEAST_SPEED = 1.0  # virtual seconds in one of life


def compared(nodes: int, seeds: range, timings: str = "modern") -> dict[str, Any]:
    """One story at both degrees."""
    setting = Setting(nodes=nodes, calls=min(100, nodes // 50), timings=timings)
    return {
        one.figure: {"minds": round(one.minds, 3), "crowd": round(one.crowd, 3), "share": round(one.share, 4),
                     "good": one.good}
        for one in apart(setting, seeds)
    }


def large(nodes: int, hours: float, seed: int, scenario: str = "churn") -> dict[str, Any]:
    """A crowd that comes and goes: its figures, its memory and its speed."""
    began = time.perf_counter()
    setting = Setting(nodes=nodes, seed=seed, hours=hours, calls=100, degree="crowd")
    outcome = SCENARIOS[scenario].play(setting, None)
    took = time.perf_counter() - began
    return {
        **outcome.table(),
        "crowd_seconds": round(took, 1),
        "crowd_times_faster_than_life": round(outcome.figures["virtual_seconds"] / took, 2),
        "crowd_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1_024,
    }


def main() -> None:
    """Measure, and say how the figures stand to what was asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--compare", type=int, default=2_000)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--nodes", type=int, default=0)
    parser.add_argument("--hours", type=float, default=0.5)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    figures: dict[str, Any] = {}
    passed = True
    if arguments.nodes:
        figures |= large(arguments.nodes, arguments.hours, arguments.seed)
        passed &= figures["crowd_memory_mb"] <= MOST_MEMORY
        passed &= figures["crowd_times_faster_than_life"] >= LEAST_SPEED
    if arguments.compare:
        first = arguments.seed
        figures["apart"] = compared(arguments.compare, range(first, first + arguments.seeds))
        passed &= all(one["good"] for one in figures["apart"].values())
    if arguments.json:
        print(json.dumps(figures))
    else:
        for name, value in figures.items():
            if name != "apart":
                print(f"{name:32} {value}")
        for name, one in figures.get("apart", {}).items():
            verdict = "reached" if one["good"] else "NOT reached"
            print(f"{name:32} minds {one['minds']:>10}  crowd {one['crowd']:>10}  apart {one['share']:.1%}: {verdict}")
    if not passed:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
