"""What can come out of a machine: things to say, links to make, and, from a station, bytes to write.

Machines of the gallery return Send, SendOnce, Link, Unlink, Reroute, Forward and events; a station turns all but the
events into Transmit and the three stream effects, which a world carries out.
"""

from __future__ import annotations

from dataclasses import dataclass

from halloo.base.address import Address, Channel, Peer, Route
from halloo.base.machine import Effect, Message

__all__ = [
    "Accept",
    "Forward",
    "Link",
    "Patience",
    "Release",
    "Reroute",
    "Send",
    "SendOnce",
    "SendSound",
    "StreamClose",
    "StreamOpen",
    "StreamWrite",
    "Transmit",
    "Unlink",
]


class Send(Effect):
    """Say ``message`` to ``to``: to a peer sealed, in order and repeated until heard; to a route in the open, once."""

    __slots__ = ("message", "to")

    def __init__(self, to: Peer | Route, message: Message) -> None:
        self.to = to
        self.message = message

    def __repr__(self) -> str:
        return f"Send({self.to!r}, {self.message!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Send) and (self.to, self.message) == (other.to, other.message)

    __hash__ = None  # type: ignore[assignment]


@dataclass(frozen=True, slots=True)
class SendOnce(Effect):
    """Say ``message`` to ``peer`` once, sealed, over ``route``, by whichever way else the link goes: to try a way."""

    peer: Peer
    message: Message
    route: Route


class SendSound(Effect):
    """Send one packet of sound to ``peer``: sealed, once, never repeated."""

    __slots__ = ("body", "peer")

    def __init__(self, peer: Peer, body: bytes) -> None:
        self.peer = peer
        self.body = body


class Forward(Effect):
    """Pass somebody's datagram on to ``peer`` under ``token``."""

    __slots__ = ("inner", "peer", "token")

    def __init__(self, peer: Peer, token: int, inner: bytes) -> None:
        self.peer = peer
        self.token = token
        self.inner = inner


@dataclass(frozen=True, slots=True)
class Link(Effect):
    """Make a link over ``route``; it shall be called ``peer``.  The answer is that it is up, or down with a reason.

    ``key``: the identity key that the other side has to prove, where it is known before; nobody else learns who asks.
    ``ticket``: what a Ticketed brought from whoever is there, to come back to him with one datagram each way; it serves
    once, and where it no longer does, the link is made as if there were none.
    """

    peer: Peer
    route: Route
    key: bytes = b""
    ticket: bytes = b""


@dataclass(frozen=True, slots=True)
class Unlink(Effect):
    """End a link."""

    peer: Peer
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Reroute(Effect):
    """From now on speak to ``peer`` over ``route``."""

    peer: Peer
    route: Route


@dataclass(frozen=True, slots=True)
class Patience(Effect):
    """Let ``seconds`` pass in which nothing that was said to ``peer`` is heard, before the link is taken for dead."""

    peer: Peer
    seconds: float


@dataclass(frozen=True, slots=True)
class Accept(Effect):
    """Take what a relay forwards under this channel's token as coming from a node behind it."""

    channel: Channel


@dataclass(frozen=True, slots=True)
class Release(Effect):
    """Take no more from this channel."""

    channel: Channel


# --- what a world carries out -------------------------------------------------------------------------------------


class Transmit(Effect):
    """Send a datagram from our socket number ``socket``."""

    __slots__ = ("address", "data", "socket")

    def __init__(self, address: Address, data: bytes, socket: int = 0) -> None:
        self.address = address
        self.data = data
        self.socket = socket

    def __repr__(self) -> str:
        return f"Transmit({self.address}, {len(self.data)} bytes)"


@dataclass(frozen=True, slots=True)
class StreamOpen(Effect):
    """Open a TCP connection under a number of ours, by way of the machine's proxy where ``proxied``."""

    number: int
    address: Address
    proxied: bool = False


@dataclass(frozen=True, slots=True)
class StreamWrite(Effect):
    """Write to an open connection."""

    number: int
    data: bytes


@dataclass(frozen=True, slots=True)
class StreamClose(Effect):
    """Close a connection, after what was written has gone."""

    number: int
