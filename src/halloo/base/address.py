"""Where a node can be reached: an internet address with a port, and the route a packet takes to it."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import NewType

from halloo.base.errors import UsageError

__all__ = ["Address", "Channel", "Peer", "Route", "Stream", "Wire", "prefix_of"]

Peer = NewType("Peer", int)
"""A link to another node, by the number that our own endpoint gave it.  Never reused within a run."""


@dataclass(frozen=True, slots=True, order=True)
class Address:
    """An IPv4 (4 bytes) or IPv6 (16 bytes) host in network order, and a port."""

    host: bytes
    port: int

    def __post_init__(self) -> None:
        if len(self.host) not in (4, 16) or not 0 <= self.port <= 0xFFFF:
            raise UsageError(f"not an address: {self.host.hex()} port {self.port}")

    @classmethod
    def parse(cls, text: str) -> Address:
        """Read ``192.0.2.1:33033`` or ``[2001:db8::1]:33033``.

        Raises:
            UsageError: the text is no numeric address with a port.
        """
        host, separator, port = text.strip().rpartition(":")
        try:
            if not separator or not 0 <= int(port) <= 0xFFFF:
                raise ValueError(text)
            return cls.of(host.strip("[]"), int(port))
        except ValueError:
            raise UsageError(
                f"{text!r} is not an address; write it as 192.0.2.1:33033 or [2001:db8::1]:33033"
            ) from None

    @classmethod
    def of(cls, host: str, port: int) -> Address:
        """The address of a numeric host, an IPv4 host inside IPv6 unwrapped.  Raises ValueError for a name."""
        parsed = ipaddress.ip_address(host.partition("%")[0])
        if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is not None:
            parsed = parsed.ipv4_mapped
        return cls(parsed.packed, port)

    @property
    def ip(self) -> str:
        """The host as text, without the port."""
        return str(ipaddress.ip_address(self.host))

    def __str__(self) -> str:
        return f"{self.ip}:{self.port}" if len(self.host) == 4 else f"[{self.ip}]:{self.port}"


def prefix_of(host: bytes) -> bytes:
    """What counts as one host: an IPv4 address, or the network of an IPv6 one (whose owner has all of its 2**64)."""
    return host[:8] if len(host) == 16 else host


@dataclass(frozen=True, slots=True)
class Wire:
    """Straight over UDP to an address, from our listening socket number ``socket``."""

    address: Address
    socket: int = 0

    def __str__(self) -> str:
        return f"udp {self.address}"


@dataclass(frozen=True, slots=True)
class Stream:
    """Over a TCP connection, by the number the station gave it; ``proxied``: by way of the proxy of this machine."""

    number: int
    address: Address
    proxied: bool = False

    def __str__(self) -> str:
        return f"tcp {self.address}"


@dataclass(frozen=True, slots=True)
class Channel:
    """Through a third node that forwards: the link to it, and the 64-bit token it gave us for this direction."""

    hop: Peer
    token: int

    def __str__(self) -> str:
        return f"relay link {self.hop}"


Route = Wire | Stream | Channel
"""How a packet travels to the other side of a link."""
