"""The directory: keep a record, find a person, learn where the blocks are.

    node                        supernode
      | --- Store ----------------> |  my record
      | <-- Stored ---------------- |
      | --- Refresh --------------> |  it is still true: here is a sign of life
      | <-- Stored ---------------- |
      | --- Search ---------------> |  who is called so?
      | <-- Found ----------------- |
      | --- AtlasAsked -----------> |  which blocks are there?
      | <-- AtlasTold ------------- |

Search also goes in the open, to any supernode of the slot; so does what one supernode asks another to keep:

    supernode                   supernode of the slot
      | --- Keep -----------------> |
      | <-- Kept ------------------ |
      | --- Refresh --------------> |
      | <-- Kept ------------------ |

A question in the open is as long as its answer may be, so that nobody makes a supernode shout at a third.
"""

from __future__ import annotations

from halloo.base.address import Address
from halloo.base.machine import Message
from halloo.messages.block import Table
from halloo.messages.chain import LINK_SIZE
from halloo.messages.credential import Record
from halloo.messages.log import SignedHead
from halloo.wire.command import Form, addresses, blob, command, flag, nested, number, request_id, text, wide

__all__ = [
    "MAX_KNOWN",
    "NO_TOKEN",
    "TABLES",
    "AtlasAsked",
    "AtlasTold",
    "Found",
    "Keep",
    "Kept",
    "Refresh",
    "Search",
    "Store",
    "Stored",
]

NO_TOKEN = bytes(8)
MAX_KNOWN = 256  # blocks named in one question: those of some 25,000 supernodes
TABLES = 8  # in one message: some 1 kB


@command(12, Form.REQUEST)
class Store(Message):
    """Keep this record of mine in the directory."""

    record: tuple[Record, ...] = nested(0x01, Record, most=1, default=())
    request: int = request_id(default=0)


@command(13, Form.REPLY)
class Stored(Message):
    """``copies`` supernodes hold it now; 0: it was refused, ``reason`` says why.

    ``heads``: the newest head of the login servers' log; ``entry``: the newest entry of the owner's name that the
    supernode has read in it.
    """

    copies: int = number(0x01, most=64)
    reason: str = text(0x02, most=200, default="")
    heads: tuple[SignedHead, ...] = nested(0x0A, SignedHead, most=1, default=())
    entry: int = number(0x0B, most=1 << 48, default=0)
    request: int = request_id(default=0)


@command(16, Form.REQUEST)
class Refresh(Message):
    """The record under ``key`` is still true.  ``pulse``: its owner's sign of life, the latest link of its chain.

    Over a link from the owner to his supernode, which answers Stored; in the open, with a ``token``, to who holds the
    record, who answers Kept.
    """

    key: bytes = wide(0x04)
    pulse: bytes = blob(0x02, least=LINK_SIZE, most=LINK_SIZE)
    token: bytes = wide(0x07, default=NO_TOKEN)
    request: int = request_id(default=0)


@command(14, Form.REQUEST)
class Search(Message):
    """Whose record is under ``key``, a digest of his name?  ``ask_others``: whether the supernode may ask further.

    ``token``: drawn by whoever asks in the open, and said again in the answer.
    """

    key: bytes = wide(0x04)
    ask_others: bool = flag(0x05, default=False)
    token: bytes = wide(0x07, default=NO_TOKEN)
    padding: bytes = blob(0x08, most=256, default=b"")
    request: int = request_id(default=0)


@command(15, Form.REPLY)
class Found(Message):
    """What was found.  ``complete``: who answers holds this key, or has heard those who do.

    ``others``: more supernodes that should hold it.
    """

    records: tuple[Record, ...] = nested(0x01, Record, most=8, default=())
    complete: bool = flag(0x02, default=False)
    others: tuple[Address, ...] = addresses(0x03, most=4, default=())
    token: bytes = wide(0x07, default=NO_TOKEN)
    request: int = request_id(default=0)


@command(0x56, Form.REQUEST)
class Keep(Message):
    """Hold this record, and see that the others of its slot do."""

    record: tuple[Record, ...] = nested(0x01, Record, most=1, default=())
    token: bytes = wide(0x07)
    request: int = request_id(default=0)


@command(0x57, Form.REPLY)
class Kept(Message):
    """``copies`` supernodes hold it now, or a newer one; 0: it is not mine to hold, or not true.

    Where ``others`` are not named, it is mine: a sign of life did not fit what I have, so bring me the whole record.
    """

    copies: int = number(0x01, most=64)
    others: tuple[Address, ...] = addresses(0x03, most=4, default=())
    token: bytes = wide(0x07)
    request: int = request_id(default=0)


@command(0x60, Form.REQUEST)
class AtlasAsked(Message):
    """Which blocks are there?  ``known``: those that I know, as pairs of (depth and bits, digest), packed."""

    known: bytes = blob(0x01, most=16 * MAX_KNOWN, default=b"")
    request: int = request_id(default=0)


@command(0x58, Form.REPLY)
class AtlasTold(Message):
    """Blocks that are new to you, or have changed; ``parts`` such messages in all."""

    tables: tuple[Table, ...] = nested(0x01, Table, most=TABLES, default=())
    parts: int = number(0x02, most=1 << 16, default=1)
    request: int = request_id(default=0)
