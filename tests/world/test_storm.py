"""Three supernodes of ten die at once: everybody is back as fast as the others can take them, and nobody is dropped.

Each node here stands for ten: 30 nodes a supernode that takes 0.2 a second are 300 at 2 a second.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf

import pytest

from halloo.base.address import Peer, Route
from halloo.base.effects import Unlink
from halloo.base.machine import Effects
from halloo.messages.credential import Party
from halloo.messages.overlay import Attach
from halloo.node.profile import CLASSIC_JOIN
from halloo.overlay.admission import Admission, Pace
from halloo.overlay.clients import Clients
from halloo.overlay.join import JoinTimings, State
from halloo.sim.town import Town

SUPERNODES, NODES, DYING = 10, 300, 3
PACE = Pace(0.2, 3)
SETTLED = 60.0
OVERLOAD, FOR = 4.0, 20.0
"""The protection of 2010: a supernode with so many times the log-ins it can serve, for so many seconds, shuts down."""


@dataclass(slots=True)
class Watched(Clients):
    """Clients that count the handshakes they cost."""

    handshakes: list[float] = field(default_factory=list)

    def attach(self, message: Attach, sender: Peer, party: Party | None, route: Route | None, now: float) -> Effects:
        out = Clients.attach(self, message, sender, party, route, now)
        if sender not in self._returned or sender in self:  # who shows a ticket and is told later has cost no handshake
            self.handshakes.append(now)
        return out

    def load(self, now: float) -> float:
        """Handshakes of late, as a multiple of what can be served."""
        return sum(at > now - FOR for at in self.handshakes) / (FOR * PACE.rate)


class Storm:
    """A town in which everybody is on line, and what happens when a part of its supernodes is gone."""

    def __init__(self, seed: int, timings: JoinTimings | None = None) -> None:
        self.town = Town(seed, supernodes=SUPERNODES)
        self.world = self.town.world
        self.names = [f"node{number}" for number in range(NODES)]
        self.watched: dict[str, Watched] = {}
        self.shut: list[str] = []
        self.back: dict[str, float] = {}
        for number in range(SUPERNODES):
            supernode = self.town.node(f"supernode{number}").supernode
            assert supernode is not None
            old = supernode.clients
            supernode.clients = Watched(old.node, old.digest, old.known, old.heads, 45)
            self.watched[f"supernode{number}"] = supernode.clients
        for name in self.names:
            self.town.stranger(name)
            if timings is not None:
                self.town.node(name).join.timings = timings
        self.world.run(SETTLED)
        assert all(self.on_line(name) for name in self.names)
        for name, clients in self.watched.items():
            clients.handshakes.clear()
            clients.admission = Admission(clients.digest, self.world.rng(f"line of {name}"), PACE)

    def on_line(self, name: str) -> bool:
        return self.town.node(name).join.state is State.ATTACHED

    def break_out(self) -> list[str]:
        """The supernodes die, and all of theirs know it at once: the worst case.  Who lost his supernode."""
        dead = [self.world.residents[f"supernode{number}"] for number in range(DYING)]
        for resident in dead:
            self.world.kill(resident.name)
        addresses = [resident.address for resident in dead]
        lost = [name for name in self.names if self.town.node(name).join.supernode in addresses]
        for name in lost:
            peer = self.town.node(name).join.peer
            assert peer is not None
            self.world.ask(self.world.residents[name], [Unlink(peer, "no answer")])
        self.world.every(1.0, self._look)
        self.lost = lost
        return lost

    def _look(self) -> bool:
        now = self.world.now
        for name, clients in self.watched.items():
            if self.world.residents[name].alive and clients.load(now) > OVERLOAD:
                self.world.kill(name)
                self.shut.append(name)
        for name in self.lost:
            if self.on_line(name):
                self.back.setdefault(name, now - SETTLED)
            else:
                self.back.pop(name, None)
        return True

    def back_after(self, share: float) -> float:
        """Seconds after which so many of those who lost theirs were on line again, for good."""
        times = sorted(self.back.values())
        return times[max(0, int(share * len(self.lost) + 0.999) - 1)]


def test_who_is_too_many_for_a_moment_waits_for_a_moment() -> None:
    town = Town(1, supernodes=1)
    names = [f"node{number}" for number in range(60)]
    for name in names:
        town.stranger(name)
    taken = town.node("supernode0").supernode
    assert taken is not None
    town.world.run(0.8)
    assert len(taken.clients) == Pace().burst
    town.world.run(1.0 + 30 / Pace().rate + 3.0)
    assert all(town.node(name).join.state is State.ATTACHED for name in names)


def test_a_spare_is_at_hand_when_a_supernode_dies_alone() -> None:
    town = Town(1, supernodes=6)
    town.user("alice")
    town.world.run(30.0)
    join = town.node("alice").join
    (mine,) = [name for name in town.world.residents if town.world.residents[name].address == join.supernode]
    spare = join.scout.spares[0]
    town.world.kill(mine)
    assert join.peer is not None
    town.world.ask(town.world.residents["alice"], [Unlink(join.peer, "no answer")])
    began = town.world.now
    town.world.run(began + 2.0, lambda: join.state is State.ATTACHED)
    assert join.supernode == spare
    assert town.world.now - began <= 4.5 * 2 * town.world.net.delay


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_the_crowd_is_back_as_fast_as_it_can_be_taken(seed: int) -> None:
    storm = Storm(seed)
    lost = storm.break_out()
    assert len(lost) > NODES * 0.2
    alive = SUPERNODES - DYING
    floor = (len(lost) - alive * PACE.burst) / (alive * PACE.rate)
    storm.world.run(SETTLED + 4 * floor)
    assert not storm.shut
    assert len(storm.back) == len(lost), "somebody is shut out for ever"
    assert storm.back_after(0.99) <= 1.6 * floor  # measured: 1.2 to 1.5


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_with_tickets_the_crowd_is_back_within_a_minute(seed: int) -> None:
    storm = Storm(seed)
    for _ in range(2):
        for name in storm.names:
            storm.town.node(name).join.returns._next_at = -inf  # half an hour is not waited for
        storm.world.run(storm.world.now + 600.0)
    for clients in storm.watched.values():
        clients.handshakes.clear()
    began = storm.world.now
    lost = storm.break_out()
    assert len(lost) > NODES * 0.2
    storm.world.run(began + 120.0)
    assert not storm.shut
    assert len(storm.back) == len(lost), "somebody is shut out for ever"
    assert storm.back_after(0.99) + SETTLED - began <= 60.0  # measured: 48 to 58; without tickets 59 to 66


@pytest.mark.slow
def test_the_rule_of_the_article_does_not_come_back() -> None:
    storm = Storm(1, CLASSIC_JOIN)
    storm.break_out()
    storm.world.run(SETTLED + 600.0)
    assert len(storm.shut) >= 3  # and with each all that it served
    assert sum(map(storm.on_line, storm.names)) < NODES / 2
