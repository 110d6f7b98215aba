"""Which block and slot a supernode sits in: the one place where the simulator looks into the overlay."""

from __future__ import annotations

from halloo.node.node import Node
from halloo.overlay.slots import SLOTS

__all__ = ["places"]


def places(node: Node) -> list[tuple[str, int]]:
    """(prefix of the block in binary digits, slot) where a supernode sits; empty for those on standby, and others."""
    if node.supernode is None or node.supernode.block.slot >= SLOTS:
        return []
    block = node.supernode.block
    return [(f"{block.roster.prefix}".strip("*"), block.slot)]
