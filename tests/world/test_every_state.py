"""Every input in every state of every machine: the faults named are the only ones, and what is held is bounded.

The machines, their entrances and bounds are one table, ``fuzz/_machines.py``; the harness ``fuzz.machines`` goes on
where these tests stop.
"""

from __future__ import annotations

from random import Random

import pytest
from fuzz._machines import SUBJECTS, Subject
from fuzz._stages import Stage, stages
from fuzz.machines import batter, bounded, copied, entrances, every_input_once, flood, leave_alone

from halloo.call.call import State as CallState
from halloo.overlay.join import State as JoinState

INPUTS = 10_000  # for each kind of machine
FLOOD = 1_100  # more than any bound of ordinary size

subjects = pytest.mark.parametrize("subject", SUBJECTS, ids=lambda subject: subject.name)


def of(subject: Subject) -> list[Stage]:
    return [stage for stage in stages() if stage.subject is subject]


def test_the_story_brings_machines_to_their_states() -> None:
    for name, states in (("join", JoinState), ("call", CallState)):
        found = " ".join(stage.state for stage in stages() if stage.subject.name == name)
        assert [state.name for state in states if state.name not in found] == []
    assert [subject.name for subject in SUBJECTS if not of(subject)] == []
    assert len(stages()) > 90


@subjects
def test_every_message_intent_and_wake_in_every_state(subject: Subject, seed: int) -> None:
    for stage in of(subject):
        assert every_input_once(stage, Random(seed)) > 5


@subjects
def test_ten_thousand_inputs_leave_a_machine_sound(subject: Subject, seed: int) -> None:
    rng, states = Random(seed), of(subject)
    for stage in states:
        machine = stage.machine()
        now = batter(stage, machine, rng, stage.now, INPUTS // len(states))
        bounded(stage, machine)
        batter(stage, copied(machine), rng, now, 20)


@subjects
def test_a_flood_of_one_thing_is_not_kept(subject: Subject, seed: int) -> None:
    stage = of(subject)[-1]
    for what in entrances(stage):
        flood(stage, stage.machine(), Random(seed), what, FLOOD)


@pytest.mark.parametrize("subject", [subject for subject in SUBJECTS if subject.name != "node"], ids=lambda it: it.name)
def test_a_machine_left_alone_comes_to_rest_or_goes_on(subject: Subject) -> None:
    for stage in of(subject)[:3]:
        leave_alone(stage, stage.machine(), stage.now)
