"""Every kind of frame, datagram and stream, occurs in the traffic of an ordinary town."""

import pytest
from town_calls import Talkers

from halloo.base.errors import PeerError
from halloo.call.call import Answered
from halloo.link.datagrams import LAYOUTS, NOWHERE
from halloo.overlay.publish import Published
from halloo.path.reach import Policy
from halloo.sim.town import Town
from halloo.sim.world import Passed
from halloo.wire.frame import FrameKind

SEED = 5


@pytest.mark.parametrize("profile", ["modern", "classic"])
def test_every_kind_of_frame_is_in_use(profile: str) -> None:
    # One story, always the same: in another one a kind may happen not to occur.
    town = Town(SEED, profile=profile, net={"loss": 0.1})
    passed: list[Passed] = []
    town.world.tap = passed.append
    people = Talkers(town)
    for number in range(10):  # so many that their records do not fit one datagram
        town.user(f"user{number}")
    for name in ("alice", "bob"):
        people.settle(name)
    town.world.run(60, lambda: len(town.world.events(Published)) >= 12)
    town.restart("supernode0")  # another one is found meanwhile, and what it should hold is replicated
    town.world.run(town.world.now + 150)
    for policy in (Policy.DIRECT, Policy.RELAYED):
        call = people.dial("alice", "bob", policy)
        before = len(town.world.events(Answered))
        town.world.run(town.world.now + 30, lambda before=before: len(town.world.events(Answered)) > before)  # type: ignore[misc]
        town.world.run(town.world.now + 10)
        if call in town.node("alice").calls.active:
            town.act("alice", town.node("alice").calls.hang_up(call, town.world.now))
        town.world.run(town.world.now + 5)
    cloak = town.suite.cloak(town.descriptor.cloak_key, LAYOUTS)
    seen: set[FrameKind] = set()
    for one in passed:
        if one.stream:
            continue
        for source in (one.source.host, NOWHERE[len(one.source.host)]):
            for there in (one.destination.host, NOWHERE[4]):
                try:
                    covered = cloak.uncover(one.data, source, there)
                except PeerError:
                    continue
                seen.add(FrameKind(covered.kind))
    assert seen == set(FrameKind)
