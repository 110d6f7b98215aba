"""The parser and the table of verbs: ``halloo [--home DIR] VERB …``.  A verb's file is read when it is used."""

from __future__ import annotations

import importlib
from pathlib import Path

import click

from halloo import __version__
from halloo.base.errors import HallooError

__all__ = ["main"]

# verb -> (file in this folder, its command)
VERBS = {
    "answer": ("call", "answer"),
    "audit": ("audit", "audit"),
    "call": ("call", "call"),
    "decode": ("decode", "decode"),
    "demo": ("demo", "demo"),
    "hangup": ("node", "hangup"),
    "join": ("account", "join"),
    "login": ("account", "login"),
    "logout": ("account", "logout"),
    "network": ("network", "network"),
    "passwd": ("account", "passwd"),
    "presence": ("presence", "presence"),
    "profile": ("profile", "profile"),
    "search": ("search", "search"),
    "serve": ("server", "serve"),
    "sim": ("sim", "sim"),
    "signup": ("account", "signup"),
    "status": ("node", "status"),
    "up": ("node", "up"),
}


class _Verbs(click.Group):
    """Verbs that are imported only when they are used: a phone should answer at once."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(VERBS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in VERBS:
            return None
        file, attribute = VERBS[name]
        found: click.Command = getattr(importlib.import_module(f"halloo.cli.{file}"), attribute)
        return found


@click.group(cls=_Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--home", type=click.Path(file_okay=False, path_type=Path), help="everything of one user, in this folder")
@click.option("-q", "--quiet", is_flag=True, help="no progress")
@click.option("-v", "--verbose", is_flag=True, help="more of it")
@click.version_option(__version__, prog_name="halloo")
@click.pass_context
def cli(context: click.Context, home: Path | None, quiet: bool, verbose: bool) -> None:
    """A telephone network made of its users' own machines."""
    from halloo.cli.speak import Context
    from halloo.runtime.home import Home

    context.obj = Context(Home(home), quiet, verbose)


def main() -> None:
    """The program."""
    try:
        cli()
    except HallooError as fault:
        from halloo.cli.speak import fault_code

        click.echo(f"halloo: {fault}", err=True)
        raise SystemExit(fault_code(fault)) from None
