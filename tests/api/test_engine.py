"""The command language, whatever is typed: a reply to each line, and no line costs the program its door."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest

from halloo.api.engine import Engine


@pytest.mark.parametrize("number", ["0", "1", "-1", "9" * 9, "9" * 60_000, "\uff11", "1.0", "x"])
@pytest.mark.parametrize(
    "line", ["GET CALL {} STATUS", "GET CALL {} DURATION", "ALTER CALL {} HANGUP", "GET HALLOO CALL {}"]
)
def test_a_call_that_is_not_there(line: str, number: str) -> None:
    engine = Engine(SimpleNamespace(on_event=lambda _: None, report=None), lambda _: None)  # type: ignore[arg-type]
    assert asyncio.run(engine.hear(line.format(number))) == "ERROR 556 Invalid call id"
    assert asyncio.run(engine.hear("#7 " + line.format(number))) == "#7 ERROR 556 Invalid call id"
