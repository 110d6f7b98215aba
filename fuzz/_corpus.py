"""Make the corpus anew: what passes in towns of every profile, and what guided runs found beyond it, reduced.

    python -m fuzz._corpus [--seconds 20]       seconds of guidance for each target, where atheris is installed

Of all inputs those stay that reach what no shorter one reaches, each in a file named by its digest.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import struct
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

from fuzz._harness import CORPUS
from fuzz._targets import TARGETS
from fuzz.files import LINES
from halloo.base.address import Address
from halloo.call.call import Rang
from halloo.link import datagrams, endpoint, persona, streams
from halloo.link.reliable import Reliable
from halloo.login import letter, log
from halloo.media.stream import SoundStream
from halloo.messages import credential
from halloo.messages.login import Application, Purpose
from halloo.node.descriptor import create
from halloo.overlay.hostcache import HostCache
from halloo.path.reach import Policy
from halloo.runtime.home import Account, Home
from halloo.runtime.opus import Opus
from halloo.sim.town import Town
from halloo.sim.world import Resident
from halloo.wire import objects
from halloo.wire.frame import Reassembly

LONGEST = 4_096  # bytes of one input
EACH = 2  # inputs of one sort kept of each profile, before the reduction
WHOLE = ("wire", "squeeze", "shapes")  # declarations make every message take the same lines: all are kept
PROFILES = ("plain", "modern", "classic")

Seeds = dict[str, dict[object, list[bytes]]]


def captured(profile: str) -> dict[str, list[bytes]]:
    """By target, what a town of one profile gave its entrances."""
    seeds: Seeds = defaultdict(lambda: defaultdict(list))

    def note(target: str, sort: object, data: bytes) -> None:
        held = seeds[target][sort]
        if len(held) < EACH and len(data) <= LONGEST and data not in held:
            held.append(data)

    undo = [
        _listen(endpoint, "decode_commands", lambda payload, _: note("wire", payload[1:3], payload)),
        *(
            _listen(module, "decode_shape", lambda kind, data: note("shapes", kind, data))
            for module in (credential, persona, letter, log)
        ),
        _listen(
            objects,
            "unsqueezed",
            lambda reader, subject, *_: note(
                "squeeze", subject, (subject & 0xFFF).to_bytes(2, "big") + reader.data[reader.position :]
            ),
        ),
        _listen(streams.StreamReader, "feed", lambda _, data: note("frames", len(data) // 40, data)),
        _listen(Reliable, "heard", lambda _, plain, *__: note("reliable", len(plain) // 60, _chunk(plain))),
        _listen(Reassembly, "add", lambda _, head, piece, *__: note("frames", "piece", _chunk(head + piece))),
        _listen(
            endpoint.Endpoint,
            "_frame_heard",
            lambda _, kind, __, head, body, *___: note(
                "endpoint",
                (kind, len(body) // 100),
                _chunk(bytes([list(datagrams.LAYOUTS).index(kind), 1]) + head + body),
            ),
        ),
    ]
    try:
        _play(Town(1, profile=profile, supernodes=2))
    finally:
        for back in undo:
            back()
    return {target: [data for held in sorts.values() for data in held] for target, sorts in seeds.items()}


def _listen(where: Any, name: str, note: Callable[..., None]) -> Callable[[], None]:
    """Hear what a function is given; the way back."""
    real = getattr(where, name)

    def listening(*arguments: Any, **named: Any) -> Any:
        note(*arguments)
        return real(*arguments, **named)

    setattr(where, name, listening)
    return lambda: setattr(where, name, real)


def _chunk(data: bytes) -> bytes:
    return bytes([min(255, len(data))]) + data[:255]


def _play(town: Town) -> None:
    """Join, sign up, call both ways, by UDP and TCP."""
    world = town.world

    def answer(resident: Resident, event: object, now: float) -> None:
        if isinstance(event, Rang) and not event.outgoing:
            town.act(resident.name, town.node(resident.name).calls.answer(event.call, now))

    town.user("alice")
    town.user("bob", owner=answer)
    here = town.user("carol").address.host
    for other in world.residents.values():
        if other.name != "carol":
            world.net.udp_blocked.add(frozenset((here, other.address.host)))
    world.run(8.0)
    private = town.suite.identity.make(Random(1))
    key = town.suite.identity.public(private)
    application = Application(purpose=Purpose.SIGN_UP, name="dora", proof=b"proof", key=key)
    town.act("alice", town.node("alice").papers.ask.apply(application, private, world.now))
    for caller, policy in (("alice", Policy.DIRECT), ("alice", Policy.RELAYED), ("carol", Policy.ANY)):
        call, effects = town.node(caller).calls.dial("bob", policy, world.now)
        town.act(caller, effects)
        for _ in range(20):
            world.run(world.now + 0.1)
            for name in (caller, "bob"):
                for active in town.node(name).calls.active:
                    town.act(name, town.node(name).calls.speak(active, bytes(1920), world.now))
        if call in town.node(caller).calls.active:
            town.act(caller, town.node(caller).calls.hang_up(call, world.now))
        world.run(world.now + 6.0)


def written() -> dict[str, list[bytes]]:
    """What a person's files and lines look like."""
    rng, places = Random(1), (Address.parse("192.0.2.1:33033"), Address.parse("[2001:db8::1]:33033"))
    made = [create("corpus", profile, places, places, 1.8e9, rng)[0] for profile in PROFILES]
    cache = HostCache()
    cache.add(places)
    cache.succeeded(places[0], 1.8e9)
    cache.failed(places[1])
    said = SoundStream(Opus().encoder(), Opus().decoder())
    packets = [said.speak(rng.randbytes(1920) if n % 3 else bytes(1920), n / 50) or b"" for n in range(12)]
    with tempfile.TemporaryDirectory() as folder:
        home, town = Home(Path(folder)), Town(1, supernodes=1)
        key = town.suite.identity.make(rng)
        home.keep_account(Account("alice", key, town.credential("alice", town.suite.identity.public(key))))
        account = home.account_path.read_bytes()
    return {
        "descriptor": [text.encode() for one in made for text in (one.to_link(), one.to_toml())],
        "hostcache": [cache.dump().encode()],
        "account": [account],
        "language": [line.encode() for line in LINES],
        "sound": packets,
        "recording": [_recording(*kind) for kind in ((1, 8), (1, 16), (1, 24), (1, 32), (3, 32), (3, 64))],
        "relayer": [_chunk(bytes([n, n]) + b"datagram") for n in range(0, 14, 2)],
    }


def _recording(kind: int, bits: int) -> bytes:
    step = 2 * bits // 8
    shape = struct.pack("<4sIHHIIHH", b"fmt ", 16, kind, 2, 48_000, 48_000 * step, step, bits)
    body = bytes(range(3 * step))
    return b"RIFF\xff\xff\xff\xffWAVELIST\x03\0\0\0abc\0" + shape + struct.pack("<4sI", b"data", len(body)) + body


def guided(name: str, inputs: list[bytes], seconds: float) -> list[bytes]:
    """What guidance finds from some inputs; nothing where there is no atheris."""
    if not seconds or importlib.util.find_spec("atheris") is None:
        return []
    with tempfile.TemporaryDirectory() as folder:
        seeds, found = Path(folder) / "seeds", Path(folder) / "found"
        seeds.mkdir()
        found.mkdir()
        for number, data in enumerate(inputs):
            (seeds / str(number)).write_bytes(data)
        limits = (f"-max_total_time={seconds:.0f}", "-seed=1", f"-max_len={LONGEST}", f"-artifact_prefix={folder}/")
        command = [sys.executable, "-m", "fuzz._guided", name, str(found), str(seeds), *limits]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"{name}: {done.stderr[-2_000:]}")
        return [path.read_bytes() for path in found.iterdir()]


def reduced(name: str, inputs: list[bytes]) -> list[bytes]:
    """Those inputs, the short ones first, that take a step from line to line which none before them took."""
    target = TARGETS[name]
    target(b"")  # what is made once is made now
    taken: set[tuple[str, int, int]] = set()
    kept: list[bytes] = []
    for data in sorted({data for data in inputs if data}, key=lambda data: (len(data), data)):
        steps = _steps(target, data)
        if not steps <= taken:
            taken |= steps
            kept.append(data)
    return kept


def _steps(target: Callable[[bytes], None], data: bytes) -> set[tuple[str, int, int]]:
    steps: set[tuple[str, int, int]] = set()

    def enter(frame: Any, _: str, __: Any) -> Any:
        name = frame.f_code.co_filename
        if "halloo" not in name:
            return None
        last = 0

        def step(frame: Any, event: str, _: Any) -> Any:
            nonlocal last
            steps.add((name, last, frame.f_lineno if event == "line" else -frame.f_lineno))
            last = frame.f_lineno
            return step

        return step

    sys.settrace(enter)
    try:
        target(data)
    finally:
        sys.settrace(None)
    return steps


def main() -> None:
    """Every target."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--seconds", type=float, default=20.0)
    chosen = options.parse_args()
    gathered: dict[str, list[bytes]] = defaultdict(list)
    for source in (*map(captured, PROFILES), written()):
        for name, inputs in source.items():
            gathered[name] += inputs
    for name in TARGETS:
        folder = CORPUS / name
        folder.mkdir(parents=True, exist_ok=True)
        gathered[name] += [path.read_bytes() for path in sorted(folder.glob("*.bin"))]
        kept = reduced(name, gathered[name] + guided(name, gathered[name], chosen.seconds))
        if name in WHOLE:
            kept = sorted({*kept, *gathered[name]})
        for path in folder.glob("*.bin"):
            path.unlink()
        for data in kept:
            (folder / f"{hashlib.sha256(data).hexdigest()[:12]}.bin").write_bytes(data)
        print(f"{name}: {len(kept)} inputs, {sum(map(len, kept)):,} bytes, of {len(gathered[name])}", flush=True)


if __name__ == "__main__":
    main()
