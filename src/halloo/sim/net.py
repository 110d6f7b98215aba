"""The wires of a virtual world: how long a packet takes, whether it arrives, what is blocked.  Seeded."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

__all__ = ["Net"]


@dataclass(slots=True)
class Net:
    """One network of equal paths.  Delays in seconds one way; shares between 0 and 1."""

    rng: Random
    delay: float = 0.02
    jitter: float = 0.0
    """Up to so much more, evenly."""
    loss: float = 0.0
    duplicated: float = 0.0
    udp_blocked: set[frozenset[bytes]] = field(default_factory=set)
    """Pairs of hosts between which no datagram passes."""
    blocked: set[frozenset[bytes]] = field(default_factory=set)
    """Pairs of hosts between which nothing passes."""
    only_ports: dict[bytes, tuple[int, ...]] = field(default_factory=dict)
    """By host, the TCP ports to which it may connect; to all others nothing passes, and nobody says so."""
    proxied: set[bytes] = field(default_factory=set)
    """Hosts beside which a proxy stands that connects for them to port 443 of anybody."""
    cut_off: set[bytes] = field(default_factory=set)
    """Hosts to and from which nothing passes at all."""

    def datagram(self, source: bytes, destination: bytes) -> list[float]:
        """When the copies of a datagram arrive, in seconds from now; none: it is lost."""
        if frozenset((source, destination)) in self.udp_blocked or not self.passes(source, destination):
            return []
        if source in self.only_ports or destination in self.only_ports:
            return []
        if self.rng.random() < self.loss:
            return []
        copies = 2 if self.rng.random() < self.duplicated else 1
        return [self._travel() for _ in range(copies)]

    def stream(self) -> float:
        """How long a piece of a stream takes, a retransmission where it was lost included."""
        travel = self._travel()
        while self.rng.random() < min(self.loss, 0.9):
            travel += 2 * self.delay + 0.2  # what a TCP of today waits at least
        return travel

    def connects(self, source: bytes, port: int, *, proxied: bool) -> bool:
        """Whether a host may connect to a TCP port somewhere, by its proxy or without."""
        if proxied:
            return source in self.proxied and port == 443
        return port in self.only_ports.get(source, (port,))

    def passes(self, source: bytes, destination: bytes) -> bool:
        """Whether anything passes between two hosts."""
        if frozenset((source, destination)) in self.blocked:
            return False
        return source not in self.cut_off and destination not in self.cut_off

    def _travel(self) -> float:
        return self.delay + self.jitter * self.rng.random()
