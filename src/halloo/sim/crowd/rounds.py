"""A round of a crowd's rows: whom each tries, and the staggered ladder of ways by which it does."""

from __future__ import annotations

from typing import Any

import numpy as np

from halloo.overlay.join import ALONE, NO_ANSWER
from halloo.overlay.ladder import Way
from halloo.sim.crowd.caches import ASKED, PROOF, SILENT, TURNED
from halloo.sim.crowd.desks import NO_TICKET
from halloo.sim.crowd.ground import NOBODY, Bools, Floats, Ints
from halloo.sim.crowd.handshakes import Handshakes
from halloo.sim.crowd.probes import Probes
from halloo.sim.crowd.rows import CLIMBING, FAILED
from halloo.sim.crowd.seekers import UDP, Seekers

__all__ = ["Rounds"]


class Rounds:
    """The rounds of all who look for a supernode."""

    def __init__(self, seekers: Seekers, probes: Probes, handshakes: Handshakes) -> None:
        self.all, self.rows, self.caches = seekers, seekers.rows, seekers.caches
        self._probes, self._handshakes = probes, handshakes
        self.failures = 0

    @property
    def _tcp(self) -> list[tuple[float, int]]:
        """The rungs above UDP: after how many seconds, and the way."""
        rungs = self.all.timings.ladder.rungs
        return [(at, way.value) for at, way in rungs if way not in (Way.UDP, Way.PROXY)]

    def climb(self, rows: Ints, at: Floats) -> None:
        """Begin a round."""
        mine, ladder = self.rows, self.all.timings.ladder
        mine.state[rows] = CLIMBING
        mine.epoch[rows] += 1
        mine.referred[rows], mine.attempts[rows], mine.comes_to[rows] = 0, 0, NOBODY
        mine.offer_with[rows], mine.choose_at[rows], mine.held_until[rows] = NOBODY, np.inf, 0.0
        begin = at.copy()
        due = mine.place_at[rows] <= at
        if due.any():
            who, when = rows[due], at[due]
            begin[due] += ALONE
            mine.round[who] = np.minimum(250, mine.round[who] + 1)
            for later in (0.0, NO_ANSWER):
                kept = mine.place_with[who], self.all.by(who), mine.place_ticket[who]
                self.all.steps.put(when + later, who, mine.epoch[who], *kept)
            mine.place_with[who], mine.place_at[who] = NOBODY, np.inf
        looks = (mine.place_at[rows] > begin + ladder.round) & np.isfinite(mine.place_at[rows])
        looks &= self.all.ground.by_udp[rows]
        if looks.any():
            who = rows[looks]
            self.all.steps.put(at[looks], who, mine.epoch[who], mine.place_with[who], UDP, mine.place_ticket[who])
        chosen = self._pick(rows, at)
        handles = np.where(chosen >= 0, self.caches.handle[rows[:, None], chosen], NOBODY).astype(np.uint16)
        mine.entries[rows] = handles
        for i in range(ladder.entries):
            there = handles[:, i] != NOBODY
            who = rows[there]
            when = begin[there] + i * ladder.stagger
            self.all.steps.put(when, who, mine.epoch[who], handles[there, i], UDP, NO_TICKET)
        any_there = (handles != NOBODY).any(1) | due | looks
        mine.round_ends[rows] = np.where(any_there, begin + ladder.round, at)
        mine.wake(rows, np.minimum(mine.round_ends[rows], mine.place_at[rows]))
        if self._tcp:
            self.all.rungs.put(begin + self._tcp[0][0], rows, mine.epoch[rows], begin)

    def _pick(self, rows: Ints, at: Floats) -> Ints:
        """Whom to try in this round: spares, then the best of the cache, none twice before all had their turn."""
        caches, mine, most = self.caches, self.rows, self.all.timings.ladder.entries
        but = caches.refused(rows, at, turned=True)
        line = np.arange(len(rows))
        self._but(but, rows, mine.place_with[rows])
        spares = np.full((len(rows), mine.spare.shape[1]), -1, np.int64)
        for i in range(spares.shape[1]):
            place = caches.place(rows, mine.spare[rows, i])
            good = (mine.spare[rows, i] != NOBODY) & (place >= 0)
            good &= ~but[line, np.maximum(place, 0)]
            spares[good, i] = place[good]
            but[line[good], place[good]] = True
        chosen = _first(np.hstack([spares, caches.best(rows, most, at, but)]), most)
        short = (chosen < 0).any(1)
        if short.any():
            again = rows[short]
            caches.flags[again] &= ~np.uint8(TURNED)
            but = caches.refused(again, at[short], turned=False)
            self._but(but, again, mine.place_with[again])
            for i in range(most):
                held = chosen[short, i]
                but[np.flatnonzero(held >= 0), held[held >= 0]] = True
            more = caches.best(again, most, at[short], but)
            chosen[short] = _first(np.hstack([chosen[short], more]), most)
        who, column = np.nonzero(chosen >= 0)
        caches.flags[rows[who], chosen[who, column]] |= TURNED
        return chosen

    def _but(self, but: Bools, rows: Ints, supernodes: Any) -> None:
        place = self.caches.place(rows, supernodes)
        kept = (supernodes != NOBODY) & (place >= 0)
        but[np.flatnonzero(kept), place[kept]] = True

    def rung(self, at: Floats, rows: Any, epoch: Any, begin: Any) -> None:
        """The rungs above UDP, where nobody has answered by it."""
        mine = self.rows
        here = (mine.epoch[rows] == epoch) & (mine.state[rows] == CLIMBING)
        if self.all.timings.patient:
            here &= ~mine.heard[rows]
        rows, begin = rows[here], begin[here]
        for later, way in self._tcp:
            for i in range(self.all.timings.ladder.entries):
                handle = mine.entries[rows, i]
                there = handle != NOBODY
                when = begin[there] + later + i * self.all.timings.ladder.stagger
                self.all.steps.put(when, rows[there], mine.epoch[rows[there]], handle[there], way, NO_TICKET)

    def step(self, at: Floats, rows: Any, epoch: Any, supernode: Any, way: Any, ticket: Any) -> None:
        """Take steps of the ladder."""
        mine, caches = self.rows, self.caches
        here = (mine.epoch[rows] == epoch) & (mine.state[rows] == CLIMBING)
        at, rows, supernode, way, ticket = (one[here] for one in (at, rows, supernode, way, ticket))
        if not len(rows):
            return
        place = caches.place(rows, supernode)
        waits = (place >= 0) & (caches.later[rows, np.maximum(place, 0)] > at) & (ticket < 0)
        if self.all.timings.patient:
            waits |= (way != UDP) & mine.heard[rows]
        asks = (way == UDP) | self.all.timings.patient
        waits |= asks & (mine.comes_to[rows] == supernode)
        held = ~waits & (mine.held_until[rows] > at)
        if held.any():
            who = rows[held]
            self.all.steps.put(mine.held_until[who], who, mine.epoch[who], supernode[held], way[held], ticket[held])
        free = ~waits & ~held
        known = free & (place >= 0)
        caches.flags[rows[known], place[known]] |= ASKED
        proof = known & (ticket < 0) & ((caches.flags[rows, np.maximum(place, 0)] & PROOF) > 0)
        ticket = np.where(proof, 0, ticket)
        probes = free & asks
        if probes.any():
            self._probes.probe(at[probes], rows[probes], supernode[probes], way[probes], ticket[probes])
        connects = free & ~asks
        if connects.any():
            self._handshakes.connect(at[connects], rows[connects], supernode[connects], way[connects])

    def over(self, rows: Ints, at: Floats) -> None:
        """The time of a round is over, and nobody has taken them; or that of an appointment has come in its middle."""
        mine, flags = self.rows, self.caches.flags
        busy = (mine.attempts[rows] > 0) & (at < mine.round_ends[rows])
        if busy.any():
            mine.wake(rows[busy], mine.round_ends[rows[busy]])
            rows, at = rows[~busy], at[~busy]
        held = flags[rows]
        flags[rows] = np.where(held & ASKED, (held | SILENT) & ~np.uint8(ASKED), held)
        mine.round[rows] = np.minimum(250, mine.round[rows] + 1)
        over = (mine.round[rows] >= self.all.timings.rounds) if self.all.timings.rounds else np.zeros(len(rows), bool)
        who = rows[over]
        mine.state[who], mine.wake_at[who] = FAILED, np.inf
        mine.epoch[who] += 1
        self.failures += len(who)
        self.all.pause(rows[~over], at[~over])


def _first(candidates: Ints, most: int) -> Ints:
    """The first ``most`` of each line that are not -1."""
    order = np.argsort(candidates < 0, axis=1, kind="stable")[:, :most]
    return np.take_along_axis(candidates, order, 1)
