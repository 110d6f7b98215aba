"""Boxes that translate addresses: what stands between an ordinary node and the world.

    node 192.168.0.2:40000  -- box -->  198.51.100.7:50123  -->  anybody
                            <-- box --  only from whom the filter knows, only while the binding lives

A box maps an inside address to a port of its own, one for all destinations or one for each; it lets in what its filter
allows, and forgets a binding over which nothing was sent for a while.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from random import Random

from halloo.base.address import Address

__all__ = ["KINDS", "Box", "BoxKind", "Filter", "drawn_kind"]

_FIRST_PORT, _LAST_PORT = 1_024, 65_535
MAX_BINDINGS = 4_096  # of one box; the one unused for longest goes first, as in a small router


class Filter(Enum):
    """Whose datagrams may come in over a binding."""

    ANYBODY = 0
    HOSTS = 1
    """Hosts that something was sent to."""
    PORTS = 2
    """Hosts and ports that something was sent to."""


@dataclass(frozen=True, slots=True)
class BoxKind:
    """How a box behaves.  ``share``: of ordinary nodes that live behind such a one."""

    name: str
    share: float
    translates: bool = True
    symmetric: bool = False
    """Whether each destination gets a mapping of its own."""
    filter: Filter = Filter.PORTS
    udp: bool = True
    expires: tuple[float, float] = (30.0, 180.0)
    """Seconds without traffic after which a binding is gone, from and to.  30 s is what the strictest measured home
    routers allow, three minutes what most do."""


KINDS: dict[str, BoxKind] = {
    kind.name: kind
    for kind in (
        # Shares in the middle of what was published from 2005 to 2020 on hosts of peer-to-peer programs: some four of
        # five boxes map independently of the destination, most of these filter by port, few networks pass no UDP.
        BoxKind("none", 0.12, translates=False, filter=Filter.ANYBODY),
        BoxKind("full cone", 0.16, filter=Filter.ANYBODY),
        BoxKind("address-restricted", 0.08, filter=Filter.HOSTS),
        BoxKind("port-restricted", 0.46),
        BoxKind("symmetric", 0.14, symmetric=True),
        BoxKind("udp-blocked", 0.04, udp=False),
    )
}


def drawn_kind(rng: Random) -> BoxKind:
    """A kind by its share."""
    kinds = list(KINDS.values())
    return rng.choices(kinds, [kind.share for kind in kinds])[0]


@dataclass(slots=True)
class _Binding:
    inside: Address
    port: int
    towards: Address | None
    used_at: float
    outside: Address
    """Its port, as others see it."""
    known: dict[object, None] = field(default_factory=dict)
    """Hosts, or hosts and ports, that something was sent to."""


@dataclass(slots=True)
class Box:
    """One box, with the outside address ``host``."""

    kind: BoxKind
    host: bytes
    rng: Random
    lifetime: float = 0.0
    _by_inside: dict[tuple[Address, Address | None], _Binding] = field(default_factory=dict)
    _by_port: dict[int, _Binding] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.lifetime = self.rng.uniform(*self.kind.expires)

    def outward(self, inside: Address, destination: Address, now: float) -> Address | None:
        """The address that a datagram leaves from; None: it does not."""
        if not self.kind.udp:
            return None
        if not self.kind.translates:
            return inside
        key = inside, destination if self.kind.symmetric else None
        binding = self._by_inside.get(key)
        if binding is not None and binding.used_at + self.lifetime < now:
            del self._by_inside[key], self._by_port[binding.port]
            binding = None
        if binding is None:
            binding = self._bind(key, now)
        binding.used_at = now
        if self.kind.filter is Filter.HOSTS:
            binding.known[destination.host] = None
        elif self.kind.filter is Filter.PORTS:
            binding.known[destination] = None
        return binding.outside

    def inward(self, source: Address, port: int, now: float) -> Address | None:
        """The inside address that a datagram to our ``port`` goes to; None: it is dropped.

        What comes in does not prolong a binding: a stranger could keep it open for ever.
        """
        binding = self._by_port.get(port)
        if binding is None or binding.used_at + self.lifetime < now:
            return None
        match self.kind.filter:
            case Filter.HOSTS if source.host not in binding.known:
                return None
            case Filter.PORTS if source not in binding.known:
                return None
        return binding.inside

    def restart(self) -> None:
        """Forget every binding."""
        self._by_inside.clear()
        self._by_port.clear()

    def _bind(self, key: tuple[Address, Address | None], now: float) -> _Binding:
        if len(self._by_inside) >= MAX_BINDINGS:
            oldest = min(self._by_inside, key=lambda held: self._by_inside[held].used_at)
            del self._by_port[self._by_inside.pop(oldest).port]
        port = key[0].port
        while port in self._by_port:
            port = self.rng.randint(_FIRST_PORT, _LAST_PORT)
        binding = self._by_inside[key] = self._by_port[port] = _Binding(
            key[0], port, key[1], now, Address(self.host, port)
        )
        return binding
