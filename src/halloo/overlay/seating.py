"""Who takes which seat next, as everybody who knows the same members works it out.  Pure.

Seats are taken by each supernode itself; but who waits before it, and what those will choose, it can tell, so that not
all of them sit down in the same place.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from halloo.messages.block import Table
from halloo.overlay.atlas import table_of
from halloo.overlay.roster import Member, Roster
from halloo.overlay.slots import SEATS, SLOTS, STANDBY, Prefix, emptiest, mixed, seated

__all__ = ["first_seats", "first_table", "next_seats"]


def next_seats(members: Collection[Member], depth: int) -> dict[bytes, int]:
    """The seats that those without one take, the longest serving first; who is not named finds none."""
    taken = seated(members, depth)
    sitting = {one.number for slot in taken for one in slot}
    waiting = [one for one in members if one.number not in sitting and one.trusted]
    seats: dict[bytes, int] = {}
    for one in sorted(waiting, key=_seniority):
        slot = emptiest(taken, one)
        if slot < STANDBY:
            seats[one.node] = slot
            taken[slot].append(one)
        elif not one.network:
            break  # there is none for anybody; where it has a neighbourhood, it may be that which is full
    return seats


def first_seats(members: Collection[Member], whole: Prefix, half: Prefix) -> dict[bytes, int]:
    """Who sits where in a block that has just split off: those who held its keys before keep a half of them."""
    seats: dict[bytes, int] = {}
    count = [0] * SLOTS
    later: list[Member] = []
    for one in sorted(members, key=_seniority):
        if one.depth == half.depth and one.slot < SLOTS:
            slot = one.slot  # it went ahead
        elif one.depth == whole.depth and one.slot < SLOTS and one.slot >> 2 == half.bits & 1:
            first = (one.slot & 3) << 1
            slot = first if count[first] <= count[first + 1] else first + 1
        else:
            later.append(one)
            continue
        seats[one.node] = slot
        count[slot] += 1
    for one in later:
        slot = min(range(SLOTS), key=lambda at: (count[at], mixed(one.number, at)))
        if count[slot] >= SEATS or not one.trusted:
            slot = STANDBY
        else:
            count[slot] += 1
        seats[one.node] = slot
    return seats


def first_table(members: Collection[Member], whole: Prefix, half: Prefix) -> Table:
    """The table of a half, as it will sit down."""
    seats = first_seats(members, whole, half)
    return table_of(Roster(half, {one.node: replace(one, slot=seats[one.node], depth=half.depth) for one in members}))


def _seniority(member: Member) -> tuple[int, int]:
    return member.since, member.number
