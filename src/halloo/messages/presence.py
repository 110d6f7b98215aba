"""Presence: who may see it is told when it changes, through those who hold the owner's slot.

Only who has the owner's secret of the day can read his state; only who shows a token made of it is told at all.

    watcher           his supernode            two holders of the owner's slot
      | --- Watch -------> |                          |
      | <-- Watched ------ | --- Watch (open) ------> |  as one of many: the holder learns nobody's address but his
      |                    | <-- Watched: cookie ---- |  once: show that you hear me
      |                    | --- Watch: cookie -----> |
      |                    | <-- Watched ------------ |
      |                    | <-- Noticed ------------ |  the record now, and each time its state changes
      | <-- Noticed ------ | --- NoticeHeard -------> |
      | --- Unwatch -----> |                          |

    owner             his supernode            holders of his slot
      | --- Store -------> | --- Keep --------------> |  a new state
      | --- Refresh -----> | --- Refresh -----------> |  only a sign of life
      | (lost)             | --- Unseen ------------> |  hearsay: his link has ended
      |                    |                          | --- Unseen --> the others of the slot, over their links

    owner             whom he allows to see it
      | --- WatchKey ----> |  end to end, over a link of their own
      | <-- WatchKeyKept - |
"""

from __future__ import annotations

from halloo.base.address import Address
from halloo.base.machine import Message
from halloo.messages.chain import LINK_SIZE
from halloo.messages.credential import Record
from halloo.wire.command import Form, Shape, addresses, blob, command, nested, number, request_id, shape, wide

__all__ = [
    "KNOWN_BY",
    "NOTICED_AT_ONCE",
    "PULSES_AT_ONCE",
    "TOKEN_SIZE",
    "WISHES_AT_ONCE",
    "Doubt",
    "NoticeHeard",
    "Noticed",
    "Pulse",
    "Unseen",
    "Unwatch",
    "Watch",
    "WatchKey",
    "WatchKeyKept",
    "Watched",
    "Wish",
]

TOKEN_SIZE = 16  # bytes of a watch token and of its digest in the record: nobody guesses 128 bits
KNOWN_BY = 8  # bytes of a sealed state that name it: they are drawn
WISHES_AT_ONCE = 16  # in one message: some 600 bytes
NOTICED_AT_ONCE = 2  # records in one message: some 1.6 kB, and never more than a frame takes
PULSES_AT_ONCE = 24  # in one message: some 700 bytes


@shape
class Wish(Shape):
    """Whom one would watch: the key of his name, the token that shows that one may, and which state one knows.

    ``known``: the first bytes of it as it was sealed; only another one is told.
    """

    key: bytes = wide(0x01)
    token: bytes = blob(0x02, least=TOKEN_SIZE, most=TOKEN_SIZE)
    known: bytes = blob(0x03, most=KNOWN_BY, default=b"")


@shape
class Pulse(Shape):
    """A sign of life: a later link of the chain that begins in the owner's record."""

    key: bytes = wide(0x01)
    pulse: bytes = blob(0x02, least=LINK_SIZE, most=LINK_SIZE)


@shape
class Doubt(Shape):
    """Hearsay: the owner's supernode has lost him, at this wall-clock second."""

    key: bytes = wide(0x01)
    at: int = number(0x02, most=1 << 40)


@command(48, Form.REQUEST)
class Watch(Message):
    """Tell me of these.  ``cookie``: what the same holder gave before; not said over a link."""

    wishes: tuple[Wish, ...] = nested(0x01, Wish, most=WISHES_AT_ONCE, default=())
    cookie: bytes = blob(0x08, most=16, default=b"")
    request: int = request_id(default=0)


@command(49, Form.REPLY)
class Watched(Message):
    """I have heard you.  Whether a token was right is not said: who may watch is told, who may not is told nothing.

    ``cookie``: say it again with this.  ``unheld``: keys that I do not hold, eight bytes each; ``others`` should.
    """

    cookie: bytes = blob(0x08, most=16, default=b"")
    unheld: bytes = blob(0x02, most=8 * WISHES_AT_ONCE, default=b"")
    others: tuple[Address, ...] = addresses(0x03, most=4, default=())
    request: int = request_id(default=0)


@command(50, Form.NOTICE)
class Unwatch(Message):
    """No more of these keys, eight bytes each."""

    keys: bytes = blob(0x01, most=8 * 64, default=b"")


@command(51, Form.REQUEST)
class Noticed(Message):
    """What is new of those whom you watch: records that changed, signs of life, doubts.

    In the open it is said again until NoticeHeard comes; over a link it needs no answer.
    """

    records: tuple[Record, ...] = nested(0x01, Record, most=NOTICED_AT_ONCE, default=())
    pulses: tuple[Pulse, ...] = nested(0x02, Pulse, most=PULSES_AT_ONCE, default=())
    doubts: tuple[Doubt, ...] = nested(0x03, Doubt, most=PULSES_AT_ONCE, default=())
    request: int = request_id(default=0)


@command(52, Form.REPLY)
class NoticeHeard(Message):
    """I have heard it.  ``unwanted``: keys that nobody here watches any more, eight bytes each."""

    unwanted: bytes = blob(0x01, most=8 * 64, default=b"")
    request: int = request_id(default=0)


@command(53, Form.NOTICE)
class Unseen(Message):
    """The link to the owner of this key has ended without a goodbye, at this wall-clock second.

    Taken in the open from the supernode that his record names, over a link from others of his slot; it is a doubt,
    never a state.
    """

    key: bytes = wide(0x01)
    at: int = number(0x02, most=1 << 40)


@command(54, Form.REQUEST)
class WatchKey(Message):
    """You may watch me: the secret of my presence, the ``epoch``-th one."""

    epoch: int = number(0x01, most=1 << 40)
    secret: bytes = blob(0x02, least=32, most=32)
    request: int = request_id(default=0)


@command(55, Form.REPLY)
class WatchKeyKept(Message):
    """I have it."""

    epoch: int = number(0x01, most=1 << 40)
    request: int = request_id(default=0)
