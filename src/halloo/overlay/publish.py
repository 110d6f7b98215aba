"""Keep one's own record in the directory.

    node                    supernode
      | --- Store ----------> |
      | <-- Stored ---------- |

Published when a supernode is found, when something in it changes, again every quarter of an hour, and with the goodbye;
sooner where nobody has kept it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf
from random import Random

from halloo.base.address import Address, Peer
from halloo.base.effects import Send
from halloo.base.machine import Effects, Event, Numbers
from halloo.messages.credential import Listing, Presence, Record, Sign, list_entry
from halloo.messages.directory import Store, Stored
from halloo.messages.whitepages import Findable
from halloo.overlay.showing import Showing

__all__ = ["Published", "Publisher"]

AGAIN = 900.0  # seconds; where one is to be found is believed for half an hour
RETRY = 5.0  # seconds after which an unanswered Store is said again
UNKEPT = 15.0  # seconds, about, after which what nobody has kept is published again; twice as many after each time


@dataclass(frozen=True, slots=True)
class Published(Event):
    """The directory holds our record, ``copies`` times; 0: it was refused."""

    copies: int
    reason: str
    version: int = 0


@dataclass(slots=True)
class Publisher:
    """One user's record.  Its version is the wall clock's millisecond: who comes back at once is newer than he was."""

    node: bytes
    private: bytes
    credential: bytes
    sign: Sign
    rng: Random
    requests: Numbers
    wall: float
    state: Presence = Presence.ONLINE
    supernode: tuple[Peer, Address] | None = None
    reachable: tuple[Address, ...] = ()
    full_name: str = ""
    city: str = ""
    findable: int = int(Findable.NAME | Findable.FULL_NAME | Findable.CITY)
    email: bytes = b""
    """The costly digest of an address, if the owner wants to be found by it."""
    showing: Showing | None = None
    """What the owner shows of his presence, and to whom; None: nothing, to nobody."""
    record: Record | None = None
    """As it was published last."""
    _request: int = -1
    _version: int = 0
    _unkept: int = 0
    """How often in a row nobody has kept it."""
    wake_at: float = field(default=inf)

    def publish(self, now: float) -> Effects:
        """Say where we are, to the supernode we have."""
        if self.supernode is None or not self.credential:
            return []
        peer, address = self.supernode
        wall = int(now + self.wall)
        self._version = max(self._version + 1, int((now + self.wall) * 1000))
        self._request = self.requests() & 0xFFFF
        self.wake_at = now + RETRY
        listing = Listing(
            version=self._version,
            issued=wall,
            state=self.state,
            node=self.node,
            supernode=address,
            reachable=self.reachable[:6],
            full_name=self.full_name,
            city=self.city,
            findable=self.findable,
            email=self.email,
        )
        if self.showing is not None:
            listing = self.showing.filled(listing)
        self.record = list_entry(self.credential, listing, self.private, self.sign)
        return [Send(peer, Store(record=(self.record,), request=self._request))]

    def attached(self, supernode: tuple[Peer, Address] | None, now: float) -> Effects:
        """The supernode changed."""
        self.supernode = supernode
        if self.showing is not None and supernode is not None:
            self.showing.leaving = False
            self.showing.afresh()
        self.wake_at, self._unkept = inf, 0
        return self.publish(now)

    def leave(self, now: float) -> Effects:
        """Say that we go off line, before the goodbye."""
        if self.showing is None or self.supernode is None:
            return []
        self.showing.leaving = True
        out = self.publish(now)
        self.supernode, self.wake_at = None, inf
        return out

    def receive(self, message: Stored, sender: Peer, now: float) -> Effects:
        """The answer."""
        if message.request != self._request or self.supernode is None or sender != self.supernode[0]:
            return []
        self._request = -1
        self._unkept = 0 if message.copies else self._unkept + 1
        pause = AGAIN if message.copies else min(AGAIN, UNKEPT * 2.0 ** min(self._unkept - 1, 10))
        self.wake_at = now + pause * (0.9 + 0.2 * self.rng.random())
        return [Published(message.copies, message.reason, self._version)]

    def wake(self, now: float) -> Effects:
        """Publish again."""
        if now < self.wake_at:
            return []
        return self.publish(now)
