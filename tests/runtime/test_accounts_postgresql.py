"""Accounts on PostgreSQL, where one can be started here: the same as on SQLite, with several servers at once."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sql
from office import PLAIN, Office
from postgresql import DatabaseServer, database_server
from writers import write_together

from halloo.base.errors import Unusable
from halloo.login.accounts import Account, AccountsUnavailable
from halloo.login.audit import Chain
from halloo.login.log import Ledger
from halloo.messages.log import EntryKind
from halloo.messages.login import Purpose, Verdict
from halloo.runtime.accounts_sql import AccountsInDatabase

pytestmark = pytest.mark.processes

_HALTED = """
import sys
from halloo.login.accounts import AccountsUnavailable
from halloo.runtime.accounts_sql import AccountsInDatabase
accounts = AccountsInDatabase(sys.argv[1])
try:
    with accounts.together():
        print("holds it", flush=True)
        sys.stdin.readline()
except AccountsUnavailable:
    print("lost it", flush=True)
"""
LEDGER = Ledger(PLAIN.digest, b"network!")


@pytest.fixture(scope="module")
def server() -> Iterator[DatabaseServer]:
    with database_server() as made:
        yield made


def test_a_login_server_does_on_postgresql_all_it_does_in_memory(server: DatabaseServer) -> None:
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


def test_several_servers_write_one_log_without_gaps(server: DatabaseServer) -> None:
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


def test_what_belongs_together_happens_whole_or_not_at_all(server: DatabaseServer) -> None:
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


def test_a_database_server_that_goes_and_comes_back(server: DatabaseServer) -> None:
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


def test_a_server_that_holds_the_log_and_stands_still_stops_no_other(server: DatabaseServer) -> None:
    """One login server was halted in the middle of a login: the others say that they cannot now, and work on after."""
    accounts = AccountsInDatabase(server.url)
    office = Office(accounts=accounts)
    assert office.ask(Purpose.SIGN_UP, "frida", "secret").verdict == Verdict.OK
    with subprocess.Popen([sys.executable, "-c", _HALTED, server.url], stdin=-1, stdout=-1, text=True) as halted:
        assert halted.stdout is not None
        assert halted.stdout.readline() == "holds it\n"
        began = time.monotonic()
        assert office.ask(Purpose.LOGIN, "frida", "secret").verdict != Verdict.OK
        assert time.monotonic() - began < 5
        until = time.monotonic() + 20
        while office.ask(Purpose.LOGIN, "frida", "secret").verdict != Verdict.OK:
            assert time.monotonic() < until, "the log is held for ever"
        said, _ = halted.communicate("go on\n", timeout=20)
        assert said == "lost it\n"
    accounts.close()


def test_servers_that_start_at_once_make_the_tables_once(server: DatabaseServer) -> None:
    url = server.url.replace("postgresql:", "postgresql+pg8000:")
    engine = sql.create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as line:
        line.exec_driver_sql("CREATE DATABASE fresh")
    engine.dispose()
    url = server.url.removesuffix("postgres") + "fresh"
    _started_at_once(url)


def test_servers_that_start_at_once_on_one_file(tmp_path: Path) -> None:
    _started_at_once(f"sqlite:///{tmp_path / 'accounts.sqlite'}")


def _started_at_once(url: str) -> None:
    program = "import sys; from halloo.runtime.accounts_sql import AccountsInDatabase as A; A(sys.argv[1]).close()"
    beginners = [
        subprocess.Popen([sys.executable, "-c", program, url], stderr=subprocess.PIPE) for _ in range(4)
    ]
    faults = [beginner.communicate(timeout=30)[1].decode() for beginner in beginners]
    assert [beginner.returncode for beginner in beginners] == [0] * 4, faults
