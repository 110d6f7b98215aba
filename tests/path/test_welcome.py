"""What supernodes say to guests, and how long that counts."""

from __future__ import annotations

from math import inf

from hypothesis import given
from hypothesis import strategies as st

from halloo.base.address import Address, Wire
from halloo.base.effects import Send
from halloo.base.machine import Numbers
from halloo.messages.overlay import Probe, ProbeAccept, ProbeRefuse
from halloo.path.welcome import DEAF_AFTER, HOLDS_FOR, MOST_KNOWN, SAY_AGAIN, SILENT_AFTER, Stance, Welcome

THERE = Address.parse("192.0.2.1:33033")
ELSEWHERE = Address.parse("192.0.3.1:33033")


def test_an_answer_counts_for_a_while_and_only_from_whom_was_asked() -> None:
    welcome = Welcome(Numbers())
    (sent,) = welcome.ask(THERE, 0.0)
    assert isinstance(sent, Send)
    assert sent.to == Wire(THERE)
    assert sent.message == Probe(only_asking=True, request=sent.message.request)
    assert welcome.ask(THERE, 0.1) == []
    assert not welcome.hear(ProbeAccept(request=sent.message.request), ELSEWHERE, 0.2)
    assert not welcome.hear(ProbeAccept(request=sent.message.request + 1), THERE, 0.2)
    assert welcome.stance(THERE, 0.2) is None
    assert welcome.hear(ProbeAccept(request=sent.message.request), THERE, 0.2)
    assert not welcome.asked(THERE)
    assert welcome.stance(THERE, 0.2 + HOLDS_FOR - 0.1) is Stance.WILLING
    assert welcome.stance(THERE, 0.2 + HOLDS_FOR) is None


def test_a_line_before_it_and_no_room() -> None:
    welcome = Welcome(Numbers())
    for ticket, stance in ((b"line", Stance.BUSY), (None, Stance.FULL)):
        (sent,) = welcome.ask(THERE, 0.0)
        assert welcome.hear(ProbeRefuse(ticket=ticket, request=sent.message.request), THERE, 0.1)
        assert welcome.stance(THERE, 0.1) is stance


def test_who_does_not_answer_is_asked_twice_and_is_silent_then() -> None:
    welcome = Welcome(Numbers())
    welcome.ask(THERE, 0.0)
    assert welcome.wake_at == SAY_AGAIN
    again, silent = welcome.wake(welcome.wake_at)
    assert (len(again), silent) == (1, [])
    assert welcome.wake_at == SILENT_AFTER
    assert welcome.wake(SILENT_AFTER) == ([], [THERE])
    assert welcome.stance(THERE, SILENT_AFTER) is Stance.SILENT
    assert welcome.wake_at == inf


def test_deaf_is_who_hears_nobody() -> None:
    welcome = Welcome(Numbers())
    now = 0.0
    for n in range(DEAF_AFTER):
        assert not welcome.deaf
        welcome.ask(Address.of(f"192.0.{n}.1", 9), now)
        for _ in range(2):
            now = welcome.wake_at
            welcome.wake(now)
    assert welcome.deaf
    (sent,) = welcome.ask(ELSEWHERE, now)
    welcome.hear(ProbeAccept(request=sent.message.request), ELSEWHERE, now)
    assert not welcome.deaf


@given(st.lists(st.tuples(st.integers(0, 2_000), st.integers(0, 3), st.floats(0, 5)), max_size=600))
def test_whoever_is_asked_what_is_held_is_bounded(steps: list[tuple[int, int, float]]) -> None:
    welcome, now = Welcome(Numbers()), 0.0
    for host, what, later in steps:
        now += later
        address = Address(bytes([10, host >> 8, host & 0xFF, 1]), 9)
        if what < 2:
            welcome.ask(address, now)
        elif what == 2 and welcome.asked(address):
            welcome.hear(ProbeAccept(request=welcome._questions[address].request), address, now)
        elif welcome.wake_at <= now:
            welcome.wake(now)
            assert welcome.wake_at > now
        assert len(welcome._questions) <= MOST_KNOWN
        assert len(welcome._said) <= MOST_KNOWN
