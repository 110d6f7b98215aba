"""Supernodes that lie, and nodes that find out: who pretends to store is left, and one denial is not believed."""

from __future__ import annotations

from random import Random

import pytest

from halloo.overlay.confirm import Pretended
from halloo.overlay.search import SearchDone
from halloo.sim.liars import LIES, Liar
from halloo.sim.mindtown import MindTown, supernode_address, user_address
from halloo.sim.nat import KINDS, BoxKind

SUPERNODES = 10
SETTLED = 400.0  # seconds: those who can ask nobody in the open look after a minute or two, twice


def town_of(seed: int, liars: dict[str, Liar], kinds: list[BoxKind | None]) -> MindTown:
    """A town with users behind boxes of these kinds, after a while."""
    town = MindTown(seed, SUPERNODES, recorded=(SearchDone, Pretended))
    for i in range(SUPERNODES):
        town.start(f"supernode{i}").tongue = liars.get(f"supernode{i}")
    town.world.run(20.0)
    rng = Random(seed)
    known = [supernode_address(i) for i in range(SUPERNODES)]
    for i, kind in enumerate(kinds):
        behind = kind is not None and kind.translates
        address = user_address(i, inside=behind)
        town.household(f"user{i}", address, kind=kind, user=True, known=rng.sample(known, 5))
        town.start(f"user{i}")
    town.world.run(town.world.now + SETTLED)
    return town


def found(town: MindTown, who: str, name: str) -> bool:
    """Whether somebody finds somebody."""
    node, known = town.node(who), len(town.world.events(SearchDone, who))
    _, effects = node.searches.find(name, town.world.now)
    town.act(who, effects)
    town.world.run(town.world.now + 30.0, lambda: len(town.world.events(SearchDone, who)) > known)
    (done,) = town.world.events(SearchDone, who)[known:]
    return bool(done.entries)


@pytest.mark.parametrize("lie", LIES)
def test_everybody_finds_everybody_though_two_of_ten_lie_and_pretend(lie: str) -> None:
    liars = {f"supernode{i}": Liar(Random(i), lie, pretends=True) for i in (2, 7)}
    blocked = KINDS["udp-blocked"]
    users = 40
    town = town_of(3, liars, [blocked if i % 4 == 0 else None for i in range(users)])
    names = [f"user{i}" for i in range(users)]
    assert town.world.events(Pretended)
    rng = Random(lie)
    for _ in range(60):
        one, other = rng.sample(names, 2)
        assert found(town, one, other), (one, other)
    assert not found(town, "user0", "nobody")
    assert not found(town, "user1", "nobody")


def test_true_supernodes_are_not_taken_for_liars() -> None:
    blocked = KINDS["udp-blocked"]
    town = town_of(4, {}, [blocked if i % 3 == 0 else None for i in range(30)])
    assert town.world.events(Pretended) == []


def test_liars_who_hold_records_make_nobody_leave_a_true_supernode() -> None:
    liars = {f"supernode{i}": Liar(Random(i), lie, pretends=False) for i, lie in ((1, "denies"), (4, "stale"))}
    town = town_of(5, liars, [None] * 30)
    for _ in range(4):
        for i in range(30):
            node = town.node(f"user{i}")
            town.act(f"user{i}", node.publisher.publish(town.world.now))
        town.world.run(town.world.now + 60.0)
    assert town.world.events(Pretended) == []
