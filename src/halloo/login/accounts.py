"""The accounts of a network and the log of their keys: the role, and the one in memory."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Protocol

from halloo.base.errors import HallooError
from halloo.login.log import WriteEntry
from halloo.messages.log import EntryKind, LogEntry

__all__ = ["Account", "Accounts", "AccountsInMemory", "AccountsUnavailable"]


class AccountsUnavailable(HallooError):
    """The store of accounts cannot be read or written; the text says why."""


@dataclass(frozen=True, slots=True)
class Account:
    """One account.  ``proof`` is a digest of what the password proves, under ``salt``; times are wall-clock seconds."""

    name: str
    salt: bytes
    proof: bytes
    created: int


class Accounts(Protocol):
    """Where accounts and the log are kept.  Every method may raise AccountsUnavailable.

    In the log names and keys are digests; see ``halloo.login.log``.
    """

    def together(self) -> AbstractContextManager[None]:
        """What is done inside happens as a whole or not at all; the log is nobody else's meanwhile."""

    def find(self, name: str) -> Account | None:
        """The account of a folded name."""

    def create(self, account: Account) -> bool:
        """Add an account; False when the name is taken, also by another server at this moment."""

    def change_proof(self, name: str, salt: bytes, proof: bytes) -> None:
        """A new password."""

    def append(self, name: bytes, write: WriteEntry) -> LogEntry:
        """Add an entry of ``name`` to the log, its number one more than the newest.  Only within ``together``."""

    def newest(self) -> LogEntry | None:
        """The newest entry of the log."""

    def standing(self, name: bytes, key: bytes) -> LogEntry | None:
        """The newest certification of ``key`` for ``name``, unless the name's keys were revoked after it."""

    def page(
        self, first: int, most: int, *, name: bytes = b"", revocations: bool = False, since: int = 0
    ) -> tuple[LogEntry, ...]:
        """Up to ``most`` entries from number ``first`` on: all, those of a name, or revocations alone.

        ``since``: and of these only what is no older, in wall-clock seconds.
        """


@dataclass(slots=True)
class AccountsInMemory:
    """For tests and the simulator."""

    accounts: dict[str, Account] = field(default_factory=dict)
    log: list[LogEntry] = field(default_factory=list)

    def together(self) -> AbstractContextManager[None]:
        """See ``Accounts``: nothing here can fail in the middle."""
        return nullcontext()

    def find(self, name: str) -> Account | None:
        """See ``Accounts``."""
        return self.accounts.get(name)

    def create(self, account: Account) -> bool:
        """See ``Accounts``."""
        return self.accounts.setdefault(account.name, account) is account

    def change_proof(self, name: str, salt: bytes, proof: bytes) -> None:
        """See ``Accounts``."""
        held = self.accounts[name]
        self.accounts[name] = Account(name, salt, proof, held.created)

    def append(self, name: bytes, write: WriteEntry) -> LogEntry:
        """See ``Accounts``."""
        entry = write(self.newest(), next((entry for entry in reversed(self.log) if entry.name == name), None))
        self.log.append(entry)
        return entry

    def newest(self) -> LogEntry | None:
        """See ``Accounts``."""
        return self.log[-1] if self.log else None

    def standing(self, name: bytes, key: bytes) -> LogEntry | None:
        """See ``Accounts``."""
        for entry in reversed(self.log):
            if entry.name == name:
                if entry.kind == EntryKind.REVOKED:
                    return None
                if entry.key == key:
                    return entry
        return None

    def page(
        self, first: int, most: int, *, name: bytes = b"", revocations: bool = False, since: int = 0
    ) -> tuple[LogEntry, ...]:
        """See ``Accounts``."""
        out: list[LogEntry] = []
        for entry in self.log[max(0, first - 1) :]:
            if len(out) >= most:
                break
            wanted = (not name or entry.name == name) and (not revocations or entry.kind == EntryKind.REVOKED)
            if wanted and entry.wall >= since:
                out.append(entry)
        return tuple(out)
