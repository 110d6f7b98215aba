"""Slots, directory, records: what the directory is made of."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from halloo.base.address import Peer
from halloo.base.effects import Send
from halloo.base.errors import PeerError
from halloo.messages.credential import Entry, Listing, Record, list_entry
from halloo.messages.overlay import Found, Search, Store, Stored
from halloo.overlay.directory import KEEP_FOR, Directory
from halloo.overlay.slots import SLOT_SIZE, members, slot_of
from halloo.sim.town import Town
from halloo.sim.world import WALL


@given(st.sets(st.binary(min_size=8, max_size=8), min_size=1, max_size=400), st.integers(0, 7))
def test_every_slot_has_its_members_whoever_asks(supernodes: set[bytes], slot: int) -> None:
    held = members(slot, supernodes)
    assert held == members(slot, sorted(supernodes, reverse=True))
    assert 1 <= len(held) <= SLOT_SIZE
    assert len(held) >= min(9, len(supernodes))
    assert set(held) <= supernodes


def test_slots_part_as_supernodes_come() -> None:
    few, many = [bytes([i, 0]) for i in range(10)], [bytes([i, 0]) for i in range(80)]
    assert len({tuple(members(slot, few)) for slot in range(8)}) == 1
    assert len({tuple(members(slot, many)) for slot in range(8)}) == 8
    assert {slot_of(bytes([i])) for i in range(256)} == set(range(8))


def entry_of(town: Town, name: str, *, version: int = 1, issued: float = WALL, key_of: str = "") -> Entry:
    """A record of a user, signed with his key (or, forged, with somebody else's)."""
    rng = random.Random(name)
    private = town.suite.identity.make(rng)
    credential = town.credential(name, town.suite.identity.public(private))
    listing = Listing(version=version, issued=int(issued), state=1, node=bytes(8))
    signer = town.suite.identity.make(random.Random(key_of)) if key_of else private
    record = list_entry(credential, listing, signer, town.suite.identity.sign)
    return town.descriptor.notary.record(record, WALL) if not key_of else Entry(None, listing, record)  # type: ignore[arg-type]


def test_the_newer_record_wins_and_old_ones_go() -> None:
    town, directory = Town(1, supernodes=1), Directory()
    assert directory.store(entry_of(town, "ada", version=5), WALL)
    assert not directory.store(entry_of(town, "ada", version=4), WALL)
    assert not directory.store(entry_of(town, "ada", version=5), WALL)
    assert directory.store(entry_of(town, "ada", version=6), WALL)
    found = directory.find("ada", WALL + 10)
    assert found is not None
    assert found.listing.version == 6
    assert directory.find("ada", WALL + KEEP_FOR + 1) is None
    assert not directory.store(entry_of(town, "bob", issued=WALL - KEEP_FOR - 5), WALL)


@pytest.mark.parametrize("part", ["credential", "listing", "signature"])
def test_a_record_that_was_altered_is_refused(part: str) -> None:
    town = Town(1, supernodes=1)
    record = entry_of(town, "ada").record
    value = bytearray(getattr(record, part))
    for at in range(0, len(value), 3):
        altered = bytes(value[:at]) + bytes([value[at] ^ 1]) + bytes(value[at + 1 :])
        with pytest.raises(PeerError):
            town.descriptor.notary.record(replace(record, **{part: altered}), WALL)


def test_a_supernode_keeps_only_true_records_of_their_owners() -> None:
    town = Town(2, supernodes=1)
    town.user("ada")
    town.world.run(3)
    supernode, world = town.world.residents["supernode0"], town.world
    node = town.node("supernode0")
    assert node.supernode is not None
    (ada,) = node.supernode.clients._clients

    def store(record: Record) -> Stored:
        assert node.supernode is not None
        effects = node.supernode.receive(Store(record=(record,), request=1), ada, None, world.now)
        send = effects[-1]
        assert isinstance(send, Send)
        assert isinstance(send.message, Stored)
        return send.message

    forged = entry_of(town, "ada", key_of="eve").record
    assert store(forged).copies == 0
    assert "not signed by its owner" in store(forged).reason
    assert "only by its owner" in store(entry_of(town, "bob").record).reason
    assert store(entry_of(town, "ada", version=1 << 50).record).copies == 1
    assert supernode.station.endpoint.faults == 0


def test_a_lying_supernode_cannot_make_a_person_up() -> None:
    town = Town(3, supernodes=1)
    town.user("ada")
    town.world.run(3)
    searches = town.node("ada").searches
    assert searches.supernode is not None
    for record in (entry_of(town, "bob", key_of="eve").record, entry_of(town, "carol").record):
        number, effects = searches.find("bob", town.world.now)
        (send,) = effects
        assert isinstance(send, Send)
        assert isinstance(send.message, Search)
        found = Found(records=(record,), complete=True, request=send.message.request)
        assert searches.receive(found, Peer(999), town.world.now) == []  # from somebody who was not asked
        (done,) = searches.receive(found, searches.supernode, town.world.now)
        assert done.number == number  # type: ignore[attr-defined]
        assert done.entries == ()  # type: ignore[attr-defined]
