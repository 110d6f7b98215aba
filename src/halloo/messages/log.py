"""The login server's public log: which key was certified for which name, and which were called back.

    anybody                                     login server
      | --- LogAsked (from which entry on) ------> |  in the open, over UDP or TCP
      | <-- LogTold (entries, signed head) ------- |

A supernode carries both for a node of its own whose way to the servers is blocked:

    node                    supernode                   login server
      | --- CarryQuestion ----> | --- LogAsked -------------> |
      | <-- QuestionBack ------ | <-- LogTold --------------- |

    entry = number, kind, name, key, time, hash of the entry before, hash of the entry of this name before
    head  = how many entries there are, the hash of the newest, time; signed with the login key

A name and a key appear as digests.  One question serves all: ``most`` 0 asks for the head alone, ``name`` for the
entries of one name, ``revocations`` for nothing but revocations.  Over UDP an answer is never longer than its
question, which is why a question is padded: else a stranger could have a login server flood a third machine.
"""

from __future__ import annotations

from enum import IntEnum

from halloo.base.machine import Message
from halloo.wire.command import Form, Shape, blob, command, flag, nested, number, request_id, shape, wide

__all__ = [
    "MAX_COUNT",
    "MAX_PAGE",
    "CarryQuestion",
    "EntryKind",
    "Head",
    "LogAsked",
    "LogEntry",
    "LogTold",
    "QuestionBack",
    "SignedHead",
]

MAX_PAGE = 64  # entries in one answer: 9 kB, which only a stream carries
MAX_DIGEST = 64  # bytes
MAX_COUNT = 1 << 48  # entries that a log can have


class EntryKind(IntEnum):
    """What an entry says."""

    CERTIFIED = 1
    """This key was certified for this name."""
    REVOKED = 2
    """Every key certified for this name before is void."""


@shape
class LogEntry(Shape):
    """One line of the log.  ``key`` is empty in a revocation; ``wall`` in seconds since 1970."""

    kind: int = number(0x02, most=0xFF)
    name: bytes = blob(0x03, least=8, most=MAX_DIGEST)
    key: bytes = blob(0x04, most=MAX_DIGEST, default=b"")
    wall: int = number(0x05, most=1 << 40)
    previous: bytes = blob(0x06, most=MAX_DIGEST, default=b"")
    previous_of_name: bytes = blob(0x07, most=MAX_DIGEST, default=b"")
    number: int = number(0x01, most=MAX_COUNT)  # the last: it takes the name of what declares the others


@shape
class Head(Shape):
    """The log's whole state at ``wall``: the number of entries, and the hash of the newest (empty: none yet)."""

    network: bytes = wide(0x01)
    count: int = number(0x02, most=MAX_COUNT)
    newest: bytes = blob(0x03, most=MAX_DIGEST, default=b"")
    wall: int = number(0x04, most=1 << 40)


@shape
class SignedHead(Shape):
    """A Head with the network's signature."""

    head: bytes = blob(0x01, least=1, most=160)
    signature: bytes = blob(0x02, least=1, most=512)


@command(0x74, Form.REQUEST)
class LogAsked(Message):
    """Tell me entries from number ``first`` on, ``most`` of them at most, and the head."""

    first: int = number(0x01, most=MAX_COUNT, default=0)
    most: int = number(0x02, most=MAX_PAGE, default=0)
    name: bytes = blob(0x03, most=MAX_DIGEST, default=b"")
    revocations: bool = flag(0x04, default=False)
    since: int = number(0x06, most=1 << 40, default=0)
    """Only what is no older, in seconds since 1970."""
    padding: bytes = blob(0x05, most=1_024, default=b"")
    request: int = request_id(default=0)


@command(0x75, Form.REPLY)
class LogTold(Message):
    """The entries, in order of their numbers.  ``more``: there are others that were asked for."""

    entries: tuple[LogEntry, ...] = nested(0x01, LogEntry, most=MAX_PAGE, default=())
    head: tuple[SignedHead, ...] = nested(0x02, SignedHead, most=1, default=())
    more: bool = flag(0x03, default=False)
    signature: bytes = blob(0x04, most=512, default=b"")
    """The network's, over the question and the answer: what was told stays told."""
    request: int = request_id(default=0)


@command(0x76, Form.REQUEST)
class CarryQuestion(Message):
    """Node to supernode: ask a login server this (a LogAsked, in its bytes)."""

    question: bytes = blob(0x01, least=1, most=2_048)
    request: int = request_id(default=0)


@command(0x77, Form.REPLY)
class QuestionBack(Message):
    """Supernode to node: the answer (a LogTold, in its bytes)."""

    told: bytes = blob(0x01, least=1, most=2_048)
    request: int = request_id(default=0)
