"""The table of a node's links: by our number, by peer, by route; which have something to say, and when which is due."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from halloo.base.address import Peer, Route, Stream
from halloo.base.machine import Alarms, Numbers
from halloo.link.onelink import OneLink

__all__ = ["Links"]

MAX_LINKS = 4_096  # at once: a supernode with 800 clients, all other supernodes, and room for both to come again
MAX_WAITING = 64 << 20  # bytes said and not yet acknowledged, over all links: more is kept for nobody
_INBOUND = 1 << 32  # peers that came to us are numbered from here, those we made below


class Links:
    """All links of one node, unfinished ones included."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._by_number: dict[int, OneLink] = {}
        self._by_peer: dict[Peer, OneLink] = {}
        self._by_route: dict[Route, Peer] = {}
        self._alarms: Alarms[int] = Alarms()
        self._stirred: dict[int, OneLink] = {}
        self._inbound = Numbers(_INBOUND)
        self._waiting: dict[int, int] = {}
        """By number, the bytes that were not acknowledged when the link was last flushed."""
        self._waiting_in_all = 0

    def __len__(self) -> int:
        return len(self._by_number)

    def __iter__(self) -> Iterator[OneLink]:
        return iter(self._by_number.values())

    @property
    def full(self) -> bool:
        """Whether there is no room for one more."""
        return len(self._by_number) >= MAX_LINKS

    @property
    def wake_at(self) -> float:
        """When the next link has something to do."""
        return self._alarms.next

    def numbered(self, number: int) -> OneLink | None:
        """The link that the other side addresses by ``number``."""
        return self._by_number.get(number)

    def of(self, peer: Peer) -> OneLink | None:
        """The link to a peer."""
        return self._by_peer.get(peer)

    def peer_at(self, route: Route) -> Peer | None:
        """Who is reached by a route, as far as a finished link takes it."""
        return self._by_route.get(route)

    def over(self, stream: int) -> list[OneLink]:
        """The links that run over one connection."""
        return [link for link in self if isinstance(link.route, Stream) and link.route.number == stream]

    def free_number(self) -> int:
        """A number that names no link yet; drawn, so that nobody can guess it."""
        while (number := self._rng.getrandbits(32)) in self._by_number:
            continue
        return number

    def next_inbound(self) -> Peer:
        """The peer that comes to us next."""
        return Peer(self._inbound())

    def add(self, link: OneLink) -> OneLink:
        """Take a link in."""
        self._by_number[link.number] = link
        self._by_peer[link.peer] = link
        return link

    def arm(self, link: OneLink) -> None:
        """Note when a link has something to do next."""
        self._alarms[link.number] = link.wake_at

    def due(self, now: float) -> list[OneLink]:
        """The links whose time has come; each has to be armed again."""
        return [link for number in self._alarms.due(now) if (link := self._by_number.get(number)) is not None]

    def stir(self, link: OneLink) -> None:
        """Note that a link has something to say, or to acknowledge, in this turn."""
        self._stirred[link.number] = link

    def stirred(self) -> Iterator[OneLink]:
        """Each link that was stirred and still is one; it is calm afterwards."""
        while self._stirred:
            number, link = self._stirred.popitem()
            if number in self._by_number:
                yield link

    def overweight(self, link: OneLink) -> bool:
        """Count what waits for a link now; whether it has to go, because too much waits in all."""
        waiting = link.reliable.waiting
        self._waiting_in_all += waiting - self._waiting.get(link.number, 0)
        self._waiting[link.number] = waiting
        return waiting > 0 and self._waiting_in_all > MAX_WAITING

    def stand(self, link: OneLink) -> None:
        """A link is finished: what comes over its route comes from its peer."""
        self._by_route[link.route] = link.peer

    def move(self, link: OneLink, route: Route) -> None:
        """Let a link take another route."""
        self._leave_route(link)
        link.route = route
        self._by_route[route] = link.peer

    def remove(self, link: OneLink) -> None:
        """Forget a link.  Harmless when it was forgotten before."""
        self._by_number.pop(link.number, None)
        self._by_peer.pop(link.peer, None)
        self._leave_route(link)
        self._waiting_in_all -= self._waiting.pop(link.number, 0)
        del self._alarms[link.number]

    def _leave_route(self, link: OneLink) -> None:
        if self._by_route.get(link.route) == link.peer:
            del self._by_route[link.route]
