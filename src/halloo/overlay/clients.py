"""The nodes that are attached to a supernode: who may come, who is there, who left.

    node                         supernode
      | --- Probe ----------------> |  in the open, over UDP or a connection
      | <-- ProbeAccept / Refuse -- |
      | ===== link =============== |
      | --- Attach ---------------> |
      | <-- Attached / Refused ---- |
      | --- Ping / Pong ---------> |  while idle
      | --- Leave ---------------> |

Who comes back with a ticket of an earlier link says Attach in his first datagram, without having probed.

Who may come, and when the others do, says ``admission``.  However many ask, those who are here stay, their Pings are
answered, and so are their searches: only new work is put off.
"""

from __future__ import annotations

import itertools
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field

from halloo.base.address import Address, Peer, Route, Stream, Wire
from halloo.base.effects import Send
from halloo.base.machine import Effects, Event
from halloo.messages.credential import Party
from halloo.messages.log import SignedHead
from halloo.messages.overlay import Attach, Attached, AttachRefused, Leave, Ping, Pong, Probe, ProbeAccept, ProbeRefuse
from halloo.overlay.admission import FULL, HANDSHAKE_SHARE, RETURN_SHARE, Admission, Verdict

__all__ = ["ClientGone", "ClientTaken", "Clients"]

FEW = 2  # supernodes named to who may have made its address up: the datagram is twice as long as his at the most
REFUSED_FOR = 90.0  # seconds for which who found no room counts: he is told to ask again within two minutes
MAX_TURNED_AWAY = 256  # hosts counted: more need is answered step by step
NEWCOMERS = 64  # supernodes remembered that our nodes have not heard of: a node that hears of few knows enough others
MANY = 20  # to who has shown that it hears us


@dataclass(frozen=True, slots=True)
class ClientTaken(Event):
    """A node attached to us."""

    peer: Peer
    node: bytes
    name: str


@dataclass(frozen=True, slots=True)
class ClientGone(Event):
    """A node left us, or was lost."""

    node: bytes


@dataclass(slots=True)
class _Client:
    node: bytes
    name: str
    told: Address | None
    """The address that it was last told to have."""
    ready: bool = False
    """Whether it would be a supernode."""
    at: Route | None = None
    """How it was seen last."""
    heard_of: int = 0
    """How many newcomers there were when it heard of some last."""


@dataclass(slots=True)
class Clients:
    """The attached nodes of one supernode.

    ``known``: supernodes to tell of, our own address first; ``heads``: the newest head of the login servers' log.
    """

    node: bytes
    digest: Callable[[bytes], bytes]
    known: Callable[[], tuple[Address, ...]]
    heads: Callable[[], tuple[SignedHead, ...]]
    most: int = 800
    admission: Admission | None = None
    """None: everybody is taken at once while there is room."""
    closed: bool = False
    """Whether nobody new is taken: we retire, or this machine has too much to do."""
    own: Peer | None = None
    """The user of this machine, who is attached to it: for him there is always room."""
    wanted: int = 0
    """The chance, in millionths, with which a node that is ready should become a supernode."""
    _clients: dict[Peer, _Client] = field(default_factory=dict)
    _uncounted: dict[Peer, None] = field(default_factory=dict)
    """Links that others began, whose handshakes nobody was told to come for."""
    _returned: dict[Peer, None] = field(default_factory=dict)
    """Links that were resumed with a ticket."""
    _newcomers: deque[Address] = field(default_factory=lambda: deque(maxlen=NEWCOMERS))
    _met: int = 0
    """How many newcomers there have been."""
    _turned_away: OrderedDict[bytes, float] = field(default_factory=OrderedDict)
    """Hosts that there was no room for, and when that was last."""

    def __len__(self) -> int:
        return len(self._clients)

    def __contains__(self, peer: object) -> bool:
        return peer in self._clients

    def link_to(self, node: bytes) -> Peer | None:
        """The link of an attached node."""
        return next((peer for peer, client in self._clients.items() if client.node == node), None)

    @property
    def room(self) -> int:
        """How many more nodes can be taken, places kept for those in the line left out."""
        if self.closed:
            return 0
        kept = self.admission.places if self.admission else 0
        return max(0, self.most - len(self._clients) - kept)

    @property
    def ready(self) -> int:
        """How many of them would be supernodes."""
        return sum(client.ready for client in self._clients.values())

    def refused(self, now: float) -> int:
        """How many hosts there was no room for lately."""
        while self._turned_away and next(iter(self._turned_away.values())) < now - REFUSED_FOR:
            self._turned_away.popitem(last=False)
        return len(self._turned_away)

    def peers(self) -> list[Peer]:
        """Their links."""
        return list(self._clients)

    def by_datagrams(self) -> list[Peer]:
        """The links of those who are reached by datagrams."""
        return [peer for peer, client in self._clients.items() if isinstance(client.at, Wire)]

    def probed(self, message: Probe, route: Route, now: float) -> Effects:
        """A probe, in the open."""
        observed = route.address if isinstance(route, Wire) else None
        wanted = self.wanted if message.only_asking else 0
        accept: Effects = [Send(route, ProbeAccept(observed=observed, wanted=wanted, request=message.request))]
        if message.only_asking and message.ticket and self.admission is not None:
            self.admission.give_back(_host(route), message.ticket, now)
            return []
        if message.only_asking and self.room and (self.admission is None or self.admission.would_admit(now)):
            return accept
        ticket = b"" if message.only_asking else message.ticket or b""
        verdict = self._verdict(route, ticket, now, only_asking=message.only_asking)
        if verdict.admitted:
            return accept
        refuse = ProbeRefuse(
            supernodes=self.known()[: MANY if verdict.proven else FEW],
            retry_after=verdict.wait,
            wanted=self.wanted,
            ticket=verdict.ticket or None,
            request=message.request,
        )
        return [Send(route, refuse)]

    def attach(self, message: Attach, sender: Peer, party: Party | None, route: Route | None, now: float) -> Effects:
        """A node wants to be one of ours; ``party``: whose key it has proved."""
        if party is None or self.digest(party.key)[:8] != message.node:
            return [Send(sender, AttachRefused(request=message.request))]  # an id that is not its own
        refused = self._refused(message, sender, route, now)
        if refused is not None:
            return [Send(sender, refused)]
        for old in [peer for peer, held in self._clients.items() if held.node == message.node and peer != sender]:
            del self._clients[old]  # the same node again, after its line changed
        self._uncounted.pop(sender, None)
        self._clients[sender] = _Client(message.node, party.name, _seen(route), at=route, heard_of=self._met)
        self._turned_away.pop(_host(route), None)
        attached = Attached(
            node=self.node,
            observed=_seen(route),
            supernodes=self.known(),
            clients=len(self._clients),
            heads=self.heads(),
            request=message.request,
        )
        return [Send(sender, attached), ClientTaken(sender, message.node, party.name)]

    def _refused(self, message: Attach, sender: Peer, route: Route | None, now: float) -> AttachRefused | None:
        """What to say to who may not attach now.  Who is here already, over this link or another, always may."""
        if sender in self._clients or sender == self.own or self.link_to(message.node) is not None:
            return None
        host, place = _host(route), message.ticket or b""
        share = RETURN_SHARE if sender in self._returned else 1.0
        told_to_come = self.admission is not None and self.admission.redeem(host, place, now, share)
        if told_to_come and len(self._clients) < self.most and not self.closed:
            return None
        verdict = self._verdict(route, place, now, reachable=True, share=share)
        if verdict.admitted:
            if self.admission is not None:
                self.admission.redeem(host, b"", now, share)
            return None
        return AttachRefused(
            supernodes=self.known(), retry_after=verdict.wait, ticket=verdict.ticket or None, request=message.request
        )

    def _verdict(
        self,
        route: Route | None,
        ticket: bytes,
        now: float,
        *,
        reachable: bool = False,
        only_asking: bool = False,
        share: float = 1.0,
    ) -> Verdict:
        if not self.room and not self.closed and not only_asking:
            self._turned_away.pop(_host(route), None)
            self._turned_away[_host(route)] = now
            if len(self._turned_away) > MAX_TURNED_AWAY:
                self._turned_away.popitem(last=False)
        if self.admission is None:
            return Verdict(bool(self.room), 0 if self.room else int(FULL), proven=True)
        room = self.room > 0
        return self.admission.ask(_host(route), ticket, now, room=room, reachable=reachable, share=share)

    def came(self, peer: Peer, *, resumed: bool) -> None:
        """Somebody has made a link to us; why is not known yet."""
        (self._returned if resumed else self._uncounted)[peer] = None

    def guest(self, peer: Peer | None, now: float, share: float = HANDSHAKE_SHARE) -> None:
        """A node that is none of ours has come by a link, for a relay or to ask: ``share`` of a log-in's work."""
        if peer is not None and peer in self._uncounted:
            del self._uncounted[peer]
            if self.admission is not None:
                self.admission.charge(now, share)

    def fellow(self, peer: Peer) -> None:
        """It is a supernode of our block: there are few of those."""
        self._uncounted.pop(peer, None)

    def pinged(self, message: Ping, sender: Peer, route: Route | None) -> Effects:
        """A sign of life; answered, with the address it comes from where that has changed."""
        observed, client, seen = None, self._clients.get(sender), _seen(route)
        new: tuple[Address, ...] = ()
        if client is not None:
            first = max(client.heard_of, self._met - len(self._newcomers))
            new = tuple(itertools.islice(self._newcomers, first - self._met + len(self._newcomers), None))[:FEW]
            client.heard_of = first + len(new)
            client.ready, client.at = message.ready, route
            if client.told != seen:
                client.told = observed = seen
        wanted = self.wanted if message.ready else 0
        return [Send(sender, Pong(observed=observed, wanted=wanted, supernodes=new, request=message.request))]

    def meet(self, supernode: Address) -> None:
        """There is another supernode: our nodes hear of it with the next sign of life."""
        self._newcomers.append(supernode)
        self._met += 1

    def left(self, message: Leave, sender: Peer) -> Effects:
        """A goodbye."""
        return self._gone(sender)

    def down(self, peer: Peer, now: float) -> Effects:
        """A link ended.  Who has said nothing would have been taken in, perhaps: it counts as if he had been."""
        self.guest(peer, now, 1.0)
        self._returned.pop(peer, None)
        return self._gone(peer)

    def _gone(self, peer: Peer) -> Effects:
        client = self._clients.pop(peer, None)
        return [ClientGone(client.node)] if client else []


def _host(route: Route | None) -> bytes:
    """Whom a place is kept for: a host, or whoever comes by one relay."""
    return route.address.host if isinstance(route, Wire | Stream) else b""


def _seen(route: Route | None) -> Address | None:
    return route.address if isinstance(route, Wire | Stream) else None
