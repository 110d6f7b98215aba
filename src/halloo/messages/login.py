"""Between a user and the login server: one sealed letter each way, over UDP or TCP, in the open.

    user                                        login server
      | --- Letter (secret, sealed Application) --> |
      | <-- LetterAnswer (sealed Decision) -------- |

Where the way there is blocked, a supernode carries both; it reads neither:

    user                    supernode                   login server
      | --- CarryLetter ------> | --- Letter (carried) -----> |
      | <-- LetterBack -------- | <-- LetterAnswer ---------- |

The secret is put under the network's login key; the letter and its answer are sealed with keys from it (labels
``"halloo letter"`` and ``"halloo letter answer"``).  The same letter may come again: its answer is the same.
"""

from __future__ import annotations

from enum import IntEnum

from halloo.base.machine import Message
from halloo.messages.credential import MAX_CREDENTIAL
from halloo.messages.name import MAX_NAME
from halloo.wire.command import Form, Shape, blob, command, flag, number, request_id, shape, text

__all__ = [
    "Application",
    "Carriage",
    "CarryLetter",
    "Decision",
    "Letter",
    "LetterAnswer",
    "LetterBack",
    "Purpose",
    "Verdict",
]


class Purpose(IntEnum):
    """What is asked of the login server.  The first is the classic protocol's request code."""

    LOGIN = 5017
    SIGN_UP = 5018
    CHANGE_PASSWORD = 5019
    """A new password; every key certified before is revoked but the one that asks."""
    RENEW = 5020
    """Certify the same key anew; proved by the key alone."""
    REVOKE = 5021
    """Revoke every key of the name; proved by one of them."""


class Verdict(IntEnum):
    """What it answers.  The first is the classic protocol's result code."""

    OK = 4200
    REFUSED = 4201
    """Wrong name or password; which of the two is not said."""
    NAME_TAKEN = 4202
    NAME_INVALID = 4203
    TOO_MANY = 4204
    """Too many attempts; come back after ``retry_after`` seconds."""
    UNAVAILABLE = 4205
    """The server cannot reach its accounts."""
    CLOCK_WRONG = 4206
    """The letter is of another time than the server's; ``wall`` says which."""


class Carriage(IntEnum):
    """What became of a letter that a supernode was given."""

    ANSWERED = 0
    TOO_MANY = 1
    SILENT = 2
    """No login server answered the supernode either."""


@command(0x70, Form.REQUEST)
class Letter(Message):
    """A secret under the network's login key, and an Application sealed with it."""

    enclosed: bytes = blob(0x08, least=1, most=2048)
    sealed: bytes = blob(0x09, least=1, most=2048)
    carried: bool = flag(0x0A, default=False)
    """A supernode sends it on for somebody: its host is that of many."""
    request: int = request_id(default=0)


@command(0x71, Form.REPLY)
class LetterAnswer(Message):
    """A Decision, sealed with the letter's secret; empty when the letter could not be opened."""

    sealed: bytes = blob(0x09, most=4096, default=b"")
    request: int = request_id(default=0)


@command(0x72, Form.REQUEST)
class CarryLetter(Message):
    """Node to supernode: send this letter on to a login server, and its answer back."""

    enclosed: bytes = blob(0x08, least=1, most=2048)
    sealed: bytes = blob(0x09, least=1, most=2048)
    request: int = request_id(default=0)


@command(0x73, Form.REPLY)
class LetterBack(Message):
    """Supernode to node: the answer, or why there is none (a Carriage)."""

    carriage: int = number(0x01, most=0xFF)
    retry_after: int = number(0x03, most=3600, default=0)
    sealed: bytes = blob(0x09, most=4096, default=b"")
    request: int = request_id(default=0)


@shape
class Application(Shape):
    """What the user asks: his name, what proves the password, and the key to be certified.

    ``signature`` is made with that key, over the rest and the enclosed secret: nobody has another's key certified.
    ``wall`` is the user's clock in seconds since 1970: a letter of long ago is not answered again.
    """

    purpose: int = number(0x01, most=0xFFFF)
    name: str = text(0x04, most=4 * MAX_NAME)
    proof: bytes = blob(0x05, most=64, default=b"")
    key: bytes = blob(0x21, least=1, most=512)
    new_proof: bytes = blob(0x06, most=64, default=b"")
    wall: int = number(0x07, most=1 << 40, default=0)
    signature: bytes = blob(0x22, most=512, default=b"")


@shape
class Decision(Shape):
    """The answer, with the credential when it is yes."""

    verdict: int = number(0x01, most=0xFFFF)
    credential: bytes = blob(0x24, most=MAX_CREDENTIAL, default=b"")
    retry_after: int = number(0x03, most=1 << 20, default=0)
    wall: int = number(0x05, most=1 << 40, default=0)
    """The server's clock, in seconds since 1970, so that a wrong one here is noticed."""
    reason: str = text(0x02, most=200, default="")
