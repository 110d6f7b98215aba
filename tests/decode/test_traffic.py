"""A call that was overheard is explained wholly with its keys, and as far as one may without them."""

from __future__ import annotations

import io
from functools import cache

import pytest
from captures import ip_packets, pcap, pcapng
from overheard import Overheard, overhear

from halloo.decode.capture import read_capture
from halloo.decode.datagrams import Frames
from halloo.decode.keys import Keys
from halloo.decode.traffic import Explained, Tally, explain_capture
from halloo.path.reach import Policy

PROFILES = ("modern", "classic", "plain")
SPOKEN = ("Probe", "ProbeAccept", "Hello", "HelloAnswer", "Finish", "Attach", "Attached", "Store", "Stored", "Invite")


@cache
def heard(profile: str, way: str) -> Overheard:
    match way:
        case "relayed":
            return overhear(7, profile, policy=Policy.RELAYED)
        case "tcp":
            return overhear(7, profile, no_udp=("alice",))
    return overhear(7, profile)


def explained(told: Overheard, capture: bytes, keys: Keys) -> tuple[list[Explained], Tally]:
    frames = Frames(told.town.suite, told.town.descriptor.cloak_key, keys, told.town.descriptor.id)
    tally = Tally()
    return list(explain_capture(read_capture(io.BytesIO(capture)), frames, tally)), tally


def names(found: list[Explained]) -> set[str]:
    return {part.name for each in found for part in each.part.walk()}


@pytest.mark.parametrize("way", ["direct", "relayed", "tcp"])
@pytest.mark.parametrize("profile", PROFILES)
def test_with_the_keys_everything_is_explained(profile: str, way: str) -> None:
    told = heard(profile, way)
    found, tally = explained(told, pcap(ip_packets(told.passed)), Keys(told.keys))
    assert not tally.faults, tally.first_fault
    assert not tally.foreign
    assert not tally.remarks
    said = [part for each in found for part in each.part.walk()]
    assert set(SPOKEN) <= {part.name for part in said}
    assert not [part for part in said if "no key is given" in part.meaning]
    sounds = [part for part in said if part.name == "number" and "media time" in part.meaning]
    assert len(sounds) > 10
    assert {"the proof of the responder, opened", "the proof of the initiator, opened"} <= names(found)
    if way == "relayed":
        assert any(name.startswith("the datagram inside") for name in names(found))
    if way == "tcp":
        assert "opening" in names(found)
        assert {each.way for each in found} == {"udp", "tcp"}
    if profile == "modern":
        assert "payload, put together" in names(found)


@pytest.mark.parametrize("profile", PROFILES)
def test_without_keys_what_is_sealed_stays_so(profile: str) -> None:
    told = heard(profile, "direct")
    found, tally = explained(told, pcap(ip_packets(told.passed)), Keys())
    assert not tally.faults
    assert {"Probe", "Hello"} <= names(found)
    assert not {"Attach", "Invite", "Store"} & names(found)


def test_another_network_explains_nothing() -> None:
    told = heard("modern", "tcp")
    frames = Frames(told.town.suite, bytes(32), Keys(told.keys))
    tally = Tally()
    capture = pcap(ip_packets(told.passed))
    assert list(explain_capture(read_capture(io.BytesIO(capture)), frames, tally)) == []
    assert tally.foreign
    assert not tally.faults


@pytest.mark.parametrize("profile", ["modern", "classic"])
def test_streams_in_any_order(profile: str, seed: int) -> None:
    import random

    told = heard(profile, "tcp")
    packets = ip_packets(told.passed)
    rng = random.Random(seed)
    begun = [packet for packet in packets if packet[1][9] == 6 and packet[1][33] == 2]
    rest = [packet for packet in packets if packet not in begun]
    # Neighbours change places, and every fifth is there twice.
    for at in range(0, len(rest) - 1, 2):
        if rng.random() < 0.5:
            rest[at], rest[at + 1] = rest[at + 1], rest[at]
    rest = [copy for at, packet in enumerate(rest) for copy in [packet] * (2 if at % 5 == 0 else 1)]
    once, _ = explained(told, pcap(packets), Keys(told.keys))
    found, tally = explained(told, pcap(begun + rest), Keys(told.keys))
    assert not tally.faults, tally.first_fault
    assert names(once) == names(found)


def test_a_stream_without_its_beginning_is_said() -> None:
    told = heard("modern", "tcp")
    packets = [packet for packet in ip_packets(told.passed) if not (packet[1][9] == 6 and packet[1][33] == 2)]
    _, tally = explained(told, pcap(packets), Keys(told.keys))
    assert any("began before the capture" in remark for remark in tally.remarks)


@pytest.mark.parametrize("link", [0, 1, 12, 101, 108, 113, 228, 276])
def test_every_kind_of_link(link: int) -> None:
    told = heard("classic", "direct")
    packets = ip_packets(told.passed)
    expected, _ = explained(told, pcap(packets), Keys())
    for capture in (
        pcap(packets, link, ">"),
        pcap(packets, link, fine=True),
        pcapng(packets, link),
        pcapng(packets, link, ">"),
    ):
        found, tally = explained(told, capture, Keys())
        assert not tally.remarks
        assert [each.part for each in found] == [each.part for each in expected]
        assert [each.time for each in found] == pytest.approx([each.time for each in expected], abs=1e-6)
