"""Directory and records: what is kept, and what is not believed."""

from __future__ import annotations

from dataclasses import replace

import pytest
from records import entry_of

from halloo.base.address import Peer
from halloo.base.effects import Send
from halloo.base.errors import PeerError
from halloo.messages.credential import Record
from halloo.messages.directory import Found, Search, Store, Stored
from halloo.overlay.directory import KEEP_FOR, Directory
from halloo.overlay.slots import key_of
from halloo.sim.town import Town
from halloo.sim.world import WALL


def test_the_newer_record_wins_and_old_ones_go() -> None:
    town = Town(1, supernodes=1)
    directory, ada = Directory(town.suite.digest), key_of(town.suite.digest, "ada")
    assert directory.store(entry_of(town, "ada", version=5), WALL)
    assert not directory.store(entry_of(town, "ada", version=4), WALL)
    assert not directory.store(entry_of(town, "ada", version=5), WALL)
    assert directory.store(entry_of(town, "ada", version=6), WALL)
    found = directory.find(ada, WALL + 10)
    assert found is not None
    assert found.listing.version == 6
    assert directory.find(ada, WALL + KEEP_FOR + 1) is None
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
    searches.open_to = False  # it is all that we can ask
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
