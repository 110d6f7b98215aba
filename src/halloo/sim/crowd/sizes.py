"""How many bytes a crowd's messages have: measured once, on a dozen minds that say them to each other.

The mean of each kind is that of real messages, encoded as the modern suite would send them (``tally``).  Kinds that
grow with the network, or come later than that, are encoded here as large as they are there.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from itertools import pairwise
from random import Random

from halloo.base.address import Address
from halloo.messages.block import ALIVE_AT_ONCE, Alive, Replicate
from halloo.messages.directory import AtlasTold, Refresh
from halloo.messages.overlay import Attached, ProbeRefuse
from halloo.messages.presence import Pulse
from halloo.overlay.atlas import table_of
from halloo.overlay.comparing import AT_ONCE
from halloo.sim.distances import Distances
from halloo.sim.mindtown import MindTown, supernode_address, user_address
from halloo.sim.nat import KINDS
from halloo.sim.tally import RECORD_GROWS, on_wire
from halloo.wire.command import encode_command

__all__ = ["Sizes"]

TOWN = 12  # supernodes, and as many users behind boxes of all kinds
SEED = 1  # the town is always the same: sizes are no matter of chance
TICKET = bytes(14)


class Sizes:
    """Bytes by the name of a kind of message."""

    def __init__(self, supernodes: int) -> None:
        self._town = town = _town()
        self._grown: dict[str, float] = {}
        self._atlases: dict[int, float] = {}
        others = tuple(supernode_address(i) for i in range(min(40, supernodes)))
        self._attached(others)
        supernode = town.node("supernode0").supernode
        assert supernode is not None
        records = [entry.record for entry in supernode.directory.all()][:AT_ONCE]
        size = len(encode_command(Replicate(records=tuple(records[:1])), compressed=True, network=town.descriptor.id))
        self.record = size + RECORD_GROWS
        """Bytes of one record in a message that carries several."""
        self._table = table_of(supernode.block.roster)
        self._alive: dict[int, float] = {}
        rng = Random(SEED)
        self._pulses = tuple(Pulse(key=rng.randbytes(8), pulse=rng.randbytes(16)) for _ in range(ALIVE_AT_ONCE))
        refresh = Refresh(key=rng.randbytes(8), pulse=rng.randbytes(16), request=1)
        self._grown["Refresh"] = self._sealed(refresh)
        in_the_open = replace(refresh, token=rng.randbytes(8))
        whole = len(encode_command(in_the_open, compressed=True, network=town.descriptor.id))
        self._grown["Refresh to a holder"] = on_wire(whole, sealed=False)

    def __call__(self, name: str) -> float:
        """Mean bytes of one message of a kind; an ``Ack of`` one as much as any."""
        grown = self._grown.get(name)
        return self._town.world.tally.size(name) if grown is None else grown

    def atlas(self, blocks: int) -> float:
        """Bytes of all that is told to who asks for the atlas."""
        told = self._atlases.get(blocks)
        if told is None:
            parts, told = -(-blocks // 8), 0.0
            for part in range(parts):
                tables = (self._table,) * min(8, blocks - 8 * part)
                told += self._sealed(AtlasTold(tables=tables, parts=parts, request=1))
            self._atlases[blocks] = told
        return told

    def alive(self, links: int) -> float:
        """Bytes of all that tells so many signs of life to one other."""
        whole, rest = divmod(links, ALIVE_AT_ONCE)
        total = 0.0
        for count, times in ((ALIVE_AT_ONCE, whole), (rest, bool(rest))):
            if times and count not in self._alive:
                self._alive[count] = self._sealed(Alive(pulses=self._pulses[:count]))
            total += times * self._alive[count] if times else 0.0
        return total

    def _attached(self, others: tuple[Address, ...]) -> None:
        near = Address.of("20.1.2.1", 40_000)
        self._grown["Attached"] = self._sealed(
            Attached(node=bytes(range(8)), observed=near, supernodes=others, clients=100, request=1)
        )
        for name, known in (("ProbeRefuse", others[:20]), ("ProbeRefuse to a stranger", others[:2])):
            refuse = ProbeRefuse(supernodes=known, retry_after=9, ticket=TICKET, request=1)
            network = self._town.descriptor.id
            self._grown[name] = on_wire(len(encode_command(refuse, compressed=True, network=network)), sealed=False)

    def _sealed(self, message: Alive | Attached | AtlasTold | Refresh) -> float:
        network = self._town.descriptor.id
        return on_wire(len(encode_command(message, compressed=True, network=network)), sealed=True)


@cache
def _town() -> MindTown:
    """Some minds that have said everything that is said often."""
    town = MindTown(SEED, TOWN, net={"distances": Distances(SEED)}, recorded=())
    world = town.world
    names = [f"user{i}" for i in range(TOWN)]
    for i in range(TOWN):
        town.start(f"supernode{i}")
    world.run(20.0)
    for i, (name, kind) in enumerate(zip(names, [*KINDS.values()] * TOWN, strict=False)):
        town.household(name, user_address(i, inside=kind.translates), kind=kind, user=True)
        town.start(name)
    world.run(40.0)
    for name, other in pairwise(names):
        town.act(name, town.node(name).searches.find(other, world.now)[1])
        town.act(name, town.node(name).publisher.publish(world.now))
    world.run(60.0)
    return town
