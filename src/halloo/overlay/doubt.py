"""Who has gone?  Nobody is taken for gone on hearsay: who hears of it asks that one in the open, and waits.

    supernode                     one who is said to have gone
      | --- Where (doubt) -------> |  in the open, three times in two and a half seconds
      | <-- Here ----------------- |  it is there, and contradicts; or another one listens there now, or nobody

So it also looks for those who have gone: after a split of the network each half takes the other for gone.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from math import inf
from random import Random

from halloo.base.address import Address, Wire
from halloo.base.effects import Send
from halloo.base.machine import Effects, Event, Numbers
from halloo.messages.block import Where
from halloo.overlay.duties import Duties, Duty
from halloo.overlay.roster import Member, Roster
from halloo.overlay.slots import GOING

__all__ = ["DOUBT_AGAIN", "DOUBT_FOR", "MAX_DOUBTS", "REVIVE_EVERY", "Doubt", "Doubts", "Silent"]

DOUBT_FOR = 2.5  # seconds in which one who is said to have gone may show that it is here
DOUBT_AGAIN = 0.8  # seconds between the questions
MAX_DOUBTS = 128  # members doubted at once
REVIVE_EVERY = 10.0  # seconds between looks at one of those who have gone: the network may have healed


@dataclass(frozen=True, slots=True)
class Silent(Event):
    """One did not answer."""

    member: Member


@dataclass(slots=True)
class Doubt:
    """A question in the open to one supernode: by when it has to be answered, and when it is asked again."""

    member: Member
    token: bytes
    until: float
    again: float
    rumoured: bool = False
    """Whether somebody takes it for gone: it should hear of it."""
    proves: bool = False
    """Whether an answer also shows that it is the supernode which the network's description names."""


@dataclass(slots=True)
class Doubts:
    """The questions of one supernode to those of its block who may have gone."""

    node: bytes
    roster: Roster
    duties: Duties
    rng: Random
    requests: Numbers
    _open: dict[bytes, Doubt] = field(default_factory=dict)
    _turn: int = 0

    def __len__(self) -> int:
        return len(self._open)

    @property
    def wake_at(self) -> float:
        """When ``wake`` has something to do."""
        return min((min(doubt.until, doubt.again) for doubt in self._open.values()), default=inf)

    @property
    def tokens(self) -> list[bytes]:
        """What an answer has to repeat, the oldest question first."""
        return [doubt.token for doubt in self._open.values()]

    def look(self, node: bytes, now: float, *, rumoured: bool = False, proves: bool = False) -> Effects:
        """Look whether a member is there; where others take it for gone, it hears so, and can contradict."""
        member = self.roster.members.get(node)
        if member is None or len(self._open) >= MAX_DOUBTS:
            return []
        if node in self._open:
            self._open[node].proves |= proves
            return []
        doubt = Doubt(member, self.rng.randbytes(8), now + DOUBT_FOR, now + DOUBT_AGAIN, rumoured, proves)
        self._open[node] = doubt
        return [self._question(doubt)]

    def look_where(self, address: Address, linked: Collection[bytes], now: float, *, but: bytes = b"") -> Effects:
        """Look whether those are there who say that they listen at an address, except ``but``, and who is linked."""
        there = [node for node, one in self.roster.members.items() if one.address == address]
        out: Effects = []
        for node in there:
            if node not in (self.node, but) and node not in linked:
                out += self.look(node, now)
        return out

    def rumoured(self, node: bytes, mark: int, now: float) -> Effects:
        """Another than ourselves is said to have gone after the standing of that mark."""
        member = self.roster.members.get(node)
        said = member is not None and member.mark <= mark
        return self.look(node, now, rumoured=True) if said else []

    def revive(self, linked: Collection[bytes], now: float) -> Effects:
        """Look whether one who has gone is back: after a split of the network each half takes the other for gone.

        And whether one is there whom we have no link to: all who had one may have gone with it.
        """
        self.duties[Duty.REVIVE] = now + REVIVE_EVERY * (0.8 + 0.4 * self.rng.random())
        self._turn += 1
        if self._turn % 3 == 0:
            far = [node for node in self.roster.members if node not in linked and node != self.node]
            return self.look(self.rng.choice(far), now) if far else []
        gone = [one for one in self.roster.gone.values() if one.slot != GOING and one.node not in self._open]
        if not gone or len(self._open) >= MAX_DOUBTS:
            return []
        member, token = self.rng.choice(gone), self.rng.randbytes(8)
        doubt = self._open[member.node] = Doubt(member, token, now + DOUBT_FOR, inf, rumoured=True)
        return [self._question(doubt)]

    def answered(self, token: bytes, address: Address) -> Doubt | None:
        """Somebody answers, from ``address``; the question, which is no more."""
        for node, doubt in self._open.items():
            if doubt.token == token and doubt.member.address == address:
                return self._open.pop(node)
        return None

    def forget(self, node: bytes) -> None:
        """It is there, or has said goodbye."""
        self._open.pop(node, None)

    def clear(self) -> None:
        """Ask nobody any more."""
        self._open.clear()

    def wake(self, now: float) -> Effects:
        """Ask again; Silent for those whose time is over."""
        out: Effects = []
        for node, doubt in list(self._open.items()):
            if doubt.until <= now:
                del self._open[node]
                out.append(Silent(doubt.member))
            elif doubt.again <= now:
                doubt.again = now + DOUBT_AGAIN
                out.append(self._question(doubt))
        return out

    def _question(self, doubt: Doubt) -> Send:
        member = doubt.member
        where = Where(
            key=member.place.to_bytes(8, "big"),
            token=doubt.token,
            doubt=member.version if doubt.rumoured else 0,
            request=self.requests() & 0xFFFF,
        )
        return Send(Wire(member.address), where)
