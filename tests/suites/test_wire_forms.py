"""The documented forms, built by hand: what the suites write is what their descriptions say, byte by byte."""

from __future__ import annotations

import hashlib
import hmac
import json
import random
from itertools import count, islice
from pathlib import Path
from zlib import crc32

import pytest

from halloo.base.errors import Malformed
from halloo.crypto.classic import CLASSIC
from halloo.crypto.modern import MODERN
from halloo.crypto.suite import Covered
from halloo.link.datagrams import LAYOUTS
from halloo.wire.frame import FrameKind

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "primitives.json").read_text("utf-8"))
HERE, THERE = bytes([192, 0, 2, 1]), bytes([198, 51, 100, 2])
HERE6, THERE6 = bytes(range(16)), bytes(range(16, 32))


def rc4(key: bytes, data: bytes) -> bytes:
    """RC4 as it is described, slowly."""
    box, j = list(range(256)), 0
    for i in range(256):
        j = (j + box[i] + key[i % len(key)]) & 0xFF
        box[i], box[j] = box[j], box[i]
    out, j = bytearray(), 0
    for n, byte in enumerate(data, 1):
        i = n & 0xFF
        j = (j + box[i]) & 0xFF
        box[i], box[j] = box[j], box[i]
        out.append(byte ^ box[(box[i] + box[j]) & 0xFF])
    return bytes(out)


def classic_crc(data: bytes) -> int:
    return crc32(data) ^ 0xFFFF_FFFF


def eighty(seed: int) -> bytes:
    blocks = (hashlib.sha1(seed.to_bytes(4, "big") + n.to_bytes(4, "big")).digest() for n in count())
    return b"".join(islice(blocks, 4))


@pytest.mark.parametrize("vector", VECTORS["rc4"], ids=lambda vector: vector["key"])
def test_the_slow_rc4_is_rc4(vector: dict[str, str]) -> None:
    assert rc4(bytes.fromhex(vector["key"]), bytes(16)).hex() == vector["stream"]


@pytest.mark.parametrize(("source", "destination"), [(HERE, THERE), (bytes(4), THERE), (HERE6, THERE6)])
def test_a_classic_payload(source: bytes, destination: bytes) -> None:
    """id 2, kind 1, vector 4, CRC 4 of the plain text, RC4; the seed is CRC(hosts, id, 00 00) XOR vector."""
    plain, vector, frame = bytes.fromhex("04da017f454215"), 0xDEADBEEF, 0x7F46
    seed = classic_crc(source[::-1] + destination[::-1] + b"\x46\x7f\0\0") ^ vector
    by_hand = (
        frame.to_bytes(2, "big")
        + b"\x72"  # all filler bits set
        + vector.to_bytes(4, "big")
        + bytes.fromhex("f28624e6")
        + rc4(eighty(seed), plain)
    )
    cloak = CLASSIC.cloak(b"", LAYOUTS)
    assert cloak.uncover(by_hand, source, destination) == Covered(frame, 0x02, b"", plain)
    ours = cloak.cover(Covered(frame, 0x02, b"", plain), source, destination, random.Random(3))
    ours_seed = seed ^ vector ^ int.from_bytes(ours[3:7], "big")
    assert rc4(eighty(ours_seed), ours[11:]) == plain


def test_a_classic_resend() -> None:
    """No vector: the seed is the frame id XOR the challenge, which stands in the clear."""
    plain, challenge, frame = b"said again", 0x01020304, 0x7F48
    head = b"\x01" + challenge.to_bytes(4, "big") + THERE
    by_hand = b"\x7f\x48\x63" + head + classic_crc(plain).to_bytes(4, "big") + rc4(eighty(frame ^ challenge), plain)
    assert CLASSIC.cloak(b"", LAYOUTS).uncover(by_hand, HERE, THERE) == Covered(frame, 0x03, head, plain)


def test_a_classic_fragment_is_bound_to_no_host() -> None:
    plain, frame, head = b"a piece", 0x0102, b"\xaa\xbb\x80\x02"
    seed = classic_crc(bytes(8) + b"\x02\x01\0\0") ^ 7
    by_hand = b"\x01\x02\x0f" + head + bytes([0, 0, 0, 7]) + classic_crc(plain).to_bytes(4, "big")
    by_hand += rc4(eighty(seed), plain)
    assert CLASSIC.cloak(b"", LAYOUTS).uncover(by_hand, HERE, THERE) == Covered(frame, 0x0F, head, plain)


def test_a_classic_nack_is_readable() -> None:
    datagram = CLASSIC.cloak(b"", LAYOUTS).cover(Covered(5, 0x07, b"", HERE + b"wxyz"), HERE, THERE, random.Random(1))
    assert (datagram[:2], datagram[2] & 0x8F, datagram[3:]) == (b"\0\5", 0x07, HERE + b"wxyz")


@pytest.mark.parametrize("last", [1, 3])
def test_a_classic_stream(last: int) -> None:
    """Seed 4, ten known bytes, then the same key stream from its beginning."""
    key, known = eighty(0x0A0B0C0D), bytes.fromhex("000100000001000000") + bytes([last])
    far = CLASSIC.stream_cloak(b"", random.Random(1))
    assert far.receive(bytes.fromhex("0a0b0c0d") + rc4(key, known) + rc4(key, b"hello, and ")[:11]) == b"hello, and "
    other = CLASSIC.stream_cloak(b"", random.Random(1))
    with pytest.raises(Malformed):
        other.receive(bytes.fromhex("0a0b0c0d") + rc4(key, known[:-1] + b"\2"))


def test_both_last_bytes_of_a_classic_opening_are_used() -> None:
    seen = set()
    for seed in range(40):
        opening = CLASSIC.stream_cloak(b"", random.Random(seed)).opening()
        seen.add(rc4(eighty(int.from_bytes(opening[:4], "big")), opening[4:])[-1])
    assert seen == {1, 3}


def test_a_classic_seal() -> None:
    """The sum is the low half of CRC(beside, ciphertext) XOR the index; two texts under one index give their XOR."""
    key = bytes(range(36))
    seal = CLASSIC.seal(key)
    one, other = seal.close(0x12345, bytes(40), b"by"), seal.close(0x12345, b"\xff" * 40, b"by")
    assert bytes(a ^ b for a, b in zip(one[:-2], other[:-2], strict=True)) == b"\xff" * 40
    assert int.from_bytes(one[-2:], "big") == (classic_crc(b"by" + one[:-2]) ^ 0x2345) & 0xFFFF


def test_a_classic_key_of_letters() -> None:
    """Of a secret K: SHA1(00000000, K) then SHA1(00000001, K)."""
    secret = bytes(24)
    blocks = hashlib.sha1(bytes(4) + secret).digest() + hashlib.sha1(b"\0\0\0\1" + secret).digest()
    assert CLASSIC.digest.derive(secret, "", b"", 36) == blocks[:36]


def test_the_modern_derivation_is_hkdf() -> None:
    """RFC 5869 with the digest of the context for a salt and the label for the info."""
    key = hmac.digest(hashlib.sha256(b"context").digest(), b"secret", "sha256")
    one = hmac.digest(key, b"label\1", "sha256")
    two = hmac.digest(key, one + b"label\2", "sha256")
    assert MODERN.digest.derive(b"secret", "label", b"context", 64) == one + two


@pytest.mark.parametrize("vector", VECTORS["aes_gcm"], ids=lambda vector: vector["source"])
def test_the_modern_seal_is_gcm(vector: dict[str, str]) -> None:
    key, nonce = bytes.fromhex(vector["key"]), bytes.fromhex(vector["nonce"])
    seal = MODERN.seal(key + nonce[:4])
    plain, beside = bytes.fromhex(vector["plain"]), bytes.fromhex(vector["beside"])
    sealed = seal.close(int.from_bytes(nonce[4:], "big"), plain, beside)
    assert sealed.hex() == vector["sealed"]


@pytest.mark.parametrize("vector", VECTORS["x25519"], ids=lambda vector: vector["source"])
def test_the_keys_of_the_way_back_are_those_of_rfc_7748(vector: dict[str, str]) -> None:
    assert MODERN.answer_envelope.public(bytes.fromhex(vector["private"])).hex() == vector["public"]


@pytest.mark.parametrize("vector", VECTORS["digests"], ids=lambda vector: vector["source"])
def test_the_digests_are_the_published_ones(vector: dict[str, str]) -> None:
    suite = {"classic": CLASSIC, "modern": MODERN}[vector["suite"]]
    assert suite.digest(vector["text"].encode()).hex() == vector["digest"]


def test_a_modern_frame_of_each_kind_has_its_documented_size() -> None:
    cloak, rng = MODERN.cloak(bytes(32), LAYOUTS), random.Random(1)
    sizes = {
        FrameKind.PAYLOAD: 3 + 40 + 8 + 16,
        FrameKind.RESEND: 3 + 9 + 40 + 8 + 16,
        FrameKind.ACK: 3 + 40 + 16,
        FrameKind.NACK: 3 + 40 + 16,
        FrameKind.FORWARD: 3 + 8 + 40,
        FrameKind.MEDIA: 3 + 4 + 40,
        FrameKind.FRAGMENT: 3 + 4 + 40 + 8 + 16,
    }
    assert set(sizes) == set(LAYOUTS)
    for kind, size in sizes.items():
        content = Covered(1, kind, bytes(LAYOUTS[kind].head), bytes(40))
        assert len(cloak.cover(content, HERE, THERE, rng)) == size, kind
