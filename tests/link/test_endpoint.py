"""Two endpoints that talk, and what strangers can do to them."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from link_pair import HERE, THERE, Pair

from halloo.base.address import Address, Peer, Wire
from halloo.crypto.suite import Suite
from halloo.crypto.suites import SUITES
from halloo.link.notice import Down, Heard, Moved, Observed, SoundHeard, Up
from halloo.link.onelink import HELLO_FOR, IDLE_FOR
from halloo.messages.directory import Stored
from halloo.messages.overlay import Ping, Probe

PLAIN = SUITES[0]
all_suites = pytest.mark.parametrize("suite", SUITES.values(), ids=lambda suite: suite.name)


@all_suites
def test_two_strangers_link_and_speak(suite: Suite) -> None:
    pair = Pair(suite)
    here, there = pair.link()
    ups = [notice for notice in pair.notices[HERE] if isinstance(notice, Up)]
    assert ups[0].party.key == pair.ends[THERE].persona.public
    pair.outcome(HERE, pair.ends[HERE].send(here, Ping(request=7), pair.now))
    pair.outcome(THERE, pair.ends[THERE].send(there, Stored(copies=1, reason="ada", request=8), pair.now))
    pair.outcome(HERE, pair.ends[HERE].send_sound(here, b"hello" * 30, pair.now))
    pair.run()
    assert Heard(Ping(request=7), there) in pair.notices[THERE]
    assert Heard(Stored(copies=1, reason="ada", request=8), here) in pair.notices[HERE]
    (sound,) = [notice for notice in pair.notices[THERE] if isinstance(notice, SoundHeard)]
    assert sound.body == b"hello" * 30
    assert not any(end.faults for end in pair.ends.values())
    assert not any(end.unheard for end in pair.ends.values())


@all_suites
def test_who_does_not_know_his_address_is_told_it(suite: Suite) -> None:
    pair = Pair(suite)
    pair.outcome(HERE, pair.ends[HERE].send(Wire(THERE), Probe(request=5), 0.0))
    pair.run()
    heard = [notice for notice in pair.notices[THERE] if isinstance(notice, Heard)]
    assert heard == [Heard(Probe(request=5), Wire(HERE))]
    seen = [(notice.host, notice.port) for notice in pair.notices[HERE] if isinstance(notice, Observed)]
    assert seen == [(HERE.host, 0), (HERE.host, HERE.port)]  # by the NAck, then with the port by the Ack
    assert len(pair.datagrams) == 4
    pair.outcome(HERE, pair.ends[HERE].send(Wire(THERE), Probe(request=6), 0.0))
    pair.run()
    assert len(pair.datagrams) == 5  # once told, it is right at once


@all_suites
def test_who_does_not_know_the_address_he_is_reached_at_learns_it(suite: Suite) -> None:
    pair = Pair(suite, hosts=False)
    pair.outcome(HERE, pair.ends[HERE].send(Wire(THERE), Probe(request=5), 0.0))
    pair.run()
    assert THERE.host in pair.ends[THERE].datagrams.hosts


@all_suites
@pytest.mark.parametrize("seed", range(4))
def test_a_bad_line_only_delays(suite: Suite, seed: int) -> None:
    rng = random.Random(seed)
    pair = Pair(suite)
    pair.spoil = lambda data: [data] * (0 if rng.random() < 0.2 else 1 + (rng.random() < 0.1))
    pair.outcome(HERE, pair.ends[HERE].link(Peer(1), Wire(THERE), 0.0))
    pair.run(HELLO_FOR - 0.1)
    if not any(isinstance(notice, Up) for notice in pair.notices[THERE]):
        pytest.fail(f"no link within {HELLO_FOR} s at 20 % loss")
    for request in range(20):
        pair.ends[HERE].send(Peer(1), Ping(request=request), pair.now)
    pair.run(9.0)
    heard = [n.message.request for n in pair.notices[THERE] if isinstance(n, Heard) and isinstance(n.message, Ping)]
    assert heard == list(range(20))


@all_suites
def test_a_replayed_datagram_changes_nothing(suite: Suite) -> None:
    pair = Pair(suite)
    here, _ = pair.link()
    pair.ends[HERE].send(here, Ping(request=7), pair.now)
    pair.run()
    before = len(pair.notices[THERE])
    links = pair.ends[THERE].links
    for who, data in list(pair.datagrams):
        if who == HERE:
            pair.outcome(THERE, pair.ends[THERE].receive(data, HERE, pair.now))
    pair.flying.clear()
    new = pair.notices[THERE][before:]
    assert not [notice for notice in new if isinstance(notice, Heard | SoundHeard | Up | Down | Moved)]
    assert pair.ends[THERE].links <= links + 1  # the old Hello may begin a handshake that nobody will finish
    pair.run(HELLO_FOR + 1)
    assert pair.ends[THERE].links == links


@all_suites
def test_a_peer_that_moves_is_followed_and_a_stranger_is_not(suite: Suite) -> None:
    pair = Pair(suite)
    here, there = pair.link()
    elsewhere = Address.parse("192.0.2.77:777")
    (sealed,) = pair.ends[HERE].send_sound(here, b"x" * 100, pair.now)
    pair.outcome(THERE, pair.ends[THERE].receive(sealed.data, elsewhere, pair.now))
    assert Moved(there, Wire(elsewhere)) in pair.notices[THERE]
    assert pair.ends[THERE].route(there) == Wire(elsewhere)
    third = Address.parse("192.0.2.78:778")
    pair.outcome(THERE, pair.ends[THERE].receive(sealed.data, third, pair.now))  # a copy of the same packet
    assert pair.ends[THERE].route(there) == Wire(elsewhere)


@all_suites
def test_silence_ends_a_link_and_goodbye_ends_it_at_once(suite: Suite) -> None:
    pair = Pair(suite)
    here, there = pair.link()
    pair.outcome(HERE, pair.ends[HERE].unlink(here, "enough", pair.now))
    pair.run()
    assert Down(there, "enough") in pair.notices[THERE]
    pair = Pair(suite)
    here, there = pair.link()
    pair.run(IDLE_FOR + 1)
    assert Down(there, "no sign of life") in pair.notices[THERE]
    assert all(end.links == 0 for end in pair.ends.values())


def test_nobody_there_is_noticed() -> None:
    pair = Pair(PLAIN)
    pair.outcome(HERE, pair.ends[HERE].link(Peer(1), Wire(Address.parse("192.0.2.9:9")), 0.0))
    pair.run(HELLO_FOR + 1)
    assert Down(Peer(1), "no answer") in pair.notices[HERE]


def test_half_open_handshakes_are_bounded() -> None:
    pair = Pair(PLAIN)
    for port in range(1, 400):
        liar = Pair(PLAIN)
        outputs = liar.ends[HERE].link(Peer(1), Wire(THERE), 0.0)
        source = Address(HERE.host, port)
        pair.outcome(THERE, pair.ends[THERE].receive(outputs[0].data, source, 0.0))
        pair.flying.clear()
    assert pair.ends[THERE].links <= 256


@all_suites
@given(data=st.binary(max_size=1500))
@settings(max_examples=60, deadline=None)
def test_random_datagrams_are_dropped_or_answered(suite: Suite, data: bytes) -> None:
    end = Pair(suite).ends[THERE]
    outputs = end.receive(data, HERE, 0.0)
    assert len(outputs) <= 2
    assert end.links <= 1


@all_suites
@given(seed=st.integers(0, 1 << 30))
@settings(max_examples=25, deadline=None)
def test_altered_datagrams_do_no_harm(suite: Suite, seed: int) -> None:
    rng = random.Random(seed)

    def spoil(data: bytes) -> list[bytes]:
        altered = bytearray(data)
        altered[rng.randrange(len(altered))] ^= 1 << rng.randrange(8)
        return [data, bytes(altered)]

    pair = Pair(suite)
    pair.spoil = spoil
    here, there = pair.link()
    pair.ends[HERE].send(here, Ping(request=7), pair.now)
    pair.run()
    assert Heard(Ping(request=7), there) in pair.notices[THERE]


@given(st.lists(st.binary(max_size=60), max_size=6))
@settings(max_examples=60, deadline=None)
def test_random_streams_are_closed_or_waited_for(pieces: list[bytes]) -> None:
    for suite in SUITES.values():
        end = Pair(suite).ends[THERE]
        end.stream_opened(5, HERE, 0.0)
        for piece in pieces:
            end.stream_received(5, piece, 0.0)
        assert len(end.streams) <= 1


def test_what_waits_for_those_who_do_not_acknowledge_is_bounded_in_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("halloo.link.links.MAX_WAITING", 5_000)
    pair = Pair(PLAIN)
    here, _ = pair.link()
    pair.spoil = lambda _: []  # nothing is acknowledged any more
    for number in range(400):
        pair.outcome(HERE, pair.ends[HERE].send(here, Stored(copies=1, reason="x" * 30, request=number), pair.now))
        pair.outcome(HERE, pair.ends[HERE].flush(pair.now))
        assert pair.ends[HERE]._links._waiting_in_all <= 5_100
    assert Down(here, "too much waits unheard") in pair.notices[HERE]
    assert pair.ends[HERE]._links._waiting_in_all == 0
