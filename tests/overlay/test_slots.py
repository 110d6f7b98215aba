"""Who holds what: placement is the same whoever asks, complete, and nobody's to choose."""

from __future__ import annotations

import random
from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from halloo.base.address import Address
from halloo.overlay.roster import network_of
from halloo.overlay.slots import (
    HELD_BY,
    OF_ONE_NETWORK,
    SEATS,
    SLOTS,
    SPARES,
    STANDBY,
    Prefix,
    holders,
    seated,
    slot_of,
    smallest_slot,
)


@dataclass(frozen=True)
class One:
    """A member, as far as placement asks."""

    number: int
    since: int
    slot: int
    depth: int
    trusted: bool
    network: bytes


MEMBERS = st.lists(
    st.builds(
        One,
        st.integers(1, (1 << 64) - 1),
        st.integers(0, 50),
        st.integers(0, STANDBY),
        st.sampled_from([0, 0, 0, 1]),
        st.sampled_from([True, True, True, False]),
        st.sampled_from([b"", b"", b"ab", b"cd"]),
    ),
    max_size=120,
    unique_by=lambda one: one.number,
)


@given(MEMBERS, st.randoms(use_true_random=False))
def test_placement_is_the_same_whoever_asks(members: list[One], rng: random.Random) -> None:
    other = list(members)
    rng.shuffle(other)
    assert seated(members, 0) == seated(other, 0)
    assert holders(members, 0) == holders(other, 0)


@given(MEMBERS)
def test_every_slot_is_held_by_nine_where_there_are_nine(members: list[One]) -> None:
    trusted = [one for one in members if one.trusted]
    able = trusted if len(trusted) >= SPARES else members
    for slot, held in enumerate(holders(members, 0)):
        assert len({one.number for one in held}) == len(held)
        assert min(HELD_BY, len(able)) <= len(held) <= SEATS
        if len(trusted) >= SPARES:
            assert all(one.trusted for one in held)
        assert held[: len(seated(members, 0)[slot])] == seated(members, 0)[slot]


@given(MEMBERS)
def test_seats_are_few_and_not_of_one_neighbourhood(members: list[One]) -> None:
    for slot, seats in enumerate(seated(members, 0)):
        assert len(seats) <= SEATS
        assert all(one.slot == slot and one.trusted and one.depth == 0 for one in seats)
        assert seats == sorted(seats, key=lambda one: (one.since, one.number))
        for network in (b"ab", b"cd"):
            assert sum(one.network == network for one in seats) <= OF_ONE_NETWORK


def test_eighty_fill_a_block_one_after_the_other_and_the_next_are_standbys() -> None:
    members: list[One] = []
    for number in range(1, 101):
        one = One(number, number, STANDBY, 0, trusted=True, network=b"")
        slot = smallest_slot(members, 0, one)
        members.append(One(number, number, slot, 0, trusted=True, network=b""))
    assert [len(seats) for seats in seated(members, 0)] == [SEATS] * SLOTS
    assert [one.slot for one in members[80:]] == [STANDBY] * 20
    everyone = [one.number for held in holders(members, 0) for one in held]
    assert sorted(everyone) == list(range(1, 81))  # each in one slot, and no standby in any


def test_one_supernode_holds_everything() -> None:
    (alone,) = members = [One(7, 0, 3, 0, trusted=True, network=b"")]
    assert holders(members, 0) == [[alone]] * SLOTS


@given(st.integers(0, (1 << 64) - 1), st.integers(0, 30))
def test_a_key_is_covered_by_its_prefix_and_by_no_other(key: int, depth: int) -> None:
    prefix = Prefix.of(key, depth)
    assert prefix.covers(key)
    assert 0 <= slot_of(key, depth) < SLOTS
    deeper = Prefix.of(key, depth + 3)
    assert deeper.bits & (SLOTS - 1) == slot_of(key, depth)
    if depth:
        assert prefix.parent.covers(key)
        assert not prefix.sibling.covers(key)
        assert prefix.sibling.parent == prefix.parent


def test_neighbourhoods_are_those_of_the_internet() -> None:
    same = [network_of(Address.parse(text)) for text in ("81.2.3.4:1", "81.2.200.4:2")]
    assert same[0] == same[1] != b""
    assert network_of(Address.parse("81.3.3.4:1")) != same[0]
    for private in ("10.1.2.3:1", "192.168.1.1:1", "172.20.1.1:1", "127.0.0.1:1", "169.254.1.1:1", "[fd00::1]:1"):
        assert network_of(Address.parse(private)) == b""
    assert network_of(Address.parse("[2001:db8:1::1]:1")) == network_of(Address.parse("[2001:db8:2::1]:1")) != b""
