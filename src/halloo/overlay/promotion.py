"""When an ordinary node becomes a supernode, and when it stops being one.

    node                         own supernode              third nodes
      | --- ReachAsked -----------> |                          |
      |                             | --- ReachPassed -------> |
      | <-- Reached (open) ----------------------------------- |   counts only from who was never written to
      | --- Ping: ready ----------> |
      | <-- Pong: wanted ---------- |   with this chance, and if others see it too, become one

Nobody serves without his owner's consent.  What a node is fit for is measured, not claimed: strangers reach it, it has
been on line for a while, and the machine has power to spare.  Need comes from the supernodes; chance keeps all who hear
of it from stepping in at once; whether others see the same need is asked of them (``opinions.py``).
Who stops waits for long before he serves again, so that nobody flaps.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from math import inf
from random import Random

from halloo.base.address import Address, Peer, Route, Wire
from halloo.base.effects import Send
from halloo.base.machine import Effects, Event, Numbers, Timers
from halloo.messages.overlay import ProbeAccept, ProbeRefuse
from halloo.messages.role import ReachAnswer, ReachAsked, Reached
from halloo.overlay.hearsay import is_loopback, is_private
from halloo.overlay.opinions import Opinions

__all__ = ["Called", "Consent", "Dismissed", "Lending", "Promotion", "Strength"]

UPTIME = 300.0  # seconds on line before a node may serve: who stays five minutes mostly stays for hours
PROVEN_BY = 2  # third nodes that have to reach it: one may lie
BINDING = 86_400.0  # seconds for which a box may let in who was written to: some never forget while the port is in use
SHORT_BINDING = 180.0  # seconds: the same for a supernode, which has shown that no box stands before it
PROOF_FOR = 1_800.0  # seconds that a proof counts
PROVE_EVERY = 600.0  # seconds between proofs of who is reached
PROVE_AGAIN = 60.0  # seconds until the next try of who was not, then twice as long each time
PROVE_SELDOM = 3_600.0  # seconds up to which that grows
IN_VAIN = 4  # third nodes that have tried and failed, before a supernode takes itself for unreachable
LEAST_UPLOAD = 5_000.0  # bytes/s: what the classic network took of a supernode at most
LEAST_MEMORY = 64e6  # bytes free: eight hundred nodes and their records take a half of it
RESTS_FOR = 3_600.0  # seconds after serving before a node serves again
WEIGHED_EVERY = 600.0  # seconds between looks at whether the block could do without us
IDLE_FOR = 7_200.0  # seconds for which it has to, before anybody leaves: a day has its hours
LEAVE_AT_ONCE = 0.005  # of a block, who leaves between two such looks at most: its number drifts, it does not jump
DRAWS_EVERY = 20.0  # seconds in which a node draws once whether it steps in, however many tell it of the need
MOST_TOLD = 0.5  # chance that is believed at most, whatever our supernode says
MAX_WRITTEN = 2_048  # hosts remembered that we wrote to; who writes to more is proved less easily, never wrongly
MAX_PROOFS = 16  # third nodes remembered that reached us


class Consent(Enum):
    """What the owner says to serving others."""

    NO = "no"
    YES = "yes"
    AUTO = "auto"
    """Where this machine has an address of the internet of its own."""


@dataclass(frozen=True, slots=True)
class Lending:
    """What the owner lends to others: nodes, bytes a second in all, share of the processors that may be in use."""

    consent: Consent = Consent.NO
    clients: int = 200
    rate: float = 125_000.0
    cpu: float = 0.5
    after: float = UPTIME
    """Seconds that the node is on line before it serves."""


@dataclass(frozen=True, slots=True)
class Strength:
    """What the machine has: bytes/s that it can send, share of its processors in use, bytes of memory free."""

    upload: float = inf
    cpu: float = 0.0
    memory: float = inf


@dataclass(frozen=True, slots=True)
class Called(Event):
    """The node should become a supernode, which others reach at ``listening``."""

    listening: Address


@dataclass(frozen=True, slots=True)
class Dismissed(Event):
    """The node should stop being one."""

    reason: str
    needless: bool = False
    """Only because there are more than enough: if it cannot go without harm it stays."""


class Timer(Enum):
    """What is waited for."""

    PROVE = 0
    WEIGH = 1


@dataclass(slots=True)
class Promotion:
    """One node's fitness and its role.  ``own``: addresses that this machine itself has."""

    lending: Lending
    certified: bool
    own: tuple[Address, ...]
    rng: Random
    requests: Numbers
    strength: Strength = field(default_factory=Strength)
    serving: Address | None = None
    """Where others reach us, while we are a supernode."""
    leaving: bool = False
    surplus: int = 0
    """How many supernodes our block could do without, as it was seen last."""
    volunteers: int = 1
    """How many might go for it."""
    timers: Timers = field(default_factory=Timers)
    reached_at: Address | None = None
    """The address at which third nodes reached us."""
    opinions: Opinions = field(init=False)
    _began: float = inf
    _supernode: Peer | None = None
    _token: bytes = b""
    _request: int = -1
    _pause: float = PROVE_AGAIN
    _written: OrderedDict[tuple[bytes, int], float] = field(default_factory=OrderedDict)
    _overflowed: float = -inf
    """When a host that counted was forgotten for want of room: until it does no more, nothing is proved."""
    _proofs: OrderedDict[bytes, float] = field(default_factory=OrderedDict)
    _in_vain: int = 0
    """Third nodes that were asked to reach us since one did."""
    _rests_until: float = -inf
    _draws_at: float = -inf
    _surplus_since: float = inf

    def __post_init__(self) -> None:
        self.opinions = Opinions(self.requests)

    @property
    def wake_at(self) -> float:
        """When ``wake`` has something to do."""
        return min(self.timers.next, self.opinions.until)

    def consents(self) -> bool:
        """Whether the owner does."""
        match self.lending.consent:
            case Consent.YES:
                return self.certified
            case Consent.AUTO:
                at = self.reached_at
                here = at is not None and any(one.host == at.host for one in self.own) and not is_private(at.host)
                return self.certified and (here or at is None)
        return False

    def strong(self) -> bool:
        """Whether the machine has power to spare."""
        upload = min(self.strength.upload, self.lending.rate)
        return upload >= LEAST_UPLOAD and self.strength.cpu <= self.lending.cpu and self.strength.memory >= LEAST_MEMORY

    def ready(self, now: float) -> bool:
        """Whether it could become a supernode now."""
        if self.serving is not None or now < self._rests_until or now < self._began + self.lending.after:
            return False
        return self.consents() and self.strong() and self.reached_at is not None and self._proved(now) >= PROVEN_BY

    # --- intents

    def lend(self, lending: Lending, now: float) -> Effects:
        """The owner has decided anew."""
        self.lending = lending
        if self.serving is not None and not self.consents():
            return self._dismiss("the owner wishes it")
        self._arm(now, 0.0)
        return []

    def serves(self, listening: Address, now: float) -> None:
        """We are a supernode now."""
        self.serving, self.leaving, self._in_vain, self._surplus_since = listening, False, 0, inf
        self.reached_at = listening
        self.timers[Timer.WEIGH] = now + WEIGHED_EVERY * (0.5 + self.rng.random())
        self.timers[Timer.PROVE] = now + PROVE_EVERY * (0.5 + self.rng.random() / 2)

    def stays(self) -> None:
        """We could not go without harm."""
        self.leaving, self._surplus_since = False, inf

    def rests(self, now: float) -> None:
        """We are none any more."""
        self.serving, self.leaving = None, False
        self._rests_until = now + RESTS_FOR * (1 + self.rng.random())
        self.timers.pop(Timer.WEIGH, None)
        self._arm(now, PROVE_EVERY)

    # --- what siblings bring

    def attached(self, supernode: Peer | None, now: float) -> Effects:
        """The supernode changed."""
        self._supernode = supernode
        self.opinions.forget()
        if supernode is not None and self._began == inf:
            self._began = now
            self._arm(now, self.lending.after / 2 * (0.5 + self.rng.random()))
        return []

    def wrote(self, address: Address, now: float) -> None:
        """Something was sent to an address in the open: a box in between may let its answers in."""
        key = _key(address)
        self._written.pop(key, None)
        self._written[key] = now
        while self._written:
            oldest, at = next(iter(self._written.items()))
            if len(self._written) <= MAX_WRITTEN and at > now - BINDING:
                break
            del self._written[oldest]
            if at > now - BINDING:
                self._overflowed = max(self._overflowed, at)

    def came(self, route: Route, now: float) -> None:
        """Somebody comes to us of himself: who was not written to of late has proved that we are reached."""
        if self.serving is not None and isinstance(route, Wire):
            self._prove(route.address, now)

    def answered(self, message: ReachAnswer, sender: Peer, now: float) -> Effects:
        """So many third nodes were asked."""
        if message.request != self._request:
            return []
        self._request = -1
        self._in_vain += message.passed
        if self.serving is not None and message.observed is not None and message.observed != self.serving:
            return self._dismiss("the address has changed")
        return []

    def heard(self, message: Reached, route: Route, now: float) -> Effects:
        """A third node reaches us."""
        if not isinstance(route, Wire) or not self._token or message.token != self._token:
            return []
        if route.address.host == message.observed.host and not is_loopback(route.address.host):
            return []  # from behind the same box, which may be opener to its own
        if message.observed != self.reached_at:
            if self.serving is not None:
                return []
            self.reached_at = message.observed
            self._proofs.clear()
        self._prove(route.address, now)
        return []

    def wanted(self, chance: int, others: Sequence[Address], now: float) -> Effects:
        """A supernode says with which chance, in millionths, who is ready should serve; ``others`` may deny it."""
        if not chance or now < self._draws_at or not self.ready(now) or not self.opinions.believes(now):
            return []
        self._draws_at = now + DRAWS_EVERY
        if self.rng.random() >= min(MOST_TOLD, chance / 1_000_000):
            return []
        return self.opinions.ask(others, now)

    def probed(self, message: ProbeAccept | ProbeRefuse, route: Route, now: float) -> bool:
        """An answer to a probe in the open; whether it was an opinion that we asked for."""
        return isinstance(route, Wire) and self.opinions.hear(message, route.address, now)

    def wake(self, now: float) -> Effects:
        """Have our reach proved; weigh whether we are needed."""
        out: Effects = []
        for timer in self.timers.due(now):
            out += self._ask(now) if timer is Timer.PROVE else self._weigh(now)
        if self.opinions.until <= now:
            further = self.opinions.again(now)
            if not further and self.opinions.count(now) and self.ready(now):
                assert self.reached_at is not None
                out.append(Called(self.reached_at))
            out += further
        return out

    # --- inside

    def _arm(self, now: float, after: float) -> None:
        if self.serving is not None or (self.consents() and self._began < inf):
            self.timers[Timer.PROVE] = now + after

    def _ask(self, now: float) -> Effects:
        if self.serving is None and not self.consents():
            return []
        if self.serving is not None and self._in_vain >= IN_VAIN and not self._proved(now):
            return self._dismiss("others do not reach us any more")
        if self._proved(now) >= PROVEN_BY or self.serving is not None:
            self._pause = PROVE_AGAIN
            after = PROVE_EVERY
        else:
            after = self._pause
            self._pause = min(PROVE_SELDOM, 2 * self._pause)
        self.timers[Timer.PROVE] = now + after * (0.8 + 0.4 * self.rng.random())
        if self._supernode is None:
            return []
        self._token = self.rng.randbytes(8)
        self._request = self.requests() & 0xFFFF
        asked = ReachAsked(token=self._token, serving=self.serving is not None, request=self._request)
        return [Send(self._supernode, asked)]

    def _prove(self, address: Address, now: float) -> None:
        binding = BINDING if self.serving is None else SHORT_BINDING
        if max(self._written.get(_key(address), -inf), self._overflowed) > now - binding:
            return
        self._in_vain = 0
        who = _key(address)[0] if not is_private(address.host) else address.host + address.port.to_bytes(2, "big")
        self._proofs.pop(who, None)
        self._proofs[who] = now
        if len(self._proofs) > MAX_PROOFS:
            self._proofs.popitem(last=False)

    def _proved(self, now: float) -> int:
        return sum(at > now - PROOF_FOR for at in self._proofs.values())

    def _weigh(self, now: float) -> Effects:
        self.timers[Timer.WEIGH] = now + WEIGHED_EVERY * (0.8 + 0.4 * self.rng.random())
        if not self.surplus or self.leaving:
            self._surplus_since = inf
            return []
        self._surplus_since = min(self._surplus_since, now)
        going = min(LEAVE_AT_ONCE, self.surplus / max(1, self.volunteers))
        if now < self._surplus_since + IDLE_FOR or self.rng.random() >= going:
            return []
        return self._dismiss("there are more than enough", needless=True)

    def _dismiss(self, reason: str, *, needless: bool = False) -> Effects:
        if self.leaving or self.serving is None:
            return []
        self.leaving = True
        return [Dismissed(reason, needless)]


def _key(address: Address) -> tuple[bytes, int]:
    """What a box remembers of who was written to: his host at the most; of private hosts many are one to it."""
    return address.host, address.port if is_private(address.host) else 0
