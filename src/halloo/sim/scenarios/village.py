"""Village: one supernode, and a network that becomes large within some hours; all others come out of its users."""

from __future__ import annotations

from dataclasses import replace
from math import log

from halloo.sim.figures import Criterion, Outcome
from halloo.sim.play import Play, Progress, Setting
from halloo.sim.scenarios.base import Scenario
from halloo.sim.setting import LENT

__all__ = ["SCENARIO"]

FEW = 20  # users who are there at first
HOURS = 2.0  # until all are
QUIET = 1_200.0  # seconds that are watched after that
PLACES = 50  # nodes that a supernode takes at most, where nobody says otherwise: small machines


def play(setting: Setting, progress: Progress | None) -> Outcome:
    """Play it."""
    places = PLACES if setting.places >= LENT else setting.places
    lasts = 3_600.0 * (setting.hours or HOURS)
    setting = replace(setting, first=1, places=places, willing=max(setting.willing, 0.3))
    few = min(FEW, setting.nodes)
    stage = Play(setting, length=lasts + QUIET, progress=progress, present=few / setting.nodes)
    stage.come_up()
    stage.search_often(1.0, lasts + QUIET - 20.0)
    newcomers = [name for name in stage.users if name not in stage.expected]
    for i, name in enumerate(newcomers):
        # It doubles, and doubles again, each time in as long: each brings a friend.
        stage.world.plan(lasts * log((few + i + 1) / few) / log(setting.nodes / few), stage.arrive, name)
    stage.run(lasts)
    at = stage.now
    back = stage.until_back(at, stage.expected, QUIET)
    stage.run(lasts + QUIET - stage.now)
    outcome = stage.outcome(SCENARIO.name)
    supernodes = max(1, len(stage.supernodes_now()))
    outcome.figures |= {
        "back_after_s": back,
        "supernode_drift": stage.drift(at),
        "nodes_per_supernode": round(len(stage.expected) / supernodes, 1),
    }
    outcome.criteria = (
        Criterion("back_after_s", "99 of 100 are on line, seconds after the last came", most=120.0),
        Criterion("nodes_per_supernode", "users for each supernode at the end, of its places", most=0.75 * places),
        Criterion("supernode_drift", "changes of role in ten minutes, one left out, of the supernodes", most=0.02),
        Criterion("search_success", "searches for users on line that found them", least=0.999),
        Criterion("calls_lost", "calls under way that were lost", most=0),
    )
    return outcome


SCENARIO = Scenario("village", "one supernode, and all others come out of the users, within two hours", play, 1_000)
