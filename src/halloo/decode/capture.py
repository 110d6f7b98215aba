"""Reads captures: classic pcap of either byte order, in micro- or nanoseconds, and pcapng with enhanced packet blocks.

Packet after packet, whatever the size of the file; one packet is held at a time.  A capture that ends inside a packet
gives what came before, and then says so.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from halloo.base.errors import Malformed

__all__ = ["Captured", "CutShort", "is_capture", "read_capture"]

MAX_PACKET = 262_144  # bytes of one packet or block: what capture programs use as their own bound
MAX_INTERFACES = 256  # of one pcapng section
_PCAP = {0xA1B2C3D4: 1e-6, 0xA1B23C4D: 1e-9}  # magic number -> seconds of the lower part of its times
_SECTION, _INTERFACE, _SIMPLE, _ENHANCED = 0x0A0D0D0A, 1, 3, 6  # kinds of blocks
_BYTE_ORDER = 0x1A2B3C4D
_RESOLUTION = 9  # option: the unit of an interface's times


@dataclass(frozen=True, slots=True)
class Captured:
    """One packet: seconds since 1970, the kind of link it was seen on, and its bytes (``whole`` False: some lack)."""

    time: float
    link: int
    data: bytes
    whole: bool = True


class CutShort(Malformed):
    """The capture ends inside a packet: whoever wrote it was stopped."""


def is_capture(start: bytes) -> bool:
    """Whether a file that begins with these four bytes is one."""
    if len(start) < 4:
        return False
    numbers = struct.unpack("<I", start[:4]) + struct.unpack(">I", start[:4])
    return any(number in _PCAP or number == _SECTION for number in numbers)


def read_capture(source: BinaryIO) -> Iterator[Captured]:
    """The packets of a capture.

    Raises:
        Malformed: no capture, or one that makes no sense from some place on.
        CutShort: it ends inside a packet.
    """
    start = source.read(4)
    if not is_capture(start):
        raise Malformed("not a capture: neither pcap nor pcapng")
    if struct.unpack("<I", start)[0] == _SECTION:
        yield from _pcapng(source)
    else:
        yield from _pcap(source, start)


def _exactly(source: BinaryIO, size: int, *, may_end: bool = False) -> bytes:
    """``size`` bytes; nothing where the file may end here and does."""
    data = source.read(size)
    if len(data) < size and (data or not may_end):
        raise CutShort("the capture is cut short: it ends inside a packet")
    return data


def _pcap(source: BinaryIO, start: bytes) -> Iterator[Captured]:
    order = "<" if struct.unpack("<I", start)[0] in _PCAP else ">"
    unit = _PCAP[struct.unpack(f"{order}I", start)[0]]
    link = struct.unpack(f"{order}I", _exactly(source, 20)[16:])[0] & 0xFFFF  # the upper bits tell of checksums
    record = struct.Struct(f"{order}IIII")
    while head := _exactly(source, record.size, may_end=True):
        seconds, fraction, size, original = record.unpack(head)
        if size > MAX_PACKET:
            raise Malformed(f"the capture has a packet of {size} bytes; it is damaged from there on")
        yield Captured(seconds + fraction * unit, link, _exactly(source, size), size >= original)


def _pcapng(source: BinaryIO) -> Iterator[Captured]:
    order, interfaces, kind = "<", list[tuple[int, float]](), _SECTION
    while True:
        if kind == _SECTION:
            length_bytes, magic = _exactly(source, 4), _exactly(source, 4)
            order = "<" if struct.unpack("<I", magic)[0] == _BYTE_ORDER else ">"
            if struct.unpack(f"{order}I", magic)[0] != _BYTE_ORDER:
                raise Malformed("a section of the capture has no byte order")
            interfaces = []
            _body(source, order, length_bytes, 12)
        else:
            body = _body(source, order, _exactly(source, 4), 8)
            if kind == _INTERFACE:
                interfaces.append(_interface(body, order))
                if len(interfaces) > MAX_INTERFACES:
                    raise Malformed(f"the capture has more than {MAX_INTERFACES} interfaces")
            elif kind in (_ENHANCED, _SIMPLE):
                yield _packet(kind, body, order, interfaces)
        head = _exactly(source, 4, may_end=True)
        if not head:
            return
        kind = struct.unpack(f"{order}I", head)[0]


def _body(source: BinaryIO, order: str, length_bytes: bytes, taken: int) -> bytes:
    """What is left of a block, ``taken`` bytes of which were read, without the length at its end."""
    length = struct.unpack(f"{order}I", length_bytes)[0]
    if length % 4 or not taken + 4 <= length <= MAX_PACKET + 1_024:
        raise Malformed(f"the capture has a block of {length} bytes; it is damaged from there on")
    body = _exactly(source, length - taken)
    if body[-4:] != length_bytes:
        raise Malformed("a block of the capture does not end with its length; it is damaged from there on")
    return body[:-4]


def _interface(body: bytes, order: str) -> tuple[int, float]:
    """(kind of link, seconds of one unit of time)."""
    if len(body) < 8:
        raise Malformed("an interface of the capture is not described")
    unit, at = 1e-6, 8
    while at + 4 <= len(body):
        code, size = struct.unpack(f"{order}HH", body[at : at + 4])
        if code == 0:
            break
        if code == _RESOLUTION and size == 1 and at + 4 < len(body):
            value = body[at + 4]
            unit = 2.0 ** -(value & 0x7F) if value & 0x80 else 10.0**-value
        at += 4 + size + -size % 4
    return struct.unpack(f"{order}H", body[:2])[0], unit


def _packet(kind: int, body: bytes, order: str, interfaces: list[tuple[int, float]]) -> Captured:
    head = 20 if kind == _ENHANCED else 4
    if len(body) < head:
        raise Malformed("a packet of the capture is not described")
    if kind == _SIMPLE:
        number, high, low = 0, 0, 0
        original = struct.unpack(f"{order}I", body[:4])[0]
        size = min(original, len(body) - head)
    else:
        number, high, low, size, original = struct.unpack(f"{order}IIIII", body[:20])
    if number >= len(interfaces):
        raise Malformed("a packet of the capture is from no interface of it")
    if head + size > len(body):
        raise Malformed("a packet of the capture is longer than its block")
    link, unit = interfaces[number]
    return Captured((high << 32 | low) * unit, link, body[head : head + size], size >= original)
