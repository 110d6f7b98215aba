"""The sealed letter between a user and the login server, both ways.  Pure.

    letter = secret under the network's login key, application sealed with a key from it
    answer = decision sealed with another key from the same secret, bound to the letter

The key to be certified signs the application and the enclosed secret.  Both texts are filled up to one size, so that
a letter's length tells nobody what is asked, nor an answer's what was decided.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random

from halloo.base.errors import Malformed, Refused
from halloo.crypto.suite import Seal, Suite
from halloo.messages.login import Application, Decision, Letter, LetterAnswer
from halloo.wire.command import Shape, decode_shape, encode_shape

__all__ = ["Correspondence", "mark_of", "open_letter", "write_letter"]

_LETTER = "halloo letter"
_ANSWER = "halloo letter answer"
_POSSESSION = b"halloo application\n"
APPLICATION_SIZE = 768  # bytes: classic keys and signatures, and a name of 32 letters of four bytes
DECISION_SIZE = 1_024  # bytes: with a classic credential; a letter is longer, so no answer magnifies anything


@dataclass(frozen=True, slots=True)
class Correspondence:
    """What both sides of one letter share."""

    suite: Suite
    secret: bytes
    letter: bytes
    """A digest of the letter, which the answer is bound to."""

    def write_answer(self, decision: Decision, request: int) -> LetterAnswer:
        """The server's answer."""
        seal = _seal(self.suite, self.secret, _ANSWER)
        return LetterAnswer(sealed=seal.close(0, _filled(decision, DECISION_SIZE), self.letter), request=request)

    def open_answer(self, answer: LetterAnswer) -> Decision:
        """What the server decided.

        Raises:
            Refused: the server could not open our letter, or somebody else answered.
            Malformed: the answer says nothing.
        """
        if not answer.sealed:
            raise Refused("the login server could not open our letter; is this network's description out of date?")
        seal = _seal(self.suite, self.secret, _ANSWER)
        return decode_shape(Decision, _unfilled(seal.open(0, answer.sealed, self.letter)))


def write_letter(
    suite: Suite, login_key: bytes, application: Application, private: bytes, request: int, rng: Random
) -> tuple[Letter, Correspondence]:
    """A letter that only the holder of the network's login key can read, signed with the key to be certified."""
    secret, enclosed = suite.network_envelope.enclose(login_key, rng)
    signature = suite.identity.sign(private, _signed(application, enclosed))
    body = _filled(replace(application, signature=signature), APPLICATION_SIZE)
    sealed = _seal(suite, secret, _LETTER).close(0, body, enclosed)
    letter = Letter(enclosed=enclosed, sealed=sealed, request=request)
    return letter, Correspondence(suite, secret, mark_of(suite, letter))


def open_letter(suite: Suite, private: bytes, letter: Letter) -> tuple[Application, Correspondence]:
    """Read a letter.

    Raises:
        Refused: it is not for us, or not signed by the key it speaks of.
        Malformed: it says nothing.
    """
    secret = suite.network_envelope.disclose(private, letter.enclosed)
    plain = _seal(suite, secret, _LETTER).open(0, letter.sealed, letter.enclosed)
    application = decode_shape(Application, _unfilled(plain))
    text = _signed(replace(application, signature=b""), letter.enclosed)
    if not suite.identity.verify(application.key, application.signature, text):
        raise Refused("the letter is not signed by the key it wants certified")
    return application, Correspondence(suite, secret, mark_of(suite, letter))


def mark_of(suite: Suite, letter: Letter) -> bytes:
    """What tells one letter from another, however it came."""
    return suite.digest(letter.enclosed + letter.sealed)


def _signed(application: Application, enclosed: bytes) -> bytes:
    return _POSSESSION + len(enclosed).to_bytes(2, "big") + enclosed + encode_shape(application)


def _filled(value: Shape, size: int) -> bytes:
    """length 2, the shape, zeros up to a multiple of ``size``."""
    body = encode_shape(value)
    whole = len(body).to_bytes(2, "big") + body
    return whole + bytes(-len(whole) % size)


def _unfilled(filled: bytes) -> bytes:
    length = int.from_bytes(filled[:2], "big")
    if len(filled) < 2 + length or any(filled[2 + length :]):
        raise Malformed("a letter that is not filled as letters are")
    return filled[2 : 2 + length]


def _seal(suite: Suite, secret: bytes, label: str) -> Seal:
    return suite.seal(suite.digest.derive(secret, label, b"", suite.seal_key_size))
