"""A world of a crowd: its clock, its rows, its supernodes, and what one means for the other.

    every sixteenth of a second     whose round is over, whose probe arrives, who attaches, who notices a loss
    every second                    spares, records to publish again, blocks, what is counted

A row that does nothing costs nothing but its memory.  Chance comes from one seed, and deeds are done in one order.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain
from random import Random
from typing import Any

import numpy as np

from halloo.link.onelink import IDLE_FOR
from halloo.link.reliable import FIRST_WAIT, LEAST_WAIT, MOST_WAIT, Reliable
from halloo.messages.block import ALIVE_AT_ONCE
from halloo.overlay.admission import Pace
from halloo.overlay.atlas import ATLAS_EVERY
from halloo.overlay.block import LOOK_FOR
from halloo.overlay.comparing import AT_ONCE, COMPARE_EVERY, COMPARE_SOON
from halloo.overlay.doubt import DOUBT_FOR, REVIVE_EVERY
from halloo.overlay.gossip import BEAT_EVERY
from halloo.overlay.keeper import KEPT_WITHIN
from halloo.overlay.ladder import JoinTimings
from halloo.overlay.publish import AGAIN, UNKEPT
from halloo.overlay.pulses import GATHER_FOR
from halloo.overlay.roster import Registrar
from halloo.overlay.search import ATLAS_AFTER
from halloo.overlay.slots import key_of
from halloo.sim.calendar import Calendar
from halloo.sim.crowd.blocks import Blocks
from halloo.sim.crowd.caches import Caches
from halloo.sim.crowd.desks import Desks
from halloo.sim.crowd.ground import NOBODY, Floats, Ground, Ints
from halloo.sim.crowd.joins import Joins
from halloo.sim.crowd.ledger import Ledger
from halloo.sim.crowd.pool import Pool
from halloo.sim.crowd.records import Records
from halloo.sim.crowd.rows import ATTACHED, Rows
from halloo.sim.crowd.scouts import Scouts
from halloo.sim.crowd.sizes import Sizes
from halloo.sim.mindtown import FIRST_ADDRESSES, MindTown
from halloo.sim.world import WALL

__all__ = ["Crowd", "noticed_after"]

TICK = 1 / 16  # seconds: below most round trips, and a sum without rounding
SECOND = 16  # ticks
KNOWN = 20  # supernodes that each node knows from an earlier run, besides those of the description
SEEN_GONE = BEAT_EVERY / 2 + Reliable().give_up + DOUBT_FOR  # seconds until a block takes one for gone who is
SEATED = LOOK_FOR + 1.0  # seconds from its begin until a supernode has found its block
TOGETHER = REVIVE_EVERY + DOUBT_FOR + 3 * COMPARE_SOON  # seconds until a block that was torn knows the same again
SYNCED = 2 * COMPARE_SOON  # seconds from then on until it has the records that it holds


class Crowd:
    """``users`` rows, and ``supernodes`` supernodes of ``places`` each.  Rows and supernodes are known by number."""

    def __init__(
        self, seed: int, users: int, supernodes: int, *, timings: JoinTimings, pace: Pace, places: int, loss: float,
        boxes: bool,
    ) -> None:
        self.now = 0.0
        self.chance = chance = np.random.Generator(np.random.PCG64([seed, 3]))
        self.calendar = Calendar()
        self.timings = timings
        self.sizes = Sizes(supernodes)
        self.town = MindTown(seed, 0)
        digest = self.town.suite.digest
        self.ground = Ground(seed, users, supernodes, chance, boxes=boxes)
        self.ledger = Ledger(users, supernodes, self.sizes)
        self.rows = Rows(users, timings.ladder.entries)
        self.caches = Caches(users, min(FIRST_ADDRESSES, supernodes), chance)
        self.desks = Desks(seed, supernodes, digest, pace, places)
        registrar = Registrar(self.town.notary, digest, (), b"", b"", b"", "", self.town.suite.identity.sign)
        self.blocks = Blocks(registrar, Random(f"{seed}/blocks"), self._holds_more)
        keys = np.fromiter((key_of(digest, f"user{i}") for i in range(users)), np.uint64, users)  # folded names
        self.keys = keys
        self.records = Records(keys, self.blocks, self.desks, self.ground, self.ledger, chance)
        shared = self.rows, self.caches, self.desks, self.ground, self.ledger
        self.joins = Joins(*shared, timings, loss, chance, self.known)
        self.joins.handshakes.joined = self._joined
        self.scouts = Scouts(*shared, chance, self.known)
        self._stored = Pool(np.int32, np.int32, np.int32)
        self._alive_at = 0.0
        self._tick = 0
        self._stops: list[int] = []
        self._starts: list[int] = []
        self._fallen: list[int] = []
        self._members = self._begins = self._sizes = np.empty(0, np.int64)
        """The members of all blocks, one block after the other; where each begins, and how many it has."""
        self.losses = 0
        self.news: list[tuple[Ints, Floats]] = []
        """Rows that have come on line, and when, for who keeps a list."""
        self.keeps_news = False

    def pace(self, timings: JoinTimings) -> None:
        """From now on all join so, and show signs of life."""
        mine, before = self.rows, self.timings.ping
        self.timings = timings
        self.joins.pace(timings)
        mine.ping_at -= timings.ping * np.ceil(before / timings.ping)  # whoever has said none yet says one in time

    # --- time

    def plan(self, after: float, deed: Callable[..., None], *values: Any) -> None:
        """Do ``deed(*values)`` in ``after`` seconds."""
        self.calendar.put(self.now + after, deed, *values)

    def every(self, interval: float, what: Callable[[], bool]) -> None:
        """Do ``what`` each ``interval`` seconds as long as it says True."""
        self.plan(interval, self._again, interval, what)

    def _again(self, interval: float, what: Callable[[], bool]) -> None:
        if what():
            self.plan(interval, self._again, interval, what)

    def run(self, until: float) -> None:
        """Live on until then."""
        while self.now < until:
            # Ticks in which nothing happens are passed over, up to the next second.
            soonest = min(self.calendar.next_at, self.joins.next_at, self._stored.next_at, until)
            if not (self._stops or self._starts or self._fallen):
                second = (self._tick // SECOND + 1) * SECOND * TICK - TICK
                soonest = min(soonest, self.rows.alarms.next_at, second)
                self._tick = max(self._tick, int(soonest / TICK))
            self._live(min(until, (self._tick + 1) * TICK))

    def _live(self, until: float) -> None:
        calendar = self.calendar
        while calendar.next_at <= until:
            at, _, deed, values = calendar.take()
            self.now = max(self.now, at)
            deed(*values)
        self.apply()
        for _ in range(8):  # what follows within a tick: ways shorter than it
            rows = self.rows.woken(until)
            if len(rows):
                self._wake(rows)
            did = self.joins.due(until) or bool(len(rows))
            taken = self._stored.take(until)
            if taken is not None:
                self._kept(*taken)
                did = True
            if not did:
                break
        self.now = until
        if until >= (self._tick + 1) * TICK:
            self._tick += 1
            if self._tick % SECOND == 0:
                self._each_second()

    def _wake(self, rows: Ints) -> None:
        mine = self.rows
        at = mine.wake_at[rows].copy()
        lost = mine.state[rows] == ATTACHED
        if lost.any():
            self._lost(rows[lost], at[lost])
        if not lost.all():
            self.joins.timers(rows[~lost], at[~lost])

    # --- programs begin and end

    def start(self, row: int) -> None:
        """A user's program is started, with this tick."""
        self._starts.append(row)

    def stop(self, row: int) -> None:
        """It ends without a word, with this tick."""
        self._stops.append(row)

    def apply(self) -> None:
        """Let what was asked for in this tick be so."""
        if self._fallen:
            self._supernodes_died()
        if self._stops:
            rows = np.unique(np.array(self._stops))
            self._stops.clear()
            self.end(rows[self.rows.runs[rows]], goodbye=False)
        if self._starts:
            rows = np.unique(np.array(self._starts))
            self._starts.clear()
            self.begin(rows[~self.rows.runs[rows]])

    def begin(self, rows: Ints) -> None:
        """Programs of users begin now."""
        mine = self.rows
        mine.runs[rows], mine.knows[rows] = True, False
        mine.starts[rows] += 1
        mine.spare[rows], mine.spare_trip[rows] = NOBODY, np.inf
        self.caches.restarted(rows)
        self.joins.begin(rows, np.full(len(rows), self.now))

    def settle_users(self, rows: Ints) -> None:
        """These have been on line for long, each with one supernode, evenly spread over all."""
        mine, desks = self.rows, self.desks
        number = self.chance.permutation(len(rows)) % len(desks)
        mine.runs[rows], mine.knows[rows] = True, True
        mine.starts[rows] += 1
        mine.epoch[rows] += 1
        mine.state[rows], mine.supernode[rows], mine.life[rows] = ATTACHED, number, desks.life[number]
        mine.attached_at[rows] = self.now
        mine.ping_at[rows] = self.now + self.timings.ping * self.chance.random(len(rows))
        desks.clients += np.bincount(number, minlength=len(desks))
        self.caches.add(rows, self.known(number, 40))
        place = self.caches.place(rows, number)
        trip = np.where(self.ground.by_udp[rows], 2 * self.ground.travel(rows, number), 0.0)
        self.caches.succeeded(rows, place, self.now, trip)
        self._joined(rows, np.full(len(rows), self.now))

    def end(self, rows: Ints, *, goodbye: bool) -> None:
        """Programs of users end now: with a goodbye, or without a word."""
        mine = self.rows
        attached = rows[mine.state[rows] == ATTACHED]
        number, life = mine.supernode[attached], mine.life[attached]
        if goodbye:
            self.ledger.user("Leave", attached)
            self.joins.handshakes.leave(attached, number, life, self.now)
        else:
            until = self.now + IDLE_FOR - self.timings.ping * self.chance.random(len(attached))
            self.joins.handshakes.haunt(attached, number, life, until, self.now)
        self._off(rows)
        mine.runs[rows] = False

    def _off(self, rows: Ints) -> None:
        mine = self.rows
        mine.on_line_since[rows] = np.inf
        mine.publish_at[rows], mine.atlas_next[rows] = np.inf, np.inf
        self.scouts.rest(rows)
        self.joins.end(rows)

    # --- a network that is torn

    def tear(self, users: Any, supernodes: Any) -> None:
        """From now on nothing passes between different sides."""
        self.ground.sides = {"users": users, "supernodes": supernodes}
        self.records.torn(self.now, users, supernodes)
        mine = self.rows
        rows = np.flatnonzero((mine.state == ATTACHED) & (mine.wake_at == np.inf))
        cut = rows[~self.ground.passes(rows, mine.supernode[rows])]
        self._will_notice(cut, np.full(len(cut), self.now))

    def heal(self) -> None:
        """Everything passes again; who has not noticed that it did not, never will."""
        self.ground.sides = {}
        self.records.healed(self.now + TOGETHER)
        mine, desks = self.rows, self.desks
        rows = np.flatnonzero((mine.state == ATTACHED) & (mine.wake_at < np.inf))
        number = mine.supernode[rows]
        mine.wake_at[rows[desks.alive[number] & (desks.life[number] == mine.life[rows])]] = np.inf

    # --- supernodes

    def supernode_starts(self, number: int) -> None:
        """A supernode's program is started."""
        if not self.desks.alive[number]:
            self.desks.start(number)
            self.plan(SEATED, self._seated, number, int(self.desks.life[number]))

    def settle(self, numbers: range) -> None:
        """These have been there for long."""
        for number in numbers:
            self.desks.start(number)
            self.desks.synced[number] = True
        self.blocks.settle(numbers, int(WALL))
        self._refresh()

    def _seated(self, number: int, life: int) -> None:
        if self.desks.alive[number] and self.desks.life[number] == life:
            self.blocks.gone(number)
            self.blocks.came(number, int(WALL + self.now))
            self.plan(SYNCED, self._synced, number, life)

    def _synced(self, number: int, life: int) -> None:
        if self.desks.alive[number] and self.desks.life[number] == life:
            self.desks.synced[number] = True

    def supernode_stops(self, number: int) -> None:
        """A supernode's program ends without a word."""
        if self.desks.alive[number]:
            self.desks.stop(number)
            self._fallen.append(number)
            self.plan(SEEN_GONE, self._seen_gone, number, int(self.desks.life[number]))

    def _seen_gone(self, number: int, life: int) -> None:
        if self.desks.life[number] == life:
            self.blocks.gone(number)

    def _supernodes_died(self) -> None:
        gone = np.zeros(len(self.desks) + 1, bool)
        gone[self._fallen] = True
        self._fallen.clear()
        mine = self.rows
        number = np.minimum(mine.supernode, len(self.desks))
        rows = np.flatnonzero((mine.state == ATTACHED) & gone[number])
        mine.on_line_since[rows] = np.inf
        self._will_notice(rows, np.full(len(rows), self.now))
        self.records.died(self.now)

    def _will_notice(self, rows: Ints, since: Floats) -> None:
        """The links of these lead nowhere any more: when they notice it."""
        mine, ping = self.rows, self.timings.ping
        travel = self.ground.travel(rows, mine.supernode[rows])
        unheard = since - travel  # what was under way is not heard any more
        said = mine.ping_at[rows] + ping * np.ceil(np.maximum(0.0, unheard - mine.ping_at[rows]) / ping)
        for other in (mine.publish_at[rows], mine.atlas_next[rows]):
            said = np.where((other > unheard) & (other < said), other, said)
        noticed = said + noticed_after(travel)
        mine.wake(rows, np.where(self.ground.by_udp[rows], noticed, since + travel))

    def _lost(self, rows: Ints, at: Floats) -> None:
        mine = self.rows
        self.losses += len(rows)
        self.ledger.user("Ping", rows)
        place = self.caches.place(rows, mine.supernode[rows])
        known = place >= 0
        self.caches.failed(rows[known], place[known], at[known])
        self.joins.handshakes.haunt(rows, mine.supernode[rows], mine.life[rows], at + IDLE_FOR, self.now)
        self._off(rows)
        self.joins.begin(rows, at)

    def known(self, numbers: Any, most: int) -> Any:
        """Whom supernodes tell of: themselves, and others of their blocks as chance has it."""
        out = np.full((len(numbers), most), NOBODY, np.int64)
        out[:, 0] = numbers
        if not len(self._members):
            return out
        blocks = np.clip(self.blocks.of_block[numbers], 0, len(self._sizes) - 1)
        sizes = self._sizes[blocks][:, None]
        # Each is drawn for itself; one that is drawn twice is told once.
        drawn = self.chance.random((len(numbers), most - 1), np.float32)
        drawn *= sizes
        others = self._members[self._begins[blocks][:, None] + np.minimum(drawn.astype(np.int64), sizes - 1)]
        enough = (sizes > 1) & (np.arange(most - 1) < sizes)
        out[:, 1:] = np.where(enough, others, NOBODY)
        return out

    # --- what a row does on line

    def _joined(self, rows: Ints, at: Floats) -> None:
        mine = self.rows
        self.scouts.attached(rows[self.ground.by_udp[rows]], at[self.ground.by_udp[rows]])
        mine.atlas_next[rows] = at + ATLAS_AFTER * self.chance.random(len(rows))
        dead = ~self.desks.alive[mine.supernode[rows]] | (self.desks.life[mine.supernode[rows]] != mine.life[rows])
        self._will_notice(rows[dead], at[dead])
        self._publish(rows[~dead], at[~dead])

    def _publish(self, rows: Ints, at: Floats) -> None:
        if not len(rows):
            return
        mine = self.rows
        number = mine.supernode[rows]
        self.ledger.user("Store", rows)
        self.ledger.user("Ack of Stored", rows)
        self.ledger.supernode("Stored", number)
        self.ledger.supernode("Ack of Store", number)
        self._await(rows, at, self.records.write(rows, number, at))

    def _renew(self, rows: Ints, at: Floats) -> None:
        """Signs of life of rows; where nobody has their records any more they are written again."""
        mine = self.rows
        there = self.records.has_all(rows, mine.published_at[rows])
        self._publish(rows[~there], at[~there])
        rows, at = rows[there], at[there]
        if not len(rows):
            return
        number = mine.supernode[rows]
        self.ledger.user("Refresh", rows)
        self.ledger.user("Ack of Stored", rows)
        self.ledger.supernode("Stored", number)
        self.ledger.supernode("Ack of Refresh", number)
        self._await(rows, at, self.records.renew(rows, number, at))

    def _await(self, rows: Ints, at: Floats, took: Floats) -> None:
        """Rows hear that the directory has what they said; ``took``: how long that was."""
        mine, number = self.rows, self.rows.supernode[rows]
        mine.publish_at[rows] = at + AGAIN * (0.85 + 0.1 * self.chance.random(len(rows)))
        good = np.isfinite(took)
        again = rows[~good]
        mine.publish_at[again] = at[~good] + KEPT_WITHIN + UNKEPT * (0.9 + 0.2 * self.chance.random(len(again)))
        done = at + took + 2 * self.ground.travel(rows, number)
        self._stored.put(done[good], rows[good], mine.epoch[rows[good]], mine.life[rows[good]])

    def _kept(self, at: Floats, rows: Any, epoch: Any, life: Any) -> None:
        mine = self.rows
        number = mine.supernode[rows]
        safe = np.minimum(number, len(self.desks) - 1)
        good = (mine.epoch[rows] == epoch) & (number != NOBODY)
        good &= self.desks.alive[safe] & (self.desks.life[safe] == life)
        rows, at = rows[good], at[good]
        mine.published_at[rows] = at
        new = mine.on_line_since[rows] == np.inf
        mine.on_line_since[rows[new]] = at[new]
        if self.keeps_news and new.any():
            self.news.append((rows[new], at[new]))

    def _each_second(self) -> None:
        now, mine = self.now, self.rows
        self.blocks.look(now)
        if self.blocks.dirty:
            self._refresh()
        self.scouts.due(now)
        live = np.where(mine.wake_at == np.inf, mine.publish_at, np.float32(np.inf))
        rows = np.flatnonzero((live <= now) & (mine.state == ATTACHED))
        self._renew(rows, np.full(len(rows), now))
        rows = np.flatnonzero((mine.atlas_next <= now) & (mine.state == ATTACHED))
        if len(rows):
            mine.atlas_next[rows] = now + ATLAS_EVERY * (0.8 + 0.4 * self.chance.random(len(rows)))
            mine.atlas_at[rows] = now
            self.ledger.user("AtlasAsked", rows)
            self.ledger.user("Ack of AtlasTold", rows)
            self.ledger.supernodes += self.sizes.atlas(len(self.blocks)) * np.bincount(
                mine.supernode[rows], minlength=len(self.desks)
            )
        self._count_upkeep()
        if now >= self._alive_at:
            self._alive_at = now + GATHER_FOR
            self._tell_alive()

    def _tell_alive(self) -> None:
        """Holders tell the others of their slots what signs of life they have gathered."""
        gathered, fellows = self.records.told()
        numbers = np.flatnonzero(gathered)
        size = np.array([self.sizes.alive(count) for count in gathered[numbers].tolist()])
        messages = fellows[numbers] * np.ceil(gathered[numbers] / ALIVE_AT_ONCE)
        said = fellows[numbers] * size + messages * self.ledger.of("Ack of Alive")  # each tells as much as it is told
        self.ledger.supernodes[numbers] += said
        self.ledger.messages += int(2 * messages.sum())

    def _refresh(self) -> None:
        self.blocks.refresh(self.now)
        members = [self.blocks.members_at(at) for at in range(len(self.blocks))]
        self._members = np.array(list(chain.from_iterable(members)), np.int64)
        self._sizes = np.array([len(block) for block in members], np.int64)
        self._begins = self._sizes.cumsum() - self._sizes
        self.records.refresh(self.now)
        self._beats = self.blocks.beats[: len(self.desks)]
        held = np.zeros(len(self.desks))
        numbers, counts = np.unique(self.blocks.held[self.blocks.held != NOBODY], return_counts=True)
        held[numbers] = counts
        self._compares = held / COMPARE_EVERY

    def _count_upkeep(self) -> None:
        """What supernodes say each second: signs of life, comparisons, answers to Pings."""
        ledger, desks = self.ledger, self.desks
        of, alive = ledger.of, desks.alive
        beats = self._beats * (of("Beat") + of("Ack"))
        compares = self._compares * (of("Compare") + of("Ack"))
        pings = desks.clients / self.timings.ping * of("Pong")
        ledger.supernodes += alive * (beats + compares + pings)
        ledger.of_clients += alive * pings

    def _holds_more(self, number: int, slots: int) -> None:
        """A supernode is given the records of slots that are new to it, by those who hold them too."""
        records = slots * len(self.keys) / max(1, len(self.blocks.held))
        size = records * self.sizes.record * (1 + 0.1 / AT_ONCE)
        block = self.blocks.members_at(int(self.blocks.of_block[number]))
        self.ledger.supernodes[block] += size / max(1, len(block))


def noticed_after(travel: Any) -> Any:
    """Seconds from saying something to a supernode that has gone until its link is given up.

    It is said again, at growing times, until nothing was heard for as long as a link bears: the twin of what
    ``halves`` does.
    """
    give_up = Reliable().give_up
    at = travel + np.maximum(LEAST_WAIT, 2 * travel)
    wait = 2 * FIRST_WAIT
    for _ in range(16):
        at = np.where(at < give_up, at + wait, at)
        wait = min(2 * wait, MOST_WAIT)
    return at
