"""The machines that speak to login servers, as subjects of the table in ``fuzz._machines``.

The plain suite of the virtual town lets anybody sign: so the answers thrown at an auditor and at a watch are *signed*,
with anything in them, entries that chain and entries that do not, heads that contradict each other.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Any

from fuzz._anything import anything
from halloo.base.address import Wire
from halloo.crypto.plain import DIGEST
from halloo.login.letter import write_letter
from halloo.messages import log
from halloo.messages.credential import Claims
from halloo.messages.log import EntryKind, Head, LogAsked, LogEntry, LogTold, SignedHead
from halloo.messages.login import Application, CarryLetter, Letter, LetterAnswer, LetterBack, Purpose
from halloo.sim.town import LOGIN, Town
from halloo.wire.command import encode_command, encode_shape

__all__ = ["apply", "login_subjects", "true_letter"]

NAMES = ("alice", "bob", "dora", "zoe", "a b", "")
KEYS = tuple(bytes([n]) * 32 for n in range(4))  # private ones, so that a key comes again


def apply(client: Any, rng: Random, now: float) -> Any:
    """A user asks for something."""
    private = rng.choice(KEYS)
    key = client.suite.identity.public(private)
    application = Application(purpose=rng.choice(list(Purpose)), name=rng.choice(NAMES), proof=b"p", key=key)
    return client.apply(application, private, now)


def true_letter(server: Any, rng: Random, now: float, where: Any) -> Any:
    """A letter that can be opened, with anything in it."""
    private = rng.choice(KEYS)
    application = Application(
        purpose=rng.choice((*Purpose, 7)),
        name=rng.choice(NAMES),
        proof=rng.choice((b"", b"right", b"wrong", rng.randbytes(20))),
        key=server.suite.identity.public(private),
        new_proof=rng.choice((b"", b"right")),
        wall=int(now + server.wall) + rng.choice((0, 0, 0, 299, -299, 400, -4_000)),
    )
    public = server.suite.network_envelope.public(server.letter_key)
    letter, _ = write_letter(server.suite, public, application, private, rng.getrandbits(16), rng)
    return server.receive(replace(letter, carried=rng.random() < 0.3), where, now)


def _question(server: Any, rng: Random, now: float, where: Any) -> Any:
    """A question about the log, with a name that is in it now and then."""
    question = anything(rng, LogAsked, {"padding": [bytes(1_000), bytes(200)], "request": [rng.getrandbits(16)]})
    if rng.random() < 0.5:
        question = replace(question, name=server.ledger.name(rng.choice(NAMES)))
    return server.asked(question, where, now)


# --- what a login server may tell, signed ---------------------------------------------------------------------------


def _signed(machine: Any, text: bytes) -> bytes:
    return DIGEST(machine.notary.keys[0] + text)


def _head(machine: Any, rng: Random, now: float, count: int, newest: bytes) -> SignedHead:
    wall = int(now + 1.8e9) + rng.choice((0, 0, 0, 1_000, -1_000))
    count = min(count, log.MAX_COUNT)
    body = encode_shape(Head(network=machine.notary.network, count=count, newest=newest, wall=max(0, wall)))
    return SignedHead(head=body, signature=_signed(machine, b"halloo log head\n" + body))


def _entries(machine: Any, rng: Random, now: float, name: bytes) -> list[LogEntry]:
    """Some that follow from what the machine has read, and now and then one that does not."""
    chain = getattr(machine, "chain", None)
    count, newest = (chain.count, chain.newest) if chain is not None else (rng.randrange(9), b"")
    last = b""
    out: list[LogEntry] = []
    for _ in range(rng.choice((0, 1, 3, 40))):
        count += 1
        entry = LogEntry(
            number=min(count, log.MAX_COUNT),
            kind=rng.choice((*EntryKind, 9)),
            name=name or machine.ledger.name(rng.choice(NAMES)),
            key=rng.choice((b"", machine.ledger.key(rng.choice(KEYS)))),
            wall=int(now + 1.8e9),
            previous=newest,
            previous_of_name=last,
        )
        if rng.random() < 0.03:
            entry = anything(rng, LogEntry)
        newest = machine.ledger.hash_of(entry)
        last = newest if name else b""
        out.append(entry)
    return out


def told(machine: Any, rng: Random, now: float) -> LogTold | None:
    """An answer to what a machine has asked."""
    question = machine._question
    if question is None:
        return None
    entries = _entries(machine, rng, now, question.name)[: log.MAX_PAGE]
    top = entries[-1] if entries else None
    count = rng.choice((top.number if top else 0, (top.number if top else 0) + rng.randrange(4), rng.randrange(99)))
    newest = machine.ledger.hash_of(top) if top is not None and count == top.number else rng.randbytes(32)
    heads = (_head(machine, rng, now, count, newest),) if rng.random() < 0.95 else ()
    bare = LogTold(entries=tuple(entries), head=heads, more=rng.random() < 0.3, request=question.request)
    return replace(bare, signature=_signed(machine, machine.ledger.told(question, bare)))


def _told(machine: Any, rng: Random, now: float) -> Any:
    message = told(machine, rng, now)
    return machine.receive(message, now) if message is not None else []


def _shown(machine: Any, rng: Random, now: float) -> Any:
    return machine.head_shown(_head(machine, rng, now, rng.randrange(60), rng.randbytes(32)), now)


def _claims(rng: Random, now: float) -> Claims:
    wall = int(now + 1.8e9)
    return Claims(
        name=rng.choice(NAMES[:4]),
        key=rng.choice(KEYS),
        expires=wall + rng.choice((-5, 600, 14 * 86_400)),
        issued=wall - rng.choice((0, 600, 9 * 86_400)),
        network=bytes(8),
        entry=rng.randrange(60),
        entry_hash=rng.randbytes(32),
    )


def _of_papers(attribute: str) -> Callable[[Town], list[Any]]:
    def find(town: Town) -> list[Any]:
        nodes = [town.node(name) for name in town.world.residents if name != "login"]
        found = [getattr(node.papers, attribute) for node in nodes]
        return [machine for machine in found if machine is not None]

    return find


def _carrier_hears(carrier: Any, message: Any, sender: Any, now: float) -> Any:
    if isinstance(sender, int):
        match message:
            case CarryLetter():
                return carrier.carry(message, sender, sender.to_bytes(8, "big"), now)
            case log.CarryQuestion():
                return carrier.ask(message, sender, sender.to_bytes(8, "big"), now)
        return []
    match message:
        case LetterAnswer():
            return carrier.receive(message, sender, now)
        case LogTold():
            return carrier.told(message, sender)
    return []


def _a_question(carrier: Any, rng: Random, now: float) -> Any:
    """One that is a question."""
    form = encode_command(LogAsked(most=8, request=rng.getrandbits(16)))
    sender = rng.randrange(9)
    question = log.CarryQuestion(question=form, request=rng.getrandbits(16))
    return carrier.ask(question, sender, bytes([sender]), now)


def _server_hears(server: Any, message: Any, sender: Any, now: float) -> Any:
    if isinstance(sender, int):
        return []
    return server.receive(message, sender, now) if isinstance(message, Letter) else server.asked(message, sender, now)


def _letter_requests(machine: Any) -> dict[str, list[Any]]:
    client = getattr(machine, "client", machine)
    return {"request": [client._letter.request] if client._letter else []}


Pick = Callable[[Random], Any]


def login_subjects(subject: type[Any], peer: Pick, route: Pick) -> tuple[Any, ...]:
    """The rows of the table, made with its own class."""

    def client_hears(client: Any, message: Any, sender: Any, now: float) -> Any:
        if isinstance(message, LetterBack):
            return client.brought_back(message, sender, now)
        return client.receive(message, now)

    asking = {"_steps": 64, "_opened": 64, "_signed": 4_096}
    return (
        subject(
            "login client",
            _of_papers("ask"),
            lambda client: (client._letter is not None, len(client.asking._steps), client.asking.supernode is not None),
            client_hears,
            hears=(LetterAnswer, LetterBack),
            intents={"apply": apply},
            tidings={"attached": lambda client, rng, now: client.attached(rng.choice((None, peer(rng))), now)},
            real=_letter_requests,
            bounds=asking,
        ),
        subject(
            "renewal",
            _of_papers("renewal"),
            lambda renewal: (renewal.client._letter is not None, tuple(sorted(timer.name for timer in renewal.timers))),
            client_hears,
            hears=(LetterAnswer, LetterBack),
            tidings={
                "certified": lambda renewal, rng, now: renewal.certified(_claims(rng, now), now),
                "hasten": lambda renewal, _, now: renewal.hasten(now),
            },
            real=_letter_requests,
            bounds=asking,
        ),
        subject(
            "auditor",
            _of_papers("auditor"),
            lambda auditor: (auditor._question is not None, auditor._asking_point, auditor._point is not None),
            lambda auditor, message, _, now: (
                auditor.brought_back(message, now)
                if isinstance(message, log.QuestionBack)
                else auditor.receive(message, now)
            ),
            hears=(LogTold, log.QuestionBack),
            intents={"audit": lambda auditor, _, now: auditor.audit(now)},
            tidings={
                "certified": lambda auditor, rng, now: auditor.certified(_claims(rng, now), now),
                "told": _told,
                "head shown": _shown,
                "entry shown": lambda auditor, rng, now: auditor.entry_shown(rng.randrange(1 << 40), now),
                "soon": lambda auditor, _, now: auditor.soon(now),
                "attached": lambda auditor, rng, now: auditor.attached(rng.choice((None, peer(rng))), now),
            },
            bounds=asking | {"entries": 64 * 64, "known": 64, "strange": 64 * 64},
        ),
        subject(
            "watch",
            _of_papers("watch"),
            lambda watch: (watch.state.name, watch._question is not None, bool(watch._claimed)),
            lambda watch, message, _, now: watch.receive(message, now),
            hears=(LogTold,),
            intents={"begin": lambda watch, _, now: watch.begin(now)},
            tidings={
                "told": _told,
                "head shown": _shown,
                "credential": lambda watch, rng, now: watch.credential_shown(_claims(rng, now), b"credential", now),
                "newest": lambda watch, rng, _: watch.newest_entry(rng.choice(NAMES)),
            },
            bounds=asking | {"_marks": 8_192, "_claimed": 1_024, "_names": 200_000, "_held": 200_000},
        ),
        subject(
            "carrier",
            _of_papers("carrier"),
            lambda carrier: (bool(carrier._errands), bool(carrier._questions)),
            _carrier_hears,
            hears=(CarryLetter, log.CarryQuestion, LetterAnswer, LogTold),
            tidings={
                "a question": _a_question,
                "an answer": lambda carrier, rng, now: carrier.receive(
                    LetterAnswer(sealed=b"x", request=rng.choice([0, *carrier._errands])), Wire(LOGIN), now
                ),
                "down": lambda carrier, rng, _: carrier.down(peer(rng)),
            },
            bounds=asking | {"_errands": 64, "_questions": 64, "_left": 100_000},
        ),
        subject(
            "login server",
            lambda town: [town.world.residents["login"].station.mind.server],  # type: ignore[attr-defined]
            lambda server: (bool(server._answers), len(server.tries._left) > 1, server._head is not None),
            _server_hears,
            hears=(Letter, LogAsked),
            tidings={
                "a true letter": lambda server, rng, now: true_letter(server, rng, now, route(rng)),
                "a question": lambda server, rng, now: _question(server, rng, now, route(rng)),
            },
            wake=lambda *_: [],
            bounds={
                "_answers": 1_024,
                "_seen": 200_000,
                "_known": 100_000,
                "_left": 100_000,
                "accounts": 1 << 30,
                "log": 1 << 30,
            },
        ),
    )


