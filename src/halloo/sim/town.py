"""A whole small network in a virtual world: login server, supernodes, users, ready to call each other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any

from halloo.base.address import Address
from halloo.crypto.suite import Suite
from halloo.link.endpoint import Endpoint
from halloo.link.persona import Persona
from halloo.login.accounts import AccountsInMemory
from halloo.login.server import VALID_FOR, LoginServer
from halloo.media.codec import Silence
from halloo.media.stream import SoundStream
from halloo.node.descriptor import Descriptor, Secrets, create
from halloo.node.login_mind import LoginMind
from halloo.node.node import Node, NodeSetup
from halloo.node.station import Station
from halloo.overlay.hostcache import HostCache
from halloo.overlay.promotion import Lending
from halloo.sim.certifying import certified
from halloo.sim.nat import Box
from halloo.sim.world import WALL, Owner, Resident, World

__all__ = ["Town"]

IN_DESCRIPTOR = 32  # supernodes that the network's description names; the others have accounts
LOGIN = Address.parse("10.0.0.1:33033")


def _supernode_address(i: int) -> Address:
    return Address.of(f"10.1.{i // 250}.{i % 250 + 1}", 33033)


def _silence() -> SoundStream:
    silence = Silence()
    return SoundStream(silence.encoder(), silence.decoder())


@dataclass
class Town:
    """A world with a network in it."""

    seed: int
    supernodes: int = 3
    profile: str = "plain"
    spread: bool = False
    """Whether hosts lie all over the address space, as on the internet, or beside each other."""
    net: dict[str, Any] = field(default_factory=dict)
    sound: Callable[[], SoundStream] = _silence
    valid_for: int = VALID_FOR
    """Seconds that a credential lives."""

    def __post_init__(self) -> None:
        self.world = World(self.seed, **self.net)
        addresses = tuple(self._spread(_supernode_address(i)) for i in range(self.supernodes))
        named = addresses[:IN_DESCRIPTOR]
        descriptor, secrets = create("town", self.profile, (LOGIN,), named, WALL, Random(f"{self.seed}/network"))
        self.descriptor: Descriptor = descriptor
        self.secrets: Secrets = secrets
        self.notary = descriptor.notary
        self.accounts = AccountsInMemory()
        self._hosts = self._starts = 0
        self._settle_login_server()
        for i, address in enumerate(addresses):
            account = f"supernode{i}" if address not in named else ""
            self._settle(f"supernode{i}", address, supernode=True, credential_for=account)

    @property
    def suite(self) -> Suite:
        """The suite of the network."""
        return self.descriptor.ways.suite

    def node(self, name: str) -> Node:
        """The mind of a resident."""
        mind = self.world.residents[name].station.mind
        assert isinstance(mind, Node)
        return mind

    def user(
        self, name: str, owner: Owner | None = None, lending: Lending | None = None, box: Box | None = None
    ) -> Resident:
        """A user with a credential moves in, behind ``box`` or in the open, and comes on line."""
        lent = lending or Lending()
        return self._settle(name, self._address(), credential_for=name, owner=owner, lending=lent, box=box)

    def stranger(self, name: str) -> Resident:
        """A node without an account moves in and comes on line."""
        return self._settle(name, self._address())

    def restart(self, name: str) -> Resident:
        """A supernode is killed and started again under its address, with another key, remembering nothing."""
        address = self.world.residents[name].address
        self.world.kill(name)
        self._starts += 1
        return self._settle(f"{name}, start {self._starts}", address, supernode=True)

    def act(self, name: str, effects: Any) -> None:
        """Carry out what an intent of a resident's machine returned."""
        node, resident = self.node(name), self.world.residents[name]
        self.world.ask(resident, node.act(effects, self.world.now))

    def _address(self) -> Address:
        self._hosts += 1
        return self._spread(Address.of(f"10.2.{self._hosts // 250}.{self._hosts % 250 + 1}", 40_000 + self._hosts))

    def _spread(self, address: Address) -> Address:
        if not self.spread:
            return address
        rng = self.world.rng(f"host of {address}")
        return Address(bytes([rng.randrange(20, 220)]) + rng.randbytes(3), rng.randrange(1024, 65_536))

    def _settle(
        self,
        name: str,
        address: Address,
        *,
        supernode: bool = False,
        credential_for: str = "",
        owner: Owner | None = None,
        lending: Lending | None = None,
        box: Box | None = None,
    ) -> Resident:
        rng = self.world.rng(name)
        private = self.suite.identity.make(rng)
        credential = self.credential(credential_for, self.suite.identity.public(private)) if credential_for else b""
        persona = Persona(self.suite, self.notary, private, credential, rng)
        setup = NodeSetup(
            self.descriptor, persona, HostCache(), (address,), self.sound, rng, WALL, supernode=supernode
        )
        setup.lending = lending or Lending()
        node = Node(setup)
        hosts = (address.host,) if supernode else ()
        station = Station(Endpoint(persona, self.descriptor.cloak_key, hosts, WALL), node)
        resident = self.world.settle(name, station, address, owner, box)
        resident.ports = (80, 443) if supernode else ()
        self.world.at(0.0, lambda: self.world.ask(resident, node.begin(self.world.now)))
        return resident

    def credential(self, name: str, key: bytes, *, wall: float = WALL) -> bytes:
        """A credential as the login server would issue it."""
        return certified(self.descriptor, self.secrets, self.accounts, name, key, wall, self.valid_for)

    def _settle_login_server(self) -> None:
        rng = self.world.rng("login")
        server = LoginServer(
            self.suite, self.descriptor.id, self.secrets.login, self.secrets.letter, self.accounts, rng, WALL
        )
        server.valid_for = self.valid_for
        persona = Persona(self.suite, self.notary, self.suite.identity.make(rng), b"", rng)
        endpoint = Endpoint(persona, self.descriptor.cloak_key, (LOGIN.host,), WALL)
        self.world.settle("login", Station(endpoint, LoginMind(server)), LOGIN)
