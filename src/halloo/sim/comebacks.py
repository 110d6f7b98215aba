"""The links between minds that are resumed with a ticket: what ``reentry`` does, without a byte.

    initiator                          giver
      | -- Resume: Attach ------------>  |   Up here, and the Attach is heard
      | <- Resumed -------------------   |   Up there; what was answered comes right behind it
      | -- Confirm ------------------->  |
      | <- ResumeRefused -------------   |   instead: a Hello follows
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from halloo.base.address import Peer, Route
from halloo.base.machine import Message
from halloo.link.links import MAX_LINKS
from halloo.link.notice import Ticketed, Up
from halloo.link.onelink import HELLO_GROWTH, HELLO_MOST
from halloo.link.reentry import TICKET_SOONEST
from halloo.link.resumption import TRIES
from halloo.link.tickets import TICKET_FOR
from halloo.messages.catalogue import EARLY
from halloo.messages.link import AskTicket, Ticket
from halloo.overlay.admission import RETURN_SHARE
from halloo.sim.world import WALL
from halloo.wire.command import declaration_of

if TYPE_CHECKING:
    from halloo.sim.half import Half
    from halloo.sim.halves import Halves
    from halloo.sim.minds import Dweller, MindWorld

__all__ = ["Comebacks"]

TICKET_SIZE = 304  # bytes of a user's ticket in the modern suite


class Comebacks:
    """Tickets, and what is made with them."""

    def __init__(self, world: MindWorld, halves: Halves) -> None:
        self._world = world
        self._halves = halves
        self._given = 0

    # --- tickets

    def heard(self, far: Half, message: Message) -> bool:
        """Whether what ``far`` hears is said between endpoints, and no word for a mind."""
        world, there = self._world, far.owner
        if isinstance(message, AskTicket):
            if far.inbound and far.far is not None and world.now >= far.ticket_at + TICKET_SOONEST:
                far.ticket_at = world.now
                self._given += 1
                mark, holder = self._given.to_bytes(TICKET_SIZE, "big"), far.far.owner.persona
                there.tickets[mark] = holder, holder.credential, world.now + TICKET_FOR
                expires = int(world.now + WALL) + TICKET_FOR
                self._halves.say(far, Ticket(ticket=mark, nonce=bytes(16), expires=expires))
            return True
        if isinstance(message, Ticket):
            world.tell(there, Ticketed(far.peer, message.ticket, message.expires))
            return True
        return False

    # --- who comes back

    def begin(self, half: Half, ticket: bytes) -> bool:
        """Come back with a ticket, if there is one."""
        if ticket:
            self._world.plan(0.0, self._resume, half, ticket, 0)  # when all is known that goes along with it
        return bool(ticket)

    def _resume(self, half: Half, ticket: bytes, tries: int) -> None:
        if half.gone or half.up or half.greets:
            return
        world = self._world
        if tries == TRIES:
            half.greets = True
            self._halves.greet(half)
            return
        early = 0
        for message in half.waiting:
            declared = declaration_of(type(message))
            if (declared.number, declared.form) not in EARLY:
                break
            early += 1
        _said(half.owner, "Resume")
        world.post(half.owner, half.route, self._come, (half, ticket, early))
        world.plan(half.wait, self._resume, half, ticket, tries + 1)
        half.wait = min(HELLO_GROWTH * half.wait, HELLO_MOST)

    def _come(self, there: Dweller, route: Route, item: tuple[Half, bytes, int]) -> None:
        begun, ticket, early = item
        world = self._world
        known = begun.far
        if known is not None and known.owner is there:
            if known.up and not known.gone:
                self._answer(known)
            return
        if begun.gone or begun in there.half_open or len(there.halves) + len(there.half_open) >= MAX_LINKS:
            return
        holder, credential, until = there.tickets.pop(ticket, (None, b"", 0.0))
        party = self._halves.party(begun.owner, there)
        mine = begun.owner.persona
        if holder is not mine or credential != mine.credential or until <= world.now or party is None:
            _said(there, "ResumeRefused")
            world.post(there, route, self._refused, begun)
            return
        desk = world.desk(there)
        wait = desk.wait(world.now, 0.0) if desk is not None else 0.0
        if wait is None:
            there.tickets[ticket] = mine, credential, until  # it was not even heard
            return
        ours = self._halves.half(there, Peer(there.next_inbound()), route, world.now)
        ours.far, begun.far = begun, ours
        there.halves[ours.peer] = ours
        world.plan(wait, self._stands, ours, early)

    def _stands(self, ours: Half, early: int) -> None:
        world, there, begun = self._world, ours.owner, ours.far
        assert begun is not None
        party = self._halves.party(begun.owner, there)
        if ours.gone or not there.alive or party is None:
            return
        self._halves.stand(ours)
        self._answer(ours)
        world.tell(there, Up(ours.peer, party, ours.route, inbound=True, resumed=True))
        carried, begun.waiting = begun.waiting[:early], begun.waiting[early:]
        for message in carried:
            world.count(begun.owner, message, sealed=True)
            self._halves.hear(begun, ours, message)
        desk, supernode = world.desk(there), getattr(there.mind, "supernode", None)
        if desk is not None and supernode is not None and ours.peer in supernode.clients:
            desk.took(RETURN_SHARE, world.now)

    def _answer(self, ours: Half) -> None:
        _said(ours.owner, "Resumed")
        self._world.post(ours.owner, ours.route, self._resumed, ours)

    def _resumed(self, there: Dweller, _: Route, theirs: Half) -> None:
        half = theirs.far
        if half is None or half.owner is not there or half.gone or half.up:
            return
        party = self._halves.party(theirs.owner, there)
        if party is None:
            return
        self._halves.stand(half)
        _said(there, "Confirm")
        self._world.tell(there, Up(half.peer, party, half.route, inbound=False, resumed=True))
        self._halves.said_at_last(half)

    def _refused(self, there: Dweller, _: Route, begun: Half) -> None:
        if begun.owner is there and not begun.gone and not begun.up and not begun.greets:
            begun.greets = True
            self._halves.greet(begun)


def _said(dweller: Dweller, name: str) -> None:
    dweller.said[name] = dweller.said.get(name, 0) + 1
