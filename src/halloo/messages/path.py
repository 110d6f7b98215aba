"""How two nodes reach each other by a third, and how a call that has begun keeps a way: borrow relays, try ways.

    caller                    supernode of the callee              callee
      | --- RelayRequest --------> |                                 |
      |                            | --- RelayOffer (token) -------> |
      | <-- RelayGranted (token) - |                                 |
      | === Forward(token) ======> | === Forward(its token) =======> |

Over the link of a call, between its two sides:

    one side                        the other
      | --- WayHints ----------------> |   where I am, and which supernodes I could reach
      | --- MeetAt ------------------> |   let us both be linked to this supernode: it shall be our second relay
      | --- PathProbe (any way) -----> |   said once, over the way that is asked about
      | <-- PathEcho (the same way) -- |
"""

from __future__ import annotations

from halloo.base.address import Address
from halloo.base.machine import Message
from halloo.wire.command import Form, address, addresses, command, flag, request_id, text, wide

__all__ = [
    "MAX_HINTS",
    "MeetAt",
    "PathEcho",
    "PathProbe",
    "RelayClose",
    "RelayGranted",
    "RelayOffer",
    "RelayRefused",
    "RelayRequest",
    "WayHints",
]

MAX_HINTS = 8  # addresses of one kind: more are not tried within the time that a call waits for a way


@command(74, Form.REQUEST)
class RelayRequest(Message):
    """Open a channel from me to the node ``callee``, which has a link to you."""

    callee: bytes = wide(0x01)
    request: int = request_id(default=0)


@command(75, Form.REPLY)
class RelayGranted(Message):
    """Put ``token`` before all that shall reach the other side; what comes from there carries it too."""

    token: bytes = wide(0x02)
    request: int = request_id(default=0)


@command(76, Form.REPLY)
class RelayRefused(Message):
    """No: nobody of that id has a link to me, or no capacity is left."""

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


@command(0x40, Form.NOTICE)
class PathProbe(Message):
    """Do you hear me by this way?  ``number`` is drawn, so that only who heard it can answer.

    ``follow``: by the other way I hear you no more; speak to me by this one.
    """

    number: bytes = wide(0x01)
    follow: bool = flag(0x02, default=False)


@command(0x41, Form.NOTICE)
class PathEcho(Message):
    """By this way I have heard your probe of that number."""

    number: bytes = wide(0x01)


@command(0x42, Form.NOTICE)
class WayHints(Message):
    """Where I can be reached, and supernodes by which I could be: my own first, then those I have at hand."""

    supernodes: tuple[Address, ...] = addresses(0x01, most=MAX_HINTS, default=())
    reachable: tuple[Address, ...] = addresses(0x02, most=MAX_HINTS, default=())


@command(0x45, Form.NOTICE)
class MeetAt(Message):
    """Have a link to this supernode: I shall ask it for a channel to you."""

    supernode: Address = address(0x01)
