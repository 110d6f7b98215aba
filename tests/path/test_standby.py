"""Whom a call asks for a relay, in which order, how often."""

from __future__ import annotations

from typing import Any

from halloo.base.address import Address, Channel, Peer, Stream, Wire
from halloo.base.effects import Accept, Link, Send, Unlink
from halloo.base.machine import Numbers
from halloo.messages.overlay import Ping
from halloo.messages.path import MeetAt, RelayGranted, RelayRefused, RelayRequest
from halloo.path.hop import HOP_PING, Hop
from halloo.path.standby import ASK_AGAIN, AT_ONCE, OPENS_WITHIN, UNUSED_AFTER, ChannelReady, Standby

BOB, OWN = Peer(1), Peer(2)
S = [Address.of(f"192.0.{n}.1", 33033) for n in range(8)]


def standby(*, first: bool = True) -> Standby:
    numbers = Numbers(10), Numbers(), Numbers()
    return Standby(BOB, b"bob's id", first, *numbers, (OWN, S[0]), None, tuple(S[:1]), tuple(S[1:3]))


def said(effects: list[Any], kind: type[Any]) -> list[Any]:
    return [effect.message for effect in effects if isinstance(effect, Send) and isinstance(effect.message, kind)]


def test_the_own_supernode_first_then_the_others_and_who_is_used_never() -> None:
    asked = standby().seek([], 0.0)
    assert said(asked, MeetAt) == [MeetAt(supernode=S[0])]
    assert said(asked, RelayRequest)[0].callee == b"bob's id"
    asked = standby().seek([S[0]], 0.0)
    assert said(asked, MeetAt) == []  # it has a link to its own supernode
    assert [effect.route for effect in asked if isinstance(effect, Link)] == [Wire(S[1])]
    assert standby().seek(S[:3], 0.0) == []
    assert standby(first=False).seek([], 0.0) == []


def test_a_channel_is_taken_from_whom_it_was_asked_only() -> None:
    search = standby()
    (request,) = said(search.seek([], 0.0), RelayRequest)
    granted = RelayGranted(token=bytes(7) + b"\5", request=request.request)
    assert search.receive(granted, BOB, 0.1) == []
    assert search.receive(RelayGranted(token=bytes(8), request=request.request + 1), OWN, 0.1) == []
    channel = Channel(OWN, 5)
    assert search.receive(granted, OWN, 0.1) == [Accept(channel), ChannelReady(channel, S[0])]
    assert search.receive(granted, OWN, 0.2) == []


def test_who_does_not_know_the_other_side_yet_is_asked_again_and_then_another() -> None:
    search = standby()
    (request,) = said(search.seek([], 0.0), RelayRequest)
    times = 1
    now = 0.0
    while now < OPENS_WITHIN:
        search.receive(RelayRefused(request=request.request), OWN, now)
        now = search.wake_at
        asked = said(search.wake(now), RelayRequest)
        if asked:
            (request,) = asked
            times += 1
    assert OPENS_WITHIN / ASK_AGAIN * 0.8 <= times <= OPENS_WITHIN / ASK_AGAIN + 1
    assert [effect.route for effect in search.seek([], now) if isinstance(effect, Link)] == [Wire(S[1])]


def test_without_any_way_several_are_tried_one_more_each_time() -> None:
    search = standby(first=False)
    search.theirs = tuple(S[1:])
    first = search.search([], 0.0)
    assert len(said(first, RelayRequest)) <= 1
    for n in range(10):
        search.search([], 0.3 * n)
    assert len(search._asking) == AT_ONCE
    assert search.rest() != []
    assert not search._asking


def test_the_other_side_cannot_make_us_link_everywhere() -> None:
    search = standby(first=False)
    links = [
        effect
        for n in range(2_000)
        for effect in search.meet(Address.of(f"10.0.{n // 250}.{n % 250}", 9), n / 100)
        if isinstance(effect, Link)
    ]
    assert len(links) <= 8
    assert search.meet(S[0], 100.0) == []


def test_links_that_nobody_uses_are_given_back() -> None:
    search = standby(first=False)
    (link,) = search.meet(S[5], 0.0)
    search.up(link.peer, 0.5)
    assert search.knows(link.peer)
    assert search.trim([S[5]], UNUSED_AFTER) == []
    assert search.trim([], 2 * UNUSED_AFTER - 0.1) == []
    assert search.trim([], 2 * UNUSED_AFTER) == [Unlink(link.peer, "not needed")]
    assert not search.knows(link.peer)


def test_a_hop_shows_signs_of_life() -> None:
    hop = Hop(S[3], Numbers(10), Numbers(), Numbers())
    (link,) = hop.begin(0.0)
    (over_tcp,) = hop.wake(hop.wake_at)
    assert isinstance(over_tcp.route, Stream)
    assert hop.up(link.peer, 1.0) == [Unlink(over_tcp.peer, "not needed")]
    assert hop.wake_at == 1.0 + HOP_PING
    for _ in range(3):
        (ping,) = hop.wake(hop.wake_at)
        assert isinstance(ping.message, Ping)
    assert hop.down(link.peer, "cut")
    assert hop.failed
