"""Users who come and go, supernodes that come and go: the churn of a network on the stage."""

from __future__ import annotations

from typing import TYPE_CHECKING

from halloo.sim.figures import quantile
from halloo.sim.lifetimes import DAY, Sessions, by_day

if TYPE_CHECKING:
    from halloo.sim.play import Play

__all__ = ["Churn"]

MIDNIGHT = 0.8 * DAY  # seconds after midnight at which the stage comes up: the evening's peak
SOON = 60.0  # seconds after which one who came should be on line
AWAY_LEAST = 300.0  # seconds that a user stays away at least: who is off line is looked for, too
CRASHES = 0.2  # of sessions end without a goodbye


class Churn:
    """The comings and goings of one stage."""

    def __init__(self, stage: Play, supernodes: Sessions, users: Sessions) -> None:
        self.stage = stage
        self._supernodes = supernodes
        self._users = users
        self.ended = 0
        self.supernodes_ended = 0
        self._came: dict[str, float] = {}
        """When each who should be on line began."""
        self._join_times: list[float] = []
        self._left: dict[str, float] = {}
        """When each who is off line was on line last."""
        self._checked = self._there = 0

    def begin(self) -> None:
        """From now on nodes come and go."""
        stage = self.stage
        for name in stage.supernodes:
            stage.world.plan(self._supernodes.left(stage.rng), self._supernode_ends, name)
        for name in stage.spare(stage.users):
            stage.world.plan(self._users.left(stage.rng), self._ends, name)
            self._came[name] = stage.world.now - SOON

    def settled(self) -> list[str]:
        """Users who began more than a minute ago."""
        now = self.stage.world.now
        return [name for name, came in self._came.items() if came + SOON <= now]

    def share_on_line(self) -> float | None:
        """Of all who began, the share that was on line a minute later."""
        return round(self._there / self._checked, 5) if self._checked else None

    def join_time(self, share: float) -> float | None:
        """Seconds from the start of a program until the directory held its user's record, for ``share`` of all."""
        value = quantile(self._join_times, share)
        return None if value is None else round(value, 2)

    def look_for_recent(self, rate: float) -> None:
        """``rate`` searches a second for users who are off line."""
        self.stage.world.every(1.0 / rate, self._look_for_recent)

    def _look_for_recent(self) -> bool:
        stage = self.stage
        if self._left and stage.on_line:
            who = stage.rng.choice(list(stage.on_line))
            name = stage.rng.choice(list(self._left))
            stage.search(who, name, recent=True)
        return True

    def _ends(self, name: str) -> None:
        """A session ends; the next begins after a while that keeps to the time of day."""
        stage = self.stage
        if name not in self._came:
            return
        self.ended += 1
        if name in stage.on_line:
            self._left[name] = stage.world.now
        if stage.rng.random() < CRASHES:
            stage.stop(name)
            stage.expected.pop(name, None)
        else:
            stage.leave(name)
        del self._came[name]
        share = by_day(MIDNIGHT + stage.now)
        mean_away = max(AWAY_LEAST, self._users.median * (1.05 - share) / max(0.05, share))
        stage.world.plan(AWAY_LEAST + stage.rng.expovariate(1.0 / mean_away), self._comes, name)

    def _comes(self, name: str) -> None:
        stage = self.stage
        if stage.town.runs(name):
            return
        now = stage.world.now
        self._left.pop(name, None)
        self._came[name] = now
        stage.expected[name] = None
        stage.start(name)
        stage.world.plan(SOON, self._check, name, now)
        stage.world.plan(self._users.drawn(stage.rng) + 30.0, self._ends, name)

    def _check(self, name: str, came: float) -> None:
        stage = self.stage
        if self._came.get(name) != came:
            return  # he left before
        self._checked += 1
        since = stage.on_line.get(name)
        if since is not None:
            self._there += 1
            self._join_times.append(max(0.0, since - came))

    def _supernode_ends(self, name: str) -> None:
        """A supernode ends; another one comes in its place, with another address book but the same line."""
        stage = self.stage
        if not stage.town.runs(name):
            return
        self.supernodes_ended += 1
        stage.stop(name)
        stage.world.plan(stage.rng.uniform(60.0, 1_800.0), self._supernode_comes, name)

    def _supernode_comes(self, name: str) -> None:
        stage = self.stage
        stage.start(name)
        stage.world.plan(self._supernodes.drawn(stage.rng) + 60.0, self._supernode_ends, name)
