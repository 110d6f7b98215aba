"""Let peers say anything at any time: every message, with any values, over every link, in every state of a node.

Where ``fuzz.entrances`` stands outside, this one stands inside: whoever holds a link may be hostile too.  A town lives,
joins and calls; between its own messages each node hears messages that nobody sent, now and then with the token, call
or request number that is really in use.  Nothing may be raised, and what is kept must stay bounded.
"""

from __future__ import annotations

import random
import sys
import zlib
from typing import Any

from fuzz._anything import MESSAGES, any_address, anything
from fuzz._harness import Run, alone
from halloo.base.address import Peer, Wire
from halloo.call.call import Rang
from halloo.link.notice import Carried, Down, Heard, Moved, SoundHeard, Up
from halloo.messages.catalogue import OPEN, SEALED
from halloo.messages.credential import Party
from halloo.path.reach import Policy
from halloo.sim.town import Town
from halloo.sim.world import Resident
from halloo.wire.command import decode_commands, encode_command

STEPS = 3_000  # messages thrown at one town before a new one is built


class _Attack:
    def __init__(self, seed: str) -> None:
        self.rng = random.Random(f"peers {seed}")
        self.town = Town(zlib.crc32(seed.encode()))
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
        peers = [*node.parties, Peer(rng.randrange(1, 30)), Peer((1 << 32) + rng.randrange(30))]
        self.real["node"] = [node.id, *(self.town.node(name).id for name in ("alice", "bob"))]
        self.real["name"] = ["alice", "bob", "zoe"]
        if node.relayer is not None:
            self.real["token"] = [token.to_bytes(8, "big") for token in node.relayer._channels] or [bytes(8)]
        peer, kind = rng.choice(peers), rng.choice(MESSAGES)
        message = anything(rng, kind, self.real)
        assert decode_commands(encode_command(message), {**OPEN, **SEALED}) == [message]
        route = Wire(any_address(rng))
        party = rng.choice([*(party for party, _ in node.parties.values()), Party(rng.randbytes(32), None)])
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


_OPEN_KINDS = [declared.kind for declared in OPEN.values()]


def attack(run: Run) -> None:
    """One town a round, with some thousands of messages that nobody sent."""
    while run.on():
        one = _Attack(f"{run.seed}/{run.round}")
        one.town.world.run(3)
        while one.executions < STEPS and not run.late:
            for _ in range(10):
                one.throw()
            one.live()
        one.bounded()
        run.executions += one.executions


if __name__ == "__main__":
    sys.exit(alone("peers", attack))
