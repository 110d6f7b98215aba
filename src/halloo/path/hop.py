"""The link to one supernode that shall relay: made by whichever way leads there, kept up, given back.

    here                            supernode
      | === link, UDP ===============> |  at once
      | === link, TCP ===============> |  after a moment; at once, and to a web port, where UDP is known not to pass
      | --- Ping --------------------> |  now and then: what is relayed is no sign of life of the link itself

The node's own supernode needs no such thing: the link to it stands.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from halloo.base.address import Address, Peer, Route, Stream, Wire
from halloo.base.effects import Link, Send, Unlink
from halloo.base.machine import Effects, Numbers, Timers
from halloo.messages.overlay import Ping

__all__ = ["TCP_AFTER", "WEB_PORTS", "Hop"]

TCP_AFTER = 0.5  # seconds before TCP is tried beside UDP
HOP_PING = 25.0  # seconds between signs of life to a relay; a link is given up after 100 without any
WEB_PORTS = (80, 443)  # where a supernode may listen besides its own port


class Timer(Enum):
    """What is waited for."""

    TCP = 0
    PING = 1


@dataclass(slots=True)
class Hop:
    """The link to the supernode at ``address``.

    ``way``: how we reach our own supernode; this one is tried so, too.  ``patience``: seconds that UDP has alone; a
    supernode that many ask at the moment answers late, and is not helped by being asked twice.
    """

    address: Address
    peers: Numbers
    streams: Numbers
    requests: Numbers
    way: Route | None = None
    patience: float = TCP_AFTER
    peer: Peer | None = None
    """The link, once it stands."""
    reasons: list[str] = field(default_factory=list)
    """Why ways did not lead there."""
    timers: Timers = field(default_factory=Timers)
    _tries: dict[Peer, Route] = field(default_factory=dict)

    @property
    def wake_at(self) -> float:
        """When ``wake`` has something to do."""
        return self.timers.next

    @property
    def failed(self) -> bool:
        """Whether there is no link, and none is being tried any more."""
        return self.peer is None and not self._tries and Timer.TCP not in self.timers

    def __contains__(self, peer: object) -> bool:
        return peer == self.peer or peer in self._tries

    def begin(self, now: float) -> Effects:
        """Make the link."""
        self.timers[Timer.TCP] = now + self.patience
        out = self._try(Wire(self.address))
        if isinstance(self.way, Stream):  # no datagram of ours got through: it would be a wonder if this one did
            port = self.way.address.port if self.way.address.port in WEB_PORTS else self.address.port
            out += self._try(Stream(self.streams(), Address(self.address.host, port), self.way.proxied))
        return out

    def up(self, peer: Peer, now: float) -> Effects:
        """A link of ours stands; the first is taken."""
        if self._tries.pop(peer, None) is None:
            return []
        if self.peer is not None:
            return [Unlink(peer, "not needed")]
        self.peer = peer
        self.timers.clear()
        self.timers[Timer.PING] = now + HOP_PING
        return self._give_up_tries()

    def down(self, peer: Peer, reason: str) -> bool:
        """A link ended or never stood; whether it was the one that stood."""
        route = self._tries.pop(peer, None)
        if route is not None:
            self.reasons.append(f"relay, {route}: {reason}")
        if peer != self.peer:
            return False
        self.peer = None
        self.timers.clear()
        return True

    def ping(self) -> Effects:
        """Ask for a sign of life: a link whose question is not heard goes down within seconds."""
        return [Send(self.peer, Ping(request=self.requests() & 0xFFFF))] if self.peer is not None else []

    def wake(self, now: float) -> Effects:
        """Try the next way, or show a sign of life."""
        out: Effects = []
        for timer in self.timers.due(now):
            if timer is Timer.TCP:
                out += self._try(Stream(self.streams(), self.address))
            else:
                self.timers[Timer.PING] = now + HOP_PING
                out += self.ping()
        return out

    def close(self) -> Effects:
        """It is not needed any more."""
        out = self._give_up_tries()
        if self.peer is not None:
            out.append(Unlink(self.peer, "not needed"))
            self.peer = None
        self.timers.clear()
        return out

    # --- inside

    def _try(self, route: Route) -> Effects:
        peer = Peer(self.peers())
        self._tries[peer] = route
        return [Link(peer, route)]

    def _give_up_tries(self) -> Effects:
        out: Effects = [Unlink(peer, "not needed") for peer in self._tries]
        self._tries.clear()
        return out
