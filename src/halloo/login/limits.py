"""How often something may be done: one bucket of tries for each name, host or whatever else is counted.

A bucket begins full; each try takes one out, time puts them back.  Who has an empty one waits.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field

__all__ = ["Bucket", "Limits", "Rate", "Tries"]

MAX_BUCKETS = 100_000  # remembered, some 20 MB; the longest quiet go first


@dataclass(frozen=True, slots=True)
class Rate:
    """``burst`` tries at once, then one each ``refill`` seconds."""

    burst: int
    refill: float


@dataclass(frozen=True, slots=True)
class Limits:
    """What one login server allows.

    A host is an IPv4 address or the first 64 bits of an IPv6 one.  *Carried* is what supernodes bring: their hosts
    stand for many users.
    """

    wrong_by_name: Rate = Rate(8, 10.0)
    """Wrong passwords for one name: 8,648 guesses a day."""
    wrong_by_host: Rate = Rate(8, 10.0)
    wrong_carried: Rate = Rate(128, 1.0)
    wrong_in_all: Rate = Rate(2_000, 0.02)
    sign_ups_by_host: Rate = Rate(32, 30.0)
    sign_ups_carried: Rate = Rate(128, 10.0)
    sign_ups_in_all: Rate = Rate(2_000, 0.25)
    certified_by_name: Rate = Rate(64, 60.0)
    """What one name may add to the log."""
    questions_by_host: Rate = Rate(600, 0.1)
    """About the log."""


Bucket = tuple[bytes, Rate]
"""What is counted, and how often it may be."""


@dataclass(slots=True)
class Tries:
    """All buckets of one server."""

    _left: OrderedDict[bytes, tuple[float, float]] = field(default_factory=OrderedDict)
    """What is counted -> (tries left, when that was so)."""

    def wait(self, buckets: Iterable[Bucket], now: float) -> float:
        """Seconds until all of these allow one more; 0 when they do."""
        waits = [0.0]
        for key, rate in buckets:
            left = self._at(key, rate, now)
            waits.append(0.0 if left >= 1 else (1 - left) * rate.refill)
        return max(waits)

    def spend(self, buckets: Iterable[Bucket], now: float) -> None:
        """Take one out of each."""
        for key, rate in buckets:
            left = self._at(key, rate, now) - 1
            self._left.pop(key, None)
            self._left[key] = left, now
            if len(self._left) > MAX_BUCKETS:
                self._left.popitem(last=False)

    def _at(self, key: bytes, rate: Rate, now: float) -> float:
        left, at = self._left.get(key, (float(rate.burst), now))
        return min(float(rate.burst), left + (now - at) / rate.refill)
