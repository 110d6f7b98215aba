"""A home without the internet: nobody is where the network's description says, and all find each other."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from island import HOSTS, Island

pytest.importorskip("zeroconf")
pytestmark = [pytest.mark.lab, pytest.mark.slow]

NOWHERE = "203.0.113.1:33033"
LAN = {"HALLOO_LAN": "on"}


@pytest.fixture
def island(tmp_path: Path) -> Iterator[Island]:
    with Island(tmp_path, "") as lab:
        yield lab


def settled(island: Island, profile: str) -> Path:
    """A network whose description names a supernode that is nowhere, and two users who have logged in once."""
    folder = island.folder / "network"
    login = f"{HOSTS['outside']}:33033"
    create = ["network", "create", "home", "--dir", str(folder), "--profile", profile]
    island.once("outside", "maker", *create, "--login", login, "--supernode", NOWHERE)
    server = island.halloo("outside", "login", "serve", "login", "--network", str(folder))
    server.says("login server")
    for place, name in (("inside", "alice"), ("beside", "bob")):
        island.once(place, name, "join", str(folder / "network.toml"))
        island.once(place, name, "signup", name)
    server.stop()
    return folder / "network.toml"


@pytest.mark.parametrize("profile", ["modern", "classic"])
def test_an_island_is_a_network_by_itself(island: Island, profile: str) -> None:
    description = settled(island, profile)
    listen = ["--listen", f"{HOSTS['outside']}:33040"]
    serve = ["serve", "supernode", "--network", str(description), *listen]
    island.halloo("outside", "supernode", *serve, **LAN).says("supernode of")
    bob = island.halloo("beside", "bob", "up", "--json", **LAN)
    online = json.loads(bob.says('"online"', 45))
    assert online["supernode"] == f"{HOSTS['outside']}:33040"
    answering = island.halloo("beside", "bob", "answer", "--auto", "--in", "tone", "--out", "null", **LAN)
    found = json.loads(island.once("inside", "alice", "search", "bob", "--json", **LAN).splitlines()[-1])
    assert found
    call = ["call", "bob", "--in", "tone", "--out", "null", "--for", "2", "--json"]
    report = json.loads(island.once("inside", "alice", *call, **LAN).splitlines()[-1])
    assert report["duration_s"] > 1
    answering.stop()
    # What was found is kept: next time nobody has to be looked for.
    assert HOSTS["outside"] in (island.folder / "alice" / "hostcache").read_text()


def test_who_does_not_want_to_look_finds_nobody(island: Island) -> None:
    description = settled(island, "modern")
    serve = ["serve", "supernode", "--network", str(description), "--listen", f"{HOSTS['outside']}:33040"]
    island.halloo("outside", "supernode", *serve, "--no-lan", **LAN).says("supernode of")
    alice = island.halloo("inside", "alice", "search", "bob", "--json", **LAN)
    assert alice.ends(45) == 4
    assert "no supernode" in alice.said
