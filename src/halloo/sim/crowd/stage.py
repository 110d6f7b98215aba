"""A stage for scenarios on which a crowd plays: what ``play`` is with minds, with the same figures.

Users are known by number, supernodes by the numbers after theirs.  Calls are no more than two rows and the relays
between them: who needs one keeps two warm, and the call is lost when both are gone before another is there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from math import inf
from random import Random
from typing import Any

import numpy as np

from halloo.base.errors import UsageError
from halloo.call.call import SILENT_FOR
from halloo.node.profile import profile_named
from halloo.overlay.admission import Pace
from halloo.sim.crowd.comings import CrowdChurn
from halloo.sim.crowd.crowd import Crowd
from halloo.sim.crowd.ground import MAX_SUPERNODES, MAX_USERS, NOBODY, Bools, Ints
from halloo.sim.crowd.rows import ATTACHED
from halloo.sim.crowd.searching import Searching
from halloo.sim.lifetimes import Sessions
from halloo.sim.lookups import Share, Watched
from halloo.sim.nat import KINDS
from halloo.sim.play import REGISTERED, WARM, Play, Progress
from halloo.sim.sampling import SAMPLE
from halloo.sim.setting import Setting

__all__ = ["CrowdPlay"]

AT_ONCE = 1 << 14  # rows that settle in one tick
REST = 70.0  # seconds before anything is counted, as on the stage of minds: spares are found, blocks are known
MANY = 800  # nodes of a supernode for which its bytes are worked out


class _OnLine:
    """Users whose record the directory holds."""

    def __init__(self, crowd: Crowd) -> None:
        self._since = crowd.rows.on_line_since

    def __len__(self) -> int:
        return int(np.count_nonzero(self._since < inf))

    def __contains__(self, row: object) -> bool:
        return isinstance(row, int) and bool(self._since[row] < inf)

    def __iter__(self) -> Iterator[int]:
        return iter(np.flatnonzero(self._since < inf).tolist())


class _World:
    """What scenarios ask of a world."""

    def __init__(self, crowd: Crowd) -> None:
        self._crowd = crowd
        self.plan, self.every = crowd.plan, crowd.every
        self.slow: dict[str, float] = {}
        """Login servers that are late: nobody of the crowd asks them anything, whose credentials all hold."""

    @property
    def now(self) -> float:
        """The time, in seconds."""
        return self._crowd.now

    @property
    def delivered(self) -> int:
        """Messages that were said."""
        return self._crowd.ledger.messages

    def kill(self, name: str) -> None:
        """The login servers go dark: see ``slow``."""


class CrowdPlay(Play):
    """One network on the stage."""

    degree = "crowd"

    def __init__(
        self, setting: Setting, *, length: float, progress: Progress | None = None, present: float = 1.0
    ) -> None:
        if setting.supernodes > MAX_SUPERNODES or setting.nodes > MAX_USERS:
            raise UsageError(f"a crowd has at most {MAX_USERS} nodes and {MAX_SUPERNODES} supernodes")
        self.setting = setting
        work = setting.work
        pace = Pace(work.logins, max(1, int(work.logins * work.at_once)))
        self.crowd = Crowd(
            setting.seed, setting.nodes, setting.supernodes, timings=profile_named("modern").join, pace=pace,
            places=setting.places, loss=setting.loss, boxes=setting.boxes,
        )
        self.world: Any = _World(self.crowd)
        self.searching = Searching(self.crowd, setting.seed, setting.loss)
        self.rng = Random(f"{setting.seed}/play")
        self.users: Any = range(setting.nodes)
        self.supernodes: Any = range(setting.nodes, setting.nodes + setting.supernodes)
        self.on_line: Any = _OnLine(self.crowd)
        self.expected: Any = {}
        self.began = 0.0
        self.series = []
        self.calls_lost = []
        self.calls: Any = []
        self._relays: dict[Any, list[int]] = {}
        self.found_on_line, self.found_recent = Share(), Share()
        self.shut_down = self._crashes = 0
        self.promoted = self.demoted = 0  # nobody's role changes in a crowd
        self.attempts_peak = 0.0
        self._newest = [0, 0]
        self._present, self._length, self._progress = present, length, progress
        self._begun: Ints = np.zeros(setting.supernodes, np.int64)
        self._since = self._marked = 0.0
        self._steady: Bools = np.zeros(setting.nodes, bool)
        self._weak: Any = {}
        self._city: dict[int, str] = {}
        self._messages = 0
        self._before = 0.0, 0.0

    # --- the network comes up

    def come_up(self) -> None:
        """Everybody is there and on line, and has been for long: a crowd is not asked to come all at once."""
        crowd, chance = self.crowd, self.crowd.chance
        crowd.settle(range(self.setting.supernodes))
        crowd.run(1.0)  # what a host cache says of the moment 0 is that it never was
        users = np.arange(self.setting.nodes)
        for at in range(0, len(users), AT_ONCE):
            some = users[at : at + AT_ONCE]
            crowd.caches.add(some, chance.integers(0, self.setting.supernodes, (len(some), 20)))
        wanted = max(1, int(self._present * len(users)))
        self.expected.update(dict.fromkeys(range(wanted)))
        for at in range(0, wanted, AT_ONCE):
            crowd.settle_users(users[at : min(wanted, at + AT_ONCE)])
            crowd.run(crowd.now + 1 / 16)
        crowd.joins.handshakes.joins = wanted
        while crowd.now < WARM and len(self.on_line) <= 0.999 * wanted:
            crowd.run(crowd.now + 1.0)
        if len(self.on_line) < REGISTERED * wanted:
            raise UsageError(
                f"the network did not come up: {len(self.on_line)} of {wanted} on line after {WARM:.0f} s; "
                "try more supernodes (--per-supernode)"
            )
        crowd.desks.work = self.setting.work
        crowd.pace(profile_named(self.setting.timings).join)
        self._begin_calls()
        crowd.run(crowd.now + REST)
        self.began = crowd.now
        self.calls_lost.clear()
        self.mark()
        self._begun = crowd.joins.handshakes.attempts.copy()
        self._sample()
        crowd.every(SAMPLE, self._sampled)

    @property
    def joins(self) -> int:  # type: ignore[override]
        """Nodes that attached."""
        return self.crowd.joins.handshakes.joins

    @property
    def losses(self) -> int:  # type: ignore[override]
        """Nodes that lost their supernode."""
        return self.crowd.losses

    @property
    def join_failures(self) -> int:  # type: ignore[override]
        """Nodes that gave joining up."""
        return self.crowd.joins.rounds.failures

    @property
    def crashes(self) -> int:
        """Programs that have ended at a record."""
        return self._crashes

    def start(self, name: Any) -> None:
        """A user's program, or a supernode's, is started."""
        if name >= self.setting.nodes:
            self.crowd.supernode_starts(name - self.setting.nodes)
        else:
            self.crowd.start(name)

    def stop(self, name: Any) -> None:
        """It ends without a word."""
        if name >= self.setting.nodes:
            self._supernode_stops(name - self.setting.nodes)
        else:
            self.crowd.stop(name)

    def run(self, seconds: float, stop: Any = None) -> bool:
        """Let time pass; whether ``stop`` said so."""
        until = self.world.now + seconds
        while self.world.now < until:
            self.crowd.run(min(until, self.world.now + SAMPLE))
            if stop is not None and stop():
                return True
            if self._progress is not None:
                self._progress(min(1.0, (self.world.now - self.began) / self._length))
        return False

    def churn(self, supernodes: Sessions, users: Sessions) -> Any:
        """Users and supernodes that come and go."""
        return CrowdChurn(self, supernodes, users)

    # --- calls

    def _begin_calls(self) -> None:
        present = self._present * len(self.users)
        count = min(int(present) // 2 * 2, 2 * self.setting.calls)
        chosen = self.rng.sample(range(int(present)), count)
        self.calls = [(one, other, b"") for one, other in zip(chosen[::2], chosen[1::2], strict=True)]
        kinds = list(KINDS.values())
        for call in self.calls:
            one, other = (kinds[self.crowd.ground.kinds[row]] for row in call[:2])
            blocked = not (one.udp and other.udp)
            strict = [kind.symmetric or kind.name == "port-restricted" for kind in (one, other)]
            if blocked or ((one.symmetric or other.symmetric) and all(strict)):
                self._relays[call] = []
        self.crowd.every(1.0, self._look_after_calls)

    def _look_after_calls(self) -> bool:
        """Whoever needs a relay, and has lost one, gets another from the supernode he is attached to; where none is
        left and neither is attached, both come to any other, as guests.
        """
        mine, desks = self.crowd.rows, self.crowd.desks
        for call, relays in list(self._relays.items()):
            relays[:] = [number for number in relays if desks.alive[number % len(desks)]]
            for row in call[:2]:
                number = int(mine.supernode[row])
                fit = mine.state[row] == ATTACHED and number != NOBODY and desks.alive[number]
                if fit and len(relays) < 2 and number not in relays:
                    relays.append(number)
            if not relays and desks.alive.any():
                number = int(self.rng.choice(np.flatnonzero(desks.alive)))
                if all(desks.guest(number, self.world.now) for _ in call[:2]):
                    relays.append(number)
        return True

    def _supernode_stops(self, number: int) -> None:
        self.crowd.supernode_stops(number)
        for call, relays in self._relays.items():
            if relays and not any(self.crowd.desks.alive[one] for one in relays):
                self.crowd.plan(SILENT_FOR, self._silent, call)

    def _silent(self, call: Any) -> None:
        """A call that has lost all its relays has been silent for as long as a call bears."""
        relays = self._relays.get(call)
        if relays is not None and not any(self.crowd.desks.alive[one] for one in relays):
            del self._relays[call]
            self.calls.remove(call)
            self.calls_lost.append(f"{call[0]} to {call[1]}: all relays were gone")

    # --- searches

    def search(self, who: Any, name: Any, *, recent: bool = False) -> None:
        """One user looks for another."""
        self._counted(self._looked(who, name), Watched(name, self.world.now, recent))

    def _looked(self, who: int, name: int) -> Any:
        before = self.searching.said
        answer = self.searching.find(who, name, city=self._city.get(name, ""))
        if answer is not None:
            self._messages += self.searching.said - before
            self._heard_of(who)
        return answer

    def _counted(self, answer: Any, watched: Watched) -> None:
        if answer is None or (not watched.recent and watched.name not in self.on_line):
            return
        held = self.found_recent if watched.recent else self.found_on_line
        held.asked += 1
        if answer.found:
            held.found += 1
            self._newest[0] += answer.newest
            self._newest[1] += 1
            held.latencies.append(answer.took)

    def _pair(self) -> Any:
        since = self.crowd.rows.on_line_since
        for _ in range(20):
            one, other = self.rng.choice(self.users), self.rng.choice(self.users)
            if one != other and since[one] < inf and self.world.now - since[other] > 5.0:
                return one, other
        return None

    def looks_for(self, name: Any) -> bool:
        """Somebody on line looks for a user."""
        who = self.anybody()
        if who is not None:
            self.search(who, name)
        return True

    def anybody(self) -> int | None:
        """Somebody who is on line."""
        for _ in range(200):
            who = self.rng.choice(self.users)
            if who in self.on_line:
                return int(who)
        return next(iter(self.on_line), None)

    # --- a build that cannot bear a record

    def weaken(self, names: Iterable[Any], weakness: Any, restarts: float) -> None:
        """From now on these end when they hear the record of ``publish_as``, and start again after a while."""
        self._weak |= dict.fromkeys(names)
        self._restarts = restarts

    def publish_as(self, name: Any, city: str) -> None:
        """A user publishes another city; who holds his record, or hears of it, knows it."""
        self._city[name] = city
        self.crowd.rows.publish_at[name] = self.world.now
        self.crowd.every(1.0, lambda: self._held_by(name))
        self._held_by(name)

    def _held_by(self, row: int) -> bool:
        """Those of the weak build who hold the record, because they sit where it belongs, end of it."""
        crowd = self.crowd
        held = crowd.blocks.held[crowd.records.slots[row]]
        nodes = self.setting.nodes
        carries = [int(one) for one in held if one != NOBODY and crowd.desks.synced[one]]
        own = int(crowd.rows.supernode[row])
        if crowd.rows.publish_at[row] <= self.world.now and own != NOBODY:
            carries.append(own)
        for number in carries:
            if number + nodes in self._weak and crowd.desks.alive[number]:
                self._crash(number + nodes)
        return True

    def _heard_of(self, who: int) -> None:
        """The record that was found last has come to a row, and through a supernode."""
        if not self._city or not self.searching.told or not self._city.get(self.searching.whom):
            return
        if who in self._weak:
            self._crash(who)

    def _crash(self, name: int) -> None:
        self._crashes += 1
        self.stop(name)
        self.crowd.plan(self._restarts, self.start, name)

    # --- a network that is torn

    def tear(self, sides: Any) -> None:
        """From now on nothing passes between nodes of different sides."""
        nodes = self.setting.nodes
        both = np.array([sides[name] for name in (*self.users, *self.supernodes)], np.int8)
        self.crowd.tear(both[:nodes], both[nodes:])

    def heal(self) -> None:
        """Everything passes again."""
        self.crowd.heal()

    # --- what is counted

    def ordinary(self) -> Any:
        """Users who are no supernodes: nobody's role changes in a crowd."""
        return self.users

    def supernodes_now(self) -> Any:
        """Who is a supernode now."""
        return (self.setting.nodes + np.flatnonzero(self.crowd.desks.alive)).tolist()

    def _sample(self) -> None:
        crowd = self.crowd
        rested = SAMPLE + self.setting.work.at_once  # what a rested desk does in that time
        peak = float((crowd.joins.handshakes.attempts - self._begun).max(initial=0)) / rested
        self._begun = crowd.joins.handshakes.attempts.copy()
        if self.series:
            self.attempts_peak = max(self.attempts_peak, peak)
        alive = int(crowd.desks.alive.sum())
        ping = crowd.timings.ping
        attached = int((crowd.rows.state == ATTACHED).sum())
        running = max(1, int(crowd.rows.runs.sum()))
        keeping = attached / ping * (crowd.ledger.of("Ping") + crowd.ledger.of("Ack")) / running
        users, supernodes = self._said()
        before = self._before if self.series else (users, supernodes)
        self._before = users, supernodes
        self.series.append(
            {
                "node_bytes_per_s": round((users - before[0]) / running / SAMPLE + keeping, 2) if self.series else 0.0,
                "supernode_bytes_per_s": round((supernodes - before[1]) / max(1, alive) / SAMPLE, 2),
                "time": round(self.now, 3),
                "on_line": len(self.on_line),
                "expected": len(self.expected),
                "roles_changed": 0,
                "supernodes": alive,
                "joins": self.joins,
                "losses": self.losses,
                "dropped_handshakes": sum(desk.refused for desk in crowd.desks.counted() if desk is not None),
                "attempts_peak": peak if self.series else 0.0,
                "calls": len(self.calls),
                "calls_lost": len(self.calls_lost),
                "delivered": crowd.ledger.messages,
            }
        )

    def _said(self) -> tuple[float, float]:
        ledger = self.crowd.ledger
        users = float(ledger.users.sum(dtype=np.float64) + ledger.speaking.sum(dtype=np.float64))
        return users, float(ledger.supernodes.sum())

    def until_back(self, since: float, whom: Any, most: float) -> float | None:
        """Let time pass until 99 of 100 of ``whom`` are on line; how long after ``since``, None: over ``most``."""
        self.crowd.apply()
        rows = np.fromiter(whom, np.int64)
        enough = REGISTERED * len(rows)
        on_line = self.crowd.rows.on_line_since

        def back() -> bool:
            return bool(np.count_nonzero(on_line[rows] < inf) >= enough)

        while self.now < since + most:
            if back():
                return max(0.0, self.now - since)
            self.run(min(1.0, since + most - self.now))
        return max(0.0, self.now - since) if back() else None

    def attempts(self) -> list[float]:
        """Logins that were begun at each supernode that is there now."""
        found: list[float] = self.crowd.joins.handshakes.attempts[self.crowd.desks.alive].tolist()
        return found

    def map(self) -> list[tuple[str, int, int]]:
        """(block, slot, how many supernodes hold it)."""
        return self.crowd.blocks.map()

    def mark(self) -> None:
        """Count what is said from here on."""
        ledger = self.crowd.ledger
        ledger.users[:] = ledger.speaking[:] = 0
        ledger.supernodes[:] = ledger.of_clients[:] = 0
        self._marked = self.world.now
        self._runs = self.crowd.rows.starts.copy()
        self._lives = self.crowd.desks.life.copy()
        self._messages = 0
        if self.series:
            self._before = self._said()

    def searching_said(self) -> int:
        """Messages of searches since the mark."""
        return self._messages

    def upkeep(self) -> dict[str, float | None]:
        """Bytes a second of ordinary nodes and supernodes since counting began: see ``Counting.upkeep``."""
        crowd, seconds = self.crowd, self.world.now - self._marked
        ledger, rows, desks = crowd.ledger, crowd.rows, crowd.desks
        steady = rows.runs & (rows.starts == self._runs)
        steady[self.talking] = False
        lasting = desks.alive & (desks.life == self._lives)
        idle = float(ledger.users[steady].mean(dtype=np.float64)) / seconds
        speaking = float(ledger.speaking[steady].mean(dtype=np.float64)) / seconds
        keeping = (ledger.of("Ping") + ledger.of("Ack")) / crowd.timings.ping
        alive = float(ledger.supernodes[lasting].mean()) / seconds
        clients = len(self.on_line) / max(1, int(desks.alive.sum()))
        of_clients = float(ledger.of_clients[lasting].mean()) / seconds
        return {
            "node_idle_bits_per_s": round(8 * idle, 2),
            "node_bytes_per_s": round(idle + speaking + keeping, 2),
            "supernode_bytes_per_s": round(alive, 2),
            f"supernode_bytes_per_s_at_{MANY}": round(alive + of_clients / max(1.0, clients) * (MANY - clients), 2),
            "clients_per_supernode": round(clients, 1),
        }
