"""The ways of one call, by hand: what is believed, what is taken, what is left."""

from __future__ import annotations

import pickle
import random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from halloo.base.address import Address, Channel, Peer, Route, Stream, Wire
from halloo.base.effects import Patience, Release, Reroute, Send, SendOnce
from halloo.base.machine import Numbers
from halloo.messages.path import PathEcho, PathProbe, RelayClose, WayHints
from halloo.path.continuity import COLD_AFTER, MAX_CHANNEL_WAYS, MAX_DIRECT_WAYS, Continuity, Stranded, WayTaken
from halloo.path.standby import Standby

BOB, RELAY, OTHER = Peer(1), Peer(2), Peer(3)
USED, SPARE = Channel(RELAY, 11), Channel(OTHER, 22)
SUPERNODE = Address.parse("192.0.2.1:33033")
THERE = Address.parse("198.51.100.7:40000")


def begun(*, first: bool = True, direct: bool = True, route: Route = USED) -> Continuity:
    """A call that goes by ``route`` since the time 0."""
    numbers = Numbers(), Numbers(), Numbers()
    standby = Standby(BOB, bytes(8), first, *numbers, (RELAY, SUPERNODE), None)
    ways = Continuity(BOB, first, direct, random.Random(1), standby, route)
    effects = ways.begin(None, None, 0.0)
    assert isinstance(effects[0], Patience)
    return ways


def probes(effects: list[Any], route: Route) -> list[PathProbe]:
    once = [effect for effect in effects if isinstance(effect, SendOnce) and effect.route == route]
    return [effect.message for effect in once if isinstance(effect.message, PathProbe)]


def proved(ways: Continuity, route: Route, now: float) -> list[Any]:
    """A probe comes by a way, and ours is answered by it."""
    effects = ways.receive(PathProbe(number=bytes(8)), route, now)
    (probe,) = probes(effects, route)
    return ways.receive(PathEcho(number=probe.number), route, now + 0.1)


def spoken(ways: Continuity, route: Route, since: float, until: float) -> float:
    """Sound comes by a way, 50 packets a second."""
    now = since
    while now < until:
        ways.sound(route, now)
        now += 0.02
    return now - 0.02


def live(ways: Continuity, until: float) -> list[Any]:
    effects: list[Any] = []
    while ways.wake_at <= until:
        effects += ways.wake(ways.wake_at)
    return effects


def test_a_probe_is_answered_by_the_way_it_came() -> None:
    ways = begun()
    effects = ways.receive(PathProbe(number=b"12345678"), SPARE, 1.0)
    assert SendOnce(BOB, PathEcho(number=b"12345678"), SPARE) in effects


def test_only_our_own_number_proves_a_way_and_only_by_that_way() -> None:
    ways = begun()
    (probe,) = probes(ways.receive(PathProbe(number=bytes(8)), SPARE, 1.0), SPARE)
    other = Channel(OTHER, 33)
    for number, route in ((bytes(8), SPARE), (probe.number, other), (probe.number, USED), (probe.number, Wire(THERE))):
        assert ways.receive(PathEcho(number=number), route, 1.1) == []
    assert not ways._ways[SPARE].proved
    at = spoken(ways, USED, 1.2, 2.0)
    assert not [e for e in live(ways, at + 0.5) if isinstance(e, Reroute)]
    ways.receive(PathEcho(number=probe.number), SPARE, at + 0.6)
    assert ways._ways[SPARE].proved


def test_silence_moves_to_the_warm_way_at_once_and_says_so() -> None:
    ways = begun()
    proved(ways, SPARE, 0.1)
    at = spoken(ways, USED, 0.3, 3.0)
    effects = live(ways, at + 0.25)
    (taken,) = [e for e in effects if isinstance(e, WayTaken)]
    assert taken.route == SPARE
    assert taken.silence < 0.25
    assert Reroute(BOB, SPARE) in effects
    assert [probe.follow for probe in probes(effects, SPARE)][-1:] == [True]


def test_the_other_sides_wish_is_followed_by_a_proved_way_only() -> None:
    ways = begun(first=False)
    effects = ways.receive(PathProbe(number=bytes(8), follow=True), SPARE, 1.0)
    assert not [e for e in effects if isinstance(e, Reroute)]
    (probe,) = probes(effects, SPARE)
    assert Reroute(BOB, SPARE) in ways.receive(PathEcho(number=probe.number), SPARE, 1.1)
    assert Reroute(BOB, USED) in ways.receive(PathProbe(number=bytes(8), follow=True), USED, 1.2)


def test_a_relay_that_closes_is_left_before_any_silence() -> None:
    ways = begun()
    proved(ways, SPARE, 0.1)
    assert ways.closed(USED.token, OTHER, 0.5) == []  # somebody else's word
    effects = ways.closed(USED.token, RELAY, 0.5)
    assert Release(USED) in effects
    assert Reroute(BOB, SPARE) in effects
    assert Stranded(BOB) in ways.down(OTHER, "cut", 0.6)


def test_without_any_way_it_is_said_again_and_again_until_there_is_one() -> None:
    ways = begun()
    at = spoken(ways, USED, 0.0, 2.0)
    effects = live(ways, at + 5.0)
    assert sum(isinstance(e, Stranded) for e in effects) > 5
    assert ways.stranded
    assert Reroute(BOB, SPARE) in proved(ways, SPARE, at + 6.0)
    assert not ways.stranded


def test_a_way_that_is_cold_is_given_back() -> None:
    ways = begun()
    proved(ways, SPARE, 0.0)
    now = 0.0
    effects: list[Any] = []
    while now < COLD_AFTER + 5.0:
        ways.sound(USED, now)
        effects += ways.wake(now)
        now += 0.02
    assert Send(OTHER, RelayClose(token=SPARE.token.to_bytes(8, "big"))) in effects
    assert ways.relays == [USED]


def test_a_direct_way_is_taken_by_the_first_and_not_where_it_is_not_wanted() -> None:
    for first, direct in ((True, True), (False, True), (True, False)):
        ways = begun(first=first, direct=direct)
        ways.receive(WayHints(reachable=(THERE,)), None, 1.0)
        tried = probes(ways.wake(1.0), Wire(THERE))
        assert bool(tried) is direct
        if tried:
            effects = ways.receive(PathEcho(number=tried[0].number), Wire(THERE), 1.1)
            assert (Reroute(BOB, Wire(THERE)) in effects) is first
    assert begun(direct=False).receive(PathProbe(number=bytes(8)), Wire(THERE), 1.0) == []


def test_the_nearer_of_two_relays_is_taken() -> None:
    ways = begun()
    now, effects = 0.0, []
    rtt = {USED: 0.3, SPARE: 0.1}
    waiting: list[tuple[float, Route, PathEcho]] = []
    proved(ways, SPARE, 0.0)
    while now < 20.0:
        ways.sound(ways.route, now)
        told = ways.wake(now)
        for route, back in rtt.items():
            waiting += [(now + back, route, PathEcho(number=probe.number)) for probe in probes(told, route)]
        for due in [item for item in waiting if item[0] <= now]:
            waiting.remove(due)
            told += ways.receive(due[2], due[1], now)
        effects += told
        now += 0.02
    assert [e.route for e in effects if isinstance(e, Reroute)] == [SPARE]


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 40), st.floats(0.0, 3.0)), max_size=60), st.booleans())
def test_whatever_is_said_what_is_held_is_bounded_and_the_way_is_a_proved_one(
    story: list[tuple[int, int, float]], first: bool
) -> None:
    ways = begun(first=first)
    now = 0.0
    for what, which, after in story:
        now += after
        routes = (USED, Channel(OTHER, which), Wire(Address(b"\x01\x02\x03" + bytes([which]), 5)), Stream(which, THERE))
        route = routes[which % 4]
        effects: list[Any] = []
        match what:
            case 0 | 1:
                effects = ways.receive(PathProbe(number=bytes(8), follow=what == 1), route, now)
            case 2:
                numbers = [number for way in ways._ways.values() for number in way.asked] or [bytes(8)]
                effects = ways.receive(PathEcho(number=numbers[which % len(numbers)]), route, now)
            case 3:
                effects = ways.sound(route, now)
            case 4:
                effects = ways.receive(WayHints(supernodes=(THERE,), reachable=(THERE, SUPERNODE)), None, now)
            case 5:
                effects = ways.closed(which, (RELAY, OTHER)[which % 2], now)
            case 6:
                effects = ways.down((RELAY, OTHER)[which % 2], "cut", now)
            case _:
                effects = ways.wake(now)
        for effect in effects:
            if isinstance(effect, Reroute):
                assert ways._ways[effect.route].proved
        assert sum(isinstance(held, Channel) for held in ways._ways) <= MAX_CHANNEL_WAYS + 1
        assert sum(isinstance(held, Wire) for held in ways._ways) <= MAX_DIRECT_WAYS
    assert ways.wake_at > now or ways.wake(now) is not None
    copy = pickle.loads(pickle.dumps(ways))
    assert (copy._ways, copy.route, copy.wake_at) == (ways._ways, ways.route, ways.wake_at)
