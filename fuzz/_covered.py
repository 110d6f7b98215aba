"""Which lines and branches of the project a harness reaches: a short pass of its own, for measuring slows it down.

    python -m fuzz._covered NAME --seconds N --seed S        one line of JSON: {"lines": {file: […]}, "branches": n}

Lines that only an import runs are not counted.
"""

from __future__ import annotations

import argparse
import importlib
import json
import warnings
from pathlib import Path

from fuzz._harness import Run

SOURCE = Path(__file__).parents[1] / "src" / "halloo"


def main() -> None:
    """Measure one harness."""
    options = argparse.ArgumentParser()
    options.add_argument("name")
    options.add_argument("--seconds", type=float, default=5.0)
    options.add_argument("--seed", type=int, default=1)
    chosen = options.parse_args()
    import coverage

    harness = importlib.import_module(f"fuzz.{chosen.name}")
    warnings.simplefilter("ignore")
    measured = coverage.Coverage(data_file=None, config_file=False, branch=True, include=[f"{SOURCE}/*"])
    measured.start()
    try:
        harness.attack(Run(chosen.name, chosen.seed, chosen.seconds))
    finally:
        measured.stop()
    data = measured.get_data()
    files = {name: data.lines(name) or [] for name in data.measured_files()}
    lines = {str(Path(name).relative_to(SOURCE)): sorted(found) for name, found in files.items() if found}
    print(json.dumps({"lines": lines, "branches": sum(len(data.arcs(name) or []) for name in files)}))


if __name__ == "__main__":
    main()
