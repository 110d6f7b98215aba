"""``halloo search``: the white pages."""

from __future__ import annotations

from typing import Any

import click

from halloo.cli.session import online_phone
from halloo.cli.speak import Context, Exit, run
from halloo.messages.credential import Entry
from halloo.node.descriptor import grouped
from halloo.overlay.search import SearchDone

__all__ = ["search"]


@click.command()
@click.argument("text")
@click.option("--exact", is_flag=True, expose_value=False, help="the whole name (the only way so far)")
@click.option("--json", "as_json", is_flag=True)
@click.pass_obj
def search(context: Context, text: str, as_json: bool) -> None:
    """Look somebody up by name."""
    done = run(_search(context, text))
    digest = context.home.descriptor().ways.suite.digest
    users: list[dict[str, Any]] = [_user(entry, grouped(digest(entry.claims.key)[:16])) for entry in done.entries]
    words = "\n".join(
        f"{user['name']:20} {'on line' if user['online'] else 'off line':9} {user['full_name']} {user['city']}"
        for user in users
    )
    if not users:
        words = f"Nobody called {done.name} was found." + ("" if done.complete else "  The directory did not answer.")
    context.result({"users": users, "complete": done.complete}, words, as_json=as_json)
    if not users:
        raise SystemExit(Exit.NOT_AVAILABLE)


async def _search(context: Context, text: str) -> SearchDone:
    async with online_phone(context, account=False) as phone:
        return await phone.search(text)


def _user(entry: Entry, fingerprint: str) -> dict[str, Any]:
    return {
        "name": entry.name,
        "full_name": entry.listing.full_name,
        "city": entry.listing.city,
        "online": bool(entry.listing.state),
        "fingerprint": fingerprint,
    }
