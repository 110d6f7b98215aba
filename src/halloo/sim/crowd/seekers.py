"""All rows of a crowd that look for a supernode: what they share, and what is planned for them.

Each kind of thing to come has a pool of its own; ``joins`` says in which order they are done.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from halloo.link.onelink import HELLO_AGAIN
from halloo.overlay.join import LONGEST_DOUBLING, LOOK_AGAIN, LOOK_MOST
from halloo.overlay.ladder import JoinTimings, Way
from halloo.sim.crowd.caches import ASKED, Caches
from halloo.sim.crowd.desks import Desks
from halloo.sim.crowd.ground import NOBODY, Bools, Floats, Ground, Ints
from halloo.sim.crowd.ledger import Ledger
from halloo.sim.crowd.pool import Pool
from halloo.sim.crowd.rows import PAUSING, Rows

__all__ = ["TCP", "UDP", "Seekers", "pause_until"]

UDP, TCP = Way.UDP.value, Way.TCP.value
_I, _S, _B, _F, _L = np.int32, np.uint16, np.int16, np.float64, np.int64

Known = Callable[[Any, int], Any]
"""Supernodes and how many: addresses that each tells of, a line for each (NOBODY: no more)."""


class Seekers:
    """They, with their caches, and the supernodes that they ask."""

    def __init__(
        self, rows: Rows, caches: Caches, desks: Desks, ground: Ground, ledger: Ledger, timings: JoinTimings,
        loss: float, chance: np.random.Generator, known: Known,
    ) -> None:
        self.rows, self.caches, self.desks, self.ground, self.ledger = rows, caches, desks, ground, ledger
        self.timings, self.loss, self.chance, self.known = timings, loss, chance, known
        self.hosts = [int(host).to_bytes(4, "big") for host in ground.user_hosts]
        self.steps = Pool(_I, _I, _S, _B, _L)
        self.rungs = Pool(_I, _I, _F)
        self.probes = Pool(_I, _I, _S, _B, _L, _F)
        self.answers = Pool(_I, _I, _S, _B, _B, _I, _L, np.bool_, _F)
        self.hellos = Pool(_I, _I, _S, _B, _F, _B, np.bool_, _L, _F)
        self.hello_answers = Pool(_I, _I, _S, _B, _L, _F)
        self.attaches = Pool(_I, _I, _S, _B, _L, _F)
        self.attached = Pool(_I, _I, _S, _B, _B, _I, _L, _I, _F)
        self.downs = Pool(_I, _I, _S, _B)
        self.chooses = Pool(_I, _I)
        self.backs = Pool(_I, _S, _L)
        self.frees = Pool(_I, _S, _I, np.bool_)

    def forget(self, rows: Ints) -> None:
        """Nobody keeps a place for these, or offers one."""
        mine = self.rows
        mine.place_with[rows], mine.place_at[rows] = NOBODY, np.inf
        mine.offer_with[rows], mine.choose_at[rows] = NOBODY, np.inf

    def pause(self, rows: Ints, at: Floats) -> None:
        """Wait: for the appointment, for the first of those who all said later, or as the back-off says."""
        if not len(rows):
            return
        mine = self.rows
        mine.state[rows] = PAUSING
        mine.epoch[rows] += 1
        mine.offer_with[rows], mine.choose_at[rows], mine.attempts[rows] = NOBODY, np.inf, 0
        self.caches.flags[rows] &= ~np.uint8(ASKED)
        first = self.caches.first_of(rows, at) if self.timings.patient else np.zeros(len(rows))
        chance = self.chance.random(len(rows))
        mine.wake(rows, pause_until(self.timings, at, mine.round[rows], mine.place_at[rows], first, chance))

    def by(self, rows: Any) -> Any:
        """The way by which each asks where it knows that somebody is there."""
        return np.where(self.ground.by_udp[rows], UDP, TCP)

    # --- wires

    def lost(self, count: int) -> Bools:
        """Which of so many datagrams are."""
        return self.chance.random(count) < self.loss if self.loss else np.zeros(count, bool)

    def late(self, count: int) -> Floats:
        """By how much later what is said again after a loss arrives."""
        return np.where(self.lost(count), HELLO_AGAIN, 0.0)


def pause_until(
    timings: JoinTimings, now: Floats, rounds: Any, place_at: Floats, first: Floats, chance: Floats
) -> Floats:
    """When the pause of each row ends: the twin of ``Join._pause``.

    ``place_at``: when a place is kept (inf: none is); ``first``: when the first of those who all said later may be
    asked (0: some may now); ``chance``: even, from 0 to 1.
    """
    if timings.jitter:
        until = now + chance * np.minimum(timings.pause, 2.0 ** np.minimum(rounds, LONGEST_DOUBLING))
    else:
        until = now + timings.pause
    if timings.patient:
        until = np.where(first > 0, first, until)
    half = now + np.minimum(LOOK_MOST, np.maximum(LOOK_AGAIN, (place_at - now) / 2))
    out: Floats = np.where(np.isfinite(place_at), np.minimum(place_at, half), until)
    return out
