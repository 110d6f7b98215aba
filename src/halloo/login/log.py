"""The log of certified keys, as the server writes it and as anybody reckons with it.  Pure.

A hash covers a text of its own, not the bytes of the wire: the log outlives every form that it travels in.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from halloo.base.errors import Malformed, Refused
from halloo.base.machine import Message
from halloo.crypto.suite import Digest
from halloo.messages.credential import Notary, Sign
from halloo.messages.log import MAX_COUNT, EntryKind, Head, LogAsked, LogEntry, LogTold, SignedHead
from halloo.wire.command import Catalogue, decode_commands, decode_shape, encode_shape

__all__ = ["MARK_SIZE", "NAME_SIZE", "Ledger", "WriteEntry", "one_command", "read_answer", "read_head"]

MARK_SIZE = 20  # bytes: to find two entries with the same mark, even one's own, takes 2**80 tries
NAME_SIZE = 16  # bytes of a name's digest: who looks for a second name with the same needs 2**128 tries
_NAME = b"halloo log name\n"
_KEY = b"halloo log key\n"
_ENTRY = b"halloo log entry\n"
_HEAD = b"halloo log head\n"
_TOLD = b"halloo log told\n"

T = TypeVar("T", bound=Message)
WriteEntry = Callable[[LogEntry | None, LogEntry | None], LogEntry]
"""(newest entry, newest entry of the name) -> the entry to be added."""


@dataclass(frozen=True, slots=True)
class Ledger:
    """How one network's log is written: names and keys as digests, entries as hashes."""

    digest: Digest
    network: bytes

    def name(self, name: str) -> bytes:
        """How a folded name appears in the log of this network, and of no other."""
        return self.digest(_NAME + self.network + name.encode())[:NAME_SIZE]

    def key(self, key: bytes) -> bytes:
        """How a public key appears in it."""
        return self.digest(_KEY + key)

    def hash_of(self, entry: LogEntry) -> bytes:
        """What the next entry says of this one."""
        numbers = entry.number.to_bytes(8, "big") + bytes([entry.kind]) + entry.wall.to_bytes(8, "big")
        blobs = (entry.name, entry.key, entry.previous, entry.previous_of_name)
        parts = b"".join(len(part).to_bytes(2, "big") + part for part in blobs)
        return self.digest(_ENTRY + self.network + numbers + parts)

    def mark_of(self, entry: LogEntry) -> bytes:
        """What a credential says of its entry: the beginning of its hash."""
        return self.hash_of(entry)[:MARK_SIZE]

    def write(self, kind: EntryKind, name: bytes, key: bytes, wall: int) -> WriteEntry:
        """What puts an entry in its place.  ``name`` and ``key`` as digests, ``key`` empty in a revocation."""

        def entry(newest: LogEntry | None, newest_of_name: LogEntry | None) -> LogEntry:
            return LogEntry(
                number=newest.number + 1 if newest else 1,
                kind=kind,
                name=name,
                key=key,
                wall=wall,
                previous=self.hash_of(newest) if newest else b"",
                previous_of_name=self.hash_of(newest_of_name) if newest_of_name else b"",
            )

        return entry

    def head(self, newest: LogEntry | None, wall: int, private: bytes, sign: Sign) -> SignedHead:
        """The signed head of a log whose newest entry is this."""
        count, top = (newest.number, self.hash_of(newest)) if newest else (0, b"")
        body = encode_shape(Head(network=self.network, count=count, newest=top, wall=wall))
        return SignedHead(head=body, signature=sign(private, _HEAD + body))

    def told(self, question: LogAsked, answer: LogTold) -> bytes:
        """What is signed of an answer: the question without its padding, the entries' hashes, the head."""
        asked = question.first.to_bytes(8, "big") + question.since.to_bytes(8, "big")
        asked += bytes([question.most, question.revocations, len(question.name)]) + question.name
        head = b"".join(signed.head for signed in answer.head)
        hashes = b"".join(self.hash_of(entry) for entry in answer.entries)
        numbers = question.request.to_bytes(2, "big") + bytes([answer.more, len(answer.entries)])
        return _TOLD + asked + numbers + hashes + head


def read_head(signed: SignedHead, notary: Notary) -> Head:
    """What a signed head says.

    Raises:
        Malformed: no head at all.
        Refused: of another network, or not signed by it.
    """
    head = decode_shape(Head, signed.head)
    if head.network != notary.network:
        raise Refused("the log's head is one of another network")
    if head.count >= MAX_COUNT:
        raise Refused("the log's head speaks of more entries than a log can have")
    if not notary.signed(signed.signature, _HEAD + signed.head):
        raise Refused("the log's head is not signed by this network")
    return head


def read_answer(ledger: Ledger, notary: Notary, question: LogAsked, answer: LogTold) -> tuple[Head, SignedHead]:
    """The head that comes with an answer, if the network has signed all of it.

    Raises:
        Malformed, Refused: as ``read_head``, or the answer was altered on its way.
    """
    if not notary.signed(answer.signature, ledger.told(question, answer)):
        raise Refused("what was told of the log is not signed by this network")
    if not answer.head:
        raise Refused("the login server tells no head of its log")
    return read_head(answer.head[0], notary), answer.head[0]


def one_command(kind: type[T], data: bytes) -> T:
    """The one message of a kind that bytes carry.  Raises Malformed."""
    messages = decode_commands(data, Catalogue([kind]))
    if len(messages) != 1 or not isinstance(messages[0], kind):
        raise Malformed(f"there should be one {kind.__name__}, and nothing else")
    return messages[0]
