"""Boxes let out and let in what their kind says, and no more."""

from __future__ import annotations

from random import Random

import pytest

from halloo.base.address import Address
from halloo.sim.nat import KINDS, MAX_BINDINGS, Box, drawn_kind

INSIDE = Address.parse("10.0.0.2:40000")
FRIEND, NEIGHBOUR, STRANGER = (Address.parse(text) for text in ("9.9.9.9:1000", "9.9.9.9:2000", "8.8.8.8:1000"))
OUTSIDE = bytes([20, 1, 1, 1])


def box(kind: str) -> Box:
    return Box(KINDS[kind], OUTSIDE, Random(1))


@pytest.mark.parametrize(
    ("kind", "lets_in"),
    [
        ("full cone", (FRIEND, NEIGHBOUR, STRANGER)),
        ("address-restricted", (FRIEND, NEIGHBOUR)),
        ("port-restricted", (FRIEND,)),
        ("symmetric", (FRIEND,)),
    ],
)
def test_filters(kind: str, lets_in: tuple[Address, ...]) -> None:
    there = box(kind)
    seen = there.outward(INSIDE, FRIEND, 0.0)
    assert seen is not None
    assert seen.host == OUTSIDE
    for source in (FRIEND, NEIGHBOUR, STRANGER):
        assert there.inward(source, seen.port, 1.0) == (INSIDE if source in lets_in else None)


@pytest.mark.parametrize("kind", ["full cone", "address-restricted", "port-restricted", "symmetric"])
def test_mappings(kind: str) -> None:
    there = box(kind)
    ports = {there.outward(INSIDE, to, 0.0).port for to in (FRIEND, NEIGHBOUR, STRANGER)}  # type: ignore[union-attr]
    assert len(ports) == (3 if kind == "symmetric" else 1)


def test_a_binding_ends_unless_something_is_sent() -> None:
    there = box("port-restricted")
    seen = there.outward(INSIDE, FRIEND, 0.0)
    assert seen is not None
    for _ in range(10):
        assert there.inward(FRIEND, seen.port, there.lifetime) == INSIDE  # what comes in prolongs nothing
    assert there.inward(FRIEND, seen.port, there.lifetime + 0.1) is None
    there.outward(INSIDE, FRIEND, there.lifetime + 0.2)
    assert there.inward(STRANGER, seen.port, there.lifetime + 0.3) is None


def test_no_datagram_where_udp_is_blocked() -> None:
    assert box("udp-blocked").outward(INSIDE, FRIEND, 0.0) is None


def test_a_box_that_is_full_forgets_what_is_unused_longest() -> None:
    there = box("symmetric")
    first = there.outward(INSIDE, FRIEND, 0.0)
    assert first is not None
    for i in range(MAX_BINDINGS):
        there.outward(INSIDE, Address(bytes([7, 7, i >> 8, i & 0xFF]), 5_000), 1.0)
    assert there.inward(FRIEND, first.port, 2.0) is None
    assert len(there._by_inside) == len(there._by_port) == MAX_BINDINGS


def test_kinds_are_drawn_by_their_shares() -> None:
    rng = Random(1)
    drawn = [drawn_kind(rng).name for _ in range(20_000)]
    assert sum(kind.share for kind in KINDS.values()) == pytest.approx(1.0)
    for kind in KINDS.values():
        assert drawn.count(kind.name) / len(drawn) == pytest.approx(kind.share, abs=0.01)
