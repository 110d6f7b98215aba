"""A node in a call takes tens of thousands of datagrams that nobody honest sends, and nobody notices."""

from __future__ import annotations

import asyncio

import pytest
from fuzz.live import bombarded, unharmed

pytestmark = pytest.mark.processes

COUNT = 8_000  # of each sort; ``python -m fuzz.live --datagrams 1000000`` is the whole of it
RATE = 6_000  # a second: what two busy cores pass on without losing any of it


def test_a_call_survives_a_bombardment() -> None:
    told = asyncio.run(bombarded(COUNT, RATE, seed=1, streams=30))
    unharmed(told)
    sent = told["bombardment"]["sent"]
    assert min(sent[sort] for sort in ("random", "mutated", "replayed")) >= COUNT - sent.get("not taken", 0)
    assert sent["streams"] >= 25
    assert told["concealed"] < 0.1 * told["played"], told
