"""A call in a virtual town, overheard: all that was put on its wires, and the keys of every link."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from town_calls import Talkers

from halloo.link.keys import LinkKeys
from halloo.overlay.join import Joined
from halloo.path.reach import Policy
from halloo.sim.town import Town
from halloo.sim.world import Passed

__all__ = ["Overheard", "overhear"]


@dataclass
class Overheard:
    town: Town
    passed: list[Passed] = field(default_factory=list)
    keys: list[LinkKeys] = field(default_factory=list)


def overhear(
    seed: int, profile: str, *, policy: Policy = Policy.ANY, no_udp: tuple[str, ...] = (), **net: Any
) -> Overheard:
    """Alice calls bob, talks for two seconds, and hangs up."""
    town = Town(seed, supernodes=2, profile=profile, net=net)
    heard = Overheard(town)
    world = town.world
    world.tap = heard.passed.append
    talkers = Talkers(town)
    for name in ("alice", "bob"):
        talkers.settle(name)
    for resident in world.residents.values():
        resident.station.endpoint.persona.confide = heard.keys.append
        if resident.name in no_udp:
            for other in world.residents.values():
                world.net.udp_blocked.add(frozenset((resident.address.host, other.address.host)))
    world.run(30, lambda: len(world.events(Joined)) >= 2)
    world.run(world.now + 2)
    call = talkers.dial("alice", "bob", policy)
    world.run(world.now + 5)
    alice = town.node("alice").calls
    if call in alice.active:
        town.act("alice", alice.hang_up(call, world.now))
    world.run(world.now + 3)
    return heard
