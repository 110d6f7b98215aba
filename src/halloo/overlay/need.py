"""Whether a block has too few supernodes, or too many, and how likely each candidate should step in.  Pure.

Every member says in its standing how many nodes it has, how many more it would take, how many of its nodes are ready to
help, how many hosts it lately had no room for, and how long the line before it is.  From that each member computes the
same need.  It tells its ready nodes the chance with which one of them should become a supernode: need / candidates, so
that as many come as are wanted, though nobody speaks with anybody about it.  Those who stand in the line hear it, too.

What a member says of itself may be a lie.  Up to three of ten who lie, each as he likes, move the need by a share of
the block, never to all or nothing: nobody counts for more than twice what the larger of the others have, and of hosts
that found no room as many are believed as three of ten say.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import ceil
from typing import Protocol

__all__ = ["KEPT", "LEAST", "chance", "shortage", "surplus"]

SPARE = 0.5  # room that a block keeps free, as a share of its nodes: a third of its supernodes may vanish at once
MUCH = 1.5  # the same, above which it has too much: far from SPARE, so that nobody comes and goes
LEAST = 3  # members that a block should have at least: with fewer, "not found" is the word of too few
KEPT = 10  # members below which nobody leaves for want of work: nine hold every record, one may vanish
MILLION = 1_000_000
GENTLY = 0.8  # of the need, what is asked for at a time, each 25 seconds: not all know yet who has just come
SMALL_BLOCK = 6  # members of a block where only half as much is: chance easily lets come twice as many as were meant;
# up to LEAST nothing is held back: one too many costs less than a minute with "not found" from too few
MOST = 0.5  # chance told at most: a single liar does not make supernodes of all his nodes at once
REFUSED = 1.0  # refused hosts that count at most, as a multiple of the nodes there are: who refuses may be lied to
PATIENCE = 60.0  # seconds that a line may be long before there are too few who take others in
AT_MOST = 1.0  # of the members, how many more are wanted at a time because lines are long
LIARS = 0.3  # of the members, how many may say what they like of themselves
TIMES = 2.0  # what the larger of the others have, for how much of it a member counts at most


class Burdened(Protocol):
    """What has to be known of a member."""

    @property
    def room(self) -> int:
        """Nodes that it would still take."""

    @property
    def clients(self) -> int:
        """Nodes that it has."""

    @property
    def ready(self) -> int:
        """Of them, those that are ready to help."""

    @property
    def refused(self) -> int:
        """Hosts that it lately had no room for."""

    @property
    def line(self) -> int:
        """Seconds for which who comes to it now would have to wait."""


def shortage(members: Iterable[Burdened]) -> int:
    """How many more members a block should have."""
    known = list(members)
    clients, places = _sums(known)
    mean = max(1.0, places / max(1, len(known)))
    waiting = min(_believed([one.refused for one in known]), REFUSED * max(clients, mean))
    short = (1 + SPARE) * (clients + waiting) - places
    unheard = round(waiting / mean / 2)  # so many wait, whatever room others claim; some have found it since
    return max(ceil(short / mean), unheard, _slow(known), LEAST - len(known), 0)


def chance(members: Iterable[Burdened]) -> int:
    """With which chance, in millionths, each node that is ready should become a supernode."""
    known = list(members)
    ready = _ready(known)
    if not ready:
        return 0  # who says for the first time that he is ready hears the chance the next time: then he is counted
    part = GENTLY * len(known) / (len(known) + SMALL_BLOCK)
    called = max(part * shortage(known), GENTLY * _slow(known), GENTLY * (LEAST - len(known)))
    return min(round(MOST * MILLION), round(called * MILLION / ready))


def surplus(members: Iterable[Burdened]) -> int:
    """How many members a block could do without."""
    known = list(members)
    clients, places = _sums(known)
    mean = max(1.0, places / max(1, len(known)))
    return max(0, min(int((places - (1 + MUCH) * clients) / mean), len(known) - KEPT))


def _slow(known: Sequence[Burdened]) -> int:
    """How many more there should be so that nobody stands for long: people wait, and lines are rare, so it is not asked
    for gently.
    """
    line = _believed([one.line for one in known])
    return ceil(min(AT_MOST, line / PATIENCE - 1) * len(known)) if line > PATIENCE else 0


def _believed(values: Sequence[int]) -> int:
    """The most that more than three of ten members have, or say that they have."""
    return sorted(values, reverse=True)[int(LIARS * len(values))] if values else 0


def _sums(known: Sequence[Burdened]) -> tuple[float, float]:
    """Nodes and places of a block.  Who says that he has very many counts as one of the larger, as full as he says."""
    most = TIMES * _believed([one.clients + one.room for one in known])
    clients = places = 0.0
    for one in known:
        own = one.clients + one.room
        share = min(1.0, most / own) if own else 0.0
        clients += share * one.clients
        places += share * own
    return clients, places


def _ready(known: Sequence[Burdened]) -> float:
    most = TIMES * _believed([one.ready for one in known if one.ready])
    return sum(min(one.ready, one.clients, most) for one in known)
