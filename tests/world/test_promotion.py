"""Supernodes out of users: as many as are needed, of those who can and will, and they go without harm."""

from __future__ import annotations

import pytest

from halloo.node.roles import Demoted, Promoted
from halloo.overlay.join import Lost
from halloo.overlay.promotion import Consent, Lending
from halloo.overlay.search import SearchDone
from halloo.path.reach import Policy
from halloo.sim.mindtown import MindTown, user_address
from halloo.sim.nat import KINDS
from halloo.sim.town import Town

ROOM = 10  # nodes of one supernode
WILLING = Lending(Consent.YES, clients=ROOM)
KEPT = (Promoted, Demoted, Lost, SearchDone)


def grown(town: MindTown) -> list[str]:
    """Users who have become supernodes."""
    return [name for name in town.world.dwellers if name.startswith("user") and town.node(name).supernode is not None]


def on_line(town: MindTown, names: list[str]) -> int:
    return sum(town.node(name).join.peer is not None for name in names)


def filled(
    seed: int, users: int = 40, *, supernodes: int = 3, willing: int = 24, boxed: str = "", lending: Lending = WILLING
) -> tuple[MindTown, list[str]]:
    """A town whose supernodes have little room; ``boxed``: what kind of box those who lend are behind."""
    town = MindTown(seed, supernodes, recorded=KEPT, max_clients=ROOM)
    for i in range(supernodes):
        town.start(f"supernode{i}")
    names = [f"user{number}" for number in range(users)]
    for number, name in enumerate(names):
        kind = KINDS[boxed] if boxed else None
        lent = lending if number < willing else None
        town.household(
            name, user_address(number, inside=kind is not None and kind.translates), kind=kind, user=True, lending=lent
        )
        town.start(name)
    return town, names


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_town_with_too_little_room_gets_more_supernodes(seed: int) -> None:
    town, names = filled(seed)
    town.world.run(900.0)
    assert on_line(town, names) == len(names)
    assert 3 <= len(grown(town)) <= 7  # 40 users and half as much again want 60 places: three more of ten
    assert not town.world.events(Demoted)


@pytest.mark.parametrize("kind", ["address-restricted", "port-restricted", "symmetric", "udp-blocked"])
def test_who_is_not_reached_by_strangers_never_serves(kind: str) -> None:
    town, names = filled(3, 14, supernodes=1, boxed=kind)
    town.world.run(1_500.0)
    assert not town.world.events(Promoted)
    assert on_line(town, names) == ROOM
    assert not any(town.node(name).roles.promotion.ready(1_500.0) for name in names)


def test_nobody_serves_without_his_owners_consent() -> None:
    town, names = filled(4, 14, supernodes=1, lending=Lending(Consent.NO, clients=ROOM))
    town.world.run(1_500.0)
    assert not town.world.events(Promoted)
    assert on_line(town, names) == ROOM


def served(seed: int = 5) -> tuple[MindTown, list[str], str]:
    """A town in which users serve, and the one of them with most nodes."""
    town, names = filled(seed)
    town.world.run(700.0)
    busiest = max(grown(town), key=lambda name: len(town.node(name).supernode.clients))  # type: ignore[union-attr]
    return town, names, busiest


def find(town: MindTown, who: str, name: str) -> bool:
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
    assert not [event for at, _, event in town.world.story if isinstance(event, Lost) and at >= began]
    assert on_line(town, names) == len(names)
    assert all(find(town, "user1", name) for name in names)
    assert town.node(going).join.peer is not None


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
    world.run(world.now + 80.0)
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


def alone(seed: int) -> tuple[MindTown, list[str], str]:
    """A town in which the only supernode from birth dies, and one user serves all the others."""
    town, names = filled(seed, 9, supernodes=1, willing=1)
    town.world.run(900.0)
    assert grown(town) == ["user0"]
    town.stop("supernode0")
    town.world.run(town.world.now + 180.0)
    return town, names, "user0"


def test_the_last_supernode_is_still_a_telephone() -> None:
    town, names, last = alone(11)
    assert on_line(town, names) == len(names)
    assert town.node(last).join.peer == town.node(last).roles.loopback.peer
    assert find(town, "user5", last)
    assert find(town, last, "user5")
    _, effects = town.node("user3").calls.dial(last, Policy.ANY, town.world.now)
    town.act("user3", effects)
    town.world.run(town.world.now + 5.0, lambda: bool(town.node(last).calls.ringing))
    assert town.node(last).calls.ringing
    began = town.world.now
    town.start("supernode0")
    town.world.run(began + 180.0)
    node = town.node(last)
    assert node.join.peer is not None
    assert node.roles.loopback.peer is None
    assert node.join.supernode != node.supernode.listening  # type: ignore[union-attr]
    assert not [event for at, who, event in town.world.story if isinstance(event, Lost) and at > began and who == last]
    assert find(town, "user5", last)


def test_the_last_supernode_may_rest_too() -> None:
    town, _, last = alone(12)
    town.act(last, town.node(last).roles.demote("the owner wishes it", town.world.now))
    town.world.run(town.world.now + 1_000.0)
    assert town.node(last).supernode is None
    assert town.node(last).join.peer is None


@pytest.mark.parametrize(("away", "resumes"), [(100.0, True), (900.0, False)])
def test_who_served_a_moment_ago_serves_again(away: float, resumes: bool) -> None:
    town, _, serving = served(9)
    since = town.node(serving).supernode.block.me.since  # type: ignore[union-attr]
    town.stop(serving)
    town.world.run(town.world.now + away)
    town.start(serving)
    town.world.run(town.world.now + 40.0)
    supernode = town.node(serving).supernode
    assert (supernode is not None) == resumes
    if supernode is not None:
        assert supernode.block.me.since == since


def test_who_served_alone_serves_again_though_nobody_answers() -> None:
    town, names, last = alone(13)
    town.stop(last)
    town.world.run(town.world.now + 60.0)
    assert on_line(town, names[1:]) == 0
    town.start(last)
    town.world.run(town.world.now + 180.0)
    assert on_line(town, names) == len(names)


def test_a_supernode_that_lies_of_need_makes_nobody_one() -> None:
    town, names = filled(14, 20, willing=20)
    for number in range(3):
        supernode = town.node(f"supernode{number}").supernode
        assert supernode is not None
        supernode.clients.most = 100  # there is room enough
    liar = town.node("supernode0").supernode
    assert liar is not None
    town.world.run(60.0)
    nodes = [name for name in names if town.node(name).join.supernode == liar.listening]
    assert nodes

    def lies() -> bool:
        liar.clients.wanted = 1_000_000
        return True

    town.world.every(0.5, lies)
    town.world.run(1_800.0)
    assert any(town.node(name).roles.promotion.ready(town.world.now) for name in nodes)
    assert not town.world.events(Promoted)


def test_nobody_flaps() -> None:
    town, names = filled(7)
    town.world.run(2_400.0)
    changes = len(town.world.events(Promoted)) + len(town.world.events(Demoted))
    assert changes <= 7
    assert on_line(town, names) == len(names)


def test_a_village_grows_from_one_supernode_in_a_world_of_bytes() -> None:
    town = Town(8, supernodes=1, spread=True)
    (first,) = (name for name in town.world.residents if name.startswith("supernode"))
    supernode = town.node(first).supernode
    assert supernode is not None
    supernode.clients.most = ROOM
    names = [f"user{number}" for number in range(12)]
    for name in names:
        town.user(name, lending=WILLING)
    town.world.run(900.0, lambda: all(town.node(name).join.peer is not None for name in names))
    assert all(town.node(name).join.peer is not None for name in names)
    assert town.world.events(Promoted)


def test_the_owners_caps_shed_new_work_before_old_and_nobody_goes_off_line() -> None:
    town, names, serving = served(15)
    node, world = town.node(serving), town.world
    supernode = node.supernode
    assert supernode is not None
    lends = node.roles.promotion.lending
    before = len(supernode.clients)
    began, over = world.now, [2.0]

    def measures() -> bool:
        size = int(2 * lends.rate * over[0])
        town.act(serving, node.roles.measured(size, 0.1, world.now))
        return node.supernode is not None

    world.every(2.0, measures)
    world.run(began + 30.0)
    assert supernode.clients.room == 0
    assert node.roles.tight
    assert len(supernode.clients) == before  # nobody was sent away for a busy moment
    asked = town.node("supernode0")
    assert asked.supernode is not None
    asked.supernode.clients.most = 100  # there is room elsewhere
    world.run(began + 400.0)
    assert len(supernode.clients) < before
    assert not [event for at, _, event in world.story if isinstance(event, Lost) and at >= began]
    assert on_line(town, names) == len(names)
    over[0] = 0.1
    left = len(supernode.clients)
    world.run(world.now + 120.0)
    assert supernode.clients.room > 0
    assert not node.roles.tight
    assert len(supernode.clients) >= left
