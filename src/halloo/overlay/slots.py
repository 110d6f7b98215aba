"""Which supernodes hold which names.  Pure.

The key of a name is a digest of its folded form; the first bits choose the block, the next three the slot within it
(8 slots a block).  While the network is small its slots are merged: one group of supernodes serves several of them.
A group has nine to ten members; who would be the eleventh is a standby, which serves clients but holds no records.
"""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["SLOTS_PER_BLOCK", "SLOT_SIZE", "members", "slot_of"]

SLOTS_PER_BLOCK = 8
SLOT_SIZE = 10  # supernodes of one slot at most
SPLIT_AT = 9  # members that each half must have before merged slots part


def slot_of(key: bytes) -> int:
    """The slot of a key within its block: its first three bits (one block, of the empty prefix, so far)."""
    return key[0] >> 5


def members(slot: int, supernodes: Iterable[bytes]) -> list[bytes]:
    """The node ids that hold ``slot``, out of all supernodes of the block; the same for whoever asks."""
    ranked = sorted(supernodes)
    groups = SLOTS_PER_BLOCK
    while groups > 1 and len(ranked) < groups * SPLIT_AT:
        groups //= 2
    group = slot * groups // SLOTS_PER_BLOCK
    return ranked[group::groups][:SLOT_SIZE]
