"""Damaged, cut and random input: said where and why, never more than an error of ours."""

from __future__ import annotations

import io
import struct
from random import Random

import pytest
from captures import ip_packets, pcap, pcapng, udp
from hypothesis import given, settings
from hypothesis import strategies as st

from halloo.base.address import Address
from halloo.base.errors import Malformed, UsageError
from halloo.crypto.suite import Covered
from halloo.crypto.suites import SUITES
from halloo.decode.capture import CutShort, is_capture, read_capture
from halloo.decode.datagrams import Frames
from halloo.decode.keys import Keys
from halloo.decode.packets import LINKS, carried
from halloo.decode.single import FORMS, explain
from halloo.decode.streams import StreamSide
from halloo.decode.traffic import Tally, explain_capture
from halloo.decode.tree import table, words
from halloo.link.datagrams import LAYOUTS
from halloo.link.keys import LinkKeys
from halloo.sim.world import Passed
from halloo.wire.frame import encode_wanted

HERE, THERE = Address.parse("192.0.2.1:1000"), Address.parse("192.0.2.2:2000")
PROBE = bytes.fromhex("04DA017F454100")
PACKETS = [(1.0 + n, udp(HERE, THERE, bytes(20))) for n in range(3)]
CAPTURES = {
    "pcap": pcap(PACKETS),
    "other order": pcap(PACKETS, 1, ">", fine=True),
    "pcapng": pcapng(PACKETS),
    "pcapng, other order": pcapng(PACKETS, 1, ">"),
}


def everything(capture: bytes) -> int:
    return sum(1 for _ in read_capture(io.BytesIO(capture)))


@pytest.mark.parametrize("name", CAPTURES)
def test_every_cut_of_a_capture_gives_what_came_before(name: str) -> None:
    whole = CAPTURES[name]
    assert everything(whole) == len(PACKETS)
    least = 0
    for end in range(4, len(whole)):
        read = 0
        try:
            for _ in read_capture(io.BytesIO(whole[:end])):
                read += 1
        except CutShort:
            pass
        assert read >= least
        least = read
    assert least == len(PACKETS) - 1


@given(st.sampled_from(sorted(CAPTURES)), st.integers(0, 1 << 16), st.integers(0, 255))
@settings(max_examples=300)
def test_a_capture_with_a_wrong_byte_is_read_or_malformed(name: str, at: int, value: int) -> None:
    spoiled = bytearray(CAPTURES[name])
    spoiled[at % len(spoiled)] = value
    try:
        for packet in read_capture(io.BytesIO(bytes(spoiled))):
            carried(packet.link, packet.data)
    except Malformed:
        pass


@given(st.sampled_from([b"\xd4\xc3\xb2\xa1", b"\xa1\xb2\x3c\x4d", b"\x0a\x0d\x0d\x0a"]), st.binary(max_size=200))
@settings(max_examples=200)
def test_random_bytes_after_a_magic_number(magic: bytes, rest: bytes) -> None:
    assert is_capture(magic)
    try:
        for packet in read_capture(io.BytesIO(magic + rest)):
            carried(packet.link, packet.data)
    except Malformed:
        pass


@pytest.mark.parametrize("content", [b"", b"\x7fELF", b"04DA", b"\0\0\0\0"])
def test_what_is_no_capture_is_said(content: bytes) -> None:
    with pytest.raises(Malformed, match="not a capture"):
        list(read_capture(io.BytesIO(content)))


def test_a_packet_longer_than_any_is_refused_before_it_is_read() -> None:
    capture = pcap([]) + struct.pack("<IIII", 0, 0, 1 << 31, 1 << 31)
    with pytest.raises(Malformed, match="damaged"):
        list(read_capture(io.BytesIO(capture)))


def test_a_damaged_capture_is_told_with_its_place() -> None:
    capture = pcap(PACKETS) + b"\xff" * 40
    tally = Tally()
    frames = Frames(SUITES[1], b"", Keys())
    list(explain_capture(read_capture(io.BytesIO(capture)), frames, tally))
    assert tally.packets == len(PACKETS)
    assert tally.damaged.startswith("after packet 3")


def test_packets_of_a_snap_length_are_passed_over() -> None:
    short = pcap([]) + struct.pack("<IIII", 0, 0, 40, 400) + udp(HERE, THERE, bytes(12))
    tally = Tally()
    list(explain_capture(read_capture(io.BytesIO(short)), Frames(SUITES[1], b"", Keys()), tally))
    assert tally.packets == tally.foreign == 1


@given(st.sampled_from(LINKS), st.binary(max_size=120))
def test_random_packets_carry_something_or_nothing(link: int, packet: bytes) -> None:
    carried(link, packet)


@pytest.mark.parametrize("suite", SUITES.values(), ids=lambda suite: suite.name)
@given(data=st.binary(max_size=200), form=st.sampled_from(FORMS))
@settings(max_examples=200)
def test_random_bytes_are_explained_or_said_to_be_unknown(suite, data: bytes, form: str) -> None:
    part = explain(data, Frames(suite, bytes(32), Keys()), HERE, THERE, form)
    assert "\n".join(words(part))
    assert table(part)["hex"] == data.hex()


@given(data=st.binary(max_size=60))
@settings(max_examples=200)
def test_every_byte_of_commands_is_in_some_part(data: bytes) -> None:
    """Nothing is passed over in silence: the parts cover the bytes, in order."""
    part = explain(data, Frames(SUITES[1], b"", Keys()), HERE, THERE, "commands")
    covered = b"".join(each.data for each in part.parts)
    assert covered == data
    at = 0
    for each in part.parts:
        assert each.at == at
        at += len(each.data)


@pytest.mark.parametrize(
    ("digits", "fault"),
    [
        ("04DA017F4541", "4 bytes announced, 3 there"),
        ("04DA017F454300", "cannot begin with 0x43"),
        ("07DA017F45410108FF", "7 bytes announced"),
        ("06DA017F45410108", "6 bytes announced, 5 there"),
        ("07DA017F454101080000", "unknown object kind 8"),
        ("05DA017F45410000", "1 bytes that belong to nothing"),
        ("08F1010001410101FF", "8 bytes announced"),
        ("03F1014100", "3 bytes announced"),
        ("04724100", "4 bytes announced"),
        ("04720001" + "4100", "lacks a parameter"),
    ],
)
def test_where_it_stops_being_sensible(digits: str, fault: str) -> None:
    part = explain(bytes.fromhex(digits), Frames(SUITES[1], b"", Keys()), HERE, THERE, "commands")
    assert any(fault in each for each in part.faults), part.faults


def test_the_published_dumps_are_explained() -> None:
    for digits, request in (("04DA017F454215", "0x7f45"), ("04E301D6264215", "0xd626")):
        part = explain(bytes.fromhex(digits), Frames(SUITES[1], b"", Keys()), HERE, THERE)
        assert not part.faults
        assert request in [each.meaning for each in part.walk()]


@pytest.mark.parametrize(
    ("text", "said"),
    [("link 1 2", "line 1"), ("# a remark\n\nlink 2 1 2 aa bb cc\nnonsense", "line 4")],
)
def test_a_line_that_is_none_is_told_with_its_number(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        Keys.read(text)


def test_a_key_file_may_hold_remarks_and_both_sides() -> None:
    line = LinkKeys(2, 5, 6, bytes(32), bytes(32), bytes(32)).to_line()
    assert len(Keys.read(f"# both sides wrote here\n{line}\n\n{line}\n").links) == 1


def test_many_small_frames_of_a_stream_take_no_longer_than_their_bytes() -> None:
    """Twenty thousand frames in one piece: each is cut out once."""
    suite = SUITES[0]
    side = StreamSide(Frames(suite, b"", Keys()))
    frames = bytes([1 << 1 | 1, 0x03]) * 20_000
    parts = side.feed(suite.stream_cloak(b"", Random(1)).opening() + frames, 0.0)
    assert len(parts) == 20_001
    assert sum(len(part.data) for part in parts[1:]) == len(frames)


@pytest.mark.parametrize("suite", [SUITES[1], SUITES[2]], ids=lambda suite: suite.name)
def test_ipv6(suite) -> None:
    here, there = Address.parse("[2001:db8::1]:1000"), Address.parse("[2001:db8::2]:2000")
    cloak = suite.cloak(bytes(32), LAYOUTS)
    rng = Random(1)
    nack = there.host + bytes(4)
    passed = [
        Passed(0.0, here, there, cloak.cover(Covered(2, 0x02, b"", PROBE), bytes(16), there.host, rng), stream=False),
        Passed(0.1, there, here, cloak.cover(Covered(2, 0x07, b"", nack), there.host, here.host, rng), stream=False),
        Passed(0.2, here, there, cloak.cover(Covered(4, 0x02, b"", PROBE), here.host, there.host, rng), stream=False),
    ]
    tally = Tally()
    capture = io.BytesIO(pcap(ip_packets(passed), 1))
    found = list(explain_capture(read_capture(capture), Frames(suite, bytes(32), Keys()), tally))
    assert tally.explained == 3
    assert "does not know his own" in found[0].part.meaning
    assert "you are 2001:db8::2" in [part.meaning for part in found[1].part.walk()]
    assert found[2].part.meaning == "bound to 2001:db8::1 and 2001:db8::2"


def test_behind_a_translator_the_nack_tells_which_host_was_meant() -> None:
    """The capture has a private host; what is said later is bound to the public one."""
    suite = SUITES[2]
    private, server = Address.parse("10.0.0.7:1000"), Address.parse("192.0.2.2:2000")
    public = bytes([198, 51, 100, 9])
    cloak, rng = suite.cloak(bytes(32), LAYOUTS), Random(1)
    passed = [
        Passed(0.0, private, server, cloak.cover(Covered(2, 2, b"", PROBE), bytes(4), server.host, rng), stream=False),
        Passed(0.1, server, private, cloak.cover(Covered(2, 7, b"", public + bytes(4)), b"", b"", rng), stream=False),
        Passed(0.2, private, server, cloak.cover(Covered(4, 2, b"", PROBE), public, server.host, rng), stream=False),
    ]
    tally = Tally()
    capture = io.BytesIO(pcap(ip_packets(passed)))
    *_, last = explain_capture(read_capture(capture), Frames(suite, bytes(32), Keys()), tally)
    assert tally.explained == 3
    assert last.part.meaning == "bound to 198.51.100.9 and 192.0.2.2"


@pytest.mark.parametrize("suite", [SUITES[1], SUITES[2]], ids=lambda suite: suite.name)
def test_a_wish_for_lost_fragments(suite) -> None:
    head, body = encode_wanted(0xBEEF, [1, 3])
    data = suite.cloak(bytes(32), LAYOUTS).cover(Covered(2, 0x0F, head, body), HERE.host, THERE.host, Random(1))
    part = Frames(suite, bytes(32), Keys()).datagram(data, HERE, THERE, 0.0)
    assert not part.faults
    said = [each.meaning for each in part.walk()]
    assert "asks for pieces" in said
    assert "of message 0xbeef the pieces 1, 3 again" in said
