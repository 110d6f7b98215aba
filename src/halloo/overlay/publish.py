"""Keep one's own record in the directory.

    node                    supernode
      | --- Store ----------> |  the record
      | <-- Stored ---------- |
      |                       |
      | --- Refresh --------> |  every quarter of an hour: it is still true
      | <-- Stored ---------- |  0 copies: the whole record is needed

The whole record is published when a supernode is found, when something in it changes, when its chain of signs of life
comes to the end, when somebody who should have it has not, and with the goodbye.  What nobody has kept is published
again soon.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from math import inf
from random import Random

from halloo.base.address import Address, Peer
from halloo.base.effects import Send
from halloo.base.machine import Effects, Event, Numbers
from halloo.messages.chain import LONGEST_CHAIN, PULSE_EVERY, linked
from halloo.messages.credential import Listing, Presence, Record, Sign, credential_of, list_entry
from halloo.messages.directory import Refresh, Store, Stored
from halloo.messages.whitepages import Findable
from halloo.overlay.showing import Showing
from halloo.overlay.slots import key_of

__all__ = ["Published", "Publisher"]

AGAIN = 900.0  # seconds to the next sign of life, at most; where one is to be found is believed for half an hour
ROOT_SIZE = 16  # bytes of the root of a chain of signs of life
RETRY = 5.0  # seconds after which an unanswered Store is said again
UNKEPT = 15.0  # seconds, about, after which what nobody has kept is published again; twice as many after each time


@dataclass(frozen=True, slots=True)
class Published(Event):
    """The directory holds our record, ``copies`` times; 0: it was refused.

    ``renewed``: it was only a sign of life; ``seen``: the second of the wall clock that it shows us to be there at.
    """

    copies: int
    reason: str
    version: int = 0
    seen: int = 0
    renewed: bool = False


@dataclass(slots=True)
class Publisher:
    """One user's record.  Its version is the wall clock's millisecond: who comes back at once is newer than he was."""

    node: bytes
    private: bytes
    credential: bytes
    sign: Sign
    digest: Callable[[bytes], bytes]
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
    _seen: int = 0
    """The second that our last record, or sign of life, shows us to be there at."""
    _root: bytes = b""
    """The root of its chain of signs of life; empty: it has none."""
    _ends: int = 0
    """The tick of the clock at which the chain has come to its root."""
    _renewing: bool = False
    _facts: tuple[object, ...] = ()
    """What the record says, as it was published last."""
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
        lives = self.showing.lives if self.showing is not None else bool(self.state)
        self._root = self.rng.randbytes(ROOT_SIZE) if lives else b""
        self._ends = wall // PULSE_EVERY + LONGEST_CHAIN
        if lives:
            listing = replace(listing, pulse=linked(self.digest, self._root, LONGEST_CHAIN))
        self._seen, self._renewing, self._facts = wall, False, self._said()
        self.record = list_entry(self.credential, listing, self.private, self.sign)
        return [Send(peer, Store(record=(self.record,), request=self._request))]

    def attached(self, supernode: tuple[Peer, Address] | None, now: float) -> Effects:
        """The supernode changed."""
        self.supernode = supernode
        if self.showing is not None and supernode is not None:
            self.showing.leaving = False
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
        if self._renewing and not message.copies:
            return self.publish(now)  # somebody has lost it
        self._unkept = 0 if message.copies else self._unkept + 1
        pause = AGAIN if message.copies else min(AGAIN, UNKEPT * 2.0 ** min(self._unkept - 1, 10))
        self.wake_at = now + pause * (0.85 + 0.1 * self.rng.random())
        return [Published(message.copies, message.reason, self._version, self._seen, self._renewing)]

    def wake(self, now: float) -> Effects:
        """Show that we are there, or publish again."""
        if now < self.wake_at:
            return []
        tick = int(now + self.wall) // PULSE_EVERY
        known = self._request < 0 and not self._unkept and self._facts == self._said()
        if self._root and known and self._seen // PULSE_EVERY < tick <= self._ends:
            return self._renew(tick, now)
        return self.publish(now)

    def _renew(self, tick: int, now: float) -> Effects:
        """Our record is still true: the next link of its chain says so."""
        if self.supernode is None or self.record is None:
            return []
        pulse = linked(self.digest, self._root, self._ends - tick)
        self.record = replace(self.record, pulse=pulse)
        self._seen, self._renewing = tick * PULSE_EVERY, True
        self._request, self.wake_at = self.requests() & 0xFFFF, now + RETRY
        key = key_of(self.digest, credential_of(self.credential).name).to_bytes(8, "big")
        return [Send(self.supernode[0], Refresh(key=key, pulse=pulse, request=self._request))]

    def _said(self) -> tuple[object, ...]:
        """What a record would say now."""
        own = self.credential, self.state, self.supernode, self.reachable, self.full_name, self.city
        return *own, self.findable, self.email, self.showing.facts if self.showing is not None else ()
