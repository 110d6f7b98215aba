"""What is wrong, altered or damaged is named: a fault of the peer, or one of our own caller, and never another one."""

from __future__ import annotations

import random
import sys
from functools import cache

import pytest
from flips import flipped, flips
from hypothesis import given, settings
from hypothesis import strategies as st

from halloo.base.errors import Malformed, PeerError, Refused, UsageError
from halloo.crypto.suite import Cloak, Covered, Mismatch, Suite
from halloo.crypto.suites import SUITES
from halloo.link.datagrams import LAYOUTS, NOWHERE
from halloo.wire.frame import FrameKind, encode_ack, encode_nack

KEY = bytes(range(32))
HERE, THERE = bytes([192, 0, 2, 1]), bytes([192, 0, 2, 2])
HERE6 = bytes.fromhex("20010db8000000010000000000abcdef")
THERE6 = bytes.fromhex("20010db8000000020000000000fedcba")
CLASSIC, MODERN = SUITES[1], SUITES[2]
ENVELOPES = ("envelope", "answer_envelope", "network_envelope")
IDENTITIES = ("identity", "network_identity")
all_suites = pytest.mark.parametrize("suite", SUITES.values(), ids=lambda suite: suite.name)
real_suites = pytest.mark.parametrize("suite", [CLASSIC, MODERN], ids=lambda suite: suite.name)


@cache
def cloak_of(number: int) -> Cloak:
    return SUITES[number].cloak(KEY, LAYOUTS)


@cache
def private_of(number: int, role: str) -> bytes:
    held = getattr(SUITES[number], role)
    rng = random.Random(1)
    return bytes(held.make(rng, b"") if role in ENVELOPES else held.make(rng))


# --- datagrams ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [FrameKind.ACK, FrameKind.NACK])
def test_a_modern_answer_to_an_ipv6_host_does_not_show_it(kind: FrameKind) -> None:
    """Twenty bytes are long enough to be taken for a sealed body; they are none."""
    rng, cloak = random.Random(1), cloak_of(MODERN.number)
    body = encode_ack(THERE6, 33033) if kind is FrameKind.ACK else encode_nack(THERE6, 7)
    flow = [cloak.cover(Covered(n, kind, b"", body), HERE6, THERE6, rng) for n in range(300)]
    for n, datagram in enumerate(flow):
        assert cloak.uncover(datagram, HERE6, THERE6) == Covered(n, kind, b"", body)
        assert THERE6[:4] not in datagram
        assert THERE6[-4:] not in datagram
    for at in range(len(flow[0])):
        assert len({datagram[at] for datagram in flow}) > 100, f"byte {at} hardly changes"


@all_suites
@pytest.mark.parametrize("kind", [FrameKind.PAYLOAD, FrameKind.RESEND, FrameKind.FRAGMENT])
def test_a_full_frame_is_one_datagram_on_every_path(suite: Suite, kind: FrameKind) -> None:
    """A payload that filled its datagram must fit again as a resend, whose head is longer."""
    content = Covered(1, kind, bytes(LAYOUTS[kind].head), bytes(suite.fragment_size))
    size = len(cloak_of(suite.number).cover(content, HERE6, THERE6, random.Random(1)))
    assert size <= {"modern": 1_232, "plain": 1_232, "classic": 1_355 + 11 + 9}[suite.name]


@all_suites
@pytest.mark.parametrize("kind", LAYOUTS)
def test_the_host_of_one_who_does_not_know_it_is_zeros(suite: Suite, kind: int) -> None:
    """Only bound kinds care who sent them; the frame's number comes along with the refusal."""
    cloak = cloak_of(suite.number)
    for here, there in ((HERE, THERE), (HERE6, THERE6)):
        content = Covered(0xBEEF, kind, bytes(LAYOUTS[kind].head), bytes(40))
        datagram = cloak.cover(content, NOWHERE[len(here)], there, random.Random(2))
        if not LAYOUTS[kind].bound:
            assert cloak.uncover(datagram, here, there) == content
            continue
        with pytest.raises(Mismatch) as caught:
            cloak.uncover(datagram, here, there)
        assert caught.value.frame == 0xBEEF


@all_suites
@given(kind=st.sampled_from(sorted(LAYOUTS)), size=st.integers(0, 60), seed=st.integers(0, 1 << 30))
@settings(max_examples=150, deadline=None)
def test_an_altered_datagram_is_a_frame_or_a_fault_of_the_peer(suite: Suite, kind: int, size: int, seed: int) -> None:
    rng, cloak = random.Random(seed), cloak_of(suite.number)
    content = Covered(rng.getrandbits(16), kind, rng.randbytes(LAYOUTS[kind].head), rng.randbytes(size))
    datagram = bytearray(cloak.cover(content, HERE, THERE, rng))
    datagram[rng.randrange(len(datagram))] ^= 1 << rng.randrange(8)
    for altered in (bytes(datagram), bytes(datagram[: rng.randrange(len(datagram) + 1)]), bytes(datagram) + b"\0"):
        try:
            got = cloak.uncover(altered, HERE, THERE)
        except (Malformed, Mismatch):
            continue
        assert got.kind in LAYOUTS
        assert len(got.head) in (0, LAYOUTS[got.kind].head)


@real_suites
@pytest.mark.parametrize("kind", [FrameKind.PAYLOAD, FrameKind.RESEND, FrameKind.FRAGMENT])
def test_only_a_bound_frame_of_the_classic_suite_is_answered_when_altered(suite: Suite, kind: FrameKind) -> None:
    """An altered body: whether other hosts or the path did it, the classic check cannot tell; the modern one can."""
    content = Covered(0x0102, kind, bytes(LAYOUTS[kind].head), bytes(40))
    datagram = bytearray(cloak_of(suite.number).cover(content, HERE, THERE, random.Random(3)))
    datagram[-25] ^= 1  # of the body in both suites: before the checks and the nonce of the modern one
    expected = Mismatch if suite is CLASSIC and LAYOUTS[kind].bound else Malformed
    with pytest.raises(expected):
        cloak_of(suite.number).uncover(bytes(datagram), HERE, THERE)


def test_no_altered_hidden_datagram_passes_the_modern_checks() -> None:
    rng, cloak = random.Random(3), cloak_of(MODERN.number)
    for kind in (FrameKind.PAYLOAD, FrameKind.RESEND, FrameKind.FRAGMENT):
        content = Covered(9, kind, rng.randbytes(LAYOUTS[kind].head), rng.randbytes(30))
        datagram = cloak.cover(content, HERE, THERE, rng)
        for altered in flips(datagram):
            try:
                got = cloak.uncover(altered, HERE, THERE)
            except PeerError:
                continue
            # A mask that came out otherwise can name a kind that carries no check: what it carries is sealed.
            assert not LAYOUTS[got.kind].hidden


@pytest.mark.parametrize("size", range(19, 34))
def test_a_modern_datagram_may_end_at_any_byte(size: int) -> None:
    """Made under the right key, with every kind and filler, and cut to any length: never more than a refusal."""
    rng, cloak = random.Random(size), cloak_of(MODERN.number)
    outcomes = set()
    for _ in range(400):
        try:
            outcomes.add(cloak.uncover(rng.randbytes(size), HERE, THERE).kind)
        except Malformed as fault:
            outcomes.add(str(fault))
    assert len(outcomes) >= 3


# --- streams ------------------------------------------------------------------------------------------------------


@all_suites
@pytest.mark.parametrize("kind", list(LAYOUTS))
@pytest.mark.parametrize("size", [30, 200, 1_400, 9_000])
def test_no_end_of_a_datagram_raises_anything_else(suite: Suite, kind: int, size: int) -> None:
    """A nonce whose counter would run over is a fault of the peer as any other."""
    cloak, rng = cloak_of(suite.number), random.Random(f"{kind}/{size}")
    honest = Covered(7, kind, bytes(LAYOUTS[kind].head), bytes(size))
    for edge in (b"\xff" * 16, b"\xff" * 4 + bytes(12), b"\xfe\xff\xff\xff" + bytes(12), bytes(16)):
        for _ in range(60):
            try:
                cloak.uncover(rng.randbytes(size) + edge, HERE, THERE)
            except PeerError:
                pass
    assert cloak.uncover(cloak.cover(honest, HERE, THERE, rng), HERE, THERE) == honest


class _Edge(random.Random):
    """Begins with the nonces that leave no room."""

    def randbytes(self, n: int) -> bytes:
        return b"\xff" * n if self.random() < 0.9 else super().randbytes(n)


@pytest.mark.parametrize("kind", [FrameKind.PAYLOAD, FrameKind.NACK])
def test_no_nonce_of_ours_runs_over(kind: FrameKind) -> None:
    cloak, covered = cloak_of(MODERN.number), Covered(7, kind, b"", bytes(1_200))
    assert cloak.uncover(cloak.cover(covered, HERE, THERE, _Edge(1)), HERE, THERE) == covered


@all_suites
def test_a_stream_arrives_byte_by_byte(suite: Suite) -> None:
    rng = random.Random(4)
    for text in (b"", b"x", bytes(range(200))):
        near, far = suite.stream_cloak(KEY, rng), suite.stream_cloak(KEY, rng)
        wire = near.opening() + near.send(text)
        assert b"".join(far.receive(wire[at : at + 1]) for at in range(len(wire))) == text
        whole = suite.stream_cloak(KEY, rng)
        assert whole.receive(wire) == text
        assert whole.receive(near.send(b"more")) == b"more"


@all_suites
def test_an_opening_cut_short_says_nothing_yet(suite: Suite) -> None:
    opening = suite.stream_cloak(KEY, random.Random(5)).opening()
    for end in range(len(opening)):
        assert suite.stream_cloak(KEY, random.Random(6)).receive(opening[:end]) == b""


@real_suites
def test_an_altered_opening_is_refused(suite: Suite) -> None:
    """Of the modern one: salt and check (36 bytes); of the classic one all, but for the bit between 1 and 3."""
    near = suite.stream_cloak(KEY, random.Random(7))
    wire = near.opening() + near.send(bytes(100))
    end = 36 if suite is MODERN else 14
    for bit in range(8 * end):
        altered = flipped(wire, bit)
        far = suite.stream_cloak(KEY, random.Random(8))
        if suite is CLASSIC and bit == 8 * 13 + 1:
            assert far.receive(altered) == bytes(100)
            continue
        with pytest.raises(Malformed):
            far.receive(altered)


def test_a_modern_stream_of_another_network_is_refused() -> None:
    with pytest.raises(Malformed):
        MODERN.stream_cloak(KEY, random.Random(1)).receive(MODERN.stream_cloak(bytes(32), random.Random(1)).opening())


def test_modern_openings_differ_in_size() -> None:
    sizes = {len(MODERN.stream_cloak(KEY, random.Random(seed)).opening()) for seed in range(200)}
    assert min(sizes) >= 37
    assert max(sizes) <= 101
    assert len(sizes) > 40


# --- keys ---------------------------------------------------------------------------------------------------------


@all_suites
@pytest.mark.parametrize("role", IDENTITIES)
@given(data=st.data())
@settings(max_examples=40, deadline=None)
def test_no_key_and_signature_of_the_right_sizes_raise(suite: Suite, role: str, data: st.DataObject) -> None:
    held = getattr(suite, role)
    public = data.draw(st.binary(min_size=held.public_size, max_size=held.public_size))
    signature = data.draw(st.binary(min_size=held.signature_size, max_size=held.signature_size))
    assert held.verify(public, signature, b"text") is False


@real_suites
@pytest.mark.parametrize("role", IDENTITIES)
def test_strange_public_keys_verify_nothing(suite: Suite, role: str) -> None:
    held = getattr(suite, role)
    size = held.public_size
    publics = (bytes(size), bytes(size - 1) + b"\1", b"\1" + bytes(size - 1), b"\xff" * size, b"\xff" * size + b"\0")
    for public in publics:
        for signature in (bytes(held.signature_size), bytes(held.signature_size - 1) + b"\1", b""):
            assert held.verify(public, signature, b"text") is False


FIELD = 2**255 - 19


def low_order_keys() -> list[bytes]:
    """Every encoding of the eight points of Ed25519 whose order divides eight, found by adding them up."""
    d = -121_665 * pow(121_666, -1, FIELD) % FIELD

    def plus(a: tuple[int, int], b: tuple[int, int]) -> tuple[int, int]:
        product = d * a[0] * b[0] * a[1] * b[1] % FIELD
        x = (a[0] * b[1] + b[0] * a[1]) * pow(1 + product, -1, FIELD)
        y = (a[1] * b[1] + a[0] * b[0]) * pow(1 - product, -1, FIELD)
        return x % FIELD, y % FIELD

    # A point of order eight, by its published y; the rest are its multiples.
    y = int.from_bytes(bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"), "little")
    square = (y * y - 1) * pow(d * y * y + 1, -1, FIELD) % FIELD
    x = pow(square, (FIELD + 3) // 8, FIELD)
    if x * x % FIELD != square:
        x = x * pow(2, (FIELD - 1) // 4, FIELD) % FIELD
    assert x * x % FIELD == square
    points = [(x, y)]
    while points[-1] != (0, 1):
        points.append(plus(points[-1], (x, y)))
    assert len(points) == 8
    ys = {y + more for _, y in points for more in (0, FIELD) if y + more < 1 << 255}
    return [(y | sign << 255).to_bytes(32, "little") for y in sorted(ys) for sign in (0, 1)]


@pytest.mark.parametrize("public", low_order_keys(), ids=bytes.hex)
def test_nobody_signs_for_a_point_of_low_order(public: bytes) -> None:
    """For these the commitment R = public or the neutral point with S = 0 satisfies the equation for many a text."""
    for start in (public, b"\1" + bytes(31), bytes(32)):
        for n in range(16):
            assert not MODERN.identity.verify(public, start + bytes(32), bytes([n]))


def test_honest_keys_are_not_of_low_order() -> None:
    role, rng = MODERN.identity, random.Random(1)
    for _ in range(50):
        private = role.make(rng)
        assert role.verify(role.public(private), role.sign(private, b"text"), b"text")


@all_suites
@pytest.mark.parametrize("role", ENVELOPES)
@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_an_envelope_takes_bytes_of_the_right_size_or_refuses_them(
    suite: Suite, role: str, data: st.DataObject
) -> None:
    held = getattr(suite, role)
    public = data.draw(st.binary(min_size=held.public_size, max_size=held.public_size))
    enclosed = data.draw(st.binary(min_size=held.enclosed_size, max_size=held.enclosed_size))
    secret = b""
    try:
        secret, sent = held.enclose(public, random.Random(1))
        assert len(sent) == held.enclosed_size
    except Refused:
        pass
    try:
        assert held.disclose(private_of(suite.number, role), enclosed) != secret
    except Refused:
        pass


@pytest.mark.parametrize("low", [bytes(32), b"\1" + bytes(31), b"\xec" + b"\xff" * 30 + b"\x7f"])
def test_points_of_low_order_are_refused_both_ways(low: bytes) -> None:
    """With them the shared secret would be zeros, whatever the other key."""
    for role in ENVELOPES:
        held, private = getattr(MODERN, role), private_of(MODERN.number, role)
        with pytest.raises(Refused):
            held.enclose(low + held.public(private)[32:], random.Random(1))
        _, enclosed = held.enclose(held.public(private), random.Random(1))
        with pytest.raises(Refused):
            held.disclose(private, low + enclosed[32:])


@pytest.mark.parametrize("size", [58, 64, 127])
def test_a_classic_key_with_zeros_in_front_is_refused(size: int) -> None:
    """It would be weaker than its kind, and the secret under it shorter than announced."""
    rng = random.Random(size)
    for role in ENVELOPES:
        held = getattr(CLASSIC, role)
        short = bytes(held.public_size - size) + b"\xff" + rng.randbytes(size - 2) + b"\x01"
        with pytest.raises(Refused):
            held.enclose(short, rng)


def test_both_halves_of_the_hybrid_are_needed() -> None:
    """Another ciphertext in either half gives another secret: neither is left out of the sum."""
    held, private = MODERN.envelope, private_of(MODERN.number, "envelope")
    public = held.public(private)
    one, first = held.enclose(public, random.Random(1))
    other, second = held.enclose(public, random.Random(2))
    mixed = {held.disclose(private, first[:32] + second[32:]), held.disclose(private, second[:32] + first[32:])}
    assert len({one, other, *mixed}) == 4


def test_a_classic_key_that_is_no_modulus_is_refused() -> None:
    for role in ENVELOPES:
        held = getattr(CLASSIC, role)
        for public in (bytes(held.public_size), bytes(held.public_size - 1) + b"\1"):
            with pytest.raises(Refused):
                held.enclose(public, random.Random(1))


@real_suites
def test_a_damaged_private_key_is_named(suite: Suite) -> None:
    for role in (*IDENTITIES, *ENVELOPES):
        held, whole = getattr(suite, role), private_of(suite.number, role)
        for damaged in (b"", whole[:-1], b"\0" + whole):
            with pytest.raises(UsageError, match="private key is damaged"):
                held.public(damaged)
            if role in IDENTITIES:
                with pytest.raises(UsageError, match="private key is damaged"):
                    held.sign(damaged, b"text")
                continue
            _, enclosed = held.enclose(held.public(whole), random.Random(1))
            with pytest.raises(UsageError, match="private key is damaged"):
                held.disclose(damaged, enclosed)


def test_a_private_key_of_another_kind_is_named() -> None:
    """PKCS #8 (RFC 8410, 7) around 32 bytes of an Ed25519 key, where an RSA key should be."""
    other = bytes.fromhex("302e020100300506032b657004220420") + private_of(MODERN.number, "identity")
    with pytest.raises(UsageError, match="another kind"):
        CLASSIC.identity.public(other)


def test_fresh_keys_where_a_suite_can_afford_them() -> None:
    identity = private_of(CLASSIC.number, "identity")
    assert CLASSIC.envelope.make(random.Random(1), identity) == identity
    for role in ENVELOPES:
        held = getattr(MODERN, role)
        rng = random.Random(1)
        assert held.make(rng, b"mine") != held.make(rng, b"mine")


# --- seals and words ----------------------------------------------------------------------------------------------


@all_suites
@given(sealed=st.binary(max_size=60), sequence=st.integers(0, (1 << 48) - 1))
@settings(max_examples=100, deadline=None)
def test_random_bytes_are_no_seal(suite: Suite, sealed: bytes, sequence: int) -> None:
    try:
        plain = suite.seal(bytes(suite.seal_key_size)).open(sequence, sealed, b"beside")
    except Refused:
        return
    assert suite is CLASSIC, "a classic checksum of 16 bits lets one in 65,536 pass; no other does"
    assert len(plain) == len(sealed) - 2


@real_suites
def test_a_seal_is_opened_in_any_order(suite: Suite) -> None:
    """What is kept between packets is no state: each stands for itself."""
    key = bytes(range(suite.seal_key_size))
    near, far = suite.seal(key), suite.seal(key)
    said = {n: near.close(n, bytes([n]) * n, b"") for n in range(40)}
    order = list(said)
    random.Random(9).shuffle(order)
    for n in order:
        assert far.open(n, said[n], b"") == bytes([n]) * n
        assert suite.seal(key).close(n, bytes([n]) * n, b"") == said[n]


@all_suites
@pytest.mark.parametrize(("name", "password"), [("ada", "\udcff"), ("a\ud800", "secret")])
def test_what_is_no_text_is_no_password(suite: Suite, name: str, password: str) -> None:
    with pytest.raises(UsageError, match="no text"):
        suite.password.prove(name, password, b"network")


def test_the_classic_suite_says_which_package_it_misses(monkeypatch: pytest.MonkeyPatch) -> None:
    """At birth, not when the first datagram comes."""
    monkeypatch.setitem(sys.modules, "Crypto.Cipher", None)
    for make in (lambda: CLASSIC.cloak(KEY, LAYOUTS), lambda: CLASSIC.stream_cloak(KEY, random.Random(1))):
        with pytest.raises(UsageError, match="pycryptodome"):
            make()
