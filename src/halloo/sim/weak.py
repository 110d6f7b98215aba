"""A build that cannot bear certain messages: its programs end when they hear one, and are started again."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from halloo.base.machine import Message
from halloo.sim.minds import Dweller

if TYPE_CHECKING:
    from halloo.sim.play import Play

__all__ = ["WeakBuild"]


class WeakBuild:
    """Those of one stage who run it: nobody until ``begin``."""

    def __init__(self, stage: Play) -> None:
        self._stage = stage
        self.crashes = 0
        self.restarts = 0.0
        """Seconds until a program that ended is started again."""
        self._names: dict[str, None] = {}
        self._weakness: Callable[[Message], bool] | None = None

    def begin(self, names: Iterable[str], weakness: Callable[[Message], bool], restarts: float) -> None:
        """From now on these run it."""
        self._names |= dict.fromkeys(names)
        self._weakness, self.restarts = weakness, restarts
        for name in self._names:
            if self._stage.town.runs(name):
                self._stage.world.dwellers[name].weakness = self._ends_at

    def comes(self, name: str, dweller: Dweller) -> None:
        """Somebody's program was started."""
        if name in self._names:
            dweller.weakness = self._ends_at

    def _ends_at(self, message: Message) -> bool:
        assert self._weakness is not None
        if not self._weakness(message):
            return False
        self.crashes += 1
        return True
