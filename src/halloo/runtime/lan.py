"""Finds supernodes of one's own network on the local network, and tells of one's own: by multicast DNS.

    node                      everybody on the local network
      | --- who is a _halloo._udp? -> |  while it is off line
      | <-- supernode: network, port |  those of other networks are passed over

So a home, an office or a ship without the internet is a network by itself.  Supernodes announce themselves and listen
for others; an ordinary node asks only while it is off line, and tells nobody of itself.  What is heard is hearsay: the
host cache takes it as such, and whoever is reached has to prove his keys like anybody else.

Only private hosts of this machine take part: never its loopback, so that a demonstration stays on its machine, and
never an interface of the internet.  Where the library is not installed or multicast is not to be had, one warning
says so.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from halloo.base.address import Address
from halloo.overlay.hearsay import is_loopback, is_private, usable

__all__ = ["Neighbours", "own_hosts", "told_of"]

SERVICE = "_halloo._udp.local."
RESOLVES_WITHIN = 3_000  # milliseconds that an announced supernode has to say where it is
AT_ONCE = 8  # announcements followed up at the same time
MAX_FOLLOWED = 64  # of one search: a local network with more supernodes needs no more of them
MAX_HOSTS = 8  # of one announcement: the interfaces of a machine


def own_hosts() -> list[bytes]:
    """The private IPv4 hosts of this machine, its loopback left out.  Raises ImportError without the library."""
    import ifaddr

    texts = [ip.ip for adapter in ifaddr.get_adapters() for ip in adapter.ips]
    found = [Address.of(text, 0).host for text in texts if isinstance(text, str)]  # an IPv6 one is a tuple
    return [host for host in found if is_private(host) and not is_loopback(host)]


def told_of(
    hosts: Iterable[bytes], port: int | None, words: Mapping[bytes, bytes | None], network: bytes
) -> tuple[Address, ...]:
    """The addresses in an announcement, if it is one of ``network``; whatever it says, nothing is raised."""
    if not port or not 0 < port <= 0xFFFF or (words.get(b"network") or b"").lower() != network.hex().encode():
        return ()
    fit = [Address(host, port) for host in list(hosts)[:MAX_HOSTS] if len(host) in (4, 16)]
    return tuple(address for address in fit if usable(address) and not is_loopback(address.host))


class Neighbours:
    """The supernodes of one network on the local network.  ``on_found`` hears of them; ``on_warning``, why not."""

    def __init__(
        self, network: bytes, on_found: Callable[[tuple[Address, ...]], None], on_warning: Callable[[str], None]
    ) -> None:
        self._network = network
        self._on_found = on_found
        self._on_warning = on_warning
        self._zeroconf: Any = None
        self._browser: Any = None
        self._own = ""
        self._followed: dict[str, None] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._warned = False
        self._busy = asyncio.Lock()

    async def announce(self, addresses: Iterable[Address]) -> None:
        """Tell of a supernode of ours, at those of its addresses that are private.  Whatever fails is a warning."""
        ports = [address.port for address in addresses]
        async with self._busy:
            mine = [host for host in await self._open() if any(_covers(address.host, host) for address in addresses)]
            if self._zeroconf is None or not mine:
                return
            from zeroconf import ServiceInfo

            name = secrets.token_hex(6)  # a new one each time: it need not be known again
            self._own = f"{name}.{SERVICE}"
            words = {"network": self._network.hex()}
            info = ServiceInfo(
                SERVICE, self._own, port=ports[0], addresses=mine, properties=words, server=f"{name}.local."
            )
            try:
                await self._zeroconf.async_register_service(info)
            except Exception as fault:  # of the library or the system: the supernode is one all the same
                self._warn(str(fault) or type(fault).__name__)

    async def browse(self) -> None:
        """Look for supernodes, until ``rest``.  Harmless while that is being done."""
        async with self._busy:
            await self._open()
            if self._zeroconf is None or self._browser is not None:
                return
            from zeroconf.asyncio import AsyncServiceBrowser

            self._followed.clear()
            self._browser = AsyncServiceBrowser(self._zeroconf.zeroconf, SERVICE, handlers=[self._heard])

    async def rest(self) -> None:
        """Look no longer; what is announced stays so."""
        async with self._busy:
            if self._browser is not None:
                await self._browser.async_cancel()
                self._browser = None
            for task in list(self._tasks):
                task.cancel()
            if self._zeroconf is not None and not self._own:
                await self._shut()

    async def close(self) -> None:
        """Take back what was announced, and give everything back."""
        self._own = ""
        await self.rest()

    # --- inside

    async def _open(self) -> list[bytes]:
        """The hosts that take part; the sockets are open then."""
        try:
            from zeroconf import IPVersion
            from zeroconf.asyncio import AsyncZeroconf

            hosts = own_hosts()
            if self._zeroconf is None and hosts:
                logging.getLogger("zeroconf").addHandler(logging.NullHandler())  # strange packets are no news
                interfaces = [Address(host, 0).ip for host in hosts]
                self._zeroconf = AsyncZeroconf(interfaces=interfaces, ip_version=IPVersion.V4Only)
                await self._zeroconf.zeroconf.async_wait_for_start()
        except ImportError:
            self._warn("the library zeroconf is not installed")
            return []
        except Exception as fault:  # of the library or the system: there is no multicast here
            self._warn(str(fault) or type(fault).__name__)
            await self._shut()
            return []
        if not hosts:
            self._warn("this machine has no private address")
        return hosts

    async def _shut(self) -> None:
        zeroconf, self._zeroconf = self._zeroconf, None
        if zeroconf is not None:
            with contextlib.suppress(Exception):  # it is given up whatever it says
                await zeroconf.async_close()

    def _heard(self, zeroconf: Any, service_type: str, name: str, state_change: Any) -> None:
        """The library: somebody is announced, or goes.  Called inside the loop."""
        new = name != self._own and name not in self._followed and state_change.name != "Removed"
        if state_change.name == "Removed":
            self._followed.pop(name, None)
        if not new or len(self._tasks) >= AT_ONCE or len(self._followed) >= MAX_FOLLOWED:
            return
        self._followed[name] = None
        task = asyncio.get_running_loop().create_task(self._follow(zeroconf, name))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _follow(self, zeroconf: Any, name: str) -> None:
        from zeroconf.asyncio import AsyncServiceInfo

        try:
            info = AsyncServiceInfo(SERVICE, name)
            if await info.async_request(zeroconf, RESOLVES_WITHIN):
                found = told_of(info.addresses, info.port, info.properties, self._network)
                if found:
                    self._on_found(found)
        except Exception:  # a name or an answer that the library cannot make sense of
            return

    def _warn(self, why: str) -> None:
        if not self._warned:
            self._warned = True
            self._on_warning(f"supernodes on the local network are not looked for: {why}")


def _covers(listening: bytes, host: bytes) -> bool:
    """Whether who listens at ``listening`` hears what is sent to ``host``."""
    return listening == host or not any(listening)
