"""``halloo up``, ``status``, ``hangup``: the node that runs."""

from __future__ import annotations

import json
import re
from typing import Any

import click

from halloo.api.engine import Engine
from halloo.api.socket import ControlDoor
from halloo.base.address import Address
from halloo.base.machine import Event
from halloo.cli.audit import notice
from halloo.cli.session import open_phone, running_node
from halloo.cli.speak import Context, Exit, run
from halloo.overlay.join import Lost

__all__ = ["hangup", "status", "up"]


@click.command()
@click.option("--headless", is_flag=True, expose_value=False, help="no page (there is none so far)")
@click.option("--port", type=click.IntRange(1, 65_535), help="UDP and TCP port; default: the one kept")
@click.option("--listen", metavar="ADDR:PORT", help="address and port")
@click.option("--no-lan", is_flag=True, help="look for no supernodes on the local network")
@click.option("--json", "as_json", is_flag=True, help="JSON lines")
@click.pass_obj
def up(context: Context, port: int | None, listen: str | None, no_lan: bool, as_json: bool) -> None:
    """Run the node: on line, reachable, and at the service of the other verbs."""
    context.lan = context.lan and not no_lan
    address = Address.parse(listen) if listen else Address(bytes(4), port) if port else None
    run(_up(context, address, as_json=as_json))


@click.command()
@click.option("--json", "as_json", is_flag=True)
@click.pass_obj
def status(context: Context, as_json: bool) -> None:
    """What the node of this home is doing."""
    table = run(_status(context))
    if table is None:
        context.result({"online": False}, "No node runs in this home; start one: halloo up", as_json=as_json)
        raise SystemExit(Exit.FAILED)
    words = "\n".join(f"{key:15} {value}" for key, value in table.items() if value is not None)
    context.result(table, words, as_json=as_json)


@click.command()
@click.option("--json", "as_json", is_flag=True)
@click.pass_obj
def hangup(context: Context, as_json: bool) -> None:
    """End the call of the node that runs."""
    ended = run(_hang_up(context))
    context.result({"ended": ended}, f"Ended {len(ended)} calls." if ended else "There is no call.", as_json=as_json)
    if not ended:
        raise SystemExit(Exit.FAILED)


async def _up(context: Context, listen: Address | None, *, as_json: bool) -> None:
    door = ControlDoor(context.home.path / "control.sock")

    def tell(event: Event) -> None:
        said = notice(event)
        if said is not None:
            context.result(*said, as_json=as_json)

    async with open_phone(context, listen=listen) as phone:
        phone.on_event = tell
        engine = Engine(phone, door.tell)
        engine.on_profile = context.home.keep_profile
        await door.open(engine)
        try:
            joined = await phone.come_online(None)
            table: dict[str, Any] = {
                "event": "online",
                "name": engine.status()["name"],
                "supernode": str(joined.supernode),
                "public": str(phone.node.observed) if phone.node.observed else None,
                "nat": None,
                "took_ms": round((phone.driver.now - phone.opened_at) * 1000),
            }
            context.result(table, f"{table['name']} is on line by {joined.supernode} ({joined.way}).", as_json=as_json)
            while True:
                lost = await phone.expect(Lost)
                assert isinstance(lost, Lost)
                table = {"event": "lost", "supernode": str(lost.supernode), "reason": lost.reason}
                words = f"{lost.supernode} was lost ({lost.reason}); looking for another."
                context.result(table, words, as_json=as_json)
        finally:
            await engine.close()
            await door.close()


async def _status(context: Context) -> dict[str, Any] | None:
    async with running_node(context) as node:
        if node is None:
            return None
        reply = await node.ask("GET HALLOO STATUS")
        table: dict[str, Any] = json.loads(reply.removeprefix("HALLOO STATUS "))
        return table


async def _hang_up(context: Context) -> list[int]:
    async with running_node(context) as node:
        if node is None:
            return []
        reply = await node.ask("SEARCH ACTIVECALLS")
        numbers = [int(number) for number in re.findall(r"\d+", reply)]
        for number in numbers:
            await node.ask(f"ALTER CALL {number} HANGUP")
        return numbers
