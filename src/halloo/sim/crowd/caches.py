"""The host caches of a crowd, as rows: the twin of ``overlay.hostcache``, and of what is remembered in a search.

Every address that a node knows is a supernode's number here.  What it costs to try one, when one is forgotten and which
is asked next follow the real cache; that one neighbourhood or one teller fills it cannot happen to honest rows, whose
supernodes lie in a network (/16) each.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from halloo.overlay.hostcache import (
    CAPACITY,
    DAY,
    DOUBT,
    FORGET_AFTER,
    FORGET_UNPROVEN,
    KEPT,
    LAST_RESORT,
    SILENCE,
    SPREAD,
    UNMEASURED,
    Source,
)
from halloo.sim.crowd.ground import NOBODY, Bools, Ints

__all__ = ["ASKED", "PROOF", "SILENT", "TURNED", "Caches"]

TURNED, SILENT, ASKED, PROOF = 1, 2, 4, 8
"""Of an address in one search: it had its turn; it did not answer; it was asked in this round; it gave a proof."""
AT_ONCE = 20_000  # rows that are ranked at once: 40 MB
COMPARED = 8_000_000  # pairs of addresses that are compared at once: 8 MB

Floats32 = NDArray[np.float32]


class Caches:
    """``users`` caches.  An address is meant by its place in the row; ``handle`` is whose it is."""

    def __init__(self, users: int, pinned: int, chance: np.random.Generator) -> None:
        self.pinned = pinned
        self._chance = chance
        shape = users, CAPACITY
        self.handle = np.full(shape, NOBODY, np.uint16)
        self.success = np.zeros(shape, np.float32)
        """When it answered last; 0: never."""
        self.tried = np.zeros(shape, np.float32)
        self.failures = np.zeros(shape, np.uint8)
        self.flags = np.zeros(shape, np.uint8)
        self.later = np.zeros(shape, np.float32)
        """Until when it is not to be asked, because it said so."""
        self.round_trip = np.zeros(shape, np.float16)
        self.count = np.zeros(users, np.uint8)
        self.answered = np.zeros(users, np.float32)
        """When one of them answered last; 0: never."""
        self.handle[:, :pinned] = np.arange(pinned, dtype=np.uint16)
        self.count[:] = pinned

    # --- what is heard

    def add(self, rows: Ints, told: NDArray[Any]) -> None:
        """Addresses heard of: as many for each row (NOBODY: none).  What finds no room is passed over."""
        at_once = max(1, COMPARED // max(1, told.shape[1] * self._width(rows)))
        for at in range(0, len(rows), at_once):
            self._add(rows[at : at + at_once], told[at : at + at_once].astype(np.uint16))

    def _add(self, rows: Ints, told: NDArray[np.uint16]) -> None:
        fresh = (told != NOBODY) & (self.places(rows, told) < 0)
        order = np.sort(told.astype(np.int32) << 8 | np.arange(told.shape[1]), 1)  # each but the first of equals is old
        line, column = np.nonzero((order[:, 1:] >> 8) == (order[:, :-1] >> 8))
        fresh[line, order[line, column + 1] & 0xFF] = False
        place = self.count[rows][:, None] + fresh.cumsum(1) - 1
        full = fresh & (place >= CAPACITY)
        if full.any():
            crowded = np.flatnonzero(full.any(1))
            place[crowded] = np.where(full[crowded], self._displaced(rows[crowded], full[crowded]), place[crowded])
        line, column = np.nonzero(fresh & (place >= 0))
        which, where = rows[line], place[line, column]
        self.handle[which, where] = told[line, column]
        for held in (self.success, self.tried, self.failures, self.flags, self.later, self.round_trip):
            held[which, where] = 0
        np.maximum.at(self.count, which, (where + 1).astype(np.uint8))

    def places(self, rows: Ints, told: NDArray[np.uint16]) -> Ints:
        """Where in each row the supernodes of a line stand; -1: nowhere."""
        same = self.handle[rows, : self._width(rows)][:, None, :] == told[:, :, None]
        place = same.argmax(2)
        here = np.take_along_axis(same, place[:, :, None], 2)[:, :, 0]
        return np.where(here & (told != NOBODY), place, -1)

    def _displaced(self, rows: Ints, wanted: Bools) -> Ints:
        """In full caches, for each that wants room the place of one that gave no answer lately; -1: there is none."""
        failures, proven = self.failures[rows], self.success[rows] > 0
        given_up = np.where(proven, failures >= FORGET_AFTER, failures > 0) | (self.handle[rows] == NOBODY)
        given_up[:, : self.pinned] = False
        count = given_up.sum(1)
        line, place = np.nonzero(given_up)
        worst = place[np.lexsort((place, -failures[line, place].astype(np.int16), line))]
        turn = wanted.cumsum(1) - 1
        some = wanted & (turn < count[:, None])
        out = np.full(wanted.shape, -1, np.int64)
        out[some] = worst[((count.cumsum() - count)[:, None] + turn)[some]]
        return out

    def succeeded(self, rows: Ints, places: Ints, now: Any, round_trip: Any) -> None:
        """They answered."""
        self.success[rows, places] = now
        self.tried[rows, places] = now
        self.answered[rows] = now
        self.failures[rows, places] = 0
        before = self.round_trip[rows, places].astype(np.float64)
        measured = np.asarray(round_trip)
        smoothed = np.where(before > 0, before + (measured - before) / 4, measured)
        self.round_trip[rows, places] = np.where(measured > 0, smoothed, before)

    def failed(self, rows: Ints, places: Ints, now: Any) -> None:
        """They did not answer."""
        failures = np.minimum(99, self.failures[rows, places] + 1)
        self.failures[rows, places] = failures
        self.tried[rows, places] = now
        success = self.success[rows, places]
        most = np.where(success > 0, FORGET_AFTER, FORGET_UNPROVEN)
        old = (success == 0) | (np.asarray(now) - success > DAY)
        gone = (failures >= most) & old & (places >= self.pinned) & (self.count[rows] > KEPT)
        self.handle[rows[gone], places[gone]] = NOBODY

    def restarted(self, rows: Ints) -> None:
        """A program is started anew with what its last one kept: see ``HostCache.load``."""
        self.failures[rows] = np.minimum(self.failures[rows], FORGET_UNPROVEN - 1)
        self.begin(rows)

    def begin(self, rows: Ints) -> None:
        """A search begins, or is over: nothing is known of who said what in it."""
        self.flags[rows] = 0
        busy = rows[self.later[rows, 0 : self._width(rows)].any(1)] if len(rows) else rows
        self.later[busy] = 0

    # --- what is asked

    def _width(self, rows: Ints) -> int:
        return max(1, int(self.count[rows].max(initial=0)))

    def place(self, rows: Ints, supernodes: Any) -> Ints:
        """Where in each row a supernode stands; -1: nowhere."""
        held = self.handle[rows, : self._width(rows)] == np.asarray(supernodes, np.uint16)[:, None]
        return np.where(held.any(1), held.argmax(1), -1)

    def cost(self, rows: Ints, now: Any) -> Floats32:
        """Seconds that trying each address of the rows is expected to cost: the twin of ``HostCache.cost``."""
        width = self._width(rows)
        success = self.success[rows, :width]
        times = np.asarray(now, np.float32).reshape(-1, 1)
        age = np.maximum(0, times - success)
        never = np.full((len(rows), width), DOUBT[Source.PEER], np.float32)
        answered = self.answered[rows][:, None]
        lately = (answered > 0) & (times - answered < DAY)
        never[:, : self.pinned] = np.where(lately, LAST_RESORT, DOUBT[Source.DESCRIPTOR])
        doubt = np.where(success > 0, np.float32(0.05) + np.float32(0.6) * age / (age + np.float32(DAY)), never)
        doubt = 1 - (1 - doubt) * np.ldexp(np.float32(1), -self.failures[rows, :width].astype(np.int32))
        round_trip = self.round_trip[rows, :width].astype(np.float32)
        cost: Floats32 = np.where(round_trip > 0, round_trip, np.float32(UNMEASURED)) + doubt * np.float32(SILENCE)
        return cost

    def best(self, rows: Ints, most: int, now: Any, but: Bools) -> Ints:
        """The places of up to ``most`` addresses to try, best first (-1: no more).

        ``but``: by row and place (as many as ``allowed`` has), which may not be.
        """
        times = np.broadcast_to(np.asarray(now, np.float32), rows.shape)
        parts = [
            self._best(rows[at : at + AT_ONCE], most, times[at : at + AT_ONCE], but[at : at + AT_ONCE])
            for at in range(0, len(rows), AT_ONCE)
        ]
        return np.concatenate(parts) if parts else np.empty((0, most), np.int64)

    def _best(self, rows: Ints, most: int, now: Any, but: Bools) -> Ints:
        width = self._width(rows)
        cost = self.cost(rows, now)
        cost *= 1 + np.float32(SPREAD) * self._chance.random(cost.shape, np.float32)
        cost[but[:, :width]] = np.inf
        out = np.full((len(rows), most), -1, np.int64)
        line = np.arange(len(rows))
        for i in range(min(most, width)):  # for a few, the least again and again is found sooner than an order of all
            least = cost.argmin(1)
            out[:, i] = np.where(cost[line, least] < np.inf, least, -1)
            cost[line, least] = np.inf
        return out

    def refused(self, rows: Ints, now: Any, *, turned: bool) -> Bools:
        """By row and place, what is not to be asked now: nobody's, who said later and, ``turned``, who had his turn."""
        width = self._width(rows)
        times = np.broadcast_to(np.asarray(now, np.float32), rows.shape)[:, None]
        but: Bools = (self.handle[rows, :width] == NOBODY) | (self.later[rows, :width] > times)
        if turned:
            but |= (self.flags[rows, :width] & TURNED) > 0
        return but

    def first_of(self, rows: Ints, now: Any) -> NDArray[np.float64]:
        """When the first address may be asked again, where none may be asked now; 0 elsewhere."""
        width = self._width(rows)
        times = np.broadcast_to(np.asarray(now, np.float64), rows.shape)
        later = self.later[rows, :width].astype(np.float64)
        later[self.handle[rows, :width] == NOBODY] = np.inf
        first = later.min(1)
        return np.where(np.isfinite(first) & (first > times), first, 0.0)

    def stalest(self, rows: Ints, but: Bools) -> Ints:
        """The place of the address of which nothing was heard for the longest time; -1: there is none."""
        width = self._width(rows)
        known = np.maximum(self.success[rows, :width], self.tried[rows, :width])
        known[but[:, :width]] = np.inf
        at = known.argmin(1)
        return np.where(np.isfinite(known[np.arange(len(rows)), at]), at, -1)
