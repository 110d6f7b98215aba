"""The records that a supernode keeps: by key, the highest version wins, none older than 72 hours."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from halloo.messages.chain import links_between
from halloo.messages.credential import Entry, renewed
from halloo.messages.whitepages import fits
from halloo.overlay.slots import KEY_BITS, Key, Prefix, key_of, mixed
from halloo.overlay.wordindex import WordIndex

__all__ = ["KEEP_FOR", "Directory"]

KEEP_FOR = 72 * 3600.0  # seconds: who was on line within 72 hours is found
AHEAD = 86_400.0  # seconds that the clock of a record's owner may be ahead: others would be kept for ever
CAPACITY = 50_000  # records; 700 bytes each, some 35 MB
MOST_LINKS = 24  # digests that a sign of life alone is worth, each way: an hour's; who was away longer brings it whole
PART_BITS = 5  # a slot is compared in 32 parts


@dataclass(slots=True)
class Directory:
    """Opened records by the key of their name."""

    digest: Callable[[bytes], bytes]
    watched: dict[Key, Any] = field(default_factory=dict)
    """Keys that somebody watches, by whatever the watcher keeps of them."""
    fresh: dict[Key, None] = field(default_factory=dict)
    """Those of them whose record is new since somebody looked."""
    _entries: dict[Key, Entry] = field(default_factory=dict)
    _index: WordIndex | None = None

    def __len__(self) -> int:
        return len(self._entries)

    def store(self, entry: Entry, wall: float) -> bool:
        """Keep an entry; False when one as new is there already, or it is too old."""
        if entry.seen + KEEP_FOR < wall or entry.listing.issued > wall + AHEAD:
            return False
        key = key_of(self.digest, entry.name)
        held = self._entries.get(key)
        if held is not None and _age_key(held) >= _age_key(entry):
            return False
        if held is None and len(self._entries) >= CAPACITY:
            self._drop(next(iter(self._entries)))
        self._drop(key)
        self._entries[key] = entry
        if key in self.watched:
            self.fresh[key] = None
        if self._index is not None:
            self._index.add(key, entry)
        return True

    def renew(self, key: Key, pulse: bytes, wall: float) -> bool | None:
        """Take a sign of life; whether it is new.  None: we have no record that it belongs to, or not this version."""
        held = self._entries.get(key)
        if held is None or held.pulse == pulse:
            return None if held is None or not pulse else False
        later = renewed(held, pulse, self.digest, wall, MOST_LINKS)
        if later is None:
            older = links_between(self.digest, pulse, held.pulse, MOST_LINKS)
            return False if older else None
        self._entries[key] = later
        if key in self.watched:
            self.fresh[key] = None
        return True

    def find(self, key: Key, wall: float) -> Entry | None:
        """The entry under a key, if it is young enough."""
        held = self._entries.get(key)
        if held is not None and held.seen + KEEP_FOR < wall:
            self._drop(key)
            return None
        return held

    def search(self, query: str, email: bytes, wall: float) -> list[Key]:
        """Keys of those who fit (``messages.whitepages.fits``), in their order."""
        if self._index is None:
            self._index = WordIndex.of(self._entries.items())
        candidates = self._index.with_email(email) if email else self._index.narrowest(query)
        found = dict.fromkeys(candidates)
        return sorted(key for key in found if (held := self.find(key, wall)) is not None and fits(held, query, email))

    def version(self, key: Key) -> int:
        """The version held under a key; 0: none."""
        held = self._entries.get(key)
        return held.listing.version if held is not None else 0

    def forget(self, entry: Entry) -> None:
        """Keep this entry no longer."""
        key = key_of(self.digest, entry.name)
        if self.version(key) == entry.listing.version:
            self._drop(key)

    def expire(self, wall: float) -> None:
        """Forget what is too old."""
        for key in [key for key, held in self._entries.items() if held.seen + KEEP_FOR < wall]:
            self._drop(key)

    def all(self) -> list[Entry]:
        """Every entry, the oldest first."""
        return list(self._entries.values())

    def items(self) -> Iterable[tuple[Key, Entry]]:
        """Every key and entry, the oldest first."""
        return self._entries.items()

    def under(self, prefix: Prefix) -> Iterator[tuple[int, Key, int]]:
        """Of each record under a slot's prefix its part, key and version."""
        shift, bits = KEY_BITS - prefix.depth, prefix.bits
        for key, entry in self._entries.items():
            if key >> shift == bits:
                yield key >> (shift - PART_BITS) & 31, key, entry.listing.version

    def parts(self, prefix: Prefix) -> bytes:
        """A digest of each of the 32 parts of a slot."""
        parts = [0] * (1 << PART_BITS)
        for part, key, version in self.under(prefix):
            parts[part] ^= mixed(key, version)
        return b"".join(part.to_bytes(8, "big") for part in parts)

    def _drop(self, key: Key) -> None:
        held = self._entries.pop(key, None)
        if held is not None and self._index is not None:
            self._index.remove(key, held)


def _age_key(entry: Entry) -> tuple[int, int]:
    return entry.listing.version, entry.seen
