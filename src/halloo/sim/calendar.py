"""What happens next: deeds by time, in buckets, and in the order in which they were planned where times are equal.

One heap over all deeds slows down as they grow in number; here a deed is put into the bucket of its moment, and a
bucket is put in order when its moment comes.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable
from heapq import heappop, heappush
from math import inf
from typing import Any

__all__ = ["Calendar"]

WIDTH = 1 / 64  # seconds in a bucket: some hundred deeds in a busy world, and a sum without rounding

Deed = tuple[float, int, Callable[..., None], tuple[Any, ...]]


class Calendar:
    """Deeds to come.  ``put`` takes a deed for any time; ``next_at`` and ``take`` give them back in order."""

    __slots__ = ("_at", "_buckets", "_keys", "_now", "_order", "_present")

    def __init__(self) -> None:
        self._buckets: dict[int, list[Deed]] = {}
        self._keys: list[int] = []
        self._now: list[Deed] = []
        """The bucket that is being emptied, in order, up to ``_at`` already taken."""
        self._at = 0
        self._present = -1
        self._order = 0

    def __len__(self) -> int:
        return len(self._now) - self._at + sum(len(bucket) for bucket in self._buckets.values())

    def put(self, time: float, deed: Callable[..., None], *values: Any) -> None:
        """Plan ``deed(*values)`` for ``time``, in seconds; one for the past comes next."""
        self._order += 1
        key = int(time / WIDTH)
        entry = (time, self._order, deed, values)
        if key <= self._present:
            insort(self._now, entry, lo=self._at)
            return
        bucket = self._buckets.get(key)
        if bucket is None:
            self._buckets[key] = [entry]
            heappush(self._keys, key)
        else:
            bucket.append(entry)

    @property
    def next_at(self) -> float:
        """When the next deed is due; ``inf`` when there is none."""
        if self._at >= len(self._now) and not self._turn():
            return inf
        return self._now[self._at][0]

    def take(self) -> Deed:
        """Remove the next deed.  Raises IndexError when there is none."""
        if self._at >= len(self._now) and not self._turn():
            raise IndexError("nothing is planned")
        deed = self._now[self._at]
        self._at += 1
        return deed

    def _turn(self) -> bool:
        """Begin the next bucket; False when there is none."""
        if not self._keys:
            return False
        self._present = heappop(self._keys)
        self._now = self._buckets.pop(self._present)
        self._now.sort()  # by time and order: no two have the same
        self._at = 0
        return True
