"""Throw bytes at a node's entrances: datagrams and TCP streams, random, mutated and replayed, at a node in a call.

    python -m fuzz.entrances [--seconds 60] [--seed 1]

A small town talks in virtual time; everything it sends is also kept, altered, and thrown at its nodes from strange
addresses.  The call must go on, nothing may be raised, and what the nodes hold must stay bounded.
"""

from __future__ import annotations

import argparse
import random
import time

from halloo.base.address import Address
from halloo.base.effects import StreamWrite, Transmit
from halloo.call.call import Rang, Result, State
from halloo.path.reach import Policy
from halloo.sim.town import Town
from halloo.sim.world import Resident

__all__ = ["attack"]

KEPT = 400  # datagrams and pieces of streams kept to be altered
FRAME = bytes(1920)


def altered(rng: random.Random, data: bytes) -> bytes:
    """A near relative of some bytes."""
    out = bytearray(data)
    for _ in range(rng.randrange(1, 5)):
        match rng.randrange(5):
            case 0 if out:
                out[rng.randrange(len(out))] ^= 1 << rng.randrange(8)
            case 1 if out:
                del out[rng.randrange(len(out)) :]
            case 2:
                out += rng.randbytes(rng.randrange(40))
            case 3 if out:
                at = rng.randrange(len(out))
                out[at : at + rng.randrange(9)] = rng.randbytes(rng.randrange(9))
            case 4:
                return rng.randbytes(rng.randrange(1500))
    return bytes(out)


class _Attack:
    """One town and what is thrown at it."""

    def __init__(self, seed: int, profile: str) -> None:
        self.rng = random.Random(f"attack {seed}")
        self.town = Town(seed, profile=profile)
        self.heard: list[bytes] = []
        self.pieces: list[bytes] = []
        self.executions = 0
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

    def _keep(self, kept: list[bytes], data: bytes) -> None:
        if len(kept) < KEPT:
            kept.append(data)
        else:
            kept[self.rng.randrange(KEPT)] = data

    def throw(self) -> None:
        """One datagram, or one stream, at one node."""
        rng, world = self.rng, self.town.world
        victim = rng.choice(list(world.residents.values()))
        source = rng.choice(list(world.residents.values())).address
        if rng.random() < 0.7:
            source = Address(rng.randbytes(rng.choice((4, 4, 16))), rng.randrange(1, 65_536))
        station = victim.station
        self.executions += 1
        if rng.random() < 0.8 or not self.pieces:
            data = altered(rng, rng.choice(self.heard)) if self.heard else rng.randbytes(100)
            effects = station.receive(data, source, world.now)
        else:
            self._streams += 1
            effects = station.stream_opened(self._streams, source, world.now)
            for _ in range(rng.randrange(1, 4)):
                data = altered(rng, rng.choice(self.pieces))
                effects += station.stream_received(self._streams, data, world.now)
            effects += station.stream_closed(self._streams, world.now)
        answered = sum(len(effect.data) for effect in effects if isinstance(effect, Transmit))
        assert answered <= 3 * 1500 * 3, f"{answered} bytes were sent in answer to one datagram"

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


def attack(seed: int, seconds: float, profile: str = "plain") -> int:
    """Attack a town for ``seconds`` of real time; how many times.  Raises AssertionError where harm was done."""
    until = time.monotonic() + seconds
    total = 0
    while time.monotonic() < until:
        one = _Attack(seed, profile)
        town, world = one.town, one.town.world
        town.world.run(3)
        call, effects = town.node("alice").calls.dial("bob", Policy.ANY, world.now)
        town.act("alice", effects)
        one.talk(2.0)
        for _ in range(20):
            for _ in range(200):
                one.throw()
                if time.monotonic() >= until:
                    break
            one.talk(0.5)
        report = town.node("alice").calls.report(call, world.now)
        assert report.result is None, f"seed {seed}: the call did not survive: {report.result} {report.reason}"
        assert town.node("alice").calls._lines[call].call.state is State.TALKING
        town.act("alice", town.node("alice").calls.hang_up(call, world.now))
        world.run(world.now + 150)
        assert town.node("bob").calls.report(call, world.now).result is Result.ENDED
        for resident in world.residents.values():
            endpoint = resident.station.endpoint
            assert endpoint.links < 20, f"seed {seed}: {resident.name} holds {endpoint.links} links after all is over"
            assert len(endpoint.streams) < 20
        total += one.executions
        seed += 1
    return total


def main() -> None:
    """Attack until the time is over."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--profile", default="plain")
    arguments = parser.parse_args()
    executions = attack(arguments.seed, arguments.seconds, arguments.profile)
    print(f"entrances: {executions} executions from seed {arguments.seed}, nothing raised, the calls unharmed")


if __name__ == "__main__":
    main()
