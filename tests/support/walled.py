"""A small internet of network namespaces, with a wall in its middle, for programs as they are.

    inside   10.77.1.2 ──┐
    beside   10.77.2.2 ──┼── wall (10.77.N.1, forwards what its rules let pass)
    outside  10.77.3.2 ──┘

Who is inside or beside may begin what the rules say; nobody reaches in from outside.  Needs root, ``ip`` and ``nft``.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import pytest

INSIDE, BESIDE, OUTSIDE = "10.77.1.2", "10.77.2.2", "10.77.3.2"
WALL_INSIDE, WALL_BESIDE = "10.77.1.1", "10.77.2.1"
_PLACES = {"inside": 1, "beside": 2, "outside": 3}
_RULES = """
table inet wall {{
  chain forward {{
    type filter hook forward priority 0; policy drop;
    ct state established,related accept
    {passes}
  }}
}}
"""


def needs(*programs: str) -> None:
    """Skip where one of these programs is missing."""
    for name in programs:
        if not shutil.which(name) and not Path("/usr/sbin", name).exists():
            pytest.skip(f"{name} is not installed")


class Running:
    """A program that runs, and what it has said."""

    def __init__(self, command: list[str], environment: dict[str, str]) -> None:
        self.process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment
        )
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.decode("utf-8", "replace").rstrip())

    @property
    def said(self) -> str:
        """All of it."""
        return "\n".join(self.lines)

    def says(self, words: str, within: float = 20.0) -> str:
        """The first line with these words."""
        until = time.monotonic() + within
        while time.monotonic() < until:
            for line in list(self.lines):
                if words in line:
                    return line
            if self.process.poll() is not None and not self._reader.is_alive():
                break
            time.sleep(0.02)  # between two looks, until it was said
        raise AssertionError(f"{words!r} was not said, but: {self.said}")

    def ends(self, within: float = 30.0) -> int:
        """Its exit code."""
        code = self.process.wait(within)
        self._reader.join(5)
        return code

    def stop(self) -> None:
        """End it, politely, then not."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(6)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self._reader.join(5)
        if self.process.stdout is not None:
            self.process.stdout.close()


class Walled:
    """The namespaces; nothing of them is left when this is closed."""

    programs = "ip", "nft"

    def __init__(self, folder: Path, passes: str) -> None:
        if os.geteuid() != 0:
            pytest.skip("network namespaces need root")
        needs(*self.programs)
        self.folder = folder
        self.password = secrets.token_urlsafe(9)
        self._mark = f"hw{os.getpid() % 100_000}"
        self._running: list[Running] = []
        self._open: list[Path] = []
        try:
            self._build(passes)
        except subprocess.CalledProcessError as fault:
            self.close()
            pytest.skip(f"namespaces cannot be made here: {fault.stderr.decode().strip()}")

    def _build(self, passes: str) -> None:
        for place in ("wall", *_PLACES):
            self._ip("netns", "add", self._space(place))
            self._ip("-n", self._space(place), "link", "set", "lo", "up")
        for place, number in _PLACES.items():
            space, wall = self._space(place), self._space("wall")
            near, far = f"n{number}{self._mark}", f"f{number}{self._mark}"
            self._ip("link", "add", near, "netns", space, "type", "veth", "peer", "name", far, "netns", wall)
            self._ip("-n", space, "addr", "add", f"10.77.{number}.2/24", "dev", near)
            self._ip("-n", wall, "addr", "add", f"10.77.{number}.1/24", "dev", far)
            self._ip("-n", space, "link", "set", near, "up")
            self._ip("-n", wall, "link", "set", far, "up")
            self._ip("-n", space, "route", "add", "default", "via", f"10.77.{number}.1")
        self._quiet([*self._in("wall"), "sysctl", "-qw", "net.ipv4.ip_forward=1"])
        rules = self.folder / "wall.nft"
        rules.write_text(_RULES.format(passes=passes), "utf-8")
        self._quiet([*self._in("wall"), "nft", "-f", str(rules)])

    def _space(self, place: str) -> str:
        return f"{self._mark}-{place}"

    def _in(self, place: str) -> list[str]:
        return ["ip", "netns", "exec", self._space(place)]

    def _ip(self, *arguments: str) -> None:
        self._quiet(["ip", *arguments])

    def _quiet(self, command: list[str]) -> None:
        subprocess.run(command, check=True, capture_output=True, env=self._environment())

    def _environment(self, **more: str) -> dict[str, str]:
        clean = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
        clean["PATH"] = f"{clean.get('PATH', '')}:/usr/sbin:/sbin"
        return {**clean, "HALLOO_PASSWORD": self.password, **more}

    def run(self, place: str, command: list[str], **environment: str) -> Running:
        """Start any program in a place."""
        running = Running([*self._in(place), *command], self._environment(**environment))
        self._running.append(running)
        return running

    def halloo(self, place: str, name: str, *arguments: str, **environment: str) -> Running:
        """Start a verb in a place, in the home of ``name``."""
        home = str(self.folder / name)
        return self.run(place, [sys.executable, "-m", "halloo", "--home", home, *arguments], **environment)

    def once(self, place: str, name: str, *arguments: str, **environment: str) -> str:
        """A verb to its end, which must be a good one; what it said."""
        running = self.halloo(place, name, *arguments, **environment)
        code = running.ends()
        assert code == 0, f"{name} {arguments}: {code}, {running.said}"
        return running.said

    def network(self, profile: str, supernodes: int = 1) -> Path:
        """A network outside: a login server and supernodes with port 443; its description."""
        folder = self.folder / "network"
        hosts = [f"10.77.3.{10 + number}" for number in range(supernodes)]
        for host in hosts:
            self._ip("-n", self._space("outside"), "addr", "add", f"{host}/24", "dev", f"n3{self._mark}")
        described = [part for host in hosts for part in ("--supernode", f"{host}:33040")]
        create = ["network", "create", "walled", "--dir", str(folder), "--profile", profile]
        self.once("outside", "maker", *create, "--login", f"{OUTSIDE}:33033", *described)
        login = self.halloo("outside", "login", "serve", "login", "--network", str(folder))
        login.says("login server")
        for number, host in enumerate(hosts):
            supernode = self.halloo(
                "outside", f"supernode{number}", "serve", "supernode", "--network", str(folder / "network.toml"),
                "--listen", f"{host}:33040", "--tcp", "80,443",
            )  # fmt: skip
            supernode.says("supernode of")
        return folder / "network.toml"

    def interface(self, place: str) -> str:
        """The name of a place's one interface."""
        return f"n{_PLACES[place]}{self._mark}"

    def open_folder(self) -> Path:
        """A folder that everybody may read."""
        folder = Path(tempfile.mkdtemp(prefix="halloo-open-"))
        folder.chmod(0o755)
        self._open.append(folder)
        return folder

    def close(self) -> None:
        """End every program, and take the namespaces down."""
        for running in reversed(self._running):
            running.stop()
        for folder in self._open:
            shutil.rmtree(folder, ignore_errors=True)
        for place in ("wall", *_PLACES):
            with contextlib.suppress(subprocess.CalledProcessError):
                self._ip("netns", "del", self._space(place))

    def __enter__(self) -> Walled:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()
