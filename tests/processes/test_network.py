"""The real program: processes on loopback, as a person would use them, and what goes wrong with them."""

from __future__ import annotations

import asyncio
import json
import os
import random
import socket
import sqlite3
import stat
import wave
from pathlib import Path
from typing import Any

import pytest
from stories import failed, played, story

from halloo.base.errors import HallooError
from halloo.lab.processes import ProcessNetwork, free_ports
from halloo.runtime.home import Home

pytestmark = pytest.mark.processes


@pytest.mark.parametrize("profile", ["modern", "classic"])
def test_two_people_talk_over_both_paths(tmp_path: Path, profile: str) -> None:
    async def play(network: ProcessNetwork) -> None:
        await asyncio.gather(network.sign_up("alice"), network.sign_up("bob"))
        files = ["--in", "tone", "--out", str(tmp_path / "b.wav")]
        bob = await network.start("bob", ["answer", "--auto", *files, "--json"])
        await bob.line("waiting")
        for number, way in enumerate(("direct", "relayed"), start=1):
            out = str(tmp_path / f"a{number}.wav")
            mine = await network.once(
                "alice", ["call", "bob", "--in", "tone", "--out", out, "--for", "1.5", "--path", way, "--json"]
            )
            theirs = await bob.line("call", number)
            assert (mine["result"], mine["path"], theirs["path"]) == ("ended", way, way)
            assert mine["setup_ms"] < 2_000
            for side in (mine, theirs):
                assert side["frames_played"] > 50
                assert side["first_audio_ms"] is not None
            with wave.open(out) as recording:
                assert (recording.getframerate(), recording.getnchannels(), recording.getsampwidth()) == (48_000, 1, 2)
                assert recording.getnframes() > 48_000
        assert (tmp_path / "b.wav").exists()
        assert (tmp_path / "b-2.wav").exists()

    story(tmp_path, play, profile=profile, count=2)


@pytest.mark.beside
def test_a_network_of_ipv6_alone(tmp_path: Path) -> None:
    async def play() -> None:
        network = ProcessNetwork(tmp_path, "modern", supernodes=1)
        for addresses in (network.login_servers, network.supernodes):
            addresses[:] = [address.replace("127.0.0.1", "[::1]") for address in addresses]
        try:
            async with network:
                await asyncio.gather(network.sign_up("alice"), network.sign_up("bob"))
                bob = await network.start("bob", ["answer", "--auto", "--in", "tone", "--out", "null", "--json"])
                await bob.line("waiting")
                for way in ("direct", "relayed"):
                    arguments = ["call", "bob", "--in", "tone", "--out", "null", "--for", "1", "--path", way, "--json"]
                    mine = await network.once("alice", arguments)
                    assert (mine["result"], mine["path"]) == ("ended", way)
                    assert mine["frames_played"] > 20
                    assert way == "relayed" or "[::1]" in mine["route"]
        finally:
            await network.close()

    asyncio.run(play())


def test_the_echo_user_plays_your_voice_back(tmp_path: Path) -> None:
    async def play(network: ProcessNetwork) -> None:
        echo = await network.start("echo123", ["serve", "echo", "--network", str(network.descriptor), "--json"])
        await network.sign_up("alice")
        await echo.line("online")
        heard = tmp_path / "echo.wav"
        await network.once("alice", ["call", "echo123", "--in", "tone", "--out", str(heard), "--for", "2.5", "--json"])
        with wave.open(str(heard)) as recording:
            samples = memoryview(recording.readframes(recording.getnframes())).cast("h")
        first, last = samples[9_600:38_400], samples[-24_000:-4_800]
        assert max(first) < 300  # a second of silence first
        assert max(last) > 3_000  # then the tone

    story(tmp_path, play, count=2)


def test_a_running_node_serves_the_other_verbs(tmp_path: Path) -> None:
    async def play(network: ProcessNetwork) -> None:
        await asyncio.gather(network.sign_up("alice"), network.sign_up("bob"))
        nodes = {name: await network.start(name, ["up", "--headless", "--json"]) for name in ("alice", "bob")}
        online = await nodes["alice"].line("online")
        await nodes["bob"].line("online")
        assert online["supernode"] in network.supernodes
        assert online["took_ms"] < 5_000
        door = network.homes / "alice" / "control.sock"
        assert stat.S_IMODE(door.stat().st_mode) == 0o600

        status = await network.once("alice", ["status", "--json"])
        assert (status["online"], status["name"], status["calls"]) == (True, "alice", [])
        found = await network.once("alice", ["search", "BOB", "--exact", "--json"])
        assert [(user["name"], user["online"]) for user in found["users"]] == [("bob", True)]
        told = ["profile", "--full-name", "Roberto Example", "--city", "Bad Tölz", "--email", "bob@example.org"]
        await network.once("bob", [*told, "--findable", "full-name,city,email", "--json"])
        for said in ("tölz robe", "bob", "BOB@example.org"):
            found = await network.once("alice", ["search", said, "--json"])
            assert [user["full_name"] for user in found["users"]] == ["Roberto Example"], said
            assert (found["complete"], found["searched"], found["blocks"]) == (True, 1, 1)
        assert (await network.once("bob", ["profile", "--json"]))["email"] == "bob@example.org"

        await network.once("alice", ["presence", "--watch", "bob", "--json"])
        await network.once("bob", ["presence", "--allow", "alice", "--json"])
        for state, mood in (("online", ""), ("dnd", "in the choir ♪"), ("online", "")):
            shown = await network.once("bob", ["presence", state, "--mood", mood, "--json"])
            assert (shown["state"], shown["mood"], shown["seen_by"]) == (state, mood, "allowed")
            assert await sees(network, "alice", "bob", (state, mood))
        assert shown["allowed"] == [{"name": "alice", "given": True}]
        kept = network.homes / "bob" / "identity" / "presence.json"
        assert stat.S_IMODE(kept.stat().st_mode) == 0o600
        await network.once("bob", ["presence", "--deny", "alice", "--json"])
        await network.once("bob", ["presence", "away", "--json"])

        files = ["--in", "tone", "--out", "null"]
        answer = await network.start("bob", ["answer", "--auto", *files, "--count", "1", "--json"])
        await asyncio.sleep(1.0)
        call = await network.start("alice", ["call", "bob", "--in", "tone", "--out", "null", "--json"])
        while not (await network.once("alice", ["status", "--json"]))["calls"]:
            await asyncio.sleep(0.1)
        await asyncio.sleep(1.5)
        ended = await network.once("alice", ["hangup", "--json"])
        assert ended["ended"] == [1]
        table = await call.line("call")
        assert (table["result"], table["path"]) == ("ended", "direct")
        assert table["frames_played"] > 20
        assert (await answer.line("call"))["reason"] == "alice hung up"
        (bob,) = (await network.once("alice", ["presence", "--json"]))["watched"]
        assert bob["state"] == "online"  # what he showed last before he was denied, with its age
        assert bob["as_of"] is not None

        second = await network.run("alice", ["up", "--json"])
        failed(second, 1, "another node runs in")

    story(tmp_path, play, count=2)


async def sees(network: ProcessNetwork, watcher: str, owner: str, wanted: tuple[str, str]) -> bool:
    """Whether a watcher is told of a state and a mood, within some seconds."""
    for _ in range(100):
        table = await network.once(watcher, ["presence", "--json"])
        if any((one["name"], one["state"], one["mood"]) == (owner, *wanted) for one in table["watched"]):
            return True
        await asyncio.sleep(0.1)
    return False


@pytest.mark.beside
def test_every_fault_of_an_account_has_its_words_and_code(tmp_path: Path) -> None:
    async def play(network: ProcessNetwork) -> None:
        await network.sign_up("alice")
        await network.once("eve", ["join", str(network.descriptor), "--json"])
        failed(await network.run("eve", ["signup", "ALICE"], HALLOO_PASSWORD="other"), 1, "alice is taken")
        failed(await network.run("eve", ["login", "alice"], HALLOO_PASSWORD="other"), 3, "wrong name or password")
        failed(await network.run("eve", ["login", "nobody"], HALLOO_PASSWORD="other"), 3, "wrong name or password")
        failed(await network.run("eve", ["signup", "a b"]), 2, "letters, digits")
        failed(await network.run("eve", ["signup", "eve"], HALLOO_PASSWORD=""), 2, "password is empty")
        failed(await network.run("eve", ["call", "alice", "--in", "tone", "--out", "null"]), 3, "nobody is logged in")
        failed(await network.run("nowhere", ["search", "alice"]), 1, "no network was joined")
        failed(await network.run("alice", ["call", "zoe", "--in", "tone", "--out", "null"]), 5)
        missing = str(tmp_path / "no.wav")
        failed(await network.run("alice", ["call", "zoe", "--in", missing, "--out", "null"]), 2, "no.wav")
        failed(await network.run("alice", ["search", "zoe"]), 5)

        changed = await network.run("alice", ["passwd", "--json"], HALLOO_NEW_PASSWORD="fresh")
        assert changed.process.returncode == 0
        failed(await network.run("alice", ["login", "alice"]), 3, "wrong name or password")
        again = await network.run("alice", ["login", "alice", "--json"], HALLOO_PASSWORD="fresh")
        assert again.lines[-1]["name"] == "alice"
        assert stat.S_IMODE(Home(network.homes / "alice").account_path.stat().st_mode) == 0o600
        out = await network.once("alice", ["logout", "--json"])
        assert out["name"] == "alice"
        failed(await network.run("alice", ["logout"]), 3, "nobody is logged in")

    story(tmp_path, play)


@pytest.mark.beside
def test_damaged_files_lose_nothing_and_are_named(tmp_path: Path) -> None:
    async def play(network: ProcessNetwork) -> None:
        await network.sign_up("alice")
        home = network.homes / "alice"
        await network.run("alice", ["search", "bob", "--json"])
        (home / "hostcache").write_bytes(b"\x00garbage")
        searched = await network.run("alice", ["search", "bob", "--json"])
        assert searched.process.returncode == 5
        assert any("host cache was damaged" in line for line in searched.errors)
        assert (home / "hostcache.damaged").read_bytes() == b"\x00garbage"
        assert (home / "hostcache").read_text().startswith("halloo hostcache")

        account = home / "identity" / "account.json"
        kept = account.read_bytes()
        account.write_bytes(kept[:-30])
        failed(await network.run("alice", ["call", "bob", "--in", "tone", "--out", "null"]), 3, "damaged")
        table = json.loads(kept)
        table["credential"] = table["credential"][:-12] + "AAAAAAAAAAA="
        account.write_text(json.dumps(table))
        forged = await network.run("alice", ["call", "bob", "--in", "tone", "--out", "null"], 30)
        assert forged.process.returncode == 3, forged.errors
        account.write_bytes(kept)

        description = home / "network.toml"
        whole = description.read_text()
        description.write_text(whole.replace("demo", "dem0", 1))
        failed(await network.run("alice", ["search", "bob"]), 1, "signature does not hold")
        description.write_text("\x00")
        failed(await network.run("alice", ["search", "bob"]), 1, "network.toml")
        description.write_text(whole)
        failed(await network.run("alice", ["join", "halloo:AAAA"]), 2, "no join link")

    story(tmp_path, play)


@pytest.mark.beside
def test_the_operators_faults(tmp_path: Path) -> None:
    async def play(network: ProcessNetwork) -> None:
        folder = network.homes / "network"
        login = next(part for part in network.parts if part.name == "login")
        await network.sign_up("alice")
        failed(await network.run("x", ["network", "create", "again", "--dir", str(folder)]), 1, "already")
        busy = network.supernodes[0]
        second = ["serve", "supernode", "--network", str(network.descriptor), "--listen", busy]
        failed(await network.run("x", second), 1, "cannot listen on", busy)
        failed(await network.run("x", ["serve", "supernode", "--network", "nothing", "--listen", busy]), 2, "nothing")
        await network.stop(login)

        database = folder / "accounts.sqlite"
        with sqlite3.connect(database) as connection:
            assert connection.execute("SELECT name FROM accounts").fetchall() == [("alice",)]
        whole = database.read_bytes()
        database.write_bytes(b"not a database at all" * 100)
        failed(await network.run("x", ["serve", "login", "--network", str(folder)]), 1, "damaged")
        assert database.read_bytes() == b"not a database at all" * 100
        database.write_bytes(whole)
        key = folder / "secret" / "login.key"
        key.write_bytes(b"short")
        failed(await network.run("x", ["serve", "login", "--network", str(folder)]), 1, "keys in")

        down = await network.run("alice", ["login", "alice"], 30)
        failed(down, 4, "no login server answered", "tried")

    story(tmp_path, play)


@pytest.mark.beside
def test_hostile_bytes_at_a_running_node(tmp_path: Path) -> None:
    """Datagrams, connections and lines of rubbish: the supernode and the node serve on, and have not grown."""

    async def play(network: ProcessNetwork) -> None:
        await network.sign_up("alice")
        node = await network.start("alice", ["up", "--json"])
        await node.line("online")
        supernode = next(part for part in network.parts if part.name == "supernode0")
        before = [_resident(part.process.pid) for part in (node, supernode)]
        rng = random.Random(1)
        targets = [_address(network.supernodes[0]), ("127.0.0.1", Home(network.homes / "alice").port())]
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            for count in range(6_000):
                udp.sendto(rng.randbytes(rng.randrange(1_400)), targets[count % 2])
                if count % 200 == 0:
                    await asyncio.sleep(0.01)
        for target in targets:
            for size in (0, 3, 100, 100_000):
                with socket.create_connection(target, timeout=5) as tcp:
                    try:
                        tcp.sendall(rng.randbytes(size))
                    except OSError:
                        continue  # it was hung up on, as it should
        reader, writer = await asyncio.open_unix_connection(str(network.homes / "alice" / "control.sock"))
        rubbish = rng.randbytes(500).replace(b"\n", b" ")
        writer.write(rubbish + b"\nCALL\nGET CALL x STATUS\nALTER CALL 9 ANSWER\n#1 PING\n")
        replies = [(await reader.readline()).decode() for _ in range(5)]
        assert all(reply.startswith("ERROR") for reply in replies[:4]), replies
        assert replies[4] == "#1 PONG\n"
        writer.write(b"x" * 200_000 + b"\n")
        assert (await reader.readline()).startswith(b"ERROR")
        writer.close()
        assert (await network.once("alice", ["status", "--json"]))["online"]
        found = await network.once("alice", ["search", "alice", "--json"])
        assert found["complete"]
        after = [_resident(part.process.pid) for part in (node, supernode)]
        assert all(late - early < 12_000 for early, late in zip(before, after, strict=True)), (before, after)
        assert supernode.process.returncode is None
        assert not supernode.errors

    story(tmp_path, play)


@pytest.mark.beside
def test_a_supernode_that_is_gone_is_replaced_and_where_there_is_none_it_is_said(tmp_path: Path) -> None:
    """Two stories in which somebody waits: beside each other they wait no longer than one."""

    async def killed(network: ProcessNetwork) -> None:
        await network.sign_up("alice")
        node = await network.start("alice", ["up", "--json"])
        online = await node.line("online")
        number = network.supernodes.index(online["supernode"])
        victim = next(part for part in network.parts if part.name == f"supernode{number}")
        victim.process.kill()
        lost = await node.line("lost", within=60)
        assert lost["supernode"] == online["supernode"]
        for _ in range(100):
            status = await network.once("alice", ["status", "--json"])
            if status["online"]:
                break
            await asyncio.sleep(0.1)
        assert status["supernode"] not in (None, online["supernode"])

    async def nobody_at_home() -> None:
        """Said, with what was tried, in a time that a person waits."""
        network = ProcessNetwork(tmp_path / "empty", "modern", supernodes=1)
        try:
            await network.create()
            await network.once("alice", ["join", str(network.descriptor), "--json"])
            part = await network.run("alice", ["search", "bob"], 45)
            failed(part, 4, "no supernode", network.supernodes[0])
        finally:
            await network.close()

    async def both() -> None:
        await asyncio.gather(played(tmp_path / "killed", killed, count=2), nobody_at_home())

    asyncio.run(both())


@pytest.mark.beside
def test_processes_that_fail_are_reported_in_their_own_words(tmp_path: Path) -> None:
    async def play() -> None:
        network = ProcessNetwork(tmp_path, "modern", supernodes=1)
        try:
            with pytest.raises(HallooError, match="no network was joined"):
                await network.once("alice", ["search", "bob"])
        finally:
            await network.close()

    asyncio.run(play())
    assert len(set(free_ports(5))) == 5


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    return host, int(port)


def _resident(pid: int) -> int:
    """Resident memory of a process in kB."""
    pages: Any = Path(f"/proc/{pid}/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE") // 1024
