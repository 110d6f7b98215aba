"""The supernodes of a crowd: each with a real line of admission, a real desk, and a number of clients.

    row                           supernode
      | --- probe ----------------> |  ``asked``: what ``Clients.probed`` says, by the same ``Admission``
      | --- hello ----------------> |  ``Desk.wait``
      | --- attach ---------------> |  ``attached``: what ``Clients.attach`` says
"""

from __future__ import annotations

from random import Random

import numpy as np

from halloo.crypto.suite import Digest
from halloo.overlay.admission import HANDSHAKE_SHARE, Admission, Pace
from halloo.sim.crowd.ground import Bools, Floats, Ints
from halloo.sim.desk import Desk, Work

__all__ = ["ACCEPTED", "NO_TICKET", "REFUSED", "Desks", "Line"]

NO_TICKET = -1
ACCEPTED, REFUSED, REFUSED_STRANGER = 0, 1, 2
_CHECK = bytes(8)
Answer = tuple[int, int, int]
"""Accepted, refused or refused a stranger; seconds; the ticket as a number (0: a proof, -1: none)."""


class Line(Admission):
    """A line whose tickets nobody forges: they carry no digest, so that a million of them cost none."""

    __slots__ = ()

    def _ticket(self, at: int, key: bytes) -> bytes:
        return at.to_bytes(6, "big") + _CHECK

    def _read(self, ticket: bytes, key: bytes) -> int | None:
        return int.from_bytes(ticket[:6], "big") if ticket else None


class Desks:
    """All supernodes, by number.  ``most``: clients that each takes."""

    def __init__(self, seed: int, count: int, digest: Digest, pace: Pace, most: int) -> None:
        self.most = most
        self._seed, self._digest, self._pace = seed, digest, pace
        self._lines: list[Line] = [self._line(i, 0) for i in range(count)]
        self._desks: list[Desk | None] = [None] * count
        self.work: Work | None = None
        self.alive: Bools = np.zeros(count, bool)
        self.life: Ints = np.zeros(count, np.int64)
        """Which life of its program this is."""
        self.synced: Bools = np.zeros(count, bool)
        """Whether it has the records that it should hold."""
        self.clients: Ints = np.zeros(count, np.int64)
        self.free_at: Floats = np.full(count, -np.inf)
        """Until when who asks has to wait, as of the last who asked."""

    def __len__(self) -> int:
        return len(self._lines)

    def _line(self, number: int, life: int) -> Line:
        return Line(self._digest, Random(f"{self._seed}/line {number}/{life}"), self._pace)

    def start(self, number: int) -> None:
        """Its program begins: with an empty line, and nobody attached."""
        self.alive[number] = True
        self.life[number] += 1
        self.clients[number] = 0
        self.free_at[number] = -np.inf
        self._lines[number] = self._line(number, int(self.life[number]))
        self._desks[number] = None

    def stop(self, number: int) -> None:
        """It ends without a word."""
        self.alive[number] = False
        self.synced[number] = False

    # --- what is asked

    def asked(self, number: int, host: bytes, ticket: int, now: float) -> Answer:
        """A probe."""
        line = self._lines[number]
        room = self.most - int(self.clients[number]) - line.places > 0
        verdict = line.ask(host, _packed(ticket), now, room=room)
        self.free_at[number] = now + line.backlog(now)
        if verdict.admitted:
            return ACCEPTED, 0, NO_TICKET
        ticket = int.from_bytes(verdict.ticket[:6], "big") if verdict.ticket else NO_TICKET
        return REFUSED if verdict.proven else REFUSED_STRANGER, verdict.wait, ticket

    def would_take(self, number: int, host: bytes, now: float) -> bool:
        """What one hears who is only asking: nothing is kept for him."""
        line = self._lines[number]
        if self.most - int(self.clients[number]) - line.places <= 0:
            return self.asked(number, host, NO_TICKET, now)[0] == ACCEPTED
        if line.would_admit(now):
            return True
        self.free_at[number] = now + line.backlog(now)
        return False

    def given_back(self, number: int, host: bytes, ticket: int, now: float) -> None:
        """A place is not needed."""
        self._lines[number].give_back(host, _packed(ticket), now)

    def hello(self, number: int, now: float, *, again: bool, share: float = 1.0) -> float | None:
        """A handshake begins, ``share`` of a login's work: seconds until it is answered; None: it is not heard."""
        if self.work is None:
            return 0.0
        desk = self._desks[number]
        if desk is None or desk.work is not self.work:
            desk = self._desks[number] = Desk(self.work)
        return desk.wait(now, share, again=again)

    def guest(self, number: int, now: float) -> bool:
        """One comes for a relay: whether he is heard."""
        if self.hello(number, now, again=False, share=HANDSHAKE_SHARE) is None:
            return False
        line = self._lines[number]
        line.charge(now, HANDSHAKE_SHARE)
        self.free_at[number] = now + line.backlog(now)
        return True

    def attached(self, number: int, host: bytes, ticket: int, now: float, *, here: bool) -> Answer:
        """One who proved its key wants to attach; ``here``: it is taken for attached already."""
        if here:
            return ACCEPTED, 0, NO_TICKET
        line, taken = self._lines[number], int(self.clients[number])
        told_to_come = line.redeem(host, _packed(ticket), now)
        if not (told_to_come and taken < self.most):
            room = self.most - taken - line.places > 0
            verdict = line.ask(host, _packed(ticket), now, room=room, reachable=True)
            if not verdict.admitted:
                ticket = int.from_bytes(verdict.ticket[:6], "big") if verdict.ticket else NO_TICKET
                return REFUSED, verdict.wait, ticket
            line.redeem(host, b"", now)
        self.free_at[number] = now + line.backlog(now)
        self.clients[number] += 1
        return ACCEPTED, 0, NO_TICKET

    # --- what is counted

    def counted(self) -> list[Desk | None]:
        """The desks of those who are there."""
        return [desk if alive else None for desk, alive in zip(self._desks, self.alive.tolist(), strict=True)]


def _packed(ticket: int) -> bytes:
    return ticket.to_bytes(6, "big") + _CHECK if ticket >= 0 else b""
