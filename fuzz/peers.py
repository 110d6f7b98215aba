"""Let peers say anything at any time: every message, with any values, over every link, in every state of a node.

    python -m fuzz.peers [--seconds 60] [--seed 1]

Where ``fuzz.entrances`` stands outside, this one stands inside: whoever holds a link may be hostile too.  A town lives,
joins and calls; between its own messages each node hears messages that nobody sent, now and then with the token, call
or request number that is really in use.  Nothing may be raised, and what is kept must stay bounded.
"""

from __future__ import annotations

import argparse
import dataclasses
import random
import time
from typing import Any

from halloo.base.address import Address, Peer, Wire
from halloo.call.call import Rang
from halloo.link.notice import Carried, Down, Heard, Moved, SoundHeard, Up
from halloo.messages.catalogue import OPEN, SEALED
from halloo.messages.credential import Party
from halloo.path.reach import Policy
from halloo.sim.town import Town
from halloo.sim.world import Resident
from halloo.wire.command import decode_commands, encode_command
from halloo.wire.objects import Kind

__all__ = ["attack"]

MESSAGES = [declared.kind for declared in (*OPEN.values(), *SEALED.values())]
STEPS = 3_000  # messages thrown at one town before a new one is built


def anything(rng: random.Random, kind: type[Any], real: dict[str, list[Any]]) -> Any:
    """A message or shape with any values that its declaration allows; real ones of the same name now and then."""
    values: dict[str, Any] = {}
    for field in dataclasses.fields(kind):
        rule = field.metadata.get("rule")
        known = real.get(field.name)
        if known and rng.random() < 0.5:
            values[field.name] = rng.choice(known)
        elif rule is None:
            values[field.name] = rng.getrandbits(16)
        elif rule.inner is not None:
            count = rng.randrange(min(rule.most, 2) + 1)
            values[field.name] = tuple(anything(rng, rule.inner, real) for _ in range(count))
        else:
            count = rng.randrange(min(rule.most, 5) + 1) if rule.many else 1
            several = tuple(_value(rng, rule) for _ in range(count))
            values[field.name] = several if rule.many else several[0]
    return kind(**values)


def _value(rng: random.Random, rule: Any) -> Any:
    match rule.kinds[0]:
        case Kind.NUMBER if rule.boolean:
            return rng.random() < 0.5
        case Kind.NUMBER:
            return rng.choice((0, 1, rule.most, rng.randint(rule.least, rule.most)))
        case Kind.WIDE:
            return rng.randbytes(8)
        case Kind.TEXT:
            return "".join(rng.choice("abcäß-. 1") for _ in range(rng.randrange(min(rule.most, 20))))
        case Kind.BLOB:
            return rng.randbytes(rng.randint(rule.least, min(rule.most, rule.least + 200)))
        case Kind.NUMBERS:
            return tuple(rng.getrandbits(20) for _ in range(rng.randrange(5)))
    return Address(rng.randbytes(rng.choice((4, 16))), rng.randrange(65_536))


class _Attack:
    def __init__(self, seed: int) -> None:
        self.rng = random.Random(f"peers {seed}")
        self.town = Town(seed)
        self.executions = 0
        self.real: dict[str, list[Any]] = {}
        for name in ("alice", "bob"):
            self.town.user(name, owner=self._answer)

    def _answer(self, resident: Resident, event: object, now: float) -> None:
        if isinstance(event, Rang):
            self.real["call"] = [*self.real.get("call", [])[-5:], event.call]
            if not event.outgoing and self.rng.random() < 0.5:
                self.town.world.at(0.3, lambda: self._take(resident.name, event.call))

    def _take(self, name: str, call: bytes) -> None:
        if call in self.town.node(name).calls.ringing:
            self.town.act(name, self.town.node(name).calls.answer(call, self.town.world.now))

    def throw(self) -> None:
        """One notice at one node."""
        rng, world = self.rng, self.town.world
        resident = rng.choice([held for held in world.residents.values() if held.name != "login"])
        node = self.town.node(resident.name)
        peers = [*node._parties, Peer(rng.randrange(1, 30)), Peer((1 << 32) + rng.randrange(30))]
        self.real["node"] = [node.id, *(self.town.node(name).id for name in ("alice", "bob"))]
        self.real["name"] = ["alice", "bob", "zoe"]
        if node.relayer is not None:
            self.real["token"] = [token.to_bytes(8, "big") for token in node.relayer._channels] or [bytes(8)]
        peer, kind = rng.choice(peers), rng.choice(MESSAGES)
        message = anything(rng, kind, self.real)
        assert decode_commands(encode_command(message), {**OPEN, **SEALED}) == [message]
        route = Wire(_value(rng, _ADDRESS))
        party = rng.choice([*(party for party, _ in node._parties.values()), Party(rng.randbytes(32), None)])
        notice: Any = rng.choices(
            [
                Heard(message, route if kind in _OPEN_KINDS else peer),
                SoundHeard(peer, rng.randbytes(rng.randrange(200))),
                Carried(rng.getrandbits(64), rng.randbytes(50), rng.choice([None, peer])),
                Moved(peer, route),
                Up(Peer((1 << 33) + self.executions), party, route, inbound=True),
                Down(peer, "cut by the harness"),
            ],
            weights=[90, 4, 2, 1, 1, 0.2],
        )[0]
        world._carry_out(resident, resident.station._run([notice], world.now))
        self.executions += 1

    def live(self) -> None:
        """The town goes on: now and then somebody calls, hangs up, searches."""
        rng, world = self.rng, self.town.world
        name = rng.choice(("alice", "bob"))
        calls = self.town.node(name).calls
        if not calls.active:
            _, effects = calls.dial(rng.choice(("alice", "bob", "zoe")), rng.choice(list(Policy)), world.now)
            self.town.act(name, effects)
        elif rng.random() < 0.2:
            self.town.act(name, calls.hang_up(rng.choice(calls.active), world.now))
        for call in calls.active:
            self.town.act(name, calls.speak(call, bytes(1920), world.now))
            calls.listen(call, world.now)
        world.run(world.now + 0.1)

    def bounded(self) -> None:
        """What is kept must stay small."""
        for resident in self.town.world.residents.values():
            if resident.name == "login":
                continue
            node = self.town.node(resident.name)
            assert len(node.cache) <= 200
            assert len(node._offers) <= 32
            assert len(node.calls.known) <= 70
            if node.supernode is not None:
                assert len(node.supernode._asked) <= 5_000
                assert len(node.supernode.clients) <= 800


_ADDRESS = dataclasses.make_dataclass("_Rule", [("kinds", tuple, (Kind.ADDRESS4,)), ("boolean", bool, False)])()
_OPEN_KINDS = [declared.kind for declared in OPEN.values()]


def attack(seed: int, seconds: float) -> int:
    """Attack for ``seconds`` of real time; how many messages.  Raises whatever a node raises."""
    until = time.monotonic() + seconds
    total = 0
    while time.monotonic() < until:
        one = _Attack(seed)
        one.town.world.run(3)
        while one.executions < STEPS and time.monotonic() < until:
            for _ in range(10):
                one.throw()
            one.live()
        one.bounded()
        total += one.executions
        seed += 1
    return total


def main() -> None:
    """Attack until the time is over."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    executions = attack(arguments.seed, arguments.seconds)
    print(f"peers: {executions} executions from seed {arguments.seed}, nothing raised, everything bounded")


if __name__ == "__main__":
    main()
