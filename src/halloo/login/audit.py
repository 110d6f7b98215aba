"""Check what a login server tells of its log: nothing altered, dropped, put in between, or told to others otherwise.

Pure.  What the checks rest on:

    each entry holds the hash of the one before        so the newest hash fixes the whole log
    ... and of the one before of the same name         so a user reads his own few entries and not a million
    the head is signed                                 so a server that tells two stories has signed both
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from halloo.base.errors import Refused
from halloo.login.log import Ledger
from halloo.messages.credential import CLOCK_TOLERANCE, Claims
from halloo.messages.log import EntryKind, Head, LogEntry

__all__ = ["Chain", "Known", "NameChain", "Report", "contradiction", "examined"]


@dataclass(slots=True)
class Chain:
    """A log that is read from some point on.  ``count`` and ``newest`` as in a head."""

    ledger: Ledger
    count: int = 0
    newest: bytes = b""

    def add(self, entries: Iterable[LogEntry]) -> None:
        """Go on by these.

        Raises:
            Refused: they do not follow from what was read before.
        """
        for entry in entries:
            if entry.number != self.count + 1:
                raise Refused(f"the log goes on with entry {entry.number} where {self.count + 1} belongs")
            if entry.previous != self.newest:
                raise Refused(f"entry {entry.number} of the log does not follow from the one before: it was altered")
            self.count, self.newest = entry.number, self.ledger.hash_of(entry)

    def agrees(self, head: Head) -> None:
        """Compare with a head of the same length.  Raises Refused."""
        if head.count == self.count and head.newest != self.newest:
            raise Refused(f"the log's signed head does not fit its {self.count} entries")


@dataclass(slots=True)
class NameChain:
    """The entries of one name, read from the first on."""

    ledger: Ledger
    name: bytes
    entries: tuple[LogEntry, ...] = ()

    def add(self, entries: Iterable[LogEntry], head: Head) -> None:
        """Go on by these, told together with ``head``.

        Raises:
            Refused: they do not follow from each other, are of somebody else, or are not in that log.
        """
        for entry in entries:
            last = self.entries[-1] if self.entries else None
            if entry.name != self.name:
                raise Refused(f"entry {entry.number} of the log is of another name than was asked for")
            if entry.number > head.count or not entry.number or (last is not None and entry.number <= last.number):
                raise Refused(f"entry {entry.number} of the log is out of its place")
            if entry.previous_of_name != (self.ledger.hash_of(last) if last else b""):
                raise Refused(f"an entry of this name before number {entry.number} was altered or left out")
            if entry.number == head.count and self.ledger.hash_of(entry) != head.newest:
                raise Refused(f"entry {entry.number} of the log is not the one that its signed head speaks of")
            self.entries = (*self.entries, entry)


def contradiction(one: Head, other: Head) -> str:
    """In words, how two signed heads of one network contradict each other; empty when they do not."""
    if one.count == other.count and one.newest != other.newest:
        return f"the login servers have signed two different logs of {one.count} entries: they tell different stories"
    earlier, later = sorted((one, other), key=lambda head: head.wall)
    if later.count < earlier.count and later.wall > earlier.wall + CLOCK_TOLERANCE:
        return f"the log of certified keys has shrunk from {earlier.count} entries to {later.count}"
    return ""


@dataclass(frozen=True, slots=True)
class Report:
    """What an audit of one's own name found.  ``faults``: in words, what the log should not have."""

    name: str
    head: Head
    entries: tuple[LogEntry, ...]
    strange: tuple[LogEntry, ...]
    """Certifications since this device's first that it did not ask for."""
    revoked: LogEntry | None
    """The revocation that called back the credential in use, if there is one."""
    faults: tuple[str, ...]

    @property
    def clean(self) -> bool:
        """Whether there is nothing to worry about."""
        return not self.strange and not self.faults and self.revoked is None


@dataclass(frozen=True, slots=True)
class Known:
    """What whoever audits a name knows beforehand."""

    keys: frozenset[bytes]
    """Digests of keys that this device had certified, or whose certification its user has approved."""
    since: int = 0
    """The number of this device's first certification."""
    seen: tuple[int, bytes] = (0, b"")
    """(number, hash) of the newest entry of the name at an earlier audit."""
    shown: int = 0
    """The number of the newest entry of the name that a supernode has spoken of."""


def examined(ledger: Ledger, claims: Claims, chain: NameChain, head: Head, known: Known) -> Report:
    """Judge the whole chain of a name."""
    faults: list[str] = []
    by_number = {entry.number: entry for entry in chain.entries}
    mine = by_number.get(claims.entry)
    if claims.entry and (mine is None or ledger.mark_of(mine) != claims.entry_hash):
        faults.append(f"entry {claims.entry}, which this device's credential names, is not in the log as it was")
    at, digest = known.seen
    if at and (at not in by_number or ledger.hash_of(by_number[at]) != digest):
        faults.append(f"entry {at}, seen at an earlier audit, is not in the log as it was")
    last = chain.entries[-1].number if chain.entries else 0
    if known.shown > last:
        faults.append(
            f"our supernode has read entry {known.shown} of this name, and the login server tells us of none after "
            f"{last}: one of the two is wrong"
        )
    strange = tuple(
        entry
        for entry in chain.entries
        if entry.kind == EntryKind.CERTIFIED and entry.number > known.since and entry.key not in known.keys
    )
    revoked = next(
        (entry for entry in chain.entries if entry.kind == EntryKind.REVOKED and entry.number > claims.entry), None
    )
    return Report(claims.name, head, chain.entries, strange, revoked, tuple(faults))
