"""Makes the test vectors under tests/vectors: ``python tools/vectors.py [--check | --record]``.

    messages.json    every message and shape, least and full: a readable value and its bytes, raw and as they are sent
                     (the shorter of raw and compressed); what is said in the open also as datagrams of both suites
    compression.json the tables of compressed lists, and lists of every kind in both forms
    frames.json      small frames from a fixed seed in both suites: a refused probe and what follows, a keep-alive, a
                     forwarded datagram; and a stream with one frame of each sort
    handshake.json   a whole handshake in each suite, with its private keys, what was sealed after it, and how the link
                     was resumed
    signed.json      what is signed beside: a network's description, a record with its credential and a sign of
                     life, a log and an answer about it, in each suite
    letter.json      a letter to the login server and its answer in each suite, with the key that opens it

The first two follow from the declarations and fixed seeds and are made anew at every run; ``--check`` only compares.
In the others are random numbers that no seed governs (key encapsulation, RSA padding and keys), so they were recorded
once; ``--record`` records them again.
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib
import json
import pkgutil
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import halloo.messages
from halloo.base.address import Address, Wire
from halloo.base.errors import HallooError, Unusable
from halloo.crypto.classic import CLASSIC
from halloo.crypto.modern import MODERN
from halloo.crypto.suite import Covered, Suite
from halloo.link.datagrams import LAYOUTS, Datagrams
from halloo.link.handshake import Initiator, Responder
from halloo.link.keys import LinkKeys
from halloo.link.persona import Persona
from halloo.link.resumption import Admission, Return
from halloo.link.tickets import Tickets, exported
from halloo.login.letter import open_letter, write_letter
from halloo.login.log import Ledger
from halloo.messages import overlay
from halloo.messages.catalogue import OPEN, SEALED
from halloo.messages.chain import LONGEST_CHAIN, linked
from halloo.messages.credential import Claims, Listing, Notary, Party, credential_of, issue, list_entry
from halloo.messages.link import Confirm
from halloo.messages.log import EntryKind, Head, LogAsked, LogEntry, LogTold
from halloo.messages.login import Application, Decision, Purpose, Verdict
from halloo.node.descriptor import Descriptor, create
from halloo.wire.alphabet import LETTERS, Model
from halloo.wire.command import FieldRule, Form, Shape, encode_command, encode_shape, rules_of
from halloo.wire.frame import (
    Control,
    FrameKind,
    StreamFrame,
    encode_ack,
    encode_nack,
    encode_resend,
    encode_stream_frame,
)
from halloo.wire.objects import Kind, ObjectList, encode_objects
from halloo.wire.squeeze import squeezed
from halloo.wire.tables import ANY, FREQUENT, TABLES

FOLDER = Path(__file__).parents[1] / "tests" / "vectors"
SUITES = (CLASSIC, MODERN)
CLOAK_KEY = bytes(range(32))
NETWORK = b"network!"  # the id of the network that every vector is said in
HERE, THERE = Address.parse("192.0.2.1:1000"), Address.parse("192.0.2.2:2000")
FRAME = 0x7F46
CLOCK = 1_800_000_000  # seconds since 1970: the time of every vector

PARTS = {
    "messages.json": ("network", "cloak_key", "from", "to", "messages", "shapes"),
    "frames.json": ("cloak_key", "from", "to", "classic", "modern"),
    "compression.json": ("network", "frequent", "classes", "tables", "lists"),
    "handshake.json": ("classic", "modern"),
    "letter.json": ("classic", "modern"),
    "signed.json": ("classic", "modern"),
}
"""What each file must have."""

Json = dict[str, Any]


# --- values -------------------------------------------------------------------------------------------------------


def shapes() -> list[type[Any]]:
    """Every shape that travels: all classes declared as such in ``messages``, and a network's description."""
    modules = [each.name for each in pkgutil.iter_modules(halloo.messages.__path__, "halloo.messages.")]
    held = [each for name in modules for each in vars(importlib.import_module(name)).values()]
    found = {each.__name__: each for each in held if isinstance(each, type) and issubclass(each, Shape)}
    found["Descriptor"] = Descriptor
    del found["Shape"]
    return [found[name] for name in sorted(found)]


def spoken() -> list[type[Any]]:
    """Every message of the catalogue, by number and form."""
    declared = {**OPEN, **SEALED}
    return [declared[key].kind for key in sorted(declared)]


def sample(kind: type[Any], *, full: bool) -> Any:
    """A value of a message or shape: with all its fields, or only those it must have.

    Each field has a seed of its own, so that another field more changes no other.
    """
    values = {}
    for field in dataclasses.fields(kind):
        required = field.default is dataclasses.MISSING
        if field.name == "request":
            values["request"] = 0x7F45 if full else 1
        elif required or full:
            values[field.name] = _sample_field(kind, field.name, rules_of(kind)[field.name])
    return kind(**values)


NUMBERS = {
    "suite": 2,
    "purpose": 5017,
    "verdict": 4200,
    "why": 1,
    "state": 1,
    "codec": 1,
    "rate": 32_000,
    "port": 33_033,
    "issued": CLOCK,
    "expires": CLOCK + 14 * 86_400,
    "wall": CLOCK,
    "kind": 1,
}
TEXTS = {
    "profile": "modern",
    "name": "alice",
    "full_name": "Ada L.",
    "city": "Tübingen",
    "reason": "no room is left",
    "words": "bye",
}


def _sample_field(kind: type[Any], name: str, rule: FieldRule) -> Any:
    rng = Random(f"{kind.__name__}.{name}")
    if rule.inner is not None:
        count = min(rule.most, 2)
        return tuple(sample(rule.inner, full=number == 0) for number in range(count))
    if rule.many:
        hosts = [rng.randbytes(4), b"\x20\x01\x0d\xb8" + rng.randbytes(12)][: rule.most]
        return tuple(Address(host, rng.randrange(1024, 65_536)) for host in hosts)
    match rule.kinds[0]:
        case Kind.NUMBER if rule.boolean:
            return True
        case Kind.NUMBER:
            return NUMBERS.get(name, rng.randint(rule.least, min(rule.most, 1 << 32)))
        case Kind.WIDE:
            return rng.randbytes(8)
        case Kind.TEXT:
            return TEXTS.get(name, "text")[: rule.most]
        case Kind.NUMBERS:
            return tuple(rng.getrandbits(bits) for bits in (3, 7, 8, 31))
        case Kind.BLOB:
            return _sample_blob(name, rule, rng)
    return Address(rng.randbytes(4), rng.randrange(1024, 65_536))


def _sample_blob(name: str, rule: FieldRule, rng: Random) -> bytes:
    match name:
        case "claims":
            return encode_shape(sample(Claims, full=True))
        case "listing":
            return encode_shape(sample(Listing, full=True))
        case "head":
            return encode_shape(sample(Head, full=True))
        case "credential":
            private = MODERN.network_identity.make(Random("network"))
            return issue(sample(Claims, full=True), private, MODERN.network_identity.sign)
    size = {"key": 32, "signature": 64, "proof": 32, "envelope": 48, "enclosed": 48, "sealed": 48}.get(name, 12)
    return rng.randbytes(max(rule.least, min(size, rule.most)))


def readable(value: Any) -> Any:
    """A value in JSON: bytes in hexadecimal, addresses as text, shapes as tables without what is left out."""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, Address):
        return str(value)
    if isinstance(value, tuple):
        return [readable(each) for each in value]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        rules, held = rules_of(type(value)), {one.name: getattr(value, one.name) for one in dataclasses.fields(value)}
        said = {name: each for name, each in held.items() if name not in rules or each != rules[name].absent}
        return {name: readable(each) for name, each in said.items()}
    return value


def unreadable(kind: type[Any], table: Mapping[str, Any]) -> Any:
    """The value of a message or shape from its readable form."""
    rules = rules_of(kind)
    return kind(**{name: _of_json(rules.get(name), held) for name, held in table.items()})


def _of_json(rule: FieldRule | None, held: Any) -> Any:
    if rule is None or held is None:
        return held
    if isinstance(held, list):
        return tuple(_of_json(dataclasses.replace(rule, many=False), each) for each in held)
    if rule.inner is not None:
        return unreadable(rule.inner, held)
    match rule.kinds[0]:
        case Kind.WIDE | Kind.BLOB:
            return bytes.fromhex(held)
        case Kind.ADDRESS4 | Kind.ADDRESS6:
            return Address.parse(held)
    return held


# --- what follows from the declarations ---------------------------------------------------------------------------


def messages() -> Json:
    """messages.json."""
    return {
        "network": NETWORK.hex(),
        "cloak_key": CLOAK_KEY.hex(),
        "from": str(HERE),
        "to": str(THERE),
        "messages": [_message(kind, full) for kind in spoken() for full in (False, True)],
        "shapes": [_shape(kind, full) for kind in shapes() for full in (False, True)],
    }


def _message(kind: type[Any], full: bool) -> Json:
    key = next(key for key, declared in {**OPEN, **SEALED}.items() if declared.kind is kind)
    value = sample(kind, full=full)
    out: Json = {
        "name": kind.__name__,
        "case": "full" if full else "least",
        "number": key[0],
        "form": Form(key[1]).name.lower(),
        "open": key in OPEN,
        "sealed": key in SEALED,
        "value": readable(value),
        "raw": encode_command(value).hex(),
        "sent": encode_command(value, compressed=True, network=NETWORK).hex(),
    }
    if key in OPEN:
        payload = encode_command(value, compressed=True, network=NETWORK)
        out["datagrams"] = {suite.name: _datagrams(suite, kind.__name__, payload) for suite in SUITES}
    return out


def _datagrams(suite: Suite, name: str, payload: bytes) -> list[str]:
    """The payload as it travels over UDP, from a fixed seed: one datagram, or several fragments."""
    rng = Random(f"{suite.name} {name}")
    datagrams = Datagrams(suite, suite.cloak(CLOAK_KEY, LAYOUTS), [HERE.host], rng)
    datagrams.public[4] = HERE.host
    return [each.data.hex() for each in datagrams.payload(Wire(THERE), FRAME, payload)]


def _shape(kind: type[Any], full: bool) -> Json:
    value = sample(kind, full=full)
    case = "full" if full else "least"
    return {"name": kind.__name__, "case": case, "value": readable(value), "raw": encode_shape(value).hex()}


def compression() -> Json:
    """compression.json."""
    rng = Random("compression")
    numbers = sorted({number for number, _ in {**OPEN, **SEALED}})
    cases = [(rng.choice([0, *numbers]), _any_list(rng, 0)) for _ in range(80)]
    return {
        "network": NETWORK.hex(),
        "frequent": list(FREQUENT),
        "classes": [letters.hex() for letters in LETTERS],
        "tables": {
            Model(model).name.lower(): {
                "any" if context == ANY else str(context): {str(chosen): own for chosen, own in table.items()}
                for context, table in contexts.items()
            }
            for model, contexts in TABLES.items()
        },
        "lists": [
            {"subject": subject, "raw": encode_objects(objects).hex(), "compressed": packed.hex()}
            for subject, objects in cases
            if (packed := squeezed(objects, subject, len(encode_objects(objects)), NETWORK)) is not None
        ],
    }


def _any_list(rng: Random, depth: int) -> ObjectList:
    """Any list, with values that come back, and lists in lists."""
    out: ObjectList = []
    for _ in range(rng.randrange(7)):
        key = rng.choice((rng.randrange(12), rng.randrange(12), rng.randrange(65_536)))
        match rng.choice(list(Kind)):
            case Kind.NUMBER:
                number = rng.choice((rng.getrandbits(rng.randrange(65)), CLOCK, CLOCK - 1_209_600))
                out.append((Kind.NUMBER, key, number))
            case Kind.WIDE:
                out.append((Kind.WIDE, key, rng.choice((b"network!", rng.randbytes(8)))))
            case Kind.ADDRESS4:
                host = rng.choice((HERE.host, THERE.host, rng.randbytes(4)))
                out.append((Kind.ADDRESS4, key, Address(host, rng.choice((33_033, rng.getrandbits(16))))))
            case Kind.ADDRESS6:
                host = rng.choice((bytes(16), bytes(range(16)), rng.randbytes(16)))
                out.append((Kind.ADDRESS6, key, Address(host, rng.choice((33_033, rng.getrandbits(16))))))
            case Kind.TEXT:
                letters = "etaoin shrdlu BCDAEIOU 0123 äß漢🙂.-_\n"
                out.append((Kind.TEXT, key, "".join(rng.choice(letters) for _ in range(rng.randrange(20)))))
            case Kind.BLOB if depth < 2 and rng.random() < 0.5:
                out.append((Kind.BLOB, key, encode_objects(_any_list(rng, depth + 1))))
            case Kind.BLOB:
                out.append((Kind.BLOB, key, rng.randbytes(rng.randrange(50))))
            case Kind.OBJECTS if depth < 3:
                out.append((Kind.OBJECTS, key, _any_list(rng, depth + 1)))
            case Kind.NUMBERS:
                several = tuple(rng.getrandbits(rng.randrange(65)) for _ in range(rng.randrange(5)))
                out.append((Kind.NUMBERS, key, several))
    return out


def frames() -> Json:
    """frames.json."""
    return {
        "cloak_key": CLOAK_KEY.hex(),
        "from": str(HERE),
        "to": str(THERE),
        **{suite.name: _frames(suite) for suite in SUITES},
    }


def _frames(suite: Suite) -> Json:
    rng = Random(f"frames {suite.name}")
    cloak = suite.cloak(CLOAK_KEY, LAYOUTS)
    probe = encode_command(overlay.Probe(request=0x7F45), compressed=True)
    challenge, token = 0xC0FFEE01, bytes(range(8))

    def frame(kind: FrameKind, head: bytes, body: bytes, ends: tuple[Address, Address], source: bytes) -> Json:
        data = cloak.cover(Covered(FRAME, kind, head, body), source, ends[1].host, rng)
        out: Json = {"kind": int(kind), "from": str(ends[0]), "to": str(ends[1]), "frame": FRAME}
        return {**out, "fields": head.hex(), "body": body.hex(), "datagram": data.hex()}

    there, back = (HERE, THERE), (THERE, HERE)
    inner = cloak.cover(Covered(FRAME, FrameKind.PAYLOAD, b"", probe), bytes(4), bytes(4), rng)
    stream = suite.stream_cloak(CLOAK_KEY, rng)
    said = [
        StreamFrame(None, FRAME, probe),
        StreamFrame(Control.PADDING, 0, bytes(3)),
        StreamFrame(Control.MEDIA, 0, bytes([1, 2, 3, 4, 0, 7]) + b"sealed sound"),
        StreamFrame(Control.FORWARD, 0, token + inner),
    ]
    return {
        "exchange": [
            frame(FrameKind.PAYLOAD, b"", probe, there, bytes(4)),
            frame(FrameKind.NACK, b"", encode_nack(HERE.host, challenge), back, THERE.host),
            frame(FrameKind.RESEND, encode_resend(1, challenge, THERE.host), probe, there, HERE.host),
            frame(FrameKind.ACK, b"", encode_ack(HERE.host, HERE.port), back, THERE.host),
        ],
        "challenge": challenge,
        "keep_alive": frame(FrameKind.MEDIA, b"", b"", there, HERE.host),
        "media": frame(FrameKind.MEDIA, bytes([1, 2, 3, 4]), b"sixteen bytes, or more", there, HERE.host),
        "forward": {**frame(FrameKind.FORWARD, token, inner, there, HERE.host), "inside": probe.hex()},
        "stream": {
            "opening": stream.opening().hex(),
            "covered": stream.send(b"".join(map(encode_stream_frame, said))).hex(),
            "frames": [{"type": each.control, "frame": each.frame, "body": each.body.hex()} for each in said],
        },
    }


# --- what was recorded --------------------------------------------------------------------------------------------


def _persona(suite: Suite, notary: Notary, network: bytes, name: str, confided: list[Any]) -> Persona:
    """Somebody whom the network has certified, and whose links' keys are told to ``confided``."""
    private = suite.identity.make(Random(name))
    claims = Claims(
        name=name,
        key=suite.identity.public(private),
        issued=CLOCK,
        expires=CLOCK + 14 * 86_400,
        network=notary.network,
    )
    signed = issue(claims, network, suite.network_identity.sign)
    return Persona(suite, notary, private, signed, Random(f"{name} {suite.name}"), confided.append)


def handshake(suite: Suite) -> Json:
    """A handshake, and one packet of each kind each way after it."""
    network = suite.network_identity.make(Random("network"))
    notary = Notary(
        b"network!",
        (suite.network_identity.public(network),),
        suite.network_identity.verify,
        suite.identity.verify,
        suite.digest,
    )
    confided: list[Any] = []
    alice, bob = (_persona(suite, notary, network, name, confided) for name in ("alice", "bob"))
    initiator = Initiator(alice, 0x0A0B0C0D)
    responder = Responder(bob, 0x01020304, initiator.hello)
    finish, ours, _ = initiator.answer(responder.answer, CLOCK)
    theirs, _ = responder.finish(finish, CLOCK)
    keys = confided[0]
    out: Json = {
        "network": notary.network.hex(),
        "network_key": notary.keys[0].hex(),
        "time": CLOCK,
        "initiator": {
            "name": "alice",
            "identity_private": alice.private.hex(),
            "envelope_private": initiator._private.hex(),
            "link": initiator.hello.link,
            "secret": keys.initiators.hex(),
        },
        "responder": {
            "name": "bob",
            "identity_private": bob.private.hex(),
            "envelope_private": responder._private.hex(),
            "link": responder.answer.link,
            "secret": keys.responders.hex(),
        },
        "hello": encode_command(initiator.hello).hex(),
        "answer": encode_command(responder.answer).hex(),
        "finish": encode_command(finish).hex(),
        "transcript": keys.transcript.hex(),
        "packets": [],
    }
    for side, session, to in (("initiator", ours, responder.answer.link), ("responder", theirs, initiator.hello.link)):
        for kind, plain in ((FrameKind.PAYLOAD, b"\0\0" + bytes(6)), (FrameKind.MEDIA, b"\x10\0\0\0\x07sound")):
            number = to.to_bytes(4, "big")
            frame, sealed = session.close(kind, number, plain)
            packet = {"by": side, "kind": int(kind), "link": to, "sequence": frame, "frame": frame}
            out["packets"].append({**packet, "plain": plain.hex(), "sealed": sealed.hex()})
    out["resumption"] = _resumption(suite, alice, bob, keys)
    return out


def _resumption(suite: Suite, alice: Persona, bob: Persona, keys: LinkKeys) -> Json:
    """The link is resumed: the ticket that was given on it, both messages, and the first packets."""
    giver, exporter = Tickets(bob), exported(suite, keys)
    whose = Party(alice.public, credential_of(alice.credential))
    ticket = giver.give(exporter, whose, 0.0, CLOCK)
    kept = Tickets(alice).hold(ticket, exporter, Party(bob.public, credential_of(bob.credential)))
    held = Tickets(alice).usable(kept, b"", CLOCK)
    assert held is not None
    early = b"\0\1" + encode_command(overlay.Ping(request=0x7F45))
    returning = Return(alice, 0x0A0B0C0E, held, b"")
    resume = returning.say(early, 1, 0.0)
    admission = Admission(bob, resume, giver.open(resume.ticket, CLOCK))
    theirs = admission.agree(0x01020305, taken=True)
    first = b"\1\1" + encode_command(overlay.Pong(request=0x7F45))
    resumed = admission.answer(theirs.close(FrameKind.PAYLOAD, resume.link.to_bytes(4, "big"), first)[1])
    ours, _, _ = returning.answer(resumed)
    confirm = b"\1\2" + encode_command(Confirm())
    _, sealed = ours.close(FrameKind.PAYLOAD, resumed.link.to_bytes(4, "big"), confirm)
    return {
        "ticket": encode_command(ticket).hex(),
        "secret": held.secret.hex(),
        "envelope_private": returning._private.hex(),
        "resume": encode_command(resume).hex(),
        "early": early.hex(),
        "resumed": encode_command(resumed).hex(),
        "fresh": theirs.keys.responders.hex(),
        "transcript": theirs.keys.transcript.hex(),
        "first": first.hex(),
        "confirm": {"plain": confirm.hex(), "sealed": sealed.hex()},
    }


def letter(suite: Suite) -> Json:
    """A letter to the login server, and its answer."""
    rng = Random(f"letter {suite.name}")
    operators = suite.network_envelope.make(rng, b"")
    private = suite.identity.make(Random("alice"))
    proof = suite.password.prove("alice", "secret", b"network!")
    application = Application(
        purpose=Purpose.LOGIN, name="alice", proof=proof, key=suite.identity.public(private), wall=CLOCK
    )
    letter, correspondence = write_letter(
        suite, suite.network_envelope.public(operators), application, private, 0x7F45, rng
    )
    read, _ = open_letter(suite, operators, letter)
    network = suite.network_identity.make(Random("network"))
    claims = Claims(name="alice", key=read.key, issued=CLOCK, expires=CLOCK + 14 * 86_400, network=b"network!")
    decision = Decision(
        verdict=Verdict.OK, credential=issue(claims, network, suite.network_identity.sign), wall=CLOCK
    )
    return {
        "password": "secret",
        "network": b"network!".hex(),
        "letter_private": operators.hex(),
        "secret": correspondence.secret.hex(),
        "letter": encode_command(letter).hex(),
        "application": readable(read),
        "answer": encode_command(correspondence.write_answer(decision, letter.request)).hex(),
        "decision": readable(decision),
    }


def signed(suite: Suite) -> Json:
    """A network's description, a record in its directory, and its log with what a server tells of it."""
    rng = Random(f"signed {suite.name}")
    descriptor, secrets = create("vectors", suite.name, (HERE, THERE), (THERE,), CLOCK, rng)
    private = suite.identity.make(Random("alice"))
    key = suite.identity.public(private)
    ledger = Ledger(suite.digest, descriptor.id)
    whose, sign = ledger.name("alice"), suite.network_identity.sign
    entries: list[LogEntry] = []
    for kind, digest in ((EntryKind.CERTIFIED, ledger.key(b"an older key")), (EntryKind.REVOKED, b"")):
        newest = entries[-1] if entries else None
        entries.append(ledger.write(kind, whose, digest, CLOCK + len(entries))(newest, newest))
    other = ledger.write(EntryKind.CERTIFIED, ledger.name("bob"), ledger.key(b"his key"), CLOCK + 2)
    entries.append(other(entries[-1], None))
    entries.append(ledger.write(EntryKind.CERTIFIED, whose, ledger.key(key), CLOCK + 3)(entries[-1], entries[1]))
    claims = Claims(
        name="alice",
        key=key,
        issued=CLOCK + 3,
        expires=CLOCK + 14 * 86_400,
        network=descriptor.id,
        entry=entries[-1].number,
        entry_hash=ledger.mark_of(entries[-1]),
    )
    first = linked(suite.digest, rng.randbytes(16), LONGEST_CHAIN - 3)
    listing = replace(sample(Listing, full=True), pulse=linked(suite.digest, first, 3))
    record = list_entry(issue(claims, secrets.login, sign), listing, private, suite.identity.sign)
    record = replace(record, pulse=first)
    question = LogAsked(first=1, most=64, name=whose, request=0x7F45)
    head = ledger.head(entries[-1], CLOCK + 4, secrets.login, sign)
    bare = LogTold(entries=tuple(each for each in entries if each.name == whose), head=(head,), request=0x7F45)
    answer = replace(bare, signature=sign(secrets.login, ledger.told(question, bare)))
    return {
        "description": descriptor.to_link(),
        "network": descriptor.id.hex(),
        "login_servers": [str(address) for address in descriptor.servers],
        "record": encode_shape(record).hex(),
        "log": [{"entry": encode_shape(each).hex(), "hash": ledger.hash_of(each).hex()} for each in entries],
        "question": encode_command(question).hex(),
        "answer": encode_command(answer).hex(),
    }


def recorded() -> dict[str, Json]:
    """What cannot be made twice, by file."""
    return {
        "handshake.json": {suite.name: handshake(suite) for suite in SUITES},
        "letter.json": {suite.name: letter(suite) for suite in SUITES},
        "signed.json": {suite.name: signed(suite) for suite in SUITES},
    }


# --- files --------------------------------------------------------------------------------------------------------


def read(name: str, folder: Path = FOLDER) -> Json:
    """A file of vectors.

    Raises:
        Unusable: it is missing or damaged; says where, and how it is made again.
    """
    path = folder / name
    try:
        table = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise Unusable(f"the vectors {path.name} are missing; make them: python tools/vectors.py") from None
    except (OSError, UnicodeDecodeError) as fault:
        raise Unusable(f"the vectors {path.name} cannot be read: {fault}") from None
    except json.JSONDecodeError as fault:
        raise Unusable(f"the vectors {path.name} are damaged in line {fault.lineno}: {fault.msg}") from None
    if not isinstance(table, dict):
        raise Unusable(f"the vectors {path.name} are damaged: no table of vectors")
    for part in PARTS.get(name, ()):
        if part not in table:
            raise Unusable(f"the vectors {path.name} are damaged: they lack {part!r}")
    return table


def written(table: Json) -> str:
    """The text of a file of vectors."""
    return json.dumps(table, indent=1, ensure_ascii=False) + "\n"


def stale(folder: Path = FOLDER) -> list[str]:
    """Files that are not what the declarations say now."""
    return [name for name, make in MADE.items() if read(name, folder) != json.loads(written(make()))]


MADE = {"messages.json": messages, "frames.json": frames, "compression.json": compression}
"""What follows from the declarations and fixed seeds, by file."""


def main() -> int:
    """The program."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="only compare; exit code 1 where something changed")
    parser.add_argument("--record", action="store_true", help="record what no seed governs again")
    arguments = parser.parse_args()
    if arguments.check:
        changed = stale()
        for name in changed:
            print(f"tests/vectors/{name} is out of date: python tools/vectors.py", file=sys.stderr)
        return 1 if changed else 0
    for name, make in MADE.items():
        (FOLDER / name).write_text(written(make()), "utf-8")
    if arguments.record:
        for name, table in recorded().items():
            (FOLDER / name).write_text(written(table), "utf-8")
    return 0


if __name__ == "__main__":
    try:
        raise SystemExit(main())
    except HallooError as fault:
        print(f"vectors: {fault}", file=sys.stderr)
        raise SystemExit(1) from None
