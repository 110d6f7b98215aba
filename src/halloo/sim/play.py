"""A stage for scenarios: a network that has come up, calls that are under way, and somebody who counts.

Everything is done by a node's public intents, and known by its events: what overlay, link and login do is not known
here.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import exp, inf
from random import Random
from statistics import fmean
from typing import Any

from halloo.base.address import Address
from halloo.base.effects import Send
from halloo.base.errors import UsageError
from halloo.base.machine import Event, Message
from halloo.call.call import Answered, Ended, Rang
from halloo.messages.credential import Entry
from halloo.node.node import Node
from halloo.node.profile import profile_named
from halloo.node.roles import Demoted, Promoted
from halloo.overlay.admission import Pace
from halloo.overlay.join import Joined, JoinFailed, Lost
from halloo.overlay.promotion import Consent, Lending
from halloo.overlay.publish import Published
from halloo.overlay.search import SearchDone
from halloo.path.reach import Policy
from halloo.sim.counting import Counting
from halloo.sim.desk import Desk, Work
from halloo.sim.distances import MEDIAN, SPREAD, Distances
from halloo.sim.figures import Outcome, quantile
from halloo.sim.lifetimes import Sessions
from halloo.sim.minds import Dweller
from halloo.sim.mindtown import MindTown, supernode_address, user_address
from halloo.sim.nat import drawn_kind
from halloo.sim.overview import places
from halloo.sim.population import Churn
from halloo.sim.quiet import BEAT, PCM

__all__ = ["Play", "Setting", "Share", "Watched"]

SAMPLE = 5.0  # seconds between two samples
WARM = 300.0  # seconds at most until the network has come up; nobody's work is counted before
REGISTERED = 0.99  # of those who should be, for a recovery
LENT = Lending().clients  # nodes that a user's machine takes at most, where its owner says nothing
WINDOW = 600.0  # seconds in which the number of supernodes may change by no more than a few of a hundred
SETTLES = 120.0  # seconds after an event from which the number of supernodes may not swing any more
Progress = Callable[[float], None]


@dataclass(frozen=True, slots=True)
class Setting:
    """What a scenario is played with."""

    nodes: int = 10_000
    seed: int = 1
    per_supernode: int = 100
    """Ordinary nodes for each supernode there is at first."""
    timings: str = "modern"
    """Whose pace of joining: ``modern``, or ``classic`` for the article's."""
    calls: int = 100
    """Calls that are under way when something happens."""
    work: Work = field(default_factory=Work)
    boxes: bool = True
    """Whether users live behind boxes of all kinds."""
    loss: float = 0.002
    """Of datagrams."""
    hours: float = 0.0
    """How long a scenario without an event lasts; 0: as it thinks best."""
    first: int = 0
    """Supernodes that there are at first; 0: as ``per_supernode`` says."""
    places: int = 800
    """Nodes that a supernode takes at most; a user's machine no more than ``LENT``."""
    willing: float = 0.1
    """Share of the users who would have their machines serve others."""
    stands: float = 0.0
    """Seconds that the network stands before anything happens: who would serve has to be on line for five minutes."""
    degree: str = ""
    """At which degree of truth: ``minds`` or ``crowd``; empty: as fits so many nodes."""

    @property
    def supernodes(self) -> int:
        """How many supernodes there are at first."""
        return self.first or max(10, self.nodes // self.per_supernode)


@dataclass(slots=True)
class Watched:
    """A search that is being waited for."""

    name: str
    began: float
    recent: bool
    """Whether the one looked for is off line and was on line within 72 hours."""


@dataclass(slots=True)
class Share:
    """How many were looked for, and how many were found, how soon."""

    asked: int = 0
    found: int = 0
    latencies: list[float] = field(default_factory=list)


class Play:
    """One network on the stage.  ``progress`` is told the share of the way that is done; ``present``: the share of
    the users who are there from the start.
    """

    def __init__(
        self, setting: Setting, *, length: float, progress: Progress | None = None, present: float = 1.0
    ) -> None:
        self.setting = setting
        self.town = MindTown(
            setting.seed,
            setting.supernodes,
            net={"distances": Distances(setting.seed), "loss": setting.loss},
            timings=profile_named("modern").join,
            recorded=(),
            max_clients=setting.places,
            pace=Pace(setting.work.logins, max(1, int(setting.work.logins * setting.work.at_once))),
        )
        self.world = self.town.world
        self.world.crashed = self.crashed
        self.rng = Random(f"{setting.seed}/play")
        self.users = [f"user{i}" for i in range(setting.nodes)]
        self.supernodes = [f"supernode{i}" for i in range(setting.supernodes)]
        self.on_line: dict[str, float] = {}
        """Users whose record the directory holds since they came on line, and since when."""
        self.attached: dict[str, float] = {}
        self._serving: dict[str, Address] = {}
        """Users whose machines serve others, and where."""
        self._clients: dict[Address, dict[str, None]] = {}
        """By the address of a supernode, who attached to it last."""
        self.began = 0.0
        """When the network had come up: what happens is told in seconds from here on."""
        self.series: list[dict[str, float]] = []
        self.joins = self.losses = self.join_failures = 0
        self.calls_lost: list[str] = []
        self.calls: list[tuple[str, str, bytes]] = []
        self._calls_wanted: dict[bytes, tuple[str, str]] = {}
        self._hung_up: dict[str, None] = {}
        self.found_on_line, self.found_recent = Share(), Share()
        self._searches: dict[tuple[str, int], Watched] = {}
        self.expected: dict[str, None] = {}
        """Users who should be on line."""
        self.promoted = self.demoted = 0
        self.shut_down = 0
        self._last_role: dict[str, bool] = {}
        self._attempts: dict[str, tuple[Desk, float]] = {}
        self.counting = Counting(self.world)
        self.attempts_peak = 0.0
        self.crashes = 0
        self._weak: dict[str, None] = {}
        self._weakness: Callable[[Message], bool] | None = None
        self._restarts = 0.0
        self._newest = [0, 0]
        self.tongues: Mapping[str, Callable[[Send], Send | None]] = {}
        """Who lies, and how."""
        self._present = present
        self._length = length
        self._progress = progress
        self.watch: Callable[[Dweller, Event], None] | None = None
        """Who else hears the events."""

    # --- the network comes up

    def come_up(self) -> None:
        """Start everybody, and wait until all are on line.  Work is not limited yet, and all join at our pace: by the
        article's, where nobody heeds a supernode that says later, a network never gets as far as that it could fall.
        """
        for name in self.supernodes:
            self.start(name)
        self.world.run(20.0)
        inside = Random(f"{self.setting.seed}/boxes")
        count = round(self.setting.willing * len(self.users))
        willing = dict.fromkeys(Random(f"{self.setting.seed}/willing").sample(self.users, count))
        for i, name in enumerate(self.users):
            kind = drawn_kind(inside) if self.setting.boxes else None
            behind = kind is not None and kind.translates
            # Who has been here before knows some supernodes, not the same as everybody else.
            known = [supernode_address(inside.randrange(len(self.supernodes))) for _ in range(20)]
            lending = Lending(Consent.YES, clients=min(LENT, self.setting.places)) if name in willing else None
            address = user_address(i, inside=behind)
            self.town.household(name, address, kind=kind, user=True, known=known, lending=lending)
            if i < self._present * len(self.users):
                self.world.plan(60.0 * i / len(self.users), self.arrive, name)
        wanted = max(1, int(self._present * len(self.users)))
        self.world.run(WARM, lambda: len(self.on_line) > 0.999 * wanted)
        self.world.run(self.world.now + 10.0)
        if len(self.on_line) < REGISTERED * wanted:
            raise UsageError(
                f"the network did not come up: {len(self.on_line)} of {wanted} on line after {WARM:.0f} s; "
                "try more supernodes (--per-supernode)"
            )
        self.town.limit(self.setting.work)
        self.town.timings = timings = profile_named(self.setting.timings).join
        for name in self.users:
            if self.town.runs(name):
                self.town.node(name).join.timings = timings
        self.world.run(self.world.now + self.setting.stands)
        self._begin_calls()
        self.began = self.world.now
        self.counting.mark()
        self._sample()
        self.world.every(SAMPLE, self._sampled)

    def arrive(self, name: str) -> None:
        """A user comes, and means to stay."""
        self.expected[name] = None
        self.start(name)

    def start(self, name: str) -> None:
        """A user's program, or a supernode's, is started."""
        if not self.town.runs(name):
            dweller = self.town.start(name, self._heard)
            dweller.tongue = self.tongues.get(name)
            if name in self._weak:
                dweller.weakness = self._crash_at

    def weaken(self, names: Iterable[str], weakness: Callable[[Message], bool], restarts: float) -> None:
        """From now on these end when they hear certain messages, and are started again after ``restarts`` seconds."""
        self._weak |= dict.fromkeys(names)
        self._weakness, self._restarts = weakness, restarts
        for name in self._weak:
            if self.town.runs(name):
                self.world.dwellers[name].weakness = self._crash_at

    def _crash_at(self, message: Message) -> bool:
        assert self._weakness is not None
        if not self._weakness(message):
            return False
        self.crashes += 1
        return True

    def crashed(self, name: str) -> None:
        """A program has ended by itself."""
        self._ended_program(name)
        self.world.plan(self._restarts, self.start, name)

    def host(self, name: str) -> bytes:
        """The host that others see somebody as."""
        if name not in self.town.households:
            return self.world.dwellers[name].address.host
        return self.town.households[name].host

    def looks_for(self, name: str) -> bool:
        """Somebody on line looks for a user."""
        if self.on_line:
            self.search(self.rng.choice(list(self.on_line)), name)
        return True

    def nodes_of(self, supernode: str) -> list[str]:
        """Who is attached to a supernode."""
        return list(self._clients.get(self.town.households[supernode].address, ()))

    def newest_share(self) -> float | None:
        """Of the records that searches found, the share that were the newest of their owner."""
        return _share(*self._newest)

    def stop(self, name: str) -> None:
        """It ends without a word."""
        if self.town.runs(name):
            self.town.stop(name)
        self._ended_program(name)

    def _ended_program(self, name: str) -> None:
        """Neither is on line who ran it, nor whoever was attached to it: they do not know it yet."""
        for clients in self._clients.values():
            clients.pop(name, None)
        serving = self._serving.pop(name, self.town.households[name].address)
        for gone in (name, *self._clients.pop(serving, ())):
            self.on_line.pop(gone, None)
            self.attached.pop(gone, None)

    def leave(self, name: str) -> None:
        """A user goes off line with a goodbye."""
        if self.town.runs(name):
            dweller = self.world.dwellers[name]
            self.world.carry_out(dweller, self.town.node(name).leave(self.world.now))
            self.world.plan(1.0, self._gone, dweller)
        self.on_line.pop(name, None)
        self.attached.pop(name, None)
        self.expected.pop(name, None)

    def _gone(self, dweller: Dweller) -> None:
        if dweller.alive:
            self.world.kill(dweller.name)

    def run(self, seconds: float, stop: Callable[[], bool] | None = None) -> bool:
        """Let time pass; whether ``stop`` said so."""
        until = self.world.now + seconds
        while self.world.now < until:
            if self.world.run(min(until, self.world.now + SAMPLE), stop):
                return True
            if self._progress is not None:
                self._progress(min(1.0, (self.world.now - self.began) / self._length))
        return False

    def churn(self, supernodes: Sessions, users: Sessions) -> Any:
        """Users and supernodes that come and go."""
        return Churn(self, supernodes, users)

    def mark(self) -> None:
        """Count what is said from here on."""
        self.counting.mark()

    def searching_said(self) -> int:
        """How many messages of searches have been said."""
        return self.counting.searching()

    def attempts(self) -> list[float]:
        """Logins that were begun at each supernode that is there now, since work was limited."""
        desks = [self.world.dwellers[name].desk for name in self.supernodes_now()]
        return [desk.attempts if desk is not None else 0 for desk in desks]

    def publish_as(self, name: str, city: str) -> None:
        """A user publishes another city."""
        publisher = self.town.node(name).publisher
        publisher.city = city
        self.town.act(name, publisher.publish(self.world.now))

    def tear(self, sides: dict[str, int]) -> None:
        """From now on nothing passes between nodes of different sides; the login servers are on the first."""
        for name, side in sides.items():
            self.world.net.sides[self.host(name)] = side
        self.world.net.sides[self.host("login")] = 0

    def heal(self) -> None:
        """Everything passes again."""
        self.world.net.sides.clear()

    @property
    def now(self) -> float:
        """Seconds since the network had come up."""
        return self.world.now - self.began

    # --- what is heard

    def _heard(self, dweller: Dweller, event: Event, now: float) -> None:
        name = dweller.name
        match event:
            case Joined():
                self.attached[name] = now
                for clients in self._clients.values():
                    clients.pop(name, None)
                self._clients.setdefault(event.supernode, {})[name] = None
                self.joins += 1
            case Published():
                if event.copies and name in self.attached:
                    self.on_line.setdefault(name, now)
            case Lost():
                self._clients.get(event.supernode, {}).pop(name, None)
                self.attached.pop(name, None)
                self.on_line.pop(name, None)
                self.losses += 1
            case Promoted():
                self.promoted += not event.again
                self._serving[name] = event.listening
            case Demoted():
                self.demoted += 1
                self._serving.pop(name, None)
                self._last_role.pop(name, None)  # it has gone in good order
            case JoinFailed():
                self.join_failures += 1
            case SearchDone():
                self._searched(name, event, now)
            case Rang(outgoing=False):
                node = self.town.node(name)
                self.world.plan(1.0, self._answer, name, event.call, node)
            case Answered(outgoing=True):
                callee = self._calls_wanted.pop(event.call, None)
                if callee is not None:
                    self.calls.append((*callee, event.call))
            case Ended():
                self._ended(name, event)
        if self.watch is not None:
            self.watch(dweller, event)

    def _answer(self, name: str, call: bytes, node: Node) -> None:
        if self.town.runs(name) and self.town.node(name) is node and call in node.calls.ringing:
            self.town.act(name, node.calls.answer(call, self.world.now))

    def _ended(self, name: str, event: Ended) -> None:
        for i, (caller, callee, call) in enumerate(self.calls):
            if call == event.call and name == caller:
                del self.calls[i]
                if name not in self._hung_up:
                    self.calls_lost.append(f"{caller} to {callee}: {event.reason}")
                return

    # --- calls

    def _begin_calls(self) -> None:
        """Calls between users who have nothing else to do."""
        present = list(self.expected)
        chosen = self.rng.sample(present, min(len(present) // 2 * 2, 2 * self.setting.calls))
        for i, (caller, callee) in enumerate(zip(chosen[::2], chosen[1::2], strict=True)):
            self.world.plan(5.0 + 20.0 * i / max(1, self.setting.calls), self._dial, caller, callee)
        self.world.every(BEAT, self._beat)
        self.world.run(self.world.now + 60.0)
        self.calls_lost.clear()

    def _dial(self, caller: str, callee: str) -> None:
        if self.town.runs(caller):
            call, effects = self.town.node(caller).calls.dial(callee, Policy.ANY, self.world.now)
            self._calls_wanted[call] = caller, callee
            self.town.act(caller, effects)

    def _beat(self) -> bool:
        """A sign of sound in each call, both ways."""
        for caller, callee, _ in list(self.calls):
            for name in (caller, callee):
                if self.town.runs(name):
                    calls = self.town.node(name).calls
                    for active in calls.active:
                        self.world.speak(self.world.dwellers[name], calls.speak(active, PCM, self.world.now))
        return True

    @property
    def talking(self) -> list[str]:
        """Users who are in a call."""
        return [name for caller, callee, _ in self.calls for name in (caller, callee)]

    def spare(self, names: Iterable[str]) -> list[str]:
        """Those of ``names`` who are not in a call: who ends his program has hung up himself."""
        talking = dict.fromkeys(self.talking)
        return [name for name in names if name not in talking]

    def ordinary(self) -> list[str]:
        """Users whose machines serve nobody."""
        return [name for name in self.users if name not in self._serving]

    def spare_share(self, names: Sequence[str], share: float) -> list[str]:
        """``share`` of ``names``, of those who are in no call."""
        return self.rng.sample(self.spare(names), round(share * len(names)))

    # --- searches

    def search(self, who: str, name: str, *, recent: bool = False) -> None:
        """One user looks for another."""
        if who not in self.attached:
            return
        node = self.town.node(who)
        try:
            number, effects = node.searches.find(name, self.world.now)
        except UsageError:
            return
        self._searches[who, number] = Watched(name, self.world.now, recent)
        self.town.act(who, effects)

    def search_often(self, rate: float, seconds: float) -> None:
        """``rate`` searches a second, of one who is on line for another who is, for some time."""
        until = self.world.now + seconds

        def one() -> bool:
            names = self._pair()
            if names is not None:
                self.search(*names)
            return self.world.now < until

        self.world.every(1.0 / rate, one)

    def _pair(self) -> tuple[str, str] | None:
        for _ in range(20):
            one, other = self.rng.choice(self.users), self.rng.choice(self.users)
            if one != other and one in self.on_line and self.world.now - self.on_line.get(other, inf) > 5.0:
                return one, other
        return None

    def _searched(self, who: str, event: SearchDone, now: float) -> None:
        watched = self._searches.pop((who, event.number), None)
        if watched is None:
            return
        if not watched.recent and watched.name not in self.on_line:
            return  # he went off line meanwhile
        held = self.found_recent if watched.recent else self.found_on_line
        held.asked += 1
        if event.entries:
            held.found += 1
            self._newest[0] += self._is_newest(event.entries[0])
            self._newest[1] += 1
            held.latencies.append(now - watched.began)

    def _is_newest(self, entry: Entry) -> bool:
        """Whether a record leads to where its owner is now."""
        if not self.town.runs(entry.name):
            return True
        supernode = self.town.node(entry.name).join.supernode
        return supernode is None or entry.listing.supernode == supernode

    # --- what is counted

    def supernodes_now(self) -> list[str]:
        """Who is a supernode now, by birth or by promotion."""
        return [
            name
            for name, dweller in self.world.dwellers.items()
            if isinstance(dweller.mind, Node) and dweller.mind.supernode is not None
        ]

    def _sampled(self) -> bool:
        self._sample()
        return self.now < self._length + SAMPLE

    def _sample(self) -> None:
        now_supernodes = dict.fromkeys(self.supernodes_now())
        for name in [name for name in self._last_role if name not in now_supernodes]:
            if self.town.runs(name):
                self.shut_down += 1  # it runs on, and takes nobody in any more
            del self._last_role[name]
        refused = 0
        peak = 0.0
        for name in now_supernodes:
            self._last_role[name] = True
            desk = self.world.dwellers[name].desk
            if desk is not None:
                desk_before, before = self._attempts.get(name, (desk, 0.0))
                begun = desk.attempts - (before if desk is desk_before else 0)
                peak = max(peak, begun / (SAMPLE + self.setting.work.at_once))  # what a rested desk does in that time
                self._attempts[name] = desk, desk.attempts
                refused += desk.refused
        if self.series:  # before the first sample lies more than the time of one: that in which the calls were made
            self.attempts_peak = max(self.attempts_peak, peak)
        self.series.append(
            {
                "node_bytes_per_s": self.counting.lately(self.users, SAMPLE),
                "supernode_bytes_per_s": self.counting.lately(list(now_supernodes), SAMPLE),
                "time": round(self.now, 3),
                "on_line": len(self.on_line),
                "expected": len(self.expected),
                "supernodes": len(now_supernodes),
                "roles_changed": self.promoted + self.demoted,
                "joins": self.joins,
                "losses": self.losses,
                "dropped_handshakes": refused,
                "attempts_peak": peak,
                "calls": len(self.calls),
                "calls_lost": len(self.calls_lost),
                "delivered": self.world.delivered,
            }
        )

    # --- figures

    def until_back(self, since: float, whom: Iterable[str], most: float) -> float | None:
        """Let time pass until 99 of 100 of ``whom`` are on line; how long after ``since``, None: over ``most``."""
        names = list(whom)
        enough = REGISTERED * len(names)

        def back() -> bool:
            return sum(name in self.on_line for name in names) >= enough

        step = 1.0
        while self.now < since + most:
            if back():
                return max(0.0, self.now - since)
            self.run(min(step, since + most - self.now))
        return max(0.0, self.now - since) if back() else None

    def swings(self, since: float) -> int:
        """How often the number of supernodes has changed its direction from two minutes after ``since`` on."""
        counts = [sample["supernodes"] for sample in self.series if sample["time"] >= since + SETTLES]
        steps = [b - a for a, b in itertools.pairwise(counts) if b != a]
        return sum((a > 0) != (b > 0) for a, b in itertools.pairwise(steps))

    def drift(self, since: float, until: float = inf) -> float:
        """From two minutes after ``since`` on, the most changes of role within ten minutes, one of them left out, as a
        share of the supernodes.  Who dies changes no role, and who takes up again what he did before neither.
        """
        counts = [(one["time"], one["roles_changed"], one["supernodes"]) for one in self.series]
        counts = [one for one in counts if since + SETTLES <= one[0] <= until]
        worst = 0.0
        for i, (begin, before, supernodes) in enumerate(counts):
            after = max(changed for at, changed, _ in counts[i:] if at <= begin + WINDOW)
            worst = max(worst, (after - before - 1) / max(1, supernodes))
        return round(worst, 4)

    def outcome(self, scenario: str) -> Outcome:
        """What has come of it so far."""
        found, recent = self.found_on_line, self.found_recent
        mean_round_trip = MEDIAN * exp(SPREAD**2 / 2)
        figures: dict[str, Any] = {
            "supernodes_at_first": self.setting.supernodes,
            "supernodes_at_last": len(self.supernodes_now()),
            "promoted": self.promoted,
            "demoted": self.demoted,
            "virtual_seconds": round(self.now, 1),
            "messages": self.world.delivered,
            "joins": self.joins,
            "losses": self.losses,
            "joins_given_up": self.join_failures,
            "calls_under_way": len(self.calls),
            "calls_lost": len(self.calls_lost),
            "calls_lost_because": self.calls_lost[:5],
            "supernodes_shut_down": self.shut_down,
            "attempts_peak_per_s": round(self.attempts_peak, 2),
            "searches": found.asked,
            "search_success": _share(found.found, found.asked),
            "search_p50_ms": _ms(quantile(found.latencies, 0.5)),
            "search_p99_ms": _ms(quantile(found.latencies, 0.99)),
            "search_round_trips": round(fmean(found.latencies) / mean_round_trip, 3) if found.latencies else None,
            "recent_searches": recent.asked,
            "recent_success": _share(recent.found, recent.asked),
        }
        return Outcome(
            scenario,
            self.setting.seed,
            self.setting.nodes,
            self.setting.timings,
            figures,
            series=self.series,
            latencies=[round(latency, 4) for latency in found.latencies[:20_000]],
            map=self.map(),
        )

    def map(self) -> list[tuple[str, int, int]]:
        """(block, slot, how many supernodes hold it), as the supernodes themselves see their places."""
        counts: dict[tuple[str, int], int] = {}
        for name in self.supernodes_now():
            for place in places(self.town.node(name)):
                counts[place] = counts.get(place, 0) + 1
        return [(block, slot, members) for (block, slot), members in sorted(counts.items())]

    def upkeep(self) -> dict[str, float | None]:
        """Bytes a second of ordinary nodes and supernodes since counting began."""
        return self.counting.upkeep(self.spare(self.users), self.supernodes_now(), len(self.on_line))


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, 6) if whole else None


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else round(1_000 * seconds, 1)
