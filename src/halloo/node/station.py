"""An ear and a mind: bytes and time in; bytes to write and events out.

A world calls ``receive`` (a datagram), the three ``stream_`` entrances, ``wake``, and ``carry`` with whatever an
intent of the mind returned.  It carries out Transmit, StreamOpen, StreamWrite and StreamClose; the rest are events.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from halloo.base.address import Address
from halloo.base.effects import (
    Accept,
    Forward,
    Link,
    Patience,
    Release,
    Reroute,
    Send,
    SendOnce,
    SendSound,
    StreamClose,
    StreamOpen,
    StreamWrite,
    Transmit,
    Unlink,
)
from halloo.base.machine import Effect, Effects, Event
from halloo.link.endpoint import Endpoint
from halloo.link.notice import Carried, Down, Heard, Moved, Observed, Output, SoundHeard, Ticketed, Up
from halloo.node.mind import Mind

__all__ = ["Station"]

_NOTICES = (Heard, SoundHeard, Carried, Up, Down, Moved, Observed, Ticketed)
_WORLDLY = (Transmit, StreamWrite, StreamOpen, StreamClose, Event)


class Station:
    """One node as a world sees it."""

    def __init__(self, endpoint: Endpoint, mind: Mind) -> None:
        self.endpoint = endpoint
        self.mind = mind

    @property
    def wake_at(self) -> float:
        """When ``wake`` has something to do, in seconds of the world's clock."""
        return min(self.endpoint.wake_at, self.mind.wake_at)

    def receive(self, data: bytes, address: Address, now: float, socket: int = 0) -> Effects:
        """One datagram from ``address``.  Never raises, whatever it holds."""
        return self._run(self.endpoint.receive(data, address, now, socket), now)

    def stream_opened(self, number: int, address: Address, now: float) -> Effects:
        """A TCP connection stands."""
        return self._run(self.endpoint.stream_opened(number, address, now), now)

    def stream_received(self, number: int, data: bytes, now: float) -> Effects:
        """Bytes of a TCP connection."""
        return self._run(self.endpoint.stream_received(number, data, now), now)

    def stream_closed(self, number: int, now: float, reason: str = "the connection was closed") -> Effects:
        """A TCP connection ended, or could not be made."""
        return self._run(self.endpoint.stream_closed(number, now, reason), now)

    def wake(self, now: float) -> Effects:
        """Do what is due at ``now``; calling it too early is harmless."""
        out: list[Output] = []
        if self.endpoint.wake_at <= now:
            out += self.endpoint.wake(now)
        if self.mind.wake_at <= now:
            out += self.mind.wake(now)
        return self._run(out, now)

    def carry(self, effects: Iterable[Effect], now: float) -> Effects:
        """Carry out what an intent of the mind returned."""
        return self._run(effects, now)

    def _run(self, outputs: Iterable[Output], now: float) -> Effects:
        """Pass outputs to and fro between ear and mind until only the world's business is left."""
        queue: deque[Output] = deque(outputs)
        done: Effects = []
        while True:
            while queue:
                item = queue.popleft()
                if isinstance(item, _WORLDLY):
                    if isinstance(item, StreamClose):  # of the mind, perhaps: then the ear does not know yet
                        self.endpoint.streams.closed(item.number)
                    done.append(item)
                elif isinstance(item, _NOTICES):
                    queue.extend(self.mind.receive(item, now))
                else:
                    queue.extend(self._carry_out(item, now))
            flushed = self.endpoint.flush(now)
            if not flushed:
                return done
            queue.extend(flushed)

    def _carry_out(self, effect: Output, now: float) -> list[Output]:
        endpoint = self.endpoint
        match effect:
            case SendSound():
                return endpoint.send_sound(effect.peer, effect.body, now)
            case Forward():
                return endpoint.forward(effect.peer, effect.token, effect.inner)
            case Send():
                return endpoint.send(effect.to, effect.message, now)
            case Link():
                return endpoint.link(effect.peer, effect.route, now, effect.key, effect.ticket)
            case Unlink():
                return endpoint.unlink(effect.peer, effect.reason, now)
            case Reroute():
                return endpoint.reroute(effect.peer, effect.route, now)
            case SendOnce():
                return endpoint.send_once(effect.peer, effect.message, effect.route)
            case Patience():
                endpoint.bear(effect.peer, effect.seconds)
            case Accept():
                endpoint.accept(effect.channel)
            case Release():
                endpoint.release(effect.channel)
        return []
