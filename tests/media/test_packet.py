"""One packet of sound: what is written is read, and nothing else is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from halloo.base.errors import Malformed, UsageError
from halloo.media.packet import MAX_FRAME, MAX_PACKET, NUMBERS, Copy, Packet

FRAMES = st.binary(min_size=1, max_size=200)
COPIES = st.lists(st.tuples(st.integers(1, 255), FRAMES), max_size=3, unique_by=lambda each: each[0]).map(
    lambda each: tuple(Copy(offset, frame) for offset, frame in sorted(each))
)
PACKETS = st.builds(Packet, st.integers(0, NUMBERS - 1), FRAMES, COPIES)


@given(PACKETS)
def test_round_trip(packet: Packet) -> None:
    assert Packet.parse(packet.build()) == packet


@given(PACKETS)
def test_the_size_tells_only_the_sizes(packet: Packet) -> None:
    assert len(packet.build()) == 5 + len(packet.frame) + sum(3 + len(copy.frame) for copy in packet.copies)


@given(PACKETS, st.data())
def test_a_prefix_is_malformed_or_a_shorter_frame(packet: Packet, data: st.DataObject) -> None:
    whole = packet.build()
    cut = data.draw(st.integers(0, len(whole) - 1))
    if cut <= len(whole) - len(packet.frame):
        with pytest.raises(Malformed):
            Packet.parse(whole[:cut])
    else:
        assert Packet.parse(whole[:cut]).copies == packet.copies


@given(st.binary(max_size=1500))
def test_any_bytes_are_a_packet_or_malformed(data: bytes) -> None:
    for start in (b"", b"\x10", b"\x11", b"\x12", b"\x13"):
        try:
            packet = Packet.parse(start + data)
        except Malformed:
            continue
        assert packet.build() == start + data


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x10\0\0\0\0",  # no frame
        b"\x20\0\0\0\0x",  # another version
        b"\x14\0\0\0\0x",  # a bit that means nothing
        b"\x11\0\0\0\0\x00\x00\x01xy",  # a copy of the frame itself
        b"\x11\0\0\0\0\x01\x00\x00y",  # an empty copy
        b"\x12\0\0\0\0\x02\x00\x01a\x01\x00\x01by",  # not nearest first
        b"\x12\0\0\0\0\x02\x00\x01a\x02\x00\x01by",  # twice the same
        b"\x11\0\0\0\0\x01\xff\xffy",  # longer than the packet
        b"\x10\0\0\0\0" + bytes(MAX_FRAME + 1),
        b"\x10\0\0\0\0" + bytes(MAX_PACKET),
    ],
)
def test_malformed(data: bytes) -> None:
    with pytest.raises(Malformed):
        Packet.parse(data)


@pytest.mark.parametrize(
    "packet",
    [
        Packet(-1, b"x"),
        Packet(NUMBERS, b"x"),
        Packet(0, b""),
        Packet(0, bytes(MAX_FRAME + 1)),
        Packet(0, b"x", (Copy(0, b"x"),)),
        Packet(0, b"x", (Copy(256, b"x"),)),
        Packet(0, b"x", (Copy(2, b"x"), Copy(1, b"x"))),
        Packet(0, b"x", tuple(Copy(n, b"x") for n in range(1, 5))),
        Packet(0, bytes(800), (Copy(1, bytes(800)),)),
    ],
)
def test_what_does_not_fit_is_not_written(packet: Packet) -> None:
    with pytest.raises(UsageError):
        packet.build()
