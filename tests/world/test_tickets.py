"""Who loses his supernode comes back to a spare with a ticket: one datagram each way, and by a handshake if it is stale."""

from __future__ import annotations

from math import inf

import pytest

from halloo.base.effects import Unlink
from halloo.link.notice import Up
from halloo.messages.link import Ticket
from halloo.overlay.join import State
from halloo.overlay.returns import TICKETS
from halloo.sim.mindtown import MindTown
from halloo.sim.town import Town


class Case:
    """Alice is on line, and has had time to be given tickets."""

    def __init__(self, town: Town) -> None:
        self.town, self.world = town, town.world
        town.user("alice")
        self.world.run(30.0)
        self.join = town.node("alice").join
        for _ in range(TICKETS):
            self.join.returns._next_at = -inf
            self.world.run(self.world.now + 600.0)
        self.spare = next(one for one in self.join.scout.spares if self.join.returns.holds(one, self.world.now))
        self.ups: list[Up] = []
        mind = town.node("alice")
        hear = mind._up

        def up(notice: Up, now: float) -> object:
            self.ups.append(notice)
            return hear(notice, now)

        mind.__class__._hear = {**mind._hear, Up: lambda node, notice, now: self._saw(node, notice, now)}
        self._hear = hear

    def _saw(self, node: object, notice: Up, now: float) -> object:
        return None
