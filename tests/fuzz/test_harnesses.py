"""A short turn of every harness; ``make soak`` gives them their hours."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HARNESSES = sorted(path.stem for path in (ROOT / "fuzz").glob("[!_]*.py"))


@pytest.mark.slow
@pytest.mark.parametrize("name", HARNESSES)
def test_a_harness_finds_nothing_in_a_few_seconds(name: str) -> None:
    command = [sys.executable, "-m", f"fuzz.{name}", "--seconds", "6", "--seed", "1"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=110, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "executions" in done.stdout


def test_there_is_a_harness_for_the_entrances() -> None:
    assert {"entrances", "sound"} <= set(HARNESSES)
