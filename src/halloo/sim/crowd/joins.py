"""How a crowd finds its supernodes: the twin of ``overlay.join``, for all rows that look for one at once.

    row                           supernode (``desks``)
      | --- probe ----------------> |  a step of the ladder
      | <-- come, or when --------- |
      | --- hello, at its desk ---> |
      | --- attach ---------------> |
      | <-- attached, or when ----- |

Each step of the real machine has its like here, and none is left out that an honest node takes: the staggered ladder,
spares first, nobody twice before all had their turn (``rounds``), offers and appointments with their tickets, places
given back (``places``), who was silent (``handshakes``), the back-off with its jitter (``seekers``).  Lots of rows take
it together; where one row is met twice in a lot, one after the other.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from halloo.overlay.ladder import JoinTimings
from halloo.sim.crowd.caches import Caches
from halloo.sim.crowd.desks import Desks
from halloo.sim.crowd.ground import NOBODY, Floats, Ground, Ints
from halloo.sim.crowd.handshakes import Handshakes
from halloo.sim.crowd.ledger import Ledger
from halloo.sim.crowd.places import Places
from halloo.sim.crowd.pool import Pool
from halloo.sim.crowd.probes import Probes
from halloo.sim.crowd.rounds import Rounds
from halloo.sim.crowd.rows import CLIMBING, IDLE, PAUSING, Rows
from halloo.sim.crowd.seekers import Known, Seekers

__all__ = ["Joins"]


class Joins:
    """Everybody's way into the network."""

    def __init__(
        self, rows: Rows, caches: Caches, desks: Desks, ground: Ground, ledger: Ledger, timings: JoinTimings,
        loss: float, chance: np.random.Generator, known: Known,
    ) -> None:
        self.rows, self.caches = rows, caches
        self.all = Seekers(rows, caches, desks, ground, ledger, timings, loss, chance, known)
        self._places = places = Places(self.all)
        self.handshakes = handshakes = Handshakes(self.all, places)
        probes = Probes(self.all, places, handshakes)
        self.rounds = rounds = Rounds(self.all, probes, handshakes)
        self._deeds: tuple[tuple[Pool, Callable[..., None]], ...] = (
            (self.all.downs, handshakes.down),
            (self.all.backs, places.given_back),
            (self.all.frees, handshakes.freed),
            (self.all.rungs, rounds.rung),
            (self.all.steps, rounds.step),
            (self.all.probes, probes.probed),
            (self.all.answers, probes.answered),
            (self.all.chooses, probes.choose),
            (self.all.hellos, handshakes.greeted),
            (self.all.hello_answers, handshakes.up),
            (self.all.attaches, handshakes.attach),
            (self.all.attached, handshakes.taken),
        )

    def pace(self, timings: JoinTimings) -> None:
        """From now on all join so."""
        self.all.timings = timings

    def begin(self, rows: Ints, at: Floats) -> None:
        """Look for a supernode."""
        mine = self.rows
        mine.began[rows], mine.round[rows], mine.heard[rows] = at, 0, False
        self.caches.begin(rows)
        self.all.forget(rows)
        self.rounds.climb(rows, at)

    def end(self, rows: Ints) -> None:
        """Look for none any more."""
        mine = self.rows
        mine.state[rows], mine.wake_at[rows], mine.supernode[rows] = IDLE, np.inf, NOBODY
        mine.epoch[rows] += 1
        self.all.forget(rows)

    @property
    def next_at(self) -> float:
        """When something is due."""
        return min(pool.next_at for pool, _ in self._deeds)

    def due(self, until: float) -> bool:
        """Let what is due before a time happen; whether anything was."""
        did = False
        for pool, deed in self._deeds:
            taken = pool.take(until)
            if taken is not None:
                did = True
                deed(*taken)
        return did

    def timers(self, rows: Ints, at: Floats) -> None:
        """The round, or the pause, of these is over."""
        mine = self.rows
        climbing = mine.state[rows] == CLIMBING
        pausing = mine.state[rows] == PAUSING
        if pausing.any():
            self.rounds.climb(rows[pausing], at[pausing])
        if climbing.any():
            self.rounds.over(rows[climbing], at[climbing])
