"""The blocks and slots of a crowd's supernodes, placed by the functions that real ones place themselves with.

What each supernode of a block works out for itself is worked out once here, at the time at which all know it: rosters,
seats and tables are the real ones (``overlay.roster``, ``overlay.seating``, ``overlay.atlas``).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from math import inf
from random import Random

import numpy as np

from halloo.messages.block import SignedStanding, Table
from halloo.overlay.atlas import table_of
from halloo.overlay.gossip import BEAT_EVERY
from halloo.overlay.halving import HALF, MERGE_AFTER, MERGED, SPLIT_AFTER, SPLIT_AT
from halloo.overlay.links import ALL_LINKED, BRIDGES
from halloo.overlay.roster import Member, Registrar, Roster, network_of
from halloo.overlay.seating import first_seats, next_seats
from halloo.overlay.slots import EVERYTHING, KEY_BITS, SLOT_BITS, SLOTS, STANDBY, Key, Prefix, smallest_slot
from halloo.sim.crowd.ground import MAX_SUPERNODES, NOBODY, Floats, Ints
from halloo.sim.mindtown import supernode_address

__all__ = ["HELD_MOST", "Blocks"]

HELD_MOST = 16  # supernodes that hold a slot at most: ten, and three of the opposite one, with room for more
TABLES_KEPT = 4_000.0  # seconds for which tables are remembered that are no longer true: nobody believes one for longer
_UNSIGNED = SignedStanding(key=b"\0", standing=b"\0", signature=b"\0")


@dataclass(slots=True)
class _Block:
    roster: Roster
    tables: list[tuple[float, Table]] = field(default_factory=list)
    """Since when each table of it has been true."""
    large_since: float = inf
    small_since: float = inf


class Blocks:
    """All blocks.  ``changed`` hears, by number, how many slots a supernode holds now that it did not hold before."""

    def __init__(self, registrar: Registrar, rng: Random, changed: Callable[[int, int], None]) -> None:
        self._registrar = registrar
        self._rng = rng
        self._changed = changed
        self.by_prefix: dict[Prefix, _Block] = {EVERYTHING: _Block(Roster())}
        self._members: dict[int, Member] = {}
        self._numbers: dict[bytes, int] = {}
        self._dirty: dict[Prefix, None] = {EVERYTHING: None}
        self._version = 0
        self._order: list[Prefix] = []
        self._starts: list[int] = []
        self.held: Ints = np.full((SLOTS, HELD_MOST), NOBODY, np.int64)
        """By slot, eight of each block in the order of the blocks, who holds it."""
        self.beats: Floats = np.zeros(MAX_SUPERNODES)
        """By number, signs of life a second that it shows to others of its block."""
        self.of_block: Ints = np.full(MAX_SUPERNODES, -1, np.int64)
        """By number, which block it is in, in their order; -1: it has been in none."""

    def __len__(self) -> int:
        return len(self.by_prefix)

    def __contains__(self, number: object) -> bool:
        return number in self._members

    # --- who comes and goes

    def came(self, number: int, since: int) -> None:
        """A supernode takes its seat."""
        member = self._member(number, since)
        prefix = self.block_of(member.place)
        roster = self.by_prefix[prefix].roster
        member = replace(member, depth=prefix.depth)
        if not roster.add(member):
            return
        self._members[number], self._numbers[member.node] = member, number
        seat = next_seats(roster.members.values(), prefix.depth).get(member.node, STANDBY)
        self._sit(roster, member, seat)
        self._dirty[prefix] = None

    def settle(self, numbers: Iterable[int], since: int) -> None:
        """These have been there for long, in blocks that are neither too large nor too small."""
        members = [self._member(number, since + number) for number in numbers]
        self._numbers |= {member.node: number for number, member in zip(numbers, members, strict=True)}
        self.by_prefix.clear()
        left = [(EVERYTHING, members)]
        while left:
            prefix, own = left.pop()
            halves = [Prefix(prefix.depth + 1, prefix.bits << 1 | bit) for bit in (0, 1)]
            parts = [[one for one in own if half.covers(one.place)] for half in halves]
            if len(own) >= SPLIT_AT and min(len(part) for part in parts) >= HALF:
                left += zip(halves, parts, strict=True)
                continue
            roster = Roster(prefix, {one.node: replace(one, depth=prefix.depth) for one in own})
            self.by_prefix[prefix] = _Block(roster)
            seats = next_seats(list(roster.members.values()), prefix.depth)
            for one in list(roster.members.values()):
                self._sit(roster, one, seats.get(one.node, STANDBY))
            self._dirty[prefix] = None

    def _member(self, number: int, since: int) -> Member:
        address = supernode_address(number)
        node = self._registrar.digest(f"supernode {number} since {since}".encode())[:8]
        place = self._registrar.place(f"supernode{number}", address)
        return Member(
            *(node, int.from_bytes(node, "big"), address, place, since, since, STANDBY, 0, 1, True),
            *(network_of(address), _UNSIGNED, since << 16 | number),
        )

    def gone(self, number: int) -> None:
        """Those of its block know that a supernode has gone."""
        member = self._members.pop(number, None)
        if member is None:
            return
        del self._numbers[member.node]
        prefix = self.block_of(member.place)
        roster = self.by_prefix[prefix].roster
        roster.remove(member.node)
        roster.gone.clear()  # who comes back comes with a new id
        for node, slot in next_seats(roster.members.values(), prefix.depth).items():
            self._sit(roster, roster.members[node], slot)  # those on standby follow
        seats = roster.seated
        least = min(len(slot) for slot in seats)
        for own in seats:
            if len(own) >= least + 2:
                last = own[-1]
                self._sit(roster, last, smallest_slot(roster.members.values(), prefix.depth, last))
        self._dirty[prefix] = None

    def _sit(self, roster: Roster, member: Member, slot: int) -> None:
        seated = replace(member, slot=slot, depth=roster.prefix.depth, version=member.version + 1, mark=member.mark + 1)
        roster.add(seated)
        self._members[self._numbers[member.node]] = seated

    # --- blocks split and merge

    def look(self, now: float) -> None:
        """Split what has been large, and merge what has been small, for long."""
        for prefix in list(self.by_prefix):
            block = self.by_prefix.get(prefix)
            if block is None:
                continue
            size = len(block.roster)
            block.large_since = min(block.large_since, now) if size >= SPLIT_AT else inf
            block.small_since = min(block.small_since, now) if size < HALF and prefix.depth else inf
            if now - block.large_since >= SPLIT_AFTER:
                self._split(prefix, block, now)
            elif now - block.small_since >= MERGE_AFTER:
                self._merge(prefix, block, now)

    def _split(self, whole: Prefix, block: _Block, now: float) -> None:
        members = list(block.roster.members.values())
        half = Prefix(whole.depth + 1, whole.bits << 1)
        first = sum(half.covers(one.place) for one in members)
        if not HALF <= first <= len(members) - HALF:
            return
        del self.by_prefix[whole]
        for part in (half, half.sibling):
            own = [one for one in members if part.covers(one.place)]
            seats = first_seats(own, whole, part)
            roster = Roster(part)
            self.by_prefix[part] = _Block(roster, [(now, table) for _, table in block.tables[-1:]])
            for one in own:
                self._sit(roster, one, seats[one.node])
            self._dirty[part] = None
        self._version += 1

    def _merge(self, prefix: Prefix, block: _Block, now: float) -> None:
        other = self.by_prefix.get(prefix.sibling)
        if other is None or not 0 < len(other.roster) <= MERGED - len(block.roster):
            return
        whole = prefix.parent
        members = [*block.roster.members.values(), *other.roster.members.values()]
        del self.by_prefix[prefix], self.by_prefix[prefix.sibling]
        roster = Roster(whole)
        self.by_prefix[whole] = _Block(roster)
        for one in members:
            self._sit(roster, one, STANDBY)
        for node, slot in next_seats(list(roster.members.values()), whole.depth).items():
            self._sit(roster, roster.members[node], slot)
        self._dirty[whole] = None
        self._version += 1

    # --- what is known of them

    def block_of(self, key: Key) -> Prefix:
        """The block that a key belongs to."""
        for depth in range(KEY_BITS):
            prefix = Prefix.of(key, depth)
            if prefix in self.by_prefix:
                return prefix
        raise AssertionError("every key has a block")

    def refresh(self, now: float) -> bool:
        """Work out anew who holds what, where something has changed; whether something had."""
        if not self._dirty:
            return False
        whole = not (self.held != NOBODY).any()
        before = self.held_by(self._dirty)
        if set(self._order) != set(self.by_prefix):
            self._order = sorted(self.by_prefix, key=lambda one: one.bits << (KEY_BITS - one.depth))
            self._starts = [one.bits << (KEY_BITS - one.depth) for one in self._order]
            self.held = np.full((SLOTS * len(self._order), HELD_MOST), NOBODY, np.int64)
            self._dirty |= dict.fromkeys(self._order)
        for prefix in self._dirty:
            if prefix in self.by_prefix:
                self._work_out(prefix, self.by_prefix[prefix], now)
        after = self.held_by(self._dirty)
        self._dirty.clear()
        for number, slots in after.items():
            new = len(slots - before.get(number, set()))
            if new and not whole:
                self._changed(number, new)
        return True

    def held_by(self, prefixes: Iterable[Prefix]) -> dict[int, set[tuple[Prefix, int]]]:
        """By number, the slots of some blocks that a supernode holds."""
        out: dict[int, set[tuple[Prefix, int]]] = {}
        wanted = dict.fromkeys(prefixes)
        for at, prefix in enumerate(self._order):
            if prefix in wanted:
                for slot, row in enumerate(self.held[SLOTS * at : SLOTS * (at + 1)].tolist()):
                    for number in row:
                        if number != NOBODY:
                            out.setdefault(number, set()).add((prefix, slot))
        return out

    def _work_out(self, prefix: Prefix, block: _Block, now: float) -> None:
        at = self._order.index(prefix)
        roster = block.roster
        for slot, holders in enumerate(roster.held):
            row = self.held[SLOTS * at + slot]
            row[:] = NOBODY
            chosen = [self._numbers[one.node] for one in holders][:HELD_MOST]
            row[: len(chosen)] = chosen
        fellows: dict[bytes, dict[bytes, None]] = {node: {} for node in roster.members}
        for holders in roster.held:
            for one in holders:
                fellows[one.node] |= dict.fromkeys(other.node for other in holders)
        for node, member in roster.members.items():
            number = self._numbers[node]
            self.of_block[number] = at
            if len(roster) <= ALL_LINKED:
                self.beats[number] = (len(roster) - 1) / BEAT_EVERY
                continue
            near = len(roster.seated[member.slot]) - 1 if member.slot < SLOTS else 0
            linked = len(fellows[node]) - 1 + BRIDGES
            self.beats[number] = (2 * near + linked) / 3 / BEAT_EVERY
        table = table_of(roster)
        if not block.tables or block.tables[-1][1] != table:
            block.tables.append((now, table))
        while len(block.tables) > 1 and block.tables[1][0] < now - TABLES_KEPT:
            del block.tables[0]

    def slots_of(self, keys: np.ndarray[tuple[int], np.dtype[np.uint64]]) -> Ints:
        """The row in ``held`` of each key."""
        block = np.searchsorted(np.array(self._starts, np.uint64), keys, side="right") - 1
        depths = np.array([prefix.depth for prefix in self._order], np.uint64)
        shift = np.uint64(KEY_BITS - SLOT_BITS) - depths[block]
        slots: Ints = (SLOTS * block + ((keys >> shift) & np.uint64(SLOTS - 1)).astype(np.int64)).astype(np.int64)
        return slots

    def table(self, key: Key, known_at: float) -> Table | None:
        """The table of a key's block as it was known at a time."""
        tables = self.by_prefix[self._order[bisect_right(self._starts, key) - 1]].tables
        at = bisect_right(tables, known_at, key=lambda one: one[0])
        return tables[max(0, at - 1)][1] if tables else None

    @property
    def dirty(self) -> bool:
        """Whether something has changed that is not worked out yet."""
        return bool(self._dirty)

    def members_at(self, at: int) -> list[int]:
        """The numbers of all of the block that stands there in their order."""
        return [self._numbers[node] for node in self.by_prefix[self._order[at]].roster.members]

    def map(self) -> list[tuple[str, int, int]]:
        """(block, slot, how many supernodes sit there)."""
        return [
            (f"{prefix}".strip("*"), slot, len(seats))
            for prefix in self._order
            for slot, seats in enumerate(self.by_prefix[prefix].roster.seated)
            if seats
        ]
