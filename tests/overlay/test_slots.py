"""Placement: who sits where and who holds what, the same whoever asks."""

from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st
from members import Seat, member

from halloo.base.address import Address
from halloo.overlay.roster import MAX_MEMBERS, MAX_UNVOUCHED, Roster, network_of
from halloo.overlay.slots import (
    EVERYTHING,
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

numbers = st.integers(0, (1 << 64) - 1)
networks = st.sampled_from([b"", b"aa", b"bb", b"cc", b"dd"])
depths = st.sampled_from([0, 0, 0, 1])
seats = st.builds(Seat, numbers, st.integers(0, 5), st.integers(0, 9), depths, st.booleans(), networks)
members = st.lists(seats, max_size=120, unique_by=lambda seat: seat.number)
full = st.lists(
    st.builds(Seat, numbers, st.integers(0, 9), st.integers(0, 7), st.just(0), st.just(True), st.just(b"")),
    max_size=160,
    unique_by=lambda seat: seat.number,
)


@given(members, st.randoms(use_true_random=False))
def test_whoever_asks_and_in_whatever_order_hears_the_same(some: list[Seat], rng: Random) -> None:
    other = list(some)
    rng.shuffle(other)
    assert holders(some, 0) == holders(other, 0)
    assert seated(some, 0) == seated(other, 0)


@given(members)
def test_seats_are_ten_and_of_one_network_two(some: list[Seat]) -> None:
    for slot, own in enumerate(seated(some, 0)):
        assert len(own) <= SEATS
        assert own == sorted(own, key=lambda seat: (seat.since, seat.number))
        for seat in own:
            assert (seat.slot, seat.depth, seat.trusted) == (slot, 0, True)
            assert not seat.network or sum(one.network == seat.network for one in own) <= OF_ONE_NETWORK


@given(members)
def test_every_slot_is_held_by_nine_of_those_who_may(some: list[Seat]) -> None:
    trusted = [seat for seat in some if seat.trusted]
    able = trusted if len(trusted) >= SPARES else some
    for held in holders(some, 0):
        assert len(held) == len({seat.number for seat in held})
        assert min(HELD_BY, len(able)) <= len(held) <= SEATS
        assert all(seat in able for seat in held)


@given(members)
def test_whom_the_network_does_not_vouch_for_never_sits_and_comes_last(some: list[Seat]) -> None:
    trusted = sum(seat.trusted for seat in some)
    for held in holders(some, 0):
        strangers = [at for at, seat in enumerate(held) if not seat.trusted]
        assert not strangers or trusted < SPARES
        assert strangers == list(range(len(held) - len(strangers), len(held)))


def test_a_standby_holds_nothing_while_the_seats_are_taken_and_at_once_when_they_are_not() -> None:
    sitting = [Seat(number, 0, number % SLOTS, 0, trusted=True, network=b"") for number in range(SLOTS * HELD_BY)]
    standby = Seat(1_000, 0, STANDBY, 0, trusted=True, network=b"")
    assert all(standby not in held for held in holders([*sitting, standby], 0))
    without = [seat for seat in sitting if seat.number != 3]
    held = holders([*without, standby], 0)
    assert [slot for slot in range(SLOTS) if standby in held[slot]] == [3]


@given(full)
def test_who_looks_for_a_seat_finds_the_emptiest_slot(some: list[Seat]) -> None:
    newcomer = Seat(1 << 64, 0, STANDBY, 0, trusted=True, network=b"")
    slot = smallest_slot(some, 0, newcomer)
    sizes = [len(own) for own in seated(some, 0)]
    assert slot == STANDBY if min(sizes) == SEATS else sizes[slot] == min(sizes)


@given(st.integers(0, (1 << 64) - 1), st.integers(0, 32))
def test_a_key_is_in_one_half_of_each_block_and_in_one_slot(key: int, depth: int) -> None:
    prefix = Prefix.of(key, depth)
    assert prefix.covers(key)
    assert Prefix(depth + 3, prefix.bits << 3 | slot_of(key, depth)).covers(key)
    below = Prefix.of(key, depth + 1)
    assert below.parent == prefix
    assert not below.sibling.covers(key)
    assert below.sibling.parent == prefix
    assert EVERYTHING.covers(key)


def test_three_of_the_opposite_slot_hold_a_record_as_well() -> None:
    roster = Roster()
    for number in range(SLOTS * HELD_BY):
        assert roster.add(member(f"member{number}", slot=number % SLOTS))
    for slot, held in enumerate(roster.held):
        assert len(held) == HELD_BY + SPARES
        assert set(held[:HELD_BY]) == set(roster.seated[slot])
        assert held[HELD_BY:] == roster.seated[SLOTS - 1 - slot][:SPARES]
    for one in roster.members.values():
        assert one.slot in roster.slots_of(one.node)


def test_a_crowd_without_accounts_takes_nobodys_place() -> None:
    roster = Roster()
    for number in range(2 * MAX_UNVOUCHED):
        roster.add(member(f"crowd{number}", account=False))
    assert len(roster) == MAX_UNVOUCHED
    assert roster.size == 0
    for number in range(MAX_MEMBERS):
        roster.add(member(f"member{number}"))
    assert len(roster) == MAX_MEMBERS
    assert roster.size == MAX_MEMBERS - MAX_UNVOUCHED


def test_neighbours_are_those_of_one_network_of_the_internet() -> None:
    def of(text: str) -> bytes:
        return network_of(Address.of(text, 1))

    assert of("81.2.3.4") == of("81.2.200.1") != of("81.3.3.4")
    assert of("2a00:1:2::1") == of("2a00:1:3::1") != of("2a00:2::1")
    for private in ("10.1.2.3", "172.20.1.1", "192.168.1.1", "127.0.0.1", "169.254.1.1", "::1", "fe80::1", "fd00::1"):
        assert of(private) == b""
    assert of("172.32.1.1")
