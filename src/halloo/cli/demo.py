"""``halloo demo``: a whole network on this machine, real processes, real calls, and a report.

    login server (two ports) · three supernodes · echo123 · alice calls bob, directly and then through a supernode

Every part is a process of this very program, started with the same verbs that a person would type.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import click

from halloo.base.errors import HallooError, Unusable, UsageError
from halloo.cli.report import write_report
from halloo.cli.speak import Context, Exit, run
from halloo.lab.processes import Part, ProcessNetwork
from halloo.media.codec import FRAME_SECONDS, SILENCE
from halloo.runtime.score import Score, score
from halloo.runtime.sound import WavSink, WavSource
from halloo.runtime.speech import speech_file

__all__ = ["demo"]

CALL_WITHIN = 60.0  # seconds for a call besides its sound
LONGEST_SPEECH = 120.0  # seconds of a file given with --speech that are used
TRAILING_SILENCE = 0.4  # seconds after the speech, so that its last word is heard before the call ends


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
    show = _Demo(context, profile, out, speech, keep=keep, as_json=as_json)
    if not run(show.play()):
        raise SystemExit(Exit.FAILED)


class _Demo:
    """One run of the demonstration."""

    def __init__(
        self, context: Context, profile: str, out: Path, speech: Path | None, *, keep: bool, as_json: bool
    ) -> None:
        self._context = context
        self._profile = profile
        self._out = out
        self._speech = speech or speech_file("caller")
        self._keep = keep
        self._as_json = as_json
        self._seconds = 0.0
        self._attached: dict[str, str] = {}
        self._steps: list[dict[str, Any]] = []
        self._began = self._last = time.monotonic()

    async def play(self) -> bool:
        """Start everything, call twice, report; whether all went well.  Nothing is left running."""
        self._prepare()
        homes = Path(tempfile.mkdtemp(prefix="halloo-demo-"))
        network = ProcessNetwork(homes, self._profile)
        try:
            await self._start(network)
            calls, faults = await self._calls(network)
            table = self._report(network, calls, faults)
            words = "All well." if table["ok"] else f"Something failed: {table['reason']}."
            self._context.result(table, f"{words}  Report: {table['report']}", as_json=self._as_json)
            if self._keep:
                await self._play_on(network)
            return bool(table["ok"])
        finally:
            await network.close()
            shutil.rmtree(homes, ignore_errors=True)

    # --- the steps

    def _done(self, words: str) -> None:
        """A step is done: say so, and keep it for the report."""
        now = time.monotonic()
        took, self._last = now - self._last, now
        self._steps.append({"step": words, "took_ms": round(took * 1000), "at_ms": round((now - self._began) * 1000)})
        self._context.progress(f"{now - self._began:7.2f} s  {words}  ({took * 1000:.0f} ms)")

    def _prepare(self) -> None:
        try:
            self._out.mkdir(parents=True, exist_ok=True)
        except OSError as fault:
            raise Unusable(f"cannot make {self._out}: {fault.strerror}") from None
        if not self._speech.is_file():
            raise UsageError(f"there is no speech file {self._speech}")
        self._seconds = _fitted(self._speech, self._out / "alice-says.wav", None)
        _fitted(speech_file("callee"), self._out / "bob-says.wav", self._seconds)
        self._done(f"speech prepared: {self._seconds:.1f} s each way")

    async def _start(self, network: ProcessNetwork) -> None:
        await network.create()
        self._done(f"network made ({self._profile} profile, fingerprint {network.fingerprint})")
        await network.serve()
        login = " and ".join(address.rpartition(":")[2] for address in network.login_servers)
        self._done(f"login server up on ports {login}, {len(network.supernodes)} supernodes up")
        await network.meshed()
        self._done("the supernodes know each other")
        echo, *_ = await asyncio.gather(
            network.start("echo123", ["serve", "echo", "--network", str(network.descriptor), "--json"]),
            network.sign_up("alice"),
            network.sign_up("bob"),
        )
        self._done("alice and bob signed up")
        self._attached["echo123"] = (await echo.line("online"))["supernode"]
        self._done("echo123 is on line")

    async def _calls(self, network: ProcessNetwork) -> tuple[list[dict[str, Any]], list[str]]:
        files = ["--in", str(self._out / "bob-says.wav"), "--out", str(self._out / "bob-hears.wav")]
        bob = await network.start("bob", ["answer", "--auto", *files, "--count", "2", "--json"])
        self._attached["bob"] = (await bob.line("waiting"))["supernode"]
        self._done("bob is on line and waits")
        calls: list[dict[str, Any]] = []
        faults: list[str] = []
        for number, way in enumerate(("direct", "relayed"), start=1):
            try:
                calls += await self._call(network, bob, number, way)
            except HallooError as fault:
                faults.append(f"the {way} call: {fault}")
        self._done("recordings scored")
        return calls, faults

    async def _call(self, network: ProcessNetwork, bob: Part, number: int, way: str) -> list[dict[str, Any]]:
        """One call; both directions of it, measured at the ears."""
        said, answered = self._out / "alice-says.wav", self._out / "bob-says.wav"
        heard = self._out / f"alice-hears-{way}.wav"
        arguments = ["call", "bob", "--in", str(said), "--out", str(heard), "--path", way, "--json"]
        mine = await network.once("alice", arguments, CALL_WITHIN + self._seconds)
        theirs = await bob.line("call", number, CALL_WITHIN)
        recorded = self._out / f"bob-hears-{way}.wav"
        os.replace(self._out / ("bob-hears.wav" if number == 1 else f"bob-hears-{number}.wav"), recorded)
        setup, first = mine["setup_ms"], mine["first_audio_ms"]
        if first is None or theirs["first_audio_ms"] is None:
            raise HallooError("one side heard nothing")
        if mine["path"] != way:
            raise HallooError(f"it went {mine['path']}")
        self._done(f"{way} call: it rang after {setup:.0f} ms, first sound {first:.0f} ms after the answer")
        return [
            self._direction("alice", "bob", setup, mine, theirs, said, recorded),
            self._direction("bob", "alice", setup, theirs, mine, answered, heard),
        ]

    def _direction(
        self,
        who: str,
        to: str,
        setup: float,
        sender: dict[str, Any],
        receiver: dict[str, Any],
        said: Path,
        heard: Path,
    ) -> dict[str, Any]:
        scored: Score = score(said, heard)
        mouth_to_ear = None
        if scored.delay_ms is not None:
            mouth_to_ear = round(scored.delay_ms + (receiver["answered_at"] - sender["answered_at"]) * 1000, 1)
        quality = f"{scored.measure} {scored.value:.2f}" if scored.value is not None else "no score"
        self._context.progress(
            f"           {to} hears {who}: {quality}, {mouth_to_ear or 0:.0f} ms mouth to ear, "
            f"{receiver['frames_played']} of {sender['frames_sent']} frames played, "
            f"{receiver['frames_concealed']} concealed"
        )
        return {
            "from": who,
            "to": to,
            "path": receiver["path"],
            "route": receiver["route"],
            "setup_ms": setup,
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

    def _report(self, network: ProcessNetwork, calls: list[dict[str, Any]], faults: list[str]) -> dict[str, Any]:
        table: dict[str, Any] = {
            "ok": not faults,
            "reason": "; ".join(faults),
            "profile": self._profile,
            "fingerprint": network.fingerprint,
            "calls": calls,
            "steps": self._steps,
            "attached": self._attached,
            "supernodes": network.supernodes,
            "report": str(self._out / "report.html"),
        }
        write_report(self._out / "report.html", table)
        return table

    async def _play_on(self, network: ProcessNetwork) -> None:
        command = f"halloo --home {network.homes / 'alice'} call echo123 --in tone --out null --for 5"
        self._context.progress(
            f"The network runs on.  In another terminal:\n  {command}\n"
            f"(Password of alice, bob and echo123: {network.password})  Ctrl-C ends it."
        )
        await asyncio.Event().wait()


def _fitted(speech: Path, target: Path, seconds: float | None) -> float:
    """Copy speech as it will be spoken, with a little silence after it, to a length (None: its own); the length."""
    source = WavSource(speech)
    length = seconds if seconds is not None else min(source.seconds, LONGEST_SPEECH) + TRAILING_SILENCE
    sink = WavSink(target)
    for _ in range(round(length / FRAME_SECONDS)):
        sink.write(source.read() or SILENCE)
    sink.close()
    return length
