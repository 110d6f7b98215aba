"""One side's view of a link between minds."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from halloo.base.address import Peer, Route
from halloo.base.machine import Message
from halloo.link.onelink import HELLO_AGAIN
from halloo.link.reliable import Reliable

if TYPE_CHECKING:
    from halloo.sim.minds import Dweller

__all__ = ["GIVE_UP", "Half"]

GIVE_UP = Reliable().give_up  # seconds unheard after which a link is taken for dead


class Half:
    """One side's view of a link."""

    __slots__ = (
        "cookie",
        "dead_at",
        "direct",
        "early",
        "far",
        "give_up",
        "gone",
        "greets",
        "heard_at",
        "heard_number",
        "inbound",
        "key",
        "knocked",
        "last",
        "number",
        "owner",
        "peer",
        "renewed_at",
        "ripe",
        "route",
        "said_in",
        "stuck",
        "ticket_at",
        "travel",
        "unheard",
        "up",
        "wait",
        "waiting",
    )

    def __init__(self, owner: Dweller, peer: Peer, route: Route, key: bytes, now: float, *, inbound: bool) -> None:
        self.owner = owner
        self.peer = peer
        self.route = route
        self.key = key
        self.inbound = inbound
        self.far: Half | None = None
        self.give_up = GIVE_UP
        self.up = False
        self.gone = False
        self.greets = False
        """Whether its ticket served for nothing, and a Hello is said."""
        self.ticket_at = -inf
        """When the other side was given a ticket."""
        self.cookie = False
        self.knocked = False
        """Whether a supernode has heard our Hello, and perhaps had no room for it."""
        self.ripe = False
        """Whether our answer to a Hello is worked out."""
        self.wait = HELLO_AGAIN
        self.travel = 0.0
        self.direct = False
        """Whether neither side is behind a box and none has moved: then what is said arrives."""
        self.heard_at = now
        self.renewed_at = now
        self.last = 0.0
        """When the newest thing said arrives."""
        self.waiting: list[Message] = []
        """Said before the link stood."""
        self.stuck: list[tuple[Message, float]] | None = None
        """What did not get through, and when it was said; the first of it is said again."""
        self.dead_at = inf
        self.said_in = -1
        self.number = 0
        self.unheard: dict[int, tuple[Message, float]] = {}
        """Through a relay: said and not known to be heard."""
        self.heard_number = 0
        self.early: dict[int, Message] = {}
