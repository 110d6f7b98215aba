"""Who watches: what he is told is signed, sealed and as old as it says, whatever his supernode brings."""

from __future__ import annotations

import pickle
from random import Random

import pytest
from tests.support.members import WALL, notary
from tests.support.shown import Owner, digest

from halloo.base.address import Peer
from halloo.base.effects import Send
from halloo.base.errors import UsageError
from halloo.base.machine import Effects, Numbers
from halloo.crypto.plain import PLAIN
from halloo.messages.credential import Presence
from halloo.messages.presence import Doubt, Noticed, Pulse, Unwatch, Watch
from halloo.overlay.presence import Sight
from halloo.overlay.slots import key_of
from halloo.overlay.watching import MAX_BUDDIES, MAX_SIGHTS, OLD_AFTER, BuddySeen, Certainty, Watching

SUPERNODE, OTHER = Peer(3), Peer(4)
ADA = key_of(digest, "ada").to_bytes(8, "big")


def watching(owner: Owner | None = None) -> Watching:
    """Bob, who watches Ada and is on line."""
    made = Watching(notary(), PLAIN.digest, PLAIN.seal, PLAIN.seal_key_size, Random(1), Numbers(), WALL)
    made.watch("Ada", 0.0)
    if owner is not None:
        assert owner.showing.sight is not None
        assert made.given("ada", owner.showing.sight, 0.0)
    made.attached(SUPERNODE, 0.0)
    return made


def seen(effects: Effects) -> list[BuddySeen]:
    return [one for one in effects if isinstance(one, BuddySeen)]


def wishes(effects: Effects) -> list[Watch]:
    return [one.message for one in effects if isinstance(one, Send) and isinstance(one.message, Watch)]


def test_who_has_no_key_asks_for_nothing_and_says_that_he_knows_nothing() -> None:
    bob = watching()
    assert wishes(bob.wake(10.0)) == []
    assert bob.seen("ada", 10.0).certainty is Certainty.UNKNOWN
    assert bob.given("ada", Sight(7, bytes(32)), 11.0)
    ((watch,),) = [wishes(bob.wake(11.0))]
    assert [wish.key for wish in watch.wishes] == [ADA]
    assert bob.given("ada", Sight(6, bytes(32)), 12.0)  # an older one, late: it is acknowledged and changes nothing
    assert bob.sights["ada"].epoch == 7
    assert not bob.given("ada", Sight(7, bytes([1]) * 32), 12.0)


def test_a_record_is_believed_a_pulse_makes_it_younger_and_age_makes_it_old() -> None:
    ada = Owner("ada", "bob")
    bob = watching(ada)
    entry = ada.show(5.0, Presence.AWAY, "tea")
    assert bob.receive(Noticed(records=(entry.record,), request=1), OTHER, 5.0) == []  # not our supernode
    (event,) = seen(bob.receive(Noticed(records=(entry.record,), request=1), SUPERNODE, 5.0))
    assert (event.state, event.mood, event.certainty) == (Presence.AWAY, "tea", Certainty.SURE)
    assert seen(bob.receive(Noticed(records=(entry.record,), request=1), SUPERNODE, 6.0)) == []
    later = ada.pulse(905.0)
    assert bob.receive(Noticed(pulses=(Pulse(key=ADA, pulse=bytes(16)),), request=2), SUPERNODE, 905.0) == []
    bob.receive(Noticed(pulses=(Pulse(key=ADA, pulse=later),), request=2), SUPERNODE, 905.0)
    as_of = bob.seen("ada", 905.0).as_of
    assert 720 < as_of - WALL <= 905
    assert bob.wake_at <= as_of - WALL + OLD_AFTER
    (event,) = seen(bob.wake(as_of - WALL + OLD_AFTER))
    assert event.certainty is Certainty.OLD
    assert wishes(bob.wake(as_of - WALL + OLD_AFTER + 10))  # and asks anew


def test_nobody_can_make_a_pulse_of_the_future() -> None:
    ada = Owner("ada", "bob")
    bob = watching(ada)
    bob.receive(Noticed(records=(ada.entry(0.0).record,), request=1), SUPERNODE, 0.0)
    ahead = ada.pulse(7_200.0)  # the owner's clock is two hours ahead, or he lies
    bob.receive(Noticed(pulses=(Pulse(key=ADA, pulse=ahead),), request=2), SUPERNODE, 60.0)
    assert bob.seen("ada", 60.0).as_of <= WALL + 60


def test_hearsay_is_a_doubt_until_the_next_sign_of_life() -> None:
    ada = Owner("ada", "bob")
    bob = watching(ada)
    bob.receive(Noticed(records=(ada.entry(0.0).record,), request=1), SUPERNODE, 0.0)
    doubt = Noticed(doubts=(Doubt(key=ADA, at=int(WALL) + 10**6),), request=2)  # as if it were of next week
    (event,) = seen(bob.receive(doubt, SUPERNODE, 100.0))
    assert (event.state, event.certainty) == (Presence.ONLINE, Certainty.DOUBTED)
    pulse = ada.pulse(300.0)
    (event,) = seen(bob.receive(Noticed(pulses=(Pulse(key=ADA, pulse=pulse),), request=3), SUPERNODE, 300.0))
    assert event.certainty is Certainty.SURE


def test_an_older_record_and_one_of_another_secret_change_nothing() -> None:
    ada = Owner("ada", "bob", "carol")
    bob = watching(ada)
    first = ada.entry(0.0)
    second = ada.show(1.0, Presence.AWAY)
    bob.receive(Noticed(records=(second.record,), request=1), SUPERNODE, 1.0)
    assert bob.receive(Noticed(records=(first.record,), request=1), SUPERNODE, 2.0) == []
    ada.showing.deny("bob", WALL + 3)
    third = ada.show(3.0, Presence.DO_NOT_DISTURB)
    assert bob.receive(Noticed(records=(third.record,), request=1), SUPERNODE, 3.0) == []
    assert bob.seen("ada", 3.0).state is Presence.AWAY


def test_an_owner_who_said_goodbye_stays_off_line_however_old_that_is() -> None:
    ada = Owner("ada", "bob")
    bob = watching(ada)
    ada.showing.leaving = True
    bob.receive(Noticed(records=(ada.entry(0.0).record,), request=1), SUPERNODE, 0.0)
    for now in (0.0, 100.0, 10 * OLD_AFTER):
        bob.wake(now)
        assert (bob.seen("ada", now).state, bob.seen("ada", now).certainty) == (Presence.OFFLINE, Certainty.SURE)


def test_bounds_and_what_is_kept() -> None:
    bob = watching(Owner("ada", "bob"))
    for number in range(MAX_BUDDIES - 1):
        bob.watch(f"friend{number}", 0.0)
    with pytest.raises(UsageError):
        bob.watch("one.more", 0.0)
    for number in range(2 * MAX_SIGHTS):
        bob.given(f"stranger{number}", Sight(1, bytes(32)), 0.0)
    assert len(bob.sights) == MAX_SIGHTS
    assert "ada" in bob.sights  # who is watched is not pushed out by strangers
    assert bob.unwatch("ADA") == [Send(SUPERNODE, Unwatch(keys=ADA))]
    assert pickle.loads(pickle.dumps(bob)).names == bob.names
