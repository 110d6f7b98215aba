"""One contract for every suite: each role does what it promises, notices what was altered, and keeps its sizes."""

from __future__ import annotations

import random
from functools import cache

import pytest
from flips import flipped, flips
from hypothesis import given, settings
from hypothesis import strategies as st

from halloo.base.errors import Malformed, PeerError, Refused, UsageError
from halloo.crypto.suite import Cloak, Covered, Mismatch, Suite
from halloo.crypto.suites import SUITES, suite_named
from halloo.link.datagrams import LAYOUTS
from halloo.wire.frame import FrameKind

KEY = bytes(range(32))
HERE, THERE, NOWHERE = bytes([192, 0, 2, 1]), bytes([192, 0, 2, 2]), bytes(4)
HERE6, THERE6 = bytes(15) + b"\1", bytes(15) + b"\2"
HIDDEN = [kind for kind, layout in LAYOUTS.items() if layout.hidden]
OPEN = [kind for kind, layout in LAYOUTS.items() if not layout.hidden]
all_suites = pytest.mark.parametrize("suite", SUITES.values(), ids=lambda suite: suite.name)
real_suites = pytest.mark.parametrize("suite", [SUITES[1], SUITES[2]], ids=lambda suite: suite.name)


@cache
def cloak_of(number: int) -> Cloak:
    return SUITES[number].cloak(KEY, LAYOUTS)


@cache
def identity_of(number: int) -> bytes:
    return SUITES[number].identity.make(random.Random(3))


def covered(kind: int, frame: int, rng: random.Random, size: int) -> Covered:
    return Covered(frame, kind, rng.randbytes(LAYOUTS[kind].head), rng.randbytes(size))


# --- the cloak ----------------------------------------------------------------------------------------------------


@all_suites
@pytest.mark.parametrize("kind", LAYOUTS)
@given(frame=st.integers(0, 0xFFFF), size=st.integers(0, 1200), seed=st.integers(0, 1 << 30))
@settings(max_examples=25, deadline=None)
def test_a_frame_comes_back(suite: Suite, kind: int, frame: int, size: int, seed: int) -> None:
    rng, cloak = random.Random(seed), cloak_of(suite.number)
    content = covered(kind, frame, rng, size)
    for source, destination in ((HERE, THERE), (HERE6, THERE6), (NOWHERE, THERE)):
        datagram = cloak.cover(content, source, destination, rng)
        assert cloak.uncover(datagram, source, destination) == content
        assert len(datagram) <= 3 + len(content.head) + size + cloak.overhead + 16


@all_suites
def test_a_sender_who_does_not_know_his_address_is_noticed(suite: Suite) -> None:
    rng, cloak = random.Random(1), cloak_of(suite.number)
    content = covered(FrameKind.PAYLOAD, 0x7F46, rng, 40)
    datagram = cloak.cover(content, NOWHERE, THERE, rng)
    with pytest.raises(Mismatch) as caught:
        cloak.uncover(datagram, HERE, THERE)
    assert caught.value.frame == 0x7F46
    with pytest.raises(Mismatch):
        cloak.uncover(cloak.cover(content, HERE, THERE, rng), HERE, HERE)
    again = covered(FrameKind.RESEND, 0x7F46, rng, 40)
    assert cloak.uncover(cloak.cover(again, NOWHERE, THERE, rng), HERE, THERE) == again


@all_suites
@pytest.mark.parametrize("kind", HIDDEN)
def test_a_flipped_bit_of_a_hidden_frame_is_noticed(suite: Suite, kind: int) -> None:
    rng, cloak = random.Random(2), cloak_of(suite.number)
    content = covered(kind, 5, rng, 30)
    datagram = cloak.cover(content, HERE, THERE, rng)
    for altered in flips(datagram):
        try:
            got = cloak.uncover(altered, HERE, THERE)
        except PeerError:
            continue
        # What the classic suite leaves readable it does not protect: filler bits, the head, the kind.
        assert got.body == content.body or got.kind != content.kind or suite.name == "classic"


@all_suites
@given(data=st.binary(max_size=1500))
@settings(max_examples=200, deadline=None)
def test_random_datagrams_are_frames_or_refused(suite: Suite, data: bytes) -> None:
    try:
        got = cloak_of(suite.number).uncover(data, HERE, THERE)
    except PeerError:
        return
    assert got.kind in LAYOUTS
    assert len(got.head) in (0, LAYOUTS[got.kind].head)


@all_suites
def test_every_prefix_is_a_frame_or_refused(suite: Suite) -> None:
    rng, cloak = random.Random(4), cloak_of(suite.number)
    for kind in LAYOUTS:
        datagram = cloak.cover(covered(kind, 9, rng, 50), HERE, THERE, rng)
        for end in range(len(datagram)):
            try:
                got = cloak.uncover(datagram[:end], HERE, THERE)
            except PeerError:
                continue
            assert not LAYOUTS[got.kind].hidden or suite.name == "plain"


@all_suites
def test_an_empty_media_frame_is_a_keep_alive(suite: Suite) -> None:
    rng, cloak = random.Random(5), cloak_of(suite.number)
    datagram = cloak.cover(Covered(7, FrameKind.MEDIA, b"", b""), HERE, THERE, rng)
    assert cloak.uncover(datagram, HERE, THERE) == Covered(7, FrameKind.MEDIA, b"", b"")
    if suite.name == "classic":
        assert len(datagram) == 3


def test_a_stranger_gets_silence_from_the_modern_suite() -> None:
    """Without the network's key, no datagram makes a node answer: random bytes never come as far as a NAck."""
    rng, cloak = random.Random(6), cloak_of(2)
    stranger = SUITES[2].cloak(bytes(32), LAYOUTS)
    for _ in range(3000):
        datagram = stranger.cover(covered(FrameKind.PAYLOAD, 1, rng, 60), HERE, THERE, rng)
        try:
            got = cloak.uncover(datagram, HERE, THERE)
        except Mismatch:
            pytest.fail("a stranger would be answered by a NAck")
        except Malformed:
            continue
        assert got.kind in OPEN


def test_modern_datagrams_look_like_noise() -> None:
    """No byte of the first twelve is constant, or leans to one value, in a flow of sound or of payloads."""
    rng, cloak = random.Random(7), cloak_of(2)
    for kind, size in ((FrameKind.MEDIA, 121), (FrameKind.PAYLOAD, 64), (FrameKind.NACK, 8)):
        head = rng.randbytes(LAYOUTS[kind].head)
        flow = [
            cloak.cover(Covered(n & 0xFFFF, kind, head, rng.randbytes(size)), HERE, THERE, rng) for n in range(2000)
        ]
        for at in range(12):
            counts = [0] * 16
            for datagram in flow:
                counts[datagram[at] >> 4] += 1
            chi = sum((count - 125) ** 2 / 125 for count in counts)
            assert chi < 60, f"byte {at} of kind {kind:#x} gives itself away (chi squared {chi:.0f})"


def test_a_forwarded_datagram_shares_no_mask_with_the_one_inside() -> None:
    rng, cloak = random.Random(8), cloak_of(2)
    token = rng.randbytes(8)
    seen: dict[bytes, int] = {}
    for n in range(500):
        inner = cloak.cover(Covered(n, FrameKind.MEDIA, bytes(4), rng.randbytes(100)), NOWHERE, NOWHERE, rng)
        outer = cloak.cover(Covered(n, FrameKind.FORWARD, token, inner), HERE, THERE, rng)
        both = bytes(a ^ b for a, b in zip(outer[:3], inner[:3], strict=True))
        seen[both] = seen.get(both, 0) + 1
    assert max(seen.values()) < 5


# --- streams ------------------------------------------------------------------------------------------------------


@all_suites
@given(pieces=st.lists(st.binary(max_size=60), max_size=8), step=st.integers(1, 50), seed=st.integers(0, 1 << 30))
@settings(max_examples=60, deadline=None)
def test_a_stream_may_be_cut_anywhere(suite: Suite, pieces: list[bytes], step: int, seed: int) -> None:
    rng = random.Random(seed)
    near, far = suite.stream_cloak(KEY, rng), suite.stream_cloak(KEY, rng)
    wire = near.opening() + b"".join(near.send(piece) for piece in pieces)
    got = b"".join(far.receive(wire[at : at + step]) for at in range(0, len(wire), step))
    assert got == b"".join(pieces)


@all_suites
@given(data=st.binary(min_size=200, max_size=300))
@settings(max_examples=60, deadline=None)
def test_a_stream_that_begins_otherwise_is_refused(suite: Suite, data: bytes) -> None:
    with pytest.raises(Malformed):
        suite.stream_cloak(KEY, random.Random(1)).receive(data)


def test_the_classic_stream_repeats_its_key_stream_and_the_modern_one_does_not() -> None:
    for number, repeats in ((1, True), (2, False)):
        near = SUITES[number].stream_cloak(KEY, random.Random(9))
        opening, first = near.opening() + bytes(9), near.send(bytes(10))
        at = 4 if number == 1 else 32
        known = bytes.fromhex("000100000001000000")
        stream = bytes(a ^ b for a, b in zip(opening[at : at + 9], known, strict=True))
        assert (first[:9] == stream) is repeats


# --- keys, secrets, seals -----------------------------------------------------------------------------------------


@all_suites
def test_signatures(suite: Suite) -> None:
    for role in (suite.identity, suite.network_identity):
        rng = random.Random(1)
        private, other = role.make(rng), role.make(rng)
        public, signature = role.public(private), role.sign(private, b"text")
        assert (len(public), len(signature)) == (role.public_size, role.signature_size)
        assert role.verify(public, signature, b"text")
        assert not role.verify(public, signature, b"test")
        assert not role.verify(role.public(other), signature, b"text")
        for bit in range(0, 8 * len(signature), 37):
            assert not role.verify(public, flipped(signature, bit), b"text")


@all_suites
@given(public=st.binary(max_size=300), signature=st.binary(max_size=300))
@settings(max_examples=100, deadline=None)
def test_verify_never_raises(suite: Suite, public: bytes, signature: bytes) -> None:
    assert not suite.identity.verify(public, signature, b"text")


@all_suites
@pytest.mark.parametrize("role_name", ["envelope", "answer_envelope", "network_envelope"])
def test_envelopes(suite: Suite, role_name: str) -> None:
    role = getattr(suite, role_name)
    rng = random.Random(2)
    mine = role.make(rng, identity_of(suite.number) if role_name != "network_envelope" else b"")
    public = role.public(mine)
    assert len(public) == role.public_size
    secret, enclosed = role.enclose(public, rng)
    assert len(enclosed) == role.enclosed_size
    assert role.disclose(mine, enclosed) == secret
    another, _ = role.enclose(public, rng)
    assert another != secret
    for spoiled in (b"", enclosed[:-1], enclosed + b"\0", bytes(len(enclosed))):
        try:
            assert role.disclose(mine, spoiled) != secret
        except Refused:
            continue
    altered = bytearray(enclosed)
    altered[-1] ^= 1
    try:
        assert role.disclose(mine, bytes(altered)) != secret
    except Refused:
        assert suite.name != "modern"
    for nonsense in (b"", public[:-1], public + b"\0"):
        with pytest.raises(Refused):
            role.enclose(nonsense, rng)


def test_the_weak_points_of_the_curve_are_refused() -> None:
    for role in (SUITES[2].envelope, SUITES[2].answer_envelope):
        public = bytearray(role.public(role.make(random.Random(1), b"")))
        public[:32] = bytes(32)
        with pytest.raises(Refused):
            role.enclose(bytes(public), random.Random(1))


@all_suites
@given(plain=st.binary(max_size=300), beside=st.binary(max_size=8), sequence=st.integers(0, (1 << 48) - 1))
@settings(max_examples=60, deadline=None)
def test_seals(suite: Suite, plain: bytes, beside: bytes, sequence: int) -> None:
    seal = suite.seal(bytes(range(suite.seal_key_size)))
    sealed = seal.close(sequence, plain, beside)
    assert len(sealed) == len(plain) + seal.overhead
    assert seal.open(sequence, sealed, beside) == plain
    for wrong in (
        lambda: seal.open(sequence ^ 1, sealed, beside),
        lambda: seal.open(sequence, sealed, beside + b"x"),
        lambda: seal.open(sequence, bytes([sealed[0] ^ 1]) + sealed[1:], beside),
        lambda: seal.open(sequence, sealed[:-1], beside),
        lambda: seal.open(sequence, b"", beside),
    ):
        try:
            got = wrong()
        except Refused:
            continue
        assert suite.name == "classic", f"accepted {got!r}"  # sixteen bits of checksum let one in 65,536 pass


@all_suites
def test_both_sides_agree_and_the_directions_differ(suite: Suite) -> None:
    mine = suite.agree(b"i" * 16, b"r" * 16, b"transcript")
    theirs = suite.agree(b"i" * 16, b"r" * 16, b"transcript")
    for ours, other in zip(mine, theirs, strict=True):
        assert other.open(5, ours.close(5, b"hello", b"x"), b"x") == b"hello"
    initiators, responders = mine
    assert initiators.close(5, bytes(20), b"") != responders.close(5, bytes(20), b"")
    for changed in ((b"j" * 16, b"r" * 16, b"transcript"), (b"i" * 16, b"s" * 16, b"transcript")):
        with pytest.raises(Refused):
            initiators.open(5, suite.agree(*changed)[0].close(5, bytes(20), b""), b"") == bytes(20) or _refuse()


def _refuse() -> None:
    """The classic checksum holds for another key's ciphertext; the plain text is then another one."""
    raise Refused("another text")


@all_suites
def test_digest_and_password(suite: Suite) -> None:
    digest = suite.digest
    assert len(digest(b"x")) == digest.size
    for size in (1, 16, 36, 100, 1000):
        assert len(digest.derive(b"secret", "label", b"context", size)) == size
    one = digest.derive(b"secret", "label", b"context", 32)
    assert one == digest.derive(b"secret", "label", b"context", 32)
    others = [
        digest.derive(b"secres", "label", b"context", 32),
        digest.derive(b"secret", "labem", b"context", 32),
        digest.derive(b"secret", "label", b"contexu", 32),
    ]
    assert one not in others
    proofs = {suite.password.prove(*who) for who in (("ada", "x", b"n"), ("bob", "x", b"n"), ("ada", "y", b"n"))}
    assert len(proofs) == 3
    assert suite.password.prove("ada", "x", b"n") in proofs


def test_suites_by_name_and_with_their_warnings() -> None:
    assert suite_named("modern").number == 2
    assert suite_named("modern").danger == ""
    assert "broken" in suite_named("classic").danger
    with pytest.raises(UsageError, match="there is no suite"):
        suite_named("quantum")
    assert all(suite.described for suite in SUITES.values())
