"""What the crowd may cost a node: nothing grows without end, and nothing breaks however long it lasts."""

from __future__ import annotations

import random

import pytest
from records import entry_of

from halloo.base.address import Address, Peer, Stream, Wire
from halloo.base.effects import Send
from halloo.base.errors import PeerError, UsageError
from halloo.base.machine import Numbers
from halloo.messages.block import PADDING, Beat, News, Replicate, Wanted
from halloo.messages.directory import Found, Keep, Kept, Search
from halloo.node.profile import MODERN_JOIN
from halloo.overlay.elsewhere import Elsewhere
from halloo.overlay.hostcache import HostCache
from halloo.overlay.inquiry import GIVE_UP
from halloo.overlay.join import Join, State
from halloo.overlay.keeper import MAX_WRITES, SPREAD_FOR
from halloo.overlay.search import MAX_QUERIES, SearchDone, Searches
from halloo.overlay.slots import key_of
from halloo.overlay.supernode import MAX_ASKED
from halloo.path.reach import Policy
from halloo.sim.town import Town
from halloo.wire.command import encode_command

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
    numbers, rng, notary, digest = Numbers(), random.Random(1), town.descriptor.notary, town.suite.digest
    elsewhere = Elsewhere(notary, digest, HostCache(), rng, numbers, numbers, numbers, 0.0)
    searches = Searches(notary, digest, rng, numbers, 0.0, elsewhere)
    for _ in range(MAX_QUERIES):
        searches.find("ada", 0.0)
    with pytest.raises(UsageError, match="too many searches"):
        searches.find("ada", 0.0)
    now, ended = 0.0, 0
    while ended < MAX_QUERIES:
        now = max(now, searches.wake_at)
        ended += len(searches.wake(now))
    assert now < 30.0
    searches.find("ada", now)


def test_a_call_that_cannot_be_looked_for_leaves_nothing_behind() -> None:
    town = Town(1, supernodes=1)
    town.user("alice")
    node = town.node("alice")
    for _ in range(MAX_QUERIES):
        node.searches.find("ada", 0.0)
    with pytest.raises(UsageError, match="too many searches"):
        node.calls.dial("bob", Policy.ANY, 0.0)
    assert node.calls.known == []


def test_a_flood_of_searches_is_answered_and_not_kept() -> None:
    town = Town(1, supernodes=2)
    town.world.run(10)
    supernode = town.node("supernode0").supernode
    assert supernode is not None
    key = key_of(supernode.digest, "zoe").to_bytes(8, "big")
    for request in range(3 * MAX_ASKED):
        search = Search(key=key, ask_others=True, request=request & 0xFFFF)
        out = supernode.receive(search, Peer(2), None, 10.0)
    assert len(supernode._asked) == MAX_ASKED
    assert [effect.message for effect in out] == [Found(complete=False, request=3 * MAX_ASKED - 1)]  # type: ignore[attr-defined]
    now = 10.0
    while supernode._asked:
        now = max(now, supernode.inquiries.wake_at)
        supernode.wake(now)
    assert now <= 10.0 + GIVE_UP


def test_a_flood_of_records_to_keep_is_answered_and_not_kept() -> None:
    town = Town(1, supernodes=2)
    town.world.run(10)
    supernode = town.node("supernode0").supernode
    assert supernode is not None
    for number in range(MAX_WRITES + 20):
        record = entry_of(town, "ada", version=number + 1).record
        keep = Keep(record=(record,), token=number.to_bytes(8, "big"), request=number & 0xFFFF)
        out = supernode.heard(keep, Wire(DEAD), 10.0)
    assert len(supernode.keeper._spreads) == MAX_WRITES
    (refused,) = out
    assert isinstance(refused, Send)
    assert isinstance(refused.message, Kept)
    assert refused.message.copies == 0
    supernode.wake(10.0 + SPREAD_FOR)
    assert supernode.keeper._spreads == {}
    assert len(supernode.directory) == 1


def test_only_supernodes_bring_records_and_news() -> None:
    town = Town(1, supernodes=1)
    town.user("alice")
    town.world.run(5)
    supernode = town.node("supernode0").supernode
    assert supernode is not None
    (alice,) = supernode.clients._clients
    record = entry_of(town, "bob").record
    for message in (Replicate(records=(record,), request=1), Wanted(keys=bytes(8)), News(), Beat(members=bytes(8))):
        with pytest.raises(PeerError):
            supernode.receive(message, alice, None, 5.0)
    assert len(supernode.directory) == 1


def test_a_short_question_in_the_open_is_not_answered_with_a_record() -> None:
    town = Town(1, supernodes=1)
    town.user("alice")
    town.world.run(5)
    supernode = town.node("supernode0").supernode
    assert supernode is not None
    key = key_of(supernode.digest, "alice").to_bytes(8, "big")
    said = []
    for padding in (b"", PADDING):
        (send,) = supernode.heard(Search(key=key, token=b"12345678", padding=padding), Wire(DEAD), 5.0)
        assert isinstance(send, Send)
        assert isinstance(send.message, Found)
        said.append(send.message)
    assert [len(found.records) for found in said] == [0, 1]
    question = encode_command(Search(key=key, token=b"12345678", padding=PADDING))
    assert len(encode_command(said[1])) <= 3 * len(question)


def test_a_search_ends_where_there_is_only_one_other_to_ask_and_he_is_silent() -> None:
    town = Town(1, supernodes=1)
    numbers, rng, notary, digest = Numbers(), random.Random(1), town.descriptor.notary, town.suite.digest
    own, other = Address.parse("192.0.2.1:1"), Address.parse("192.0.2.2:2")
    cache = HostCache()
    cache.add([own, other])
    elsewhere = Elsewhere(notary, digest, cache, rng, numbers, numbers, numbers, 0.0)
    elsewhere.attached(own, Stream(1, own))
    searches = Searches(notary, digest, rng, numbers, 0.0, elsewhere)
    searches.attached(Peer(1), own, 0.0, open_to=False)
    said = searches.find("nobody", 0.0)[1]
    while not (done := [one for one in said if isinstance(one, SearchDone)]):
        now = searches.wake_at
        said = searches.wake(now)
    assert [one.entries for one in done] == [()]
    assert now < 30.0
