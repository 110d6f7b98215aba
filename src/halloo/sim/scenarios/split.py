"""S-split: the network is torn into halves for ten minutes; then it has to become one again, also in what it knows."""

from __future__ import annotations

from halloo.sim.figures import Criterion, Outcome
from halloo.sim.play import Progress, Setting
from halloo.sim.scenarios.base import Scenario
from halloo.sim.stages import stage_of

__all__ = ["SCENARIO"]

TORN = 600.0  # seconds
HEALED = 60.0  # seconds within which it is one again
ASKED = 400  # users of either half who are looked for from the other


def play(setting: Setting, progress: Progress | None) -> Outcome:
    """Play it."""
    length = 30.0 + TORN + HEALED + 120.0
    stage = stage_of(setting, length=length, progress=progress)
    stage.come_up()
    stage.run(30.0)
    sides = {name: stage.rng.randrange(2) for name in (*stage.supernodes, *stage.users)}
    for one, other, _ in stage.calls:  # who talks is in one half with whom he talks to: else nothing could help
        sides[other] = sides[one]
    stage.tear(sides)
    stage.run(TORN)
    on_line_torn = len(stage.on_line)
    stage.heal()
    at = stage.now
    moved = [name for name in stage.users if name in stage.on_line]
    back = stage.until_back(at, stage.expected, HEALED)
    stage.run(at + HEALED - stage.now)
    for side in (0, 1):
        here = [name for name in stage.on_line if sides.get(name) == side]
        there = [name for name in moved if sides[name] != side]
        if here and there:
            for _ in range(ASKED):
                stage.search(stage.rng.choice(here), stage.rng.choice(there))
    stage.run(10.0)
    across = stage.found_on_line.found / stage.found_on_line.asked if stage.found_on_line.asked else None
    stage.run(length - stage.now)
    outcome = stage.outcome(SCENARIO.name)
    outcome.figures |= {
        "on_line_torn": on_line_torn,
        "found_across": None if across is None else round(across, 5),
        "newest_across": stage.newest_share(),
        "back_after_s": back,
    }
    outcome.criteria = (
        Criterion("found_across", "users of one half found from the other a minute after healing", least=0.9999),
        Criterion("newest_across", "and of these records, the newest", least=0.9999),
        Criterion("back_after_s", "99 of 100 are registered, seconds after healing", most=HEALED),
        Criterion("calls_lost", "calls within a half that were lost", most=0),
    )
    return outcome


SCENARIO = Scenario("s-split", "the network is torn into halves for 10 minutes, then it heals", play)
