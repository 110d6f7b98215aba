"""Blocks as they live: they fill, split, merge, are torn and heal, and nobody's record is lost."""

from __future__ import annotations

from collections import Counter

import pytest

from halloo.base.machine import Event
from halloo.overlay.block import Block
from halloo.overlay.halving import SPLIT_AT
from halloo.overlay.publish import Published
from halloo.overlay.search import SearchDone
from halloo.overlay.slots import SEATS, SLOTS, SPARES, STANDBY, key_of, slot_of
from halloo.sim.minds import Dweller
from halloo.sim.mindtown import MindTown, user_address


def started(town: MindTown) -> list[str]:
    names = [f"supernode{number}" for number in range(town.supernodes)]
    for name in names:
        town.start(name)
    return names


def block(town: MindTown, name: str) -> Block:
    supernode = town.node(name).supernode
    assert supernode is not None
    return supernode.block


def views(town: MindTown, names: list[str]) -> Counter[tuple[str, int]]:
    """How many see their block under which prefix, with how many members, whoever they are."""
    return Counter(
        (str(block(town, name).roster.prefix), block(town, name).roster.digest) for name in names if town.runs(name)
    )


def people(town: MindTown, count: int, done: list[SearchDone]) -> list[str]:
    """Users come on line; what they look for is told in ``done``."""

    def heard(_: Dweller, event: Event, __: float) -> None:
        if isinstance(event, SearchDone):
            done.append(event)

    names = [f"user{number}" for number in range(count)]
    for number, name in enumerate(names):
        town.household(name, user_address(number, inside=False), user=True)
        town.start(name, heard)
    return names


def look_for(town: MindTown, who: str, name: str) -> None:
    _, effects = town.node(who).searches.find(name, town.world.now)
    town.act(who, effects)


def everybody_finds_everybody(town: MindTown, names: list[str], done: list[SearchDone]) -> None:
    done.clear()
    for number, name in enumerate(names):
        look_for(town, name, names[(number * 7 + 3) % len(names)])
    town.world.run(town.world.now + 8)
    assert [one.name for one in done if not one.entries] == []
    assert len(done) == len(names)


def test_a_hundred_fill_the_seats_of_one_block_and_the_rest_stand_by(seed: int) -> None:
    town = MindTown(seed, 100)
    names = started(town)
    town.world.run(90)
    assert len(views(town, names)) == 1
    slots = Counter(block(town, name).slot for name in names)
    assert slots == {**dict.fromkeys(range(SLOTS), SEATS), STANDBY: 100 - SLOTS * SEATS}


def test_a_third_dies_and_nobody_is_lost(seed: int) -> None:
    town = MindTown(seed, 30)
    supernodes, done = started(town), []
    town.world.run(20)
    names = people(town, 40, done)
    town.world.run(60)
    everybody_finds_everybody(town, names, done)
    for name in town.world.rng("who dies").sample(supernodes, 10):
        town.stop(name)
    town.world.run(town.world.now + 90)
    everybody_finds_everybody(town, names, done)
    assert len(views(town, supernodes)) == 1
    assert {len(block(town, name).roster) for name in supernodes if town.runs(name)} == {20}


def test_who_comes_late_is_given_what_it_holds(seed: int) -> None:
    town = MindTown(seed, 12)
    for number in range(11):
        town.start(f"supernode{number}")
    town.world.run(20)
    people(town, 40, [])
    town.world.run(60)
    town.start("supernode11")
    town.world.run(100)
    late = town.node("supernode11").supernode
    assert late is not None
    held = [key for key, _ in late.directory.items() if late.keeper.holds(key)]
    everything = {
        key
        for number in range(12)
        for key, _ in town.node(f"supernode{number}").supernode.directory.items()  # type: ignore[union-attr]
    }
    assert len(everything) == 40
    assert set(held) == {key for key in everything if late.keeper.holds(key)} != set()
    assert sorted(key for key, _ in late.directory.items()) == sorted(held)


def test_who_says_goodbye_is_missed_at_once(seed: int) -> None:
    town = MindTown(seed, 10)
    names = started(town)
    town.world.run(40)
    dweller = town.world.dwellers["supernode3"]
    town.world.carry_out(dweller, town.node("supernode3").leave(town.world.now))
    town.world.run(town.world.now + 3)
    left = [name for name in names if name != "supernode3"]
    assert {len(block(town, name).roster) for name in left} == {9}


@pytest.mark.slow
@pytest.mark.timeout(600)  # 164 supernodes through ten minutes: 15 s where nothing else runs
def test_a_block_splits_in_two_and_merges_again(seed: int) -> None:
    town = MindTown(seed, SPLIT_AT + 12)
    names, done = started(town), []
    users = people(town, 30, done)
    town.world.run(120)
    prefixes = Counter(str(block(town, name).roster.prefix) for name in names)
    assert set(prefixes) == {"0", "1"}
    assert len(views(town, names)) == 2
    assert all(len(block(town, name).atlas) == 2 for name in names)
    everybody_finds_everybody(town, users, done)

    small = min(prefixes, key=lambda prefix: prefixes[prefix])
    half = [name for name in names if str(block(town, name).roster.prefix) == small]
    for name in half[: prefixes[small] + prefixes[max(prefixes, key=lambda one: prefixes[one])] - 124]:
        town.stop(name)
    left = [name for name in names if town.runs(name)]
    latest = town.world.now + 480
    while town.world.now < latest and {str(block(town, name).roster.prefix) for name in left} != {"*"}:
        town.world.run(town.world.now + 10)
    town.world.run(min(latest, town.world.now + 60))
    assert {str(block(town, name).roster.prefix) for name in left} == {"*"}
    assert len(views(town, left)) == 1
    everybody_finds_everybody(town, users, done)
    assert not [one for one in done if not one.complete]


def test_a_record_is_held_by_nine_and_three(seed: int) -> None:
    """Those of its slot, and three of the opposite one."""
    copies: list[int] = []

    def heard(_: Dweller, event: Event, __: float) -> None:
        if isinstance(event, Published):
            copies.append(event.copies)

    town = MindTown(seed, 40)
    started(town)
    town.world.run(40)
    town.household("alice", user_address(0, inside=False), user=True)
    town.start("alice", heard)
    town.world.run(60)
    key = key_of(town.suite.digest, "alice")
    roster = block(town, "supernode0").roster
    should = {one.node for one in roster.held[slot_of(key, 0)]}
    holding = {
        block(town, f"supernode{number}").node
        for number in range(40)
        if len(town.node(f"supernode{number}").supernode.directory)  # type: ignore[union-attr]
    }
    assert holding == should
    assert 9 <= len(should) <= SEATS + SPARES
    assert copies[0] >= 5
