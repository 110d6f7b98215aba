"""What the owner lends, and how much of it is in use: the new is refused before the old suffers.

Bytes are tokens: the owner's figure flows in, what is sent flows out.  Below a half of the bucket nobody new is taken;
what is left is for those who are here.  They are served even when it is empty; only if that lasts some of them, the
newest first and one after another, are asked to move.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, inf

__all__ = ["Caps"]

BUCKET = 10.0  # seconds of the owner's bytes/s that may go out at once
FOR_THOSE_HERE = 0.5  # of the bucket, what newcomers may not have
OVER_FOR = 60.0  # seconds over a cap after which nodes are asked to move: a busy minute is no reason
SMOOTHED = 10.0  # seconds over which the figures that are shown are averaged


@dataclass(slots=True)
class Caps:
    """The owner's limits.  ``rate``: bytes/s; ``cpu``: share of the processors that this program may take."""

    rate: float = inf
    cpu: float = 1.0
    sent: float = 0.0
    """Bytes a second that went out lately."""
    worked: float = 0.0
    """Share of the processors that we took lately."""
    _owed: float = 0.0
    """Bytes by which the bucket is not full."""
    _measured_at: float = -inf
    _over_since: float = inf

    def measure(self, size: int, cpu: float, now: float) -> None:
        """``size`` bytes have gone out since the last call, and ``cpu`` of the processors were ours."""
        if self._measured_at == -inf:
            self._measured_at = now
            return
        seconds = now - self._measured_at
        if seconds <= 0:
            return
        self._measured_at = now
        weight = 1 - exp(-seconds / SMOOTHED)
        self.sent += weight * (size / seconds - self.sent)
        self.worked += weight * (cpu - self.worked)
        if self.rate < inf:
            most = self.rate * BUCKET
            self._owed = min(most, max(0.0, self._owed + size - seconds * self.rate))
        self._over_since = min(self._over_since, now) if self.empty else inf

    @property
    def tight(self) -> bool:
        """Whether nobody new is taken."""
        return self.worked > self.cpu or self._owed > (1 - FOR_THOSE_HERE) * self.rate * BUCKET

    @property
    def empty(self) -> bool:
        """Whether those who are here take more than the owner lends."""
        return self.worked > self.cpu or (self.rate < inf and self._owed >= self.rate * BUCKET)

    def over(self, now: float) -> bool:
        """Whether that has been so for a while: somebody should move."""
        return now >= self._over_since + OVER_FOR
