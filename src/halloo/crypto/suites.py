"""The suites there are, by number and by name."""

from __future__ import annotations

from halloo.base.errors import UsageError
from halloo.crypto.classic import CLASSIC
from halloo.crypto.modern import MODERN
from halloo.crypto.plain import PLAIN
from halloo.crypto.suite import Suite

__all__ = ["SUITES", "suite_named"]

SUITES = {suite.number: suite for suite in (PLAIN, CLASSIC, MODERN)}


def suite_named(name: str) -> Suite:
    """The suite of a name.  Raises UsageError."""
    for suite in SUITES.values():
        if suite.name == name:
            return suite
    raise UsageError(f"there is no suite {name!r}; there are {', '.join(suite.name for suite in SUITES.values())}")
