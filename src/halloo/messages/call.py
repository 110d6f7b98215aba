"""One call, between two users, over the sealed link between them.

    caller                      callee
      | ------- Invite --------> |   RINGING
      | <------ Ringing -------- |
      | <------ Answer --------- |   TALKING
      | <====== sound =========> |
      | ------- Bye -----------> |   OVER          (or Decline: refused, busy)
"""

from __future__ import annotations

from enum import IntEnum

from halloo.base.machine import Message
from halloo.wire.command import Form, command, number, text, wide

__all__ = ["Answer", "Bye", "Decline", "Invite", "Ringing", "Why"]


class Why(IntEnum):
    """Why a call was declined or ended."""

    HUNG_UP = 0
    REFUSED = 1
    BUSY = 2
    NO_ANSWER = 3
    CANCELLED = 4
    FAULT = 5
    """Something broke; the text says what."""


@command(67, Form.NOTICE)
class Invite(Message):
    """I call you.  ``codec`` 1 is Opus; ``rate`` what I would send, in bit/s."""

    call: bytes = wide(0x01)
    codec: int = number(0x02, most=0xFF, default=1)
    rate: int = number(0x03, most=1_000_000, default=32_000)


@command(68, Form.NOTICE)
class Ringing(Message):
    """It rings here."""

    call: bytes = wide(0x01)


@command(70, Form.NOTICE)
class Answer(Message):
    """Taken; I speak now."""

    call: bytes = wide(0x01)
    codec: int = number(0x02, most=0xFF, default=1)


@command(71, Form.NOTICE)
class Decline(Message):
    """Not taken."""

    call: bytes = wide(0x01)
    why: int = number(0x02, most=0xFF)


@command(72, Form.NOTICE)
class Bye(Message):
    """The call ends."""

    call: bytes = wide(0x01)
    why: int = number(0x02, most=0xFF, default=0)
    words: str = text(0x03, most=120, default="")
