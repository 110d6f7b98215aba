"""Programs of others: most of these tests take minutes; ``make outside`` runs all, ``make test`` a little of it."""

from __future__ import annotations

from pathlib import Path

import pytest

SHORT = ("test_first_day.py", "test_calls_across_a_wall[only 443-modern]", "-one bit]", "[one bit-")
HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents and not any(part in item.nodeid for part in SHORT):
            item.add_marker(pytest.mark.long)
