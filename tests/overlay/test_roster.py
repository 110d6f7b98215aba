"""Members of a block: nobody is invented, rolled back or moved, and the order of news does not matter."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from halloo.base.address import Address
from halloo.base.errors import PeerError
from halloo.messages.block import SignedStanding, Standing, Table, standing_of
from halloo.overlay.atlas import Atlas, table_of
from halloo.overlay.roster import Member, Registrar, Roster
from halloo.overlay.slots import GOING, STANDBY, Prefix, slot_of
from halloo.sim.town import Town
from halloo.sim.world import WALL

TOWN = Town(1, supernodes=1)


def registrar(name: str = "", *, vouched: tuple[Address, ...] = (), credential: bytes | None = None) -> Registrar:
    suite = TOWN.suite
    private = suite.identity.make(random.Random(name or "nobody"))
    public = suite.identity.public(private)
    if credential is None:
        credential = TOWN.credential(name, public) if name else b""
    notary = TOWN.descriptor.notary
    return Registrar(notary, suite.digest, vouched, private, public, credential, name, suite.identity.sign)


def standing(who: Registrar, **fields: object) -> SignedStanding:
    node = TOWN.suite.digest(who.public)[:8]
    listening = Address.parse("81.2.3.4:5")
    said = Standing(node=node, listening=listening, since=int(WALL), version=int(WALL))
    return who.signed(replace(said, **fields))  # type: ignore[arg-type]


def member(name: str, **fields: object) -> Member:
    who = registrar(name)
    return who.opened(standing(who, **fields), WALL)


def test_a_true_standing_is_opened() -> None:
    who = registrar("ada")
    opened = who.opened(standing(who, slot=4, depth=2), WALL)
    assert (opened.slot, opened.depth, opened.trusted) == (4, 2, True)
    assert opened.place == member("ada", listening=Address.parse("99.9.9.9:9")).place  # an account has one place
    stranger = registrar("")
    assert not stranger.opened(standing(stranger), WALL).trusted
    named = registrar("", vouched=(Address.parse("81.2.3.4:5"),))
    assert not named.opened(standing(named), WALL).trusted  # it has to be found there first


@pytest.mark.parametrize("part", ["credential", "key", "standing", "signature"])
def test_an_altered_standing_is_refused(part: str) -> None:
    who = registrar("ada")
    signed = standing(who)
    value = bytearray(getattr(signed, part))
    for at in range(0, len(value), 3):
        altered = bytes(value[:at]) + bytes([value[at] ^ 1]) + bytes(value[at + 1 :])
        with pytest.raises(PeerError):
            who.opened(replace(signed, **{part: altered}), WALL)


def test_standings_that_are_not_the_signers_own_are_refused() -> None:
    ada, eve = registrar("ada"), registrar("eve")
    with pytest.raises(PeerError, match="an id that is not its own"):
        ada.opened(standing(eve, node=TOWN.suite.digest(ada.public)[:8]), WALL)
    thief = registrar("eve", credential=ada.credential)
    with pytest.raises(PeerError, match="somebody else's credential"):
        ada.opened(standing(thief), WALL)
    with pytest.raises(PeerError, match="future"):
        ada.opened(standing(ada, version=int(WALL) + 100_000), WALL)
    with pytest.raises(PeerError, match="nowhere"):
        ada.opened(standing(ada, listening=Address.parse("81.2.3.4:0")), WALL)


NAMES = [f"user{number}" for number in range(6)]
NEWS = st.lists(
    st.tuples(st.sampled_from(NAMES), st.integers(1, 6), st.integers(0, GOING)),
    max_size=20,
    unique_by=lambda news: news[:2],  # an honest member says one thing under one version
)


@settings(max_examples=60)
@given(NEWS, st.randoms(use_true_random=False))
def test_the_order_of_news_does_not_matter(news: list[tuple[str, int, int]], rng: random.Random) -> None:
    heard = [member(name, version=version, slot=slot) for name, version, slot in news]
    one, other = Roster(), Roster()
    for told in heard:
        one.add(told)
    rng.shuffle(heard)
    for told in heard:
        other.add(told)
    assert one.digest == other.digest
    assert {node: held.version for node, held in one.members.items()} == {
        node: held.version for node, held in other.members.items()
    }
    assert one.held == other.held


def test_who_has_gone_comes_back_only_with_something_newer() -> None:
    roster, ada = Roster(), member("ada", version=5)
    assert roster.add(ada)
    assert not roster.add(member("ada", version=4))
    assert roster.remove(ada.node)
    assert not roster.add(ada)
    assert len(roster) == 0
    assert roster.add(member("ada", version=6))
    assert roster.add(member("ada", version=7, slot=GOING))
    assert len(roster) == 0


def test_a_roster_knows_its_own_block_only() -> None:
    everyone = [member(name) for name in NAMES]
    prefix = Prefix.of(everyone[0].place, 1)
    roster = Roster()
    for one in everyone:
        roster.add(one)
    roster.shrink(prefix)
    assert set(roster.members) == {one.node for one in everyone if prefix.covers(one.place)}
    for one in everyone:
        assert not roster.add(replace(one, version=one.version + 1)) or prefix.covers(one.place)


# --- the map of blocks ----------------------------------------------------------------------------------------------


def table(depth: int, bits: int, host: int) -> Table:
    return Table(depth=depth, bits=bits, gateways=(Address.of(f"81.2.3.{host}", 5),), order=bytes(16))


def test_the_smallest_block_that_covers_a_key_counts() -> None:
    atlas = Atlas()
    assert atlas.learn(table(0, 0, 1))
    assert atlas.learn(table(1, 1, 2))
    assert not atlas.learn(table(1, 1, 2))
    low, high = 1 << 60, 1 << 63
    assert atlas.holders(low)[0].ip == "81.2.3.1"
    assert atlas.holders(high)[0].ip == "81.2.3.2"
    atlas.learn(table(1, 0, 3))
    assert len(atlas) == 2  # both halves are known: the whole counts no longer
    assert atlas.holders(low)[0].ip == "81.2.3.3"
    atlas.merged(table(0, 0, 4))
    assert len(atlas) == 1
    assert atlas.holders(high)[0].ip == "81.2.3.4"


@pytest.mark.parametrize(
    "wrong", [Table(depth=1, bits=2, gateways=table(0, 0, 1).gateways, order=bytes(16)), Table(order=bytes(16))]
)
def test_a_table_that_cannot_be_is_not_learnt(wrong: Table) -> None:
    atlas = Atlas()
    assert not atlas.learn(wrong)
    assert len(atlas) == 0


def test_a_table_names_two_of_each_slot() -> None:
    roster = Roster()
    for number, name in enumerate(NAMES):
        address = Address.of(f"81.{number}.3.4", 5)
        roster.add(member(name, listening=address, slot=number if number < 5 else STANDBY, since=number))
    made = table_of(roster)
    for key in range(0, 1 << 64, 1 << 59):
        held = roster.held[slot_of(key, 0)]
        atlas = Atlas()
        atlas.learn(made)
        assert atlas.holders(key) == [one.address for one in held[:2]]
        assert set(atlas.holders(key)).isdisjoint(atlas.knowing(key))
    assert all(standing_of(one.signed).slot == one.slot for one in roster.members.values())
