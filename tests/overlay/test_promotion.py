"""Who may serve, who is called, and that their number settles: fitness, need, opinions and caps, without a network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from math import inf
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from halloo.base.address import Address, Peer, Stream, Wire
from halloo.base.effects import Send
from halloo.base.machine import Effects, Numbers
from halloo.messages.overlay import Probe, ProbeAccept, ProbeRefuse
from halloo.messages.role import ReachAnswer, ReachAsked, Reached
from halloo.overlay.caps import BUCKET, OVER_FOR, Caps
from halloo.overlay.need import KEPT, LEAST, MOST, chance, shortage, surplus
from halloo.overlay.opinions import ASKED, DISBELIEVED_FOR, OPINIONS_WITHIN, Opinions
from halloo.overlay.promotion import (
    DRAWS_EVERY,
    IDLE_FOR,
    IN_VAIN,
    LEAST_MEMORY,
    LEAST_UPLOAD,
    MAX_PROOFS,
    MAX_WRITTEN,
    RESTS_FOR,
    UPTIME,
    Called,
    Consent,
    Dismissed,
    Lending,
    Promotion,
    Strength,
)

OURS = Address.parse("198.51.100.7:40000")
HOME = Address.parse("192.168.0.2:40000")
SUPERNODE = Peer(1)


def host(number: int, port: int = 33_033) -> Address:
    """The address of a stranger, each in a network of his own."""
    return Address(bytes([60 + number % 100, number // 100, 7, 1]), port)


def promotion(
    consent: Consent = Consent.YES, *, certified: bool = True, own: tuple[Address, ...] = (HOME,), seed: int = 1
) -> Promotion:
    return Promotion(Lending(consent), certified, own, Random(seed), Numbers())


def asked(machine: Promotion, now: float) -> ReachAsked:
    """What it asks its supernode when its time has come."""
    effects: Effects = []
    while not effects:
        now = max(now, machine.wake_at)
        effects = machine.wake(now)
    (send,) = effects
    assert isinstance(send, Send)
    assert isinstance(send.message, ReachAsked)
    return send.message


def reached(machine: Promotion, by: Sequence[Address], now: float, *, at: Address = OURS) -> None:
    """Strangers reach it."""
    question = asked(machine, now)
    machine.answered(ReachAnswer(passed=len(by), observed=at, request=question.request), SUPERNODE, now)
    for address in by:
        machine.heard(Reached(token=question.token, observed=at), Wire(address), now)


def fit(consent: Consent = Consent.YES, seed: int = 1, **more: object) -> Promotion:
    """One that could serve at ``UPTIME``."""
    machine = promotion(consent, seed=seed, **more)  # type: ignore[arg-type]
    machine.attached(SUPERNODE, 0.0)
    reached(machine, [host(1), host(2)], UPTIME / 2)
    return machine


# --- fitness


def test_who_is_reached_and_has_been_on_line_for_a_while_is_ready() -> None:
    machine = fit()
    assert not machine.ready(UPTIME - 1)
    assert machine.ready(UPTIME)
    assert machine.reached_at == OURS


def test_one_stranger_is_not_enough_and_neither_is_one_twice() -> None:
    machine = promotion()
    machine.attached(SUPERNODE, 0.0)
    reached(machine, [host(1), host(1, 1_234)], 100.0)
    assert not machine.ready(UPTIME)


def test_who_was_written_to_proves_nothing() -> None:
    machine = promotion()
    machine.attached(SUPERNODE, 0.0)
    machine.wrote(host(1), 10.0)
    machine.wrote(host(2), 20.0)
    reached(machine, [host(1), host(2)], 100.0)
    assert not machine.ready(UPTIME)
    reached(machine, [host(3), host(4)], 100.0)
    assert machine.ready(UPTIME)


def test_who_was_forgotten_for_want_of_room_proves_nothing_either() -> None:
    machine = promotion()
    machine.attached(SUPERNODE, 0.0)
    for number in range(MAX_WRITTEN + 2):
        machine.wrote(host(number), 10.0)
    reached(machine, [host(0), host(1)], 100.0)
    assert not machine.ready(UPTIME)


@pytest.mark.parametrize(
    "told",
    [
        lambda token: Reached(token=bytes(8), observed=OURS),
        lambda token: Reached(token=token, observed=Address(host(1).host, 40_000)),  # from behind our own box
    ],
)
def test_what_does_not_answer_our_question_proves_nothing(told: Callable[[bytes], Reached]) -> None:
    machine = promotion()
    machine.attached(SUPERNODE, 0.0)
    question = asked(machine, 100.0)
    for number in (1, 1):
        machine.heard(told(question.token), Wire(host(number)), 100.0)
    machine.heard(Reached(token=question.token, observed=OURS), Stream(1, host(2)), 100.0)
    assert not machine.ready(UPTIME)


def test_another_address_has_to_be_proved_anew() -> None:
    machine = fit()
    other = Address.parse("198.51.100.8:40000")
    reached(machine, [host(3)], UPTIME, at=other)
    assert not machine.ready(UPTIME)


@pytest.mark.parametrize(
    "strength", [Strength(LEAST_UPLOAD - 1), Strength(cpu=0.6), Strength(memory=LEAST_MEMORY - 1)]
)
def test_a_weak_machine_does_not_serve(strength: Strength) -> None:
    machine = fit()
    machine.strength = strength
    assert not machine.ready(UPTIME)


def test_consent() -> None:
    assert promotion(Consent.NO).wake_at == inf
    assert not fit().wanted(0, [], UPTIME)
    machine = fit()
    machine.lend(Lending(Consent.NO), UPTIME)
    assert not machine.ready(UPTIME)
    uncertified = promotion(certified=False)
    uncertified.attached(SUPERNODE, 0.0)
    assert uncertified.wake_at == inf


def test_auto_is_for_machines_with_an_address_of_the_internet() -> None:
    assert not fit(Consent.AUTO).ready(UPTIME)
    assert fit(Consent.AUTO, own=(OURS,)).ready(UPTIME)


def test_proofs_are_bounded() -> None:
    machine = fit()
    machine.serves(OURS, UPTIME)
    for number in range(100):
        machine.came(Wire(host(number)), UPTIME + number)
    assert len(machine._proofs) == MAX_PROOFS


# --- serving, and its end


def test_who_serves_and_is_reached_no_more_stops() -> None:
    machine = fit()
    machine.serves(OURS, UPTIME)
    now, out = UPTIME, []
    for _ in range(200):
        now = max(now, machine.wake_at)
        effects = machine.wake(now)
        out += [effect for effect in effects if isinstance(effect, Dismissed)]
        for effect in effects:
            if isinstance(effect, Send) and isinstance(effect.message, ReachAsked):
                answer = ReachAnswer(passed=2, observed=OURS, request=effect.message.request)
                assert not machine.answered(answer, SUPERNODE, now)
    assert [one.needless for one in out] == [False]
    assert "reach" in out[0].reason
    assert machine._in_vain >= IN_VAIN


def test_who_serves_and_is_visited_stays() -> None:
    machine = fit()
    machine.serves(OURS, UPTIME)
    now = UPTIME
    for number in range(200):
        now = max(now, machine.wake_at)
        effects = machine.wake(now)
        machine.came(Wire(host(number)), now)
        assert not any(isinstance(effect, Dismissed) for effect in effects)


def test_an_address_that_changes_and_an_owner_who_has_enough_end_it() -> None:
    machine = fit()
    machine.serves(OURS, UPTIME)
    question = asked(machine, UPTIME)
    moved = ReachAnswer(passed=1, observed=host(9), request=question.request)
    (dismissed,) = machine.answered(moved, SUPERNODE, UPTIME)
    assert isinstance(dismissed, Dismissed)
    machine.stays()
    (dismissed,) = machine.lend(Lending(Consent.NO), UPTIME)
    assert isinstance(dismissed, Dismissed)
    assert not machine.lend(Lending(Consent.NO), UPTIME)  # once


def test_who_served_rests_before_he_serves_again() -> None:
    machine = fit()
    machine.serves(OURS, UPTIME)
    machine.rests(UPTIME + 100)
    assert not machine.ready(UPTIME + 101)
    assert machine.ready(UPTIME + 100 + 2 * RESTS_FOR) is False  # the proof is too old
    reached(machine, [host(5), host(6)], UPTIME + 100 + 2 * RESTS_FOR)
    assert machine.ready(UPTIME + 100 + 2 * RESTS_FOR)


def test_a_block_with_too_many_loses_them_slowly() -> None:
    machines = [fit(seed=seed) for seed in range(100)]
    left: list[float] = []
    for number, machine in enumerate(machines):
        machine.serves(OURS, UPTIME)
        machine.surplus, machine.volunteers = 40, 100
        now = UPTIME
        while now < UPTIME + 6 * IDLE_FOR and not machine.leaving:
            now = max(now, machine.wake_at)
            machine.came(Wire(host(number)), now)
            if any(isinstance(effect, Dismissed) for effect in machine.wake(now)):
                left.append(now)
    assert left
    assert min(left) >= UPTIME + IDLE_FOR
    left.sort()
    assert all(sum(at <= other < at + 600.0 for other in left) <= 4 for at in left)


# --- need


@dataclass
class Told:
    """What a member says of itself."""

    room: int = 0
    clients: int = 0
    ready: int = 0
    refused: int = 0
    line: int = 0


FIGURE = st.integers(0, 1 << 20)
TOLD = st.builds(Told, FIGURE, FIGURE, FIGURE, FIGURE, FIGURE)


@given(st.lists(TOLD, max_size=40))
def test_need_is_a_number_whatever_is_told(members: list[Told]) -> None:
    assert 0 <= chance(members) <= MOST * 1_000_000
    assert shortage(members) >= max(0, LEAST - len(members))
    assert 0 <= surplus(members) <= max(0, len(members) - KEPT)


def test_places_for_half_as_many_again_are_wanted() -> None:
    assert shortage([Told(room=40, clients=60)] * 20) == 0
    assert shortage([Told(room=0, clients=100)] * 20) == 10
    assert shortage([Told(room=0, clients=100, refused=200)] * 20) == 13
    assert shortage([Told(room=100)]) == LEAST - 1
    assert shortage([Told(room=700, clients=100, line=60)] * 20) == 0
    assert shortage([Told(room=700, clients=100, line=90)] * 20) == 10
    assert shortage([Told(room=700, clients=100, line=600)] * 20) == 20, "no more than as many again at a time"
    assert shortage([Told(room=700, clients=100, line=0)] * 14 + [Told(line=600)] * 6) == 0, "three of ten may lie"
    assert surplus([Told(room=90, clients=10)] * 40) == 30
    assert surplus([Told(room=50, clients=50)] * 40) == 0
    assert surplus([Told(room=100)] * KEPT) == 0


@settings(max_examples=40)
@given(st.lists(TOLD, min_size=30, max_size=30), st.integers(0, 100))
def test_three_of_ten_who_lie_move_the_need_by_a_share(lies: list[Told], full: int) -> None:
    honest = [Told(room=100 - full, clients=full, ready=3)] * 70
    true = shortage(honest)
    told = shortage([*honest, *lies])
    assert told <= 1.5 * true + 0.45 * 100  # not to all of them
    empty = [Told(room=1 << 20)] * 30
    waiting = [replace(one, refused=150) for one in honest]
    if full == 100:  # nor to nothing: who finds no room is heard
        assert shortage([*waiting, *empty]) > 0


@settings(max_examples=40)
@given(st.lists(TOLD, min_size=30, max_size=30))
def test_nobody_makes_the_others_wait_for_ever(lies: list[Told]) -> None:
    honest = [Told(clients=100, ready=3, refused=150)] * 70
    assert chance([*honest, *lies]) * 210 / 1_000_000 >= 0.4  # one at least steps in within a minute or so


@pytest.mark.parametrize("lie", [Told(room=1 << 20, ready=1 << 20), Told(room=200, clients=1, ready=6)])
def test_nor_do_liars_who_agree(lie: Told) -> None:
    honest = [Told(clients=100, ready=3, refused=150)] * 70
    assert chance([*honest, *[lie] * 30]) * 210 / 1_000_000 >= 0.4


# --- opinions


def opinion(machine: Opinions, effects: Effects, wanted: Sequence[int | None], now: float) -> bool:
    for effect, value in zip(effects, wanted, strict=True):
        assert isinstance(effect, Send)
        assert isinstance(effect.to, Wire)
        assert isinstance(effect.message, Probe)
        assert effect.message.only_asking
        kind = ProbeRefuse if now % 2 else ProbeAccept
        if value is not None:
            assert machine.hear(kind(wanted=value, request=effect.message.request), effect.to.address, now)
            assert not machine.hear(kind(wanted=value, request=effect.message.request), effect.to.address, now)
    return machine.count(max(now, machine.until))


@pytest.mark.parametrize(
    ("wanted", "agreed"),
    [
        ((1, 1, 1), True),
        ((9, 9, 0), True),
        ((9, 0, 0), False),
        ((0, 0, 0), False),
        ((None, None, None), True),
        ((5, None, None), True),
        ((5, 0, None), False),
        ((), True),
    ],
)
def test_a_need_is_believed_when_most_of_those_who_answer_see_it(
    wanted: tuple[int | None, ...], agreed: bool
) -> None:
    machine = Opinions(Numbers())
    effects = machine.ask([host(number) for number in range(len(wanted))], 10.0)
    assert len(effects) == len(wanted)
    assert machine.until <= 10.0 + OPINIONS_WITHIN
    assert opinion(machine, effects, wanted, 10.0) is agreed
    assert machine.until == inf
    assert machine.believes(10.0 + OPINIONS_WITHIN) is agreed
    assert machine.believes(10.0 + OPINIONS_WITHIN + DISBELIEVED_FOR)


def test_who_is_found_wrong_again_is_believed_later_each_time() -> None:
    machine, now, waits = Opinions(Numbers()), 0.0, []
    for _ in range(8):
        assert not opinion(machine, machine.ask([host(1)], now), [0], now)
        wait = next(seconds for seconds in range(1, 10_000) if machine.believes(now + seconds))
        waits.append(wait)
        now += wait
    assert waits == [60, 120, 240, 480, 960, 1_920, 3_600, 3_600]
    machine.forget()
    assert machine.believes(now)


def test_no_more_than_three_are_asked_and_strangers_are_not_heard() -> None:
    machine = Opinions(Numbers())
    effects = machine.ask([host(number) for number in range(20)], 0.0)
    assert len(effects) == ASKED
    assert not machine.hear(ProbeAccept(wanted=5, request=1), host(15), 0.0)


def test_where_nobody_answers_others_are_asked_before_silence_counts() -> None:
    machine = Opinions(Numbers())
    first = machine.ask([host(number) for number in range(20)], 0.0)
    further = machine.again(machine.until)
    assert len(further) == len(first) == ASKED
    asked = {effect.to for effect in (*first, *further) if isinstance(effect, Send)}
    assert len(asked) == 2 * ASKED
    assert not machine.again(machine.until), "and no third time"
    assert machine.count(machine.until)
    machine.ask([host(number) for number in range(20)], 100.0)
    (one, *_) = machine.again(machine.until)
    assert isinstance(one, Send)
    assert isinstance(one.to, Wire)
    assert machine.hear(ProbeRefuse(wanted=0, request=one.message.request), one.to.address, 104.0)  # type: ignore[attr-defined]
    assert not machine.count(machine.until), "one who sees no need is more than all who are silent"


def test_who_hears_of_a_need_from_many_draws_once() -> None:
    called = 0
    for seed in range(400):
        machine = fit(seed=seed)
        for after in (0.0, 0.1, 5.0, DRAWS_EVERY - 0.1):
            machine.wanted(100_000, [], UPTIME + after)
        called += any(isinstance(effect, Called) for effect in machine.wake(UPTIME + DRAWS_EVERY))
    assert 20 <= called <= 65, "a tenth of them, not a third"


def test_our_own_supernodes_word_is_no_more_than_a_chance() -> None:
    called = 0
    for seed in range(400):
        machine = fit(seed=seed)
        machine.wanted(1_000_000, [], UPTIME)
        called += any(isinstance(effect, Called) for effect in machine.wake(UPTIME))
    assert 150 <= called <= 250


# --- caps


def test_the_new_is_refused_before_the_old_suffers() -> None:
    caps = Caps(rate=1_000.0)
    caps.measure(0, 0.0, 0.0)
    now = 0.0
    while not caps.tight:
        now += 1.0
        caps.measure(2_000, 0.0, now)
        assert now < 2 * BUCKET
    assert not caps.empty
    while not caps.empty:
        now += 1.0
        caps.measure(2_000, 0.0, now)
        assert now < 3 * BUCKET
    began = now
    assert not caps.over(now)
    while not caps.over(now):
        now += 1.0
        caps.measure(2_000, 0.0, now)
    assert now == began + OVER_FOR
    assert caps.sent == pytest.approx(2_000, rel=0.01)
    caps.measure(0, 0.0, now + BUCKET)
    assert not caps.tight
    assert not caps.over(now + 1_000)


def test_the_processors_are_capped_too() -> None:
    caps = Caps(cpu=0.25)
    for second in range(100):
        caps.measure(10_000_000, 0.5, float(second))
    assert caps.worked == pytest.approx(0.5, rel=0.01)
    assert caps.tight
    assert caps.over(100.0)
    for second in range(100, 200):
        caps.measure(0, 0.1, float(second))
    assert not caps.tight


def test_a_clock_that_stands_still_counts_nothing() -> None:
    caps = Caps(rate=1.0)
    caps.measure(0, 0.0, 5.0)
    caps.measure(1_000, 1.0, 5.0)
    caps.measure(1_000, 1.0, 4.0)
    assert (caps.sent, caps.worked, caps.tight) == (0.0, 0.0, False)


# --- damping


PING = 25.0  # seconds between signs of life
TELLS = 10.0  # seconds until others know of a load
PLACES = 100


@dataclass
class Serving(Told):
    """A supernode of the loop: what it has, and what it says of it."""

    capable: bool = True
    """Whether it takes anybody."""
    boast: Callable[[Told], Told] | None = None
    """How it lies."""
    told: Told = field(default_factory=Told)

    def tell(self) -> None:
        self.told = self.boast(self) if self.boast else Told(self.room, self.clients, self.ready, self.refused)


class Loop:
    """One block in closed loop: nodes look for room, supernodes tell of their load, candidates are called.

    The machines are the real ones; of the network there is only what delays: a sign of life each 25 seconds, ten
    seconds until a load is known, sixty until a node that lost its supernode has gone round.
    """

    def __init__(self, seed: int, nodes: int, supernodes: int, *, liars: float = 0.0) -> None:
        self.rng = Random(f"{seed}/loop")
        self.liars = liars
        self.serving = [self.born() for _ in range(supernodes)]
        self.homeless = nodes
        self.stormers = 0
        self.candidates = [fit(seed=self.rng.getrandbits(32)) for _ in range(nodes // 20)]
        self.pings = [self.rng.random() * PING for _ in self.candidates]
        self.now = UPTIME
        self.changes: list[float] = []

    def born(self) -> Serving:
        new = Serving(room=PLACES)
        new.tell()
        return new

    def promoted(self) -> Serving:
        new = self.born()
        if self.rng.random() < self.liars:
            new.capable = self.rng.random() < 0.3
            new.boast = self.rng.choice(
                [
                    lambda one: Told(room=1 << 20),
                    lambda one: Told(clients=1 << 20, refused=1 << 20),
                    lambda one: Told(clients=1 << 20, ready=1 << 20),
                ]
            )
        new.tell()
        return new

    def die(self, share: float) -> None:
        for one in self.rng.sample(self.serving, int(share * len(self.serving))):
            self.serving.remove(one)
            self.homeless += one.clients

    def step(self) -> None:
        """Two seconds."""
        self.now += 2.0
        knock = min(self.homeless, max(1, self.homeless // 15)) if self.homeless else 0
        for _ in range(knock):
            one = self.rng.choice(self.serving)
            if one.capable and one.room:
                one.room, one.clients = one.room - 1, one.clients + 1
                self.homeless -= 1
        full = sum(1 for one in self.serving if one.capable and not one.room)
        waiting = self.stormers + self.homeless
        spread = [self.rng.randrange(1 + waiting // 4) if full else 0 for _ in self.serving]
        for i, one in enumerate(self.serving):
            one.refused = min(256, spread[i]) if one.capable and not one.room else 0
            one.ready = 0
        honest = [one for one in self.serving if one.boast is None]
        ready = [machine for machine in self.candidates if machine.serving is None]
        for i in range(len(ready)):
            honest[i % len(honest)].ready += 1
        if self.now % TELLS == 0:
            for one in self.serving:
                one.tell()
        told = chance([one.told for one in self.serving])
        for i, machine in enumerate(self.candidates):
            if machine.serving is None and self.pings[i] <= self.now - UPTIME:
                self.pings[i] += PING
                machine._proofs = machine._proofs | {b"a": self.now, b"b": self.now}  # it is reached as ever
                machine.wanted(told, [], self.now)
                if any(isinstance(effect, Called) for effect in machine.wake(self.now)):
                    machine.serves(OURS, self.now)
                    self.serving.append(self.promoted())
                    self.changes.append(self.now)

    def run(self, seconds: float) -> None:
        until = self.now + seconds
        while self.now < until:
            self.step()

    def drift(self, since: float) -> float:
        """The most changes within ten minutes since then, as a share of the supernodes."""
        late = [at for at in self.changes if at >= since]
        most = max((sum(at <= other < at + 600.0 for other in late) for at in late), default=0)
        return most / len(self.serving)


@pytest.mark.parametrize("liars", [0.0, 0.3])
@pytest.mark.parametrize("seed", range(5))
def test_after_three_of_ten_have_died_the_number_settles(seed: int, liars: float) -> None:
    loop = Loop(seed, nodes=6_000, supernodes=100, liars=liars)
    loop.run(900.0)
    settled = loop.now
    assert loop.homeless == 0
    loop.die(0.3)
    loop.run(240.0)
    assert loop.homeless == 0
    loop.run(3_600.0)
    assert loop.drift(settled + 240.0) <= 0.02
    wanted = 1.5 * 6_000 / PLACES
    assert 0.95 * wanted <= len(loop.serving) <= (1.2 if not liars else 1.6) * wanted


@pytest.mark.parametrize("liars", [0.0, 0.3])
@pytest.mark.parametrize("seed", range(5))
def test_a_storm_of_refused_joins_makes_some_more_and_then_it_is_quiet(seed: int, liars: float) -> None:
    loop = Loop(seed, nodes=6_000, supernodes=60, liars=liars)
    loop.stormers = 4_000  # they knock wherever it is full, and never come in
    loop.run(600.0)
    loop.stormers = 0
    after = loop.now
    loop.run(3_600.0)
    assert loop.homeless == 0
    assert loop.drift(after + 120.0) <= 0.02
    assert len(loop.serving) <= 3 * 1.5 * 6_000 / PLACES


def test_from_one_to_many() -> None:
    loop = Loop(7, nodes=2_000, supernodes=1)
    loop.run(1_800.0)
    assert loop.homeless == 0
    count = len(loop.serving)
    assert 30 <= count <= 45
    loop.run(3_600.0)
    assert len(loop.serving) == count
