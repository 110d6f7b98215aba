"""The tests' own promises: a failure leaves a seed, no home of a person is touched, no module escapes ``make``."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

SEEDED = """
def test_always_fails(seed):
    assert seed < 0

def test_always_passes(seed):
    assert seed >= 0
"""


def tell(folder: Path, *arguments: str) -> str:
    """What a run of the two tests above says."""
    (folder / "conftest.py").write_text((ROOT / "tests" / "conftest.py").read_text("utf-8"), "utf-8")
    (folder / "test_seeded.py").write_text(SEEDED, "utf-8")
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--rootdir", ".", "-c", os.devnull, *arguments]
    return subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, check=False).stdout.decode()


def test_a_failure_tells_its_seed(tmp_path: Path) -> None:
    told = tell(tmp_path, "--seed", "4711")
    assert "test_always_fails' --seed 4711" in told
    assert "1 failed, 1 passed" in told


def test_a_seed_is_the_same_in_every_run(tmp_path: Path) -> None:
    first, second = ([line for line in tell(tmp_path).splitlines() if "--seed" in line] for _ in range(2))
    assert len(first) == 1
    assert first == second


def test_the_home_is_a_temporary_one(tmp_path_factory: pytest.TempPathFactory) -> None:
    assert Path(os.environ["HALLOO_HOME"]).is_relative_to(tmp_path_factory.getbasetemp())


@pytest.mark.parametrize("folder", ["bench", "fuzz"])
def test_what_make_runs_can_be_run(folder: str) -> None:
    """``make bench`` and ``make soak`` start every file of their folder as a module: each must be one."""
    for path in (ROOT / folder).glob("[!_]*.py"):
        assert 'if __name__ == "__main__":' in path.read_text("utf-8"), path.name
