"""``join``, ``signup``, ``login``, ``logout``, ``passwd``: which network, and who one is in it."""

from __future__ import annotations

from pathlib import Path

import click

from halloo.base.address import Address
from halloo.cli.network import read_descriptor
from halloo.cli.speak import Context, password_option, read_password, run
from halloo.messages.login import Purpose
from halloo.node.descriptor import grouped
from halloo.runtime.home import Account
from halloo.runtime.phone import Phone

__all__ = ["join", "login", "logout", "passwd", "signup"]


@click.command()
@click.argument("source", metavar="LINK|FILE")
@click.option("--json", "as_json", is_flag=True)
@click.pass_obj
def join(context: Context, source: str, as_json: bool) -> None:
    """Remember a network in this home."""
    descriptor = read_descriptor(source)
    context.home.join(descriptor)
    if descriptor.ways.suite.danger:
        context.progress(f"Warning: {descriptor.ways.suite.danger}")
    table = {"network": descriptor.name, "fingerprint": descriptor.fingerprint, "profile": descriptor.profile}
    words = f"Joined {descriptor.name} ({descriptor.fingerprint}).  Next: halloo signup NAME"
    context.result(table, words, as_json=as_json)


@click.command()
@click.argument("name")
@password_option
@click.option("--json", "as_json", is_flag=True)
@click.pass_obj
def signup(context: Context, name: str, password_file: Path | None, as_json: bool) -> None:
    """Make an account, and log in."""
    password = read_password(password_file, f"Choose a password for {name}")
    _apply(context, Purpose.SIGN_UP, name, password, as_json=as_json)


@click.command()
@click.argument("name")
@password_option
@click.option("--json", "as_json", is_flag=True)
@click.pass_obj
def login(context: Context, name: str, password_file: Path | None, as_json: bool) -> None:
    """Log in: a fresh credential for this machine."""
    _apply(context, Purpose.LOGIN, name, read_password(password_file, f"Password of {name}"), as_json=as_json)


@click.command()
@password_option
@click.option(
    "--new-password-file", type=click.Path(dir_okay=False, path_type=Path), help="read the new password from a file"
)
@click.option("--json", "as_json", is_flag=True)
@click.pass_obj
def passwd(context: Context, password_file: Path | None, new_password_file: Path | None, as_json: bool) -> None:
    """Change the password of who is logged in."""
    name = context.home.account().name
    old = read_password(password_file, f"Present password of {name}")
    new = read_password(new_password_file, "New password", "HALLOO_NEW_PASSWORD")
    _apply(context, Purpose.CHANGE_PASSWORD, name, old, new, as_json=as_json)


@click.command()
@click.option("--json", "as_json", is_flag=True)
@click.pass_obj
def logout(context: Context, as_json: bool) -> None:
    """Forget who is logged in on this machine."""
    name = context.home.account().name
    context.home.forget_account()
    context.result({"name": name}, f"{name} is logged out here.", as_json=as_json)


def _apply(context: Context, purpose: Purpose, name: str, password: str, new: str = "", *, as_json: bool) -> None:
    account = run(_ask(context, purpose, name, password, new))
    context.home.keep_account(account)
    claims = account.claims
    descriptor = context.home.descriptor()
    fingerprint = grouped(descriptor.ways.suite.digest(claims.key)[:16])
    table = {"name": account.name, "fingerprint": fingerprint, "expires": claims.expires}
    context.result(table, f"Logged in as {account.name}.  Fingerprint of this machine: {fingerprint}", as_json=as_json)


async def _ask(context: Context, purpose: Purpose, name: str, password: str, new: str) -> Account:
    descriptor = context.home.descriptor()
    cache, _ = context.home.host_cache()
    async with Phone(descriptor, None, cache) as phone:
        await phone.open(Address.parse("0.0.0.0:0"))
        context.progress(f"Asking the login server of {descriptor.name} …")
        return await phone.apply(purpose, name, password, new)
