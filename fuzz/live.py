"""A real node in a real call, bombarded over loopback with random, mutated and replayed datagrams and TCP streams.

A login server, a supernode and the callee run as processes of the program; the caller is in this one, and another
process throws, from many sockets, whatever an eavesdropper could make.  Afterwards the callee has said nothing of an
exception, has not grown, has kept its call, and takes another one.

``--datagrams N``: N of each sort at RATE a second; otherwise as many as fit the time.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from fuzz._harness import Run, alone
from halloo.base.address import Address
from halloo.lab.processes import Part, ProcessNetwork
from halloo.runtime.home import Home
from halloo.runtime.phone import Phone
from halloo.runtime.sound import open_sink, open_source

RATE = 10_000  # datagrams a second: a tenth of a gigabit; a core takes some three times as many before it drops sound
LISTENED = 1.5  # seconds of the call that are recorded before the bombardment
SETTLED = 2.0  # seconds after it
GROWTH = 24.0  # megabytes: the tables for strangers filled to their bounds, once
LONGEST = 120.0  # seconds of one bombardment
OTHERS = 15.0  # seconds of a run that the network and the calls around the bombardment take


def attack(run: Run) -> None:
    """One network, one call, one bombardment a round."""
    while run.on():
        seconds = min(LONGEST, max(2.0, run.end - time.monotonic() - OTHERS))
        count = run.limit or int(RATE * seconds / 3)
        told = asyncio.run(bombarded(count, RATE, seed=run.seed, profile="classic" if run.round % 2 == 0 else "modern"))
        sent = told["bombardment"]["sent"]
        run.executions += sum(count for sort, count in sent.items() if sort != "not taken")
        for sort, number in sent.items():
            run.count[sort] += number
        run.count["frames concealed"] += told["concealed"]
        run.count["frames played"] += told["played"]
        run.count["dropped before the node saw them"] += told["dropped"]
        run.count["megabytes grown"] = max(run.count["megabytes grown"], round(told["grown_mb"]))
        run.count["percent of a core"] = max(run.count["percent of a core"], round(told["core_percent"]))
        unharmed(told)
        if run.limit or time.monotonic() > run.end - OTHERS:
            return


def unharmed(told: dict[str, Any]) -> None:
    """Raises AssertionError where harm was done."""
    assert not told["errors"], told["errors"]
    assert told["result"] == "ended", told
    assert told["second"] == "ended", told
    assert told["grown_mb"] <= GROWTH, told
    assert told["played"] > 0, told


async def bombarded(count: int, rate: int, *, seed: int, profile: str = "modern", streams: int = 50) -> dict[str, Any]:
    """``count`` datagrams of each sort at a callee and his supernode, ``rate`` a second (0: full speed)."""
    with tempfile.TemporaryDirectory(prefix="halloo-live-") as folder:
        async with ProcessNetwork(Path(folder), profile, supernodes=1) as network:
            await asyncio.gather(network.sign_up("alice"), network.sign_up("bob"))
            bob = await network.start("bob", ["answer", "--auto", "--in", "tone", "--out", "null", "--json"])
            await bob.line("waiting")
            return await _call_under_fire(network, bob, count, rate, seed, streams)


async def _call_under_fire(
    network: ProcessNetwork, bob: Part, count: int, rate: int, seed: int, streams: int
) -> dict[str, Any]:
    home, pid = Home(network.homes / "alice"), bob.process.pid
    port = Home(network.homes / "bob").port()
    kept = network.homes / "kept"
    async with Phone(home.descriptor(), home.account(), home.host_cache()[0]) as phone:
        await phone.open(Address.parse("0.0.0.0:0"))
        heard = _listen_in(phone)
        await phone.come_online()
        call = phone.dial("bob")
        talk = asyncio.create_task(phone.follow(call, open_source("tone"), open_sink("null")))
        await asyncio.sleep(LISTENED)
        assert call in phone.node.calls.active, phone.report(call).reason
        kept.write_bytes(b"".join(len(data).to_bytes(2, "big") + data for data in heard if len(data) < 65_536))
        before, cpu, lost = _megabytes(pid), _cpu_seconds(pid), _dropped(port)
        supernode = Address.parse(network.supernodes[0])
        order = {
            "at": [["127.0.0.1", port], [supernode.ip, supernode.port]],
            "kept": str(kept),
            "seed": seed,
            "rate": rate,
            **dict.fromkeys(("random", "mutated", "replayed"), count),
            "streams": streams,
        }
        bombardment = await _bombard(order)
        used = _cpu_seconds(pid) - cpu
        await asyncio.sleep(SETTLED)
        grown, dropped = _megabytes(pid) - before, _dropped(port) - lost
        phone.hang_up(call)
        mine = await talk
        theirs = await bob.line("call", 1)
        second = await phone.call("bob", open_source("tone"), open_sink("null"), seconds=1.0)
    return {
        "bombardment": bombardment,
        "result": mine.result.value if mine.result else None,
        "second": second.result.value if second.result and second.frames_played else None,
        "concealed": mine.frames_concealed + theirs["frames_concealed"],
        "played": mine.frames_played + theirs["frames_played"],
        "grown_mb": round(grown, 1),
        "core_percent": round(100 * used / max(0.1, bombardment["seconds"]), 1),
        "dropped": dropped,
        "errors": [line for part in network.parts for line in part.errors if "Error" in line or "Traceback" in line],
    }


def _listen_in(phone: Phone) -> list[bytes]:
    """All datagrams that this phone sends and hears, as an eavesdropper beside it would see them."""
    heard: list[bytes] = []
    station = phone.driver.station
    receive = station.receive

    def listening(data: bytes, *rest: Any) -> Any:
        effects = receive(data, *rest)
        if len(heard) < 2_000:
            heard.append(data)
        return effects

    station.receive = listening  # type: ignore[method-assign]
    transmit = phone.driver._transmit

    def sending(effect: Any) -> None:
        if len(heard) < 2_000:
            heard.append(effect.data)
        transmit(effect)

    phone.driver._transmit = sending  # type: ignore[method-assign]
    return heard


async def _bombard(order: dict[str, Any]) -> dict[str, Any]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "fuzz._bombard"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        cwd=Path(__file__).parents[1],
    )
    try:
        out, _ = await process.communicate(json.dumps(order).encode())
    except BaseException:
        process.kill()
        await process.wait()
        raise
    told: dict[str, Any] = json.loads(out)
    return told


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _megabytes(pid: int) -> float:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def _dropped(port: int) -> int:
    """Datagrams that the system dropped before a socket was read."""
    lines = Path("/proc/net/udp").read_text().splitlines()[1:]
    return sum(int(line.split()[-1]) for line in lines if int(line.split()[1].rpartition(":")[2], 16) == port)


if __name__ == "__main__":
    sys.exit(alone("live", attack))
