"""What a scenario is, and the criteria that several share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from halloo.sim.figures import Criterion, Outcome
from halloo.sim.play import Progress, Setting
from halloo.sim.stages import MINDS_MOST

__all__ = ["STORM", "Scenario", "storm"]

BACK_WITHIN = 125.0  # seconds, for 99 of 100, at two full logins a second and supernode: twice the least possible


@dataclass(frozen=True, slots=True)
class Scenario:
    """One scenario.  ``play`` plays it; ``nodes``: how many where nobody says; ``minds_most``: up to how many it is
    played as minds where nobody says, so that it does not take hours.
    """

    name: str
    words: str
    play: Callable[[Setting, Progress | None], Outcome]
    nodes: int = 10_000
    minds_most: int = MINDS_MOST


def storm(back_within: float) -> tuple[Criterion, ...]:
    """What is asked wherever many come back at once."""
    return (
        Criterion("back_after_s", "99 of 100 are registered again, seconds", most=back_within),
        Criterion("calls_lost", "calls under way that were lost", most=0),
        Criterion("supernodes_shut_down", "supernodes that gave up their duties", most=0),
        Criterion("attempts_over_budget", "logins begun a second, of what a supernode can do, at the worst", most=1.1),
        Criterion("supernode_swings", "turns in the number of supernodes after two minutes", most=1),
        Criterion("supernode_drift", "their change within ten minutes, one left out, as a share", most=0.02),
    )


STORM = storm(BACK_WITHIN)
