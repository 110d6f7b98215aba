"""``halloo audit``: which keys the network has certified for one's name, and whether its log is whole."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import click

from halloo.base.machine import Event
from halloo.cli.session import open_phone
from halloo.cli.speak import Context, Exit, run
from halloo.login.audit import Report
from halloo.login.auditor import Audited, LogContradicted, Memory
from halloo.login.log import Ledger
from halloo.login.renewal import CredentialExpired, RenewalRefused, Renewed
from halloo.messages.log import EntryKind, LogEntry
from halloo.node.descriptor import grouped

__all__ = ["audit", "notice"]


@click.command()
@click.option("--accept", is_flag=True, help="the keys found are mine: do not warn of them again")
@click.option("--json", "as_json", is_flag=True)
@click.pass_obj
def audit(context: Context, accept: bool, as_json: bool) -> None:
    """Look up in the network's public log which keys were certified for your name."""
    table = run(_audit(context, accept=accept))
    context.result(table, "\n".join(table["words"]), as_json=as_json)
    if not table["clean"]:
        raise SystemExit(Exit.FAILED)


async def _audit(context: Context, *, accept: bool) -> dict[str, Any]:
    contradictions: list[str] = []

    def tell(event: Event) -> None:
        if isinstance(event, LogContradicted):
            contradictions.append(event.words)

    async with open_phone(context) as phone:
        phone.on_event = tell
        report = await phone.audit()
        memory = Memory(phone.memory.known, phone.memory.since)
        if accept:
            mine = tuple(dict.fromkeys((*memory.known, *(entry.key for entry in report.strange))))
            phone.memory.known = memory.known = mine
        assert phone.account is not None
        digest, key = phone.descriptor.ways.suite.digest, phone.account.claims.key
        own = Ledger(digest, phone.descriptor.id).key(key)
        return audit_table(report, memory, contradictions, own, grouped(digest(key)[:16]))


def audit_table(
    report: Report, memory: Memory, contradictions: list[str], own: bytes, fingerprint: str
) -> dict[str, Any]:
    """A report as JSON, with what a person should read under ``words``.

    ``own`` is how this device's key appears in the log, where no key stands as it is; ``fingerprint`` is what users
    compare.
    """
    strange = [entry for entry in report.strange if entry.key not in memory.known]
    faults = [*report.faults, *contradictions]
    return {
        "name": report.name,
        "clean": not strange and not faults and report.revoked is None,
        "log_entries": report.head.count,
        "log_hash": report.head.newest.hex(),
        "entries": [
            {
                "number": entry.number,
                "kind": EntryKind(entry.kind).name.lower() if entry.kind in _KINDS else str(entry.kind),
                "key": entry.key.hex(),
                "at": entry.wall,
                "mine": entry.key in memory.known,
                "strange": entry in strange,
            }
            for entry in report.entries
        ],
        "revoked_at": report.revoked.wall if report.revoked else None,
        "faults": faults,
        "fingerprint": fingerprint,
        "key": own.hex(),
        "words": _words(report, memory, own, fingerprint, strange, faults),
    }


def notice(event: Event) -> tuple[dict[str, Any], str] | None:
    """What a running node should say of an event that concerns the login: a JSON line, and words."""
    match event:
        case CredentialExpired() | RenewalRefused():
            return {"event": "login", "reason": event.reason}, f"Warning: {event.reason}."
        case Renewed():
            when = _when(event.claims.expires)
            return {"event": "renewed", "expires": event.claims.expires}, f"The login was renewed until {when}."
        case LogContradicted():
            evidence = [signed.hex() for signed in event.evidence]
            return {"event": "log", "reason": event.words, "evidence": evidence}, f"Warning: {event.words}."
        case Audited() if not event.report.clean:
            report = event.report
            words = warnings(report.name, list(report.strange), report.revoked, list(report.faults))
            return {"event": "audit", "warnings": words}, "\n".join(f"Warning: {one}." for one in words)
    return None


_KINDS = frozenset(int(kind) for kind in EntryKind)


def _words(
    report: Report, memory: Memory, own: bytes, fingerprint: str, strange: list[LogEntry], faults: list[str]
) -> list[str]:
    out = [f"This device: fingerprint {fingerprint}, in the log as {grouped(own[:8])}."]
    out += [f"The network's log has {report.head.count} entries, {len(report.entries)} of them for {report.name}:"]
    for entry in report.entries:
        if entry.kind == EntryKind.REVOKED:
            out.append(f"  {_when(entry.wall)}  all keys revoked")
            continue
        yours = "a device of yours" if entry.key in memory.known else "another device"
        whose = "this device" if entry.key == own else yours
        out.append(f"  {_when(entry.wall)}  {grouped(entry.key[:8])}  certified for {whose}")
    warned = [f"WARNING: {words}" for words in warnings(report.name, strange, report.revoked, faults)]
    return out + (warned or ["All is well."])


def warnings(name: str, strange: list[LogEntry], revoked: LogEntry | None, faults: list[str]) -> list[str]:
    """What a person should be told, one sentence each."""
    out = [
        f"a key was certified for {name} on {_when(entry.wall)} that this device did not ask for.  If it was you, on "
        "another device: halloo audit --accept.  If not, change your password: halloo passwd"
        for entry in strange
    ]
    if revoked is not None:
        out.append(f"this device's login was revoked on {_when(revoked.wall)}; use: halloo login {name}")
    return out + faults


def _when(wall: int) -> str:
    return datetime.fromtimestamp(wall, UTC).strftime("%Y-%m-%d %H:%M UTC")
