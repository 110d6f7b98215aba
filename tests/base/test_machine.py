"""Alarms, timers, numbers, and what effects say of themselves."""

from enum import Enum
from math import inf

from hypothesis import given
from hypothesis import strategies as st

from halloo.base.address import Address, Peer
from halloo.base.effects import Send, Transmit
from halloo.base.machine import Alarms, Message, Numbers, Timers

TIMES = st.sampled_from([0.0, 0.5, 1.0, 2.0, 3.5, 9.0, inf])
STEPS = st.lists(st.tuples(st.integers(0, 5), st.one_of(TIMES, st.none())), max_size=300)


@given(STEPS, TIMES)
def test_alarms_are_a_table_that_knows_its_earliest(steps: list[tuple[int, float | None]], until: float) -> None:
    alarms: Alarms[int] = Alarms()
    table: dict[int, float] = {}
    for key, at in steps:
        if at is None:
            del alarms[key]
            table.pop(key, None)
        else:
            alarms[key] = at
            table.pop(key, None)
            if at < inf:
                table[key] = at
        assert len(alarms) == len(table)
        assert alarms.next == min(table.values(), default=inf)
        assert len(alarms._heap) <= 65 + 4 * len(table)
    if until < inf:
        assert sorted(alarms.due(until)) == sorted(key for key, at in table.items() if at <= until)
        assert alarms.next > until


def test_alarms_that_are_moved_without_end_take_no_room() -> None:
    alarms: Alarms[str] = Alarms()
    for step in range(10_000):
        alarms["one"] = float(step)
    assert len(alarms._heap) < 80
    assert alarms.due(1e9) == ["one"]


class Some(Enum):
    A = 0
    B = 1


def test_timers_come_in_order_and_once() -> None:
    timers = Timers({Some.A: 5.0, Some.B: 3.0})
    assert timers.next == 3.0
    assert timers.due(2.0) == []
    assert timers.due(7.0) == [Some.B, Some.A]
    assert timers.next == inf


def test_numbers_come_once() -> None:
    numbers = Numbers(7)
    assert [numbers() for _ in range(3)] == [7, 8, 9]


class _Word(Message):
    def __repr__(self) -> str:
        return "Word"


def test_effects_for_people() -> None:
    word = _Word()
    assert repr(Send(Peer(1), word)) == "Send(1, Word)"
    assert Send(Peer(1), word) == Send(Peer(1), word) != Send(Peer(2), word)
    assert Send(Peer(1), word) != "Send"
    assert repr(Transmit(Address.parse("192.0.2.1:7"), b"abc")) == "Transmit(192.0.2.1:7, 3 bytes)"
