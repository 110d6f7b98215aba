"""``halloo profile``: what a user tells of himself, and by what he may be found."""

from __future__ import annotations

import json
from typing import Any

import click

from halloo.cli.session import running_node
from halloo.cli.speak import Context, run
from halloo.runtime.profile import FIELDS

__all__ = ["profile"]


@click.command()
@click.option("--full-name", help="as others shall read it; empty to take it back")
@click.option("--city", help="the same")
@click.option("--email", help="it stays on this machine: only a costly digest is published, if you may be found by it")
@click.option("--findable", metavar="FIELDS", help=f"by what, besides your exact name: of {','.join(FIELDS)}; or none")
@click.option("--json", "as_json", is_flag=True)
@click.pass_obj
def profile(context: Context, /, findable: str | None, as_json: bool, **fields: str | None) -> None:
    """Show what others see of you, or change it.

    Whoever knows your exact name can call you.  By the rest you are found only as far as you say here: at first by
    parts of your name, your full name and your city, where you have told them; never by your e-mail address.
    """
    changes: dict[str, Any] = {key: value.strip() for key, value in fields.items() if value is not None}
    if findable is not None:
        said = [word.strip() for word in findable.split(",")]
        changes["findable"] = [] if said in ([""], ["none"]) else said
    table = run(_profile(context, changes))
    found_by = ", ".join(table["findable"]) or "nothing else"
    words = (
        f"Full name: {table['full_name'] or '-'}\nCity: {table['city'] or '-'}\n"
        f"E-mail (kept here): {table['email'] or '-'}\nFound by: exact name; {found_by}"
    )
    context.result(table, words, as_json=as_json)


async def _profile(context: Context, changes: dict[str, Any]) -> dict[str, Any]:
    kept, warning = context.home.profile()
    if warning:
        context.progress(f"Warning: {warning}")
    if not changes:
        return kept.table()
    context.home.account()
    new = kept.changed(changes)
    async with running_node(context) as node:
        if node is not None:
            reply = await node.ask(f"SET HALLOO PROFILE {json.dumps(new.table())}")
            table: dict[str, Any] = json.loads(reply.removeprefix("HALLOO PROFILE "))
            return table
    context.home.keep_profile(new)
    return new.table()
