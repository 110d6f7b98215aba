"""TCP in the real world: inside TLS, by a proxy, through a door that looks before it opens."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

import pytest

from halloo.base.address import Address
from halloo.base.errors import UsageError
from halloo.lab.processes import free_ports
from halloo.runtime import tcp
from halloo.runtime.tcp import Connector, Door, Proxy, Wrapping, proxy_of

Play = Callable[[], Awaitable[None]]


class Echo(asyncio.Protocol):
    """Says everything back."""

    def connection_lost(self, fault: Exception | None) -> None:
        self.transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.transport.write(data)  # type: ignore[attr-defined]


class Asker(asyncio.Protocol):
    """Says one thing, and hears what comes."""

    def __init__(self, text: bytes) -> None:
        self.text = text
        self.heard: asyncio.Queue[bytes] = asyncio.Queue()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        transport.write(self.text)  # type: ignore[attr-defined]

    def data_received(self, data: bytes) -> None:
        self.heard.put_nowait(data)


@contextlib.asynccontextmanager
async def door(*, wrapped: bool) -> AsyncIterator[tuple[Address, Connector]]:
    """An echo behind a door; where, and a connector that goes there as it should be gone to."""
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    address = Address.of("127.0.0.1", listening.getsockname()[1])
    wrapping = Wrapping(frozenset({address.port})) if wrapped else None
    opened = Door(listening, Echo, wrapping)
    try:
        yield address, Connector(wrapping)
    finally:
        await opened.close()


async def asked(connector: Connector, address: Address, text: bytes, *, proxied: bool = False) -> bytes:
    asker = Asker(text)
    await connector.connect(address, lambda: asker, proxied=proxied)
    try:
        return await asyncio.wait_for(asker.heard.get(), 5)
    finally:
        asker.transport.abort()  # type: ignore[attr-defined]


@pytest.mark.parametrize("wrapped", [False, True])
def test_what_is_said_comes_back(wrapped: bool) -> None:
    async def play() -> None:
        async with door(wrapped=wrapped) as (address, connector):
            assert await asked(connector, address, b"hello") == b"hello"

    asyncio.run(play())


def test_a_bare_stream_is_let_in_as_well() -> None:
    async def play() -> None:
        async with door(wrapped=True) as (address, _):
            assert await asked(Connector(), address, b"\x17not a greeting") == b"\x17not a greeting"

    asyncio.run(play())


def test_it_is_tls_of_today_and_shows_no_certificate_to_a_listener() -> None:
    async def play() -> None:
        async with door(wrapped=True) as (address, connector):
            seen = bytearray()
            async with tapped(address, seen) as middle:
                connector.wrapping.ports = frozenset({middle.port})  # type: ignore[union-attr]
                assert await asked(connector, middle, b"hello" * 9) == b"hello" * 9
            assert seen[0] == 0x16
            assert b"hello" not in seen
            assert b".net" not in seen
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            context.set_alpn_protocols(["h2"])
            reader, writer = await asyncio.open_connection(address.ip, address.port, ssl=context, server_hostname="")
            session = writer.get_extra_info("ssl_object")
            assert session.version() == "TLSv1.3"
            assert session.selected_alpn_protocol() == "h2"
            writer.write(b"x")
            assert await reader.read(1) == b"x"
            writer.close()

    asyncio.run(play())


@contextlib.asynccontextmanager
async def serving(
    serve: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
) -> AsyncIterator[Address]:
    """A port where each connection is served; those still served are ended at the end."""
    served: list[asyncio.Task[None]] = []

    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        served.append(asyncio.current_task())  # type: ignore[arg-type]
        with contextlib.suppress(OSError, asyncio.CancelledError, asyncio.IncompleteReadError):
            await serve(reader, writer)
        writer.close()

    server = await asyncio.start_server(one, "127.0.0.1", 0)
    try:
        yield Address.of("127.0.0.1", server.sockets[0].getsockname()[1])
    finally:
        server.close()
        for task in served:
            task.cancel()
        await asyncio.gather(*served, return_exceptions=True)


async def passed_on(
    one: tuple[asyncio.StreamReader, asyncio.StreamWriter], other: tuple[asyncio.StreamReader, asyncio.StreamWriter]
) -> None:
    """Everything, both ways, until either end closes."""

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(4096):
            writer.write(data)
        writer.close()

    try:
        await asyncio.gather(pump(one[0], other[1]), pump(other[0], one[1]))
    finally:
        other[1].close()


@contextlib.asynccontextmanager
async def tapped(to: Address, seen: bytearray) -> AsyncIterator[Address]:
    """A port that passes everything on, both ways, and keeps it."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        back, forth = await asyncio.open_connection(to.ip, to.port)
        read = back.read

        async def seeing(size: int) -> bytes:
            data = await read(size)
            seen.extend(data)
            return data

        back.read = seeing  # type: ignore[method-assign]
        first = await reader.read(4096)
        seen.extend(first)
        forth.write(first)
        await passed_on((reader, writer), (back, forth))

    async with serving(serve) as address:
        yield address


def test_two_doors_show_different_certificates() -> None:
    async def certificate() -> bytes:
        async with door(wrapped=True) as (address, _):
            return (await asyncio.to_thread(ssl.get_server_certificate, (address.ip, address.port))).encode()

    assert asyncio.run(certificate()) != asyncio.run(certificate())


def test_who_says_nothing_is_sent_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tcp, "FIRST_BYTE", 0.2)

    async def play() -> None:
        async with door(wrapped=True) as (address, connector):
            reader, writer = await asyncio.open_connection(address.ip, address.port)
            assert await asyncio.wait_for(reader.read(), 3) == b""
            writer.close()
            assert await asked(connector, address, b"hello") == b"hello"

    asyncio.run(play())


def test_half_a_greeting_is_sent_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tcp, "GREETED_FOR", 0.2)

    async def play() -> None:
        async with door(wrapped=True) as (address, connector):
            for nonsense in (b"\x16", b"\x16\x03\x01\x00\x05nonsense", b"\x16" * 500):
                reader, writer = await asyncio.open_connection(address.ip, address.port)
                writer.write(nonsense)
                with contextlib.suppress(OSError):  # it may also be reset
                    await asyncio.wait_for(reader.read(), 3)
                writer.close()
            assert await asked(connector, address, b"hello") == b"hello"

    asyncio.run(play())


def test_a_crowd_before_the_door_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tcp, "MAX_GREETED", 5)

    async def play() -> None:
        async with door(wrapped=True) as (address, connector):
            crowd = [await asyncio.open_connection(address.ip, address.port) for _ in range(12)]
            gone = [reader for reader, _ in crowd[5:]]
            assert await asyncio.gather(*(asyncio.wait_for(reader.read(), 3) for reader in gone)) == [b""] * 7
            for _, writer in crowd:
                writer.close()
            await asyncio.sleep(0.1)
            assert await asked(connector, address, b"hello") == b"hello"

    asyncio.run(play())


# --- proxies ------------------------------------------------------------------------------------------------------


@dataclass
class HttpProxy:
    """A proxy that makes connections, or says what it is told to say."""

    reply: bytes = b""
    user: str = ""
    requests: list[bytes] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        self.requests.append(head)
        if self.reply:
            writer.write(self.reply)
            return
        if self.user and base64.b64encode(self.user.encode()) not in head:
            writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\n\r\n")
            return
        host, _, port = head.split()[1].decode().rpartition(":")
        back, forth = await asyncio.open_connection(host.strip("[]"), int(port))
        writer.write(b"HTTP/1.1 200 Connection established\r\nVia: 1.1 somewhere\r\n\r\n")

        await passed_on((reader, writer), (back, forth))


@contextlib.asynccontextmanager
async def proxy(served: HttpProxy) -> AsyncIterator[Proxy]:
    async with serving(served.serve) as address:
        yield Proxy(address.ip, address.port, served.user)


@pytest.mark.parametrize("wrapped", [False, True])
@pytest.mark.parametrize("user", ["", "ada:a secret"])
def test_a_proxy_connects_for_us(wrapped: bool, user: str) -> None:
    async def play() -> None:
        served = HttpProxy(user=user)
        async with proxy(served) as ours, door(wrapped=wrapped) as (address, connector):
            connector.proxy = ours
            assert await asked(connector, address, b"hello", proxied=True) == b"hello"
            assert served.requests[0].startswith(f"CONNECT {address} HTTP/1.1\r\nHost: {address}\r\n".encode())

    asyncio.run(play())


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "name and password"),
        (b"HTTP/1.1 403 Forbidden\r\n\r\n", "refuses to connect .403."),
        (b"HTTP/1.1 502 Bad Gateway\r\n\r\n", "502"),
        (b"SSH-2.0-something\r\n\r\n", "no HTTP proxy"),
        (b"\r\n\r\n", "no HTTP proxy"),
        (b"HTTP/1.1", "did not answer"),
        (b"x" * 20_000, "did not answer"),
    ],
)
def test_a_proxy_that_does_not_is_said(reply: bytes, words: str) -> None:
    async def play() -> None:
        async with proxy(HttpProxy(reply)) as ours:
            connector = Connector(proxy=ours)
            with pytest.raises(OSError, match=words):
                await connector.connect(Address.parse("127.0.0.1:9"), Echo, proxied=True)

    asyncio.run(play())


def test_no_proxy_no_way() -> None:
    with pytest.raises(OSError, match="no proxy"):
        asyncio.run(Connector().connect(Address.parse("127.0.0.1:9"), Echo, proxied=True))


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("", None),
        ("http://proxy.example:3128", Proxy("proxy.example", 3128)),
        ("http://proxy.example", Proxy("proxy.example", 8080)),
        ("proxy.example:3128", Proxy("proxy.example", 3128)),
        ("http://ada:a%20secret@[::1]:80/", Proxy("::1", 80, "ada:a secret")),
    ],
)
def test_what_a_proxy_is_called(url: str, expected: Proxy | None) -> None:
    assert proxy_of(url) == expected


@pytest.mark.parametrize("url", ["socks5://proxy.example:1080", "https://proxy.example", "http://", "http://x:99999"])
def test_what_is_no_proxy(url: str) -> None:
    with pytest.raises(UsageError, match="no proxy"):
        proxy_of(url)


def test_a_proxy_whose_name_has_a_dead_address_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """``localhost`` is ::1 first on many machines, and the proxy listens on 127.0.0.1 alone."""

    async def play() -> None:
        (dead,) = free_ports(1)
        async with door(wrapped=False) as (address, _), proxying(address) as proxy:

            async def two(*_: object, **__: object) -> list[tuple[object, ...]]:
                kind = socket.SOCK_STREAM
                return [
                    (socket.AF_INET6, kind, 6, "", ("::1", dead, 0, 0)),
                    (socket.AF_INET, kind, 6, "", ("127.0.0.1", dead)),
                    (socket.AF_INET, kind, 6, "", (proxy.ip, proxy.port)),
                ]

            monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", two)
            connector = Connector(None, Proxy("proxy.example", proxy.port))
            assert await asked(connector, address, b"hello", proxied=True) == b"hello"

    asyncio.run(play())


@pytest.mark.parametrize("host", ["a..b", "x" * 70 + ".example", "\u00fc" * 80])
def test_a_proxy_whose_name_can_be_none_is_said_once(host: str) -> None:
    async def play() -> None:
        said: list[str] = []
        connector = Connector(None, Proxy(host, 8080), said.append)
        for _ in range(3):
            with pytest.raises(OSError, match="cannot be reached"):
                await asked(connector, Address.parse("127.0.0.1:443"), b"hello", proxied=True)
        assert len(said) == 1
        assert host in said[0]

    asyncio.run(play())


def test_a_proxy_by_ipv6_and_to_ipv6() -> None:
    async def play() -> None:
        listening = socket.socket(socket.AF_INET6)
        try:
            listening.bind(("::1", 0))
        except OSError:
            pytest.skip("there is no IPv6 here")
        address = Address.of("::1", listening.getsockname()[1])
        opened = Door(listening, Echo, None)
        try:
            async with proxying(address, host="::1") as proxy:
                found = proxy_of(f"http://[::1]:{proxy.port}")
                assert found is not None
                assert f"CONNECT [::1]:{address.port} HTTP/1.1" in found.request(address).decode()
                assert await asked(Connector(None, found), address, b"hello", proxied=True) == b"hello"
        finally:
            await opened.close()

    asyncio.run(play())


@contextlib.asynccontextmanager
async def proxying(address: Address, host: str = "127.0.0.1") -> AsyncIterator[Address]:
    """A proxy that connects to one address, whatever it is asked for."""
    served: list[asyncio.Task[None]] = []

    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        served.append(asyncio.current_task())  # type: ignore[arg-type]
        with contextlib.suppress(OSError, asyncio.CancelledError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            there = await asyncio.open_connection(address.ip, address.port)
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
            await passed_on((reader, writer), there)
        writer.close()

    server = await asyncio.start_server(one, host, 0)
    try:
        yield Address.of(host, server.sockets[0].getsockname()[1])
    finally:
        server.close()
        for task in served:
            task.cancel()
        await asyncio.gather(*served, return_exceptions=True)
