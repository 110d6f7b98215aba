"""Addresses of supernodes worth trying, best first; at most 200, kept from run to run.

What is best is measured: an address is worth the seconds that trying it will cost, as far as its answers so far tell.
Nobody can fill the cache: one neighbourhood (an IPv4 /16, an IPv6 /32) has a share of it, one teller has another, and
what is only told never takes the place of what has answered.  The addresses of the network's description stay, whatever
else is heard: they are the last resort, and asked first only by who has heard nothing of the network for a day.  If all
who lose their supernode went to those few at once, nobody would get through there.

As text, one line each: ``address last-answer failures round-trip heard``, times in whole wall-clock seconds (0: never),
the round trip in milliseconds (0: unknown).  The head names the network, in hexadecimal digits, where that is known.
"""

from __future__ import annotations

from collections.abc import Container, Iterable
from dataclasses import dataclass, field
from enum import IntEnum
from random import Random

from halloo.base.address import Address
from halloo.base.errors import UsageError
from halloo.overlay.hearsay import believable, neighbourhood, usable

__all__ = ["HostCache", "Source"]

CAPACITY = 200  # addresses, as many as the classic client's
SHARE = 20  # addresses of one neighbourhood: a tenth, so that nine tenths are somebody else's
TOLD = 40  # addresses that one teller's neighbourhood told of and that have not answered yet: a fifth
FORGET_UNPROVEN = 3  # failures in a row after which an address that never answered is forgotten
FORGET_AFTER = 5  # failures in a row after which one that did answer gives way to what is told
KEPT = 10  # addresses below which none is forgotten: it may be our own line that is down
LATEST = 1 << 40  # wall-clock seconds: no file may say later
DAY = 86_400.0  # seconds: what answered a day ago is there with about two chances in three
SLOWEST = 60.0  # seconds: no round trip is longer
UNMEASURED = 0.15  # seconds taken for a round trip that was never measured
SILENCE = 2.0  # seconds lost with an address that does not answer
SPREAD = 0.25  # by so much of it a cost is blurred, so that equals do not all go to the same supernode
_HEAD = "halloo hostcache 2"
_OLD_HEAD = "halloo hostcache 1"


class Source(IntEnum):
    """Where an address comes from."""

    PEER = 0
    LAN = 1
    """Found on the local network."""
    OPERATOR = 2
    """Signed by who runs the network."""
    DESCRIPTOR = 3
    """Stands in the network's description: never forgotten."""


DOUBT = {Source.PEER: 0.6, Source.LAN: 0.2, Source.OPERATOR: 0.3, Source.DESCRIPTOR: 0.5}
"""By where an address comes from, the chance that one which never answered does not answer now either."""
LAST_RESORT = 0.8  # the same for the description's, which everybody has, while any address has answered within a day


@dataclass(slots=True)
class _Host:
    where: bytes | None
    """Its neighbourhood."""
    success: float = 0.0
    failures: int = 0
    round_trip: float = 0.0
    heard: float = 0.0
    tried: float = 0.0
    source: Source = Source.PEER
    teller: bytes = b""
    """The neighbourhood of who told of it; empty: nobody who is bounded."""

    @property
    def given_up(self) -> bool:
        """Whether it gives way to what is only told."""
        return self.failures > 0 if not self.success else self.failures >= FORGET_AFTER


@dataclass(slots=True)
class HostCache:
    """The addresses, with what came of trying them."""

    network: bytes = b""
    """The network they belong to, where that is known."""
    changed: bool = False
    """Whether something is new since this was last set to False."""
    own: Address | None = None
    """Where we are a supernode ourselves: nobody is his own way into the network."""
    answered: float = 0.0
    """When one of them answered last, in wall-clock time; 0: never."""
    _hosts: dict[Address, _Host] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self._hosts)

    def __contains__(self, address: object) -> bool:
        return address in self._hosts

    # --- what is heard

    def add(
        self,
        addresses: Iterable[Address],
        teller: Address | None = None,
        *,
        source: Source = Source.PEER,
        wall: float = 0.0,
    ) -> list[Address]:
        """Addresses heard of at wall-clock time ``wall`` from ``teller`` (None: this machine); those that are new.

        What cannot be believed is passed over, and so is what finds no room: it is only hearsay.
        """
        told_by = (neighbourhood(teller.host) or b"") if teller is not None else b""
        new: list[Address] = []
        for address in addresses:
            if address == self.own or not believable(address, teller.host if teller else None):
                continue
            known = self._hosts.get(address)
            if known is not None:
                known.source = max(known.source, source)
            elif self._room_for(address, told_by, source):
                self._hosts[address] = _Host(neighbourhood(address.host), heard=wall, source=source, teller=told_by)
                self.changed = True
                new.append(address)
        return new

    def pin(self, addresses: Iterable[Address]) -> None:
        """The addresses of the network's description: they are never forgotten."""
        self.add(addresses, source=Source.DESCRIPTOR)

    def succeeded(self, address: Address, wall: float, round_trip: float = 0.0) -> None:
        """It answered, at wall-clock time ``wall``, after ``round_trip`` seconds (0: not measured)."""
        host = self._hosts.get(address)
        if host is None:
            if not usable(address) or not self._room_for_proven(address):
                return
            host = self._hosts[address] = _Host(neighbourhood(address.host), heard=wall)
        host.success, host.failures, host.tried = wall, 0, wall
        self.answered = max(self.answered, wall)
        if round_trip > 0:
            before = host.round_trip or round_trip
            host.round_trip = min(SLOWEST, before + (round_trip - before) / 4)
        self.changed = True

    def failed(self, address: Address, wall: float = 0.0) -> None:
        """It did not answer."""
        host = self._hosts.get(address)
        if host is None:
            return
        host.failures = min(99, host.failures + 1)
        host.tried = max(host.tried, wall)
        self.changed = True
        most = FORGET_AFTER if host.success else FORGET_UNPROVEN
        old = wall - host.success > DAY or not host.success
        if host.failures >= most and old and host.source is not Source.DESCRIPTOR and len(self._hosts) > KEPT:
            del self._hosts[address]

    # --- what is asked

    def best(self, most: int, rng: Random, wall: float = 0.0, but: Container[Address] = ()) -> list[Address]:
        """Up to ``most`` addresses to try at wall-clock time ``wall``, best first, none of ``but``.

        Those of different neighbourhoods come first: an attack on one of them is no attack on all we try.
        """
        ranked = sorted(
            (known for known in self._hosts if known not in but and known != self.own),
            key=lambda known: self.cost(known, wall) * (1 + SPREAD * rng.random()),
        )
        chosen: list[Address] = []
        others: list[Address] = []
        near: set[bytes] = set()
        for address in ranked:
            where = self._hosts[address].where
            if where is not None and where in near:
                others.append(address)
                continue
            if where is not None:
                near.add(where)
            chosen.append(address)
            if len(chosen) == most:
                return chosen
        return (chosen + others)[:most]

    def cost(self, address: Address, wall: float) -> float:
        """Seconds that trying a known address is expected to cost."""
        host = self._hosts[address]
        if host.success:
            age = max(0.0, wall - host.success)
            doubt = 0.05 + 0.6 * age / (age + DAY)
        elif host.source is Source.DESCRIPTOR and self.answered and wall - self.answered < DAY:
            doubt = LAST_RESORT
        else:
            doubt = DOUBT[host.source]
        doubt = 1 - (1 - doubt) * 0.5**host.failures
        return (host.round_trip or UNMEASURED) + doubt * SILENCE

    def stalest(self, but: Container[Address] = ()) -> Address | None:
        """The address of which we have known for the longest time no more than we know now."""
        hosts = self._hosts.items()
        known = [(max(host.success, host.tried), at) for at, host in hosts if at not in but and at != self.own]
        return min(known, default=(0.0, None))[1]

    def addresses(self) -> list[Address]:
        """All of them."""
        return list(self._hosts)

    def round_trip(self, address: Address) -> float:
        """Seconds, smoothed; 0 while unknown."""
        host = self._hosts.get(address)
        return host.round_trip if host else 0.0

    # --- room

    def _room_for(self, address: Address, teller: bytes, source: Source) -> bool:
        """Make room for an address that is only told of, if it may have some."""
        if source is Source.DESCRIPTOR:
            return self._room_for_proven(address)
        if teller and sum(host.teller == teller and not host.success for host in self._hosts.values()) >= TOLD:
            return False
        near = self._near(address)
        if len(near) >= SHARE:
            return self._displace(near)
        if len(self._hosts) < CAPACITY:
            return True
        return self._displace(self._hosts) or self._displace_crowded(len(near))

    def _room_for_proven(self, address: Address) -> bool:
        """Make room for an address that has answered: what was only told goes first, then the least worth."""
        near = self._near(address)
        if len(near) < SHARE and len(self._hosts) < CAPACITY:
            return True
        among = near if len(near) >= SHARE else list(self._hosts)
        free = [known for known in among if self._hosts[known].source is not Source.DESCRIPTOR]
        if not free:
            return len(self._hosts) < CAPACITY  # the description has so many of one neighbourhood, and vouches for them
        del self._hosts[max(free, key=lambda known: (not self._hosts[known].success, self.cost(known, LATEST)))]
        return True

    def _displace(self, among: Iterable[Address]) -> bool:
        """Forget the worst of those that gave no answer lately; False when there is none."""
        given_up = [
            known
            for known in among
            if self._hosts[known].given_up and self._hosts[known].source is not Source.DESCRIPTOR
        ]
        if not given_up:
            return False
        del self._hosts[max(given_up, key=lambda known: self.cost(known, LATEST))]
        return True

    def _displace_crowded(self, here: int) -> bool:
        """Forget one that never answered of the fullest neighbourhood, where that has more than one more than ours."""
        crowds: dict[bytes, list[Address]] = {}
        for known, host in self._hosts.items():
            if host.where is not None and not host.success and host.source is not Source.DESCRIPTOR:
                crowds.setdefault(host.where, []).append(known)
        fullest = max(crowds.values(), key=len, default=[])
        if len(fullest) <= here + 1:
            return False
        del self._hosts[fullest[-1]]
        return True

    def _near(self, address: Address) -> list[Address]:
        where = neighbourhood(address.host)
        return [] if where is None else [known for known, host in self._hosts.items() if host.where == where]

    # --- as text

    def dump(self) -> str:
        """The cache as text."""
        lines = [
            f"{address} {host.success:.0f} {host.failures} {host.round_trip * 1000:.0f} {host.heard:.0f}"
            for address, host in self._hosts.items()
        ]
        return "\n".join([f"{_HEAD} {self.network.hex()}".rstrip(), *lines]) + "\n"

    @classmethod
    def load(cls, text: str) -> HostCache:
        """Read it back.  Another run is another day: of failures only that there were some is remembered.

        Raises:
            UsageError: not a host cache.  A line that cannot be read is passed over: the rest is still worth trying.
        """
        lines = text.splitlines()
        words = lines[0].split(" ") if lines else []
        if " ".join(words[:3]) not in (_HEAD, _OLD_HEAD) or len(words) > 4:
            raise UsageError("not a host cache")
        cache = cls()
        try:
            cache.network = bytes.fromhex(words[3]) if len(words) == 4 else b""
        except ValueError:
            raise UsageError("a host cache of no network") from None
        for line in lines[1 : 10 * CAPACITY]:
            try:
                address, host = _read(line)
            except (UsageError, ValueError, OverflowError):
                continue
            if len(cache._hosts) < CAPACITY and usable(address) and len(cache._near(address)) < SHARE:
                cache._hosts.setdefault(address, host)
                cache.answered = max(cache.answered, host.success)
        return cache


def _read(line: str) -> tuple[Address, _Host]:
    """One line.  Raises UsageError, ValueError or OverflowError for what is none."""
    text, success, failures, *more = line.split()
    round_trip, heard = more[:2] if len(more) >= 2 else ("0", "0")
    address = Address.parse(text)
    host = _Host(neighbourhood(address.host), _second(success), heard=_second(heard))
    host.failures = min(FORGET_UNPROVEN - 1, max(0, int(failures[:9])))
    host.round_trip = min(int(SLOWEST * 1000), max(0, int(round_trip[:9]))) / 1000
    return address, host


def _second(text: str) -> float:
    """A wall-clock time in whole seconds.  Raises ValueError or OverflowError."""
    return float(min(LATEST, max(0, int(float(text)))))
