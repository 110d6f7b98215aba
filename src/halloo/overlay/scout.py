"""Keeps a node's knowledge of supernodes fresh while it has one: so that another is at hand when that one is lost.

    node                          any supernode
      | --- Probe: only asking ----> |  to a spare, now and then; to the stalest of the host cache
      | <-- ProbeAccept / Refuse --- |  it is there; after so many milliseconds

Three *spares*, the nearest of those that have room, are asked every few minutes, and every five minutes the address of
which nothing was heard for the longest time: twelve an hour, six in a hundred of a full host cache, as the classic
client did.  All that costs a byte a second.  Of two spares a ticket is held (see ``returns``): those stay, for some
milliseconds are not worth another visit.
"""

from __future__ import annotations

from collections.abc import Callable, Container
from dataclasses import dataclass, field
from enum import Enum
from math import inf
from random import Random

from halloo.base.address import Address, Wire
from halloo.base.effects import Send
from halloo.base.machine import Effects, Numbers, Timers
from halloo.messages.overlay import Probe, ProbeAccept, ProbeRefuse
from halloo.overlay.hostcache import HostCache

__all__ = ["Scout"]

SPARES = 3  # supernodes kept at hand: all of them are gone at once where 90 % are, in three of four cases
SPARE_EVERY = 150.0  # seconds, on average, between two probes of spares: with 800 nodes, five answers a second
STALEST_EVERY = 300.0  # seconds, on average, between two probes of what is stale: 6 % of 200 an hour
SETTLED = 3.0  # seconds after joining in which the first spares are looked for: others are joining now
ANSWERS_WITHIN = 3.0  # seconds after which a probe counts as unanswered


class Timer(Enum):
    """What is waited for."""

    SPARE = 0
    STALEST = 1


@dataclass(frozen=True, slots=True)
class _Asked:
    request: int
    at: float


@dataclass(slots=True)
class Scout:
    """Who asks around for one node.  ``valued``: whether a spare is worth more than a nearer one."""

    cache: HostCache
    rng: Random
    requests: Numbers
    wall: float
    valued: Callable[[Address, float], bool]
    timers: Timers = field(default_factory=Timers)
    _own: Address | None = None
    _spares: dict[Address, float] = field(default_factory=dict)
    """Supernodes with room -> the round trip to them."""
    _heard: dict[Address, float] = field(default_factory=dict)
    """Spares -> when they answered last."""
    _asked: dict[Address, _Asked] = field(default_factory=dict)

    @property
    def wake_at(self) -> float:
        """When ``wake`` has something to do."""
        return min(self.timers.next, min((asked.at for asked in self._asked.values()), default=inf) + ANSWERS_WITHIN)

    @property
    def spares(self) -> list[Address]:
        """Other supernodes at hand, the nearest first."""
        return sorted(self._spares, key=self._spares.__getitem__)

    # --- intents

    def attached(self, supernode: Address, now: float) -> None:
        """The node is on line by ``supernode``, over UDP: there is time to look around."""
        self._own = supernode
        self._drop(supernode)
        self.timers[Timer.SPARE] = now + SETTLED * self.rng.random()
        self.timers[Timer.STALEST] = now + STALEST_EVERY * (0.5 + self.rng.random())

    def rest(self) -> None:
        """The node is off line: who does not answer now may be there all the same."""
        self._own = None
        self._asked.clear()
        self.timers.clear()

    # --- what is heard

    def hear(self, message: ProbeAccept | ProbeRefuse, address: Address, now: float) -> bool:
        """An answer to a probe; whether the probe was ours."""
        asked = self._asked.get(address)
        if asked is None or asked.request != message.request:
            return False
        del self._asked[address]
        self.cache.succeeded(address, now + self.wall, now - asked.at)
        if isinstance(message, ProbeRefuse):
            self.cache.add(message.supernodes, address, wall=now + self.wall)
            self._drop(address)
            return True
        self._spares[address], self._heard[address] = now - asked.at, now
        if len(self._spares) > SPARES:
            self._drop(max(self._spares, key=lambda spare: (not self.valued(spare, now), self._spares[spare])))
        return True

    def wake(self, now: float) -> Effects:
        """Ask whose turn it is; give up on who has not answered."""
        for address in [address for address, asked in self._asked.items() if asked.at + ANSWERS_WITHIN <= now]:
            del self._asked[address]
            self._drop(address)
            self.cache.failed(address, now + self.wall)
        out: Effects = []
        for timer in self.timers.due(now):
            if timer is Timer.SPARE:
                self.timers[Timer.SPARE] = now + SPARE_EVERY * (0.5 + self.rng.random())
                missing = SPARES - len(self._spares)
                wanted = self.cache.best(missing, self.rng, now + self.wall, self._known()) if missing else []
                if not wanted and self._heard:
                    wanted = [min(self._heard, key=self._heard.__getitem__)]
                out += [self._ask(address, now) for address in wanted if address not in self._asked]
            else:
                self.timers[Timer.STALEST] = now + STALEST_EVERY * (0.5 + self.rng.random())
                stalest = self.cache.stalest(self._known())
                out += [self._ask(stalest, now)] if stalest is not None else []
        return out

    # --- inside

    def _known(self) -> Container[Address]:
        return {*self._spares, *self._asked, *([self._own] if self._own else [])}

    def _ask(self, address: Address, now: float) -> Send:
        request = self.requests() & 0xFFFF
        self._asked[address] = _Asked(request, now)
        return Send(Wire(address), Probe(only_asking=True, request=request))

    def _drop(self, address: Address) -> None:
        self._spares.pop(address, None)
        self._heard.pop(address, None)
