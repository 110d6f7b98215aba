"""What a node knows of all blocks: it learns, splits, merges, and is not led astray by tables that cannot be."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from members import member

from halloo.base.address import Address
from halloo.messages.block import Table, mark_of
from halloo.overlay.atlas import Atlas, gateways, prefix_of_table, table_of
from halloo.overlay.roster import Roster
from halloo.overlay.slots import EVERYTHING, SLOTS, Prefix

keys = st.integers(0, (1 << 64) - 1)
prefixes = st.integers(0, 5).flatmap(lambda depth: st.builds(Prefix, st.just(depth), st.integers(0, (1 << depth) - 1)))


def table(prefix: Prefix, host: int = 1) -> Table:
    """A table whose only gateway is known by its host."""
    return Table(depth=prefix.depth, bits=prefix.bits, gateways=(Address.of(f"10.0.0.{host}", 1),), order=b"\0\xff" * 8)


def test_a_table_names_two_holders_of_each_slot() -> None:
    roster = Roster()
    for number in range(30):
        roster.add(member(f"member{number}", slot=number % SLOTS))
    made = table_of(roster)
    for slot, held in enumerate(roster.held):
        assert gateways(made, slot << 61) == [one.address for one in held[:2]]
    assert mark_of(made) == mark_of(table_of(roster))
    alone = Roster()
    alone.add(member("alone"))
    assert gateways(table_of(alone), 5 << 61) == [member("alone").address]


@given(st.lists(prefixes, max_size=40), keys)
def test_the_smallest_known_block_counts(known: list[Prefix], key: int) -> None:
    atlas = Atlas()
    for prefix in known:
        atlas.learn(table(prefix))
    covering = [prefix for prefix in known if prefix.covers(key)]
    found = atlas.covering(key)
    assert (found is None) == (not covering)
    if found is not None:
        assert prefix_of_table(found) == max(covering)
        assert atlas.holders(key) == [Address.of("10.0.0.1", 1)]


@given(st.lists(prefixes, max_size=40))
def test_a_whole_does_not_outlive_its_halves(known: list[Prefix]) -> None:
    atlas = Atlas()
    for prefix in sorted(set(known)):
        atlas.learn(table(prefix))
    for one in atlas.tables():
        prefix = prefix_of_table(one)
        below = Prefix(prefix.depth + 1, prefix.bits << 1)
        assert not (below in atlas and below.sibling in atlas)


def test_news_are_what_was_not_known() -> None:
    atlas = Atlas()
    assert atlas.learn(table(EVERYTHING))
    assert not atlas.learn(table(EVERYTHING))
    assert atlas.learn(table(EVERYTHING, 2))
    assert atlas.holders(7) == [Address.of("10.0.0.2", 1)]


def test_a_split_is_learnt_half_by_half() -> None:
    atlas, left, right = Atlas(), Prefix(1, 0), Prefix(1, 1)
    atlas.learn(table(EVERYTHING, 1))
    atlas.learn(table(left, 2))
    assert atlas.holders(0) == [Address.of("10.0.0.2", 1)]
    assert atlas.holders(1 << 63) == [Address.of("10.0.0.1", 1)]  # the whole still leads there
    atlas.learn(table(right, 3))
    assert EVERYTHING not in atlas
    assert len(atlas) == 2


def test_a_merge_ends_the_halves() -> None:
    atlas = Atlas()
    for prefix in (Prefix(2, 0), Prefix(2, 1), Prefix(1, 1)):
        atlas.learn(table(prefix))
    atlas.merged(table(Prefix(1, 0), 9))
    assert {prefix_of_table(one) for one in atlas.tables()} == {Prefix(1, 0), Prefix(1, 1)}
    assert atlas.holders(0) == [Address.of("10.0.0.9", 1)]


def test_tables_that_cannot_be_change_nothing() -> None:
    atlas = Atlas()
    for prefix in (Prefix(1, 0), Prefix(1, 1)):
        atlas.learn(table(prefix))
    wrong = (
        Table(depth=1, bits=2, gateways=(Address.of("10.0.0.9", 1),), order=bytes(16)),
        Table(depth=33, bits=0, gateways=(Address.of("10.0.0.9", 1),), order=bytes(16)),
        Table(depth=0, bits=0, gateways=(), order=bytes(16)),
    )
    for one in wrong:
        assert not atlas.learn(one)
        atlas.merged(one)
    assert len(atlas) == 2


def test_a_table_may_point_at_nobody() -> None:
    odd = Table(depth=0, bits=0, gateways=(Address.of("10.0.0.9", 1),), order=bytes([255, 7] * 8))
    assert gateways(odd, 0) == []
