"""The side door of a node: links that are resumed with a ticket, and the tickets for it.

    initiator                          responder
      | -- Resume --------------------> |   the initiator repeats it; after three times, or
      | <- ResumeRefused -------------- |   upon this, he says Hello (see ``doorkeeper``)
      | <- Resumed -------------------- |   said again for each Resume that comes again
      | -- Confirm, sealed -----------> |   repeated until it is acknowledged
      | <= sealed ===================== |

Until something sealed has come back, nobody knows that the initiator is where he says: so until then he is told one
datagram for each of his, no longer than it, whatever there is to say.  A ticket serves once; while that is certain, the
commands that came with it are heard at once, otherwise they are said again, after the confirmation.
"""

from __future__ import annotations

from math import inf

from halloo.base.address import Peer, Route
from halloo.base.errors import PeerError, Refused
from halloo.base.machine import Message
from halloo.link.doorkeeper import Doorkeeper
from halloo.link.links import Links
from halloo.link.mouth import CHANNEL_ROOM, Mouth
from halloo.link.notice import Output, Ticketed, Up
from halloo.link.onelink import OneLink
from halloo.link.persona import Persona
from halloo.link.reliable import Reliable
from halloo.link.resumption import TRIES, Admission, Return
from halloo.link.strangers import Strangers
from halloo.link.tickets import Tickets, standing
from halloo.messages.catalogue import EARLY, SEALED
from halloo.messages.credential import Party
from halloo.messages.link import Confirm, Resume, Resumed, ResumeRefused, Ticket
from halloo.wire.command import declaration_of, decode_commands
from halloo.wire.frame import FrameKind

__all__ = ["Reentry", "Resumption"]

TICKET_SOONEST = 10.0  # seconds between two tickets of one link: each costs a tenth of a millisecond
Resumption = tuple[list[Output], OneLink | None, list[Message]]
"""What to say and tell, and the messages that were heard, of which link."""


class Reentry:
    """Resumes links, ours and those of others.  ``wall``: seconds to add to the world's clock for the wall clock."""

    def __init__(
        self, persona: Persona, links: Links, strangers: Strangers, doorkeeper: Doorkeeper, mouth: Mouth, wall: float
    ) -> None:
        self.tickets = Tickets(persona)
        self._persona = persona
        self._links = links
        self._strangers = strangers
        self._doorkeeper = doorkeeper
        self._mouth = mouth
        self._wall = wall

    # --- tickets ----------------------------------------------------------------------------------------------

    def asked(self, link: OneLink, now: float) -> None:
        """Give the other side a ticket.  Raises Refused where it is not due one."""
        if not link.inbound or link.party is None or now < link.ticket_at + TICKET_SOONEST:
            raise Refused("a ticket at a moment when none is given")
        assert link.session is not None
        link.ticket_at = now
        ticket = self.tickets.give(link.exporter, link.party, now, now + self._wall)
        link.reliable.say(self._mouth.said(ticket))

    def given(self, link: OneLink, ticket: Ticket) -> Ticketed:
        """Hand on a ticket that we asked for.  Raises Refused where we did not."""
        if not link.asks_ticket or link.party is None:
            raise Refused("a ticket that was not asked for")
        link.asks_ticket = False
        return Ticketed(link.peer, self.tickets.hold(ticket, link.exporter, link.party), ticket.expires)

    # --- the side that comes back -----------------------------------------------------------------------------

    def begin(self, peer: Peer, route: Route, now: float, key: bytes, ticket: bytes) -> list[Output]:
        """Begin a link with a ticket; where it can serve for nothing, without it."""
        held = self.tickets.usable(ticket, key, now + self._wall) if ticket else None
        if held is None or self._links.full:
            return self._doorkeeper.begin(peer, route, now, key)
        link = self._links.add(OneLink(self._links.free_number(), peer, route, now, now, inbound=False))
        link.returning = Return(self._persona, link.number, held, key)
        link.again_at = now + link.wait
        self._links.stir(link)  # it is said when all is known that goes along with it
        self._links.arm(link)
        return []

    def greet_again(self, link: OneLink, now: float) -> list[Output]:
        """Nothing was heard: say the Resume again, or in the end a Hello."""
        returning = link.returning
        if returning is not None and link.initiator is None:
            returning.tries += 1
            if returning.tries >= TRIES:
                return self._doorkeeper.knock(link, now, returning.key)
        return self._doorkeeper.greet_again(link, now)

    def hear_resumed(self, message: Resumed, now: float) -> Resumption:
        """The other side knows us.  Raises PeerError."""
        link = self._links.numbered(message.to)
        if link is None or link.returning is None or link.session is not None:
            raise Refused("an answer to no Resume of ours")
        returning = link.returning
        session, party, plain = returning.answer(message)
        if message.taken:
            link.reliable.said_before(returning.carried, returning.said_at)
        heard = _messages(link.reliable.heard(plain, now), self._persona.notary.network)
        link.session, link.theirs = session, message.link.to_bytes(4, "big")
        link.greeting, link.again_at, link.initiator, link.returning = (), inf, None, None
        out: list[Output] = [self._stands(link, party, now)]
        self._links.stand(link)
        link.reliable.say(self._mouth.said(Confirm()))
        self._links.stir(link)
        return out, link, heard

    def hear_refused(self, message: ResumeRefused, now: float) -> list[Output]:
        """The ticket serves for nothing: say Hello.  Raises Refused."""
        link = self._links.numbered(message.to)
        if link is None or link.returning is None or link.session is not None:
            raise Refused("a refusal of no Resume of ours")
        returning, link.returning = link.returning, None
        return self._doorkeeper.knock(link, now, returning.key) if link.initiator is None else []

    # --- the other side ---------------------------------------------------------------------------------------

    def hear_resume(self, message: Resume, route: Route, size: int, now: float) -> Resumption:
        """Somebody comes back, or says so; ``size``: the bytes that he spent on it.  Raises PeerError."""
        known = self._strangers.find(route, message)
        if known is not None:
            if known.admitted is None or known.admitted.heard != message:
                raise Refused("a Resume beside another handshake")
            return self._doorkeeper.greet(known), None, []
        if self._links.full:
            raise Refused("too many links")
        self._strangers.room(route)
        try:
            content = self.tickets.open(message.ticket, now + self._wall)
            admission = Admission(self._persona, message, content)
            standing(self._persona, admission.party, now + self._wall)
            once = self.tickets.spend(message.ticket)
            packet = admission.early() if once else b""
            link = self._link(admission, route, size, now)
            early = _early(link, packet, self._persona.notary.network, now)
            link.session = admission.agree(link.number, taken=bool(early))
        except PeerError:
            return list(self._mouth.say(route, ResumeRefused(to=message.link))), None, []
        out: list[Output] = []
        oldest = self._strangers.add(self._links.add(link))
        if oldest is not None:
            out += self._doorkeeper.drop(oldest, "too many who did not confirm")
        if early:  # heard once for certain, so whoever is behind may act upon them
            out.append(self._stands(link, admission.party, now))
        self._links.stir(link)
        self._links.arm(link)
        return out, link, early

    def confirmed(self, link: OneLink, now: float) -> list[Output]:
        """Something sealed came from an initiator who comes back: so he is there, and the link is like any other."""
        assert link.admitted is not None
        party, link.admitted, link.greeting = link.admitted.party, None, ()
        self._strangers.remove(link)
        self._links.stand(link)
        link.reliable.acknowledge()
        self._links.stir(link)
        return [self._stands(link, party, now)] if link.party is None else []

    # --- the way out ------------------------------------------------------------------------------------------

    def flush(self, link: OneLink, now: float) -> list[Output]:
        """Say the Resume or the Resumed of a link that waits for it, with what may go along."""
        returning, admitted = link.returning, link.admitted
        if returning is not None and returning.said is None:
            link.greeting = (self._resume(link, returning, now),)
        elif admitted is not None and not admitted.answered:
            link.greeting = (self._resumed(link, admitted, now),)
        else:
            return []
        return self._doorkeeper.greet(link)

    def _resume(self, link: OneLink, returning: Return, now: float) -> Resume:
        room = self._persona.suite.fragment_size - CHANNEL_ROOM - returning.overhead
        packet, count = link.reliable.first_packet(room, returning.early)
        return returning.say(self._mouth.padded(packet, 0, room) if count else b"", count, now)

    def _resumed(self, link: OneLink, admitted: Admission, now: float) -> Resumed:
        assert link.session is not None
        room = link.spent - admitted.overhead - link.session.overhead
        packet, count = link.reliable.first_packet(room)
        link.reliable.said_before(count, now)
        _, sealed = link.session.close(FrameKind.PAYLOAD, link.theirs, self._mouth.padded(packet, 0, room))
        return admitted.answer(sealed)

    def _link(self, admission: Admission, route: Route, size: int, now: float) -> OneLink:
        peer = self._links.next_inbound()
        link = OneLink(self._links.free_number(), peer, route, now, now, inbound=True)
        link.admitted, link.spent, link.theirs = admission, size, admission.heard.link.to_bytes(4, "big")
        return link

    def _stands(self, link: OneLink, party: Party, now: float) -> Up:
        return self._doorkeeper.stands(link, party, now, resumed=True)


def _messages(commands: list[bytes], network: bytes) -> list[Message]:
    return [message for command in commands for message in decode_commands(command, SEALED, network)]


def _early(link: OneLink, packet: bytes, network: bytes, now: float) -> list[Message]:
    """The messages that came along, if all of them may; else none is heard."""
    if not packet:
        return []
    reliable = Reliable()
    commands = reliable.heard(packet, now)
    messages = _messages(commands, network)
    kinds = [declaration_of(type(each)) for each in messages]
    if len(kinds) != len(commands) or any((each.number, each.form) not in EARLY for each in kinds):
        return []
    link.reliable = reliable
    return messages


