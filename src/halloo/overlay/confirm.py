"""Look whether our record is where our supernode says that it has put it.

    node                          holders of our own name's slot
      | --- Search ----------------> |  a moment after Stored, in the open
      | <-- Found: our record ------ |  this version, or a newer one: well
      | --- Search, to three ------> |  an older one, or none: look again, closer
      | <-- Found ------------------ |

Who cannot ask in the open asks through other supernodes, and takes its time.

A supernode that pretends to store would make its nodes vanish: nobody else would find them, and they would not know.
Who was caught twice in a row is left, and not asked again for an hour.  Nothing is concluded where nobody answers.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf
from random import Random

from halloo.base.address import Address
from halloo.base.machine import Effects, Event
from halloo.overlay.atlas import Atlas
from halloo.overlay.elsewhere import Elsewhere
from halloo.overlay.inquiry import Inquiries, Learnt
from halloo.overlay.slots import key_of

__all__ = ["Confirmation", "Pretended"]

CONFIRM_AFTER = 2.0  # seconds from Stored to the first look, and as long again as chance has it: others write as well
CONFIRM_AGAIN = 4.0  # seconds to the second one
CONFIRM_LATER = 20.0  # seconds to the next one where nobody could be asked, or too few answered
CONFIRM_TRIES = 6  # looks at one supernode that came to nothing, before it is let be
CONFIRM_ELSEWHERE = 60.0  # seconds to the first look through another supernode: it costs a handshake there
CONFIRM_CHANCE = 0.25  # of a look at what is stored again later: who begins to pretend is caught within the hour


@dataclass(frozen=True, slots=True)
class Pretended(Event):
    """Our supernode said that it has stored our record, and those who should hold it do not have it."""

    supernode: Address


@dataclass(slots=True)
class Confirmation:
    """One user's looks after his own record."""

    inquiries: Inquiries
    elsewhere: Elsewhere
    atlas: Atlas
    rng: Random
    supernode: Address | None = None
    open_to: bool = False
    """Whether datagrams of ours get through, so that anybody can be asked."""
    wake_at: float = inf
    _name: str = ""
    _version: int = 0
    _new: bool = True
    """Whether this supernode has not been looked at yet."""
    _misses: int = 0
    _tries: int = 0
    _number: int = -1
    _asked: list[Address] = field(default_factory=list)
    """Through whom we have looked."""

    def attached(self, supernode: Address | None, *, open_to: bool) -> None:
        """The supernode changed."""
        self.supernode, self.open_to = supernode, open_to
        self.wake_at, self._new, self._misses = inf, True, 0
        self._drop()

    def stored(self, name: str, version: int, now: float) -> None:
        """It says that it has stored a version of our record."""
        self._name, self._version = name, version
        if self.supernode is None or not (self._new or self.rng.random() < CONFIRM_CHANCE):
            return
        self._drop()
        self._new, self._misses, self._tries = False, 0, 0
        self._asked.clear()
        self.wake_at = now + (CONFIRM_AFTER if self.open_to else CONFIRM_ELSEWHERE) * (1 + self.rng.random())

    def wake(self, now: float) -> Effects:
        """Look."""
        self.wake_at = inf
        key = key_of(self.inquiries.digest, self._name)
        if not self.open_to:
            self._number, asked, out = self.elsewhere.ask(key, self._asked, now, at_leisure=True)
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
        if learnt.entry is not None and learnt.entry.listing.version >= self._version:
            self._misses = 0
            return []
        if learnt.entry is None and not learnt.complete:
            self._tries += 1
            if self._tries < CONFIRM_TRIES:
                self.wake_at = now + CONFIRM_LATER * (1 + self.rng.random())
            return []  # nobody answered, or too few
        self._misses += 1
        if self._misses < 2:
            self.wake_at = now + CONFIRM_AGAIN
            return []
        return [Pretended(self.supernode)]

    def _drop(self) -> None:
        if self._number >= 0:
            self.inquiries.drop(self._number)
        self._number = -1
