"""The rows of a crowd: one for each ordinary node, and what is known of it beside its host cache."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from halloo.overlay.join import State
from halloo.overlay.scout import SPARES
from halloo.sim.crowd.ground import NOBODY, Bools, Floats, Ints
from halloo.sim.crowd.pool import Pool

__all__ = ["ATTACHED", "CLIMBING", "FAILED", "IDLE", "OFFERS", "PAUSING", "Rows", "waves"]

IDLE, CLIMBING, PAUSING, ATTACHED, FAILED = (state.value for state in State)
_NOBODY: Ints = np.empty(0, np.int64)
OFFERS = 8  # supernodes whose waiting times are compared in one round: four are asked, and eight referred to


class Rows:
    """``users`` of them.  An ``epoch`` ends with each change of state: what was planned in an earlier one is void."""

    def __init__(self, users: int, entries: int) -> None:
        self.runs: Bools = np.zeros(users, bool)
        self.starts = np.zeros(users, np.uint16)
        """How often its program was started."""
        self.state = np.zeros(users, np.uint8)
        self.epoch = np.zeros(users, np.int32)
        self.wake_at: Floats = np.full(users, np.inf)
        """When the round ends, the pause ends, or the loss of the supernode is noticed: set by ``wake``."""
        self.alarms = Pool(np.int32)
        """The same moments, and some that are void by now."""
        self.began = np.zeros(users, np.float64)
        self.round = np.zeros(users, np.uint8)
        self.referred = np.zeros(users, np.uint8)
        self.attempts = np.zeros(users, np.uint8)
        self.comes_to = np.full(users, NOBODY, np.uint16)
        """The supernode that the newest handshake over UDP is under way with."""
        self.heard: Bools = np.zeros(users, bool)
        """Whether a probe was answered in this search."""
        self.knows: Bools = np.zeros(users, bool)
        """Whether it knows its public host: the first datagram is told, and said again."""
        self.held_until = np.zeros(users, np.float64)
        self.round_ends: Floats = np.zeros(users)
        self.entries = np.full((users, entries), NOBODY, np.uint16)
        self.place_with = np.full(users, NOBODY, np.uint16)
        """The supernode that keeps a place,"""
        self.place_at: Floats = np.full(users, np.inf)
        self.place_ticket = np.zeros(users, np.int64)
        self.offer_with = np.full((users, OFFERS), NOBODY, np.uint16)
        self.offer_at = np.full((users, OFFERS), np.inf, np.float32)
        self.choose_at = np.full(users, np.inf, np.float64)
        self.supernode = np.full(users, NOBODY, np.uint16)
        self.life = np.zeros(users, np.int32)
        """In which of its lives the supernode took us."""
        self.attached_at = np.zeros(users, np.float64)
        self.ping_at = np.zeros(users, np.float64)
        """When the first sign of life was due; the others follow in even steps."""
        self.publish_at = np.full(users, np.inf, np.float32)
        self.published_at = np.full(users, -np.inf, np.float32)
        self.atlas_at = np.zeros(users, np.float32)
        self.atlas_next = np.full(users, np.inf, np.float32)
        self.spare = np.full((users, SPARES), NOBODY, np.uint16)
        self.spare_trip = np.full((users, SPARES), np.inf, np.float32)
        self.spare_heard = np.zeros((users, SPARES), np.float32)
        self.spare_next = np.full(users, np.inf, np.float32)
        self.stalest_next = np.full(users, np.inf, np.float32)
        self.ghost = np.full(users, NOBODY, np.uint16)
        """The supernode that takes it for attached still, though it is not."""
        self.ghost_life = np.zeros(users, np.int32)
        self.on_line_since: Floats = np.full(users, np.inf)
        """Since when the directory has held its record; inf: it is not on line."""

    def wake(self, rows: Ints, at: Any) -> None:
        """These are to be woken then."""
        self.wake_at[rows] = at
        self.alarms.put(at, rows)

    def woken(self, until: float) -> Ints:
        """Those who are to be woken before ``until``, in order of number."""
        taken = self.alarms.take(until)
        if taken is None:
            return _NOBODY
        rows = np.unique(taken[1]).astype(np.int64)
        return rows[self.wake_at[rows] < until]

    @property
    def on_line(self) -> Bools:
        """Who is."""
        return self.on_line_since < np.inf


def waves(rows: Ints) -> Iterator[Any]:
    """Places in ``rows``, in lots in which no row is met twice, in order."""
    left = np.arange(len(rows))
    while len(left):
        _, first = np.unique(rows[left], return_index=True)
        if len(first) == len(left):
            yield left
            return
        yield left[np.sort(first)]
        left = np.delete(left, first)
