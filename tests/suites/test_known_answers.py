"""Published answers: the dumps of the classic protocol, and test vectors of the primitives in their places."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from halloo.crypto.classic import CLASSIC, crc, expanded
from halloo.crypto.modern import MODERN
from halloo.crypto.suite import Covered
from halloo.link.datagrams import LAYOUTS

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "primitives.json").read_text("utf-8"))


@pytest.mark.parametrize("vector", VECTORS["classic_crc"], ids=lambda vector: vector["plain"])
def test_the_published_checksums(vector: dict[str, str]) -> None:
    assert crc(bytes.fromhex(vector["plain"])) == int(vector["crc"], 16)


def test_the_checksum_stands_where_the_dumps_have_it() -> None:
    """Bytes 7 to 10 of a payload datagram: after frame id, kind and vector."""
    cloak = CLASSIC.cloak(b"", LAYOUTS)
    probe = bytes.fromhex("04DA017F454215")
    datagram = cloak.cover(Covered(0x7F46, 0x02, b"", probe), bytes(4), bytes(4), random.Random(1))
    assert len(datagram) == 18
    assert datagram[:2] == b"\x7f\x46"
    assert datagram[2] & 0x8F == 0x02
    assert datagram[7:11] == bytes.fromhex("F28624E6")


def test_the_sizes_of_the_probe_exchange() -> None:
    """U1 18, U2 11, U3 = U1 + 5, as measured on the historic network."""
    cloak = CLASSIC.cloak(b"", LAYOUTS)
    rng, probe = random.Random(1), bytes(7)
    sizes = [
        len(cloak.cover(Covered(1, kind, bytes(head), body), bytes(4), bytes(4), rng))
        for kind, head, body in ((0x02, 0, probe), (0x07, 0, bytes(8)), (0x03, 9, probe))
    ]
    assert sizes == [18, 11, 23]


def test_our_key_expansion_is_frozen() -> None:
    assert [expanded(int(v["seed"], 16)).hex() for v in VECTORS["classic_expansion"]] == [
        v["key"] for v in VECTORS["classic_expansion"]
    ]


def test_the_password_digest() -> None:
    vector = VECTORS["classic_password"]
    assert CLASSIC.password.prove(vector["name"], vector["password"], b"").hex() == vector["proof"]


def test_the_rc4_of_the_tables() -> None:
    """A stream of zeros after the opening shows the key stream of the expanded key, from its beginning."""
    vector = VECTORS["classic_stream"]
    near = CLASSIC.stream_cloak(b"", random.Random(1))
    opening = near.opening()
    assert len(opening) == 14
    assert opening.hex() == vector["opening"]
    assert near.send(bytes(16)).hex() == vector["zeros"]


@pytest.mark.parametrize("vector", VECTORS["ed25519"], ids=lambda vector: vector["source"])
def test_rfc_8032(vector: dict[str, str]) -> None:
    private, text = bytes.fromhex(vector["private"]), bytes.fromhex(vector["text"])
    assert MODERN.identity.public(private).hex() == vector["public"]
    assert MODERN.identity.sign(private, text).hex() == vector["signature"]


def test_our_frozen_answers() -> None:
    """What would break every running network if it changed."""
    frozen = VECTORS["modern_frozen"]
    digest = MODERN.digest
    assert digest.derive(b"secret", "label", b"context", 40).hex() == frozen["derive"]
    initiator, responder = MODERN.agree(b"i" * 32, b"r" * 32, b"t" * 32)
    assert initiator.close(7, b"hello", b"beside").hex() == frozen["initiator_seal"]
    assert responder.close(7, b"hello", b"beside").hex() == frozen["responder_seal"]
    assert MODERN.password.prove("ada", "secret", b"network!").hex() == frozen["password"]
    cloak = MODERN.cloak(bytes(32), LAYOUTS)
    datagram = cloak.cover(Covered(0x1234, 0x02, b"", b"hello"), bytes(4), bytes([192, 0, 2, 1]), random.Random(1))
    assert datagram.hex() == frozen["datagram"]
