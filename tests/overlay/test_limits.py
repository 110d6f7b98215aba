"""What the crowd may cost a node: nothing grows without end, and nothing breaks however long it lasts."""

from __future__ import annotations

import random

import pytest

from halloo.base.address import Address, Peer
from halloo.base.effects import Send
from halloo.base.errors import UsageError
from halloo.base.machine import Numbers
from halloo.link.reliable import QUEUE
from halloo.messages.credential import Claims, Entry, Listing, Party, Record
from halloo.messages.overlay import Found, Mesh, Replicate, Search
from halloo.node.profile import MODERN_JOIN
from halloo.overlay.hostcache import CAPACITY, HostCache
from halloo.overlay.join import Join, State
from halloo.overlay.search import MAX_QUERIES, Searches
from halloo.overlay.supernode import (
    MAX_ASKED,
    RELAY_SEARCH,
    REPLICATED_AT_ONCE,
    REPLICATED_IN_ALL,
    Supernode,
)
from halloo.path.reach import Policy
from halloo.sim.town import Town

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


def test_searches_at_once_are_bounded_and_come_back() -> None:
    town = Town(1, supernodes=1)
    searches = Searches(town.descriptor.notary, Numbers(), 0.0)
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


def meshed(town: Town) -> Supernode:
    """A supernode that knows another one, over link 1."""
    supernode = town.node("supernode0").supernode
    assert supernode is not None
    _meet(supernode, Peer(1), bytes(32))
    return supernode


def _meet(supernode: Supernode, peer: Peer, key: bytes) -> None:
    supernode.up(peer, Party(key, None), 0.0)
    supernode.receive(Mesh(node=supernode.digest(key)[:8], listening=HERE), peer, None, 0.0)


def test_a_flood_of_searches_is_answered_and_not_kept() -> None:
    supernode = meshed(Town(1, supernodes=1))
    for request in range(3 * MAX_ASKED):
        out = supernode.receive(Search(name="zoe", ask_others=True, request=request & 0xFFFF), Peer(2), None, 0.0)
    assert len(supernode._asked) == MAX_ASKED
    assert [effect.message for effect in out] == [Found(complete=False, request=3 * MAX_ASKED - 1)]  # type: ignore[attr-defined]
    assert len(supernode.wake(RELAY_SEARCH)) == MAX_ASKED
    assert supernode._asked == {}


def test_supernodes_that_went_are_forgotten() -> None:
    supernode = meshed(Town(1, supernodes=1))
    for number in range(3, 3 + 3 * CAPACITY):
        _meet(supernode, Peer(number), number.to_bytes(32, "big"))
        supernode.down(Peer(number), "gone", 1.0)
    assert list(supernode.mesh.values()) == [HERE]
    assert len(supernode._addresses) == 1
    assert len(supernode.cache) <= CAPACITY


def test_who_says_again_that_he_is_there_is_not_given_everything_again() -> None:
    supernode = meshed(Town(1, supernodes=1))
    record = Record(credential=b"c", listing=b"l", signature=b"s")
    for number in range(2 * REPLICATED_IN_ALL):
        claims = Claims(name=f"user{number}", key=b"k", expires=1, issued=0, network=bytes(8))
        listing = Listing(version=1, issued=0, state=1, node=bytes(8))
        supernode.directory.store(Entry(claims, listing, record), 0.0)
    key = b"another".ljust(32)
    mesh = Mesh(node=supernode.digest(key)[:8], listening=HERE)
    supernode.up(Peer(9), Party(key, None), 0.0)
    given = [
        sum(
            len(effect.message.records)
            for effect in supernode.receive(mesh, Peer(9), None, 0.0)
            if isinstance(effect, Send) and isinstance(effect.message, Replicate)
        )
        for _ in range(3)
    ]
    assert given == [REPLICATED_IN_ALL, 0, 0]
    assert REPLICATED_IN_ALL / REPLICATED_AT_ONCE < QUEUE / 2


def test_a_supernode_that_comes_over_a_new_link_is_given_its_records_again() -> None:
    town = Town(1, supernodes=2)
    town.user("alice")
    town.world.run(10)
    first, second = (town.node(f"supernode{n}").supernode for n in range(2))
    assert first is not None
    assert second is not None
    key = town.node("supernode1").persona.public
    assert len(second.directory) == 1
    first.up(Peer(77), Party(key, None), 10.0)
    out = first.receive(Mesh(node=second.node, listening=HERE), Peer(77), None, 10.0)
    assert [len(e.message.records) for e in out if isinstance(e, Send) and isinstance(e.message, Replicate)] == [1]
