"""Which blocks there are, and through whom each is reached: what one node knows of the whole network.

A block splits and merges, so tables of different depths may be known of the same keys: the deepest one that covers a
key counts.  An old table still leads to a parent's member, who knows better.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from halloo.base.address import Address
from halloo.messages.block import MAX_DEPTH, Table, mark_of, paired
from halloo.messages.directory import MAX_KNOWN
from halloo.overlay.roster import Roster
from halloo.overlay.slots import Key, Prefix, slot_of

__all__ = ["ATLAS_EVERY", "ATLAS_SOON", "Atlas", "prefix_of_table", "table_of"]

ATLAS_EVERY = 1_800.0  # seconds between two questions of one node for all blocks
ATLAS_SOON = 10.0  # seconds to the next one, where whoever was asked does not know of any block yet

MAX_TABLES = 20_000  # blocks known: some 2 million supernodes, and 4 MB
NONE = 0xFF  # in a table's order: nobody


def table_of(roster: Roster) -> Table:
    """The table of one's own block: the two longest serving of each slot."""
    gateways: dict[Address, int] = {}
    order = bytearray()
    for held in roster.held:
        chosen = [gateways.setdefault(member.address, len(gateways)) for member in held[:2]]
        order += bytes([*chosen, NONE, NONE][:2])
    prefix = roster.prefix
    return Table(depth=prefix.depth, bits=prefix.bits, gateways=tuple(gateways), order=bytes(order))


def prefix_of_table(table: Table) -> Prefix:
    """The prefix of the block that a table is of."""
    return Prefix(table.depth, table.bits)


def gateways(table: Table, key: Key) -> list[Address]:
    """Who holds a key, by a table: one or two supernodes."""
    slot = slot_of(key, table.depth)
    indices = table.order[2 * slot : 2 * slot + 2]
    return [table.gateways[index] for index in indices if index < len(table.gateways)]


@dataclass(slots=True)
class Atlas:
    """Tables by prefix."""

    _tables: dict[Prefix, Table] = field(default_factory=dict)
    _deepest: int = 0

    def __len__(self) -> int:
        return len(self._tables)

    def __contains__(self, prefix: object) -> bool:
        return prefix in self._tables

    def tables(self) -> Iterable[Table]:
        """All of them."""
        return self._tables.values()

    def known(self) -> bytes:
        """What AtlasAsked says of the blocks that are known already."""
        return paired((one.depth << 32 | one.bits, mark_of(one)) for one in self._tables.values())[: 16 * MAX_KNOWN]

    def learn(self, table: Table) -> bool:
        """Take a table in; whether it was news.  One of a larger block stays while it covers what no other does."""
        prefix = prefix_of_table(table)
        if not _usable(table):
            return False
        if self._tables.get(prefix) == table:
            return False
        if prefix not in self._tables and len(self._tables) >= MAX_TABLES:
            return False
        self._tables[prefix] = table
        self._deepest = max(self._deepest, prefix.depth)
        while prefix.depth and prefix.sibling in self._tables:
            prefix = prefix.parent  # both halves are known: the whole counts no longer
            self._tables.pop(prefix, None)
        return True

    def forget(self, prefix: Prefix) -> None:
        """A block is no more."""
        self._tables.pop(prefix, None)

    def merged(self, table: Table) -> None:
        """A block took its halves in: their tables go."""
        if not _usable(table):
            return
        whole = prefix_of_table(table)
        for prefix in [one for one in self._tables if one.depth > whole.depth]:
            if prefix.bits >> (prefix.depth - whole.depth) == whole.bits:
                del self._tables[prefix]
        self.learn(table)

    def covering(self, key: Key) -> Table | None:
        """The table of the smallest known block that a key belongs to."""
        for depth in range(self._deepest, -1, -1):
            table = self._tables.get(Prefix.of(key, depth))
            if table is not None:
                return table
        return None

    def knowing(self, key: Key) -> list[Address]:
        """Supernodes of the block of a key that hold other slots: they know who holds it."""
        table = self.covering(key)
        if table is None:
            return []
        first = gateways(table, key)
        return [one for one in table.gateways if one not in first]

    def holders(self, key: Key) -> list[Address]:
        """Supernodes that hold a key, as far as is known."""
        table = self.covering(key)
        return gateways(table, key) if table is not None else []


def _usable(table: Table) -> bool:
    """Whether there can be such a block, and somebody is named in it."""
    return table.depth <= MAX_DEPTH and not table.bits >> table.depth and bool(table.gateways)
