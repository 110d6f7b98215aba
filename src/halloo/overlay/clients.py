"""The nodes that are attached to a supernode: who may come, who is there, who left.

node                         supernode
  | --- Probe ----------------> |  in the open, over UDP
  | <-- ProbeAccept / Refuse -- |
  | ===== link =============== |
  | --- Attach ---------------> |
  | <-- Attached / Refused ---- |
  | --- Ping / Pong ---------> |  while idle
  | --- Leave ---------------> |
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from halloo.base.address import Address, Peer, Route, Stream, Wire
from halloo.base.effects import Send
from halloo.base.machine import Effects, Event
from halloo.messages.credential import Party
from halloo.messages.log import SignedHead
from halloo.messages.overlay import Attach, Attached, AttachRefused, Leave, Ping, Pong, Probe, ProbeAccept, ProbeRefuse

__all__ = ["ClientGone", "ClientTaken", "Clients"]

RETRY_AFTER = 10  # seconds that a node refused for want of room is told to wait


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
    _clients: dict[Peer, _Client] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self._clients)

    def __contains__(self, peer: object) -> bool:
        return peer in self._clients

    def link_to(self, node: bytes) -> Peer | None:
        """The link of an attached node."""
        return next((peer for peer, client in self._clients.items() if client.node == node), None)

    def probed(self, message: Probe, route: Route, now: float) -> Effects:
        """A probe, in the open."""
        if len(self._clients) >= self.most:
            refuse = ProbeRefuse(supernodes=self.known()[:20], retry_after=RETRY_AFTER, request=message.request)
            return [Send(route, refuse)]
        observed = route.address if isinstance(route, Wire) else None
        return [Send(route, ProbeAccept(observed=observed, request=message.request))]

    def attach(self, message: Attach, sender: Peer, party: Party | None, route: Route | None, now: float) -> Effects:
        """A node wants to be one of ours; ``party``: whose key it has proved."""
        if len(self._clients) >= self.most and sender not in self._clients:
            refused = AttachRefused(supernodes=self.known(), retry_after=RETRY_AFTER, request=message.request)
            return [Send(sender, refused)]
        if party is None or self.digest(party.key)[:8] != message.node:
            return [Send(sender, AttachRefused(request=message.request))]  # an id that is not its own
        for old in [peer for peer, held in self._clients.items() if held.node == message.node and peer != sender]:
            del self._clients[old]  # the same node again, after its line changed
        self._clients[sender] = _Client(message.node, party.name, _seen(route))
        attached = Attached(
            node=self.node,
            observed=_seen(route),
            supernodes=self.known(),
            clients=len(self._clients),
            heads=self.heads(),
            request=message.request,
        )
        return [Send(sender, attached), ClientTaken(sender, message.node, party.name)]

    def pinged(self, message: Ping, sender: Peer, route: Route | None) -> Effects:
        """A sign of life; answered, with the address it comes from where that has changed."""
        observed, client, seen = None, self._clients.get(sender), _seen(route)
        if client is not None and client.told != seen:
            client.told = observed = seen
        return [Send(sender, Pong(observed=observed, request=message.request))]

    def left(self, message: Leave, sender: Peer) -> Effects:
        """A goodbye."""
        return self.down(sender)

    def down(self, peer: Peer) -> Effects:
        """A link ended."""
        client = self._clients.pop(peer, None)
        return [ClientGone(client.node)] if client else []


def _seen(route: Route | None) -> Address | None:
    return route.address if isinstance(route, Wire | Stream) else None
