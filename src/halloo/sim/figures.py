"""The figures of a scenario: what is sampled as it goes, what is counted, and what is asked of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Criterion", "Outcome", "quantile"]


@dataclass(frozen=True, slots=True)
class Criterion:
    """What is asked of one figure: that it be no more (``most``) or no less (``least``)."""

    figure: str
    words: str
    least: float | None = None
    most: float | None = None

    def met(self, figures: dict[str, Any]) -> bool:
        """Whether it is.  A figure that could not be had meets nothing."""
        value = figures.get(self.figure)
        if value is None:
            return False
        return (self.least is None or value >= self.least) and (self.most is None or value <= self.most)

    @property
    def bound(self) -> str:
        """The bound, as a person reads it."""
        return f">= {self.least:g}" if self.least is not None else f"<= {self.most:g}"


@dataclass(slots=True)
class Outcome:
    """What came of one run."""

    scenario: str
    seed: int
    nodes: int
    timings: str
    degree: str
    """Of truth: minds or a crowd."""
    figures: dict[str, Any] = field(default_factory=dict)
    criteria: tuple[Criterion, ...] = ()
    series: list[dict[str, float]] = field(default_factory=list)
    """Samples over virtual time, each with ``time`` in seconds from the event of the scenario."""
    latencies: list[float] = field(default_factory=list)
    """Of searches that found, in seconds."""
    map: list[tuple[str, int, int]] = field(default_factory=list)
    """(block, slot, members) as the supernodes see it at the end."""
    words: str = ""

    @property
    def failed(self) -> tuple[Criterion, ...]:
        """What was asked and not reached."""
        return tuple(criterion for criterion in self.criteria if not criterion.met(self.figures))

    @property
    def passed(self) -> bool:
        """Whether all was reached that was asked."""
        return not self.failed

    def table(self) -> dict[str, Any]:
        """As one JSON object: the figures beside who and what."""
        return {
            "scenario": self.scenario,
            "seed": self.seed,
            "nodes": self.nodes,
            "timings": self.timings,
            "degree": self.degree,
            "passed": self.passed,
            **self.figures,
            "reached": {criterion.figure: criterion.met(self.figures) for criterion in self.criteria},
        }


def quantile(values: Sequence[float], share: float) -> float | None:
    """The value that ``share`` of all do not exceed; None of nothing."""
    if not values:
        return None
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
