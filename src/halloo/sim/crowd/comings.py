"""Users and supernodes of a crowd that come and go: the twin of ``population``, a lot each second."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

import numpy as np

from halloo.sim.crowd.ground import Floats, Ints
from halloo.sim.figures import quantile
from halloo.sim.lifetimes import Sessions, by_day
from halloo.sim.population import AWAY_LEAST, CRASHES, MIDNIGHT, SOON

if TYPE_CHECKING:
    from halloo.sim.crowd.stage import CrowdPlay

__all__ = ["CrowdChurn"]

DRAWN = 64  # sessions from which one that is under way is drawn: see ``Sessions.left``
MOST_TIMES = 200_000  # times of joining that are kept


class CrowdChurn:
    """The comings and goings of one stage."""

    def __init__(self, stage: CrowdPlay, supernodes: Sessions, users: Sessions) -> None:
        self.stage = stage
        self._supernodes, self._users = supernodes, users
        self.ended = self.supernodes_ended = 0
        count = len(stage.users)
        self._ends_at: Floats = np.full(count, inf)
        self._comes_at: Floats = np.full(count, inf)
        self._came: Floats = np.full(count, inf)
        self._left: Floats = np.full(count, inf)
        """When each who is off line was on line last."""
        self._checks_at: Floats = np.full(count, inf)
        self._checked = self._there = 0
        self._join_times: list[float] = []

    def begin(self) -> None:
        """From now on nodes come and go."""
        stage, now = self.stage, self.stage.world.now
        for name in stage.supernodes:
            stage.world.plan(self._supernodes.left(stage.rng), self._supernode_ends, name)
        rows = np.array(stage.spare(stage.users))
        for at in range(0, len(rows), 1 << 14):
            some = rows[at : at + (1 << 14)]
            self._ends_at[some] = now + self._left_of(len(some))
        self._came[rows] = now - SOON
        stage.world.every(1.0, self._each_second)

    def _left_of(self, count: int) -> Floats:
        """How much is left of sessions under way: the twin of ``Sessions.left``."""
        chance = self.stage.crowd.chance
        lengths = self._users.scale * chance.weibull(self._users.shape, (count, DRAWN))
        sums = lengths.cumsum(1)
        column = (sums < (chance.random(count) * sums[:, -1])[:, None]).sum(1)
        out: Floats = lengths[np.arange(count), np.minimum(column, DRAWN - 1)] * chance.random(count)
        return out

    def settled(self) -> list[int]:
        """Users who began more than a minute ago."""
        found: list[int] = np.flatnonzero(self._came + SOON <= self.stage.world.now).tolist()
        return found

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
        away = np.flatnonzero(self._left < inf)
        who = stage.anybody()
        if len(away) and who is not None:
            stage.search(who, int(stage.rng.choice(away)), recent=True)
        return True

    def _each_second(self) -> bool:
        now = self.stage.world.now
        self._ended(np.flatnonzero(self._ends_at <= now))
        self._came_again(np.flatnonzero(self._comes_at <= now))
        self._check(np.flatnonzero(self._checks_at <= now))
        return True

    def _ended(self, rows: Ints) -> None:
        """Sessions end; the next begins after a while that keeps to the time of day."""
        if not len(rows):
            return
        stage, chance = self.stage, self.stage.crowd.chance
        now = stage.world.now
        self.ended += len(rows)
        there = rows[stage.crowd.rows.on_line_since[rows] < inf]
        self._left[there] = now
        crashes = chance.random(len(rows)) < CRASHES
        stage.crowd.end(rows[crashes], goodbye=False)
        stage.crowd.end(rows[~crashes], goodbye=True)
        for row in rows.tolist():
            stage.expected.pop(row, None)
        self._came[rows], self._ends_at[rows], self._checks_at[rows] = inf, inf, inf
        share = by_day(MIDNIGHT + stage.now)
        away = max(AWAY_LEAST, self._users.median * (1.05 - share) / max(0.05, share))
        self._comes_at[rows] = now + AWAY_LEAST + chance.exponential(away, len(rows))

    def _came_again(self, rows: Ints) -> None:
        if not len(rows):
            return
        stage, chance, now = self.stage, self.stage.crowd.chance, self.stage.world.now
        self._comes_at[rows], self._left[rows] = inf, inf
        rows = rows[~stage.crowd.rows.runs[rows]]
        self._came[rows], self._checks_at[rows] = now, now + SOON
        stage.expected.update(dict.fromkeys(rows.tolist()))
        stage.crowd.begin(rows)
        lasts = self._users.scale * chance.weibull(self._users.shape, len(rows)) + 30.0
        self._ends_at[rows] = now + lasts

    def _check(self, rows: Ints) -> None:
        if not len(rows):
            return
        self._checks_at[rows] = inf
        since = self.stage.crowd.rows.on_line_since[rows]
        there = since < inf
        self._checked += len(rows)
        self._there += int(there.sum())
        if len(self._join_times) < MOST_TIMES:
            self._join_times += np.maximum(0.0, since[there] - self._came[rows[there]]).tolist()

    def _supernode_ends(self, name: int) -> None:
        stage = self.stage
        if not stage.crowd.desks.alive[name - stage.setting.nodes]:
            return
        self.supernodes_ended += 1
        stage.stop(name)
        stage.world.plan(stage.rng.uniform(60.0, 1_800.0), self._supernode_comes, name)

    def _supernode_comes(self, name: int) -> None:
        stage = self.stage
        stage.start(name)
        stage.world.plan(self._supernodes.drawn(stage.rng) + 60.0, self._supernode_ends, name)
