"""``halloo call`` and ``halloo answer``: talk."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from halloo.call.call import Answered, Rang, Result
from halloo.cli.session import online_phone
from halloo.cli.speak import Context, Exit, run
from halloo.node.switchboard import CallReport
from halloo.path.reach import Policy
from halloo.runtime.sound import Sink, Source, open_sink, open_source

__all__ = ["answer", "call", "report_table"]

_IN = click.option("--in", "source", default="mic", show_default=True, metavar="mic|FILE.wav|silence|tone")
_OUT = click.option("--out", "sink", default="speaker", show_default=True, metavar="speaker|FILE.wav|null")


@click.command()
@click.argument("name")
@_IN
@_OUT
@click.option("--for", "seconds", type=click.FloatRange(min=0.1), help="end the call after so many seconds")
@click.option("--path", "policy", type=click.Choice([way.value for way in Policy]), default=Policy.ANY.value)
@click.option("--json", "as_json", is_flag=True)
@click.pass_obj
def call(
    context: Context, name: str, source: str, sink: str, seconds: float | None, policy: str, as_json: bool
) -> None:
    """Call somebody.  Ends when the input file ends, after --for seconds, or on Ctrl-C."""
    report = run(_call(context, name, source, sink, seconds, Policy(policy)))
    context.result(report_table(report), _words(report), as_json=as_json)
    if report.result is not Result.ENDED:
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
) -> CallReport:
    with_source, with_sink = open_source(source), open_sink(sink)
    async with online_phone(context) as phone:
        phone.on_event = lambda event: _tell(context, event)
        context.progress(f"Calling {name} …")
        return await phone.call(name, with_source, with_sink, policy=policy, seconds=seconds)


async def _answer(
    context: Context, auto: bool, source: str, sink: str, count: int | None, *, as_json: bool
) -> None:
    _ = open_source(source)
    async with online_phone(context) as phone:
        name = phone.account.name if phone.account else ""
        table = {"event": "waiting", "name": name, "supernode": str(phone.node.join.supernode)}
        context.result(table, f"{name} waits for calls.", as_json=as_json)
        taken = 0
        while count is None or taken < count:
            ringing = await phone.next_call()
            caller = phone.report(ringing).name
            context.progress(f"{caller} calls.")
            if not auto and not await asyncio.to_thread(click.confirm, "Answer?", default=True, err=True):
                phone.driver.do(phone.node.act(phone.node.calls.refuse(ringing, phone.driver.now), phone.driver.now))
                continue
            taken += 1
            report = await phone.answer(ringing, _source(source), _sink(sink, taken))
            context.result(report_table(report), _words(report), as_json=as_json)


def _source(text: str) -> Source:
    return open_source(text)


def _sink(text: str, number: int) -> Sink:
    """The sink of the n-th call: a second recording does not overwrite the first."""
    path = Path(text)
    if number > 1 and path.suffix:
        text = str(path.with_name(f"{path.stem}-{number}{path.suffix}"))
    return open_sink(text)


def _tell(context: Context, event: object) -> None:
    match event:
        case Rang(outgoing=True):
            context.progress(f"It rings at {event.name}.")
        case Answered(outgoing=True):
            context.progress("Answered.")


def report_table(report: CallReport) -> dict[str, Any]:
    """A call's report as the contract has it; times in milliseconds unless named otherwise."""
    quality = report.quality
    return {
        "event": "call",
        "name": report.name,
        "result": report.result.value if report.result else None,
        "reason": report.reason,
        "path": report.path.value if report.path else None,
        "route": report.route,
        "setup_ms": _ms(report.setup),
        "first_audio_ms": _ms(report.first_audio),
        "duration_s": round(report.duration, 3),
        "answered_at": report.answered_at,
        "frames_sent": report.frames_sent,
        "frames_played": report.frames_played,
        "frames_concealed": report.frames_concealed,
        "quality": asdict(quality) if quality else {},
        "seconds": [second._asdict() for second in report.seconds],
    }


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 1)


def _words(report: CallReport) -> str:
    if report.answered_at is None:
        return report.reason
    quality = f"  {report.quality.sentence}" if report.quality else ""
    path = report.path.value if report.path else "?"
    return f"Talked {report.duration:.1f} s with {report.name} ({path}).  {report.reason}.{quality}"


