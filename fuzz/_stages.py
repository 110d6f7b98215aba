"""The states that machines come to: a story in a virtual town, in which everything happens once.

Whenever a machine of one of its nodes is in a state not seen before, by its own signature, it is copied out.
"""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from functools import cache
from typing import Any

from fuzz._machines import SUBJECTS, Subject
from halloo.call.call import Rang
from halloo.messages.credential import Presence
from halloo.messages.login import Application, Purpose
from halloo.node.profile import CLASSIC_JOIN
from halloo.path.reach import Policy
from halloo.sim.town import LOGIN, Town
from halloo.sim.world import Resident

__all__ = ["Stage", "stages"]


@dataclass(frozen=True)
class Stage:
    """One machine in one state: its frozen form, and the time of the story."""

    subject: Subject
    state: str
    frozen: bytes
    now: float

    def machine(self) -> Any:
        """A fresh copy."""
        return pickle.loads(self.frozen)


class _Story:
    """A town in which everything happens once; what is new is copied out."""

    def __init__(self, seed: int) -> None:
        self.town = Town(seed, supernodes=3)
        self.seen: dict[tuple[str, object], Stage] = {}
        self.key = self.town.suite.identity.public(bytes(32))
        for name in ("alice", "bob", "carol"):
            self.town.user(name, owner=self._answer)

    def _answer(self, resident: Resident, event: object, now: float) -> None:
        if isinstance(event, Rang) and not event.outgoing and resident.name == "bob":
            self.town.world.at(0.5, lambda: self._take(event.call))

    def _take(self, call: bytes) -> None:
        if call in self.town.node("bob").calls.ringing:
            self.town.act("bob", self.town.node("bob").calls.answer(call, self.town.world.now))

    def look(self) -> None:
        """Copy out what is in a state not seen before."""
        for subject in SUBJECTS:
            for machine in subject.find(self.town):
                key = subject.name, subject.signature(machine)
                if key not in self.seen:
                    frozen = pickle.dumps(machine)
                    self.seen[key] = Stage(subject, str(key[1]), frozen, self.town.world.now)

    def live(self, seconds: float, step: float = 0.01) -> None:
        """Time passes, watched closely."""
        world = self.town.world
        until = world.now + seconds
        while world.now < until:
            world.run(min(until, world.now + step))
            for name in ("alice", "bob", "carol"):
                node = self.town.node(name)
                for call in node.calls.active:
                    self.town.act(name, node.calls.speak(call, bytes(1920), world.now))
                    node.calls.listen(call, world.now)
            self.look()

    def dial(self, caller: str, callee: str, policy: Policy) -> bytes:
        """Begin a call."""
        call, effects = self.town.node(caller).calls.dial(callee, policy, self.town.world.now)
        self.town.act(caller, effects)
        return call

    def carried(self) -> None:
        """Alice's way to the login server is blocked: her supernode carries what she asks."""
        town, world = self.town, self.town.world
        papers = town.node("alice").papers
        assert papers.auditor is not None
        world.net.blocked.add(frozenset((world.residents["alice"].address.host, LOGIN.host)))
        application = Application(purpose=Purpose.LOGIN, name="dora", proof=b"right", key=self.key)
        town.act("alice", papers.ask.apply(application, bytes(32), world.now))
        self.live(1.6, 0.1)
        town.act("alice", papers.auditor.audit(world.now))
        self.live(3.0)
        world.net.blocked.clear()

    def play(self) -> None:
        """Join, log in, call by each way, be busy, ring in vain, meet, and lose the network."""
        town, world = self.town, self.town.world
        self.look()
        self.live(2.0)
        for proof in (b"right", b"wrong"):
            application = Application(purpose=Purpose.SIGN_UP, name="dora", proof=proof, key=self.key)
            town.act("alice", town.node("alice").papers.ask.apply(application, bytes(32), world.now))
            self.live(0.5)
        self.carried()
        town.act("alice", town.node("alice").buddies.allow("bob", world.now))
        town.act("bob", town.node("bob").buddies.watch("alice", world.now))
        self.live(8.0, 0.05)
        town.act("alice", town.node("alice").buddies.show(world.now, Presence.AWAY, "tea"))
        self.live(2.0, 0.05)
        for policy in Policy:
            call = self.dial("alice", "bob", policy)
            self.live(1.5)
            self.dial("carol", "bob", Policy.ANY)  # busy
            self.live(0.6)
            if call in town.node("alice").calls.active:
                town.act("alice", town.node("alice").calls.hang_up(call, world.now))
            self.live(5.0, 0.05)
        self.dial("bob", "carol", Policy.RELAYED)  # nobody takes it
        self.live(3.0, 0.02)
        self.live(60.0, 0.5)
        self.dial("alice", "bob", Policy.DIRECT)  # both at once
        self.dial("bob", "alice", Policy.DIRECT)
        self.live(2.0)
        self.dial("carol", "zoe", Policy.ANY)  # nobody of that name
        self.live(1.0)
        self.lose_the_network()

    def lose_the_network(self) -> None:
        """Everything falls silent, comes back, and the last call goes where no datagram passes between the two."""
        town, world = self.town, self.town.world
        town.node("carol").join.timings = CLASSIC_JOIN  # gives up after five rounds
        hosts = {town.world.residents[name].address.host for name in ("alice", "bob")}
        world.net.udp_blocked.add(frozenset(hosts))
        world.net.cut_off |= {world.residents[f"supernode{i}"].address.host for i in range(3)}
        world.net.cut_off.add(LOGIN.host)
        application = Application(purpose=Purpose.LOGIN, name="dora", proof=b"right", key=self.key)
        town.act("alice", town.node("alice").papers.ask.apply(application, bytes(32), world.now))
        self.live(12.0, 0.05)
        self.live(200.0, 0.5)
        world.net.cut_off.clear()
        self.live(90.0, 0.5)
        town.act("carol", town.node("carol").leave(world.now))
        for name in ("alice", "bob"):
            for call in town.node(name).calls.active:
                town.act(name, town.node(name).calls.hang_up(call, world.now))
        self.live(10.0, 0.1)
        self.dial("alice", "bob", Policy.ANY)  # by TCP, or a relay
        self.live(4.0)


@cache
def stages(seed: int = 1) -> tuple[Stage, ...]:
    """Every machine in every state of the story."""
    story = _Story(seed)
    story.play()
    return tuple(story.seen.values())
