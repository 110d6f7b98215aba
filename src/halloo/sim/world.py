"""Many stations, one clock, one seed: a network of real node code in virtual time.

Nothing sleeps: the clock jumps to the next thing that happens.  The order of what happens is fixed by (time, in
which order it was planned), so that one seed tells one story.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from heapq import heappop, heappush
from random import Random
from typing import Any

from halloo.base.address import Address
from halloo.base.effects import StreamClose, StreamOpen, StreamWrite, Transmit
from halloo.base.machine import Effects, Event
from halloo.node.station import Station
from halloo.sim.nat import Box
from halloo.sim.net import Net

__all__ = ["Passed", "Resident", "World"]

WALL = 1_800_000_000.0  # seconds since 1970 at the begin of every virtual world
_INBOUND = 1 << 32

Owner = Callable[["Resident", Event, float], None]
Tap = Callable[["Passed"], None]


@dataclass(frozen=True, slots=True)
class Passed:
    """What somebody put on the wire at a virtual time: a datagram, or bytes of a TCP connection (``stream``)."""

    time: float
    source: Address
    destination: Address
    data: bytes
    stream: bool


@dataclass(slots=True)
class _Pipe:
    """One end of a virtual TCP connection."""

    far: Resident
    far_number: int
    here: Address
    there: Address
    open: bool = False
    arrives_at: float = 0.0
    """When the last piece arrives there: the next one comes later."""


@dataclass(slots=True, eq=False)
class Resident:
    """A station that lives in a world, at an address, with an owner who hears its events."""

    name: str
    station: Station
    address: Address
    owner: Owner | None = None
    ports: tuple[int, ...] = ()
    """TCP ports it listens on besides its own."""
    box: Box | None = None
    """What stands between it and the world."""
    alive: bool = True
    sent: int = 0
    received: int = 0
    pipes: dict[int, _Pipe] = field(default_factory=dict)
    next_stream: int = _INBOUND
    planned: float = float("inf")


class World:
    """A virtual world."""

    def __init__(self, seed: int, **net: Any) -> None:
        self.seed = seed
        self.now = 0.0
        self.net = Net(Random(f"{seed}/net"), **net)
        self.residents: dict[str, Resident] = {}
        self.story: list[tuple[float, str, Event]] = []
        """Every event of every station, in order."""
        self.tap: Tap | None = None
        """Who sees all that is put on a wire, whether it arrives or not."""
        self._by_address: dict[Address, Resident] = {}
        self._boxes: dict[bytes, Box] = {}
        self._plan: list[tuple[float, int, Callable[[], None]]] = []
        self._order = 0

    def rng(self, name: str) -> Random:
        """The randomness of one station of this world."""
        return Random(f"{self.seed}/{name}")

    def settle(
        self, name: str, station: Station, address: Address, owner: Owner | None = None, box: Box | None = None
    ) -> Resident:
        """A station moves in, behind ``box`` or in the open."""
        resident = Resident(name, station, address, owner)
        resident.box = box
        if box is not None and box.kind.translates:
            self._boxes[box.host] = box
        self.residents[name] = resident
        self._by_address[address] = resident
        return resident

    def kill(self, name: str) -> None:
        """A station stops without a word; its TCP connections break."""
        resident = self.residents[name]
        resident.alive = False
        self._by_address.pop(resident.address, None)
        for pipe in list(resident.pipes.values()):
            self._break(pipe)

    def move(self, name: str, address: Address) -> None:
        """A station's address changes under it; its TCP connections break."""
        resident = self.residents[name]
        self._by_address.pop(resident.address, None)
        resident.address = address
        self._by_address[address] = resident
        for number, pipe in list(resident.pipes.items()):
            self.at(0.0, lambda number=number: self._stream_closed(resident, number))  # type: ignore[misc]
            self._break(pipe)

    def at(self, after: float, what: Callable[[], None]) -> None:
        """Do ``what`` in ``after`` seconds."""
        self._order += 1
        heappush(self._plan, (self.now + max(0.0, after), self._order, what))

    def every(self, interval: float, what: Callable[[], bool]) -> None:
        """Do ``what`` each ``interval`` seconds as long as it says True."""

        def again() -> None:
            if what():
                self.at(interval, again)

        self.at(interval, again)

    def ask(self, resident: Resident, effects: Effects) -> None:
        """Carry out what an intent of a resident's mind returned."""
        self._carry_out(resident, resident.station.carry(effects, self.now))

    def run(self, until: float, stop: Callable[[], bool] | None = None) -> bool:
        """Live on until ``until`` (virtual seconds), or until ``stop`` says so; whether it did."""
        while self._plan and self._plan[0][0] <= until:
            if stop is not None and stop():
                return True
            at, _, what = heappop(self._plan)
            self.now = max(self.now, at)
            what()
        if stop is not None and stop():
            return True
        self.now = max(self.now, until)
        return False

    def events(self, kind: type[Any], name: str | None = None) -> list[Any]:
        """The events of one kind so far, of one resident or of all."""
        return [event for _, who, event in self.story if isinstance(event, kind) and name in (None, who)]

    # --- inside

    def _carry_out(self, resident: Resident, effects: Effects) -> None:
        for effect in effects:
            match effect:
                case Transmit():
                    self._transmit(resident, effect)
                case StreamWrite():
                    self._write(resident, effect.number, effect.data)
                case StreamOpen():
                    self._open(resident, effect)
                case StreamClose():
                    self._close(resident, effect.number)
                case Event():
                    self.story.append((self.now, resident.name, effect))
                    if resident.owner is not None:
                        resident.owner(resident, effect, self.now)
        self._arm(resident)

    def _arm(self, resident: Resident) -> None:
        at = resident.station.wake_at
        if at < resident.planned and resident.alive:
            resident.planned = at
            self.at(at - self.now, lambda: self._wake(resident, at))

    def _wake(self, resident: Resident, planned: float) -> None:
        if planned != resident.planned or not resident.alive:
            return
        resident.planned = float("inf")
        self._carry_out(resident, resident.station.wake(self.now))

    def _transmit(self, source: Resident, effect: Transmit) -> None:
        source.sent += 1
        box = source.box
        seen = source.address if box is None else box.outward(source.address, effect.address, self.now)
        if seen is None:
            return
        if self.tap is not None:
            self.tap(Passed(self.now, seen, effect.address, effect.data, stream=False))
        for travel in self.net.datagram(seen.host, effect.address.host):
            self.at(travel, lambda: self._deliver(effect, seen))

    def _deliver(self, effect: Transmit, source: Address) -> None:
        box = self._boxes.get(effect.address.host)
        inside = effect.address if box is None else box.inward(source, effect.address.port, self.now)
        there = None if inside is None else self._by_address.get(inside)
        if there is not None and there.alive and there.box is box:
            there.received += 1
            self._carry_out(there, there.station.receive(effect.data, source, self.now))

    def _open(self, source: Resident, effect: StreamOpen) -> None:
        there = self._listener(effect.address)
        host = _host(source)
        if not self.net.connects(source.address.host, effect.address.port, proxied=effect.proxied):
            return  # a firewall that says nothing
        if effect.address.host in self._boxes or (there is not None and there.box is not None):
            return  # a box that says nothing either
        travel = self.net.stream(host, effect.address.host)
        if there is None or not self.net.passes(host, effect.address.host):
            self.at(2 * travel, lambda: self._stream_closed(source, effect.number, "nobody listens there"))
            return
        number = there.next_stream
        there.next_stream += 1
        here = Address(host, 1024 + number % 60_000)
        near = _Pipe(there, number, here, effect.address)
        far = _Pipe(source, effect.number, effect.address, here)
        source.pipes[effect.number], there.pipes[number] = near, far
        self.at(travel, lambda: self._opened(there, number, here))
        self.at(travel + self._piece(near), lambda: self._opened(source, effect.number, effect.address))

    def _listener(self, address: Address) -> Resident | None:
        exact = self._by_address.get(address)
        if exact is not None:
            return exact
        return next(
            (
                resident
                for resident in self._by_address.values()
                if resident.address.host == address.host and address.port in resident.ports
            ),
            None,
        )

    def _opened(self, resident: Resident, number: int, address: Address) -> None:
        pipe = resident.pipes.get(number)
        if pipe is not None and resident.alive:
            pipe.open = True
            self._carry_out(resident, resident.station.stream_opened(number, address, self.now))

    def _write(self, source: Resident, number: int, data: bytes) -> None:
        pipe = source.pipes.get(number)
        if pipe is None or not self.net.passes(_host(source), _host(pipe.far)):
            return
        if self.tap is not None:
            self.tap(Passed(self.now, pipe.here, pipe.there, data, stream=True))
        pipe.arrives_at = max(pipe.arrives_at, self.now + self._piece(pipe))
        self.at(pipe.arrives_at - self.now, lambda: self._arrived(pipe, data))

    def _arrived(self, pipe: _Pipe, data: bytes) -> None:
        far = pipe.far
        there = far.pipes.get(pipe.far_number)
        if there is None or not far.alive:
            return
        if not there.open:
            self.at(self._piece(pipe), lambda: self._arrived(pipe, data))
            return
        self._carry_out(far, far.station.stream_received(pipe.far_number, data, self.now))

    def _close(self, source: Resident, number: int) -> None:
        pipe = source.pipes.pop(number, None)
        if pipe is not None:
            after = max(pipe.arrives_at - self.now, self._piece(pipe))
            self.at(after, lambda: self._stream_closed(pipe.far, pipe.far_number))

    def _piece(self, pipe: _Pipe) -> float:
        """How long a piece takes to the other end of a connection."""
        return self.net.stream(pipe.here.host, pipe.there.host)

    def _break(self, pipe: _Pipe) -> None:
        self.at(self._piece(pipe), lambda: self._stream_closed(pipe.far, pipe.far_number))

    def _stream_closed(self, resident: Resident, number: int, reason: str = "the connection was closed") -> None:
        resident.pipes.pop(number, None)
        if resident.alive:
            self._carry_out(resident, resident.station.stream_closed(number, self.now, reason))


def _host(resident: Resident) -> bytes:
    """The host that others see a resident as."""
    box = resident.box
    return resident.address.host if box is None or not box.kind.translates else box.host
