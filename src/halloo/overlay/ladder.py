"""The rungs by which a supernode is tried, and the pace of trying."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from halloo.base.address import Route, Stream

__all__ = ["JoinTimings", "Ladder", "Way", "said_way"]


class Way(Enum):
    """A rung: how a supernode is tried."""

    UDP = 0
    TCP = -1
    TCP_80 = 80
    TCP_443 = 443
    PROXY = 8080
    """TCP 443 by way of the HTTP proxy of this machine, where it has one."""


@dataclass(frozen=True, slots=True)
class Ladder:
    """When, in seconds from the begin of a round, each way is tried, and by how much the entries are staggered."""

    rungs: tuple[tuple[float, Way], ...]
    entries: int
    stagger: float
    round: float
    """How long a round lasts, in seconds, before it counts as failed."""


@dataclass(frozen=True, slots=True)
class JoinTimings:
    """How joining is paced.  Seconds throughout."""

    ladder: Ladder
    rounds: int
    """Rounds after which the node gives up; 0: never."""
    pause: float
    """Between rounds: the same each time (``jitter`` off), or the cap of a doubling, fully jittered back-off."""
    jitter: bool
    ping: float
    """Between signs of life on an idle link."""
    patient: bool = True
    """Whether a supernode that says when to come back is heeded; the article's rule knows nothing of that."""


def said_way(route: Route) -> str:
    """How a supernode is reached, for people."""
    if not isinstance(route, Stream):
        return "udp"
    return f"tcp {route.address.port}{' by the proxy' if route.proxied else ''}"
