"""Records a join, a login and a call in a virtual town, and tells them in hexadecimal.

    python tools/walk.py --record      writes tests/vectors/walkthrough.json

The recording holds what went over the wires and the keys to all of it.  It cannot be made twice the same (key
encapsulation and RSA take their own chance), so it is kept; the page that explains it (docs/protocol/walkthrough.md)
is made from it by ``tools/specify.py`` with the room that ``halloo decode`` uses.  A test records another one and
looks that it tells the same story.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from halloo.base.address import Address
from halloo.base.errors import HallooError, Unusable
from halloo.base.machine import Event
from halloo.call.call import Answered, Rang
from halloo.decode.datagrams import Frames
from halloo.decode.keys import Keys
from halloo.decode.streams import StreamSide
from halloo.decode.tree import Part, words
from halloo.link.keys import LinkKeys
from halloo.login.client import LoginDecided
from halloo.messages.login import Application, Purpose
from halloo.node.descriptor import from_link
from halloo.overlay.publish import Published
from halloo.path.reach import Policy
from halloo.sim.town import LOGIN, Town
from halloo.sim.world import Passed, Resident

FILE = Path(__file__).parents[1] / "tests" / "vectors" / "walkthrough.json"
PROFILES = ("classic", "modern")
SEED = 1
PHASES = {"join": "A join", "login": "A login", "call": "A call"}
FRAME = bytes(1_920)  # 20 ms of silence
SPOKEN = 2  # frames of sound that are said each way
HEX_SHOWN = 4  # lines of sixteen bytes of one packet that the page shows
PART_LINES = 60  # lines of explanation of one packet that the page shows

Json = dict[str, Any]


# --- recording ----------------------------------------------------------------------------------------------------


class _Recorder:
    """A town whose wires are overheard while something happens that shall be told."""

    def __init__(self, profile: str) -> None:
        self.town = Town(SEED, supernodes=1, profile=profile)
        self.world = self.town.world
        self.keys: list[str] = []
        self.packets: list[Json] = []
        self.phase = ""
        self.world.tap = self._heard
        self.world.run(2)

    def settle(self, name: str) -> Resident:
        """A user moves in."""
        resident = self.town.user(name, owner=self._answer)
        resident.station.endpoint.persona.confide = self._confide
        return resident

    def tell(self, phase: str) -> None:
        """From now on, what happens belongs to ``phase``; empty: to none."""
        self.phase = phase

    def _confide(self, keys: LinkKeys) -> None:
        if keys.to_line() not in self.keys:
            self.keys.append(keys.to_line())

    def _heard(self, passed: Passed) -> None:
        if self.phase:
            packet: Json = {"phase": self.phase, "time": round(passed.time, 3), "from": str(passed.source)}
            packet |= {"to": str(passed.destination), "stream": passed.stream, "hex": passed.data.hex()}
            self.packets.append(packet)

    def _answer(self, resident: Resident, event: Event, now: float) -> None:
        if isinstance(event, Rang) and not event.outgoing:
            calls = self.town.node(resident.name).calls
            self.world.at(0.5, lambda: self.town.act(resident.name, calls.answer(event.call, self.world.now)))


def record(profile: str) -> Json:
    """Alice joins; logs in (again); calls bob."""
    recorder = _Recorder(profile)
    town, world = recorder.town, recorder.world
    recorder.tell("join")
    recorder.settle("alice")
    world.run(world.now + 20, lambda: bool(world.events(Published, "alice")))
    world.run(world.now + 0.2)
    recorder.tell("")
    recorder.settle("bob")
    world.run(world.now + 20, lambda: bool(world.events(Published, "bob")))
    world.run(world.now + 5)

    alice = town.node("alice")
    recorder.tell("login")
    proof = town.suite.password.prove("alice", "a secret", town.descriptor.id)
    application = Application(purpose=Purpose.SIGN_UP, name="alice", proof=proof, key=alice.persona.public)
    town.act("alice", alice.papers.ask.apply(application, alice.persona.private, world.now))
    world.run(world.now + 5, lambda: bool(world.events(LoginDecided, "alice")))

    recorder.tell("call")
    call, effects = alice.calls.dial("bob", Policy.ANY, world.now)
    town.act("alice", effects)
    world.run(world.now + 10, lambda: bool(world.events(Answered, "alice") and world.events(Answered, "bob")))
    for _ in range(SPOKEN):
        for name in ("alice", "bob"):
            town.act(name, town.node(name).calls.speak(call, FRAME, world.now))
        world.run(world.now + 0.1)
    town.act("alice", alice.calls.hang_up(call, world.now))
    world.run(world.now + 0.3)
    people = {str(resident.address): name for name, resident in world.residents.items()}
    return {
        "profile": profile,
        "network": town.descriptor.to_link(),
        "letter_key": town.secrets.letter.hex(),
        "keys": recorder.keys,
        "people": {**people, str(LOGIN): "login server"},
        "packets": recorder.packets,
    }


# --- telling ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Told:
    """One packet of a recording, explained."""

    phase: str
    time: float
    source: str
    destination: str
    way: str
    data: bytes
    part: Part

    @property
    def subject(self) -> str:
        """What it is, in a word: the commands in it, or the kind of frame."""
        commands = [part.name for part in self.part.walk() if part.parts and part.parts[0].name == "length"]
        commands = [name for name in commands if name[:1].isupper()]
        sealed = any(part.name in ("sealed", "sound") for part in self.part.walk())
        kind = self.part.name if self.part.name != "stream" else "stream"
        inside = ", ".join(commands) or ("nothing but an acknowledgement" if sealed and kind == "payload" else "")
        return f"{kind}: {inside}" if inside else kind


def told(recording: Json) -> Iterator[Told]:
    """Every packet of a recording, explained with its keys."""
    descriptor = from_link(recording["network"])
    keys = Keys(map(LinkKeys.from_line, recording["keys"]), bytes.fromhex(recording["letter_key"]))
    frames = Frames(descriptor.ways.suite, descriptor.cloak_key, keys, descriptor.id)
    sides: dict[tuple[str, str], StreamSide] = {}
    for packet in recording["packets"]:
        data = bytes.fromhex(packet["hex"])
        ends = Address.parse(packet["from"]), Address.parse(packet["to"])
        if packet["stream"]:
            side = sides.setdefault((packet["from"], packet["to"]), StreamSide(frames))
            part = Part("stream", 0, data, f"{len(data)} bytes of a connection", side.feed(data, packet["time"]))
        else:
            part = frames.datagram(data, *ends, packet["time"])
        names = [recording["people"].get(packet[end], packet[end]) for end in ("from", "to")]
        way = "TCP" if packet["stream"] else "UDP"
        yield Told(packet["phase"], packet["time"], *names, way, data, part)


def story(recording: Json) -> list[tuple[str, str, str, str, int]]:
    """What a recording tells, without what chance decided: (phase, from, to, what, size)."""
    return [(each.phase, each.source, each.destination, each.subject, len(each.data)) for each in told(recording)]


def page(recording: Json) -> str:
    """A recording as Markdown."""
    lines: list[str] = []
    phase = ""
    for number, each in enumerate(told(recording), start=1):
        if each.phase != phase:
            phase = each.phase
            lines.append(f"### {PHASES[phase]}, {recording['profile']}\n")
        size = f"{each.way}, {len(each.data)} bytes"
        lines.append(f"**{number}. {each.source} to {each.destination}** ({size}): {each.subject}\n")
        lines.append("```text")
        lines += _hexadecimal(each.data)
        explained = list(words(each.part))[1:]
        lines += ["", *(line.rstrip() for line in explained[:PART_LINES])]
        if len(explained) > PART_LINES:
            lines.append(f"… {len(explained) - PART_LINES} lines more")
        lines.append("```\n")
    return "\n".join(lines)


def _hexadecimal(data: bytes) -> list[str]:
    rows = [data[at : at + 16].hex(" ") for at in range(0, len(data), 16)]
    shown = [f"{16 * at:04x}  {row}" for at, row in enumerate(rows[:HEX_SHOWN])]
    return shown + [f"…     {len(data) - 16 * HEX_SHOWN} bytes more"] * (len(rows) > HEX_SHOWN)


def read(path: Path = FILE) -> Json:
    """The recordings.

    Raises:
        Unusable: they are missing or damaged.
    """
    try:
        table = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise Unusable(f"{path.name} is missing; record it: python tools/walk.py --record") from None
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as fault:
        raise Unusable(f"{path.name} is damaged: {fault}") from None
    if not isinstance(table, dict) or set(table) != set(PROFILES):
        raise Unusable(f"{path.name} is damaged: it should hold {' and '.join(PROFILES)}")
    return table


def main() -> int:
    """The program."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--record", action="store_true", required=True, help="record anew")
    parser.parse_args()
    table = {profile: record(profile) for profile in PROFILES}
    FILE.write_text(json.dumps(table, indent=1) + "\n", "utf-8")
    for profile, each in table.items():
        print(f"{profile}: {len(each['packets'])} packets")
    return 0


if __name__ == "__main__":
    try:
        raise SystemExit(main())
    except HallooError as fault:
        print(f"walk: {fault}", file=sys.stderr)
        raise SystemExit(1) from None
