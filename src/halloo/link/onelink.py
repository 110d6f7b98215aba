"""What an endpoint knows of one link, and when that link has something to do."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf

from halloo.base.address import Peer, Route
from halloo.base.machine import Message
from halloo.link.handshake import Initiator, Responder
from halloo.link.reliable import Reliable
from halloo.link.session import Session
from halloo.messages.credential import Party

__all__ = ["HELLO_AGAIN", "HELLO_FOR", "HELLO_GROWTH", "HELLO_MOST", "IDLE_FOR", "OneLink"]

HELLO_AGAIN = 0.35  # seconds before an unanswered Hello or Finish is said again
HELLO_GROWTH = 1.5  # by which that wait grows each time,
HELLO_MOST = 0.7  # up to so many seconds: nine tries in all, which is a link at 30 % loss
HELLO_FOR = 6.0  # seconds after which a handshake is given up
IDLE_FOR = 100.0  # seconds of silence after which a link is gone; an idle node pings every 25


@dataclass(slots=True)
class OneLink:
    """A link, from the first Hello to the last goodbye."""

    number: int
    """Ours: what the other side puts before what it says to us."""
    peer: Peer
    route: Route
    born: float
    heard_at: float
    inbound: bool
    reliable: Reliable = field(default_factory=Reliable)
    theirs: bytes = b""
    session: Session | None = None
    party: Party | None = None
    initiator: Initiator | None = None
    responder: Responder | None = None
    greeting: tuple[Message, ...] = ()
    """What is said again until the other side goes on."""
    again_at: float = inf
    wait: float = HELLO_AGAIN

    @property
    def wake_at(self) -> float:
        """The next thing this link has to do."""
        if self.session is None:
            return min(self.again_at, self.born + HELLO_FOR)
        return min(self.again_at, self.reliable.wake_at, self.heard_at + IDLE_FOR)
