"""Look whether our record is where our supernode says that it has put it.

    node                          holders of our own name's slot
      | --- Search ----------------> |  a moment after Stored, in the open
      | <-- Found: our record ------ |  this version with our latest sign of life, or a newer one: well
      | --- Keep ------------------> |  an older one, or none: it gets it from us (``handing.py``)
      | --- Search, to three ------> |  and our supernode a new one to store; look again, closer
      | <-- Found ------------------ |

Who cannot ask in the open asks through other supernodes, and leaves its record with them.

A supernode that pretends to store would make its nodes vanish: nobody else would find them, and they would not know.
So what is missing is handed over by its owner; who was caught twice in a row is left, and not asked again for an hour.
Nothing is concluded where nobody answers.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf
from random import Random

from halloo.base.address import Address, Peer, Route, Wire
from halloo.base.machine import Effects, Event
from halloo.messages.credential import Record
from halloo.messages.directory import Kept
from halloo.overlay.atlas import Atlas
from halloo.overlay.elsewhere import Elsewhere
from halloo.overlay.handing import Handing
from halloo.overlay.inquiry import Inquiries, Learnt
from halloo.overlay.slots import key_of

__all__ = ["Confirmation", "Doubted", "Pretended"]

CONFIRM_AFTER = 2.0  # seconds from Stored to a look, and as long again as chance has it: others write as well
CONFIRM_ALIVE = 150.0  # seconds more where it was a sign of life: holders gather it, are checked, and gather again
CONFIRM_LATER = 20.0  # seconds to the next one where nobody could be asked, or too few answered
CONFIRM_TRIES = 6  # looks at one supernode that came to nothing, before it is let be
CONFIRM_ELSEWHERE = 60.0  # seconds to a look through another supernode, beside those that joining took: a handshake
CONFIRM_CHANCE = 0.25  # of a look at what is stored again later: who begins to pretend is caught within the hour


@dataclass(frozen=True, slots=True)
class Pretended(Event):
    """Our supernode said that it has stored our record, and those who should hold it do not have it."""

    supernode: Address


@dataclass(frozen=True, slots=True)
class Doubted(Event):
    """Those who should hold our record do not have it: publish a new one, to see what becomes of that."""


@dataclass(slots=True)
class Confirmation:
    """One user's looks after his own record."""

    inquiries: Inquiries
    elsewhere: Elsewhere
    atlas: Atlas
    rng: Random
    handing: Handing = field(init=False)
    supernode: Address | None = None
    open_to: bool = False
    """Whether datagrams of ours get through, so that anybody can be asked."""
    look_at: float = inf
    took: float = 0.0
    """Seconds that joining took."""
    _record: Record | None = None
    _name: str = ""
    _version: int = 0
    _seen: int = 0
    _new: bool = True
    """Whether this supernode has not been looked at yet."""
    _misses: int = 0
    _tries: int = 0
    _number: int = -1
    _asked: list[Address] = field(default_factory=list)
    """Through whom we have looked."""

    def __post_init__(self) -> None:
        self.handing = Handing(self.rng, self.inquiries.requests)

    @property
    def wake_at(self) -> float:
        """When ``wake`` has something to do."""
        return min(self.look_at, self.handing.wake_at)

    def attached(self, supernode: Address | None, *, open_to: bool, took: float = 0.0) -> None:
        """The supernode changed; ``took``: how long joining did."""
        self.supernode, self.open_to, self.took = supernode, open_to, took
        self.look_at, self._new, self._misses = inf, True, 0
        self.handing.drop()
        self._drop()

    def stored(self, name: str, version: int, seen: int, record: Record, now: float, *, renewed: bool = False) -> None:
        """It says that it has stored a version of our record, or (``renewed``) a sign of life, of ``seen``."""
        self._name, self._version, self._seen, self._record = name, version, seen, record
        again = self._misses == 1
        if self.supernode is None or not (self._new or again or self.rng.random() < CONFIRM_CHANCE):
            return
        self._drop()
        if not again:
            self._misses = 0
            self._asked.clear()
        self._new, self._tries = False, 0
        pause = CONFIRM_AFTER if self.open_to else CONFIRM_ELSEWHERE + self.took
        self.look_at = now + pause * (1 + self.rng.random()) + (CONFIRM_ALIVE if renewed else 0.0)

    def kept(self, message: Kept, sender: Peer | Route, now: float) -> Effects:
        """A holder to whom we have handed our record answers, in the open."""
        return self.handing.receive(message, sender.address, now) if isinstance(sender, Wire) else []

    def wake(self, now: float) -> Effects:
        """Look; hand our record to the next one."""
        out = self.handing.wake(now) if self.handing.wake_at <= now else []
        return out + self._look(now) if self.look_at <= now else out

    def _look(self, now: float) -> Effects:
        self.look_at = inf
        key = key_of(self.inquiries.digest, self._name)
        if not self.open_to:
            ours = self._record, self._version, self._seen
            self._number, asked, out = self.elsewhere.ask(key, self._asked, now, *ours)
            self._asked += [asked] if asked is not None else []
            return out
        holders = [one for one in self.atlas.holders(key) if one != self.supernode]
        knowing = [one for one in self.atlas.knowing(key) if one != self.supernode]
        self.rng.shuffle(knowing)
        thorough, own = self._misses > 0, self.supernode  # what our own one tells of it shows nothing
        self._number, out = self.inquiries.ask(key, [*holders, *knowing], now, thorough=thorough, but=own)
        return out

    def learnt(self, learnt: Learnt, now: float) -> Effects:
        """What was seen."""
        if learnt.number != self._number or self.supernode is None:
            return []
        self._number = -1
        if learnt.entry is not None and learnt.entry.as_new_as(self._version, self._seen):
            self._misses = 0
            return []
        out = self._hand(learnt, now) if learnt.holders else []
        if learnt.entry is None and not learnt.complete:
            self._tries += 1
            if self._tries < CONFIRM_TRIES:
                self.look_at = now + CONFIRM_LATER * (1 + self.rng.random())
            return out  # nobody answered, or too few
        self._misses += 1
        if self._misses < 2:
            return [*out, Doubted()]
        self._new = True  # as long as nobody else takes us in, each record of ours is looked after
        return [*out, Pretended(self.supernode)]

    def _hand(self, learnt: Learnt, now: float) -> Effects:
        """Our record to those who do not have it, and to others who should."""
        if self._record is None:
            return []
        others = [one for one in self.atlas.holders(learnt.key) if one != self.supernode]
        return self.handing.hand(self._record, [*learnt.holders, *others], now)

    def _drop(self) -> None:
        if self._number >= 0:
            self.inquiries.drop(self._number)
        self._number = -1
