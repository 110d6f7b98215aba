"""For how long nodes stay, as published of networks of their kind.

Supernodes: sessions with a median of 5.5 hours, Weibull with shape 0.59, so that who has been there for long stays for
long.  Ordinary nodes: a median of an hour and a half and the same shape, more of them by day than by night.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, log, pi
from random import Random

__all__ = ["SUPERNODES", "USERS", "Sessions", "by_day"]

SHAPE = 0.59  # of the Weibull distribution, from studies of sessions in peer-to-peer networks
DAY = 86_400.0  # seconds
NIGHT = 0.55  # of those on line at the peak who are on line at the ebb: a network of few time zones
PEAK = 0.8 * DAY  # seconds after midnight of the evening's peak


@dataclass(frozen=True, slots=True)
class Sessions:
    """A distribution of sessions.  ``median`` in seconds."""

    median: float
    shape: float = SHAPE

    @property
    def scale(self) -> float:
        """The scale of the Weibull distribution, in seconds."""
        return float(self.median / log(2) ** (1 / self.shape))

    def drawn(self, rng: Random) -> float:
        """The length of a session that begins."""
        return rng.weibullvariate(self.scale, self.shape)

    def left(self, rng: Random) -> float:
        """How much is left of a session that is under way at a moment: long ones are met more often.

        A session is drawn with a chance in proportion to its length, from many, and cut at a point in it.
        """
        lengths = [self.drawn(rng) for _ in range(64)]
        return rng.choices(lengths, lengths)[0] * rng.random()


SUPERNODES = Sessions(5.5 * 3_600.0)
USERS = Sessions(1.5 * 3_600.0)


def by_day(time: float) -> float:
    """The share of the peak's users who are on line at a time, in seconds after midnight."""
    return NIGHT + (1 - NIGHT) * (1 + cos(2 * pi * (time - PEAK) / DAY)) / 2
