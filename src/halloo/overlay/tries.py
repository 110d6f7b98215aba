"""What one node tries at once in its search: probes that are out, and handshakes that are under way.  Pure.

    node                          supernodes
      | --- Probe -----------------> |  over UDP, or over a connection that is made for it
      | <-- ProbeAccept ------------ |
      | ===== link ================= |  over the way by which it was said
"""

from __future__ import annotations

from dataclasses import dataclass, field

from halloo.base.address import Address, Peer, Stream, Wire
from halloo.base.effects import Send, StreamClose, Unlink
from halloo.base.machine import Effects, Numbers
from halloo.messages.overlay import Probe
from halloo.overlay.ladder import Way

__all__ = ["HOLD", "MOST_DOUBLED", "Attempt", "Probed", "Tries", "closed"]

HOLD = 0.6  # seconds that a handshake has before others are asked as well: three slow round trips
MOST_DOUBLED = 3  # times that this doubles, with each more that takes long: then there is much to do everywhere


@dataclass(slots=True)
class Attempt:
    """A handshake that is under way, or a link over which Attach was said."""

    address: Address
    route: Wire | Stream
    began: float
    way: Way
    round_trip: float = 0.0
    up: bool = False
    returning: bool = False
    """Whether we come back with a ticket; then Attach is said already."""


@dataclass(frozen=True, slots=True)
class Probed:
    """A probe that was not answered yet."""

    address: Address
    route: Wire | Stream
    way: Way
    request: int
    at: float
    with_ticket: bool


@dataclass(slots=True)
class Tries:
    """All of it.  ``patient``: whether nobody is connected to who was not asked before."""

    streams: Numbers
    requests: Numbers
    attempts: dict[Peer, Attempt] = field(default_factory=dict)
    probes: dict[Address | int, Probed] = field(default_factory=dict)
    """By address, or by the number of a connection."""

    def route(self, address: Address, way: Way) -> Wire | Stream:
        """A new route to a supernode."""
        if way is Way.UDP:
            return Wire(address)
        port = {Way.TCP: address.port, Way.PROXY: Way.TCP_443.value}.get(way, way.value)
        return Stream(self.streams(), Address(address.host, port), proxied=way is Way.PROXY)

    def probe(self, address: Address, way: Way, ticket: bytes | None, now: float) -> Effects:
        """Ask a supernode whether we may come.

        A way that is still being tried is no reason to wait with another one: a firewall may drop it without a word.
        """
        if way is not Way.UDP and any(one.address == address and one.way is way for one in self.probes.values()):
            return []  # what is said over a connection arrives
        route, request = self.route(address, way), self.requests() & 0xFFFF
        self.probes[_key(route)] = Probed(address, route, way, request, now, ticket is not None)
        return [Send(route, Probe(ticket=ticket, request=request))]

    def answered(self, route: Wire | Stream, request: int) -> Probed | None:
        """The probe that is answered over a route, which is out no longer; None: it was none of ours."""
        probe = self.probes.get(_key(route))
        if probe is None or probe.request != request:
            return None
        return self.probes.pop(_key(route))

    def comes_to(self, address: Address, way: Way, *, patient: bool) -> bool:
        """Whether a handshake with a supernode is under way, so that another by this way would only be more work.

        Over UDP it may be that small datagrams pass and large ones are lost, and a connection that was begun unasked
        may never stand: that is no reason not to connect by the next rung.
        """
        asked = way is Way.UDP or patient
        return any(
            attempt.address == address and (attempt.up or (asked and (attempt.way is Way.UDP) is (way is Way.UDP)))
            for attempt in self.attempts.values()
        )

    def held_until(self, now: float, *, patient: bool) -> float:
        """Until when others wait, because a supernode has said that we may come, and we are coming."""
        hold = HOLD * 2 ** min(len(self.attempts) - 1, MOST_DOUBLED)
        coming = [one.began + hold for one in self.attempts.values() if patient or one.way is Way.UDP]
        return max((until for until in coming if until > now), default=now)

    def unheard(self) -> list[Address]:
        """Who has not answered so far."""
        asked = [probe.address for probe in self.probes.values()]
        return [*asked, *(attempt.address for attempt in self.attempts.values())]

    def drop(self) -> Effects:
        """Nothing that is being tried is needed any more."""
        dropped: Effects = [Unlink(peer, "not needed") for peer in self.attempts]
        for probe in self.probes.values():
            dropped += closed(probe.route)
        self.attempts.clear()
        self.probes.clear()
        return dropped


def closed(route: Wire | Stream) -> Effects:
    """A connection over which no link is made is not left open."""
    return [StreamClose(route.number)] if isinstance(route, Stream) else []


def _key(route: Wire | Stream) -> Address | int:
    return route.address if isinstance(route, Wire) else route.number
