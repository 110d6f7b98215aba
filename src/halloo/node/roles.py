"""Changing roles while the node runs: an ordinary node takes up a supernode's duties, and lays them down again.

The user's own link to his supernode, his record, searches and calls have nothing to do with it and go on.  Here too is
the courtesy of the move: a link to a supernode that was left stands until no call uses it as a relay any more.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, Any

from halloo.base.address import Address, Peer, Wire
from halloo.base.effects import Link, Send, Unlink
from halloo.base.errors import PeerError, UsageError
from halloo.base.machine import Effects, Event
from halloo.login.limits import Rate, Tries
from halloo.messages.credential import credential_of
from halloo.messages.overlay import Leave, Ping
from halloo.messages.role import Reached, ReachPassed
from halloo.node.loopback import Loopback
from halloo.overlay.admission import Admission
from halloo.overlay.caps import Caps
from halloo.overlay.join import Shifted
from halloo.overlay.opinions import ASKED, ROUNDS
from halloo.overlay.promotion import Called, Consent, Dismissed, Lending, Promotion, Strength
from halloo.overlay.retirement import Retired
from halloo.overlay.roster import Registrar
from halloo.overlay.slots import STANDBY
from halloo.overlay.supernode import Supernode
from halloo.path.relayer import Relayer

if TYPE_CHECKING:
    from halloo.node.node import Node, NodeSetup

__all__ = ["Demoted", "Promoted", "Role", "Roles", "Served", "make_supernode"]

PING_EVERY = 25.0  # seconds between signs of life on such a link
LOOK_EVERY = 2.0  # seconds between looks at links that were left
PER_CLIENT = 30.0  # bytes/s that a node costs its supernode: signs of life, its record, what it looks for
FOR_RELAYING = 0.5  # share of the owner's bytes/s that is kept for relaying
RESUMES_WITHIN = 600.0  # seconds for which a node may be ended, and takes its duties up again when it starts
ALONE_AFTER = 12.0  # seconds without any supernode, after which it takes them up where it served
REACHES = Rate(20, 3.0)  # nodes that we reach as a third: then one in three seconds


@dataclass(frozen=True, slots=True)
class Promoted(Event):
    """We are a supernode from now on; ``again``: as we were until we were ended."""

    listening: Address
    again: bool = False


@dataclass(frozen=True, slots=True)
class Demoted(Event):
    """We are none any more."""

    reason: str


@dataclass(frozen=True, slots=True)
class Role:
    """What a node is to the network: ``none``, ``standby`` or ``member`` of a block."""

    name: str
    block: str = ""
    slot: int | None = None
    clients: int = 0
    leaving: bool = False


@dataclass(frozen=True, slots=True)
class Served:
    """As what a node served: where, since which second of the wall clock, and until when at least."""

    listening: Address
    since: int
    until: int


class Roles:
    """The role of one node."""

    def __init__(self, node: Node, setup: NodeSetup) -> None:
        self._node = node
        self._setup = setup
        self._tries = Tries()
        self._reason, self._needless = "", False
        self._left: dict[Peer, float] = {}
        """Supernodes that were left, while calls may still pass through them: when they hear of us next."""
        self._look_at = inf
        self.loopback = Loopback(node)
        self._served: Served | None = None
        self._resume_at = inf
        self.caps = Caps(setup.lending.rate, setup.lending.cpu)
        certified = bool(setup.persona.credential) and not setup.supernode
        self.promotion = Promotion(setup.lending, certified, setup.reachable, setup.rng, node.requests)

    @property
    def wake_at(self) -> float:
        """When ``wake`` has something to do."""
        return min(self._look_at, self._resume_at, self.promotion.wake_at, self.loopback.wake_at)

    @property
    def role(self) -> Role:
        """What the node is now."""
        supernode = self._node.supernode
        if supernode is None or not supernode.block.begun:
            return Role("none")
        slot = supernode.block.slot
        seated = slot < STANDBY
        return Role(
            "member" if seated else "standby",
            str(supernode.block.roster.prefix),
            slot if seated else None,
            len(supernode.clients),
            supernode.retirement.begun,
        )

    def service(self, now: float) -> Served | None:
        """What should be remembered, so that a node that is started again soon takes its duties up again."""
        node = self._node
        if node.supernode is None or node.born_supernode or node.supernode.retirement.begun:
            return None
        return Served(node.supernode.listening, node.supernode.block.me.since, int(now + self._setup.wall))

    # --- intents

    def begin(self, now: float) -> None:
        """The node is started; perhaps it served others a moment ago."""
        served = self._setup.served
        fresh = served is not None and 0 <= now + self._setup.wall - served.until <= RESUMES_WITHIN
        if fresh and self.promotion.certified and self.promotion.lending.consent is not Consent.NO:
            self._served, self._resume_at = served, now + ALONE_AFTER

    def joined(self, observed: Address | None, now: float) -> Effects:
        """We are on line, and are seen at ``observed``: if that is where we served, nodes look for us there."""
        served, self._served, self._resume_at = self._served, None, inf
        if served is None or observed != served.listening or not self.promotion.strong():
            return []
        return self.promote(served.listening, now, served.since)

    def promote(self, listening: Address, now: float, since: int = 0) -> Effects:
        """Become a supernode that others reach at ``listening``; ``since``: it was one before, from that second on."""
        node, setup = self._node, self._setup
        if node.supernode is not None:
            return []
        lending = self.promotion.lending
        clients = _places(lending)
        papers = node.papers.serve(now)
        node.supernode = make_supernode(node, setup, listening, clients)
        node.relayer = Relayer(setup.rng, lending.rate * FOR_RELAYING)
        for peer, (party, _) in node.parties.items():
            node.relayer.up(peer, node.persona.suite.digest(party.key)[:8])
        node.cache.own = listening
        out: Effects = [Promoted(listening, again=bool(since)), *papers]
        for peer, (party, _) in list(node.parties.items()):
            out += node.supernode.up(peer, party, now)
        self.promotion.serves(listening, now)
        self.loopback.serves(now)
        return out + node.supernode.begin(now, since)

    def demote(self, reason: str, now: float, *, needless: bool = False) -> Effects:
        """Begin to lay the duties down.  ``needless``: only if all who hang on us find another place."""
        if self._node.supernode is None or self._node.born_supernode:
            return []
        self._reason, self._needless, self.promotion.leaving = reason, needless, True
        return self._node.supernode.retire(now)

    def lend(self, lending: Lending, now: float) -> Effects:
        """The owner has decided anew what he lends."""
        out = self.promotion.lend(lending, now)
        if self._node.supernode is not None and not self._node.born_supernode and self._node.relayer is not None:
            self._node.supernode.clients.most = _places(lending)
            self._node.relayer.max_rate = lending.rate * FOR_RELAYING
        self.caps.rate, self.caps.cpu = lending.rate, lending.cpu
        return out

    def measured(self, size: int, cpu: float, now: float, strength: Strength | None = None) -> Effects:
        """``size`` bytes have gone out since the last time, ``cpu`` of the processors were ours; and what is left.

        While that is too much nobody new is taken; if it lasts, the newest of those who are here are asked to move.
        """
        self.caps.measure(size, cpu, now)
        if strength is not None:
            self.promotion.strength = strength
        supernode = self._node.supernode
        if supernode is None or self._node.born_supernode or supernode.retirement.begun:
            return []
        supernode.clients.closed = self.caps.tight or not self.promotion.strong()
        return supernode.shed(now) if self.caps.over(now) else []

    @property
    def tight(self) -> bool:
        """Whether no new channel is relayed, because the owner's bytes are going out already."""
        return self._node.supernode is not None and not self._node.born_supernode and self.caps.tight

    # --- what the node hears

    def wanted(self, chance: int, by: Address | None, now: float) -> Effects:
        """The supernode at ``by`` tells of a need; do others see it?"""
        if not chance or not self.promotion.ready(now):
            return []
        setup = self._setup
        others = setup.cache.best(ASKED * ROUNDS, setup.rng, now + setup.wall, (by,) if by is not None else ())
        return self.promotion.wanted(chance, others, now)

    def pass_on(self, message: ReachPassed, sender: Any, now: float) -> Effects:
        """We are the third: reach a node that our supernode, or another one, names.  Raises PeerError."""
        supernode = self._node.supernode
        ours = sender == self._node.join.peer
        if not ours and (supernode is None or sender not in supernode.block.links.values()):
            raise PeerError("an errand from somebody who is not our supernode")
        bucket = ((b"reach", REACHES),)
        if self._tries.wait(bucket, now) > 0:
            return []
        self._tries.spend(bucket, now)
        return [Send(Wire(message.observed), Reached(token=message.token, observed=message.observed))]

    def react(self, event: Event, now: float) -> Effects:
        """What an event of ours means for the others."""
        match event:
            case Called():
                return self.promote(event.listening, now)
            case Dismissed():
                return self.demote(event.reason, now, needless=event.needless)
            case Retired():
                return self._retired(event, now)
            case Shifted():
                self._left[event.left] = now + PING_EVERY
                self._look_at = min(self._look_at, now + LOOK_EVERY)
                return [Send(event.left, Leave())]
        return []

    def note(self, effects: Effects, now: float) -> None:
        """Remember whom we write to."""
        for effect in effects:
            route = effect.to if isinstance(effect, Send) else effect.route if isinstance(effect, Link) else None
            if isinstance(route, Wire):
                self.promotion.wrote(route.address, now)

    def down(self, peer: Peer) -> None:
        """A link ended."""
        self._left.pop(peer, None)
        self.loopback.ended(peer)

    def wake(self, now: float) -> Effects:
        """End links that nobody uses any more; weigh our role."""
        node, out = self._node, []
        if node.supernode is not None and node.relayer is not None:
            self.promotion.surplus = node.supernode.surplus
            self.promotion.volunteers = len(node.supernode.block.roster)
        if self.promotion.wake_at <= now:
            out += self.promotion.wake(now)
        if self._resume_at <= now:
            served, self._served, self._resume_at = self._served, None, inf
            if served is not None and node.join.peer is None and self.promotion.strong():
                out += self.promote(served.listening, now, served.since)  # nobody else is there
        if self.loopback.wake_at <= now:
            out += self.loopback.wake(now)
        if self._look_at <= now:
            for peer in [peer for peer in self._left if not node.relays_by(peer)]:
                del self._left[peer]
                out.append(Unlink(peer, "left"))
            for peer, at in self._left.items():
                if at <= now:  # what a relay passes is no sign of life of the link itself
                    self._left[peer] = now + PING_EVERY
                    out.append(Send(peer, Ping(request=node.requests() & 0xFFFF)))
            self._look_at = now + LOOK_EVERY if self._left else inf
        return out

    # --- inside

    def _retired(self, event: Retired, now: float) -> Effects:
        node = self._node
        if node.supernode is None or node.relayer is None:
            return []
        if self._needless and (event.clients or event.records):
            node.supernode.stay(now)
            self.promotion.stays()
            return []
        out: Effects = [Unlink(peer, "this supernode stops") for peer in node.supernode.clients.peers()]
        out += node.supernode.leave(now) + node.papers.rest()
        node.supernode = node.relayer = None
        node.cache.own = None
        self.promotion.rests(now)
        self.loopback.rests()
        return [*out, Demoted(self._reason)]


def _places(lending: Lending) -> int:
    """How many nodes an owner's limits have room for."""
    return max(1, min(lending.clients, int(lending.rate * (1 - FOR_RELAYING) / PER_CLIENT)))


def make_supernode(node: Node, setup: NodeSetup, listening: Address | None, most: int) -> Supernode:
    """The duties of a supernode at an address.  Raises UsageError without one."""
    if listening is None:
        raise UsageError("a supernode needs an address at which others reach it")
    persona, suite = setup.persona, setup.persona.suite
    claims = credential_of(persona.credential) if persona.credential else None
    registrar = Registrar(
        persona.notary,
        suite.digest,
        setup.descriptor.supernodes,
        persona.private,
        persona.public,
        persona.credential,
        claims.name if claims else "",
        suite.identity.sign,
    )
    supernode = Supernode(
        node.id,
        listening,
        persona.notary,
        suite.digest,
        registrar,
        setup.cache,
        setup.rng,
        node.peers,
        node.requests,
        setup.wall,
        most,
    )
    if setup.pace is not None:
        supernode.clients.admission = Admission(suite.digest, setup.rng, setup.pace)
    if node.papers.watch is not None:
        supernode.keeper.newest_entry = node.papers.watch.newest_entry
    return supernode
