"""Handshakes of a crowd: each waits for its turn at a desk, and who has got through attaches, or is told when to come.

    row                           supernode (``desks``)
      | --- hello, at its desk ---> |
      | <-- answer ---------------- |
      | --- finish, attach -------> |
      | <-- attached, or when ----- |
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from halloo.link.onelink import HELLO_AGAIN, HELLO_FOR, HELLO_GROWTH, HELLO_MOST
from halloo.sim.crowd.caches import SILENT
from halloo.sim.crowd.desks import ACCEPTED, NO_TICKET
from halloo.sim.crowd.ground import NOBODY, Floats, Ints
from halloo.sim.crowd.places import Places
from halloo.sim.crowd.rows import ATTACHED, CLIMBING, waves
from halloo.sim.crowd.seekers import UDP, Seekers

__all__ = ["Handshakes"]


class Handshakes:
    """All that are under way.  ``joined`` hears of rows that attached, and when."""

    def __init__(self, seekers: Seekers, places: Places) -> None:
        self.all, self.rows, self.caches = seekers, seekers.rows, seekers.caches
        self.desks, self.ground, self.ledger = seekers.desks, seekers.ground, seekers.ledger
        self._places = places
        self.joined: Callable[[Ints, Floats], None] = lambda *_: None
        self.joins = 0
        self.attempts: Ints = np.zeros(len(seekers.desks), np.int64)
        """By supernode, handshakes that were begun."""

    def greet(self, at: Floats, rows: Any, supernode: Any, way: Any, ticket: Any, trip: Any) -> None:
        """Begin a handshake with who was asked before."""
        self.ledger.user("Hello", rows)
        when = at + self.ground.travel(rows, supernode) + self.all.late(len(rows))
        self.all.hellos.put(when, rows, self.rows.epoch[rows], supernode, way, at, 0, False, ticket, trip)

    def connect(self, at: Floats, rows: Any, supernode: Any, way: Any) -> None:
        """Begin one over a connection, unasked."""
        mine = self.rows
        self.ledger.user("Hello", rows)
        for lot in waves(rows):
            mine.attempts[rows[lot]] += 1
        travel = self.ground.travel(rows, supernode)
        there = self.desks.alive[supernode] & self.ground.passes(rows, supernode)
        self.all.hellos.put(
            (at + 3 * travel)[there], rows[there], mine.epoch[rows[there]], supernode[there], way[there], at[there],
            0, False, NO_TICKET, 0.0,
        )
        gone = ~there
        self.all.downs.put((at + 2 * travel)[gone], rows[gone], mine.epoch[rows[gone]], supernode[gone], way[gone])

    def greeted(
        self, at: Floats, rows: Any, epoch: Any, supernode: Any, way: Any, began: Any, tries: Any, knocked: Any,
        ticket: Any, trip: Any,
    ) -> None:
        """Supernodes hear Hellos; at each desk they wait for their turn."""
        desks = self.desks
        alive = desks.alive[supernode] & self.ground.passes(rows, supernode)
        waits: Any = np.full(len(rows), np.nan)
        for i, (number, when, again, there) in enumerate(
            zip(supernode.tolist(), at.tolist(), knocked.tolist(), alive.tolist(), strict=True)
        ):
            if there:
                served = desks.hello(number, when, again=again)
                if served is not None:
                    waits[i] = served
        served = ~np.isnan(waits)
        self.attempts += np.bincount(supernode[alive & ~knocked], minlength=len(desks))
        self.ledger.supernode("HelloAnswer", supernode[served])
        travel = self.ground.travel(rows, supernode)
        when = at + waits + travel + self.all.late(len(rows))
        columns = (rows, epoch, supernode, way, ticket, trip)
        heard = served & (when < began + HELLO_FOR)
        self.all.hello_answers.put(when[heard], *(column[heard] for column in columns))
        again_at = at + np.minimum(HELLO_AGAIN * HELLO_GROWTH**tries, HELLO_MOST)
        unheard = ~served
        more = unheard & (way == UDP) & (again_at < began + HELLO_FOR)
        more &= (self.rows.epoch[rows] == epoch) & (self.rows.state[rows] == CLIMBING)
        self.ledger.user("Hello", rows[more])
        said_again = (rows, epoch, supernode, way, began, tries + 1, knocked | alive, ticket, trip)
        self.all.hellos.put(again_at[more], *(column[more] for column in said_again))
        over = ~heard & ~more  # worked on in vain, or not heard at all
        self.all.downs.put(began[over] + HELLO_FOR, rows[over], epoch[over], supernode[over], way[over])

    def up(self, at: Floats, rows: Any, epoch: Any, supernode: Any, way: Any, ticket: Any, trip: Any) -> None:
        """The answer of the desk has come: now attach."""
        here = (self.rows.epoch[rows] == epoch) & (self.rows.state[rows] == CLIMBING)
        at, rows, epoch, supernode, way, ticket, trip = (
            one[here] for one in (at, rows, epoch, supernode, way, ticket, trip)
        )
        for name in ("Finish", "Attach"):
            self.ledger.user(name, rows)
        when = at + self.ground.travel(rows, supernode) + self.all.late(len(rows))
        self.all.attaches.put(when, rows, epoch, supernode, way, ticket, trip)

    def down(self, at: Floats, rows: Any, epoch: Any, supernode: Any, way: Any) -> None:
        """Handshakes that came to nothing."""
        mine, caches = self.rows, self.caches
        here = (mine.epoch[rows] == epoch) & (mine.state[rows] == CLIMBING)
        rows, supernode, way = rows[here], supernode[here], way[here]
        for lot in waves(rows):
            who = rows[lot]
            mine.attempts[who] -= mine.attempts[who] > 0
            mine.heard[who] &= way[lot] != UDP
            mine.comes_to[who[mine.comes_to[who] == supernode[lot]]] = NOBODY
            place = caches.place(who, supernode[lot])
            known = place >= 0
            caches.flags[who[known], place[known]] |= SILENT

    def attach(self, at: Floats, rows: Any, epoch: Any, supernode: Any, way: Any, ticket: Any, trip: Any) -> None:
        """Supernodes hear who wants to attach."""
        desks, mine, hosts = self.desks, self.rows, self.all.hosts
        alive = desks.alive[supernode] & self.ground.passes(rows, supernode)
        at, rows, epoch, supernode, way, ticket, trip = (
            one[alive] for one in (at, rows, epoch, supernode, way, ticket, trip)
        )
        if not len(rows):
            return
        here = (mine.ghost[rows] == supernode) & (mine.ghost_life[rows] == desks.life[supernode])
        mine.ghost[rows[here]] = NOBODY
        told = [
            desks.attached(number, hosts[row], held, when, here=known)
            for number, row, held, when, known in zip(
                supernode.tolist(), rows.tolist(), ticket.tolist(), at.tolist(), here.tolist(), strict=True
            )
        ]
        verdict, wait, place = (np.array(column) for column in zip(*told, strict=True))
        self.ledger.supernode("Ack of Finish", supernode, of_client=True)
        self.ledger.supernode("Attached", supernode, of_client=True)
        when = at + self.ground.travel(rows, supernode) + self.all.late(len(rows))
        self.all.attached.put(when, rows, epoch, supernode, way, verdict, wait, place, desks.life[supernode], trip)

    def taken(
        self, at: Floats, rows: Any, epoch: Any, supernode: Any, way: Any, verdict: Any, wait: Any, ticket: Any,
        life: Any, trip: Any,
    ) -> None:
        """Supernodes have said whether they take them."""
        columns = (at, rows, epoch, supernode, way, verdict, wait, ticket, life, trip)
        for lot in waves(rows):
            self._taken_once(*(column[lot] for column in columns))

    def _taken_once(
        self, at: Floats, rows: Any, epoch: Any, supernode: Any, way: Any, verdict: Any, wait: Any, ticket: Any,
        life: Any, trip: Any,
    ) -> None:
        mine, caches = self.rows, self.caches
        here = (mine.epoch[rows] == epoch) & (mine.state[rows] == CLIMBING)
        taken = verdict == ACCEPTED
        stray = taken & ~here
        unlinked = at + self.ground.travel(rows, supernode)
        self.all.frees.put(unlinked[stray], rows[stray], supernode[stray], life[stray], False)
        refused = here & ~taken
        if refused.any():
            who = rows[refused]
            mine.attempts[who] -= mine.attempts[who] > 0
            mine.held_until[who], mine.comes_to[who] = 0.0, NOBODY
            self._places.refused(
                at[refused], who, supernode[refused], way[refused], wait[refused], ticket[refused],
                np.ones(len(who), bool), np.full(len(who), 40),
            )
        good = here & taken
        at, rows, supernode, way, life, trip = (one[good] for one in (at, rows, supernode, way, life, trip))
        if not len(rows):
            return
        mine.state[rows], mine.supernode[rows], mine.life[rows] = ATTACHED, supernode, life
        mine.epoch[rows] += 1
        mine.attached_at[rows] = at
        mine.ping_at[rows] = at + self.all.timings.ping * (0.5 + self.all.chance.random(len(rows)) / 2)
        mine.wake_at[rows] = np.inf
        kept = mine.place_with[rows] != NOBODY
        who = rows[kept]
        self._places.give_back(at[kept], who, mine.place_with[who], mine.place_ticket[who])
        place = caches.place(rows, supernode)
        known = place >= 0
        who = rows[known]
        caches.flags[who, place[known]] &= ~np.uint8(SILENT)
        caches.succeeded(who, place[known], at[known], trip[known])
        self._blame(rows, at)
        caches.begin(rows)
        self.all.forget(rows)
        caches.add(rows, self.all.known(supernode, 40))
        self.joins += len(rows)
        self.joined(rows, at)

    def _blame(self, rows: Ints, at: Floats) -> None:
        """Who was silent though somebody else answered, has failed."""
        line, place = np.nonzero(self.caches.flags[rows] & SILENT)
        self.caches.failed(rows[line], place, at[line])

    def leave(self, rows: Ints, supernode: Any, life: Any, now: float) -> None:
        """These say goodbye."""
        self.all.frees.put(now + self.ground.travel(rows, supernode), rows, supernode, life, False)

    def haunt(self, rows: Ints, supernode: Any, life: Any, until: Floats, now: float) -> None:
        """Supernodes take these for attached until then, though they are not; who comes back finds his place."""
        mine = self.rows
        before = rows[mine.ghost[rows] != NOBODY]
        self.all.frees.put(np.full(len(before), now), before, mine.ghost[before], mine.ghost_life[before], False)
        mine.ghost[rows], mine.ghost_life[rows] = supernode, life
        self.all.frees.put(until, rows, supernode, life, True)

    def freed(self, at: Floats, rows: Any, supernode: Any, life: Any, ghost: Any) -> None:
        """Supernodes learn that somebody is not attached any more."""
        mine = self.rows
        haunts = (mine.ghost[rows] == supernode) & (mine.ghost_life[rows] == life)
        desks = self.desks
        still = desks.alive[supernode] & (desks.life[supernode] == life) & (haunts | ~ghost)
        np.subtract.at(self.desks.clients, supernode[still], 1)
        mine.ghost[rows[haunts & ghost]] = NOBODY
