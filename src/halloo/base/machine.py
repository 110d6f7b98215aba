"""What a machine is: a plain object that is told what happened and returns what shall be done.

Every entrance (an intent, ``receive``, ``wake``) takes the time as an argument and returns a list of
effects.  A machine knows no socket, clock, die or task: time is a number, randomness is a
``random.Random`` given at birth.  ``wake_at`` says when it wants to be woken.
"""

from __future__ import annotations

from enum import Enum
from math import inf
from typing import Protocol

from halloo.base.address import Peer, Route

__all__ = ["Effect", "Effects", "Event", "Machine", "Message", "Send", "Timers"]


class Message:
    """Something one node says to another.  Declared in ``halloo.messages``, built on ``halloo.wire.command``."""

    __slots__ = ()


class Effect:
    """Something a machine wants done, or tells its owner."""

    __slots__ = ()


class Event(Effect):
    """Something that happened, told to the owner.  Subclasses are frozen dataclasses named in the past tense."""

    __slots__ = ()


class Send(Effect):
    """Say ``message`` to ``to``: to a peer sealed, in order and repeated until heard; to a route in the open, once."""

    __slots__ = ("message", "to")

    def __init__(self, to: Peer | Route, message: Message) -> None:
        self.to = to
        self.message = message

    def __repr__(self) -> str:
        return f"Send({self.to!r}, {self.message!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Send) and (self.to, self.message) == (other.to, other.message)

    __hash__ = None  # type: ignore[assignment]


Effects = list[Effect]


class Machine(Protocol):
    """The two entrances that every machine has besides its intents."""

    @property
    def wake_at(self) -> float:
        """When to call ``wake`` next, in seconds of the world's monotonic clock; ``inf`` for never."""

    def wake(self, now: float) -> Effects:
        """Do what is due at ``now``.  Calling it too early is harmless."""


class Timers(dict[Enum, float]):
    """A handful of named deadlines, in seconds of the world's clock."""

    @property
    def next(self) -> float:
        """The earliest deadline, ``inf`` when there is none."""
        return min(self.values(), default=inf)

    def due(self, now: float) -> list[Enum]:
        """Remove and return those that have come, earliest first."""
        come = sorted((name for name, at in self.items() if at <= now), key=self.__getitem__)
        for name in come:
            del self[name]
        return come
