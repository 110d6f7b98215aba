"""A whole network at the degree of bytes: every datagram cloaked, sealed and cut, in virtual time.

    python -m bench.stations [--json] [--nodes 1000] [--supernodes 0] [--profile modern] [--seed 1]

All come within a minute, look for each other, lose a third of the supernodes (0: one for each hundred) in one moment,
come back, and look for each other again.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from random import Random
from typing import Any

from halloo.base.machine import Event
from halloo.overlay.join import State
from halloo.overlay.publish import Published
from halloo.overlay.search import SearchDone
from halloo.sim.figures import quantile
from halloo.sim.town import Town
from halloo.sim.world import Resident

COME = 60.0  # seconds in which all come
SETTLE = 60.0  # seconds more until all should be on line
QUIET = 60.0  # seconds for which an idle network is measured
PER_SUPERNODE = 100
GONE = 1 / 3  # of the supernodes
SEARCHES = 300
BACK = 0.99  # of the users
LEAST_FOUND = 0.9999
MOST_BACK = 125.0  # seconds


class Stage:
    """The network, and who counts."""

    def __init__(self, nodes: int, supernodes: int, profile: str, seed: int) -> None:
        self.town = Town(seed, supernodes=supernodes, profile=profile, spread=True)
        self.world = self.town.world
        self.users = [f"user{i}" for i in range(nodes)]
        self.kept: dict[str, float] = {}
        """By user, when the directory got his record last."""
        self.found: list[tuple[bool, float]] = []
        self._rng = Random(f"{seed}/stations")

    def come(self) -> None:
        """All come, one after another."""
        self.world.run(20.0)
        for i, name in enumerate(self.users):
            self.world.at(COME * i / len(self.users), lambda name=name: self._arrive(name))  # type: ignore[misc]
        self.world.run(self.world.now + COME + SETTLE)
        self.world.story.clear()

    def _arrive(self, name: str) -> None:
        self.town.user(name, owner=self._heard)

    def _heard(self, resident: Resident, event: Event, now: float) -> None:
        if isinstance(event, Published) and event.copies:
            self.kept[resident.name] = now
        if isinstance(event, SearchDone):
            self.found.append((bool(event.entries), event.took))

    def look(self) -> tuple[float, float | None]:
        """Some look for others: (the share that was found, the median of the seconds it took)."""
        self.found.clear()
        for _ in range(SEARCHES):
            who, whom = self._rng.sample(self.users, 2)
            _, effects = self.town.node(who).searches.find(whom, self.world.now)
            self.town.act(who, effects)
            self.world.run(self.world.now + 0.05)
        self.world.run(self.world.now + 10.0)
        return sum(found for found, _ in self.found) / SEARCHES, quantile([took for _, took in self.found], 0.5)

    def on_line(self) -> float:
        """The share of the users that is attached."""
        return sum(self.town.node(name).join.state is State.ATTACHED for name in self.users) / len(self.users)

    def rate(self) -> float:
        """Datagrams and pieces of streams a second of an idle user, signs of life and acknowledgements among them."""
        before = sum(self.world.residents[name].sent for name in self.users)
        self.world.run(self.world.now + QUIET)
        return (sum(self.world.residents[name].sent for name in self.users) - before) / len(self.users) / QUIET

    def storm(self, supernodes: int) -> float | None:
        """A third of the supernodes die: seconds until nearly all records of theirs are kept again; None: never."""
        gone = self._rng.sample(range(supernodes), round(GONE * supernodes))
        addresses = {self.world.residents[f"supernode{i}"].address for i in gone}
        lost = [name for name in self.users if self.town.node(name).join.supernode in addresses]
        at = self.world.now
        for i in gone:
            self.world.kill(f"supernode{i}")
        enough = BACK * len(lost)
        for _ in range(600):
            self.world.run(self.world.now + 1.0)
            back = [name for name in lost if self.kept.get(name, 0.0) > at and self._elsewhere(name, addresses)]
            if len(back) >= enough:
                return self.world.now - at
        return None

    def _elsewhere(self, name: str, gone: set[Any]) -> bool:
        join = self.town.node(name).join
        return join.state is State.ATTACHED and join.supernode not in gone


def measured(nodes: int, supernodes: int, profile: str, seed: int) -> dict[str, Any]:
    """The figures of one network."""
    began = time.process_time()
    supernodes = supernodes or max(6, nodes // PER_SUPERNODE)
    stage = Stage(nodes, supernodes, profile, seed)
    stage.come()
    on_line = stage.on_line()
    found, took = stage.look()
    rate = stage.rate()
    back = stage.storm(supernodes)
    found_after, took_after = stage.look()
    return {
        "nodes": nodes, "supernodes": supernodes, "profile": profile, "seed": seed,
        "on_line": round(on_line, 5),
        "found": found, "found_p50_ms": None if took is None else round(1_000 * took, 1),
        "idle_user_datagrams_per_s": round(rate, 3),
        "back_after_s": None if back is None else round(back, 1),
        "found_after": found_after, "found_after_p50_ms": None if took_after is None else round(1_000 * took_after, 1),
        "virtual_seconds": round(stage.world.now, 1),
        "cpu_seconds": round(time.process_time() - began, 1),
        "memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1_024,
    }


def main() -> None:
    """Measure, and say whether what was asked is reached."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--nodes", type=int, default=1_000)
    parser.add_argument("--supernodes", type=int, default=0)
    parser.add_argument("--profile", default="modern")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    figures = measured(arguments.nodes, arguments.supernodes, arguments.profile, arguments.seed)
    if arguments.json:
        print(json.dumps(figures))
    else:
        for name, value in figures.items():
            print(f"{name:24} {value}")
    good = min(figures["found"], figures["found_after"], figures["on_line"]) >= LEAST_FOUND
    if not good or figures["back_after_s"] is None or figures["back_after_s"] > MOST_BACK:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
