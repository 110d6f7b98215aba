"""Every pure entrance under the guidance of coverage, where atheris is installed; without it nothing is done.

The targets are those of ``fuzz._targets``.  Inputs that reach what no input before them reached are kept for the run;
to keep them for good: ``python -m fuzz._corpus``.  A failing input goes to ``fuzz/found`` and is played again by
``python -m fuzz._guided NAME --play FILE``.
"""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
import tempfile
import time

from fuzz._harness import CORPUS, FOUND, Run, alone
from fuzz._targets import TARGETS

LONGEST = 4_096  # bytes of an input
STALLS = 10  # seconds after which one input hangs
AT_LEAST = 2.0  # seconds of one target


def attack(run: Run) -> None:
    """A turn for each target, the time divided among them."""
    if importlib.util.find_spec("atheris") is None:
        run.count["atheris is not installed"] += 1
        return
    while run.on():
        share = max(AT_LEAST, (run.end - time.monotonic()) / len(TARGETS))
        for name in TARGETS:
            run.executions += guided(name, share, run.seed + run.round, run)


def guided(name: str, seconds: float, seed: int, run: Run) -> int:
    """One target; how often it was called.  Raises AssertionError where it failed."""
    FOUND.mkdir(exist_ok=True)
    kept = CORPUS / name
    with tempfile.TemporaryDirectory() as fresh:
        done = subprocess.run(
            [
                *(sys.executable, "-m", "fuzz._guided", name, fresh, *([str(kept)] if kept.is_dir() else [])),
                *(f"-max_total_time={seconds:.0f}", f"-seed={seed}", f"-max_len={LONGEST}", f"-timeout={STALLS}"),
                *("-print_final_stats=1", f"-artifact_prefix={FOUND}/guided-{name}-", "-rss_limit_mb=1024"),
            ],
            capture_output=True,
            text=True,
            timeout=seconds + 120,
            check=False,
        )
    told = done.stderr + done.stdout
    assert done.returncode == 0, f"{name}: {told[-3_000:]}"
    counted = re.search(r"stat::number_of_executed_units:\s*(\d+)", told)
    reached = re.findall(r"cov: (\d+) ft: (\d+)", told)
    assert counted is not None, told[-2_000:]
    run.count[name] += int(counted[1])
    if reached:
        run.count[f"{name} edges"] = max(run.count[f"{name} edges"], int(reached[-1][0]))
    return int(counted[1])


if __name__ == "__main__":
    sys.exit(alone("guided", attack))
