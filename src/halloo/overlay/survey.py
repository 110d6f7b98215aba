"""The map of the other blocks, kept fresh: a supernode asks those of its block which there are, and the others how
they stand.

    supernode                     linked member
      | --- AtlasAsked ----------> |  which other blocks are there?
      | <-- AtlasTold ------------ |  those that the asker does not know, or not so new

    supernode                     gateway of another block
      | --- Where ---------------> |  in the open: who holds this key?
      | <-- Here ----------------- |  the table of the smallest block that covers it, and how large its own block is
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from math import inf
from random import Random

from halloo.base.address import Address, Wire
from halloo.base.effects import Send
from halloo.base.machine import Effects, Numbers
from halloo.messages.block import PADDING, Here, Table, Where
from halloo.messages.directory import AtlasAsked, AtlasTold
from halloo.overlay.atlas import ATLAS_EVERY, ATLAS_SOON, Atlas, prefix_of_table
from halloo.overlay.duties import LOOK_SOON, Duties, Duty
from halloo.overlay.hostcache import HostCache
from halloo.overlay.links import Links
from halloo.overlay.roster import Member, Roster
from halloo.overlay.slots import Prefix
from halloo.overlay.stance import Stance

__all__ = ["TABLES_AT_ONCE", "TABLE_EVERY", "Survey"]

TABLE_EVERY = 900.0  # seconds after which the table of another block is asked for again
SIBLING_EVERY = 20.0  # seconds between such questions while our block is small, and may go together with its sibling
TABLES_AT_ONCE = 2.0  # seconds between two such questions at least
ASK_FOR = 2.0  # seconds for an answer in the open


@dataclass(frozen=True, slots=True)
class _Asked:
    """A question for the table of another block."""

    token: bytes
    prefix: Prefix
    until: float
    of_its_own: bool
    """Whether one of that block is asked: only such a one says how large it is, and that it is no more."""


@dataclass(slots=True)
class Survey:
    """What one supernode finds out about the other blocks."""

    roster: Roster
    atlas: Atlas
    stance: Stance
    links: Links
    cache: HostCache
    duties: Duties
    rng: Random
    requests: Numbers
    sibling_size: int = 0
    """How many members the sibling block said it has; 0: not known."""
    _asked: _Asked | None = None
    _fresh: dict[Prefix, float] = field(default_factory=dict)
    """When a table was last heard to be right."""
    _atlas_request: int = -1

    # --- what is heard

    def learn(self, tables: Iterable[Table], now: float) -> None:
        """Somebody tells of blocks; perhaps of ours, which a newcomer does not know."""
        for table in tables:
            self._learn(table, now)

    def _learn(self, table: Table, now: float) -> None:
        prefix = prefix_of_table(table)
        if self.stance.begun and prefix.covers(self.stance.me.place):
            if not self.stance.found and prefix.depth > self.roster.prefix.depth:
                self.roster.shrink(prefix)
                self.stance.restate(now)
            if self.stance.found:
                return  # of our own block we know more than anybody tells
        if self.atlas.learn(table):
            self.duties.soon(Duty.LOOK, now + LOOK_SOON)

    def told(self, message: AtlasTold, now: float) -> None:
        """The answer of one of our own."""
        if message.request == self._atlas_request:
            self.learn(message.tables, now)

    def answered(self, message: Here, now: float) -> bool:
        """The answer to a question for another block's table, or to none; whether our sibling has merged without us."""
        asked = self._asked
        if asked is None or asked.token != message.token:
            return False
        self._asked = None
        prefix = asked.prefix
        self._fresh[prefix] = now
        for table in message.tables:
            if table.depth < prefix.depth and asked.of_its_own:
                self.atlas.forget(prefix)
                self.duties.soon(Duty.ATLAS, now + ATLAS_SOON * self.rng.random())
                if prefix == self._sibling and table.depth == prefix.depth - 1:
                    return True
            self._learn(table, now)
        if prefix == self._sibling and asked.of_its_own:
            self.sibling_size = message.members
        return False

    # --- when to ask whom

    def own_table(self, table: Table, now: float) -> None:
        """The table of our own block, as we work it out."""
        self.atlas.learn(table)
        self._fresh[self.roster.prefix] = now

    def watch_sibling(self, now: float) -> None:
        """Our block has become small: whether the sibling has room for us, we want to know in time."""
        self.duties.soon(Duty.TABLE, now + SIBLING_EVERY * self.rng.random())

    def followed(self, member: Member, now: float) -> None:
        """One of another block is met: if it left our sibling for the whole, look whether the sibling has."""
        prefix = self.roster.prefix
        if prefix.depth and member.depth == prefix.depth - 1 and prefix.parent.covers(member.place):
            self._fresh[prefix.sibling] = -inf
            self.duties.soon(Duty.TABLE, now)

    def ask_atlas(self, now: float) -> Effects:
        """Ask one of our own for the blocks that we do not know: a newcomer knows one, and one may have been lost."""
        pause = ATLAS_EVERY if len(self.atlas) else ATLAS_SOON
        self.duties[Duty.ATLAS] = now + pause * (0.8 + 0.4 * self.rng.random())
        if not self.links.by_node:
            return []
        self._atlas_request = self.requests() & 0xFFFF
        peer = self.rng.choice(list(self.links.by_node.values()))
        return [Send(peer, AtlasAsked(known=self.atlas.known(), request=self._atlas_request))]

    def refresh(self, now: float, *, small: bool) -> Effects:
        """Ask for the table of another block, the one that was asked for the longest ago.

        ``small``: our block is, and may have to go together with its sibling.
        """
        pause = max(TABLES_AT_ONCE, SIBLING_EVERY if small else TABLE_EVERY / max(1, len(self.atlas)))
        self.duties[Duty.TABLE] = now + pause * (0.8 + 0.4 * self.rng.random())
        silent = self._give_up(now)
        if len(self.atlas) < 2 or self._asked is not None:
            return []
        oldest = self._oldest()
        if oldest is None:
            return []
        prefix = prefix_of_table(oldest)
        if prefix == self._sibling and small:
            self._fresh[prefix] = -inf
        elif now - self._fresh.get(prefix, -inf) < TABLE_EVERY / 2:
            return []
        chosen = self.rng.choice(oldest.gateways)
        if silent == prefix:  # all whom the table names may have gone: somebody else knows a newer one
            chosen = next(iter(self.cache.best(1, self.rng)), chosen)
        return self._ask(prefix, chosen, now, of_its_own=chosen in oldest.gateways)

    def _give_up(self, now: float) -> Prefix | None:
        """The block of which the one who was asked did not answer: another of them will, soon."""
        if self._asked is None or self._asked.until > now:
            return None
        silent, self._asked = self._asked.prefix, None
        self._fresh[silent] = now - TABLE_EVERY / 2
        return silent

    def _oldest(self) -> Table | None:
        """The table of another block that was heard to be right the longest ago."""
        self._fresh = {prefix: at for prefix, at in self._fresh.items() if prefix in self.atlas}
        others = [table for table in self.atlas.tables() if prefix_of_table(table) != self.roster.prefix]
        return min(others, key=self._heard_at, default=None)

    def _heard_at(self, table: Table) -> float:
        return self._fresh.get(prefix_of_table(table), -inf)

    def _ask(self, prefix: Prefix, address: Address, now: float, *, of_its_own: bool) -> Effects:
        token = self.rng.randbytes(8)
        self._asked = _Asked(token, prefix, now + ASK_FOR, of_its_own)
        key = (prefix.bits << (64 - prefix.depth)).to_bytes(8, "big")
        where = Where(key=key, token=token, padding=PADDING, request=self.requests() & 0xFFFF)
        return [Send(Wire(address), where)]

    @property
    def _sibling(self) -> Prefix | None:
        prefix = self.roster.prefix
        return prefix.sibling if prefix.depth else None
