"""``halloo presence``: what one shows of oneself and to whom, and what one sees of others."""

from __future__ import annotations

import json
from typing import Any

import click

from halloo.cli.session import open_phone, running_node
from halloo.cli.speak import Context, run
from halloo.runtime.presence import SEEN_BY, STATES

__all__ = ["presence"]


@click.command()
@click.argument("state", required=False, type=click.Choice(list(STATES)))
@click.option("--mood", metavar="TEXT", help="a line that those who may watch you see; empty to take it back")
@click.option("--seen-by", type=click.Choice(list(SEEN_BY)), help="who sees your state: those whom you allow, or all")
@click.option("--allow", metavar="NAME", multiple=True, help="let somebody see your presence")
@click.option("--deny", metavar="NAME", multiple=True, help="let him see it no longer")
@click.option("--watch", metavar="NAME", multiple=True, help="see somebody's presence, if he lets you")
@click.option("--unwatch", metavar="NAME", multiple=True, help="see it no longer")
@click.option("--json", "as_json", is_flag=True)
@click.pass_obj
def presence(context: Context, /, *, as_json: bool, **said: Any) -> None:
    """Show your presence and that of those whom you watch, or change it.

    Only those whom you allow see whether you are on line, away or not to be disturbed, and your mood.  Others who know
    your name learn no more than whether a call may reach you.  What you see of others comes with its age: "on line" is
    not said of somebody whom nobody has heard of for half an hour.
    """
    changes = {key: list(value) if isinstance(value, tuple) else value for key, value in said.items() if value}
    if said["mood"] is not None:
        changes["mood"] = said["mood"].strip()
    table = run(_presence(context, changes))
    lines = [f"You are {table['state']}{': ' + table['mood'] if table['mood'] else ''} (seen by {table['seen_by']})"]
    waiting = ["" if one["given"] else " (does not know yet)" for one in table["allowed"]]
    allowed = [one["name"] + more for one, more in zip(table["allowed"], waiting, strict=True)]
    lines += [f"Allowed: {', '.join(allowed) or 'nobody'}"]
    lines += [f"{one['name']}: {one['words']}" for one in table["watched"]]
    context.result(table, "\n".join(lines), as_json=as_json)


async def _presence(context: Context, changes: dict[str, Any]) -> dict[str, Any]:
    context.home.account()
    async with running_node(context) as node:
        if node is not None:
            line = f"SET HALLOO PRESENCE {json.dumps(changes)}" if changes else "GET HALLOO PRESENCE"
            table: dict[str, Any] = json.loads((await node.ask(line)).removeprefix("HALLOO PRESENCE "))
            return table
    async with open_phone(context) as phone:  # off line: it is told when the node runs
        phone.present(changes)
        return phone.presences()
