"""What the crowd may cost a node: nothing grows without end, and nothing breaks however long it lasts."""

from __future__ import annotations

import random

from halloo.base.address import Address
from halloo.base.machine import Numbers
from halloo.node.profile import MODERN_JOIN
from halloo.overlay.hostcache import HostCache
from halloo.overlay.join import Join, State

HERE, DEAD = Address.parse("192.0.2.9:33033"), Address.parse("192.0.2.1:33033")


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
