"""Credentials as the login server of a virtual network would issue them, without asking it."""

from __future__ import annotations

from halloo.crypto.suite import Suite
from halloo.login.accounts import Accounts
from halloo.login.log import Ledger
from halloo.messages.credential import Claims, issue
from halloo.messages.log import EntryKind
from halloo.messages.name import folded
from halloo.node.descriptor import Descriptor, Secrets

__all__ = ["certified"]


def certified(
    descriptor: Descriptor, secrets: Secrets, accounts: Accounts, name: str, key: bytes, wall: float, valid_for: int
) -> bytes:
    """A credential for ``key``, entered in the log of ``accounts`` like any other."""
    suite: Suite = descriptor.ways.suite
    issued, ledger, known = int(wall), Ledger(suite.digest, descriptor.id), folded(name)
    whose = ledger.name(known)
    entry = accounts.append(whose, ledger.write(EntryKind.CERTIFIED, whose, ledger.key(key), issued))
    claims = Claims(
        name=known,
        key=key,
        expires=issued + valid_for,
        issued=issued,
        network=descriptor.id,
        entry=entry.number,
        entry_hash=ledger.mark_of(entry),
    )
    return issue(claims, secrets.login, suite.network_identity.sign)
