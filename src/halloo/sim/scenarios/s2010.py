"""S-2010: 28 of 100 supernodes die at once, 20 of 100 users crash each minute for ten, login servers answer late."""

from __future__ import annotations

from halloo.sim.figures import Criterion, Outcome
from halloo.sim.play import Progress, Setting
from halloo.sim.scenarios.base import BACK_WITHIN, STORM, Scenario
from halloo.sim.stages import stage_of

__all__ = ["SCENARIO"]

DIE = 0.28
CRASH = 0.2
EACH, FOR = 60.0, 600.0  # seconds: each so often, for so long, the weak program crashes
RESTARTS = 5.0  # seconds that it takes to start again
LATE = 30.0  # seconds by which the login servers are late
AFTER = 400.0  # seconds that are watched when the crashes are over


def play(setting: Setting, progress: Progress | None) -> Outcome:
    """Play it."""
    length = 30.0 + FOR + AFTER
    stage = stage_of(setting, length=length, progress=progress)
    stage.come_up()
    stage.search_often(2.0, length)
    stage.run(30.0)
    at = stage.now
    stage.world.slow["login"] = LATE
    for name in stage.spare_share(stage.supernodes_now(), DIE):
        stage.stop(name)
    weak = stage.rng.sample(stage.spare(stage.ordinary()), round(CRASH * len(stage.users)))
    for name in weak:
        moment = EACH * stage.rng.random()
        while moment < FOR:
            stage.world.plan(moment, stage.stop, name)
            stage.world.plan(moment + RESTARTS, stage.start, name)
            moment += EACH
    crashing = dict.fromkeys(weak)
    sound = [name for name in stage.expected if name not in crashing]
    back = stage.until_back(at, sound, FOR)
    stage.run(at + FOR - stage.now)
    weak_back = stage.until_back(at + FOR + RESTARTS, stage.expected, AFTER)
    stage.run(length - stage.now)
    outcome = stage.outcome(SCENARIO.name)
    outcome.figures |= {
        "back_after_s": back,
        "crashing_back_after_s": weak_back,
        "attempts_over_budget": round(stage.attempts_peak / setting.work.logins, 3),
        "supernode_swings": stage.swings(at),
        "supernode_drift": stage.drift(at),
        "on_line_least": min(sample["on_line"] for sample in stage.series),
    }
    outcome.criteria = (
        *STORM,
        Criterion("crashing_back_after_s", "and of those who crashed, after the last crash, seconds", most=BACK_WITHIN),
    )
    return outcome


SCENARIO = Scenario(
    "s-2010", "28 % of the supernodes die, 20 % of the users crash each minute, login servers answer late", play
)
