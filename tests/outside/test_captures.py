"""``halloo decode`` on captures that tcpdump and dumpcap made, beside what Wireshark makes of the same bytes."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from walled import INSIDE, OUTSIDE, Walled, needs

pytestmark = [pytest.mark.lab, pytest.mark.slow]

FOREIGN = 7_077  # a port of nobody in the network
CAPTURES = {
    "lo.pcap": ("tcpdump", "-i", "{interface}", "-U", "-w", "{path}"),
    "any.pcap": ("tcpdump", "-i", "any", "-U", "-w", "{path}"),
    "nano.pcap": ("tcpdump", "-i", "{interface}", "-U", "--time-stamp-precision=nano", "-w", "{path}"),
    "sll1.pcap": ("tcpdump", "-i", "any", "-U", "-y", "LINUX_SLL", "-w", "{path}"),
    "one.pcapng": ("dumpcap", "-q", "-i", "{interface}", "-w", "{path}"),
    "any.pcapng": ("dumpcap", "-q", "-i", "any", "-w", "{path}"),
    "many.pcapng": ("dumpcap", "-q", "-i", "{interface}", "-i", "lo", "-w", "{path}"),
}
BABBLE = (
    "import socket,os,urllib.request,time\n"
    "u=socket.socket(socket.AF_INET,socket.SOCK_DGRAM)\n"
    "for n in range(60): u.sendto(os.urandom(n*9),('{host}',{port}))\n"
    "u.sendto(bytes.fromhex('abcd01000001000000000000076578616d706c6503636f6d0000010001'),('{host}',53))\n"
    "t=socket.create_connection(('{host}',{port}));t.sendall(b'GET / HTTP/1.0\\r\\n\\r\\n');print(len(t.recv(99999)))\n"
)


@pytest.fixture(scope="module", params=["modern", "classic"])
def heard(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """The profile, and a folder with captures of all that alice said and heard: signing up, searching, a call."""
    needs("tcpdump", "dumpcap", "tshark")
    folder = tmp_path_factory.mktemp("captures")
    with Walled(folder, "accept") as lab:
        network = lab.network(request.param, supernodes=1)
        for name, place in (("bob", "beside"), ("alice", "inside")):
            lab.once(place, name, "join", str(network))
        lab.once("beside", "bob", "signup", "bob")
        waits = lab.halloo("beside", "bob", "answer", "--auto", "--in", "tone", "--out", "null", "--json")
        waits.says("waiting")
        lab.run("outside", [sys.executable, "-m", "http.server", str(FOREIGN)])
        open_folder = lab.open_folder()  # the programs write as somebody else
        open_folder.chmod(0o777)
        captures = []
        for name, command in CAPTURES.items():
            values = {"interface": lab.interface("inside"), "path": open_folder / name}
            captures.append(lab.run("inside", [part.format(**values) for part in command]))
        time.sleep(1.5)
        keys = {"HALLOO_KEY_LOG": str(folder / "keys")}
        lab.once("inside", "alice", "signup", "alice", **keys)
        lab.run("inside", ["ping", "-c", "2", OUTSIDE])
        lab.once("inside", "alice", "search", "bob", **keys)
        lab.once("inside", "alice", "call", "bob", "--in", "tone", "--out", "null", "--for", "1.5", **keys)
        lab.once("inside", "alice", "call", "bob", "--in", "tone", "--out", "null", "--for", "1", "--path", "relayed", **keys)
        lab.run("inside", [sys.executable, "-c", BABBLE.format(host=OUTSIDE, port=FOREIGN)]).ends()
        time.sleep(0.5)
        for capture in captures:
            capture.stop()
        for name in CAPTURES:
            content = (open_folder / name).read_bytes() if (open_folder / name).exists() else b""
            (folder / name).write_bytes(content)
    return request.param, folder


def decoded(folder: Path, name: str, *, keys: bool = True) -> list[dict[str, object]]:
    """The JSON lines of a capture."""
    given = ["--keys", str(folder / "keys"), "--keys", str(folder / "network")] if keys else []
    command = [sys.executable, "-m", "halloo", "decode", str(folder / name), "--json"]
    done = subprocess.run(
        [*command, "--network", str(folder / "network" / "network.toml"), *given], capture_output=True, check=False
    )
    assert b"Traceback" not in done.stderr, done.stderr.decode()
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.parametrize("name", CAPTURES)
def test_everything_of_ours_is_explained_and_nothing_else(heard: tuple[str, Path], name: str) -> None:
    profile, folder = heard
    assert (folder / name).stat().st_size > 10_000
    *packets, summary = decoded(folder, name)
    print(profile, name, summary)
    assert summary["ok"], summary
    assert not summary["remarks"]
    for packet in packets:
        assert str(FOREIGN) not in f"{packet['from']} {packet['to']}", packet
        assert INSIDE in f"{packet['from']} {packet['to']}"
    assert summary["foreign"] > 0
