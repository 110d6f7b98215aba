"""What a machine is: a plain object that is told what happened and returns what shall be done.

Every entrance (an intent, ``receive``, ``wake``) takes the time as an argument and returns a list of
effects.  A machine knows no socket, clock, die or task: time is a number, randomness is a
``random.Random`` given at birth.  ``wake_at`` says when it wants to be woken.
"""

from __future__ import annotations

from enum import Enum
from heapq import heappop, heappush
from math import inf
from typing import Generic, Protocol, TypeVar

__all__ = ["Alarms", "Effect", "Effects", "Event", "Machine", "Message", "Numbers", "Timers"]


class Message:
    """Something one node says to another.  Declared in ``halloo.messages``, built on ``halloo.wire.command``."""

    __slots__ = ()


class Effect:
    """Something a machine wants done, or tells its owner."""

    __slots__ = ()


class Event(Effect):
    """Something that happened, told to the owner.  Subclasses are frozen dataclasses named in the past tense."""

    __slots__ = ()


Effects = list[Effect]


class Machine(Protocol):
    """The two entrances that every machine has besides its intents."""

    @property
    def wake_at(self) -> float:
        """When to call ``wake`` next, in seconds of the world's monotonic clock; ``inf`` for never."""

    def wake(self, now: float) -> Effects:
        """Do what is due at ``now``.  Calling it too early is harmless."""


class Numbers:
    """Counts up; every number once."""

    __slots__ = ("_next",)

    def __init__(self, first: int = 1) -> None:
        self._next = first

    def __call__(self) -> int:
        """The next number."""
        self._next += 1
        return self._next - 1


class Timers(dict[Enum, float]):
    """A handful of named deadlines, in seconds of the world's clock."""

    @property
    def next(self) -> float:
        """The earliest deadline, ``inf`` when there is none."""
        return min(self.values()) if self else inf

    def due(self, now: float) -> list[Enum]:
        """Remove and return those that have come, earliest first."""
        come = sorted((name for name, at in self.items() if at <= now), key=self.__getitem__)
        for name in come:
            del self[name]
        return come


Key = TypeVar("Key")


class Alarms(Generic[Key]):
    """Deadlines of many siblings (links, children), one each: setting and finding the next cost a logarithm.

    A heap holds every deadline ever set; one that was moved is skipped when its turn comes.
    """

    __slots__ = ("_at", "_count", "_heap")

    def __init__(self) -> None:
        self._at: dict[Key, float] = {}
        self._heap: list[tuple[float, int, Key]] = []
        self._count = 0

    def __setitem__(self, key: Key, at: float) -> None:
        if self._at.get(key) == at:
            return
        if at == inf:
            self._at.pop(key, None)
            return
        self._at[key] = at
        self._count += 1
        heappush(self._heap, (at, self._count, key))
        if len(self._heap) > 64 + 4 * len(self._at):
            live = sorted((at, count, key) for at, count, key in self._heap if self._at.get(key) == at)
            self._heap = live

    def __delitem__(self, key: Key) -> None:
        self._at.pop(key, None)

    def __len__(self) -> int:
        return len(self._at)

    def at(self, key: Key) -> float:
        """The deadline of one of them, ``inf`` when it has none."""
        return self._at.get(key, inf)

    @property
    def next(self) -> float:
        """The earliest deadline, ``inf`` when there is none."""
        while self._heap and self._at.get(self._heap[0][2]) != self._heap[0][0]:
            heappop(self._heap)
        return self._heap[0][0] if self._heap else inf

    def due(self, now: float) -> list[Key]:
        """Remove and return those that have come, earliest first."""
        come: list[Key] = []
        while self.next <= now:
            key = heappop(self._heap)[2]
            del self._at[key]
            come.append(key)
        return come
