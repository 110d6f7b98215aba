"""The records that a supernode keeps: by name, the highest version wins, none older than 72 hours."""

from __future__ import annotations

from dataclasses import dataclass, field

from halloo.messages.credential import Entry

__all__ = ["Directory"]

KEEP_FOR = 72 * 3600.0  # seconds: who was on line within 72 hours is found
CAPACITY = 50_000  # records; 700 bytes each, some 35 MB


@dataclass(slots=True)
class Directory:
    """Opened records by name."""

    _entries: dict[str, Entry] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self._entries)

    def store(self, entry: Entry, wall: float) -> bool:
        """Keep an entry; False when one as new is there already, or it is too old."""
        if entry.listing.issued + KEEP_FOR < wall:
            return False
        held = self._entries.get(entry.name)
        if held is not None and _age_key(held) >= _age_key(entry):
            return False
        if held is None and len(self._entries) >= CAPACITY:
            del self._entries[next(iter(self._entries))]
        self._entries.pop(entry.name, None)
        self._entries[entry.name] = entry
        return True

    def find(self, name: str, wall: float) -> Entry | None:
        """The entry of a folded name, if it is young enough."""
        held = self._entries.get(name)
        if held is not None and held.listing.issued + KEEP_FOR < wall:
            del self._entries[name]
            return None
        return held

    def forget(self, entry: Entry) -> None:
        """Keep this entry no longer."""
        if self._entries.get(entry.name) is entry:
            del self._entries[entry.name]

    def all(self) -> list[Entry]:
        """Every entry, the oldest first."""
        return list(self._entries.values())


def _age_key(entry: Entry) -> tuple[int, int]:
    return entry.listing.version, entry.listing.issued
