"""The records of a crowd: written to those who hold their slots, and lost where all of them go at once.

    row        its supernode           holder             the others of the slot
      | store --> | --- keep -----------> | --- replicate ----> |
      |           |                       | <-- five of nine -- |
      | <-- stored| <-- kept ------------ |                     |

A record that is still true is renewed by a sign of life (``overlay.pulses``): one holder is told of it, and tells the
others of all that came within a minute.

The times are those of ``overlay.keeper`` and ``overlay.publish``: the holders are asked in the order in which the
supernode knows them, by its own roster or by the table of another block as old as it may be.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from typing import Any

import numpy as np

from halloo.overlay.keeper import CHECKS, KEEP_AGAIN, KEPT_WITHIN, QUORUM, SPREAD_FOR
from halloo.overlay.slots import SLOTS
from halloo.overlay.survey import TABLE_EVERY
from halloo.sim.crowd.blocks import Blocks
from halloo.sim.crowd.desks import Desks
from halloo.sim.crowd.ground import NOBODY, Bools, Floats, Ground, Ints
from halloo.sim.crowd.ledger import Ledger

__all__ = ["Records"]

SNAPSHOT_EVERY = 15.0  # seconds between two states of all tables that are remembered
SNAPSHOTS_FOR = 2 * TABLE_EVERY  # seconds for which they are


class Records:
    """Who holds what, and how long it takes until enough do."""

    def __init__(
        self, keys: np.ndarray[Any, Any], blocks: Blocks, desks: Desks, ground: Ground, ledger: Ledger,
        chance: np.random.Generator,
    ) -> None:
        self._keys, self._blocks, self._desks, self._ground, self._ledger = keys, blocks, desks, ground, ledger
        self.slots: Ints = np.zeros(len(keys), np.int64)
        """By row, the slot of its record, as ``blocks.held`` counts them."""
        self.lost_at: Floats = np.empty(0)
        """By slot, when all who held it had gone at once: what was written before is lost."""
        self._chance = chance
        self._gathered: Ints = np.zeros(len(desks), np.int64)
        self._fellows: Ints = np.zeros(len(desks), np.int64)
        self._phase = chance.random(len(desks)) * TABLE_EVERY
        self._torn_at = self._together_at = -np.inf
        self._sides: tuple[Any, Any] | None = None
        self._tables: list[tuple[float, Ints]] = []
        """(since, by slot the two whom others know)."""

    def refresh(self, now: float) -> None:
        """Who holds what has changed."""
        held = self._blocks.held
        if len(held) != len(self.lost_at):
            self.lost_at = np.full(len(held), -np.inf)
            self._tables.clear()
            self.slots = self._blocks.slots_of(self._keys)
        if not self._tables or now >= self._tables[-1][0] + SNAPSHOT_EVERY:
            self._tables.append((now, held[:, :2].copy()))
        while len(self._tables) > 1 and self._tables[1][0] < now - SNAPSHOTS_FOR:
            del self._tables[0]

    def died(self, now: float) -> None:
        """Some supernodes have gone: whether a slot has nobody left."""
        held = self._blocks.held
        there = (held != NOBODY) & self._desks.synced[np.minimum(held, len(self._desks) - 1)]
        self.lost_at[~there.any(1)] = now

    def has(self, row: int, published_at: float) -> bool:
        """Whether those who hold a row's record still have it."""
        return bool(published_at > self.lost_at[self.slots[row]])

    def has_all(self, rows: Ints, published_at: Any) -> Any:
        """The same of many rows."""
        return published_at > self.lost_at[self.slots[rows]]

    def torn(self, now: float, users: Any, supernodes: Any) -> None:
        """The network is torn into sides: what is written on one is not known on the other."""
        self._torn_at, self._together_at = now, np.inf
        self._sides = users, supernodes

    def healed(self, together_at: float) -> None:
        """It is one again; by then all who hold a slot have compared what they hold."""
        self._together_at = together_at

    def reaches(self, row: int, number: int, published_at: float, now: float) -> bool:
        """Whether a row's newest record has come to a holder."""
        if self._sides is None or now >= self._together_at or published_at < self._torn_at:
            return True
        users, supernodes = self._sides
        return bool(users[row] == supernodes[number])

    def write(self, rows: Ints, supernodes: Any, at: Floats) -> Floats:
        """Seconds from a Store to the answer, without the way from the row and back; inf: nobody could be found."""
        held, alive, own, first, waited = self._first(rows, supernodes, at)
        found, out = first != NOBODY, np.full(len(rows), np.inf)
        if found.any():
            some, whom, whole = first[found], held[found], alive[found]
            out[found] = waited[found] + self._spread(some, whom, whole)
            away = found & ~own
            out[away] += 2 * self._ground.between(supernodes[away], first[away])
            self._count(supernodes, first, held, alive, found, own)
        return out

    def renew(self, rows: Ints, supernodes: Any, at: Floats) -> Floats:
        """The same for signs of life: one holder hears of it at once, the others from him, with others (``told``)."""
        held, alive, own, first, waited = self._first(rows, supernodes, at)
        found, out = first != NOBODY, np.full(len(rows), np.inf)
        if found.any():
            out[found] = waited[found]
            away = found & ~own
            out[away] += 2 * self._ground.between(supernodes[away], first[away])
            self._ledger.supernode("Refresh to a holder", supernodes[away], times=1 + CHECKS)
            self._ledger.supernode("Kept", first[away], times=1 + CHECKS)
            others = found[:, None] & alive & (held != first[:, None])
            np.add.at(self._gathered, first[found], 1)
            self._fellows[first[found]] = others.sum(1)[found]
        return out

    def told(self) -> tuple[Ints, Ints]:
        """How many signs of life each supernode has gathered since this was asked last, and how many it tells."""
        gathered, self._gathered = self._gathered, np.zeros_like(self._gathered)
        return gathered, self._fellows

    def _first(self, rows: Ints, supernodes: Any, at: Floats) -> tuple[Ints, Any, Any, Ints, Floats]:
        """By row: who holds its slot, which of them are there, whether its own supernode does; who hears of the record
        first (``NOBODY``: nobody could be found), and after how many seconds.
        """
        held = self._blocks.held[self.slots[rows]]
        alive = self._alive(held)
        own = (held == supernodes[:, None]).any(1)
        first = supernodes.astype(np.int64).copy()
        waited = np.zeros(len(rows))
        foreign = self._blocks.of_block[supernodes] != self.slots[rows] // SLOTS
        for which, far in ((np.flatnonzero(~own & ~foreign), False), (np.flatnonzero(~own & foreign), True)):
            if not len(which):
                continue
            known = self._known(rows[which], supernodes[which], at[which]) if far else held[which]
            first[which], waited[which] = self._asked(supernodes[which], known)
            if far:
                lost = which[first[which] == NOBODY]
                first[lost], waited[lost] = self._asked_who_know(rows[lost], supernodes[lost], at[lost])
        return held, alive, own, first, waited

    def _asked(self, supernodes: Any, known: Ints) -> tuple[Ints, Floats]:
        """Whom of those they know supernodes find, one after the other, and after how long; NOBODY: none in time."""
        there = self._alive(known) & self._ground.passes_between(supernodes[:, None], self._safe(known))
        column = there.argmax(1)
        good = there.any(1) & (column * KEEP_AGAIN < KEPT_WITHIN)
        return np.where(good, known[np.arange(len(known)), column], NOBODY), column * KEEP_AGAIN

    def _asked_who_know(self, rows: Ints, supernodes: Any, at: Floats) -> tuple[Ints, Floats]:
        """The two that a table names are gone: others of that block are asked, who know who is there now."""
        whom, waited = self._asked(supernodes, self._known_of_block(rows, supernodes, at))
        found = whom != NOBODY
        first = np.full(len(rows), NOBODY, np.int64)
        first[found], late = self._asked(supernodes[found], self._blocks.held[self.slots[rows[found]]])
        waited[found] += late + 2 * self._ground.between(supernodes[found], whom[found])
        waited += 2 * KEEP_AGAIN
        first[waited >= KEPT_WITHIN] = NOBODY
        return first, waited

    def _spread(self, first: Ints, held: Ints, alive: Any) -> Floats:
        """Seconds until a quorum of those who hold a slot has what one of them was given."""
        others = (held != NOBODY) & (held != first[:, None])
        alive = alive & self._ground.passes_between(first[:, None], self._safe(held))
        trips = 2 * self._ground.between(first[:, None], self._safe(held))
        trips = np.where(others & alive, trips, np.inf)
        trips.sort(1)
        need = np.minimum(QUORUM - 1, others.sum(1))
        last = np.where(need > 0, trips[np.arange(len(first)), np.maximum(need - 1, 0)], 0.0)
        out: Floats = np.minimum(last, SPREAD_FOR)
        return out

    def _count(self, supernodes: Any, first: Ints, held: Ints, alive: Any, found: Any, own: Any) -> None:
        ledger = self._ledger
        others = found[:, None] & alive & (held != first[:, None])
        told = others.sum(1)
        ledger.supernode("Replicate", first[found], times=told[found])
        ledger.supernode("Ack of Replicated", first[found], times=told[found])
        ledger.supernode("Replicated", held[others])
        away = found & ~own
        ledger.supernode("Keep", supernodes[away], times=1 + CHECKS)
        ledger.supernode("Kept", first[away], times=1 + CHECKS)

    def _known(self, rows: Ints, supernodes: Any, at: Floats) -> Ints:
        """The two holders that supernodes of other blocks know of, as of when they asked for the table last."""
        out = np.empty((len(rows), 2), np.int64)
        for which, table in self._tables_known(supernodes, at):
            out[which] = table[self.slots[rows[which]]]
        return out

    def _known_of_block(self, rows: Ints, supernodes: Any, at: Floats) -> Ints:
        """Those of the same table who are named for other slots, in any order."""
        out = np.empty((len(rows), 2 * SLOTS), np.int64)
        for which, table in self._tables_known(supernodes, at):
            block = self.slots[rows[which]] // SLOTS
            out[which] = table[SLOTS * block[:, None] + np.arange(SLOTS)].reshape(len(block), -1)
        return self._chance.permuted(out, axis=1)

    def _tables_known(self, supernodes: Any, at: Floats) -> Iterator[tuple[Bools, Ints]]:
        """The tables that supernodes know, and who knows them."""
        times = [since for since, _ in self._tables]
        age = (at + self._phase[supernodes]) % TABLE_EVERY
        index = np.array([max(0, bisect_right(times, one) - 1) for one in (at - age).tolist()], np.int64)
        for i in np.unique(index).tolist():
            yield index == i, self._tables[i][1]

    def table_known_at(self, supernode: int, at: float) -> float:
        """As of when a supernode knows the tables of other blocks."""
        return at - (at + float(self._phase[supernode])) % TABLE_EVERY

    def _alive(self, numbers: Ints) -> Any:
        return (numbers != NOBODY) & self._desks.alive[self._safe(numbers)]

    def _safe(self, numbers: Ints) -> Ints:
        return np.minimum(numbers, len(self._desks) - 1)
