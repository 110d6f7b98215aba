"""Fragments that are lost, late, doubled, hostile."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from link_pair import HERE, THERE, Pair

from halloo.base.address import Address, Peer, Wire
from halloo.base.errors import Malformed, Refused
from halloo.crypto.suite import Covered, Suite
from halloo.crypto.suites import SUITES
from halloo.link.datagrams import LAYOUTS
from halloo.link.fragments import ANSWERS, MAX_KEPT, MAX_SENDERS, Fragments
from halloo.link.notice import Heard, Up
from halloo.link.onelink import HELLO_AGAIN
from halloo.messages.block import Replicate
from halloo.messages.credential import Record
from halloo.wire.frame import ASK_AFTER, ASKS, MAX_PIECES, FrameKind, decode_wanted, encode_wanted, is_wanted

MODERN = SUITES[2]
all_suites = pytest.mark.parametrize("suite", SUITES.values(), ids=lambda suite: suite.name)
ROUTE = Wire(THERE)
LONG = Replicate(
    records=tuple(Record(credential=random.Random(i).randbytes(800), listing=b"l", signature=b"s") for i in range(4))
)


@all_suites
@pytest.mark.parametrize("lost", range(3))
def test_a_lost_fragment_is_asked_for_and_comes(suite: Suite, lost: int) -> None:
    pair = Pair(suite)
    here, _ = pair.link()
    before = len(pair.datagrams)
    count = iter(range(100))
    pair.spoil = lambda data: [] if next(count) == lost else [data]
    began = pair.now
    pair.outcome(HERE, pair.ends[HERE].send(here, LONG, pair.now))
    arrived = None
    while arrived is None and pair.now < began + 2:
        pair.run(0.01)
        if any(isinstance(notice, Heard) for notice in pair.notices[THERE]):
            arrived = pair.now - began
    assert arrived is not None
    assert arrived <= ASK_AFTER + 0.011  # by asking, not by saying it all again
    sent = [is_piece(pair, suite, place) for place in range(before, len(pair.datagrams))]
    assert sent.count(True) == 4  # three, and the one that was lost again


def is_piece(pair: Pair, suite: Suite, place: int) -> bool:
    who, data = pair.datagrams[place]
    other = THERE if who == HERE else HERE
    covered = suite.cloak(bytes(range(32)), LAYOUTS).uncover(data, who.host, other.host)
    return covered.kind == FrameKind.FRAGMENT and not is_wanted(covered.head)


def test_a_handshake_that_loses_a_fragment_does_not_wait() -> None:
    pair = Pair(MODERN)
    count = iter(range(100))
    pair.spoil = lambda data: [] if next(count) == 1 else [data]
    pair.outcome(HERE, pair.ends[HERE].link(Peer(1), ROUTE, 0.0))
    while not any(isinstance(notice, Up) for notice in pair.notices[HERE]):
        pair.run(0.01)
        assert pair.now < HELLO_AGAIN


@given(st.integers(2, MAX_PIECES), st.data())
def test_whatever_is_missing_is_asked_for(count: int, data: st.DataObject) -> None:
    sender, receiver = Fragments(), Fragments()
    payload = random.Random(count).randbytes(300 * count)
    sent = sender.cut(ROUTE, 7, payload, 300)
    lost = data.draw(st.sets(st.integers(0, count - 1), min_size=1, max_size=count - 1))
    for place, (head, piece) in enumerate(sent):
        if place not in lost:
            assert receiver.hear(ROUTE, head, piece, 0.0) is None
    assert receiver.wake_at == ASK_AFTER
    ((route, wish),) = receiver.wake(ASK_AFTER)
    assert route == ROUTE
    frame, again = sender.wanted(ROUTE, *wish)
    assert frame == 7  # it is part of what a seal is made with
    assert [sent.index(each) for each in again] == sorted(lost)
    wholes = [receiver.hear(ROUTE, head, piece, 0.2) for head, piece in again]
    assert wholes[-1] == payload
    assert receiver.wake(100.0) == []
    assert not receiver._partial


def test_it_is_asked_only_so_often_and_answered_only_so_often() -> None:
    sender, receiver = Fragments(), Fragments()
    (first, _), *_ = sender.cut(ROUTE, 7, bytes(900), 300)
    receiver.hear(ROUTE, first, bytes(300), 0.0)
    now, wishes = 0.0, []
    while receiver.wake_at < 100:
        now = receiver.wake_at
        wishes += receiver.wake(now)
    assert len(wishes) == ASKS
    for _ in range(ANSWERS):
        assert sender.wanted(ROUTE, *wishes[0][1])
    with pytest.raises(Refused):
        sender.wanted(ROUTE, *wishes[0][1])


def test_a_late_copy_of_a_piece_asks_for_nothing() -> None:
    sender, receiver = Fragments(), Fragments()
    sent = sender.cut(ROUTE, 7, bytes(900), 300)
    assert [receiver.hear(ROUTE, *each, 0.0) for each in sent][-1] == bytes(900)
    receiver.hear(ROUTE, *sent[0], 0.1)
    assert receiver.wake(1.0) == []


def test_what_is_asked_must_be_ours() -> None:
    sender = Fragments()
    (head, _), *_ = sender.cut(ROUTE, 7, bytes(900), 300)
    number = int.from_bytes(head[:2], "big")
    with pytest.raises(Refused):
        sender.wanted(Wire(HERE), *encode_wanted(number, [0]))
    with pytest.raises(Refused):
        sender.wanted(ROUTE, *encode_wanted(number ^ 1, [0]))
    for damaged in ((head, b"\0\1"), (encode_wanted(number, [0])[0], b""), (encode_wanted(number, [0])[0], bytes(2))):
        with pytest.raises(Malformed):
            decode_wanted(*damaged)


@pytest.mark.parametrize("seed", range(10))
def test_a_stranger_gets_no_louder_echo_than_he_is(seed: int) -> None:
    """Bytes sent to an address that only ever sent fragments: fewer than came from it."""
    rng = random.Random(seed)
    pair = Pair(MODERN)
    node = pair.ends[HERE]
    cloak = MODERN.cloak(bytes(range(32)), LAYOUTS)
    stranger = Address.parse("198.51.100.9:9")
    came = went = 0
    for step in range(400):
        now = step * rng.random()
        size = rng.choice((1, 3, 30, 1_100))
        head = rng.randbytes(2) + bytes([rng.choice((0, 1, 2, 0x81, 0x8F, 0x40)), 2])
        data = cloak.cover(Covered(step, FrameKind.FRAGMENT, head, rng.randbytes(size)), stranger.host, HERE.host, rng)
        came += len(data)
        pair.datagrams.clear()
        pair.outcome(HERE, [*node.receive(data, stranger, now), *node.wake(now + 1)])
        went += sum(len(sent) for _, sent in pair.datagrams)
    assert went < came


def test_what_is_held_is_bounded() -> None:
    fragments, rng = Fragments(), random.Random(1)
    for step in range(5_000):
        route = Wire(Address(rng.randbytes(4), 1))
        fragments.hear(route, rng.randbytes(2) + bytes([rng.randrange(16), 2]), rng.randbytes(1_200), step / 1000)
        fragments.cut(route, 7, rng.randbytes(2_000), 1_200)
        if step % 50 == 0:
            fragments.wake(step / 1000)
    assert len(fragments._partial) <= MAX_SENDERS
    assert len(fragments._kept) <= MAX_KEPT
    fragments.wake(1_000.0)
    assert not fragments._partial
