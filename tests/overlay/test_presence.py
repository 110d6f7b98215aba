"""What a presence secret gives: states that come back to who may read them and nobody else, and chains with an age."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from halloo.base.errors import PeerError, UsageError
from halloo.crypto.suites import SUITES
from halloo.messages.chain import linked, links_between
from halloo.messages.credential import Listing, Presence
from halloo.overlay.presence import MAX_MOOD, MAX_MOOD_BYTES, SALT_SIZE, SHOWN_SIZE, Shown, Sight, mark
from halloo.overlay.showing import MAX_ALLOWED, Showing
from halloo.wire.command import decode_shape, encode_shape

EVERY = [SUITES[number] for number in sorted(SUITES)]
WALL = 1_800_000_000
printable = st.characters(exclude_categories=("C", "Z"), include_characters=" ")
moods = st.text(printable, max_size=MAX_MOOD).filter(lambda said: len(said.encode()) <= MAX_MOOD_BYTES)
shown = st.builds(Shown, st.sampled_from(Presence), st.integers(0, (1 << 40) - 1), moods)


def showing(suite_number: int = 0, seed: int = 1) -> Showing:
    suite = EVERY[suite_number % len(EVERY)]
    return Showing("ada", suite.digest, suite.seal, suite.seal_key_size, Random(seed))


@given(shown)
def test_a_state_comes_back_and_its_size_tells_nothing(said: Shown) -> None:
    assert len(said.packed()) == SHOWN_SIZE
    assert Shown.unpacked(said.packed()) == said


@pytest.mark.parametrize("suite", EVERY, ids=lambda suite: suite.name)
@given(said=shown, secret=st.binary(min_size=32, max_size=32), salt=st.binary(min_size=16, max_size=16))
def test_a_sealed_state_opens_for_its_secret_epoch_and_name_alone(
    suite: object, said: Shown, secret: bytes, salt: bytes
) -> None:
    from halloo.crypto.suite import Suite

    assert isinstance(suite, Suite)
    ways = suite.digest, suite.seal, suite.seal_key_size
    sight = Sight(3, secret)
    blob = sight.sealed(said, "ada", salt, *ways)
    assert len(blob) <= 160  # what the record takes
    assert sight.opened(blob, "ada", *ways) == said
    if suite.name == "modern":  # the others promise less
        other = bytes([secret[0] ^ 1]) + secret[1:]
        for wrong, name in ((Sight(4, secret), "ada"), (Sight(3, other), "ada"), (sight, "bob")):
            with pytest.raises(PeerError):
                wrong.opened(blob, name, *ways)


@given(st.binary(max_size=200))
def test_what_was_not_sealed_is_refused(blob: bytes) -> None:
    suite = EVERY[0]
    with pytest.raises(PeerError):
        Sight(1, bytes(32)).opened(blob, "ada", suite.digest, suite.seal, suite.seal_key_size)


@given(st.binary(min_size=SHOWN_SIZE, max_size=SHOWN_SIZE))
def test_a_state_of_any_bytes_is_one_or_malformed(data: bytes) -> None:
    try:
        said = Shown.unpacked(data)
    except PeerError:
        return
    assert len(said.mood) <= MAX_MOOD


@pytest.mark.parametrize("mood", ["x" * 81, "☕" * 41, "two\nlines", "\ud800"])
def test_what_is_no_mood(mood: str) -> None:
    with pytest.raises(UsageError):
        Shown(Presence.ONLINE, 0, mood)


@given(st.binary(min_size=16, max_size=16), st.integers(1, 60), st.integers(0, 60))
def test_a_pulse_leads_back_as_many_links_as_minutes_have_passed(root: bytes, first: int, second: int) -> None:
    digest = EVERY[0].digest
    later = linked(digest, root, second)
    earlier = linked(digest, later, first)
    assert links_between(digest, earlier, later, 100) == first
    assert links_between(digest, later, earlier, 100) == 0
    assert links_between(digest, earlier, earlier, 100) == 0
    assert links_between(digest, earlier, later, first - 1) == 0


def test_the_record_of_who_allows_nobody_is_as_it_was() -> None:
    listing = Listing(version=1, issued=WALL, state=1, node=bytes(8))
    assert showing().filled(listing) == listing


@pytest.mark.parametrize("suite", range(len(EVERY)))
def test_the_state_is_sealed_anew_with_each_record_of_who_is_seen_on_line(suite: int) -> None:
    own = showing(suite)
    own.allow("bob", WALL)
    first = own.filled(Listing(version=1, issued=WALL, state=1, node=bytes(8)))
    second = own.filled(Listing(version=2, issued=WALL + 900, state=1, node=bytes(8)))
    assert first.presence != second.presence
    own.show(Presence.AWAY, "tea", WALL + 90_001)
    third = own.filled(Listing(version=4, issued=WALL + 90_001, state=1, node=bytes(8)))
    assert (third.presence != second.presence, third.state, third.watch) == (True, 1, first.watch)
    own.show(Presence.ONLINE, None, WALL + 90_002, invisible=True)
    hidden = own.filled(Listing(version=5, issued=WALL + 90_002, state=1, node=bytes(8)))
    assert own.sight is not None
    seen = own.sight.opened(hidden.presence, "ada", own.digest, own.seal, own.seal_key_size)
    assert (seen.state, hidden.state, own.lives) == (Presence.OFFLINE, Presence.ONLINE, False)
    again = own.filled(Listing(version=6, issued=WALL + 91_000, state=1, node=bytes(8)))
    assert again.presence == hidden.presence  # who watches is not told that he is there
    own.show(Presence.AWAY, None, WALL + 90_003)
    own.everybody = True
    assert own.filled(Listing(version=6, issued=WALL + 90_003, state=1, node=bytes(8))).state == Presence.AWAY


def test_to_deny_is_to_draw_a_new_secret_for_those_who_remain() -> None:
    own = showing()
    own.allow("bob", WALL)
    own.allow("Carol", WALL)
    before = own.sight
    assert before is not None
    own.given("bob", before.epoch)
    assert own.waiting() == ["carol"]
    assert not own.deny("zoe", WALL)
    assert own.sight == before
    assert own.deny("carol", WALL)
    after = own.sight
    assert after is not None
    assert (after.epoch > before.epoch, after.secret != before.secret, own.waiting()) == (True, True, ["bob"])
    assert mark(own.digest, after.token(own.digest)) != mark(own.digest, before.token(own.digest))
    own.given("bob", before.epoch)  # the old one, late
    assert own.waiting() == ["bob"]
    with pytest.raises(UsageError):
        own.allow("ada", WALL)
    for number in range(MAX_ALLOWED - 1):
        own.allow(f"friend{number}", WALL)
    with pytest.raises(UsageError):
        own.allow("one.more", WALL)


def test_the_largest_listing_fits_its_record() -> None:
    from halloo.base.address import Address

    own = showing(1)
    own.allow("bob", WALL)
    own.show(Presence.AWAY, "☕" * 40, WALL)
    listing = Listing(
        version=1 << 59,
        issued=WALL,
        state=1,
        node=bytes(8),
        supernode=Address(bytes(16), 1),
        reachable=tuple(Address(bytes(15) + bytes([i]), 65_535) for i in range(6)),
        full_name="🙂" * 64,
        city="🙂" * 64,
        email=bytes(64),
    )
    form = encode_shape(own.filled(listing))
    assert len(form) <= 1_024
    assert decode_shape(Listing, form).presence
    assert len(form) > SALT_SIZE + SHOWN_SIZE
