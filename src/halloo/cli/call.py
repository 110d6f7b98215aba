"""``halloo call`` and ``halloo answer``: talk."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import click

from halloo.api.table import report_table
from halloo.call.call import Answered, Interrupted, Rang, Result, Resumed
from halloo.cli.by_node import CONNECTION, answer_by_node, call_by_node
from halloo.cli.session import online_phone, running_node
from halloo.cli.speak import Context, Exit, run
from halloo.messages.name import folded
from halloo.path.reach import Policy
from halloo.runtime.phone import Phone
from halloo.runtime.sound import open_sink, open_source

__all__ = ["answer", "call"]

_IN = click.option("--in", "source", default="mic", show_default=True, metavar="mic|FILE.wav|silence|tone")
_OUT = click.option("--out", "sink", default="speaker", show_default=True, metavar="speaker|FILE.wav|null")


@click.command()
@click.argument("name")
@_IN
@_OUT
@click.option("--for", "seconds", type=click.FloatRange(min=0.1), help="end the call after so many seconds")
@click.option(
    "--path",
    "policy",
    type=click.Choice([way.value for way in Policy]),
    default=Policy.ANY.value,
    show_default=True,
    help="straight to the other side, by a supernode, or whatever works",
)
@click.option("--json", "as_json", is_flag=True)
@click.pass_obj
def call(
    context: Context, name: str, source: str, sink: str, seconds: float | None, policy: str, as_json: bool
) -> None:
    """Call somebody.  Ends when the input file ends, after --for seconds, or on Ctrl-C."""
    table = run(_call(context, name, source, sink, seconds, Policy(policy)))
    context.result(table, _words(table), as_json=as_json)
    if table["result"] != Result.ENDED.value:
        if as_json:
            click.echo(f"halloo: {table['reason']}", err=True)
        raise SystemExit(Exit.NOT_AVAILABLE)


@click.command()
@click.option("--auto", is_flag=True, help="take every call without asking")
@_IN
@_OUT
@click.option("--count", type=click.IntRange(min=1), help="stop after so many calls")
@click.option("--json", "as_json", is_flag=True)
@click.pass_obj
def answer(context: Context, auto: bool, source: str, sink: str, count: int | None, as_json: bool) -> None:
    """Wait for calls and take them."""
    run(_answer(context, auto, source, sink, count, as_json=as_json))


async def _call(
    context: Context, name: str, source: str, sink: str, seconds: float | None, policy: Policy
) -> dict[str, Any]:
    _try_out(source, sink)
    async with running_node(context) as node:
        if node is not None:
            context.progress(f"Calling {name} …")
            return await call_by_node(node, folded(name), source, sink, seconds, policy.value, context.progress)
    with_source = open_source(source)
    async with online_phone(context) as phone:
        phone.on_event = lambda event: _tell(context, phone, event)
        context.progress(f"Calling {name} …")
        call = phone.dial(name, policy)
        report = await phone.follow(call, with_source, open_sink(sink), seconds=seconds)
        return report_table(report, phone.key_change(call))


async def _answer(context: Context, auto: bool, source: str, sink: str, count: int | None, *, as_json: bool) -> None:
    _try_out(source, sink)

    async def ask(name: str) -> bool:
        return auto or await asyncio.to_thread(click.confirm, f"Answer {name}?", default=True, err=True)

    async with running_node(context) as node:
        if node is not None:
            taken = 0
            while count is None or taken < count:
                taken += 1
                table = await answer_by_node(node, source, _numbered(sink, taken), ask, context.progress)
                if table is not None:
                    context.result(table, _words(table), as_json=as_json)
            return
    async with online_phone(context) as phone:
        await _answer_here(context, phone, ask, source, sink, count, as_json=as_json)


async def _answer_here(
    context: Context,
    phone: Phone,
    ask: Callable[[str], Awaitable[bool]],
    source: str,
    sink: str,
    count: int | None,
    *,
    as_json: bool,
) -> None:
    name = phone.account.name if phone.account else ""
    waiting = {"event": "waiting", "name": name, "supernode": str(phone.node.join.supernode)}
    context.result(waiting, f"{name} waits for calls.", as_json=as_json)
    taken = 0
    while count is None or taken < count:
        ringing = await phone.next_call()
        caller = phone.report(ringing).name
        context.progress(f"{caller} calls.")
        _warn(context, phone, ringing)
        if not await ask(caller):
            phone.refuse(ringing)
            continue
        if ringing not in phone.node.calls.ringing:
            continue  # the caller gave up while we were asked
        taken += 1
        report = await phone.answer(ringing, open_source(source), open_sink(_numbered(sink, taken)))
        table = report_table(report, phone.key_change(ringing))
        context.result(table, _words(table), as_json=as_json)


def _try_out(source: str, sink: str) -> None:
    """Find out now, and not when somebody answers, that a file or the sound card cannot be used."""
    open_source(source).close()
    if sink == "speaker":
        open_sink(sink).close()


def _numbered(sink: str, number: int) -> str:
    """The sink of the n-th call: a second recording does not overwrite the first."""
    path = Path(sink)
    return str(path.with_name(f"{path.stem}-{number}{path.suffix}")) if number > 1 and path.suffix else sink


def _warn(context: Context, phone: Phone, call: bytes) -> None:
    change = phone.key_change(call)
    if change is not None:
        context.progress(f"Warning: {change.words}.")


def _tell(context: Context, phone: Phone, event: object) -> None:
    match event:
        case Interrupted():
            context.progress(CONNECTION[True])
        case Resumed():
            context.progress(CONNECTION[False])
        case Rang(outgoing=True):
            context.progress(f"It rings at {event.name}.")
            _warn(context, phone, event.call)
        case Answered(outgoing=True):
            context.progress("Answered.")


def _words(table: dict[str, Any]) -> str:
    if table["answered_at"] is None:
        return str(table["reason"])
    sentence = table["quality"].get("sentence", "")
    if table.get("key_change"):
        sentence += f"\nWarning: {table['key_change']}."
    reason = str(table["reason"])
    reason = reason[:1].upper() + reason[1:]
    return f"Talked {table['duration_s']:.1f} s with {table['name']} ({table['path']}).  {reason}.  {sentence}"
