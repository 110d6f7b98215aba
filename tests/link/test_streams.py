"""How TCP connections begin: in disguise, in silence, or not at all."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from halloo.base.address import Address, Stream
from halloo.base.effects import StreamClose, StreamOpen, StreamWrite
from halloo.base.errors import Malformed
from halloo.base.machine import Effect
from halloo.crypto.suite import DISGUISED_PORT, Suite
from halloo.crypto.suites import SUITES
from halloo.link.streams import MAX_OPENINGS, MAX_STREAMS, SILENT_FOR, Streams
from halloo.wire.frame import StreamFrame

KEY = bytes(range(32))
CLASSIC, MODERN = SUITES[1], SUITES[2]
PORTS = (33_033, DISGUISED_PORT)
all_suites = pytest.mark.parametrize("suite", SUITES.values(), ids=lambda suite: suite.name)
FRAME, REPLY = StreamFrame(None, 7, b"a payload"), StreamFrame(None, 8, b"its answer")
SOMEWHERE = Address.parse("192.0.2.9:50000")


def ends(suite: Suite, seed: object = 1) -> tuple[Streams, Streams]:
    return Streams(suite, KEY, random.Random(f"near {seed}")), Streams(suite, KEY, random.Random(f"far {seed}"))


def written(effects: list[Effect]) -> bytes:
    return b"".join(effect.data for effect in effects if isinstance(effect, StreamWrite))


class Connection:
    """A connection from ``near`` to ``far``, cut into pieces of ``step`` bytes; what passed is kept."""

    def __init__(self, suite: Suite, port: int, step: int = 10_000, seed: object = 1) -> None:
        self.near, self.far = ends(suite, seed)
        self.route = Stream(1, Address.of("192.0.2.1", port))
        self.step = step
        self.there: list[StreamFrame] = []
        self.back: list[StreamFrame] = []
        self.passed: list[tuple[str, bytes]] = []
        assert self.near.send(self.route, FRAME) == [StreamOpen(1, self.route.address)]
        assert self.far.opened(5, SOMEWHERE, 0.0) == []
        self._to_far(written(self.near.opened(1, self.route.address, 0.0)))

    def answer(self) -> None:
        self._to_near(written(self.far.send(Stream(5, SOMEWHERE), REPLY)))

    def _to_far(self, data: bytes) -> None:
        self.passed += [("to", data)] if data else []
        for at in range(0, len(data), self.step):
            _, frames, out = self.far.receive(5, data[at : at + self.step])
            self.there += frames
            self._to_near(written(out))

    def _to_near(self, data: bytes) -> None:
        self.passed += [("from", data)] if data else []
        for at in range(0, len(data), self.step):
            _, frames, out = self.near.receive(1, data[at : at + self.step])
            self.back += frames
            self._to_far(written(out))


@all_suites
@pytest.mark.parametrize("port", PORTS)
@pytest.mark.parametrize("step", [1, 7, 10_000])
def test_frames_pass_both_ways(suite: Suite, port: int, step: int) -> None:
    connection = Connection(suite, port, step)
    connection.answer()
    assert connection.there == [FRAME]
    assert connection.back == [REPLY]
    assert connection.far.silent(SILENT_FOR) == [5]  # recognised, but no link was begun
    connection.far.linked(5)
    assert connection.far.wake_at == float("inf")


def test_the_classic_greeting_is_the_measured_one() -> None:
    connection = Connection(CLASSIC, DISGUISED_PORT)
    (_, hello), (_, answer), *rest = connection.passed
    assert (len(hello), len(answer)) == (72, 79)
    assert hello[:5] == bytes.fromhex("8046010301")
    assert answer[:11] == bytes.fromhex("160301004a0200004603") + b"\x01"
    assert int.from_bytes(answer[11:15], "big") == 1_075_507_200  # 31 January 2004
    other = Connection(CLASSIC, DISGUISED_PORT, seed=2)
    assert other.passed[0][1][:56] == hello[:56]
    assert other.passed[0][1][56:] != hello[56:]
    assert other.passed[1][1] == answer
    assert len(rest[0][1]) > 14


@all_suites
def test_no_greeting_on_another_port(suite: Suite) -> None:
    connection = Connection(suite, 33_033)
    assert [way for way, _ in connection.passed] == ["to", "from"]


@all_suites
def test_who_was_connected_to_does_not_speak_first(suite: Suite) -> None:
    _, far = ends(suite)
    assert far.opened(5, SOMEWHERE, 0.0) == []
    assert far.send(Stream(5, SOMEWHERE), REPLY) == []


@pytest.mark.parametrize("suite", [CLASSIC, MODERN], ids=lambda suite: suite.name)
@given(data=st.binary(min_size=80, max_size=300))
def test_a_stranger_hears_nothing(suite: Suite, data: bytes) -> None:
    _, far = ends(suite)
    far.opened(5, SOMEWHERE, 0.0)
    try:
        _, frames, out = far.receive(5, data)
    except Malformed:
        return
    assert not frames
    assert not out


def test_a_recorded_opening_is_not_taken_twice() -> None:
    connection = Connection(MODERN, 33_033)
    recorded = connection.passed[0][1]
    connection.far.opened(6, SOMEWHERE, 1.0)
    with pytest.raises(Malformed, match="begins as another one did"):
        connection.far.receive(6, recorded)


def test_the_memory_of_openings_is_bounded() -> None:
    _, far = ends(MODERN)
    for number in range(MAX_OPENINGS + 10):
        far._once(number.to_bytes(8, "big"))
    assert len(far._openings) == MAX_OPENINGS


@all_suites
def test_who_says_nothing_is_shown_out(suite: Suite) -> None:
    _, far = ends(suite)
    far.opened(5, SOMEWHERE, 1.0)
    assert far.wake_at == 1.0 + SILENT_FOR
    assert far.silent(SILENT_FOR) == []
    assert far.silent(1.0 + SILENT_FOR) == [5]
    assert far.close(5) == [StreamClose(5)]
    assert far.wake_at == float("inf")


@all_suites
def test_the_silent_make_room(suite: Suite) -> None:
    connection = Connection(suite, 33_033)
    for number in range(100, 100 + MAX_STREAMS + 50):
        connection.far.opened(number, SOMEWHERE, 1.0)
    assert len(connection.far) == MAX_STREAMS
    assert 5 in connection.far  # it had spoken
    assert 100 not in connection.far
    for number in [*connection.far.silent(1.0 + SILENT_FOR)]:
        if number != 5:
            connection.far.closed(number)
    for number in range(10_000, 10_000 + MAX_STREAMS - 1):
        connection.far.opened(number, SOMEWHERE, 1.0)
        connection.far._silent.pop(number)  # as if a link had been begun over it
    assert connection.far.opened(20_000, SOMEWHERE, 1.0) == [StreamClose(5)]  # who has no link goes next


def test_openings_never_look_like_another_protocol() -> None:
    for seed in range(3_000):
        assert MODERN.stream_cloak(KEY, random.Random(seed)).opening()[0] != 0x16
        assert CLASSIC.stream_cloak(KEY, random.Random(seed)).opening()[0] not in (0x16, 0x80)


def test_an_answer_that_is_none_ends_the_stream() -> None:
    near, _ = ends(CLASSIC)
    route = Stream(1, Address.of("192.0.2.1", DISGUISED_PORT))
    near.send(route, FRAME)
    near.opened(1, route.address, 0.0)
    with pytest.raises(Malformed, match="greeting"):
        near.receive(1, b"HTTP/1.1 400 Bad Request\r\n")
