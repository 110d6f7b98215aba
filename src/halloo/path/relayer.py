"""Be the third node: forward between two others, within limits.

    caller                  relay                    callee
      | --- RelayRequest --> |                          |
      |                      | --- RelayOffer --------> |
      | <-- RelayGranted --- |                          |
      | === token a =======> | === token b ===========> |
      | <== token a ======== | <== token b ============ |

What passes is sealed between the two; the relay checks the token and who used it, and counts.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf
from random import Random

from halloo.base.address import Peer
from halloo.base.effects import Forward, Send
from halloo.base.machine import Effects, Event
from halloo.messages.path import RelayClose, RelayGranted, RelayOffer, RelayRefused, RelayRequest

__all__ = ["RelayBegan", "RelayEnded", "Relayer"]

MAX_CHANNELS = 200  # at once: a home line of 20 Mbit/s carries some 130 calls
MAX_PER_NODE = 8  # channels that one node may have asked for
IDLE_FOR = 60.0  # seconds without a datagram after which a channel is closed


@dataclass(frozen=True, slots=True)
class RelayBegan(Event):
    """We forward for two nodes now; ``channels`` in all."""

    channels: int


@dataclass(frozen=True, slots=True)
class RelayEnded(Event):
    """A channel was closed after so many datagrams and bytes."""

    datagrams: int
    size: int


class _Channel:
    __slots__ = ("datagrams", "ends", "size", "tokens", "used_at")

    def __init__(self, ends: tuple[Peer, Peer], tokens: tuple[int, int], now: float) -> None:
        self.ends = ends
        self.tokens = tokens
        self.used_at = now
        self.datagrams = 0
        self.size = 0


@dataclass(slots=True)
class Relayer:
    """The channels of one relay."""

    rng: Random
    max_rate: float = inf
    """Bytes a second that may pass in all: the owner's cap."""
    refused: int = 0
    """Datagrams that the cap did not let pass."""
    _allowance: float = 0.0
    _counted_at: float = -inf
    _channels: dict[int, tuple[_Channel, int]] = field(default_factory=dict)
    """Token -> channel, and which end (0 the caller, 1 the callee) uses it."""
    _linked: dict[bytes, Peer] = field(default_factory=dict)
    """Nodes that have a link to us, attached or not, by the id of the key that they have proved."""
    _node_of: dict[Peer, bytes] = field(default_factory=dict)
    wake_at: float = inf

    @property
    def channels(self) -> int:
        """How many channels are open."""
        return len(self._channels) // 2

    def up(self, peer: Peer, node: bytes) -> None:
        """A link stands to the node of that id."""
        older = self._linked.get(node)
        if older is not None:
            self._node_of.pop(older, None)
        self._linked[node], self._node_of[peer] = peer, node

    def link_to(self, node: bytes) -> Peer | None:
        """The newest link to a node."""
        return self._linked.get(node)

    def requested(self, message: RelayRequest, sender: Peer, callee: Peer | None, now: float) -> Effects:
        """Somebody wants a channel to a node that has a link to us (None: there is no such)."""
        if callee is None or callee == sender:
            return [Send(sender, RelayRefused(reason="the node has no link to us", request=message.request))]
        asked = sum(channel.ends[0] == sender for channel, end in self._channels.values() if end == 0)
        if self.channels >= MAX_CHANNELS or asked >= MAX_PER_NODE:
            return [Send(sender, RelayRefused(reason="no capacity is left", request=message.request))]
        ours, theirs = self.rng.getrandbits(64), self.rng.getrandbits(64)
        channel = _Channel((sender, callee), (ours, theirs), now)
        self._channels[ours] = channel, 0
        self._channels[theirs] = channel, 1
        self.wake_at = min(self.wake_at, now + IDLE_FOR)
        return [
            Send(callee, RelayOffer(token=theirs.to_bytes(8, "big"))),
            Send(sender, RelayGranted(token=ours.to_bytes(8, "big"), request=message.request)),
            RelayBegan(self.channels),
        ]

    def carried(self, token: int, inner: bytes, sender: Peer | None, now: float) -> Effects:
        """A datagram to pass on."""
        held = self._channels.get(token)
        if held is None:
            return []
        channel, end = held
        if channel.ends[end] != sender or not self._within_cap(len(inner), now):
            return []
        channel.used_at = now
        channel.datagrams += 1
        channel.size += len(inner)
        return [Forward(channel.ends[1 - end], channel.tokens[1 - end], inner)]

    def _within_cap(self, size: int, now: float) -> bool:
        """A token bucket of one second's bytes."""
        if self.max_rate == inf:
            return True
        self._allowance = min(self.max_rate, self._allowance + (now - self._counted_at) * self.max_rate)
        self._counted_at = now
        if self._allowance < size:
            self.refused += 1
            return False
        self._allowance -= size
        return True

    def closed(self, message: RelayClose, sender: Peer, now: float) -> Effects:
        """One end needs the channel no more."""
        held = self._channels.get(int.from_bytes(message.token, "big"))
        if held is None or held[0].ends[held[1]] != sender:
            return []
        return self._close(held[0], gone=sender)

    def down(self, peer: Peer, now: float) -> Effects:
        """A link ended, and with it its channels."""
        node = self._node_of.pop(peer, b"")
        if self._linked.get(node) == peer:
            del self._linked[node]
        out: Effects = []
        for channel in [held for held, end in self._channels.values() if end == 0 and peer in held.ends]:
            out += self._close(channel, gone=peer)
        return out

    def wake(self, now: float) -> Effects:
        """Close what nobody uses."""
        if now < self.wake_at:
            return []
        out: Effects = []
        for channel in [channel for channel, end in self._channels.values() if end == 0]:
            if channel.used_at + IDLE_FOR <= now:  # the same sum as wake_at: another one may round otherwise
                out += self._close(channel, gone=None)
        oldest = min((channel.used_at for channel, _ in self._channels.values()), default=inf)
        self.wake_at = oldest + IDLE_FOR
        return out

    def _close(self, channel: _Channel, gone: Peer | None) -> Effects:
        out: Effects = []
        for peer, token in zip(channel.ends, channel.tokens, strict=True):
            del self._channels[token]
            if peer != gone:
                out.append(Send(peer, RelayClose(token=token.to_bytes(8, "big"))))
        return [*out, RelayEnded(channel.datagrams, channel.size)]
