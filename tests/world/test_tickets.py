"""Who loses his supernode comes back to a spare by a ticket: one datagram each way, or a handshake if it is stale."""

from __future__ import annotations

from math import inf

import pytest

from halloo.base.address import Address
from halloo.base.effects import Unlink
from halloo.overlay.join import State
from halloo.overlay.returns import TICKETS
from halloo.sim.town import Town


class Case:
    """Alice is on line, and was given tickets; ``supernodes`` by address."""

    def __init__(self, seed: int = 1) -> None:
        self.town = Town(seed, supernodes=6)
        self.world = self.town.world
        self.town.user("alice")
        self.world.run(30.0)
        self.join = self.town.node("alice").join
        for _ in range(TICKETS):
            self.join.returns._next_at = -inf  # half an hour is not waited for
            self.world.run(self.world.now + 600.0)
        self.held = [spare for spare in self.join.scout.spares if self.join.returns.holds(spare, self.world.now)]
        assert len(self.held) == TICKETS

    def name(self, address: Address | None) -> str:
        residents = self.world.residents.items()
        (name,) = [name for name, resident in residents if resident.alive and resident.address == address]
        return name

    def lose(self) -> None:
        """Her supernode dies, and she knows it."""
        self.world.kill(self.name(self.join.supernode))
        assert self.join.peer is not None
        self.world.ask(self.world.residents["alice"], [Unlink(self.join.peer, "no answer")])

    def back_after(self, most: float) -> float:
        began = self.world.now
        self.world.run(began + most, lambda: self.join.state is State.ATTACHED)
        assert self.join.state is State.ATTACHED
        return self.world.now - began

    def returned(self) -> bool:
        """Whether her supernode took her by a ticket."""
        supernode = self.town.node(self.name(self.join.supernode)).supernode
        assert supernode is not None
        own = [peer for peer, client in supernode.clients._clients.items() if client.node == self.join.node]
        return own[0] in supernode.clients._returned


def test_one_datagram_each_way() -> None:
    case = Case()
    case.lose()
    assert case.back_after(2.0) <= 1.2 * 2 * case.world.net.delay
    assert case.join.supernode == case.held[0]
    assert case.returned()
    assert not case.join.returns.holds(case.held[0], case.world.now), "it serves once"


def test_a_supernode_that_was_started_again_knows_no_ticket_and_takes_a_handshake() -> None:
    case = Case()
    case.town.restart(case.name(case.held[0]))
    case.world.run(case.world.now + 0.5)
    case.lose()
    case.back_after(6.0)
    assert case.join.supernode == case.held[0]
    assert not case.returned()


def test_a_spare_that_is_gone_costs_a_moment() -> None:
    case = Case()
    case.world.kill(case.name(case.held[0]))
    case.lose()
    assert case.back_after(4.0) < 2.0
    assert case.join.supernode != case.held[0]


@pytest.mark.parametrize("seconds", [5.0, 12.0])
def test_who_is_told_later_waits_like_everybody_and_is_given_another_ticket(seconds: float) -> None:
    case = Case()
    for name in case.world.residents:
        if name.startswith("supernode"):
            supernode = case.town.node(name).supernode
            assert supernode is not None
            assert supernode.clients.admission is not None
            supernode.clients.admission._next = case.world.now + seconds
    case.lose()
    case.world.run(case.world.now + 1.0)
    assert case.join.state is State.PAUSING
    assert case.join.returns.holds(case.held[0], case.world.now), "for the time that it was told"
    assert seconds - 2.0 <= case.back_after(seconds + 3.0) + 1.0
    assert case.returned()
