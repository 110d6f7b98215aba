"""Supernodes that lie, and nodes that find out: who pretends to store is left, and one denial is not believed."""

from __future__ import annotations

from random import Random

import pytest

from halloo.overlay.confirm import Pretended
from halloo.overlay.search import SearchDone
from halloo.sim.liars import LIES, Liar
from halloo.sim.mindtown import MindTown, supernode_address, user_address
from halloo.sim.nat import KINDS, BoxKind
from halloo.sim.world import WALL

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


def stays_at_a_pretender(lie: str, kind: BoxKind | None, within: float) -> MindTown:
    """Ada has nobody but a pretender to attach to; Bob, who came before, looks for her after a while."""
    town = MindTown(6, SUPERNODES, recorded=(SearchDone, Pretended))
    for i in range(SUPERNODES):
        town.start(f"supernode{i}").tongue = Liar(Random(i), lie, pretends=True) if i == 9 else None
    town.world.run(20.0)
    town.household("bob", user_address(0, inside=False), user=True, known=[supernode_address(1)])
    town.start("bob")
    town.world.run(town.world.now + 10.0)
    for i in range(SUPERNODES - 1):
        supernode = town.node(f"supernode{i}").supernode
        assert supernode is not None
        supernode.clients.closed = True
    town.household("ada", user_address(1, inside=False), kind=kind, user=True, known=[supernode_address(9)])
    town.start("ada")
    ada = town.node("ada")
    town.world.run(town.world.now + 120.0, lambda: ada.publisher.record is not None)
    assert ada.join.supernode == supernode_address(9)
    town.world.run(town.world.now + within)
    return town


@pytest.mark.parametrize("lie", LIES)
def test_who_is_attached_to_a_pretender_is_found_within_seconds(lie: str) -> None:
    town = stays_at_a_pretender(lie, None, 6.0)
    assert found(town, "bob", "ada")


def test_so_is_who_can_ask_nobody_in_the_open() -> None:
    town = stays_at_a_pretender("denies", KINDS["udp-blocked"], 150.0)
    assert found(town, "bob", "ada")


def test_who_finds_no_room_elsewhere_is_found_at_a_pretender_and_moves_when_there_is() -> None:
    town = stays_at_a_pretender("denies", None, 1_000.0)
    ada, pretender = town.node("ada"), supernode_address(9)
    assert ada.join.supernode == pretender
    for _ in range(2):
        town.act("ada", ada.publisher.publish(town.world.now))
        town.world.run(town.world.now + 60.0)
        assert found(town, "bob", "ada")
        assert town.world.events(SearchDone, "bob")[-1].entries[0].record == ada.publisher.record
    for i in range(SUPERNODES - 1):
        supernode = town.node(f"supernode{i}").supernode
        assert supernode is not None
        supernode.clients.closed = False
    town.world.run(town.world.now + 90.0)
    assert ada.join.supernode not in (pretender, None)
    assert found(town, "bob", "ada")


def test_who_begins_to_swallow_signs_of_life_is_found_out_and_left() -> None:
    town = MindTown(8, SUPERNODES, recorded=(SearchDone, Pretended))
    for i in range(SUPERNODES):
        town.start(f"supernode{i}")
    town.world.run(20.0)
    names = [f"user{i}" for i in range(12)]
    for i, name in enumerate(names):
        town.household(name, user_address(i, inside=False), user=True, known=[supernode_address(9)])
        town.start(name)
    town.world.run(town.world.now + 120.0)
    supernodes = {supernode_address(i): f"supernode{i}" for i in range(SUPERNODES)}
    where = {name: town.node(name).join.supernode for name in names}
    pretender = max(supernodes, key=list(where.values()).count)
    town.world.dwellers[supernodes.pop(pretender)].tongue = Liar(Random(9), "denies", pretends=True)
    town.world.run(town.world.now + 4 * 3_600.0)
    victims = [name for name, supernode in where.items() if supernode == pretender]
    assert len(victims) > 1
    assert all(town.world.events(Pretended, name) for name in victims)
    for each in supernodes.values():
        supernode = town.node(each).supernode
        assert supernode is not None
        assert all(entry.on_line(town.world.now + WALL) for entry in supernode.directory.all())
        assert len(supernode.directory) > 0
