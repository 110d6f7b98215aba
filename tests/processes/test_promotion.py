"""Real processes: a network of one supernode makes others out of its users' machines, and says so."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from stories import story

from halloo.lab.processes import Part, ProcessNetwork

pytestmark = [pytest.mark.processes, pytest.mark.beside]

NAMES = ("alice", "bob", "carol", "dave", "erin", "frank")
LENDS = ["--supernode", "yes", "--serve-after", "1", "--max-cpu", "100", "--max-clients", "50", "--max-kbps", "800"]


def test_one_supernode_gets_company(tmp_path: Path) -> None:
    async def play(network: ProcessNetwork) -> None:
        for name in NAMES:  # one after another: a password is made slow to guess, and is as slow to sign up with
            await network.sign_up(name)
        parts = [await network.start(name, ["up", "--headless", "--no-lan", *LENDS, "--json"]) for name in NAMES]
        await asyncio.gather(*(part.line("online") for part in parts))
        promoted = await _first(parts, within=90.0)
        status = await network.once(promoted.name, ["status", "--json"])
        assert status["supernode_role"] in ("standby", "member")
        assert status["supernode_consent"] == "yes"
        assert status["supernode_caps"] == {"clients": 50, "kbps": 800, "cpu": 1.0}
        use = status["supernode_use"]
        assert use["clients"] == status["clients"]
        assert 0 <= use["kbps"] < 800
        assert 0 <= use["cpu"] <= 1
        other = next(name for name in NAMES if name != promoted.name)
        found = await network.once(other, ["search", promoted.name, "--exact", "--json"])
        assert [user["name"] for user in found["users"]] == [promoted.name]
        assert (tmp_path / promoted.name / "served.json").exists()

    story(tmp_path, play, count=1)


async def _first(parts: list[Part], within: float) -> Part:
    """Whoever is promoted first."""
    waits = {asyncio.ensure_future(part.line("promoted", within=within)): part for part in parts}
    done, rest = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    for wait in rest:
        wait.cancel()
    return waits[await _ended(done)]


async def _ended(done: set[asyncio.Future[dict[str, object]]]) -> asyncio.Future[dict[str, object]]:
    wait = next(iter(done))
    await wait
    return wait
