"""How many logins one core serves, and how that grows with the number of accounts.

    python -m bench.login [--json] [--accounts 10000,100000,1000000] [--profile modern] [--database postgresql://…]

A login server runs in this process on SQLite in a temporary file; a login goes through its station whole, from the
bytes of the client's datagrams to the bytes of the answer: cloak, fragments, letter, password proof, an entry of the
log, the credential, the sealed answer.  The letters are made beforehand: what they cost the client is not counted.

The stores of all sizes are filled first and measured in turns, a batch each, so that whatever else the machine does
meets all alike.  The spread is between the medians of what each store does against the others of its own turn.  Times
are processor time, of the system's part too, so that another program on the machine counts for little.

Beside them, in the same turns, stands the floor: a bare loop over the same primitives, straight from the library that
has them (modern: X25519 and ML-KEM-768 opened, one Ed25519 signature checked and one made, by ``cryptography``), with
one read and one write in SQLite: no login server on these primitives could be faster.  The ratio to it is what counts.

With ``--database`` the stores are databases of their own on that PostgreSQL server (made, and dropped at the end).
Times are then those of the clock on the wall, because most of the work is done by other processes.
"""

from __future__ import annotations

import argparse
import json
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import sqlalchemy as sql
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from halloo.base.address import Address, Wire
from halloo.base.effects import Send, Transmit
from halloo.crypto.suite import Suite
from halloo.link.endpoint import Endpoint
from halloo.link.persona import Persona
from halloo.login.letter import write_letter
from halloo.login.log import Ledger
from halloo.login.server import LoginServer, Served
from halloo.messages.login import Application, Letter, Purpose, Verdict
from halloo.node.descriptor import Descriptor, Secrets, create
from halloo.node.login_mind import LoginMind
from halloo.node.station import Station
from halloo.runtime.accounts_sql import AccountsInDatabase, driven

WALL = 1_800_000_000
SERVER = Address.parse("192.0.2.1:33033")
CLIENT = Address.parse("192.0.2.50:40000")
BATCH = 50  # logins measured at a time: a twentieth of a second, shorter than most disturbances
ROUNDS = 31  # batches of each store
WARM_UP = 100  # logins before, of each store, that are not counted
TARGETS = {"logins_per_second": (">=", 300.0), "spread_percent": ("<=", 10.0)}


@dataclass
class Office:
    """A login server over a store of some size, and letters to it."""

    size: int
    station: Station
    accounts: AccountsInDatabase
    letters: list[list[bytes]]
    path: Path


def measure(profile: str, sizes: list[int], rounds: int, database: str = "") -> dict[str, Any]:
    """All figures of one run."""
    rng = Random(1)
    descriptor, secrets = create("bench", profile, (SERVER,), (), WALL, rng)
    with tempfile.TemporaryDirectory(prefix="halloo-bench-") as folder:
        offices = [_office(Path(folder), size, descriptor, secrets, rounds, database) for size in sizes]
        clock = time.perf_counter if database else time.process_time
        floor = _Floor(descriptor.ways.suite, secrets, Path(folder))
        for office in offices:
            _serve(office, WARM_UP)
        floor.run(WARM_UP)
        speeds: dict[int, list[float]] = {size: [] for size in sizes}
        floors: list[float] = []
        for turn in range(rounds):
            for office in offices[turn % len(offices) :] + offices[: turn % len(offices)]:
                speeds[office.size].append(BATCH / _timed(lambda office=office: _serve(office, BATCH), clock))  # type: ignore[misc]
            floors.append(BATCH / _timed(lambda: floor.run(BATCH), clock))
        pages = {str(office.size): round(_bytes_of(office, database) / 1e6, 1) for office in offices}
        for office in offices:
            office.accounts.close()
            if database:
                _administer(database, f"DROP DATABASE {office.path.stem}")
        floor.close()
    medians = {size: statistics.median(of_size) for size, of_size in speeds.items()}
    means = [statistics.fmean(of_turn) for of_turn in zip(*speeds.values(), strict=True)]
    against = [
        statistics.median(speed / mean for speed, mean in zip(of_size, means, strict=True))
        for of_size in speeds.values()
    ]
    slowest = min(medians.values())
    return {
        "logins_per_second": round(slowest, 1),
        "by_accounts": {str(size): round(median, 1) for size, median in medians.items()},
        "spread_percent": round(100 * (max(against) - min(against)) / max(against), 1),
        "floor_per_second": round(statistics.median(floors), 1),
        "floor": "the bare primitives (envelope opened, one verify, one sign), one read and one write in SQLite",
        "ratio": round(slowest / statistics.median(floors), 2),
        "megabytes_by_accounts": pages,
        "batches": rounds,
        "store": "PostgreSQL" if database else "SQLite",
    }


def _timed(work: Callable[[], None], clock: Callable[[], float]) -> float:
    began = clock()
    work()
    return clock() - began


def _administer(database: str, statement: str) -> Any:
    """One statement at the server itself; the first value of its answer, if it has one."""
    engine = sql.create_engine(driven(database), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        found = connection.exec_driver_sql(statement)
        value = found.scalar() if found.returns_rows else None
    engine.dispose()
    return value


def _bytes_of(office: Office, database: str) -> int:
    """How large a store is."""
    if not database:
        return office.path.stat().st_size
    return int(_administer(database, f"SELECT pg_database_size('{office.path.stem}')"))


def _office(
    folder: Path, size: int, descriptor: Descriptor, secrets: Secrets, rounds: int, database: str = ""
) -> Office:
    suite = descriptor.ways.suite
    rng = Random(size)
    path = folder / f"halloo_bench_{size}.sqlite"
    url = f"sqlite:///{path}"
    if database:
        _administer(database, f"CREATE DATABASE {path.stem}")
        url = sql.engine.make_url(database).set(database=path.stem).render_as_string(hide_password=False)
    accounts = AccountsInDatabase(url)
    server = LoginServer(suite, descriptor.id, secrets.login, secrets.letter, accounts, rng, WALL)
    proof = rng.randbytes(32)
    _fill(url if database else path, size, server, proof)
    persona = Persona(suite, descriptor.notary, suite.identity.make(rng), b"", rng)
    station = Station(Endpoint(persona, descriptor.cloak_key, (SERVER.host,), WALL), LoginMind(server))
    caller = Endpoint(persona, descriptor.cloak_key, (CLIENT.host,), WALL)
    caller.datagrams.public[4] = CLIENT.host
    letters = []
    for name in rng.sample(range(size), min(size, WARM_UP + rounds * BATCH)):
        private = suite.identity.make(rng)
        application = Application(
            purpose=Purpose.LOGIN, name=f"user{name}", proof=proof, key=suite.identity.public(private), wall=WALL
        )
        letter, _ = write_letter(suite, descriptor.letter_key, application, private, 1, rng)
        letters.append(_datagrams(caller, letter))
    return Office(size, station, accounts, letters, path)


def _datagrams(caller: Endpoint, letter: Letter) -> list[bytes]:
    return [sent.data for sent in caller.send(Wire(SERVER), letter, 0.0) if isinstance(sent, Transmit)]


def _fill(place: Path | str, size: int, server: LoginServer, proof: bytes) -> None:
    """Accounts with one certification each, written straight into the tables."""
    ledger: Ledger = server.ledger
    salt = bytes(16)
    stored = server._stored(salt, proof)
    top = b""

    def rows() -> Any:
        nonlocal top
        for number in range(1, size + 1):
            name = ledger.name(f"user{number - 1}")
            yield number, 1, name, top or bytes(32), WALL, top, b""
            top = ledger.digest(name + top)  # a stand-in for the chain: nobody audits this store

    accounts = ((f"user{number}", salt, stored, WALL) for number in range(size))
    if isinstance(place, str):
        _copy(place, "accounts (name, salt, proof, created)", accounts)
        _copy(place, "log_entries", rows())
        _administer(place, "VACUUM ANALYZE")
        return
    with sqlite3.connect(place) as connection:
        connection.execute("PRAGMA synchronous=OFF")
        connection.executemany("INSERT INTO accounts (name, salt, proof, created) VALUES (?, ?, ?, ?)", accounts)
        connection.executemany("INSERT INTO log_entries VALUES (?, ?, ?, ?, ?, ?, ?)", rows())
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()


def _serve(office: Office, count: int) -> None:
    for _ in range(count):
        verdict, answered = None, 0
        for datagram in office.letters.pop():
            for effect in office.station.receive(datagram, CLIENT, 0.0):
                match effect:
                    case Served():
                        verdict = effect.verdict
                    case Transmit():
                        answered += 1
                    case Send():
                        raise SystemExit("an answer that never became bytes")
        if verdict != Verdict.OK or not answered:
            raise SystemExit(f"a login failed: {verdict}")


class _Floor:
    """The least that a login costs, without any of this project's code around the primitives."""

    def __init__(self, suite: Suite, secrets: Secrets, folder: Path) -> None:
        self._step = _modern_step() if suite.name == "modern" else _step_of(suite, secrets)
        self._store = sqlite3.connect(folder / "floor.sqlite", isolation_level=None)
        self._store.execute("PRAGMA journal_mode=WAL")
        self._store.execute("PRAGMA synchronous=NORMAL")
        self._store.execute("CREATE TABLE rows (number INTEGER PRIMARY KEY, held BLOB)")

    def run(self, count: int) -> None:
        """Do it so often."""
        for _ in range(count):
            self._step()
            self._store.execute("SELECT held FROM rows ORDER BY number DESC LIMIT 1").fetchone()
            self._store.execute("INSERT INTO rows (held) VALUES (?)", (bytes(128),))

    def close(self) -> None:
        """Give the file back."""
        self._store.close()


def _modern_step() -> Callable[[], None]:
    """The primitives of one modern login, keys loaded beforehand."""
    curve, lattice, signing = X25519PrivateKey.generate(), MLKEM768PrivateKey.generate(), Ed25519PrivateKey.generate()
    theirs = X25519PrivateKey.generate().public_key()
    _, ciphertext = lattice.public_key().encapsulate()
    signature, public = signing.sign(b"text"), signing.public_key()

    def step() -> None:
        curve.exchange(theirs)
        lattice.decapsulate(ciphertext)
        public.verify(signature, b"text")
        signing.sign(b"credential")

    return step


def _step_of(suite: Suite, secrets: Secrets) -> Callable[[], None]:
    """The same through the roles of another suite."""
    rng = Random(2)
    private = suite.identity.make(rng)
    public = suite.identity.public(private)
    _, enclosed = suite.network_envelope.enclose(suite.network_envelope.public(secrets.letter), rng)
    signature = suite.identity.sign(private, b"text")

    def step() -> None:
        suite.network_envelope.disclose(secrets.letter, enclosed)
        if not suite.identity.verify(public, signature, b"text"):
            raise SystemExit("a signature failed")
        suite.network_identity.sign(secrets.login, b"credential")

    return step


def _copy(url: str, table: str, rows: Iterable[tuple[Any, ...]]) -> None:
    """Many rows into a table of PostgreSQL."""
    engine = sql.create_engine(driven(url))
    connection = engine.raw_connection()
    written = ([f"\\\\x{one.hex()}" if isinstance(one, bytes) else str(one) for one in row] for row in rows)
    lines = (("\t".join(row) + "\n").encode() for row in written)
    connection.cursor().execute(f"COPY {table} FROM STDIN", stream=lines)
    connection.commit()
    connection.close()
    engine.dispose()


def main() -> None:
    """Measure, and say how the figures stand to what was asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--accounts", default="10000,100000,1000000", help="sizes of the store, comma between")
    parser.add_argument("--profile", choices=["modern", "classic"], default="modern")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--database", default="", help="postgresql://…; default: SQLite in a temporary folder")
    arguments = parser.parse_args()
    sizes = [int(size) for size in arguments.accounts.split(",")]
    figures = {"profile": arguments.profile} | measure(arguments.profile, sizes, arguments.rounds, arguments.database)
    reached = {
        name: figures[name] >= target if sense == ">=" else figures[name] <= target
        for name, (sense, target) in TARGETS.items()
    }
    figures["reached"] = reached
    if arguments.json:
        print(json.dumps(figures))
        return
    for name, value in figures.items():
        asked = ""
        if name in TARGETS:
            sense, target = TARGETS[name]
            asked = f"  asked {sense} {target:g}: {'reached' if reached[name] else 'NOT reached'}"
        print(f"{name:22} {value}{asked}")


if __name__ == "__main__":
    main()
