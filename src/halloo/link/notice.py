"""What an endpoint tells the mind behind it."""

from __future__ import annotations

from dataclasses import dataclass

from halloo.base.address import Address, Peer, Route
from halloo.base.machine import Effect, Message
from halloo.messages.credential import Party

__all__ = ["Carried", "Down", "Heard", "Moved", "Notice", "Observed", "Output", "SoundHeard", "Ticketed", "Up"]


@dataclass(frozen=True, slots=True)
class Heard:
    """A message: from a peer, or in the open from a route.

    ``way``: by which way a peer's came, where it was said once, to try that way; None otherwise.
    """

    message: Message
    sender: Peer | Route
    way: Route | None = None


@dataclass(frozen=True, slots=True)
class Up:
    """A link stands.  ``inbound``: the other side began it; ``resumed``: with a ticket of an earlier link."""

    peer: Peer
    party: Party
    route: Route
    inbound: bool
    resumed: bool = False


@dataclass(frozen=True, slots=True)
class Ticketed:
    """A peer gave us a ticket: bytes to be kept, secret, and given to Link when we come back to it, once.

    ``expires``: wall clock, seconds since 1970, after which the ticket serves for nothing.
    """

    peer: Peer
    ticket: bytes
    expires: int


@dataclass(frozen=True, slots=True)
class Down:
    """A link ended, or never came to be."""

    peer: Peer
    reason: str


@dataclass(frozen=True, slots=True)
class Moved:
    """A peer speaks from another address now."""

    peer: Peer
    route: Route


@dataclass(frozen=True, slots=True)
class Observed:
    """Somebody at ``by`` sees us as ``host``; with a port where he said it (0: he did not)."""

    host: bytes
    port: int
    by: Address


class SoundHeard:
    """A packet of sound, opened; ``way``: by which it came, None where that is not known."""

    __slots__ = ("body", "peer", "way")

    def __init__(self, peer: Peer, body: bytes, way: Route | None = None) -> None:
        self.peer = peer
        self.body = body
        self.way = way


class Carried:
    """A datagram to be passed on under ``token``; ``sender`` is the link it came over, None for a stranger."""

    __slots__ = ("inner", "sender", "token")

    def __init__(self, token: int, inner: bytes, sender: Peer | None) -> None:
        self.token = token
        self.inner = inner
        self.sender = sender


Notice = Heard | Up | Down | Moved | Observed | SoundHeard | Carried | Ticketed
Output = Effect | Notice
"""What an endpoint hands back."""
