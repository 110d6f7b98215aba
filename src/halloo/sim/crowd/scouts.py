"""How a crowd's rows keep other supernodes at hand: the twin of ``overlay.scout``.

A probe that only asks is answered within its lot: nothing else depends on the second in which it is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from halloo.overlay.scout import SETTLED, SPARE_EVERY, SPARES, STALEST_EVERY
from halloo.sim.crowd.caches import Caches
from halloo.sim.crowd.desks import Desks
from halloo.sim.crowd.ground import NOBODY, Bools, Floats, Ground, Ints
from halloo.sim.crowd.ledger import Ledger
from halloo.sim.crowd.rows import ATTACHED, Rows

__all__ = ["Scouts"]


class Scouts:
    """The scouts of all rows."""

    def __init__(
        self, rows: Rows, caches: Caches, desks: Desks, ground: Ground, ledger: Ledger, chance: np.random.Generator,
        known: Callable[[Any, int], Any],
    ) -> None:
        self.rows, self.caches, self.desks, self.ground, self.ledger = rows, caches, desks, ground, ledger
        self._chance, self._known = chance, known
        self._hosts = [int(host).to_bytes(4, "big") for host in ground.user_hosts]

    def attached(self, rows: Ints, at: Floats) -> None:
        """These are on line by UDP: there is time to look around."""
        mine = self.rows
        for i in range(SPARES):
            self._drop(rows, i, mine.spare[rows, i] == mine.supernode[rows])
        mine.spare_next[rows] = at + SETTLED * self._chance.random(len(rows))
        mine.stalest_next[rows] = at + STALEST_EVERY * (0.5 + self._chance.random(len(rows)))

    def rest(self, rows: Ints) -> None:
        """These are off line."""
        self.rows.spare_next[rows] = np.inf
        self.rows.stalest_next[rows] = np.inf

    def due(self, now: float) -> None:
        """Ask whose turn it is."""
        mine = self.rows
        rows = np.flatnonzero((mine.spare_next <= now) & (mine.state == ATTACHED))
        if len(rows):
            mine.spare_next[rows] = now + SPARE_EVERY * (0.5 + self._chance.random(len(rows)))
            self._look_for_spares(rows, now)
        rows = np.flatnonzero((mine.stalest_next <= now) & (mine.state == ATTACHED))
        if len(rows):
            mine.stalest_next[rows] = now + STALEST_EVERY * (0.5 + self._chance.random(len(rows)))
            place = self.caches.stalest(rows, self._but(rows))
            self._ask(rows[place >= 0], place[place >= 0], now)

    def _but(self, rows: Ints) -> Bools:
        width = max(1, int(self.caches.count[rows].max(initial=0)))
        held = self.caches.handle[rows, :width]
        but: Bools = (held == NOBODY) | (held == self.rows.supernode[rows][:, None])
        for i in range(SPARES):
            but |= held == self.rows.spare[rows, i][:, None]
        return but

    def _look_for_spares(self, rows: Ints, now: float) -> None:
        mine = self.rows
        missing = SPARES - (mine.spare[rows] != NOBODY).sum(1)
        some = missing > 0
        if some.any():
            who = rows[some]
            best = self.caches.best(who, SPARES, now, self._but(who))
            for i in range(SPARES):
                wanted = (best[:, i] >= 0) & (i < missing[some])
                self._ask(who[wanted], best[wanted, i], now)
            none = (best[:, 0] < 0) & (missing[some] < SPARES)
            self._ask_again(who[none], now)
        self._ask_again(rows[~some], now)

    def _ask_again(self, rows: Ints, now: float) -> None:
        """Ask the spare that was not heard of for the longest time."""
        if not len(rows):
            return
        mine = self.rows
        heard = np.where(mine.spare[rows] != NOBODY, mine.spare_heard[rows], np.inf)
        column = heard.argmin(1)
        place = self.caches.place(rows, mine.spare[rows, column])
        gone = place < 0
        for i in range(SPARES):
            self._drop(rows[gone], i, column[gone] == i)
        self._ask(rows[~gone], place[~gone], now)

    def _ask(self, rows: Ints, place: Ints, now: float) -> None:
        """One probe each, and what comes of it."""
        if not len(rows):
            return
        caches, desks, ledger = self.caches, self.desks, self.ledger
        ledger.user("Probe", rows)
        number = caches.handle[rows, place].astype(np.int64)
        there = desks.alive[number] & self.ground.passes(rows, number)
        self._unheard(rows[~there], place[~there], number[~there], now)
        rows, place, number = rows[there], place[there], number[there]
        trip = 2 * self.ground.travel(rows, number)
        caches.succeeded(rows, place, now, trip)
        takes = (desks.free_at[number] <= now) & (desks.clients[number] < desks.most)
        busy = np.flatnonzero(~takes)
        takes[busy] = [
            desks.would_take(one, self._hosts[row], now)
            for one, row in zip(number[busy].tolist(), rows[busy].tolist(), strict=True)
        ]
        ledger.supernode("ProbeAccept", number[takes])
        self._take(rows[takes], number[takes], trip[takes], now)
        no = ~takes
        if no.any():
            ledger.supernode("ProbeRefuse to a stranger", number[no])
            caches.add(rows[no], self._known(number[no], 2))
            for i in range(SPARES):
                self._drop(rows[no], i, self.rows.spare[rows[no], i] == number[no])

    def _unheard(self, rows: Ints, place: Ints, number: Ints, now: float) -> None:
        self.caches.failed(rows, place, now)
        for i in range(SPARES):
            self._drop(rows, i, self.rows.spare[rows, i] == number)

    def _take(self, rows: Ints, number: Ints, trip: Floats, now: float) -> None:
        """These answered, and have room: the nearest are kept."""
        mine = self.rows
        held = np.hstack([mine.spare[rows].astype(np.int64), np.full((len(rows), 1), NOBODY)])
        trips = np.hstack([mine.spare_trip[rows], np.full((len(rows), 1), np.inf, np.float32)])
        heard = np.hstack([mine.spare_heard[rows], np.zeros((len(rows), 1), np.float32)])
        same = held == number[:, None]
        column = np.where(same.any(1), same.argmax(1), SPARES)
        line = np.arange(len(rows))
        held[line, column], trips[line, column], heard[line, column] = number, trip, now
        order = np.argsort(trips, axis=1, kind="stable")[:, :SPARES]
        mine.spare[rows] = np.take_along_axis(held, order, 1)
        mine.spare_trip[rows] = np.take_along_axis(trips, order, 1)
        mine.spare_heard[rows] = np.take_along_axis(heard, order, 1)

    def _drop(self, rows: Ints, column: int, which: Any) -> None:
        who = rows[which]
        self.rows.spare[who, column] = NOBODY
        self.rows.spare_trip[who, column] = np.inf
