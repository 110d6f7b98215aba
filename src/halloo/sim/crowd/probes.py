"""Probes of a crowd: rows ask supernodes whether they may come, and hear yes, or when.

    row                           supernode
      | --- probe ----------------> |  ``desks``, by the real line of admission
      | <-- come, or when --------- |
"""

from __future__ import annotations

from typing import Any

import numpy as np

from halloo.overlay.join import NO_ANSWER
from halloo.overlay.promises import WORTH
from halloo.overlay.tries import HOLD, MOST_DOUBLED
from halloo.sim.crowd.caches import ASKED, SILENT
from halloo.sim.crowd.desks import ACCEPTED, NO_TICKET, REFUSED
from halloo.sim.crowd.ground import NOBODY, Floats
from halloo.sim.crowd.handshakes import Handshakes
from halloo.sim.crowd.places import Places
from halloo.sim.crowd.rows import CLIMBING, waves
from halloo.sim.crowd.seekers import UDP, Seekers

__all__ = ["Probes"]


class Probes:
    """All that are under way, and what comes of them."""

    def __init__(self, seekers: Seekers, places: Places, handshakes: Handshakes) -> None:
        self.all, self.rows, self.caches = seekers, seekers.rows, seekers.caches
        self.desks, self.ground, self.ledger = seekers.desks, seekers.ground, seekers.ledger
        self._places, self._handshakes = places, handshakes

    def probe(self, at: Floats, rows: Any, supernode: Any, way: Any, ticket: Any) -> None:
        """Ask whether one may come (``ticket``: 0 a proof, or a place that was kept); a connection is made first."""
        mine, ground = self.rows, self.ground
        self.ledger.user("Probe", rows)
        travel = ground.travel(rows, supernode)
        by_udp = way == UDP
        passes = ~by_udp | (ground.by_udp[rows] & ~self.all.lost(len(rows)))
        passes &= ground.passes(rows, supernode) & self.desks.alive[supernode]
        slowly = np.where(mine.knows[rows] & by_udp, 1, 3)
        mine.knows[rows[passes & by_udp]] = True
        at, rows, supernode, way, ticket = (one[passes] for one in (at, rows, supernode, way, ticket))
        self.all.probes.put(at + (slowly * travel)[passes], rows, mine.epoch[rows], supernode, way, ticket, at)

    def probed(self, at: Floats, rows: Any, epoch: Any, supernode: Any, way: Any, ticket: Any, sent: Any) -> None:
        """Supernodes hear probes."""
        desks, hosts = self.desks, self.all.hosts
        alive = desks.alive[supernode]
        if not alive.all():
            at, rows, epoch, supernode, way, ticket, sent = (
                one[alive] for one in (at, rows, epoch, supernode, way, ticket, sent)
            )
        told = [
            desks.asked(number, hosts[row], held, when)
            for number, row, held, when in zip(
                supernode.tolist(), rows.tolist(), ticket.tolist(), at.tolist(), strict=True
            )
        ]
        if not told:
            return
        verdict, wait, place = (np.array(column) for column in zip(*told, strict=True))
        self.ledger.supernode("ProbeAccept", supernode[verdict == ACCEPTED])
        self.ledger.supernode("ProbeRefuse", supernode[verdict == REFUSED])
        self.ledger.supernode("ProbeRefuse to a stranger", supernode[verdict > REFUSED])
        back = (way != UDP) | ~self.all.lost(len(rows))
        has_place = ticket != NO_TICKET
        arrives = at + self.ground.travel(rows, supernode)
        columns = (rows, epoch, supernode, way, verdict, wait, place, has_place, sent)
        self.all.answers.put(arrives[back], *(column[back] for column in columns))

    def answered(
        self, at: Floats, rows: Any, epoch: Any, supernode: Any, way: Any, verdict: Any, wait: Any, ticket: Any,
        placed: Any, sent: Any,
    ) -> None:
        """Rows hear what supernodes say to their probes."""
        columns = (at, rows, epoch, supernode, way, verdict, wait, ticket, placed, sent)
        for lot in waves(rows):
            self._answered_once(*(column[lot] for column in columns))

    def _answered_once(
        self, at: Floats, rows: Any, epoch: Any, supernode: Any, way: Any, verdict: Any, wait: Any, ticket: Any,
        placed: Any, sent: Any,
    ) -> None:
        mine, caches = self.rows, self.caches
        here = (mine.epoch[rows] == epoch) & (mine.state[rows] == CLIMBING)
        at, rows, supernode, way, verdict, wait, ticket, placed, sent = (
            one[here] for one in (at, rows, supernode, way, verdict, wait, ticket, placed, sent)
        )
        if not len(rows):
            return
        place = caches.place(rows, supernode)
        known = place >= 0
        caches.flags[rows[known], place[known]] &= ~np.uint8(SILENT | ASKED)
        mine.heard[rows] |= way == UDP
        refused = verdict != ACCEPTED
        accepted = ~refused & (mine.comes_to[rows] != supernode)
        if accepted.any():
            held = mine.held_until[rows] > at
            later, now = accepted & held, accepted & ~held
            who = rows[later]
            self.all.steps.put(mine.held_until[who], who, mine.epoch[who], supernode[later], way[later], NO_TICKET)
            who, when, number = rows[now], at[now], supernode[now]
            mine.attempts[who] += 1
            mine.comes_to[who] = number
            mine.held_until[who] = when + HOLD * 2.0 ** np.clip(mine.attempts[who] - 1, 0, MOST_DOUBLED)
            self._handshakes.greet(when, who, number, way[now], ticket[now], when - sent[now])
        if refused.any():
            no = refused
            most = np.where(verdict[no] == REFUSED, 20, 2)
            self._places.refused(
                at[no], rows[no], supernode[no], way[no], wait[no], ticket[no], placed[no], most
            )

    def choose(self, at: Floats, rows: Any, epoch: Any) -> None:
        """All who were asked have had time to say how long one would wait: ask for a place where it is shortest."""
        mine, caches = self.rows, self.caches
        here = (mine.epoch[rows] == epoch) & (mine.state[rows] == CLIMBING) & (mine.choose_at[rows] == at)
        here &= (mine.attempts[rows] == 0) & (mine.offer_with[rows] != NOBODY).any(1)
        at, rows = at[here], rows[here]
        if not len(rows):
            return
        offers = np.where(mine.offer_with[rows] != NOBODY, mine.offer_at[rows], np.inf)
        offers = np.where(offers == offers.min(1)[:, None], self.all.chance.random(offers.shape), np.inf)
        column = offers.argmin(1)
        soonest = mine.offer_at[rows, column]
        useless = (mine.place_with[rows] != NOBODY) & (soonest > mine.place_at[rows] - WORTH)
        self.all.pause(rows[useless], at[useless])
        rows, column, at = rows[~useless], column[~useless], at[~useless]
        supernode = mine.offer_with[rows, column]
        mine.offer_with[rows, column] = NOBODY
        mine.choose_at[rows] = at + NO_ANSWER
        self.all.chooses.put(at + NO_ANSWER, rows, mine.epoch[rows])
        place = caches.place(rows, supernode)
        known = place >= 0
        caches.flags[rows[known], place[known]] |= ASKED
        self.probe(at, rows, supernode, self.all.by(rows), np.zeros(len(rows), np.int64))
