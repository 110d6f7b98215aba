"""Which block and slots a supernode believes to hold: the one place where the simulator looks into the overlay."""

from __future__ import annotations

from halloo.node.node import Node
from halloo.overlay.slots import SLOTS_PER_BLOCK, members

__all__ = ["places"]


def places(node: Node) -> list[tuple[str, int]]:
    """(prefix of the block in binary digits, slot) of each slot that a supernode holds; empty for others."""
    supernode = node.supernode
    if supernode is None:
        return []
    known = [supernode.node, *supernode.mesh]
    return [("", slot) for slot in range(SLOTS_PER_BLOCK) if supernode.node in members(slot, known)]
