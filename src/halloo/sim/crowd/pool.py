"""What is to happen to rows: moments with what belongs to them, taken when they are due, in order of time.

What is far off is not looked at before its time comes near: whatever is planned for a minute costs nothing meanwhile.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from halloo.sim.crowd.ground import Bools, Floats

__all__ = ["Pool"]

NEAR = 1.0  # seconds before its time that a thing is looked at each tick: most follow within a round trip
ROOM = 64  # things for which a pool has room at first


class Pool:
    """Things of one kind to come: a time each, and the same ``columns`` for all."""

    def __init__(self, *columns: type[Any]) -> None:
        self._near, self._far = _Lot(columns), _Lot(columns)
        self._edge = -np.inf
        """Whatever is due before is near."""
        self.next_at = np.inf
        """When the first of them is due."""

    def __len__(self) -> int:
        return self._near.count + self._far.count

    def put(self, at: Any, *values: Any) -> None:
        """Plan: times, and of each column as many values, or one for all."""
        at = np.atleast_1d(np.asarray(at, dtype=np.float64))
        if not len(at):
            return
        first = float(at.min())
        self.next_at = min(self.next_at, first)
        if first >= self._edge:
            self._far.add(at, values)
        elif float(at.max()) < self._edge:
            self._near.add(at, values)
        else:
            near = at < self._edge
            for lot, which in ((self._near, near), (self._far, ~near)):
                lot.add(at[which], tuple(each if np.ndim(each) == 0 else np.asarray(each)[which] for each in values))

    def take(self, until: float) -> tuple[Floats, ...] | None:
        """What is due before ``until``: times, then the columns; None: nothing is."""
        if self.next_at >= until:
            return None
        near, far = self._near, self._far
        if until > self._edge:
            self._edge = until + NEAR
            near.add(*far.take(far.at[: far.count] < self._edge))
        at, values = near.take(near.at[: near.count] < until)
        order = np.argsort(at, kind="stable")
        self.next_at = min(near.first, far.first)
        return (at[order], *(column[order] for column in values))


class _Lot:
    """Things in the order in which they were planned, in arrays with room to spare."""

    def __init__(self, columns: tuple[type[Any], ...]) -> None:
        self.count = 0
        self.at: Floats = np.empty(ROOM)
        self._held: list[Any] = [np.empty(ROOM, kind) for kind in columns]

    @property
    def first(self) -> float:
        """When the first is due."""
        return float(self.at[: self.count].min()) if self.count else np.inf

    def add(self, at: Floats, values: tuple[Any, ...]) -> None:
        """Lay these behind the others."""
        begin, end = self.count, self.count + len(at)
        if end > len(self.at):
            room = max(end, 2 * len(self.at))
            self.at = _moved(self.at, begin, room)
            self._held = [_moved(column, begin, room) for column in self._held]
        self.at[begin:end] = at
        for column, each in zip(self._held, values, strict=True):
            column[begin:end] = each
        self.count = end

    def take(self, which: Bools) -> tuple[Floats, tuple[Any, ...]]:
        """Remove some: their times, and their columns."""
        count, chosen = self.count, np.flatnonzero(which)
        taken = self.at[chosen], tuple(column[chosen] for column in self._held)
        if len(chosen) == count:
            self.count = 0
        elif len(chosen):
            left = np.flatnonzero(~which)
            self.count = len(left)
            for column in (self.at, *self._held):
                column[: len(left)] = column[left]
        return taken


def _moved(column: Any, count: int, room: int) -> Any:
    wider = np.empty(room, column.dtype)
    wider[:count] = column[:count]
    return wider
