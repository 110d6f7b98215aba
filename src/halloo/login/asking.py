"""Say one thing to the login servers until one of them answers: in random order, over UDP and TCP.

    us                          login servers
      | --- message (UDP) ---------> first
      | --- again, and by TCP -----> first
      | --- message ----> supernode ---> after 1.5 s of silence, where there is one that may carry it
      | --- message ---------------> second, …

The same message goes to all.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf
from random import Random

from halloo.base.address import Address, Peer, Route, Stream, Wire
from halloo.base.effects import Send, StreamClose
from halloo.base.machine import Effects, Message, Numbers

__all__ = ["CARRY_AFTER", "Asking"]

# When each server, from the moment its turn comes, is sent the message, in seconds, and whether over TCP.
STEPS = ((0.0, False), (0.5, False), (0.8, True), (1.6, False))
NEXT_SERVER = 2.0  # seconds after which the next server is tried as well
CARRY_AFTER = 1.5  # seconds of silence after which a supernode is asked to carry the message
PATIENCE = 4.0  # seconds after the last server's turn before giving up


@dataclass(slots=True)
class Asking:
    """One message on its way to whichever login server is there."""

    servers: tuple[Address, ...]
    rng: Random
    streams: Numbers
    until: float = inf
    """When it has been in vain; ``inf`` while nothing is asked."""
    supernode: Peer | None = None
    _carried: Message | None = None
    _carry_at: float = inf
    _message: Message | None = None
    _steps: list[tuple[float, Route]] = field(default_factory=list)
    _opened: list[int] = field(default_factory=list)

    @property
    def wake_at(self) -> float:
        """When ``wake`` has something to do, or the patience ends."""
        if self._message is None:
            return self.until
        carry_at = self._carry_at if self.supernode is not None else inf
        return min(self._steps[0][0] if self._steps else inf, carry_at, self.until)

    def begin(
        self, message: Message, now: float, *, only_streams: bool = False, carried: Message | None = None
    ) -> Effects:
        """Say it.  What was asked before is forgotten.

        ``only_streams``: the answer will be too long for UDP.  ``carried``: what asks a supernode to say it for us.
        """
        out = self.end()
        order = list(self.servers)
        self.rng.shuffle(order)
        steps: list[tuple[float, Route]] = []
        for i, address in enumerate(order):
            for after, by_stream in ((0.0, True),) if only_streams else STEPS:
                route: Route = Stream(self.streams(), address) if by_stream else Wire(address)
                steps.append((now + i * NEXT_SERVER + after, route))
        self._steps = sorted(steps, key=lambda step: step[0])
        self._message, self._carried = message, carried
        self._carry_at = now + CARRY_AFTER if carried is not None else inf
        self.until = now + max(0, len(order) - 1) * NEXT_SERVER + PATIENCE
        return out + self.wake(now)

    def attached(self, supernode: Peer | None, now: float) -> Effects:
        """The supernode changed; a new one may be asked to carry what is still out."""
        self.supernode = supernode
        if self._carried is None or supernode is None:
            return []
        self._carry_at = max(now, self._carry_at if self._carry_at != inf else now)
        self.until = max(self.until, now + PATIENCE)
        return self.wake(now)

    def wait_for_supernode(self, until: float) -> None:
        """Do not give up before a time: a supernode that may carry it is looked for."""
        if self._carried is not None:
            self.until = max(self.until, until)

    def wake(self, now: float) -> Effects:
        """Say it again, to the next server or by another way."""
        out: Effects = []
        while self._message is not None and self._steps and self._steps[0][0] <= now:
            route = self._steps.pop(0)[1]
            if isinstance(route, Stream):
                self._opened.append(route.number)
            out.append(Send(route, self._message))
        if self._carried is not None and self.supernode is not None and self._carry_at <= now:
            self._carry_at = inf
            out.append(Send(self.supernode, self._carried))
        return out

    def end(self) -> Effects:
        """It was answered, or is not wanted any more."""
        out: Effects = [StreamClose(number) for number in self._opened]
        self._opened.clear()
        self._steps.clear()
        self._message = self._carried = None
        self._carry_at = self.until = inf
        return out
