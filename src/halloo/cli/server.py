"""``halloo serve login``, ``serve supernode``, ``serve echo``."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from math import inf
from pathlib import Path
from typing import Any

import click

from halloo.base.address import Address
from halloo.base.errors import UsageError
from halloo.base.machine import Event
from halloo.cli.audit import notice
from halloo.cli.network import read_descriptor
from halloo.cli.session import kept_cache, open_phone, read_cache
from halloo.cli.speak import Context, password_option, read_password, run
from halloo.login.auditor import LogContradicted
from halloo.login.carrier import LetterCarried
from halloo.login.limits import Limits
from halloo.login.log import Ledger
from halloo.login.server import Served
from halloo.login.watch import KeysRevoked
from halloo.messages.login import Purpose, Verdict
from halloo.node.descriptor import Descriptor
from halloo.overlay.admission import Pace
from halloo.overlay.clients import ClientGone, ClientTaken
from halloo.overlay.membership import MemberMet
from halloo.path.relayer import RelayBegan, RelayEnded
from halloo.runtime.errands import NotDone
from halloo.runtime.line import Capacity
from halloo.runtime.phone import Phone
from halloo.runtime.serve import NetworkFolder, start_login_server

__all__ = ["serve"]

ECHO = "echo123"
_PURPOSES = {int(purpose): purpose.name.lower() for purpose in Purpose}


@click.group()
def serve() -> None:
    """Run a part of a network: a login server, a supernode, the echo user."""


@serve.command("login")
@click.option("--network", "folder", type=click.Path(file_okay=False, path_type=Path), required=True)
@click.option("--listen", "listens", multiple=True, metavar="ADDR:PORT", help="one for each port")
@click.option("--database", help="sqlite:///FILE or postgresql://…; default: SQLite in the folder")
@click.option(
    "--sign-ups",
    type=click.IntRange(min=1),
    default=Limits().sign_ups_by_host.burst,
    show_default=True,
    help="new accounts from one host before it has to wait",
)
@click.option("--json", "as_json", is_flag=True, help="JSON lines")
@click.pass_obj
def login(
    context: Context, folder: Path, listens: tuple[str, ...], database: str | None, sign_ups: int, as_json: bool
) -> None:
    """A login server, with its accounts."""
    from halloo.runtime.accounts_sql import AccountsInDatabase

    place = NetworkFolder(folder)
    descriptor = place.descriptor()
    addresses = tuple(Address.parse(text) for text in listens) or descriptor.servers
    accounts = AccountsInDatabase(database or place.default_database())
    entered = accounts.carry_over(Ledger(descriptor.ways.suite.digest, descriptor.id))
    if entered:
        context.progress(f"Entered {entered} keys, certified by an earlier version, into the log.")

    def tell(event: Event) -> None:
        if isinstance(event, Served):
            purpose = _PURPOSES.get(event.purpose, str(event.purpose))
            verdict = Verdict(event.verdict).name.lower()
            table = {"event": "served", "purpose": purpose, "name": event.name, "verdict": verdict}
            context.result(table, f"{purpose} {event.name}: {verdict}", as_json=as_json)

    async def work() -> None:
        limits = replace(Limits(), sign_ups_by_host=replace(Limits().sign_ups_by_host, burst=sign_ups))
        driver, listening = await start_login_server(place, accounts, addresses, tell, limits)
        try:
            shown = [str(address) for address in listening]
            table = {"event": "listening", "role": "login", "addresses": shown}
            context.result(table, f"login server of {place.descriptor().name} on {', '.join(shown)}", as_json=as_json)
            await asyncio.Event().wait()
        finally:
            await driver.close()

    try:
        run(work())
    finally:
        accounts.close()


@serve.command("supernode")
@click.option("--network", "source", required=True, metavar="FILE|LINK")
@click.option("--listen", required=True, metavar="ADDR:PORT", help="where others reach it")
@click.option("--tcp", "tcp", default="", metavar="80,443", help="TCP ports besides its own")
@click.option("--max-kbps", type=click.IntRange(min=1), help="kbit/s that it relays for others, at most")
@click.option("--max-clients", type=click.IntRange(min=1), default=800, show_default=True)
@click.option(
    "--logins",
    type=click.FloatRange(min=0.1, max=1000),
    default=Pace().rate,
    show_default=True,
    help="nodes that it takes in a second when many come at once",
)
@click.option("--no-lan", is_flag=True, help="do not tell of it on the local network")
@click.option("--json", "as_json", is_flag=True, help="JSON lines")
@click.pass_obj
def supernode(
    context: Context,
    source: str,
    listen: str,
    tcp: str,
    max_kbps: int | None,
    max_clients: int,
    logins: float,
    no_lan: bool,
    as_json: bool,
) -> None:
    """A supernode from the start."""
    descriptor = read_descriptor(source)
    try:
        ports = tuple(int(port) for port in tcp.split(",") if port.strip())
    except ValueError:
        raise UsageError(f"--tcp takes ports, like 80,443, not {tcp!r}") from None
    context.lan = context.lan and not no_lan
    limits = Capacity(max_clients, 125.0 * max_kbps if max_kbps else inf, Pace(logins, max(1, int(15 * logins))))
    run(_supernode(context, descriptor, Address.parse(listen), ports, limits, as_json=as_json))


@serve.command("echo")
@click.option("--network", "source", required=True, metavar="FILE|LINK")
@click.option("--listen", metavar="ADDR:PORT", help="default: any free port")
@password_option
@click.option("--json", "as_json", is_flag=True, help="JSON lines")
@click.pass_obj
def echo(context: Context, source: str, listen: str | None, password_file: Path | None, as_json: bool) -> None:
    """The test user echo123, who plays your voice back a second later."""
    descriptor = read_descriptor(source)
    context.home.join(descriptor)
    run(_echo(context, listen, password_file, as_json=as_json))


def _tidings(event: Event) -> tuple[dict[str, Any], str] | None:
    """What a supernode should say of an event: a JSON line, and words."""
    match event:
        case ClientTaken():
            return {"event": "client", "name": event.name}, f"{event.name or 'somebody without an account'} attached"
        case ClientGone():
            return {"event": "client_gone"}, "a client left"
        case MemberMet():
            return {"event": "mesh", "supernode": str(event.address)}, f"knows {event.address}"
        case RelayBegan():
            return {"event": "relay", "channels": event.channels}, f"relays ({event.channels} channels)"
        case RelayEnded():
            table = {"event": "relay_ended", "datagrams": event.datagrams, "bytes": event.size}
            return table, f"relayed {event.datagrams} datagrams"
        case KeysRevoked():
            words = f"heard that the keys of {event.names} names were revoked"
            return {"event": "revoked", "names": event.names}, words
        case LetterCarried():
            words = "carried a letter to a login server" + ("" if event.answered else ", in vain")
            return {"event": "letter", "answered": event.answered}, words
        case LogContradicted():
            return notice(event)
    return None


async def _supernode(
    context: Context,
    descriptor: Descriptor,
    listen: Address,
    ports: tuple[int, ...],
    limits: Capacity,
    *,
    as_json: bool,
) -> None:
    def tell(event: Event) -> None:
        said = _tidings(event)
        if said is not None:
            context.result(*said, as_json=as_json)

    cache = read_cache(context, descriptor)
    async with Phone(descriptor, None, cache) as phone, kept_cache(context, cache):
        phone.on_event = tell
        phone.on_warning = lambda words: context.progress(f"Warning: {words}.")
        phone.lan = context.lan
        address = await phone.open(listen, ports, supernode=True, capacity=limits)
        table = {"event": "listening", "role": "supernode", "addresses": [str(address)]}
        context.result(table, f"supernode of {descriptor.name} on {address}", as_json=as_json)
        phone.begin()
        await asyncio.Event().wait()


async def _echo(context: Context, listen: str | None, password_file: Path | None, *, as_json: bool) -> None:
    home = context.home
    if not home.account_path.exists():
        password = read_password(password_file, f"Password of {ECHO}")
        async with open_phone(context, account=False) as phone:
            try:
                account = await phone.apply(Purpose.SIGN_UP, ECHO, password)
            except NotDone:
                account = await phone.apply(Purpose.LOGIN, ECHO, password)
        home.keep_account(account)
    async with open_phone(context, listen=Address.parse(listen) if listen else None) as phone:
        joined = await phone.come_online()
        table = {"event": "online", "name": ECHO, "supernode": str(joined.supernode)}
        context.result(table, f"{ECHO} is on line by {joined.supernode}", as_json=as_json)
        while True:
            ringing = await phone.next_call()
            report = await phone.echo(ringing)
            played: dict[str, Any] = {"event": "call", "name": report.name, "duration_s": round(report.duration, 1)}
            context.result(played, f"played {report.name} back for {report.duration:.1f} s", as_json=as_json)

