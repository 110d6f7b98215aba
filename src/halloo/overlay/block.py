"""A supernode among its own: what it does in its block, put together from the parts that know how.

    supernode                     member of the block
      | --- Mesh / Meshed --------> |  on every link; a newcomer learns where it belongs
      | --- Summary / News -------> |  until both know the same members
      | --- Beat ----------------> |  from then on
      | --- News ----------------> |  what happens, to a few who pass it on
      | --- AtlasAsked / Told ----> |  which other blocks are there?
      | --- Where / Here --------> |  in the open: is one alive who is said to have gone?

A newcomer asks one supernode, is told the table of the block that its place belongs to, and links to it there.  It sits
down in the smallest slot.  Links stand between those who hold a slot together, and some bridges to the rest of the
block, so that news reach all.

The parts, each above those that it knows:

    block        what comes in, what is due, and how a newcomer finds its block
    placement    which slot, which half          membership   who is in, who is out
    survey       the other blocks                doubt        is that one alive?
    stance       how we stand                    halving      too large, too small?
    gossip       news and summaries
    links        which stand, which are begun    duties       what is due when
"""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

from halloo.base.address import Address, Peer
from halloo.base.effects import Send
from halloo.base.errors import PeerError
from halloo.base.machine import Effects, Message, Numbers
from halloo.messages.block import PADDING, Beat, Here, Mesh, Meshed, News, Summary, Table, Where, standing_of
from halloo.messages.credential import Party
from halloo.messages.directory import AtlasTold
from halloo.messages.log import SignedHead
from halloo.overlay.atlas import Atlas
from halloo.overlay.doubt import REVIVE_EVERY, Doubts, Silent
from halloo.overlay.duties import LOOK_SOON, Duties, Duty
from halloo.overlay.gossip import BEAT_EVERY, Gossip
from halloo.overlay.halving import Halving
from halloo.overlay.hostcache import HostCache
from halloo.overlay.links import CONTACTS, LOOK_AGAIN, Links
from halloo.overlay.membership import Membership
from halloo.overlay.placement import Placed, Placement
from halloo.overlay.roster import Member, Registrar, Roster
from halloo.overlay.slots import GOING, STANDBY
from halloo.overlay.stance import Load, Stance
from halloo.overlay.survey import TABLES_AT_ONCE, Survey

__all__ = ["LOOK_FOR", "Block"]

LOOK_FOR = 3.0  # seconds in which a newcomer finds others, or takes itself for the first
LOOK_AT_BLOCK = 12.0  # seconds for the same, once it knows a table of its block


@dataclass(slots=True)
class Block:
    """One supernode's view of its block, and of the others."""

    node: bytes
    listening: Address
    registrar: Registrar
    cache: HostCache
    rng: Random
    peers: Numbers
    requests: Numbers
    wall: float
    heads: tuple[SignedHead, ...] = ()
    """The newest head of the login servers' log, shown to whoever is met."""
    roster: Roster = field(default_factory=Roster)
    atlas: Atlas = field(default_factory=Atlas)
    stance: Stance = field(init=False)
    _duties: Duties = field(default_factory=Duties)
    _links: Links = field(init=False)
    _gossip: Gossip = field(init=False)
    _doubts: Doubts = field(init=False)
    _survey: Survey = field(init=False)
    _halving: Halving = field(init=False)
    _membership: Membership = field(init=False)
    _placement: Placement = field(init=False)
    _began: float = 0.0

    def __post_init__(self) -> None:
        roster, duties, rng = self.roster, self._duties, self.rng
        self._links = links = Links(self.node, self.listening, roster, self.peers)
        self._gossip = gossip = Gossip(roster, links, duties, rng)
        self.stance = stance = Stance(self.node, self.listening, self.registrar, self.wall, roster, gossip, duties)
        self._doubts = doubts = Doubts(self.node, roster, duties, rng, self.requests)
        self._survey = survey = Survey(roster, self.atlas, stance, links, self.cache, duties, rng, self.requests)
        self._halving = Halving(roster, self.wall)
        self._membership = Membership(
            roster, self.registrar, stance, links, doubts, gossip, survey, self.cache, duties, self.wall
        )
        self._placement = Placement(roster, stance, links, survey, self._halving, duties, rng)

    # --- what others may know

    @property
    def wake_at(self) -> float:
        """When ``wake`` has something to do."""
        return min(self._duties.next, self._doubts.wake_at)

    @property
    def me(self) -> Member:
        """Ourselves as a member."""
        return self.stance.me

    @property
    def begun(self) -> bool:
        """Whether we are a member at all."""
        return self.stance.begun

    @property
    def found(self) -> bool:
        """Whether we know where we belong."""
        return self.stance.found

    @property
    def slot(self) -> int:
        """The slot that we sit in; STANDBY: none."""
        return self.stance.slot

    @property
    def links(self) -> dict[bytes, Peer]:
        """Supernodes that we have a link to."""
        return self._links.by_node

    def known(self, *, with_room: bool = False) -> tuple[Address, ...]:
        """Addresses of supernodes to tell of: ourselves, then others as chance has it, those with room first (or
        alone).
        """
        others = [member for member in self.roster.members.values() if member.node != self.node]
        if with_room:
            others = [member for member in others if member.room]
        chosen = self.rng.sample(others, min(40, len(others)))
        chosen.sort(key=lambda member: not member.room)
        return (self.listening, *(member.address for member in chosen))[:40]

    # --- intents and links

    def begin(self, now: float, since: int = 0) -> Effects:
        """Take up the duties of a member; ``since``: the wall-clock second from which they count (0: this one)."""
        self._began = now
        self.stance.restate(now, slot=STANDBY, since=since or int(now + self.wall))
        self._duties[Duty.BEAT] = now + BEAT_EVERY * self.rng.random()
        self._duties[Duty.REVIVE] = now + REVIVE_EVERY * (1 + self.rng.random())
        self._duties[Duty.TABLE] = now + TABLES_AT_ONCE
        self._duties[Duty.ATLAS] = now + LOOK_FOR
        return self._look(now) + self._placement.look(now)

    def bear(self, load: Load, now: float) -> None:
        """Our load has changed: tell the others."""
        self.stance.load = load
        if self.begun and not self.stance.going:
            self.stance.declare(now)

    def retire(self, now: float) -> Effects:
        """Give our seat up, while the links stand: what we hold is handed on."""
        if not self.begun or self.stance.going:
            return []
        return [*self._go(now), Placed(self.roster.prefix, STANDBY)]

    def stay(self, now: float) -> None:
        """Take the duties up again: nobody else can."""
        if self.stance.going:
            self.stance.going = False
            self.stance.declare(now, slot=STANDBY)

    def leave(self, now: float) -> Effects:
        """Say goodbye: what we hold is held by others too."""
        if not self.begun:
            return []
        out = self._go(now) + self._links.end_all("left")
        self._duties.clear()
        self._doubts.clear()
        return out

    def up(self, peer: Peer, party: Party, now: float) -> Effects:
        """A link stands, ours or theirs."""
        self._links.parties[peer] = party
        if peer in self._links.dialling:
            mesh = Mesh(standing=(self.stance.signed,), heads=self.heads, request=self.requests() & 0xFFFF)
            return [Send(peer, mesh)]
        return []

    def down(self, peer: Peer, reason: str, now: float) -> Effects:
        """A link ended."""
        self._links.parties.pop(peer, None)
        failed = self._links.failed(peer, now)
        if failed is not None:
            self.cache.failed(failed)
            self._duties.soon(Duty.LOOK, now + LOOK_SOON)
            return self._doubts.look_where(failed, self.links, now)
        node = self._links.drop(peer)
        if node is None:
            return []
        self._duties.soon(Duty.LOOK, now + LOOK_SOON)
        return self._doubts.look(node, now)

    # --- what is heard

    def receive(self, message: Message, sender: Peer, now: float) -> Effects:
        """A message of another supernode.  Raises PeerError."""
        match message:
            case Mesh():
                return self._meshed(message, sender) + self._membership.met(message.standing, sender, now, ours=False)
            case Meshed():
                dialled = self._links.dialling.pop(sender, None)
                self._survey.learn(message.tables, now)
                ours = dialled is not None
                return self._membership.met(message.standing, sender, now, ours=ours, dialled=dialled)
        link = self._links.standing.get(sender)
        if link is None:
            raise PeerError("words of the block from somebody who is not known as a supernode")
        match message:
            case Beat() if link.node in self.roster.members:
                return self._gossip.heard_beat(message, sender, now)
            case Summary():
                return self._membership.compared(message, sender, now)
            case News():
                return self._membership.heard(message, now)
            case AtlasTold():
                self._survey.told(message, now)
        return []

    def asked(self, message: Where, now: float) -> tuple[Here, Effects]:
        """A question in the open; the answer, and what else follows."""
        key = int.from_bytes(message.key, "big")
        table = self.atlas.covering(key)
        own = self.roster.prefix.covers(key)
        here = Here(
            node=self.node,
            token=message.token,
            tables=(table,) if table is not None and len(message.padding) >= len(PADDING) else (),
            members=self.roster.size if own else 0,
            request=message.request,
        )
        if self.begun and message.doubt >= self.me.version:
            self.stance.contradict(now)  # somebody says that we have gone
        return here, []

    def answered(self, message: Here, address: Address, now: float) -> Effects:
        """An answer in the open."""
        doubt = self._doubts.answered(message.token, address)
        if doubt is None:
            merged = self._survey.answered(message, now)
            return self._placement.merge(now) if merged else []
        member = doubt.member
        if message.node != member.node:  # another one listens there now
            return self._membership.lose(member, now)
        if member.node in self.roster.gone:
            return self._links.dial(address)
        if doubt.proves:
            self._membership.prove(member, now)
        return []

    def wake(self, now: float) -> Effects:
        """Do what is due."""
        out: Effects = []
        due = self._duties.due(now)
        if Duty.LOOK in due:
            out += self._look(now)
        if Duty.PLACE in due:
            out += self._placement.look(now)
        if Duty.BEAT in due:
            out += self._gossip.beat(self.slot, now)
        if Duty.REVIVE in due:
            out += self._doubts.revive(self.links, now)
        if Duty.TABLE in due:
            out += self._survey.refresh(now, small=self._halving.small)
        if Duty.ATLAS in due:
            out += self._survey.ask_atlas(now)
        if Duty.RESTATE in due:
            self.stance.contradict(now)
        if Duty.NEWS in due:
            out += self._gossip.pass_on()
        for effect in self._doubts.wake(now):
            out += self._membership.lose(effect.member, now) if isinstance(effect, Silent) else [effect]
        return out

    # --- the newcomer, and those it asks

    def _look(self, now: float) -> Effects:
        """See to our links; those of a newcomer, or of one who is alone, are to anybody who may know others."""
        self._duties[Duty.LOOK] = now + LOOK_AGAIN * (0.8 + 0.4 * self.rng.random())
        self._links.forgive(now)
        if self.found and len(self.roster) > 1:
            return self._links.keep(now)
        strangers = [one for one in self.cache.best(4 * CONTACTS, self.rng) if one != self.listening]
        out = self._ask(strangers)
        if self.found:
            return out
        self._duties.soon(Duty.LOOK, now + 1.0)
        table = self.atlas.covering(self.me.place)
        patience = LOOK_FOR if table is None else LOOK_AT_BLOCK
        if not strangers or now >= self._began + patience:
            self.stance.find(now)
        if table is not None:
            out += self._ask(list(table.gateways))
        return out

    def _ask(self, addresses: list[Address]) -> Effects:
        """Begin links to the first of those whom we have no link to."""
        out: Effects = []
        for address in self._links.strangers(addresses)[:CONTACTS]:
            out += self._links.dial(address)
        return out

    def _meshed(self, message: Mesh, sender: Peer) -> Effects:
        """Show ourselves to one who began a link, and the table of the block that it belongs to."""
        if not self.begun:
            return []
        tables: list[Table] = []
        for signed in message.standing:
            standing = standing_of(signed)
            party = self._links.parties.get(sender)
            place = self.registrar.place(party.name if party else "", standing.listening)
            table = self.atlas.covering(place)
            tables += [table] if table is not None and self.found else []
        own = self.stance.signed
        return [Send(sender, Meshed(standing=(own,), tables=tuple(tables), heads=self.heads, request=message.request))]

    def _go(self, now: float) -> Effects:
        """Say to all whom we have a link to that others do not count with us any more."""
        self.stance.going = True
        self.stance.restate(now, slot=GOING)
        return [Send(peer, News(standings=(self.stance.signed,))) for peer in self._links.standing]
