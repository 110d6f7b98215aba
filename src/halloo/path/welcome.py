"""Whom of many supernodes to come to: each is asked by a datagram before it is given the work of a handshake.

    node                          any supernode
      | --- Probe: only asking ----> |
      | <-- ProbeAccept ------------ |   willing
      | <-- ProbeRefuse: proof ----- |   busy: nodes stand in line before it
      | <-- ProbeRefuse ------------ |   full: it takes no more nodes, and has time for a guest all the same, perhaps
      |                              |   silent: nothing comes, however often it is asked

The question keeps no state there and costs it microseconds; so many can be asked, and who is dead costs no time.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from math import inf

from halloo.base.address import Address, Wire
from halloo.base.effects import Send
from halloo.base.machine import Effects, Numbers
from halloo.messages.overlay import Probe, ProbeAccept, ProbeRefuse

__all__ = ["Stance", "Welcome"]

SAY_AGAIN = 0.7  # seconds after which a question that was not answered is asked again, once
SILENT_AFTER = 2.0  # seconds without an answer after which a supernode counts as silent
DEAF_AFTER = 3  # supernodes in a row that are silent, after which it may be that no datagram of ours passes
HOLDS_FOR = 10.0  # seconds for which what a supernode has said, or not said, counts
MOST_KNOWN = 256  # supernodes of which an answer is remembered: a whole host cache, and what the other side names


class Stance(Enum):
    """What a supernode says to guests."""

    WILLING = 0
    FULL = 1
    BUSY = 2
    SILENT = 3


@dataclass(slots=True)
class _Question:
    request: int
    at: float
    due: float
    """When it is asked again, or given up."""
    said: int = 1


@dataclass(slots=True)
class Welcome:
    """What supernodes say to a node that would be their guest."""

    requests: Numbers
    _questions: dict[Address, _Question] = field(default_factory=dict)
    _said: dict[Address, tuple[Stance, float]] = field(default_factory=dict)
    """Who has said what, or nothing, and when."""
    _silent: int = 0
    """How many have been silent since anybody has answered."""

    @property
    def wake_at(self) -> float:
        """When ``wake`` has something to do."""
        return min((question.due for question in self._questions.values()), default=inf)

    def stance(self, address: Address, now: float) -> Stance | None:
        """What a supernode has said lately; None: it was not asked, or has not answered yet."""
        stance, at = self._said.get(address, (None, -inf))
        return stance if now < at + HOLDS_FOR else None

    def since(self, address: Address) -> float:
        """When it said so."""
        return self._said[address][1]

    def asked(self, address: Address) -> bool:
        """Whether its answer is waited for."""
        return address in self._questions

    @property
    def deaf(self) -> bool:
        """Whether so many have been silent that datagrams may not pass here at all."""
        return self._silent >= DEAF_AFTER

    def ask(self, address: Address, now: float) -> Effects:
        """Ask a supernode, unless its answer is waited for."""
        if address in self._questions or len(self._questions) >= MOST_KNOWN:
            return []
        question = self._questions[address] = _Question(self.requests() & 0xFFFF, now, now + SAY_AGAIN)
        return [_probe(address, question)]

    def hear(self, message: ProbeAccept | ProbeRefuse, address: Address, now: float) -> bool:
        """An answer; whether the question was ours."""
        question = self._questions.get(address)
        if question is None or question.request != message.request:
            return False
        del self._questions[address]
        self._silent = 0
        if isinstance(message, ProbeAccept):
            self._note(address, Stance.WILLING, now)
        else:
            self._note(address, Stance.BUSY if message.ticket else Stance.FULL, now)
        return True

    def wake(self, now: float) -> tuple[Effects, list[Address]]:
        """Ask again; and who has turned out to be silent."""
        out: Effects = []
        silent: list[Address] = []
        for address, question in list(self._questions.items()):
            if question.due > now:
                continue
            if question.said == 1:
                question.said, question.due = 2, now + SILENT_AFTER - SAY_AGAIN
                out.append(_probe(address, question))
            else:
                del self._questions[address]
                self._note(address, Stance.SILENT, now)
                self._silent += 1
                silent.append(address)
        return out, silent

    def rest(self) -> None:
        """Nobody's answer is waited for any more."""
        self._questions.clear()

    def _note(self, address: Address, stance: Stance, now: float) -> None:
        self._said.pop(address, None)
        self._said[address] = stance, now
        if len(self._said) > MOST_KNOWN:
            del self._said[next(iter(self._said))]


def _probe(address: Address, question: _Question) -> Send:
    return Send(Wire(address), Probe(only_asking=True, request=question.request))
