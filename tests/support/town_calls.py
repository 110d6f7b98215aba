"""Calls in a virtual town, for the tests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from halloo.base.machine import Event
from halloo.call.call import Rang
from halloo.node.switchboard import CallReport
from halloo.overlay.join import Joined
from halloo.path.reach import Policy
from halloo.sim.town import Town
from halloo.sim.world import Resident

__all__ = ["Talkers", "Told", "call_in_town"]

FRAME = bytes(1920)
TICK = 0.1  # seconds between frames of sound: five times slower than life, which is enough for a story


class Talkers:
    """Users who speak while they are in a call, and answer after a second where they are told to."""

    def __init__(self, town: Town) -> None:
        self.town = town
        self._names: list[str] = []
        town.world.every(TICK, self._tick)

    def settle(self, name: str, *, answers: bool = True) -> Resident:
        """A user moves in."""
        self._names.append(name)
        return self.town.user(name, owner=self._answer if answers else None)

    def dial(self, caller: str, callee: str, policy: Policy = Policy.ANY) -> bytes:
        """One calls the other."""
        call, effects = self.town.node(caller).calls.dial(callee, policy, self.town.world.now)
        self.town.act(caller, effects)
        return call

    def _answer(self, resident: Resident, event: Event, now: float) -> None:
        if isinstance(event, Rang) and not event.outgoing:
            self.town.world.at(1.0, lambda: self._take(resident.name, event.call))

    def _take(self, name: str, call: bytes) -> None:
        node = self.town.node(name)
        if call in node.calls.ringing:
            self.town.act(name, node.calls.answer(call, self.town.world.now))

    def _tick(self) -> bool:
        world = self.town.world
        for name in self._names:
            if world.residents[name].alive:
                node = self.town.node(name)
                for call in node.calls.active:
                    self.town.act(name, node.calls.speak(call, FRAME, world.now))
                    node.calls.listen(call, world.now)
        return True


@dataclass
class Told:
    """What came of a call: both sides' reports (``theirs`` None: it never rang there)."""

    town: Town
    over: bool
    report: CallReport
    theirs: CallReport | None


def call_in_town(
    seed: int,
    *,
    policy: Policy = Policy.ANY,
    supernodes: int = 3,
    profile: str = "plain",
    blocked: tuple[str, str] | None = None,
    no_udp: tuple[str, ...] = (),
    talk: Callable[[Town], Any] | None = None,
    **net: Any,
) -> Told:
    """Alice calls bob in a new town, talks ten seconds and hangs up; ``talk`` happens in the middle."""
    town = Town(seed, supernodes=supernodes, profile=profile, net=net)
    world = town.world
    talkers = Talkers(town)
    for name in ("alice", "bob"):
        talkers.settle(name)
    if blocked is not None:
        world.net.udp_blocked.add(frozenset(world.residents[name].address.host for name in blocked))
    for name in no_udp:
        here = world.residents[name].address.host
        for other in world.residents.values():
            if other.name != name:
                world.net.udp_blocked.add(frozenset((here, other.address.host)))
    world.run(60, lambda: len(world.events(Joined)) >= 2)
    world.run(world.now + 3)
    call = talkers.dial("alice", "bob", policy)
    world.run(world.now + 5)
    if talk is not None:
        talk(town)
    world.run(world.now + 10)
    alice, bob = town.node("alice").calls, town.node("bob").calls
    if call in alice.active:
        town.act("alice", alice.hang_up(call, world.now))
    over = world.run(world.now + 100, lambda: not alice.active and (not world.residents["bob"].alive or not bob.active))
    theirs = bob.report(call, world.now) if call in bob.known else None
    return Told(town, over, alice.report(call, world.now), theirs)
