"""Links of minds begin, carry and end as those of endpoints do."""

from __future__ import annotations

from math import inf
from types import SimpleNamespace

import pytest

from halloo.base.address import Address, Peer, Stream, Wire
from halloo.base.effects import Link, Send, Unlink
from halloo.base.machine import Effects, Message
from halloo.link.links import MAX_LINKS
from halloo.link.notice import Down, Heard, Moved, Notice, Observed, Up
from halloo.link.onelink import HELLO_FOR, IDLE_FOR
from halloo.link.persona import Persona
from halloo.messages.overlay import Ping
from halloo.overlay.admission import HANDSHAKE_SHARE
from halloo.sim.desk import Work
from halloo.sim.half import GIVE_UP
from halloo.sim.minds import Dweller
from halloo.sim.mindtown import MindTown
from halloo.sim.nat import KINDS, Box

ONE, OTHER = Address.parse("30.0.0.1:1000"), Address.parse("30.0.0.2:1000")
PEER = Peer(1)


class Listener:
    """A mind that remembers what it is told."""

    wake_at = inf

    def __init__(self) -> None:
        self.told: list[tuple[float, Notice]] = []
        self.supernode: object | None = None

    def receive(self, notice: Notice, now: float) -> Effects:
        self.told.append((now, notice))
        return []

    def wake(self, now: float) -> Effects:
        return []

    def of(self, kind: type[Notice]) -> list[Notice]:
        return [notice for _, notice in self.told if isinstance(notice, kind)]

    @property
    def requests(self) -> list[int]:
        return [notice.message.request for _, notice in self.told if isinstance(notice, Heard)]  # type: ignore[attr-defined]


class Pair:
    """Two such minds in a world."""

    def __init__(self, *, box: str = "", knows: bool = True, **net: float) -> None:
        self.world = MindTown(1, supernodes=0, net=net).world
        town = MindTown(1, supernodes=0)
        self.minds: list[Listener] = []
        self.dwellers: list[Dweller] = []
        for i, address in enumerate((ONE, OTHER)):
            rng = self.world.rng(str(i))
            persona = Persona(town.suite, town.notary, town.suite.identity.make(rng), b"", rng)
            mind = Listener()
            behind = Box(KINDS[box], bytes([20, 0, 0, 1]), rng) if box and not i else None
            self.minds.append(mind)
            self.dwellers.append(
                self.world.settle(str(i), mind, persona, address, box=behind, knows=knows)
            )
        self.one, self.other = self.minds

    def begin(self, *, key: bytes = b"", stream: bool = False) -> None:
        route = Stream(1, OTHER) if stream else Wire(OTHER)
        self.world.carry_out(self.dwellers[0], [Link(PEER, route, key)])
        self.world.run(self.world.now + 1.0)

    def say(self, *requests: int) -> None:
        for request in requests:
            self.world.carry_out(self.dwellers[0], [Send(PEER, Ping(request=request))])

    @property
    def theirs(self) -> Peer:
        (up,) = self.other.of(Up)
        assert isinstance(up, Up)
        return up.peer

    @property
    def key(self) -> bytes:
        return self.dwellers[1].persona.public


@pytest.mark.parametrize(("stream", "took"), [(False, (0.04, 0.06)), (True, (0.08, 0.10))])
def test_a_handshake_takes_its_round_trips(stream: bool, took: tuple[float, float]) -> None:
    pair = Pair()
    pair.begin(stream=stream)
    assert [at for at, notice in pair.one.told if isinstance(notice, Up)] == [pytest.approx(took[0])]
    assert [at for at, notice in pair.other.told if isinstance(notice, Up)] == [pytest.approx(took[1])]
    assert pair.theirs >= 1 << 32


def test_who_does_not_know_his_host_takes_one_more_and_learns_it() -> None:
    pair = Pair(knows=False)
    pair.begin()
    assert [at for at, notice in pair.one.told if isinstance(notice, Up)] == [pytest.approx(0.12)]
    assert pair.one.of(Observed) == [Observed(ONE.host, ONE.port, OTHER)]


def test_another_key_than_the_one_looked_for_is_refused() -> None:
    pair = Pair()
    pair.begin(key=b"somebody")
    assert pair.one.of(Down) == [Down(PEER, "somebody else answered at the address")]
    assert not pair.one.of(Up)
    assert not pair.other.told
    pair.begin(key=pair.key)
    assert len(pair.one.of(Up)) == 1


def test_nobody_there() -> None:
    pair = Pair()
    pair.world.kill("1")
    pair.begin()
    pair.world.run(20.0)
    assert pair.one.told == [(pytest.approx(HELLO_FOR), Down(PEER, "no answer"))]


def test_what_is_lost_is_heard_later_and_in_order() -> None:
    pair = Pair(loss=0.3)
    pair.begin()
    pair.world.run(5.0)
    wanted = list(range(400))
    for request in wanted:
        pair.say(request)
        pair.world.run(pair.world.now + 0.01)
    pair.world.run(pair.world.now + 20.0)
    assert pair.other.requests == wanted


@pytest.mark.parametrize("box", ["", "port-restricted"])
@pytest.mark.parametrize(("torn", "alive"), [(GIVE_UP - 4.0, True), (GIVE_UP + 4.0, False)])
def test_a_line_that_is_torn(torn: float, alive: bool, box: str) -> None:
    pair = Pair(box=box)
    pair.begin()
    pair.say(1)
    pair.world.run(2.0)
    host = bytes([20, 0, 0, 1]) if box else ONE.host
    pair.world.net.cut_off.add(host)
    pair.say(2, 3)
    pair.world.run(2.0 + torn)
    pair.world.net.cut_off.clear()
    pair.say(4)
    pair.world.run(2.0 + torn + 20.0)
    if alive:
        assert pair.other.requests == [1, 2, 3, 4]
        assert not pair.one.of(Down)
    else:
        assert pair.other.requests == [1]
        ((at, notice),) = [(at, notice) for at, notice in pair.one.told if isinstance(notice, Down)]
        assert notice == Down(PEER, "no sign of life")
        assert 2.0 + GIVE_UP <= at <= 2.0 + GIVE_UP + 2.5


def test_silence_ends_a_link_on_both_sides() -> None:
    pair = Pair()
    pair.begin()
    pair.world.run(2 * IDLE_FOR)
    for mind in pair.minds:
        ((at, _),) = [(at, notice) for at, notice in mind.told if isinstance(notice, Down)]
        assert at == pytest.approx(IDLE_FOR, abs=0.2)


@pytest.mark.parametrize("stream", [False, True])
def test_a_goodbye(stream: bool) -> None:
    pair = Pair()
    pair.begin(stream=stream)
    pair.say(1)
    pair.world.carry_out(pair.dwellers[0], [Unlink(PEER, "that was all")])
    pair.world.run(3.0)
    assert pair.other.requests == [1]
    assert pair.other.of(Down) == [Down(pair.theirs, "that was all")]
    assert pair.one.of(Down) == [Down(PEER, "that was all")]
    assert not any(dweller.halves or dweller.pipes or dweller.streamed for dweller in pair.dwellers)


def test_the_end_of_a_program_breaks_its_connections() -> None:
    pair = Pair()
    pair.begin(stream=True)
    pair.world.kill("1")
    pair.world.run(2.0)
    assert pair.one.of(Down) == [Down(PEER, "the connection was closed")]


def test_who_moves_is_known_by_what_he_says() -> None:
    pair = Pair()
    pair.begin()
    elsewhere = Address.parse("30.0.0.9:9")
    pair.world.move("0", elsewhere)
    pair.say(1)
    pair.world.run(3.0)
    assert pair.other.requests == [1]
    assert pair.other.of(Moved) == [Moved(pair.theirs, Wire(elsewhere))]
    pair.world.carry_out(pair.dwellers[1], [Send(pair.theirs, Ping(request=2))])
    pair.world.run(4.0)
    assert pair.one.requests == [2]


def test_links_are_bounded() -> None:
    pair = Pair()
    for i in range(MAX_LINKS + 1):
        pair.world.carry_out(pair.dwellers[0], [Link(Peer(i), Wire(OTHER))])
    assert pair.one.of(Down) == [Down(Peer(MAX_LINKS), "too many links")]


@pytest.mark.parametrize(("joins", "share"), [(True, 1.0), (False, HANDSHAKE_SHARE)], ids=["to attach", "as a guest"])
def test_a_supernode_that_is_busy_lets_others_wait(joins: bool, share: float) -> None:
    pair = Pair()
    pair.other.supernode = object()
    pair.one.join = SimpleNamespace(tries=lambda _: joins)
    pair.world.work = Work(logins=1.0)
    pair.begin()
    for i in range(2, 6):
        pair.world.carry_out(pair.dwellers[0], [Link(Peer(i), Wire(OTHER))])
    pair.world.run(20.0)
    ups = [at for at, notice in pair.one.told if isinstance(notice, Up)]
    waits = [max(0.0, i * share - pair.world.work.at_once) for i in range(1, 5)]
    assert ups[0] == pytest.approx(0.04, abs=0.05)  # a second before the others
    assert ups[1:] == [pytest.approx(1.04 + wait, abs=0.05) for wait in waits]


def test_a_message_that_a_program_cannot_bear_ends_it() -> None:
    pair = Pair()
    ended: list[str] = []
    pair.world.crashed = ended.append

    def weakness(message: Message) -> bool:
        return isinstance(message, Ping) and message.request == 2

    pair.dwellers[1].weakness = weakness
    pair.begin()
    pair.say(1, 2, 3)
    pair.world.run(30.0)
    assert pair.other.requests == [1]
    assert ended == ["1"]
    assert pair.one.of(Down) == [Down(PEER, "no sign of life")]
