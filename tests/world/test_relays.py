"""Calls that outlive their relays, in virtual time: one dies, both die, one goes deaf, one lies."""

from __future__ import annotations

from typing import Any

import pytest
from town_calls import Talkers

from halloo.base.address import Channel
from halloo.call.call import Ended, Interrupted, Result, Resumed
from halloo.node.switchboard import PathKind
from halloo.overlay.publish import Published
from halloo.path.reach import Policy
from halloo.sim.town import Town

FRAME = bytes(1920)


class Relayed:
    """Ada and bob, who talk through a relay, 50 frames a second; ``gap``: the longest pause in what one heard."""

    def __init__(
        self, seed: int, supernodes: int = 6, policy: Policy = Policy.RELAYED, tick: float = 0.02, **net: Any
    ) -> None:
        self.town = Town(seed, supernodes=supernodes, spread=True, net=net)
        self.world = self.town.world
        talkers = Talkers(self.town)
        for name in ("ada", "bob"):
            talkers.settle(name)
        self.world.run(30, lambda: len(self.world.events(Published)) >= 2)
        self.world.run(self.world.now + 5)
        self.call = talkers.dial("ada", "bob", policy)
        self.heard = {"ada": self.world.now, "bob": self.world.now}
        self.counted = {"ada": 0, "bob": 0}
        self.gaps = {"ada": 0.0, "bob": 0.0}
        self.world.run(self.world.now + 3)
        self.world.every(tick, self._frame)

    def _frame(self) -> bool:
        for name in ("ada", "bob"):
            calls = self.town.node(name).calls
            for call in calls.active if self.world.residents[name].alive else ():
                self.town.act(name, calls.speak(call, FRAME, self.world.now))
                stream = calls.stream(call)
                if stream is not None and stream.buffer.received > self.counted[name]:
                    self.counted[name] = stream.buffer.received
                    self.gaps[name] = max(self.gaps[name], self.world.now - self.heard[name])
                    self.heard[name] = self.world.now
        return True

    def live(self, seconds: float) -> None:
        self.world.run(self.world.now + seconds)

    def forget_gaps(self) -> None:
        self.gaps = {"ada": 0.0, "bob": 0.0}

    @property
    def gap(self) -> float:
        return max(*self.gaps.values(), *(self.world.now - at for at in self.heard.values()))

    def relays(self, name: str = "ada") -> list[str]:
        """The supernodes by which there are channels, the one in use first."""
        node = self.town.node(name)
        (line,) = [line for line in node.calls._lines.values() if line.ways is not None]
        channels = sorted(line.ways.relays, key=lambda channel: channel != line.ways.route)
        return [self.at(name, channel) for channel in channels]

    def at(self, name: str, channel: Channel) -> str:
        address = self.world.residents[name].station.endpoint.route(channel.hop).address
        return next(who for who, resident in self.world.residents.items() if resident.address == address)

    def keys(self, name: str) -> object:
        calls = self.town.node(name).calls
        (call,) = calls.active
        return self.world.residents[name].station.endpoint._links.of(calls._lines[call].call.peer).session.keys

    def report(self) -> Any:
        return self.town.node("ada").calls.report(self.call, self.world.now)


def test_a_second_relay_is_kept_warm() -> None:
    scene = Relayed(1)
    scene.live(10)
    assert len(set(scene.relays())) == 2
    assert set(scene.relays()) == set(scene.relays("bob"))
    assert scene.relays()[0] == scene.relays("bob")[0]


@pytest.mark.parametrize("seed", range(6))
def test_the_relay_dies_and_the_call_goes_on_over_the_other_with_the_same_keys(seed: int) -> None:
    scene = Relayed(seed)
    scene.live(10)
    keys = scene.keys("ada"), scene.keys("bob")
    first, second = scene.relays()
    scene.forget_gaps()
    scene.world.kill(first)
    scene.live(3)
    assert scene.gap < 0.5, f"seed {seed}"
    assert scene.relays()[0] == second
    scene.live(20)
    assert len(set(scene.relays())) == 2  # another second one has been found
    assert first not in scene.relays()
    assert (scene.keys("ada"), scene.keys("bob")) == keys
    assert not scene.world.events(Ended)
    assert scene.report().path is PathKind.RELAYED


@pytest.mark.parametrize("seed", range(6))
def test_both_relays_die_and_the_call_is_interrupted_and_goes_on(seed: int) -> None:
    scene = Relayed(seed)
    scene.live(10)
    keys = scene.keys("ada"), scene.keys("bob")
    dead = scene.relays()
    for name in dead:
        scene.world.kill(name)
    scene.live(30)
    assert not scene.world.events(Ended), f"seed {seed}"
    assert scene.gap < 20, f"seed {seed}"
    told = [event for name in ("ada", "bob") for event in scene.world.events(Resumed, name)]
    assert len(told) == len(scene.world.events(Interrupted))
    assert (scene.keys("ada"), scene.keys("bob")) == keys
    scene.live(30)
    assert len(set(scene.relays())) == 2
    assert not set(scene.relays()) & set(dead)
    scene.forget_gaps()
    scene.live(10)
    assert scene.gap < 0.1


def test_the_report_tells_of_the_interruption() -> None:
    scene = Relayed(3)
    scene.live(10)
    for name in list(scene.town.world.residents):
        if name.startswith("supernode"):
            scene.world.kill(name)
    scene.live(5)
    report = scene.report()
    assert (report.interrupted, report.interruptions, report.result) == (True, 1, None)
    scene.live(30)
    report = scene.report()
    assert (report.interrupted, report.result, report.reason) == (
        False,
        Result.ENDED,
        "nothing was heard for 30 seconds",
    )


def test_the_other_side_vanishes_and_the_call_ends_in_plain_words() -> None:
    scene = Relayed(4)
    scene.live(10)
    scene.world.kill("bob")
    scene.live(28)
    assert scene.report().interrupted
    scene.live(5)
    assert scene.report().reason == "nothing was heard for 30 seconds"
    scene.live(30)
    for name in scene.town.world.residents:  # and gives all back
        if name.startswith("supernode"):
            assert scene.town.node(name).relayer.channels == 0


def test_it_can_be_hung_up_while_it_is_interrupted() -> None:
    scene = Relayed(5)
    scene.live(10)
    scene.world.kill("bob")
    scene.live(10)
    node = scene.town.node("ada")
    scene.town.act("ada", node.calls.hang_up(scene.call, scene.world.now))
    assert scene.report().result is Result.ENDED
    scene.live(10)
    assert node.wake_at > scene.world.now
    assert not node.calls.closing


def test_a_relayed_call_of_ten_minutes_lives() -> None:
    scene = Relayed(6, tick=0.2)
    scene.live(1)
    scene.forget_gaps()
    scene.live(600)
    assert not scene.world.events(Ended)
    assert scene.gap < 0.5


@pytest.mark.parametrize("towards", ["ada", "bob"])
@pytest.mark.parametrize("seed", range(3))
def test_a_relay_that_is_deaf_on_one_side(seed: int, towards: str) -> None:
    """It passes nothing on to one of them; to the other it does."""
    scene = Relayed(seed)
    scene.live(10)
    relay = scene.town.node(scene.relays()[0]).relayer
    host = scene.world.residents[towards].address.host
    endpoint = scene.world.residents[scene.relays()[0]].station.endpoint
    carried = relay.carried

    def deaf(token: int, inner: bytes, sender: Any, now: float) -> Any:
        return [
            effect
            for effect in carried(token, inner, sender, now)
            if endpoint.route(effect.peer).address.host != host
        ]

    scene.town.node(scene.relays()[0]).relayer = _Deaf(relay, deaf)
    scene.forget_gaps()
    scene.live(20)
    assert not scene.world.events(Ended)
    assert scene.gap < 0.8, f"seed {seed}"


class _Deaf:
    def __init__(self, relayer: Any, carried: Any) -> None:
        self.relayer, self.carried = relayer, carried

    def __getattr__(self, name: str) -> Any:
        return getattr(self.relayer, name)
