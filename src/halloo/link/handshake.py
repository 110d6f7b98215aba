"""Two strangers agree on keys and prove who they are; neither name is readable to whoever listens.

    initiator                                        responder
      | -- Hello: E_i ------------------------------->  |
      | <- HelloAnswer: E_r, {s_r}E_i, [proof_r]s_r ---  |
      | -- Finish: {s_i}E_r, [proof_i]s_i ----------->  |
      keys = agree(s_i, s_r, everything said)

E is a key to put a secret under, fresh where the suite can afford it; {s}E a secret under it; [p]s sealed with a key
from it.  A proof is the identity key, its credential and a signature over all that was said so far (the shape of
SIGMA-I over key encapsulation).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from random import Random

from halloo.base.errors import Refused
from halloo.crypto.suite import Seal, Suite
from halloo.link.keys import LinkKeys
from halloo.link.session import Session
from halloo.messages.credential import Notary, Party
from halloo.messages.link import Finish, Hello, HelloAnswer, Proof
from halloo.wire.command import decode_shape, encode_command, encode_shape

__all__ = [
    "INITIATOR",
    "RESPONDER",
    "Initiator",
    "Persona",
    "Responder",
    "after_answer",
    "after_finish",
    "proof_seal",
]

RESPONDER = b"halloo responder\n"  # labels of proofs: what is signed begins with it, and its seal's key follows from it
INITIATOR = b"halloo initiator\n"


@dataclass(slots=True)
class Persona:
    """Who we are in a network: its suite, its keys, our identity, our credential (empty: none yet)."""

    suite: Suite
    notary: Notary
    private: bytes
    credential: bytes
    rng: Random
    confide: Callable[[LinkKeys], None] | None = None
    """Who is told the keys of every link, so that a capture can be read; nobody, unless somebody asked for it."""

    @property
    def public(self) -> bytes:
        """Our public identity key."""
        return self.suite.identity.public(self.private)

    def seal_proof(self, label: bytes, secret: bytes, transcript: bytes) -> bytes:
        """Our proof over ``transcript``, sealed with a key from ``secret``."""
        suite = self.suite
        signature = suite.identity.sign(self.private, label + transcript)
        proof = Proof(key=self.public, credential=self.credential, signature=signature)
        return proof_seal(suite, label, secret, transcript).close(0, encode_shape(proof), transcript)

    def open_proof(self, label: bytes, secret: bytes, transcript: bytes, sealed: bytes, wall: float) -> Party:
        """Whose proof it is.  Raises Refused or Malformed."""
        suite = self.suite
        proof = decode_shape(Proof, proof_seal(suite, label, secret, transcript).open(0, sealed, transcript))
        if not suite.identity.verify(proof.key, proof.signature, label + transcript):
            raise Refused("the other side does not hold the key it shows")
        if not proof.credential:
            return Party(proof.key, None)
        claims = self.notary.credential(proof.credential, wall)
        if claims.key != proof.key:
            raise Refused("the other side shows a credential that is not its own")
        return Party(proof.key, claims)


class Initiator:
    """The side that begins."""

    def __init__(self, persona: Persona, link: int) -> None:
        suite = persona.suite
        self._persona = persona
        self._private = suite.envelope.make(persona.rng, persona.private)
        self.hello = Hello(suite=suite.number, link=link, envelope=suite.envelope.public(self._private))

    def answer(self, heard: HelloAnswer, wall: float) -> tuple[Finish, Session, Party]:
        """The last message, the keys, and who the responder is.

        Raises:
            Refused, Malformed: the answer proves nothing.
        """
        persona, suite = self._persona, self._persona.suite
        secret = suite.envelope.disclose(self._private, heard.enclosed)
        transcript = after_answer(suite, self.hello, heard)
        party = persona.open_proof(RESPONDER, secret, transcript, heard.proof, wall)
        mine, enclosed = suite.answer_envelope.enclose(heard.envelope, persona.rng)
        bare = Finish(to=heard.link, enclosed=enclosed)
        transcript = after_finish(suite, transcript, heard.proof, bare)
        finish = replace(bare, proof=persona.seal_proof(INITIATOR, mine, transcript))
        ours, theirs = suite.agree(mine, secret, transcript)
        if persona.confide is not None:
            persona.confide(LinkKeys(suite.number, self.hello.link, heard.link, mine, secret, transcript))
        return finish, Session(ours, theirs), party


class Responder:
    """The side that answers.  Made for one Hello; the same Hello again gets the same answer."""

    def __init__(self, persona: Persona, link: int, hello: Hello) -> None:
        suite = persona.suite
        if hello.suite != suite.number:
            raise Refused(f"the other side wants suite {hello.suite}, this network uses {suite.number}")
        self._persona = persona
        self._private = suite.answer_envelope.make(persona.rng, persona.private)
        self._secret, enclosed = suite.envelope.enclose(hello.envelope, persona.rng)
        public = suite.answer_envelope.public(self._private)
        bare = HelloAnswer(to=hello.link, link=link, envelope=public, enclosed=enclosed)
        self._transcript = after_answer(suite, hello, bare)
        self.answer = replace(bare, proof=persona.seal_proof(RESPONDER, self._secret, self._transcript))

    def finish(self, heard: Finish, wall: float) -> tuple[Session, Party]:
        """The keys, and who the initiator is.

        Raises:
            Refused, Malformed: the message proves nothing.
        """
        persona, suite = self._persona, self._persona.suite
        theirs = suite.answer_envelope.disclose(self._private, heard.enclosed)
        bare = replace(heard, proof=b"")
        transcript = after_finish(suite, self._transcript, self.answer.proof, bare)
        party = persona.open_proof(INITIATOR, theirs, transcript, heard.proof, wall)
        initiator, responder = suite.agree(theirs, self._secret, transcript)
        if persona.confide is not None:
            to, link = self.answer.to, self.answer.link
            persona.confide(LinkKeys(suite.number, to, link, theirs, self._secret, transcript))
        return Session(responder, initiator), party


def proof_seal(suite: Suite, label: bytes, secret: bytes, transcript: bytes) -> Seal:
    """What keeps the proof of the side of ``label`` from everybody else; used once, under the number 0."""
    return suite.seal(suite.digest.derive(secret, label.decode(), transcript, suite.seal_key_size))


def after_answer(suite: Suite, hello: Hello, answer: HelloAnswer) -> bytes:
    """The transcript once the responder has spoken: a digest of both messages, the second without its proof."""
    return suite.digest(encode_command(hello) + encode_command(replace(answer, proof=b"")))


def after_finish(suite: Suite, transcript: bytes, proof: bytes, finish: Finish) -> bytes:
    """The transcript at the end: the one before, the responder's sealed proof, and Finish without its own."""
    return suite.digest(transcript + suite.digest(proof) + encode_command(finish))
