"""Nodes that come back to a supernode with a ticket, when their own is gone."""

from __future__ import annotations

from math import inf

import pytest

from halloo.base.address import Address, Peer, Route, Stream, Wire
from halloo.base.effects import Link, Send, Unlink
from halloo.base.machine import Effects, Message
from halloo.link.endpoint import Endpoint
from halloo.link.keys import LinkKeys
from halloo.link.notice import Down, Heard, Notice, Ticketed, Up
from halloo.link.persona import Persona
from halloo.link.renewal import RENEW_AFTER
from halloo.messages.link import AskTicket
from halloo.messages.overlay import Attach, Attached, Ping, Pong
from halloo.node.station import Station
from halloo.sim.town import Town
from halloo.sim.world import WALL, Passed, Resident

PROFILES = pytest.mark.parametrize("profile", ["modern", "classic", "plain"])
OWN, OTHER = 0, 1


class Visitor:
    """A mind that links to whom it is told, and writes down what it hears."""

    wake_at = inf

    def __init__(self) -> None:
        self.notices: list[Notice] = []
        self.keys: list[LinkKeys] = []

    def receive(self, notice: Notice, now: float) -> Effects:
        self.notices.append(notice)
        return []

    def wake(self, now: float) -> Effects:
        return []

    def heard(self, kind: type[Message]) -> list[Message]:
        return [n.message for n in self.notices if isinstance(n, Heard) and isinstance(n.message, kind)]

    def ups(self) -> list[Up]:
        return [notice for notice in self.notices if isinstance(notice, Up)]


class Visited(Town):
    """A town with visitors, who know one supernode besides their own."""

    def visitor(self, name: str) -> tuple[Resident, Visitor]:
        address, rng, mind = self._address(), self.world.rng(name), Visitor()
        private = self.suite.identity.make(rng)
        credential = self.credential(name, self.suite.identity.public(private))
        persona = Persona(self.suite, self.descriptor.notary, private, credential, rng, mind.keys.append)
        endpoint = Endpoint(persona, self.descriptor.cloak_key, (address.host,), WALL)
        return self.world.settle(name, Station(endpoint, mind), address), mind

    def supernode(self, number: int) -> Address:
        return self.world.residents[f"supernode{number}"].address

    def ticket(self, visitor: Resident, mind: Visitor, number: int) -> bytes:
        """One from a supernode that was met and left again in peace."""
        peer = Peer(100 + number)
        self.world.ask(visitor, [Link(peer, Wire(self.supernode(number)))])
        self.world.run(self.world.now + 2.0)
        self.world.ask(visitor, [Send(peer, AskTicket())])
        self.world.run(self.world.now + 1.0)
        self.world.ask(visitor, [Unlink(peer, "")])
        self.world.run(self.world.now + 1.0)
        (ticket,) = [notice.ticket for notice in mind.notices if isinstance(notice, Ticketed)]
        mind.notices.clear()
        return ticket


def attach(visitor: Resident) -> Attach:
    persona = visitor.station.endpoint.persona
    return Attach(node=persona.suite.digest(persona.public)[:8], port=40_000, uptime=900, request=1)


@PROFILES
def test_one_round_trip_and_two_datagrams(profile: str) -> None:
    town = Visited(1, supernodes=2, profile=profile)
    town.world.run(20.0)
    visitor, mind = town.visitor("alice")
    ticket = town.ticket(visitor, mind, OTHER)
    passed: list[Passed] = []
    other = town.supernode(OTHER)
    town.world.tap = lambda each: passed.append(each) if visitor.address in (each.source, each.destination) else None
    began = town.world.now
    town.world.ask(visitor, [Link(Peer(7), Wire(other), ticket=ticket), Send(Peer(7), attach(visitor))])
    assert town.world.run(began + 2.0, lambda: bool(mind.heard(Attached)))
    until_up = [each for each in passed if each.time < town.world.now]
    assert len(until_up) == 2
    assert len(until_up[1].data) <= len(until_up[0].data)
    (up,) = mind.ups()
    assert (up.peer, up.resumed, up.inbound, up.route) == (Peer(7), True, False, Wire(other))
    assert up.party.key == town.world.residents["supernode1"].station.endpoint.persona.public
    assert len(mind.keys) == 2
    assert not {mind.keys[0].initiators, mind.keys[0].responders} & {mind.keys[1].initiators, mind.keys[1].responders}
    for number in range(int(RENEW_AFTER / 25) + 3):  # an hour of signs of life
        town.world.ask(visitor, [Send(Peer(7), Ping(request=number))])
        town.world.run(town.world.now + 25.0)
    assert len(mind.heard(Pong)) == int(RENEW_AFTER / 25) + 3
    assert len(mind.keys) == (3 if town.suite.renews else 2)
    assert not [notice for notice in mind.notices if isinstance(notice, Down)]


@PROFILES
def test_over_a_stream_too(profile: str) -> None:
    town = Visited(2, supernodes=2, profile=profile)
    town.world.run(20.0)
    visitor, mind = town.visitor("alice")
    ticket = town.ticket(visitor, mind, OTHER)
    route: Route = Stream(5, Address(town.supernode(OTHER).host, 443))
    town.world.ask(visitor, [Link(Peer(7), route, ticket=ticket), Send(Peer(7), attach(visitor))])
    town.world.run(town.world.now + 3.0)
    assert [(up.resumed, up.route) for up in mind.ups()] == [(True, route)]
    assert len(mind.heard(Attached)) == 1


@PROFILES
def test_all_of_a_dead_supernode_find_another_at_once(profile: str) -> None:
    town = Visited(3, supernodes=2, profile=profile)
    town.world.run(20.0)
    visitors = [town.visitor(f"visitor{number}") for number in range(12)]
    tickets = [town.ticket(visitor, mind, OTHER) for visitor, mind in visitors]
    for visitor, _ in visitors:
        town.world.ask(visitor, [Link(Peer(1), Wire(town.supernode(OWN))), Send(Peer(1), attach(visitor))])
    town.world.run(town.world.now + 3.0)
    town.world.kill("supernode0")
    for _, mind in visitors:
        assert len(mind.heard(Attached)) == 1
        mind.notices.clear()
    other = town.supernode(OTHER)
    before = town.world.residents["supernode1"].received
    for (visitor, _), ticket in zip(visitors, tickets, strict=True):
        link = Link(Peer(2), Wire(other), ticket=ticket)
        town.world.ask(visitor, [Unlink(Peer(1)), link, Send(Peer(2), attach(visitor))])
    town.world.run(town.world.now + 1.5)
    for _, mind in visitors:
        assert [up.resumed for up in mind.ups()] == [True]
        assert len(mind.heard(Attached)) == 1
    assert town.world.residents["supernode1"].received - before <= 3 * len(visitors) + 20
