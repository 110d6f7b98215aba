"""Run every harness, each in a process of its own, and say what came of it.

    python -m fuzz [--seconds N] [--seed S] [--only NAME]... [--jobs J] [--json]

``--seconds`` is for all of them together.  For each: executions, executions a second, memory and its growth over the
second half, distinct lines and branches of the project that are reached (where ``coverage`` is installed), crashes.
The exit code is 1 when one crashed, hung or leaked; what failed is kept in ``fuzz/found`` with the command that plays
it again.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from fuzz._harness import FOUND

HERE = Path(__file__).parent
HARNESSES = sorted(path.stem for path in HERE.glob("[!_]*.py"))
UNMEASURED = ("guided",)  # its work is done by other processes, which count for themselves
COVERED_FOR = 6.0  # seconds of the pass that measures coverage, at most
PATIENCE = 120.0  # seconds over its time after which a harness hangs: a round of the slowest takes twenty


def run_one(name: str, seconds: float, seed: int) -> dict[str, Any]:
    """One harness in its process; its figures."""
    with tempfile.TemporaryDirectory() as folder:
        mark = Path(folder) / "round"
        command = [
            sys.executable,
            "-X",
            "faulthandler",
            "-m",
            f"fuzz.{name}",
            "--seconds",
            f"{seconds:.1f}",
            "--seed",
            str(seed),
            "--json",
        ]
        try:
            done = subprocess.run(
                [*command, "--mark", str(mark)],
                capture_output=True,
                text=True,
                timeout=seconds + PATIENCE,
                check=False,
            )
            told, said, fate = done.stdout, done.stderr, f"ended with {done.returncode}"
        except subprocess.TimeoutExpired as late:
            told, said, fate = "", str(late.stderr or ""), "hung"
        try:
            figures: dict[str, Any] = json.loads(told.splitlines()[-1])
        except (IndexError, ValueError):  # killed by a signal, or still at it
            number = mark.read_text().strip() if mark.exists() else "1"
            again = f"python -m fuzz.{name} --seed {seed} --round {number}"
            FOUND.mkdir(exist_ok=True)
            kept = FOUND / f"{name}-{seed}-{number}.txt"
            kept.write_text(f"{again}\n\n{fate}\n\n{said}", "utf-8")
            figures = {"harness": name, "seed": seed, "executions": 0, "seconds": seconds, "crash": fate}
            figures["kept"] = str(kept)
    return figures


def covered(name: str, seconds: float, seed: int) -> dict[str, Any] | None:
    """What a short pass reaches; None where it cannot be measured."""
    if importlib.util.find_spec("coverage") is None:
        return None
    command = [sys.executable, "-m", "fuzz._covered", name, "--seconds", f"{seconds:.1f}", "--seed", str(seed)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + PATIENCE, check=False)
    try:
        found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        return None
    return found


def soak(name: str, seconds: float, seed: int) -> dict[str, Any]:
    """One harness, and what it reaches."""
    figures = run_one(name, seconds, seed)
    reached = covered(name, min(COVERED_FOR, seconds), seed) if name not in UNMEASURED else None
    if reached is not None:
        figures["lines"] = sum(len(lines) for lines in reached["lines"].values())
        figures["branches"] = reached["branches"]
        figures["reached"] = reached["lines"]
    return figures


def _row(figures: dict[str, Any]) -> str:
    state = "CRASHED" if "crash" in figures else "LEAKS" if figures.get("leaks") else "nothing found"
    return (
        f"{figures['harness']:12} {figures['executions']:>13,} {figures.get('per_second', 0):>10,}/s "
        f"{figures.get('lines', '-'):>6} lines {figures.get('branches', '-'):>6} branches "
        f"{figures.get('memory_mb', 0):>7} MB {figures.get('growth_mb', 0):>+7} MB  {state}"
    )


def main() -> int:
    """All harnesses; the exit code."""
    options = argparse.ArgumentParser(
        prog="python -m fuzz", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--seconds", type=float, default=60.0, help="for all harnesses together")
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--only", action="append", choices=HARNESSES, metavar="NAME", help=", ".join(HARNESSES))
    options.add_argument("--jobs", type=int, default=1, help="harnesses at once")
    options.add_argument("--json", action="store_true")
    chosen = options.parse_args()
    names = chosen.only or HARNESSES
    each = chosen.seconds * chosen.jobs / len(names)
    done: list[dict[str, Any]] = []
    with ThreadPoolExecutor(chosen.jobs) as pool:
        for figures in pool.map(lambda name: soak(name, each, chosen.seed), names):
            done.append(figures)
            if not chosen.json:
                print(_row(figures), flush=True)
                if "crash" in figures:
                    print(f"             {figures['crash']}; see {figures['kept']}", flush=True)
    reached = {(file, line) for figures in done for file, lines in figures.pop("reached", {}).items() for line in lines}
    crashes = [figures["harness"] for figures in done if "crash" in figures]
    leaks = [figures["harness"] for figures in done if figures.get("leaks")]
    total = sum(figures["executions"] for figures in done)
    if chosen.json:
        print(
            json.dumps({"executions": total, "lines": len(reached), "crashes": crashes, "leaks": leaks, "each": done})
        )
    else:
        print(
            f"in all: {total:,} executions from seed {chosen.seed} by {len(names)} harnesses, "
            f"{len(reached):,} distinct lines reached, {len(crashes)} crashed, {len(leaks)} leak"
        )
    return 1 if crashes or leaks else 0


if __name__ == "__main__":
    sys.exit(main())
