"""What this machine can spare, and what this program takes of it: measured, not claimed."""

from __future__ import annotations

import os
import time

from halloo.overlay.promotion import Strength

__all__ = ["STRENGTH_EVERY", "USE_EVERY", "Meter", "measured"]

USE_EVERY = 2.0  # seconds between two looks at what we take
STRENGTH_EVERY = 60.0  # seconds between two looks at what the machine has left


def measured(rate: float) -> Strength:
    """The strength now.  ``rate``: bytes/s that the owner lets others have; the line itself is not measured."""
    cpu, memory = 0.0, float("inf")
    try:
        cpu = min(1.0, os.getloadavg()[0] / _processors())
        memory = float(os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    except (OSError, ValueError, AttributeError):
        pass  # a system that does not say so is believed to have enough
    return Strength(rate, cpu, memory)


class Meter:
    """What this process takes of the processors, from one look to the next."""

    def __init__(self) -> None:
        self._worked, self._at = time.process_time(), time.monotonic()

    def share(self) -> float:
        """The share of all processors since the last look, 0 to 1."""
        worked, at = time.process_time(), time.monotonic()
        seconds = at - self._at
        share = (worked - self._worked) / seconds / _processors() if seconds > 0 else 0.0
        self._worked, self._at = worked, at
        return min(1.0, max(0.0, share))


def _processors() -> int:
    return max(1, os.cpu_count() or 1)
