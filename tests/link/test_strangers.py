"""Many who knock: what an answer costs them, and that those who are really there get in."""

import random

import pytest
from link_pair import HERE, THERE, Pair, persona

from halloo.base.address import Address, Channel, Peer, Stream, Wire
from halloo.base.effects import Transmit
from halloo.base.errors import Refused
from halloo.crypto.suite import Suite
from halloo.crypto.suites import SUITES
from halloo.link.endpoint import Endpoint
from halloo.link.notice import Output, Up
from halloo.link.strangers import BUSY, MAX_HALF_OPEN, MAX_OF_HOST
from halloo.messages.link import Hello, HelloRetry

PLAIN = SUITES[0]
all_suites = pytest.mark.parametrize("suite", SUITES.values(), ids=lambda suite: suite.name)


def hello(suite: Suite, link: int, cookie: bytes = b"") -> Hello:
    envelope = suite.envelope.public(suite.envelope.make(random.Random(1), persona(suite, "stranger").private))
    return Hello(suite=suite.number, link=link, envelope=envelope, cookie=cookie)


def crowd(pair: Pair, suite: Suite, count: int) -> list[tuple[Address, list[bytes]]]:
    """Hellos of many hosts that never hear an answer, and what was sent to each."""
    rng = random.Random(5)
    sent = []
    knocking = hello(suite, 7)
    for _ in range(count):
        source = Address(rng.randbytes(4), 5_000)
        stranger = Endpoint(persona(suite, "stranger"), bytes(range(32)), [source.host], 1.8e9)
        stranger.datagrams.public[4] = source.host
        answers = []
        for item in stranger.send(Wire(THERE), knocking, pair.now):
            assert isinstance(item, Transmit)
            answers += [each.data for each in pair.ends[THERE].receive(item.data, source, pair.now)]  # type: ignore[union-attr]
        sent.append((source, answers))
    return sent


@all_suites
def test_who_is_there_gets_in_through_a_crowd(suite: Suite) -> None:
    pair = Pair(suite)
    crowd(pair, suite, BUSY + 20)
    assert len(pair.ends[THERE]._doorkeeper._strangers) == BUSY
    began = pair.now
    pair.outcome(HERE, pair.ends[HERE].link(Peer(1), Wire(THERE), pair.now))
    pair.run(0.1)
    assert any(isinstance(notice, Up) for notice in pair.notices[HERE])
    assert any(isinstance(notice, Up) for notice in pair.notices[THERE])
    assert pair.now - began < 0.2  # one more turn, no waiting


@all_suites
def test_a_crowd_costs_little_and_is_told_less_than_it_says(suite: Suite) -> None:
    pair = Pair(suite)
    sent = crowd(pair, suite, BUSY + 20)
    later = [sum(map(len, answers)) for _, answers in sent[BUSY:]]
    size = sum(len(item.data) for item in Endpoint(
        persona(suite, "stranger"), bytes(range(32)), [HERE.host], 1.8e9
    ).send(Wire(THERE), hello(suite, 7), 0.0) if isinstance(item, Transmit))  # fmt: skip
    assert all(told < size for told in later)
    assert len(pair.ends[THERE]._links) == BUSY


def test_one_host_does_not_take_the_places_of_others() -> None:
    end = Pair(PLAIN).ends[THERE]
    for number in range(MAX_OF_HOST):
        end._open_heard(hello(PLAIN, number), Wire(Address(HERE.host, 1_000 + number)), 0.0, [])
    with pytest.raises(Refused, match="one host"):
        end._open_heard(hello(PLAIN, 99), Wire(HERE), 0.0, [])
    end._open_heard(hello(PLAIN, 99), Wire(Address(b"\1\2\3\4", 5)), 0.0, [])
    assert len(end._doorkeeper._strangers) == MAX_OF_HOST + 1


def test_what_is_counted_as_one_host() -> None:
    end = Pair(PLAIN).ends[THERE]
    net = bytes.fromhex("20010db800000001")
    for number in range(MAX_OF_HOST):
        end._open_heard(hello(PLAIN, number), Wire(Address(net + number.to_bytes(8, "big"), 5)), 0.0, [])
    with pytest.raises(Refused, match="one host"):
        end._open_heard(hello(PLAIN, 99), Stream(9, Address(net + b"\xff" * 8, 5)), 0.0, [])
    for number in range(MAX_OF_HOST):
        end._open_heard(hello(PLAIN, number), Channel(Peer(4), number), 0.0, [])
    with pytest.raises(Refused, match="one host"):
        end._open_heard(hello(PLAIN, 99), Channel(Peer(4), 99), 0.0, [])
    end._open_heard(hello(PLAIN, 99), Channel(Peer(5), 99), 0.0, [])


def test_a_cookie_is_for_one_hello_from_one_place() -> None:
    pair = Pair(PLAIN)
    crowd(pair, PLAIN, BUSY)
    strangers = pair.ends[THERE]._doorkeeper._strangers
    first = hello(PLAIN, 7)
    retry = strangers.examine(Wire(HERE), first)
    assert isinstance(retry, HelloRetry)
    assert strangers.examine(Wire(HERE), hello(PLAIN, 7, retry.cookie)) is None
    for route, other in (
        (Wire(Address(HERE.host, HERE.port + 1)), hello(PLAIN, 7, retry.cookie)),
        (Wire(Address(b"\1\2\3\4", HERE.port)), hello(PLAIN, 7, retry.cookie)),
        (Wire(HERE), hello(PLAIN, 8, retry.cookie)),
        (Wire(HERE), hello(PLAIN, 7, b"x" * 16)),
    ):
        with pytest.raises(Refused, match="cookie"):
            strangers.examine(route, other)
    assert strangers.examine(Stream(3, HERE), first) is None  # a TCP connection shows that he is there


def test_the_oldest_makes_room() -> None:
    end = Pair(PLAIN).ends[THERE]
    strangers = end._doorkeeper._strangers
    for number in range(MAX_HALF_OPEN + 30):
        route = Stream(number, Address(number.to_bytes(4, "big"), 5))
        end._open_heard(hello(PLAIN, number), route, 0.0, [])
    assert len(strangers) == MAX_HALF_OPEN
    assert strangers.find(Stream(0, Address(bytes(4), 5)), hello(PLAIN, 0)) is None
    assert sum(strangers._by_host.values()) == MAX_HALF_OPEN
    assert len(end._links) == MAX_HALF_OPEN


def retried(pair: Pair, number: int) -> list[Output]:
    """What we say to a cookie for the link of this number."""
    return pair.ends[HERE]._doorkeeper.hear(HelloRetry(to=number, cookie=b"c"), Wire(THERE), 0.0)


def test_cookies_are_followed_only_so_often() -> None:
    pair = Pair(PLAIN)
    pair.spoil = lambda _: []
    pair.outcome(HERE, pair.ends[HERE].link(Peer(1), Wire(THERE), 0.0))
    (link,) = pair.ends[HERE]._links
    for _ in range(2):
        assert retried(pair, link.number)
    with pytest.raises(Refused):
        retried(pair, link.number)
    with pytest.raises(Refused):
        retried(pair, link.number ^ 1)


def test_a_cookie_for_a_link_that_stands_changes_nothing() -> None:
    pair = Pair(PLAIN)
    pair.link()
    (link,) = pair.ends[HERE]._links
    with pytest.raises(Refused):
        retried(pair, link.number)


def test_an_answer_to_the_hello_without_cookie_is_refused_after_one_with() -> None:
    """The transcript has the cookie in it: nobody can mix the two."""
    pair = Pair(PLAIN)
    kept: list[bytes] = []
    pair.spoil = lambda data: kept.append(data) or []  # type: ignore[func-returns-value]
    for who, end in pair.ends.items():
        end.datagrams.public[4] = who.host
    pair.outcome(HERE, pair.ends[HERE].link(Peer(1), Wire(THERE), 0.0))
    answers = pair.ends[THERE].receive(kept[0], HERE, 0.0)
    (link,) = pair.ends[HERE]._links
    retried(pair, link.number)
    for item in answers:
        assert isinstance(item, Transmit)
        pair.outcome(HERE, pair.ends[HERE].receive(item.data, THERE, 0.0))
    assert not any(isinstance(notice, Up) for notice in pair.notices[HERE])
    assert pair.ends[HERE].faults == 1
