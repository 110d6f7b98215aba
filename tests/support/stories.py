"""Stories with real processes: played in a fresh network, with nothing left running whatever happens."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from halloo.lab.processes import Part, ProcessNetwork

__all__ = ["failed", "played", "story"]

Play = Callable[[ProcessNetwork], Awaitable[None]]


async def played(folder: Path, play: Play, *, profile: str = "modern", count: int = 1) -> None:
    """Play a story in a fresh network of ``count`` supernodes, beside others perhaps."""
    async with ProcessNetwork(folder, profile, supernodes=count) as network:
        await play(network)


def story(folder: Path, play: Play, *, profile: str = "modern", count: int = 1) -> None:
    """Play one story alone."""
    asyncio.run(played(folder, play, profile=profile, count=count))


def failed(part: Part, code: int, *words: str) -> None:
    """A verb ended with a code, and its last line says why."""
    assert part.process.returncode == code, part.errors
    for word in words:
        assert word in part.last_words, part.errors
    assert not any("Traceback" in line for line in part.errors)
