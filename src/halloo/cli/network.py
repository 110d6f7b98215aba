"""``halloo network create`` and ``halloo network show``."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from random import SystemRandom
from typing import Any

import click

from halloo.base.address import Address
from halloo.base.errors import UsageError
from halloo.cli.speak import Context
from halloo.node.descriptor import LINK, Descriptor, create, from_link, from_toml
from halloo.runtime.serve import NetworkFolder

__all__ = ["network", "read_descriptor"]


@click.group()
def network() -> None:
    """Make a network, or look at one's description."""


@network.command("create")
@click.argument("name")
@click.option("--dir", "folder", type=click.Path(file_okay=False, path_type=Path), required=True, help="its folder")
@click.option("--profile", type=click.Choice(["modern", "classic"]), default="modern", show_default=True)
@click.option("--login", "servers", multiple=True, metavar="ADDR:PORT", help="where a login server will listen")
@click.option("--supernode", "supernodes", multiple=True, metavar="ADDR:PORT", help="where a supernode will listen")
@click.option("--json", "as_json", is_flag=True)
@click.pass_obj
def create_network(
    context: Context,
    name: str,
    folder: Path,
    profile: str,
    servers: tuple[str, ...],
    supernodes: tuple[str, ...],
    as_json: bool,
) -> None:
    """Make the keys and the description of a new network."""
    login = tuple(Address.parse(text) for text in servers) or (Address.parse("127.0.0.1:33033"),)
    first = tuple(Address.parse(text) for text in supernodes) or (Address.parse("127.0.0.1:33040"),)
    descriptor, secrets = create(name, profile, login, first, time.time(), SystemRandom())
    danger = descriptor.ways.suite.danger
    if danger:
        context.progress(f"Warning: {danger}")
    place = NetworkFolder(folder)
    place.write(descriptor, secrets)
    context.progress(f"The keys are in {folder / 'secret'}: whoever has them is the network.  Keep a copy.")
    table = {
        "descriptor": str(place.descriptor_path),
        "link": descriptor.to_link(),
        "fingerprint": descriptor.fingerprint,
        "name": name,
        "profile": profile,
    }
    words = f"network      {name}\ndescription  {place.descriptor_path}\nfingerprint  {descriptor.fingerprint}\n\n"
    context.result(table, words + f"To join:\n  halloo join {descriptor.to_link()}", as_json=as_json)


@network.command("show")
@click.argument("source", metavar="FILE|LINK")
@click.option("--json", "as_json", is_flag=True)
@click.pass_obj
def show(context: Context, source: str, as_json: bool) -> None:
    """What a description says; in a terminal also as a QR code."""
    descriptor = read_descriptor(source)
    link = descriptor.to_link()
    table: dict[str, Any] = {
        "descriptor": source if not source.startswith(LINK) else None,
        "link": link,
        "fingerprint": descriptor.fingerprint,
        "name": descriptor.name,
        "profile": descriptor.profile,
        "supernodes": [str(address) for address in descriptor.supernodes],
        "login_servers": [str(address) for address in descriptor.servers],
    }
    words = "\n".join(
        [
            f"network        {descriptor.name}",
            f"profile        {descriptor.profile}",
            f"fingerprint    {descriptor.fingerprint}",
            f"supernodes     {', '.join(table['supernodes'])}",
            f"login servers  {', '.join(table['login_servers'])}",
        ]
    )
    if descriptor.ways.suite.danger:
        words += f"\nwarning        {descriptor.ways.suite.danger}"
    context.result(table, words, as_json=as_json)
    if not as_json and sys.stdout.isatty():
        _draw(link)


def read_descriptor(source: str) -> Descriptor:
    """A descriptor from a join link or a file.

    Raises:
        UsageError: neither, or it was altered.
    """
    if source.startswith(LINK):
        return from_link(source)
    path = Path(source)
    if path.is_dir():
        path = path / "network.toml"
    try:
        return from_toml(path.read_text("utf-8"))
    except FileNotFoundError:
        raise UsageError(f"{source!r} is neither a join link (it begins with {LINK}) nor a file") from None
    except (OSError, UnicodeDecodeError) as fault:
        raise UsageError(f"{source}: {fault}") from None


def _draw(link: str) -> None:
    """A QR code, where the link is short enough for one (hybrid keys are long)."""
    import segno

    try:
        segno.make(link, error="l").terminal(compact=True)
    except segno.DataOverflowError:
        click.echo("(the link is too long for a QR code)", err=True)
