"""Members of blocks without endpoints: standings with real signatures, and a loop that carries what blocks say.

Signatures are a digest of the key and the text: what they are made of is proved elsewhere, here they only have to be
true or not.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from heapq import heappop, heappush
from random import Random
from typing import Any

from halloo.base.address import Address, Peer, Wire
from halloo.base.effects import Link, Send, Unlink
from halloo.base.errors import PeerError
from halloo.base.machine import Effects, Numbers
from halloo.messages.block import SignedStanding, Standing
from halloo.messages.credential import Claims, Entry, Listing, Notary, Party, issue, list_entry
from halloo.overlay.block import Block
from halloo.overlay.hostcache import HostCache
from halloo.overlay.keeper import Keeper
from halloo.overlay.placement import Placed
from halloo.overlay.roster import Member, Registrar
from halloo.overlay.supernode import Supernode

__all__ = ["NETWORK", "WALL", "Seat", "Village", "entry_of", "member", "notary", "registrar", "sign", "standing"]

WALL = 1_800_000_000.0
NETWORK = b"villages"
LOGIN_KEY = b"the login key"


def digest(data: bytes) -> bytes:
    return sha256(data).digest()


def sign(private: bytes, text: bytes) -> bytes:
    return digest(private + text)[:8]


def verify(public: bytes, signature: bytes, text: bytes) -> bool:
    return signature == sign(public, text)


def notary() -> Notary:
    return Notary(NETWORK, (LOGIN_KEY,), verify, verify, digest)


def credential(name: str, key: bytes) -> bytes:
    claims = Claims(name=name, key=key, expires=int(WALL) + 1_000_000, issued=int(WALL) - 100, network=NETWORK)
    return issue(claims, LOGIN_KEY, sign)


def registrar(name: str, key: bytes, vouched: tuple[Address, ...] = (), *, account: bool = True) -> Registrar:
    """The registrar of somebody with an account, or without one."""
    held = credential(name, key) if account else b""
    return Registrar(notary(), digest, vouched, key, key, held, name if account else "", sign)


def key_named(name: str) -> bytes:
    return digest(name.encode())[:16]


def standing(name: str, **changes: Any) -> tuple[Registrar, SignedStanding]:
    """A true standing of somebody with an account, and the registrar that signed it."""
    account = changes.pop("account", True)
    key = key_named(name)
    own = registrar(name, key, account=account)
    values: dict[str, Any] = {
        "node": digest(key)[:8],
        "listening": Address.of(f"10.7.{len(name)}.{digest(key)[0]}", 4_000),
        "since": int(WALL),
        "version": int(WALL),
        "slot": 8,
    }
    return own, own.signed(Standing(**(values | changes)))


def member(name: str, **changes: Any) -> Member:
    """A member whose standing was found true."""
    own, signed = standing(name, **changes)
    return own.opened(signed, WALL)


def entry_of(name: str, *, version: int = 1, issued: float = WALL) -> Entry:
    """A true record."""
    key = key_named("user " + name)
    listing = Listing(version=version, issued=int(issued), state=1, node=bytes(8))
    return notary().record(list_entry(credential(name, key), listing, key, sign), WALL)


@dataclass(frozen=True)
class Seat:
    """What placement has to know of a member, and nothing else."""

    number: int
    since: int
    slot: int
    depth: int
    trusted: bool
    network: bytes


@dataclass
class _House:
    name: str
    key: bytes
    address: Address
    supernode: Supernode
    alive: bool = True
    planned: float = float("inf")
    far: dict[Peer, tuple[_House, Peer]] = field(default_factory=dict)


class Village:
    """Supernodes that hear each other without endpoints: every message takes 20 ms, a dead one is noticed after 3 s."""

    def __init__(self, seed: int, count: int) -> None:
        self.now = 0.0
        self.seed = seed
        self.houses: dict[str, _House] = {}
        self.placed: list[tuple[float, str, Placed]] = []
        self._at: dict[Address, _House] = {}
        self._plan: list[tuple[float, int, Callable[[], None]]] = []
        self._order = 0
        for number in range(count):
            self.settle(f"supernode{number}", 0.05 * number)

    def settle(self, name: str, at: float = 0.0) -> _House:
        """A supernode moves in and begins in ``at`` seconds."""
        number = len(self.houses)
        key = key_named(name)
        address = Address.of(f"10.9.{number // 250}.{number % 250 + 1}", 4_000)
        cache, rng = HostCache(), Random(f"{self.seed}/{name}")
        cache.add([Address.of(f"10.9.0.{n + 1}", 4_000) for n in range(4)])
        own = registrar(name, key)
        node = digest(key)[:8]
        supernode = Supernode(
            node, address, own.notary, digest, own, cache, rng, Numbers(), Numbers(rng.getrandbits(15)), WALL
        )
        house = self.houses[name] = self._at[address] = _House(name, key, address, supernode)
        self._later(at, lambda: self._carry(house, supernode.begin(self.now)))
        return house

    @property
    def alive(self) -> list[Supernode]:
        return [house.supernode for house in self.houses.values() if house.alive]

    def block(self, name: str) -> Block:
        return self.houses[name].supernode.block

    def keeper(self, name: str) -> Keeper:
        return self.houses[name].supernode.keeper

    def act(self, name: str, effects: Effects) -> None:
        """Carry out what a machine returned."""
        self._carry(self.houses[name], effects)

    def kill(self, name: str) -> None:
        """Somebody is gone without a word."""
        house = self.houses[name]
        house.alive = False
        del self._at[house.address]
        for other, peer in list(house.far.values()):
            self._later(3.0, lambda other=other, peer=peer: self._down(other, peer))  # type: ignore[misc]

    def run(self, until: float) -> None:
        """Live on."""
        while self._plan and self._plan[0][0] <= until:
            self.now, _, what = heappop(self._plan)
            what()
        self.now = until

    def _later(self, after: float, what: Callable[[], None]) -> None:
        self._order += 1
        heappush(self._plan, (self.now + after, self._order, what))

    def _carry(self, house: _House, effects: Effects) -> None:
        for effect in effects:
            match effect:
                case Link():
                    assert isinstance(effect.route, Wire)
                    self._link(house, effect.peer, effect.route.address)
                case Unlink():
                    self._end(house, effect.peer)
                case Send():
                    self._send(house, effect)
                case Placed():
                    self.placed.append((self.now, house.name, effect))
        at = house.supernode.wake_at
        if at < house.planned and house.alive:
            house.planned = at
            self._later(max(0.0, at - self.now), lambda: self._wake(house, at))

    def _wake(self, house: _House, planned: float) -> None:
        if house.alive and planned == house.planned:
            house.planned = float("inf")
            self._carry(house, house.supernode.wake(self.now))

    def _send(self, house: _House, send: Send) -> None:
        if isinstance(send.to, int):
            if send.to in house.far:
                there, peer = house.far[Peer(send.to)]
                self._later(0.02, lambda: self._heard(there, peer, send))
        elif isinstance(send.to, Wire):
            to = send.to.address
            self._later(0.02, lambda: self._open(house, to, send))

    def _heard(self, there: _House, peer: Peer, send: Send) -> None:
        if not there.alive or peer not in there.far:
            return
        try:
            self._carry(there, there.supernode.receive(send.message, peer, None, self.now))
        except PeerError:
            self._carry(there, [])

    def _open(self, source: _House, to: Address, send: Send) -> None:
        there = self._at.get(to)
        if there is not None:
            self._carry(there, there.supernode.heard(send.message, Wire(source.address), self.now))

    def _link(self, house: _House, peer: Peer, address: Address) -> None:
        there = self._at.get(address)
        if there is None:
            self._later(3.0, lambda: self._carry(house, house.supernode.down(peer, "no answer", self.now)))
            return
        self._later(0.04, lambda: self._up(house, peer, there))

    def _up(self, house: _House, peer: Peer, there: _House) -> None:
        if not (house.alive and there.alive):
            return
        far = Peer((1 << 32) + len(self._plan) + (self._order << 20))
        house.far[peer], there.far[far] = (there, far), (house, peer)
        self._carry(there, there.supernode.up(far, _party(house), self.now))
        self._carry(house, house.supernode.up(peer, _party(there), self.now))

    def _end(self, house: _House, peer: Peer) -> None:
        link = house.far.pop(peer, None)
        if link is not None:
            self._later(0.02, lambda: self._down(*link))
        self._carry(house, house.supernode.down(peer, "ended", self.now))

    def _down(self, house: _House, peer: Peer) -> None:
        if house.alive and house.far.pop(peer, None) is not None:
            self._carry(house, house.supernode.down(peer, "ended", self.now))


def _party(house: _House) -> Party:
    own = house.supernode.registrar
    return Party(house.key, own.notary.credential(own.credential, WALL))
