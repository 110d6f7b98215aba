"""Users who look for others on a stage, and what they find."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf
from typing import TYPE_CHECKING

from halloo.base.errors import UsageError
from halloo.messages.credential import Entry
from halloo.overlay.search import SearchDone

if TYPE_CHECKING:
    from halloo.sim.play import Play

__all__ = ["Lookups", "Share", "Watched"]


@dataclass(slots=True)
class Watched:
    """A search that is being waited for."""

    name: str
    began: float
    recent: bool
    """Whether the one looked for is off line and was on line within 72 hours."""


@dataclass(slots=True)
class Share:
    """How many were looked for, and how many were found, how soon."""

    asked: int = 0
    found: int = 0
    latencies: list[float] = field(default_factory=list)


class Lookups:
    """The searches of one stage."""

    def __init__(self, stage: Play) -> None:
        self._stage = stage
        self._waiting: dict[tuple[str, int], Watched] = {}
        self.on_line, self.recent = Share(), Share()
        self.newest = [0, 0]
        """How many records were the newest of their owner, and how many were looked at."""

    def pair(self) -> tuple[str, str] | None:
        """One who is on line, and another who has been for a moment."""
        stage = self._stage
        for _ in range(20):
            one, other = stage.rng.choice(stage.users), stage.rng.choice(stage.users)
            if one != other and one in stage.on_line and stage.world.now - stage.on_line.get(other, inf) > 5.0:
                return one, other
        return None

    def begin(self, who: str, name: str, *, recent: bool = False) -> None:
        """One user looks for another; ``recent``: who is off line and was on line within 72 hours."""
        if who not in self._stage.attached:
            return
        node = self._stage.town.node(who)
        try:
            number, effects = node.searches.find(name, self._stage.world.now)
        except UsageError:
            return
        self._waiting[who, number] = Watched(name, self._stage.world.now, recent)
        self._stage.town.act(who, effects)

    def ended(self, who: str, event: SearchDone, now: float) -> None:
        """A search of somebody's has ended: count it if it was one of these."""
        watched = self._waiting.pop((who, event.number), None)
        if watched is None:
            return
        if not watched.recent and watched.name not in self._stage.on_line:
            return  # he went off line meanwhile
        held = self.recent if watched.recent else self.on_line
        held.asked += 1
        if event.entries:
            held.found += 1
            self.newest[0] += self._is_newest(event.entries[0])
            self.newest[1] += 1
            held.latencies.append(now - watched.began)

    def _is_newest(self, entry: Entry) -> bool:
        """Whether a record leads to where its owner is now."""
        if not self._stage.town.runs(entry.name):
            return True
        supernode = self._stage.town.node(entry.name).join.supernode
        return supernode is None or entry.listing.supernode == supernode
