"""``halloo demo``: a whole network on this machine, real processes, real calls, and a report.

    login server (two ports) · three supernodes · echo123 · alice calls bob, directly and then through a supernode

Every part is a process of this very program, started with the same verbs that a person would type.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import shutil
import socket
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from halloo.base.errors import HallooError, Unusable, UsageError
from halloo.cli.report import write_report
from halloo.cli.speak import Context, run
from halloo.runtime.score import Score, score
from halloo.runtime.speech import fitted, speech_file

__all__ = ["demo"]

STARTS_WITHIN = 20.0  # seconds for a process to say that it is there; a loaded machine needs five
CALL_WITHIN = 60.0  # seconds for a call besides its sound
LONGEST_SPEECH = 120.0  # seconds of a file given with --speech that are used
SUPERNODES = 3


@click.command()
@click.option("--profile", type=click.Choice(["modern", "classic"]), default="modern", show_default=True)
@click.option("--keep", is_flag=True, help="leave the network running, to play with")
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("halloo-demo"),
    show_default=True,
    help="where the recordings and the report go",
)
@click.option("--speech", type=click.Path(dir_okay=False, path_type=Path), help="what the caller says, as a WAV file")
@click.option("--json", "as_json", is_flag=True)
@click.pass_obj
def demo(context: Context, profile: str, keep: bool, out: Path, speech: Path | None, as_json: bool) -> None:
    """A whole network here: real processes, real calls, and a report."""
    table = run(_Demo(context, profile, out, speech, keep=keep).play())
    words = f"{'All well.' if table['ok'] else 'Something failed: ' + str(table['reason'])}  Report: {table['report']}"
    context.result(table, words, as_json=as_json)
    if not table["ok"]:
        raise SystemExit(1)


class _Stage:
    """Steps with their durations, said as they happen and kept for the report."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._began = self._last = time.monotonic()
        self.steps: list[dict[str, Any]] = []

    def done(self, words: str) -> None:
        """A step is done."""
        now = time.monotonic()
        took, self._last = now - self._last, now
        self.steps.append({"step": words, "took_ms": round(took * 1000), "at_ms": round((now - self._began) * 1000)})
        self._context.progress(f"{now - self._began:7.2f} s  {words}  ({took * 1000:.0f} ms)")


@dataclass
class _Part:
    """One process of the network, and the JSON lines it has said."""

    name: str
    process: asyncio.subprocess.Process
    lines: list[dict[str, Any]] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    readers: list[asyncio.Task[None]] = field(default_factory=list)

    async def line(self, event: str, number: int = 1, within: float = STARTS_WITHIN) -> dict[str, Any]:
        """The n-th line of a kind.

        Raises:
            HallooError: the process ended, or did not say it in time.
        """
        until = time.monotonic() + within
        while True:
            found = [line for line in self.lines if line.get("event") == event]
            if len(found) >= number:
                return found[number - 1]
            left = until - time.monotonic()
            if self.process.returncode is not None and all(reader.done() for reader in self.readers):
                raise HallooError(f"{self.name} ended: {self.last_words}")
            if left <= 0:
                raise HallooError(f"{self.name} did not report {event!r} within {within:.0f} s: {self.last_words}")
            self.changed.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.changed.wait(), min(left, 0.5))

    @property
    def last_words(self) -> str:
        """What it said last about what went wrong."""
        return self.errors[-1] if self.errors else "it said nothing"


class _Demo:
    """One run of the demonstration."""

    def __init__(self, context: Context, profile: str, out: Path, speech: Path | None, *, keep: bool) -> None:
        self._context = context
        self._profile = profile
        self._out = out
        self._speech = speech
        self._keep = keep
        self._parts: list[_Part] = []
        self._stage = _Stage(context)
        self._homes = Path(tempfile.mkdtemp(prefix="halloo-demo-"))
        self._environment = {**os.environ, "HALLOO_PASSWORD": secrets.token_urlsafe(12)}
        self._environment.pop("HALLOO_HOME", None)

    async def play(self) -> dict[str, Any]:
        """Start everything, call twice, report; whatever happens, nothing is left running."""
        try:
            self._prepare()
            calls, faults = await self._network_and_calls()
            report = self._report(calls, faults)
            if self._keep:
                await self._play_on()
            return report
        finally:
            await self._stop()
            if not self._keep:
                shutil.rmtree(self._homes, ignore_errors=True)

    # --- the steps

    def _prepare(self) -> None:
        try:
            self._out.mkdir(parents=True, exist_ok=True)
        except OSError as fault:
            raise Unusable(f"cannot make {self._out}: {fault.strerror}") from None
        caller = self._speech or speech_file("caller")
        if not caller.is_file():
            raise UsageError(f"there is no speech file {caller}")
        seconds = fitted(caller, self._out / "alice-says.wav", None, LONGEST_SPEECH)
        fitted(speech_file("callee"), self._out / "bob-says.wav", seconds, LONGEST_SPEECH)
        self._seconds = seconds
        self._stage.done(f"speech prepared: {seconds:.1f} s each way")

    async def _network_and_calls(self) -> tuple[list[dict[str, Any]], list[str]]:
        ports = _free_ports(2 + SUPERNODES)
        login, supernodes = ports[:2], ports[2:]
        folder = self._homes / "network"
        arguments = ["network", "create", "demo", "--dir", str(folder), "--profile", self._profile, "--json"]
        for port in login:
            arguments += ["--login", f"127.0.0.1:{port}"]
        for port in supernodes:
            arguments += ["--supernode", f"127.0.0.1:{port}"]
        made = await self._once("network", arguments)
        self._fingerprint = made["fingerprint"]
        self._stage.done(f"network made ({self._profile} profile, fingerprint {made['fingerprint']})")

        descriptor = str(folder / "network.toml")
        server = await self._start("login", ["serve", "login", "--network", str(folder), "--json"])
        nodes = [
            await self._start(
                f"supernode{i}",
                ["serve", "supernode", "--network", descriptor, "--listen", f"127.0.0.1:{port}", "--json"],
            )
            for i, port in enumerate(supernodes)
        ]
        for part in (server, *nodes):
            await part.line("listening")
        self._supernodes = [f"127.0.0.1:{port}" for port in supernodes]
        self._stage.done(f"login server on ports {login[0]} and {login[1]}, {SUPERNODES} supernodes up")
        for part in nodes:
            await part.line("mesh", SUPERNODES - 1)
        self._stage.done("supernodes know each other")

        echo = await self._start("echo123", ["serve", "echo", "--network", descriptor, "--json"])
        await asyncio.gather(*(self._sign_up(name, descriptor) for name in ("alice", "bob")))
        self._stage.done("alice and bob signed up")
        self._attached = {"echo123": (await echo.line("online"))["supernode"]}
        files = ["--in", str(self._out / "bob-says.wav"), "--out", str(self._out / "bob-hears.wav")]
        bob = await self._start("bob", ["answer", "--auto", *files, "--count", "2", "--json"])
        waiting = await bob.line("waiting")
        self._attached["bob"] = waiting["supernode"]
        self._stage.done("echo123 and bob are on line")

        calls: list[dict[str, Any]] = []
        faults: list[str] = []
        for number, way in enumerate(("direct", "relayed"), start=1):
            heard = self._out / f"alice-hears-{way}.wav"
            arguments = ["call", "bob", "--in", str(self._out / "alice-says.wav"), "--out", str(heard)]
            mine = await self._once(
                "alice", [*arguments, "--path", way, "--json"], within=CALL_WITHIN + self._seconds, may_fail=True
            )
            if mine.get("result") != "ended":
                faults.append(f"the {way} call: {mine.get('reason') or mine.get('fault')}")
                continue
            theirs = await bob.line("call", number, within=CALL_WITHIN)
            recorded = self._out / ("bob-hears.wav" if number == 1 else f"bob-hears-{number}.wav")
            named = self._out / f"bob-hears-{way}.wav"
            os.replace(recorded, named)
            setup, first = mine["setup_ms"], mine["first_audio_ms"]
            self._stage.done(f"{way} call: rang after {setup:.0f} ms, first sound {first:.0f} ms after the answer")
            calls += [
                self._direction("alice", "bob", mine, theirs, self._out / "alice-says.wav", named),
                self._direction("bob", "alice", theirs, mine, self._out / "bob-says.wav", heard),
            ]
            if mine["path"] != way:
                faults.append(f"the {way} call went {mine['path']}")
        self._stage.done("recordings scored")
        return calls, faults

    def _direction(
        self, who: str, to: str, sender: dict[str, Any], receiver: dict[str, Any], said: Path, heard: Path
    ) -> dict[str, Any]:
        """One direction of a call, measured at the ear."""
        scored: Score = score(said, heard)
        mouth_to_ear = None
        if scored.delay_ms is not None:
            mouth_to_ear = round(scored.delay_ms + (receiver["answered_at"] - sender["answered_at"]) * 1000, 1)
        return {
            "from": who,
            "to": to,
            "path": receiver["path"],
            "route": receiver["route"],
            "setup_ms": sender["setup_ms"] if sender["setup_ms"] is not None else receiver["setup_ms"],
            "first_audio_ms": receiver["first_audio_ms"],
            "mouth_to_ear_ms": mouth_to_ear,
            "frames_sent": sender["frames_sent"],
            "frames_played": receiver["frames_played"],
            "frames_concealed": receiver["frames_concealed"],
            "measure": scored.measure,
            "score": scored.value,
            "pesq": scored.value if scored.measure == "pesq-wb" else None,
            "wav": str(heard),
            "quality": receiver["quality"],
            "seconds": receiver["seconds"],
        }

    def _report(self, calls: list[dict[str, Any]], faults: list[str]) -> dict[str, Any]:
        faults += [
            f"{one['to']} heard nothing of {one['from']} in the {one['path']} call"
            for one in calls
            if not one["frames_played"]
        ]
        table: dict[str, Any] = {
            "ok": not faults,
            "reason": "; ".join(faults),
            "profile": self._profile,
            "fingerprint": self._fingerprint,
            "calls": calls,
            "steps": self._stage.steps,
            "attached": self._attached,
            "supernodes": self._supernodes,
            "report": str(self._out / "report.html"),
        }
        write_report(self._out / "report.html", table)
        for one in calls:
            quality = f"{one['measure']} {one['score']:.2f}" if one["score"] is not None else "no score"
            delay = f"{one['mouth_to_ear_ms']:.0f} ms mouth to ear" if one["mouth_to_ear_ms"] is not None else ""
            self._context.progress(
                f"          {one['from']:>5} -> {one['to']:<5} {one['path']:8} {quality:14} {delay}, "
                f"{one['frames_played']} of {one['frames_sent']} frames played, {one['frames_concealed']} concealed"
            )
        return table

    async def _play_on(self) -> None:
        command = f"halloo --home {self._homes / 'alice'} call echo123 --in tone --out null --for 5"
        self._context.progress(
            f"The network runs on.  In another terminal:\n  {command}\n"
            f"(alice's password is {self._environment['HALLOO_PASSWORD']}.)  Ctrl-C ends it."
        )
        await asyncio.Event().wait()

    # --- processes

    async def _sign_up(self, name: str, descriptor: str) -> None:
        await self._once(name, ["join", descriptor, "--json"])
        await self._once(name, ["signup", name, "--json"])

    def _command(self, name: str, arguments: list[str]) -> list[str]:
        return [sys.executable, "-m", "halloo", "--home", str(self._homes / name), *arguments]

    async def _spawn(self, name: str, arguments: list[str]) -> _Part:
        process = await asyncio.create_subprocess_exec(
            *self._command(name, arguments),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=self._environment,
            limit=1 << 22,
        )
        part = _Part(name, process)
        assert process.stdout is not None
        assert process.stderr is not None
        part.readers = [
            asyncio.create_task(_read_lines(part, process.stdout)),
            asyncio.create_task(_read_errors(part, process.stderr)),
        ]
        self._parts.append(part)
        return part

    async def _start(self, name: str, arguments: list[str]) -> _Part:
        return await self._spawn(name, arguments)

    async def _once(
        self, name: str, arguments: list[str], within: float = STARTS_WITHIN, *, may_fail: bool = False
    ) -> dict[str, Any]:
        """Run a verb to its end; its JSON."""
        part = await self._spawn(name, arguments)
        try:
            await asyncio.wait_for(part.process.wait(), within)
        except TimeoutError:
            raise HallooError(f"{name}: {arguments[0]} did not end within {within:.0f} s: {part.last_words}") from None
        await asyncio.gather(*part.readers)
        if part.process.returncode and not may_fail:
            raise HallooError(f"{name}: {arguments[0]} failed: {part.last_words}")
        return part.lines[-1] if part.lines else {"fault": part.last_words}

    async def _stop(self) -> None:
        """End what we started, politely, then not."""
        running = [part for part in self._parts if part.process.returncode is None]
        for part in running:
            with contextlib.suppress(ProcessLookupError):
                part.process.terminate()
        for part in running:
            try:
                await asyncio.wait_for(part.process.wait(), 3.0)
            except TimeoutError:
                with contextlib.suppress(ProcessLookupError):
                    part.process.kill()
                await part.process.wait()
        for part in self._parts:
            await asyncio.gather(*part.readers, return_exceptions=True)


async def _read_lines(part: _Part, stream: asyncio.StreamReader) -> None:
    async for raw in stream:
        try:
            line = json.loads(raw)
        except ValueError:
            part.errors.append(raw.decode("utf-8", "replace").strip())
            continue
        if isinstance(line, dict):
            part.lines.append(line)
        part.changed.set()
    part.changed.set()


async def _read_errors(part: _Part, stream: asyncio.StreamReader) -> None:
    async for raw in stream:
        part.errors.append(raw.decode("utf-8", "replace").rstrip())
        del part.errors[:-50]


def _free_ports(count: int) -> list[int]:
    """Ports of the loopback address that are free now, for UDP and TCP."""
    held: list[socket.socket] = []
    ports: list[int] = []
    try:
        while len(ports) < count:
            tcp = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            held.append(tcp)
            tcp.bind(("127.0.0.1", 0))
            udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            held.append(udp)
            with contextlib.suppress(OSError):
                udp.bind(("127.0.0.1", tcp.getsockname()[1]))
                ports.append(tcp.getsockname()[1])
    finally:
        for one in held:
            one.close()
    return ports
