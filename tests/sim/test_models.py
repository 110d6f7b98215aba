"""Round trips, lifetimes and the desk of a supernode are what they say they are."""

from __future__ import annotations

from random import Random
from statistics import median

import pytest

from halloo.link.onelink import HELLO_FOR
from halloo.overlay.admission import HANDSHAKE_SHARE
from halloo.sim.desk import Desk, Work
from halloo.sim.distances import Distances
from halloo.sim.figures import Criterion, quantile
from halloo.sim.lifetimes import DAY, SUPERNODES, by_day


def host(rng: Random) -> bytes:
    return rng.randbytes(4)


def test_round_trips_have_the_median_and_the_tail_of_the_internet() -> None:
    rng, distances = Random(1), Distances(7)
    trips = [2 * distances.one_way(host(rng), host(rng)) for _ in range(20_000)]
    assert median(trips) == pytest.approx(0.085, rel=0.03)
    assert quantile(trips, 0.99) == pytest.approx(0.4, rel=0.08)


def test_a_pair_is_as_far_apart_each_time_and_in_both_directions() -> None:
    rng = Random(2)
    for _ in range(100):
        one, other = host(rng), host(rng)
        assert Distances(1).one_way(one, other) == Distances(1).one_way(other, one)
        assert Distances(1).one_way(one, other) != Distances(2).one_way(one, other)


def test_sessions_of_supernodes() -> None:
    rng = Random(3)
    lengths = [SUPERNODES.drawn(rng) for _ in range(40_000)]
    assert median(lengths) == pytest.approx(5.5 * 3_600, rel=0.03)
    assert sum(lengths) / len(lengths) == pytest.approx(15.7 * 3_600, rel=0.06)
    old = [SUPERNODES.left(rng) for _ in range(2_000)]
    assert median(old) > 2 * median(lengths)  # who is met running has come to stay


def test_more_are_there_in_the_evening_than_in_the_morning() -> None:
    assert by_day(0.8 * DAY) == pytest.approx(1.0)
    assert by_day(0.3 * DAY) == pytest.approx(0.55)


def test_a_desk_does_so_many_logins_a_second_and_no_more() -> None:
    desk = Desk(Work(logins=2.0))
    done = [desk.wait(0.0, 1.0) for _ in range(100)]
    heard = [wait for wait in done if wait is not None]
    assert heard == [max(0.0, (i + 1) / 2 - desk.work.at_once) for i in range(len(heard))]
    assert max(heard) <= HELLO_FOR
    assert desk.attempts == 100
    assert desk.refused == 100 - len(heard) > 0
    assert desk.wait(1_000.0, 1.0) == 0.0  # and rests when nobody comes


def test_a_guest_costs_his_handshake() -> None:
    desk = Desk(Work(logins=2.0))
    waits = [desk.wait(0.0, HANDSHAKE_SHARE) for _ in range(10)]
    assert waits[-1] == pytest.approx(10 * HANDSHAKE_SHARE / 2.0 - desk.work.at_once)
    assert desk.attempts == pytest.approx(10 * HANDSHAKE_SHARE)
    assert desk.wait(0.0, HANDSHAKE_SHARE, again=True) is not None
    assert desk.attempts == pytest.approx(10 * HANDSHAKE_SHARE)  # a Hello said again is no other attempt


def test_who_resumes_costs_less() -> None:
    desk = Desk(Work(logins=2.0, resumed=50.0))
    assert all(desk.wait(0.0, 0.0) == 0.0 for _ in range(49))
    assert desk.attempts == 0


@pytest.mark.parametrize(
    ("value", "met"), [(None, False), (1.0, True), (1.01, False), (0, True)], ids=["none", "at", "over", "under"]
)
def test_a_criterion(value: float | None, met: bool) -> None:
    assert Criterion("x", "words", most=1).met({"x": value}) is met
    assert not Criterion("x", "words", least=1).met({})
