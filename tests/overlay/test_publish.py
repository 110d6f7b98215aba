"""One's own record: said again, sooner where nobody has kept it."""

from __future__ import annotations

import random

from halloo.base.address import Address
from halloo.base.machine import Numbers
from halloo.messages.directory import Store, Stored
from halloo.overlay.publish import AGAIN, UNKEPT, Published, Publisher
from halloo.sim.mindtown import MindTown
from halloo.sim.world import WALL

TOWN = MindTown(1, 0)


def publisher() -> Publisher:
    identity = TOWN.suite.identity
    private = identity.make(random.Random(1))
    credential = TOWN.credential("alice", identity.public(private))
    numbers = Numbers()
    return Publisher(bytes(8), private, credential, identity.sign, TOWN.suite.digest, random.Random(2), numbers, WALL)


def answered(machine: Publisher, copies: int, now: float) -> float:
    """Seconds until it publishes again."""
    (send,) = machine.wake(now) if machine.wake_at <= now else machine.publish(now)
    assert isinstance(send.message, Store)
    (event,) = machine.receive(Stored(copies=copies, reason="", request=send.message.request), 1, now)
    assert isinstance(event, Published)
    return machine.wake_at - now


def test_what_nobody_has_kept_is_published_again_soon_and_then_less_often() -> None:
    machine = publisher()
    machine.attached((1, Address.of("20.1.2.3", 1)), 10.0)
    pauses, now = [], 10.0
    for _ in range(12):
        pauses.append(answered(machine, 0, now))
        now = machine.wake_at
    assert 0.8 * UNKEPT <= pauses[0] <= UNKEPT
    assert all(0.8 * AGAIN <= pause <= AGAIN for pause in pauses[8:])
    assert pauses[:6] == sorted(pauses[:6])
    assert 0.8 * AGAIN <= answered(machine, 5, now) <= AGAIN
    assert answered(machine, 0, now + 1.0) <= UNKEPT
