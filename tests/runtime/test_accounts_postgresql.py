"""Accounts on PostgreSQL, where one can be started here: the same as on SQLite, with several servers at once."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from office import PLAIN, Office
from writers import write_together

from halloo.base.errors import Unusable
from halloo.lab.processes import free_ports
from halloo.login.accounts import Account, AccountsUnavailable
from halloo.login.audit import Chain
from halloo.login.log import Ledger
from halloo.messages.log import EntryKind
from halloo.messages.login import Purpose, Verdict
from halloo.runtime.accounts_sql import AccountsInDatabase

pytestmark = pytest.mark.processes

LEDGER = Ledger(PLAIN.digest, b"network!")
USER = "postgres"


class Server:
    """A database server of our own, in a temporary folder, on loopback alone."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (self.port,) = free_ports(1)
        # It does not run as root; then the folder belongs to the user that its package brings.
        self._as = {"user": USER} if os.geteuid() == 0 else {}
        self._run("initdb", "-D", str(folder / "data"), "-U", USER, "-A", "trust", "-E", "UTF8", "--no-sync")

    @property
    def url(self) -> str:
        return f"postgresql://{USER}@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -k {self.folder} -c fsync=off"
        data, log = str(self.folder / "data"), str(self.folder / "log")
        self._run("pg_ctl", "-D", data, "-l", log, "-w", "-o", options, "start")

    def stop(self) -> None:
        self._run("pg_ctl", "-D", str(self.folder / "data"), "-m", "fast", "-w", "stop")

    def _run(self, *command: str) -> None:
        subprocess.run(command, check=True, capture_output=True, cwd=self.folder, timeout=60, **self._as)  # type: ignore[call-overload]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    pytest.importorskip("pg8000")
    if shutil.which("initdb") is None or shutil.which("pg_ctl") is None:
        pytest.skip("no PostgreSQL is installed here")
    folder = Path(tempfile.mkdtemp(prefix="halloo-postgresql-"))
    try:
        if os.geteuid() == 0:
            try:
                shutil.chown(folder, USER)
            except LookupError:
                pytest.skip("PostgreSQL does not run as root, and there is no user for it")
        made = Server(folder)
        made.start()
        try:
            yield made
        finally:
            made.stop()
    finally:
        shutil.rmtree(folder)


def test_a_login_server_does_on_postgresql_all_it_does_in_memory(server: Server) -> None:
    accounts = AccountsInDatabase(server.url)
    office = Office(accounts=accounts)
    assert office.ask(Purpose.SIGN_UP, "ada", "secret").verdict == Verdict.OK
    assert office.ask(Purpose.RENEW, "ada").verdict == Verdict.OK
    assert office.ask(Purpose.LOGIN, "ada", "guess").verdict == Verdict.REFUSED
    assert office.ask(Purpose.CHANGE_PASSWORD, "ada", "secret", new="better").verdict == Verdict.OK
    assert office.ask(Purpose.REVOKE, "ada").verdict == Verdict.OK
    assert office.ask(Purpose.RENEW, "ada").verdict == Verdict.REFUSED
    assert not accounts.create(Account("ada", b"", b"", 1))
    whose = office.ledger.name("ada")
    assert [entry.kind for entry in accounts.page(0, 9, name=whose)] == [1, 1, 2, 1, 2]
    assert [entry.number for entry in accounts.page(0, 9, revocations=True)] == [3, 5]
    accounts.close()
    again = AccountsInDatabase(server.url)
    chain = Chain(office.ledger)
    chain.add(again.page(0, 100))
    assert chain.count == 5
    again.close()


def test_several_servers_write_one_log_without_gaps(server: Server) -> None:
    def write(accounts: AccountsInDatabase, who: str) -> None:
        whose = LEDGER.name(who)
        for number in range(30):
            with accounts.together():
                accounts.append(whose, LEDGER.write(EntryKind.CERTIFIED, whose, LEDGER.key(who.encode()), number))

    write_together(server.url, write)
    accounts = AccountsInDatabase(server.url)
    entries = accounts.page(0, 1000)
    chain = Chain(LEDGER)
    chain.add(entries)
    assert chain.count == len(entries) >= 90
    accounts.close()


def test_what_belongs_together_happens_whole_or_not_at_all(server: Server) -> None:
    accounts = AccountsInDatabase(server.url)
    accounts.create(Account("dora", b"salt", b"proof", 1))
    before = accounts.newest()

    def broken_off() -> None:
        with accounts.together():
            accounts.change_proof("dora", b"new", b"new")
            accounts.append(b"x" * 16, LEDGER.write(EntryKind.REVOKED, b"x" * 16, b"", 5))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        broken_off()
    assert accounts.find("dora") == Account("dora", b"salt", b"proof", 1)
    assert accounts.newest() == before
    accounts.close()


def test_a_database_server_that_goes_and_comes_back(server: Server) -> None:
    accounts = AccountsInDatabase(server.url)
    accounts.create(Account("emil", b"salt", b"proof", 1))
    server.stop()
    with pytest.raises(AccountsUnavailable, match="cannot be read or written"):
        accounts.find("emil")
    with pytest.raises(Unusable, match="cannot be opened"):
        AccountsInDatabase(server.url)
    server.start()
    assert accounts.find("emil") is not None
    accounts.close()
