"""The sealed letter between a user and the login server, both ways.  Pure.

    letter = secret under the network's login key, application sealed with a key from it
    answer = decision sealed with another key from the same secret, bound to the letter
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from halloo.base.errors import Refused
from halloo.crypto.suite import Seal, Suite
from halloo.messages.login import Application, Decision, Letter, LetterAnswer
from halloo.wire.command import decode_shape, encode_shape

__all__ = ["Correspondence", "open_letter", "write_letter"]

_LETTER = "halloo letter"
_ANSWER = "halloo letter answer"


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
        return LetterAnswer(sealed=seal.close(0, encode_shape(decision), self.letter), request=request)

    def open_answer(self, answer: LetterAnswer) -> Decision:
        """What the server decided.

        Raises:
            Refused: the server could not open our letter, or somebody else answered.
        """
        if not answer.sealed:
            raise Refused("the login server could not open our letter; is this network's description out of date?")
        return decode_shape(Decision, _seal(self.suite, self.secret, _ANSWER).open(0, answer.sealed, self.letter))



def write_letter(
    suite: Suite, login_key: bytes, application: Application, request: int, rng: Random
) -> tuple[Letter, Correspondence]:
    """A letter that only the holder of the network's login key can read."""
    secret, enclosed = suite.network_envelope.enclose(login_key, rng)
    sealed = _seal(suite, secret, _LETTER).close(0, encode_shape(application), enclosed)
    letter = Letter(enclosed=enclosed, sealed=sealed, request=request)
    return letter, Correspondence(suite, secret, suite.digest(enclosed + sealed))


def open_letter(suite: Suite, private: bytes, letter: Letter) -> tuple[Application, Correspondence]:
    """Read a letter.  Raises Refused or Malformed."""
    secret = suite.network_envelope.disclose(private, letter.enclosed)
    correspondence = Correspondence(suite, secret, suite.digest(letter.enclosed + letter.sealed))
    plain = _seal(suite, secret, _LETTER).open(0, letter.sealed, letter.enclosed)
    return decode_shape(Application, plain), correspondence


def _seal(suite: Suite, secret: bytes, label: str) -> Seal:
    return suite.seal(suite.digest.derive(secret, label, b"", suite.seal_key_size))
