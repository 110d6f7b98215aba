"""One story at two degrees of truth: what minds and a crowd say of it, and how far apart they are.

    steady, with searches --> three supernodes of ten die, a tenth of the users restart --> until all are back

Whatever differs by more than is allowed is a fault of the crowd.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from statistics import fmean

from halloo.sim.play import Setting
from halloo.sim.stages import stage_of

__all__ = ["ALLOWED", "Apart", "apart", "story"]

STEADY, LASTS = 60.0, 240.0  # seconds before it happens, and after it
DIE, RESTART = 0.3, 0.1
WITHIN = 30.0  # seconds in which those who restart do
DOWN = 5.0  # seconds that it takes
SEARCHES = 20.0  # a second

ALLOWED = {
    "back_after_s": 0.25,
    "attempts_per_supernode": 0.25,
    "joins": 0.25,
    "losses": 0.25,
    "search_round_trips": 0.10,
    "search_messages": 0.10,
    "node_bytes_per_s": 0.25,
    "supernode_bytes_per_s": 0.25,
}
"""By figure, by which share of what the minds say a crowd may be off."""


@dataclass(frozen=True, slots=True)
class Apart:
    """One figure at both degrees."""

    figure: str
    minds: float
    crowd: float

    @property
    def share(self) -> float:
        """By how much the crowd is off, as a share of what the minds say."""
        return abs(self.crowd - self.minds) / self.minds if self.minds else float(self.crowd != self.minds)

    @property
    def good(self) -> bool:
        """Whether that is allowed."""
        return self.share <= ALLOWED[self.figure]


def story(setting: Setting) -> dict[str, float]:
    """Play it; its figures."""
    stage = stage_of(setting, length=STEADY + LASTS)
    stage.come_up()
    joins, losses = stage.joins, stage.losses
    stage.mark()
    said = stage.searching_said()
    stage.search_often(SEARCHES, STEADY)
    stage.run(STEADY)
    stage.run(10.0)
    upkeep = stage.upkeep()
    messages = (stage.searching_said() - said) / max(1, stage.found_on_line.asked)
    calm = stage.outcome("").figures
    at = stage.now
    for name in stage.rng.sample(stage.supernodes, round(DIE * len(stage.supernodes))):
        stage.stop(name)
    for name in stage.rng.sample(stage.spare(stage.users), round(RESTART * len(stage.users))):
        moment = WITHIN * stage.rng.random()
        stage.world.plan(moment, stage.stop, name)
        stage.world.plan(moment + DOWN, stage.start, name)
    back = stage.until_back(at, list(stage.expected), LASTS)
    stage.run(at + LASTS - stage.now)
    return {
        "back_after_s": back if back is not None else 10 * LASTS,
        "attempts_per_supernode": fmean(stage.attempts()),
        "joins": stage.joins - joins,
        "losses": stage.losses - losses,
        "search_round_trips": calm["search_round_trips"] or 0.0,
        "search_messages": messages,
        "node_bytes_per_s": upkeep["node_bytes_per_s"] or 0.0,
        "supernode_bytes_per_s": upkeep["supernode_bytes_per_s"] or 0.0,
    }


def apart(setting: Setting, seeds: Iterable[int]) -> list[Apart]:
    """The story at both degrees, the mean over some seeds."""
    told: dict[str, list[dict[str, float]]] = {"minds": [], "crowd": []}
    for seed in seeds:
        for degree, figures in told.items():
            figures.append(story(replace(setting, seed=seed, degree=degree)))
    return [
        Apart(name, *(fmean(figures[name] for figures in told[degree]) for degree in ("minds", "crowd")))
        for name in ALLOWED
    ]
