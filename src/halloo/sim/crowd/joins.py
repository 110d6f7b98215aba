"""How a crowd finds its supernodes: the twin of ``overlay.join``, for all rows that look for one at once.

    row                           supernode (``desks``)
      | --- probe ----------------> |  a step of the ladder
      | <-- come, or when --------- |
      | --- hello, at its desk ---> |
      | --- attach ---------------> |
      | <-- attached, or when ----- |

Each step of the real machine has its like here, and none is left out that an honest node takes: the staggered ladder,
spares first, nobody twice before all had their turn, offers and appointments with their tickets, places given back, the
back-off with its jitter, who was silent.  Lots of rows take it together; where one row is met twice in a lot, one after
the other.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from halloo.link.onelink import HELLO_AGAIN, HELLO_FOR, HELLO_GROWTH, HELLO_MOST
from halloo.overlay.join import (
    ALONE,
    GATHER,
    HOLD,
    LONGEST_DOUBLING,
    LOOK_AGAIN,
    NO_ANSWER,
    REFERRED,
    SOONEST,
)
from halloo.overlay.ladder import JoinTimings, Way
from halloo.overlay.promises import WORTH
from halloo.sim.crowd.caches import ASKED, PROOF, SILENT, TURNED, Caches
from halloo.sim.crowd.desks import ACCEPTED, NO_TICKET, REFUSED, Desks
from halloo.sim.crowd.ground import NOBODY, Bools, Floats, Ground, Ints
from halloo.sim.crowd.ledger import Ledger
from halloo.sim.crowd.pool import Pool
from halloo.sim.crowd.rows import ATTACHED, CLIMBING, FAILED, IDLE, PAUSING, Rows, waves

__all__ = ["Joins", "pause_until"]

REFERRED_AT_ONCE = 2_000  # rows whose referrals are looked up at once: 16 MB
UDP, TCP = Way.UDP.value, Way.TCP.value
_I, _S, _B, _F, _L = np.int32, np.uint16, np.int16, np.float64, np.int64

Known = Callable[[Any, int], Any]
"""Supernodes and how many: addresses that each tells of, a line for each (NOBODY: no more)."""


class Joins:
    """Everybody's way into the network.  ``lost`` and ``joined`` hear of rows and times."""

    def __init__(
        self, rows: Rows, caches: Caches, desks: Desks, ground: Ground, ledger: Ledger, timings: JoinTimings,
        loss: float, chance: np.random.Generator, known: Known,
    ) -> None:
        self.rows, self.caches, self.desks, self.ground, self.ledger = rows, caches, desks, ground, ledger
        self._loss, self._chance, self._known = loss, chance, known
        self.pace(timings)
        self._hosts = [int(host).to_bytes(4, "big") for host in ground.user_hosts]
        self.steps = Pool(_I, _I, _S, _B, _L)
        self.rungs = Pool(_I, _I, _F)
        self.probes = Pool(_I, _I, _S, _L, _F)
        self.answers = Pool(_I, _I, _S, _B, _I, _L, np.bool_, _F)
        self.hellos = Pool(_I, _I, _S, _B, _F, _B, np.bool_, _L, _F)
        self.hello_answers = Pool(_I, _I, _S, _B, _L, _F)
        self.attaches = Pool(_I, _I, _S, _B, _L, _F)
        self.attached = Pool(_I, _I, _S, _B, _B, _I, _L, _I, _F)
        self.downs = Pool(_I, _I, _S, _B)
        self.chooses = Pool(_I, _I)
        self.backs = Pool(_I, _S, _L)
        self.frees = Pool(_I, _S, _I, np.bool_)
        self._deeds: tuple[tuple[Pool, Callable[..., None]], ...] = (
            (self.downs, self._down),
            (self.backs, self._given_back),
            (self.frees, self._freed),
            (self.rungs, self._rung),
            (self.steps, self._step),
            (self.probes, self._probed),
            (self.answers, self._answered),
            (self.chooses, self._choose),
            (self.hellos, self._greeted),
            (self.hello_answers, self._up),
            (self.attaches, self._attach),
            (self.attached, self._taken),
        )
        self.joined: Callable[[Ints, Floats], None] = lambda *_: None
        self.joins = self.failures = 0
        self.attempts: Ints = np.zeros(len(desks), np.int64)

    # --- intents

    def pace(self, timings: JoinTimings) -> None:
        """From now on all join so."""
        self.timings = timings
        self._tcp = [(at, way.value) for at, way in timings.ladder.rungs if way not in (Way.UDP, Way.PROXY)]

    def begin(self, rows: Ints, at: Floats) -> None:
        """Look for a supernode."""
        mine = self.rows
        mine.began[rows], mine.round[rows], mine.heard[rows] = at, 0, False
        self.caches.begin(rows)
        self._forget(rows)
        self._climb(rows, at)

    def end(self, rows: Ints) -> None:
        """Look for none any more."""
        mine = self.rows
        mine.state[rows], mine.wake_at[rows], mine.supernode[rows] = IDLE, np.inf, NOBODY
        mine.epoch[rows] += 1
        self._forget(rows)

    def _forget(self, rows: Ints) -> None:
        mine = self.rows
        mine.place_with[rows], mine.place_at[rows] = NOBODY, np.inf
        mine.offer_with[rows], mine.choose_at[rows] = NOBODY, np.inf

    @property
    def next_at(self) -> float:
        """When something is due."""
        return min(pool.next_at for pool, _ in self._deeds)

    def due(self, until: float) -> bool:
        """Let what is due before a time happen; whether anything was."""
        did = False
        for pool, deed in self._deeds:
            taken = pool.take(until)
            if taken is not None:
                did = True
                deed(*taken)
        return did

    def timers(self, rows: Ints, at: Floats) -> None:
        """The round, or the pause, of these is over."""
        mine = self.rows
        climbing = mine.state[rows] == CLIMBING
        pausing = mine.state[rows] == PAUSING
        if pausing.any():
            self._climb(rows[pausing], at[pausing])
        if climbing.any():
            self._round_over(rows[climbing], at[climbing])

    # --- a round

    def _climb(self, rows: Ints, at: Floats) -> None:
        mine, ladder = self.rows, self.timings.ladder
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
                self.steps.put(when + later, who, mine.epoch[who], mine.place_with[who], UDP, mine.place_ticket[who])
            mine.place_with[who], mine.place_at[who] = NOBODY, np.inf
        chosen = self._pick(rows, at)
        handles = np.where(chosen >= 0, self.caches.handle[rows[:, None], chosen], NOBODY).astype(np.uint16)
        mine.entries[rows] = handles
        for i in range(ladder.entries):
            there = handles[:, i] != NOBODY
            who = rows[there]
            self.steps.put(begin[there] + i * ladder.stagger, who, mine.epoch[who], handles[there, i], UDP, NO_TICKET)
        any_there = (handles != NOBODY).any(1) | due
        mine.wake_at[rows] = np.where(any_there, begin + ladder.round, at)
        if self._tcp:
            self.rungs.put(begin + self._tcp[0][0], rows, mine.epoch[rows], begin)

    def _pick(self, rows: Ints, at: Floats) -> Ints:
        """Whom to try in this round: spares, then the best of the cache, none twice before all had their turn."""
        caches, mine, most = self.caches, self.rows, self.timings.ladder.entries
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

    def _rung(self, at: Floats, rows: Any, epoch: Any, begin: Any) -> None:
        """The rungs above UDP, where nobody has answered by it."""
        mine = self.rows
        here = (mine.epoch[rows] == epoch) & (mine.state[rows] == CLIMBING)
        if self.timings.patient:
            here &= ~mine.heard[rows]
        rows, begin = rows[here], begin[here]
        for later, way in self._tcp:
            for i in range(self.timings.ladder.entries):
                handle = mine.entries[rows, i]
                there = handle != NOBODY
                when = begin[there] + later + i * self.timings.ladder.stagger
                self.steps.put(when, rows[there], mine.epoch[rows[there]], handle[there], way, NO_TICKET)

    def _step(self, at: Floats, rows: Any, epoch: Any, supernode: Any, way: Any, ticket: Any) -> None:
        mine, caches = self.rows, self.caches
        here = (mine.epoch[rows] == epoch) & (mine.state[rows] == CLIMBING)
        at, rows, supernode, way, ticket = (one[here] for one in (at, rows, supernode, way, ticket))
        if not len(rows):
            return
        place = caches.place(rows, supernode)
        waits = (place >= 0) & (caches.later[rows, np.maximum(place, 0)] > at) & (ticket < 0)
        if self.timings.patient:
            waits |= (way != UDP) & mine.heard[rows]
        waits |= (way == UDP) & (mine.comes_to[rows] == supernode)
        held = ~waits & (mine.held_until[rows] > at)
        if held.any():
            who = rows[held]
            self.steps.put(mine.held_until[who], who, mine.epoch[who], supernode[held], way[held], ticket[held])
        free = ~waits & ~held
        known = free & (place >= 0)
        caches.flags[rows[known], place[known]] |= ASKED
        proof = known & (ticket < 0) & ((caches.flags[rows, np.maximum(place, 0)] & PROOF) > 0)
        ticket = np.where(proof, 0, ticket)
        probes = free & (way == UDP)
        if probes.any():
            self._probe(at[probes], rows[probes], supernode[probes], ticket[probes])
        connects = free & (way != UDP)
        if connects.any():
            self._connect(at[connects], rows[connects], supernode[connects], way[connects])

    def _probe(self, at: Floats, rows: Any, supernode: Any, ticket: Any) -> None:
        mine, ground = self.rows, self.ground
        self.ledger.user("Probe", rows)
        travel = ground.travel(rows, supernode)
        passes = ground.by_udp[rows] & ~self._lost(len(rows)) & ground.passes(rows, supernode)
        passes &= self.desks.alive[supernode]
        slowly = np.where(mine.knows[rows], 1, 3)
        mine.knows[rows[passes]] = True
        at, rows, supernode, ticket = at[passes], rows[passes], supernode[passes], ticket[passes]
        self.probes.put(at + (slowly * travel)[passes], rows, mine.epoch[rows], supernode, ticket, at)

    def _probed(self, at: Floats, rows: Any, epoch: Any, supernode: Any, ticket: Any, sent: Any) -> None:
        """Supernodes hear probes."""
        desks, hosts = self.desks, self._hosts
        alive = desks.alive[supernode]
        if not alive.all():
            at, rows, epoch, supernode, ticket, sent = (
                one[alive] for one in (at, rows, epoch, supernode, ticket, sent)
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
        back = ~self._lost(len(rows))
        has_place = ticket != NO_TICKET
        arrives = at + self.ground.travel(rows, supernode)
        columns = (rows, epoch, supernode, verdict, wait, place, has_place, sent)
        self.answers.put(arrives[back], *(column[back] for column in columns))

    # --- what is answered

    def _answered(
        self, at: Floats, rows: Any, epoch: Any, supernode: Any, verdict: Any, wait: Any, ticket: Any, placed: Any,
        sent: Any,
    ) -> None:
        columns = (at, rows, epoch, supernode, verdict, wait, ticket, placed, sent)
        for lot in waves(rows):
            self._answered_once(*(column[lot] for column in columns))

    def _answered_once(
        self, at: Floats, rows: Any, epoch: Any, supernode: Any, verdict: Any, wait: Any, ticket: Any, placed: Any,
        sent: Any,
    ) -> None:
        mine, caches = self.rows, self.caches
        here = (mine.epoch[rows] == epoch) & (mine.state[rows] == CLIMBING)
        at, rows, supernode, verdict, wait, ticket, placed, sent = (
            one[here] for one in (at, rows, supernode, verdict, wait, ticket, placed, sent)
        )
        if not len(rows):
            return
        place = caches.place(rows, supernode)
        known = place >= 0
        caches.flags[rows[known], place[known]] &= ~np.uint8(SILENT | ASKED)
        mine.heard[rows] = True
        refused = verdict != ACCEPTED
        accepted = ~refused & (mine.comes_to[rows] != supernode)
        if accepted.any():
            held = mine.held_until[rows] > at
            later, now = accepted & held, accepted & ~held
            who = rows[later]
            self.steps.put(mine.held_until[who], who, mine.epoch[who], supernode[later], UDP, NO_TICKET)
            who, when, number = rows[now], at[now], supernode[now]
            mine.attempts[who] += 1
            mine.comes_to[who] = number
            mine.held_until[who] = when + HOLD * 2.0 ** np.clip(mine.attempts[who] - 1, 0, 3)
            self._greet(when, who, number, UDP, ticket[now], when - sent[now])
        if refused.any():
            no = refused
            most = np.where(verdict[no] == REFUSED, 20, 2)
            self._refused(
                at[no], rows[no], supernode[no], np.full(int(no.sum()), UDP), wait[no], ticket[no], placed[no], most
            )

    def _refused(
        self, at: Floats, rows: Any, supernode: Any, way: Any, wait: Any, ticket: Any, placed: Any, told: Any
    ) -> None:
        """Supernodes that cannot take them now.  ``placed``: and have kept a place, as far as they keep any."""
        mine, caches = self.rows, self.caches
        others = self._known(supernode, int(told.max()))
        others[np.arange(others.shape[1]) >= told[:, None]] = NOBODY
        caches.add(rows, others)
        if not self.timings.patient:
            return
        soonest = np.minimum(self.timings.pause, SOONEST * 2.0 ** np.minimum(mine.round[rows], LONGEST_DOUBLING))
        again = at + np.maximum(soonest, wait + self._chance.random(len(rows)) / 4)
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
        when = at[lot][line] + self.timings.ladder.stagger * turn[line, column]
        self.steps.put(when, chosen, mine.epoch[chosen], told[line, column], way[lot][line], NO_TICKET)

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
        self.chooses.put(at[sooner] + GATHER, rows[sooner], mine.epoch[rows[sooner]])

    def _keep(self, at: Floats, rows: Any, supernode: Any, again: Floats, ticket: Any) -> None:
        """A place is kept: the soonest is the appointment, and the other, if there is one, is given back."""
        mine = self.rows
        before = mine.place_with[rows] != NOBODY
        worse = before & (mine.place_at[rows] <= again)
        better = before & ~worse
        self._give_back(at[worse], rows[worse], supernode[worse], ticket[worse])
        who = rows[better]
        self._give_back(at[better], who, mine.place_with[who], mine.place_ticket[who])
        who = rows[~worse]
        mine.place_with[who], mine.place_at[who], mine.place_ticket[who] = (
            supernode[~worse], again[~worse], ticket[~worse],
        )
        idle = mine.attempts[rows] == 0
        self._pause(rows[idle], at[idle])

    def _give_back(self, at: Floats, rows: Any, supernode: Any, ticket: Any) -> None:
        if len(rows):
            self.ledger.user("Probe", rows)
            self.backs.put(at + self.ground.travel(rows, supernode), rows, supernode, ticket)

    def _given_back(self, at: Floats, rows: Any, supernode: Any, ticket: Any) -> None:
        for row, number, held, when in zip(
            rows.tolist(), supernode.tolist(), ticket.tolist(), at.tolist(), strict=True
        ):
            if self.desks.alive[number]:
                self.desks.given_back(number, self._hosts[row], held, when)

    def _choose(self, at: Floats, rows: Any, epoch: Any) -> None:
        """All who were asked have had time to say how long one would wait: ask for a place where it is shortest."""
        mine, caches = self.rows, self.caches
        here = (mine.epoch[rows] == epoch) & (mine.state[rows] == CLIMBING) & (mine.choose_at[rows] == at)
        here &= (mine.attempts[rows] == 0) & (mine.offer_with[rows] != NOBODY).any(1)
        at, rows = at[here], rows[here]
        if not len(rows):
            return
        offers = np.where(mine.offer_with[rows] != NOBODY, mine.offer_at[rows], np.inf)
        offers = np.where(offers == offers.min(1)[:, None], self._chance.random(offers.shape), np.inf)
        column = offers.argmin(1)
        soonest = mine.offer_at[rows, column]
        useless = (mine.place_with[rows] != NOBODY) & (soonest > mine.place_at[rows] - WORTH)
        self._pause(rows[useless], at[useless])
        rows, column, at = rows[~useless], column[~useless], at[~useless]
        supernode = mine.offer_with[rows, column]
        mine.offer_with[rows, column] = NOBODY
        mine.choose_at[rows] = at + NO_ANSWER
        self.chooses.put(at + NO_ANSWER, rows, mine.epoch[rows])
        place = caches.place(rows, supernode)
        known = place >= 0
        caches.flags[rows[known], place[known]] |= ASKED
        self._probe(at, rows, supernode, np.zeros(len(rows), np.int64))

    # --- handshakes

    def _greet(self, at: Floats, rows: Any, supernode: Any, way: int, ticket: Any, trip: Any) -> None:
        """Begin a handshake over UDP."""
        self.ledger.user("Hello", rows)
        when = at + self.ground.travel(rows, supernode) + self._late(len(rows))
        self.hellos.put(when, rows, self.rows.epoch[rows], supernode, way, at, 0, False, ticket, trip)

    def _connect(self, at: Floats, rows: Any, supernode: Any, way: Any) -> None:
        """Begin one over a connection."""
        mine = self.rows
        self.ledger.user("Hello", rows)
        for lot in waves(rows):
            mine.attempts[rows[lot]] += 1
        travel = self.ground.travel(rows, supernode)
        there = self.desks.alive[supernode] & self.ground.passes(rows, supernode)
        self.hellos.put(
            (at + 3 * travel)[there], rows[there], mine.epoch[rows[there]], supernode[there], way[there], at[there],
            0, False, NO_TICKET, 0.0,
        )
        gone = ~there
        self.downs.put((at + 2 * travel)[gone], rows[gone], mine.epoch[rows[gone]], supernode[gone], way[gone])

    def _greeted(
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
        when = at + waits + travel + self._late(len(rows))
        columns = (rows, epoch, supernode, way, ticket, trip)
        heard = served & (when < began + HELLO_FOR)
        self.hello_answers.put(when[heard], *(column[heard] for column in columns))
        again_at = at + np.minimum(HELLO_AGAIN * HELLO_GROWTH**tries, HELLO_MOST)
        unheard = ~served
        more = unheard & (way == UDP) & (again_at < began + HELLO_FOR)
        more &= (self.rows.epoch[rows] == epoch) & (self.rows.state[rows] == CLIMBING)
        self.ledger.user("Hello", rows[more])
        said_again = (rows, epoch, supernode, way, began, tries + 1, knocked | alive, ticket, trip)
        self.hellos.put(again_at[more], *(column[more] for column in said_again))
        over = ~heard & ~more  # worked on in vain, or not heard at all
        self.downs.put(began[over] + HELLO_FOR, rows[over], epoch[over], supernode[over], way[over])

    def _up(self, at: Floats, rows: Any, epoch: Any, supernode: Any, way: Any, ticket: Any, trip: Any) -> None:
        here = (self.rows.epoch[rows] == epoch) & (self.rows.state[rows] == CLIMBING)
        at, rows, epoch, supernode, way, ticket, trip = (
            one[here] for one in (at, rows, epoch, supernode, way, ticket, trip)
        )
        for name in ("Finish", "Attach"):
            self.ledger.user(name, rows)
        when = at + self.ground.travel(rows, supernode) + self._late(len(rows))
        self.attaches.put(when, rows, epoch, supernode, way, ticket, trip)

    def _down(self, at: Floats, rows: Any, epoch: Any, supernode: Any, way: Any) -> None:
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

    def _attach(self, at: Floats, rows: Any, epoch: Any, supernode: Any, way: Any, ticket: Any, trip: Any) -> None:
        """Supernodes hear who wants to attach."""
        desks, mine, hosts = self.desks, self.rows, self._hosts
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
        when = at + self.ground.travel(rows, supernode) + self._late(len(rows))
        self.attached.put(when, rows, epoch, supernode, way, verdict, wait, place, desks.life[supernode], trip)

    def _taken(
        self, at: Floats, rows: Any, epoch: Any, supernode: Any, way: Any, verdict: Any, wait: Any, ticket: Any,
        life: Any, trip: Any,
    ) -> None:
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
        self.frees.put(unlinked[stray], rows[stray], supernode[stray], life[stray], False)
        refused = here & ~taken
        if refused.any():
            who = rows[refused]
            mine.attempts[who] -= mine.attempts[who] > 0
            mine.held_until[who], mine.comes_to[who] = 0.0, NOBODY
            self._refused(
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
        mine.ping_at[rows] = at + self.timings.ping * (0.5 + self._chance.random(len(rows)) / 2)
        mine.wake_at[rows] = np.inf
        kept = mine.place_with[rows] != NOBODY
        who = rows[kept]
        self._give_back(at[kept], who, mine.place_with[who], mine.place_ticket[who])
        place = caches.place(rows, supernode)
        known = place >= 0
        who = rows[known]
        caches.flags[who, place[known]] &= ~np.uint8(SILENT)
        caches.succeeded(who, place[known], at[known], trip[known])
        self._blame(rows, at)
        caches.begin(rows)
        self._forget(rows)
        caches.add(rows, self._known(supernode, 40))
        self.joins += len(rows)
        self.joined(rows, at)

    def _blame(self, rows: Ints, at: Floats) -> None:
        """Who was silent though somebody else answered, has failed."""
        line, place = np.nonzero(self.caches.flags[rows] & SILENT)
        self.caches.failed(rows[line], place, at[line])

    def haunt(self, rows: Ints, supernode: Any, life: Any, until: Floats, now: float) -> None:
        """Supernodes take these for attached until then, though they are not; who comes back finds his place."""
        mine = self.rows
        before = rows[mine.ghost[rows] != NOBODY]
        self.frees.put(np.full(len(before), now), before, mine.ghost[before], mine.ghost_life[before], False)
        mine.ghost[rows], mine.ghost_life[rows] = supernode, life
        self.frees.put(until, rows, supernode, life, True)

    def _freed(self, at: Floats, rows: Any, supernode: Any, life: Any, ghost: Any) -> None:
        """Supernodes learn that somebody is not attached any more."""
        mine = self.rows
        haunts = (mine.ghost[rows] == supernode) & (mine.ghost_life[rows] == life)
        desks = self.desks
        still = desks.alive[supernode] & (desks.life[supernode] == life) & (haunts | ~ghost)
        np.subtract.at(self.desks.clients, supernode[still], 1)
        mine.ghost[rows[haunts & ghost]] = NOBODY

    # --- the end of a round

    def _round_over(self, rows: Ints, at: Floats) -> None:
        mine, flags = self.rows, self.caches.flags
        held = flags[rows]
        flags[rows] = np.where(held & ASKED, (held | SILENT) & ~np.uint8(ASKED), held)
        mine.round[rows] = np.minimum(250, mine.round[rows] + 1)
        over = (mine.round[rows] >= self.timings.rounds) if self.timings.rounds else np.zeros(len(rows), bool)
        who = rows[over]
        mine.state[who], mine.wake_at[who] = FAILED, np.inf
        mine.epoch[who] += 1
        self.failures += len(who)
        self._pause(rows[~over], at[~over])

    def _pause(self, rows: Ints, at: Floats) -> None:
        """Wait: for the appointment, for the first of those who all said later, or as the back-off says."""
        if not len(rows):
            return
        mine = self.rows
        mine.state[rows] = PAUSING
        mine.epoch[rows] += 1
        mine.offer_with[rows], mine.choose_at[rows], mine.attempts[rows] = NOBODY, np.inf, 0
        self.caches.flags[rows] &= ~np.uint8(ASKED)
        first = self.caches.first_of(rows, at) if self.timings.patient else np.zeros(len(rows))
        mine.wake_at[rows] = pause_until(
            self.timings, at, mine.round[rows], mine.place_at[rows], first, self._chance.random(len(rows))
        )

    # --- wires

    def _lost(self, count: int) -> Bools:
        return self._chance.random(count) < self._loss if self._loss else np.zeros(count, bool)

    def _late(self, count: int) -> Floats:
        """By how much later what is said again after a loss arrives."""
        return np.where(self._lost(count), HELLO_AGAIN, 0.0)


def pause_until(
    timings: JoinTimings, now: Floats, rounds: Any, place_at: Floats, first: Floats, chance: Floats
) -> Floats:
    """When the pause of each row ends: the twin of ``Join._pause``.

    ``place_at``: when a place is kept (inf: none is); ``first``: when the first of those who all said later may be
    asked (0: some may now); ``chance``: even, from 0 to 1.
    """
    if timings.jitter:
        until = now + chance * np.minimum(timings.pause, 2.0 ** np.minimum(rounds, LONGEST_DOUBLING))
    else:
        until = now + timings.pause
    if timings.patient:
        until = np.where(first > 0, first, until)
    half = now + np.maximum(LOOK_AGAIN, (place_at - now) / 2)
    out: Floats = np.where(np.isfinite(place_at), np.minimum(place_at, half), until)
    return out


def _first(candidates: Ints, most: int) -> Ints:
    """The first ``most`` of each line that are not -1."""
    order = np.argsort(candidates < 0, axis=1, kind="stable")[:, :most]
    return np.take_along_axis(candidates, order, 1)
