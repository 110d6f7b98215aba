"""TCP connections of the real world: made directly or by a proxy, let in, and inside TLS where that is wanted.

    we connect to port 443     (CONNECT by the proxy,) TLS, then the stream
    others connect             one byte is looked at: a TLS greeting is answered in TLS, anything else is a bare stream

TLS is a wrapper here, so that firewalls and proxies that let nothing else pass let us pass.  It proves nothing and is
not relied on: no certificate is checked, the links inside prove who is who.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import socket
import ssl
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import SystemRandom
from urllib.parse import unquote, urlsplit

from halloo.base.address import Address
from halloo.base.errors import UsageError
from halloo.crypto.certificate import self_signed
from halloo.crypto.suite import DISGUISED_PORT, TLS_BEGINS

__all__ = ["Connector", "Door", "Proxy", "Wrapping", "proxy_of"]

CONNECT_FOR = 8.0  # seconds for a connection to stand, with all that goes before
TRY_FOR = 2.5  # seconds for one of the addresses of a proxy's name, before the next
FIRST_BYTE = 10.0  # seconds that whoever connects has for the first byte
GREETED_FOR = 5.0  # and for a TLS greeting
MAX_GREETED = 256  # connections that have not said their first byte, at once
LONGEST_REPLY = 8_192  # bytes of a proxy's answer
MAX_WARNINGS = 8  # different ones, in the life of a node
_BEGUN = timedelta(days=30)  # before now: clocks differ, and a certificate of this minute is a curious one
_VALID = timedelta(days=365)
_PROTOCOLS = ["h2", "http/1.1"]  # what a browser offers


@dataclass(frozen=True, slots=True)
class Proxy:
    """An HTTP proxy that makes connections for us.  ``user``: name and password with a colon between, if it asks."""

    host: str
    port: int
    user: str = ""

    def request(self, address: Address) -> bytes:
        """What is said to it."""
        lines = [f"CONNECT {address} HTTP/1.1", f"Host: {address}"]
        if self.user:
            lines.append(f"Proxy-Authorization: Basic {base64.b64encode(self.user.encode()).decode()}")
        return ("\r\n".join(lines) + "\r\n\r\n").encode()


def proxy_of(url: str) -> Proxy | None:
    """The proxy that a URL names, as in the variable HTTPS_PROXY; None for the empty one.

    Raises:
        UsageError: it names none that we could use.
    """
    if not url:
        return None
    parts = urlsplit(url if "//" in url else f"http://{url}")
    try:
        port = parts.port
    except ValueError:
        port = 0
    if parts.scheme != "http" or not parts.hostname or port == 0:
        raise UsageError(f"{url!r} is no proxy that can be used; write it as http://host:port")
    user = f"{unquote(parts.username)}:{unquote(parts.password or '')}" if parts.username else ""
    return Proxy(parts.hostname, port or 8080, user)


class Wrapping:
    """TLS for both sides, made when it is first needed.  ``ports``: those to which we connect inside it."""

    def __init__(self, ports: frozenset[int] = frozenset({DISGUISED_PORT})) -> None:
        self.ports = ports
        self._client: ssl.SSLContext | None = None
        self._server: ssl.SSLContext | None = None

    @property
    def client(self) -> ssl.SSLContext:
        """For connections that we make."""
        if self._client is None:
            self._client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            self._client.check_hostname = False
            self._client.verify_mode = ssl.CERT_NONE
            self._client.minimum_version = ssl.TLSVersion.TLSv1_3
            self._client.set_alpn_protocols(_PROTOCOLS)
        return self._client

    @property
    def server(self) -> ssl.SSLContext:
        """For connections that others make."""
        if self._server is None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.minimum_version = ssl.TLSVersion.TLSv1_3
            context.set_alpn_protocols(_PROTOCOLS)
            # The library takes certificates from files only; nobody else can read this one, and it is gone at once.
            handle, path = tempfile.mkstemp(prefix="halloo-")
            try:
                with os.fdopen(handle, "wb") as file:
                    now = datetime.now(UTC)
                    file.write(self_signed(now - _BEGUN, now + _VALID, SystemRandom()))
                context.load_cert_chain(path)
            finally:
                Path(path).unlink()
            self._server = context
        return self._server


@dataclass(slots=True)
class Connector:
    """Makes connections.  ``on_warning`` is told, once each, in words, why the proxy is of no use."""

    wrapping: Wrapping | None = None
    proxy: Proxy | None = None
    on_warning: Callable[[str], None] = lambda _: None
    _warned: set[str] = field(default_factory=set)

    async def connect(self, address: Address, protocol: Callable[[], asyncio.Protocol], *, proxied: bool) -> None:
        """A connection to ``address``, by the proxy where ``proxied``.

        Raises:
            OSError: it cannot be made; its text says why.
            TimeoutError: nobody answered.
        """
        loop = asyncio.get_running_loop()
        wrapped = self.wrapping is not None and address.port in self.wrapping.ports
        context = self.wrapping.client if wrapped and self.wrapping else None
        async with asyncio.timeout(CONNECT_FOR):
            if not proxied:
                name = "" if context else None
                await loop.create_connection(protocol, address.ip, address.port, ssl=context, server_hostname=name)
                return
            try:
                plug = await self._through_proxy(address)
            except OSError as fault:
                self._warn(fault.strerror or str(fault))
                raise
            try:
                await loop.create_connection(protocol, sock=plug, ssl=context, server_hostname="" if context else None)
            except BaseException:
                plug.close()
                raise

    async def _through_proxy(self, address: Address) -> socket.socket:
        """A socket that the proxy has connected to ``address``."""
        if self.proxy is None:
            raise OSError(0, "no proxy is known here")
        loop = asyncio.get_running_loop()
        plug = await self._to_proxy(self.proxy)
        try:
            await loop.sock_sendall(plug, self.proxy.request(address))
            reply = bytearray()
            # The other side does not speak before we do, so what comes here is all the proxy's.
            while b"\r\n\r\n" not in reply:
                piece = await loop.sock_recv(plug, 1_024)
                if not piece or len(reply) > LONGEST_REPLY:
                    raise OSError(0, "the proxy did not answer as proxies do")
                reply += piece
            _check_reply(bytes(reply))
        except BaseException:
            plug.close()
            raise
        return plug

    async def _to_proxy(self, proxy: Proxy) -> socket.socket:
        """A socket connected to the proxy itself, at the first address of its name that takes us."""
        loop = asyncio.get_running_loop()
        reason = "its name has no address"
        try:
            found = await loop.getaddrinfo(proxy.host, proxy.port, type=socket.SOCK_STREAM)
        except UnicodeError:  # what the system's library makes of a label that is empty or too long
            found = []
        except OSError as fault:
            found, reason = [], (fault.strerror or str(fault)).lower()
        for family, kind, protocol, _, where in found:
            plug = None
            try:
                plug = socket.socket(family, kind, protocol)
                plug.setblocking(False)
                async with asyncio.timeout(TRY_FOR):
                    await loop.sock_connect(plug, where)
                return plug
            except (OSError, TimeoutError) as fault:
                reason = "no answer" if isinstance(fault, TimeoutError) else (fault.strerror or str(fault)).lower()
                if plug is not None:
                    plug.close()
            except BaseException:
                if plug is not None:
                    plug.close()
                raise
        raise OSError(0, f"the proxy {proxy.host}, port {proxy.port}, cannot be reached: {reason}")

    def _warn(self, words: str) -> None:
        if words not in self._warned and len(self._warned) < MAX_WARNINGS:
            self._warned.add(words)
            self.on_warning(words)


def _check_reply(reply: bytes) -> None:
    """Raises OSError where a proxy refuses."""
    words = reply.split(b"\r\n", 1)[0].split(None, 2)
    status = words[1].decode("ascii", "replace") if len(words) > 1 and words[0].startswith(b"HTTP/") else ""
    if status == "407":
        raise OSError(0, "the proxy wants a name and password: set HTTPS_PROXY=http://name:password@host:port")
    if not status.startswith("2"):
        raise OSError(0, f"the proxy refuses to connect ({status or 'it is no HTTP proxy'})")


class Door:
    """A listening socket, and whoever stands before it."""

    def __init__(
        self, listening: socket.socket, protocol: Callable[[], asyncio.Protocol], wrapping: Wrapping | None
    ) -> None:
        self._listening = listening
        self._protocol = protocol
        self._wrapping = wrapping
        self._loop = asyncio.get_running_loop()
        self._waiting: set[asyncio.Task[None]] = set()
        listening.setblocking(False)
        listening.listen(128)
        self._loop.add_reader(listening, self._knocks)

    async def close(self) -> None:
        """Close it, and send away who has not been let in."""
        self._loop.remove_reader(self._listening)
        self._listening.close()
        for task in list(self._waiting):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    def _knocks(self) -> None:
        for _ in range(64):
            try:
                plug, _ = self._listening.accept()
            except OSError:
                return  # nobody any more, or no file left for him: he will come again
            if len(self._waiting) >= MAX_GREETED:
                plug.close()
                continue
            plug.setblocking(False)
            task = self._loop.create_task(self._let_in(plug))
            self._waiting.add(task)
            task.add_done_callback(self._waiting.discard)

    async def _let_in(self, plug: socket.socket) -> None:
        context = None
        try:
            if self._wrapping is not None:
                async with asyncio.timeout(FIRST_BYTE):
                    first = await self._peek(plug)
                if not first:
                    plug.close()
                    return
                context = self._wrapping.server if first[0] == TLS_BEGINS else None
            timeout = GREETED_FOR if context else None
            await self._loop.connect_accepted_socket(
                self._protocol, plug, ssl=context, ssl_handshake_timeout=timeout
            )
        except (OSError, TimeoutError):
            plug.close()  # who knocks and cannot say why is not let in
        except BaseException:
            plug.close()
            raise

    async def _peek(self, plug: socket.socket) -> bytes:
        """The first byte, still to be read; nothing when the connection ended."""
        readable = self._loop.create_future()

        def wake() -> None:
            if not readable.done():
                readable.set_result(None)

        self._loop.add_reader(plug, wake)
        try:
            await readable
        finally:
            self._loop.remove_reader(plug)
        return plug.recv(1, socket.MSG_PEEK)
