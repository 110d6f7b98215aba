"""Answers of our own, frozen: what would break every running network if it changed."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from halloo.crypto.suite import Covered, Suite
from halloo.crypto.suites import SUITES
from halloo.link.datagrams import LAYOUTS

FILE = Path(__file__).parents[1] / "vectors" / "suites.json"
KEY = bytes(range(32))
HERE, THERE = bytes([192, 0, 2, 1]), bytes([192, 0, 2, 2])
KEYS = ("identity", "network_identity")
ENVELOPES = ("envelope", "answer_envelope", "network_envelope")


def repeatable(suite: Suite) -> dict[str, str]:
    """Whatever a suite says from a seed, in hexadecimal."""
    rng = random.Random("frozen")
    cloak, near = suite.cloak(KEY, LAYOUTS), suite.stream_cloak(KEY, rng)
    said = {}
    for kind, layout in LAYOUTS.items():
        for size in (0, 20):
            content = Covered(0x1234, kind, bytes(range(layout.head)), bytes(range(size)))
            said[f"frame {kind:#04x} of {size}"] = cloak.cover(content, HERE, THERE, rng).hex()
    said["opening"] = near.opening().hex()
    said["stream"] = (near.send(b"first") + near.send(b"second")).hex()
    said["digest"] = suite.digest(b"text").hex()
    said["derived"] = suite.digest.derive(b"secret", "label", b"context", 100).hex()
    said["letter"] = suite.seal(bytes(range(suite.seal_key_size))).close(3, b"a letter", b"beside").hex()
    initiator, responder = suite.agree(b"i" * 32, b"r" * 32, b"transcript")
    said["initiator"] = initiator.close(7, b"hello", b"beside").hex()
    said["responder"] = responder.close(7, b"hello", b"beside").hex()
    said["password"] = suite.password.prove("ada", "secret", b"network!").hex()
    return said


def kept_of(suite: Suite, role: str) -> dict[str, bytes]:
    """What was kept of a role."""
    return {what: bytes.fromhex(text) for what, text in json.loads(FILE.read_text("utf-8"))[suite.name][role].items()}


@pytest.mark.parametrize("suite", SUITES.values(), ids=lambda suite: suite.name)
def test_from_a_seed_a_suite_says_what_it_always_said(suite: Suite) -> None:
    assert repeatable(suite) == json.loads(FILE.read_text("utf-8"))[suite.name]["repeatable"]


@pytest.mark.parametrize("suite", SUITES.values(), ids=lambda suite: suite.name)
@pytest.mark.parametrize("name", KEYS)
def test_old_keys_still_sign(suite: Suite, name: str) -> None:
    role, kept = getattr(suite, name), kept_of(suite, name)
    assert role.public(kept["private"]) == kept["public"]
    assert role.sign(kept["private"], b"text") == kept["signature"]
    assert role.verify(kept["public"], kept["signature"], b"text")


@pytest.mark.parametrize("suite", SUITES.values(), ids=lambda suite: suite.name)
@pytest.mark.parametrize("name", ENVELOPES)
def test_old_envelopes_still_open(suite: Suite, name: str) -> None:
    role, kept = getattr(suite, name), kept_of(suite, name)
    assert role.public(kept["private"]) == kept["public"]
    assert role.disclose(kept["private"], kept["enclosed"]) == kept["secret"]
