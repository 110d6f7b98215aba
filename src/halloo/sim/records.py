"""What is done once for a whole virtual world: opening a record, finding a name's entries in the log.

Every node of a world would check the same signatures of the same record.  Here who opens it second is given what the
first has found; only what depends on him, time and revocations, is looked at again.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TypeVar

from halloo.base.errors import Refused
from halloo.login.accounts import AccountsInMemory
from halloo.login.log import WriteEntry
from halloo.messages.credential import CLOCK_TOLERANCE, Claims, Entry, Notary, Record, renewed
from halloo.messages.log import EntryKind, LogEntry

__all__ = ["IndexedAccounts", "SharedNotary", "shared_notary"]

T = TypeVar("T")
MAX_OPENED = 200_000  # records and credentials remembered, some 300 bytes each beside what is held anyway


@dataclass(frozen=True, slots=True)
class SharedNotary(Notary):
    """A notary that remembers, together with all others of its world, what it has opened and found true."""

    records: dict[bytes, Entry] = field(default_factory=dict)
    credentials: dict[bytes, Claims] = field(default_factory=dict)

    def credential(self, credential: bytes, wall: float) -> Claims:
        """See ``Notary``."""
        claims = self.credentials.get(credential)
        if claims is None:
            claims = Notary.credential(self, credential, wall)
            _keep(self.credentials, credential, claims)
            return claims
        self._now(claims, wall)
        return claims

    def record(self, record: Record, wall: float) -> Entry:
        """See ``Notary``.  A sign of life is compared with the latest that was found true."""
        entry = self.records.get(record.signature)
        if entry is None or not _same(entry.record, record):
            entry = Notary.record(self, record, wall)
            _keep(self.records, record.signature, entry)
            return entry
        self._now(entry.claims, wall)
        if record.pulse == entry.record.pulse:
            return entry
        later = renewed(entry, record.pulse, self.digest, wall) if record.pulse else None
        if later is not None:
            self.records[record.signature] = later
            return later
        bare = replace(entry, record=replace(record, pulse=b""), seen=entry.listing.issued)
        return renewed(bare, record.pulse, self.digest, wall) or bare if record.pulse else bare

    def remember(self, entry: Entry) -> None:
        """Know what a record says that was made here: nobody has to open it for the first time."""
        _keep(self.records, entry.record.signature, entry)

    def _now(self, claims: Claims, wall: float) -> None:
        if claims.expires <= wall or claims.issued > wall + CLOCK_TOLERANCE:
            raise Refused("the credential has expired, or is from the future")
        if self.revoked(claims):
            raise Refused("the credential was revoked: its owner changed the password, or logged out everywhere")


def _same(one: Record, other: Record) -> bool:
    """Whether two records are one but for their signs of life."""
    return one is other or (one.credential, one.listing) == (other.credential, other.listing)


def shared_notary(notary: Notary) -> SharedNotary:
    """One that remembers; every ``replace`` of it remembers the same."""
    whose = notary.network, notary.keys
    return SharedNotary(*whose, notary.verify_network, notary.verify, notary.digest, notary.revoked)


def _keep(held: dict[bytes, T], key: bytes, value: T) -> None:
    if len(held) >= MAX_OPENED:
        del held[next(iter(held))]
    held[key] = value


@dataclass(slots=True)
class IndexedAccounts(AccountsInMemory):
    """Accounts in memory that find a name's entries without reading the whole log."""

    by_name: dict[bytes, list[LogEntry]] = field(default_factory=dict)
    revocations: list[LogEntry] = field(default_factory=list)

    def append(self, name: bytes, write: WriteEntry) -> LogEntry:
        """See ``Accounts``."""
        entries = self.by_name.setdefault(name, [])
        entry = write(self.newest(), entries[-1] if entries else None)
        entries.append(entry)
        self.log.append(entry)
        if entry.kind == EntryKind.REVOKED:
            self.revocations.append(entry)
        return entry

    def standing(self, name: bytes, key: bytes) -> LogEntry | None:
        """See ``Accounts``."""
        for entry in reversed(self.by_name.get(name, [])):
            if entry.kind == EntryKind.REVOKED:
                return None
            if entry.key == key:
                return entry
        return None

    def page(
        self, first: int, most: int, *, name: bytes = b"", revocations: bool = False, since: int = 0
    ) -> tuple[LogEntry, ...]:
        """See ``Accounts``."""
        if not name and not revocations:
            start = max(0, first - 1)
            return tuple(entry for entry in self.log[start : start + most] if entry.wall >= since)
        entries = self.by_name.get(name, []) if name else self.revocations
        chosen = (
            entry
            for entry in entries
            if entry.number >= first
            and entry.wall >= since
            and (not name or entry.name == name)
            and (not revocations or entry.kind == EntryKind.REVOKED)
        )
        return tuple(entry for entry, _ in zip(chosen, range(most), strict=False))
