"""The Accounts role on SQLite or PostgreSQL, through SQLAlchemy Core; the tables are made and changed by Alembic.

Single statements run in AUTOCOMMIT; what belongs together, between a BEGIN and a COMMIT of our own, with the log held
for us alone, so that its numbers have no gaps however many servers write.  The import costs most of a second, so only
a login server makes it.
"""

from __future__ import annotations

import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import sqlalchemy as sql
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from halloo.base.errors import Unusable, UsageError
from halloo.login.accounts import Account, AccountsUnavailable
from halloo.login.log import Ledger, WriteEntry
from halloo.messages.log import EntryKind, LogEntry

__all__ = ["AccountsInDatabase", "driven"]

_TABLES = sql.MetaData()
_ACCOUNTS = sql.Table(
    "accounts",
    _TABLES,
    sql.Column("name", sql.Text, primary_key=True),
    sql.Column("salt", sql.LargeBinary, nullable=False),
    sql.Column("proof", sql.LargeBinary, nullable=False),
    sql.Column("created", sql.BigInteger, nullable=False),
)
_LOG = sql.Table(
    "log_entries",
    _TABLES,
    sql.Column("number", sql.BigInteger, primary_key=True, autoincrement=False),
    sql.Column("kind", sql.SmallInteger, nullable=False),
    sql.Column("name", sql.LargeBinary, nullable=False),
    sql.Column("key", sql.LargeBinary, nullable=False),
    sql.Column("wall", sql.BigInteger, nullable=False),
    sql.Column("previous", sql.LargeBinary, nullable=False),
    sql.Column("previous_of_name", sql.LargeBinary, nullable=False),
)
_EARLIER = sql.Table(
    "certified_before_log",
    _TABLES,
    sql.Column("number", sql.Integer, primary_key=True),
    sql.Column("name", sql.Text, nullable=False),
    sql.Column("key", sql.LargeBinary, nullable=False),
    sql.Column("certified", sql.BigInteger, nullable=False),
)
_FIND = sql.select(_ACCOUNTS).where(_ACCOUNTS.c.name == sql.bindparam("name"))
_NEWEST = sql.select(_LOG).order_by(_LOG.c.number.desc()).limit(1)
_NEWEST_OF_NAME = (
    sql.select(_LOG).where(_LOG.c.name == sql.bindparam("name")).order_by(_LOG.c.number.desc()).limit(1)
)
_REVOKED = (
    sql.select(sql.func.coalesce(sql.func.max(_LOG.c.number), 0))
    .where(_LOG.c.name == sql.bindparam("name"), _LOG.c.kind == int(EntryKind.REVOKED))
    .scalar_subquery()
)
_STANDING = (
    sql.select(_LOG)
    .where(
        _LOG.c.name == sql.bindparam("name"),
        _LOG.c.key == sql.bindparam("key"),
        _LOG.c.kind == int(EntryKind.CERTIFIED),
        _LOG.c.number > _REVOKED,
    )
    .order_by(_LOG.c.number.desc())
    .limit(1)
)
LOCK_FOR = 2_000  # milliseconds to wait for the log; the client asks another server after as long
HELD_FOR = 5_000  # milliseconds in which whoever holds the log must say something to the database
MADE_WITHIN = 5.0  # seconds for another server to make the tables
_LOCK = 0x48616C6C6F6F  # the number of the lock that holds the log on PostgreSQL: "Halloo"


class AccountsInDatabase:
    """Accounts under a database URL.

    Raises:
        Unusable: the database cannot be opened, is damaged, or is of a newer version of this program.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        _check_file(url)
        try:
            self._engine = sql.create_engine(driven(url), isolation_level="AUTOCOMMIT", pool_pre_ping=True)
            if self._engine.dialect.name == "postgresql":
                sql.event.listen(self._engine, "connect", _patience)
            self._connection = self._opened()
        except ImportError as fault:
            advice = "; install what it takes with: pip install 'halloo[postgresql]'" if "pg8000" in str(fault) else ""
            raise Unusable(f"the accounts in {_shown(url)} cannot be opened: {fault}{advice}") from None
        except (SQLAlchemyError, sqlite3.DatabaseError) as fault:
            raise Unusable(f"the accounts in {_shown(url)} cannot be opened: {_plain(fault)}") from None
        self._postgresql = self._engine.dialect.name == "postgresql"

    def close(self) -> None:
        """Give the connection back."""
        self._connection.close()
        self._engine.dispose()

    def find(self, name: str) -> Account | None:
        """See ``Accounts``."""
        with self._guarded():
            row = self._connection.execute(_FIND, {"name": name}).one_or_none()
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

    @contextmanager
    def together(self) -> Iterator[None]:
        """See ``Accounts``."""
        try:
            with self._guarded():
                self._connection.exec_driver_sql("BEGIN" if self._postgresql else "BEGIN IMMEDIATE")
                if self._postgresql:
                    self._connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")
            yield
        except BaseException:
            with suppress(AccountsUnavailable), self._guarded():  # where that fails too, the database forgets by itself
                self._connection.exec_driver_sql("ROLLBACK")
            raise
        with self._guarded():
            self._connection.exec_driver_sql("COMMIT")

    def append(self, name: bytes, write: WriteEntry) -> LogEntry:
        """See ``Accounts``."""
        with self._guarded():
            newest = self._connection.execute(_NEWEST).one_or_none()
            of_name = self._connection.execute(_NEWEST_OF_NAME, {"name": name}).one_or_none()
            entry = write(
                None if newest is None else _entry(newest), None if of_name is None else _entry(of_name)
            )
            self._connection.execute(
                sql.insert(_LOG),
                {
                    "number": entry.number,
                    "kind": int(entry.kind),
                    "name": entry.name,
                    "key": entry.key,
                    "wall": entry.wall,
                    "previous": entry.previous,
                    "previous_of_name": entry.previous_of_name,
                },
            )
        return entry

    def newest(self) -> LogEntry | None:
        """See ``Accounts``."""
        with self._guarded():
            row = self._connection.execute(_NEWEST).one_or_none()
        return None if row is None else _entry(row)

    def standing(self, name: bytes, key: bytes) -> LogEntry | None:
        """See ``Accounts``."""
        with self._guarded():
            row = self._connection.execute(_STANDING, {"name": name, "key": key}).one_or_none()
        return None if row is None else _entry(row)

    def page(
        self, first: int, most: int, *, name: bytes = b"", revocations: bool = False, since: int = 0
    ) -> tuple[LogEntry, ...]:
        """See ``Accounts``."""
        asked = sql.select(_LOG).where(_LOG.c.number >= first)
        if name:
            asked = asked.where(_LOG.c.name == name)
        if revocations:
            asked = asked.where(_LOG.c.kind == int(EntryKind.REVOKED))
        if since:
            asked = asked.where(_LOG.c.wall >= since)
        with self._guarded():
            rows = self._connection.execute(asked.order_by(_LOG.c.number).limit(most)).all()
        return tuple(_entry(row) for row in rows)

    def carry_over(self, ledger: Ledger) -> int:
        """Write into the log what was certified before there was one; how many entries that made.

        Done once, by the first server that starts on tables of that time.
        """
        made = 0
        with self.together(), self._guarded():
            for row in self._connection.execute(sql.select(_EARLIER).order_by(_EARLIER.c.number)).all():
                name = ledger.name(row.name)
                self.append(name, ledger.write(EntryKind.CERTIFIED, name, ledger.key(bytes(row.key)), row.certified))
                made += 1
            self._connection.execute(sql.delete(_EARLIER))
        return made

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        try:
            if self._connection.closed:  # the database server was gone when we spoke to it last
                self._connection = self._engine.connect()
            yield
        except IntegrityError:
            raise _Taken from None
        except SQLAlchemyError as fault:
            if getattr(fault, "connection_invalidated", False):
                with suppress(SQLAlchemyError):
                    self._connection.close()
            raise AccountsUnavailable(f"the accounts cannot be read or written: {_plain(fault)}") from None

    def _opened(self) -> sql.Connection:
        """A connection to tables that are up to date; where there is none, nothing is left open."""
        try:
            self._migrate()
            return self._engine.connect()
        except BaseException:
            self._engine.dispose()
            raise

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
            present = self._version(connection)
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
                if self._made_by_another(newest):
                    return
                raise Unusable(f"the accounts in {_shown(self.url)} cannot be brought up to date: {fault}") from None


    def _made_by_another(self, newest: str | None) -> bool:
        """Whether the tables become what they should be without us: another server has started in the same moment."""
        until = time.monotonic() + MADE_WITHIN
        while time.monotonic() < until:
            with suppress(SQLAlchemyError), self._engine.connect() as connection:
                if self._version(connection) == newest:
                    return True
            time.sleep(0.1)
        return False

    def _version(self, connection: sql.Connection) -> str | None:
        """Of which version the tables are; None where there are none."""
        if not sql.inspect(connection).has_table("alembic_version"):
            return None
        version = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
        return None if version is None else str(version)


class _Taken(Exception):
    pass


def _patience(connection: Any, _: object) -> None:
    """A server that was halted while it held the log must not stop the others for ever."""
    cursor = connection.cursor()
    cursor.execute(f"SET lock_timeout = {LOCK_FOR}")
    cursor.execute(f"SET idle_in_transaction_session_timeout = {HELD_FOR}")
    cursor.close()
    connection.commit()


def _entry(row: Any) -> LogEntry:
    return LogEntry(
        number=row.number,
        kind=row.kind,
        name=bytes(row.name),
        key=bytes(row.key),
        wall=row.wall,
        previous=bytes(row.previous),
        previous_of_name=bytes(row.previous_of_name),
    )


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


def driven(url: str) -> sql.URL:
    """The URL, with the driver that we bring where it names none."""
    parsed = sql.engine.make_url(url)
    return parsed.set(drivername="postgresql+pg8000") if parsed.drivername == "postgresql" else parsed


def _shown(url: str) -> str:
    return sql.engine.make_url(url).render_as_string(hide_password=True)


def _plain(fault: BaseException) -> str:
    return str(getattr(fault, "orig", None) or fault).splitlines()[0]
