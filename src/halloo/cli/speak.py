"""How verbs speak: results on standard output (text, or JSON lines), progress and faults on standard error."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import click

from halloo.base.errors import HallooError, UsageError
from halloo.runtime.errands import NetworkUnreachable
from halloo.runtime.home import Home, NoNetwork, NotLoggedIn

__all__ = ["Context", "Exit", "fault_code", "password_option", "read_password", "run"]

MAX_PASSWORD_FILE = 4096  # bytes
T = TypeVar("T")


class Exit:
    """Exit codes, as the contract has them."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    NOT_LOGGED_IN = 3
    UNREACHABLE = 4
    NOT_AVAILABLE = 5
    INTERRUPTED = 130


@dataclass
class Context:
    """What every verb is given: whose home, and how to speak."""

    home: Home
    quiet: bool = False
    verbose: bool = False
    lan: bool = field(default_factory=lambda: os.environ.get("HALLOO_LAN", "").lower() not in ("off", "no", "0"))
    """Whether supernodes are looked for, and told of, on the local network; ``HALLOO_LAN=off`` says no."""

    def progress(self, words: str) -> None:
        """A step, for the person who watches."""
        if not self.quiet:
            click.echo(words, err=True)

    def detail(self, words: str) -> None:
        """A step that only the curious want."""
        if self.verbose and not self.quiet:
            click.echo(words, err=True)

    def result(self, table: dict[str, Any], words: str, *, as_json: bool) -> None:
        """The result: one JSON object on one line, or words."""
        click.echo(json.dumps(table, ensure_ascii=False) if as_json else words)
        sys.stdout.flush()


def fault_code(fault: BaseException) -> int:
    """The exit code of a fault."""
    match fault:
        case NotLoggedIn():
            return Exit.NOT_LOGGED_IN
        case NetworkUnreachable():
            return Exit.UNREACHABLE
        case NoNetwork():
            return Exit.FAILED
        case UsageError():
            return Exit.USAGE
    return Exit.FAILED


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run a verb's work; an interrupt or a polite end cancels it, so that it can say goodbye."""

    async def guarded() -> T:
        task = asyncio.current_task()
        assert task is not None
        loop = asyncio.get_running_loop()
        for name in (signal.SIGINT, signal.SIGTERM):
            try:
                loop.add_signal_handler(name, task.cancel)
            except NotImplementedError:  # Windows has no such handlers; Ctrl-C arrives as KeyboardInterrupt
                break
        return await work

    try:
        return asyncio.run(guarded())
    except (asyncio.CancelledError, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        raise SystemExit(Exit.INTERRUPTED) from None
    except HallooError as fault:
        click.echo(f"halloo: {fault}", err=True)
        raise SystemExit(fault_code(fault)) from None


def password_option(verb: Callable[..., Any]) -> Callable[..., Any]:
    """``--password-file``."""
    return click.option(
        "--password-file", type=click.Path(dir_okay=False, path_type=Path), help="read the password from a file"
    )(verb)


def read_password(file: Path | None, prompt: str, variable: str = "HALLOO_PASSWORD") -> str:
    """The password: from a file, the environment, or a prompt where a person sits.

    Raises:
        UsageError: there is none to be had.
    """
    if file is not None:
        try:
            with file.open("r", encoding="utf-8") as source:
                password = source.read(MAX_PASSWORD_FILE).rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as fault:
            raise UsageError(f"the password file {file} cannot be read: {fault}") from None
    elif variable in os.environ:
        password = os.environ[variable]
    elif sys.stdin.isatty():
        password = click.prompt(prompt, hide_input=True, err=True)
    else:
        raise UsageError(f"no password: give --password-file or {variable}, or run this in a terminal")
    if not password:
        raise UsageError("the password is empty")
    return password
