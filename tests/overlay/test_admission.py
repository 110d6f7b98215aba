"""The line before a supernode: who comes at his time is taken, nobody can fill it, nothing of it grows."""

from __future__ import annotations

import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from halloo.base.address import Address, Peer, Wire
from halloo.base.effects import Send
from halloo.crypto.plain import DIGEST
from halloo.messages.credential import Party
from halloo.messages.overlay import Attach, Attached, AttachRefused, Ping, Pong, Probe, ProbeAccept, ProbeRefuse
from halloo.overlay.admission import (
    GRACE,
    HANDSHAKE_SHARE,
    LONGEST_LINE,
    PLACES_OF_HOST,
    RETURN_SHARE,
    SPACED,
    STALE,
    Admission,
    Pace,
    Verdict,
)
from halloo.overlay.clients import FEW, MANY, Clients, ClientTaken

PACE = Pace(2.0, 10)
KNOWN = tuple(Address.of(f"198.51.100.{number}", 33_033) for number in range(1, 40))


def host(number: int) -> bytes:
    return bytes([20 + number // 50_000, *(number % 50_000).to_bytes(2, "big"), 1])


def line(pace: Pace = PACE) -> Admission:
    return Admission(DIGEST, random.Random(1), pace)


def full_line(now: float = 100.0) -> Admission:
    """A line whose burst is used up."""
    admission = line()
    for number in range(PACE.burst):
        assert admission.ask(host(90_000 + number), b"", now).admitted
        assert admission.redeem(host(90_000 + number), b"", now)
    return admission


def place(admission: Admission, of: bytes, now: float) -> Verdict:
    """A place in the line, by way of a proof."""
    first = admission.ask(of, b"", now)
    assert not first.admitted
    assert not first.proven
    return admission.ask(of, first.ticket, now)


def test_a_burst_is_taken_at_once_and_then_so_many_a_second() -> None:
    admission = line()
    taken = 0
    for tick in range(600):
        now = 100.0 + tick / 10
        if admission.ask(host(tick), b"", now).admitted:
            taken += 1
            assert admission.redeem(host(tick), b"", now)
    assert PACE.burst + 60 * PACE.rate - 2 <= taken <= PACE.burst + 60 * PACE.rate + 2


def test_every_one_in_the_line_is_told_another_time_and_is_taken_then() -> None:
    admission, now = full_line(), 100.0
    told = [(host(number), place(admission, host(number), now)) for number in range(40)]
    times = [now + verdict.wait for _, verdict in told]
    assert times == sorted(times)
    assert times[-1] == pytest.approx(now + 40 * SPACED / PACE.rate, abs=1.5)
    for (of, verdict), at in zip(told, times, strict=True):
        assert admission.ask(of, verdict.ticket, at).admitted
        assert admission.redeem(of, verdict.ticket, at)
    assert admission.places == 0


def test_who_comes_at_his_time_is_taken_before_newcomers() -> None:
    admission, now = full_line(), 100.0
    mine = place(admission, host(1), now)
    for tick in range(200):
        newcomer = admission.ask(host(1_000 + tick), b"", now + tick * mine.wait / 200)
        assert not newcomer.admitted
    assert admission.ask(host(1), mine.ticket, now + mine.wait).admitted


def test_who_comes_too_early_keeps_his_place_and_who_does_not_come_leaves_it() -> None:
    admission, now = full_line(), 100.0
    first, second = place(admission, host(1), now), place(admission, host(2), now)
    last = [place(admission, host(3 + number), now) for number in range(20)][-1]
    early = admission.ask(host(22), last.ticket, now)
    assert (early.admitted, early.ticket) == (False, last.ticket)
    assert admission.backlog(now) == pytest.approx(22 * SPACED / PACE.rate, abs=1)
    admission.give_back(host(1), first.ticket, now)
    admission.give_back(host(1), first.ticket, now)  # twice is once
    assert place(admission, host(50), now).wait == first.wait, "the next who asks has it"
    assert place(admission, host(51), now).wait == pytest.approx(22 * SPACED / PACE.rate, abs=1)
    assert admission.ask(host(22), last.ticket, now + last.wait).admitted
    late = now + second.wait + GRACE + 1
    assert not admission.redeem(host(2), second.ticket, late)


@given(st.lists(st.tuples(st.integers(0, 79), st.floats(0, 30)), max_size=60))
def test_however_many_go_elsewhere_those_who_come_do_not_come_at_once(story: list[tuple[int, float]]) -> None:
    admission, now = full_line(), 100.0
    kept = {number: place(admission, host(number), now) for number in range(80)}
    for fresh, (gone, wait) in enumerate(story):
        if gone in kept:
            admission.give_back(host(gone), kept.pop(gone).ticket, now)
            came = admission.ask(host(100 + fresh), b"", now, reachable=True)
            if not came.admitted:
                kept[100 + fresh] = came
        now += wait / 60
    times = sorted(admission._waiting)
    assert len(times) == len(kept)
    assert all(later - earlier >= 1_000 / PACE.rate for earlier, later in itertools.pairwise(times))


def test_those_who_come_late_and_those_who_come_in_time_do_not_come_at_once() -> None:
    admission = full_line(100.0)
    places = [place(admission, host(number), 100.0) for number in range(1, 21)]
    at = 100.0 + places[-1].wait  # the first are late by as much as a place is kept, or more
    late = [number for number, one in enumerate(places, 1) if 100.0 + one.wait > at - GRACE]
    come: list[float] = []
    now = at
    while late and now < at + 30.0:
        for number in late:
            verdict = admission.ask(host(number), places[number - 1].ticket, now)
            if verdict.admitted:
                come.append(now)
                assert admission.redeem(host(number), places[number - 1].ticket, now)
                late = [one for one in late if one != number]
            else:
                assert verdict.wait == 1
                assert verdict.ticket == places[number - 1].ticket  # it is kept
        now += 0.5
    assert not late
    for begin in come:
        assert sum(begin <= one < begin + 3.0 for one in come) <= PACE.burst + 3.0 * PACE.rate + 1


def test_who_asks_over_and_over_whether_he_may_come_holds_nobody_up() -> None:
    admission = full_line(100.0)
    one = place(admission, host(1), 100.0)
    now = 100.0 + one.wait + GRACE - 1.0
    for _ in range(1_000):
        assert admission.ask(host(1), one.ticket, now).admitted
    assert admission.would_admit(now + 1.0)
    assert admission.ask(host(2), b"", now + 1.0).admitted


def test_places_that_nobody_comes_for_are_free_again() -> None:
    admission, now = full_line(), 100.0
    for number in range(100):
        place(admission, host(number), now)
    assert admission.places == 100
    assert admission.would_admit(now + 100 * SPACED / PACE.rate + GRACE + 1)
    assert admission.places <= 1


def test_a_flood_from_made_up_addresses_costs_no_memory_and_no_place() -> None:
    admission, now = full_line(), 100.0
    for number in range(20_000):
        at = now + number / 1_000
        admission.ask(host(number), b"", at)
    at = now + 20.0
    assert admission.places <= PACE.rate * (GRACE + 1) + PACE.burst
    mine = admission.ask(b"\xc6\x33\x64\x07", b"", at)
    if not mine.admitted:
        mine = admission.ask(b"\xc6\x33\x64\x07", mine.ticket, at)
        assert mine.admitted or mine.wait <= 2


def test_places_taken_and_given_back_over_and_over_leave_no_trace() -> None:
    admission, now = full_line(), 100.0
    for number in range(20):
        place(admission, host(number), now)
    for _ in range(5_000):
        admission.give_back(host(99), place(admission, host(99), now).ticket, now)
    assert admission.places == 20
    assert len(admission._order) <= 2 * 21 + STALE
    assert len(admission._gaps) <= 1
    assert place(admission, host(99), now).wait == pytest.approx(21 * SPACED / PACE.rate, abs=1)


def test_one_host_has_a_few_places_and_a_home_network_has_all() -> None:
    admission, now = full_line(), 100.0
    office, home = host(7), Address.of("192.168.1.4", 0).host
    tickets = [verdict.ticket for _ in range(40) if (verdict := place(admission, office, now)).ticket]
    assert len(tickets) == PLACES_OF_HOST
    assert place(admission, host(8), now).ticket
    assert all(place(admission, home, now).ticket for _ in range(40))


def test_the_line_has_an_end() -> None:
    admission, now = full_line(), 100.0
    for number in range(3 * int(LONGEST_LINE * PACE.rate)):
        place(admission, host(number), now)
    assert admission.places <= LONGEST_LINE * PACE.rate + 2
    beyond = place(admission, host(49_999), now)
    assert not beyond.ticket
    assert beyond.wait > 0


def test_without_room_nobody_is_put_in_the_line_but_who_is_in_it_comes() -> None:
    admission, now = full_line(), 100.0
    mine = place(admission, host(1), now)
    refused = admission.ask(host(2), b"", now, room=False)
    assert (refused.admitted, refused.ticket) == (False, b"")
    assert refused.wait >= 60
    assert admission.ask(host(1), mine.ticket, now + mine.wait, room=False).admitted


@given(st.binary(max_size=40), st.integers(0, 5))
def test_no_made_up_ticket_is_ours(ticket: bytes, number: int) -> None:
    admission, now = full_line(), 100.0
    place(admission, host(9), now)
    mine = place(admission, host(1), now)
    assert admission.ask(host(number), ticket, now).proven is (ticket == mine.ticket and number == 1)
    forged = bytes([mine.ticket[0] ^ 1]) + mine.ticket[1:]
    assert not admission.ask(host(1), forged, now).proven
    assert not admission.ask(host(2), mine.ticket, now).proven, "the ticket of another host"
    assert not admission.redeem(host(number), ticket, now)


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 12), st.floats(0, 30)), max_size=200))
def test_whatever_is_asked_the_books_agree(story: list[tuple[int, int, float]]) -> None:
    admission, now = line(Pace(0.5, 3)), 10.0
    tickets = [b""]
    for what, which, wait in story:
        now += wait
        of, ticket = host(which), tickets[which % len(tickets)]
        match what:
            case 0:
                admission.give_back(of, ticket, now)
            case 1:
                admission.redeem(of, ticket, now)
            case _:
                tickets = [*tickets, admission.ask(of, ticket, now, room=what < 6).ticket][-20:]
        assert sum(admission._held.values()) == admission.places
        assert all(count > 0 for count in admission._held.values())
        assert admission.backlog(now) <= 0.5 + admission.places / 0.5 + 10 / 0.5
    admission.would_admit(now + 10_000)
    assert admission.places == 0


# --- the nodes of a supernode


def clients(most: int = 800) -> Clients:
    return Clients(bytes(8), DIGEST, lambda: KNOWN, lambda: (), most, full_line())


def said(effects: list[object]) -> object:
    (send,) = (effect for effect in effects if isinstance(effect, Send))
    return send.message


def attach(held: Clients, number: int, now: float, ticket: bytes | None = None) -> object:
    key = number.to_bytes(32, "big")
    message = Attach(node=DIGEST(key)[:8], port=1, ticket=ticket, request=1)
    return said(held.attach(message, Peer(number), Party(key, None), Wire(Address(host(number), 1)), now))  # type: ignore[arg-type]


def probe(held: Clients, number: int, now: float, ticket: bytes | None = None, *, only: bool = False) -> object:
    message = Probe(ticket=ticket, only_asking=only, request=1)
    return said(held.probed(message, Wire(Address(host(number), 1)), now))  # type: ignore[arg-type]


def test_a_busy_supernode_answers_with_a_time_and_keeps_it() -> None:
    held, now = clients(), 100.0
    first = probe(held, 1, now)
    assert isinstance(first, ProbeRefuse)
    assert len(first.supernodes) == FEW, "little is said to an address that may be made up"
    second = probe(held, 1, now, first.ticket)
    assert isinstance(second, ProbeRefuse)
    assert len(second.supernodes) == MANY
    at = now + second.retry_after
    assert isinstance(probe(held, 1, at, second.ticket), ProbeAccept)
    assert isinstance(attach(held, 1, at + 1, second.ticket), Attached)


def test_who_comes_by_tcp_is_told_a_time_as_well() -> None:
    held, now = clients(), 100.0
    refused = attach(held, 1, now)
    assert isinstance(refused, AttachRefused)
    assert refused.ticket
    assert isinstance(attach(held, 1, now + refused.retry_after, refused.ticket), Attached)


def test_who_was_told_to_come_needs_no_ticket_to_attach() -> None:
    held, now = clients(), 200.0
    assert isinstance(probe(held, 1, now), ProbeAccept)
    assert isinstance(attach(held, 1, now + 1), Attached)


def test_those_who_are_here_are_served_and_stay() -> None:
    held, now = clients(), 200.0
    assert isinstance(attach(held, 1, now), Attached)
    for number in range(2, 5_000):
        probe(held, number, now)
        attach(held, number, now)
    assert Peer(1) in held
    assert isinstance(said(held.pinged(Ping(request=3), Peer(1), None)), Pong)  # type: ignore[arg-type]
    key = (1).to_bytes(32, "big")
    again = held.attach(Attach(node=DIGEST(key)[:8], port=1), Peer(9_999), Party(key, None), None, now)
    assert any(isinstance(effect, ClientTaken) for effect in again), "the same node over a new line"


def test_who_only_asks_takes_nothing() -> None:
    held, now = clients(), 200.0
    assert held.admission is not None
    for number in range(100):
        assert isinstance(probe(held, number, now, only=True), ProbeAccept)
    assert held.admission.places == 0
    assert held.admission.would_admit(now)


def test_a_full_supernode_takes_nobody_and_says_so() -> None:
    held, now = clients(most=2), 200.0
    assert isinstance(attach(held, 1, now), Attached)
    assert isinstance(attach(held, 2, now), Attached)
    assert held.room == 0
    refused = probe(held, 3, now)
    assert isinstance(refused, ProbeRefuse)
    assert refused.retry_after >= 60
    assert isinstance(probe(held, 3, now, only=True), ProbeRefuse)
    assert isinstance(attach(held, 3, now), AttachRefused)
    assert len(held) == 2


def test_who_comes_back_with_a_ticket_takes_a_part_of_a_place_and_cannot_use_it_for_a_whole_one() -> None:
    admission, now = full_line(), 100.0
    before = admission.backlog(now)
    told = admission.ask(host(1), b"", now, reachable=True, share=RETURN_SHARE)
    assert not told.admitted
    assert admission.backlog(now) - before == pytest.approx(SPACED * RETURN_SHARE / PACE.rate)
    at = now + told.wait
    assert admission.ask(host(1), told.ticket, at).admitted
    backlog = admission.backlog(at - 100.0)
    assert admission.redeem(host(1), told.ticket, at), "he was told to come"
    left = (1 - SPACED * RETURN_SHARE) / PACE.rate
    assert admission.backlog(at - 100.0) - backlog == pytest.approx(left), "by a handshake"
    admission.ask(host(2), b"", at, reachable=True, share=RETURN_SHARE)
    again = admission.ask(host(3), b"", at, reachable=True, share=RETURN_SHARE)
    line = admission.backlog(at)
    admission.give_back(host(3), again.ticket, at)
    assert line - admission.backlog(at) == pytest.approx(SPACED * RETURN_SHARE / PACE.rate)


def test_a_guest_takes_a_part_of_a_place_once() -> None:
    admission = line()
    held = Clients(bytes(8), DIGEST, lambda: KNOWN, lambda: (), admission=admission)
    for _ in range(PACE.burst - 1):
        admission.charge(100.0)
    for number in range(3):
        held.came(Peer(number), resumed=False)
        held.guest(Peer(number), 100.0)
        held.guest(Peer(number), 100.0)
        held.down(Peer(number), 100.0)
    held.guest(None, 100.0)
    held.guest(Peer(77), 100.0)  # one that we have no link to that was not counted
    assert admission.backlog(100.0) == pytest.approx(3 * HANDSHAKE_SHARE / PACE.rate)


def test_a_handshake_that_was_good_for_nothing_takes_a_place_once() -> None:
    admission = line()
    held = Clients(bytes(8), DIGEST, lambda: KNOWN, lambda: (), admission=admission)
    for number in range(PACE.burst + 4):
        held.came(Peer(number), resumed=False)
        held.down(Peer(number), 100.0)
        held.down(Peer(number), 100.0)
    assert admission.backlog(100.0) == pytest.approx(5 / PACE.rate)
    held.came(Peer(99), resumed=True)
    held.came(Peer(100), resumed=False)
    held.fellow(Peer(100))
    held.down(Peer(99), 100.0)
    held.down(Peer(100), 100.0)
    assert admission.backlog(100.0) == pytest.approx(5 / PACE.rate)
