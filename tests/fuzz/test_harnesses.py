"""A short turn of every harness; ``make soak`` gives them their hours."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HARNESSES = sorted(path.stem for path in (ROOT / "fuzz").glob("[!_]*.py"))
ALONE = {"live"}  # starts real processes: tests/processes has it


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=110, cwd=ROOT, check=False)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in HARNESSES if name not in ALONE])
def test_a_harness_finds_nothing_in_a_few_seconds(name: str) -> None:
    done = run(f"fuzz.{name}", "--seconds", "4", "--seed", "1", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["executions"] > 100


def test_there_is_a_harness_for_the_entrances() -> None:
    assert {"entrances", "sound", "wire", "peers", "cloak"} <= set(HARNESSES)


def test_the_runner_sums_up() -> None:
    done = run("fuzz", "--seconds", "1", "--only", "wire", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(done.stdout)
    assert told["crashes"] == told["leaks"] == []
    assert told["executions"] == told["each"][0]["executions"] > 1_000
    assert 100 < told["lines"] < 2_000
