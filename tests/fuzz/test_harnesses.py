"""A short turn of every harness; ``make soak`` gives them their hours."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest
from fuzz._harness import Run, alone
from fuzz.guided import attack, guided

ROOT = Path(__file__).parents[2]
HARNESSES = sorted(path.stem for path in (ROOT / "fuzz").glob("[!_]*.py"))
ALONE = {"live", "guided"}  # real processes: tests/processes has them; atheris: below, where it is


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=110, cwd=ROOT, check=False)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in HARNESSES if name not in ALONE])
def test_a_harness_finds_nothing_in_a_few_seconds(name: str) -> None:
    done = run(f"fuzz.{name}", "--seconds", "2", "--seed", "1", "--json")
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


def test_guidance_runs_where_it_can() -> None:
    pytest.importorskip("atheris")
    run_of_one = Run("guided", 1, 1.0)
    assert guided("wire", 1.0, 1, run_of_one) > 1_000
    assert run_of_one.count["wire edges"] > 30


def test_without_guidance_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "atheris", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    run_of_none = Run("guided", 1, 1.0)
    attack(run_of_none)
    assert (run_of_none.executions, dict(run_of_none.count)) == (0, {"atheris is not installed": 1})


@pytest.mark.parametrize("only", [None, 3])
def test_a_failure_is_kept_with_what_plays_it_again(
    only: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def breaks_in_the_third_round(one: Run) -> None:
        while one.on():
            one.executions += 1
            one.input = one.rng.randbytes(5)
            if one.round == 3:
                raise RuntimeError("as it should")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("fuzz._harness.FOUND", tmp_path / "found")
    monkeypatch.setattr(sys, "argv", ["x", "--seed", "7", "--json", *([] if only is None else ["--round", str(only)])])
    assert alone("broken", breaks_in_the_third_round) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["crash"] == "RuntimeError: as it should"
    assert told["executions"] == (3 if only is None else 1)
    assert "python -m fuzz.broken --seed 7 --round 3" in (tmp_path / "found" / "broken-7-3.txt").read_text("utf-8")
    assert (tmp_path / "found" / "broken-7-3.bin").read_bytes() == Random("7/broken/3").randbytes(5)


@pytest.mark.parametrize(("each", "leaks"), [(0.0, False), (0.01, False), (2.0, True)])
def test_memory_that_grows_is_a_leak(each: float, leaks: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fuzz._harness.resident", lambda: 100 * each)
    one = Run("leaky", 1, 0.0)
    one.began -= 100.0
    one._samples = [(float(second), second * each) for second in range(100)]
    assert one.figures()["leaks"] == leaks
