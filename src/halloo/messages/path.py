"""How two nodes reach each other by a third: borrow a relay.

    caller                    supernode of the callee              callee
      | --- RelayRequest --------> |                                 |
      |                            | --- RelayOffer (token) -------> |
      | <-- RelayGranted (token) - |                                 |
      | === Forward(token) ======> | === Forward(its token) =======> |
"""

from __future__ import annotations

from halloo.base.machine import Message
from halloo.wire.command import Form, command, request_id, text, wide

__all__ = ["RelayClose", "RelayGranted", "RelayOffer", "RelayRefused", "RelayRequest"]


@command(74, Form.REQUEST)
class RelayRequest(Message):
    """Open a channel from me to the node ``callee``, which is attached to you."""

    callee: bytes = wide(0x01)
    request: int = request_id(default=0)


@command(75, Form.REPLY)
class RelayGranted(Message):
    """Put ``token`` before all that shall reach the other side; what comes from there carries it too."""

    token: bytes = wide(0x02)
    request: int = request_id(default=0)


@command(76, Form.REPLY)
class RelayRefused(Message):
    """No: nobody of that id is attached here, or no capacity is left."""

    reason: str = text(0x02, most=120, default="")
    request: int = request_id(default=0)


@command(77, Form.NOTICE)
class RelayOffer(Message):
    """Somebody will speak to you through me under ``token``."""

    token: bytes = wide(0x02)


@command(78, Form.NOTICE)
class RelayClose(Message):
    """The channel under ``token`` is no longer needed, or no longer there."""

    token: bytes = wide(0x02)
