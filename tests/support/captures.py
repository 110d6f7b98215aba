"""Captures made by hand: what a virtual world put on its wires, as pcap or pcapng, for every kind of link."""

from __future__ import annotations

import struct
from collections.abc import Iterable

from halloo.base.address import Address
from halloo.sim.world import Passed

__all__ = ["ip_packets", "pcap", "pcapng", "tcp", "udp", "wrapped"]

MTU = 1400  # bytes of one TCP segment


def udp(source: Address, destination: Address, data: bytes) -> bytes:
    return _ip(source, destination, 17, struct.pack(">HHHH", source.port, destination.port, 8 + len(data), 0) + data)


def tcp(source: Address, destination: Address, sequence: int, data: bytes, flags: int = 0x18) -> bytes:
    head = struct.pack(">HHIIBBHHH", source.port, destination.port, sequence & 0xFFFF_FFFF, 0, 0x50, flags, 0, 0, 0)
    return _ip(source, destination, 6, head + data)


def _ip(source: Address, destination: Address, protocol: int, body: bytes) -> bytes:
    if len(source.host) == 16:
        return struct.pack(">IHBB", 6 << 28, len(body), protocol, 64) + source.host + destination.host + body
    head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(body), 0, 0, 64, protocol, 0)
    return head + source.host + destination.host + body


def ip_packets(passed: Iterable[Passed]) -> list[tuple[float, bytes]]:
    """IP packets of what passed; connections begin with a SYN each way and are cut into segments."""
    out: list[tuple[float, bytes]] = []
    written: dict[tuple[Address, Address], int] = {}
    for each in passed:
        if not each.stream:
            out.append((each.time, udp(each.source, each.destination, each.data)))
            continue
        key = each.source, each.destination
        if key not in written:
            written[key] = 0xFFFF_FF00  # wraps soon
            out.append((each.time, tcp(*key, written[key], b"", 0x02)))
            written[key] += 1
        for at in range(0, len(each.data), MTU):
            piece = each.data[at : at + MTU]
            out.append((each.time, tcp(*key, written[key], piece)))
            written[key] += len(piece)
    return out


def wrapped(link: int, packet: bytes) -> bytes:
    """An IP packet as it is seen on a link of one kind."""
    protocol = b"\x86\xdd" if packet[0] >> 4 == 6 else b"\x08\x00"
    match link:
        case 1:
            return bytes(12) + protocol + packet
        case 113:
            return bytes(14) + protocol + packet
        case 276:
            return protocol + bytes(18) + packet
        case 0 | 108:
            return bytes(4) + packet
    return packet


def pcap(packets: Iterable[tuple[float, bytes]], link: int = 101, order: str = "<", *, fine: bool = False) -> bytes:
    unit = 10**9 if fine else 10**6
    out = struct.pack(f"{order}IHHiIII", 0xA1B23C4D if fine else 0xA1B2C3D4, 2, 4, 0, 0, 262_144, link)
    for time, packet in packets:
        data = wrapped(link, packet)
        out += struct.pack(f"{order}IIII", int(time), round(time % 1 * unit), len(data), len(data)) + data
    return out


def pcapng(packets: Iterable[tuple[float, bytes]], link: int = 1, order: str = "<") -> bytes:
    def block(kind: int, body: bytes) -> bytes:
        body += bytes(-len(body) % 4)
        size = struct.pack(f"{order}I", 12 + len(body))
        return struct.pack(f"{order}I", kind) + size + body + size

    out = block(0x0A0D0D0A, struct.pack(f"{order}IHHq", 0x1A2B3C4D, 1, 0, -1))
    # An interface whose times count nanoseconds, by an option.
    resolution = struct.pack(f"{order}HH", 9, 1) + b"\x09\0\0\0" + bytes(4)
    out += block(1, struct.pack(f"{order}HHI", link, 0, 0) + resolution)
    out += block(5, bytes(12))  # statistics: passed over
    for time, packet in packets:
        data = wrapped(link, packet)
        stamp = round(time * 10**9)
        head = struct.pack(f"{order}IIIII", 0, stamp >> 32, stamp & 0xFFFF_FFFF, len(data), len(data))
        out += block(6, head + data)
    return out
