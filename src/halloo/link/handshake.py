"""Two strangers agree on keys and prove who they are; neither name is readable to whoever listens.

    initiator                                        responder
      | -- Hello: E_i ------------------------------->  |
      | <- HelloAnswer: E_r, {s_r}E_i, [proof_r]s_r ---  |
      | -- Finish: {s_i}E_r, [proof_i]s_i,s_r ------->  |
      keys = agree(s_i, s_r, everything said)

E is a key to put a secret under, fresh where the suite can afford it; {s}E a secret under it; [p]s sealed with a key
from it.  A proof is the identity key, its credential and a signature over all that was said so far (the shape of
SIGMA-I over key encapsulation).
"""

from __future__ import annotations

from dataclasses import replace

from halloo.base.errors import Refused
from halloo.crypto.suite import Suite
from halloo.link.keys import LinkKeys
from halloo.link.persona import Persona
from halloo.link.session import Session
from halloo.messages.credential import Party
from halloo.messages.link import Finish, Hello, HelloAnswer, HelloRetry
from halloo.wire.command import encode_command

__all__ = [
    "INITIATOR",
    "RESPONDER",
    "Initiator",
    "Responder",
    "SomebodyElse",
    "after_answer",
    "after_finish",
]

RESPONDER = b"halloo responder\n"  # labels of proofs: what is signed begins with it, and its seal's key follows from it
INITIATOR = b"halloo initiator\n"
RETRIES = 2  # cookies that are followed: the other side may have begun anew in between


class SomebodyElse(Refused):
    """Who answered has proved a key, but not the one that was looked for."""


class Initiator:
    """The side that begins.  ``key``: the identity key it looks for; empty: whoever is there."""

    def __init__(self, persona: Persona, link: int, key: bytes = b"") -> None:
        suite = persona.suite
        self._persona = persona
        self._key = key
        self._private = suite.envelope.make(persona.rng, persona.private)
        self._retries = 0
        self.hello = Hello(suite=suite.number, link=link, envelope=suite.envelope.public(self._private))

    def retry(self, heard: HelloRetry) -> bool:
        """Say the Hello again with a cookie, if this is the first or second one; an honest node asks once."""
        if self._retries == RETRIES:  # the Hello stays as it was said: an answer to it is still welcome
            return False
        self._retries += 1
        self.hello = replace(self.hello, cookie=heard.cookie)
        return True

    def answer(self, heard: HelloAnswer, wall: float) -> tuple[Finish, Session, Party]:
        """The last message, the keys, and who the responder is.

        Raises:
            SomebodyElse: another key than the one looked for was proved.
            Refused, Malformed: the answer proves nothing.
        """
        persona, suite = self._persona, self._persona.suite
        secret = suite.envelope.disclose(self._private, heard.enclosed)
        transcript = after_answer(suite, self.hello, heard)
        party = persona.open_proof(RESPONDER, secret, transcript, heard.proof, wall)
        if self._key and party.key != self._key:  # before our own proof: he is not to learn who we are
            raise SomebodyElse("somebody else answered at the address")
        mine, enclosed = suite.answer_envelope.enclose(heard.envelope, persona.rng)
        bare = Finish(to=heard.link, enclosed=enclosed)
        transcript = after_finish(suite, transcript, heard.proof, bare)
        finish = replace(bare, proof=persona.seal_proof(INITIATOR, mine + secret, transcript))
        keys = LinkKeys(suite.number, self.hello.link, heard.link, mine, secret, transcript)
        return finish, Session(suite, persona.confided(keys), began=True), party


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
        party = persona.open_proof(INITIATOR, theirs + self._secret, transcript, heard.proof, wall)
        keys = LinkKeys(suite.number, self.answer.to, self.answer.link, theirs, self._secret, transcript)
        return Session(suite, persona.confided(keys), began=False), party


def after_answer(suite: Suite, hello: Hello, answer: HelloAnswer) -> bytes:
    """The transcript once the responder has spoken: a digest of both messages, the second without its proof."""
    return suite.digest(encode_command(hello) + encode_command(replace(answer, proof=b"")))


def after_finish(suite: Suite, transcript: bytes, proof: bytes, finish: Finish) -> bytes:
    """The transcript at the end: the one before, the responder's sealed proof, and Finish without its own."""
    return suite.digest(transcript + suite.digest(proof) + encode_command(finish))
