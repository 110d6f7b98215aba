"""What busy supernodes have told one node: when to come back, with which ticket, and where a place is kept for it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from random import Random

from halloo.base.address import Address
from halloo.overlay.hostcache import CAPACITY
from halloo.overlay.ladder import Way

__all__ = ["Promise", "Promises"]

MOST_TOLD = 2 * CAPACITY  # supernodes whose word of when to come back is remembered
WORTH = 2.0  # seconds by which another has to be sooner to be worth giving up one's place


@dataclass(frozen=True, slots=True)
class Promise:
    """What a supernode said: not before ``at``, then with this ticket; ``way``: how it was asked."""

    address: Address
    at: float
    ticket: bytes
    way: Way


@dataclass(slots=True)
class Promises:
    """All that was said to one node in one search."""

    appointment: Promise | None = None
    """The place that is kept for us."""
    offers: dict[Address, Promise] = field(default_factory=dict)
    """How long one would wait where there is none."""
    _told: dict[Address, Promise] = field(default_factory=dict)

    def hear(self, promise: Promise) -> None:
        """A supernode has said something; it is remembered, whatever comes of it."""
        self._told.pop(promise.address, None)
        self._told[promise.address] = promise
        if len(self._told) > MOST_TOLD:
            del self._told[next(iter(self._told))]

    def forget(self) -> None:
        """The search is over."""
        self.appointment = None
        self.offers.clear()
        self._told.clear()

    def waits(self, address: Address, now: float) -> bool:
        """Whether a supernode has said that it is not to be asked now."""
        told = self._told.get(address)
        return told is not None and told.at > now

    def not_now(self, now: float) -> set[Address]:
        """All those that are not to be asked now, and the one with which we have an appointment."""
        kept = [self.appointment.address] if self.appointment is not None else []
        return {*kept, *(address for address, told in self._told.items() if told.at > now)}

    def kept(self, address: Address, way: Way) -> bool:
        """Whether our appointment is there: then we may ask how long it still is."""
        held = self.appointment
        return held is not None and (held.address, held.way) == (address, way)

    def ticket(self, address: Address) -> bytes | None:
        """What a supernode told us to come back with."""
        told = self._told.get(address)
        return (told.ticket or None) if told is not None else None

    def way(self, address: Address) -> Way | None:
        """By which way a supernode told us something."""
        told = self._told.get(address)
        return told.way if told is not None else None

    def due(self, now: float) -> Promise | None:
        """The appointment, if its time has come; it is no longer one then."""
        due = self.appointment
        if due is None or due.at > now:
            return None
        self.appointment = None
        return due

    def again(self, promise: Promise) -> bool:
        """Whether this is our appointment, told once more: it is sooner, perhaps, but nobody is put off for ever."""
        held = self.appointment
        if held is None or (held.address, held.ticket) != (promise.address, promise.ticket):
            return False
        self.appointment = replace(promise, at=min(held.at, promise.at))
        self.hear(self.appointment)
        return True

    def keep(self, promise: Promise) -> Promise | None:
        """A place is kept for us: the soonest is our appointment, and the other, if there is one, not needed."""
        before = self.appointment
        if before is not None and before.at <= promise.at:
            return promise
        self.appointment = promise
        return before

    def best_offer(self, rng: Random) -> Promise | None:
        """Where one would wait for the shortest time, if that is worth asking; equals by chance."""
        best = min(self.offers.values(), key=lambda told: (told.at, rng.random()), default=None)
        if best is not None and self.appointment is not None and best.at > self.appointment.at - WORTH:
            return None
        return best

    def first_of(self, addresses: Iterable[Address], now: float) -> float | None:
        """When the first of these may be asked again, if none of them may be asked now."""
        times = [self._told[known].at if self.waits(known, now) else now for known in addresses]
        first = min(times, default=now)
        return first if first > now else None
