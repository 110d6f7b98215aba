"""Fresh keys for a link that has been used for long: the handshake again, inside the link, without its proofs.

    the side that began                    the other
      | -- Renew: E_i ------------------------>  |
      | <- RenewAnswer: E_r, {s_r}E_i ---------  |
      | -- RenewFinish: {s_i}E_r ------------->  |   speaks under the new keys at once
      | <= under the new keys ================  |
      | == under the new keys ===============>  |

Each secret is mixed with the one before it, so that the keys stay as strong as the strongest of all exchanges, and
whoever learns the present keys can neither read what was said before the last renewal nor, once he has missed one,
what is said after it.  Sealed under the link's present keys, all three are known to come from the other side.
"""

from __future__ import annotations

from dataclasses import replace

from halloo.crypto.suite import Suite
from halloo.link.keys import LinkKeys
from halloo.link.persona import Persona
from halloo.messages.link import Renew, RenewAnswer, RenewFinish
from halloo.wire.command import encode_command

__all__ = ["RENEW_AFTER", "RENEW_SOONEST", "RenewalAnswered", "RenewalBegun"]

RENEW_AFTER = 3_600.0  # seconds from one set of keys to the next
RENEW_SOONEST = 10.0  # seconds between two, however much the other side wants them: each costs a third of a millisecond
_MIXED = "halloo renewed secret"


class RenewalBegun:
    """The side that began the link, waiting for an answer."""

    def __init__(self, persona: Persona, keys: LinkKeys) -> None:
        self._persona = persona
        self._keys = keys
        self._private = persona.suite.envelope.make(persona.rng, persona.private)
        self.message = Renew(envelope=persona.suite.envelope.public(self._private))

    def answer(self, heard: RenewAnswer) -> tuple[RenewFinish, LinkKeys]:
        """The last message, and the keys to expect.  Raises Refused."""
        suite = self._persona.suite
        theirs = suite.envelope.disclose(self._private, heard.enclosed)
        mine, enclosed = suite.answer_envelope.enclose(heard.envelope, self._persona.rng)
        finish = RenewFinish(enclosed=enclosed)
        return finish, _renewed(suite, self._keys, mine, theirs, (self.message, heard, finish))


class RenewalAnswered:
    """The other side, waiting for the end."""

    def __init__(self, persona: Persona, keys: LinkKeys, heard: Renew) -> None:
        suite = persona.suite
        self._suite = suite
        self._keys = keys
        self._heard = heard
        self._private = suite.answer_envelope.make(persona.rng, persona.private)
        self._secret, enclosed = suite.envelope.enclose(heard.envelope, persona.rng)
        self.message = RenewAnswer(envelope=suite.answer_envelope.public(self._private), enclosed=enclosed)

    def finish(self, heard: RenewFinish) -> LinkKeys:
        """The keys to speak under.  Raises Refused."""
        theirs = self._suite.answer_envelope.disclose(self._private, heard.enclosed)
        return _renewed(self._suite, self._keys, theirs, self._secret, (self._heard, self.message, heard))


def _renewed(
    suite: Suite,
    keys: LinkKeys,
    initiators: bytes,
    responders: bytes,
    said: tuple[Renew, RenewAnswer, RenewFinish],
) -> LinkKeys:
    transcript = suite.digest(keys.transcript + b"".join(encode_command(message) for message in said))

    def mixed(before: bytes, fresh: bytes) -> bytes:
        return suite.digest.derive(before + fresh, _MIXED, transcript, len(before))

    return replace(
        keys,
        initiators=mixed(keys.initiators, initiators),
        responders=mixed(keys.responders, responders),
        transcript=transcript,
    )
