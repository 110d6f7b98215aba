"""What an endpoint knows of one link, and when that link has something to do."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf

from halloo.base.address import Peer, Route
from halloo.base.errors import Refused
from halloo.base.machine import Message
from halloo.crypto.suite import Suite
from halloo.link.handshake import Initiator, Responder
from halloo.link.persona import Persona
from halloo.link.reliable import Reliable
from halloo.link.renewal import RENEW_AFTER, RENEW_SOONEST, RenewalAnswered, RenewalBegun
from halloo.link.resumption import Admission, Return
from halloo.link.session import Session
from halloo.link.tickets import exported
from halloo.messages.credential import Party
from halloo.messages.link import Renew, RenewAnswer, RenewFinish

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
    returning: Return | None = None
    """While we come back with a ticket and are not answered."""
    admitted: Admission | None = None
    """While the other side comes back with a ticket, and has not shown that it is where it says."""
    spent: int = 0
    """Bytes that it spent on coming back: until then it is not told more."""
    exporter: bytes = b""
    """What the secrets of tickets on this link are made from."""
    ticket_at: float = -inf
    """When the other side was given a ticket."""
    asks_ticket: bool = False
    """Whether we asked for one."""
    greeting: tuple[Message, ...] = ()
    """What is said again until the other side goes on."""
    again_at: float = inf
    wait: float = HELLO_AGAIN
    renewal: RenewalBegun | RenewalAnswered | None = None
    renew_at: float = inf
    renewed_at: float = -inf

    @property
    def wake_at(self) -> float:
        """The next thing this link has to do."""
        if not self.speaks:
            return min(self.again_at, self.born + HELLO_FOR)
        return min(self.again_at, self.reliable.wake_at, self.heard_at + IDLE_FOR, self.renew_at)

    def given_up(self, now: float) -> str:
        """Why this link is at its end, "" while it is not."""
        if not self.speaks:
            return "no answer" if now >= self.born + HELLO_FOR else ""
        return "no sign of life" if self.reliable.dead(now) or now >= self.heard_at + IDLE_FOR else ""

    @property
    def speaks(self) -> bool:
        """Whether there are keys, and something may be said under them."""
        return self.session is not None and self.admitted is None

    def stands(self, suite: Suite, party: Party, now: float) -> None:
        """The handshake is done; where keys are renewed, whoever began the link sees to it."""
        assert self.session is not None
        self.party, self.heard_at = party, now
        self.exporter = exported(suite, self.session.keys)
        self.renew_at = now + RENEW_AFTER if suite.renews and not self.inbound else inf

    def renew(self, persona: Persona, now: float) -> Renew:
        """Ask for fresh keys.  An earlier wish that was never answered is forgotten."""
        assert self.session is not None
        self.renew_at = now + RENEW_AFTER
        self.renewal = RenewalBegun(persona, self.session.keys)
        return self.renewal.message

    def hear_renewal(
        self, persona: Persona, message: Renew | RenewAnswer | RenewFinish, now: float
    ) -> RenewAnswer | RenewFinish | None:
        """Go on with fresh keys; what to say.  Raises Refused."""
        assert self.session is not None
        match message, self.renewal:
            case Renew(), _ if persona.suite.renews and self.inbound and now >= self.renewed_at + RENEW_SOONEST:
                self.renewed_at = now
                self.renewal = RenewalAnswered(persona, self.session.keys, message)
                return self.renewal.message
            case RenewAnswer(), RenewalBegun() as begun:
                self.renewal = None
                finish, keys = begun.answer(message)
                self.session.expect(persona.confided(keys))
                return finish
            case RenewFinish(), RenewalAnswered() as answered:
                self.renewal = None
                self.session.renew(persona.confided(answered.finish(message)))
                return None
        raise Refused("fresh keys at a moment when they are not wanted")
