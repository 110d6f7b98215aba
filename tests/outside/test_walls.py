"""The program itself behind walls that others build: only port 443 passes, or only an HTTP proxy that others wrote."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from walled import WALL_BESIDE, WALL_INSIDE, Running, Walled, needs

pytestmark = [pytest.mark.lab, pytest.mark.slow]

ONLY_443 = 'ip daddr 10.77.3.0/24 tcp dport 443 accept'
NOTHING = ""
PROXY_PORT = 3128


def tinyproxy(lab: Walled, user: str) -> Running:
    rules = f"BasicAuth {user.replace(':', ' ')}\n" if user else ""
    path = lab.folder / "tinyproxy.conf"
    path.write_text(f"Port {PROXY_PORT}\nTimeout 600\nAllow 10.77.0.0/16\nConnectPort 443\nMaxClients 50\n{rules}")
    return lab.run("wall", ["tinyproxy", "-d", "-c", str(path)])


def squid(lab: Walled, user: str) -> Running:
    folder = lab.open_folder()  # squid becomes somebody else, who sees nothing of ours
    folder.chmod(0o777)
    lines = [f"http_port {PROXY_PORT}", f"pid_filename {folder}/squid.pid", f"cache_log {folder}/log",
             "access_log none", "cache deny all", "shutdown_lifetime 0 seconds", "pinger_enable off",
             f"coredump_dir {folder}", "acl safe port 443", "http_access deny !safe"]  # fmt: skip
    if user:
        helper = "/usr/lib/squid/basic_ncsa_auth"
        if not Path(helper).exists():
            pytest.skip("squid's helper for passwords is not installed")
        needs("openssl")
        name, _, password = user.partition(":")
        hashed = subprocess.run(
            ["openssl", "passwd", "-apr1", password], capture_output=True, check=True, text=True
        ).stdout.strip()
        users = folder / "users"
        users.write_text(f"{name}:{hashed}\n")
        users.chmod(0o644)
        lines += [f"auth_param basic program {helper} {users}", "acl known proxy_auth REQUIRED",
                  "http_access allow known"]  # fmt: skip
    else:
        lines.append("http_access allow all")
    path = lab.folder / "squid.conf"
    path.write_text("\n".join([*lines, "http_access deny all", ""]))
    return lab.run("wall", ["squid", "-N", "-n", f"halloo{time.monotonic_ns()}", "-f", str(path)])


def proxy_up(lab: Walled, which: Callable[[Walled, str], Running], user: str = "") -> None:
    needs(which.__name__)
    running = which(lab, user)
    until = time.monotonic() + 20
    while time.monotonic() < until:
        ready = lab.run("inside", ["bash", "-c", f"exec 3<>/dev/tcp/{WALL_INSIDE}/{PROXY_PORT}"])
        if ready.ends() == 0:
            return
        assert running.process.poll() is None, running.said
        time.sleep(0.1)  # between two tries, until it listens
    raise AssertionError(running.said)


def proxied(host: str, user: str = "") -> dict[str, str]:
    return {"HTTPS_PROXY": f"http://{user + '@' if user else ''}{host}:{PROXY_PORT}"}


def on_line(lab: Walled, place: str, name: str, **environment: str) -> dict[str, object]:
    up = lab.halloo(place, name, "up", "--json", **environment)
    return json.loads(up.says('"online"', 45))


def call(lab: Walled, place: str, name: str, to: str, **environment: str) -> dict[str, object]:
    arguments = ["call", to, "--in", "tone", "--out", "null", "--for", "2", "--json"]
    return json.loads(lab.once(place, name, *arguments, **environment).splitlines()[-1])


def people(lab: Walled, network: Path, inside: dict[str, str], beside: dict[str, str]) -> None:
    """Alice is inside, bob beside, carol outside; each signs up from where they are."""
    for name, place, environment in (("alice", "inside", inside), ("bob", "beside", beside), ("carol", "outside", {})):
        lab.once(place, name, "join", str(network))
        lab.once(place, name, "signup", name, **environment)


def answers(lab: Walled, place: str, name: str, **environment: str) -> Running:
    return lab.halloo(place, name, "answer", "--auto", "--in", "tone", "--out", "null", "--json", **environment)


@pytest.mark.parametrize("profile", ["modern", "classic"])
@pytest.mark.parametrize(
    "wall", ["only 443", "tinyproxy", "squid", "squid with a password", "tinyproxy with a password"]
)
def test_calls_across_a_wall(tmp_path: Path, wall: str, profile: str) -> None:
    with Walled(tmp_path, ONLY_443 if wall == "only 443" else NOTHING) as lab:
        network = lab.network(profile, supernodes=2)
        inside: dict[str, str] = {}
        beside: dict[str, str] = {}
        if wall != "only 443":
            user = "ada:pass word%" if wall.endswith("password") else ""
            user = "ada:secret" if user and wall.startswith("tinyproxy") else user
            proxy_up(lab, tinyproxy if wall.startswith("tinyproxy") else squid, user)
            quoted = user.replace("%", "%25").replace(" ", "%20")
            inside, beside = proxied(WALL_INSIDE, quoted), proxied(WALL_BESIDE, quoted)
        people(lab, network, inside, beside)
        waiting = answers(lab, "beside", "bob", **beside)
        answers(lab, "outside", "carol")
        online = on_line(lab, "inside", "alice", **inside)
        if profile == "modern" or wall != "only 443":  # the classic ladder takes 13 s to its rung of port 443
            assert online["took_ms"] < 5_000
        waiting.says("waiting", 45)
        for name in ("bob", "carol"):
            report = call(lab, "inside", "alice", name)
            assert report["result"] == "ended"
            assert report["frames_played"] > 50


def test_a_proxy_that_refuses_is_said_to_refuse(tmp_path: Path) -> None:
    """Who is behind a proxy that wants a password is told so, and by ``up`` as well, which tries for ever."""
    with Walled(tmp_path, NOTHING) as lab:
        network = lab.network("modern")
        proxy_up(lab, tinyproxy, "ada:secret")
        lab.once("inside", "alice", "join", str(network))
        signup = lab.halloo("inside", "alice", "signup", "alice", **proxied(WALL_INSIDE))
        assert signup.ends() == 4
        assert "name and password" in signup.said
        signup = lab.halloo("inside", "alice", "signup", "alice", HTTPS_PROXY=f"http://{WALL_INSIDE}:9")
        assert signup.ends() == 4
        assert "cannot be reached" in signup.said
        lab.once("inside", "alice", "signup", "alice", **proxied(WALL_INSIDE, "ada:secret"))
        lab.halloo("inside", "alice", "up", **proxied(WALL_INSIDE)).says("name and password")
