"""Who attacks: he owns the wire between nodes.  He sees, drops, changes, replays and injects what he likes, knows the
network's public description (so every cloak is glass to him), and holds whatever keys a test gives him.

What he can never do is break a primitive; a test that supposes a broken one says so by giving him its key.
"""

from __future__ import annotations

import itertools
import random
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from halloo.base.address import Address, Peer, Wire
from halloo.base.effects import Transmit
from halloo.base.errors import HallooError, PeerError
from halloo.base.machine import Message
from halloo.crypto.classic import crc
from halloo.crypto.suite import Envelope, Mismatch, Seal, Suite
from halloo.crypto.suites import SUITES
from halloo.link.datagrams import LAYOUTS, NOWHERE, Datagrams
from halloo.link.endpoint import SEALED_MARK, Endpoint
from halloo.link.fragments import Fragments
from halloo.link.handshake import RESPONDER, after_answer, after_finish
from halloo.link.keys import LinkKeys
from halloo.link.notice import Down, Heard, Notice, SoundHeard, Up
from halloo.link.onelink import OneLink
from halloo.link.persona import Persona, proof_seal
from halloo.link.session import Session
from halloo.messages.catalogue import OPEN
from halloo.messages.credential import Claims, Notary, issue
from halloo.messages.link import Finish, Hello, HelloAnswer, Proof
from halloo.wire.command import decode_commands, decode_shape, encode_command, encode_shape
from halloo.wire.frame import FrameKind, is_wanted

__all__ = [
    *("ALICE", "BOB", "CAROL", "CLASSIC", "THIEF", "MODERN", "NETWORK"),
    *("Attacker", "Kept", "Kit", "Rule", "Seen", "both_suites"),
]

CLASSIC, MODERN = SUITES[1], SUITES[2]
ALICE = Address.parse("192.0.2.1:1000")
BOB = Address.parse("192.0.2.2:2000")
CAROL = Address.parse("192.0.2.3:3000")
THIEF = Address.parse("192.0.2.66:6666")
CLOAK_KEY = bytes(range(32))
WALL = 1.8e9
NETWORK = b"network!"
_USERS = {ALICE: "alice", BOB: "bob", CAROL: "carol", THIEF: "thief"}


@dataclass(frozen=True, slots=True)
class Kit:
    """A network's login key and its users' identity keys: made once for a suite, since RSA keys are slow to make."""

    suite: Suite
    login: bytes
    private: dict[Address, bytes]

    @classmethod
    def of(cls, suite: Suite) -> Kit:
        """The kit of a suite."""
        if suite.name not in _KITS:
            rng = random.Random(suite.name)
            login = suite.network_identity.make(rng)
            _KITS[suite.name] = cls(suite, login, {who: suite.identity.make(rng) for who in _USERS})
        return replace(_KITS[suite.name], suite=suite)

    def public(self, who: Address) -> bytes:
        """The public identity key of a user."""
        return self.suite.identity.public(self.private[who])

    def credential(self, who: Address) -> bytes:
        """What the network says of a user."""
        claims = Claims(
            name=_USERS[who], key=self.public(who), expires=int(WALL) + 86_400, issued=int(WALL), network=NETWORK
        )
        return issue(claims, self.login, self.suite.network_identity.sign)

    def persona(self, who: Address, seed: str = "") -> Persona:
        """A user as his own node knows him."""
        suite = self.suite
        keys = (suite.network_identity.public(self.login),)
        notary = Notary(NETWORK, keys, suite.network_identity.verify, suite.identity.verify, suite.digest)
        return Persona(suite, notary, self.private[who], self.credential(who), random.Random(_USERS[who] + seed))


_KITS: dict[str, Kit] = {}


class Kept:
    """An envelope whose private keys and secrets somebody takes down: for attacks that suppose them stolen."""

    def __init__(self, envelope: Envelope) -> None:
        self._envelope = envelope
        self.public_size, self.enclosed_size = envelope.public_size, envelope.enclosed_size
        self.privates: list[bytes] = []
        self.secrets: list[bytes] = []

    def make(self, rng: random.Random, identity: bytes) -> bytes:
        """See ``Envelope``."""
        self.privates.append(self._envelope.make(rng, identity))
        return self.privates[-1]

    def public(self, private: bytes) -> bytes:
        """See ``Envelope``."""
        return self._envelope.public(private)

    def enclose(self, public: bytes, rng: random.Random) -> tuple[bytes, bytes]:
        """See ``Envelope``."""
        secret, enclosed = self._envelope.enclose(public, rng)
        self.secrets.append(secret)
        return secret, enclosed

    def disclose(self, private: bytes, enclosed: bytes) -> bytes:
        """See ``Envelope``."""
        return self._envelope.disclose(private, enclosed)


def both_suites() -> list[Any]:
    """Parameters for pytest."""
    return [pytest.param(suite, id=suite.name) for suite in (CLASSIC, MODERN)]


@dataclass(frozen=True, slots=True)
class Seen:
    """One frame that passed: lifted from its cloak and put together from its fragments."""

    source: Address
    to: Address
    kind: FrameKind
    frame: int
    head: bytes
    body: bytes

    @property
    def open(self) -> list[Message]:
        """The commands it says in the open; none when it is sealed."""
        if self.kind is not FrameKind.PAYLOAD or not self.body or self.body[:1] == SEALED_MARK:
            return []
        return list(decode_commands(self.body, OPEN, NETWORK))

    @property
    def sealed(self) -> tuple[bytes, bytes] | None:
        """(link number, sealed bytes) of what is not in the open."""
        if self.kind is FrameKind.MEDIA and self.head:
            return self.head, self.body
        if self.kind is FrameKind.PAYLOAD and self.body[:1] == SEALED_MARK:
            return self.body[1:5], self.body[5:]
        return None


Rule = Callable[[Seen], list[Seen] | None]
"""What becomes of a frame: None, it passes as it is; else these instead of it."""


@dataclass
class Attacker:
    """The wire between the endpoints of some users, and whoever owns it."""

    suite: Suite
    users: tuple[Address, ...] = (ALICE, BOB)
    rule: Rule = lambda seen: None
    now: float = 0.0
    datagrams: list[tuple[Address, Address, bytes]] = field(default_factory=list)
    """All that passed, as it was on the wire: (from, to, bytes)."""
    seen: list[Seen] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.kit = Kit.of(self.suite)
        self.rng = random.Random("attacker")
        self.ends = {who: self.endpoint(who) for who in self.users}
        self.keys: dict[Address, list[LinkKeys]] = {who: [] for who in self.users}
        """What an attack supposes stolen; and for comparing, never looked into by one who is not said to have it."""
        for who, end in self.ends.items():
            end.persona.confide = self.keys[who].append
        self.notices: dict[Address, list[Notice]] = {who: [] for who in self.users}
        self._flying: deque[tuple[Address, Address, bytes]] = deque()
        self._pieces = Fragments()
        self._peers = itertools.count(1)
        self._frames = itertools.count(0x4001, 2)

    def endpoint(self, who: Address, seed: str = "") -> Endpoint:
        """An endpoint of a user, as after a start of his node."""
        return Endpoint(self.kit.persona(who, seed), CLOAK_KEY, [who.host], WALL)

    # --- the victims

    def begin(self, who: Address, to: Address, key: bytes = b"") -> Peer:
        """Let one begin a link to another."""
        peer = Peer(next(self._peers))
        self._outcome(who, self.ends[who].link(peer, Wire(to), self.now, key))
        self._carry()
        return peer

    def meet(self, who: Address = ALICE, to: Address = BOB) -> tuple[Peer, Peer]:
        """A standing link: what each calls the other."""
        before = len(self.ups(to))
        peer = self.begin(who, to)
        self.run()
        return peer, self.ups(to)[before].peer

    def say(self, who: Address, peer: Peer, message: Message) -> None:
        """Let one say something."""
        self._outcome(who, self.ends[who].send(peer, message, self.now))
        self.run(0.01)

    def sound(self, who: Address, peer: Peer, body: bytes) -> None:
        """Let one speak."""
        self._outcome(who, self.ends[who].send_sound(peer, body, self.now))
        self.run(0.01)

    def run(self, seconds: float = 1.0) -> None:
        """Carry what flies, and let time pass."""
        until = self.now + seconds
        while True:
            self._carry()
            at = min(end.wake_at for end in self.ends.values())
            if at > until:
                self.now = until
                return
            self.now = max(self.now, at)
            for who, end in self.ends.items():
                self._outcome(who, end.wake(self.now))

    def ups(self, who: Address) -> list[Up]:
        """Links that one believes to have, in order."""
        return [notice for notice in self.notices[who] if isinstance(notice, Up)]

    def heard(self, who: Address) -> list[Message]:
        """What one was told over links."""
        return [n.message for n in self.notices[who] if isinstance(n, Heard) and isinstance(n.sender, int)]

    def sounds(self, who: Address) -> list[bytes]:
        """The sound that one was given."""
        return [notice.body for notice in self.notices[who] if isinstance(notice, SoundHeard)]

    def downs(self, who: Address) -> list[Down]:
        """Links that ended."""
        return [notice for notice in self.notices[who] if isinstance(notice, Down)]

    def link_of(self, who: Address, peer: Peer) -> OneLink:
        """One's memory of a link: what an attack takes that gets into the machine."""
        link = self.ends[who]._links.of(peer)
        assert link is not None
        return link

    # --- what he does

    def lift(self, source: Address, to: Address, data: bytes) -> Seen | None:
        """A datagram without its cloak; None where it is a part of something longer that is not whole yet."""
        cloak = self.suite.cloak(CLOAK_KEY, LAYOUTS)
        try:
            covered = cloak.uncover(data, source.host, to.host)
        except Mismatch:  # from one who does not know his own address yet
            covered = cloak.uncover(data, NOWHERE[4], to.host)
        kind, head, body = FrameKind(covered.kind), covered.head, covered.body
        if kind is FrameKind.FRAGMENT:
            if is_wanted(head):
                return None
            whole = self._pieces.hear(Wire(source, to.port), head, body, self.now)
            return None if whole is None else Seen(source, to, FrameKind.PAYLOAD, covered.frame, b"", whole)
        if kind is FrameKind.RESEND:
            return Seen(source, to, FrameKind.PAYLOAD, covered.frame, b"", body)
        return Seen(source, to, kind, covered.frame, head, body)

    def inject(self, seen: Seen) -> None:
        """Say something in anybody's name (addresses prove nothing)."""
        mouth = Datagrams(self.suite, self.suite.cloak(CLOAK_KEY, LAYOUTS), [], self.rng)
        mouth.public[len(seen.source.host)] = seen.source.host
        route = Wire(seen.to)
        if seen.kind is FrameKind.PAYLOAD:
            transmits = mouth.payload(route, seen.frame, seen.body)
        else:
            transmits = [mouth.frame(route, seen.kind, seen.frame, seen.head, seen.body)]
        for transmit in transmits:
            self._deliver(seen.source, seen.to, transmit.data)

    def tell(self, source: Address, to: Address, message: Message) -> None:
        """Say a command in the open, in anybody's name."""
        self.inject(Seen(source, to, FrameKind.PAYLOAD, next(self._frames), b"", encode_command(message)))
        self._carry()

    def replay(self, datagrams: list[tuple[Address, Address, bytes]]) -> None:
        """Say again what was said, byte for byte."""
        for source, to, data in datagrams:
            self._deliver(source, to, data)
        self._carry()

    def said(self, kind: type[Message]) -> list[Any]:
        """Commands of a kind that passed in the open."""
        every = [message for seen in self.seen for message in seen.open if isinstance(message, kind)]
        return list(dict.fromkeys(every))

    # --- what he makes of it

    def guesses(self, privates: list[bytes]) -> Iterator[tuple[bytes, bytes, bytes]]:
        """With private keys in hand, every (initiator's secret, responder's secret, transcript) they give away."""
        for hello, answer, finish in itertools.product(self.said(Hello), self.said(HelloAnswer), self.said(Finish)):
            transcript = after_finish(
                self.suite, after_answer(self.suite, hello, answer), answer.proof, replace(finish, proof=b"")
            )
            responders = self.disclosed(self.suite.envelope, privates, answer.enclosed)
            initiators = self.disclosed(self.suite.answer_envelope, privates, finish.enclosed)
            yield from ((i, r, transcript) for i in initiators for r in responders)

    @staticmethod
    def disclosed(envelope: Envelope, privates: list[bytes], enclosed: bytes) -> list[bytes]:
        """What comes out of an envelope with each of some private keys."""
        out = []
        for private in privates:
            with suppress(HallooError):
                out.append(envelope.disclose(private, enclosed))
        return out

    def seals(self, keys: LinkKeys) -> tuple[Seal, Seal]:
        """The seals of both directions."""
        return self.suite.agree(keys.initiators, keys.responders, keys.transcript)

    def read(self, keys: list[tuple[bytes, bytes, bytes]]) -> list[bytes]:
        """All sealed frames he saw that open under one of some keys (and under the right link number)."""
        out = []
        for seen in self.seen:
            if seen.sealed is None:
                continue
            head, sealed = seen.sealed
            for seal in itertools.chain.from_iterable(self.suite.agree(*each) for each in keys):
                for sequence in (seen.frame, seen.frame + 0x10000):
                    with suppress(PeerError):
                        out.append(seal.open(sequence, sealed, bytes([seen.kind]) + head))
        return out

    def forged_answer(
        self, hello: Hello, *, shows: Address, signs: bytes, credential: bytes | None = None, link: int = 0x6666
    ) -> tuple[HelloAnswer, bytes, bytes]:
        """An answer to a Hello by somebody who shows one user's key and signs with whatever key he has.

        The answer, the private key of its envelope, and the secret enclosed.
        """
        suite = self.suite
        private = suite.answer_envelope.make(self.rng, self.kit.private[THIEF])
        secret, enclosed = suite.envelope.enclose(hello.envelope, self.rng)
        bare = HelloAnswer(
            to=hello.link, link=link, envelope=suite.answer_envelope.public(private), enclosed=enclosed
        )
        transcript = after_answer(suite, hello, bare)
        proof = self.forged_proof(RESPONDER, secret, transcript, shows=shows, signs=signs, credential=credential)
        return replace(bare, proof=proof), private, secret

    def forged_proof(
        self,
        label: bytes,
        secret: bytes,
        transcript: bytes,
        *,
        shows: Address,
        signs: bytes,
        credential: bytes | None = None,
    ) -> bytes:
        """A proof that shows one key and is signed with another (or the same)."""
        proof = Proof(
            key=self.kit.public(shows),
            credential=self.kit.credential(shows) if credential is None else credential,
            signature=self.suite.identity.sign(signs, label + transcript),
        )
        return proof_seal(self.suite, label, secret, transcript).close(0, encode_shape(proof), transcript)

    @staticmethod
    def checksum(seen: Seen, link: bytes, hidden: bytes) -> bytes:
        """What the classic seal puts after a ciphertext.  There is no key in it."""
        return ((crc(bytes([seen.kind]) + link + hidden) ^ seen.frame) & 0xFFFF).to_bytes(2, "big")

    def opened_proof(self, label: bytes, secret: bytes, transcript: bytes, sealed: bytes) -> Proof:
        """A proof that he has the secret of.  Raises PeerError where he has not."""
        return decode_shape(Proof, proof_seal(self.suite, label, secret, transcript).open(0, sealed, transcript))

    def session(self, keys: LinkKeys, *, began: bool) -> Session:
        """One end of a link, with keys he has."""
        return Session(self.suite, keys, began=began)

    # --- inside

    def _outcome(self, who: Address, outputs: list[Any]) -> None:
        for item in outputs:
            match item:
                case Transmit():
                    self._flying.append((who, item.address, item.data))
                case _:
                    self.notices[who].append(item)

    def _carry(self) -> None:
        while True:
            for who, end in self.ends.items():
                self._outcome(who, end.flush(self.now))
            if not self._flying:
                return
            while self._flying:
                source, to, data = self._flying.popleft()
                self.datagrams.append((source, to, data))
                self._pass(source, to, data)

    def _pass(self, source: Address, to: Address, data: bytes) -> None:
        """One datagram.  Fragments are held back until they are whole, so that a rule has all of them or none."""
        try:
            seen = self.lift(source, to, data)
        except PeerError:
            self._deliver(source, to, data)
            return
        if seen is None:
            return
        self.seen.append(seen)
        instead = self.rule(seen)
        if instead is not None:
            for each in instead:
                self.inject(each)
        elif seen.kind is FrameKind.PAYLOAD and len(seen.body) > self.suite.fragment_size:
            self.inject(seen)
        else:
            self._deliver(source, to, data)

    def _deliver(self, source: Address, to: Address, data: bytes) -> None:
        if to in self.ends:
            self._outcome(to, self.ends[to].receive(data, source, self.now))
