"""Programs of others knock at the doors of a supernode: it stays silent or closes, and works on."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import time
from pathlib import Path

import pytest
from walled import needs

from halloo.lab.processes import Part, ProcessNetwork, free_ports

pytestmark = [pytest.mark.processes, pytest.mark.slow]


def outsider(*command: str, within: float = 60.0, said: bytes = b"") -> str:
    """What a program says; how it ends is its own business."""
    done = subprocess.run(command, input=said, capture_output=True, timeout=within, check=False)
    return (done.stdout + done.stderr).decode("utf-8", "replace")


class Knocked:
    """A network of one supernode with port 443 on a loopback host of its own."""

    host = "127.0.0.77"

    def __init__(self, folder: Path, profile: str) -> None:
        self.network = ProcessNetwork(folder, profile, supernodes=1)
        port = free_ports(1)[0]
        self.network.supernodes = [f"{self.host}:{port}"]
        self.ports = (port, 80, 443)

    async def start(self, listen: str = "", tcp: str = "80,443") -> None:
        network = self.network
        await network.create()
        await network.start("login", ["serve", "login", "--network", str(network.homes / "network"), "--json"])
        where = listen or network.supernodes[0]
        arguments = ["serve", "supernode", "--network", str(network.descriptor), "--listen", where]
        self.supernode = await network.start("supernode", [*arguments, "--tcp", tcp, "--json"])
        await asyncio.gather(*(part.line("listening") for part in network.parts[1:]))

    async def unharmed(self) -> None:
        """It has complained of nothing, and still takes a client."""
        part: Part = self.supernode
        assert part.process.returncode is None
        assert not part.errors, part.errors
        name = f"user{len(part.lines)}"
        await self.network.sign_up(name)
        found = await self.network.run(name, ["search", name, "--json"])
        assert found.lines[-1]["complete"], found.errors


def files_of(part: Part) -> int:
    return len(list(Path(f"/proc/{part.process.pid}/fd").iterdir()))


@pytest.fixture(params=["modern", "classic"])
def profile(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_tls_programs_at_every_port(tmp_path: Path, profile: str) -> None:
    needs("openssl", "curl")

    async def play() -> None:
        knocked = Knocked(tmp_path, profile)
        try:
            await knocked.start()
            before = files_of(knocked.supernode)
            for port in knocked.ports:
                where = f"{knocked.host}:{port}"
                said = await asyncio.to_thread(
                    outsider, "timeout", "4", "openssl", "s_client", "-connect", where, "-alpn", "h2,http/1.1", "-brief"
                )
                old = await asyncio.to_thread(
                    outsider, "timeout", "4", "openssl", "s_client", "-connect", where, "-tls1_2", "-brief"
                )
                page = await asyncio.to_thread(
                    outsider, "curl", "-sSk", "--max-time", "3", f"https://{where}/", "-w", "%{http_code}"
                )
                bare = await asyncio.to_thread(
                    outsider, "curl", "-sS", "--max-time", "3", f"http://{where}/", "-w", "%{http_code}"
                )
                print(profile, port, repr(said), repr(old), repr(page), repr(bare))
                if profile == "modern":
                    assert "TLSv1.3" in said
                    assert "Protocol version: TLSv1.2" not in old
                for answer in (page, bare):
                    assert "000" in answer, answer  # no HTTP ever comes back
            await knocked.unharmed()
            until = time.monotonic() + 20
            while files_of(knocked.supernode) > before + 4 and time.monotonic() < until:
                await asyncio.sleep(0.2)
            assert files_of(knocked.supernode) <= before + 4
        finally:
            await knocked.network.close()

    asyncio.run(play())


def test_nmap_learns_nothing(tmp_path: Path, profile: str) -> None:
    """What nmap asks in a minute, of all TCP ports of a supernode and of a login server."""
    needs("nmap")

    async def play() -> None:
        knocked = Knocked(tmp_path, profile)
        try:
            await knocked.start()
            ports = ",".join(str(port) for port in knocked.ports)
            said = await asyncio.to_thread(
                outsider, "nmap", "-Pn", "-n", "-sV", "--host-timeout", "60s", "-p", ports, knocked.host, within=90
            )
            login = knocked.network.login_servers[0].rpartition(":")[2]
            said += await asyncio.to_thread(
                outsider, "nmap", "-Pn", "-n", "-sV", "--version-light", "--host-timeout", "60s", "-p", login,
                "127.0.0.1", within=90,
            )
            print(said)
            assert "halloo" not in said.lower()
            assert "skype" not in said.lower()
            await knocked.unharmed()
        finally:
            await knocked.network.close()

    asyncio.run(play())


HAPROXY = """
global
  maxconn 100
defaults
  mode tcp
  timeout connect 5s
  timeout client 600s
  timeout server 600s
frontend outer
  bind 127.0.0.78:443
  {inspect}
  default_backend inner
backend inner
  server one 127.0.0.79:{port}
"""
NGINX = """
daemon off; pid {folder}/nginx.pid; error_log stderr;
load_module /usr/lib/nginx/modules/ngx_stream_module.so;
events {{ worker_connections 64; }}
stream {{ server {{ listen 127.0.0.78:443; proxy_pass 127.0.0.79:{port}; {inspect} }} }}
"""


@pytest.mark.parametrize("forwarder", ["haproxy", "nginx"])
def test_a_forwarder_before_port_443(tmp_path: Path, profile: str, forwarder: str) -> None:
    """Somebody's haproxy or nginx on 443 passes what it takes for TLS on to a supernode's own port."""
    needs(forwarder)
    if forwarder == "nginx" and not Path("/usr/lib/nginx/modules/ngx_stream_module.so").exists():
        pytest.skip("nginx has no stream module here")
    only_tls = {
        "haproxy": "tcp-request inspect-delay 3s\n  tcp-request content reject unless { req.ssl_hello_type 1 }",
        "nginx": "ssl_preread on;",
    }

    async def play() -> None:
        knocked = Knocked(tmp_path, profile)
        port = knocked.ports[0]
        knocked.network.supernodes = [f"127.0.0.78:{port}"]  # as described; what is there is the forwarder alone
        template = HAPROXY if forwarder == "haproxy" else NGINX
        inspect = only_tls[forwarder] if profile == "modern" else ""
        written = tmp_path / f"{forwarder}.conf"
        written.write_text(template.format(folder=tmp_path, port=port, inspect=inspect), "utf-8")
        command = {"haproxy": ["haproxy", "-f"], "nginx": ["nginx", "-c"]}[forwarder]
        try:
            await knocked.start(listen=f"127.0.0.79:{port}", tcp="")
            said = tmp_path / "said"
            with said.open("wb") as file, subprocess.Popen([*command, str(written)], stderr=file) as runs:
                try:
                    await _until_open("127.0.0.78", 443)
                    await knocked.network.sign_up("alice")
                    found = await knocked.network.run("alice", ["-v", "search", "alice", "--json"], 40)
                    assert any("tcp 443" in line for line in found.errors), found.errors
                    assert found.lines[-1]["complete"]
                finally:
                    runs.terminate()
        finally:
            await knocked.network.close()

    asyncio.run(play())


async def _until_open(host: str, port: int) -> None:
    until = time.monotonic() + 10
    while time.monotonic() < until:
        with socket.socket() as plug:
            if plug.connect_ex((host, port)) == 0:
                return
        await asyncio.sleep(0.1)
    pytest.skip(f"{host}:{port} did not open")
