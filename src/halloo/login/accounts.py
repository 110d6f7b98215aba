"""The accounts of a network: the role, and the one in memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from halloo.base.errors import HallooError

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
    """Where accounts are kept.  Every method may raise AccountsUnavailable."""

    def find(self, name: str) -> Account | None:
        """The account of a folded name."""

    def create(self, account: Account) -> bool:
        """Add an account; False when the name is taken, also by another server at this moment."""

    def change_proof(self, name: str, salt: bytes, proof: bytes) -> None:
        """A new password."""

    def record_key(self, name: str, key: bytes, wall: int) -> None:
        """Note that ``key`` was certified for ``name``."""


@dataclass(slots=True)
class AccountsInMemory:
    """For tests and the simulator."""

    accounts: dict[str, Account] = field(default_factory=dict)
    keys: list[tuple[str, bytes, int]] = field(default_factory=list)

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

    def record_key(self, name: str, key: bytes, wall: int) -> None:
        """See ``Accounts``."""
        self.keys.append((name, key, wall))
