"""Whose key we have seen before: names and the digests of their keys, so that a changed key is noticed.

A small file of JSON, replaced whole like the others of a home: some hundred names, read once at start, and nothing in
it is ever searched for but by name.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from halloo.base.errors import UsageError
from halloo.node.descriptor import grouped

__all__ = ["Acquaintances", "KeyChange", "Seen"]

MAX_NAMES = 2_000  # the one not met for longest goes first
MAX_KEYS = 8  # of one name: as many devices


@dataclass(slots=True)
class Seen:
    """One key of somebody: its digest in hexadecimal, and when it was met first and last, in seconds since 1970."""

    key: str
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class KeyChange:
    """Somebody came with a key that we had not seen; ``before`` is the one met last."""

    name: str
    key: str
    before: Seen

    @property
    def words(self) -> str:
        """For a person."""
        met = datetime.fromtimestamp(self.before.last, UTC).strftime("%Y-%m-%d")
        return (
            f"{self.name} has another key than before: {_shown(self.key)}, and on {met} it was "
            f"{_shown(self.before.key)}.  A new device or a new login does that; so does somebody who pretends.  "
            "Compare the fingerprint with your friend if it matters"
        )


@dataclass(slots=True)
class Acquaintances:
    """All whom we have talked to.  ``changed``: it holds what is not written yet."""

    names: dict[str, list[Seen]] = field(default_factory=dict)
    """The one met last is at the end, and so is each name's key."""
    changed: bool = False

    def met(self, name: str, key: bytes, wall: int) -> KeyChange | None:
        """We talk to ``name``, whose key has the digest ``key``; what changed, if anything did."""
        held, digest = self.names.pop(name, []), key.hex()
        known = next((seen for seen in held if seen.key == digest), None)
        before = held[-1] if held else None
        if known is not None:
            held.remove(known)
        held.append(Seen(digest, known.first if known else wall, wall))
        self.names[name] = held[-MAX_KEYS:]
        while len(self.names) > MAX_NAMES:
            del self.names[next(iter(self.names))]
        self.changed = True
        return KeyChange(name, digest, before) if before is not None and known is None else None

    def dump(self) -> str:
        """As the text of a file."""
        return json.dumps({name: [asdict(seen) for seen in held] for name, held in self.names.items()}, indent=1)

    @classmethod
    def load(cls, text: str) -> Acquaintances:
        """Read it back.  Raises UsageError where it is damaged."""
        try:
            table: dict[str, list[dict[str, Any]]] = json.loads(text)
            names = {
                str(name): [Seen(bytes.fromhex(one["key"]).hex(), int(one["first"]), int(one["last"])) for one in held]
                for name, held in table.items()
            }
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as fault:
            raise UsageError(f"these are no acquaintances: {fault}") from None
        return cls(dict(list(names.items())[-MAX_NAMES:]))


def _shown(key: str) -> str:
    """As much of a key's digest as two people compare."""
    return grouped(bytes.fromhex(key)[:16])
