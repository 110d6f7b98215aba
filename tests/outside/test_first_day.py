"""What a new user reads on the first day, in an empty home, and on the way back from a mistake."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from walled import Running

from halloo.cli.main import VERBS, cli
from halloo.lab.processes import free_ports


@pytest.mark.parametrize("verb", VERBS)
def test_each_verb_says_what_it_does(verb: str) -> None:
    said = CliRunner().invoke(cli, [verb, "--help"])
    assert said.exit_code == 0
    assert len(said.output.split("\n\n")[1].strip()) > 20


@pytest.mark.processes
@pytest.mark.slow
def test_the_words_of_signing_up_and_of_what_follows(tmp_path: Path) -> None:
    login, supernode = (f"127.0.0.1:{port}" for port in free_ports(2))
    environment = {**os.environ, "HALLOO_PASSWORD": "secret", "HALLOO_NEW_PASSWORD": "better"}
    running: list[Running] = []

    def start(home: str, *arguments: str, **more: str) -> Running:
        command = [sys.executable, "-m", "halloo", "--home", str(tmp_path / home), *arguments]
        running.append(Running(command, {**environment, **more}))
        return running[-1]

    def said(home: str, *arguments: str, code: int = 0, **more: str) -> str:
        one = start(home, *arguments, **more)
        assert one.ends() == code, one.said
        return one.said

    try:
        network = str(tmp_path / "village")
        said("x", "network", "create", "village", "--dir", network, "--login", login, "--supernode", supernode)
        start("x", "serve", "login", "--network", network).says("login server")
        described = f"{network}/network.toml"
        start("x", "serve", "supernode", "--network", described, "--listen", supernode).says("supernode of")
        said("alice", "signup", "alice", code=1)
        said("alice", "join", described)
        signed_up = said("alice", "signup", "alice")
        assert "Signed up" in signed_up
        fingerprint = signed_up.rpartition(": ")[2]
        assert f"fingerprint {fingerprint}" in said("alice", "audit")
        said("second", "join", described)
        said("second", "login", "alice")
        assert "certified for another device" in said("alice", "audit", code=1)
        accepted = said("alice", "audit", "--accept")
        assert "certified for a device of yours" in accepted
        assert "certified for this device" in accepted
        assert "All is well" in said("alice", "audit")
        assert "The password is changed" in said("alice", "passwd")
        assert "revoked" in said("second", "audit", code=1)
        assert "wrong name or password" in said("second", "login", "alice", code=3)
        said("second", "login", "alice", HALLOO_PASSWORD="better")
        assert "everywhere" in said("alice", "logout", "--everywhere")
        assert "nobody is logged in here" in said("alice", "audit", code=3)
        assert "No user named dora" in said("alice", "search", "dora", code=5)
    finally:
        for one in reversed(running):
            one.stop()
