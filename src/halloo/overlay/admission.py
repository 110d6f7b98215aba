"""How fast a supernode takes nodes in, and when those come whom it cannot take now.

    node                                   supernode with more to do than it can
      | --- Probe ------------------------> |
      | <-- ProbeRefuse: about 9 s, proof - |   nothing is kept of who only asks
      | --- Probe: proof -----------------> |   so it can be reached where it says it is
      | <-- ProbeRefuse: in 9 s, ticket --- |   a place in the line is kept for it
      |     9 s                             |
      | --- Probe: ticket ----------------> |
      | <-- ProbeAccept ------------------- |   before any newcomer

A log-in costs a supernode a handshake, some verification and a record to keep.  When a third of all supernodes vanish,
those that remain are asked by everybody at once.  What broke networks then was not the crowd but its coming back all
together, and supernodes that shut down to protect themselves.  So here nobody is dropped, nothing is shut, and every
refusal, which costs one digest, says when to come back: the next place in one line, each ``1 / rate`` seconds after
the one before.  Who comes at his time is admitted; who does not need his place leaves it to the next who asks, so that
there is neither a time at which nobody comes nor one at which many do: where some come late and others in time, no more
are told to come than can be taken, and the rest a second later.

Who comes back with a ticket of an earlier link (see ``returns``) costs a part of a log-in, and takes that part of a
place.

A place is kept only for who has shown, by bringing back a proof, that he hears us where he claims to be, and for no
host more than a few.  A flood of probes from made-up addresses therefore costs digests and nothing else: not memory,
and not the places of those in the line.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from heapq import heappop, heappush
from math import ceil, inf
from random import Random

from halloo.base.address import prefix_of
from halloo.crypto.suite import Digest
from halloo.overlay.hearsay import is_private

__all__ = ["HANDSHAKE_SHARE", "RETURN_SHARE", "Admission", "Pace", "Verdict"]

LONGEST_LINE = 600.0  # seconds that the line is long at most: who would stand longer is told to ask again
PLACES_OF_HOST = 16  # places kept for one public host at once: an office behind one address
GRACE = 12.0  # seconds after its time that a place is kept: a handshake over a bad line takes five
PUT_OFF = 6.0  # seconds after its time until which who has a place is put off, where others came late, all at once
EARLY = 0.5  # seconds before its time that who has a place is taken all the same: clocks and waiting are not exact
LATER = 30.0  # seconds, at least, after which to ask again where no place is kept; at most twice as many
SPACED = 1.1  # times the work of one between two in the line: they do not come evenly, and others come unasked
FULL = 60.0  # seconds, at least, after which to ask again where there is no room: nodes stay for hours
RETURN_SHARE = 0.8  # of a log-in's processor time, who comes back with a ticket: no handshake, the rest as ever
HANDSHAKE_SHARE = 0.35  # of it, who makes a link and is not taken in, a guest: no record to keep, no page to tell
STALE = 64  # places that are used or given back, beyond as many as are kept, before their times are forgotten
_CHECK = 8  # bytes that make a ticket ours
_TIME = 6  # bytes of the time in it, in milliseconds; zero: a proof of the address only


@dataclass(frozen=True, slots=True)
class Pace:
    """How many nodes are taken in: ``burst`` at once, then ``rate`` a second."""

    rate: float = 2.0
    burst: int = 30


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a node that asks is told: come (``admitted``), or in ``wait`` whole seconds, with ``ticket``.

    Without a ticket no place is kept: there is no room, or the line is too long.
    """

    admitted: bool
    wait: int = 0
    ticket: bytes = b""
    proven: bool = False
    """Whether it has shown that it hears us where it says it is: only such a one is told much."""


@dataclass(slots=True)
class Admission:
    """The line before one supernode.  ``rng`` makes its secret, and blurs times that are no places."""

    digest: Digest
    rng: Random
    pace: Pace = field(default_factory=Pace)
    _secret: bytes = b""
    _next: float = -inf
    """When the next place behind all others is free: in the past while there is nothing to wait for."""
    _called: float = -inf
    """When the next may be told to come: in the past while few have been."""
    _gaps: list[float] = field(default_factory=list)
    """A heap of the times of places before it that were given back."""
    _places: dict[int, bytes] = field(default_factory=dict)
    """The time of a place, in milliseconds -> for which host it is kept."""
    _waiting: dict[int, None] = field(default_factory=dict)
    """Those of them that are places in the line; the others were free when they were asked for."""
    _paid: dict[int, float] = field(default_factory=dict)
    """What share of a log-in a place was counted as, where that is not a whole one."""
    _order: list[int] = field(default_factory=list)
    """A heap of the times of places, some of them used already."""
    _held: Counter[bytes] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self._secret = self.rng.randbytes(32)

    @property
    def places(self) -> int:
        """How many places are kept."""
        return len(self._places)

    def backlog(self, now: float) -> float:
        """Seconds that who comes now would have to wait."""
        return max(0.0, min(self._next, self._gap(now)) - now)

    def ask(
        self,
        host: bytes,
        ticket: bytes,
        now: float,
        *,
        room: bool = True,
        reachable: bool = False,
        share: float = 1.0,
    ) -> Verdict:
        """Whether a node at ``host`` may come.  ``reachable``: it has shown already that it hears us there.

        ``room``: whether there is any besides what is kept for those in the line; ``share``: of a log-in's work.
        """
        self._tidy(now)
        key = prefix_of(host)
        at = self._read(ticket, key)
        proven = reachable or at is not None
        if at and self._places.get(at) == key:
            wait = at / 1000 - now
            if wait > EARLY and not self._free(now):
                return Verdict(False, ceil(wait), ticket, proven=True)
            if at not in self._waiting and wait <= EARLY:
                return Verdict(admitted=True, proven=True)  # as he was told: he may ask twice, and counts once
            if not self._calm(now) and wait > -PUT_OFF:
                return Verdict(False, 1, ticket, proven=True)
            if wait > EARLY:
                paid = self._paid.get(at, 1.0)
                self._release(at)
                heappush(self._gaps, at / 1000)
                at = self._take(now, key, paid)
            self._waiting.pop(at, None)  # he is told to come: whether he arrives or not, the work is begun
            return self._come(self._paid.get(at, 1.0), proven=True)
        if not room:
            return Verdict(False, ceil(FULL * (1 + self.rng.random())), proven=proven)
        if self._free(now):
            self._take(now, key, share)
            return self._come(share, proven=proven)
        if not proven:
            return Verdict(False, max(1, ceil(self.backlog(now))), self._ticket(0, key))
        crowded = self._held[key] >= PLACES_OF_HOST and not (host and is_private(host))
        if crowded or self._next - now > LONGEST_LINE or self.places >= self._most:
            return Verdict(False, ceil(LATER * (1 + self.rng.random())), proven=True)
        at = self._take(min(self._next, self._gap(now)), key, SPACED * share)
        self._waiting[at] = None
        return Verdict(False, max(1, ceil(at / 1000 - now)), self._ticket(at, key), proven=True)

    def redeem(self, host: bytes, ticket: bytes, now: float, share: float = 1.0) -> bool:
        """Whether a node that wants to attach was told to come; its place is used up, and counted as what it was."""
        self._tidy(now)
        key = prefix_of(host)
        latest = int((now + EARLY) * 1000)
        at = self._read(ticket, key)
        if not at or at > latest or self._places.get(at) != key:
            at = next((each for each in self._order if each <= latest and self._places.get(each) == key), None)
        if at is None:
            return False
        self._next += (share - self._paid.get(at, 1.0)) / self.pace.rate
        self._release(at)
        return True

    def give_back(self, host: bytes, ticket: bytes, now: float) -> None:
        """A node does not need its place: it has found another."""
        key = prefix_of(host)
        at = self._read(ticket, key)
        if at and at in self._waiting and self._places[at] == key:
            self._release(at)
            heappush(self._gaps, at / 1000)

    def charge(self, now: float, share: float = 1.0) -> None:
        """Somebody came unasked: that was work, too, ``share`` of a log-in's."""
        self._next = max(self._next, now - (self.pace.burst - 1) / self.pace.rate) + share / self.pace.rate

    def would_admit(self, now: float) -> bool:
        """Whether who comes now would be taken; nothing is kept."""
        self._tidy(now)
        return self._free(now)

    # --- inside

    @property
    def _most(self) -> float:
        """Places that are kept at most, used or not."""
        return self.pace.burst + (LONGEST_LINE + 2 * GRACE) * self.pace.rate

    def _free(self, now: float) -> bool:
        self._next = max(self._next, now - (self.pace.burst - 1) / self.pace.rate)
        free = min(self._next, self._gap(now)) <= now + 1e-6  # sums of halves and thirds are not exact
        return free and self._calm(now)

    def _calm(self, now: float) -> bool:
        """Whether no more have been told to come lately than can be taken."""
        self._called = max(self._called, now - (self.pace.burst - 1) / self.pace.rate)
        return self._called <= now + 1e-6

    def _come(self, share: float, *, proven: bool) -> Verdict:
        self._called += share / self.pace.rate
        return Verdict(admitted=True, proven=proven)

    def _gap(self, now: float) -> float:
        """When the first place before the end of the line is free; inf: none is."""
        while self._gaps and self._gaps[0] < now - 1 / self.pace.rate:
            heappop(self._gaps)  # its time has passed
        return self._gaps[0] if self._gaps else inf

    def _take(self, at: float, key: bytes, share: float) -> int:
        """Keep the first place that is free, from ``at`` on; its number."""
        if self._gap(at) <= at:
            heappop(self._gaps)
        else:
            self._next += share / self.pace.rate
        return self._keep(at, key, share)

    def _keep(self, at: float, key: bytes, share: float) -> int:
        """Keep a place for a host, from ``at`` on; its number."""
        number = max(1, int(at * 1000))
        while number in self._places:
            number += 1
        self._places[number] = key
        if share != 1.0:
            self._paid[number] = share
        heappush(self._order, number)
        if len(self._order) > 2 * len(self._places) + STALE:
            self._order = sorted(self._places)  # a heap; places taken and given back over and over leave no trace
        self._held[key] += 1
        return number

    def _release(self, at: int) -> None:
        key = self._places.pop(at)
        self._waiting.pop(at, None)
        self._paid.pop(at, None)
        self._held[key] -= 1
        if not self._held[key]:
            del self._held[key]

    def _tidy(self, now: float) -> None:
        """Give places back whose time has passed."""
        past = int((now - GRACE) * 1000)
        while self._order and (self._order[0] <= past or self._order[0] not in self._places):
            at = heappop(self._order)
            if at in self._places:
                self._release(at)

    def _ticket(self, at: int, key: bytes) -> bytes:
        time = at.to_bytes(_TIME, "big")
        return time + self.digest(self._secret + time + key)[:_CHECK]

    def _read(self, ticket: bytes, key: bytes) -> int | None:
        """The time in a ticket of ours (0: a proof); None when it is none, or another host's."""
        if len(ticket) != _TIME + _CHECK:
            return None
        at = int.from_bytes(ticket[:_TIME], "big")
        return at if self._ticket(at, key) == ticket else None
