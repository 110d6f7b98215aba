"""``join``, ``signup``, ``login``, ``logout``, ``passwd``: which network, and who one is in it."""

from __future__ import annotations

from pathlib import Path

import click

from halloo.base.address import Address
from halloo.base.errors import UsageError
from halloo.cli.network import read_descriptor
from halloo.cli.session import use_proxy
from halloo.cli.speak import Context, password_option, read_password, run
from halloo.login.log import Ledger
from halloo.messages.login import Purpose
from halloo.messages.name import folded
from halloo.node.descriptor import grouped
from halloo.runtime.errands import holds_its_key
from halloo.runtime.home import Account, NotLoggedIn
from halloo.runtime.phone import Phone

__all__ = ["join", "login", "logout", "passwd", "signup"]


@click.command()
@click.argument("source", metavar="LINK|FILE")
@click.option("--json", "as_json", is_flag=True)
@click.pass_obj
def join(context: Context, source: str, as_json: bool) -> None:
    """Remember a network in this home: the first thing to do, with the link or file that its maker gives you."""
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
    """Make an account, and log in.  The password: prompted for, or HALLOO_PASSWORD, or --password-file."""
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
    """Change the password of who is logged in.  Every other machine of the account is logged out.

    The new one is prompted for, or taken from --new-password-file or HALLOO_NEW_PASSWORD.
    """
    name = context.home.account().name
    old = read_password(password_file, f"Present password of {name}")
    new = read_password(new_password_file, "New password", "HALLOO_NEW_PASSWORD")
    _apply(context, Purpose.CHANGE_PASSWORD, name, old, new, as_json=as_json)


@click.command()
@click.option("--everywhere", is_flag=True, help="on every machine: every key of this account is revoked")
@click.option("--json", "as_json", is_flag=True)
@click.pass_obj
def logout(context: Context, everywhere: bool, as_json: bool) -> None:
    """Forget who is logged in on this machine."""
    account = context.home.account()
    words = f"{account.name} is logged out here."
    if everywhere:
        run(_ask(context, Purpose.REVOKE, account.name, private=account.private))
        words = (
            f"{account.name} is logged out everywhere: no key of this account is renewed any more, and within "
            "about ten minutes no supernode takes one."
        )
    context.home.forget_account()
    context.result({"name": account.name, "everywhere": everywhere}, words, as_json=as_json)


def _apply(context: Context, purpose: Purpose, name: str, password: str, new: str = "", *, as_json: bool) -> None:
    private = _own_key(context, name)
    account = run(_ask(context, purpose, name, password, new, private))
    _keep(context, account)
    _remember(context, account)
    claims = account.claims
    descriptor = context.home.descriptor()
    fingerprint = grouped(descriptor.ways.suite.digest(claims.key)[:16])
    table = {"name": account.name, "fingerprint": fingerprint, "expires": claims.expires}
    done = {Purpose.SIGN_UP: "Signed up and logged", Purpose.CHANGE_PASSWORD: "The password is changed.  Logged"}
    words = f"{done.get(purpose, 'Logged')} in as {account.name}.  Fingerprint of this machine: {fingerprint}"
    if purpose == Purpose.CHANGE_PASSWORD:
        words += "\nOther machines of this account are logged out; log in there again."
    context.result(table, words, as_json=as_json)


def _own_key(context: Context, name: str) -> bytes:
    """The key that this home has for a name already: who knows it should not see another without need."""
    try:
        held = context.home.account()
        whole = holds_its_key(context.home.descriptor(), held)
    except (NotLoggedIn, UsageError):
        return b""
    return held.private if whole and held.name == folded(name) else b""


def _keep(context: Context, account: Account) -> None:
    """Write down who is logged in now; of an account that was damaged, what is left stays beside it."""
    home = context.home
    try:
        if not holds_its_key(home.descriptor(), home.account()):
            home.put_account_aside()
    except NotLoggedIn:
        pass  # there is none, or what is there will be put aside
    home.keep_account(account)


def _remember(context: Context, account: Account) -> None:
    """That this machine had its key certified, so that an audit does not find it strange."""
    memory, warning = context.home.memory()
    if warning:
        context.progress(f"Warning: {warning}")
    descriptor = context.home.descriptor()
    key = Ledger(descriptor.ways.suite.digest, descriptor.id).key(account.claims.key)
    if key not in memory.known:
        memory.known = (*memory.known, key)
    memory.since = memory.since or account.claims.entry
    context.home.keep_memory(account.name, memory)


async def _ask(
    context: Context, purpose: Purpose, name: str, password: str = "", new: str = "", private: bytes = b""
) -> Account:
    descriptor = context.home.descriptor()
    cache, _ = context.home.host_cache()
    async with Phone(descriptor, None, cache) as phone:
        use_proxy(context, phone)
        await phone.open(Address.parse("0.0.0.0:0"))
        context.progress(f"Asking the login server of {descriptor.name} …")
        return await phone.apply(purpose, name, password, new, private)
