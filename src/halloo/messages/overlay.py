"""Between nodes and supernodes: attach, stay, leave.

    node                         supernode
      | --- Probe ----------------> |  in the open, over UDP
      | <-- ProbeAccept / Refuse -- |
      | ===== link =============== |
      | --- Attach ---------------> |
      | <-- Attached / Refused ---- |
      | --- Ping / Pong <--------> |  while idle
      | --- Store ---------------> |  my record
      | <-- Stored --------------- |
      | --- Search --------------> |
      | <-- Found ---------------- |
      | --- Leave ---------------> |

Numbers are those of the classic protocol where it had the command.
"""

from __future__ import annotations

from halloo.base.address import Address
from halloo.base.machine import Message
from halloo.messages.log import SignedHead
from halloo.wire.command import Form, address, addresses, blob, command, flag, nested, number, request_id, wide

__all__ = [
    "Attach",
    "AttachRefused",
    "Attached",
    "Leave",
    "Ping",
    "Pong",
    "Probe",
    "ProbeAccept",
    "ProbeRefuse",
]


MAX_TICKET = 32  # bytes of a ticket: a time and a check, of whatever make


@command(27, Form.REQUEST)
class Probe(Message):
    """Are you there, are you a supernode, and have you room?  Empty, as in the published dumps.

    ``only_asking``: I have a supernode, and would like to know you.  ``ticket``: you told me to come back with it;
    with both, I do not need the place that you keep for me.
    """

    only_asking: bool = flag(0x13, default=False)
    ticket: bytes | None = blob(0x14, least=1, most=MAX_TICKET, default=None)
    request: int = request_id(default=0)


@command(28, Form.REPLY)
class ProbeAccept(Message):
    """Come.  ``observed`` is the address your probe came from; ``wanted``, to who is only asking, as in Pong."""

    observed: Address | None = address(0x11, default=None)
    wanted: int = number(0x05, most=1_000_000, default=0)
    request: int = request_id(default=0)


@command(29, Form.REPLY)
class ProbeRefuse(Message):
    """Not now; try these, or me again after ``retry_after`` seconds, with this ``ticket``.

    ``wanted`` as in Pong: who is ready to help need not wait until somebody takes him.
    """

    supernodes: tuple[Address, ...] = addresses(0x02, most=20, default=())
    retry_after: int = number(0x03, most=3600, default=0)
    wanted: int = number(0x05, most=1_000_000, default=0)
    ticket: bytes | None = blob(0x14, least=1, most=MAX_TICKET, default=None)
    request: int = request_id(default=0)


@command(30, Form.REQUEST)
class Attach(Message):
    """Be my supernode.  ``uptime`` in seconds, ``port`` where I listen on UDP and TCP; ``ticket`` as in Probe."""

    node: bytes = wide(0x01)
    port: int = number(0x02, most=0xFFFF)
    uptime: int = number(0x03, most=1 << 32, default=0)
    ticket: bytes | None = blob(0x14, least=1, most=MAX_TICKET, default=None)
    request: int = request_id(default=0)


@command(31, Form.REPLY)
class Attached(Message):
    """You are attached.  ``observed`` is your address as I see it; ``supernodes`` feed your host cache.

    ``heads``: the newest head of the login servers' log that I have seen; compare it with what they tell you.
    """

    node: bytes = wide(0x01)
    observed: Address | None = address(0x11, default=None)
    supernodes: tuple[Address, ...] = addresses(0x02, most=40, default=())
    clients: int = number(0x09, most=1 << 32, default=0)
    heads: tuple[SignedHead, ...] = nested(0x0A, SignedHead, most=1, default=())
    request: int = request_id(default=0)


@command(32, Form.REPLY)
class AttachRefused(Message):
    """Not now; try these, or me again after ``retry_after`` seconds, with this ``ticket``."""

    supernodes: tuple[Address, ...] = addresses(0x02, most=40, default=())
    retry_after: int = number(0x03, most=3600, default=0)
    ticket: bytes | None = blob(0x14, least=1, most=MAX_TICKET, default=None)
    request: int = request_id(default=0)


@command(39, Form.NOTICE)
class Leave(Message):
    """I go."""


@command(81, Form.REQUEST)
class Ping(Message):
    """Are you still there?  ``ready``: I would be a supernode, and others reach me."""

    ready: bool = flag(0x02, default=False)
    request: int = request_id(default=0)


@command(82, Form.REPLY)
class Pong(Message):
    """I am.  ``observed``: your address as I see it now, when it is not the one that I told you last.

    ``wanted``: the chance, in millionths, with which a node that is ready should become a supernode now;
    ``supernodes``: some that are new.
    """

    observed: Address | None = address(0x11, default=None)
    wanted: int = number(0x03, most=1_000_000, default=0)
    supernodes: tuple[Address, ...] = addresses(0x02, most=4, default=())
    request: int = request_id(default=0)
