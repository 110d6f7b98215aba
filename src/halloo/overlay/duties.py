"""What a supernode does from time to time in its block, and when next: the deadlines that its parts share.

They are one list, for what is due at the same moment is done in a fixed order (``block.py``), whoever asked for it.
"""

from __future__ import annotations

from enum import Enum
from math import inf

from halloo.base.machine import Timers

__all__ = ["LOOK_SOON", "PLACE_EVERY", "Duties", "Duty"]

PLACE_EVERY = 1.0  # seconds between looks at the placement, when something has changed
LOOK_SOON = 0.5  # seconds until the next look for links that should stand, after something has changed


class Duty(Enum):
    """What is waited for."""

    LOOK = 0
    PLACE = 1
    BEAT = 2
    REVIVE = 3
    TABLE = 4
    NEWS = 5
    RESTATE = 6
    ATLAS = 7


class Duties(Timers):
    """When each is due, in seconds of the world's clock."""

    def soon(self, duty: Duty, at: float) -> None:
        """Do it at ``at``, or when it is due anyway, if that is earlier."""
        self[duty] = min(self.get(duty, inf), at)
