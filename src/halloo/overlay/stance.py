"""How a supernode stands in its block, as it signs it and tells the others: its place, its seat, its load.

    supernode                     its block
      | --- News: I stand so ----> |  with each change
      | <-- News: you have gone -- |
      | --- News: I stand so ----> |  under a higher version, which ends the rumour, though not faster than the clock
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf

from halloo.base.address import Address
from halloo.messages.block import SignedStanding, Standing
from halloo.overlay.duties import Duties, Duty
from halloo.overlay.gossip import Gossip
from halloo.overlay.roster import Member, Registrar, Roster
from halloo.overlay.slots import STANDBY

__all__ = ["RESTATE_EVERY", "Load", "Stance"]

RESTATE_EVERY = 2.0  # seconds between answers to who says that we have gone: our version does not outrun the clock


@dataclass(frozen=True, slots=True)
class Load:
    """Nodes that a supernode would still take, has, and had no room for; of them, those that are ready to help; and the
    seconds that its line is long.
    """

    room: int = 0
    clients: int = 0
    ready: int = 0
    refused: int = 0
    line: int = 0


@dataclass(slots=True)
class Stance:
    """What a supernode says of itself, and what it knows of where it belongs."""

    node: bytes
    listening: Address
    registrar: Registrar
    wall: float
    roster: Roster
    gossip: Gossip
    duties: Duties
    load: Load = field(default_factory=Load)
    """What others may know of our nodes."""
    found: bool = False
    """Whether we know where we belong."""
    going: bool = False
    """Whether we retire: others do not count with us any more, and what we hold is handed on."""
    changed: bool = True
    """Whether something has happened since our placement was looked at."""
    _me: Member | None = None
    _newest: int = 0
    """The highest version that a standing of ours was seen under."""
    _restated_at: float = -inf

    @property
    def begun(self) -> bool:
        """Whether we are a member at all."""
        return self._me is not None

    @property
    def me(self) -> Member:
        """Ourselves as a member."""
        assert self._me is not None, "a block before its begin"
        return self._me

    @property
    def signed(self) -> SignedStanding:
        """What we say of ourselves."""
        return self.me.signed

    @property
    def slot(self) -> int:
        """The slot that we sit in; STANDBY: none."""
        if self._me is None or self.roster.is_standby(self._me):
            return STANDBY
        return self._me.slot

    def restate(self, now: float, *, slot: int | None = None, since: int = 0) -> None:
        """Say anew how we stand, without telling it; what is not given stays."""
        before = self._me
        standing = Standing(
            node=self.node,
            listening=self.listening,
            since=since or (before.since if before else 0),
            version=max(int(now + self.wall), before.version + 1 if before else 0, self._newest + 1),
            slot=slot if slot is not None else (before.slot if before else STANDBY),
            depth=self.roster.prefix.depth,
            room=self.load.room,
            clients=self.load.clients,
            ready=self.load.ready,
            refused=self.load.refused,
            line=self.load.line,
        )
        self._me = self.registrar.own(standing)
        self._restated_at = now
        self.duties.pop(Duty.RESTATE, None)
        self.roster.add(self._me)
        self.disturb(now)

    def declare(self, now: float, *, slot: int | None = None) -> None:
        """Say anew how we stand, and have it passed on."""
        self.restate(now, slot=slot)
        self.gossip.spread(now, (self.signed,))

    def contradict(self, now: float) -> None:
        """We are said to have gone, or to stand otherwise: say anew how we do, though not faster than the clock."""
        if self.going:
            return  # it is true
        if now < self._restated_at + RESTATE_EVERY:
            self.duties.soon(Duty.RESTATE, self._restated_at + RESTATE_EVERY)
            return
        self.declare(now)

    def outdo(self, version: int, now: float) -> None:
        """A standing of ours is about that we do not remember, from before we were started again: say a newer one."""
        self._newest = max(self._newest, version)
        self.contradict(now)

    def find(self, at: float) -> None:
        """We know where we belong; at ``at`` we look for a seat there."""
        self.found = True
        self.disturb(at)

    def disturb(self, at: float) -> None:
        """Something has happened: at ``at``, at the latest, our placement has to be looked at."""
        self.changed = True
        self.duties.soon(Duty.PLACE, at)
