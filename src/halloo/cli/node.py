"""``halloo up``, ``status``, ``hangup``: the node that runs."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import click

from halloo.api.engine import Engine
from halloo.api.socket import ControlDoor
from halloo.base.address import Address
from halloo.base.machine import Event
from halloo.cli.audit import notice
from halloo.cli.session import open_phone, running_node
from halloo.cli.speak import Context, Exit, run
from halloo.node.roles import Demoted, Promoted
from halloo.overlay.join import Lost
from halloo.overlay.promotion import Consent, Dismissed, Lending

__all__ = ["hangup", "status", "up"]


@click.command()
@click.option("--headless", is_flag=True, expose_value=False, help="no page (there is none so far)")
@click.option("--port", type=click.IntRange(1, 65_535), help="UDP and TCP port; default: the one kept")
@click.option("--listen", metavar="ADDR:PORT", help="address and port")
@click.option(
    "--supernode",
    "consent",
    type=click.Choice([consent.value for consent in Consent]),
    help="serve others when they need it (auto: with an internet address of one's own); default: as last time, or no",
)
@click.option("--max-clients", type=click.IntRange(1, 100_000), help="nodes that are served at most")
@click.option("--max-kbps", type=click.IntRange(min=40), help="kbit/s that others may have, relaying included")
@click.option("--max-cpu", type=click.IntRange(1, 100), help="percent of the processors; above it nobody comes")
@click.option("--serve-after", type=click.FloatRange(0, 86_400), help="seconds on line before that (300)")
@click.option("--no-lan", is_flag=True, help="look for no supernodes on the local network")
@click.option("--json", "as_json", is_flag=True, help="JSON lines")
@click.pass_obj
def up(
    context: Context,
    port: int | None,
    listen: str | None,
    consent: str | None,
    max_clients: int | None,
    max_kbps: int | None,
    max_cpu: int | None,
    serve_after: float | None,
    no_lan: bool,
    as_json: bool,
) -> None:
    """Run the node: on line, reachable, and at the service of the other verbs."""
    context.lan = context.lan and not no_lan
    address = Address.parse(listen) if listen else Address(bytes(4), port) if port else None
    lending, warning = context.home.lending()
    if warning:
        context.progress(f"Warning: {warning}")
    chosen = replace(
        lending,
        consent=Consent(consent) if consent else lending.consent,
        clients=max_clients or lending.clients,
        rate=125.0 * max_kbps if max_kbps else lending.rate,
        cpu=max_cpu / 100 if max_cpu else lending.cpu,
        after=lending.after if serve_after is None else serve_after,
    )
    if chosen != lending:
        context.home.keep_lending(chosen)
    run(_up(context, address, chosen, as_json=as_json))


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


def _told(event: Event) -> tuple[dict[str, Any], str] | None:
    """What is said when the node changes its role."""
    match event:
        case Promoted():
            listening = str(event.listening)
            return {"event": "promoted", "listening": listening}, f"serves others from now on, at {listening}"
        case Dismissed():
            return {"event": "retiring", "reason": event.reason}, f"stops serving others: {event.reason}"
        case Demoted():
            return {"event": "demoted", "reason": event.reason}, "serves others no more"
    return None


async def _up(context: Context, listen: Address | None, lending: Lending, *, as_json: bool) -> None:
    door = ControlDoor(context.home.path / "control.sock")

    def tell(event: Event) -> None:
        said = _told(event) or notice(event)
        if said is not None:
            context.result(*said, as_json=as_json)

    async with open_phone(context, listen=listen, lending=lending) as phone:
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
