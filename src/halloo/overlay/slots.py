"""Which block and slot a key belongs to, and who of a block's members holds which slot.  Pure.

The key of a name is the first 64 bits of a digest of its folded form.  A *block* is a prefix of keys, the next three
bits are the *slot* (8 = 2^3).  A supernode belongs to the block that covers its place, a digest of who it is, and takes
a seat in one slot of it; a slot has up to ten seats.  While a block is short of members, they hold slots besides their
own, so that nine hold each: a single supernode is the block of the empty prefix, and holds all its slots.

Source: facts on the classic network's slots and blocks; the scheme is worked out in ``docs/overlay/directory.md``.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

__all__ = [
    "EVERYTHING",
    "GOING",
    "SEATS",
    "SLOTS",
    "SLOT_BITS",
    "SPARES",
    "STANDBY",
    "Key",
    "Prefix",
    "emptiest",
    "holders",
    "key_of",
    "mixed",
    "seated",
    "slot_of",
    "smallest_slot",
]

Key = int
"""64 bits: of a name, or the place of a supernode."""

KEY_BITS = 64
SLOT_BITS = 3
SLOTS = 1 << SLOT_BITS  # slots of a block
SEATS = 10  # supernodes of one slot at most; who would be the eleventh is a standby
HELD_BY = 9  # supernodes that hold a slot at least, where the block has as many
SPARES = 3  # holders of the opposite slot that hold it too: when half of all vanish at once, one record in 4,000 goes
OF_ONE_NETWORK = 2  # seats of a slot that one /16 may have: who rents a whole one does not own a slot
STANDBY, GOING = 8, 9  # in the place of a slot

_ODD, _MASK = 0x9E3779B97F4A7C15, (1 << 64) - 1


class Seat(Protocol):
    """What placement has to know of a member."""

    @property
    def number(self) -> int:
        """Its node id as a number."""

    @property
    def since(self) -> int:
        """Since when it serves, in wall-clock seconds."""

    @property
    def slot(self) -> int:
        """The slot it has taken."""

    @property
    def depth(self) -> int:
        """The depth of the block it takes itself for a member of."""

    @property
    def trusted(self) -> bool:
        """Whether the network vouches for it."""

    @property
    def network(self) -> bytes:
        """What it shares with its neighbours: /16 or /32; empty where that means nothing."""


S = TypeVar("S", bound=Seat)


@dataclass(frozen=True, slots=True, order=True)
class Prefix:
    """The first ``depth`` bits of a key."""

    depth: int
    bits: int

    @classmethod
    def of(cls, key: Key, depth: int) -> Prefix:
        """The prefix of a key."""
        return cls(depth, key >> (KEY_BITS - depth))

    def covers(self, key: Key) -> bool:
        """Whether a key begins so."""
        return key >> (KEY_BITS - self.depth) == self.bits

    @property
    def parent(self) -> Prefix:
        """One bit less."""
        return Prefix(self.depth - 1, self.bits >> 1)

    @property
    def sibling(self) -> Prefix:
        """The other half of the parent."""
        return Prefix(self.depth, self.bits ^ 1)

    def __str__(self) -> str:
        return f"{self.bits:0{self.depth}b}" if self.depth else "*"


EVERYTHING = Prefix(0, 0)
"""The block of a network that is not large: all keys."""


def key_of(digest: Callable[[bytes], bytes], text: str) -> Key:
    """The key of a folded name."""
    return int.from_bytes(digest(text.encode())[:8], "big")


def slot_of(key: Key, depth: int) -> int:
    """The slot of a key in its block of ``depth`` bits."""
    return (key >> (KEY_BITS - SLOT_BITS - depth)) & (SLOTS - 1)


def mixed(first: int, second: int) -> int:
    """Two numbers to 64 bits that look drawn; the same for whoever asks."""
    value = (first * _ODD + second * 0xD1B54A32D192ED03 + 1) & _MASK
    value ^= value >> 31
    value = value * 0xBF58476D1CE4E5B9 & _MASK
    return value ^ value >> 29


def seated(members: Iterable[S], depth: int) -> list[list[S]]:
    """For each slot, who sits in it, the longest serving first; who finds no seat is on standby."""
    slots: list[list[S]] = [[] for _ in range(SLOTS)]
    would = [one for one in members if one.slot < SLOTS and one.depth == depth and one.trusted]
    for member in sorted(would, key=lambda one: (one.since, one.number)):
        slot = slots[member.slot]
        if _takes(slot, member):
            slot.append(member)
    return slots


def _takes(slot: Collection[Seat], who: Seat) -> bool:
    """Whether a slot has a seat for one more, who may have neighbours there."""
    if len(slot) >= SEATS:
        return False
    return not who.network or [one.network for one in slot].count(who.network) < OF_ONE_NETWORK


def holders(members: Iterable[S], depth: int) -> list[list[S]]:
    """For each slot, who holds its records: who sits there, then others of the block, standbys first, up to nine.

    Whom the network does not vouch for holds records only where fewer than three are there for whom it does.
    """
    everyone = list(members)
    seats = seated(everyone, depth)
    sitting = {member.number for slot in seats for member in slot}
    short = sum(1 for one in everyone if one.trusted) < SPARES
    able = [one for one in everyone if one.trusted or short]
    held: list[list[S]] = []
    for slot, own in enumerate(seats):
        chosen = list(own)
        if len(chosen) < HELD_BY:
            here = {member.number for member in chosen}
            others = sorted(
                (one for one in able if one.number not in here),
                key=lambda one: (not one.trusted, one.number in sitting, mixed(one.number, slot)),
            )
            chosen += others[: HELD_BY - len(chosen)]
        held.append(chosen)
    return held


def smallest_slot(members: Iterable[Seat], depth: int, who: Seat) -> int:
    """Where ``who`` should sit: the slot with the fewest members that takes it; STANDBY where none does."""
    return emptiest(seated((one for one in members if one.number != who.number), depth), who)


def emptiest(seats: Sequence[Collection[Seat]], who: Seat) -> int:
    """The same, where it is known who else sits in which slot."""
    open_to = [slot for slot, own in enumerate(seats) if _takes(own, who)]
    return min(open_to, key=lambda slot: (len(seats[slot]), mixed(who.number, slot)), default=STANDBY)
