"""One question to those who hold a key: when the next one is asked, what is believed, and that it always ends."""

from __future__ import annotations

import itertools
from dataclasses import replace
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from members import WALL, digest, entry_of, notary

from halloo.base.address import Address, Wire
from halloo.base.effects import Send
from halloo.base.machine import Effects, Numbers
from halloo.messages.credential import Entry
from halloo.messages.directory import Found, Search
from halloo.overlay.inquiry import (
    AT_LEAST,
    BELIEVED,
    GIVE_UP,
    HEDGE,
    HEDGE_MOST,
    MAX_CANDIDATES,
    MAX_DISTRUSTED,
    MAX_INQUIRIES,
    MORE,
    ONLINE_FOR,
    SETTLED,
    THOROUGH,
    THOROUGH_FOR,
    Inquiries,
    Learnt,
)
from halloo.overlay.slots import key_of

KEY = key_of(digest, "alice")
HOLDERS = [Address.of(f"10.0.0.{n}", 1) for n in range(1, 10)]
OLD = 2 * SETTLED
"""Seconds ago that a record must have been issued for those who do not have it to be liars."""


class Asking:
    """Inquiries, and whom they have asked so far."""

    def __init__(self) -> None:
        self.all = Inquiries(notary(), digest, Random(1), Numbers(), WALL)
        self.asked: list[Address] = []
        self.learnt: list[Learnt] = []
        self.token = b""

    def note(self, effects: Effects) -> Effects:
        for effect in effects:
            if isinstance(effect, Learnt):
                self.learnt.append(effect)
            else:
                assert isinstance(effect, Send)
                assert isinstance(effect.message, Search)
                assert isinstance(effect.to, Wire)
                self.asked.append(effect.to.address)
                self.token = effect.message.token
        return effects

    def ask(self, holders: list[Address] = HOLDERS, now: float = 0.0, *, thorough: bool = False) -> int:
        number, effects = self.all.ask(KEY, holders, now, thorough=thorough)
        self.note(effects)
        return number

    def say(
        self,
        who: Address,
        entry: Entry | None = None,
        *,
        now: float = 0.02,
        complete: bool = True,
        others: tuple[Address, ...] = (),
        token: bytes | None = None,
    ) -> None:
        records = (entry.record,) if entry else ()
        found = Found(records=records, complete=complete, others=others, token=self.token if token is None else token)
        self.note(self.all.receive(found, who, now))

    def wait(self, until: float) -> None:
        while self.all.wake_at <= until:
            self.note(self.all.wake(self.all.wake_at))


def test_the_first_answer_ends_it() -> None:
    it = Asking()
    number = it.ask()
    assert it.asked == HOLDERS[:1]
    entry = entry_of("alice")
    it.say(HOLDERS[0], entry)
    (learnt,) = it.learnt
    assert (learnt.number, learnt.entry, learnt.complete, learnt.heard, learnt.messages) == (number, entry, True, 1, 2)
    assert it.all.wake_at == float("inf")
    it.say(HOLDERS[0], entry)
    assert len(it.learnt) == 1


def test_the_next_is_asked_after_a_while_and_then_more_and_more_slowly() -> None:
    it, times = Asking(), [0.0]
    it.ask()
    while it.all.wake_at < GIVE_UP:
        times.append(it.all.wake_at)
        it.wait(it.all.wake_at)
    waits = [round(after - before, 6) for before, after in itertools.pairwise(times)]
    assert waits[:4] == [HEDGE, 2 * HEDGE, 4 * HEDGE, HEDGE_MOST]
    assert it.asked == HOLDERS[: len(times)]
    it.wait(GIVE_UP)
    assert [one.complete for one in it.learnt] == [False]
    assert it.learnt[0].heard == 0


def test_that_there_is_nothing_takes_the_word_of_several() -> None:
    it = Asking()
    it.ask()
    for count in range(1, BELIEVED + 1):
        assert not it.learnt
        assert len(it.asked) >= min(len(HOLDERS), 1 + MORE * (count - 1))
        it.say(it.asked[count - 1])
    (learnt,) = it.learnt
    assert (learnt.entry, learnt.complete, learnt.heard) == (None, True, BELIEVED)


@pytest.mark.parametrize(("heard", "complete"), [(AT_LEAST - 1, False), (AT_LEAST, True)])
def test_with_fewer_than_three_nothing_is_settled(heard: int, complete: bool) -> None:
    it = Asking()
    it.ask()
    for who in HOLDERS[:heard]:
        it.say(who)
    it.wait(GIVE_UP)
    (learnt,) = it.learnt
    assert (learnt.complete, learnt.heard) == (complete, heard)


def test_in_a_network_of_one_his_word_is_all_there_is() -> None:
    it = Asking()
    it.ask(HOLDERS[:1])
    it.say(HOLDERS[0])
    assert it.learnt[0].complete


def test_who_lies_that_there_is_nothing_is_outvoted_by_one_record_and_asked_last() -> None:
    it = Asking()
    it.ask()
    entry = entry_of("alice", issued=WALL - OLD)
    for who in HOLDERS[:3]:
        it.say(who)
    it.say(HOLDERS[3], entry)
    assert it.learnt[0].entry == entry
    assert [who for who in HOLDERS if it.all.distrust.get(who)] == HOLDERS[:3]
    it.asked.clear()
    it.ask(now=10.0)
    assert it.asked == HOLDERS[3:4]


def test_who_has_not_got_it_yet_is_no_liar_and_who_is_right_is_forgiven() -> None:
    it = Asking()
    it.ask()
    it.say(HOLDERS[0])
    it.say(HOLDERS[1], entry_of("alice", issued=WALL - 1))
    assert it.all.distrust == {}
    it.all.distrust[HOLDERS[2]] = 1.0
    it.ask(HOLDERS[2:3], now=10.0)
    it.say(HOLDERS[2], entry_of("alice", issued=WALL - OLD), now=10.1)
    assert it.all.distrust[HOLDERS[2]] < 1.0


def test_who_asks_thoroughly_hears_the_newest_of_three() -> None:
    it = Asking()
    it.ask(thorough=True)
    assert it.asked == HOLDERS[:THOROUGH]
    old, new = entry_of("alice", version=1, issued=WALL - OLD), entry_of("alice", version=2, issued=WALL - OLD)
    it.say(HOLDERS[0], old)
    it.say(HOLDERS[1], new)
    assert not it.learnt
    it.say(HOLDERS[2], old)
    assert it.learnt[0].entry == new
    assert set(it.all.distrust) == {HOLDERS[0], HOLDERS[2]}


def test_who_asks_thoroughly_does_not_wait_long_for_the_others() -> None:
    it = Asking()
    it.ask(thorough=True)
    entry = entry_of("alice")
    it.say(HOLDERS[0], entry)
    it.wait(0.02 + THOROUGH_FOR + 0.001)
    assert it.learnt[0].entry == entry


def test_a_record_that_its_owner_should_have_renewed_is_not_taken_from_one() -> None:
    it = Asking()
    it.ask()
    stale = entry_of("alice", version=1, issued=WALL - ONLINE_FOR - 60)
    fresh = entry_of("alice", version=2, issued=WALL - OLD)
    it.say(HOLDERS[0], stale)
    assert not it.learnt
    it.say(HOLDERS[1], fresh)
    assert it.learnt[0].entry == fresh
    assert HOLDERS[0] in it.all.distrust


def test_only_who_was_asked_is_heard_and_only_with_the_token() -> None:
    it = Asking()
    it.ask()
    entry = entry_of("alice")
    it.say(HOLDERS[5], entry)
    it.say(HOLDERS[0], entry, token=bytes(8))
    assert not it.learnt
    it.say(HOLDERS[0])
    it.say(HOLDERS[0], entry)  # it has said the contrary
    assert not it.learnt


def test_another_persons_record_and_a_false_one_are_no_answer() -> None:
    it = Asking()
    it.ask()
    it.say(HOLDERS[0], entry_of("bob"))
    assert not it.learnt
    record = replace(entry_of("alice").record, signature=b"x")
    forged = Found(records=(record,), complete=True, token=it.token)
    it.note(it.all.receive(forged, HOLDERS[1], 0.03))
    assert not it.learnt


def test_who_does_not_hold_it_names_who_does() -> None:
    it = Asking()
    it.ask(HOLDERS[:1])
    it.say(HOLDERS[0], complete=False, others=tuple(HOLDERS[1:4]))
    assert it.asked == HOLDERS[:2]
    it.say(HOLDERS[1], entry_of("alice"))
    assert it.learnt[0].entry is not None


def test_where_answers_are_lost_somebody_is_asked_again() -> None:
    it = Asking()
    it.ask(HOLDERS[:1])
    it.wait(HEDGE + 0.01)
    assert it.asked == [HOLDERS[0], HOLDERS[0]]


answers = st.lists(
    st.tuples(st.integers(0, 30), st.sampled_from(["nothing", "record", "elsewhere", "wrong", "wait"]), st.booleans()),
    max_size=80,
)


@settings(max_examples=60)
@given(answers, st.booleans(), st.integers(0, 20))
def test_it_ends_and_asks_no_more_than_so_many(
    said: list[tuple[int, str, bool]], thorough: bool, holders: int
) -> None:
    it, now = Asking(), 0.0
    everybody = [Address.of(f"10.0.1.{n}", 1) for n in range(31)]
    it.ask(everybody[:holders], thorough=thorough)
    for at, what, named in said:
        now += 0.05 if what == "wait" else 0.0
        it.wait(now)
        entry = {"record": entry_of("alice"), "wrong": entry_of("bob")}.get(what)
        others = tuple(everybody[at % 28 : at % 28 + 4]) if named else ()
        it.say(everybody[at], entry, now=now, complete=what != "elsewhere", others=others)
    it.wait(GIVE_UP + 0.1)
    assert len(it.learnt) == 1
    assert len(set(it.asked)) <= MAX_CANDIDATES
    assert (it.all._inquiries, it.all._tokens) == ({}, {})


def test_inquiries_at_once_are_bounded() -> None:
    it = Asking()
    for _ in range(MAX_INQUIRIES):
        it.ask()
    assert it.all.full
    it.ask()
    assert len(it.learnt) == 1
    assert not it.learnt[0].complete
    it.wait(GIVE_UP)
    assert len(it.learnt) == MAX_INQUIRIES + 1


def test_liars_are_remembered_within_bounds() -> None:
    it = Asking()
    entry = entry_of("alice", issued=WALL - OLD)
    for number in range(MAX_DISTRUSTED + 20):
        liar = Address.of(f"10.3.{number // 250}.{number % 250 + 1}", 1)
        it.ask([liar, HOLDERS[0]])
        it.say(liar)
        it.say(HOLDERS[0], entry)
    assert len(it.all.distrust) == MAX_DISTRUSTED
