"""How far hosts are from each other: round trips as on the internet, the same each time for a pair.

Round trips are lognormal.  A pair of hosts is given one by a digest of both, so that nothing is stored; that keeps no
triangle's law, and neither does the internet.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import exp
from statistics import NormalDist

__all__ = ["Distances", "quantiles"]

MEDIAN = 0.085  # seconds, of a round trip between two supernodes as published
SPREAD = 0.666  # of the logarithm: puts the 99th of 100 at 400 ms
_STEPS = 4_096  # quantiles kept: the farthest pair is 3.7 spreads from the median
_MASK = (1 << 64) - 1


def quantiles() -> tuple[float, ...]:
    """Of round trips, as shares of the median: so many equally probable ones, the shortest first."""
    normal = NormalDist()
    return tuple(exp(SPREAD * normal.inv_cdf((i + 0.5) / _STEPS)) for i in range(_STEPS))


_QUANTILES = quantiles()


@dataclass(frozen=True, slots=True)
class Distances:
    """The distances of one world: the same ``seed``, the same map.  ``median``: of the round trips, in seconds."""

    seed: int
    median: float = MEDIAN
    _mixed: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_mixed", _mix(self.seed & _MASK))

    def one_way(self, one: bytes, other: bytes) -> float:
        """Seconds from one host to another; the way back takes as long."""
        if one > other:
            one, other = other, one
        a, b = int.from_bytes(one[-8:], "big"), int.from_bytes(other[-8:], "big")
        return self.median / 2 * _QUANTILES[_mix(_mix(a ^ self._mixed) + b) % _STEPS]


def _mix(x: int) -> int:
    """A number spread over 64 bits."""
    x = (x + 0x9E37_79B9_7F4A_7C15) & _MASK
    x = ((x ^ x >> 30) * 0xBF58_476D_1CE4_E5B9) & _MASK
    x = ((x ^ x >> 27) * 0x94D0_49BB_1331_11EB) & _MASK
    return x ^ x >> 31
