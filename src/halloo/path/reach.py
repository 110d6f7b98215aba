"""Reach one node: the ways are tried side by side, the first that proves to lead to the right one is taken.

    here                                             there
      | --- Hello, straight to its addresses (UDP) ---> |  at once
      | --- Hello, straight (TCP) --------------------> |  after a moment
      | --- RelayRequest --> its supernode              |  after a moment
      | --- Hello, through the channel ===============> |

Who is at the other end is shown by the handshake alone: an address in a record is only a hint.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from halloo.base.address import Address, Channel, Peer, Route, Stream, Wire
from halloo.base.effects import Accept, Link, Release, Send, Unlink
from halloo.base.machine import Effects, Event, Message, Numbers, Timers
from halloo.messages.credential import Listing, Party
from halloo.messages.path import RelayClose, RelayGranted, RelayRefused, RelayRequest
from halloo.path.hop import TCP_AFTER, Hop

__all__ = ["Policy", "Reach", "Reached", "Unreachable"]

RELAY_AFTER = 0.25  # seconds that a direct way has before a supernode is troubled; most answer within one round trip
GIVE_UP = 10.0  # seconds for all ways together
DIRECT_ADDRESSES = 3  # of those that a record names


class Policy(Enum):
    """Which ways may be used."""

    ANY = "any"
    DIRECT = "direct"
    RELAYED = "relayed"


class Timer(Enum):
    """What is waited for."""

    RELAY = 0
    TCP = 1
    GIVE_UP = 2


@dataclass(frozen=True, slots=True)
class Reached(Event):
    """The link ``peer`` leads to the node that was looked for."""

    peer: Peer
    party: Party
    route: Route


@dataclass(frozen=True, slots=True)
class Unreachable(Event):
    """No way led there."""

    reason: str


@dataclass(slots=True)
class Reach:
    """The way to one node.  ``key`` is what it has to prove that it holds."""

    listing: Listing
    key: bytes
    policy: Policy
    own_supernode: tuple[Peer, Address] | None
    peers: Numbers
    streams: Numbers
    requests: Numbers
    way: Route | None = None
    """How we reach our own supernode: the other side's is tried that way, too."""
    timers: Timers = field(default_factory=Timers)
    done: bool = False
    hop: Hop | None = None
    """The link to the relay, when it is not our own supernode's."""
    channel: Channel | None = None
    _tries: dict[Peer, Route] = field(default_factory=dict)
    _request: int = -1
    _reasons: list[str] = field(default_factory=list)

    @property
    def wake_at(self) -> float:
        """When ``wake`` has something to do."""
        return min(self.timers.next, self.hop.wake_at) if self.hop is not None else self.timers.next

    def begin(self, now: float) -> Effects:
        """Try."""
        self.timers[Timer.GIVE_UP] = now + GIVE_UP
        direct = self.listing.reachable[:DIRECT_ADDRESSES] if self.policy is not Policy.RELAYED else ()
        if self.policy is not Policy.DIRECT:
            self.timers[Timer.RELAY] = now + (RELAY_AFTER if direct else 0.0)
        if direct:
            self.timers[Timer.TCP] = now + TCP_AFTER
        out: Effects = []
        for address in direct:
            out += self._try(Wire(address))
        return out + self.wake(now)

    def up(self, peer: Peer, party: Party, now: float) -> Effects:
        """A link stands."""
        if self.hop is not None and peer in self.hop:
            out = self.hop.up(peer, now)
            return [*out, *self._request_at(peer)] if self.hop.peer == peer else out
        route = self._tries.pop(peer, None)
        if route is None:
            return []
        if party.key != self.key:
            self._reasons.append("somebody else answered at the address")
            return [Unlink(peer, "not who was looked for"), *self._exhausted()]
        if self.done:
            return [Unlink(peer, "not needed")]
        self.done = True
        self.timers.clear()
        return [*self._abandon(), Reached(peer, party, route)]

    def down(self, peer: Peer, reason: str, now: float) -> Effects:
        """A link ended or never stood."""
        if peer in self._tries:
            self._reasons.append(f"{self._tries.pop(peer)}: {reason}")
        elif self.hop is not None and peer in self.hop:
            if self.hop.down(peer, reason):
                self._request = -1
        else:
            return []
        return self._exhausted()

    def receive(self, message: Message, sender: Peer, now: float) -> Effects:
        """What the relay says."""
        match message:
            case RelayGranted() if message.request == self._request:
                self._request = -1
                channel = Channel(sender, int.from_bytes(message.token, "big"))
                if self.done:
                    return [Send(sender, RelayClose(token=message.token))]
                self.channel = channel
                return [Accept(channel), *self._try(channel)]
            case RelayRefused() if message.request == self._request:
                self._request = -1
                self._reasons.append(f"relay: {message.reason}")
                return self._exhausted()
        return []

    def wake(self, now: float) -> Effects:
        """Try the next way, or give up."""
        out: Effects = self.hop.wake(now) if self.hop is not None and self.hop.wake_at <= now else []
        for timer in self.timers.due(now):
            match timer:
                case Timer.RELAY:
                    out += self._relay(now)
                case Timer.TCP:
                    for address in self.listing.reachable[:DIRECT_ADDRESSES]:
                        out += self._try(Stream(self.streams(), address))
                case Timer.GIVE_UP:
                    out += self._fail()
        return out

    def hand_over(self) -> tuple[Channel | None, Hop | None]:
        """Let somebody else see to the relay from now on: the channel there is, and the link to it."""
        channel, hop = self.channel, self.hop
        self.channel = self.hop = None
        return channel, hop

    def close(self) -> Effects:
        """The way is no longer needed: give the relay back."""
        out: Effects = self._abandon()
        self.done = True
        self.timers.clear()
        if self.channel is not None:
            token = self.channel.token.to_bytes(8, "big")
            out += [Send(self.channel.hop, RelayClose(token=token)), Release(self.channel)]
            self.channel = None
        if self.hop is not None:
            out += self.hop.close()
            self.hop = None
        return out

    # --- inside

    def _try(self, route: Route) -> Effects:
        peer = Peer(self.peers())
        self._tries[peer] = route
        return [Link(peer, route, self.key)]

    def _relay(self, now: float) -> Effects:
        supernode = self.listing.supernode
        if supernode is None:
            self._reasons.append("the other side names no supernode")
            return self._exhausted()
        if self.own_supernode is not None and self.own_supernode[1] == supernode:
            return self._request_at(self.own_supernode[0])
        self.hop = Hop(supernode, self.peers, self.streams, self.requests, self.way)
        return self.hop.begin(now)

    def _request_at(self, relay: Peer) -> Effects:
        self._request = self.requests() & 0xFFFF
        return [Send(relay, RelayRequest(callee=self.listing.node, request=self._request))]

    def _exhausted(self) -> Effects:
        trying = self.hop is not None and self.hop.peer is None and not self.hop.failed
        waiting = self._tries or self._request >= 0 or trying
        more = any(timer in self.timers for timer in (Timer.RELAY, Timer.TCP))
        return [] if self.done or waiting or more else self._fail()

    def _fail(self) -> Effects:
        hop = self.hop.reasons if self.hop is not None else []
        reasons = "; ".join(dict.fromkeys((*self._reasons, *hop))) or "nobody answered"
        return [*self.close(), Unreachable(reasons)]

    def _abandon(self) -> Effects:
        """Drop the ways that were not taken; the relay stays if its channel is in use."""
        out: Effects = [Unlink(peer, "not needed") for peer in self._tries]
        self._tries.clear()
        if self.hop is not None and self.hop.peer is None:
            out += self.hop.close()
            self.hop = None
        return out
