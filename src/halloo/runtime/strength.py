"""What this machine can spare, measured: the share of its processors in use, and memory that is free."""

from __future__ import annotations

import os

from halloo.overlay.promotion import Strength

__all__ = ["EVERY", "measured"]

EVERY = 60.0  # seconds between two measurements


def measured(rate: float) -> Strength:
    """The strength now.  ``rate``: bytes/s that the owner lets others have; the line itself is not measured."""
    cpu, memory = 0.0, float("inf")
    try:
        cpu = os.getloadavg()[0] / max(1, os.cpu_count() or 1)
        memory = float(os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    except (OSError, ValueError, AttributeError):
        pass  # a system that does not say so is believed to have enough
    return Strength(rate, cpu, memory)
