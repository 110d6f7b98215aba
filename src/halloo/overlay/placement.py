"""Where a supernode sits: which slot it takes in its block, and that it goes along when the block splits or merges.

    supernode                     its block
      | --- News: I sit here ----> |  where the slots have become unequal, or a seat is free for it
      | --- News: I go on -------> |  with one half of the block, or to the whole that it was a half of

    supernode                     gateways of the sibling block
      | --- (link), Mesh --------> |  after a merge: they are of our block now
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from halloo.base.machine import Effects, Event
from halloo.overlay.atlas import table_of
from halloo.overlay.duties import LOOK_SOON, Duties, Duty
from halloo.overlay.halving import Halving
from halloo.overlay.links import CONTACTS, Links
from halloo.overlay.roster import Roster
from halloo.overlay.seating import first_seats, first_table, next_seats
from halloo.overlay.slots import SLOTS, STANDBY, Prefix, smallest_slot
from halloo.overlay.stance import Stance
from halloo.overlay.survey import Survey

__all__ = ["Placed", "Placement"]

MOVE = 0.3  # chance that the last of a slot that is too full moves at once: not all shall take the same free seat
MOVE_AGAIN = 3.0  # seconds until the next try
WATCH_AGAIN = 10.0  # seconds between looks at a block that is too large or too small


@dataclass(frozen=True, slots=True)
class Placed(Event):
    """Our place, or who holds what, has changed."""

    prefix: Prefix
    slot: int


@dataclass(slots=True)
class Placement:
    """One supernode's place."""

    roster: Roster
    stance: Stance
    links: Links
    survey: Survey
    halving: Halving
    duties: Duties
    rng: Random

    def look(self, now: float) -> Effects:
        """Look whether we sit well, and whether our block is of the right size."""
        self.duties.pop(Duty.PLACE, None)
        stance = self.stance
        if not stance.found or not stance.begun or stance.going:
            return []
        changed, stance.changed = stance.changed, False
        self._watch(now)
        if self.halving.should_split(stance.me.place, now):
            return self._split(now)
        if self.halving.should_merge(self.survey.sibling_size, now):
            return self.merge(now)
        if not changed:
            return []
        slot = self._best_slot(now)
        if slot != stance.me.slot or stance.me.depth != self.roster.prefix.depth:
            stance.declare(now, slot=slot)
        self.survey.own_table(table_of(self.roster), now)
        self.duties.soon(Duty.LOOK, now + LOOK_SOON)
        return [Placed(self.roster.prefix, stance.slot)]

    def merge(self, now: float) -> Effects:
        """We go together with the sibling block."""
        sibling = self.roster.prefix.sibling
        atlas = self.survey.atlas
        table = atlas.covering(sibling.bits << (64 - sibling.depth))
        self.halving.merge(now)
        self.survey.sibling_size = 0
        self.stance.declare(now, slot=STANDBY)
        atlas.merged(table_of(self.roster))
        out: Effects = []
        for address in list(table.gateways)[:CONTACTS] if table else []:
            out += self.links.dial(address)
        return [*out, Placed(self.roster.prefix, STANDBY)]

    def _split(self, now: float) -> Effects:
        """Our block parts in two; we go with the half that our place belongs to."""
        whole, members = self.roster.prefix, list(self.roster.members.values())
        mine = Prefix.of(self.stance.me.place, whole.depth + 1)
        for half in (mine, mine.sibling):
            table = first_table([one for one in members if half.covers(one.place)], whole, half)
            self.survey.atlas.learn(table)
        self.halving.split(mine, now)
        slot = first_seats(self.roster.members.values(), whole, mine)[self.stance.node]
        self.stance.declare(now, slot=slot)
        return [Placed(mine, slot)]

    def _watch(self, now: float) -> None:
        """See how large our block is; where it may have to take a step, look again."""
        if self.halving.watch(now):
            self.survey.watch_sibling(now)
        if self.halving.restless:
            self.duties.soon(Duty.PLACE, now + WATCH_AGAIN)

    def _best_slot(self, now: float) -> int:
        """Where we should sit: where we do, unless there is no seat, or the slots have become unequal."""
        me, members = self.stance.me, self.roster.members.values()
        depth, seats = self.roster.prefix.depth, self.roster.seated
        if me.depth == depth and me.slot < SLOTS and me in seats[me.slot]:
            own, least = seats[me.slot], min(len(slot) for slot in seats)
            if len(own) >= least + 2 and own[-1] == me:
                if self.rng.random() < MOVE:
                    return smallest_slot(members, depth, me)
                self.stance.disturb(now + MOVE_AGAIN)
            return me.slot
        return next_seats(members, depth).get(me.node, STANDBY)
