"""Addresses of supernodes worth trying, best first; at most 200, kept from run to run.

As text, one line each: ``address last-success failures``, the success in whole wall-clock seconds (0: never).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from random import Random

from halloo.base.address import Address
from halloo.base.errors import UsageError

__all__ = ["HostCache"]

CAPACITY = 200  # the classic client's
FORGET_AFTER = 5  # failures in a row after which an address that never answered, or others crowd out, goes first
_HEAD = "halloo hostcache 1"


@dataclass(slots=True)
class _Host:
    success: float = 0.0
    failures: int = 0


@dataclass(slots=True)
class HostCache:
    """The addresses, with what came of trying them."""

    _hosts: dict[Address, _Host] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self._hosts)

    def add(self, addresses: Iterable[Address]) -> None:
        """Addresses heard of.  The worst one goes when there is no room."""
        for address in addresses:
            if address.port and address not in self._hosts:
                if len(self._hosts) >= CAPACITY:
                    del self._hosts[max(self._hosts, key=self._badness)]
                self._hosts[address] = _Host()

    def succeeded(self, address: Address, wall: float) -> None:
        """It answered, at wall clock time ``wall``."""
        self.add([address])
        self._hosts[address] = _Host(wall, 0)

    def failed(self, address: Address) -> None:
        """It did not answer."""
        if (host := self._hosts.get(address)) is not None:
            host.failures += 1
            if host.failures >= FORGET_AFTER and not host.success and len(self._hosts) > 10:
                del self._hosts[address]

    def best(self, most: int, rng: Random) -> list[Address]:
        """Up to ``most`` addresses to try: few failures first, then those that once answered, then by chance."""
        return sorted(self._hosts, key=lambda known: (*self._badness(known), rng.random()))[:most]

    def _badness(self, address: Address) -> tuple[int, bool]:
        host = self._hosts[address]
        return host.failures, not host.success

    def addresses(self) -> list[Address]:
        """All of them."""
        return list(self._hosts)

    def dump(self) -> str:
        """The cache as text."""
        lines = [f"{address} {host.success:.0f} {host.failures}" for address, host in self._hosts.items()]
        return "\n".join([_HEAD, *lines]) + "\n"

    @classmethod
    def load(cls, text: str) -> HostCache:
        """Read it back.

        Raises:
            UsageError: not a host cache.  A line that cannot be read is passed over: the rest is still worth trying.
        """
        lines = text.splitlines()
        if not lines or lines[0] != _HEAD:
            raise UsageError("not a host cache")
        cache = cls()
        for line in lines[1 : CAPACITY + 1]:
            try:
                address, success, failures = line.split()
                cache._hosts[Address.parse(address)] = _Host(float(success), min(99, max(0, int(failures))))
            except (UsageError, ValueError):
                continue
        return cache
