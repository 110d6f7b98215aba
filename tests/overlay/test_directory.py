"""The records of one supernode: the newest wins, the old ones go, and all who hold the same digest the same."""

from __future__ import annotations

import random
from dataclasses import replace
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from members import WALL, digest, entry_of

from halloo.base.errors import PeerError
from halloo.messages.credential import Listing, Record, list_entry
from halloo.overlay.directory import AHEAD, KEEP_FOR, Directory
from halloo.overlay.slots import EVERYTHING, SLOTS, Prefix, key_of
from halloo.sim.town import Town

NAMES = ("alice", "bob", "carol", "dora", "emil")
KEYS = {name: key_of(digest, name) for name in NAMES}
written = st.lists(st.tuples(st.sampled_from(NAMES), st.integers(1, 5)), max_size=25)


@given(written, st.randoms(use_true_random=False))
def test_in_whatever_order_records_come_the_newest_is_held(said: list[tuple[str, int]], rng: Random) -> None:
    one, other = Directory(digest), Directory(digest)
    entries = [entry_of(name, version=version) for name, version in said]
    for entry in entries:
        one.store(entry, WALL)
    rng.shuffle(entries)
    for entry in entries:
        other.store(entry, WALL)
    newest = {name: max(version for who, version in said if who == name) for name, _ in said}
    for name, key in KEYS.items():
        assert one.version(key) == other.version(key) == newest.get(name, 0)
    for slot in range(SLOTS):
        assert one.parts(Prefix(3, slot)) == other.parts(Prefix(3, slot))


@given(written)
def test_a_slot_is_digested_by_what_is_in_it(said: list[tuple[str, int]]) -> None:
    held = Directory(digest)
    for name, version in said:
        held.store(entry_of(name, version=version), WALL)
    for slot in range(SLOTS):
        under = [(key, version) for _, key, version in held.under(Prefix(3, slot))]
        here = [(key, held.version(key)) for key in KEYS.values() if key >> 61 == slot and held.version(key)]
        assert sorted(under) == sorted(here)
        assert (held.parts(Prefix(3, slot)) == bytes(256)) == (not under)
    assert len(list(held.under(EVERYTHING))) == len(held)


def test_the_newer_record_wins_and_old_ones_go() -> None:
    held = Directory(digest)
    assert held.store(entry_of("alice", version=5), WALL)
    assert not held.store(entry_of("alice", version=4), WALL)
    assert not held.store(entry_of("alice", version=5), WALL)
    assert held.store(entry_of("alice", version=6), WALL)
    found = held.find(KEYS["alice"], WALL + 10)
    assert found is not None
    assert found.listing.version == 6
    assert held.find(KEYS["alice"], WALL + KEEP_FOR + 1) is None
    assert not held.store(entry_of("bob", issued=WALL - KEEP_FOR - 5), WALL)
    assert len(held) == 0


def test_what_is_too_old_is_forgotten_in_one_look() -> None:
    held = Directory(digest)
    held.store(entry_of("alice", issued=WALL), WALL)
    held.store(entry_of("bob", issued=WALL + 100), WALL)
    held.expire(WALL + KEEP_FOR + 50)
    assert [entry.name for entry in held.all()] == ["bob"]


def test_a_record_of_the_far_future_is_not_kept_for_ever() -> None:
    held = Directory(digest)
    assert held.store(entry_of("alice", issued=WALL + AHEAD - 1), WALL)
    assert not held.store(entry_of("bob", issued=WALL + AHEAD + 1), WALL)


def test_only_the_same_entry_is_forgotten() -> None:
    held = Directory(digest)
    old, new = entry_of("alice", version=1), entry_of("alice", version=2)
    held.store(old, WALL)
    held.store(new, WALL)
    held.forget(old)
    assert held.version(KEYS["alice"]) == 2
    held.forget(new)
    assert len(held) == 0


@pytest.mark.parametrize("part", ["credential", "listing", "signature"])
def test_a_record_that_was_altered_is_refused(part: str) -> None:
    town = Town(1, supernodes=1)
    private = town.suite.identity.make(random.Random(1))
    credential = town.credential("alice", town.suite.identity.public(private))
    listing = Listing(version=1, issued=int(WALL), state=1, node=bytes(8))
    record: Record = list_entry(credential, listing, private, town.suite.identity.sign)
    assert town.descriptor.notary.record(record, WALL).name == "alice"
    value = getattr(record, part)
    for at in range(0, len(value), 3):
        altered = value[:at] + bytes([value[at] ^ 1]) + value[at + 1 :]
        with pytest.raises(PeerError):
            town.descriptor.notary.record(replace(record, **{part: altered}), WALL)
