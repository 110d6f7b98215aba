"""Accounts in a database: kept, unique, and nothing lost when the file is damaged."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

import pytest

from halloo.base.errors import Unusable, UsageError
from halloo.login.accounts import Account, AccountsUnavailable
from halloo.runtime.accounts_sql import AccountsInDatabase

ADA = Account("ada", b"salt", b"proof", 1_800_000_000)


def url(path: Path) -> str:
    return f"sqlite:///{path}"


def test_what_is_kept_is_found_again(tmp_path: Path) -> None:
    path = tmp_path / "accounts.sqlite"
    accounts = AccountsInDatabase(url(path))
    assert accounts.find("ada") is None
    assert accounts.create(ADA)
    assert not accounts.create(ADA)
    accounts.record_key("ada", b"key", 1_800_000_001)
    accounts.change_proof("ada", b"other", b"proof2")
    accounts.close()
    again = AccountsInDatabase(url(path))
    assert again.find("ada") == Account("ada", b"other", b"proof2", ADA.created)
    again.close()
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT name, key, certified FROM certified_keys").fetchall() == [
            ("ada", b"key", 1_800_000_001)
        ]


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
