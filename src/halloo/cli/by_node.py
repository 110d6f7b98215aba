"""``call`` and ``answer`` through the node that runs in this home, in its command language."""

from __future__ import annotations

import asyncio
import json
import os
import re
from collections.abc import Callable
from typing import Any

from halloo.api.socket import ControlClient
from halloo.base.errors import Unusable

__all__ = ["answer_by_node", "call_by_node"]

_WORDS = ("mic", "speaker", "silence", "tone", "null")
_OVER = ("FINISHED", "BUSY", "REFUSED", "FAILED", "CANCELLED", "MISSED")


async def call_by_node(
    node: ControlClient,
    name: str,
    source: str,
    sink: str,
    seconds: float | None,
    policy: str,
    tell: Callable[[str], None],
) -> dict[str, Any]:
    """Place a call; the report's table when it is over."""
    reply = await node.ask(f"CALL {name} {policy.upper()}")
    number = reply.split()[1]
    try:
        await _sound(node, number, source, sink)
        return await _follow(node, number, seconds, tell)
    except asyncio.CancelledError:
        await node.ask(f"ALTER CALL {number} HANGUP")
        raise


async def answer_by_node(
    node: ControlClient, source: str, sink: str, ask: Callable[[str], Any], tell: Callable[[str], None]
) -> dict[str, Any] | None:
    """Wait for one call and take it, if ``ask`` (a coroutine function of the caller's name) says so."""
    async for line in node.notifications():
        ringing = re.fullmatch(r"CALL (\d+) STATUS RINGING", line)
        if ringing is None:
            continue
        number = ringing[1]
        table = json.loads((await node.ask(f"GET HALLOO CALL {number}")).split(" ", 3)[3])
        if table["outgoing"]:
            continue
        tell(f"{table['name']} calls.")
        if not await ask(table["name"]):
            await node.ask(f"ALTER CALL {number} HANGUP")
            continue
        await _sound(node, number, source, sink)
        await node.ask(f"ALTER CALL {number} ANSWER")
        return await _follow(node, number, None, tell)
    raise Unusable("the node that runs in this home went away")


CONNECTION = ("The connection is there again.", "The connection is interrupted; another way is being looked for.")
"""What is said when it is there again, and when it is not."""


async def _sound(node: ControlClient, number: str, source: str, sink: str) -> None:
    await node.ask(f'ALTER CALL {number} SET_INPUT FILE="{_target(source)}"')
    await node.ask(f'ALTER CALL {number} SET_OUTPUT FILE="{_target(sink)}"')


def _target(text: str) -> str:
    """A file by its whole path: the node has another working directory."""
    return text if text in _WORDS else os.path.abspath(text).replace('"', '""')


async def _follow(
    node: ControlClient, number: str, seconds: float | None, tell: Callable[[str], None]
) -> dict[str, Any]:
    hang_up: asyncio.Task[None] | None = None

    async def end() -> None:
        await asyncio.sleep(seconds or 0)
        await node.say(f"ALTER CALL {number} HANGUP")

    async for line in node.notifications():
        if line.startswith(f"CALL {number} CONNECTION "):
            tell(CONNECTION[line.endswith(" INTERRUPTED")])
        status = re.fullmatch(rf"CALL {number} STATUS (\w+)", line)
        if status is None:
            continue
        if status[1] == "INPROGRESS":
            tell("Answered.")
            if seconds is not None:
                hang_up = asyncio.create_task(end())
        elif status[1] == "RINGING":
            tell("It rings.")
        elif status[1] in _OVER:
            if hang_up is not None:
                hang_up.cancel()
            reply = await node.ask(f"GET HALLOO CALL {number}")
            table: dict[str, Any] = json.loads(reply.split(" ", 3)[3])
            return table
    raise Unusable("the node that runs in this home went away")
