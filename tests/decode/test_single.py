"""What the bytes are is guessed right: each of the vectors of frames and streams, and messages as they are sent."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import Any

import pytest
from captures import tcp
from tools import tool

from halloo.base.address import Address
from halloo.crypto.suite import Suite
from halloo.crypto.suites import SUITES
from halloo.decode.capture import Captured
from halloo.decode.datagrams import Frames
from halloo.decode.keys import Keys
from halloo.decode.single import explain
from halloo.decode.streams import StreamSide
from halloo.decode.traffic import Tally, Traffic
from halloo.decode.tree import Part
from halloo.link.keys import LinkKeys
from halloo.link.resumption import after_resume
from halloo.messages.catalogue import OPEN
from halloo.messages.link import Resume
from halloo.wire.command import decode_commands
from halloo.wire.frame import Control, FrameKind

vectors = tool("vectors")
FRAMES = vectors.read("frames.json")
MESSAGES = vectors.read("messages.json")["messages"]
REAL = [suite for suite in SUITES.values() if suite.name != "plain"]


def told(suite: Suite, data: str, ends: dict[str, str] | None = None) -> Part:
    source, destination = (Address.parse(ends[end]) if ends else Address(bytes(4), 0) for end in ("from", "to"))
    frames = Frames(suite, bytes.fromhex(FRAMES["cloak_key"]), Keys())
    return explain(bytes.fromhex(data), frames, source, destination)


@pytest.mark.parametrize("suite", REAL, ids=lambda suite: suite.name)
@pytest.mark.parametrize("number", range(4))
def test_a_datagram(suite: Suite, number: int) -> None:
    each = FRAMES[suite.name]["exchange"][number]
    part = told(suite, each["datagram"], each)
    assert not part.faults
    assert part.name == f"datagram of the {suite.name} suite: {FrameKind(each['kind']).name.lower()}"
    (body,) = [inside for inside in part.parts if inside.fresh]
    assert body.data.hex() == each["body"]
    # The places cover the datagram without a gap.
    assert b"".join(inside.data for inside in part.parts if not inside.fresh).hex() == each["datagram"]


@pytest.mark.parametrize("suite", REAL, ids=lambda suite: suite.name)
def test_a_keep_alive_and_a_forwarded_datagram(suite: Suite) -> None:
    kept = FRAMES[suite.name]
    assert told(suite, kept["keep_alive"]["datagram"], kept["keep_alive"]).parts[-1].name == "keep-alive"
    part = told(suite, kept["forward"]["datagram"], kept["forward"])
    names = [each.name for each in part.walk()]
    assert {"token", "the datagram inside, payload", "Probe"} <= set(names)


@pytest.mark.parametrize("suite", REAL, ids=lambda suite: suite.name)
def test_a_stream(suite: Suite) -> None:
    kept = FRAMES[suite.name]["stream"]
    part = told(suite, kept["opening"] + kept["covered"])
    assert part.name == f"stream of the {suite.name} suite"
    assert not part.faults
    expected = [
        "payload" if each["type"] is None else Control(each["type"]).name.lower() for each in kept["frames"]
    ]
    assert [each.name for each in part.parts] == ["opening", *expected]
    short = told(suite, (kept["opening"] + kept["covered"])[:-2])
    assert short.parts[-1].name == "cut short"


@pytest.mark.parametrize("suite", REAL, ids=lambda suite: suite.name)
@pytest.mark.parametrize("form", ["raw", "sent"])
def test_every_message(suite: Suite, form: str) -> None:
    for each in MESSAGES:
        part = told(suite, each[form])
        assert not part.faults, each["name"]
        assert [inside.name for inside in part.parts] == [each["name"]]


@pytest.mark.parametrize("suite", REAL, ids=lambda suite: suite.name)
def test_every_message_in_the_open_as_datagrams(suite: Suite) -> None:
    ends: dict[str, Any] = {"from": "192.0.2.1:1000", "to": "192.0.2.2:2000"}
    for each in MESSAGES:
        datagrams = each.get("datagrams", {}).get(suite.name, ())
        if len(datagrams) == 1:
            part = told(suite, datagrams[0], ends)
            assert each["name"] in [inside.name for inside in part.walk()]


@pytest.mark.parametrize("side", ["hello", "answer"])
@pytest.mark.parametrize("step", [1, 50, 10_000])
def test_a_stream_in_disguise(side: str, step: int) -> None:
    """The classic imitation of another protocol's greeting is told from what comes after it, however it is cut."""
    suite = REAL[0]
    assert suite.disguise is not None
    greeting = suite.disguise.hello + bytes(suite.disguise.challenge) if side == "hello" else suite.disguise.answer
    kept = FRAMES[suite.name]["stream"]
    data = greeting + bytes.fromhex(kept["opening"] + kept["covered"])
    stream = StreamSide(Frames(suite, b"", Keys()))
    parts = [part for at in range(0, len(data), step) for part in stream.feed(data[at : at + step], 0.0)]
    assert parts[0].name == f"{side} in disguise"
    assert parts[0].data == greeting
    assert [part.name for part in parts[1:]] == ["opening", "payload", "padding", "media", "forward"]


def test_a_stream_inside_tls_is_said(seed: int) -> None:
    """Nobody but its two ends can read it; that it may be one of ours is worth a remark."""
    suite = REAL[1]
    tally = Tally()
    traffic = Traffic(Frames(suite, bytes(32), Keys()), tally)
    here, there = Address.parse("192.0.2.1:1000"), Address.parse("192.0.2.2:443")
    hello = b"\x16\x03\x01" + Random(seed).randbytes(300)
    for packet in (tcp(here, there, 7, b"", 0x02), tcp(here, there, 8, hello)):
        assert traffic.explain(Captured(0.0, 101, packet)) is None
    assert "TLS" in tally.remarks[0]


@pytest.mark.parametrize("suite", REAL, ids=lambda suite: suite.name)
def test_the_first_packet_of_a_link_that_was_resumed_is_opened(suite: Suite) -> None:
    kept = vectors.read("handshake.json")[suite.name]["resumption"]
    (resume,) = decode_commands(bytes.fromhex(kept["resume"]), OPEN)
    assert isinstance(resume, Resume)
    spoken = after_resume(suite, replace(resume, binder=b""))
    returned = suite.digest.derive(bytes.fromhex(kept["secret"]), "halloo resumed", spoken, 32)
    fresh, transcript = bytes.fromhex(kept["fresh"]), bytes.fromhex(kept["transcript"])
    keys = LinkKeys(suite.number, resume.link, 0x01020305, returned, fresh, transcript)
    for given, found in ((Keys(), False), (Keys([keys]), True)):
        frames = Frames(suite, bytes(32), given, vectors.NETWORK)
        part = frames.payload(0, bytes.fromhex(kept["resumed"]))
        names = [each.name for each in Part("all", 0, b"", "", part).walk()]
        assert ("the first packet, opened" in names) is found
        assert ("Pong" in names) is found
    confirm = bytes.fromhex(kept["confirm"]["sealed"])
    sealed = b"\0" + (0x01020305).to_bytes(4, "big") + confirm
    names = [each.name for each in Part("all", 0, b"", "", frames.payload(0, sealed)).walk()]
    assert "Confirm" in names
