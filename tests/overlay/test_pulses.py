"""Signs of life: who makes them, whom they convince, how they come to all who hold a record, what a flood costs."""

from __future__ import annotations

import pickle
from dataclasses import replace
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from members import LOGIN_KEY, NETWORK, WALL, Village, credential, digest, key_named, notary, sign, verify
from shown import Owner

from halloo.base.address import Address, Peer, Wire
from halloo.base.effects import Send
from halloo.base.errors import Malformed
from halloo.base.machine import Effects, Numbers
from halloo.messages.block import ALIVE_AT_ONCE, Alive, pulses_of, pulses_packed
from halloo.messages.chain import LONGEST_CHAIN, PULSE_EVERY
from halloo.messages.credential import CLOCK_TOLERANCE, LEASE, Entry, Notary, Party, renewed
from halloo.messages.directory import Keep, Kept, Refresh, Store, Stored
from halloo.overlay.directory import KEEP_FOR, MOST_LINKS, Directory
from halloo.overlay.keeper import CHECK_ALIVE, CHECKS, KEEP_AGAIN
from halloo.overlay.publish import AGAIN, RETRY, Published, Publisher
from halloo.overlay.pulses import GATHER_FOR, Pulses
from halloo.overlay.slots import Key, key_of
from halloo.overlay.supernode import Supernode
from halloo.sim.records import shared_notary
from halloo.wire.command import encode_command

SUPERNODE, ADA = Peer(7), key_of(digest, "ada")
STRANGER = Wire(Address.parse("192.0.2.7:77"))
HOLDERS = [Address.of(f"10.6.0.{n}", 1) for n in range(1, 6)]
links = st.integers(1, LONGEST_CHAIN)


def sent(effects: Effects, kind: type) -> list[Send]:
    return [one for one in effects if isinstance(one, Send) and isinstance(one.message, kind)]


# --- what a link proves -------------------------------------------------------------------------------------------


@given(links, st.integers(0, 3))
def test_a_record_is_as_young_as_its_latest_sign_of_life(after: int, late: int) -> None:
    ada, now = Owner("ada"), PULSE_EVERY * after
    entry = ada.entry(0.0)
    record = replace(entry.record, pulse=ada.pulse(now))
    found = notary().record(record, WALL + now + PULSE_EVERY * late)
    assert (found.pulse, found.record) == (ada.pulse(now), record)
    assert found.seen == int(WALL + now) // PULSE_EVERY * PULSE_EVERY
    assert found.on_line(found.seen + LEASE - 1)
    assert not found.on_line(found.seen + LEASE)
    assert found.as_new_as(entry.listing.version, found.seen)
    assert not entry.as_new_as(entry.listing.version, found.seen)
    assert replace(entry, listing=replace(entry.listing, version=entry.listing.version + 1)).as_new_as(
        entry.listing.version, found.seen
    )


@given(st.binary(max_size=16))
def test_a_link_that_proves_nothing_is_dropped_and_the_record_stays(link: bytes) -> None:
    ada = Owner("ada")
    entry = ada.entry(0.0)
    assert notary().record(replace(entry.record, pulse=link), WALL + 80_000) == entry
    assert renewed(entry, link, digest, WALL + 80_000) is None


def test_foreign_links_those_of_another_version_and_those_from_the_future_prove_nothing() -> None:
    ada, bob = Owner("ada"), Owner("bob")
    first = ada.entry(0.0)
    of_first = ada.pulse(900.0)
    second, his = ada.entry(PULSE_EVERY), bob.entry(0.0)
    for entry, link in ((second, of_first), (second, first.pulse), (his, ada.pulse(900.0)), (first, ada.pulse(900.0))):
        assert renewed(entry, link, digest, WALL + 900.0) is None
    ahead = ada.pulse(PULSE_EVERY + 2 * CLOCK_TOLERANCE)
    assert renewed(second, ahead, digest, WALL + PULSE_EVERY) is None
    assert renewed(second, ahead, digest, WALL + PULSE_EVERY + CLOCK_TOLERANCE) is not None
    dead = ada.pulse(PULSE_EVERY * (1 + LONGEST_CHAIN))  # the root itself is the last link
    assert renewed(second, dead, digest, WALL + 10**6) is not None


def test_the_work_for_a_link_is_bounded_and_begins_at_the_latest_one_known() -> None:
    counted = [0]

    def counting(data: bytes) -> bytes:
        counted[0] += 1
        return digest(data)

    ada = Owner("ada")
    entry = ada.entry(0.0)
    watchful = Notary(NETWORK, (LOGIN_KEY,), verify, verify, counting)
    watchful.record(replace(entry.record, pulse=bytes(16)), WALL + 500_000)
    assert counted[0] == LONGEST_CHAIN + 1  # and one of the credential
    held = Directory(counting)
    held.store(entry, WALL)
    for link in range(5, LONGEST_CHAIN, 5):
        counted[0] = 0
        assert held.renew(ADA, ada.pulse(PULSE_EVERY * link), WALL + PULSE_EVERY * link)
        assert counted[0] == 5
    counted[0] = 0
    assert held.renew(ADA, bytes(16), WALL + KEEP_FOR) is None
    assert counted[0] <= 2 * MOST_LINKS


@given(st.lists(st.integers(0, LONGEST_CHAIN), min_size=1, max_size=8), st.booleans())
def test_a_notary_that_remembers_says_the_same_as_one_that_does_not(order: list[int], bare: bool) -> None:
    ada, wall = Owner("ada"), WALL + PULSE_EVERY * LONGEST_CHAIN
    entry, shared = ada.entry(0.0), shared_notary(notary())
    records = [replace(entry.record, pulse=ada.pulse(PULSE_EVERY * link)) for link in order]
    for record in [entry.record, *records, *([entry.record] if bare else []), *reversed(records)]:
        assert shared.record(record, wall) == notary().record(record, wall)
    for record in (replace(entry.record, pulse=bytes(16)), replace(entry.record, pulse=b"short")):
        assert shared.record(record, wall) == notary().record(record, wall) == entry


# --- the directory ------------------------------------------------------------------------------------------------


def test_a_held_record_is_renewed_and_lives_from_its_last_sign_of_life() -> None:
    ada, held = Owner("ada", "bob"), Directory(digest)
    assert held.renew(ADA, bytes(16), WALL) is None  # nothing is held
    first = ada.entry(0.0)
    held.store(first, WALL)
    held.watched[ADA] = None
    assert held.renew(ADA, first.pulse, WALL) is False
    assert held.renew(ADA, ada.pulse(900.0), WALL + 900.0) is True
    assert list(held.fresh) == [ADA]
    assert held.renew(ADA, ada.pulse(900.0), WALL + 900.0) is False
    assert held.renew(ADA, ada.pulse(720.0), WALL + 900.0) is False  # an older one, told again
    found = held.find(ADA, WALL + KEEP_FOR + 600.0)
    assert found is not None
    assert found.pulse == ada.pulse(900.0)
    assert not held.store(first, WALL + 900.0)  # the same without it is older
    assert held.store(renewed(found, ada.pulse(1_080.0), digest, WALL + 1_080.0) or found, WALL + 1_080.0)
    held.expire(WALL + KEEP_FOR + 1_080.0)
    assert len(held) == 1
    held.forget(first)  # as it was before it was renewed
    assert len(held) == 0


# --- its owner ----------------------------------------------------------------------------------------------------


def publisher(name: str = "ada") -> Publisher:
    key = key_named("user " + name)
    numbers = Numbers()
    made = Publisher(bytes(8), key, credential(name, key), sign, digest, Random(name), numbers, WALL)
    made.supernode = SUPERNODE, HOLDERS[0]
    return made


def answered(own: Publisher, effects: Effects, now: float, copies: int = 5) -> Effects:
    ((message),) = [one.message for one in effects if isinstance(one, Send)]
    return own.receive(Stored(copies=copies, request=message.request), SUPERNODE, now)


def test_an_owner_shows_signs_of_life_until_something_changes() -> None:
    own = publisher()
    out = own.publish(0.0)
    (store,) = sent(out, Store)
    (entry,) = [notary().record(record, WALL) for record in store.message.record]  # type: ignore[attr-defined]
    assert [(one.seen, one.renewed) for one in answered(own, out, 0.1) if isinstance(one, Published)] == [(WALL, False)]
    assert AGAIN * 0.85 <= own.wake_at <= AGAIN * 0.95 + 0.1
    for _ in range(3):
        now = own.wake_at
        out = own.wake(now)
        (refresh,) = sent(out, Refresh)
        assert refresh.message.key == ADA.to_bytes(8, "big")  # type: ignore[attr-defined]
        entry = renewed(entry, refresh.message.pulse, digest, WALL + now)  # type: ignore[attr-defined,assignment]
        assert entry.record == own.record
        assert entry.seen == int(WALL + now) // PULSE_EVERY * PULSE_EVERY
        (event,) = answered(own, out, now + 0.1, copies=1)
        assert isinstance(event, Published)
        assert (event.renewed, event.seen) == (True, entry.seen)
    own.city = "Aachen"
    assert sent(own.wake(own.wake_at), Store)


@pytest.mark.parametrize("fails", ["nobody has it", "no answer"])
def test_the_whole_record_follows_where_a_sign_of_life_was_of_no_use(fails: str) -> None:
    own = publisher()
    answered(own, own.publish(0.0), 0.1)
    now = own.wake_at
    out = own.wake(now)
    assert sent(out, Refresh)
    out = answered(own, out, now + 0.1, copies=0) if fails == "nobody has it" else own.wake(now + RETRY)
    assert sent(out, Store)
    answered(own, out, now + RETRY + 0.1)
    assert sent(own.wake(own.wake_at), Refresh)


def test_a_chain_that_has_come_to_its_end_is_followed_by_a_new_record() -> None:
    own = publisher()
    answered(own, own.publish(0.0), 0.1)
    kinds, links = [], 0
    while own.wake_at < 2 * PULSE_EVERY * LONGEST_CHAIN:
        now = own.wake_at
        out = own.wake(now)
        (said,) = [one.message for one in out if isinstance(one, Send)]
        kinds.append(type(said))
        links += type(said) is Refresh
        answered(own, out, now + 0.1)
    assert kinds.count(Store) == 1
    assert links == len(kinds) - 1 > 2 * PULSE_EVERY * LONGEST_CHAIN / AGAIN


def test_who_hides_from_those_who_watch_shows_no_signs_of_life() -> None:
    own = publisher()
    own.showing = Owner("ada", "bob").showing
    own.showing.invisible = True
    for at in (0.0, 900.0):
        (store,) = sent(own.publish(at), Store)
        (record,) = store.message.record  # type: ignore[attr-defined]
        assert notary().record(record, WALL + at).pulse == b""
        answered(own, [store], at + 0.1)
        assert sent(own.wake(own.wake_at), Store)


# --- on its way, among those who hold it --------------------------------------------------------------------------


def settled(count: int, users: int) -> tuple[Village, list[Owner], dict[str, str]]:
    """A village that holds the records of some owners, each attached to a supernode, by name."""
    village = Village(1, count)
    village.run(60.0)
    owners = [Owner(f"user{n}") for n in range(users)]
    at = {owner.name: f"supernode{number % count}" for number, owner in enumerate(owners)}
    for number, owner in enumerate(owners):
        entry = owner.entry(village.now)
        supernode = village.houses[at[owner.name]].supernode
        supernode._parties[Peer(9_000 + number)] = Party(entry.claims.key, entry.claims)
        out = supernode.receive(Store(record=(entry.record,), request=1), Peer(9_000 + number), None, village.now)
        village.act(at[owner.name], out)
        village.run(village.now + 0.2)
    village.run(village.now + 5.0)
    return village, owners, at


def refresh(village: Village, owners: list[Owner], at: dict[str, str]) -> None:
    for number, owner in enumerate(owners):
        message = Refresh(key=bytes(8), pulse=owner.pulse(village.now), request=2)
        supernode = village.houses[at[owner.name]].supernode
        village.act(at[owner.name], supernode.receive(message, Peer(9_000 + number), None, village.now))


def seen(village: Village, key: Key) -> list[int]:
    """What those who hold a key know, as of when its owner was there."""
    found = [one.directory.find(key, WALL) for one in village.alive if one.keeper.holds(key)]
    return [entry.seen if entry is not None else 0 for entry in found]


def test_a_sign_of_life_comes_to_all_who_hold_the_record() -> None:
    village, owners, at = settled(30, 12)
    village.run(900.0)
    refresh(village, owners, at)
    village.run(900.0 + GATHER_FOR + 5.0)
    shown = int(WALL + 900.0) // PULSE_EVERY * PULSE_EVERY
    for owner in owners:
        known = seen(village, key_of(digest, owner.name))
        assert len(known) >= 5
        assert set(known) == {shown}


class Hoarder(Pulses):
    """Says that it knows, and tells nobody."""

    def take(self, key: Key, pulse: bytes, now: float) -> bool:
        return True


def test_a_holder_that_keeps_it_to_himself_is_made_good_by_those_who_are_asked_later() -> None:
    village, owners, at = settled(30, 12)
    for supernode in village.alive[::5]:
        supernode.keeper.pulses = Hoarder(supernode.block, supernode.directory, WALL)
    village.run(900.0)
    refresh(village, owners, at)
    village.run(900.0 + CHECK_ALIVE + GATHER_FOR + 5.0)
    shown = int(WALL + 900.0) // PULSE_EVERY * PULSE_EVERY
    honest = [owner for owner in owners if not isinstance(village.keeper(at[owner.name]).pulses, Hoarder)]
    for owner in honest:
        keepers = [one.keeper for one in village.alive if one.keeper.holds(key_of(digest, owner.name))]
        known = [keeper.directory.find(key_of(digest, owner.name), WALL) for keeper in keepers]
        for keeper, entry in zip(keepers, known, strict=True):
            assert entry is not None
            assert entry.seen == shown or isinstance(keeper.pulses, Hoarder)


def test_who_has_lost_the_record_is_brought_it_whole() -> None:
    village, owners, at = settled(30, 6)
    for supernode in village.alive:
        for entry in supernode.directory.all():
            supernode.directory.forget(entry)
    village.run(900.0)
    refresh(village, owners, at)
    village.run(905.0)
    shown = int(WALL + 900.0) // PULSE_EVERY * PULSE_EVERY
    for owner in owners:
        assert set(seen(village, key_of(digest, owner.name))) == {shown}


def errand(supernode: Supernode) -> tuple[bytes, Entry]:
    """A sign of life on its way to five holders."""
    ada = Owner("ada")
    entry = renewed(ada.entry(0.0), ada.pulse(900.0), digest, WALL + 900.0)
    assert entry is not None
    supernode.keeper._run(entry, ADA, Peer(4), 9, 900.0, alive=True)
    ((token, going),) = supernode.keeper._errands.items()
    going.candidates[:] = HOLDERS
    return token, entry


def test_a_holder_with_another_record_gets_it_once_and_the_checks_get_it_too() -> None:
    village = Village(1, 1)
    village.run(20.0)
    supernode = village.alive[0]
    token, entry = errand(supernode)
    keeper = supernode.keeper
    (first,) = sent(keeper._ask(token, keeper._errands[token], 900.0), Refresh)
    assert len(encode_command(first.message)) < 64
    assert len(encode_command(replace(first.message, token=None), compressed=True)) <= 37  # sealed, the least size
    out = keeper.kept(Kept(copies=0, token=token), HOLDERS[0], 900.1)
    assert [(one.to, one.message.record) for one in sent(out, Keep)] == [  # type: ignore[attr-defined]
        (Wire(HOLDERS[0]), (entry.record,))
    ]
    out = keeper.kept(Kept(copies=5, token=token), HOLDERS[0], 900.2)
    assert [one.message.copies for one in sent(out, Stored)] == [5]  # type: ignore[attr-defined]
    checks = keeper.wake(900.2 + CHECK_ALIVE)
    assert [one.to for one in sent(checks, Keep)] == [Wire(one) for one in HOLDERS[1 : 1 + CHECKS]]


def test_who_says_again_and_again_that_he_has_not_got_it_is_brought_it_once() -> None:
    village = Village(1, 1)
    village.run(20.0)
    supernode = village.alive[0]
    token, _ = errand(supernode)
    keeper = supernode.keeper
    keeper._ask(token, keeper._errands[token], 900.0)
    brought = 0
    for _ in range(20):
        out = keeper.kept(Kept(copies=0, token=token), HOLDERS[0], 900.1)
        brought += sum(one.to == Wire(HOLDERS[0]) for one in sent(out, Keep))
    assert brought == 1
    assert len(keeper._errands[token].asked) <= len(HOLDERS)


def test_nothing_comes_of_a_flood_of_false_ones() -> None:
    village, owners, _ = settled(12, 6)
    supernode, rng = village.alive[0], Random(1)
    pulses = supernode.keeper.pulses
    held = [key for key, _ in supernode.directory.items()]
    assert held
    before = pickle.dumps(supernode.directory)
    for _ in range(500):
        key = rng.choice(held) if rng.random() < 0.5 else rng.getrandbits(64)
        message = Refresh(key=key.to_bytes(8, "big"), pulse=rng.randbytes(16), token=rng.randbytes(8), request=1)
        (answer,) = supernode.heard(message, STRANGER, 900.0)
        assert isinstance(answer, Send)
        assert isinstance(answer.message, Kept)
        assert answer.message.copies == 0
        assert len(encode_command(answer.message)) <= len(encode_command(message)) + 1
    fellow = next(iter(supernode.block.links.values()))
    for _ in range(50):
        keys = [rng.choice(held) if rng.random() < 0.5 else rng.getrandbits(64) for _ in range(ALIVE_AT_ONCE)]
        told = pulses_packed((key, rng.randbytes(16)) for key in keys)
        assert supernode.receive(Alive(pulses=told), fellow, None, 900.0) == []
    with pytest.raises(Malformed):
        supernode.receive(Alive(pulses=bytes(25)), fellow, None, 900.0)
    assert (len(pulses._gathered), pulses.wake_at) == (0, float("inf"))
    assert pickle.dumps(supernode.directory) == before
    assert owners


def test_what_is_gathered_is_told_once_and_only_to_those_who_hold_it() -> None:
    village, owners, _ = settled(30, 40)
    supernode = max(village.alive, key=lambda one: sum(one.keeper.holds(key) for key, _ in one.directory.items()))
    pulses: Pulses = supernode.keeper.pulses
    by_key = {key_of(digest, owner.name): owner for owner in owners}
    own = [key for key, _ in supernode.directory.items() if supernode.keeper.holds(key)]
    assert own
    for key in own:
        assert pulses.take(key, by_key[key].pulse(900.0), 900.0)
        assert pulses.take(key, by_key[key].pulse(900.0), 900.0)  # told twice, it is known
    assert pulses.wake_at == 900.0 + GATHER_FOR
    houses = {house.supernode.node: house.supernode for house in village.houses.values()}
    nodes = {peer: node for node, peer in supernode.block.links.items()}
    for one in pulses.wake(900.0 + GATHER_FOR):
        assert isinstance(one, Send)
        assert isinstance(one.to, int)
        assert isinstance(one.message, Alive)
        keys = [key for key, _ in pulses_of(one.message.pulses)]
        assert len(set(keys)) == len(keys)
        assert all(houses[nodes[Peer(one.to)]].keeper.holds(key) for key in keys)
    assert pulses.wake(1_000.0) == []
    assert KEEP_AGAIN < GATHER_FOR


def test_a_node_without_a_record_here_is_told_to_bring_it() -> None:
    village = Village(1, 1)
    village.run(20.0)
    supernode = village.alive[0]
    message = Refresh(key=bytes(8), pulse=bytes(16), request=3)
    (answer,) = supernode.receive(message, Peer(55), None, 30.0)
    assert isinstance(answer, Send)
    assert answer.message == Stored(copies=0, reason="the whole record is needed", request=3)
