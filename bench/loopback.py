"""The directory as real processes on this machine: how fast a record is put and got, and what it costs to lose a third.

    python -m bench.loopback [--json] [--supernodes 30] [--users 26]

A login server, supernodes and users run as processes of the program; one more user is in this process, and looks for
the others without a pause.  Some of the others talk to each other.  Then a third of the supernodes is killed (SIGKILL)
in the middle of it.  A search counts as failed as long as nobody who is on line is found.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import signal
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from halloo.base.address import Address
from halloo.lab.processes import Part, ProcessNetwork
from halloo.overlay.publish import Published
from halloo.overlay.search import SearchDone
from halloo.runtime.home import Home
from halloo.runtime.phone import Phone

PUTS = 60  # records written while all is well
GETS = 600  # searches while all is well
AFTER = 15.0  # seconds of searches after the loss
CALLS = 3  # that are under way when it happens
AT_ONCE = 4  # users that are set up at the same time: each costs a password hash
TARGETS = {
    "put_ms_p50": ("<=", 15),
    "get_ms_p50": ("<=", 3),
    "get_ms_p99": ("<=", 10),
    "after_get_ms_p99": ("<=", 500),
    "longest_failure_s": ("<=", 2.0),
    "calls_lost": ("<=", 0),
}


async def measure(supernodes: int, users: int, seed: int) -> dict[str, Any]:
    """All figures of one run."""
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory(prefix="halloo-bench-") as folder:
        async with ProcessNetwork(Path(folder), "modern", supernodes=supernodes) as network:
            names = [f"user{number}" for number in range(users)]
            for at in range(0, users, AT_ONCE):
                await asyncio.gather(*(_settle(network, name) for name in names[at : at + AT_ONCE]))
            await network.sign_up("alice")
            home = Home(network.homes / "alice")
            async with Phone(home.descriptor(), home.account(), home.host_cache()[0]) as phone:
                await phone.open(Address.parse("0.0.0.0:0"))
                await phone.come_online()
                return await _measured(network, phone, names, rng)


async def _settle(network: ProcessNetwork, name: str) -> None:
    await network.sign_up(name)
    part = await network.start(name, ["answer", "--auto", "--in", "silence", "--out", "null", "--json"])
    await part.line("waiting")


async def _measured(network: ProcessNetwork, phone: Phone, names: list[str], rng: random.Random) -> dict[str, Any]:
    await asyncio.sleep(5.0)  # the blocks settle, and the map arrives
    calls = await _calls(network, names)
    others = names[2 * CALLS :]
    puts = [await _put(phone) for _ in range(PUTS)]
    before = [await _get(phone, rng.choice(others)) for _ in range(GETS)]
    supernodes = [part for part in network.parts if part.name.startswith("supernode")]
    killed = rng.sample(supernodes, len(supernodes) // 3)
    for part in killed:
        part.process.send_signal(signal.SIGKILL)
    after, failing, longest = [], None, 0.0
    end = time.monotonic() + AFTER
    while time.monotonic() < end:
        began = time.monotonic()
        took = await _get(phone, rng.choice(others))
        if took is None:
            failing = failing or began
            longest = max(longest, time.monotonic() - failing)
        else:
            failing = None
            longest = max(longest, took)
            after.append(took)
        await asyncio.sleep(0.02)
    lost = sum(call.process.returncode is not None for call in calls)
    found = [took for took in before if took is not None]
    return {
        "nodes": len(supernodes) + len(names) + len(calls) + 1,
        "supernodes": len(supernodes),
        "killed": len(killed),
        "put_ms_p50": 1000 * statistics.median(puts),
        "put_ms_p99": 1000 * _percentile(puts, 0.99),
        "get_ms_p50": 1000 * statistics.median(found),
        "get_ms_p99": 1000 * _percentile(found, 0.99),
        "not_found": len(before) - len(found),
        "after_get_ms_p50": 1000 * statistics.median(after),
        "after_get_ms_p99": 1000 * _percentile(after, 0.99),
        "after_searches": len(after),
        "longest_failure_s": longest,
        "calls": len(calls),
        "calls_lost": lost,
    }


async def _calls(network: ProcessNetwork, names: list[str]) -> list[Part]:
    calls = []
    for at in range(CALLS):
        caller = f"caller{at}"
        await network.sign_up(caller)
        arguments = ["call", names[at], "--in", "tone", "--out", "null", "--for", "600", "--json"]
        calls.append(await network.start(caller, arguments))
    await asyncio.sleep(3.0)
    return calls


async def _put(phone: Phone) -> float:
    began = time.perf_counter()
    published = phone.expect(Published)
    now = phone.driver.now
    phone.driver.do(phone.node.act(phone.node.publisher.publish(now), now))
    event = await asyncio.wait_for(published, 10.0)
    assert isinstance(event, Published)
    if not event.copies:
        raise SystemExit(f"a record was refused: {event.reason}")
    return time.perf_counter() - began


async def _get(phone: Phone, name: str) -> float | None:
    """Seconds until somebody was found; None: he was not."""
    began, now = time.perf_counter(), phone.driver.now
    done = phone.expect(SearchDone, where=lambda event: event.name == name)
    _, effects = phone.node.searches.find(name, now)
    phone.driver.do(phone.node.act(effects, now))
    event = await asyncio.wait_for(done, 20.0)
    assert isinstance(event, SearchDone)
    return time.perf_counter() - began if event.entries else None


def _percentile(values: list[float], share: float) -> float:
    ranked = sorted(values)
    return ranked[min(len(ranked) - 1, int(share * len(ranked)))]


def main() -> None:
    """Measure, and say whether the targets are reached."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--supernodes", type=int, default=30)
    parser.add_argument("--users", type=int, default=26)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    figures = asyncio.run(measure(arguments.supernodes, arguments.users, arguments.seed))
    figures = {name: round(value, 3) if isinstance(value, float) else value for name, value in figures.items()}
    if arguments.json:
        print(json.dumps(figures))
    else:
        for name, value in figures.items():
            asked = f"  asked <= {TARGETS[name][1]}" if name in TARGETS else ""
            print(f"{name:20} {value}{asked}")
    sys.exit(0 if all(figures[name] <= most for name, (_, most) in TARGETS.items()) else 1)


if __name__ == "__main__":
    main()
