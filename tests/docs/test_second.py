"""The specification is enough: an implementation made from its text alone reads the vectors of ours."""

from __future__ import annotations

import ast
import base64
import hashlib
import ipaddress
from typing import Any

import pytest
import second
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from second_lists import raw
from tools import ROOT, tool

vectors = tool("vectors")
TABLE = vectors.read("messages.json")
FRAMES = vectors.read("frames.json")
SIGNED = vectors.read("signed.json")
LETTERS = vectors.read("letter.json")
WALK = tool("walk").read()
HANDSHAKES = vectors.read("handshake.json")
SUITES_TABLE = vectors.read("suites.json")
CLOAK_KEY = bytes.fromhex(TABLE["cloak_key"])
NETWORK = bytes.fromhex(TABLE["network"])
HOSTS = bytes([192, 0, 2, 1]), bytes([192, 0, 2, 2])
FORMS = {1: "notice", 2: "request", 3: "reply"}


COMPRESSION = vectors.read("compression.json")
second.TABLES.append(second.Tables(COMPRESSION))


def label(vector: dict[str, Any]) -> str:
    return f"{vector['name']}, {vector['case']}"


def test_it_shares_nothing_with_the_first() -> None:
    texts = [(ROOT / "tests" / "support" / name).read_text("utf-8") for name in ("second.py", "second_lists.py")]
    tree = ast.parse("\n".join(texts).replace("from __future__ import annotations", ""))
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name.partition(".")[0] for name in imported} <= {
        *("__future__", "collections", "cryptography", "dataclasses", "hashlib", "second_lists", "typing", "zlib")
    }


def flat(value: Any) -> list[Any]:
    """The values of a readable table, in order, as the second implementation would have them."""
    out = []
    for name, held in value.items():
        if name == "request":
            continue
        out += held if isinstance(held, list) else [held]
    return out


def expected(vector: dict[str, Any]) -> list[Any]:
    """What the second implementation should find in a vector's bytes."""
    found = flat(vector["value"])
    return [flat(each) if isinstance(each, dict) else int(each) if each is True else each for each in found]


def told(kind: int, value: Any) -> Any:
    """A value of the second implementation in the vectors' readable form."""
    match kind:
        case 1 | 4:
            return value.hex()
        case 2 | 7:
            host, port = value
            text = str(ipaddress.ip_address(host))
            return f"{text}:{port}" if kind == 2 else f"[{text}]:{port}"
        case 5:
            return [told(*each[::2]) for each in value]
    return value


@pytest.mark.parametrize("form", ["raw", "sent"])
@pytest.mark.parametrize("vector", TABLE["messages"], ids=label)
def test_commands(vector: dict[str, Any], form: str) -> None:
    (command,) = second.commands(bytes.fromhex(vector[form]), NETWORK)
    assert command.number == vector["number"]
    assert FORMS[command.form] == vector["form"]
    assert command.request == vector["value"].get("request")
    assert [told(kind, value) for kind, _, value in command.parameters] == expected(vector)


@pytest.mark.parametrize("number", range(len(COMPRESSION["lists"])))
def test_compressed_lists(number: int) -> None:
    vector = COMPRESSION["lists"][number]
    packed = bytes.fromhex(vector["compressed"])
    source = second.Bytes(packed + b"whatever follows")
    assert raw(second.objects(source, 1, vector["subject"], NETWORK)).hex() == vector["raw"]
    assert source.at == len(packed)


@pytest.mark.parametrize("vector", TABLE["shapes"], ids=label)
def test_shapes(vector: dict[str, Any]) -> None:
    source = second.Bytes(bytes.fromhex(vector["raw"]))
    assert [told(kind, value) for kind, _, value in second.objects(source)] == expected(vector)
    assert source.over


def uncovered(suite: str, data: bytes, hosts: tuple[bytes, bytes] = HOSTS) -> second.Frame:
    if suite == "classic":
        return second.classic_datagram(data, *hosts)
    return second.modern_datagram(CLOAK_KEY, data, *hosts)


def hosts(packet: dict[str, Any]) -> tuple[bytes, bytes]:
    """The IPv4 hosts from and to which a packet goes."""
    source, destination = (packet[end].rpartition(":")[0] for end in ("from", "to"))
    return ipaddress.ip_address(source).packed, ipaddress.ip_address(destination).packed


@pytest.mark.parametrize("suite", ["classic", "modern"])
@pytest.mark.parametrize("vector", [each for each in TABLE["messages"] if "datagrams" in each], ids=label)
def test_datagrams(suite: str, vector: dict[str, Any]) -> None:
    frames = [uncovered(suite, bytes.fromhex(each)) for each in vector["datagrams"][suite]]
    assert {frame.frame for frame in frames} == {0x7F46}
    if len(frames) == 1:
        assert frames[0].kind == 0x02
    else:
        assert {frame.kind for frame in frames} == {0x0F}
        assert [frame.fields[2] & 0x0F for frame in frames] == list(range(len(frames)))
        assert [frame.fields[2] >> 7 for frame in frames] == [0] * (len(frames) - 1) + [1]
    assert b"".join(frame.body for frame in frames).hex() == vector["sent"]


@pytest.mark.parametrize("suite", ["classic", "modern"])
def test_a_datagram_for_other_hosts_is_told(suite: str) -> None:
    (data,) = next(each for each in TABLE["messages"] if each["name"] == "Probe")["datagrams"][suite]
    with pytest.raises(second.Wrong, match="check"):
        uncovered(suite, bytes.fromhex(data), (HOSTS[1], HOSTS[0]))


@pytest.mark.parametrize("suite", ["classic", "modern"])
def test_every_kind_of_frame(suite: str) -> None:
    for name, text in SUITES_TABLE[suite]["repeatable"].items():
        if name.startswith("frame "):
            _, kind, _, size = name.split()
            frame = uncovered(suite, bytes.fromhex(text))
            assert frame.kind == int(kind, 16)
            assert frame.frame == 0x1234
            assert frame.fields == bytes(range(second.FIELDS.get(frame.kind, 0)))
            assert frame.body == bytes(range(int(size)))


@pytest.mark.parametrize("suite", ["classic", "modern"])
def test_streams(suite: str) -> None:
    kept = SUITES_TABLE[suite]["repeatable"]
    data = bytes.fromhex(kept["opening"] + kept["stream"])
    plain = second.classic_stream(data) if suite == "classic" else second.modern_stream(CLOAK_KEY, data)
    assert plain == b"firstsecond"


@pytest.mark.parametrize("suite", ["classic", "modern"])
def test_a_refused_probe_and_what_follows(suite: str) -> None:
    kept = FRAMES[suite]
    payload, nack, resend, ack = kept["exchange"]
    for each in (nack, resend, ack, kept["keep_alive"], kept["media"]):
        frame = uncovered(suite, bytes.fromhex(each["datagram"]), hosts(each))
        fields, body = bytes.fromhex(each["fields"]), bytes.fromhex(each["body"])
        assert frame == second.Frame(each["frame"], each["kind"], fields, body)
    with pytest.raises(second.Wrong, match="check"):
        uncovered(suite, bytes.fromhex(payload["datagram"]), hosts(payload))
    unknown = uncovered(suite, bytes.fromhex(payload["datagram"]), (bytes(4), hosts(payload)[1]))
    (probe,) = second.commands(unknown.body)
    assert (probe.number, probe.form, probe.request) == (27, 2, 0x7F45)
    told, challenge = bytes.fromhex(nack["body"])[:4], bytes.fromhex(nack["body"])[4:]
    assert told == hosts(payload)[0]
    assert bytes.fromhex(resend["fields"]) == b"\x01" + challenge + hosts(payload)[1]


@pytest.mark.parametrize("suite", ["classic", "modern"])
def test_a_forwarded_datagram(suite: str) -> None:
    kept = FRAMES[suite]["forward"]
    frame = uncovered(suite, bytes.fromhex(kept["datagram"]), hosts(kept))
    assert frame.fields == bytes(range(8))
    assert uncovered(suite, frame.body, (bytes(4), bytes(4))).body.hex() == kept["inside"]


@pytest.mark.parametrize("suite", ["classic", "modern"])
def test_frames_of_a_stream(suite: str) -> None:
    kept = FRAMES[suite]["stream"]
    data = bytes.fromhex(kept["opening"] + kept["covered"])
    plain = second.classic_stream(data) if suite == "classic" else second.modern_stream(CLOAK_KEY, data)
    expected = [("payload" if each["type"] is None else f"{each['type']:02x}", each["body"]) for each in kept["frames"]]
    assert [(kind, content.hex()) for kind, content in second.stream_frames(plain)] == expected


@pytest.mark.parametrize("name", ["classic", "modern"])
def test_a_whole_trip(name: str) -> None:
    """The recorded join, login and call: every datagram is uncovered, every sealed packet opened."""
    suite, recording = second.SUITES[name], WALK[name]
    shape = recording["network"].removeprefix("halloo:")
    descriptor = second.objects(second.Bytes(base64.urlsafe_b64decode(shape + "=" * (-len(shape) % 4))))
    cloak_key = next(value for _, key, value in descriptor if key == 0x06)
    seals: dict[int, bytes] = {}
    for line in recording["keys"]:
        _, _, initiator, responder, *secrets = line.split()
        seals[int(responder)], seals[int(initiator)] = suite.agree(*(bytes.fromhex(each) for each in secrets))

    def opened(link: bytes, frame: int, kind: int, sealed: bytes) -> bytes:
        return suite.open(seals[int.from_bytes(link, "big")], frame, sealed, bytes([kind]) + link)

    said, pieces = [], dict[bytes, bytes]()
    for packet in recording["packets"]:
        frame = whole(name, cloak_key, packet)
        body = frame.body
        if frame.kind == 0x0F:
            pieces[frame.fields[:2]] = pieces.get(frame.fields[:2], b"") + body
            body = pieces[frame.fields[:2]] if frame.fields[2] & 0x80 else b""
        if frame.kind == 0x0D:
            plain = opened(frame.fields, frame.frame, 0x0D, body)
            assert plain[0] >> 4 == 1
            said.append("sound")
        elif frame.kind in (0x02, 0x03, 0x0F) and body[:1] == b"\0":
            plain = opened(body[1:5], frame.frame, 0x02, body[5:])
            reader = second.Bytes(plain)
            assert reader.varint() < 20
            first = reader.varint()
            said += ["acknowledgement" if not first else "signalling"]
        elif body and frame.kind not in (0x05, 0x07):
            said.append("open")
    assert said.count("sound") == 4
    assert said.count("signalling") >= 10
    assert said.count("open") >= 10


def whole(name: str, cloak_key: bytes, packet: dict[str, Any]) -> second.Frame:
    """A recorded datagram, for its hosts, or for a sender who did not know his."""
    data, ends = bytes.fromhex(packet["hex"]), hosts(packet)
    for source in (ends[0], bytes(4)):
        try:
            if name == "classic":
                return second.classic_datagram(data, source, ends[1])
            return second.modern_datagram(cloak_key, data, source, ends[1])
        except second.Wrong:
            continue
    raise AssertionError(f"not uncovered: {packet}")


def credential(suite: second.Suite, network_key: bytes, data: bytes) -> second.Command:
    """The claims of a credential that the network has signed."""
    signed = second.shape(data)
    assert suite.verify(network_key, signed.one(0x02), b"halloo credential\n" + signed.one(0x01))
    return second.shape(signed.one(0x01))


@pytest.mark.parametrize("name", ["classic", "modern"])
def test_what_is_signed(name: str) -> None:
    suite, kept = second.SUITES[name], SIGNED[name]
    link = kept["description"].removeprefix("halloo:")
    whole = base64.urlsafe_b64decode(link + "=" * (-len(link) % 4))
    description = second.shape(whole)
    signature = description.one(0x0A)
    bare = whole[: -len(signature) - len(second._varint(len(signature)))] + b"\0"  # an empty blob in its place
    assert suite.verify(description.one(0x03), signature, b"halloo network\n" + bare)
    network = suite.digest(description.one(0x03))[:8]
    assert network.hex() == kept["network"]
    hidden = description.one(0x07)
    stream = suite.derive(description.one(0x06), "halloo login servers", b"", len(hidden))
    servers = second.shape(second._xor(hidden, stream))
    assert [told(kind, value) for kind, _, value in servers.parameters] == kept["login_servers"]

    record, login_key = second.shape(bytes.fromhex(kept["record"])), description.one(0x04)
    claims = credential(suite, login_key, record.one(0x01))
    assert claims.one(0x06) == network
    assert suite.verify(claims.one(0x01), record.one(0x03), b"halloo listing\n" + record.one(0x02))
    link = record.one(0x04)
    for _ in range(3):
        link = suite.digest(b"halloo pulse\n" + link)[:16]
    assert link == second.shape(record.one(0x02)).one(0x35)

    entries = [second.shape(bytes.fromhex(each["entry"])) for each in kept["log"]]
    hashes = [second.entry_hash(suite, network, entry) for entry in entries]
    assert [each.hex() for each in hashes] == [each["hash"] for each in kept["log"]]
    assert [entry.one(0x06) for entry in entries] == [b"", *hashes[:-1]]
    name_digest = suite.digest(b"halloo log name\n" + network + b"alice")[:16]
    assert [entry.one(0x03) == name_digest for entry in entries] == [True, True, False, True]
    assert entries[-1].one(0x04) == suite.digest(b"halloo log key\n" + claims.one(0x01))
    assert entries[-1].one(0x07) == hashes[1]
    assert (claims.one(0x07), claims.one(0x08)) == (entries[-1].one(0x01), hashes[-1][:20])

    (question,), (answer,) = (second.commands(bytes.fromhex(kept[each])) for each in ("question", "answer"))
    (head,) = [second.Command(0, 0, None, value) for _, key, value in answer.parameters if key == 0x02]
    assert suite.verify(login_key, head.one(0x02), b"halloo log head\n" + head.one(0x01))
    assert second.shape(head.one(0x01)).one(0x03) == hashes[-1]
    assert suite.verify(login_key, answer.one(0x04), second.told_text(suite, network, question, answer))


def test_the_modern_password() -> None:
    kept = LETTERS["modern"]
    salt = hashlib.sha256(b"halloo password\n" + bytes.fromhex(kept["network"]) + b"alice").digest()[:16]
    derived = Argon2id(salt=salt, length=32, iterations=3, lanes=4, memory_cost=65_536).derive(b"secret")
    assert derived.hex() == kept["application"]["proof"]


@pytest.mark.parametrize("name", ["classic", "modern"])
def test_a_handshake_and_what_follows(name: str) -> None:
    suite, kept = second.SUITES[name], HANDSHAKES[name]
    hello, answer, finish = (bytes.fromhex(kept[each]) for each in ("hello", "answer", "finish"))
    said = {each: second.commands(text)[0] for each, text in (("answer", answer), ("finish", finish))}
    proofs = {each: command.one(0x05) for each, command in said.items()}
    responders = suite.disclose(bytes.fromhex(kept["initiator"]["envelope_private"]), said["answer"].one(0x04))
    initiators = suite.disclose_answer(bytes.fromhex(kept["responder"]["envelope_private"]), said["finish"].one(0x04))
    assert responders.hex() == kept["responder"]["secret"]
    assert initiators.hex() == kept["initiator"]["secret"]

    first = suite.digest(hello + second.without_proof(answer, proofs["answer"]))
    last = suite.digest(first + suite.digest(proofs["answer"]) + second.without_proof(finish, proofs["finish"]))
    assert last.hex() == kept["transcript"]
    for side, secret, transcript, sealed in (
        ("responder", responders, first, proofs["answer"]),
        ("initiator", initiators + responders, last, proofs["finish"]),
    ):
        key = suite.derive(secret, f"halloo {side}\n", transcript, 36)
        proof = second.shape(suite.open(key, 0, sealed, transcript))
        claims = credential(suite, bytes.fromhex(kept["network_key"]), proof.one(0x02))
        assert claims.one(0x00) == kept[side]["name"]
        assert claims.one(0x01) == proof.one(0x01)
        assert suite.verify(proof.one(0x01), proof.one(0x03), f"halloo {side}\n".encode() + transcript)

    seals = dict(zip(("initiator", "responder"), suite.agree(initiators, responders, last), strict=True))
    for packet in kept["packets"]:
        beside = bytes([packet["kind"]]) + packet["link"].to_bytes(4, "big")
        plain = suite.open(seals[packet["by"]], packet["sequence"], bytes.fromhex(packet["sealed"]), beside)
        assert plain.hex() == packet["plain"]


@pytest.mark.parametrize("name", ["classic", "modern"])
def test_a_link_that_is_resumed(name: str) -> None:
    suite, kept = second.SUITES[name], HANDSHAKES[name]
    met, back = kept, kept["resumption"]
    initiators, responders = (bytes.fromhex(met[side]["secret"]) for side in ("initiator", "responder"))
    exporter = suite.derive(initiators + responders, "halloo resumption", bytes.fromhex(met["transcript"]), 32)
    (ticket,) = second.commands(bytes.fromhex(back["ticket"]))
    secret = suite.derive(exporter, "halloo ticket", ticket.one(0x08), 32)
    assert secret.hex() == back["secret"]

    said, answer = bytes.fromhex(back["resume"]), bytes.fromhex(back["resumed"])
    (resume,), (resumed,) = second.commands(said), second.commands(answer)
    assert resume.one(0x07) == ticket.one(0x07)
    nonce = resume.one(0x08)
    key = suite.derive(secret, "halloo early", nonce, 36)
    assert suite.open(key, 0, resume.one(0x09), nonce).hex() == back["early"]
    spoken = suite.digest(second.emptied(said, (0x0A, resume.one(0x0A))))
    assert resume.one(0x0A) == suite.derive(secret, "halloo binder", spoken, 16)

    fresh = suite.disclose_answer(bytes.fromhex(back["envelope_private"]), resumed.one(0x04))
    assert fresh.hex() == back["fresh"]
    bare = second.emptied(answer, (0x0A, resumed.one(0x0A)), (0x09, resumed.one(0x09)))
    transcript = suite.digest(spoken + bare)
    assert transcript.hex() == back["transcript"]
    returned = suite.derive(secret, "halloo resumed", spoken, 32)
    assert resumed.one(0x0A) == suite.derive(returned + fresh, "halloo resumed check", transcript, 16)
    ours, theirs = suite.agree(returned, fresh, transcript)
    numbers = [command.one(0x02).to_bytes(4, "big") for command in (resume, resumed)]
    assert suite.open(theirs, 0, resumed.one(0x09), b"\x02" + numbers[0]).hex() == back["first"]
    confirm = back["confirm"]
    assert suite.open(ours, 0, bytes.fromhex(confirm["sealed"]), b"\x02" + numbers[1]).hex() == confirm["plain"]


@pytest.mark.parametrize("name", ["classic", "modern"])
def test_a_letter_and_its_answer(name: str) -> None:
    suite, kept = second.SUITES[name], LETTERS[name]
    (letter,) = second.commands(bytes.fromhex(kept["letter"]))
    (answer,) = second.commands(bytes.fromhex(kept["answer"]))
    enclosed, sealed = letter.one(0x08), letter.one(0x09)
    secret = suite.disclose(bytes.fromhex(kept["letter_private"]), enclosed)
    assert secret.hex() == kept["secret"]
    application = second.unfilled(suite.open(suite.derive(secret, "halloo letter", b"", 36), 0, sealed, enclosed), 768)
    assert (3, 0x04, "alice") in application
    assert (4, 0x05, bytes.fromhex(kept["application"]["proof"])) in application
    key = suite.derive(secret, "halloo letter answer", b"", 36)
    decision = second.unfilled(suite.open(key, 0, answer.one(0x09), suite.digest(enclosed + sealed)), 1024)
    assert (0, 0x01, 4200) in decision
    assert (4, 0x24, bytes.fromhex(kept["decision"]["credential"])) in decision


def test_the_classic_password() -> None:
    kept = LETTERS["classic"]
    proof = hashlib.md5(b"alice\nskyper\n" + kept["password"].encode()).hexdigest()
    assert proof == kept["application"]["proof"]
