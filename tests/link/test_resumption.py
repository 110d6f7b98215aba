"""Links that are resumed with a ticket: one datagram each way, and what happens when that does not work."""

from __future__ import annotations

import pickle
import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from link_pair import HERE, THERE, Pair, persona

from halloo.base.address import Address, Peer, Wire
from halloo.base.effects import Transmit
from halloo.base.machine import Message
from halloo.crypto.suite import Suite
from halloo.crypto.suites import SUITES
from halloo.link.endpoint import Endpoint
from halloo.link.notice import Down, Heard, Moved, SoundHeard, Ticketed, Up
from halloo.link.onelink import HELLO_FOR, OneLink
from halloo.link.reentry import TICKET_SOONEST
from halloo.link.renewal import RENEW_AFTER
from halloo.link.strangers import MAX_OF_HOST
from halloo.link.tickets import KEY_FOR, TICKET_FOR, HeldTicket
from halloo.messages.link import AskTicket, Resume, Ticket
from halloo.messages.overlay import Attach, Attached, Leave, Ping
from halloo.wire.command import decode_shape, encode_shape

PLAIN = SUITES[0]
all_suites = pytest.mark.parametrize("suite", SUITES.values(), ids=lambda suite: suite.name)
ATTACH = Attach(node=b"a node's", port=33_033, uptime=7, request=3)
SUPERNODES = tuple(Address(bytes([9, 9, 9, number]), 33_033) for number in range(5))
ATTACHED = Attached(node=b"b node's", supernodes=SUPERNODES, request=3)
BACK = Peer(2)


class Returning(Pair):
    """Two who had a link, on which one was given a ticket; the other answers an Attach as a supernode does."""

    def __init__(self, suite: Suite, *, ends: bool = True) -> None:
        super().__init__(suite)
        here, _ = self.link()
        self.ticket = self.ask(here)
        if ends:
            self.outcome(HERE, self.ends[HERE].unlink(here, "enough", self.now))
            self.run()
        self.datagrams.clear()
        for heard in self.notices.values():
            heard.clear()

    def ask(self, peer: Peer) -> bytes:
        self.outcome(HERE, self.ends[HERE].send(peer, AskTicket(), self.now))
        self.run()
        (told,) = [notice for notice in self.notices[HERE] if isinstance(notice, Ticketed)]
        assert told.peer == peer
        assert self.now + 1.8e9 < told.expires <= self.now + 1.8e9 + TICKET_FOR
        return told.ticket

    def outcome(self, who: Address, outputs: list[object]) -> None:
        super().outcome(who, outputs)
        for item in outputs:
            if isinstance(item, Heard) and isinstance(item.message, Attach) and isinstance(item.sender, int):
                self.ends[who].send(item.sender, ATTACHED, self.now)

    def come_back(self, *early: Message, ticket: bytes | None = None, key: bytes = b"", seconds: float = 0.2) -> None:
        end = self.ends[HERE]
        self.outcome(HERE, end.link(BACK, Wire(THERE), self.now, key, self.ticket if ticket is None else ticket))
        for message in early:
            self.outcome(HERE, end.send(BACK, message, self.now))
        self.run(seconds)

    def ups(self, who: Address) -> list[Up]:
        return [notice for notice in self.notices[who] if isinstance(notice, Up)]

    def heard(self, who: Address) -> list[Message]:
        return [notice.message for notice in self.notices[who] if isinstance(notice, Heard)]

    def link_of(self, who: Address, peer: Peer) -> OneLink:
        link = self.ends[who]._links.of(peer)
        assert link is not None
        return link

    def resumed(self, expected: bool) -> None:
        """Both ends have one link, resumed or not, and it works."""
        (here,), (there,) = self.ups(HERE), self.ups(THERE)
        assert here.resumed is there.resumed is expected
        assert (here.inbound, there.inbound) == (False, True)
        assert here.party.key == self.ends[THERE].persona.public
        assert there.party.key == self.ends[HERE].persona.public
        assert here.peer == BACK
        for number in range(3):
            self.outcome(HERE, self.ends[HERE].send(BACK, Ping(request=100 + number), self.now))
            self.outcome(THERE, self.ends[THERE].send(there.peer, Ping(request=200 + number), self.now))
            self.outcome(HERE, self.ends[HERE].send_sound(BACK, b"sound" * 30, self.now))
            self.run(0.2)
        assert self.heard(THERE)[-3:] == [Ping(request=100 + n) for n in range(3)]
        assert self.heard(HERE)[-3:] == [Ping(request=200 + n) for n in range(3)]
        assert sum(isinstance(notice, SoundHeard) for notice in self.notices[THERE]) == 3
        assert self.link_of(HERE, BACK).session.keys == self.link_of(THERE, there.peer).session.keys  # type: ignore[union-attr]
        assert not any(end.unheard for end in self.ends.values())


@all_suites
def test_one_datagram_each_way_and_both_have_what_they_need(suite: Suite) -> None:
    pair = Returning(suite)
    told: list[object] = []
    pair.ends[THERE].persona.confide = told.append
    flown: list[bytes] = []

    def two(data: bytes) -> list[bytes]:
        flown.append(data)
        return [data] if len(flown) <= 2 else []

    pair.spoil = two
    pair.come_back(ATTACH, seconds=0.0)
    assert pair.heard(THERE) == [ATTACH]
    assert pair.heard(HERE) == [ATTACHED]
    assert len(pair.ups(HERE)) == len(pair.ups(THERE)) == 1
    assert len(flown[1]) <= len(flown[0])
    assert len(told) == 1
    pair.spoil = lambda data: [data]
    pair.run(1.0)
    pair.resumed(True)
    assert not any(end.faults for end in pair.ends.values())


@all_suites
def test_it_works_without_a_word_too(suite: Suite) -> None:
    pair = Returning(suite)
    pair.come_back()
    assert len(pair.datagrams) == 4  # Resume, Resumed, Confirm, its acknowledgement
    pair.resumed(True)
    assert not any(end.faults for end in pair.ends.values())


@all_suites
def test_what_may_not_be_heard_twice_waits_for_the_link(suite: Suite) -> None:
    pair = Returning(suite)
    flown: list[bytes] = []
    pair.spoil = lambda data: flown.append(data) or ([data] if len(flown) <= 1 else [])  # type: ignore[func-returns-value]
    words = [Ping(request=1), Leave(), Ping(request=2)]
    pair.come_back(*words, seconds=0.0)
    assert pair.heard(THERE) == [Ping(request=1)]  # what follows a word that must wait waits as well
    pair.spoil = lambda data: [data]
    pair.run(2.0)
    assert pair.heard(THERE) == words
    pair.resumed(True)


@all_suites
@pytest.mark.parametrize("seed", range(6))
def test_a_bad_line_only_delays(suite: Suite, seed: int) -> None:
    rng = random.Random(seed)
    pair = Returning(suite)
    pair.spoil = lambda data: [data] * rng.choices((0, 1, 2), (0.25, 0.65, 0.1))[0]
    pair.come_back(ATTACH, Ping(request=1), seconds=8.0)
    pair.spoil = lambda data: [data]
    pair.run(4.0)
    assert pair.heard(THERE) == [ATTACH, Ping(request=1)]
    assert pair.heard(HERE) == [ATTACHED]
    assert not any(isinstance(notice, Down) for notice in pair.notices[HERE])
    pair.resumed(pair.ups(HERE)[0].resumed)


@all_suites
def test_who_has_forgotten_says_so_and_a_handshake_follows_at_once(suite: Suite) -> None:
    pair = Returning(suite)
    pair.ends[THERE] = Endpoint(persona(suite, "there"), bytes(range(32)), [THERE.host], 1.8e9)
    began = pair.now
    pair.come_back(ATTACH, seconds=0.1)
    assert pair.now - began < 0.2
    assert pair.heard(THERE) == [ATTACH]
    pair.resumed(False)
    refusal = pair.datagrams[1] if len(pair.datagrams[1][1]) < len(pair.datagrams[0][1]) else pair.datagrams[3]
    assert refusal[0] == THERE
    assert len(refusal[1]) < 64


def test_who_does_not_know_the_word_is_greeted_as_before() -> None:
    pair = Returning(PLAIN)
    number = bytes([(0x6C << 3 | 1) & 0x7F | 0x80, 0x6C >> 4])
    pair.spoil = lambda data: [] if number in data[:20] else [data]
    pair.come_back(ATTACH, seconds=3.0)
    assert pair.heard(THERE) == [ATTACH]
    pair.resumed(False)


@all_suites
def test_a_ticket_serves_once(suite: Suite) -> None:
    pair = Returning(suite)
    pair.come_back(ATTACH)
    pair.outcome(HERE, pair.ends[HERE].unlink(BACK, "", pair.now))
    pair.run()
    for heard in pair.notices.values():
        heard.clear()
    pair.come_back(ATTACH)
    pair.resumed(False)


@all_suites
def test_a_resumed_link_gives_tickets_of_its_own(suite: Suite) -> None:
    pair = Returning(suite)
    for _ in range(3):
        pair.come_back()
        pair.ticket = pair.ask(BACK)
        pair.outcome(HERE, pair.ends[HERE].unlink(BACK, "", pair.now))
        pair.run()
        assert [up.resumed for up in pair.ups(HERE) + pair.ups(THERE)] == [True, True]
        for heard in pair.notices.values():
            heard.clear()


@all_suites
def test_when_there_is_no_room_to_note_it_nothing_is_heard_early(suite: Suite, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("halloo.link.tickets.MAX_SPENT", 0)
    pair = Returning(suite)
    first: list[bytes] = []
    pair.spoil = lambda data: first.append(data) or ([data] if len(first) <= 1 else [])  # type: ignore[func-returns-value]
    pair.come_back(ATTACH, seconds=0.0)
    assert not pair.ups(THERE)
    assert not pair.heard(THERE)
    pair.spoil = lambda data: [data]
    pair.run(2.0)
    assert pair.heard(THERE) == [ATTACH]
    pair.resumed(True)


@all_suites
def test_who_is_not_where_he_says_is_told_one_datagram_for_each_of_his(suite: Suite) -> None:
    pair = Returning(suite)
    flown: list[bytes] = []
    pair.spoil = lambda data: flown.append(data) or []  # type: ignore[func-returns-value]
    pair.come_back(ATTACH, seconds=0.0)
    source = Address(bytes([203, 0, 113, 7]), 7_777)  # the owner of the ticket says he is there
    end = Endpoint(pair.ends[HERE].persona, bytes(range(32)), [source.host], 1.8e9)
    end.datagrams.public[4] = source.host
    end.link(Peer(1), Wire(THERE), pair.now, b"", pair.ticket)
    end.send(Peer(1), ATTACH, pair.now)
    (said,) = [item for item in end.flush(pair.now) if isinstance(item, Transmit)]
    told: list[bytes] = []
    for _ in range(3):
        answers = [*pair.ends[THERE].receive(said.data, source, pair.now), *pair.ends[THERE].flush(pair.now)]
        pair.outcome(THERE, [item for item in answers if not isinstance(item, Transmit)])
        told += [item.data for item in (*answers, *pair.ends[THERE].flush(pair.now)) if isinstance(item, Transmit)]
    assert len(told) == 3
    assert all(len(each) <= len(said.data) for each in told)
    (up,) = pair.ups(THERE)
    for request in range(30):
        pair.ends[THERE].send(up.peer, Ping(request=request), pair.now)
    assert pair.ends[THERE].send_sound(up.peer, bytes(100), pair.now) == []
    assert pair.ends[THERE].forward(up.peer, 7, bytes(100)) == []
    pair.spoil, before = (lambda data: []), len(pair.datagrams)
    pair.run(HELLO_FOR + 1)
    assert not [who for who, _ in pair.datagrams[before:] if who == THERE]
    assert Down(up.peer, "no answer") in pair.notices[THERE]
    assert len(pair.ends[THERE]._doorkeeper._strangers) == 0


def test_one_host_has_few_who_did_not_confirm() -> None:
    pair = Returning(PLAIN, ends=False)
    tickets = []
    for _ in range(MAX_OF_HOST + 4):
        pair.run(TICKET_SOONEST)
        pair.notices[HERE].clear()
        tickets.append(pair.ask(Peer(1)))
    there = pair.ends[THERE]
    before = there.links
    for number, ticket in enumerate(tickets):
        end = Endpoint(pair.ends[HERE].persona, bytes(range(32)), [HERE.host], 1.8e9)
        end.datagrams.public[4] = HERE.host
        end.link(Peer(1), Wire(THERE), pair.now, b"", ticket)
        for item in end.flush(pair.now):
            if isinstance(item, Transmit):
                there.receive(item.data, Address(HERE.host, 5_000 + number), pair.now)
                there.flush(pair.now)
    assert there.links == before + MAX_OF_HOST
    pair.run(HELLO_FOR + 1)
    assert there.links == before


@all_suites
def test_a_resumed_link_renews_its_keys_and_moves(suite: Suite) -> None:
    pair = Returning(suite)
    told: list[object] = []
    pair.ends[HERE].persona.confide = told.append
    pair.come_back()
    (up,) = pair.ups(THERE)
    for _ in range(int(RENEW_AFTER / 20) + 3):
        pair.outcome(HERE, pair.ends[HERE].send(BACK, Ping(request=7), pair.now))
        pair.run(20.0)
    assert len(told) == (2 if suite.renews else 1)
    pair.resumed(True)
    elsewhere = Address.parse("192.0.2.77:777")
    (sealed,) = pair.ends[HERE].send_sound(BACK, b"x" * 100, pair.now)
    assert isinstance(sealed, Transmit)
    pair.outcome(THERE, pair.ends[THERE].receive(sealed.data, elsewhere, pair.now))
    assert Moved(up.peer, Wire(elsewhere)) in pair.notices[THERE]


@all_suites
def test_tickets_and_their_keys_expire(suite: Suite) -> None:
    pair = Returning(suite)
    tickets = pair.ends[THERE]._reentry.tickets
    held = decode_shape(HeldTicket, pair.ticket)
    late = encode_shape(replace(held, expires=1 << 40))  # a holder who does not mind
    assert pair.ends[THERE].wake_at <= pair.now + 2 * KEY_FOR
    pair.run(TICKET_FOR + 10.0)
    pair.come_back(ticket=pair.ticket)
    pair.resumed(False)
    assert not [who for who, data in pair.datagrams if who == HERE and len(data) > 2_000]
    pair.outcome(HERE, pair.ends[HERE].unlink(BACK, "", pair.now))
    for heard in pair.notices.values():
        heard.clear()
    pair.come_back(ticket=late)
    pair.resumed(False)
    assert len(tickets._keys) == 1
    pair.run(KEY_FOR)
    assert tickets._keys == []


@all_suites
def test_tickets_under_the_key_before_serve(suite: Suite) -> None:
    pair = Returning(suite, ends=False)
    pair.now += KEY_FOR - 40.0
    for end in pair.ends.values():
        for link in end._links:
            link.heard_at = pair.now
    pair.ticket = pair.ask(Peer(1))
    pair.run(60.0)
    for heard in pair.notices.values():
        heard.clear()
    pair.ask(Peer(1))
    assert len(pair.ends[THERE]._reentry.tickets._keys) == 2
    pair.come_back()
    pair.resumed(True)


@all_suites
def test_a_ticket_is_for_whom_it_was_given_and_who_is_looked_for(suite: Suite) -> None:
    pair = Returning(suite)
    tickets = pair.ends[HERE]._reentry.tickets
    wall = pair.now + 1.8e9
    giver = pair.ends[THERE].persona.public
    assert tickets.usable(pair.ticket, b"", wall) == tickets.usable(pair.ticket, giver, wall) != None  # noqa: E711
    assert tickets.usable(pair.ticket, pair.ends[HERE].persona.public, wall) is None
    assert tickets.usable(pair.ticket[:-1], b"", wall) is None
    assert tickets.usable(b"", b"", wall) is None
    assert tickets.usable(pair.ticket, b"", wall + TICKET_FOR) is None
    other = Endpoint(persona(suite, "other"), bytes(range(32)), [HERE.host], 1.8e9)
    assert other._reentry.tickets.usable(pair.ticket, b"", wall) is None  # we are somebody else now


@all_suites
def test_tickets_come_only_where_asked_for_and_not_too_often(suite: Suite) -> None:
    pair = Returning(suite, ends=False)
    here, there = Peer(1), next(link.peer for link in pair.ends[THERE]._links)
    for asks in range(3):
        pair.outcome(HERE, pair.ends[HERE].send(here, AskTicket(), pair.now))
        pair.run(0.1)
        assert pair.ends[THERE].faults == asks + 1  # the first was asked for a moment ago
    pair.outcome(THERE, pair.ends[THERE].send(there, AskTicket(), pair.now))
    pair.run(0.1)
    assert pair.ends[HERE].faults == 1  # tickets are for who began the link
    for asked in pair.ends[HERE]._links:
        asked.asks_ticket = False
    pair.outcome(THERE, pair.ends[THERE].send(there, Ticket(ticket=bytes(300), nonce=bytes(16), expires=1), pair.now))
    pair.run(0.1)
    assert pair.ends[HERE].faults == 2
    assert not [notice for notice in pair.notices[HERE] if isinstance(notice, Ticketed)]


def test_an_endpoint_in_the_middle_of_it_can_be_put_away() -> None:
    pair = Returning(PLAIN)
    flown: list[bytes] = []
    pair.spoil = lambda data: flown.append(data) or ([data] if len(flown) <= 1 else [])  # type: ignore[func-returns-value]
    pair.come_back(ATTACH, seconds=0.0)
    pair.ends = {who: pickle.loads(pickle.dumps(end)) for who, end in pair.ends.items()}
    pair.spoil = lambda data: [data]
    pair.run(2.0)
    pair.resumed(True)


@given(seed=st.integers(0, 1 << 30), suite=st.sampled_from(list(SUITES.values())))
@settings(max_examples=60, deadline=None)
def test_altered_datagrams_do_no_harm(seed: int, suite: Suite) -> None:
    rng = random.Random(seed)

    def spoil(data: bytes) -> list[bytes]:
        altered = bytearray(data)
        altered[rng.randrange(len(altered))] ^= 1 << rng.randrange(8)
        return [bytes(altered), data] if rng.random() < 0.5 else [data, bytes(altered[: rng.randrange(len(altered))])]

    pair = Returning(suite)
    pair.spoil = spoil
    pair.come_back(ATTACH, seconds=3.0)
    pair.spoil = lambda data: [data]
    pair.run(3.0)
    assert len(pair.ups(HERE)) == 1
    assert [message for message in pair.heard(THERE) if isinstance(message, Attach)] == [ATTACH]


@given(kept=st.binary(max_size=400), suite=st.sampled_from(list(SUITES.values())))
@settings(max_examples=60, deadline=None)
def test_any_bytes_may_be_given_for_a_ticket(kept: bytes, suite: Suite) -> None:
    pair = Pair(suite)
    pair.outcome(HERE, pair.ends[HERE].link(BACK, Wire(THERE), 0.0, b"", kept))
    pair.run(0.5)
    assert [notice.resumed for notice in pair.notices[HERE] if isinstance(notice, Up)] == [False]


@given(st.data(), st.sampled_from(list(SUITES.values())))
@settings(max_examples=100, deadline=None)
def test_any_resume_is_refused_shortly_or_ignored(data: st.DataObject, suite: Suite) -> None:
    pair = Returning(PLAIN) if suite is PLAIN else Pair(suite)
    blob = st.binary(min_size=16, max_size=32)
    message = Resume(
        suite=data.draw(st.sampled_from([suite.number, 9])),
        link=data.draw(st.integers(0, 0xFFFF_FFFF)),
        envelope=data.draw(st.binary(min_size=1, max_size=200)),
        ticket=data.draw(st.binary(min_size=1, max_size=500)),
        nonce=data.draw(blob),
        early=data.draw(st.binary(max_size=100)),
        binder=data.draw(st.binary(max_size=32)),
    )
    links = pair.ends[THERE].links
    out: list[object] = []
    pair.ends[THERE]._open_heard(message, Wire(HERE), pair.now, out, 500)  # type: ignore[arg-type]
    assert len(out) == 1
    assert isinstance(out[0], Transmit)
    assert len(out[0].data) < 64
    assert pair.ends[THERE].links == links
