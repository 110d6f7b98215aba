"""What is to happen to rows: moments with what belongs to them, taken when they are due, in order of time."""

from __future__ import annotations

from typing import Any

import numpy as np

from halloo.sim.crowd.ground import Floats

__all__ = ["Pool"]

FEW = 64  # new lots that are laid together at once


class Pool:
    """Things of one kind to come: a time each, and the same ``columns`` for all."""

    def __init__(self, *columns: type[Any]) -> None:
        self._kinds = columns
        self._at: Floats = np.empty(0)
        self._held: list[Any] = [np.empty(0, kind) for kind in columns]
        self._new: list[tuple[Floats, tuple[Any, ...]]] = []
        self.next_at = np.inf
        """When the first of them is due."""

    def __len__(self) -> int:
        return len(self._at) + sum(len(at) for at, _ in self._new)

    def put(self, at: Any, *values: Any) -> None:
        """Plan: times, and of each column as many values, or one for all."""
        at = np.atleast_1d(np.asarray(at, dtype=np.float64))
        if len(at):
            self._new.append((at, values))
            self.next_at = min(self.next_at, float(at.min()))
            if len(self._new) > FEW:
                self._gather()

    def take(self, until: float) -> tuple[Floats, ...] | None:
        """What is due before ``until``: times, then the columns; None: nothing is."""
        if self.next_at >= until:
            return None
        self._gather()
        due = self._at < until
        chosen = np.flatnonzero(due)
        order = chosen[np.argsort(self._at[chosen], kind="stable")]
        taken = (self._at[order], *(column[order] for column in self._held))
        keep = ~due
        self._at = self._at[keep]
        self._held = [column[keep] for column in self._held]
        self.next_at = float(self._at.min()) if len(self._at) else np.inf
        return taken

    def _gather(self) -> None:
        if not self._new:
            return
        new, self._new = self._new, []
        self._at = np.concatenate([self._at, *(at for at, _ in new)])
        for i, kind in enumerate(self._kinds):
            parts = [np.broadcast_to(np.asarray(values[i], kind), at.shape) for at, values in new]
            self._held[i] = np.concatenate([self._held[i], *parts])
