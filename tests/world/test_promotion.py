"""Supernodes out of users: as many as are needed, of those who can and will, and they go without harm."""

from __future__ import annotations

from random import Random

import pytest

from halloo.node.roles import Demoted, Promoted
from halloo.overlay.join import Lost, State
from halloo.overlay.promotion import Consent, Lending
from halloo.overlay.search import SearchDone
from halloo.path.reach import Policy
from halloo.sim.nat import KINDS, Box
from halloo.sim.town import Town

ROOM = 10  # nodes of one supernode
WILLING = Lending(Consent.YES, clients=ROOM)


def small(town: Town) -> None:
    """The supernodes from birth have little room."""
    for name in list(town.world.residents):
        if name.startswith("supernode"):
            supernode = town.node(name).supernode
            assert supernode is not None
            supernode.clients.most = ROOM


def grown(town: Town) -> list[str]:
    """Users who have become supernodes."""
    return [name for name in town.world.residents if name.startswith("user") and town.node(name).supernode is not None]


def on_line(town: Town, names: list[str]) -> int:
    return sum(town.node(name).join.state is State.ATTACHED for name in names)


def filled(seed: int, users: int = 40, *, willing: int = 24, boxed: int = 0) -> tuple[Town, list[str]]:
    town = Town(seed, supernodes=3, spread=True)
    small(town)
    names = [f"user{number}" for number in range(users)]
    for number, name in enumerate(names):
        box = None
        if willing <= number < willing + boxed:
            box = Box(KINDS["port-restricted"], bytes([30, 1, 1, number]), Random(number))
        lends = number < willing + boxed
        town.user(name, lending=WILLING if lends else None, box=box)
    return town, names


@pytest.mark.parametrize("seed", [1, 2])
def test_a_town_with_too_little_room_gets_more_supernodes(seed: int) -> None:
    town, names = filled(seed)
    town.world.run(900.0)
    assert on_line(town, names) == len(names)
    members = grown(town)
    assert 3 <= len(members) <= 7  # 40 users and half as much again want 60 places: three more of ten
    assert not town.world.events(Demoted)


def test_who_is_not_reached_or_not_willing_never_serves() -> None:
    town, _ = filled(3, willing=0, boxed=20)
    town.world.run(1_800.0)
    assert not grown(town)
    assert on_line(town, [f"user{number}" for number in range(40)]) == 3 * ROOM
    assert all(not town.node(f"user{number}").roles.promotion.ready(1_800.0) for number in range(40))


def served(seed: int = 5) -> tuple[Town, list[str], str]:
    """A town in which users serve, and the one of them with most nodes."""
    town, names = filled(seed)
    town.world.run(900.0)
    busiest = max(grown(town), key=lambda name: len(town.node(name).supernode.clients))  # type: ignore[union-attr]
    return town, names, busiest


def find(town: Town, who: str, name: str) -> bool:
    node, began = town.node(who), town.world.now
    number, effects = node.searches.find(name, began)
    town.act(who, effects)
    town.world.run(began + 10.0, lambda: any(one.number == number for one in town.world.events(SearchDone, who)))
    return any(one.entries for one in town.world.events(SearchDone, who) if one.number == number)


def test_a_supernode_goes_and_nobody_is_lost() -> None:
    town, names, going = served()
    supernode = town.node(going).supernode
    assert supernode is not None
    assert len(supernode.clients) >= 2
    assert len(supernode.directory) >= 5
    town.act(going, town.node(going).roles.demote("the owner wishes it", town.world.now))
    began = town.world.now
    town.world.run(began + 300.0, lambda: town.node(going).supernode is None)
    assert town.node(going).supernode is None
    assert town.world.events(Demoted, going)
    town.world.run(town.world.now + 30.0)
    assert not [event for at, who, event in town.world.story if isinstance(event, Lost) and at >= began]
    assert on_line(town, names) == len(names)
    assert all(find(town, "user1", name) for name in names)
    assert town.node(going).join.state is State.ATTACHED


def test_a_call_through_a_supernode_that_goes_is_heard_to_its_end() -> None:
    town, names, going = served()
    world, supernode, relayer = town.world, town.node(going).supernode, town.node(going).relayer
    assert supernode is not None
    assert relayer is not None
    callee = next(name for name in names if town.node(name).join.supernode == supernode.listening)
    caller = next(name for name in names if town.node(name).join.supernode != supernode.listening)
    call, effects = town.node(caller).calls.dial(callee, Policy.RELAYED, world.now)
    town.act(caller, effects)
    world.run(world.now + 5.0, lambda: bool(town.node(callee).calls.ringing))
    (ringing,) = town.node(callee).calls.ringing
    town.act(callee, town.node(callee).calls.answer(ringing, world.now))

    def speaks() -> bool:
        for name, number in ((caller, call), (callee, ringing)):
            town.act(name, town.node(name).calls.speak(number, bytes(1920), world.now))
        return bool(town.node(caller).calls.active)

    world.every(0.1, speaks)
    town.act(going, town.node(going).roles.demote("the owner wishes it", world.now))
    world.run(world.now + 200.0)
    assert relayer.channels == 1
    assert town.node(caller).calls.active
    assert town.node(callee).calls.active
    assert len(supernode.clients) == 0
    assert town.node(callee).join.supernode != supernode.listening
    town.act(caller, town.node(caller).calls.hang_up(call, world.now))
    world.run(world.now + 60.0)
    assert town.node(going).supernode is None


def test_who_serves_still_calls_and_is_found() -> None:
    town, names, serving = served(6)
    other = next(name for name in names if name != serving)
    assert find(town, other, serving)
    assert find(town, serving, other)


def test_nobody_flaps() -> None:
    town, names = filled(7)
    town.world.run(4 * 3600.0)
    changes = len(town.world.events(Promoted)) + len(town.world.events(Demoted))
    assert changes <= 7
    assert on_line(town, names) == len(names)
