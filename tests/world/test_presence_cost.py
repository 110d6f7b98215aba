"""What presence costs, counted on the wires of a virtual town: bytes of datagrams without their IP headers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tests.world.test_presence import allow, now_seen, show, town_of

from halloo.base.effects import Send
from halloo.base.machine import Effects
from halloo.messages.credential import Presence
from halloo.messages.presence import Noticed, NoticeHeard, Watch, Watched
from halloo.node.node import Node
from halloo.sim.town import Town
from halloo.sim.world import WALL
from halloo.wire.command import encode_command

BYTES_A_WATCHER = 1_000  # bytes for one change, all that is said about it to anybody, for each who watches
BITS_A_BUDDY = 2.5  # bits a second in the whole network for each user that one watches, while nothing happens
KINDS = (Noticed, NoticeHeard, Watch, Watched)
FRAME_AND_ACK = 60  # bytes around a sealed message, and those of the Ack that answers it


@dataclass
class Counted:
    """All that was put on the wires."""

    size: int = 0

    def __call__(self, passed: Any) -> None:
        self.size += len(passed.data)

    def during(self, town: Town, seconds: float) -> int:
        """How much it is in a while."""
        before = self.size
        town.world.run(town.world.now + seconds)
        return self.size - before


def test_a_change_costs_less_than_a_kilobyte_for_each_who_watches() -> None:
    watchers = [f"user{i}" for i in range(1, 31)]
    town = town_of(21, supernodes=6, users=31)
    allow(town, "user0", *watchers)
    town.world.run(town.world.now + 90)
    assert all(now_seen(town, watcher, "user0").state is Presence.ONLINE for watcher in watchers)
    town.world.tap = counted = Counted()
    idle = counted.during(town, 10.0)
    show(town, "user0", Presence.AWAY)
    changed = counted.during(town, 10.0)
    assert all(now_seen(town, watcher, "user0").state is Presence.AWAY for watcher in watchers)
    assert changed - idle <= BYTES_A_WATCHER * len(watchers)


def said_of_presence(town: Town) -> list[int]:
    """From now on, the bytes of each message about presence that anybody says, with what a frame and its Ack take."""
    sizes: list[int] = []

    def listen(node: Node) -> None:
        react = node._react

        def counted(effects: Effects, now: float) -> Effects:
            said = [one.message for one in effects if isinstance(one, Send) and type(one.message) in KINDS]
            sizes.extend(len(encode_command(message)) + FRAME_AND_ACK for message in said)
            return react(effects, now)

        node._react = counted  # type: ignore[method-assign]

    for name in town.world.residents:
        if name != "login":
            listen(town.node(name))
    return sizes


def test_to_watch_somebody_who_is_quiet_costs_next_to_nothing() -> None:
    owners, seconds = [f"user{i}" for i in range(1, 9)], 2_000.0
    town = town_of(22, supernodes=3, users=9)
    for owner in owners:
        allow(town, owner, "user0")
    town.world.run(town.world.now + 60)
    sizes = said_of_presence(town)
    town.world.run(town.world.now + seconds)
    assert len(sizes) >= 4  # signs of life were told
    for owner in owners:
        assert now_seen(town, "user0", owner).as_of > WALL + town.world.now - 1_100
    print(f"{sum(sizes) * 8 / seconds / len(owners):.2f} bit/s")
    assert sum(sizes) * 8 / seconds / len(owners) <= BITS_A_BUDDY, sum(sizes)
