"""Whether a block splits or merges: what one member decides for itself, from the members that it knows.

Nobody votes, and nobody is asked: all who know the same members come to the same decision a little earlier or later,
and where an eighth of the block has gone ahead the rest follows.  A block that is too large parts in the two halves of
its prefix; one that is too small goes together with its sibling.  Both have to last for a while, and the bounds lie
apart, so that a merged block does not split at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

from halloo.overlay.roster import Roster
from halloo.overlay.slots import Key, Prefix

__all__ = ["HALF", "MERGED", "MERGE_AFTER", "SPLIT_AFTER", "SPLIT_AT", "Halving"]

SPLIT_AT = 152  # members and standbys of a block: each half can fill its eight slots
SPLIT_AFTER = 30.0  # seconds that it has to be so large
STEP_PAUSE = 60.0  # seconds after a split in which those who have not followed yet are not taken for merging
FOLLOW = 8  # a split is followed when an eighth of the block has gone ahead
HALF = 56  # members that each half must have; below it a block merges with its sibling
MERGED = 130  # members that both may have together, so that the merged block does not split at once
MERGE_AFTER = 300.0  # seconds that it has to be so small: half of it may be back soon


@dataclass(slots=True)
class Halving:
    """Since when a block is too large or too small, and when it took its last step."""

    roster: Roster
    wall: float
    _large_since: float = inf
    _small_since: float = inf
    _stepped: int = 0
    """When our block split or merged last, in wall-clock seconds."""

    @property
    def small(self) -> bool:
        """Whether the block was found to be so small that it may have to merge."""
        return self._small_since < inf

    @property
    def restless(self) -> bool:
        """Whether the block was found to be too large or too small: it may have to take a step soon."""
        return self._large_since < inf or self.small

    def watch(self, now: float) -> bool:
        """See how large the block is; whether it has become too small just now."""
        size, was_small = self.roster.size, self.small
        self._large_since = min(self._large_since, now) if size >= SPLIT_AT else inf
        small = size < HALF and self.roster.prefix.depth > 0
        self._small_since = min(self._small_since, now) if small else inf
        return small and not was_small

    def should_split(self, place: Key, now: float) -> bool:
        """Whether we, who belong at ``place``, go on with our half."""
        if self._gone_ahead(1) and self.roster.size >= HALF:
            return True
        if now - self._large_since < SPLIT_AFTER:
            return False
        half = Prefix.of(place, self.roster.prefix.depth + 1)
        own = sum(one.trusted and half.covers(one.place) for one in self.roster.members.values())
        return HALF <= own <= self.roster.size - HALF

    def should_merge(self, sibling_size: int, now: float) -> bool:
        """Whether we go together with the sibling block, which has so many members (0: nobody knows)."""
        if self.roster.prefix.depth == 0:
            return False
        if self._gone_ahead(-1) and now + self.wall > self._stepped + STEP_PAUSE:
            return True
        if now - self._small_since < MERGE_AFTER:
            return False
        return 0 < sibling_size <= MERGED - self.roster.size

    def split(self, half: Prefix, now: float) -> None:
        """We go with one half: our block is that one."""
        self.roster.shrink(half)
        self._large_since = inf
        self._stepped = int(now + self.wall)

    def merge(self, now: float) -> None:
        """We go together with the sibling: our block is the whole."""
        self.roster.shrink(self.roster.prefix.parent)
        self._small_since = inf
        self._stepped = int(now + self.wall)

    def _gone_ahead(self, step: int) -> bool:
        """Whether an eighth of the block has taken a step, of a split (1) or a merge (-1), since we took our last."""
        depth = self.roster.prefix.depth
        steps = sum(
            one.trusted and one.version >= self._stepped and (one.depth - depth) * step > 0
            for one in self.roster.members.values()
        )
        return steps >= max(3, self.roster.size // FOLLOW)
