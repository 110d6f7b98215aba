"""The vectors are what the declarations say, and say the same to whoever reads them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from random import Random
from typing import Any

import pytest
from tools import ROOT, tool

from halloo.base.address import Address, Wire
from halloo.base.errors import Unusable
from halloo.crypto.suite import Suite
from halloo.crypto.suites import SUITES
from halloo.decode.datagrams import Frames
from halloo.decode.keys import Keys
from halloo.decode.single import explain
from halloo.link.datagrams import LAYOUTS, Datagrams
from halloo.link.handshake import INITIATOR, RESPONDER, after_answer, after_finish
from halloo.link.persona import proof_seal
from halloo.login.audit import Chain
from halloo.login.letter import open_letter
from halloo.login.log import Ledger, read_answer
from halloo.messages.catalogue import OPEN, SEALED
from halloo.messages.chain import PULSE_EVERY
from halloo.messages.credential import Notary, Record
from halloo.messages.link import Proof
from halloo.messages.log import LogEntry
from halloo.node.descriptor import from_link
from halloo.wire.command import decode_commands, decode_shape, encode_command, encode_shape
from halloo.wire.frame import FrameKind

vectors = tool("vectors")
TABLE = vectors.read("messages.json")
HANDSHAKES = vectors.read("handshake.json")
REAL = [suite for suite in SUITES.values() if suite.name != "plain"]
LANGUAGE = {**OPEN, **SEALED}


def label(vector: dict[str, Any]) -> str:
    return f"{vector['name']}, {vector['case']}"


def test_every_message_and_shape_has_its_vectors() -> None:
    named = {(each["name"], each["case"]) for each in TABLE["messages"]}
    assert named == {(declared.kind.__name__, case) for declared in LANGUAGE.values() for case in ("least", "full")}
    shapes = {(each["name"], each["case"]) for each in TABLE["shapes"]}
    assert shapes == {(kind.__name__, case) for kind in vectors.shapes() for case in ("least", "full")}
    known = {"Record", "Claims", "SignedClaims", "Listing", "Proof", "Application", "Decision", "LogEntry"}
    assert known | {"SignedHead", "Descriptor"} <= {name for name, _ in shapes}


def test_they_are_what_the_declarations_say() -> None:
    assert vectors.stale() == [], "python tools/vectors.py"


@pytest.mark.parametrize("vector", TABLE["messages"], ids=label)
def test_a_message_is_written_and_read(vector: dict[str, Any]) -> None:
    kind = LANGUAGE[vector["number"], vectors.Form[vector["form"].upper()]].kind
    value, raw = vectors.unreadable(kind, vector["value"]), bytes.fromhex(vector["raw"])
    sent = bytes.fromhex(vector["sent"])
    assert encode_command(value) == raw
    assert encode_command(value, compressed=True, network=vectors.NETWORK) == sent
    for form in (raw, sent):
        assert decode_commands(form, LANGUAGE, vectors.NETWORK) == [value]
        part = explain(form, Frames(REAL[0], b"", Keys(), vectors.NETWORK), vectors.HERE, vectors.THERE, "commands")
        assert not part.faults
        assert part.parts[0].name == vector["name"]


@pytest.mark.parametrize("vector", TABLE["shapes"], ids=label)
def test_a_shape_is_written_and_read(vector: dict[str, Any]) -> None:
    kind = next(kind for kind in vectors.shapes() if kind.__name__ == vector["name"])
    value, raw = vectors.unreadable(kind, vector["value"]), bytes.fromhex(vector["raw"])
    assert encode_shape(value) == raw
    assert decode_shape(kind, raw) == value


@pytest.mark.parametrize("suite", REAL, ids=lambda suite: suite.name)
@pytest.mark.parametrize("vector", [each for each in TABLE["messages"] if "datagrams" in each], ids=label)
def test_a_datagram_is_uncovered(suite: Suite, vector: dict[str, Any]) -> None:
    here, there = Address.parse(TABLE["from"]), Address.parse(TABLE["to"])
    cloak = suite.cloak(bytes.fromhex(TABLE["cloak_key"]), LAYOUTS)
    ear = Datagrams(suite, cloak, [there.host], Random(1))
    bodies: list[bytes | None] = []
    for each in vector["datagrams"][suite.name]:
        piece = ear.receive(bytes.fromhex(each), Wire(here))[0]
        assert piece is not None
        fragment = piece.kind is FrameKind.FRAGMENT
        bodies.append(ear.fragments.hear(Wire(here), piece.head, piece.body, 0.0) if fragment else piece.body)
    assert bodies[:-1] == [None] * (len(bodies) - 1)
    assert bodies[-1] == bytes.fromhex(vector["sent"])


@pytest.mark.parametrize("suite", REAL, ids=lambda suite: suite.name)
def test_a_handshake_of_long_ago_opens(suite: Suite) -> None:
    kept = HANDSHAKES[suite.name]
    said = [decode_commands(bytes.fromhex(kept[name]), OPEN)[0] for name in ("hello", "answer", "finish")]
    hello, answer, finish = said
    private = {side: bytes.fromhex(kept[side]["envelope_private"]) for side in ("initiator", "responder")}
    secret = {side: bytes.fromhex(kept[side]["secret"]) for side in ("initiator", "responder")}
    assert suite.envelope.public(private["initiator"]) == hello.envelope
    assert suite.answer_envelope.public(private["responder"]) == answer.envelope
    assert suite.envelope.disclose(private["initiator"], answer.enclosed) == secret["responder"]
    assert suite.answer_envelope.disclose(private["responder"], finish.enclosed) == secret["initiator"]

    notary = Notary(
        bytes.fromhex(kept["network"]),
        (bytes.fromhex(kept["network_key"]),),
        suite.network_identity.verify,
        suite.identity.verify,
        suite.digest,
    )
    middle = after_answer(suite, hello, answer)
    bare = type(finish)(to=finish.to, enclosed=finish.enclosed)
    end = after_finish(suite, middle, answer.proof, bare)
    assert end.hex() == kept["transcript"]
    both = secret["initiator"] + secret["responder"]
    for side, mark, under, transcript, sealed in (
        ("responder", RESPONDER, secret["responder"], middle, answer.proof),
        ("initiator", INITIATOR, both, end, finish.proof),
    ):
        plain = proof_seal(suite, mark, under, transcript).open(0, sealed, transcript)
        proof = decode_shape(Proof, plain)
        assert proof.key == suite.identity.public(bytes.fromhex(kept[side]["identity_private"]))
        assert suite.identity.verify(proof.key, proof.signature, mark + transcript)
        assert notary.credential(proof.credential, kept["time"]).name == kept[side]["name"]

    agreed = suite.agree(secret["initiator"], secret["responder"], end)
    seals = dict(zip(("initiator", "responder"), agreed, strict=True))
    for packet in kept["packets"]:
        beside = bytes([packet["kind"]]) + packet["link"].to_bytes(4, "big")
        plain, sealed = bytes.fromhex(packet["plain"]), bytes.fromhex(packet["sealed"])
        assert seals[packet["by"]].open(packet["sequence"], sealed, beside) == plain
        assert seals[packet["by"]].close(packet["sequence"], plain, beside) == sealed


@pytest.mark.parametrize("suite", REAL, ids=lambda suite: suite.name)
def test_a_letter_of_long_ago_opens(suite: Suite) -> None:
    kept = vectors.read("letter.json")[suite.name]
    (letter,) = decode_commands(bytes.fromhex(kept["letter"]), OPEN)
    application, correspondence = open_letter(suite, bytes.fromhex(kept["letter_private"]), letter)
    assert vectors.readable(application) == kept["application"]
    assert correspondence.secret.hex() == kept["secret"]
    assert application.proof == suite.password.prove("alice", kept["password"], bytes.fromhex(kept["network"]))
    (answer,) = decode_commands(bytes.fromhex(kept["answer"]), OPEN)
    assert vectors.readable(correspondence.open_answer(answer)) == kept["decision"]


@pytest.mark.parametrize("suite", REAL, ids=lambda suite: suite.name)
def test_what_was_signed_long_ago_holds(suite: Suite) -> None:
    kept = vectors.read("signed.json")[suite.name]
    descriptor = from_link(kept["description"])
    assert [str(address) for address in descriptor.servers] == kept["login_servers"]
    entry = descriptor.notary.record(decode_shape(Record, bytes.fromhex(kept["record"])), vectors.CLOCK + 1_000)
    assert entry.seen == vectors.CLOCK // PULSE_EVERY * PULSE_EVERY + 3 * PULSE_EVERY
    assert entry.name == "alice"
    ledger = Ledger(suite.digest, descriptor.id)
    chain = Chain(ledger)
    chain.add(decode_shape(LogEntry, bytes.fromhex(each["entry"])) for each in kept["log"])
    assert chain.newest.hex() == kept["log"][-1]["hash"]
    (question,), (answer,) = (decode_commands(bytes.fromhex(kept[each]), OPEN) for each in ("question", "answer"))
    head, _ = read_answer(ledger, descriptor.notary, question, answer)
    chain.agrees(head)
    assert head.count == len(kept["log"])


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    for name in ("messages.json", "frames.json", "compression.json", "handshake.json"):
        shutil.copy(ROOT / "tests" / "vectors" / name, tmp_path)
    return tmp_path


def test_a_changed_byte_is_noticed(copy: Path) -> None:
    path = copy / "messages.json"
    text = path.read_text("utf-8")
    at = text.index('"raw": "') + len('"raw": "')
    path.write_text(text[:at] + ("1" if text[at] != "1" else "2") + text[at + 1 :], "utf-8")
    assert vectors.stale(copy) == ["messages.json"]


@pytest.mark.parametrize(
    ("content", "said"),
    [("{", "damaged in line 1"), ("[]", "no table"), (None, "missing"), (b"\xff\xfe", "cannot be read")],
)
def test_a_damaged_file_is_named(copy: Path, content: str | bytes | None, said: str) -> None:
    path = copy / "messages.json"
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(Unusable, match=rf"messages\.json.*{said}"):
        vectors.read("messages.json", copy)


def test_a_file_that_lacks_a_part_is_named(copy: Path) -> None:
    (copy / "messages.json").write_text(json.dumps({"messages": []}), "utf-8")
    with pytest.raises(Unusable, match="lack 'network'"):
        vectors.stale(copy)
