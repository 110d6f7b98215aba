"""Growth: a small network becomes five times as large within an hour, without anybody's doing."""

from __future__ import annotations

from halloo.sim.figures import Criterion, Outcome
from halloo.sim.play import Progress, Setting
from halloo.sim.scenarios.base import Scenario
from halloo.sim.stages import stage_of

__all__ = ["SCENARIO"]

FACTOR = 5
HOURS = 1.0  # until all are there


def play(setting: Setting, progress: Progress | None) -> Outcome:
    """Play it."""
    lasts = 3_600.0 * (setting.hours or HOURS)
    stage = stage_of(setting, length=lasts + 120.0, progress=progress, present=1 / FACTOR)
    stage.come_up()
    stage.search_often(2.0, lasts)
    newcomers = [name for name in stage.users if name not in stage.expected]
    for i, name in enumerate(newcomers):
        stage.world.plan(lasts * i / len(newcomers), stage.arrive, name)
    stage.run(lasts)
    back = stage.until_back(stage.now, stage.expected, 120.0)
    outcome = stage.outcome(SCENARIO.name)
    outcome.figures |= {
        "back_after_s": back,
        "nodes_per_supernode": round(len(stage.expected) / max(1, len(stage.supernodes_now())), 1),
    }
    outcome.criteria = (
        Criterion("back_after_s", "99 of 100 are on line, seconds after the last came", most=60.0),
        Criterion("nodes_per_supernode", "users for each supernode at the end", most=800),
        Criterion("search_success", "searches for users on line that found them", least=0.9999),
        Criterion("calls_lost", "calls under way that were lost", most=0),
    )
    return outcome


SCENARIO = Scenario("growth", "the network becomes five times as large within an hour", play)
