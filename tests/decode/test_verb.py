"""``halloo decode`` as a person or a program uses it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from captures import ip_packets, pcap
from click.testing import CliRunner, Result
from overheard import Overheard, overhear

from halloo.base.errors import UsageError
from halloo.cli.main import cli
from halloo.cli.speak import fault_code
from halloo.login.client import LoginDecided
from halloo.messages.login import Application, Purpose

PROBE = "04 DA 01 7F 45 42 15"


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["decode", *arguments])


def code(result: Result) -> int:
    """The exit code that the program gives."""
    fault = result.exception
    return result.exit_code if fault is None or isinstance(fault, SystemExit) else fault_code(fault)


@pytest.fixture(scope="module")
def heard() -> Overheard:
    return overhear(3, "modern")


@pytest.fixture(scope="module")
def files(heard: Overheard, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("captured")
    (folder / "network.toml").write_text(heard.town.descriptor.to_toml(), "utf-8")
    (folder / "call.pcap").write_bytes(pcap(ip_packets(heard.passed)))
    (folder / "keys").write_text("".join(keys.to_line() + "\n" for keys in heard.keys))
    (folder / "cut.pcap").write_bytes((folder / "call.pcap").read_bytes()[:-10])
    (folder / "damaged.pcap").write_bytes((folder / "call.pcap").read_bytes() + b"\xff" * 32)
    (folder / "digits").write_text("04:da:01:7f\n45 42 15\n")
    (folder / "bytes").write_bytes(bytes.fromhex(PROBE))
    (folder / "empty").touch()
    return {path.name: str(path) for path in folder.iterdir()}


@pytest.mark.parametrize("digits", [PROBE, "04da017f454215", "0x04da017f454215", "04:DA:01:7F:45:42:15"])
def test_digits_as_people_paste_them(digits: str) -> None:
    told = run(digits)
    assert code(told) == 0
    assert "Probe: request" in told.stdout
    assert "compressed, empty" in told.stdout


def test_one_object_for_programs() -> None:
    told: dict[str, Any] = json.loads(run(PROBE, "--json").stdout)
    assert told["ok"] is True
    (probe,) = told["parts"]
    assert [part["offset"] for part in probe["parts"]] == [0, 1, 3, 5]
    assert "".join(part["hex"] for part in probe["parts"]) == "04da017f454215"


def test_commands_are_explained_where_the_classic_package_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> None:
        raise UsageError("the classic profile needs a package")

    monkeypatch.setattr("halloo.crypto.classic._rc4", missing)
    told = run(PROBE)
    assert code(told) == 0
    assert "Probe: request" in told.stdout
    assert "Warning" in told.stderr


@pytest.mark.parametrize("name", ["digits", "bytes"])
def test_files_without_packets(files: dict[str, str], name: str) -> None:
    assert "Probe: request" in run(files[name]).stdout


def test_what_makes_no_sense_fails_with_its_place() -> None:
    told = run("04 DA 01 7F", "--json")
    assert code(told) == 1
    assert json.loads(told.stdout)["ok"] is False
    assert "announced" in told.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["xyz"],
        [""],
        ["0"],
        [PROBE, "--from", "nowhere"],
        [PROBE, "--network", "no such file"],
        [PROBE, "--as", "music"],
        [],
    ],
)
def test_wrong_use(arguments: list[str]) -> None:
    assert code(run(*arguments)) == 2


def test_an_empty_file(files: dict[str, str]) -> None:
    assert code(run(files["empty"])) == 2


def test_keys_that_are_none(files: dict[str, str]) -> None:
    told = run(PROBE, "--keys", files["call.pcap"])
    assert code(told) == 2
    assert code(run(PROBE, "--keys", files["call.pcap"] + "-missing")) == 1


def test_a_capture_with_its_keys(files: dict[str, str]) -> None:
    told = run(files["call.pcap"], "--network", files["network.toml"], "--keys", files["keys"], "--json")
    assert code(told) == 0
    *packets, summary = [json.loads(line) for line in told.stdout.splitlines()]
    assert summary["event"] == "summary"
    assert summary["ok"]
    assert summary["explained"] == summary["packets"] == len(packets)
    text = json.dumps(packets)
    for said in ("Invite", "Ringing", "Answer", "Bye", "media time"):
        assert said in text


def test_a_capture_for_people(files: dict[str, str], heard: Overheard) -> None:
    told = run(files["call.pcap"], "--network", heard.town.descriptor.to_link(), "--keys", files["keys"])
    assert "udp 10.2.0.2:40001 -> 10.1.0." in told.stdout
    assert "name: id 0x00, text 'alice'" in told.stdout


def test_a_capture_of_another_network_fails(files: dict[str, str]) -> None:
    told = run(files["call.pcap"])
    assert code(told) == 1
    assert "--network" in told.stderr


def test_a_cut_capture_is_said_and_not_fatal(files: dict[str, str]) -> None:
    told = run(files["cut.pcap"], "--network", files["network.toml"], "--json")
    assert code(told) == 0
    assert "cut short" in json.loads(told.stdout.splitlines()[-1])["remarks"][0]


def test_a_damaged_capture_fails_after_what_came_before(files: dict[str, str]) -> None:
    told = run(files["damaged.pcap"], "--network", files["network.toml"], "--json")
    assert code(told) == 1
    assert json.loads(told.stdout.splitlines()[-1])["explained"] > 10
    assert "damaged" in told.stderr


@pytest.mark.parametrize("profile", ["modern", "classic"])
def test_what_is_said_at_login_with_the_operators_key(profile: str, tmp_path: Path) -> None:
    from halloo.sim.town import Town

    town = Town(1, supernodes=1, profile=profile)
    passed: list[Any] = []
    town.world.tap = passed.append
    town.stranger("ada")
    node = town.node("ada")
    application = Application(purpose=Purpose.SIGN_UP, name="ada", proof=b"proof", key=node.persona.public)
    town.act("ada", node.papers.ask.apply(application, node.persona.private, town.world.now))
    town.world.run(5, lambda: bool(town.world.events(LoginDecided)))
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "letter.key").write_bytes(town.secrets.letter)
    (tmp_path / "network.toml").write_text(town.descriptor.to_toml(), "utf-8")
    capture = tmp_path / "login.pcap"
    capture.write_bytes(pcap(ip_packets(passed)))
    told = run(str(capture), "--network", str(tmp_path), "--keys", str(tmp_path))
    assert code(told) == 0, told.stderr
    for said in ("(sign_up)", "text 'ada'", "blob of 5 bytes", "(ok)", "SignedClaims", "Claims"):
        assert said in told.stdout
