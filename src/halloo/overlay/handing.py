"""Hand our own record straight to those who hold its slot, because our supernode has not.

    node                          holder of our own name's slot
      | --- Keep ------------------> |  to the next one after half a second, or as soon as this one refuses
      | <-- Kept ------------------- |  three are enough: one may lie

A record proves itself, whoever brings it; so nobody needs his supernode to be found.  The answer is shorter than the
question, and a record that is known already goes no further.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf
from random import Random

from halloo.base.address import Address, Wire
from halloo.base.effects import Send
from halloo.base.machine import Effects, Numbers
from halloo.messages.credential import Record
from halloo.messages.directory import Keep, Kept

__all__ = ["Handing"]

HANDED_TO = 3  # holders that say they keep it, before it is believed: one may lie
HAND_NEXT = 0.5  # seconds to the next one: the one before has told the others by then, and they know it already
MOST_HANDED = 8  # holders asked in all


@dataclass(slots=True)
class Handing:
    """One user's record on its way to its holders."""

    rng: Random
    requests: Numbers
    wake_at: float = inf
    _record: Record | None = None
    _token: bytes = b""
    _candidates: list[Address] = field(default_factory=list)
    _asked: dict[Address, bool] = field(default_factory=dict)
    """Who was asked, and whether he says that he keeps it."""
    _refused: dict[Address, None] = field(default_factory=dict)

    def hand(self, record: Record, candidates: list[Address], now: float) -> Effects:
        """Begin; what was being handed before is older, and goes no further."""
        self._record, self._token = record, self.rng.randbytes(8)
        self._candidates = list(dict.fromkeys(candidates))[:MOST_HANDED]
        self._asked.clear()
        self._refused.clear()
        return self._next(now)

    def drop(self) -> None:
        """It is not needed any more."""
        self._record, self.wake_at = None, inf

    def receive(self, message: Kept, address: Address, now: float) -> Effects:
        """What a holder says."""
        if self._record is None or message.token != self._token or address not in self._asked:
            return []
        if self._asked[address] or address in self._refused:
            return []
        if message.copies:
            self._asked[address] = True
            if sum(self._asked.values()) >= HANDED_TO:
                self.drop()
            return []
        self._refused[address] = None
        new = [one for one in message.others if one not in self._candidates]
        at = len(self._asked)
        self._candidates[at:at] = new  # who is named by one of the block holds it rather than the others that we know
        del self._candidates[MOST_HANDED:]
        return self._next(now)

    def wake(self, now: float) -> Effects:
        """Hand it to the next one."""
        return self._next(now)

    def _next(self, now: float) -> Effects:
        fresh = next((one for one in self._candidates if one not in self._asked), None)
        if fresh is None or self._record is None:
            self.wake_at = inf  # nobody is left; what the last ones say is still heard
            return []
        self._asked[fresh], self.wake_at = False, now + HAND_NEXT
        return [Send(Wire(fresh), Keep(record=(self._record,), token=self._token, request=self.requests() & 0xFFFF))]
