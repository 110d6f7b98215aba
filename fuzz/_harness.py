"""What every harness shares: rounds from a seed, a clock, a corpus, a watch over memory, and how a failure is kept.

A round is a function of the seed and its number alone, so that ``--seed S --round R`` plays it again.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import statistics
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

__all__ = ["CORPUS", "FOUND", "Run", "alone", "load_corpus"]

CORPUS = Path(__file__).parent / "corpus"
FOUND = Path(__file__).parent / "found"
SAMPLE_EVERY = 0.5  # seconds between looks at the memory
LEAK = 12.0  # megabytes: more growth in the second half of a run of a minute is a leak
LEAK_AFTER = 60.0  # seconds a run must last for its growth to say anything
_PAGE = os.sysconf("SC_PAGE_SIZE")


class Run:
    """One run of one harness, which counts its executions in ``executions`` (and in words in ``count``)."""

    def __init__(self, name: str, seed: int, seconds: float, only_round: int | None = None, limit: int = 0) -> None:
        self.name = name
        self.seed = seed
        self.limit = limit
        """How many executions of each sort are asked for, where a harness counts sorts; 0: as many as time allows."""
        self.executions = 0
        self.count: Counter[str] = Counter()
        self.round = 0
        self.input = b""
        """The bytes given last, which are kept when they fail."""
        self.rng = Random()
        self.corpus = load_corpus(name)
        self.began = time.monotonic()
        self.end = self.began + seconds
        self._seconds = seconds
        self._only = only_round
        self._samples: list[tuple[float, float]] = []
        self._sampled = 0.0
        self._mark = -1

    def on(self) -> bool:
        """Begin the next round, with its own ``rng``; False when there shall be none."""
        now = time.monotonic()
        if now - self._sampled >= SAMPLE_EVERY:
            self._sample(now)
        if self._only is not None:
            if self.round:
                return False
            self.round = self._only
        else:
            if self.round and now >= self.end:
                return False
            self.round += 1
        self.rng = Random(f"{self.seed}/{self.name}/{self.round}")
        if self._mark >= 0:
            os.pwrite(self._mark, b"%-20d" % self.round, 0)
        return True

    @property
    def late(self) -> bool:
        """Whether the time is over: a long round may stop early."""
        return self._only is None and time.monotonic() >= self.end

    def mark(self, path: Path) -> None:
        """Note each round in a file, so that one that kills the process is known."""
        self._mark = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o644)

    def _sample(self, now: float) -> None:
        gc.collect()
        self._sampled = now
        self._samples.append((now - self.began, resident()))

    def figures(self) -> dict[str, Any]:
        """What came of it."""
        took = time.monotonic() - self.began
        self._sample(time.monotonic())
        memory = [size for _, size in self._samples]
        middle = [size for at, size in self._samples if 0.4 * took <= at <= 0.6 * took]
        last = [size for at, size in self._samples if at >= 0.8 * took]
        growth = statistics.median(last) - statistics.median(middle) if middle and last else 0.0
        return {
            "harness": self.name,
            "seed": self.seed,
            "rounds": self.round,
            "executions": self.executions,
            "seconds": round(took, 1),
            "per_second": round(self.executions / max(took, 1e-6)),
            "memory_mb": round(max(memory), 1),
            "growth_mb": round(growth, 2),
            "leaks": growth > LEAK and took >= LEAK_AFTER,
            "count": dict(sorted(self.count.items())),
        }


def resident() -> float:
    """Megabytes of this process in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE / 1e6


def load_corpus(name: str) -> tuple[bytes, ...]:
    """The inputs kept for a harness, in a fixed order."""
    folder = CORPUS / name
    return tuple(path.read_bytes() for path in sorted(folder.glob("*.bin"))) if folder.is_dir() else ()


def keep_failure(run: Run, trace: str) -> Path:
    """Write down what failed and how it is played again."""
    FOUND.mkdir(exist_ok=True)
    stem = FOUND / f"{run.name}-{run.seed}-{run.round}"
    command = f"python -m fuzz.{run.name} --seed {run.seed} --round {run.round}"
    stem.with_suffix(".txt").write_text(f"{command}\n\ninput {run.input.hex()}\n\n{trace}", "utf-8")
    if run.input:
        stem.with_suffix(".bin").write_bytes(run.input)
    return stem.with_suffix(".txt")


def alone(name: str, attack: Callable[[Run], None]) -> int:
    """The command line of one harness: attack until the time is over; the exit code."""
    options = argparse.ArgumentParser(prog=f"python -m fuzz.{name}", description=attack.__doc__)
    options.add_argument("--seconds", type=float, default=10.0)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--round", type=int, help="play this round alone")
    options.add_argument("--datagrams", type=int, default=0, help="how many of each sort, where sorts are counted")
    options.add_argument("--json", action="store_true")
    options.add_argument("--mark", type=Path, help="a file in which the present round is noted")
    chosen = options.parse_args()
    run = Run(name, chosen.seed, chosen.seconds, chosen.round, chosen.datagrams)
    if chosen.mark is not None:
        run.mark(chosen.mark)
    failed = ""
    try:
        attack(run)
    except Exception:
        failed = traceback.format_exc()
    figures = run.figures()
    if failed:
        kept = keep_failure(run, failed)
        figures |= {"crash": failed.strip().splitlines()[-1], "kept": str(kept.relative_to(Path.cwd()))}
        print(failed, file=sys.stderr)
        print(f"FAILED: python -m fuzz.{name} --seed {run.seed} --round {run.round}", file=sys.stderr)
    if chosen.json:
        print(json.dumps(figures))
    else:
        told = ", ".join(f"{n:,} {what}" for what, n in figures["count"].items())
        print(
            f"{name}: {run.executions:,} executions from seed {run.seed} in {run.round:,} rounds, "
            f"{figures['per_second']:,}/s, {figures['memory_mb']} MB, growth {figures['growth_mb']:+} MB"
            + (f": {told}" if told else "")
        )
    return 1 if failed or figures["leaks"] else 0
