"""The Accounts role on SQLite or PostgreSQL, through SQLAlchemy Core; the tables are made and changed by Alembic.

Single statements run in AUTOCOMMIT.  The import costs most of a second, so only a login server makes it.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sql
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from halloo.base.errors import Unusable, UsageError
from halloo.login.accounts import Account, AccountsUnavailable

__all__ = ["AccountsInDatabase"]

_TABLES = sql.MetaData()
_ACCOUNTS = sql.Table(
    "accounts",
    _TABLES,
    sql.Column("name", sql.Text, primary_key=True),
    sql.Column("salt", sql.LargeBinary, nullable=False),
    sql.Column("proof", sql.LargeBinary, nullable=False),
    sql.Column("created", sql.BigInteger, nullable=False),
)
_KEYS = sql.Table(
    "certified_keys",
    _TABLES,
    sql.Column("number", sql.Integer, primary_key=True),
    sql.Column("name", sql.Text, nullable=False),
    sql.Column("key", sql.LargeBinary, nullable=False),
    sql.Column("certified", sql.BigInteger, nullable=False),
)


class AccountsInDatabase:
    """Accounts under a database URL.

    Raises:
        Unusable: the database cannot be opened, is damaged, or is of a newer version of this program.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        _check_file(url)
        try:
            self._engine = sql.create_engine(url, isolation_level="AUTOCOMMIT", pool_pre_ping=True)
            self._migrate()
        except (SQLAlchemyError, ImportError, sqlite3.DatabaseError) as fault:
            raise Unusable(f"the accounts in {_shown(url)} cannot be opened: {_plain(fault)}") from None
        self._connection = self._engine.connect()

    def close(self) -> None:
        """Give the connection back."""
        self._connection.close()
        self._engine.dispose()

    def find(self, name: str) -> Account | None:
        """See ``Accounts``."""
        with self._guarded():
            row = self._connection.execute(sql.select(_ACCOUNTS).where(_ACCOUNTS.c.name == name)).one_or_none()
        return None if row is None else Account(row.name, bytes(row.salt), bytes(row.proof), row.created)

    def create(self, account: Account) -> bool:
        """See ``Accounts``."""
        try:
            with self._guarded():
                self._connection.execute(
                    sql.insert(_ACCOUNTS).values(
                        name=account.name, salt=account.salt, proof=account.proof, created=account.created
                    )
                )
        except _Taken:
            return False
        return True

    def change_proof(self, name: str, salt: bytes, proof: bytes) -> None:
        """See ``Accounts``."""
        with self._guarded():
            self._connection.execute(
                sql.update(_ACCOUNTS).where(_ACCOUNTS.c.name == name).values(salt=salt, proof=proof)
            )

    def record_key(self, name: str, key: bytes, wall: int) -> None:
        """See ``Accounts``."""
        with self._guarded():
            self._connection.execute(sql.insert(_KEYS).values(name=name, key=key, certified=wall))

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        try:
            yield
        except IntegrityError:
            raise _Taken from None
        except SQLAlchemyError as fault:
            raise AccountsUnavailable(f"the accounts cannot be read or written: {_plain(fault)}") from None

    def _migrate(self) -> None:
        """Bring the tables up to date; a SQLite file is checked, and copied before it is changed."""
        config = Config()
        config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
        newest = ScriptDirectory.from_config(config).get_current_head()
        with self._engine.connect() as connection:
            if connection.dialect.name == "sqlite":
                verdict = connection.exec_driver_sql("PRAGMA quick_check").scalar()
                if verdict != "ok":
                    raise Unusable(f"the accounts in {_shown(self.url)} are damaged: {verdict}")
                connection.exec_driver_sql("PRAGMA journal_mode=WAL")
                connection.exec_driver_sql("PRAGMA synchronous=NORMAL")
            present = None
            if sql.inspect(connection).has_table("alembic_version"):
                present = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
        if present == newest:
            return
        database = self._engine.url.database
        if present is not None and self._engine.dialect.name == "sqlite" and database:
            shutil.copy2(database, f"{database}.before-{newest}")
        with self._engine.connect() as connection:
            config.attributes["connection"] = connection
            try:
                command.upgrade(config, "head")
            except Exception as fault:
                raise Unusable(f"the accounts in {_shown(self.url)} cannot be brought up to date: {fault}") from None


class _Taken(Exception):
    pass


def _check_file(url: str) -> None:
    """Refuse a file that is no SQLite database before anything writes to it."""
    try:
        parsed = sql.engine.make_url(url)
    except SQLAlchemyError:
        raise UsageError(f"{url!r} is no database URL; write sqlite:///FILE or postgresql://…") from None
    if parsed.get_backend_name() != "sqlite" or not parsed.database:
        return
    path = Path(parsed.database)
    try:
        with path.open("rb") as file:
            head = file.read(16)
    except FileNotFoundError:
        return
    except OSError as fault:
        raise Unusable(f"the accounts in {path} cannot be opened: {fault.strerror}") from None
    if head and head != b"SQLite format 3\0":
        raise Unusable(f"the accounts in {path} are damaged: this is no SQLite database; nothing was changed")


def _shown(url: str) -> str:
    return sql.engine.make_url(url).render_as_string(hide_password=True)


def _plain(fault: BaseException) -> str:
    return str(getattr(fault, "orig", None) or fault).splitlines()[0]
