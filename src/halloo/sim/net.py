"""The wires of a virtual world: how long a packet takes, whether it arrives, what is blocked.  Seeded."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

from halloo.sim.distances import Distances

__all__ = ["Net"]


@dataclass(slots=True)
class Net:
    """One network, of equal paths or of ``distances``.  Delays in seconds one way; shares between 0 and 1."""

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
    sides: dict[bytes, int] = field(default_factory=dict)
    """By host, the part of the network it is in while that is torn; between different ones nothing passes."""
    distances: Distances | None = None
    """How far hosts are from each other; None: all are ``delay`` apart."""

    def datagram(self, source: bytes, destination: bytes) -> list[float]:
        """When the copies of a datagram arrive, in seconds from now; none: it is lost."""
        if not self.datagram_passes(source, destination) or self.rng.random() < self.loss:
            return []
        copies = 2 if self.rng.random() < self.duplicated else 1
        return [self.travel(source, destination) for _ in range(copies)]

    def stream(self, source: bytes, destination: bytes) -> float:
        """How long a piece of a stream takes, a retransmission where it was lost included."""
        travel = self.travel(source, destination)
        return travel + self.stalls(travel)

    def stalls(self, travel: float) -> float:
        """By how much longer a piece of a stream takes because it was lost on its way."""
        stalled = 0.0
        while self.loss and self.rng.random() < min(self.loss, 0.9):
            stalled += 2 * travel + 0.2  # what a TCP of today waits at least
        return stalled

    def loses(self) -> bool:
        """Whether this datagram is lost."""
        return self.loss > 0 and self.rng.random() < self.loss

    @property
    def closed(self) -> bool:
        """Whether there are any two hosts between which something does not pass."""
        return bool(self.udp_blocked or self.blocked or self.cut_off or self.sides or self.only_ports)

    def datagram_passes(self, source: bytes, destination: bytes) -> bool:
        """Whether a datagram passes between two hosts, if it is not lost."""
        if frozenset((source, destination)) in self.udp_blocked or not self.passes(source, destination):
            return False
        return source not in self.only_ports and destination not in self.only_ports

    def travel(self, source: bytes, destination: bytes) -> float:
        """Seconds from one host to another, this time."""
        delay = self.delay if self.distances is None else self.distances.one_way(source, destination)
        return delay + self.jitter * self.rng.random() if self.jitter else delay

    def connects(self, source: bytes, port: int, *, proxied: bool) -> bool:
        """Whether a host may connect to a TCP port somewhere, by its proxy or without."""
        if proxied:
            return source in self.proxied and port == 443
        return port in self.only_ports.get(source, (port,))

    def passes(self, source: bytes, destination: bytes) -> bool:
        """Whether anything passes between two hosts."""
        if frozenset((source, destination)) in self.blocked:
            return False
        if self.sides and self.sides.get(source) != self.sides.get(destination):
            return False
        return source not in self.cut_off and destination not in self.cut_off
