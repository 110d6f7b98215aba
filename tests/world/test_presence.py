"""Presence in a virtual town: told on change, through the slot, only to those who are allowed to, and never stale."""

from __future__ import annotations

from typing import Any

import pytest

from halloo.base.address import Address
from halloo.base.errors import PeerError
from halloo.base.machine import Effects
from halloo.messages.credential import Presence
from halloo.overlay.presence import Sight
from halloo.overlay.search import SearchDone
from halloo.overlay.slots import Key
from halloo.overlay.supernode import Supernode
from halloo.overlay.watches import CALM, Watches
from halloo.overlay.watching import OLD_AFTER, BuddySeen, Certainty
from halloo.sim.town import Town
from halloo.sim.world import WALL

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


class Nothing(dict[Any, Any]):
    """What keeps nothing."""

    def __setitem__(self, key: Any, value: Any) -> None:
        return


def supernodes(town: Town) -> dict[str, Supernode]:
    """Those who run, by name."""
    minds = {name: town.node(name) for name, one in town.world.residents.items() if one.alive and name != "login"}
    return {name: mind.supernode for name, mind in minds.items() if mind.supernode is not None}


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


def test_who_is_denied_is_told_nothing_more_and_the_others_still_are() -> None:
    town = town_of(2, supernodes=4, users=5)
    watchers = ["user1", "user2", "user3"]
    allow(town, "user0", *watchers)
    town.world.run(town.world.now + 30)
    assert all(now_seen(town, watcher, "user0").certainty is Certainty.SURE for watcher in watchers)
    town.act("user0", town.node("user0").buddies.deny("user2", town.world.now))
    town.world.run(town.world.now + 20)
    told = len(seen(town, "user2", "user0"))
    show(town, "user0", Presence.DO_NOT_DISTURB, "not for user2")
    town.world.run(town.world.now + 30)
    for watcher in ("user1", "user3"):
        assert now_seen(town, watcher, "user0").mood == "not for user2"
    assert len(seen(town, "user2", "user0")) == told
    denied = town.node("user2").buddies.watching
    assert now_seen(town, "user2", "user0").state is Presence.ONLINE
    # nor can he read what everybody can fetch
    town.act("user2", town.node("user2").searches.find("user0", town.world.now)[1])
    town.world.run(town.world.now + 5)
    entry = next(
        event.entries[0]
        for _, name, event in reversed(town.world.story)
        if name == "user2" and isinstance(event, SearchDone)
    )
    assert entry.listing.presence
    suite, sight = town.suite, denied.sights["user0"]
    with pytest.raises(PeerError):
        sight.opened(entry.listing.presence, "user0", suite.digest, suite.seal, suite.seal_key_size)
    # and what he knows grows old: it is not said any more
    town.world.run(town.world.now + OLD_AFTER)
    assert now_seen(town, "user2", "user0").certainty is Certainty.OLD
    assert now_seen(town, "user1", "user0").certainty is Certainty.SURE


def test_a_wrong_token_is_told_nothing_and_counted() -> None:
    town = town_of(3, users=6)
    allow(town, "user0", "user1")
    town.node("user2").buddies.watching.given("user0", Sight(9, bytes(32)), town.world.now)
    town.act("user2", town.node("user2").buddies.watch("user0", town.world.now))
    town.world.run(town.world.now + 30)
    show(town, "user0", Presence.AWAY)
    town.world.run(town.world.now + 30)
    assert now_seen(town, "user1", "user0").state is Presence.AWAY
    assert now_seen(town, "user2", "user0").certainty is Certainty.UNKNOWN
    assert sum(one.watches.refused for one in supernodes(town).values()) >= 2


def test_a_goodbye_is_told_and_so_is_coming_back() -> None:
    town = town_of(4, users=4)
    allow(town, "user0", "user1")
    town.world.run(town.world.now + 30)
    left = town.world.now
    town.world.ask(town.world.residents["user0"], town.node("user0").leave(left))
    town.world.run(left + 5)
    gone = now_seen(town, "user1", "user0")
    assert (gone.state, gone.certainty) == (Presence.OFFLINE, Certainty.SURE)
    assert abs(gone.since - (left + WALL)) < 2
    town.world.ask(town.world.residents["user0"], town.node("user0").begin(town.world.now))
    town.world.run(town.world.now + 10)
    assert now_seen(town, "user1", "user0").state is Presence.ONLINE


def test_the_holders_and_the_supernode_of_a_watcher_die_and_he_is_told_again() -> None:
    town = town_of(5, users=6)
    allow(town, "user0", "user1")
    town.world.run(town.world.now + 40)
    serving = {str(town.node(name).join.supernode) for name in ("user0", "user1")}
    holding = [name for name, one in supernodes(town).items() if len(one.watches) and str(one.listening) not in serving]
    assert holding
    town.world.kill(holding[0])
    show(town, "user0", Presence.AWAY)
    town.world.run(town.world.now + 5)
    assert now_seen(town, "user1", "user0").state is Presence.AWAY  # by the other one
    own = str(town.node("user1").join.supernode)
    for name, one in supernodes(town).items():
        if str(one.listening) == own and own != str(town.node("user0").join.supernode):
            town.world.kill(name)
    town.world.run(town.world.now + 90)
    show(town, "user0", Presence.DO_NOT_DISTURB)
    town.world.run(town.world.now + 5)
    assert now_seen(town, "user1", "user0").state is Presence.DO_NOT_DISTURB


class Mute(Watches):
    """A holder that takes watches and tells nothing."""

    __slots__ = ()

    def _tell(self, address: Address, keys: list[Key], now: float) -> Effects:
        return []


def test_a_holder_that_keeps_changes_to_himself_silences_nobody() -> None:
    town = town_of(6, users=4)
    liar = next(iter(supernodes(town).values()))
    liar.watches.__class__ = Mute
    names = {str(one.listening): name for name, one in supernodes(town).items()}
    for _ in range(6):  # many draws of two holders
        allow(town, "user0", "user1", "user2", "user3")
        town.world.run(town.world.now + 40)
        began = show(town, "user0", Presence.AWAY if _ % 2 else Presence.ONLINE, f"round {_}")
        town.world.run(town.world.now + 20)
        for watcher in ("user1", "user2", "user3"):
            if names.get(str(town.node(watcher).join.supernode)) == "supernode0":
                continue  # the liar is his own supernode, too
            at, event = seen(town, watcher, "user0")[-1]
            assert event.mood == f"round {_}"
            assert at - began < CALM + ROUND_TRIP_AND_BATCHING
            town.act(watcher, town.node(watcher).buddies.unwatch("user0", town.world.now))


def test_an_owner_who_flaps_is_told_of_once_in_a_while_and_last_of_all_as_he_is() -> None:
    town = town_of(7, users=4)
    allow(town, "user0", "user1")
    town.world.run(town.world.now + 30)
    before, began = len(seen(town, "user1", "user0")), town.world.now
    for i in range(100):
        show(town, "user0", Presence.AWAY if i % 2 else Presence.ONLINE, f"change {i}")
        town.world.run(town.world.now + 0.3)
    took = town.world.now - began
    town.world.run(town.world.now + 2 * CALM)
    told = seen(town, "user1", "user0")[before:]
    assert told[-1][1].mood == "change 99"
    assert 2 <= len(told) <= 2 * (took / CALM + 3)  # by two holders, each once in a while


def test_an_owner_who_is_killed_is_doubted_soon_and_never_on_line_for_long() -> None:
    town = town_of(8, supernodes=4, users=3)
    allow(town, "user0", "user1")
    town.world.run(town.world.now + 1_000)
    assert now_seen(town, "user1", "user0").certainty is Certainty.SURE
    town.world.kill("user0")
    killed = town.world.now
    town.world.run(killed + 300)
    doubted = [at for at, event in seen(town, "user1", "user0") if event.certainty is Certainty.DOUBTED]
    assert doubted
    assert doubted[0] - killed <= 120
    town.world.run(killed + OLD_AFTER)
    assert now_seen(town, "user1", "user0").certainty is Certainty.OLD


def test_without_hearsay_on_line_ends_by_its_age() -> None:
    town = town_of(9, supernodes=3, users=2)
    for one in supernodes(town).values():
        one._shown = Nothing()  # type: ignore[assignment]
    allow(town, "user0", "user1")
    town.world.run(town.world.now + 1_950)
    assert now_seen(town, "user1", "user0").certainty is Certainty.SURE  # kept fresh by signs of life alone
    town.world.kill("user0")
    killed = town.world.now
    town.world.run(killed + OLD_AFTER)
    old = [at for at, event in seen(town, "user1", "user0") if event.certainty is Certainty.OLD]
    assert old
    assert old[-1] - killed <= OLD_AFTER
