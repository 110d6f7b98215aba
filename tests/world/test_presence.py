"""Presence in a virtual town: told on change, through the slot, only to those who are allowed to, and never stale."""

from __future__ import annotations

from halloo.messages.credential import Presence
from halloo.overlay.watching import BuddySeen, Certainty
from halloo.sim.town import Town

ROUND_TRIP_AND_BATCHING = 2.0  # seconds in which a change arrives


def town_of(seed: int, supernodes: int = 14, users: int = 30) -> Town:
    """A town with users who are on line."""
    town = Town(seed, supernodes=supernodes)
    town.world.run(town.world.now + 15)
    for i in range(users):
        town.user(f"user{i}")
    town.world.run(town.world.now + 15)
    return town


def allow(town: Town, owner: str, *names: str) -> None:
    """An owner lets some watch him, and they do."""
    for name in names:
        town.act(owner, town.node(owner).buddies.allow(name, town.world.now))
        town.act(name, town.node(name).buddies.watch(owner, town.world.now))


def seen(town: Town, watcher: str, owner: str) -> list[tuple[float, BuddySeen]]:
    """What a watcher was told of an owner, and when."""
    return [
        (at, event)
        for at, name, event in town.world.story
        if name == watcher and isinstance(event, BuddySeen) and event.name == owner
    ]


def now_seen(town: Town, watcher: str, owner: str) -> BuddySeen:
    """What a watcher would say now."""
    return town.node(watcher).buddies.watching.seen(owner, town.world.now)


def show(town: Town, owner: str, state: Presence, mood: str = "") -> float:
    """An owner shows something else; when."""
    town.act(owner, town.node(owner).buddies.show(town.world.now, state, mood))
    return town.world.now


def test_a_change_of_state_reaches_who_may_watch_and_nobody_else() -> None:
    town = town_of(1)
    watchers = [f"user{i}" for i in range(1, 11)]
    allow(town, "user0", *watchers)
    for stranger in ("user11", "user12"):
        town.act(stranger, town.node(stranger).buddies.watch("user0", town.world.now))
    town.world.run(town.world.now + 40)
    for watcher in watchers:
        assert now_seen(town, watcher, "user0").certainty is Certainty.SURE, watcher
        assert now_seen(town, watcher, "user0").state is Presence.ONLINE
    took: list[float] = []
    for state, mood in ((Presence.AWAY, "at lunch"), (Presence.DO_NOT_DISTURB, ""), (Presence.ONLINE, "back ☕")):
        began = show(town, "user0", state, mood)
        town.world.run(town.world.now + 10)
        for watcher in watchers:
            at, event = seen(town, watcher, "user0")[-1]
            assert (event.state, event.mood, event.certainty) == (state, mood, Certainty.SURE)
            took.append(at - began)
    took.sort()
    assert took[int(0.95 * len(took))] <= ROUND_TRIP_AND_BATCHING, took
    for stranger in ("user11", "user12"):
        assert now_seen(town, stranger, "user0").certainty is Certainty.UNKNOWN
