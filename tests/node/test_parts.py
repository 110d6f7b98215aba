"""A node asks a machine for its deadline again only when somebody has taken hold of it: that misses nothing."""

from __future__ import annotations

from math import inf

import pytest
from town_calls import call_in_town

from halloo.node.node import Node
from halloo.path.reach import Policy
from halloo.sim.mindtown import MindTown, user_address
from halloo.sim.play import Setting
from halloo.sim.scenarios.catalogue import SCENARIOS


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How often any node was asked; each answer is held against what its machines say themselves."""
    count = [0]

    def wake_at(node: Node) -> float:
        said = node.parts.wake_at
        assert node.parts.times == [inf if one is None else one.wake_at for one in node.parts.held]
        assert said == min(node.parts.times)
        count[0] += 1
        return said

    monkeypatch.setattr(Node, "wake_at", property(wake_at))
    return count


@pytest.mark.parametrize("policy", [Policy.ANY, Policy.RELAYED])
def test_in_a_call_over_a_bad_line(asked: list[int], policy: Policy) -> None:
    told = call_in_town(11, policy=policy, loss=0.2, jitter=0.03)
    assert told.over
    assert asked[0] > 500


@pytest.mark.parametrize("name", ["s-2010", "village"])
def test_in_a_whole_network(asked: list[int], name: str) -> None:
    SCENARIOS[name].play(Setting(nodes=40, calls=3, hours=0.2, willing=0.5), None)
    assert asked[0] > 5_000


def test_who_takes_hold_of_a_machine_has_it_asked_again() -> None:
    town = MindTown(1, 1)
    town.start("supernode0")
    town.household("alice", user_address(0, inside=False), user=True)
    town.start("alice")
    town.world.run(30.0)
    node = town.node("alice")
    before = node.wake_at
    node.publisher.wake_at = town.world.now - 1.0
    assert node.wake_at == town.world.now - 1.0 < before
