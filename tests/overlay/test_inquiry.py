"""Asking in the open: hedged, cross-checked, with a definite end, whatever the others say."""

from __future__ import annotations

import random

from records import entry_of

from halloo.base.address import Address, Wire
from halloo.base.effects import Send
from halloo.base.machine import Effects, Numbers
from halloo.messages.credential import Entry
from halloo.messages.directory import Found, Search
from halloo.overlay.inquiry import BELIEVED, GIVE_UP, HEDGES, MAX_DISTRUSTED, MAX_INQUIRIES, Inquiries, Learnt
from halloo.overlay.slots import key_of
from halloo.sim.town import Town
from halloo.sim.world import WALL

TOWN = Town(1, supernodes=1)
HOLDERS = [Address.of(f"81.{number}.1.1", 33033) for number in range(9)]
KEY = key_of(TOWN.suite.digest, "ada")
NEWEST = entry_of(TOWN, "ada", version=9)
OLD = entry_of(TOWN, "ada", version=3)


def inquiries(*, wall: float = WALL) -> Inquiries:
    return Inquiries(TOWN.descriptor.notary, TOWN.suite.digest, random.Random(1), Numbers(), wall)


def asked(effects: Effects) -> list[Address]:
    return [one.to.address for one in effects if isinstance(one, Send) and isinstance(one.to, Wire)]


def learnt(effects: Effects) -> list[Learnt]:
    return [one for one in effects if isinstance(one, Learnt)]


def answer(effects: Effects, entry: Entry | None, *, complete: bool = True, others: tuple[Address, ...] = ()) -> Found:
    search = next(one.message for one in effects if isinstance(one, Send) and isinstance(one.message, Search))
    records = (entry.record,) if entry is not None else ()
    return Found(records=records, complete=complete, others=others, token=search.token, request=search.request)


def test_the_first_record_that_is_true_ends_it() -> None:
    machine = inquiries()
    _, out = machine.ask(KEY, HOLDERS[:2], 0.0)
    assert asked(out) == HOLDERS[:1]
    (done,) = learnt(machine.receive(answer(out, NEWEST), HOLDERS[0], 0.08))
    assert done.entry is not None
    assert (done.entry.listing.version, done.complete, done.messages) == (9, True, 2)
    assert machine.wake_at == float("inf")


def test_who_does_not_answer_is_hedged_and_asked_last_from_then_on() -> None:
    machine = inquiries()
    _, out = machine.ask(KEY, HOLDERS[:3], 0.0)
    assert machine.wake_at == HEDGES[0]
    second = machine.wake(HEDGES[0])
    assert asked(second) == [HOLDERS[1]]
    assert learnt(machine.receive(answer(out, NEWEST), HOLDERS[1], 0.3))
    _, out = machine.ask(KEY, HOLDERS[:3], 1.0)
    assert asked(out) == [HOLDERS[1]]


def test_that_there_is_nothing_takes_the_word_of_several() -> None:
    machine = inquiries()
    _, out = machine.ask(KEY, HOLDERS[:1], 0.0)
    nothing, others = answer(out, None), HOLDERS[1:5]
    queue = asked(out)
    heard = 0
    while queue:
        told = Found(complete=True, others=tuple(others), token=nothing.token, request=0)
        out = machine.receive(told, queue.pop(0), 0.1)
        heard += 1
        queue += asked(out)
        if learnt(out):
            break
    (done,) = learnt(out)
    assert (done.entry, done.complete, heard) == (None, True, BELIEVED)


def test_one_liar_hides_nobody_and_is_asked_last_afterwards() -> None:
    machine = inquiries(wall=WALL + 600)
    _, out = machine.ask(KEY, HOLDERS[:3], 0.0)
    more = machine.receive(answer(out, None), HOLDERS[0], 0.1)
    assert set(asked(more)) == set(HOLDERS[1:3])
    (done,) = learnt(machine.receive(answer(out, NEWEST), HOLDERS[1], 0.2))
    assert done.entry is not None
    assert machine.distrust == {HOLDERS[0]: 1.0}
    _, out = machine.ask(KEY, HOLDERS[:3], 1.0)
    assert asked(out) == [HOLDERS[1]]


def test_the_newest_of_several_is_taken_where_that_is_asked_for() -> None:
    machine = inquiries()
    _, out = machine.ask(KEY, HOLDERS[:4], 0.0, thorough=True)
    assert asked(out) == HOLDERS[:3]
    assert not learnt(machine.receive(answer(out, OLD), HOLDERS[0], 0.1))
    assert not learnt(machine.receive(answer(out, NEWEST), HOLDERS[1], 0.1))
    (done,) = learnt(machine.receive(answer(out, OLD), HOLDERS[2], 0.1))
    assert done.entry is not None
    assert done.entry.listing.version == 9


def test_who_does_not_hold_the_key_refers_to_who_does() -> None:
    machine = inquiries()
    _, out = machine.ask(KEY, HOLDERS[:2], 0.0)
    more = machine.receive(answer(out, None, complete=False, others=(HOLDERS[7],)), HOLDERS[0], 0.1)
    assert asked(more) == [HOLDERS[7]]  # before the one who was a candidate by guess
    assert learnt(machine.receive(answer(out, NEWEST), HOLDERS[7], 0.2))


def test_answers_that_nobody_asked_for_change_nothing() -> None:
    machine = inquiries()
    _, out = machine.ask(KEY, HOLDERS[:2], 0.0)
    true = answer(out, NEWEST)
    assert machine.receive(true, HOLDERS[5], 0.1) == []  # from somebody who was not asked
    assert machine.receive(Found(records=true.records, complete=True, token=bytes(8)), HOLDERS[0], 0.1) == []
    forged = answer(out, entry_of(TOWN, "ada", version=99, key_of="eve"))
    other = answer(out, entry_of(TOWN, "bob", version=99))
    for lie in (forged, other):
        assert not learnt(machine.receive(lie, HOLDERS[0], 0.1))
    assert learnt(machine.receive(true, HOLDERS[1], 0.2))


def test_silence_ends_it_too_and_nothing_is_kept() -> None:
    machine = inquiries()
    for _ in range(MAX_INQUIRIES + 5):
        _, out = machine.ask(KEY, HOLDERS, 0.0)
    assert [done.complete for done in learnt(out)] == [False]  # one too many: said at once
    now, ended = 0.0, 0
    while machine.wake_at < float("inf"):
        now = machine.wake_at
        ended += len(learnt(machine.wake(now)))
    assert ended == MAX_INQUIRIES
    assert now <= GIVE_UP
    assert not machine._tokens


def test_liars_are_remembered_within_bounds() -> None:
    machine = inquiries(wall=WALL + 600)
    for number in range(MAX_DISTRUSTED + 50):
        liar = Address.of(f"82.{number % 250}.{number // 250}.1", 1)
        _, out = machine.ask(KEY, [liar, HOLDERS[0]], float(number))
        if asked(out) != [liar]:
            continue
        machine.receive(answer(out, None), liar, number + 0.1)
        machine.receive(answer(out, NEWEST), HOLDERS[0], number + 0.2)
    assert 0 < len(machine.distrust) <= MAX_DISTRUSTED
