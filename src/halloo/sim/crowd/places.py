"""What supernodes of a crowd say that cannot take a row now: whom else to ask, when to come again, and places kept.

    row                           supernode
      | <-- when, and others ------ |
      | --- a place? -------------> |  ``probes`` asks where one would wait least
      | <-- kept, until then ------ |
      | --- not needed -----------> |
"""

from __future__ import annotations

from typing import Any

import numpy as np

from halloo.overlay.join import GATHER, LONGEST_DOUBLING, REFERRED, SOONEST
from halloo.sim.crowd.caches import PROOF, TURNED
from halloo.sim.crowd.desks import NO_TICKET
from halloo.sim.crowd.ground import NOBODY, Floats, Ints
from halloo.sim.crowd.seekers import Seekers

__all__ = ["Places"]

REFERRED_AT_ONCE = 2_000  # rows whose referrals are looked up at once: 16 MB


class Places:
    """Who is to come when, and where."""

    def __init__(self, seekers: Seekers) -> None:
        self.all, self.rows, self.caches = seekers, seekers.rows, seekers.caches
        self.desks, self.ground, self.ledger = seekers.desks, seekers.ground, seekers.ledger

    def refused(
        self, at: Floats, rows: Any, supernode: Any, way: Any, wait: Any, ticket: Any, placed: Any, told: Any
    ) -> None:
        """Supernodes that cannot take them now.  ``placed``: and have kept a place, as far as they keep any."""
        mine, caches = self.rows, self.caches
        others = self.all.known(supernode, int(told.max()))
        others[np.arange(others.shape[1]) >= told[:, None]] = NOBODY
        caches.add(rows, others)
        if not self.all.timings.patient:
            return
        soonest = np.minimum(self.all.timings.pause, SOONEST * 2.0 ** np.minimum(mine.round[rows], LONGEST_DOUBLING))
        again = at + np.maximum(soonest, wait + self.all.chance.random(len(rows)) / 4)
        place = caches.place(rows, supernode)
        known = place >= 0
        caches.later[rows[known], place[known]] = again[known]
        flags = caches.flags[rows[known], place[known]]
        caches.flags[rows[known], place[known]] = np.where(ticket[known] >= 0, flags | PROOF, flags & ~np.uint8(PROOF))
        self._refer(at, rows, others, way)
        offered = (ticket >= 0) & ~placed
        if offered.any():
            self._offered(at[offered], rows[offered], supernode[offered], again[offered])
        kept = (ticket >= 0) & placed
        if kept.any():
            self._keep(at[kept], rows[kept], supernode[kept], again[kept], ticket[kept])

    def _refer(self, at: Floats, rows: Any, others: Any, way: Any) -> None:
        """Supernodes that they were told of are tried next, as far as they are new in this search, by the same way."""
        mine = self.rows
        left = np.flatnonzero(mine.referred[rows] < REFERRED)
        for lot in range(0, len(left), REFERRED_AT_ONCE):
            self._refer_some(left[lot : lot + REFERRED_AT_ONCE], at, rows, others, way)

    def _refer_some(self, lot: Ints, at: Floats, rows: Any, others: Any, way: Any) -> None:
        mine, caches = self.rows, self.caches
        who, told = rows[lot], others[lot].astype(np.uint16)
        place = caches.places(who, told)
        fresh = (place >= 0) & ((caches.flags[who[:, None], np.maximum(place, 0)] & TURNED) == 0)
        turn = mine.referred[who][:, None] + fresh.cumsum(1)
        line, column = np.nonzero(fresh & (turn <= REFERRED))
        chosen = who[line]
        caches.flags[chosen, place[line, column]] |= TURNED
        mine.referred[who] = np.minimum(REFERRED, turn[:, -1])
        when = at[lot][line] + self.all.timings.ladder.stagger * turn[line, column]
        self.all.steps.put(when, chosen, mine.epoch[chosen], told[line, column], way[lot][line], NO_TICKET)

    def _offered(self, at: Floats, rows: Any, supernode: Any, again: Floats) -> None:
        mine = self.rows
        held = mine.offer_with[rows]
        same = held == supernode[:, None]
        free = np.where(same.any(1)[:, None], same, held == NOBODY)
        column = free.argmax(1)
        good = free.any(1)
        rows, column, supernode, again, at = rows[good], column[good], supernode[good], again[good], at[good]
        mine.offer_with[rows, column], mine.offer_at[rows, column] = supernode, again
        sooner = mine.choose_at[rows] > at + GATHER
        mine.choose_at[rows[sooner]] = at[sooner] + GATHER
        self.all.chooses.put(at[sooner] + GATHER, rows[sooner], mine.epoch[rows[sooner]])

    def _keep(self, at: Floats, rows: Any, supernode: Any, again: Floats, ticket: Any) -> None:
        """A place is kept: the soonest is the appointment, and the other, if there is one, is given back.

        What is told again of the appointment itself may make it sooner; then the round goes on.
        """
        mine, caches = self.rows, self.caches
        again_told = (mine.place_with[rows] == supernode) & (mine.place_ticket[rows] == ticket)
        if again_told.any():
            who = rows[again_told]
            mine.place_at[who] = np.minimum(mine.place_at[who], again[again_told])
            place = caches.place(who, supernode[again_told])
            known = place >= 0
            caches.later[who[known], place[known]] = mine.place_at[who[known]]
            at, rows, supernode, again, ticket = (
                one[~again_told] for one in (at, rows, supernode, again, ticket)
            )
        before = mine.place_with[rows] != NOBODY
        worse = before & (mine.place_at[rows] <= again)
        better = before & ~worse
        self.give_back(at[worse], rows[worse], supernode[worse], ticket[worse])
        who = rows[better]
        self.give_back(at[better], who, mine.place_with[who], mine.place_ticket[who])
        who = rows[~worse]
        mine.place_with[who], mine.place_at[who], mine.place_ticket[who] = (
            supernode[~worse], again[~worse], ticket[~worse],
        )
        idle = mine.attempts[rows] == 0
        self.all.pause(rows[idle], at[idle])

    def give_back(self, at: Floats, rows: Any, supernode: Any, ticket: Any) -> None:
        """Say that a place is not needed; where a connection would have to be made to say so, it runs out by itself."""
        told = self.ground.by_udp[rows]
        at, rows, supernode, ticket = at[told], rows[told], supernode[told], ticket[told]
        if len(rows):
            self.ledger.user("Probe", rows)
            self.all.backs.put(at + self.ground.travel(rows, supernode), rows, supernode, ticket)

    def given_back(self, at: Floats, rows: Any, supernode: Any, ticket: Any) -> None:
        """Supernodes hear it."""
        for row, number, held, when in zip(
            rows.tolist(), supernode.tolist(), ticket.tolist(), at.tolist(), strict=True
        ):
            if self.desks.alive[number]:
                self.desks.given_back(number, self.all.hosts[row], held, when)
