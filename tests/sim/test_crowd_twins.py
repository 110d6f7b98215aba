"""What a crowd does with arrays is what the real machines do with objects, on the same inputs."""

from __future__ import annotations

from random import Random
from typing import Any

import numpy as np
import pytest

from halloo.base.effects import Send
from halloo.base.machine import Numbers
from halloo.messages.overlay import Probe, ProbeRefuse
from halloo.node.profile import profile_named
from halloo.overlay.admission import Admission, Pace
from halloo.overlay.hostcache import HostCache
from halloo.overlay.join import Join, State
from halloo.overlay.roster import Registrar
from halloo.overlay.slots import SLOTS, Prefix, key_of, slot_of
from halloo.sim.crowd.blocks import Blocks
from halloo.sim.crowd.caches import Caches
from halloo.sim.crowd.desks import Line
from halloo.sim.crowd.ground import NOBODY, Ground
from halloo.sim.crowd.pool import Pool
from halloo.sim.crowd.rows import waves
from halloo.sim.crowd.seekers import pause_until
from halloo.sim.distances import Distances
from halloo.sim.mindtown import MindTown, public_host, supernode_address, user_address


def chance(seed: int = 1) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(seed))


def test_hosts_and_distances_are_those_of_the_world_of_minds() -> None:
    ground = Ground(7, 40_000, 10_000, chance(), boxes=True)
    distances = Distances(7)
    rng = Random(2)
    for _ in range(300):
        row, number, other = rng.randrange(40_000), rng.randrange(10_000), rng.randrange(10_000)
        host = public_host(user_address(row, inside=True))
        there, where = supernode_address(number).host, supernode_address(other).host
        assert int(ground.user_hosts[row]).to_bytes(4, "big") == host
        one = ground.travel(np.array([row]), np.array([number]))[0]
        assert one == pytest.approx(distances.one_way(host, there), rel=1e-12)
        two = ground.between(np.array([number]), np.array([other]))[0]
        assert two == pytest.approx(distances.one_way(there, where), rel=1e-12)
        assert ground.trip(row, number) == one
        assert ground.trip_between(number, other) == two


class Both:
    """One real host cache, and the row of a crowd that is told the same."""

    def __init__(self, pinned: int) -> None:
        self.real = HostCache()
        self.real.pin([supernode_address(i) for i in range(pinned)])
        self.crowd = Caches(1, pinned, chance())
        self.row = np.array([0])

    def place(self, number: int) -> Any:
        return self.crowd.place(self.row, np.array([number]))

    def known(self) -> set[int]:
        return {int(one) for one in self.crowd.handle[0] if one != NOBODY}

    def check(self, now: float) -> None:
        costs = self.crowd.cost(self.row, now)[0]
        known = self.known()
        assert {supernode_address(i) for i in known} == set(self.real.addresses())
        for number in known:
            cost = self.real.cost(supernode_address(number), now)
            assert costs[self.place(number)[0]] == pytest.approx(cost, rel=2e-3)  # round trips are kept in 16 bits


def test_host_caches_hold_and_rank_the_same_step_by_step() -> None:
    rng = Random(3)
    both = Both(8)
    now = 1.0
    for _ in range(600):
        now += 50.0 * rng.random()
        number = rng.randrange(120)
        address = supernode_address(number)
        place = both.place(number)
        match rng.randrange(4):
            case 0:
                told = [rng.randrange(120) for _ in range(5)]
                both.real.add([supernode_address(one) for one in told], wall=now)
                both.crowd.add(both.row, np.array([told]))
            case 1 if place[0] >= 0:
                trip = 0.02 + rng.random()
                both.real.succeeded(address, now, trip)
                both.crowd.succeeded(both.row, place, now, trip)
            case 2 | 3 if place[0] >= 0:
                both.real.failed(address, now)
                both.crowd.failed(both.row, place, now)
        both.check(now)


def test_the_best_come_first_and_none_that_may_not() -> None:
    both = Both(4)
    both.crowd.add(both.row, np.array([list(range(4, 40))]))
    for number in (7, 9):
        both.crowd.succeeded(both.row, both.place(number), 10.0, 0.05)
    but = both.crowd.refused(both.row, 10.0, turned=True)
    best = both.crowd.best(both.row, 4, 10.0, but)[0]
    assert {int(both.crowd.handle[0, at]) for at in best[:2]} == {7, 9}
    but[0, best[0]] = True
    assert best[0] not in both.crowd.best(both.row, 40, 10.0, but)[0]


def test_a_full_cache_gives_up_only_what_gave_no_answer() -> None:
    both = Both(10)
    both.crowd.add(both.row, np.array([list(range(10, 200))]))
    both.crowd.add(both.row, np.array([[300, 301]]))
    assert 300 not in both.known()
    both.crowd.failed(both.row, both.place(50), 5.0)
    both.crowd.add(both.row, np.array([[300, 301]]))
    assert both.known() == {*range(200), 300} - {50}


@pytest.mark.parametrize("pace", ["modern", "classic"])
def test_pauses_end_when_the_real_machine_would_end_them(pace: str) -> None:
    timings = profile_named(pace).join
    for seed in range(60):
        rng = Random(seed)
        join = Join(timings, HostCache(), bytes(8), 1, Random(seed), Numbers(), Numbers(), Numbers(), 0.0)
        join.cache.add([supernode_address(i) for i in range(6)])
        join.begin(100.0)
        for _ in range(rng.randrange(3)):  # rounds that came to nothing, and refusals meanwhile
            refuse(join, rng, 101.0)
            at = join.timers.next
            while join.state is not State.PAUSING and join.timers.next < 200.0:
                at = join.timers.next
                join.wake(at)
            if join.state is State.PAUSING:
                appointment = join._promises.appointment
                join.rng = Drawn(0.37)
                join._pause(at)
                ours = pause_until(
                    timings,
                    np.array([at]),
                    np.array([join._round]),
                    np.array([appointment.at if appointment else np.inf]),
                    np.array([join._promises.first_of(join.cache.addresses(), at) or 0.0]),
                    np.array([0.37]),
                )
                assert join.timers.next == pytest.approx(ours[0])
                join.rng = Random(seed + 1)
                join.wake(join.timers.next)


class Drawn(Random):
    """Always the same chance."""

    def __init__(self, value: float) -> None:
        super().__init__(1)
        self.value = value

    def random(self) -> float:
        return self.value


def refuse(join: Join, rng: Random, now: float) -> None:
    """Some of those who were probed say later, or keep a place."""
    for probe in list(join._tries.probes.values()):
        if rng.random() < 0.6:
            ticket = bytes(14) if rng.random() < 0.5 else None
            told = ProbeRefuse(retry_after=rng.randrange(40), ticket=ticket, request=probe.request)
            for effect in join.probed(told, probe.route, now):
                assert not isinstance(effect, Send) or isinstance(effect.message, Probe)


def test_a_line_without_digests_says_what_a_real_one_says() -> None:
    digest = MindTown(1, 0).suite.digest
    rng = Random(5)
    real, light = Admission(digest, Random(1), Pace(2.0, 4)), Line(digest, Random(1), Pace(2.0, 4))
    held: list[tuple[bytes, bytes, bytes]] = []
    now = 0.0
    for _ in range(2_000):
        now += rng.random() / 4
        host = bytes([20, 1, rng.randrange(40), 1])
        if held and rng.random() < 0.5:
            host, ticket, other = held.pop(rng.randrange(len(held)))
        else:
            ticket = other = b""
        match rng.randrange(4):
            case 0:
                assert real.redeem(host, ticket, now) == light.redeem(host, other, now)
            case 1:
                real.give_back(host, ticket, now)
                light.give_back(host, other, now)
            case _:
                room = rng.random() < 0.9
                one, two = real.ask(host, ticket, now, room=room), light.ask(host, other, now, room=room)
                assert (one.admitted, one.wait, one.proven, bool(one.ticket)) == (
                    two.admitted, two.wait, two.proven, bool(two.ticket),
                )
                if one.ticket:
                    held.append((host, one.ticket, two.ticket))
        assert (real.places, real.backlog(now)) == (light.places, light.backlog(now))


def blocks(numbers: range) -> Blocks:
    town = MindTown(1, 0)
    registrar = Registrar(town.notary, town.suite.digest, (), b"", b"", b"", "", town.suite.identity.sign)
    made = Blocks(registrar, Random(1), lambda *_: None)
    made.settle(numbers, 1_000)
    made.refresh(0.0)
    return made


def test_every_slot_is_held_by_nine_and_keys_find_it() -> None:
    made = blocks(range(700))
    assert len(made) > 4
    counts = (made.held != NOBODY).sum(1)
    assert counts.min() >= 9
    digest = MindTown(1, 0).suite.digest
    keys = [key_of(digest, f"user{i}") for i in range(500)]
    for key, slot in zip(keys, made.slots_of(np.array(keys, np.uint64)).tolist(), strict=True):
        prefix = made.block_of(key)
        assert prefix.covers(key)
        assert slot % SLOTS == slot_of(key, prefix.depth)
        table = made.table(key, 0.0)
        assert table is not None
        assert Prefix(table.depth, table.bits) == prefix
        first = table.gateways[table.order[2 * (slot % SLOTS)]]
        assert first == supernode_address(int(made.held[slot, 0]))


def test_a_block_that_grows_splits_and_one_that_shrinks_merges() -> None:
    made = blocks(range(150))
    assert len(made) == 1
    for number in range(150, 190):
        made.came(number, 2_000 + number)
    made.look(10.0)
    assert len(made) == 1  # it has to be large for a while
    made.look(41.0)
    made.refresh(41.0)
    assert len(made) == 2
    for number in range(120):
        made.gone(number)
    made.look(50.0)
    made.look(351.0)
    made.refresh(351.0)
    assert len(made) == 1
    assert sorted({int(one) for one in made.held.ravel() if one != NOBODY}) == sorted(range(120, 190))


def test_what_is_planned_comes_in_order_of_time() -> None:
    pool = Pool(np.int32)
    pool.put([3.0, 1.0], [30, 10])
    pool.put(2.0, 20)
    assert pool.take(1.0) is None
    at, values = pool.take(2.5)  # type: ignore[misc]
    assert (at.tolist(), values.tolist()) == ([1.0, 2.0], [10, 20])
    assert len(pool) == 1


def test_no_row_is_met_twice_in_a_wave() -> None:
    rows = np.array([4, 2, 4, 4, 1, 2])
    lots = [lot.tolist() for lot in waves(rows)]
    assert lots == [[0, 1, 4], [2, 5], [3]]


