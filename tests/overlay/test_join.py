"""Joining: what a node does when supernodes are silent, busy, full, lying or gone."""

from __future__ import annotations

import itertools
import random
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from halloo.base.address import Address, Peer, Stream, Wire
from halloo.base.effects import Link, Send, StreamClose, Unlink
from halloo.base.machine import Effects, Numbers
from halloo.messages.overlay import Attach, Attached, AttachRefused, Probe, ProbeAccept, ProbeRefuse
from halloo.node.profile import CLASSIC_JOIN, MODERN_JOIN
from halloo.overlay.hostcache import HostCache
from halloo.overlay.join import REFERRED, Join, Joined, JoinTimings, Lost, State
from halloo.overlay.scout import SPARES

TRIP = 0.05  # seconds to a supernode and back
WALL = 1.8e9


def place(number: int) -> Address:
    return Address(bytes([20 + number // 200, number % 200, 1, 1]), 33_033)


@dataclass
class Sky:
    """Supernodes of a few habits around one node, and a clock."""

    habits: dict[Address, str]
    timings: JoinTimings = MODERN_JOIN
    seed: int = 1
    udp: bool = True
    now: float = 100.0
    wait: int = 9
    handshake: float = 2 * TRIP
    names: tuple[Address, ...] = ()
    probes: list[tuple[float, Address, Probe]] = field(default_factory=list)
    links: list[tuple[float, Link]] = field(default_factory=list)
    knocks: list[tuple[float, Stream]] = field(default_factory=list)
    closed: list[int] = field(default_factory=list)
    events: list[object] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.cache = HostCache()
        self.cache.pin(self.habits)
        rng = random.Random(self.seed)
        self.join = Join(self.timings, self.cache, bytes(8), 1, rng, Numbers(), Numbers(), Numbers(), WALL)
        self._mail: list[tuple[float, int, object]] = []
        self._number = 0

    def do(self, effects: Effects) -> None:
        for effect in effects:
            match effect:
                case Send(to=Wire() as to, message=Probe() as probe):
                    self.probes.append((self.now, to.address, probe))
                    if self.udp:
                        self._probed(to, to.address, probe)
                case Send(to=Stream() as stream, message=Probe() as probe):
                    self.knocks.append((self.now, stream))
                    self._probed(stream, self._base(stream), probe)
                case StreamClose():
                    self.closed.append(effect.number)
                case Send(to=int() as peer, message=Attach() as attach):
                    self._attach(Peer(peer), attach)
                case Link():
                    self.links.append((self.now, effect))
                    if self.habits.get(self._base(effect.route)) not in (None, "dead"):  # type: ignore[arg-type]
                        self._later(self.handshake, ("up", effect.peer))
                case Joined() | Lost():
                    self.events.append(effect)

    def _base(self, route: Wire | Stream) -> Address:
        return next((known for known in self.habits if known.host == route.address.host), route.address)

    def _probed(self, route: Wire | Stream, address: Address, probe: Probe) -> None:
        habit = self.habits.get(address, "dead")
        if habit == "dead" or (probe.only_asking and probe.ticket):
            return
        take = habit == "takes" or (habit == "busy" and probe.ticket == b"place" and self._due(address))
        if probe.only_asking or take:
            answer: object = ProbeAccept(request=probe.request)
        elif habit == "full":
            answer = ProbeRefuse(supernodes=self.names, retry_after=60, request=probe.request)
        else:
            ticket = b"place" if probe.ticket else b"proof"
            if probe.ticket == b"proof":
                self._places[address] = self.now + self.wait
            answer = ProbeRefuse(supernodes=self.names, retry_after=self.wait, ticket=ticket, request=probe.request)
        self._later(TRIP if isinstance(route, Wire) else 2 * TRIP, ("answer", route, answer))

    _places: dict[Address, float] = field(default_factory=dict)

    def _due(self, address: Address) -> bool:
        return self._places.get(address, 1e9) <= self.now + 0.1

    def _attach(self, peer: Peer, attach: Attach) -> None:
        route = next(link.route for _, link in self.links if link.peer == peer)
        busy = self.habits[self._base(route)] == "busy" and not self._due(self._base(route))  # type: ignore[arg-type]
        if self.habits[self._base(route)] == "full":  # type: ignore[arg-type]
            self._later(TRIP, ("heard", peer, AttachRefused(supernodes=self.names, retry_after=60)))
        elif busy and attach.ticket != b"place":
            self._places[self._base(route)] = self.now + self.wait  # type: ignore[arg-type]
            self._later(TRIP, ("heard", peer, AttachRefused(retry_after=self.wait, ticket=b"place")))
        else:
            self._later(TRIP, ("heard", peer, Attached(node=bytes(8), supernodes=self.names)))

    def _later(self, after: float, what: object) -> None:
        self._number += 1
        self._mail.append((self.now + after, self._number, what))

    def run(self, seconds: float) -> None:
        until = self.now + seconds
        while True:
            self._mail.sort(key=lambda letter: letter[:2])
            at = min(self._mail[0][0] if self._mail else 1e18, max(self.now, self.join.wake_at))
            if at > until:
                self.now = until
                return
            self.now = at
            if self._mail and self._mail[0][0] <= at:
                _, _, what = self._mail.pop(0)
                match what:
                    case ("answer", route, answer):
                        self.do(self.join.probed(answer, route, at))  # type: ignore[arg-type]
                    case ("up", peer):
                        self.do(self.join.up(peer, at))  # type: ignore[arg-type]
                    case ("heard", peer, message):
                        self.do(self.join.receive(message, peer, at))  # type: ignore[arg-type]
            else:
                self.do(self.join.wake(at))

    def asked(self) -> list[Address]:
        """Who was asked to take us, in order."""
        return [address for _, address, probe in self.probes if not probe.only_asking]


def test_one_that_takes_us_is_enough_and_no_other_is_bothered() -> None:
    sky = Sky({place(number): "takes" for number in range(10)})
    sky.do(sky.join.begin(sky.now))
    sky.run(1.0)
    (joined,) = sky.events
    assert isinstance(joined, Joined)
    assert joined.took == pytest.approx(4 * TRIP)
    assert len(sky.asked()) == len(sky.links) == 1


def test_a_slow_handshake_is_waited_for_a_moment() -> None:
    sky = Sky({place(0): "takes"})
    sky.join.cache.pin([place(number) for number in range(1, 5)])  # which are dead
    sky.do(sky.join.begin(sky.now))
    sky.run(5.0)
    assert sky.join.supernode == place(0)


def test_silent_ones_are_blamed_only_when_another_answers() -> None:
    sky = Sky({place(number): "dead" for number in range(20)})
    sky.do(sky.join.begin(sky.now))
    sky.run(3_600.0)
    assert all(sky.cache.cost(address, WALL) < 1.2 for address in sky.cache.addresses()), "our own line may be down"
    assert set(sky.asked()) == set(sky.habits), "all had their turn"
    sky.habits[place(7)] = "takes"
    sky.run(300.0)
    assert sky.join.supernode == place(7)
    assert max(sky.cache.cost(address, WALL) for address in sky.cache.addresses()) > 1.5


def test_the_pauses_are_jittered_and_capped() -> None:
    sky = Sky({place(0): "dead"})
    sky.do(sky.join.begin(sky.now))
    sky.run(36_000.0)
    times = [at for at, _, _ in sky.probes]
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert max(gaps) <= MODERN_JOIN.pause + MODERN_JOIN.ladder.round + 0.1
    assert max(gaps) - min(gaps[20:]) > 20.0
    assert 20.0 < sum(gaps[20:]) / len(gaps[20:]) < 50.0


# --- busy ones


def test_a_place_is_taken_where_the_line_is_shortest_and_kept_to_the_second() -> None:
    sky = Sky({place(number): "busy" for number in range(4)})
    sky.do(sky.join.begin(sky.now))
    sky.run(30.0)
    (joined,) = sky.events
    assert isinstance(joined, Joined)
    assert sky.wait <= joined.took <= sky.wait + 2.5
    places = {address for _, address, probe in sky.probes if probe.ticket == b"proof"}
    assert len(places) == 1, "a place at one of them, not at all"
    assert len(sky.links) == 1, "one handshake"


def test_nobody_is_asked_before_the_time_that_he_named() -> None:
    sky = Sky({place(number): "full" for number in range(6)})
    sky.do(sky.join.begin(sky.now))
    sky.run(600.0)
    last: dict[Address, float] = {}
    for at, address, _ in sky.probes:
        assert at - last.get(address, -1e9) >= 60.0
        last[address] = at
    assert not sky.links, "nor by TCP"
    assert len(sky.probes) >= 6 * 7


def test_when_all_said_later_the_first_of_them_is_waited_for_and_not_the_back_off() -> None:
    sky = Sky({place(0): "full"})
    sky.do(sky.join.begin(sky.now))
    sky.run(59.0)
    assert len(sky.probes) == 1
    sky.habits[place(0)] = "takes"
    sky.run(2.0)
    assert sky.join.state is State.ATTACHED


def test_the_article_knows_nothing_of_later() -> None:
    sky = Sky({place(number): "full" for number in range(4)}, CLASSIC_JOIN)
    sky.do(sky.join.begin(sky.now))
    sky.run(200.0)
    rounds = sorted({at for at, _, _ in sky.probes})
    assert [round(later - rounds[0]) for later in rounds] == [0, 23, 46, 69, 92]
    assert sky.join.state is State.FAILED
    assert sky.links


def test_those_that_a_refusal_names_are_tried_next_and_not_all_of_them() -> None:
    named = tuple(place(number) for number in range(100, 120))
    sky = Sky({place(0): "full"}, names=named)
    sky.do(sky.join.begin(sky.now))
    sky.run(5.0)
    assert len(set(sky.asked()) & set(named)) == REFERRED
    home = Sky({place(0): "full"}, names=(Address.parse("192.168.1.1:33033"), Address.parse("127.0.0.1:1")))
    home.do(home.join.begin(home.now))
    home.run(5.0)
    assert set(home.asked()) == {place(0)}, "nobody out there knows who is in our home"


def test_without_udp_the_appointment_is_kept_by_tcp() -> None:
    sky = Sky({place(0): "busy"}, udp=False)
    sky.do(sky.join.begin(sky.now))
    sky.run(40.0)
    (joined,) = sky.events
    assert isinstance(joined, Joined)
    assert joined.way.startswith("tcp")
    assert sky.wait <= joined.took <= sky.wait + 4
    assert len(sky.links) == 1, "nobody begins a handshake before he is told to come"
    used = sky.links[0][1].route
    assert isinstance(used, Stream)
    assert {stream.number for _, stream in sky.knocks} == {used.number, *sky.closed}, "no connection is left open"


def test_without_udp_one_handshake_is_begun_however_many_would_take_us() -> None:
    sky = Sky({place(number): "takes" for number in range(10)}, udp=False)
    sky.do(sky.join.begin(sky.now))
    sky.run(5.0)
    (joined,) = sky.events
    assert isinstance(joined, Joined)
    assert joined.way.startswith("tcp")
    assert len(sky.links) == 1


def test_small_datagrams_that_pass_do_not_keep_anybody_from_connecting() -> None:
    sky = Sky({place(0): "takes"})
    sky.do(sky.join.begin(sky.now))
    sky.handshake = 1e9  # large ones are lost
    sky.run(0.2)
    (attempt,) = sky.links
    assert isinstance(attempt[1].route, Wire)
    sky.do(sky.join.down(attempt[1].peer, "no answer", sky.now))
    sky.handshake = 2 * TRIP
    sky.run(20.0)
    assert sky.events[-1].way.startswith("tcp")  # type: ignore[attr-defined]


def test_one_that_always_makes_appointments_is_asked_more_and_more_seldom() -> None:
    sky = Sky({place(0): "busy"}, wait=0)
    sky._due = lambda _: False  # type: ignore[method-assign]
    sky.do(sky.join.begin(sky.now))
    sky.run(600.0)
    assert not sky.events
    assert len(sky.probes) < 100


# --- losses


def lost(sky: Sky) -> None:
    assert sky.join.peer is not None
    assert sky.join.supernode is not None
    sky.habits[sky.join.supernode] = "dead"
    sky.do(sky.join.down(sky.join.peer, "no answer", sky.now))


def test_a_spare_takes_the_place_of_a_lost_one_in_a_round_trip_and_a_handshake() -> None:
    sky = Sky({place(number): "takes" for number in range(30)})
    sky.do(sky.join.begin(sky.now))
    sky.run(600.0)
    spares = sky.join.scout.spares
    assert len(spares) == SPARES
    sky.probes.clear()
    lost(sky)
    sky.run(1.0)
    assert sky.join.supernode == spares[0]
    assert sky.events[-1].took == pytest.approx(4 * TRIP)  # type: ignore[attr-defined]


def test_spares_are_alive_ones() -> None:
    sky = Sky({place(number): "takes" if number % 4 == 0 else "dead" for number in range(40)})
    sky.do(sky.join.begin(sky.now))
    sky.run(3_600.0)
    assert len(sky.join.scout.spares) == SPARES
    assert all(sky.habits[spare] == "takes" for spare in sky.join.scout.spares)


def test_the_cache_is_refreshed_by_six_in_a_hundred_an_hour() -> None:
    sky = Sky({place(number): "takes" for number in range(200)})
    sky.do(sky.join.begin(sky.now))
    sky.run(60.0)
    sky.probes.clear()
    hours = 10
    sky.run(hours * 3_600.0)
    assert 10 <= len({address for _, address, _ in sky.probes}) / hours <= 14, "another one each time"
    assert len(sky.probes) / hours < 70, "hardly more than one a minute in all"


def test_a_node_off_line_blames_nobody() -> None:
    sky = Sky({place(number): "takes" for number in range(20)})
    sky.do(sky.join.begin(sky.now))
    sky.run(600.0)
    sky.habits.update(dict.fromkeys(sky.habits, "dead"))
    before = len(sky.cache)
    assert sky.join.peer is not None
    sky.do(sky.join.down(sky.join.peer, "no answer", sky.now))
    sky.run(7_200.0)
    assert len(sky.cache) == before


def test_what_is_found_near_by_is_tried_at_once() -> None:
    near = Address.parse("192.168.1.7:33033")
    sky = Sky({place(0): "dead", place(1): "dead"})
    sky.habits[near] = "takes"
    sky.do(sky.join.begin(sky.now))
    sky.run(200.0)
    sky.do(sky.join.heard_of((near,), sky.now))
    sky.run(1.5)
    assert sky.join.supernode == near


def test_a_neighbour_who_tells_of_thousands_makes_no_storm() -> None:
    sky = Sky({place(0): "dead"})
    sky.do(sky.join.begin(sky.now))
    sky.run(100.0)
    sky.probes.clear()
    for number in range(3_000):
        sky.do(sky.join.heard_of((Address(bytes([10, 1]) + number.to_bytes(2, "big"), 9),), sky.now))
        sky.run(0.01)
    assert len(sky.cache) <= 200
    assert len(sky.probes) < 120


# --- liars


def attached_to_a_liar(habit: str) -> Sky:
    """One who has caught his supernode, while all others are ``habit``."""
    sky = Sky({place(0): "takes"})
    sky.do(sky.join.begin(sky.now))
    sky.run(5.0)
    assert sky.join.supernode == place(0)
    sky.habits.update({place(number): habit for number in range(1, 6)})
    sky.join.cache.pin(sky.habits)
    sky.do(sky.join.shun(sky.now))
    return sky


def test_who_has_caught_a_liar_looks_again_until_another_has_room() -> None:
    sky = attached_to_a_liar("full")
    sky.run(100.0)
    assert sky.join.supernode == place(0)
    assert sky.join.peer is not None, "it serves us as well as it can"
    assert not any(isinstance(event, Lost) for event in sky.events)
    sky.habits.update({place(number): "takes" for number in range(1, 6)})
    sky.run(61.0)
    assert sky.join.supernode not in (place(0), None)
    assert [type(event) for event in sky.events] == [Joined, Joined], "without having been off line"
    before = len(sky.probes)
    sky.run(1.0)
    assert len(sky.probes) == before


def test_who_flees_asks_nobody_before_the_time_that_he_named() -> None:
    sky = attached_to_a_liar("full")
    sky.run(600.0)
    last: dict[Address, float] = {}
    for at, address in [(at, address) for at, address, probe in sky.probes if not probe.only_asking]:
        assert at - last.get(address, -1e9) >= 60.0
        last[address] = at
    assert place(0) not in sky.asked()[1:]
    assert len(sky.probes) >= 5 * 7


def test_who_flees_takes_his_place_in_a_line() -> None:
    sky = attached_to_a_liar("busy")
    sky.run(60.0)
    assert sky.join.supernode not in (place(0), None)


# --- nonsense


_ANSWERS = st.one_of(
    st.builds(ProbeAccept, request=st.integers(0, 40)),
    st.builds(
        ProbeRefuse,
        supernodes=st.lists(st.integers(0, 30).map(place), max_size=20).map(tuple),
        retry_after=st.integers(0, 3600),
        ticket=st.one_of(st.none(), st.binary(min_size=1, max_size=32)),
        request=st.integers(0, 40),
    ),
)
_HEARD = st.one_of(
    st.builds(AttachRefused, retry_after=st.integers(0, 3600), ticket=st.one_of(st.none(), st.just(b"x"))),
    st.builds(Attached, node=st.just(bytes(8)), supernodes=st.lists(st.integers(0, 30).map(place)).map(tuple)),
)
_STORY = st.lists(
    st.one_of(
        st.tuples(st.just("answer"), st.integers(0, 8), _ANSWERS),
        st.tuples(st.just("heard"), st.integers(1, 12), _HEARD),
        st.tuples(st.just("up"), st.integers(1, 12), st.none()),
        st.tuples(st.just("down"), st.integers(1, 12), st.none()),
        st.tuples(st.just("wait"), st.integers(0, 200), st.none()),
        st.tuples(st.just("leave"), st.integers(0, 1), st.none()),
    ),
    max_size=60,
)


@given(_STORY, st.sampled_from([MODERN_JOIN, CLASSIC_JOIN]), st.integers())
def test_late_doubled_and_senseless_answers_leave_a_node_that_goes_on(
    story: list[tuple[str, int, object]], timings: JoinTimings, seed: int
) -> None:
    sky = Sky({place(number): "dead" for number in range(8)}, timings, seed)
    sky.do(sky.join.begin(sky.now))
    for what, number, message in story:
        match what:
            case "answer":
                sky.do(sky.join.probed(message, Wire(place(number)), sky.now))  # type: ignore[arg-type]
            case "heard":
                sky.do(sky.join.receive(message, Peer(number), sky.now))  # type: ignore[arg-type]
            case "up":
                sky.do(sky.join.up(Peer(number), sky.now))
            case "down":
                sky.do(sky.join.down(Peer(number), "cut", sky.now))
            case "leave" if number:
                sky.do(sky.join.leave())
                sky.do(sky.join.begin(sky.now))
            case _:
                sky.run(number / 10)
    assert len(sky.join._promises._told) <= 400
    if sky.join.state is State.ATTACHED:
        out = sky.join.leave()
        assert any(isinstance(effect, Unlink) for effect in out)
        sky.do(sky.join.begin(sky.now))
    if sky.join.state is State.FAILED:
        sky.do(sky.join.begin(sky.now))
    sky.habits.update(dict.fromkeys(sky.habits, "takes"))
    sky.run(8_000.0)
    assert sky.join.state in (State.ATTACHED, *([State.FAILED] if timings.rounds else []))


def test_an_appointment_that_takes_long_is_no_reason_to_begin_a_second_handshake_there() -> None:
    sky = Sky({place(1): "busy"}, wait=4, handshake=3.0)
    sky.do(sky.join.begin(sky.now))
    sky.run(20.0)
    assert sky.join.supernode == place(1)
    assert len(sky.links) == 1
