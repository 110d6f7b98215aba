"""A holder and those who stand beside its records; a supernode that watches for its nodes.  Without a network."""

from __future__ import annotations

import pickle
from itertools import pairwise
from random import Random

from tests.support.members import WALL, Village, notary
from tests.support.shown import Owner, digest

from halloo.base.address import Address, Peer, Wire
from halloo.base.effects import Send
from halloo.base.machine import Effects, Numbers
from halloo.messages.credential import Presence
from halloo.messages.presence import Noticed, NoticeHeard, Unseen, Watch, Watched, Wish
from halloo.overlay.directory import Directory
from halloo.overlay.slots import Key, key_of
from halloo.overlay.watchdesk import HOLDERS_ASKED, MAX_OF_CLIENT, WatchDesk
from halloo.overlay.watches import CALM, LEASE, MAX_PER_RECORD, SAY_AGAIN, Watches

ASKER = Address.parse("198.51.100.7:5000")
HOLDERS = [Address.parse(f"203.0.113.{i}:33033") for i in range(1, 6)]
OURS = Address.parse("203.0.113.99:33033")


def everything(_: Key) -> bool:
    return True


def nothing(_: Key) -> bool:
    return False


def nobody(_: Key) -> list[Address]:
    return []


def five(_: Key) -> list[Address]:
    return list(HOLDERS)


def a_block() -> object:
    return Village(1, 1).houses["supernode0"].supernode.block


def holder() -> Watches:
    directory = Directory(digest)
    block = a_block()
    return Watches(block, directory, everything, nobody, digest, Random(1), Numbers(), WALL)  # type: ignore[arg-type]


def stand(watches: Watches, owner: Owner, asker: Address, now: float, token: bytes = b"") -> Effects:
    """Somebody stands beside a record, with a cookie."""
    key = key_of(digest, owner.name).to_bytes(8, "big")
    watch = Watch(wishes=(Wish(key=key, token=token or owner.token),), request=1)
    (challenge,) = watches.asked(watch, asker, now)
    assert isinstance(challenge, Send)
    assert isinstance(challenge.message, Watched)
    assert challenge.message.cookie
    assert challenge.to == Wire(asker)
    return watches.asked(Watch(wishes=watch.wishes, cookie=challenge.message.cookie, request=2), asker, now)


def told(effects: Effects) -> list[Noticed]:
    return [one.message for one in effects if isinstance(one, Send) and isinstance(one.message, Noticed)]


def kept(watches: Watches, owner: Owner, now: float) -> None:
    """A new record comes."""
    watches.directory.store(owner.entry(now), WALL + now)
    watches.look(now)


def run(watches: Watches, until: float, *, hears: bool = False) -> list[tuple[float, Noticed]]:
    """Let time pass; what was said when.  ``hears``: whether it is heard at once."""
    said: list[tuple[float, Noticed]] = []
    while watches.wake_at <= until:
        now = watches.wake_at
        for one in told(watches.wake(now)):
            said.append((now, one))
            if hears:
                watches.heard(NoticeHeard(request=one.request), ASKER, now)
    return said


def test_who_shows_the_token_is_told_the_record_now_and_when_its_state_changes() -> None:
    watches, owner = holder(), Owner("ada", "bob")
    watches.directory.store(owner.entry(0.0), WALL)
    assert not told(stand(watches, owner, ASKER, 0.0))
    ((_, first),) = run(watches, 0.1, hears=True)
    assert first.records == (owner_record(watches, owner),)
    assert run(watches, 200.0) == []
    assert watches.directory.renew(key_of(digest, "ada"), owner.pulse(200.0), WALL + 200.0)
    watches.look(200.0)
    ((_, second),) = run(watches, 261.0, hears=True)
    assert (second.records, len(second.pulses)) == ((), 1)
    owner.showing.show(Presence.AWAY, "", WALL + 300)
    kept(watches, owner, 300.0)
    ((at, third),) = run(watches, 300.6, hears=True)
    assert len(third.records) == 1
    assert at <= 300.5


def owner_record(watches: Watches, owner: Owner) -> object:
    entry = watches.directory.find(key_of(digest, owner.name), WALL)
    assert entry is not None
    return entry.record


def test_a_wrong_token_is_answered_like_a_right_one_and_told_nothing() -> None:
    watches, owner = holder(), Owner("ada", "bob")
    watches.directory.store(owner.entry(0.0), WALL)
    right = stand(watches, owner, ASKER, 0.0)
    other = stand(watches, owner, HOLDERS[0], 0.0, token=bytes(16))
    assert right[0].message == other[0].message  # type: ignore[attr-defined]
    assert (len(watches), watches.refused) == (1, 1)
    nobody_allowed = Owner("zoe")
    watches.directory.store(nobody_allowed.entry(0.0), WALL)
    stand(watches, nobody_allowed, ASKER, 0.0, token=bytes(16))
    assert (len(watches), watches.refused) == (1, 2)


def test_what_is_not_heard_is_said_again_and_at_last_no_more() -> None:
    watches, owner = holder(), Owner("ada", "bob")
    watches.directory.store(owner.entry(0.0), WALL)
    stand(watches, owner, ASKER, 0.0)
    said = run(watches, LEASE - 1)
    assert len(said) == len(SAY_AGAIN)
    assert [len(one.records) for _, one in said] == [1] * len(SAY_AGAIN)
    run(watches, 2 * LEASE)
    assert len(watches) == 0
    assert not watches.directory.watched


def test_a_new_record_with_another_token_ends_a_watch() -> None:
    watches, owner = holder(), Owner("ada", "bob", "carol")
    watches.directory.store(owner.entry(0.0), WALL)
    stand(watches, owner, ASKER, 0.0)
    run(watches, 1.0)
    owner.showing.deny("carol", WALL + 2)
    kept(watches, owner, 2.0)
    assert len(watches) == 0
    assert run(watches, 100.0) == []


def test_a_flapping_owner_is_told_of_once_in_five_seconds_and_last_as_he_is() -> None:
    watches, owner = holder(), Owner("ada", "bob")
    watches.directory.store(owner.entry(0.0), WALL)
    stand(watches, owner, ASKER, 0.0)
    said: list[tuple[float, Noticed]] = []
    for step in range(200):
        now = 10 + step / 10
        owner.showing.show(Presence.AWAY if step % 2 else Presence.ONLINE, str(step), WALL + now)
        kept(watches, owner, now)
        said += run(watches, now, hears=True)
    said += run(watches, 60.0, hears=True)
    at = [when for when, _ in said]
    assert 4 <= len(said) <= 7
    assert all(later - earlier >= CALM - 0.01 for earlier, later in pairwise(at[1:]))
    assert said[-1][1].records == (owner_record(watches, owner),)


def test_no_record_and_no_holder_takes_more_than_its_bound() -> None:
    watches, owner = holder(), Owner("ada", "bob")
    watches.directory.store(owner.entry(0.0), WALL)
    for number in range(MAX_PER_RECORD + 20):
        stand(watches, owner, Address(bytes([20, 0, number >> 8, number & 255]), 4_000), 0.0)
    assert len(watches) == MAX_PER_RECORD
    assert pickle.loads(pickle.dumps(watches)).wake_at == watches.wake_at


def test_unseen_is_taken_from_the_supernode_that_the_record_names_alone() -> None:
    watches, owner = holder(), Owner("ada", "bob")
    entry = owner.entry(0.0)
    watches.directory.store(entry, WALL)
    stand(watches, owner, ASKER, 0.0)
    for _, one in run(watches, 1.0):
        watches.heard(NoticeHeard(request=one.request), ASKER, 1.0)
    key = key_of(digest, "ada").to_bytes(8, "big")
    watches.unseen(Unseen(key=key, at=int(WALL) + 5), OURS, 5.0)  # the record names nobody
    watches.unseen(Unseen(key=key, at=int(WALL) + 5), Peer(7), 5.0)  # nobody of the slot
    assert run(watches, 100.0) == []


# --- the desk


def desk(holds: bool = False) -> WatchDesk:
    own = everything if holds else nothing
    block = a_block()
    return WatchDesk(block, notary(), digest, own, five, OURS, Random(2), Numbers(), WALL)  # type: ignore[arg-type]


def wish(owner: Owner) -> Wish:
    return Wish(key=key_of(digest, owner.name).to_bytes(8, "big"), token=owner.token)


def asked(effects: Effects) -> dict[Address, Watch]:
    return {
        one.to.address: one.message
        for one in effects
        if isinstance(one, Send) and isinstance(one.message, Watch) and isinstance(one.to, Wire)
    }


def to_nodes(watchdesk: WatchDesk, until: float) -> list[tuple[Peer, Noticed]]:
    out: list[tuple[Peer, Noticed]] = []
    while watchdesk.wake_at <= until:
        out += [
            (one.to, one.message)
            for one in watchdesk.wake(watchdesk.wake_at)
            if isinstance(one, Send) and isinstance(one.message, Noticed) and isinstance(one.to, int)
        ]
    return out


def test_two_holders_are_watched_and_who_is_silent_or_a_liar_is_replaced() -> None:
    watchdesk, owner, client = desk(), Owner("ada", "bob"), Peer(5)
    watchdesk.wished(Watch(wishes=(wish(owner),), request=9), client, 0.0)
    first = asked(watchdesk.wake(0.2))
    assert len(first) == HOLDERS_ASKED
    good, silent = first
    for address, one in first.items():
        if address == good:
            again = asked(watchdesk.answered(Watched(cookie=b"c" * 8, request=one.request), address, 0.3))
            assert again[address].cookie == b"c" * 8
            watchdesk.answered(Watched(request=again[address].request), address, 0.4)
    entry = owner.entry(0.5)
    heard = watchdesk.noticed(Noticed(records=(entry.record,), request=77), good, 0.5)
    assert heard == [Send(Wire(good), NoticeHeard(request=77))]
    replaced: dict[Address, Watch] = {}
    now = 0.5
    while now < 20.0:
        now = watchdesk.wake_at
        replaced |= asked(watchdesk.wake(now))
    others = [address for address in replaced if address not in (good, silent)]
    assert others  # in place of the silent one
    assert watchdesk.noticed(Noticed(records=(entry.record,), request=78), OURS, 20.0) == [
        Send(Wire(OURS), NoticeHeard(unwanted=wish(owner).key, request=78))
    ]


def test_a_record_is_passed_on_once_and_only_to_who_has_its_token() -> None:
    watchdesk, owner = desk(), Owner("ada", "bob")
    wrong = Wish(key=wish(owner).key, token=bytes(16))
    watchdesk.wished(Watch(wishes=(wish(owner),), request=1), Peer(1), 0.0)
    watchdesk.wished(Watch(wishes=(wrong,), request=1), Peer(2), 0.0)
    first = asked(watchdesk.wake(0.2))
    entry = owner.entry(0.3)
    for address in first:
        watchdesk.noticed(Noticed(records=(entry.record,), request=1), address, 0.3)
    passed = to_nodes(watchdesk, 1.0)
    assert [(peer, len(one.records)) for peer, one in passed] == [(Peer(1), 1)]
    newer = owner.show(40.0, Presence.AWAY)
    forged = newer.record.__class__(
        credential=newer.record.credential, listing=newer.record.listing + b"\0", signature=newer.record.signature
    )
    for address in first:
        watchdesk.noticed(Noticed(records=(forged,), request=2), address, 41.0)
    assert to_nodes(watchdesk, 41.5) == []


def test_a_node_watches_no_more_than_its_bound_and_leaves_nothing_behind() -> None:
    watchdesk = desk()
    owners = [Owner(f"owner{number}", "bob") for number in range(MAX_OF_CLIENT + 5)]
    for owner in owners:
        watchdesk.wished(Watch(wishes=(wish(owner),), request=1), Peer(1), 0.0)
    assert len(watchdesk) == MAX_OF_CLIENT
    watchdesk.down(Peer(1))
    assert len(watchdesk) == 0
    assert not watchdesk._by_key
    assert not watchdesk._by_client
    assert watchdesk.wake_at == float("inf")
