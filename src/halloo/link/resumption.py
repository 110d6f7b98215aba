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

__all__ = ["Admission", "Return", "binder", "check", "early_seal", "resumed_keys"]

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
        self.said = replace(bare, binder=binder(suite, self._held.secret, bare))
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
        keys = resumed_keys(suite, self._held.secret, fresh, self.said, heard)
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
        expected = binder(suite, content.secret, replace(heard, binder=b""))
        if not same(suite.digest, content.secret, expected, heard.binder):
            raise Refused("the other side does not hold the ticket it shows")
        self.party = party_of(content.key, content.claims)
        self.heard = heard
        self.answered = False
        self._persona = persona
        self._secret = content.secret
        self._bare: Resumed | None = None

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
        keys = resumed_keys(suite, self._secret, fresh, self.heard, bare)
        self._bare = replace(bare, check=check(suite, keys))
        self._secret = b""
        return Session(suite, persona.confided(keys), began=False)

    @property
    def overhead(self) -> int:
        """Bytes of the answer without its sealed packet."""
        assert self._bare is not None
        return len(encode_command(self._bare)) + _LARGEST

    def answer(self, sealed: bytes) -> Resumed:
        """The answer, with the first packet of the link."""
        assert self._bare is not None
        self.answered = True
        return replace(self._bare, sealed=sealed)


def early_seal(suite: Suite, secret: bytes, nonce: bytes) -> Seal:
    """What keeps early commands; used once, under the number 0."""
    return suite.seal(suite.digest.derive(secret, "halloo early", nonce, suite.seal_key_size))


def binder(suite: Suite, secret: bytes, resume: Resume) -> bytes:
    """What a Resume without its binder is bound to the ticket's secret by."""
    return suite.digest.derive(secret, "halloo binder", suite.digest(encode_command(resume)), CODE)


def resumed_keys(suite: Suite, secret: bytes, fresh: bytes, resume: Resume, resumed: Resumed) -> LinkKeys:
    """The keys of a link that was resumed: from the ticket's secret, the fresh one, and all that was said."""
    bare = replace(resumed, check=b"", sealed=b"")
    transcript = suite.digest(encode_command(resume) + encode_command(bare))
    initiators = suite.digest.derive(secret, "halloo resumed", resume.nonce, len(secret))
    return LinkKeys(suite.number, resume.link, resumed.link, initiators, fresh, transcript)


def check(suite: Suite, keys: LinkKeys) -> bytes:
    """What shows that the responder knows both secrets."""
    return suite.digest.derive(keys.initiators + keys.responders, "halloo resumed check", keys.transcript, CODE)
