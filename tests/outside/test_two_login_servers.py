"""Two login servers, as processes, on one PostgreSQL: users sign up and log in through either, one is killed midway."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

import pytest
from postgresql import database_server

from halloo.lab.processes import Part, ProcessNetwork
from halloo.login.audit import Chain
from halloo.login.log import Ledger
from halloo.node.descriptor import from_toml
from halloo.runtime.accounts_sql import AccountsInDatabase

pytestmark = [pytest.mark.processes, pytest.mark.slow]

BEFORE, DURING, AFTER = ("ada", "bob"), ("carol", "dora", "emil", "fritz"), ("gerd", "hans")


def test_users_come_through_either_and_one_is_killed(tmp_path: Path) -> None:
    with database_server() as database:
        asyncio.run(_play(tmp_path, database.url))


async def _play(folder: Path, url: str) -> None:
    network = ProcessNetwork(folder, "modern", supernodes=1)
    try:
        await network.create()
        shared = ["serve", "login", "--network", str(folder / "network"), "--database", url, "--json"]
        servers = [
            await network.start(f"login{address}", [*shared, "--listen", address]) for address in network.login_servers
        ]
        await network.start_supernode(0)
        await asyncio.gather(*(part.line("listening") for part in network.parts if part.process.returncode is None))
        for name in BEFORE:
            await network.sign_up(name)
        busy = asyncio.gather(*(network.sign_up(name) for name in DURING))
        await _first_served(servers)
        servers[0].process.kill()
        await busy
        for name in AFTER:
            await network.sign_up(name)
        for name in (*BEFORE, *DURING):  # with a password that the other one may have stored
            await network.once(name, ["login", name, "--json"])
        await network.start(f"login{network.login_servers[0]}", [*shared, "--listen", network.login_servers[0]])
        await network.parts[-1].line("listening")
        await network.once("ada", ["logout", "--everywhere", "--json"])
        audits = [await network.once(name, ["audit", "--json"]) for name in (*DURING, *AFTER)]
        assert all(audit["clean"] for audit in audits)
        assert not [part.errors for part in servers[1:] if part.errors]
    finally:
        await network.close()
    descriptor = from_toml(network.descriptor.read_text("utf-8"))
    ledger = Ledger(descriptor.ways.suite.digest, descriptor.id)
    accounts = AccountsInDatabase(url)
    entries = accounts.page(0, 1_000)
    accounts.close()
    chain = Chain(ledger)
    chain.add(entries)  # raises where a number or a hash is missing
    assert [entry.number for entry in entries] == list(range(1, len(entries) + 1))
    counted = Counter(entry.name for entry in entries)
    for name in (*BEFORE, *DURING, *AFTER):
        assert counted[ledger.name(name)] >= (1 if name in AFTER else 2), name


async def _first_served(servers: list[Part]) -> None:
    """Wait until the one to be killed has served somebody since the beginning, or all the rush is over."""
    known = len(servers[0].lines) + len(servers[1].lines)
    for _ in range(400):
        if len(servers[0].lines) + len(servers[1].lines) > known:
            return
        await asyncio.sleep(0.01)
