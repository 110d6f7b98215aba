"""What the directory costs and how it fares in storms: the code of real nodes in virtual time, beside a Kademlia.

    python -m bench.overlay [--json] [--nodes 10000] [--seed 1] [--storms] [--crowd 1000000]

Ours is the scenario ``churn`` of the simulator.  The Kademlia, k = 20 and alpha = 3, has as many nodes as ours has
supernodes, the same lifetimes, the same distances and as many records for each node; it is an ideal one, see
``_kademlia``.  Both also with 30 of 100 nodes dead at once.  ``--storms`` adds the scenarios of the two great outages.
``--crowd``: so many come and go as a crowd for six minutes (0: none), for its memory and its speed.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import time
from typing import Any

from bench._kademlia import kademlia
from bench.crowd import LEAST_SPEED, MOST_MEMORY, large
from halloo.base.address import Peer, Wire
from halloo.base.effects import Link, Send
from halloo.base.machine import Effects
from halloo.link.notice import Heard, Notice
from halloo.link.persona import Persona
from halloo.messages.overlay import Ping
from halloo.sim.figures import Criterion
from halloo.sim.mindtown import MindTown, user_address
from halloo.sim.play import Setting
from halloo.sim.scenarios.catalogue import SCENARIOS

LOOKUPS = 3_000
CROWD_HOURS = 0.1
STORMS = ("s-2007", "s-2010", "s-90", "s-split", "s-build")
TARGETS: dict[str, tuple[str, float]] = {
    "search_success": (">=", 0.9999),
    "recent_success": (">=", 0.999),
    "search_round_trips": ("<=", 1.6),
    "search_messages": ("<=", 3.2),
    "search_p50_ms": ("<=", 145),
    "search_p99_ms": ("<=", 500),
    "node_idle_bits_per_s": ("<=", 100),
    "supernode_bytes_per_s_at_800": ("<=", 5_000),
    "world_messages_per_s": (">=", 100_000),
    "crowd_memory_mb": ("<=", MOST_MEMORY),
    "crowd_times_faster_than_life": (">=", LEAST_SPEED),
}


class _Echo:
    """A mind that says back what it hears, and thinks nothing: what is left is the world's own work."""

    def __init__(self, rounds: int) -> None:
        self.left = rounds
        self.wake_at = float("inf")

    def receive(self, notice: Notice, now: float) -> Effects:
        """Say it back."""
        if isinstance(notice, Heard) and self.left:
            self.left -= 1
            return [Send(notice.sender, notice.message)]
        return []

    def wake(self, now: float) -> Effects:
        """Nothing is due."""
        return []


def world_speed(pairs: int = 500, rounds: int = 400) -> float:
    """Messages a second that a world of minds carries, between minds that do not think."""
    town = MindTown(1, supernodes=0)
    world = town.world
    for i in range(2 * pairs):
        address = user_address(i, inside=False)
        rng = world.rng(f"echo{i}")
        persona = Persona(town.suite, town.notary, town.suite.identity.make(rng), b"", rng)
        world.settle(f"echo{i}", _Echo(rounds), persona, address, knows=True)
    for i in range(pairs):
        begins = world.dwellers[f"echo{2 * i}"]
        route = Wire(user_address(2 * i + 1, inside=False))
        world.carry_out(begins, [Link(Peer(1), route), Send(Peer(1), Ping(request=i))])
    world.run(1.0)
    before, began = world.delivered, time.perf_counter()
    world.run(1_000.0)
    return (world.delivered - before) / (time.perf_counter() - began)


def measure(nodes: int, seed: int, *, storms: bool, crowd: int) -> dict[str, Any]:
    """All figures."""
    figures: dict[str, Any] = {"world_messages_per_s": round(world_speed())}
    setting = Setting(nodes=nodes, seed=seed, calls=min(100, nodes // 50))
    began = time.perf_counter()
    churn = SCENARIOS["churn"].play(setting, None)
    took = time.perf_counter() - began
    figures |= churn.figures
    figures["times_faster_than_life"] = round(churn.figures["virtual_seconds"] / took, 2)
    figures["memory_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1_024
    values = nodes / setting.supernodes
    figures["kademlia"] = kademlia(setting.supernodes, seed, LOOKUPS, values=values)
    figures["kademlia_30_killed"] = kademlia(setting.supernodes, seed, LOOKUPS, killed=0.3, values=values)
    figures["kademlia_10k"] = kademlia(10_000, seed, LOOKUPS, values=values)
    if storms:
        for name in STORMS:
            figures[name] = SCENARIOS[name].play(setting, None).table()
    if crowd:
        figures["crowd"] = large(crowd, CROWD_HOURS, seed)
        figures |= {name: value for name, value in figures["crowd"].items() if name.startswith("crowd_")}
    figures["reached"] = {
        name: Criterion(
            name, "", least=bound if sense == ">=" else None, most=bound if sense == "<=" else None
        ).met(figures)
        for name, (sense, bound) in TARGETS.items()
        if crowd or not name.startswith("crowd_")
    }
    return figures


def main() -> None:
    """Measure, and say how the figures stand to what was asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--nodes", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--storms", action="store_true", help="also the scenarios of outages; minutes each")
    parser.add_argument("--crowd", type=int, default=1_000_000)
    arguments = parser.parse_args()
    figures = measure(arguments.nodes, arguments.seed, storms=arguments.storms, crowd=arguments.crowd)
    if arguments.json:
        print(json.dumps(figures))
        return
    for name, value in figures.items():
        if name == "reached" or isinstance(value, list):
            continue
        if isinstance(value, dict):
            print(f"{name}: {', '.join(f'{key} {held}' for key, held in value.items() if not isinstance(held, dict))}")
            continue
        asked = ""
        if name in TARGETS:
            sense, target = TARGETS[name]
            asked = f"  asked {sense} {target:g}: {'reached' if figures['reached'][name] else 'NOT reached'}"
        print(f"{name:32} {value}{asked}")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
