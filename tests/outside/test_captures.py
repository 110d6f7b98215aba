"""``halloo decode`` on captures that tcpdump and dumpcap made, beside what Wireshark makes of the same bytes."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import Counter
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
            captures[-1].says({"tcpdump": "listening on", "dumpcap": "Capturing on"}[command[0]])
        keys = {"HALLOO_KEY_LOG": str(folder / "keys")}
        lab.once("inside", "alice", "signup", "alice", **keys)
        lab.run("inside", ["ping", "-c", "2", OUTSIDE])
        lab.once("inside", "alice", "search", "bob", **keys)
        for way in ("any", "relayed"):
            call = ["call", "bob", "--in", "tone", "--out", "null", "--for", "1.5", "--path", way]
            lab.once("inside", "alice", *call, **keys)
        lab.run("inside", [sys.executable, "-c", BABBLE.format(host=OUTSIDE, port=FOREIGN)]).ends()
        time.sleep(0.5)  # what the programs have taken from the system and not written yet: they do not say when
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


# What Wireshark calls the low half of the third byte; it knows no name for the one that forwards.
WIRESHARK = {"payload": 2, "resend": 3, "ack": 5, "nack": 7, "forward": 11, "media": 13, "fragment": 15}
FIELDS = ("frame.number", "skype.som.id", "skype.som.type", "skype.payload.iv", "skype.payload.crc", "skype.ffr.crc",
          "skype.natinfo.srcip", "skype.natrequest.srcip")  # fmt: skip


def field(part: dict[str, object], name: str) -> str:
    """The value that one of a frame's fields is said to have."""
    for one in part["parts"]:  # type: ignore[attr-defined]
        if one["name"] == name:
            return f"{one['hex']} {one.get('meaning', '')}"
        if one.get("parts") and (inner := field(one, name)):
            return inner
    return ""


def test_wireshark_sees_the_same_frames(heard: tuple[str, Path]) -> None:
    """Its dissector of the historic protocol reads our classic datagrams: number, kind, vector, checksum, address."""
    profile, folder = heard
    if profile != "classic":
        pytest.skip("the modern profile shows nothing of its frames")
    command = ["tshark", "-r", str(folder / "lo.pcap"), "-d", "udp.port==1-65535,skype", "-Y", "skype", "-T", "fields"]
    done = subprocess.run(
        [*command, *(part for name in FIELDS for part in ("-e", name))], capture_output=True, check=True, text=True
    )
    theirs = {int(line.split("\t")[0]): line.split("\t")[1:] for line in done.stdout.splitlines()}
    counted: Counter[str] = Counter()
    for packet in decoded(folder, "lo.pcap")[:-1]:
        if packet["way"] != "udp":
            continue
        part = packet["part"]
        number, kind, vector, checksum, resent, told, asked = theirs[packet["number"]]  # type: ignore[index]
        name = part["name"].split()[0]  # type: ignore[index]
        counted[name] += 1
        assert int(kind, 16) == WIRESHARK[name], packet
        assert number.removeprefix("0x") == part["hex"][:4]  # type: ignore[index]
        if name == "payload":
            assert vector.removeprefix("0x") in field(part, "vector"), packet
            assert checksum.removeprefix("0x") in field(part, "check"), packet
        if name == "resend":
            assert resent.removeprefix("0x") in field(part, "check"), packet
        if name in ("ack", "nack"):
            assert (told or asked) in field(part, "host"), packet
    print(counted)
    assert {"payload", "resend", "ack", "nack", "forward", "media"} <= set(counted)


def test_without_keys_the_frames_are_still_told_apart(heard: tuple[str, Path]) -> None:
    _, folder = heard
    with_keys, without = decoded(folder, "lo.pcap"), decoded(folder, "lo.pcap", keys=False)
    assert without[-1]["faults"] == 0
    assert [(one["number"], one["part"]["name"]) for one in without[:-1] if one["way"] == "udp"] == [  # type: ignore[index]
        (one["number"], one["part"]["name"]) for one in with_keys[:-1] if one["way"] == "udp"  # type: ignore[index]
    ]


@pytest.mark.parametrize("name", ["lo.pcap", "one.pcapng"])
def test_a_capture_that_was_cut_or_damaged_is_said_to_be(heard: tuple[str, Path], tmp_path: Path, name: str) -> None:
    _, folder = heard
    whole = (folder / name).read_bytes()
    for file in ("network", "keys"):
        (tmp_path / file).symlink_to(folder / file)
    for size in (5, 24, 25, 200, len(whole) // 2, len(whole) - 1):
        (tmp_path / name).write_bytes(whole[:size])
        decoded(tmp_path, name)
    for at in (0, 4, 8, 20, 24, 28, 32, 36, 40, 500, 5_000):
        broken = bytearray(whole)
        broken[at] ^= 0xFF
        (tmp_path / name).write_bytes(broken)
        decoded(tmp_path, name)


@pytest.mark.parametrize("length", [60, 100])
def test_a_capture_of_heads_alone(heard: tuple[str, Path], tmp_path: Path, length: int) -> None:
    """``tcpdump -s 100``: what was not captured is not taken for damage of the sender."""
    _, folder = heard
    needs("editcap")
    subprocess.run(["editcap", "-s", str(length), str(folder / "lo.pcap"), str(tmp_path / "lo.pcap")], check=True)
    for file in ("network", "keys"):
        (tmp_path / file).symlink_to(folder / file)
    summary = decoded(tmp_path, "lo.pcap")[-1]
    print(summary)
    assert "captured whole" in str(summary["remarks"]), summary
    assert not summary["faults"]
