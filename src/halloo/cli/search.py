"""``halloo search``: the white pages."""

from __future__ import annotations

import json
from typing import Any

import click

from halloo.api.table import users_table
from halloo.cli.session import online_phone, running_node
from halloo.cli.speak import Context, Exit, run
from halloo.messages.name import folded

__all__ = ["search"]


@click.command()
@click.argument("text")
@click.option("--exact", is_flag=True, expose_value=False, help="the whole name (the only way so far)")
@click.option("--json", "as_json", is_flag=True)
@click.pass_obj
def search(context: Context, text: str, as_json: bool) -> None:
    """Look somebody up by name."""
    found = run(_search(context, text))
    words = "\n".join(
        f"{user['name']:20} {'on line' if user['online'] else 'off line':9} {user['full_name']} {user['city']}".rstrip()
        for user in found["users"]
    )
    if not found["users"]:
        words = f"No user named {text} was found." + ("" if found["complete"] else "  The directory did not answer.")
    context.result(found, words, as_json=as_json)
    if not found["users"]:
        raise SystemExit(Exit.NOT_AVAILABLE)


async def _search(context: Context, text: str) -> dict[str, Any]:
    name = folded(text)
    async with running_node(context) as node:
        if node is not None:
            reply = await node.ask(f"GET HALLOO USER {name}")
            found: dict[str, Any] = json.loads(reply.removeprefix(f"HALLOO USER {name} "))
            return found
    async with online_phone(context, account=False) as phone:
        return users_table(await phone.search(name), phone.descriptor.ways.suite.digest)
