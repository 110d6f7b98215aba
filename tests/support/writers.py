"""Several login servers that write at the same moment."""

from __future__ import annotations

import threading
from collections.abc import Callable

from halloo.runtime.accounts_sql import AccountsInDatabase

__all__ = ["write_together"]


def write_together(url: str, write: Callable[[AccountsInDatabase, str], None]) -> None:
    """Let three servers with the same database write, each for a user of its own; none of them may fail."""
    faults: list[BaseException] = []

    def serve(who: str) -> None:
        try:
            accounts = AccountsInDatabase(url)
            write(accounts, who)
            accounts.close()
        except BaseException as fault:
            faults.append(fault)

    servers = [threading.Thread(target=serve, args=(who,)) for who in ("ada", "bob", "carol")]
    for server in servers:
        server.start()
    for server in servers:
        server.join()
    assert not faults
