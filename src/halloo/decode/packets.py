"""From a captured packet to what UDP or TCP carried: Ethernet, Linux cooked, loopback and raw links; IPv4 and IPv6.

What is not UDP or TCP, or no whole packet of it, gives nothing.  IP fragments are not put together: none of ours are
cut (a datagram stays below the smallest path).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from halloo.base.address import Address

__all__ = ["LINKS", "Segment", "carried"]

# Kinds of links, by their numbers in captures (tcpdump.org/linktypes).
NULL, ETHERNET, RAW, RAW_TOO, LOOP, COOKED, IPV4, IPV6, COOKED_2 = 0, 1, 101, 12, 108, 113, 228, 229, 276
_BARE = {RAW: 0, RAW_TOO: 0, IPV4: 0, IPV6: 0, NULL: 4, LOOP: 4}
"""Links that carry nothing but IP: how long the head before it is."""
_TYPED = {COOKED: (14, 16), COOKED_2: (0, 20)}
"""Links that carry other things too: where the protocol number of what follows stands, and how long the head is."""
LINKS = (ETHERNET, *_BARE, *_TYPED)
_TAGS = (0x8100, 0x88A8)  # Ethernet protocol numbers of a virtual LAN's tag
_IP = (0x0800, 0x86DD)
_TCP, _UDP = 6, 17
_EXTENSIONS = (0, 43, 60)  # IPv6 heads that may stand before UDP and TCP and tell their own length
_FIN, _SYN, _RST = 0x01, 0x02, 0x04
MAX_EXTENSIONS = 8


@dataclass(frozen=True, slots=True)
class Segment:
    """What one packet carried.  ``sequence`` is None for UDP; ``begins``, ``ends`` are TCP's flags."""

    source: Address
    destination: Address
    data: bytes
    sequence: int | None = None
    begins: bool = False
    ends: bool = False


def carried(link: int, packet: bytes) -> Segment | None:
    """What a packet that was seen on a link of this kind carried; None when that is nothing of UDP or TCP."""
    network = _network(link, packet)
    if not network:
        return None
    version = network[0] >> 4
    found = _ipv4(network) if version == 4 else _ipv6(network) if version == 6 else None
    if found is None:
        return None
    source, destination, protocol, body = found
    if protocol == _UDP:
        return _udp(source, destination, body)
    return _tcp(source, destination, body) if protocol == _TCP else None


def _network(link: int, packet: bytes) -> bytes:
    """The IP packet inside; empty when there is none."""
    if link in _BARE:
        return packet[_BARE[link] :]
    if link == ETHERNET:
        at = 12
        while _protocol(packet, at) in _TAGS and at < 24:
            at += 4
        head = at + 2
    elif link in _TYPED:
        at, head = _TYPED[link]
    else:
        return b""
    return packet[head:] if _protocol(packet, at) in _IP else b""


def _protocol(packet: bytes, at: int) -> int:
    return int.from_bytes(packet[at : at + 2], "big")


def _ipv4(packet: bytes) -> tuple[bytes, bytes, int, bytes] | None:
    if len(packet) < 20:
        return None
    head, size, flags = (packet[0] & 0x0F) * 4, *struct.unpack(">HxxH", packet[2:8])
    size = size or len(packet)  # zero where the network card cuts what is longer than a packet
    if head < 20 or size < head or flags & 0x3FFF:  # a part of a cut packet
        return None
    return packet[12:16], packet[16:20], packet[9], packet[head:size]


def _ipv6(packet: bytes) -> tuple[bytes, bytes, int, bytes] | None:
    if len(packet) < 40:
        return None
    size, protocol = struct.unpack(">HB", packet[4:7])
    body = packet[40 : 40 + size] if size else packet[40:]
    for _ in range(MAX_EXTENSIONS):
        if protocol not in _EXTENSIONS or len(body) < 8:
            break
        protocol, body = body[0], body[8 * (body[1] + 1) :]
    return packet[8:24], packet[24:40], protocol, body


def _udp(source: bytes, destination: bytes, body: bytes) -> Segment | None:
    if len(body) < 8:
        return None
    here, there, size = struct.unpack(">HHH", body[:6])
    if size < 8 or size > len(body):
        return None
    return Segment(Address(source, here), Address(destination, there), body[8:size])


def _tcp(source: bytes, destination: bytes, body: bytes) -> Segment | None:
    if len(body) < 20:
        return None
    here, there, sequence, head, flags = struct.unpack(">HHIxxxxBB", body[:14])
    head = (head >> 4) * 4
    if head < 20 or head > len(body):
        return None
    begins, ends = bool(flags & _SYN), bool(flags & (_FIN | _RST))
    return Segment(Address(source, here), Address(destination, there), body[head:], sequence, begins, ends)
