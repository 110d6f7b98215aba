"""Whom a call asks for a relay, in which order, how often."""

from __future__ import annotations

from typing import Any

from halloo.base.address import Address, Channel, Peer, Stream, Wire
from halloo.base.effects import Accept, Link, Send, Unlink
from halloo.base.machine import Numbers
from halloo.messages.overlay import Ping, Probe, ProbeAccept, ProbeRefuse
from halloo.messages.path import MeetAt, RelayGranted, RelayRefused, RelayRequest
from halloo.path.hop import HOP_PING, Hop
from halloo.path.standby import (
    ASK_AGAIN,
    ASKED_EACH,
    AT_ONCE,
    OPENS_WITHIN,
    PRESS_AFTER,
    PRESS_EVERY,
    UNUSED_AFTER,
    ChannelReady,
    Standby,
)
from halloo.path.welcome import SILENT_AFTER

BOB, OWN = Peer(1), Peer(2)
S = [Address.of(f"192.0.{n}.1", 33033) for n in range(8)]


def standby(*, first: bool = True) -> Standby:
    numbers = Numbers(10), Numbers(), Numbers()
    return Standby(BOB, b"bob's id", first, *numbers, (OWN, S[0]), None, tuple(S[:1]), tuple(S[1:3]))


def said(effects: list[Any], kind: type[Any]) -> list[Any]:
    return [effect.message for effect in effects if isinstance(effect, Send) and isinstance(effect.message, kind)]


def linked(effects: list[Any]) -> list[Any]:
    return [effect.route for effect in effects if isinstance(effect, Link)]


def asked(effects: list[Any]) -> dict[Address, int]:
    """Whom a probe is sent to, and under which number."""
    return {
        effect.to.address: effect.message.request
        for effect in effects
        if isinstance(effect, Send) and isinstance(effect.message, Probe) and isinstance(effect.to, Wire)
    }


def willing(search: Standby, effects: list[Any], now: float) -> list[Any]:
    """All who are asked would have us."""
    return [
        effect
        for address, request in asked(effects).items()
        for effect in search.probed(ProbeAccept(request=request), address, now)
    ]


def busy(search: Standby, effects: list[Any], now: float, ticket: bytes | None = b"line") -> list[Any]:
    """All who are asked have a line before them, or no room (no ticket)."""
    return [
        effect
        for address, request in asked(effects).items()
        for effect in search.probed(ProbeRefuse(ticket=ticket, request=request), address, now)
    ]


def test_the_own_supernode_first_then_the_others_and_who_is_used_never() -> None:
    search = standby()
    question = search.seek([], 0.0)
    assert list(asked(question)) == [S[0]]
    assert said(question, MeetAt) == []  # not before it has said that it would have the other side
    out = willing(search, question, 0.1)
    assert said(out, MeetAt) == [MeetAt(supernode=S[0])]
    assert said(out, RelayRequest)[0].callee == b"bob's id"
    search = standby()
    out = willing(search, search.seek([S[0]], 0.0), 0.1)
    assert said(out, MeetAt) == []  # it has a link to its own supernode
    assert linked(out) == [Wire(S[1])]
    assert standby().seek(S[:3], 0.0) == []
    assert standby(first=False).seek([], 0.0) == []


def test_a_channel_is_taken_from_whom_it_was_asked_only() -> None:
    search = standby()
    (request,) = said(willing(search, search.seek([], 0.0), 0.1), RelayRequest)
    granted = RelayGranted(token=bytes(7) + b"\5", request=request.request)
    assert search.receive(granted, BOB, 0.1) == []
    assert search.receive(RelayGranted(token=bytes(8), request=request.request + 1), OWN, 0.1) == []
    channel = Channel(OWN, 5)
    assert search.receive(granted, OWN, 0.1) == [Accept(channel), ChannelReady(channel, S[0])]
    assert search.receive(granted, OWN, 0.2) == []


def test_who_does_not_know_the_other_side_yet_is_asked_again_and_then_another() -> None:
    search = standby()
    (request,) = said(willing(search, search.seek([], 0.0), 0.0), RelayRequest)
    times = 1
    now = 0.0
    while now < OPENS_WITHIN:
        search.receive(RelayRefused(request=request.request), OWN, now)
        now = search.wake_at
        again = said(search.wake(now), RelayRequest)
        if again:
            (request,) = again
            times += 1
    assert OPENS_WITHIN / ASK_AGAIN * 0.8 <= times <= OPENS_WITHIN / ASK_AGAIN + 1
    assert linked(willing(search, search.seek([], now), now)) == [Wire(S[1])]


def test_nobody_is_proposed_who_has_too_much_to_do_and_who_is_full_last() -> None:
    search = standby()
    search.theirs = tuple(S[1:4])
    out = busy(search, search.seek([], 0.0), 0.1)
    assert list(asked(out)) == [S[1]]
    out = busy(search, out, 0.2, ticket=None)
    assert list(asked(out)) == [S[2]]
    again = search.wake(search.wake_at)
    assert list(asked(again)) == [S[2]]  # the question may have been lost
    out, now = [], 0.0
    while not out:
        now = search.wake_at
        out = search.wake(now)
    assert now == 0.2 + SILENT_AFTER
    assert list(asked(out)) == [S[3]]
    assert search.seek([], 3.0) == []  # it is being seen to
    out = busy(search, out, 3.1)
    assert linked(out) == [Wire(S[1])]
    search = standby()
    out = search.seek([], 0.0)
    while asked(out):
        out = busy(search, out, 0.1)
    assert out == []


def test_where_no_datagrams_pass_nobody_is_asked_first() -> None:
    search = standby()
    search.way = Stream(7, S[0])
    out = search.seek([S[0]], 0.0)
    assert asked(out) == {}
    assert [type(route) for route in linked(out)] == [Wire, Stream]


def test_without_any_way_many_are_asked_and_few_are_come_to() -> None:
    search = standby(first=False)
    search.theirs = tuple(S[1:])
    search.others = tuple(Address.of(f"198.51.{n}.1", 33033) for n in range(8))
    out = search.search([], 0.0)
    assert len(said(out, RelayRequest)) == 1  # to its own, which needs no question
    assert len(asked(out)) == ASKED_EACH
    known: dict[Address, int] = {}
    came: list[Any] = []
    for n in range(1, 10):
        willing(search, out, 0.3 * n)
        out = search.search([], 0.3 * n)
        assert len(linked(out)) <= 1
        came += linked(out)
        known |= asked(out)
    assert len(search._asking) == AT_ONCE
    assert came == [Wire(S[1]), Wire(S[2]), Wire(S[3])]
    assert list(known) == [*S[3:], *search.others][: len(known)]
    assert search.rest() != []
    assert not search._asking


def test_without_any_way_who_is_busy_is_pressed_only_where_nobody_else_is_there() -> None:
    search = standby(first=False)
    search.supernode = None
    search.theirs = tuple(S[1:4])
    came: list[tuple[float, Any]] = []
    out: list[Any] = []
    for n in range(20):
        now = 0.3 * n
        busy(search, out, now)
        out = search.search([], now)
        came += [(now, route) for route in linked(out)]
    assert [route for _, route in came[:2]] == [Wire(S[1]), Wire(S[0])]
    assert came[0][0] >= PRESS_AFTER
    assert came[1][0] >= came[0][0] + PRESS_EVERY


def test_without_any_way_and_without_any_answer_connections_are_tried() -> None:
    search = standby(first=False)
    search.supernode = None
    search.theirs = tuple(S[1:4])
    came: list[tuple[float, Any]] = []
    for n in range(40):
        now = 0.1 * n
        out = search.search([], now) + (search.wake(now) if search.wake_at <= now else [])
        came += [(now, route) for route in linked(out) if isinstance(route, Stream)]
    assert came
    assert SILENT_AFTER <= came[0][0] < SILENT_AFTER + 1
    found = Address.of("198.51.0.1", 33033)
    search.others = (found,)
    known = asked(search.search([], 4.0))
    out = search.probed(ProbeAccept(request=known[found]), found, 4.1)
    assert len([effect for effect in out if isinstance(effect, Unlink)]) >= len(came)  # all that was tried blindly
    assert linked(search.search([], 4.2)) == [Wire(found)]


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
