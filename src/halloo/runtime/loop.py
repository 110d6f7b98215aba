"""asyncio drives a station: UDP sockets, TCP connections, one timer.

    socket readable -> station.receive -> effects -> sendto / write / connect, events -> owner
    timer           -> station.wake    -> the same

The clock is read once per turn.  A datagram that the operating system does not take at once is dropped, as any router
on the way would drop it.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
import time
from collections.abc import Callable, Iterable
from functools import lru_cache
from math import inf

from halloo.base.address import Address
from halloo.base.effects import StreamClose, StreamOpen, StreamWrite, Transmit
from halloo.base.errors import Unusable
from halloo.base.machine import Effects, Event
from halloo.node.station import Station
from halloo.runtime.tcp import Connector, Door

__all__ = ["Driver", "wall_offset"]

BUFFER = 1 << 20  # bytes asked of the system for each direction of a UDP socket: half a second at 16 Mbit/s
AT_ONCE = 64  # datagrams read before the loop may do something else
LARGEST = 65_536
MAX_UNWRITTEN = 1 << 20  # bytes that a connection may owe before it is closed: its reader is stuck
MAX_INBOUND = 1_000  # connections that others made, at once: 800 clients, and all other supernodes
PORTS_TRIED = 20  # where any port will do
SPARED = 112  # files that a process needs for other things than connections
SILENT_FOR = 120.0  # seconds without a byte after which such a connection is closed; an idle node pings twice as often
_INBOUND = 1 << 32
_address_of = lru_cache(4_096)(Address.of)  # reading and writing the text of an address costs more than the datagram


def wall_offset() -> float:
    """Seconds to add to the loop's clock for the wall clock."""
    return time.time() - time.monotonic()


class Driver:
    """One station in the real world.  ``on_event`` hears its events, in order, inside the loop."""

    def __init__(
        self, station: Station, on_event: Callable[[Event], None], connector: Connector | None = None
    ) -> None:
        self.station = station
        self._connector = connector or Connector()
        self._on_event = on_event
        self._loop = asyncio.get_running_loop()
        self._sockets: dict[tuple[socket.AddressFamily, int], socket.socket] = {}
        """By family and number: the first of each family has number 0, so that a route need not tell them apart."""
        self._doors: list[Door] = []
        self._streams: dict[int, _Connection] = {}
        self._connecting: dict[int, asyncio.Task[None]] = {}
        self._next_stream = _INBOUND
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = inf
        self._files = _files_for_connections()
        self.sent = 0
        """Bytes that went out, by datagrams and connections."""
        self.dropped = 0
        """Datagrams that the system did not take."""
        self.closed = False

    # --- life -------------------------------------------------------------------------------------------------

    async def listen(self, address: Address, tcp_ports: Iterable[int] = ()) -> Address:
        """Open UDP and TCP on ``address`` (port 0: any), and TCP on further ports; where it listens now.

        Raises:
            Unusable: the address is in use, or not ours.
        """
        for tries in range(PORTS_TRIED, 0, -1):
            try:
                return self._listen(address, tuple(tcp_ports))
            except OSError as fault:
                # A port that UDP has free may be in use for TCP: where any will do, there are others.
                if address.port or tries == 1 or fault.errno != errno.EADDRINUSE:
                    raise Unusable(f"cannot listen on {address}: {fault.strerror or fault}") from None
        raise AssertionError("the last try raises")

    def _listen(self, address: Address, tcp_ports: tuple[int, ...]) -> Address:
        family = socket.AF_INET if len(address.host) == 4 else socket.AF_INET6
        bound: list[socket.socket] = []
        try:
            udp = _bound(family, socket.SOCK_DGRAM, address.ip, address.port, bound)
            port = udp.getsockname()[1]
            for each in (port, *tcp_ports):
                _bound(family, socket.SOCK_STREAM, address.ip, each, bound)
        except OSError:
            for plug in bound:
                plug.close()
            raise
        self._doors += [Door(plug, self._accepted, self._connector.wrapping) for plug in bound[1:]]
        number = sum(held == family for held, _ in self._sockets)
        self._sockets[family, number] = udp
        self._loop.add_reader(udp, self._readable, udp, number)
        return Address(address.host, port)

    def do(self, effects: Effects) -> None:
        """Carry out what an intent of the station's mind returned."""
        self._carry_out(self.station.carry(effects, self.now))

    @property
    def now(self) -> float:
        """The world's clock: seconds, monotonic."""
        return self._loop.time()

    async def close(self) -> None:
        """Stop, and give everything back."""
        self.closed = True
        if self._timer is not None:
            self._timer.cancel()
        for task in list(self._connecting.values()):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        for udp in self._sockets.values():
            self._loop.remove_reader(udp)
            udp.close()
        for connection in list(self._streams.values()):
            connection.abort()
        self._streams.clear()
        for door in self._doors:
            await door.close()

    # --- in ---------------------------------------------------------------------------------------------------

    def _readable(self, udp: socket.socket, number: int) -> None:
        now = self.now
        for _ in range(AT_ONCE):
            try:
                data, source = udp.recvfrom(LARGEST)
            except (BlockingIOError, InterruptedError):
                break
            except OSError:
                continue  # an ICMP error of an earlier datagram; who sent it will notice the silence
            self._carry_out(self.station.receive(data, _address_of(source[0], source[1]), now, number), arm=False)
        self._arm()

    def _accepted(self) -> asyncio.Protocol:
        number = self._next_stream
        self._next_stream += 1
        return _Connection(self, number, None)

    def stream_opened(self, number: int, connection: _Connection, address: Address) -> None:
        """A TCP connection stands.  One too many of those that others made is closed at once."""
        if number >= _INBOUND and sum(held >= _INBOUND for held in self._streams) >= min(MAX_INBOUND, self._files):
            connection.abort()
            return
        self._streams[number] = connection
        self._carry_out(self.station.stream_opened(number, address, self.now))

    def stream_received(self, number: int, data: bytes) -> None:
        """Bytes of a TCP connection."""
        self._carry_out(self.station.stream_received(number, data, self.now))

    def stream_closed(self, number: int, reason: str) -> None:
        """A TCP connection ended."""
        if self._streams.pop(number, None) is not None and not self.closed:
            self._carry_out(self.station.stream_closed(number, self.now, reason))

    def _wake(self) -> None:
        self._timer, self._timer_at = None, inf
        self._carry_out(self.station.wake(self.now))

    # --- out --------------------------------------------------------------------------------------------------

    def _carry_out(self, effects: Effects, *, arm: bool = True) -> None:
        for effect in effects:
            match effect:
                case Transmit():
                    self._transmit(effect)
                case StreamWrite():
                    connection = self._streams.get(effect.number)
                    if connection is not None:
                        connection.write(effect.data)
                        self.sent += len(effect.data)
                case StreamOpen():
                    task = self._loop.create_task(self._connect(effect))
                    self._connecting[effect.number] = task
                case StreamClose():
                    connection = self._streams.pop(effect.number, None)
                    if connection is not None:
                        connection.close()
                    elif effect.number in self._connecting:
                        self._connecting[effect.number].cancel()
                case Event():
                    self._on_event(effect)
        if arm:
            self._arm()

    def _transmit(self, effect: Transmit) -> None:
        family = socket.AF_INET if len(effect.address.host) == 4 else socket.AF_INET6
        udp = self._sockets.get((family, effect.socket))
        try:
            if udp is not None:
                udp.sendto(effect.data, _target(effect.address))
                self.sent += len(effect.data)
                return
        except OSError:
            pass  # no route, or no room just now: to the other side it is a lost datagram
        self.dropped += 1

    async def _connect(self, effect: StreamOpen) -> None:
        number, address = effect.number, effect.address
        try:
            await self._connector.connect(
                address, lambda: _Connection(self, number, address), proxied=effect.proxied
            )
        except (OSError, TimeoutError) as fault:
            if not self.closed:
                reason = "no answer" if isinstance(fault, TimeoutError) else (fault.strerror or str(fault)).lower()
                self._carry_out(self.station.stream_closed(number, self.now, reason))
        finally:
            self._connecting.pop(number, None)

    def _arm(self) -> None:
        at = self.station.wake_at
        if self.closed or (self._timer is not None and self._timer_at <= at):
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if at < inf:
            self._timer_at = at
            self._timer = self._loop.call_at(at, self._wake)


@lru_cache(4_096)
def _target(address: Address) -> tuple[str, int]:
    return address.ip, address.port


def _bound(
    family: socket.AddressFamily, kind: socket.SocketKind, host: str, port: int, bound: list[socket.socket]
) -> socket.socket:
    """A socket at an address, added to ``bound``.  Raises OSError."""
    plug = socket.socket(family, kind)
    bound.append(plug)
    plug.setblocking(False)
    if family == socket.AF_INET6:
        plug.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    if kind == socket.SOCK_DGRAM:
        for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
            plug.setsockopt(socket.SOL_SOCKET, option, BUFFER)
    elif os.name == "posix":
        plug.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    plug.bind((host, port))
    return plug


def _files_for_connections() -> int:
    """How many connections this process may have open; where it is allowed to, it first asks for enough files."""
    try:
        import resource
    except ImportError:  # no such limit on this system
        return MAX_INBOUND
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MAX_INBOUND + SPARED
    if soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return max(1, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - SPARED)


class _Connection(asyncio.Protocol):
    """One TCP connection.  ``address`` is None for one that came in."""

    def __init__(self, driver: Driver, number: int, address: Address | None) -> None:
        self._driver = driver
        self._number = number
        self._address = address
        self._transport: asyncio.Transport | None = None
        self._silence: asyncio.TimerHandle | None = None
        self._heard_at = driver.now

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """asyncio: it stands."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        plug = transport.get_extra_info("socket")
        if plug is not None:
            with contextlib.suppress(OSError):
                plug.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        name = transport.get_extra_info("peername")
        if name is None:  # it closed before we could look
            transport.abort()
            return
        if self._address is None:
            self._listen_for_silence()
        self._driver.stream_opened(self._number, self, self._address or Address.of(name[0], name[1]))

    def data_received(self, data: bytes) -> None:
        """asyncio: bytes came."""
        self._heard_at = self._driver.now
        self._driver.stream_received(self._number, data)

    def connection_lost(self, fault: Exception | None) -> None:
        """asyncio: it ended."""
        if self._silence is not None:
            self._silence.cancel()
        self._driver.stream_closed(self._number, str(fault) if fault else "the connection was closed")

    def _listen_for_silence(self) -> None:
        """Close it when nothing has come for long: whoever made it may hold it for no other purpose."""
        left = self._heard_at + SILENT_FOR - self._driver.now
        if left <= 0:
            self.abort()
        else:
            self._silence = asyncio.get_running_loop().call_later(left, self._listen_for_silence)

    def write(self, data: bytes) -> None:
        """Send bytes; a connection whose reader is stuck is broken."""
        if self._transport is None:
            return
        if self._transport.get_write_buffer_size() > MAX_UNWRITTEN:
            self._transport.abort()
            return
        self._transport.write(data)

    def close(self) -> None:
        """End it when what was written has gone."""
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """End it at once."""
        if self._transport is not None:
            self._transport.abort()
