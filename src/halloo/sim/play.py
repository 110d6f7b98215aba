"""A stage for scenarios: a network that has come up, and what can be done to it.

The calls that are under way are in ``talks``, who looks for whom in ``lookups``, what is counted in ``sampling`` and
``reckoning``.

Everything is done by a node's public intents, and known by its events: what overlay, link and login do is not known
here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from math import ceil, inf
from random import Random
from typing import Any

from halloo.base.address import Address
from halloo.base.effects import Send
from halloo.base.errors import UsageError
from halloo.base.machine import Event, Message
from halloo.call.call import Answered, Ended, Rang
from halloo.node.node import Node
from halloo.node.profile import profile_named
from halloo.node.roles import Demoted, Promoted
from halloo.overlay.admission import Pace
from halloo.overlay.join import Joined, JoinFailed, Lost
from halloo.overlay.publish import Published
from halloo.overlay.search import SearchDone
from halloo.sim.counting import Counting
from halloo.sim.distances import Distances
from halloo.sim.figures import Outcome
from halloo.sim.lifetimes import Sessions
from halloo.sim.lookups import Lookups
from halloo.sim.minds import Dweller
from halloo.sim.mindtown import MindTown
from halloo.sim.overview import seating
from halloo.sim.population import Churn
from halloo.sim.reckoning import drift, outcome, share_of, swings
from halloo.sim.sampling import SAMPLE, Sampling
from halloo.sim.setting import Setting
from halloo.sim.settling import settle_users
from halloo.sim.talks import Talks
from halloo.sim.weak import WeakBuild

__all__ = ["Play", "Progress", "Setting"]

WARM = 300.0  # seconds at most until the network has come up; nobody's work is counted before
REGISTERED = 0.99  # of those who should be, for a recovery
Progress = Callable[[float], None]


class Play:
    """One network on the stage.  ``progress`` is told the share of the way that is done; ``present``: the share of
    the users who are there from the start.
    """

    degree = "minds"
    """Of truth."""

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
        self.talks, self.lookups = Talks(self), Lookups(self)
        self.calls, self.calls_lost = self.talks.under_way, self.talks.lost
        self.found_on_line, self.found_recent = self.lookups.on_line, self.lookups.recent
        self.expected: dict[str, None] = {}
        """Users who should be on line."""
        self.promoted = self.demoted = 0
        self.shut_down = 0
        self.counting = Counting(self.world)
        self._sampling = Sampling(self, self.counting)
        self.attempts_peak = 0.0
        self._weak = WeakBuild(self)
        self._newest = self.lookups.newest
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
        settle_users(self.town, self.setting, self.users)
        for i, name in enumerate(self.users[: ceil(self._present * len(self.users))]):
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
            self._weak.comes(name, dweller)

    def weaken(self, names: Iterable[str], weakness: Callable[[Message], bool], restarts: float) -> None:
        """From now on these end when they hear certain messages, and are started again after ``restarts`` seconds."""
        self._weak.begin(names, weakness, restarts)

    def crashed(self, name: str) -> None:
        """A program has ended by itself."""
        self._ended_program(name)
        self.world.plan(self._weak.restarts, self.start, name)

    @property
    def crashes(self) -> int:
        """Programs that have ended at a message."""
        return self._weak.crashes

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
        return share_of(*self._newest)

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
                self._sampling.left_in_order(name)
            case JoinFailed():
                self.join_failures += 1
            case SearchDone():
                self.lookups.ended(name, event, now)
            case Rang() | Answered() | Ended():
                self.talks.heard(name, event)
        if self.watch is not None:
            self.watch(dweller, event)

    # --- calls

    def _begin_calls(self) -> None:
        """Calls between users who have nothing else to do."""
        self.talks.begin(self.setting.calls)
        self.world.run(self.world.now + 60.0)
        self.calls_lost.clear()

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
        self.lookups.begin(who, name, recent=recent)

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
        return self.lookups.pair()

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
        self._sampling.sample()

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
        return swings(self.series, since)

    def drift(self, since: float, until: float = inf) -> float:
        """The most changes of role within ten minutes, from two minutes after ``since`` on (see ``reckoning``)."""
        return drift(self.series, since, until)

    def outcome(self, scenario: str) -> Outcome:
        """What has come of it so far."""
        return outcome(self, scenario)

    def map(self) -> list[tuple[str, int, int]]:
        """(block, slot, how many supernodes hold it), as the supernodes themselves see their places."""
        return seating(self.town.node(name) for name in self.supernodes_now())

    def upkeep(self) -> dict[str, float | None]:
        """Bytes a second of ordinary nodes and supernodes since counting began."""
        return self.counting.upkeep(self.spare(self.users), self.supernodes_now(), len(self.on_line))
