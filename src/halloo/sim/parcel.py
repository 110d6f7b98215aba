"""What passes through a relay between minds."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from halloo.base.address import Route

if TYPE_CHECKING:
    from halloo.sim.minds import Dweller

__all__ = ["Parcel"]


class Parcel:
    """What passes through a relay, which cannot open it: what shall happen where it arrives.  As long as a packet."""

    __slots__ = ("act", "item", "passed", "size")

    def __init__(self, act: Callable[[Dweller, Route, Any], None], item: Any, size: int = 120) -> None:
        self.act = act
        self.item = item
        self.size = size
        self.passed = False
        """Whether a relay has passed it on."""

    def __len__(self) -> int:
        return self.size
