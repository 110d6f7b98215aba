"""Handing one's own record to its holders: one after the other, three are enough, and it has an end."""

from __future__ import annotations

import random
from math import inf

from records import entry_of

from halloo.base.address import Address, Wire
from halloo.base.effects import Send
from halloo.base.machine import Effects, Numbers
from halloo.messages.directory import Keep, Kept
from halloo.overlay.handing import HAND_NEXT, HANDED_TO, MOST_HANDED, Handing
from halloo.sim.town import Town

TOWN = Town(1, supernodes=1)
RECORD = entry_of(TOWN, "ada", version=9).record
HOLDERS = [Address.of(f"81.{number}.1.1", 33033) for number in range(20)]


def handing() -> Handing:
    return Handing(random.Random(1), Numbers())


def asked(effects: Effects) -> list[Address]:
    for one in effects:
        assert isinstance(one, Send)
        assert isinstance(one.message, Keep)
        assert one.message.record == (RECORD,)
    return [one.to.address for one in effects if isinstance(one, Send) and isinstance(one.to, Wire)]


def kept(effects: Effects, copies: int, others: tuple[Address, ...] = ()) -> Kept:
    (keep,) = [one.message for one in effects if isinstance(one, Send) and isinstance(one.message, Keep)]
    return Kept(copies=copies, others=others, token=keep.token, request=keep.request)


def test_three_who_say_that_they_keep_it_are_enough_and_are_asked_one_after_the_other() -> None:
    machine, now = handing(), 0.0
    out = machine.hand(RECORD, HOLDERS[:6], now)
    for number in range(HANDED_TO):
        assert asked(out) == [HOLDERS[number]]
        assert machine.wake_at == now + HAND_NEXT
        assert machine.receive(kept(out, copies=5), HOLDERS[number], now + 0.1) == []
        now += HAND_NEXT
        out = machine.wake(now) if machine.wake_at <= now else []
    assert out == []
    assert machine.wake_at == inf


def test_who_is_silent_is_passed_over_and_there_is_an_end() -> None:
    machine, now, told = handing(), 0.0, []
    out = machine.hand(RECORD, HOLDERS, now)
    while True:
        told += asked(out)
        if machine.wake_at == inf:
            break
        out = machine.wake(now := machine.wake_at)
    assert told == HOLDERS[:MOST_HANDED]
    assert now == MOST_HANDED * HAND_NEXT


def test_who_does_not_hold_the_slot_names_those_who_do() -> None:
    machine = handing()
    out = machine.hand(RECORD, HOLDERS[:2], 0.0)
    out = machine.receive(kept(out, copies=0, others=tuple(HOLDERS[5:7])), HOLDERS[0], 0.1)
    assert asked(out) == [HOLDERS[5]]
    told = asked(out)
    for number in range(1, 100):  # whatever they name, few are asked
        others = tuple(Address.of(f"82.{number}.{at}.1", 33033) for at in range(4))
        out = machine.receive(kept(out, copies=0, others=others), told[-1], 0.1)
        if not out:
            break
        told += asked(out)
    assert len(told) < MOST_HANDED


def test_what_nobody_was_asked_for_is_not_heard() -> None:
    machine = handing()
    out = machine.hand(RECORD, HOLDERS[:2], 0.0)
    answer = kept(out, copies=0, others=tuple(HOLDERS[5:7]))
    assert machine.receive(answer, HOLDERS[9], 0.1) == []
    assert machine.receive(Kept(copies=0, token=bytes(8), request=1), HOLDERS[0], 0.1) == []
    assert machine.receive(answer, HOLDERS[0], 0.1)
    assert machine.receive(answer, HOLDERS[0], 0.1) == [], "nor twice"
    machine.drop()
    assert machine.wake(1.0) == []
