"""What a scenario is played with."""

from __future__ import annotations

from dataclasses import dataclass, field

from halloo.overlay.promotion import Lending
from halloo.sim.desk import Work

__all__ = ["LENT", "Setting"]

LENT = Lending().clients  # nodes that a user's machine takes at most, where its owner says nothing


@dataclass(frozen=True, slots=True)
class Setting:
    """What a scenario is played with."""

    nodes: int = 10_000
    seed: int = 1
    per_supernode: int = 100
    """Ordinary nodes for each supernode there is at first."""
    timings: str = "modern"
    """Whose pace of joining: ``modern``, or ``classic`` for the article's."""
    calls: int = 100
    """Calls that are under way when something happens."""
    work: Work = field(default_factory=Work)
    boxes: bool = True
    """Whether users live behind boxes of all kinds."""
    loss: float = 0.002
    """Of datagrams."""
    hours: float = 0.0
    """How long a scenario without an event lasts; 0: as it thinks best."""
    first: int = 0
    """Supernodes that there are at first; 0: as ``per_supernode`` says."""
    places: int = 800
    """Nodes that a supernode takes at most; a user's machine no more than ``LENT``."""
    willing: float = 0.1
    """Share of the users who would have their machines serve others."""
    stands: float = 0.0
    """Seconds that the network stands before anything happens: who would serve has to be on line for five minutes."""
    degree: str = ""
    """At which degree of truth: ``minds`` or ``crowd``; empty: as fits so many nodes."""

    @property
    def supernodes(self) -> int:
        """How many supernodes there are at first."""
        return self.first or max(10, self.nodes // self.per_supernode)
