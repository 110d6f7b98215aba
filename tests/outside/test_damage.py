"""Every file of a home and of a network folder damaged in many ways, and the verbs that read it started on it.

Whatever is in the file: a clear sentence or nothing at all, an exit code of the contract, no trace of the program's
inside, and nothing that somebody might still want is lost: a file that is given up is kept aside.
"""

from __future__ import annotations

import os
import random
import shutil
import socket
import sqlite3
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner
from walled import Running

from halloo.base.errors import HallooError
from halloo.cli.main import cli
from halloo.cli.speak import fault_code
from halloo.lab.processes import free_ports
from halloo.runtime.acquaintances import Acquaintances
from halloo.runtime.home import Home

pytestmark = [pytest.mark.processes, pytest.mark.slow]

CODES = {0, 1, 2, 3, 4, 5}
DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda _: b"",
    "cut": lambda data: data[: len(data) // 2],
    "one bit": lambda data: data[: len(data) // 2] + bytes([data[len(data) // 2] ^ 1]) + data[len(data) // 2 + 1 :],
    "zeros": lambda data: bytes(len(data)),
    "binary": lambda data: random.Random(7).randbytes(len(data) + 7),
    "deep": lambda _: b"[" * 100_000,
    "other json": lambda _: b'{"name": 5, "known": [1], "head": {}, "private": null}',
    "long": lambda data: data + b"\n" + b"9" * 3_000_000,
}
HOME_FILES = (
    "network.toml", "identity/account.json", "identity/audit.json", "identity/known.json", "hostcache", "port",
)  # fmt: skip
NETWORK_FILES = ("network.toml", "secret/login.key", "secret/letter.key", "accounts.sqlite")
VERBS = (
    ("status",), ("search", "bob"), ("call", "nobody", "--in", "silence", "--out", "null", "--for", "0.2"), ("audit",),
    ("hangup",),
)  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimpleNamespace]:
    """A network that runs, and a home with everything in it."""
    folder = tmp_path_factory.mktemp("whole")
    login, supernode = (f"127.0.0.1:{port}" for port in free_ports(2))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HALLOO_PASSWORD", "correct horse")
        patch.setenv("HALLOO_NEW_PASSWORD", "correct horse")
        network = folder / "network"
        arguments = ["network", "create", "x", "--dir", str(network), "--login", login, "--supernode", supernode]
        assert CliRunner().invoke(cli, arguments).exit_code == 0
        program = [sys.executable, "-m", "halloo"]
        servers = [
            Running([*program, "serve", "login", "--network", str(network), "--sign-ups", "10000"], dict(os.environ)),
            Running(
                [*program, "serve", "supernode", "--network", str(network / "network.toml"), "--listen", supernode],
                dict(os.environ),
            ),
        ]
        home = folder / "home"
        try:
            servers[0].says("login server")
            servers[1].says("supernode of")
            for command in (["join", str(network / "network.toml")], ["signup", "ada"], ["audit"]):
                assert verb(home, *command)[0] == 0
            known = Acquaintances()
            known.met("bob", bytes(16), 1_700_000_000)
            Home(home).keep_acquaintances(known)
            yield SimpleNamespace(home=home, network=network, folder=folder)
        finally:
            for server in servers:
                server.stop()


def verb(home: Path, *arguments: str) -> tuple[int, str]:
    """A verb in this very process: its exit code and what it said; any fault but ours is a failure."""
    result = CliRunner().invoke(cli, ["--home", str(home), *arguments])
    fault = result.exception
    if isinstance(fault, HallooError):  # as main() does
        return fault_code(fault), f"{result.output}halloo: {fault}"
    if fault is not None and not isinstance(fault, SystemExit):
        raise fault
    return result.exit_code, result.output


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("file", HOME_FILES)
def test_a_damaged_home(made: SimpleNamespace, tmp_path: Path, file: str, damage: str) -> None:
    home = tmp_path / "home"
    shutil.copytree(made.home, home)
    if not (home / file).exists():
        pytest.fail(f"the home has no {file}")
    whole = (home / file).read_bytes()
    broken = DAMAGES[damage](whole)
    (home / file).write_bytes(broken)
    # A port is chosen anew, and of a list of addresses the lines that can be read are used.
    given_up = file == "port" or not broken or (file == "hostcache" and broken.startswith(b"halloo hostcache"))
    for command in VERBS:
        code, said = verb(home, *command)
        assert code in CODES, (command, said)
        assert "Traceback" not in said
        if code in (1, 2, 3, 4):
            assert said.strip(), command
        assert given_up or _kept(home, broken), f"{command} lost {file}: {said}"
    if file == "network.toml":
        assert code in CODES
        code, said = verb(home, "join", str(made.network / "network.toml"))
        assert code == 0, said
        assert verb(home, "audit")[0] == 0, "the account was lost with the description"
    else:
        code, said = verb(home, "login", "ada")
        assert code == 0, said
        code, said = verb(home, "audit")
        assert code == (1 if "that this device did not ask for" in said else 0), said
    assert given_up or _kept(home, broken), f"lost {file}"


def _kept(home: Path, broken: bytes) -> bool:
    return any(path.read_bytes() == broken for path in home.rglob("*") if path.is_file())


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("file", NETWORK_FILES)
def test_a_damaged_network_folder(made: SimpleNamespace, tmp_path: Path, file: str, damage: str) -> None:
    network = tmp_path / "network"
    shutil.copytree(made.network, network, ignore=shutil.ignore_patterns("*.sqlite*"))
    source, copy = sqlite3.connect(made.network / "accounts.sqlite"), sqlite3.connect(network / "accounts.sqlite")
    source.backup(copy)  # what is in the log beside it included
    source.close()
    copy.close()
    whole = (network / file).read_bytes()
    broken = DAMAGES[damage](whole)
    if damage == "one bit" and file.endswith("sqlite"):
        broken = whole[:20] + bytes([whole[20] ^ 0xFF]) + whole[21:]
    if damage == "long" and file.endswith("sqlite"):
        pytest.skip("SQLite reads no further than it has written")
    (network / file).write_bytes(broken)
    (port,) = free_ports(1)
    if not broken and file.endswith("sqlite"):
        return  # an empty file is a new database
    code, said = verb(tmp_path / "home", "serve", "login", "--network", str(network), "--listen", f"127.0.0.1:{port}")
    assert code in (1, 2), said
    assert str(network) in said or "description" in said
    assert "Traceback" not in said
    assert (network / file).read_bytes() == broken
    if file == "network.toml":
        for command in (["join", str(network / file)], ["network", "show", str(network / file)]):
            assert verb(tmp_path / "home", *command)[0] in (1, 2)
        listening = ["serve", "supernode", "--network", str(network / file), "--listen", f"127.0.0.1:{port}"]
        assert verb(tmp_path / "home", *listening)[0] in (1, 2)
        code, said = verb(tmp_path / "home", "network", "create", "x", "--dir", str(network))
        assert code != 0, "the keys of a network were overwritten"


@pytest.mark.parametrize("what", ["stale socket", "file", "folder"])
def test_a_control_door_that_is_none(made: SimpleNamespace, tmp_path: Path, what: str) -> None:
    """What a crash leaves in the place of ``control.sock``: verbs go on without, and ``up`` makes a new one."""
    home = tmp_path / "home"
    shutil.copytree(made.home, home)
    door = home / "control.sock"
    if what == "stale socket":
        with socket.socket(socket.AF_UNIX) as left:
            left.bind(str(door))
    elif what == "file":
        door.write_text("something")
    else:
        door.mkdir()
    assert verb(home, "status")[0] == 1
    code, said = verb(home, "search", "ada")
    assert code in (0, 5), said
    running = Running([sys.executable, "-m", "halloo", "--home", str(home), "up"], dict(os.environ))
    try:
        if what == "stale socket":
            running.says("on line")
            assert verb(home, "status")[0] == 0
        else:
            assert running.ends() == 1
            assert "control.sock" in running.said
            assert "Traceback" not in running.said
            assert door.exists()
    finally:
        running.stop()
