"""A dozen supernodes and their users, byte by byte: nothing is lost when some die, part, lie, come late or come back."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from halloo.base.address import Wire
from halloo.base.effects import Send
from halloo.base.machine import Effects
from halloo.crypto.plain import DIGEST
from halloo.messages.block import Replicate, Replicated
from halloo.messages.credential import Entry
from halloo.messages.directory import Found, Keep, Kept
from halloo.overlay.publish import Published
from halloo.overlay.search import SearchDone
from halloo.overlay.slots import STANDBY, key_of
from halloo.overlay.supernode import Supernode
from halloo.sim.town import Town

USERS = [f"user{number}" for number in range(20)]


def supernode(town: Town, name: str) -> Supernode:
    found = town.node(name).supernode
    assert found is not None
    return found


def supernodes(town: Town, *but: str) -> list[Supernode]:
    """Those that are alive."""
    return [
        supernode(town, name)
        for name, resident in town.world.residents.items()
        if resident.alive and name.startswith("supernode") and name not in but
    ]


def inhabited(seed: int, count: int = 12, **net: Any) -> Town:
    """A town whose users have published their records."""
    town = Town(seed, supernodes=count, net=net)
    for name in USERS:
        town.user(name)
    town.world.run(30.0, lambda: len(town.world.events(Published)) >= len(USERS))
    town.world.run(town.world.now + 15.0)
    return town


def agreed(some: list[Supernode]) -> bool:
    """Whether these know each other, and nobody else."""
    nodes = {one.node for one in some}
    return all(set(one.block.roster.members) == nodes for one in some) and (
        len({one.block.roster.digest for one in some}) == 1
    )


def missing(some: list[Supernode]) -> list[tuple[str, str]]:
    """Holder and name of each record that is not where it belongs, or not the newest."""
    newest: dict[str, int] = {}
    for one in some:
        for entry in one.directory.all():
            newest[entry.name] = max(newest.get(entry.name, 0), entry.listing.version)
    return [
        (str(one.listening), name)
        for one in some
        for name in USERS
        if one.keeper.holds(key_of(DIGEST, name))
        and one.directory.version(key_of(DIGEST, name)) < max(1, newest.get(name, 0))
    ]


def found(town: Town, asker: str, names: list[str], *, thorough: bool = False) -> dict[str, Entry | None]:
    """What a user finds under each of some names."""
    before = len(town.world.events(SearchDone, asker))
    for name in names:
        searches = town.node(asker).searches
        town.act(asker, searches.find(name, town.world.now, thorough=thorough)[1])
    until = town.world.now + 20.0
    assert town.world.run(until, lambda: len(town.world.events(SearchDone, asker)) >= before + len(names))
    done = town.world.events(SearchDone, asker)[before:]
    return {one.name: one.entries[0] if one.entries else None for one in done}


def all_found(town: Town, asker: str) -> None:
    answers = found(town, asker, USERS)
    assert [name for name in USERS if answers[name] is None] == []
    nobody = found(town, asker, ["nobody"])
    assert nobody == {"nobody": None}


def test_a_cold_start_comes_to_rest(seed: int) -> None:
    town = inhabited(seed, loss=0.02)
    all_of_them = supernodes(town)
    assert agreed(all_of_them)
    assert missing(all_of_them) == []
    assert [one for one in all_of_them if one.block.slot == STANDBY] == []
    sizes = [len(slot) for slot in all_of_them[0].block.roster.seated]
    assert max(sizes) - min(sizes) <= 2
    assert [event.copies for event in town.world.events(Published) if not event.copies] == []
    all_found(town, USERS[3])


def test_a_newcomer_gets_the_records_that_it_holds(seed: int) -> None:
    town = inhabited(seed)
    late = town._settle("supernode12", town._address(), supernode=True, credential_for="supernode12")
    began = town.world.now
    town.world.run(began + 25.0)
    newcomer = supernode(town, "supernode12")
    assert agreed(supernodes(town))
    assert newcomer.block.roster.slots_of(newcomer.node)
    assert missing(supernodes(town)) == []
    assert len(newcomer.directory) > 0
    assert late.alive


def test_a_third_dies_at_once_and_nothing_is_lost(seed: int) -> None:
    town = inhabited(seed)
    rng = Random(seed)
    for number in rng.sample(range(12), 4):
        town.world.kill(f"supernode{number}")
    at = town.world.now
    town.world.run(at + 1.0)
    asker = next(
        name for name in USERS if any(town.node(name).join.supernode == one.listening for one in supernodes(town))
    )
    all_found(town, asker)  # while nobody has noticed yet
    town.world.run(at + 90.0)
    assert agreed(supernodes(town))
    assert missing(supernodes(town)) == []
    all_found(town, asker)


def test_two_halves_part_and_find_each_other_again(seed: int) -> None:
    town = inhabited(seed)
    world = town.world
    sides = [[f"supernode{n}" for n in range(6)], [f"supernode{n}" for n in range(6, 12)]]
    for number, name in enumerate(USERS):
        sides[number % 2].append(name)
    hosts = [[world.residents[name].address.host for name in side] for side in sides]
    world.net.blocked |= {frozenset((one, other)) for one in hosts[0] for other in hosts[1]}
    at = world.now
    world.run(at + 600.0)
    for side in sides:
        assert agreed([supernode(town, name) for name in side[:6]])
    versions = {name: town.node(name).publisher._version for name in USERS}
    world.net.blocked.clear()
    healed = world.now
    took = world.run(healed + 60.0, lambda: agreed(supernodes(town)) and not missing(supernodes(town)))
    assert took, "not one network again within a minute"
    for asker in (USERS[0], USERS[1]):
        for name, entry in found(town, asker, USERS).items():
            assert entry is not None
            assert entry.listing.version >= versions[name]


def test_who_leaves_says_so_and_is_missed_at_once(seed: int) -> None:
    town = inhabited(seed)
    leaver = town.world.residents["supernode5"]
    town.world.ask(leaver, town.node("supernode5").leave(town.world.now))
    town.world.run(town.world.now + 3.0)
    assert agreed(supernodes(town, "supernode5"))
    town.world.kill("supernode5")
    town.world.run(town.world.now + 25.0)
    assert missing(supernodes(town)) == []
    all_found(town, USERS[0])


class Liar(Supernode):
    """A supernode that plays its part in the block and lies about its records."""

    __slots__ = ()

    lie = ""

    def heard(self, message: Any, route: Any, now: float) -> Effects:
        if isinstance(message, Keep) and self.lie == "drops":
            return [Send(route, Kept(copies=9, token=message.token, request=message.request))]
        return self._bent(super().heard(message, route, now))

    def receive(self, message: Any, sender: Any, route: Any, now: float) -> Effects:
        if isinstance(message, Replicate) and self.lie == "drops":
            return [Send(sender, Replicated(held=len(message.records), request=message.request))]
        return self._bent(super().receive(message, sender, route, now))

    def _bent(self, effects: Effects) -> Effects:
        out: Effects = []
        for effect in effects:
            if isinstance(effect, Send) and isinstance(effect.message, Found) and isinstance(effect.to, Wire):
                if self.lie == "silent":
                    continue
                request, token = effect.message.request, effect.message.token
                effect = Send(effect.to, Found(complete=True, token=token, request=request))  # noqa: PLW2901
            out.append(effect)
        return out


class Silent(Liar):
    __slots__ = ()
    lie = "silent"


class Denying(Liar):
    __slots__ = ()
    lie = "denies"


class Dropping(Liar):
    __slots__ = ()
    lie = "drops"


@pytest.mark.parametrize("kind", [Silent, Denying, Dropping])
def test_one_liar_among_ten_hides_nobody(kind: type[Liar], seed: int) -> None:
    town = Town(seed, supernodes=10)
    supernode(town, "supernode4").__class__ = kind
    for name in USERS:
        town.user(name)
    town.world.run(60.0)
    honest = [name for name in USERS if town.node(name).join.supernode != supernode(town, "supernode4").listening]
    assert len(honest) > len(USERS) / 2
    for asker in honest[:4]:
        answers = found(town, asker, USERS)
        assert [name for name in USERS if answers[name] is None] == []
    assert missing(supernodes(town, "supernode4")) == []


def test_an_old_record_from_a_liar_loses_against_the_new_one(seed: int) -> None:
    town = inhabited(seed, 10)
    victim = USERS[0]
    key = key_of(DIGEST, victim)
    stale = {one.node: one.directory.find(key, 0.0) for one in supernodes(town)}
    town.world.run(town.world.now + 100.0)
    town.act(victim, town.node(victim).publisher.publish(town.world.now))
    town.world.run(town.world.now + 5.0)
    version = town.node(victim).publisher._version
    liar = next(one for one in supernodes(town) if stale[one.node] is not None and one.keeper.holds(key))
    liar.directory._entries[key] = stale[liar.node]  # type: ignore[assignment]
    assert liar.directory.version(key) < version
    for asker in USERS[1:4]:
        entry = found(town, asker, [victim], thorough=True)[victim]
        assert entry is not None
        assert entry.listing.version == version


def test_a_supernode_comes_back_under_its_address_with_another_key(seed: int) -> None:
    town = inhabited(seed)
    address = town.world.residents["supernode3"].address
    town.world.kill("supernode3")
    town.world.run(town.world.now + 0.5)
    town._settle("supernode3 again", address, supernode=True)
    town.world.run(town.world.now + 30.0)
    assert agreed(supernodes(town))
    assert all(one.trusted for one in supernodes(town)[0].block.roster.members.values())
    assert missing(supernodes(town)) == []
    all_found(town, USERS[0])


def test_a_supernode_started_again_at_once_with_the_same_key_is_one_member(seed: int) -> None:
    town = inhabited(seed)
    address = town.world.residents["supernode3"].address
    node = supernode(town, "supernode3").node
    town.world.kill("supernode3")
    del town.world.residents["supernode3"]
    town._settle("supernode3", address, supernode=True)
    town.world.run(town.world.now + 40.0)
    assert supernode(town, "supernode3").node == node
    assert agreed(supernodes(town))
    assert missing(supernodes(town)) == []


