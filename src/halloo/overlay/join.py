"""Find a supernode, attach to it, keep it; find another when it is lost.

    node                          supernode
      | --- Probe (UDP) -----------> |
      | <-- ProbeAccept ------------ |
      | ===== link (UDP or TCP) ==== |
      | --- Attach ----------------> |
      | <-- Attached --------------- |
      | --- Ping, while idle ------> |

A round walks a ladder of rungs for several entries of the host cache: UDP, TCP to the same port, TCP 80, TCP 443.
By default a Probe goes first over a connection, too: that costs a round trip, and no handshake is begun, which is the
work, for which nobody has time.
The classic ladder is the article's: 5 s for UDP, then TCP, 80, 443, 6 s of waiting, five rounds and out.  The
default one is staggered, so that a node without UDP is on line in a second, and backs off with full jitter.

Where supernodes have more to do than they can, a node that is patient does what they say:

    node                          busy supernodes
      | --- Probe -----------------> |  to several
      | <-- ProbeRefuse: in 9 s ---- |  each tells how long one would wait, and gives a proof of having asked
      | --- Probe: proof ----------> |  to the one where that is shortest
      | <-- ProbeRefuse: ticket ---- |  a place in its line: the appointment
      |     9 s                      |
      | --- Probe: ticket ---------> |
      | <-- ProbeAccept ------------ |

It asks nobody else before the time that he named; supernodes that a refusal names are asked next.  While it waits for
long it looks again now and then, and asks where it waits as well: there it hears who has come to help.

When its supernode is lost, a node asks at once, first the spares that ``scout`` has kept warm: a person may stand
before the phone, and who lost his supernode alone is on line again after a round trip and a handshake.  That many may
have lost theirs together is no reason to wait in the dark: what is sent at once is a probe of a few bytes that costs
its reader no state, and whoever is busy answers it with a time.  The handshake, which is what wore supernodes down in
the great outages, comes when one is told to come; so the crowd is spread over as long as it takes, by those who know
how long that is.  Of whom the node has a ticket, the first spare is not probed: the way back to it costs so little that
its first datagram says Attach (see ``returns``).  Where nobody answers at all, the full-jitter back-off spreads what
follows.
"""

from __future__ import annotations

from bisect import insort
from dataclasses import dataclass, field
from enum import Enum
from math import inf
from random import Random

from halloo.base.address import Address, Peer, Route, Stream, Wire
from halloo.base.effects import Link, Send, Unlink
from halloo.base.machine import Effects, Event, Message, Numbers, Timers
from halloo.messages.overlay import Attach, Attached, AttachRefused, Leave, Ping, Pong, Probe, ProbeAccept, ProbeRefuse
from halloo.messages.role import Move
from halloo.overlay.hostcache import CAPACITY, HostCache, Source
from halloo.overlay.ladder import JoinTimings, Ladder, Way, said_way
from halloo.overlay.promises import Promise, Promises
from halloo.overlay.returns import Returns
from halloo.overlay.scout import Scout
from halloo.overlay.tries import HOLD, Attempt, Tries, closed

__all__ = ["Join", "JoinFailed", "JoinTimings", "Joined", "Ladder", "Lost", "Shifted", "State", "Way"]


READY_AGAIN = 5.0  # seconds after which a node that said for the first time that it is ready shows another sign of life
LONGEST_DOUBLING = 16  # times that the pause between rounds doubles: every cap is reached by then
GATHER = 0.8  # seconds in which the answers of all who were asked in a round come, before one is chosen
NO_ANSWER = 1.0  # seconds after which a probe with a ticket is said again, or the next best is asked
ALONE = 1.5  # seconds that only the appointment is kept, before others are tried as well
REFERRED = 8  # supernodes named in refusals that are tried in one round
SOONEST = 0.5  # seconds before which no appointment is, whatever the supernode says
LOOK_AGAIN = 5.0  # seconds, at least, between two looks for somebody with less to do while an appointment is waited for
LOOK_MOST = 45.0  # seconds, at most: where lines are long, others step in
HINTS_EVERY = 5.0  # seconds between two rounds that begin because the local network told of somebody
SHUNNED_FOR = 3_600.0  # seconds for which a supernode is not asked that was caught lying
MOST_SHUNNED = 64  # supernodes remembered for that
FLEE_AGAIN = 15.0  # seconds, about, to the next look for another than a liar, where nobody had room
MOST_TRIED = 2 * CAPACITY  # addresses that are told of where a search has failed


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
    CHOOSE = 3
    FLEE = 4


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
class Shifted(Event):
    """Our supernode retires, and we are attached to another: the link ``left`` to the old one still stands."""

    left: Peer


@dataclass(frozen=True, slots=True)
class JoinFailed(Event):
    """No supernode could be reached in the rounds there are."""

    tried: tuple[Address, ...]


_Step = tuple[float, int, Way, Address]
"""When, in which order of equals, how, where."""


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
    scout: Scout = field(init=False)
    returns: Returns = field(init=False)
    _began: float = 0.0
    _round: int = 0
    _ends: float = 0.0
    """When the round does, whatever comes between."""
    _steps: list[_Step] = field(default_factory=list)
    _order: Numbers = field(default_factory=Numbers)
    _tries: Tries = field(init=False)
    _tried: dict[Address, None] = field(default_factory=dict)
    _turned: dict[Address, None] = field(default_factory=dict)
    """Who had his turn since all had theirs."""
    _silent: dict[Address, None] = field(default_factory=dict)
    """Who did not answer in this search: his failure, if anybody else does; otherwise it may be our own line."""
    _promises: Promises = field(default_factory=Promises)
    _heard_by_udp: bool = False
    """Whether a probe was answered in this search: connections are for those whose datagrams do not pass."""
    ready: bool = False
    """Whether we would be a supernode: our own one hears of it, soon the first time."""
    _said_ready: bool = False
    _shunned: dict[Address, float] = field(default_factory=dict)
    """Who was caught lying, and until when that counts."""
    _moving: bool = False
    """Whether another supernode is looked for while ours still serves us."""
    _referred: int = 0
    _hinted: float = -inf

    def __post_init__(self) -> None:
        self._tries = Tries(self.streams, self.requests)
        self.returns = Returns(self.rng, self.peers, self.wall)
        self.scout = Scout(self.cache, self.rng, self.requests, self.wall, self.returns.holds)

    @property
    def wake_at(self) -> float:
        """When ``wake`` has something to do."""
        return min(self.timers.next, self.scout.wake_at, self.returns.wake_at)

    # --- intents

    def begin(self, now: float) -> Effects:
        """Look for a supernode.  Harmless while one is there or being looked for."""
        if self.state in (State.CLIMBING, State.PAUSING, State.ATTACHED):
            return []
        self._began, self._round = now, 0
        self._tried.clear()
        self._turned.clear()
        self._silent.clear()
        self._heard_by_udp = False
        return self._climb(now)

    def leave(self) -> Effects:
        """Say goodbye and stay off line."""
        out: Effects = [Send(self.peer, Leave()), Unlink(self.peer, "left")] if self.peer is not None else []
        out += self._tries.drop()
        self.state, self.peer, self.supernode, self._moving = State.IDLE, None, None, False
        self._steps.clear()
        self._promises.forget()
        self.timers.clear()
        self.scout.rest()
        return out + self.returns.rest()

    def heard_of(self, addresses: tuple[Address, ...], now: float) -> Effects:
        """Supernodes that were found on the local network.  While one is looked for, they are tried at once."""
        new = self.cache.add(addresses, source=Source.LAN, wall=now + self.wall)
        if self.state is State.CLIMBING:
            return self._refer(new, Way.UDP, now)
        waiting = self.state is State.PAUSING and self._promises.appointment is None
        if new and waiting and now >= self._hinted + HINTS_EVERY:
            self._hinted = now
            self.timers.clear()
            return self._climb(now)
        return []

    def be_ready(self, now: float, *, ready: bool) -> None:
        """Whether we would be a supernode: if we would from now on, our own one hears of it at once."""
        if ready and not self.ready and self.state is State.ATTACHED:
            self.timers[Timer.PING] = now
        self.ready = ready

    def shun(self, now: float) -> Effects:
        """Our supernode does not do what it says: look for another one, and do not ask it again for an hour.

        Where nobody has room it serves us until somebody has: we ask until then.
        """
        if self.state not in (State.ATTACHED, State.CLIMBING) or self.supernode is None:
            return []
        self._shunned.pop(self.supernode, None)
        if len(self._shunned) >= MOST_SHUNNED:
            del self._shunned[next(iter(self._shunned))]
        self._shunned[self.supernode] = now + SHUNNED_FOR
        self.cache.failed(self.supernode, now + self.wall)
        return self._look_elsewhere(self.supernode, now) if self.state is State.ATTACHED else []

    def attach_by(self, peer: Peer, supernode: Address, now: float) -> Effects:
        """Nobody else is there: attach to ``supernode``, which ``peer`` leads to already.  Nothing while on line."""
        if self.state is State.ATTACHED:
            return []
        out: Effects = [*self._stop_climbing()]
        self.state = State.CLIMBING
        self._tries.attempts[peer] = Attempt(supernode, Wire(supernode), now, Way.UDP, up=True)
        return [*out, Send(peer, Attach(node=self.node, port=self.port, request=self.requests() & 0xFFFF))]

    # --- what is heard

    def probed(self, message: ProbeAccept | ProbeRefuse, route: Route, now: float) -> Effects:
        """An answer to a probe."""
        if not isinstance(route, Wire | Stream):
            return []
        if isinstance(route, Wire) and self.scout.hear(message, route.address, now):
            willing = isinstance(message, ProbeAccept)
            return self.returns.at_leisure(route.address, self.scout.spares, now) if willing else []
        probe = self._tries.answered(route, message.request) if self.state is State.CLIMBING else None
        if probe is None:
            return []
        address, way = probe.address, probe.way
        self._silent.pop(address, None)
        self._heard_by_udp = self._heard_by_udp or way is Way.UDP
        held = self._held_until(now)
        if isinstance(message, ProbeAccept) and held <= now and not self._comes_to(address, way):
            return self._attempt(address, probe.route, way, now, now - probe.at)
        out = closed(probe.route)
        if isinstance(message, ProbeRefuse):
            return out + self._refused(message, address, way, now, has_place=probe.with_ticket)
        return out if self._comes_to(address, way) else out + self._plan(held, way, address, now)

    def tries(self, peer: Peer) -> bool:
        """Whether a link was begun in order to attach."""
        return peer in self._tries.attempts

    def up(self, peer: Peer, now: float) -> Effects:
        """A link stands."""
        attempt = self._tries.attempts.get(peer)
        if attempt is None:
            return self.returns.up(peer)
        attempt.up = True
        return [] if attempt.returning else [self._attach(peer, attempt.address)]

    def down(self, peer: Peer, reason: str, now: float) -> Effects:
        """A link ended or never stood."""
        self.returns.down(peer)
        attempt = self._tries.attempts.pop(peer, None)
        if attempt is not None:
            self._silent[attempt.address] = None
            if attempt.way is Way.UDP:
                self._heard_by_udp = False  # a probe passes and a handshake does not: large datagrams may be lost here
        if peer != self.peer or self.supernode is None:
            return []
        lost = Lost(self.supernode, reason)
        self.cache.failed(self.supernode, now + self.wall)
        self.peer, self.supernode, self.state, self._moving = None, None, State.IDLE, False
        self.timers.clear()
        self.scout.rest()
        return [lost, *self.returns.rest(), *self.begin(now)]

    def receive(self, message: Message, sender: Peer, now: float) -> Effects:
        """What a supernode says."""
        match message:
            case Attached():
                return self._attached(message, sender, now)
            case AttachRefused() if sender in self._tries.attempts:
                attempt = self._tries.attempts.pop(sender)
                out: Effects = [Unlink(sender, "refused")]
                if attempt.returning and message.ticket:
                    out = self.returns.stay(sender, attempt.address, now)
                if self.state is State.CLIMBING:
                    out += self._refused(message, attempt.address, attempt.way, now, has_place=True)
                return out
            case Pong() if sender == self.peer and self.supernode is not None:
                self.cache.add(message.supernodes, self.supernode, wall=now + self.wall)
            case Move() if sender == self.peer and self.state is State.ATTACHED:
                return self._move(message, now)
        return []

    def wake(self, now: float) -> Effects:
        """Take the next rung, begin the next round, or show a sign of life."""
        out: Effects = self.scout.wake(now) if self.scout.wake_at <= now else []
        out += self.returns.wake(now) if self.returns.wake_at <= now else []
        for timer in self.timers.due(now):
            match timer:
                case Timer.STEP:
                    out += self._step(now)
                case Timer.CHOOSE:
                    out += self._choose(now)
                case Timer.ROUND if self.state is State.PAUSING:
                    out += self._climb(now)
                case Timer.ROUND:
                    out += self._round_over(now)
                case Timer.FLEE if self.state is State.ATTACHED and self.supernode is not None:
                    out += self._look_elsewhere(self.supernode, now)
                case Timer.PING if self.peer is not None:
                    soon = self.ready and not self._said_ready  # it counts us now, and tells us the chance then
                    self._said_ready = self.ready
                    self.timers[Timer.PING] = now + (READY_AGAIN if soon else self.timings.ping)
                    out.append(Send(self.peer, Ping(ready=self.ready, request=self.requests() & 0xFFFF)))
        return out

    # --- to another one

    def _move(self, message: Move, now: float) -> Effects:
        """Our supernode retires: look for another, and keep it until that one has taken us."""
        assert self.supernode is not None
        others = [one for one in message.supernodes if one != self.supernode]
        self.cache.add(others, self.supernode, wall=now + self.wall)
        return self._look_elsewhere(self.supernode, now)

    def _look_elsewhere(self, but: Address, now: float) -> Effects:
        self._began, self._round, self._moving = now, 0, True
        self._tried.clear()
        self._turned = dict.fromkeys([but])
        self._silent.clear()
        self._heard_by_udp = False
        return self._climb(now)

    def _stay(self, now: float) -> Effects:
        """Nobody has taken us so far.  If our supernode retires it will say so again; if it lies, we look again."""
        out = self._stop_climbing()
        self.state, self._moving = State.ATTACHED, False
        self.timers[Timer.PING] = now
        if self._fleeing(now):
            others = [address for address in self.cache.addresses() if self._shunned.get(address, 0.0) <= now]
            again = now + FLEE_AGAIN * (0.5 + self.rng.random())
            self.timers[Timer.FLEE] = self._promises.first_of(others, now) or again
        else:
            self._promises.forget()
        return out

    def _fleeing(self, now: float) -> bool:
        """Whether the supernode that we have was caught lying."""
        return self.supernode is not None and self._shunned.get(self.supernode, 0.0) > now

    # --- a round

    def _climb(self, now: float) -> Effects:
        self.state, self._referred = State.CLIMBING, 0
        self._promises.offers.clear()
        ladder, begin = self.timings.ladder, now
        self._steps = []
        due, entries = self._promises.due(now), self._entries(now)
        back = next((one for one in entries if self.returns.holds(one, now)), None) if due is None else None
        if back is not None:
            begin = now + HOLD
            insort(self._steps, (now, self._order(), Way.UDP, back))
        if due is not None:
            begin = now + ALONE
            self._round += 1  # one that only ever makes appointments is to be asked more and more seldom
            for at in (now, now + NO_ANSWER):
                insort(self._steps, (at, self._order(), due.way, due.address))
        waits = self._promises.appointment
        if waits is not None and waits.way is Way.UDP and waits.at > begin + ladder.round:
            insort(self._steps, (now, self._order(), Way.UDP, waits.address))
        for i, address in enumerate(one for one in entries if one != back):
            for at, way in ladder.rungs:
                if way is not Way.PROXY or self.has_proxy:
                    insort(self._steps, (begin + at + i * ladder.stagger, self._order(), way, address))
        self._ends = begin + ladder.round if self._steps else now
        self.timers[Timer.ROUND] = min(self._ends, waits.at) if waits is not None else self._ends
        return self._step(now)

    def _entries(self, now: float) -> list[Address]:
        """Whom to try in this round: spares, then the best of the cache, none twice before all had their turn."""
        most = self.timings.ladder.entries
        not_now = {*self._promises.not_now(now), *(one for one, until in self._shunned.items() if until > now)}
        if self._moving and self.supernode is not None:
            not_now = {*not_now, self.supernode}
        spares = [spare for spare in self.scout.spares if spare not in not_now and spare not in self._turned]
        chosen = spares[:most]
        but = {*not_now, *self._turned, *chosen}
        chosen += self.cache.best(most - len(chosen), self.rng, now + self.wall, but)
        if len(chosen) < most:
            self._turned.clear()
            chosen += self.cache.best(most - len(chosen), self.rng, now + self.wall, {*not_now, *chosen})
        self._turned.update(dict.fromkeys(chosen))
        return chosen

    def _step(self, now: float) -> Effects:
        out: Effects = []
        while self._steps and self._steps[0][0] <= now:
            _, order, way, address = self._steps.pop(0)
            if self._promises.waits(address, now) and not self._promises.kept(address, way):
                continue
            needless = way is not Way.UDP and self._heard_by_udp and self.timings.patient
            if needless and self._promises.way(address) is not way:
                continue
            held = self._held_until(now)
            if held > now:
                insort(self._steps, (held, order, way, address))
                continue
            if len(self._tried) < MOST_TRIED:
                self._tried[address] = None
            if way is Way.UDP and self.returns.holds(address, now) and not self._tries.attempts:
                out += self._attempt(address, Wire(address), way, now)
            elif not self._comes_to(address, way):
                out += self._probe(address, way, now)
        self.timers[Timer.STEP] = self._steps[0][0] if self._steps else inf
        return out

    def _comes_to(self, address: Address, way: Way) -> bool:
        return self._tries.comes_to(address, way, patient=self.timings.patient)

    def _held_until(self, now: float) -> float:
        return self._tries.held_until(now, patient=self.timings.patient)

    def _plan(self, at: float, way: Way, address: Address, now: float) -> Effects:
        """Take a rung later; what is due of the others now."""
        insort(self._steps, (at, self._order(), way, address))
        return self._step(now)

    def _probe(self, address: Address, way: Way, now: float) -> Effects:
        if way is not Way.UDP and not self.timings.patient:
            return self._attempt(address, self._tries.route(address, way), way, now)  # the article asks over UDP alone
        return self._tries.probe(address, way, self._promises.ticket(address), now)

    def _attempt(
        self, address: Address, route: Wire | Stream, way: Way, now: float, round_trip: float = 0.0
    ) -> Effects:
        peer, ticket = Peer(self.peers()), self.returns.take(address, now) if way is Way.UDP else b""
        self._tries.attempts[peer] = Attempt(address, route, now, way, round_trip, returning=bool(ticket))
        return [Link(peer, route, ticket=ticket), self._attach(peer, address)] if ticket else [Link(peer, route)]

    def _attach(self, peer: Peer, address: Address) -> Send:
        ticket = self._promises.ticket(address)
        return Send(peer, Attach(node=self.node, port=self.port, ticket=ticket, request=self.requests() & 0xFFFF))

    # --- refusals

    def _refused(
        self, message: ProbeRefuse | AttachRefused, address: Address, way: Way, now: float, *, has_place: bool
    ) -> Effects:
        """A supernode that cannot take us now.  ``has_place``: and has kept us a place, as far as it keeps any."""
        self.cache.add(message.supernodes, address, wall=now + self.wall)
        if not self.timings.patient or (self._moving and not self._fleeing(now)):
            return self._refer(message.supernodes, way, now)
        soonest = min(self.timings.pause, SOONEST * 2.0 ** min(self._round, LONGEST_DOUBLING))
        at = now + max(soonest, message.retry_after + self.rng.random() / 4)
        promise = Promise(address, at, message.ticket or b"", way)
        self._promises.hear(promise)
        out = self._refer(message.supernodes, way, now)
        if self._moving or not message.ticket:
            return out  # we have somebody until then, or no place is kept there
        if not has_place:
            self._promises.offers[address] = promise
            self.timers[Timer.CHOOSE] = min(self.timers.get(Timer.CHOOSE, inf), now + GATHER)
            return out
        if self._promises.again(promise):
            return out
        out += self._give_back(self._promises.keep(promise))
        return out if self._tries.attempts else [*out, *self._pause(now)]

    def _refer(self, addresses: list[Address] | tuple[Address, ...], way: Way, now: float) -> Effects:
        """Supernodes that we were told of are tried next, as far as they are new in this search, by the same way."""
        for address in addresses:
            if self._shunned.get(address, 0.0) > now:
                continue
            if self._referred < REFERRED and address in self.cache and address not in self._turned:
                self._referred += 1
                self._turned[address] = None
                at = now + self.timings.ladder.stagger * self._referred
                insort(self._steps, (at, self._order(), way, address))
        return self._step(now)

    def _give_back(self, promise: Promise | None) -> Effects:
        """A place that we do not need, because there is a sooner one, or we are on line: somebody else may have it.

        Where a connection would have to be made to say so, the place runs out by itself.
        """
        if promise is None or promise.way is not Way.UDP:
            return []
        return [Send(Wire(promise.address), Probe(only_asking=True, ticket=promise.ticket))]

    def _choose(self, now: float) -> Effects:
        """All who were asked have had time to say how long one would wait: ask for a place where it is shortest."""
        if self.state is not State.CLIMBING or self._tries.attempts or not self._promises.offers:
            return []
        best = self._promises.best_offer(self.rng)
        if best is None:
            return self._pause(now)
        del self._promises.offers[best.address]
        self.timers[Timer.CHOOSE] = now + NO_ANSWER
        return self._probe(best.address, best.way, now)

    # --- the end of a round

    def _attached(self, message: Attached, sender: Peer, now: float) -> Effects:
        attempt = self._tries.attempts.pop(sender, None)
        teller = attempt.address if attempt else self.supernode if sender == self.peer else None
        if teller is not None:
            self.cache.add(message.supernodes, teller, wall=now + self.wall)
        if attempt is None or self.state is not State.CLIMBING:
            return []
        left = self.peer if self._moving else None
        self.state, self.peer, self.supernode, self._moving = State.ATTACHED, sender, attempt.address, False
        self.cache.succeeded(attempt.address, now + self.wall, attempt.round_trip)
        for address in self._silent:
            if address != attempt.address:
                self.cache.failed(address, now + self.wall)
        self.timers.clear()
        self.timers[Timer.PING] = now + self.timings.ping * (0.5 + self.rng.random() / 2)
        self._steps.clear()
        self._silent.clear()
        out: Effects = self._give_back(self._promises.appointment)
        self._promises.forget()
        if attempt.way is Way.UDP:
            self.scout.attached(attempt.address, now)
            self.returns.attached(now)
        joined = Joined(sender, attempt.address, message.observed, said_way(attempt.route), now - self._began)
        out += [*self._tries.drop(), joined]
        return out if left is None else [*out, Shifted(left)]

    def _round_over(self, now: float) -> Effects:
        if self._tries.attempts and now < self._ends:
            self.timers[Timer.ROUND] = self._ends  # it is time for the appointment, but another takes us, perhaps
            return []
        self._silent |= dict.fromkeys(self._tries.unheard())
        if self._moving:
            return self._stay(now)
        self._round += 1
        if self.timings.rounds and self._round >= self.timings.rounds:
            out = self._stop_climbing()
            self.state = State.FAILED
            return [*out, JoinFailed(tuple(self._tried))]
        return self._pause(now)

    def _stop_climbing(self) -> Effects:
        self._steps.clear()
        self._promises.offers.clear()
        self.timers.clear()
        return self._tries.drop()

    def _pause(self, now: float) -> Effects:
        """Wait: for the appointment, for the first of those who all said later, or as the back-off says."""
        out = self._stop_climbing()
        self.state = State.PAUSING
        until = now + self.timings.pause
        if self.timings.jitter:
            most = min(self.timings.pause, 2.0 ** min(self._round, LONGEST_DOUBLING))
            until = now + self.rng.random() * most
        appointment = self._promises.appointment
        if appointment is not None:
            until = min(appointment.at, now + min(LOOK_MOST, max(LOOK_AGAIN, (appointment.at - now) / 2)))
        elif self.timings.patient:
            until = self._promises.first_of(self.cache.addresses(), now) or until
        self.timers[Timer.ROUND] = until
        return out
