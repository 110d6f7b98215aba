"""``halloo search``: the white pages."""

from __future__ import annotations

import json
import time
from typing import Any

import click

from halloo.api.table import browsed_table, users_table
from halloo.cli.session import online_phone, running_node
from halloo.cli.speak import Context, Exit, run
from halloo.messages.name import folded
from halloo.messages.whitepages import query_of
from halloo.runtime.presence import span

__all__ = ["search"]


@click.command()
@click.argument("text")
@click.option("--exact", is_flag=True, help="only who has exactly this name")
@click.option("--limit", type=click.IntRange(1, 1_000), default=20, show_default=True, help="about so many users")
@click.option("--json", "as_json", is_flag=True)
@click.pass_obj
def search(context: Context, text: str, exact: bool, limit: int, as_json: bool) -> None:
    """Look somebody up: by the beginnings of his names, his city, or his e-mail address.

    Several words narrow the search.  A user is found by what he has left findable (halloo profile).
    """
    found = run(_exactly(context, folded(text)) if exact else _in_the_white_pages(context, text, limit))
    words = "\n".join(
        f"{user['name']:20} {_seen(user):22} {user['full_name']} {user['city']}".rstrip()
        for user in found["users"]
    )
    if not found["users"]:
        words = f"No user {'with' if '@' in text else 'named'} {text} was found."
    context.result(found, words + _how_far(found), as_json=as_json)
    if not found["users"]:
        raise SystemExit(Exit.NOT_AVAILABLE)


def _seen(user: dict[str, Any]) -> str:
    return "on line" if user["online"] else f"last seen {span(time.time() - user['seen'])} ago"


def _how_far(found: dict[str, Any]) -> str:
    """What a reader of the result should know of what is missing."""
    if found["complete"]:
        return ""
    if not found.get("blocks"):
        return "\nThe directory did not answer."
    so_far = f"searched {found['searched']} of {found['blocks']} blocks"
    if found["more"]:
        return f"\nThere are more ({so_far}): say more words, or --limit."
    return f"\nNot everybody could be asked: {so_far}."


async def _exactly(context: Context, name: str) -> dict[str, Any]:
    async with running_node(context) as node:
        if node is not None:
            reply = await node.ask(f"GET HALLOO USER {name}")
            found: dict[str, Any] = json.loads(reply.removeprefix(f"HALLOO USER {name} "))
            return found
    async with online_phone(context, account=False) as phone:
        return users_table(await phone.search(name), phone.descriptor.ways.suite.digest, time.time())


async def _in_the_white_pages(context: Context, said: str, limit: int) -> dict[str, Any]:
    if "@" not in said:
        query_of(said)  # what cannot be searched for is said before a network is asked
    async with running_node(context) as node:
        if node is not None:
            reply = await node.ask(f"SEARCH HALLOO USERS {limit} {said}")
            found: dict[str, Any] = json.loads(reply.removeprefix("HALLOO USERS "))
            return found
    async with online_phone(context, account=False) as phone:
        entries, page = await phone.browse(said, limit)
        return browsed_table(entries, page, phone.descriptor.ways.suite.digest, time.time())
