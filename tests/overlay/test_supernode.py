"""One supernode before liars and crowds: what it keeps, whom it believes, what it costs."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest
from members import WALL, Village, digest, entry_of, key_named, sign, standing

from halloo.base.address import Address, Peer, Wire
from halloo.base.effects import Link, Send, Unlink
from halloo.base.errors import Malformed, PeerError
from halloo.base.machine import Effects
from halloo.messages.block import (
    PADDING,
    Beat,
    Compare,
    Differs,
    Here,
    Mesh,
    News,
    Replicate,
    Replicated,
    SignedStanding,
    Standing,
    Summary,
    Table,
    Wanted,
    Where,
    paired,
    sign_standing,
)
from halloo.messages.credential import Listing, Party, Record, list_entry
from halloo.messages.directory import AtlasAsked, AtlasTold, Found, Keep, Kept, Search, Store, Stored
from halloo.overlay.doubt import DOUBT_AGAIN, DOUBT_FOR, MAX_DOUBTS
from halloo.overlay.keeper import QUORUM, SPREAD_FOR
from halloo.overlay.roster import MAX_MEMBERS, MAX_UNVOUCHED
from halloo.overlay.search import SearchDone
from halloo.overlay.slots import Prefix, key_of
from halloo.overlay.stance import RESTATE_EVERY
from halloo.overlay.supernode import MAX_ASKED, Supernode
from halloo.sim.town import Town
from halloo.wire.command import encode_command

STRANGER = Wire(Address.parse("192.0.2.7:77"))


def far(number: int) -> Peer:
    """A link that the others began."""
    return Peer((1 << 33) + number)


def alone(at: float = 20.0) -> tuple[Village, Supernode]:
    """A supernode that has found that it is the first."""
    village = Village(1, 1)
    village.run(at)
    return village, village.houses["supernode0"].supernode


def meet(supernode: Supernode, number: int, name: str, now: float, **changes: Any) -> tuple[SignedStanding, Effects]:
    """Somebody begins a link and says how he stands."""
    own, signed = standing(name, **changes)
    claims = own.notary.credential(own.credential, WALL) if own.credential else None
    supernode.up(far(number), Party(own.public, claims), now)
    return signed, supernode.receive(Mesh(standing=(signed,), request=1), far(number), None, now)


def sent(effects: Effects, kind: type[Any]) -> list[Any]:
    return [one.message for one in effects if isinstance(one, Send) and isinstance(one.message, kind)]


def record_in(town: Town, name: str, *, version: int = 1, key: str = "") -> Record:
    """A record of a user of a town; where ``key`` is given signed with somebody else's."""
    private = town.suite.identity.make(random.Random(name))
    credential = town.credential(name, town.suite.identity.public(private))
    listing = Listing(version=version, issued=int(WALL), state=1, node=bytes(8))
    signer = town.suite.identity.make(random.Random(key)) if key else private
    return list_entry(credential, listing, signer, town.suite.identity.sign)


def test_a_supernode_keeps_only_true_records_of_their_owners() -> None:
    town = Town(2, supernodes=1)
    town.user("alice")
    town.world.run(8)
    supernode = town.node("supernode0").supernode
    assert supernode is not None
    (alice,) = supernode.clients._clients

    def store(record: Record) -> Stored:
        (stored,) = sent(supernode.receive(Store(record=(record,), request=1), alice, None, town.world.now), Stored)
        assert isinstance(stored, Stored)
        return stored

    assert "not signed by its owner" in store(record_in(town, "alice", key="eve")).reason
    assert "only by its owner" in store(record_in(town, "bob")).reason
    assert store(record_in(town, "alice", version=1 << 50)).copies == 1
    assert town.world.residents["supernode0"].station.endpoint.faults == 0


def test_a_lying_supernode_cannot_make_a_person_up() -> None:
    town = Town(3, supernodes=1)
    town.user("alice")
    town.world.run(8)
    searches = town.node("alice").searches
    assert searches.supernode is not None
    for record in (record_in(town, "bob", key="eve"), record_in(town, "carol")):
        number, effects = searches.find("bob", town.world.now)
        (search,) = sent(effects, Search)
        found = Found(records=(record,), complete=True, request=search.request)
        assert searches.receive(found, far(999), town.world.now) == []  # from somebody who was not asked
        out, now = searches.receive(found, searches.supernode, town.world.now), town.world.now
        while not any(isinstance(one, SearchDone) for one in out):  # it asks others, whom nobody plays here
            now = max(now, searches.wake_at)
            out = searches.wake(now)
        (done,) = [one for one in out if isinstance(one, SearchDone)]
        assert done.number == number
        assert done.entries == ()


def test_two_liars_that_a_table_names_do_not_hide_anybody() -> None:
    town = Town(3, supernodes=1)
    town.user("alice")
    town.world.run(8)
    searches, now = town.node("alice").searches, town.world.now
    searches.atlas.merged(Table(gateways=(STRANGER.address, Address.parse("192.0.2.8:8")), order=bytes([0, 1] * 8)))
    number, effects = searches.find("bob", now)
    (search,) = sent(effects, Search)
    lie = Found(complete=True, token=search.token)
    out = searches.answered(lie, effects[0].to.address, now)  # type: ignore[attr-defined]
    (second,) = [one for one in out if isinstance(one, Send)]
    out = searches.answered(lie, second.to.address, now)  # type: ignore[union-attr]
    (asked,) = sent(out, Search)
    assert asked.ask_others
    (done,) = searches.receive(Found(records=(record_in(town, "bob"),), request=asked.request), searches.supernode, now)  # type: ignore[arg-type]
    assert isinstance(done, SearchDone)
    assert (done.number, len(done.entries)) == (number, 1)


def test_who_is_no_supernode_says_nothing_of_the_block() -> None:
    _, supernode = alone()
    supernode.up(far(5), Party(b"k" * 16, None), 20.0)
    for message in (Beat(members=bytes(8)), News(), Summary()):
        with pytest.raises(PeerError, match="not known as a supernode"):
            supernode.receive(message, far(5), None, 20.0)
    compare, differs = Compare(depth=3, parts=bytes(256)), Differs(depth=3, parts=0)
    for other in (Replicate(), Replicated(held=1), Wanted(), compare, differs):
        with pytest.raises(PeerError, match="not known as a supernode"):
            supernode.receive(other, far(5), None, 20.0)


def test_nobody_meshes_as_somebody_else() -> None:
    _, supernode = alone()
    _, signed = standing("alice")
    supernode.up(far(5), Party(key_named("eve"), None), 20.0)
    supernode.receive(Mesh(standing=(signed,)), far(5), None, 20.0)
    assert supernode.block.links == {}
    assert len(supernode.block.roster) == 1


def test_a_member_that_is_said_to_have_gone_is_looked_for_first() -> None:
    _, supernode = alone()
    signed, _ = meet(supernode, 5, "alice", 20.0)
    meet(supernode, 6, "bob", 20.0)
    member = supernode.registrar.opened(signed, WALL)
    gone = News(gone=paired([(member.number, member.mark)]))
    (where,) = sent(supernode.receive(gone, far(6), None, 20.0), Where)
    assert supernode.receive(gone, far(6), None, 20.1) == []  # it is being looked for
    supernode.heard(Here(node=member.node, token=where.token), Wire(member.address), 20.2)
    assert member.node in supernode.block.roster.members
    (where,) = sent(supernode.receive(gone, far(6), None, 21.0), Where)
    supernode.heard(Here(node=member.node, token=where.token), STRANGER, 21.1)  # not from there
    again = sent(supernode.block.wake(21.0 + DOUBT_AGAIN), Where)
    assert where.token in [one.token for one in again]
    supernode.wake(21.0 + DOUBT_FOR + 0.1)
    assert member.node not in supernode.block.roster.members
    supernode.receive(News(standings=(signed,)), far(6), None, 25.0)
    assert member.node not in supernode.block.roster.members  # an old word brings nobody back


def test_a_supernode_started_again_with_another_key_takes_the_place_of_the_old_one() -> None:
    _, supernode = alone()
    here = Address.parse("10.7.7.7:7")
    _old, _ = meet(supernode, 5, "alice", 20.0, listening=here)
    supernode.down(far(5), "gone", 21.0)
    new, _out = meet(supernode, 6, "bob", 21.1, listening=here)
    (token,) = supernode.block._doubts.tokens
    new_node = supernode.registrar.opened(new, WALL).node
    supernode.heard(Here(node=new_node, token=token), Wire(here), 21.2)
    assert [one.node for one in supernode.block.roster.members.values() if one.address == here] == [new_node]


def test_a_member_nobody_can_reach_is_doubted_though_no_link_ever_stood() -> None:
    _, supernode = alone()
    meet(supernode, 5, "alice", 20.0)
    _, zombie = standing("zombie")
    member = supernode.registrar.opened(zombie, WALL)
    supernode.receive(News(standings=(zombie,)), far(5), None, 20.0)
    assert member.node in supernode.block.roster.members
    links = [one for one in supernode.wake(22.0) if isinstance(one, Link)]
    dialled = [one.peer for one in links if one.route == Wire(member.address)]
    assert len(dialled) == 1
    assert sent(supernode.down(dialled[0], "no answer", 25.0), Where)
    supernode.wake(25.0 + DOUBT_FOR + 0.1)
    assert member.node not in supernode.block.roster.members


def test_who_is_said_to_have_gone_says_that_he_is_there_and_cannot_be_driven_into_the_future() -> None:
    _, supernode = alone()
    meet(supernode, 5, "alice", 20.0)
    block = supernode.block
    before = block.me.version
    for at in range(3_000):
        now = 21.0 + at / 100
        pairs = paired((int.from_bytes(supernode.node, "big"), block.me.mark + n) for n in range(100))
        supernode.receive(News(gone=pairs), far(5), None, now)
        supernode.heard(Where(key=bytes(8), token=bytes(8), doubt=1 << 48), STRANGER, now)
        if supernode.wake_at <= now:
            supernode.wake(now)
    assert before < block.me.version <= WALL + now + 1


def test_a_supernode_started_again_in_the_same_second_is_believed_again() -> None:
    village, supernode = alone()
    block = supernode.block
    meet(supernode, 5, "alice", 20.0)
    later = Standing(
        node=supernode.node, listening=supernode.listening, since=1, version=block.me.version + 50, slot=9
    )
    key = village.houses["supernode0"].key
    signed = sign_standing(later, supernode.registrar.credential, key, key, sign)
    supernode.receive(News(standings=(signed,)), far(5), None, 20.5)
    if block.me.version <= later.version:
        supernode.wake(20.5 + RESTATE_EVERY)
    assert block.me.version > later.version
    assert block.me.slot != 9


def test_at_an_address_of_the_description_only_who_answers_there_is_trusted() -> None:
    _, supernode = alone()
    here = Address.parse("10.7.7.7:7")
    supernode.registrar.vouched = (here,)
    signed, out = meet(supernode, 5, "eve", 20.0, listening=here, account=False)
    eve = supernode.registrar.opened(signed, WALL).node
    assert not supernode.block.roster.members[eve].trusted
    (where,) = sent(out, Where)
    supernode.heard(Here(node=bytes(8), token=where.token), Wire(here), 20.1)
    assert eve not in supernode.block.roster.members
    signed, out = meet(supernode, 6, "alice", 21.0, listening=here, account=False)
    alice = supernode.registrar.opened(signed, WALL).node
    (where,) = [one for one in sent(out, Where) if one.doubt == 0]
    supernode.heard(Here(node=alice, token=where.token), Wire(here), 21.1)
    assert supernode.block.roster.members[alice].trusted


def test_a_crowd_without_accounts_splits_no_block_and_finds_no_room() -> None:
    _, supernode = alone()
    meet(supernode, 5, "alice", 20.0)
    for number in range(MAX_MEMBERS):
        _, signed = standing(f"crowd{number}", account=False, depth=1)
        supernode.receive(News(standings=(signed,)), far(5), None, 20.0)
    assert len(supernode.block.roster) == MAX_UNVOUCHED + 2
    for at in range(21, 80):
        if supernode.block.wake_at <= at:
            supernode.block.wake(float(at))
    assert supernode.block.roster.prefix.depth == 0
    assert len(supernode.block._doubts) <= MAX_DOUBTS


def spreading(links: int) -> tuple[Supernode, list[Peer]]:
    """A supernode with links to others that hold what it holds."""
    _, supernode = alone()
    for number in range(links):
        meet(supernode, 100 + number, f"holder{number}", 20.0)
    return supernode, [far(100 + number) for number in range(links)]


def test_five_have_a_record_before_its_writer_hears_of_it() -> None:
    supernode, peers = spreading(8)
    out = supernode.heard(Keep(record=(entry_of("alice").record,), token=b"12345678", request=3), STRANGER, 21.0)
    copies = sent(out, Replicate)
    assert len(copies) == len(peers)
    assert not sent(out, Kept)
    for count, peer in enumerate(peers[: QUORUM - 1], 2):
        out = supernode.receive(Replicated(held=1, request=copies[0].request), peer, None, 21.1)
        assert len(sent(out, Kept)) == (count == QUORUM)
    (kept,) = sent(out, Kept)
    assert (kept.copies, kept.token, kept.request) == (QUORUM, b"12345678", 3)


def test_one_holder_counts_once() -> None:
    supernode, peers = spreading(8)
    out = supernode.heard(Keep(record=(entry_of("alice").record,), token=bytes(8)), STRANGER, 21.0)
    (number, *_) = {one.request for one in sent(out, Replicate)}
    for _ in range(20):
        assert supernode.receive(Replicated(held=1, request=number), peers[0], None, 21.1) == []
    (kept,) = sent(supernode.wake(21.0 + SPREAD_FOR), Kept)
    assert kept.copies == 2


def test_a_false_record_is_not_kept_whoever_brings_it() -> None:
    supernode, peers = spreading(3)
    false = replace(entry_of("alice").record, signature=b"no")
    (kept,) = sent(supernode.heard(Keep(record=(false,), token=bytes(8)), STRANGER, 21.0), Kept)
    assert kept.copies == 0
    brought = Replicate(records=(false, entry_of("bob").record))
    (told,) = sent(supernode.receive(brought, peers[0], None, 21.0), Replicated)
    assert told.held == 1
    assert [entry.name for entry in supernode.directory.all()] == ["bob"]


def test_an_older_record_brought_later_changes_nothing() -> None:
    supernode, peers = spreading(3)
    for version in (2, 1):
        supernode.receive(Replicate(records=(entry_of("alice", version=version).record,)), peers[0], None, 21.0)
    assert supernode.directory.version(key_of(digest, "alice")) == 2


def test_an_answer_in_the_open_is_not_longer_than_the_question() -> None:
    supernode, _ = spreading(3)
    supernode.directory.store(entry_of("alice"), WALL)
    key = key_of(digest, "alice").to_bytes(8, "big")
    bare = Search(key=key, token=b"12345678")
    (found,) = sent(supernode.heard(bare, STRANGER, 21.0), Found)
    assert len(encode_command(found)) <= 2 * len(encode_command(bare))
    padded = replace(bare, padding=PADDING)
    (found,) = sent(supernode.heard(padded, STRANGER, 21.0), Found)
    assert len(found.records) == 1
    assert len(encode_command(found)) <= 3 * len(encode_command(padded))
    for question in (Where(key=key, token=bytes(8)), Where(key=key, token=bytes(8), padding=PADDING)):
        (here,) = sent(supernode.heard(question, STRANGER, 21.0), Here)
        assert len(encode_command(here)) <= 3 * len(encode_command(question))


def comparing() -> tuple[Supernode, Peer, Compare]:
    supernode, peers = spreading(3)
    slot = key_of(digest, "alice") >> 61
    return supernode, peers[0], Compare(depth=3, bits=slot, parts=bytes(256))


def test_what_differs_is_exchanged() -> None:
    one, peer, _ = comparing()
    other, other_peer, _ = comparing()
    one.directory.store(entry_of("alice", version=2), WALL)
    other.directory.store(entry_of("alice", version=1), WALL)
    slot = key_of(digest, "alice") >> 61
    asked = Compare(depth=3, bits=slot, parts=one.directory.parts(Prefix(3, slot)))
    (differs,) = sent(other.receive(asked, other_peer, None, 21.0), Differs)
    out = one.receive(differs, peer, None, 21.0)
    (given,) = sent(out, Replicate)
    other.receive(given, other_peer, None, 21.0)
    assert other.directory.version(key_of(digest, "alice")) == 2
    assert other.receive(asked, other_peer, None, 21.0) == []
    wanted = Wanted(keys=key_of(digest, "alice").to_bytes(8, "big"))
    assert sent(one.receive(wanted, peer, None, 21.0), Replicate) == [given]


@pytest.mark.parametrize(
    "message",
    [
        Compare(depth=2, bits=0, parts=bytes(256)),
        Compare(depth=3, bits=8, parts=bytes(256)),
        Differs(depth=0, bits=0, parts=1),
        Differs(depth=3, bits=0, parts=1, held=bytes(15)),
        Wanted(keys=bytes(9)),
    ],
    ids=str,
)
def test_comparisons_that_cannot_be_are_a_fault(message: Any) -> None:
    supernode, peers = spreading(2)
    with pytest.raises(Malformed):
        supernode.receive(message, peers[0], None, 21.0)


def test_a_write_to_another_slot_is_checked_with_others_and_one_liar_counts_once() -> None:
    _, supernode = alone()
    keeper, entry = supernode.keeper, entry_of("alice")
    holders = [Address.of(f"10.6.0.{n}", 1) for n in range(1, 6)]
    out = keeper._run(entry, key_of(digest, "alice"), far(4), 9, 20.0)
    (token,) = keeper._errands
    errand = keeper._errands[token]
    errand.candidates[:] = holders
    out = keeper._ask(token, errand, 20.0)
    assert [one.to for one in out if isinstance(one, Send)] == [Wire(holders[0])]
    assert keeper.kept(Kept(copies=5, token=token), holders[3], 20.1) == []  # it was not asked
    assert keeper.kept(Kept(copies=5, token=bytes(8)), holders[0], 20.1) == []  # it did not answer this
    out = keeper.kept(Kept(copies=5, token=token), holders[0], 20.1)
    assert [one.copies for one in sent(out, Stored)] == [5]
    checks = [one.to for one in keeper.wake(20.7) if isinstance(one, Send)]
    assert checks == [Wire(holders[1]), Wire(holders[2])]
    for _ in range(4):
        keeper.kept(Kept(copies=5, token=token), holders[0], 20.8)
    assert errand.checks == 2
    keeper.kept(Kept(copies=5, token=token), holders[1], 20.8)
    keeper.kept(Kept(copies=5, token=token), holders[2], 20.8)
    assert keeper._errands == {}


def test_a_record_whose_holders_are_gone_is_kept_by_whom_others_of_the_block_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _, supernode = alone()
    keeper, entry, key = supernode.keeper, entry_of("alice"), key_of(digest, "alice")
    gone, knows, holder = ([Address.of(f"10.6.{i}.{n}", 1) for n in (1, 2)] for i in range(3))
    keeper.block.roster.prefix = Prefix.of(key, 1).sibling
    monkeypatch.setattr(type(keeper.block.atlas), "holders", lambda *_: list(gone))
    monkeypatch.setattr(type(keeper.block.atlas), "knowing", lambda *_: list(knows))
    asked = [one.to for one in keeper._run(entry, key, far(4), 9, 20.0) if isinstance(one, Send)]
    (token,) = keeper._errands
    for now in (20.5, 21.0):
        asked += [one.to for one in keeper.wake(now) if isinstance(one, Send)]
    assert asked[:2] == [Wire(one) for one in gone]
    assert asked[2] in [Wire(one) for one in knows]
    told = Kept(copies=0, others=tuple(holder), token=token)
    (please,) = keeper.kept(told, asked[2].address, 21.1)
    assert please.to == Wire(holder[0])
    out = keeper.kept(Kept(copies=5, token=token), holder[0], 21.2)
    assert [one.copies for one in sent(out, Stored)] == [5]


@pytest.mark.parametrize("honest", [True, False])
def test_a_record_handed_on_is_forgotten_when_two_say_that_they_hold_it(
    honest: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, supernode = alone()
    keeper, entry = supernode.keeper, entry_of("alice")
    key = key_of(digest, "alice")
    keeper.directory.store(entry, WALL)
    keeper._run(entry, key, None, 0, 20.0, handed_on=True)
    ((token, errand),) = keeper._errands.items()
    errand.candidates[:] = [Address.of(f"10.6.0.{n}", 1) for n in range(1, 6)]
    keeper._ask(token, errand, 20.0)
    monkeypatch.setattr(type(keeper), "holds", lambda *_: False)
    keeper.kept(Kept(copies=9, token=token), errand.asked[0], 20.1)
    keeper.wake(20.7)
    for address in errand.asked[1:]:
        keeper.kept(Kept(copies=9 if honest else 0, token=token), address, 20.8)
    assert keeper._errands == {}
    assert (keeper.directory.version(key) == 0) == honest


def test_a_flood_of_searches_is_answered_and_not_kept() -> None:
    supernode, _ = spreading(2)
    for request in range(3 * MAX_ASKED):
        asked = Search(key=digest(str(request).encode())[:8], ask_others=True, request=request & 0xFFFF)
        out = supernode.receive(asked, far(2), None, 21.0)
    assert len(supernode._asked) == MAX_ASKED
    assert sent(out, Found) == [Found(complete=False, request=(3 * MAX_ASKED - 1) & 0xFFFF)]
    answers = []
    while supernode._asked:
        answers += sent(supernode.wake(supernode.wake_at), Found)
    assert len(answers) == MAX_ASKED
    assert not any(one.complete for one in answers)


def test_supernodes_that_went_are_forgotten() -> None:
    _, supernode = alone()
    now = 20.0
    for number in range(300):
        meet(supernode, 100 + number, f"guest{number}", now)
        supernode.down(far(100 + number), "gone", now)
        now += 1.0
        while supernode.block.wake_at <= now:
            supernode.block.wake(supernode.block.wake_at)
    assert len(supernode.block.roster) <= 5
    assert supernode.block.links == {}
    assert len(supernode.block._doubts) <= 5


def test_a_goodbye_is_believed_at_once_and_only_from_its_owner() -> None:
    _, supernode = alone()
    signed, _ = meet(supernode, 5, "alice", 20.0)
    node = supernode.registrar.opened(signed, WALL).node
    _, leaving = standing("alice", slot=9, version=int(WALL) + 5)
    with pytest.raises(PeerError):
        supernode.receive(News(standings=(replace(leaving, signature=b"no"),)), far(5), None, 21.0)
    assert node in supernode.block.roster.members
    supernode.receive(News(standings=(leaving,)), far(5), None, 21.0)
    assert node not in supernode.block.roster.members


def test_who_asks_for_the_blocks_hears_of_large_ones_first() -> None:
    _, supernode = alone()
    for depth, bits in ((3, 0), (2, 1), (1, 1)):
        supernode.block.atlas.learn(Table(depth=depth, bits=bits, gateways=(STRANGER.address,), order=bytes(16)))
    (told,) = sent(supernode.receive(AtlasAsked(request=4), far(2), None, 21.0), AtlasTold)
    assert [one.depth for one in told.tables] == [0, 1, 2, 3]


def test_a_second_link_between_the_same_two_is_ended_by_one_of_them() -> None:
    _, supernode = alone()
    meet(supernode, 5, "alice", 20.0)
    _, out = meet(supernode, 6, "alice", 20.0)
    (node,) = supernode.block.links
    ended = [one.peer for one in out if isinstance(one, Unlink)]
    assert len(ended) == (supernode.node < node)
    assert supernode.block.links[node] not in ended
