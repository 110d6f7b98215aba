"""How good a call is, on loopback with real processes: set-up, first sound, mouth to ear, quality; what a node costs.

    python -m bench.call [--json] [--calls 50] [--profile modern]

A login server, three supernodes and a callee run as processes of the program; the caller is in this one.  Set-up is
measured over many short calls, quality over one with the shipped speech in each direction and on each path.  Starting
a node is set beside starting a bare Python that imports only asyncio, in the same minute: the ratio is what counts.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from halloo.api.table import report_table
from halloo.base.address import Address
from halloo.lab.processes import ProcessNetwork
from halloo.path.reach import Policy
from halloo.runtime.home import Home
from halloo.runtime.phone import Phone
from halloo.runtime.score import score
from halloo.runtime.sound import WavSource, open_sink, open_source
from halloo.runtime.speech import speech_file

_BARE = "import asyncio; asyncio.run(asyncio.sleep(0))"
STARTS = 10  # nodes started, one after the other
IDLE_SECONDS = 20.0  # over which an idle node's processor time is read
TARGETS = {
    "setup_ms_p50": ("<=", 100),
    "setup_ms_p95": ("<=", 300),
    "first_audio_ms_p50": ("<=", 100),
    "first_audio_ms_p95": ("<=", 300),
    "mouth_to_ear_ms_p50": ("<=", 90),
    "pesq_worst": (">=", 4.2),
    "frames_concealed": ("<=", 0),
    "start_ms_p50": ("<=", 1000),
    "idle_mb": ("<=", 80),
    "idle_cpu_percent": ("<=", 1.0),
}


async def measure(profile: str, calls: int) -> dict[str, Any]:
    """All figures of one run."""
    with tempfile.TemporaryDirectory(prefix="halloo-bench-") as folder:
        async with ProcessNetwork(Path(folder), profile) as network:
            await network.sign_up("alice")
            await network.sign_up("bob")
            await network.sign_up("carol")
            figures = await _short_calls(network, calls)
            figures |= await _long_calls(network, Path(folder))
            figures |= await _node_cost(network)
    return figures


async def _short_calls(network: ProcessNetwork, calls: int) -> dict[str, Any]:
    home = Home(network.homes / "alice")
    bob = await network.start("bob", ["answer", "--auto", "--in", "tone", "--out", "null", "--json"])
    await bob.line("waiting")
    setups: list[float] = []
    firsts: list[float] = []
    async with Phone(home.descriptor(), home.account(), home.host_cache()[0]) as phone:
        await phone.open(Address.parse("0.0.0.0:0"))
        await phone.come_online()
        for _ in range(calls):
            report = await phone.call("bob", open_source("tone"), open_sink("null"), seconds=0.4)
            if report.setup is None or report.first_audio is None:
                raise SystemExit(f"a call failed: {report.reason}")
            setups.append(1000 * report.setup)
            firsts.append(1000 * report.first_audio)
            while phone.node.calls.active:
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.05)
    await network.stop(bob)
    return {
        "calls": calls,
        "setup_ms_p50": _percentile(setups, 50),
        "setup_ms_p95": _percentile(setups, 95),
        "first_audio_ms_p50": _percentile(firsts, 50),
        "first_audio_ms_p95": _percentile(firsts, 95),
    }


async def _long_calls(network: ProcessNetwork, folder: Path) -> dict[str, Any]:
    home = Home(network.homes / "alice")
    said, answered = speech_file("caller"), speech_file("callee")
    seconds = max(WavSource(said).seconds, WavSource(answered).seconds) + 0.5
    arguments = ["answer", "--auto", "--in", str(answered), "--out", str(folder / "bob.wav"), "--count", "2", "--json"]
    bob = await network.start("bob", arguments)
    await bob.line("waiting")
    rows: list[dict[str, Any]] = []
    async with Phone(home.descriptor(), home.account(), home.host_cache()[0]) as phone:
        await phone.open(Address.parse("0.0.0.0:0"))
        await phone.come_online()
        for number, policy in enumerate((Policy.DIRECT, Policy.RELAYED), start=1):
            heard = folder / f"alice-{policy.value}.wav"
            source = _Padded(said, seconds)
            mine = report_table(await phone.call("bob", source, open_sink(str(heard)), policy=policy))
            theirs = await bob.line("call", number)
            recorded = folder / ("bob.wav" if number == 1 else f"bob-{number}.wav")
            rows += [_direction(mine, theirs, said, recorded), _direction(theirs, mine, answered, heard)]
    await network.stop(bob)
    return {
        "mouth_to_ear_ms_p50": round(statistics.median(row["mouth_to_ear_ms"] for row in rows), 1),
        "pesq_worst": round(min(row["score"] for row in rows), 2),
        "measure": rows[0]["measure"],
        "frames_sent": sum(row["sent"] for row in rows),
        "frames_concealed": sum(row["concealed"] for row in rows),
        "directions": rows,
    }


class _Padded:
    """Speech with silence after it, up to a length."""

    def __init__(self, path: Path, seconds: float) -> None:
        self._source = WavSource(path)
        self._left = round(seconds / 0.02)

    def read(self) -> bytes | None:
        self._left -= 1
        return (self._source.read() or bytes(1920)) if self._left >= 0 else None

    def close(self) -> None:
        self._source.close()


def _direction(sender: dict[str, Any], receiver: dict[str, Any], said: Path, heard: Path) -> dict[str, Any]:
    scored = score(said, heard)
    delay = (scored.delay_ms or 0.0) + 1000 * (receiver["answered_at"] - sender["answered_at"])
    return {
        "path": receiver["path"],
        "mouth_to_ear_ms": round(delay, 1),
        "measure": scored.measure,
        "score": scored.value or 0.0,
        "sent": sender["frames_sent"],
        "played": receiver["frames_played"],
        "concealed": receiver["frames_concealed"],
    }


async def _node_cost(network: ProcessNetwork) -> dict[str, Any]:
    """Start to on line, memory, and processor time of an idle node."""
    starts: list[float] = []
    bare: list[float] = []
    for _ in range(STARTS):
        began = time.monotonic()
        node = await network.start("carol", ["up", "--headless", "--json"])
        await node.line("online")
        starts.append(1000 * (time.monotonic() - began))
        await network.stop(node)
        began = time.monotonic()
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", _BARE)
        await process.wait()
        bare.append(1000 * (time.monotonic() - began))
    node = await network.start("carol", ["up", "--headless", "--json"])
    await node.line("online")
    await asyncio.sleep(1.0)
    before = _cpu_seconds(node.process.pid)
    await asyncio.sleep(IDLE_SECONDS)
    cpu = _cpu_seconds(node.process.pid) - before
    memory = _resident_megabytes(node.process.pid)
    await network.stop(node)
    return {
        "start_ms_p50": _percentile(starts, 50),
        "bare_asyncio_ms_p50": _percentile(bare, 50),
        "start_ratio": round(statistics.median(starts) / statistics.median(bare), 1),
        "idle_mb": round(memory, 1),
        "idle_cpu_percent": round(100 * cpu / IDLE_SECONDS, 2),
    }


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _resident_megabytes(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0


def _percentile(values: list[float], percent: int) -> float:
    ordered = sorted(values)
    return round(ordered[min(len(ordered) - 1, len(ordered) * percent // 100)], 1)


def main() -> None:
    """Measure, and say how the figures stand to what was asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--calls", type=int, default=50)
    parser.add_argument("--profile", choices=["modern", "classic"], default="modern")
    arguments = parser.parse_args()
    figures = {"profile": arguments.profile} | asyncio.run(measure(arguments.profile, arguments.calls))
    if arguments.json:
        print(json.dumps(figures))
        return
    for name, value in figures.items():
        if name == "directions":
            continue
        asked = ""
        if name in TARGETS:
            sense, target = TARGETS[name]
            reached = value <= target if sense == "<=" else value >= target
            asked = f"  asked {sense} {target}: {'reached' if reached else 'NOT reached'}"
        print(f"{name:22} {value}{asked}")


if __name__ == "__main__":
    main()
