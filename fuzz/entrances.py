"""Throw bytes at a node's entrances: datagrams and TCP streams, random, mutated and replayed, at a node in a call.

"Beneath" is who has the network's description, and so its cloak: his frames pass it, and what is in them is mutated.

A small town talks in virtual time; everything it sends is also kept, altered, and thrown at its nodes from strange
addresses.  The call must go on, nothing may be raised, and what the nodes hold must stay bounded.
"""

from __future__ import annotations

import random
import sys
import zlib
from typing import Any

from fuzz._anything import any_address
from fuzz._bytes import damaged
from fuzz._harness import Run, alone
from halloo.base.effects import StreamWrite, Transmit
from halloo.call.call import Rang, Result, State
from halloo.crypto.suite import Covered
from halloo.link.datagrams import LAYOUTS
from halloo.link.endpoint import Endpoint
from halloo.path.reach import Policy
from halloo.sim.town import Town
from halloo.sim.world import Resident
from halloo.wire.frame import Control, StreamFrame, encode_stream_frame

SORTS = ("random", "mutated", "replayed", "beneath", "streams")
PROFILES = ("plain", "plain", "plain", "modern", "classic")
PER_TOWN = 40_000  # thrown at one town, in the plain profile; a tenth of it where each costs real cryptography
KEPT = 400  # datagrams and pieces of streams kept to be altered
FRAME = bytes(1920)


class _Attack:
    """One town and what is thrown at it."""

    def __init__(self, seed: str, profile: str) -> None:
        self.rng = random.Random(f"attack {seed}")
        self.town = Town(zlib.crc32(seed.encode()), profile=profile)
        self.heard: list[bytes] = []
        self.pieces: list[bytes] = []
        self.frames: list[Covered] = []
        self.given = b""
        self._streams = 1 << 40
        self.town.user("alice")
        self.town.user("bob", owner=self._answer)
        self._listen_in()

    def _answer(self, resident: Resident, event: object, now: float) -> None:
        if isinstance(event, Rang) and not event.outgoing:
            self.town.act("bob", self.town.node("bob").calls.answer(event.call, now))

    def _listen_in(self) -> None:
        """Keep what passes on the wires, as any eavesdropper could."""
        world = self.town.world
        carry_out = world._carry_out

        def listening(resident: Resident, effects: list[object]) -> None:
            for effect in effects:
                if isinstance(effect, Transmit):
                    self._keep(self.heard, effect.data)
                elif isinstance(effect, StreamWrite):
                    self._keep(self.pieces, effect.data)
            carry_out(resident, effects)  # type: ignore[arg-type]

        world._carry_out = listening  # type: ignore[method-assign, assignment]
        for resident in world.residents.values():
            self._listen_beneath(resident.station.endpoint)

    def _listen_beneath(self, endpoint: Endpoint) -> None:
        cover = endpoint.datagrams.cloak.cover

        def covering(covered: Covered, *rest: Any) -> bytes:
            if len(self.frames) < KEPT:
                self.frames.append(covered)
            else:
                self.frames[self.rng.randrange(KEPT)] = covered
            return cover(covered, *rest)

        endpoint.datagrams.cloak.cover = covering  # type: ignore[method-assign]
        self._cover = cover

    def _keep(self, kept: list[bytes], data: bytes) -> None:
        if len(kept) < KEPT:
            kept.append(data)
        else:
            kept[self.rng.randrange(KEPT)] = data

    def throw(self, sort: str) -> None:
        """One datagram, or one stream, of one of the ``SORTS``, at one node."""
        rng, world = self.rng, self.town.world
        victim = rng.choice(list(world.residents.values()))
        source = rng.choice(list(world.residents.values())).address
        if rng.random() < 0.7:
            source = any_address(rng)
        station = victim.station
        if sort == "beneath" and self.frames:
            self.given = self._beneath(station.endpoint, source.host)
            effects = station.receive(self.given, source, world.now)
        elif sort != "streams":
            self.given = self._bytes(sort, self.heard)
            effects = station.receive(self.given, source, world.now)
        else:
            self._streams += 1
            effects = station.stream_opened(self._streams, source, world.now)
            true = station.endpoint.persona.suite.stream_cloak(self.town.descriptor.cloak_key, rng)
            opening = true.opening()
            beneath = rng.random() < 0.5
            for number in range(rng.randrange(1, 4)):
                self.given = self._bytes(rng.choice(SORTS), self.pieces)
                if beneath:
                    self.given = (opening if number == 0 else b"") + true.send(self._stream_frame())
                effects += station.stream_received(self._streams, self.given, world.now)
            effects += station.stream_closed(self._streams, world.now)
        answered = sum(len(effect.data) for effect in effects if isinstance(effect, Transmit))
        assert answered <= 3 * 1500 * 3, f"{answered} bytes were sent in answer to one datagram"

    def _beneath(self, victim: Endpoint, source: bytes) -> bytes:
        """A true frame with something changed in it, under the true cloak for this victim."""
        rng, kept = self.rng, self.rng.choice(self.frames)
        other = rng.choice(self.frames)
        kind = kept.kind if rng.random() < 0.9 else rng.choice(list(LAYOUTS))
        body = damaged(rng, kept.body, other.body) if rng.random() < 0.9 else kept.body
        head = (damaged(rng, kept.head) if rng.random() < 0.3 else kept.head)[: LAYOUTS[kind].head]
        frame = kept.frame if rng.random() < 0.5 else rng.getrandbits(16)
        there = next((host for host in victim.datagrams.hosts if len(host) == len(source)), bytes(len(source)))
        covered = Covered(frame, kind, head.ljust(LAYOUTS[kind].head, b"\0"), body)
        return self._cover(covered, source, there, rng)

    def _stream_frame(self) -> bytes:
        """A frame of a stream made of a true payload, with something changed in one of the two."""
        rng, kept = self.rng, self.rng.choice(self.frames)
        control = rng.choice((None, None, *Control))
        body = kept.head + (damaged(rng, kept.body) if rng.random() < 0.7 else kept.body)
        whole = encode_stream_frame(StreamFrame(control, kept.frame, body))
        return damaged(rng, whole) if rng.random() < 0.3 else whole

    def _bytes(self, sort: str, kept: list[bytes]) -> bytes:
        rng = self.rng
        if sort == "random" or not kept:
            return rng.randbytes(rng.choice((rng.randrange(60), rng.randrange(1500))))
        chosen = rng.choice(kept)
        return chosen if sort == "replayed" else damaged(rng, chosen, rng.choice(kept))

    def talk(self, seconds: float) -> None:
        """The town lives on."""
        world = self.town.world
        until = world.now + seconds
        while world.now < until:
            for name in ("alice", "bob"):
                node = self.town.node(name)
                for call in node.calls.active:
                    self.town.act(name, node.calls.speak(call, FRAME, world.now))
                    node.calls.listen(call, world.now)
            world.run(world.now + 0.1)


def attack(run: Run) -> None:
    """One town a round, each in the next profile; the sorts by turns, each as often as ``--datagrams`` asks."""
    while run.on():
        if run.limit and min(run.count[sort] for sort in SORTS[:3]) >= run.limit:
            return
        profile = PROFILES[run.round % len(PROFILES)]
        _one_town(run, profile, PER_TOWN if profile == "plain" else PER_TOWN // 10)


def _one_town(run: Run, profile: str, thrown: int) -> None:
    one = _Attack(f"{run.seed}/{run.round}", profile)
    town, world = one.town, one.town.world
    world.run(3)
    call, effects = town.node("alice").calls.dial("bob", Policy.ANY, world.now)
    town.act("alice", effects)
    one.talk(2.0)
    for _ in range(20):
        for _ in range(thrown // 20):
            sort = SORTS[run.executions % len(SORTS)]
            run.count[sort] += 1
            run.executions += 1
            one.throw(sort)
            run.input = one.given
        if run.late and not run.limit:
            break
        one.talk(0.5)
    report = town.node("alice").calls.report(call, world.now)
    assert report.result is None, f"the call did not survive: {report.result} {report.reason}"
    assert town.node("alice").calls._lines[call].call.state is State.TALKING
    town.act("alice", town.node("alice").calls.hang_up(call, world.now))
    world.run(world.now + 150)
    assert town.node("bob").calls.report(call, world.now).result is Result.ENDED
    for resident in world.residents.values():
        endpoint = resident.station.endpoint
        assert endpoint.links < 20, f"{resident.name} holds {endpoint.links} links after all is over"
        assert len(endpoint.streams) < 20


if __name__ == "__main__":
    sys.exit(alone("entrances", attack))
