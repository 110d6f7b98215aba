"""S-90: 90 of 100 supernodes vanish for an hour.

Those who remain have neither the hands nor, in a small network, the room for all.  So the network has stood for a while
before: who would help has to be on line for five minutes, and in a network that lives there are always some who are.
"""

from __future__ import annotations

from dataclasses import replace

from halloo.sim.figures import Outcome
from halloo.sim.play import Progress, Setting
from halloo.sim.scenarios.base import Scenario, storm
from halloo.sim.stages import stage_of

__all__ = ["SCENARIO"]

SHARE = 0.9
STOOD = 420.0  # seconds, at least, that the network has stood before
GONE = 3_600.0  # seconds until they come back
AFTER = 300.0  # seconds that are watched then
BACK_WITHIN = 300.0  # seconds for 99 of 100 of the users


def play(setting: Setting, progress: Progress | None) -> Outcome:
    """Play it."""
    length = 30.0 + GONE + AFTER
    setting = replace(setting, stands=max(STOOD, setting.stands))
    stage = stage_of(setting, length=length, progress=progress)
    stage.come_up()
    stage.search_often(1.0, length)
    stage.run(30.0)
    at = stage.now
    for name in stage.spare_share(stage.supernodes_now(), SHARE):
        stage.stop(name)
        stage.world.plan(GONE, stage.start, name)
    back = stage.until_back(at, stage.expected, GONE)
    stage.run(length - stage.now)
    outcome = stage.outcome(SCENARIO.name)
    outcome.figures |= {
        "back_after_s": back,
        "attempts_over_budget": round(stage.attempts_peak / setting.work.logins, 3),
        "supernode_swings": stage.swings(at),
        "supernode_drift": stage.drift(at, at + GONE),
        "on_line_least": min(sample["on_line"] for sample in stage.series),
    }
    outcome.criteria = storm(BACK_WITHIN)
    return outcome


SCENARIO = Scenario("s-90", "90 % of the supernodes vanish for an hour", play)
