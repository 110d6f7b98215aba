"""Accounts in a database: kept, unique, and nothing lost when the file is damaged."""

from __future__ import annotations

import os
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest
from office import PLAIN, Office
from writers import write_together

from halloo.base.errors import Unusable, UsageError
from halloo.login.accounts import Account, AccountsUnavailable
from halloo.login.audit import Chain, NameChain
from halloo.login.log import Ledger, read_head
from halloo.messages.log import EntryKind
from halloo.messages.login import Purpose, Verdict
from halloo.runtime.accounts_sql import AccountsInDatabase

ADA = Account("ada", b"salt", b"proof", 1_800_000_000)


LEDGER = Ledger(PLAIN.digest, b"network!")
NAME = LEDGER.name("ada")


def url(path: Path) -> str:
    return f"sqlite:///{path}"


def test_what_is_kept_is_found_again(tmp_path: Path) -> None:
    path = tmp_path / "accounts.sqlite"
    accounts = AccountsInDatabase(url(path))
    assert accounts.find("ada") is None
    assert accounts.create(ADA)
    assert not accounts.create(ADA)
    with accounts.together():
        entry = accounts.append(NAME, LEDGER.write(EntryKind.CERTIFIED, NAME, LEDGER.key(b"key"), 1_800_000_001))
    accounts.change_proof("ada", b"other", b"proof2")
    accounts.close()
    again = AccountsInDatabase(url(path))
    assert again.find("ada") == Account("ada", b"other", b"proof2", ADA.created)
    assert again.newest() == entry == again.standing(NAME, LEDGER.key(b"key"))
    assert again.page(0, 10) == (entry,)
    again.close()


def test_two_servers_on_one_store_agree_on_who_was_first(tmp_path: Path) -> None:
    one, two = (AccountsInDatabase(url(tmp_path / "accounts.sqlite")) for _ in range(2))
    assert one.create(ADA)
    assert not two.create(ADA)
    assert two.find("ada") == ADA
    one.close()
    two.close()


@pytest.mark.parametrize("content", [b"rubbish" * 300, b"SQLite format 3\0" + b"\xff" * 4096])
def test_a_damaged_file_is_named_and_left_as_it_is(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "accounts.sqlite"
    path.write_bytes(content)
    with pytest.raises(Unusable, match=r"accounts\.sqlite"):
        AccountsInDatabase(url(path))
    assert path.read_bytes() == content


def test_a_file_of_a_newer_program_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "accounts.sqlite"
    AccountsInDatabase(url(path)).close()
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    with pytest.raises(Unusable, match="up to date"):
        AccountsInDatabase(url(path))


def test_a_store_that_breaks_under_us_is_said(tmp_path: Path) -> None:
    path = tmp_path / "accounts.sqlite"
    accounts = AccountsInDatabase(url(path))
    with sqlite3.connect(path) as connection:
        connection.execute("DROP TABLE accounts")
    connection.close()
    with pytest.raises(AccountsUnavailable, match="accounts"):
        accounts.find("ada")
    accounts.close()


def test_what_is_no_database_url(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no database URL"):
        AccountsInDatabase("accounts")
    missing = tmp_path / "nowhere" / "accounts.sqlite"
    with pytest.raises(Unusable):
        AccountsInDatabase(url(missing))
    assert not os.path.exists(missing)


def append(accounts: AccountsInDatabase, name: str, key: bytes = b"key", kind: EntryKind = EntryKind.CERTIFIED) -> None:
    whose = LEDGER.name(name)
    with accounts.together():
        accounts.append(whose, LEDGER.write(kind, whose, LEDGER.key(key) if key else b"", 1_800_000_000))


def test_two_servers_write_one_log_without_gaps(tmp_path: Path) -> None:
    path = tmp_path / "accounts.sqlite"
    AccountsInDatabase(url(path)).close()
    def write(accounts: AccountsInDatabase, who: str) -> None:
        for number in range(40):
            append(accounts, f"{who}{number % 3}")

    write_together(url(path), write)
    accounts = AccountsInDatabase(url(path))
    chain = Chain(LEDGER)
    chain.add(accounts.page(0, 1000))
    assert chain.count == 120
    newest = accounts.newest()
    assert newest is not None
    head = LEDGER.head(newest, 1_800_000_000, b"", lambda _, text: PLAIN.digest(text))
    for name in ("ada0", "bob1", "carol2"):
        mine = NameChain(LEDGER, LEDGER.name(name))
        notary = Office().notary
        told = read_head(head, replace(notary, network=b"network!", verify_network=lambda *_: True))
        mine.add(accounts.page(0, 1000, name=LEDGER.name(name)), told)
        assert 13 <= len(mine.entries) <= 14
    accounts.close()


def test_what_belongs_together_happens_whole_or_not_at_all(tmp_path: Path) -> None:
    accounts = AccountsInDatabase(url(tmp_path / "accounts.sqlite"))
    accounts.create(ADA)

    def broken_off() -> None:
        with accounts.together():
            accounts.change_proof("ada", b"new", b"new")
            accounts.append(NAME, LEDGER.write(EntryKind.REVOKED, NAME, b"", 5))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        broken_off()
    assert accounts.find("ada") == ADA
    assert accounts.newest() is None
    append(accounts, "ada")  # and it is of use afterwards
    accounts.close()


def test_a_revoked_key_stands_no_more_until_it_is_certified_again(tmp_path: Path) -> None:
    accounts = AccountsInDatabase(url(tmp_path / "accounts.sqlite"))
    key = LEDGER.key(b"key")
    append(accounts, "ada")
    append(accounts, "bob")
    assert accounts.standing(NAME, key) is not None
    append(accounts, "ada", b"", EntryKind.REVOKED)
    assert accounts.standing(NAME, key) is None
    bobs = accounts.standing(LEDGER.name("bob"), key)
    assert bobs is not None
    append(accounts, "ada")
    again = accounts.standing(NAME, key)
    assert again is not None
    assert again.number == 4
    assert [entry.number for entry in accounts.page(2, 2)] == [2, 3]
    assert [entry.number for entry in accounts.page(0, 9, name=NAME)] == [1, 3, 4]
    assert [entry.number for entry in accounts.page(0, 9, revocations=True)] == [3]
    assert accounts.page(0, 9, revocations=True, since=1_800_000_001) == ()
    accounts.close()


def test_a_login_server_on_a_database_does_all_it_does_in_memory(tmp_path: Path) -> None:
    accounts = AccountsInDatabase(url(tmp_path / "accounts.sqlite"))
    office = Office(accounts=accounts)
    assert office.ask(Purpose.SIGN_UP, "ada", "secret").verdict == Verdict.OK
    assert office.ask(Purpose.RENEW, "ada").verdict == Verdict.OK
    assert office.ask(Purpose.LOGIN, "ada", "guess").verdict == Verdict.REFUSED
    assert office.ask(Purpose.CHANGE_PASSWORD, "ada", "secret", new="better").verdict == Verdict.OK
    assert office.ask(Purpose.LOGIN, "ada", "better").verdict == Verdict.OK
    assert office.ask(Purpose.REVOKE, "ada").verdict == Verdict.OK
    assert office.ask(Purpose.RENEW, "ada").verdict == Verdict.REFUSED
    kinds = [entry.kind for entry in office.log]
    assert kinds == [1, 1, EntryKind.REVOKED, 1, 1, EntryKind.REVOKED]
    Chain(office.ledger).add(office.log)
    accounts.close()


def test_tables_of_the_first_version_are_brought_up_to_date_and_kept_beside(tmp_path: Path) -> None:
    path = tmp_path / "accounts.sqlite"
    with sqlite3.connect(path) as connection:
        connection.executescript(
            """
            CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY);
            INSERT INTO alembic_version VALUES ('0001');
            CREATE TABLE accounts (name TEXT NOT NULL PRIMARY KEY, salt BLOB NOT NULL, proof BLOB NOT NULL,
                                   created BIGINT NOT NULL);
            CREATE TABLE certified_keys (number INTEGER NOT NULL PRIMARY KEY, name TEXT NOT NULL, key BLOB NOT NULL,
                                         certified BIGINT NOT NULL);
            CREATE INDEX certified_keys_by_name ON certified_keys (name);
            INSERT INTO accounts VALUES ('ada', x'01', x'02', 1800000000);
            INSERT INTO certified_keys VALUES (1, 'ada', x'0A', 1800000001), (2, 'bob', x'0B', 1800000002);
            INSERT INTO certified_keys VALUES (7, 'ada', x'0C', 1800000003);
            """
        )
    connection.close()
    accounts = AccountsInDatabase(url(path))
    assert accounts.find("ada") == Account("ada", b"\1", b"\2", 1_800_000_000)
    assert accounts.carry_over(LEDGER) == 3
    assert accounts.carry_over(LEDGER) == 0
    Chain(LEDGER).add(accounts.page(0, 9))
    assert [(entry.number, entry.wall) for entry in accounts.page(0, 9, name=NAME)] == [
        (1, 1_800_000_001),
        (3, 1_800_000_003),
    ]
    assert accounts.standing(NAME, LEDGER.key(b"\x0a")) is not None
    accounts.close()
    kept = sqlite3.connect(f"{path}.before-0002")
    assert kept.execute("SELECT count(*) FROM certified_keys").fetchone() == (3,)
    kept.close()
