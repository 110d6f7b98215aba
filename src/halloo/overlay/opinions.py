"""Whether others, too, see the need that one's own supernode tells of.

    node                          other supernodes, three at a time
      | --- Probe: only asking ----> |
      | <-- ProbeAccept / Refuse --- |  wanted: with which chance it would call its own nodes

A supernode that lies could else make supernodes of all its nodes.  More than a half of those who answer must see a
need; whose word was found wrong is not believed for a while, longer each time.  Where nobody answers three more are
asked; if those are silent as well most supernodes are gone, and that is need enough.  Where nobody else is known, as in
a network of one supernode, its word is enough.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import inf

from halloo.base.address import Address, Wire
from halloo.base.effects import Send
from halloo.base.machine import Effects, Numbers
from halloo.messages.overlay import Probe, ProbeAccept, ProbeRefuse

__all__ = ["ASKED", "ROUNDS", "Opinions"]

ASKED = 3  # other supernodes that are asked at once
ROUNDS = 2  # times that others are asked while nobody answers
OPINIONS_WITHIN = 3.0  # seconds in which they answer
DISBELIEVED_FOR = 60.0  # seconds for which a supernode whose need nobody else sees is not believed; then twice as long
DISBELIEVED_MOST = 3_600.0  # seconds up to which that grows


@dataclass(slots=True)
class Opinions:
    """What others say; asked by one node, about one need at a time."""

    requests: Numbers
    until: float = inf
    """When the answers are counted."""
    _asked: dict[Address, int] = field(default_factory=dict)
    """Whom we asked, and under which number of a request."""
    _others: list[Address] = field(default_factory=list)
    """Who is asked if these are silent."""
    _agree: int = 0
    _answered: int = 0
    _silent_until: float = -inf
    _pause: float = DISBELIEVED_FOR

    def believes(self, now: float) -> bool:
        """Whether the supernode's word is worth asking about now."""
        return self.until == inf and now >= self._silent_until

    def ask(self, others: Sequence[Address], now: float) -> Effects:
        """Ask some of ``others``; the answers are counted at ``until``."""
        self._others, self._agree, self._answered = list(others)[: ASKED * ROUNDS], 0, 0
        return self._ask(now)

    def again(self, now: float) -> Effects:
        """At ``until``: ask others, where nobody has answered; nothing where it is time to ``count``."""
        return self._ask(now) if self._others and not self._answered else []

    def _ask(self, now: float) -> Effects:
        chosen, self._others = self._others[:ASKED], self._others[ASKED:]
        self._asked = {address: self.requests() & 0xFFFF for address in chosen}
        self.until = now + OPINIONS_WITHIN if chosen else now
        return [Send(Wire(at), Probe(only_asking=True, request=number)) for at, number in self._asked.items()]

    def hear(self, message: ProbeAccept | ProbeRefuse, address: Address, now: float) -> bool:
        """An answer to a probe; whether the probe was ours."""
        if self._asked.get(address) != message.request:
            return False
        del self._asked[address]
        self._answered += 1
        self._agree += message.wanted > 0
        if not self._asked:
            self.until = now
        return True

    def count(self, now: float) -> bool:
        """Whether they agree.  Ends the question."""
        self.until = inf
        self._asked.clear()
        agreed = 2 * self._agree > self._answered or not self._answered
        if agreed:
            self._pause = DISBELIEVED_FOR
        else:
            self._silent_until = now + self._pause
            self._pause = min(DISBELIEVED_MOST, 2 * self._pause)
        return agreed

    def forget(self) -> None:
        """It is another supernode whose word counts now, or we are off line."""
        self.until, self._silent_until, self._pause = inf, -inf, DISBELIEVED_FOR
        self._asked.clear()
