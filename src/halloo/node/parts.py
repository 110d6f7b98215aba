"""The machines of a node, and when each of them wants to be woken.

Asking each machine for its deadline costs more than most of what a node hears.  Whoever takes hold of a machine may
change its deadline: so it is asked again when somebody has, and only then.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

if TYPE_CHECKING:
    from halloo.base.machine import Machine

__all__ = ["EVERY", "Part", "Parts"]

M = TypeVar("M")
COUNT = 11
EVERY = (1 << COUNT) - 1
"""As a set of bits: every machine of a node."""
_NUMBERS = tuple(tuple(i for i in range(COUNT) if bits >> i & 1) for bits in range(EVERY + 1))


class Parts:
    """The machines of one node, in the order in which they are woken."""

    __slots__ = ("held", "soonest", "times", "touched")

    def __init__(self) -> None:
        self.held: list[Machine | None] = [None] * COUNT
        self.times = [inf] * COUNT
        self.touched = EVERY
        """Whom somebody has taken hold of since he was asked, as bits."""
        self.soonest = inf

    @property
    def wake_at(self) -> float:
        """The first deadline."""
        if self.touched:
            touched, self.touched = _NUMBERS[self.touched], 0
            held, times = self.held, self.times
            for i in touched:
                machine = held[i]
                times[i] = machine.wake_at if machine is not None else inf
            self.soonest = min(times)
        return self.soonest

    def due(self, i: int, now: float) -> Machine | None:
        """The machine number ``i``, if its deadline has come."""
        machine = self.held[i]
        if machine is None or (machine.wake_at if self.touched >> i & 1 else self.times[i]) > now:
            return None
        return machine


class Part(Generic[M]):
    """An attribute of a node: its machine number ``number``.  ``moves``: the numbers of others that it uses itself."""

    def __init__(self, number: int, *moves: int) -> None:
        self.number = number
        self.bits = 1 << number
        for other in moves:
            self.bits |= 1 << other

    @overload
    def __get__(self, node: None, owner: Any = None) -> Part[M]: ...

    @overload
    def __get__(self, node: Any, owner: Any = None) -> M: ...

    def __get__(self, node: Any, owner: Any = None) -> Any:
        if node is None:
            return self
        parts = node.parts
        parts.touched |= self.bits
        return parts.held[self.number]

    def seen(self, node: Any) -> M:
        """The machine, to look at only: its deadline stays as it is."""
        machine: M = node.parts.held[self.number]
        return machine

    def __set__(self, node: Any, machine: M) -> None:
        node.parts.touched |= self.bits
        node.parts.held[self.number] = machine
