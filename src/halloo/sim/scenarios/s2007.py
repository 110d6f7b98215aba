"""S-2007: at the peak, 40 of 100 nodes, supernodes among them, restart within five minutes; all log in again."""

from __future__ import annotations

from halloo.sim.figures import Outcome
from halloo.sim.play import Progress, Setting
from halloo.sim.scenarios.base import STORM, Scenario
from halloo.sim.stages import stage_of

__all__ = ["SCENARIO"]

SHARE = 0.4
WITHIN = 300.0  # seconds in which all of them go down
DOWN = 60.0  # seconds that a restart takes
WATCHED = 600.0  # seconds that are waited for all to be back


def play(setting: Setting, progress: Progress | None) -> Outcome:
    """Play it."""
    length = WITHIN + DOWN + WATCHED
    stage = stage_of(setting, length=length, progress=progress)
    stage.come_up()
    stage.search_often(2.0, length)
    stage.run(30.0)
    at = stage.now
    down = stage.spare_share(stage.supernodes_now(), SHARE)
    # Who is in a call ends it by his restart himself: the calls that are watched are those of the others.
    down += stage.rng.sample(stage.spare(stage.ordinary()), round(SHARE * len(stage.users)))
    for name in down:
        moment = WITHIN * stage.rng.random()
        stage.world.plan(moment, stage.stop, name)
        stage.world.plan(moment + DOWN, stage.start, name)
    stage.run(WITHIN + DOWN)
    back = stage.until_back(at + WITHIN + DOWN, stage.expected, WATCHED)
    stage.run(length - stage.now)
    outcome = stage.outcome(SCENARIO.name)
    outcome.figures |= {
        "back_after_s": back,
        "attempts_over_budget": round(stage.attempts_peak / setting.work.logins, 3),
        "supernode_swings": stage.swings(at + WITHIN + DOWN),
        "supernode_drift": stage.drift(at + WITHIN + DOWN),
        "on_line_least": min(sample["on_line"] for sample in stage.series),
    }
    outcome.criteria = STORM
    return outcome


SCENARIO = Scenario("s-2007", "at the peak 40 % of all nodes, supernodes too, restart within 5 minutes", play)
