"""A whole network in a world of minds: what ``town`` is in a world of bytes, and as large as that world can bear.

Round trips are those of the internet, users live behind boxes of all kinds, and what would be computed a thousand times
over, the opening of a record, is computed once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from random import Random
from typing import Any

from halloo.base.address import Address
from halloo.base.machine import Event
from halloo.crypto.suite import Suite
from halloo.link.persona import Persona
from halloo.login.server import VALID_FOR, LoginServer
from halloo.media.stream import SoundStream
from halloo.node.descriptor import create
from halloo.node.login_mind import LoginMind
from halloo.node.node import Node, NodeSetup
from halloo.node.profile import Profile
from halloo.node.roles import Served
from halloo.overlay.admission import Pace
from halloo.overlay.hostcache import HostCache
from halloo.overlay.join import JoinTimings
from halloo.overlay.promotion import Lending
from halloo.sim.certifying import certified
from halloo.sim.desk import Work
from halloo.sim.minds import Dweller, DwellerOwner, MindWorld
from halloo.sim.nat import Box, BoxKind
from halloo.sim.quiet import quiet
from halloo.sim.records import IndexedAccounts, shared_notary
from halloo.sim.world import WALL

__all__ = ["Household", "MindTown", "public_host", "supernode_address", "user_address"]

LOGIN = Address.parse("10.0.0.1:33033")
FIRST_ADDRESSES = 32  # supernodes that the network's description names; the others have accounts
PORT = 33033


@dataclass(slots=True)
class Household:
    """What is left of a node when its program ends: who it is, where it lives, what it has on its disk."""

    name: str
    address: Address
    supernode: bool
    private: bytes
    credential: bytes
    cache: HostCache = field(default_factory=HostCache)
    kind: BoxKind | None = None
    lending: Lending = field(default_factory=Lending)
    """What its owner lends to others, should they need a supernode."""
    served: Served | None = None
    """As what its last node served others."""
    starts: int = 0

    @property
    def host(self) -> bytes:
        """The host that others see it as."""
        return public_host(self.address) if self.kind is not None and self.kind.translates else self.address.host

    def cached(self) -> HostCache:
        """The host cache as it was kept."""
        return HostCache.load(self.cache.dump())


@dataclass
class MindTown:
    """A network of minds.  ``timings``: how joining is paced, where not as the profile says."""

    seed: int
    supernodes: int = 3
    net: dict[str, Any] = field(default_factory=dict)
    timings: JoinTimings | None = None
    sound: Callable[[], SoundStream] = quiet
    valid_for: int = VALID_FOR
    recorded: tuple[type[Event], ...] = (Event,)
    max_clients: int = 800
    pace: Pace | None = field(default_factory=Pace)
    """How fast supernodes take others in, as they are told."""

    def __post_init__(self) -> None:
        addresses = tuple(supernode_address(i) for i in range(self.supernodes))
        first = addresses[:FIRST_ADDRESSES]
        self.descriptor, self.secrets = create(
            "town", "plain", (LOGIN,), first, WALL, Random(f"{self.seed}/network")
        )
        self.notary = shared_notary(self.descriptor.notary)
        self.accounts = IndexedAccounts()
        self.world = MindWorld(self.seed, self.descriptor.id, self.recorded, **self.net)
        self.households: dict[str, Household] = {}
        self._settle_login_server()
        for i, address in enumerate(addresses):
            self.household(f"supernode{i}", address, supernode=True, user=i >= FIRST_ADDRESSES)

    @property
    def suite(self) -> Suite:
        """The suite of the network."""
        return self.descriptor.ways.suite

    @property
    def profile(self) -> Profile:
        """The profile of the network."""
        return self.descriptor.ways

    def node(self, name: str) -> Node:
        """The mind of somebody who runs."""
        mind = self.world.dwellers[name].mind
        assert isinstance(mind, Node)
        return mind

    def runs(self, name: str) -> bool:
        """Whether somebody's program runs."""
        return name in self.world.dwellers

    def household(
        self,
        name: str,
        address: Address,
        *,
        supernode: bool = False,
        kind: BoxKind | None = None,
        user: bool = False,
        known: Iterable[Address] = (),
        lending: Lending | None = None,
    ) -> Household:
        """Somebody who may start a node; ``known``: supernodes that he knows of besides those of the description."""
        rng = Random(f"{self.seed}/who/{name}")
        private = self.suite.identity.make(rng)
        credential = self.credential(name, self.suite.identity.public(private)) if user else b""
        household = Household(name, address, supernode, private, credential, kind=kind, lending=lending or Lending())
        household.cache.add(known)
        self.households[name] = household
        return household

    def start(self, name: str, owner: DwellerOwner | None = None) -> Dweller:
        """Somebody starts his node, with what his last one left."""
        held = self.households[name]
        held.starts += 1
        rng = self.world.rng(f"{name}/{held.starts}")
        persona = Persona(self.suite, self.notary, held.private, held.credential, rng)
        setup = NodeSetup(
            self.descriptor,
            persona,
            held.cached() if len(held.cache) else HostCache(),
            (held.address,),
            self.sound,
            rng,
            WALL,
            supernode=held.supernode,
            max_clients=self.max_clients,
            pace=self.pace,
            lending=held.lending,
            served=held.served,
        )
        node = Node(setup)
        held.cache = node.cache
        if self.timings is not None:
            node.join.timings = self.timings
        box = None
        if held.kind is not None and (held.kind.translates or not held.kind.udp):
            box = Box(held.kind, public_host(held.address), rng)
        dweller = self.world.settle(
            name, node, persona, held.address, owner=owner, box=box, knows=held.supernode
        )
        if held.supernode:
            dweller.ports = (80, 443)
        self.world.plan(0.0, self._begin, dweller)
        return dweller

    def stop(self, name: str) -> None:
        """Somebody's program ends without a word."""
        self.keep(name)
        self.world.kill(name)

    def keep(self, name: str) -> None:
        """What a program has on its disk when it ends."""
        mind = self.world.dwellers[name].mind
        if isinstance(mind, Node) and name in self.households:
            self.households[name].served = mind.roles.service(self.world.now)

    def act(self, name: str, effects: Any) -> None:
        """Carry out what an intent of somebody's machine returned."""
        dweller = self.world.dwellers[name]
        self.world.carry_out(dweller, self.node(name).act(effects, self.world.now))

    def limit(self, work: Work | None) -> None:
        """From now on each supernode can do no more than this in a second."""
        self.world.work = work

    def credential(self, name: str, key: bytes, *, wall: float = WALL) -> bytes:
        """A credential as the login server would issue it."""
        return certified(self.descriptor, self.secrets, self.accounts, name, key, wall, self.valid_for)

    def _begin(self, dweller: Dweller) -> None:
        if dweller.alive:
            mind = dweller.mind
            assert isinstance(mind, Node)
            self.world.carry_out(dweller, mind.begin(self.world.now))

    def _settle_login_server(self) -> None:
        rng = self.world.rng("login")
        server = LoginServer(
            self.suite, self.descriptor.id, self.secrets.login, self.secrets.letter, self.accounts, rng, WALL
        )
        server.valid_for = self.valid_for
        persona = Persona(self.suite, self.notary, self.suite.identity.make(rng), b"", rng)
        self.world.settle("login", LoginMind(server), persona, LOGIN, knows=True)


def supernode_address(i: int) -> Address:
    """Where supernode number ``i`` listens: each in a network (/16) of its own, as far as there are any."""
    return Address(bytes([60 + i % 150, i // 150 % 256, i // 38_400, 1]), PORT)


def user_address(i: int, *, inside: bool) -> Address:
    """Where the node of user number ``i`` listens; ``inside``: as it is behind a box of its own."""
    address = Address(bytes([10, i // 32 % 256, i // 8_192, i % 32]), 40_000 + i % 10_000)
    return address if inside else Address(public_host(address), address.port)


def public_host(inside: Address) -> bytes:
    """The outside host of the box that an inside address is behind: users lie in thousands of networks."""
    _, second, third, last = inside.host
    return bytes([20 + last, second, third, 1])
