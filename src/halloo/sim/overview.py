"""Which block and slot supernodes sit in: the one place where the simulator looks into the overlay."""

from __future__ import annotations

from collections.abc import Iterable

from halloo.node.node import Node
from halloo.overlay.slots import SLOTS

__all__ = ["places", "seating"]


def places(node: Node) -> list[tuple[str, int]]:
    """(prefix of the block in binary digits, slot) where a supernode sits; empty for those on standby, and others."""
    if node.supernode is None or node.supernode.block.slot >= SLOTS:
        return []
    block = node.supernode.block
    return [(f"{block.roster.prefix}".strip("*"), block.slot)]


def seating(nodes: Iterable[Node]) -> list[tuple[str, int, int]]:
    """(block, slot, how many of these hold it), as they themselves see their places."""
    counts: dict[tuple[str, int], int] = {}
    for node in nodes:
        for place in places(node):
            counts[place] = counts.get(place, 0) + 1
    return [(block, slot, members) for (block, slot), members in sorted(counts.items())]
