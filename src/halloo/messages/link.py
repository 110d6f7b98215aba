"""How two strangers become a link: three messages, the first in the open, identities under seal.

    initiator                                   responder
      | --- Hello (envelope) ------------------> |
      | <-- HelloRetry (cookie) ---------------- |   only when many knock: the Hello again, with the cookie
      | <-- HelloAnswer (secret, envelope, proof) |
      | --- Finish (secret, proof) ------------> |
      | <================ sealed ==============> |
      | --- Renew (envelope) ------------------> |   each hour: fresh keys
      | <-- RenewAnswer (secret, envelope) ----- |
      | --- RenewFinish (secret) --------------> |
      | --- AskTicket -------------------------> |   by who may want to come back
      | <-- Ticket ----------------------------- |
      | --- Goodbye ---------------------------> |   either side, once

Who comes back to somebody who gave him a ticket needs one datagram each way:

    initiator                                   responder
      | --- Resume (ticket, early, binder) ----> |
      | <-- Resumed (secret, check, sealed) ---- |   or ResumeRefused: then a Hello follows at once
      | <-- ResumeRefused ---------------------- |
      | --- Confirm ---------------------------> |   sealed, with whatever else is to be said
"""

from __future__ import annotations

from halloo.base.machine import Message
from halloo.messages.credential import MAX_CREDENTIAL
from halloo.wire.command import Form, Shape, blob, command, flag, number, shape, text

__all__ = [
    *("AskTicket", "Confirm", "Finish", "Goodbye", "Hello", "HelloAnswer", "HelloRetry", "Proof"),
    *("Renew", "RenewAnswer", "RenewFinish", "Resume", "ResumeRefused", "Resumed", "Ticket"),
]

_KEY = 2_048  # bytes: a hybrid public key of 1,216 is the longest today
_TICKET = 1_024  # bytes: a resumption secret and what the network says of a user, 290 of them today
_NONCE = 32  # bytes
_SEALED = 1_400  # bytes: what goes along with a Resume is to fit into its datagram


@command(0x61, Form.NOTICE)
class Hello(Message):
    """I want to talk: the suite of my network, the number of the link on my side, a key to put a secret under."""

    suite: int = number(0x01, most=0xFF)
    link: int = number(0x02, most=0xFFFF_FFFF)
    envelope: bytes = blob(0x03, least=1, most=_KEY)
    cookie: bytes = blob(0x06, most=32, default=b"")
    """What a HelloRetry asked for; empty at first."""


@command(0x6B, Form.NOTICE)
class HelloRetry(Message):
    """Many knock here: show that you hear me at your address, by saying your Hello again with this cookie."""

    to: int = number(0x01, most=0xFFFF_FFFF)
    cookie: bytes = blob(0x06, least=1, most=32)


@command(0x62, Form.NOTICE)
class HelloAnswer(Message):
    """My secret for you, a key for yours, and who I am, sealed."""

    to: int = number(0x01, most=0xFFFF_FFFF)
    link: int = number(0x02, most=0xFFFF_FFFF)
    envelope: bytes = blob(0x03, least=1, most=_KEY)
    enclosed: bytes = blob(0x04, least=1, most=_KEY)
    proof: bytes = blob(0x05, most=_KEY, default=b"")


@command(0x63, Form.NOTICE)
class Finish(Message):
    """My secret for you, and who I am, sealed."""

    to: int = number(0x01, most=0xFFFF_FFFF)
    enclosed: bytes = blob(0x04, least=1, most=_KEY)
    proof: bytes = blob(0x05, most=_KEY, default=b"")


@command(0x64, Form.NOTICE)
class Goodbye(Message):
    """I end this link.  Said once, sealed, not repeated: who misses it will notice the silence."""

    reason: str = text(0x01, most=120, default="")


@command(0x68, Form.NOTICE)
class Renew(Message):
    """Let us have fresh keys: one to put a secret under.  Said by the side that began the link."""

    envelope: bytes = blob(0x03, least=1, most=_KEY)


@command(0x69, Form.NOTICE)
class RenewAnswer(Message):
    """My fresh secret, and a key for yours."""

    envelope: bytes = blob(0x03, least=1, most=_KEY)
    enclosed: bytes = blob(0x04, least=1, most=_KEY)


@command(0x6A, Form.NOTICE)
class RenewFinish(Message):
    """My fresh secret.  Whoever hears it speaks under the new keys from now on; whoever said it, once he hears them."""

    enclosed: bytes = blob(0x04, least=1, most=_KEY)


@command(0x78, Form.NOTICE)
class AskTicket(Message):
    """I may want to come back: give me a ticket.  Said by the side that began the link."""


@command(0x79, Form.NOTICE)
class Ticket(Message):
    """With this you may come back, once.  What is in the ticket only its giver can read.

    ``nonce``: from it and the secrets of this link the secret of the ticket follows.  ``expires``: wall clock, seconds.
    """

    ticket: bytes = blob(0x07, least=1, most=_TICKET)
    nonce: bytes = blob(0x08, least=16, most=_NONCE)
    expires: int = number(0x04, most=1 << 40)


@command(0x6C, Form.NOTICE)
class Resume(Message):
    """I was here before: a ticket, a key to put a secret under, and the first commands, sealed."""

    suite: int = number(0x01, most=0xFF)
    link: int = number(0x02, most=0xFFFF_FFFF)
    envelope: bytes = blob(0x03, least=1, most=_KEY)
    ticket: bytes = blob(0x07, least=1, most=_TICKET)
    nonce: bytes = blob(0x08, least=16, most=_NONCE)
    early: bytes = blob(0x09, most=_SEALED, default=b"")
    binder: bytes = blob(0x0A, most=_NONCE, default=b"")
    """Shows that who says this knows the secret of the ticket."""


@command(0x6D, Form.NOTICE)
class Resumed(Message):
    """Welcome back: a fresh secret for you, and the first sealed packet of the link."""

    to: int = number(0x01, most=0xFFFF_FFFF)
    link: int = number(0x02, most=0xFFFF_FFFF)
    enclosed: bytes = blob(0x04, least=1, most=_KEY)
    taken: bool = flag(0x0B, default=False)
    """Whether the early commands were heard; otherwise they are to be said again."""
    check: bytes = blob(0x0A, most=_NONCE, default=b"")
    """Shows that who says this knows the secret of the ticket and the fresh one."""
    sealed: bytes = blob(0x09, most=_SEALED, default=b"")


@command(0x6E, Form.NOTICE)
class ResumeRefused(Message):
    """This ticket opens nothing here, or no longer: say Hello."""

    to: int = number(0x01, most=0xFFFF_FFFF)


@command(0x7A, Form.NOTICE)
class Confirm(Message):
    """I heard your Resumed: so I am where you sent it.  Said first on a link that was resumed, by who resumed it."""


@shape
class Proof(Shape):
    """Who speaks: the identity key, the credential where there is one, and a signature over the handshake."""

    key: bytes = blob(0x01, least=1, most=512)
    credential: bytes = blob(0x02, most=MAX_CREDENTIAL, default=b"")
    signature: bytes = blob(0x03, least=1, most=512)
