"""Supernodes out of users: as many as are needed, of those who can and will, and they go without harm."""

from __future__ import annotations

from random import Random

import pytest

from halloo.messages.overlay import AttachRefused
from halloo.node.roles import Demoted, Promoted
from halloo.overlay.join import Lost, State
from halloo.overlay.promotion import Consent, Lending
from halloo.overlay.search import SearchDone
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
