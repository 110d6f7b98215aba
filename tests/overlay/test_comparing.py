"""Two who hold a slot come to hold the same, whatever each began with, and say little once they do."""

from __future__ import annotations

from collections.abc import Iterable
from math import inf
from random import Random
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from members import WALL, digest, entry_of, notary

from halloo.base.address import Peer
from halloo.base.effects import Send
from halloo.base.machine import Message
from halloo.messages.block import Compare, Differs, Replicate, Wanted
from halloo.messages.credential import Entry
from halloo.overlay.comparing import (
    COMPARE_EVERY,
    FINER_AT_ONCE,
    TOLD_AT_ONCE,
    WANTED_AT_ONCE,
    WHEN_NEW,
    Comparing,
)
from halloo.overlay.directory import Directory
from halloo.overlay.slots import KEY_BITS, Prefix, key_of
from halloo.wire.command import encode_command

SLOT = 3
NOTARY = notary()
SIZES = {"Compare": 300, "Differs": 17 * TOLD_AT_ONCE + 50, "Wanted": 8 * WANTED_AT_ONCE + 50}


def in_slot(count: int, *, part: int | None = None) -> list[Entry]:
    """Records of the third slot of everything, or of one part of it."""
    found: list[Entry] = []
    number = 0
    while len(found) < count:
        key = key_of(digest, f"user{number}")
        if key >> (KEY_BITS - 3) == SLOT and part in (None, key >> (KEY_BITS - 8) & 31):
            found.append(entry_of(f"user{number}"))
        number += 1
    return found


class Holder:
    """One who holds the slot; the other is its only fellow.  ``refuses``: keys that it does not take."""

    def __init__(self, seed: int, entries: Iterable[Entry]) -> None:
        nodes = [SimpleNamespace(node=b"me"), SimpleNamespace(node=b"other")]
        roster = SimpleNamespace(prefix=Prefix(0, 0), held={SLOT: nodes}, slots_of=lambda _: [SLOT])
        block = SimpleNamespace(roster=roster, node=b"me", links={b"other": Peer(1)})
        self.directory = Directory(digest)
        for entry in entries:
            self.directory.store(entry, WALL)
        self.comparing = Comparing(cast(Any, block), self.directory, Random(seed))
        self.refuses = False

    def take(self, message: Message, now: float) -> list[Message]:
        if not isinstance(message, Replicate):
            return [cast(Send, one).message for one in self.comparing.receive(cast(Any, message), Peer(1), now)]
        new = []
        for record in message.records:
            entry = NOTARY.record(record, WALL)
            if not self.refuses and self.directory.store(entry, WALL):
                new.append(key_of(digest, entry.name))
        self.comparing.brought(new, Peer(1), now)
        return []


class Pair:
    """Two, and what they say to each other."""

    def __init__(self, one: Iterable[Entry], other: Iterable[Entry]) -> None:
        self.holders = Holder(1, one), Holder(2, other)
        self.said: list[Message] = []
        self.now = 0.0

    def run(self, until: float) -> None:
        for holder in self.holders:
            if holder.comparing.wake_at == inf:
                holder.comparing.placed(self.now)
        while (now := min(holder.comparing.wake_at for holder in self.holders)) <= until:
            self.now = now
            for i, holder in enumerate(self.holders):
                if holder.comparing.wake_at <= now:
                    self._carry(1 - i, [cast(Send, one).message for one in holder.comparing.wake(now)])
        self.now = until

    def _carry(self, to: int, messages: list[Message]) -> None:
        self.said += messages
        for message in messages:
            answers = self.holders[to].take(message, self.now)
            assert len(answers) <= WANTED_AT_ONCE
            if answers:
                self._carry(1 - to, answers)

    @property
    def same(self) -> bool:
        one, other = (sorted(holder.directory.under(Prefix(3, SLOT))) for holder in self.holders)
        return one == other

    def sizes(self, kind: str) -> list[int]:
        return [len(encode_command(one)) for one in self.said if type(one).__name__ == kind]


def test_who_holds_the_same_says_one_digest() -> None:
    entries = in_slot(100)
    pair = Pair(entries, entries)
    pair.run(4 * COMPARE_EVERY)
    assert {type(message) for message in pair.said} == {Compare}
    assert max(pair.sizes("Compare")) < 24
    assert len(pair.said) <= 2 * (WHEN_NEW + 5)


@pytest.mark.parametrize("part", [None, 17], ids=["spread", "in one part"])
def test_a_new_holder_gets_thousands_of_records_within_a_minute(part: int | None) -> None:
    entries = in_slot(1_500 if part else 4_000, part=part)
    pair = Pair(entries, [])
    pair.run(60.0)
    assert pair.same
    brought = sum(len(message.records) for message in pair.said if isinstance(message, Replicate))
    assert brought <= 1.2 * len(entries)
    for kind, most in SIZES.items():
        assert max(pair.sizes(kind), default=0) <= most, kind


@pytest.mark.parametrize("part", [None, 17], ids=["spread", "in one part"])
def test_two_halves_of_thousands_of_records_become_one(part: int | None) -> None:
    entries = in_slot(1_500 if part else 4_000, part=part)
    pair = Pair(entries[:1_000], entries[-1_000:])
    pair.run(120.0)
    assert pair.same
    assert len(pair.holders[0].directory) == len(entries[:1_000]) + len(entries[-1_000:]) - (500 if part else 0)


@given(st.data())
@settings(max_examples=30, deadline=None)
def test_any_two_come_to_hold_the_newest_of_both(data: st.DataObject) -> None:
    names = [entry.name for entry in in_slot(60)]
    versions = st.dictionaries(st.sampled_from(names), st.integers(1, 3))
    one, other = data.draw(versions), data.draw(versions)
    pair = Pair(
        [entry_of(name, version=version) for name, version in one.items()],
        [entry_of(name, version=version) for name, version in other.items()],
    )
    pair.run(60.0)
    assert pair.same
    held = {entry.name: entry.listing.version for entry in pair.holders[0].directory.all()}
    assert held == {name: max(one.get(name, 0), other.get(name, 0)) for name in {**one, **other}}


class Torn:
    """Two parts of a network that become one: who holds the slot in either, and only those of one have what is new."""

    def __init__(self, seed: int, old: int, new: int) -> None:
        names = [f"holder{n}".encode() for n in range(old + new)]
        parts = names[:old], names[old:]
        self.now, self.said = 0.0, 0
        self.nodes = {name: SimpleNamespace(node=name) for name in names}
        self.rosters: dict[bytes, Any] = {}
        self.comparing: dict[bytes, Comparing] = {}
        records = in_slot(40)
        for i, part in enumerate(parts):
            for name in part:
                held = {SLOT: [self.nodes[one] for one in part]}
                roster = SimpleNamespace(prefix=Prefix(0, 0), held=held, slots_of=lambda _: [SLOT])
                links = {one: Peer(names.index(one)) for one in names if one != name}
                directory = Directory(digest)
                for entry in records:
                    directory.store(entry_of(entry.name, version=1 + i), WALL)
                block = SimpleNamespace(roster=roster, node=name, links=links)
                self.rosters[name] = roster
                self.comparing[name] = Comparing(cast(Any, block), directory, Random(f"{seed}/{name!r}"))
                self.comparing[name].placed(0.0)
        self.run(100.0)
        self.said = 0
        for name in names:
            self.rosters[name].held[SLOT] = list(self.nodes.values())
            self.comparing[name].placed(self.now)

    def run(self, until: float) -> None:
        names = list(self.comparing)
        while (now := min(one.wake_at for one in self.comparing.values())) <= until:
            self.now = now
            for i, name in enumerate(names):
                if self.comparing[name].wake_at <= now:
                    self._carry(i, self.comparing[name].wake(now))
        self.now = until

    def _carry(self, source: int, effects: list[Any]) -> None:
        names = list(self.comparing)
        for effect in effects:
            self.said += 1
            there = self.comparing[names[effect.to]]
            if isinstance(effect.message, Replicate):
                entries = [NOTARY.record(record, WALL) for record in effect.message.records]
                new = [key_of(digest, one.name) for one in entries if there.directory.store(one, WALL)]
                there.brought(new, Peer(source), self.now)
            else:
                self._carry(effect.to, there.receive(effect.message, Peer(source), self.now))

    @property
    def old(self) -> int:
        """How many still tell something old."""
        return sum(
            any(entry.listing.version < 2 for entry in one.directory.all()) for one in self.comparing.values()
        )


@pytest.mark.parametrize(("old", "new"), [(4, 1), (7, 3), (3, 7), (9, 1)])
def test_where_two_parts_become_one_nobody_tells_old_records_after_a_minute(old: int, new: int) -> None:
    for seed in range(25):
        torn = Torn(seed, old, new)
        torn.run(160.0)
        assert torn.old == 0, f"seed {seed}"
        torn.said = 0
        torn.run(160.0 + COMPARE_EVERY)
        assert torn.said <= 4 * (old + new)  # and then it is quiet


def test_what_is_refused_is_not_brought_again_and_again() -> None:
    pair = Pair(in_slot(100), [])
    pair.holders[1].refuses = True
    pair.run(4 * COMPARE_EVERY)
    brought = sum(len(message.records) for message in pair.said if isinstance(message, Replicate))
    assert brought <= 2 * (WHEN_NEW + 5) * 100


def test_one_message_asks_for_little() -> None:
    """Whoever claims to differ everywhere gets one message of keys, and a few digests."""
    holder = Pair(in_slot(4_000), []).holders[0]
    answers = holder.take(Compare(depth=3, bits=SLOT, parts=bytes(256)), 1.0)
    assert len([one for one in answers if isinstance(one, Differs)]) <= 1
    assert len([one for one in answers if isinstance(one, Compare)]) <= FINER_AT_ONCE
    (_, *finer) = holder.take(Compare(depth=3, bits=SLOT, parts=bytes(8)), 1.0)
    assert finer == []
    assert len(holder.take(Differs(depth=3, bits=SLOT, parts=(1 << 32) - 1), 1.0)) == WANTED_AT_ONCE / 8
    asked = Differs(depth=3, bits=SLOT, parts=1, held=bytes(7) + b"\1" + bytes(7) + b"\1")
    assert isinstance(holder.take(asked, 1.0)[-1], Wanted)
