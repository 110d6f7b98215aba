"""How a supernode lays its duties down, and nobody suffers: first nothing new, then the records, then the nodes.

    supernode that retires        its nodes, one after another
      | --- Move: others -----------> |
      | <-- Leave ------------------- |   after the node has attached elsewhere

    supernode that retires        supernodes of its block
      | --- News: I go -------------> |   while the links stand
      | --- Keep (open) ------------> |   each record that only it may have

New work is shed before old: from the first moment nobody is taken in, while who is here is served until he has gone.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf

from halloo.base.address import Peer
from halloo.base.effects import Send
from halloo.base.machine import Effects, Event
from halloo.messages.role import MOVES, Move
from halloo.overlay.block import Block
from halloo.overlay.clients import Clients
from halloo.overlay.keeper import Keeper

__all__ = ["Retired", "Retirement"]

STEP = 1.0  # seconds between looks
SPREAD = 120.0  # seconds over which the nodes are told, where they are many
SELDOM = 1.0  # seconds between two nodes at most: ten are gone in ten seconds
SHED_EVERY = 5.0  # seconds between two nodes that are asked to move because we bear too much, at most
AGAIN = 45.0  # seconds after which one who is still here is told again
CALLS_FOR = 7_200.0  # seconds beyond that for calls that pass through us
PATIENCE = 900.0  # seconds after which a retirement ends, whoever is still here


@dataclass(frozen=True, slots=True)
class Retired(Event):
    """Nothing hangs on this supernode any more; or so many nodes and records still do, and the patience is over."""

    clients: int
    records: int


@dataclass(slots=True)
class Retirement:
    """One supernode's way out."""

    block: Block
    clients: Clients
    keeper: Keeper
    wake_at: float = inf
    busy: bool = False
    """Whether calls pass through us: they are heard to their end."""
    _until: float = inf
    _told: dict[Peer, float] = field(default_factory=dict)
    _next: float = inf
    _between: float = SELDOM
    _shed_at: float = -inf

    @property
    def begun(self) -> bool:
        """Whether it retires."""
        return self._until < inf

    def begin(self, now: float) -> Effects:
        """Begin it.  Harmless while it lasts."""
        if self.begun:
            return []
        self.clients.closed = True
        self._until, self.wake_at, self._next = now + PATIENCE, now + STEP, now + STEP
        self._between = min(SELDOM, SPREAD / max(1, len(self.clients)))
        return self.block.retire(now)

    def end(self, now: float) -> None:
        """Stay after all."""
        self._until = self.wake_at = self._next = inf
        self._told.clear()
        self.clients.closed = False
        self.block.stay(now)

    def shed(self, now: float) -> Effects:
        """Ask the newest of our nodes to move, now and then, though we stay: those with room are named."""
        others = self.block.known(with_room=True)[1 : MOVES + 1]
        if self.begun or not others or now < self._shed_at + SHED_EVERY:
            return []
        self._told = {peer: at for peer, at in self._told.items() if peer in self.clients}
        due = [
            peer
            for peer in self.clients.peers()
            if self._told.get(peer, -inf) + AGAIN <= now and peer != self.clients.own
        ]
        if not due:
            return []
        self._shed_at = self._told[due[-1]] = now
        return [Send(due[-1], Move(supernodes=others))]

    def wake(self, now: float) -> Effects:
        """Tell the next node; look whether anything is left."""
        if now < self.wake_at:
            return []
        out: Effects = []
        here = self.clients.peers()
        self._told = {peer: at for peer, at in self._told.items() if peer in self.clients}
        others = self.block.known()[1 : MOVES + 1]
        while others and self._next <= now:
            self._next += self._between
            due = [peer for peer in here if self._told.get(peer, -inf) + AGAIN <= now]
            if not due:
                self._next = now + STEP
                break
            peer = min(due, key=lambda one: self._told.get(one, -inf))
            self._told[peer] = now
            out.append(Send(peer, Move(supernodes=others)))
        records = sum(1 for key, _ in self.keeper.directory.items() if not self.keeper.holds(key))
        self.wake_at = min(now + STEP, max(self._next, now + 0.05))
        nothing_left = not here and not records
        if (nothing_left or now >= self._until) and (not self.busy or now >= self._until + CALLS_FOR):
            self.wake_at = inf
            out.append(Retired(len(here), records))
        return out
