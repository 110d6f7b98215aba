"""Which keys were called back before their time, as far as we have heard."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field

from halloo.login.log import Ledger
from halloo.messages.credential import CLOCK_TOLERANCE, Claims
from halloo.messages.log import EntryKind, LogEntry

__all__ = ["CREDENTIAL_LIFE", "Revocations"]

CREDENTIAL_LIFE = 14 * 86_400  # seconds: a revocation as old as that has nothing left to call back
MAX_HELD = 200_000  # revocations, some 40 MB; the oldest goes first


@dataclass(slots=True)
class Revocations:
    """By name, the newest revocation: what was certified under a lower number is void."""

    ledger: Ledger
    _held: OrderedDict[bytes, tuple[int, int]] = field(default_factory=OrderedDict)
    """Digest of a name -> (number in the log, wall-clock second after which it calls nothing back any more)."""

    def __len__(self) -> int:
        return len(self._held)

    def add(self, entry: LogEntry, wall: float) -> bool:
        """Hear of an entry of the log; whether it calls back something that we did not know of."""
        until = entry.wall + CREDENTIAL_LIFE + CLOCK_TOLERANCE
        if entry.kind != EntryKind.REVOKED or until <= wall or entry.number <= self._held.get(entry.name, (0, 0))[0]:
            return False
        self._held.pop(entry.name, None)
        self._held[entry.name] = entry.number, until
        while self._held and (len(self._held) > MAX_HELD or next(iter(self._held.values()))[1] <= wall):
            self._held.popitem(last=False)
        return True

    def covers(self, claims: Claims) -> bool:
        """Whether a credential was called back."""
        if not self._held:
            return False
        return claims.entry < self._held.get(self.ledger.name(claims.name), (0, 0))[0]
