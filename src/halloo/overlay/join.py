"""Find a supernode, attach to it, keep it; find another when it is lost.

    node                          supernode
      | --- Probe (UDP) -----------> |
      | <-- ProbeAccept ------------ |
      | ===== link (UDP or TCP) ==== |
      | --- Attach ----------------> |
      | <-- Attached --------------- |
      | --- Ping, while idle ------> |

A round walks a ladder of rungs for several entries of the host cache: UDP, TCP to the same port, TCP 80, TCP 443.
The classic ladder is the article's: 5 s for UDP, then TCP, 80, 443, 6 s of waiting, five rounds and out.  The
default one is staggered, so that a node without UDP is on line in a second, and backs off with full jitter.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from math import inf
from random import Random

from halloo.base.address import Address, Peer, Route, Stream, Wire
from halloo.base.effects import Link, Send, Unlink
from halloo.base.machine import Effect, Effects, Event, Message, Numbers, Timers
from halloo.messages.overlay import Attach, Attached, AttachRefused, Leave, Ping, Pong, Probe, ProbeAccept, ProbeRefuse
from halloo.overlay.hostcache import HostCache

__all__ = ["Join", "JoinFailed", "JoinTimings", "Joined", "Ladder", "Lost", "State", "Way"]


LONGEST_DOUBLING = 16  # times that the pause between rounds doubles: every cap is reached by then


class Way(Enum):
    """A rung: how a supernode is tried."""

    UDP = 0
    TCP = -1
    TCP_80 = 80
    TCP_443 = 443
    PROXY = 8080
    """TCP 443 by way of the HTTP proxy of this machine, where it has one."""


@dataclass(frozen=True, slots=True)
class Ladder:
    """When, in seconds from the begin of a round, each way is tried, and by how much the entries are staggered."""

    rungs: tuple[tuple[float, Way], ...]
    entries: int
    stagger: float
    round: float
    """How long a round lasts, in seconds, before it counts as failed."""


@dataclass(frozen=True, slots=True)
class JoinTimings:
    """How joining is paced.  Seconds throughout."""

    ladder: Ladder
    rounds: int
    """Rounds after which the node gives up; 0: never."""
    pause: float
    """Between rounds: the same each time (``jitter`` off), or the cap of a doubling, jittered back-off."""
    jitter: bool
    ping: float
    """Between signs of life on an idle link."""


class State(Enum):
    """Where joining stands."""

    IDLE = 0
    CLIMBING = 1
    PAUSING = 2
    ATTACHED = 3
    FAILED = 4


class Timer(Enum):
    """What is waited for."""

    STEP = 0
    ROUND = 1
    PING = 2


@dataclass(frozen=True, slots=True)
class Joined(Event):
    """On line: attached to ``supernode`` by the link ``peer``, seen from there as ``observed``."""

    peer: Peer
    supernode: Address
    observed: Address | None
    way: str
    took: float
    """Seconds since joining began."""


@dataclass(frozen=True, slots=True)
class Lost(Event):
    """The supernode was lost; another one is being looked for."""

    supernode: Address
    reason: str


@dataclass(frozen=True, slots=True)
class JoinFailed(Event):
    """No supernode could be reached in the rounds there are."""

    tried: tuple[Address, ...]


@dataclass(slots=True)
class _Attempt:
    address: Address
    route: Route
    up: bool = False


@dataclass(slots=True)
class Join:
    """One node's way into the network."""

    timings: JoinTimings
    cache: HostCache
    node: bytes
    port: int
    rng: Random
    peers: Numbers
    streams: Numbers
    requests: Numbers
    wall: float
    has_proxy: bool = False
    state: State = State.IDLE
    peer: Peer | None = None
    supernode: Address | None = None
    timers: Timers = field(default_factory=Timers)
    _began: float = 0.0
    _round: int = 0
    _steps: list[tuple[float, Way, Address]] = field(default_factory=list)
    _probes: dict[Address, int] = field(default_factory=dict)
    _attempts: dict[Peer, _Attempt] = field(default_factory=dict)
    _tried: dict[Address, None] = field(default_factory=dict)

    @property
    def wake_at(self) -> float:
        """When ``wake`` has something to do."""
        return self.timers.next

    # --- intents

    def begin(self, now: float) -> Effects:
        """Look for a supernode.  Harmless while one is there or being looked for."""
        if self.state in (State.CLIMBING, State.PAUSING, State.ATTACHED):
            return []
        self._began, self._round = now, 0
        self._tried.clear()
        return self._climb(now)

    def leave(self) -> Effects:
        """Say goodbye and stay off line."""
        out: Effects = [Send(self.peer, Leave()), Unlink(self.peer, "left")] if self.peer is not None else []
        out += self._drop_attempts()
        self.state, self.peer, self.supernode = State.IDLE, None, None
        self.timers.clear()
        return out

    # --- what is heard

    def probed(self, message: ProbeAccept | ProbeRefuse, route: Route, now: float) -> Effects:
        """An answer to a probe."""
        if not isinstance(route, Wire) or self._probes.get(route.address) != message.request:
            return []
        if isinstance(message, ProbeRefuse):
            self.cache.add(message.supernodes)
            return []
        if self.state is not State.CLIMBING:
            return []
        del self._probes[route.address]
        return self._attempt(route.address, route)

    def up(self, peer: Peer, now: float) -> Effects:
        """A link stands."""
        attempt = self._attempts.get(peer)
        if attempt is None:
            return []
        attempt.up = True
        return [Send(peer, Attach(node=self.node, port=self.port, request=self.requests() & 0xFFFF))]

    def down(self, peer: Peer, reason: str, now: float) -> Effects:
        """A link ended or never stood."""
        attempt = self._attempts.pop(peer, None)
        if attempt is not None:
            self.cache.failed(attempt.address)
        if peer != self.peer or self.supernode is None:
            return []
        lost = Lost(self.supernode, reason)
        self.cache.failed(self.supernode)
        self.peer, self.supernode, self.state = None, None, State.IDLE
        self.timers.clear()
        return [lost, *self.begin(now)]

    def receive(self, message: Message, sender: Peer, now: float) -> Effects:
        """What a supernode says."""
        match message:
            case Attached():
                return self._attached(message, sender, now)
            case AttachRefused() if sender in self._attempts:
                self.cache.add(message.supernodes)
                del self._attempts[sender]
                return [Unlink(sender, "refused")]
            case Pong():
                return []
        return []

    def wake(self, now: float) -> Effects:
        """Take the next rung, begin the next round, or show a sign of life."""
        out: Effects = []
        for timer in self.timers.due(now):
            match timer:
                case Timer.STEP:
                    out += self._step(now)
                case Timer.ROUND if self.state is State.PAUSING:
                    out += self._climb(now)
                case Timer.ROUND:
                    out += self._round_over(now)
                case Timer.PING if self.peer is not None:
                    self.timers[Timer.PING] = now + self.timings.ping
                    out.append(Send(self.peer, Ping(request=self.requests() & 0xFFFF)))
        return out

    # --- inside

    def _climb(self, now: float) -> Effects:
        self.state = State.CLIMBING
        ladder = self.timings.ladder
        entries = self.cache.best(ladder.entries, self.rng)
        self._steps = sorted(
            (
                (now + at + i * ladder.stagger, way, address)
                for i, address in enumerate(entries)
                for at, way in ladder.rungs
                if way is not Way.PROXY or self.has_proxy
            ),
            key=lambda step: step[0],
        )
        self.timers[Timer.ROUND] = now + (ladder.round if entries else 0.0)
        return self._step(now)

    def _step(self, now: float) -> Effects:
        out: Effects = []
        while self._steps and self._steps[0][0] <= now:
            _, way, address = self._steps.pop(0)
            self._tried[address] = None
            if way is Way.UDP:
                request = self.requests() & 0xFFFF
                self._probes[address] = request
                out.append(Send(Wire(address), Probe(request=request)))
            elif not any(attempt.address == address and attempt.up for attempt in self._attempts.values()):
                # A way that is still being tried is no reason to wait: a firewall may drop it without a word.
                port = {Way.TCP: address.port, Way.PROXY: Way.TCP_443.value}.get(way, way.value)
                there = Address(address.host, port)
                out += self._attempt(address, Stream(self.streams(), there, proxied=way is Way.PROXY))
        self.timers[Timer.STEP] = self._steps[0][0] if self._steps else inf
        return out

    def _attempt(self, address: Address, route: Route) -> Effects:
        peer = Peer(self.peers())
        self._attempts[peer] = _Attempt(address, route)
        return [Link(peer, route)]

    def _attached(self, message: Attached, sender: Peer, now: float) -> Effects:
        self.cache.add(message.supernodes)
        attempt = self._attempts.pop(sender, None)
        if attempt is None or self.state is not State.CLIMBING:
            return []
        self.state, self.peer, self.supernode = State.ATTACHED, sender, attempt.address
        self.cache.succeeded(attempt.address, now + self.wall)
        self.timers.clear()
        self.timers[Timer.PING] = now + self.timings.ping * (0.5 + self.rng.random() / 2)
        self._steps.clear()
        self._probes.clear()
        joined = Joined(sender, attempt.address, message.observed, _way(attempt.route), now - self._began)
        return [*self._drop_attempts(), joined]

    def _drop_attempts(self) -> list[Effect]:
        dropped: list[Effect] = [Unlink(peer, "not needed") for peer in self._attempts]
        self._attempts.clear()
        return dropped

    def _round_over(self, now: float) -> Effects:
        for address in self._probes:
            self.cache.failed(address)
        self._probes.clear()
        out: Effects = self._drop_attempts()
        self._steps.clear()
        self.timers.pop(Timer.STEP, None)
        self._round += 1
        if self.timings.rounds and self._round >= self.timings.rounds:
            self.state = State.FAILED
            return [*out, JoinFailed(tuple(self._tried))]
        pause = self.timings.pause
        if self.timings.jitter:
            pause = self.rng.random() * min(pause, 2.0 ** min(self._round, LONGEST_DOUBLING))
        self.state = State.PAUSING
        self.timers[Timer.ROUND] = now + pause
        return out


def _way(route: Route) -> str:
    """How a supernode is reached, for people."""
    if not isinstance(route, Stream):
        return "udp"
    return f"tcp {route.address.port}{' by the proxy' if route.proxied else ''}"
