"""What explains bytes is given the worst of them: single datagrams, streams, captures, key files, in every suite.

Whatever comes, it is explained, or the fault is named; every byte of a row of commands is in some part; what one
reader of captures remembers stays within its bounds.
"""

from __future__ import annotations

import io
import struct
import sys
from random import Random

from fuzz._anything import MESSAGES, any_address, anything
from fuzz._bytes import damaged
from fuzz._harness import Run, alone
from halloo.base.address import Address
from halloo.base.errors import HallooError, Malformed
from halloo.crypto.suites import SUITES
from halloo.decode.capture import Captured, read_capture
from halloo.decode.datagrams import Frames
from halloo.decode.keys import Keys
from halloo.decode.packets import LINKS
from halloo.decode.single import FORMS, explain
from halloo.decode.traffic import Tally, Traffic
from halloo.decode.tree import table, words
from halloo.link.keys import LinkKeys
from halloo.sim.town import Town
from halloo.sim.world import Passed
from halloo.wire.command import encode_command

KEY = bytes(32)


def attack(run: Run) -> None:
    """Some of each a round; the traffic of one town is mixed with nonsense throughout."""
    town = _Town()
    while run.on():
        for _ in range(10):
            alone_bytes(run)
            key_file(run)
        capture(run, town)
        town.traffic(run)


def alone_bytes(run: Run) -> None:
    """Bytes that stand alone."""
    rng = run.rng
    message = encode_command(anything(rng, rng.choice(MESSAGES)), compressed=rng.random() < 0.5)
    run.input = damaged(rng, message, rng.choice(run.corpus) if run.corpus else b"")
    suite = SUITES[rng.randrange(len(SUITES))]
    part = explain(run.input, Frames(suite, KEY, Keys()), any_address(rng), any_address(rng), rng.choice(FORMS))
    assert "\n".join(words(part))
    assert table(part)["hex"] == run.input.hex()
    rows = explain(run.input, Frames(suite, KEY, Keys()), any_address(rng), any_address(rng), "commands")
    assert b"".join(each.data for each in rows.parts) == run.input
    run.executions += 2
    run.count["understood"] += not part.faults


def key_file(run: Run) -> None:
    """Lines that may be of a key log."""
    rng = run.rng
    keys = LinkKeys(rng.randrange(4), rng.getrandbits(32), rng.getrandbits(32), rng.randbytes(8), b"a" * 8, b"b" * 8)
    assert LinkKeys.from_line(keys.to_line()) == keys
    run.input = damaged(rng, keys.to_line().encode(), b"link 2 1 2")
    try:
        Keys.read(run.input.decode("utf-8", "replace"))
        run.count["key files"] += 1
    except HallooError:
        pass
    run.executions += 1


def capture(run: Run, town: _Town) -> None:
    """A capture with wrong bytes."""
    run.input = damaged(run.rng, town.pcap, town.pcap[:24])
    tally = Tally()
    traffic = Traffic(town.frames(), tally)
    try:
        for packet in read_capture(io.BytesIO(run.input)):
            traffic.explain(packet)
    except Malformed:
        run.count["damaged captures"] += 1
    run.executions += 1 + tally.packets


class _Town:
    """A virtual town that was overheard, and one reader who hears it all his life, with nonsense in between."""

    def __init__(self) -> None:
        self._town = Town(1, supernodes=2, profile="modern")
        self._passed: list[Passed] = []
        self._keys: list[LinkKeys] = []
        self._town.world.tap = self._passed.append
        for name in ("alice", "bob"):
            self._town.user(name)
        for resident in self._town.world.residents.values():
            resident.station.endpoint.persona.confide = self._keys.append
        self._town.world.run(20)
        self._packets = [_udp(each.source, each.destination, each.data) for each in self._passed if not each.stream]
        self.pcap = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262_144, 101) + b"".join(
            struct.pack("<IIII", 0, 0, len(packet), len(packet)) + packet for packet in self._packets[:40]
        )
        self._traffic = Traffic(self.frames(), Tally())

    def frames(self) -> Frames:
        """A reader with all keys."""
        return Frames(self._town.suite, self._town.descriptor.cloak_key, Keys(self._keys), self._town.descriptor.id)

    def traffic(self, run: Run) -> None:
        """True packets, damaged ones, and connections that go nowhere."""
        rng = run.rng
        for _ in range(40):
            packet = rng.choice(self._packets)
            choice = rng.random()
            if choice < 0.4:
                packet = damaged(rng, packet, rng.choice(self._packets))
            elif choice < 0.7:
                packet = _tcp(rng)
            run.input = packet
            link = 101 if rng.random() < 0.9 else rng.choice(LINKS)
            found = self._traffic.explain(Captured(float(run.round), link, packet, rng.random() < 0.99))
            run.count["explained"] += found is not None
            run.executions += 1


def _udp(source: Address, destination: Address, data: bytes) -> bytes:
    head = struct.pack(">BBHHHBBH", 0x45, 0, 28 + len(data), 0, 0, 64, 17, 0) + source.host + destination.host
    return head + struct.pack(">HHHH", source.port, destination.port, 8 + len(data), 0) + data


def _tcp(rng: Random) -> bytes:
    """A segment of one of a few thousand connections."""
    data = rng.randbytes(rng.choice((0, 1, 14, 40, 1_400)))
    source, destination = bytes([10, 0, 0, rng.randrange(40)]), bytes([10, 0, 1, rng.randrange(40)])
    head = struct.pack(">BBHHHBBH", 0x45, 0, 40 + len(data), 0, 0, 64, 6, 0) + source + destination
    flags = rng.choice((0x02, 0x10, 0x18, 0x18, 0x11, 0x04))
    return head + struct.pack(">HHIIBBHHH", 1, 2, rng.getrandbits(32) & 0x3FFF, 0, 0x50, flags, 0, 0, 0) + data


if __name__ == "__main__":
    sys.exit(alone("decode", attack))
