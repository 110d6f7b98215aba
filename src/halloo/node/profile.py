"""Everything that a profile decides, in one value: the suite and the pace of joining."""

from __future__ import annotations

from dataclasses import dataclass

from halloo.base.errors import UsageError
from halloo.crypto.suite import Suite
from halloo.crypto.suites import suite_named
from halloo.overlay.ladder import JoinTimings, Ladder, Way

__all__ = ["Profile", "profile_named"]

CLASSIC_JOIN = JoinTimings(
    # The article's ladder: UDP, after 5 s TCP to the same port, then 80, then 443; 6 s of waiting; five attempts.
    # The proxy is our addition: who names one seldom has another way, and should not wait for all the others to fail.
    Ladder(
        ((0.0, Way.UDP), (2.0, Way.PROXY), (5.0, Way.TCP), (9.0, Way.TCP_80), (13.0, Way.TCP_443)),
        entries=4,
        stagger=0,
        round=17.0,
    ),
    rounds=5,
    pause=6.0,
    jitter=False,
    ping=60.0,
    patient=False,
)
MODERN_JOIN = JoinTimings(
    # Staggered as in RFC 8305: half a second is more than most round trips, so that TCP is rarely tried in vain.
    Ladder(
        ((0.0, Way.UDP), (0.5, Way.TCP), (1.2, Way.TCP_443), (1.5, Way.PROXY), (1.8, Way.TCP_80)),
        entries=4,
        stagger=0.2,
        round=6.0,
    ),
    rounds=0,
    pause=60.0,
    jitter=True,
    ping=25.0,
)


@dataclass(frozen=True, slots=True)
class Profile:
    """One of the ways in which a network can be run; chosen when it is created."""

    name: str
    suite: Suite
    join: JoinTimings


def profile_named(name: str) -> Profile:
    """``modern`` or ``classic`` (``plain`` for the simulator).

    Raises:
        UsageError: there is no such profile.
    """
    match name:
        case "modern" | "plain":
            return Profile(name, suite_named(name), MODERN_JOIN)
        case "classic":
            return Profile(name, suite_named(name), CLASSIC_JOIN)
    raise UsageError(f"there is no profile {name!r}; there are modern and classic")
