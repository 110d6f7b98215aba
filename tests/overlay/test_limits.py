"""What the crowd may cost a node: nothing grows without end, and nothing breaks however long it lasts."""

from __future__ import annotations

import random

import pytest

from halloo.base.address import Address
from halloo.base.errors import UsageError
from halloo.base.machine import Numbers
from halloo.crypto.plain import DIGEST
from halloo.node.profile import MODERN_JOIN
from halloo.overlay.hostcache import HostCache
from halloo.overlay.join import Join, State
from halloo.overlay.search import MAX_QUERIES, Searches
from halloo.path.reach import Policy
from halloo.sim.town import Town

DEAD = Address.parse("192.0.2.1:33033")


def test_a_node_without_a_network_keeps_looking_for_days() -> None:
    cache = HostCache()
    cache.add([DEAD])
    join = Join(MODERN_JOIN, cache, bytes(8), 1, random.Random(1), Numbers(), Numbers(), Numbers(), 0.0)
    now, rounds = 0.0, 0
    join.begin(now)
    while now < 3 * 86_400.0:
        before, now = join.state, join.wake_at
        join.wake(now)
        rounds += (before, join.state) == (State.PAUSING, State.CLIMBING)
    assert rounds > 2_000
    assert join.wake_at <= now + MODERN_JOIN.pause


def test_searches_at_once_are_bounded_and_come_back() -> None:
    town = Town(1, supernodes=1)
    searches = Searches(town.descriptor.notary, DIGEST, random.Random(1), Numbers(), 0.0)
    for _ in range(MAX_QUERIES):
        searches.find("ada", 0.0)
    with pytest.raises(UsageError, match="too many searches"):
        searches.find("ada", 0.0)
    assert len(searches.wake(searches.wake_at)) == MAX_QUERIES
    searches.find("ada", 10.0)


def test_a_call_that_cannot_be_looked_for_leaves_nothing_behind() -> None:
    town = Town(1, supernodes=1)
    town.user("alice")
    node = town.node("alice")
    for _ in range(MAX_QUERIES):
        node.searches.find("ada", 0.0)
    with pytest.raises(UsageError, match="too many searches"):
        node.calls.dial("bob", Policy.ANY, 0.0)
    assert node.calls.known == []
