"""A block that has become large splits, and one that has become small merges: machines alone, without endpoints."""

from __future__ import annotations

import pytest
from members import WALL, Village, digest, entry_of

from halloo.overlay.halving import HALF, MERGE_AFTER, SPLIT_AT
from halloo.overlay.slots import Prefix, key_of
from halloo.overlay.supernode import Supernode

RECORDS = 60


def prefixes(village: Village) -> dict[Prefix, list[Supernode]]:
    """Who takes himself for a member of which block."""
    found: dict[Prefix, list[Supernode]] = {}
    for supernode in village.alive:
        found.setdefault(supernode.block.roster.prefix, []).append(supernode)
    return found


def settled(village: Village) -> None:
    """All of a block know the same members: those who are there."""
    for prefix, members in prefixes(village).items():
        nodes = {one.node for one in members}
        for one in members:
            assert set(one.block.roster.members) == nodes, (prefix, one.listening)


def written(village: Village) -> None:
    """Records are written through supernodes all over the village."""
    for number in range(RECORDS):
        name = f"user{number}"
        through = list(village.houses)[number * 7 % len(village.houses)]
        entry = entry_of(name, issued=WALL + village.now)
        village.act(through, village.keeper(through).write(entry, 1, 1, village.now))  # type: ignore[arg-type]


def held_by_holders(village: Village) -> None:
    """Each record is held by those who should, and by nobody else."""
    for number in range(RECORDS):
        key = key_of(digest, f"user{number}")
        holding = [one for one in village.alive if one.keeper.holds(key)]
        assert len(holding) >= 9
        assert [one.listening for one in holding if not one.directory.version(key)] == []


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_large_block_splits_and_a_small_one_merges() -> None:
    village = Village(1, SPLIT_AT + 16)
    village.run(25.0)
    settled(village)
    assert list(prefixes(village)) == [Prefix(0, 0)]
    written(village)
    village.run(110.0)
    halves = prefixes(village)
    assert set(halves) == {Prefix(1, 0), Prefix(1, 1)}
    settled(village)
    village.run(180.0)
    held_by_holders(village)
    for one in village.alive:
        assert {Prefix(1, 0), Prefix(1, 1)} <= {Prefix(t.depth, t.bits) for t in one.block.atlas.tables()}
    # Most of one half die: those left go together with the other half.
    names = {house.supernode.node: name for name, house in village.houses.items()}
    left, right = halves[Prefix(1, 0)], halves[Prefix(1, 1)]
    for one in left[12:]:
        village.kill(names[one.node])
    for one in right[HALF + 10 :]:
        village.kill(names[one.node])
    latest = village.now + MERGE_AFTER + 120.0
    while village.now < latest and len(prefixes(village)) > 1:
        village.run(village.now + 15.0)
    village.run(village.now + 30.0)
    assert list(prefixes(village)) == [Prefix(0, 0)]
    settled(village)
    held_by_holders(village)
