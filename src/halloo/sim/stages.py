"""On which stage a scenario is played: with minds, or with a crowd."""

from __future__ import annotations

from halloo.base.errors import UsageError
from halloo.sim.play import Play, Progress, Setting

__all__ = ["DEGREES", "MINDS_MOST", "degree_for", "stage_of"]

DEGREES = ("minds", "crowd")
MINDS_MOST = 20_000  # nodes played as minds where nobody says how: 55 kB each, and some minutes


def degree_for(nodes: int, most: int = MINDS_MOST) -> str:
    """The degree of truth at which so many nodes are played where nobody says; ``most``: that are played as minds."""
    return "minds" if nodes <= most else "crowd"


def stage_of(
    setting: Setting, *, length: float, progress: Progress | None = None, present: float = 1.0
) -> Play:
    """The stage that a setting asks for.

    Raises:
        UsageError: a crowd needs numpy, which is not there.
    """
    if (setting.degree or degree_for(setting.nodes)) == "minds":
        return Play(setting, length=length, progress=progress, present=present)
    try:
        from halloo.sim.crowd.stage import CrowdPlay
    except ImportError as fault:
        raise UsageError(f"a crowd is kept in arrays of the package numpy, which cannot be loaded: {fault}") from None
    return CrowdPlay(setting, length=length, progress=progress, present=present)
