"""Accounts with the real program: audits, other devices, revocation, a login server whose files are damaged."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import time
from dataclasses import replace
from pathlib import Path

import pytest
from stories import failed, story

from halloo.lab.processes import ProcessNetwork
from halloo.messages.credential import issue
from halloo.runtime.home import Home

pytestmark = [pytest.mark.processes, pytest.mark.beside]


def test_two_devices_of_one_user_and_an_audit_of_the_name(tmp_path: Path) -> None:
    async def play(network: ProcessNetwork) -> None:
        await network.sign_up("alice")
        own = Home(network.homes / "alice")
        key = own.account().private
        await network.once("alice", ["login", "alice", "--json"])
        assert own.account().private == key  # the key of this device stays when its user logs in again
        clean = await network.once("alice", ["audit", "--json"])
        assert clean["clean"]
        assert [entry["mine"] for entry in clean["entries"]] == [True, True]

        # Another device: another key, which this one did not ask for.
        await network.once("tablet", ["join", str(network.descriptor), "--json"])
        await network.once("tablet", ["login", "Alice", "--json"])
        strange = await network.run("alice", ["audit", "--json"])
        assert strange.process.returncode == 1
        assert [entry["strange"] for entry in strange.lines[-1]["entries"]] == [False, False, True]
        assert "did not ask for" in strange.lines[-1]["words"][-1]
        await network.once("alice", ["audit", "--accept", "--json"])
        assert (await network.once("alice", ["audit", "--json"]))["clean"]
        # The tablet knows nothing of what was before it, and does not warn of it.
        assert (await network.once("tablet", ["audit", "--json"]))["clean"]

        # A new password revokes the tablet's key.
        changed = await network.run("alice", ["passwd", "--json"], HALLOO_NEW_PASSWORD="quite another")
        assert changed.process.returncode == 0, changed.errors
        assert own.account().private == key
        told = await network.run("tablet", ["audit", "--json"])
        assert told.process.returncode == 1
        assert told.lines[-1]["revoked_at"]
        failed(await network.run("tablet", ["logout", "--everywhere"]), 3, "was revoked")
        failed(await network.run("tablet", ["login", "alice"]), 3, "wrong name or password")

        left = await network.once("alice", ["logout", "--everywhere", "--json"])
        assert left == {"name": "alice", "everywhere": True}
        failed(await network.run("alice", ["audit"]), 3, "nobody is logged in")

    story(tmp_path, play)


def test_a_friends_key_that_changes_is_said_before_and_after_the_call(tmp_path: Path) -> None:
    async def play(network: ProcessNetwork) -> None:
        await asyncio.gather(network.sign_up("alice"), network.sign_up("bob"))
        call = ["call", "bob", "--in", "tone", "--out", "null", "--for", "0.5", "--json"]
        answer = ["answer", "--auto", "--in", "tone", "--out", "null", "--json"]
        for changed in (False, False, True):
            if changed:
                (network.homes / "bob" / "identity" / "account.json").unlink()
                await network.once("bob", ["login", "bob", "--json"])
            bob = await network.start("bob", answer)
            await bob.line("waiting")
            mine = await network.run("alice", call)
            assert mine.process.returncode == 0, mine.errors
            said = mine.lines[-1]["key_change"]
            if changed:
                assert "bob has another key than before" in said
                assert any("another key than before" in line for line in mine.errors)
            else:
                assert said is None
            assert (await bob.line("call"))["key_change"] is None
            await network.stop(bob)

    story(tmp_path, play)


def test_a_machine_that_was_off_for_weeks_renews_its_login(tmp_path: Path) -> None:
    async def play(network: ProcessNetwork) -> None:
        await asyncio.gather(network.sign_up("alice"), network.sign_up("bob"))
        home = Home(network.homes / "alice")
        account, suite = home.account(), home.descriptor().ways.suite
        secret = (network.homes / "network" / "secret" / "login.key").read_bytes()
        wall = int(time.time())
        for ago, code in ((3_600, 0), (3_600, 3)):
            old = replace(account.claims, issued=wall - ago - 14 * 86_400, expires=wall - ago)
            home.keep_account(replace(account, credential=issue(old, secret, suite.network_identity.sign)))
            if code:
                keys = home.account().private
                await network.once("tablet", ["join", str(network.descriptor), "--json"])
                await network.once("tablet", ["login", "alice", "--json"])
                await network.once("tablet", ["logout", "--everywhere", "--json"])
                assert home.account().private == keys
            audited = await network.run("alice", ["audit", "--json"])
            assert audited.process.returncode == code, audited.errors
            if code:
                assert "was revoked" in audited.last_words
            else:
                assert home.account().claims.expires > wall + 13 * 86_400
                assert home.account().private == account.private

    story(tmp_path, play)


def test_damaged_files_of_a_user_and_of_an_operator(tmp_path: Path) -> None:
    async def play(network: ProcessNetwork) -> None:
        await network.sign_up("alice")
        identity = network.homes / "alice" / "identity"
        kept = (identity / "account.json").read_text()
        table = json.loads(kept)
        for private in ("AAAA", "A" * 43 + "="):
            (identity / "account.json").write_text(json.dumps({**table, "private": private}))
            failed(await network.run("alice", ["audit"]), 3, "damaged", "halloo login alice")
        (identity / "account.json").write_text(kept)
        for name in ("audit.json", "known.json"):
            (identity / name).write_bytes(b'{"name": "alice", \xff')
        audited = await network.run("alice", ["audit", "--json"])
        for name in ("audit.json", "known.json"):
            assert (identity / f"{name}.damaged").read_bytes() == b'{"name": "alice", \xff'
            assert any(f"{name}.damaged" in line for line in audited.errors)
        assert audited.lines, audited.errors

        login = next(part for part in network.parts if part.name == "login")
        await network.stop(login)
        folder = network.homes / "network"
        serve = ["serve", "login", "--network", str(folder)]
        letter = folder / "secret" / "letter.key"
        whole = letter.read_bytes()
        for damaged in (whole[:-1], bytes(len(whole)), b""):
            letter.write_bytes(damaged)
            failed(await network.run("x", serve), 1, "keys in")
        letter.write_bytes(whole)
        database = folder / "accounts.sqlite"
        content = database.read_bytes()
        database.write_bytes(content[: len(content) // 2])
        failed(await network.run("x", serve), 1, "accounts.sqlite")
        database.write_bytes(content)
        again = await network.start("login again", [*serve, "--json"])
        await again.line("listening")
        assert (await network.once("alice", ["login", "alice", "--json"]))["name"] == "alice"
        with sqlite3.connect(database) as connection:
            assert connection.execute("SELECT count(*) FROM log_entries").fetchone() == (2,)

    story(tmp_path, play)
