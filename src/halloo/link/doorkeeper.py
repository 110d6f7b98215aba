"""The doorkeeper of a node: begins links, by a handshake that is said again until it is heard, and ends them.

    initiator                          responder
      | -- Hello --------------------->  |   the initiator repeats it
      | <- HelloRetry: cookie ---------  |   only when many knock, see ``strangers``
      | <- HelloAnswer ----------------  |   said again for each Hello that comes again
      | -- Finish -------------------->  |   repeated until something sealed is heard
      | <- anything sealed ------------  |

What the four say, and what keys follow, is in ``handshake``.
"""

from __future__ import annotations

from halloo.base.address import Peer, Route, Stream
from halloo.base.errors import Refused
from halloo.link.handshake import Initiator, Responder, SomebodyElse
from halloo.link.links import Links
from halloo.link.mouth import Mouth
from halloo.link.notice import Down, Output, Up
from halloo.link.onelink import HELLO_AGAIN, HELLO_GROWTH, HELLO_MOST, OneLink
from halloo.link.persona import Persona
from halloo.link.strangers import Strangers
from halloo.link.streams import Streams
from halloo.messages.credential import Party
from halloo.messages.link import Finish, Hello, HelloAnswer, HelloRetry

__all__ = ["Doorkeeper"]


class Doorkeeper:
    """Begins and ends the links of one node.  ``wall``: seconds to add to the world's clock for the wall clock."""

    def __init__(
        self, persona: Persona, links: Links, strangers: Strangers, streams: Streams, mouth: Mouth, wall: float
    ) -> None:
        self._persona = persona
        self._links = links
        self._strangers = strangers
        self._streams = streams
        self._mouth = mouth
        self._wall = wall

    def begin(self, peer: Peer, route: Route, now: float, key: bytes) -> list[Output]:
        """Begin a link under the number ``peer``, over ``route``, with the holder of ``key`` (empty: with anybody)."""
        if self._links.full:
            return [Down(peer, "too many links")]
        link = self._links.add(OneLink(self._links.free_number(), peer, route, now, now, inbound=False))
        return self.knock(link, now, key)

    def knock(self, link: OneLink, now: float, key: bytes) -> list[Output]:
        """Say Hello for a link that was just begun, or that was to be resumed and could not be."""
        link.born = now
        link.initiator = Initiator(self._persona, link.number, key)
        link.greeting = (link.initiator.hello,)
        link.again_at = now + link.wait
        self._links.arm(link)
        return self.greet(link)

    def greet_again(self, link: OneLink, now: float) -> list[Output]:
        """The other side has not gone on: say it again, and wait longer."""
        link.wait = min(HELLO_GROWTH * link.wait, HELLO_MOST)
        link.again_at = now + link.wait
        return self.greet(link)

    def hear(
        self, message: Hello | HelloRetry | HelloAnswer | Finish, route: Route, now: float
    ) -> list[Output]:
        """One step of a handshake.

        Raises:
            PeerError: it belongs to no handshake of ours, or does not hold.
        """
        match message:
            case Hello():
                return self._hello(message, route, now)
            case HelloRetry():
                return self._hello_retry(message)
            case HelloAnswer():
                return self._hello_answer(message, now)
            case Finish():
                return self._finish(message, now)

    def drop(self, link: OneLink, reason: str) -> list[Output]:
        """End a link, and tell the owner if he ever heard of it."""
        out = self.forget(link)
        if link.party is not None or not link.inbound:
            out.append(Down(link.peer, reason))
        return out

    def forget(self, link: OneLink) -> list[Output]:
        """End a link without a word, and the connection that it alone used."""
        self._links.remove(link)
        self._strangers.remove(link)
        if isinstance(link.route, Stream) and not self._links.over(link.route.number):
            return list(self._streams.close(link.route.number))
        return []

    def _hello(self, hello: Hello, route: Route, now: float) -> list[Output]:
        out: list[Output] = []
        known = self._strangers.find(route, hello)
        if known is None:
            if self._links.full:
                raise Refused("too many links")
            retry = self._strangers.examine(route, hello)
            if retry is not None:
                return list(self._mouth.say(route, retry))
            number = self._links.free_number()
            responder = Responder(self._persona, number, hello)
            known = self._links.add(OneLink(number, self._links.next_inbound(), route, now, now, inbound=True))
            known.responder = responder
            known.greeting = (responder.answer,)
            known.theirs = hello.link.to_bytes(4, "big")
            oldest = self._strangers.add(known)
            if oldest is not None:
                out += self.forget(oldest)
            self._links.arm(known)
            if isinstance(route, Stream):
                self._streams.linked(route.number)
        return out + self.greet(known)

    def _hello_retry(self, retry: HelloRetry) -> list[Output]:
        link = self._links.numbered(retry.to)
        if link is None or link.initiator is None or link.session is not None or not link.initiator.retry(retry):
            raise Refused("a cookie for no Hello of ours")
        link.greeting = (link.initiator.hello,)
        return self.greet(link)

    def _hello_answer(self, answer: HelloAnswer, now: float) -> list[Output]:
        out: list[Output] = []
        link = self._links.numbered(answer.to)
        if link is None or link.initiator is None:
            raise Refused("an answer to no Hello of ours")
        if link.session is None:
            try:
                finish, link.session, party = link.initiator.answer(answer, now + self._wall)
            except SomebodyElse as fault:
                return self.drop(link, str(fault))
            link.theirs, link.returning = answer.link.to_bytes(4, "big"), None
            link.greeting, link.wait = (finish,), HELLO_AGAIN
            self._links.stand(link)
            out.append(self.stands(link, party, now))
        link.again_at = now + link.wait
        self._links.arm(link)
        return out + self.greet(link)

    def _finish(self, finish: Finish, now: float) -> list[Output]:
        out: list[Output] = []
        link = self._links.numbered(finish.to)
        if link is None or not link.inbound:
            raise Refused("the end of no handshake of ours")
        if link.responder is not None:
            link.session, party = link.responder.finish(finish, now + self._wall)
            link.responder = None  # its secrets would open what is said before the keys are renewed
            self._strangers.remove(link)
            link.greeting = ()
            self._links.stand(link)
            out.append(self.stands(link, party, now))
        link.reliable.acknowledge()  # the other side repeats its Finish until it hears something sealed
        self._links.stir(link)
        return out

    def stands(self, link: OneLink, party: Party, now: float, *, resumed: bool = False) -> Up:
        """A link with ``party`` stands: what to tell the owner."""
        link.stands(self._persona.suite, party, now)
        return Up(link.peer, party, link.route, link.inbound, resumed)

    def greet(self, link: OneLink) -> list[Output]:
        """Say what is said until the other side goes on."""
        return [effect for message in link.greeting for effect in self._mouth.say(link.route, message)]
