"""Every input in every state of every machine, in any order, at any time.

The machines are those of ``fuzz._machines``, their states those of ``fuzz._stages``.  A message may raise PeerError, an
intent UsageError, all else nothing.  A machine that was woken does not want to be woken in the past, time may stand
still or leap, what it holds stays within its bounds, and it can be copied at any moment.
"""

from __future__ import annotations

import pickle
import sys
from math import inf
from random import Random
from typing import Any

from fuzz._anything import anything
from fuzz._harness import Run, alone
from fuzz._machines import ORDINARY, PEERS, containers, peer, route
from fuzz._stages import Stage, stages
from halloo.base.errors import PeerError, UsageError

FLOOD = 1_300  # inputs of one kind
INPUTS = 400  # of one machine in one round
PACES = (  # seconds that pass between two inputs, at most: life, a flood, and long silences
    (0.0, 0.0, 0.001, 0.05, 0.4, 3.0),
    (0.0, 0.0, 0.0, 1e-4),
    (0.0, 0.0, 0.01, 3.0, 30.0, 400.0),
)
ALONE = 25_000  # times that a machine left alone is woken: a node that finds no supernode for a day
SETTLES = 6  # times that a machine may ask to be woken at the very moment at which it was


def attack(run: Run) -> None:
    """Some hundred inputs for one machine in one of its states, a round."""
    every = stages()
    while run.on():
        stage = every[run.round % len(every)]
        machine = stage.machine()
        now = batter(stage, machine, run.rng, stage.now, INPUTS)
        bounded(stage, machine)
        batter(stage, copied(machine), run.rng, now, 20)
        if run.round <= len(every):
            leave_alone(stage, machine, now)
        flood(stage, stage.machine(), run.rng, run.rng.choice(entrances(stage)), FLOOD)
        run.executions += INPUTS + 20 + FLOOD
        run.count[stage.subject.name] += INPUTS + 20 + FLOOD


def batter(stage: Stage, machine: Any, rng: Random, now: float, inputs: int) -> float:
    """Inputs of any kind; the time at their end."""
    subject = stage.subject
    intents, tidings, pace = list(subject.intents), list(subject.tidings), rng.choice(PACES)
    for _ in range(inputs):
        now += rng.choice(pace) * rng.random()
        chance = rng.random()
        if chance < 0.55 and subject.hear is not None:
            message = anything(rng, rng.choice(subject.hears), subject.real(machine))
            hear(stage, machine, message, peer(rng) if rng.random() < 0.8 else route(rng), now)
        elif chance < 0.7 and intents:
            ask(stage, machine, rng.choice(intents), rng, now)
        elif chance < 0.85 and tidings:
            subject.tidings[rng.choice(tidings)](machine, rng, now)
        else:
            wake(stage, machine, rng.choice((now, now, max(now, machine_wakes(machine, now)))))
    return now


def flood(stage: Stage, machine: Any, rng: Random, what: Any, inputs: int) -> None:
    """One kind of message from whoever, or one entrance, again and again while time stands still."""
    subject, now = stage.subject, stage.now
    known = subject.real(machine)
    for number in range(inputs):
        if isinstance(what, type):
            hear(stage, machine, anything(rng, what, known if number % 2 else None), peer(rng), now)
        elif what in subject.intents:
            ask(stage, machine, what, rng, now)
        else:
            subject.tidings[what](machine, rng, now)
    bounded(stage, machine)
    wake(stage, machine, now)
    wake(stage, machine, machine_wakes(machine, now))


def entrances(stage: Stage) -> list[Any]:
    """Whatever a machine can be flooded with."""
    return [*(stage.subject.hears if stage.subject.hear else ()), *stage.subject.intents, *stage.subject.tidings]


def hear(stage: Stage, machine: Any, message: Any, sender: Any, now: float) -> None:
    """One message; the peer's fault is the only one there may be."""
    assert stage.subject.hear is not None
    try:
        stage.subject.hear(machine, message, sender, now)
    except PeerError:
        pass


def ask(stage: Stage, machine: Any, intent: str, rng: Random, now: float) -> None:
    """One intent; the caller's fault is the only one there may be."""
    try:
        stage.subject.intents[intent](machine, rng, now)
    except UsageError:
        pass


def wake(stage: Stage, machine: Any, now: float) -> None:
    """Wake a machine; it must come to rest."""
    for _ in range(SETTLES):
        stage.subject.wake(machine, now)
        if machine_wakes(machine, now) > now or getattr(machine, "dead", lambda _: False)(now):
            return
    raise AssertionError(f"{stage.subject.name}, {stage.state}: wants to be woken at {machine.wake_at}, it is {now}")


def leave_alone(stage: Stage, machine: Any, now: float) -> None:
    """Nothing comes for as long as a machine still wants something."""
    for _ in range(ALONE):
        at = getattr(machine, "wake_at", inf)
        if at == inf:
            break
        now = max(now, at)
        wake(stage, machine, now)
    bounded(stage, machine)


def machine_wakes(machine: Any, now: float) -> float:
    """When a machine wants to be woken, if that is within a day."""
    at: float = getattr(machine, "wake_at", now + 1)
    return at if at < now + 86_400 else now + 1


def copied(machine: Any) -> Any:
    """A copy, as a snapshot would keep it."""
    return pickle.loads(pickle.dumps(machine))


def bounded(stage: Stage, machine: Any) -> None:
    """Nothing that a machine holds is beyond its bound."""
    for name, size in containers(machine):
        most = stage.subject.bounds.get(name, ORDINARY)
        assert size <= most, f"{stage.subject.name}, {stage.state}: {size} of {name}, at most {most}"


def every_input_once(stage: Stage, rng: Random) -> int:
    """Each message from known and unknown, each intent, each tiding, each wake, on a fresh copy; how many."""
    subject, count = stage.subject, 0
    for kind in subject.hears if subject.hear is not None else ():
        for sender in (*PEERS[:8], PEERS[-1], route(rng)):
            machine = stage.machine()
            hear(stage, machine, anything(rng, kind, subject.real(machine)), sender, stage.now)
            wake(stage, machine, stage.now)
            count += 1
    for intent in subject.intents:
        for later in (0.0, 1.0, 1e6):
            machine = stage.machine()
            ask(stage, machine, intent, rng, stage.now + later)
            wake(stage, machine, stage.now + later)
            count += 1
    for tiding in subject.tidings.values():
        for later in (0.0, 1.0, 1e6):
            machine = stage.machine()
            tiding(machine, rng, stage.now + later)
            wake(stage, machine, stage.now + later)
            count += 1
    machine = stage.machine()
    due = machine_wakes(machine, stage.now)
    for at in (stage.now, due - 1e-9, due, due, due + 1e-9, due + 1e5, due + 1e5, due + 1e9):
        wake(stage, machine, at)
        count += 1
    return count


if __name__ == "__main__":
    sys.exit(alone("machines", attack))
