"""Two who had a link before agree on the keys of another, with one datagram each way.

    initiator                                             responder
      | -- Resume: ticket, E_i, nonce, [early], binder ->  |   binder, and the seal of what is early: from the
      |                                                    |   secret of the ticket
      | <- Resumed: {s_r}E_i, check, [first packet] -----  |   sealed with the keys of the link
      | -- Confirm, sealed ----------------------------->  |   so the initiator is where he says
      keys = agree(from the ticket's secret, s_r, everything said)

The ticket's secret stands for what both proved when they met: only its giver can read it out of the ticket, only its
holder knew it otherwise.  E_i is a key of the way back of a handshake (fresh where the suite can afford it), so what is
said after the first flight stays secret when the giver's ticket key is stolen; what is early does not.
"""

from __future__ import annotations

from dataclasses import replace

from halloo.base.errors import Refused
from halloo.crypto.suite import Seal, Suite
from halloo.link.keys import LinkKeys
from halloo.link.persona import Persona
from halloo.link.session import Session
from halloo.link.tickets import HeldTicket, TicketContent, party_of, same
from halloo.messages.catalogue import EARLY
from halloo.messages.credential import Party
from halloo.messages.link import Resume, Resumed
from halloo.wire.command import declaration_of, encode_command
from halloo.wire.frame import FrameKind

__all__ = ["Admission", "Return", "after_resume", "binder", "check", "early_seal", "resumed_keys"]

NONCE = 16  # bytes
CODE = 16  # bytes of a binder and of a check
TRIES = 3  # times that a Resume is said before a Hello takes its place: the other side may not know the word
_LARGEST = 8  # bytes more that the lengths of filled fields may take than those of empty ones


class Return:
    """The side that comes back.  ``key``: whom it looks for where the ticket serves for nothing; empty: anybody."""

    def __init__(self, persona: Persona, link: int, held: HeldTicket, key: bytes) -> None:
        suite = persona.suite
        self.key = key
        self.said: Resume | None = None
        """Once it was said: it is said again as it is."""
        self.said_at = 0.0
        self.tries = 0
        self.early = 0
        """How many of the first commands that wait may be said early."""
        self.carried = 0
        """How many of them were."""
        self._persona = persona
        self._held = held
        self._late = False
        self._spoken = b""
        self._private = suite.answer_envelope.make(persona.rng, persona.private)
        self._bare = Resume(
            suite=suite.number,
            link=link,
            envelope=suite.answer_envelope.public(self._private),
            ticket=held.ticket,
            nonce=persona.rng.randbytes(NONCE),
        )
        seal = early_seal(suite, held.secret, self._bare.nonce)
        self.overhead = len(encode_command(self._bare)) + CODE + seal.overhead + _LARGEST
        """Bytes of a Resume without what is early."""

    def offer(self, message: object) -> None:
        """Something is to be said: it goes early if all before it does, and if it may be heard twice."""
        declared = declaration_of(type(message))  # type: ignore[arg-type]
        self._late = self._late or self.said is not None or (declared.number, declared.form) not in EARLY
        self.early += not self._late

    def say(self, early: bytes, carried: int, now: float) -> Resume:
        """The message; ``early``: a packet of the first ``carried`` commands, or nothing."""
        suite, bare = self._persona.suite, self._bare
        if early:
            bare = replace(bare, early=early_seal(suite, self._held.secret, bare.nonce).close(0, early, bare.nonce))
        self._spoken = after_resume(suite, bare)
        self.said = replace(bare, binder=binder(suite, self._held.secret, self._spoken))
        self.carried, self.said_at = carried, now
        return self.said

    def answer(self, heard: Resumed) -> tuple[Session, Party, bytes]:
        """The keys, who the other side is, and its first packet.

        Raises:
            Refused, Malformed: the answer proves nothing.
        """
        if self.said is None:
            raise Refused("an answer to what was not said yet")
        persona, suite = self._persona, self._persona.suite
        fresh = suite.answer_envelope.disclose(self._private, heard.enclosed)
        encoded = encode_command(replace(heard, check=b"", sealed=b""))
        numbers = self.said.link, heard.link
        keys = resumed_keys(suite, numbers, self._held.secret, fresh, self._spoken, encoded)
        if not same(suite.digest, fresh, check(suite, keys), heard.check):
            raise Refused("the other side does not know the secret of the ticket")
        session = Session(suite, persona.confided(keys), began=True)
        plain, _ = session.open(FrameKind.PAYLOAD, self.said.link.to_bytes(4, "big"), 0, heard.sealed)
        return session, party_of(self._held.key, self._held.claims), plain


class Admission:
    """The side that is come back to, until it knows that the other is where he says.

    Raises:
        Refused: who says this does not know the secret of the ticket.
    """

    def __init__(self, persona: Persona, heard: Resume, content: TicketContent) -> None:
        suite = persona.suite
        if heard.suite != suite.number:
            raise Refused(f"the other side wants suite {heard.suite}, this network uses {suite.number}")
        self._spoken = after_resume(suite, replace(heard, binder=b""))
        if not same(suite.digest, content.secret, binder(suite, content.secret, self._spoken), heard.binder):
            raise Refused("the other side does not hold the ticket it shows")
        self.party = party_of(content.key, content.claims)
        self.heard = heard
        self.answered = False
        self._persona = persona
        self._secret = content.secret
        self._bare: Resumed | None = None
        self.overhead = 0
        """Bytes of the answer without its sealed packet, once keys are agreed."""

    def early(self) -> bytes:
        """The packet that came along; empty: none.  Raises Refused."""
        if not self.heard.early:
            return b""
        nonce = self.heard.nonce
        return early_seal(self._persona.suite, self._secret, nonce).open(0, self.heard.early, nonce)

    def agree(self, link: int, *, taken: bool) -> Session:
        """The keys; ``taken``: whether what was early is heard.  Raises Refused."""
        persona, suite = self._persona, self._persona.suite
        fresh, enclosed = suite.answer_envelope.enclose(self.heard.envelope, persona.rng)
        bare = Resumed(to=self.heard.link, link=link, enclosed=enclosed, taken=taken)
        encoded = encode_command(bare)
        self.overhead = len(encoded) + CODE + _LARGEST
        keys = resumed_keys(suite, (self.heard.link, link), self._secret, fresh, self._spoken, encoded)
        self._bare = replace(bare, check=check(suite, keys))
        self._secret = b""
        return Session(suite, persona.confided(keys), began=False)

    def answer(self, sealed: bytes) -> Resumed:
        """The answer, with the first packet of the link."""
        assert self._bare is not None
        self.answered = True
        return replace(self._bare, sealed=sealed)


def early_seal(suite: Suite, secret: bytes, nonce: bytes) -> Seal:
    """What keeps early commands; used once, under the number 0."""
    return suite.seal(suite.digest.derive(secret, "halloo early", nonce, suite.seal_key_size))


def after_resume(suite: Suite, bare: Resume) -> bytes:
    """The transcript once the initiator has spoken: a digest of his message with an empty binder."""
    return suite.digest(encode_command(bare))


def binder(suite: Suite, secret: bytes, spoken: bytes) -> bytes:
    """What shows that who said a Resume, of that transcript, knows the ticket's secret."""
    return suite.digest.derive(secret, "halloo binder", spoken, CODE)


def resumed_keys(
    suite: Suite, numbers: tuple[int, int], secret: bytes, fresh: bytes, spoken: bytes, encoded: bytes
) -> LinkKeys:
    """The keys of a link that was resumed.

    ``numbers``: of the link, the initiator's and the responder's; ``secret``: the ticket's, ``fresh``: the responder's;
    ``spoken``: the transcript after the Resume, ``encoded``: the Resumed with empty check and sealed.
    """
    initiators = suite.digest.derive(secret, "halloo resumed", spoken, len(secret))
    return LinkKeys(suite.number, *numbers, initiators, fresh, suite.digest(spoken + encoded))


def check(suite: Suite, keys: LinkKeys) -> bytes:
    """What shows that the responder knows both secrets."""
    return suite.digest.derive(keys.initiators + keys.responders, "halloo resumed check", keys.transcript, CODE)
