"""Tickets of other supernodes, got in good times: who loses his own one comes back with one datagram each way.

    node                             a spare (see ``scout``)
      | --- Probe: only asking -----> |
      | <-- ProbeAccept ------------- |   it has nothing better to do
      | ===== link =================> |
      | --- AskTicket --------------> |
      | <-- Ticket ------------------ |
      | --- Goodbye ----------------> |

    and when our supernode is lost
      | --- Resume: ticket, Attach -> |
      | <-- Resumed: Attached ------- |   or AttachRefused, with a place in the line, and then another ticket for that

A ticket costs its giver a handshake, so a node gets the first some hour after it came on line, and another some hour
later: with 800 nodes that is a handshake in four seconds at the worst, and one in forty where nodes stay.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf
from random import Random

from halloo.base.address import Address, Peer, Wire
from halloo.base.effects import Link, Send, Unlink
from halloo.base.machine import Effects, Numbers
from halloo.messages.link import AskTicket

__all__ = ["Returns"]

TICKET_EVERY = 3_600.0  # seconds, on average, between two visits for a ticket: at leisure
TICKETS = 2  # spares whose tickets are held: where a third of all supernodes die, one lives in nine of ten cases
MOST_HELD = 8  # tickets kept, those of spares that are none any more as well
FRESH_FOR = 3_600.0  # seconds that a ticket has to serve still, or another is asked for
VISIT_FOR = 8.0  # seconds for the link and the ticket


@dataclass(frozen=True, slots=True)
class _Held:
    ticket: bytes
    expires: float
    """Wall clock, seconds."""


@dataclass(frozen=True, slots=True)
class _Visit:
    address: Address
    until: float


@dataclass(slots=True)
class Returns:
    """The tickets of one node, and its visits to those who give them."""

    rng: Random
    peers: Numbers
    wall: float
    _held: dict[Address, _Held] = field(default_factory=dict)
    _visits: dict[Peer, _Visit] = field(default_factory=dict)
    _next_at: float = inf
    """Before which nobody is visited."""

    @property
    def wake_at(self) -> float:
        """When ``wake`` has something to do."""
        return min((visit.until for visit in self._visits.values()), default=inf)

    def holds(self, address: Address, now: float) -> bool:
        """Whether there is a ticket of a supernode that serves still."""
        held = self._held.get(address)
        return held is not None and held.expires > now + self.wall

    # --- intents

    def attached(self, now: float) -> None:
        """The node is on line by datagrams: there is time for visits."""
        self._next_at = now + TICKET_EVERY * (0.5 + self.rng.random())

    def rest(self) -> Effects:
        """It is off line: nobody is visited."""
        self._next_at = inf
        out: Effects = [Unlink(peer, "not needed") for peer in self._visits]
        self._visits.clear()
        return out

    def at_leisure(self, address: Address, spares: list[Address], now: float) -> Effects:
        """One of ``spares`` has just said that it has nothing better to do: visit it, if that is due."""
        if now < self._next_at or self._visits or self._fresh(address, now):
            return []
        if address not in spares or sum(self._fresh(spare, now) for spare in spares) >= TICKETS:
            return []
        self._next_at = now + TICKET_EVERY * (0.5 + self.rng.random())
        peer = Peer(self.peers())
        self._visits[peer] = _Visit(address, now + VISIT_FOR)
        return [Link(peer, Wire(address))]

    def stay(self, peer: Peer, address: Address, now: float) -> Effects:
        """A link to a supernode stands that could not take us, and the ticket for it is used up: ask for another."""
        self._visits[peer] = _Visit(address, now + VISIT_FOR)
        return [Send(peer, AskTicket())]

    def take(self, address: Address, now: float) -> bytes:
        """The ticket of a supernode, which serves once; empty: there is none."""
        serves, held = self.holds(address, now), self._held.pop(address, None)
        return held.ticket if held is not None and serves else b""

    # --- what is heard

    def up(self, peer: Peer) -> Effects:
        """A link stands."""
        return [Send(peer, AskTicket())] if peer in self._visits else []

    def down(self, peer: Peer) -> None:
        """A link ended."""
        self._visits.pop(peer, None)

    def ticketed(self, peer: Peer, ticket: bytes, expires: int) -> Effects:
        """The supernode behind a link gave us a ticket; ``expires``: wall clock, seconds."""
        visit = self._visits.pop(peer, None)
        if visit is None:
            return []
        self._held.pop(visit.address, None)
        self._held[visit.address] = _Held(ticket, expires)
        if len(self._held) > MOST_HELD:
            del self._held[next(iter(self._held))]
        return [Unlink(peer, "not needed")]

    def wake(self, now: float) -> Effects:
        """End visits that came to nothing."""
        over = [peer for peer, visit in self._visits.items() if visit.until <= now]
        for peer in over:
            del self._visits[peer]
        return [Unlink(peer, "no ticket") for peer in over]

    # --- inside

    def _fresh(self, address: Address, now: float) -> bool:
        held = self._held.get(address)
        return held is not None and held.expires > now + self.wall + FRESH_FOR
