"""S-build: one build, a third of all nodes, ends when it hears a certain record; the others go on."""

from __future__ import annotations

from halloo.base.machine import Message
from halloo.messages.credential import Record
from halloo.sim.figures import Criterion, Outcome
from halloo.sim.play import Progress, Setting
from halloo.sim.scenarios.base import BACK_WITHIN, Scenario
from halloo.sim.stages import stage_of

__all__ = ["SCENARIO"]

SHARE = 0.3
RESTARTS = 10.0  # seconds until a program that ended is started again
LASTS = 600.0  # seconds that are watched
POISON = "poisoned"
LOOKS_EACH = 2.0  # seconds between two users who look for the poisoned record


def poisoned(message: Message) -> bool:
    """Whether a message carries the record that one build cannot bear."""
    held = getattr(message, "records", None) or getattr(message, "record", None) or ()
    return any(isinstance(one, Record) and POISON.encode() in one.listing for one in held)


def play(setting: Setting, progress: Progress | None) -> Outcome:
    """Play it."""
    stage = stage_of(setting, length=LASTS + 30.0, progress=progress)
    stage.come_up()
    weak = dict.fromkeys(
        [
            *stage.rng.sample(stage.supernodes, round(SHARE * len(stage.supernodes))),
            *stage.rng.sample(stage.users, round(SHARE * len(stage.users))),
        ]
    )
    stage.weaken(weak, poisoned, RESTARTS)
    stage.run(30.0)
    at = stage.now
    whole = [name for name in stage.users if name not in weak]
    source = next(name for name in whole if name in stage.on_line)
    stage.publish_as(source, POISON)
    stage.world.every(LOOKS_EACH, lambda: stage.looks_for(source))
    stage.search_often(2.0, LASTS)
    calls = [call for call in stage.calls if call[0] not in weak and call[1] not in weak]
    back = stage.until_back(at + 30.0, whole, LASTS)
    stage.run(at + LASTS - stage.now)
    outcome = stage.outcome(SCENARIO.name)
    still = dict.fromkeys(call for _, _, call in stage.calls)
    outcome.figures |= {
        "crashes": stage.crashes,
        "back_after_s": back,
        "whole_on_line": round(sum(name in stage.on_line for name in whole) / len(whole), 5),
        "whole_calls_lost": sum(call not in still for _, _, call in calls),
    }
    outcome.criteria = (
        Criterion("back_after_s", "99 of 100 of the other builds are registered, seconds", most=BACK_WITHIN),
        Criterion("whole_on_line", "of the other builds on line at the end", least=0.99),
        Criterion("whole_calls_lost", "calls between nodes of other builds that were lost", most=0),
        Criterion("search_success", "searches for users on line that found them", least=0.999),
    )
    return outcome


SCENARIO = Scenario("s-build", "one build, 30 % of all nodes, ends at a poisoned record; the rest goes on", play)
