"""How a node learns whether the world reaches it, and how a supernode that retires sends its nodes elsewhere.

    node                         own supernode              third node
      | --- ReachAsked -----------> |                          |
      |                             | --- ReachPassed -------> |   somebody whom the node never wrote to
      | <-- ReachAnswer ----------- |                          |
      | <-- Reached (open) ----------------------------------- |
      |                             |
      | <-- Move ------------------ |                              when it retires
"""

from __future__ import annotations

from halloo.base.address import Address
from halloo.base.machine import Message
from halloo.wire.command import Form, address, addresses, command, flag, number, request_id, wide

__all__ = ["Move", "ReachAnswer", "ReachAsked", "ReachPassed", "Reached"]

MOVES = 20  # supernodes named to who shall move


@command(0x7B, Form.REQUEST)
class ReachAsked(Message):
    """Have a third node say ``Reached`` to the address that you see me at, with this ``token``.

    ``serving``: I am a supernode, and have written to most others: let it be one of your nodes.
    """

    token: bytes = wide(0x01)
    serving: bool = flag(0x02, default=False)
    request: int = request_id(default=0)


@command(0x7C, Form.REPLY)
class ReachAnswer(Message):
    """``passed``: so many third nodes were asked to; ``observed``: at this address."""

    passed: int = number(0x01, most=8, default=0)
    observed: Address | None = address(0x11, default=None)
    request: int = request_id(default=0)


@command(0x7D, Form.NOTICE)
class ReachPassed(Message):
    """Say ``Reached`` with this ``token`` to ``observed``."""

    token: bytes = wide(0x01)
    observed: Address = address(0x11)


@command(0x7E, Form.NOTICE)
class Reached(Message):
    """In the open, from somebody you never wrote to: you can be reached at ``observed``."""

    token: bytes = wide(0x01)
    observed: Address = address(0x11)


@command(0x7F, Form.NOTICE)
class Move(Message):
    """I retire: attach to one of ``supernodes``, or to whomever you like, and leave me then."""

    supernodes: tuple[Address, ...] = addresses(0x02, most=MOVES, default=())
