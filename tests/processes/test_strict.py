"""Real nodes where only port 443 is open, or only a proxy: on line, found, talking."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from random import SystemRandom

import pytest

from halloo.base.address import Address
from halloo.base.errors import Unusable
from halloo.call.call import Answered
from halloo.messages.credential import Claims, issue
from halloo.node import profile
from halloo.node.descriptor import Descriptor, Secrets, create
from halloo.overlay.hostcache import HostCache
from halloo.overlay.join import Ladder, Way
from halloo.runtime.home import Account
from halloo.runtime.phone import Phone
from halloo.runtime.sound import open_sink, open_source
from halloo.runtime.tcp import Proxy

pytestmark = pytest.mark.processes

SUPERNODE = Address.parse("127.0.0.43:33043")  # a loopback host of its own, where port 443 is nobody else's
ANYWHERE = Address.parse("127.0.0.1:0")


def account(descriptor: Descriptor, secrets: Secrets, name: str) -> Account:
    suite, wall = descriptor.ways.suite, int(time.time())
    private = suite.identity.make(SystemRandom())
    claims = Claims(
        name=name, key=suite.identity.public(private), expires=wall + 3_600, issued=wall, network=descriptor.id
    )
    return Account(name, private, issue(claims, secrets.login, suite.network_identity.sign))


@contextlib.asynccontextmanager
async def http_proxy() -> AsyncIterator[tuple[Proxy, list[bytes]]]:
    """A proxy that connects to port 443 and nowhere else."""
    asked: list[bytes] = []
    tasks: list[asyncio.Task[None]] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.append(asyncio.current_task())  # type: ignore[arg-type]
        with contextlib.suppress(OSError, asyncio.CancelledError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            asked.append(head)
            host, _, port = head.split()[1].decode().rpartition(":")
            if port != "443":
                writer.write(b"HTTP/1.1 403 Forbidden\r\n\r\n")
                return
            back, forth = await asyncio.open_connection(host, int(port))
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n")

            async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
                while data := await source.read(4096):
                    sink.write(data)
                sink.close()

            try:
                await asyncio.gather(pump(reader, forth), pump(back, writer))
            finally:
                forth.close()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield Proxy("127.0.0.1", server.sockets[0].getsockname()[1]), asked
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@pytest.mark.parametrize("network", ["modern", "classic"])
@pytest.mark.parametrize("way", [Way.TCP_443, Way.PROXY])
def test_a_call_where_hardly_anything_passes(network: str, way: Way, monkeypatch: pytest.MonkeyPatch) -> None:
    only = Ladder(((0.0, way),), entries=1, stagger=0.0, round=8.0)
    for name in ("MODERN_JOIN", "CLASSIC_JOIN"):
        monkeypatch.setattr(profile, name, replace(getattr(profile, name), ladder=only))

    async def play() -> None:
        descriptor, secrets = create("strict", network, (), (SUPERNODE,), time.time(), SystemRandom())
        async with contextlib.AsyncExitStack() as stack:
            proxy, asked = await stack.enter_async_context(http_proxy())
            supernode = await stack.enter_async_context(Phone(descriptor, None, HostCache()))
            try:
                await supernode.open(SUPERNODE, (443,), supernode=True)
            except Unusable as fault:
                pytest.skip(f"port 443 cannot be had here: {fault}")
            supernode.driver.do(supernode.node.begin(supernode.driver.now))
            people = []
            for name in ("alice", "bob"):
                phone = await stack.enter_async_context(
                    Phone(descriptor, account(descriptor, secrets, name), HostCache())
                )
                phone.proxy = proxy
                await phone.open(ANYWHERE)
                joined = await phone.come_online()
                assert joined.way == ("tcp 443 by the proxy" if way is Way.PROXY else "tcp 443")
                assert joined.took < 3
                people.append(phone)
            assert bool(asked) == (way is Way.PROXY)
            alice, bob = people
            begun = alice.expect(Answered)
            call = asyncio.create_task(alice.call("bob", open_source("tone"), open_sink("null"), seconds=1.0))
            taken = asyncio.create_task(
                bob.answer(await asyncio.wait_for(bob.next_call(), 5), open_source("tone"), open_sink("null"))
            )
            await asyncio.wait_for(begun, 5)
            reports = await asyncio.wait_for(asyncio.gather(call, taken), 10)
            assert all(report.frames_played > 20 for report in reports)

    asyncio.run(play())
