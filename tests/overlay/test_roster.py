"""The members of a block: whose standings are believed, and that all who hear the same know the same."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from members import WALL, credential, key_named, member, registrar, sign, standing

from halloo.base.address import Address
from halloo.base.errors import Malformed, PeerError, Refused
from halloo.messages.block import SignedStanding, Standing, sign_standing
from halloo.overlay.roster import MAX_GONE, Member, Roster
from halloo.overlay.slots import GOING, Prefix
from halloo.wire.command import encode_shape

NAMES = [f"member{number}" for number in range(6)]
states = st.lists(
    st.tuples(st.sampled_from(NAMES), st.integers(1, 4), st.sampled_from([0, 3, 7, 8, GOING]), st.integers(0, 1)),
    max_size=30,
)


def members_of(said: list[tuple[str, int, int, int]]) -> list[Member]:
    return [member(name, version=int(WALL) + version, slot=slot, room=room) for name, version, slot, room in said]


def known(roster: Roster) -> object:
    return sorted(roster.members.items()), sorted(roster.gone.items()), roster.digest, roster.held


@given(states, st.randoms(use_true_random=False))
def test_in_whatever_order_standings_come_the_roster_is_the_same(
    said: list[tuple[str, int, int, int]], rng: Random
) -> None:
    one, other, heard = Roster(), Roster(), members_of(said)
    for each in heard:
        one.add(each)
    rng.shuffle(heard)
    for each in [*heard, *heard[:5]]:
        other.add(each)
    assert known(one) == known(other)


@given(states)
def test_a_digest_tells_rosters_apart(said: list[tuple[str, int, int, int]]) -> None:
    one, other = Roster(), Roster()
    for each in members_of(said):
        one.add(each)
    for each in list(one.members.values())[1:]:
        other.add(each)
    assert (one.digest == other.digest) == (not one.members)


def test_a_standing_says_what_its_owner_said() -> None:
    own, signed = standing("alice", slot=3, room=9)
    opened = own.opened(signed, WALL)
    assert (opened.slot, opened.room, opened.trusted) == (3, 9, True)
    assert opened.place == own.place("alice", opened.address)
    own, signed = standing("alice", account=False)
    opened = own.opened(signed, WALL)
    assert not opened.trusted
    assert opened.place == own.place("", opened.address)


def test_a_standing_that_was_altered_is_refused() -> None:
    own, signed = standing("alice")
    for part in ("credential", "key", "standing", "signature"):
        value = getattr(signed, part)
        for at in range(len(value)):
            altered = value[:at] + bytes([value[at] ^ 1]) + value[at + 1 :]
            with pytest.raises(PeerError):
                own.opened(replace(signed, **{part: altered}), WALL)


def forged(**changes: object) -> tuple[SignedStanding, object]:
    own, _ = standing("eve")
    values = {"node": own.digest(own.public)[:8], "listening": Address.of("10.0.0.9", 9), "since": 1, "version": 1}
    return own.signed(Standing(**(values | changes))), own  # type: ignore[arg-type]


def test_nobody_stands_under_anothers_id() -> None:
    _, alice = standing("alice")
    own, eve = standing("eve")
    with pytest.raises(Refused, match="not its own"):
        own.opened(replace(alice, key=eve.key), WALL)
    signed, _ = forged(node=own.digest(b"somebody")[:8])
    with pytest.raises(Refused, match="not its own"):
        own.opened(signed, WALL)


def test_nobody_stands_with_anothers_credential() -> None:
    own, eve = standing("eve")
    with pytest.raises(Refused, match="somebody else's credential"):
        own.opened(replace(eve, credential=credential("alice", key_named("alice"))), WALL)


def test_a_standing_from_the_future_is_refused() -> None:
    own, signed = standing("alice", version=int(WALL) + 90_000)
    with pytest.raises(Refused, match="future"):
        own.opened(signed, WALL)
    assert own.opened(signed, WALL + 10_000).version == int(WALL) + 90_000


def test_who_listens_nowhere_is_no_supernode() -> None:
    signed, own = forged(listening=Address.of("10.0.0.9", 0))
    with pytest.raises(Malformed, match="nowhere"):
        own.opened(signed, WALL)  # type: ignore[attr-defined]


def test_where_the_description_names_a_supernode_not_everybody_is_one() -> None:
    address = Address.of("10.0.0.9", 9)
    key = key_named("eve")
    own = registrar("eve", key, (address,), account=False)
    body = Standing(node=own.digest(key)[:8], listening=address, since=1, version=1)
    assert not own.opened(sign_standing(body, b"", key, key, sign), WALL).trusted
    assert own.own(body).trusted


def test_what_was_said_earlier_brings_nothing_back() -> None:
    roster = Roster()
    old, new = member("alice", version=10, slot=1), member("alice", version=11, slot=2)
    assert roster.add(new)
    assert not roster.add(old)
    assert not roster.add(new)
    assert roster.members[new.node].slot == 2
    assert roster.remove(new.node)
    assert not roster.remove(new.node)
    assert not roster.add(new)
    assert roster.add(member("alice", version=12))
    assert roster.add(member("alice", version=13, slot=GOING))
    assert not roster.add(member("alice", version=12))
    assert len(roster) == 0


def test_of_two_standings_of_one_version_all_take_the_same() -> None:
    two = [member("alice", version=10, slot=slot) for slot in (1, 2)]
    rosters = [Roster(), Roster()]
    for roster, order in zip(rosters, (two, two[::-1]), strict=True):
        for one in order:
            roster.add(one)
    assert rosters[0].members == rosters[1].members
    assert Roster(members={two[0].node: two[0]}).digest != Roster(members={two[1].node: two[1]}).digest


def test_those_who_have_gone_are_remembered_within_bounds() -> None:
    roster = Roster()
    for number in range(2 * MAX_GONE):
        one = member(f"member{number}")
        roster.add(one)
        roster.remove(one.node)
    assert len(roster.gone) == MAX_GONE
    assert one.node in roster.gone


def test_a_smaller_block_knows_only_its_own() -> None:
    roster = Roster()
    for number in range(40):
        roster.add(member(f"member{number}"))
    half = Prefix(1, 1)
    roster.shrink(half)
    assert 0 < len(roster) < 40
    assert all(half.covers(one.place) for one in roster.members.values())
    strangers = [member(f"member{n}") for n in range(40) if not half.covers(member(f"member{n}").place)]
    assert not any(roster.add(one) for one in strangers)


def test_places_are_nobodys_choice() -> None:
    places = {registrar(name, key_named(name)).place(name, Address.of("10.0.0.1", 1)) >> 61 for name in NAMES * 1}
    assert len(places) > 2
    own = registrar("alice", key_named("alice"))
    assert own.place("alice", Address.of("10.0.0.1", 1)) == own.place("alice", Address.of("10.0.0.2", 2))


def test_a_mark_holds_version_and_content() -> None:
    one = member("alice", version=7)
    assert one.mark >> 16 == 7
    assert len(encode_shape(one.signed)) < 600
