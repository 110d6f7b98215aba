"""A supernode among its own: who is in its block, which slot it holds, and how the block splits and merges.

    supernode                     member of the block
      | --- Mesh / Meshed --------> |  on every link; a newcomer learns where it belongs
      | --- Summary / News -------> |  until both know the same members
      | --- Beat ----------------> |  from then on
      | --- News ----------------> |  what happens, to a few who pass it on
      | --- AtlasAsked / Told ----> |  which other blocks are there?
      | --- Where / Here --------> |  in the open: is one alive who is said to have gone?

A newcomer asks one supernode, is told the table of the block that its place belongs to, and links to it there.  It sits
down in the smallest slot.  Links stand between those who hold a slot together, and some bridges to the rest of the
block, so that news reach all.  Nobody is taken for gone on hearsay: who hears of it looks for itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from enum import Enum
from math import inf
from random import Random

from halloo.base.address import Address, Peer, Wire
from halloo.base.effects import Link, Send, Unlink
from halloo.base.errors import PeerError
from halloo.base.machine import Effects, Event, Message, Numbers, Timers
from halloo.messages.block import (
    MAX_GONE,
    PADDING,
    STANDINGS,
    Beat,
    Here,
    Mesh,
    Meshed,
    News,
    SignedStanding,
    Standing,
    Summary,
    Table,
    Where,
    paired,
    pairs_of,
    standing_of,
)
from halloo.messages.credential import Party
from halloo.messages.directory import AtlasAsked, AtlasTold
from halloo.messages.log import SignedHead
from halloo.overlay.atlas import ATLAS_EVERY, ATLAS_SOON, Atlas, prefix_of_table, table_of
from halloo.overlay.hostcache import HostCache
from halloo.overlay.roster import MAX_MEMBERS, Member, Registrar, Roster
from halloo.overlay.seating import first_seats, first_table, next_seats
from halloo.overlay.slots import GOING, SLOTS, STANDBY, Prefix, mixed, smallest_slot

__all__ = ["Block", "Load", "MemberGone", "MemberMet", "Placed"]

BEAT_EVERY = 10.0  # seconds between signs of life to those of our slot; to others each third time
PLACE_EVERY = 1.0  # seconds between looks at the placement, when something has changed
LOOK_FOR = 3.0  # seconds in which a newcomer finds others, or takes itself for the first
LOOK_AT_BLOCK = 12.0  # seconds for the same, once it knows a table of its block
LOOK_AGAIN = 15.0  # seconds between looks for links that should stand, and tables that should be fresh
LOOK_SOON = 0.5  # seconds until the next one after something has changed
CONTACTS = 4  # supernodes that a newcomer asks at once
ALL_LINKED = 24  # members up to which each has a link to every other
BRIDGES = 3  # links to members that we share no slot with, so that news cross a large block
NEWS_AFTER = 0.4  # seconds, about, for which news are gathered before they are passed on
FANOUT = 3  # links that a piece of news is passed on over; whom it misses learns of it by the next beat
DIALS = 12  # links begun at once
UNWANTED_FOR = 60.0  # seconds after which a link of ours that nobody needs is ended
SUMMARY_EVERY = 4.0  # seconds between summaries to one member
DOUBT_FOR = 2.5  # seconds in which one who is said to have gone may show that it is here
DOUBT_AGAIN = 0.8  # seconds between the questions
MAX_DOUBTS = 128  # members doubted at once
RESTATE_EVERY = 2.0  # seconds between answers to who says that we have gone: our version does not outrun the clock
REVIVE_EVERY = 10.0  # seconds between looks at one of those who have gone: the network may have healed
MOVE = 0.3  # chance that the last of a slot that is too full moves at once: not all shall take the same free seat
MOVE_AGAIN = 3.0  # seconds until the next try
SPLIT_AT = 152  # members and standbys of a block: each half can fill its eight slots
SPLIT_AFTER = 30.0  # seconds that it has to be so large
STEP_PAUSE = 60.0  # seconds after a split in which those who have not followed yet are not taken for merging
FOLLOW = 8  # a split is followed when an eighth of the block has gone ahead
HALF = 56  # members that each half must have; below it a block merges with its sibling
MERGED = 130  # members that both may have together, so that the merged block does not split at once
MERGE_AFTER = 300.0  # seconds that it has to be so small: half of it may be back soon
TABLE_EVERY = 900.0  # seconds after which the table of another block is asked for again
SIBLING_EVERY = 20.0  # seconds between such questions while our block is small, and may go together with its sibling
TABLES_AT_ONCE = 2.0  # seconds between two such questions at least
ASK_FOR = 2.0  # seconds for an answer in the open


class Timer(Enum):
    """What is waited for."""

    LOOK = 0
    PLACE = 1
    BEAT = 2
    REVIVE = 3
    TABLE = 4
    NEWS = 5
    RESTATE = 6
    ATLAS = 7


@dataclass(frozen=True, slots=True)
class Placed(Event):
    """Our place, or who holds what, has changed."""

    prefix: Prefix
    slot: int


@dataclass(frozen=True, slots=True)
class MemberMet(Event):
    """Another supernode of our block is known."""

    address: Address


@dataclass(frozen=True, slots=True)
class MemberGone(Event):
    """One has gone."""

    address: Address


@dataclass(frozen=True, slots=True)
class Load:
    """Nodes that a supernode would still take, has, and had no room for; of them, those that are ready to help."""

    room: int = 0
    clients: int = 0
    ready: int = 0
    refused: int = 0


@dataclass(slots=True)
class _Doubt:
    """A question in the open to one supernode: by when it has to be answered, and when it is asked again."""

    member: Member
    token: bytes
    until: float
    again: float
    rumoured: bool = False
    """Whether somebody takes it for gone: it should hear of it."""
    proves: bool = False
    """Whether an answer also shows that it is the supernode which the network's description names."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """A question for the table of another block."""

    token: bytes
    prefix: Prefix
    until: float
    of_its_own: bool
    """Whether one of that block is asked: only such a one says how large it is, and that it is no more."""


@dataclass(slots=True)
class _Link:
    node: bytes
    ours: bool
    """Whether we began it."""
    told_at: float = -inf
    """When it had our last summary."""
    unwanted_since: float = inf


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
    timers: Timers = field(default_factory=Timers)
    found: bool = False
    """Whether we know where we belong."""
    load: Load = field(default_factory=Load)
    """What others may know of our nodes."""
    going: bool = False
    """Whether we retire: others do not count with us any more, and what we hold is handed on."""
    _me: Member | None = None
    _parties: dict[Peer, Party] = field(default_factory=dict)
    _links: dict[Peer, _Link] = field(default_factory=dict)
    _by_node: dict[bytes, Peer] = field(default_factory=dict)
    _dialling: dict[Peer, Address] = field(default_factory=dict)
    _failed: dict[Address, float] = field(default_factory=dict)
    """When an address that could not be reached may be tried again."""
    _doubts: dict[bytes, _Doubt] = field(default_factory=dict)
    _asked: _Asked | None = None
    """A question for a table."""
    _fresh: dict[Prefix, float] = field(default_factory=dict)
    _fresh_news: dict[bytes, SignedStanding] = field(default_factory=dict)
    _gone_news: dict[bytes, int] = field(default_factory=dict)
    _began: float = 0.0
    _changed: bool = True
    _large_since: float = inf
    _small_since: float = inf
    _beats: int = 0
    _turn: int = 0
    _stepped: int = 0
    """When our block split or merged last, in wall-clock seconds."""
    _sibling_size: int = 0
    _restated_at: float = -inf
    _atlas_request: int = -1
    _newest: int = 0
    """The highest version that a standing of ours was seen under."""
    _proved: dict[bytes, Address] = field(default_factory=dict)
    """By node, the address of the network's description at which it was found."""

    # --- what others may know

    @property
    def wake_at(self) -> float:
        """When ``wake`` has something to do."""
        doubts = min((min(doubt.until, doubt.again) for doubt in self._doubts.values()), default=inf)
        return min(self.timers.next, doubts)

    @property
    def me(self) -> Member:
        """Ourselves as a member."""
        assert self._me is not None, "a block before its begin"
        return self._me

    @property
    def begun(self) -> bool:
        """Whether we are a member at all."""
        return self._me is not None

    @property
    def slot(self) -> int:
        """The slot that we sit in; STANDBY: none."""
        if self._me is None or self.roster.is_standby(self._me):
            return STANDBY
        return self._me.slot

    @property
    def links(self) -> dict[bytes, Peer]:
        """Supernodes that we have a link to."""
        return self._by_node

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
        self._restate(now, slot=STANDBY, since=since or int(now + self.wall))
        self.timers[Timer.BEAT] = now + BEAT_EVERY * self.rng.random()
        self.timers[Timer.REVIVE] = now + REVIVE_EVERY * (1 + self.rng.random())
        self.timers[Timer.TABLE] = now + TABLES_AT_ONCE
        self.timers[Timer.ATLAS] = now + LOOK_FOR
        return self._look(now) + self._place(now)

    def bear(self, load: Load, now: float) -> None:
        """Our load has changed: tell the others."""
        self.load = load
        if self._me is not None and not self.going:
            self._restate(now)
            self._spread(now, (self._own(),))

    def retire(self, now: float) -> Effects:
        """Give our seat up, while the links stand: what we hold is handed on."""
        if self._me is None or self.going:
            return []
        self.going = True
        self._restate(now, slot=GOING)
        out: Effects = [Send(peer, News(standings=(self._own(),))) for peer in self._links]
        return [*out, Placed(self.roster.prefix, STANDBY)]

    def stay(self, now: float) -> None:
        """Take the duties up again: nobody else can."""
        if self.going:
            self.going = False
            self._restate(now, slot=STANDBY)
            self._spread(now, (self._own(),))

    def leave(self, now: float) -> Effects:
        """Say goodbye: what we hold is held by others too."""
        if self._me is None:
            return []
        self.going = True
        self._restate(now, slot=GOING)
        out: Effects = [Send(peer, News(standings=(self._own(),))) for peer in self._links]
        out += [Unlink(peer, "left") for peer in (*self._links, *self._dialling)]
        self.timers.clear()
        self._doubts.clear()
        return out

    def up(self, peer: Peer, party: Party, now: float) -> Effects:
        """A link stands, ours or theirs."""
        self._parties[peer] = party
        if peer in self._dialling:
            return [Send(peer, Mesh(standing=(self._own(),), heads=self.heads, request=self.requests() & 0xFFFF))]
        return []

    def down(self, peer: Peer, reason: str, now: float) -> Effects:
        """A link ended."""
        self._parties.pop(peer, None)
        failed = self._dialling.pop(peer, None)
        if failed is not None:
            self.cache.failed(failed)
            self._failed[failed] = now + LOOK_AGAIN
            self._soon(Timer.LOOK, now + LOOK_SOON)
            return self._doubt_all(self._listening_at(failed), now)
        node = self._unlinked(peer)
        if node is None:
            return []
        self._soon(Timer.LOOK, now + LOOK_SOON)
        return self._doubt(node, now)

    # --- what is heard

    def receive(self, message: Message, sender: Peer, now: float) -> Effects:
        """A message of another supernode.  Raises PeerError."""
        match message:
            case Mesh():
                return self._meshed(message, sender, now) + self._met(message.standing, sender, now, ours=False)
            case Meshed():
                address = self._dialling.pop(sender, None)
                for table in message.tables:
                    self._learn(table, now)
                return self._met(message.standing, sender, now, ours=address is not None, dialled=address)
        link = self._links.get(sender)
        if link is None:
            raise PeerError("words of the block from somebody who is not known as a supernode")
        match message:
            case Beat() if link.node in self.roster.members:
                if int.from_bytes(message.members, "big") != self.roster.digest:
                    return self._tell_summary(sender, link, now)
            case Summary():
                return self._summarised(message, sender, now)
            case News():
                return self._news(message, sender, now)
            case AtlasTold() if message.request == self._atlas_request:
                for table in message.tables:
                    self._learn(table, now)
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
        if self._me is not None and message.doubt >= self._me.version:
            self._contradict(now)  # somebody says that we have gone
        return here, []

    def answered(self, message: Here, address: Address, now: float) -> Effects:
        """An answer in the open."""
        for node, doubt in self._doubts.items():
            if doubt.token == message.token and doubt.member.address == address:
                del self._doubts[node]
                if message.node != node:  # another one listens there now
                    return self._lose(doubt.member, now)
                if node in self.roster.gone:
                    return self._dial(address)
                if doubt.proves:
                    self._prove(doubt.member, now)
                return []
        if self._asked is not None and self._asked.token == message.token:
            asked, self._asked = self._asked, None
            return self._told_of(asked, message, now)
        return []

    def wake(self, now: float) -> Effects:
        """Do what is due."""
        out: Effects = []
        due = self.timers.due(now)
        if Timer.LOOK in due:
            out += self._look(now)
        if Timer.PLACE in due:
            out += self._place(now)
        if Timer.BEAT in due:
            out += self._beat(now)
        if Timer.REVIVE in due:
            out += self._revive(now)
        if Timer.TABLE in due:
            out += self._refresh(now)
        if Timer.ATLAS in due:
            out += self._ask_atlas(now)
        if Timer.RESTATE in due:
            self._contradict(now)
        if Timer.NEWS in due:
            out += self._pass_on(now)
        for node, doubt in list(self._doubts.items()):
            if doubt.until <= now:
                del self._doubts[node]
                out += self._lose(doubt.member, now)
            elif doubt.again <= now:
                doubt.again = now + DOUBT_AGAIN
                out.append(self._question(doubt))
        return out

    # --- ourselves

    def _restate(self, now: float, *, slot: int | None = None, depth: int | None = None, since: int = 0) -> None:
        """Say anew how we stand."""
        before = self._me
        standing = Standing(
            node=self.node,
            listening=self.listening,
            since=since or (before.since if before else 0),
            version=max(int(now + self.wall), before.version + 1 if before else 0, self._newest + 1),
            slot=slot if slot is not None else (before.slot if before else STANDBY),
            depth=depth if depth is not None else self.roster.prefix.depth,
            room=self.load.room,
            clients=self.load.clients,
            ready=self.load.ready,
            refused=self.load.refused,
        )
        self._me = self.registrar.own(standing)
        self._restated_at = now
        self.timers.pop(Timer.RESTATE, None)
        self.roster.add(self._me)
        self._changed = True
        self._soon(Timer.PLACE, now)

    def _contradict(self, now: float) -> None:
        """We are said to have gone, or to stand otherwise: say anew how we do, though not faster than the clock."""
        if self.going:
            return  # it is true
        if now < self._restated_at + RESTATE_EVERY:
            self._soon(Timer.RESTATE, self._restated_at + RESTATE_EVERY)
            return
        self._restate(now)
        self._spread(now, (self._own(),))

    def _own(self) -> SignedStanding:
        return self.me.signed

    def _soon(self, timer: Timer, at: float) -> None:
        self.timers[timer] = min(self.timers.get(timer, inf), at)

    # --- links

    def _look(self, now: float) -> Effects:
        """Begin the links that should stand, end those that need not."""
        self.timers[Timer.LOOK] = now + LOOK_AGAIN * (0.8 + 0.4 * self.rng.random())
        self._failed = {address: at for address, at in self._failed.items() if at > now}
        out: Effects = []
        if not self.found or len(self.roster) == 1:
            strangers = [one for one in self.cache.best(4 * CONTACTS, self.rng) if one != self.listening]
            for address in self._strangers(strangers)[:CONTACTS]:
                out += self._dial(address)
            if self.found:
                return out
            self._soon(Timer.LOOK, now + 1.0)
            table = self.atlas.covering(self.me.place)
            patience = LOOK_FOR if table is None else LOOK_AT_BLOCK
            if not strangers or now >= self._began + patience:
                self.found, self._changed = True, True
                self._soon(Timer.PLACE, now)
            if table is not None:
                for address in self._strangers(list(table.gateways))[:CONTACTS]:
                    out += self._dial(address)
            return out
        wanted = self._wanted()
        for node, member in wanted.items():
            if node not in self._by_node:
                out += self._dial(member.address)
        for peer, link in list(self._links.items()):
            if link.node in wanted or not link.ours:
                link.unwanted_since = inf
            elif link.unwanted_since == inf:
                link.unwanted_since = now
            elif now - link.unwanted_since > UNWANTED_FOR:
                self._unlinked(peer)
                out.append(Unlink(peer, "not needed"))
        return out

    def _strangers(self, addresses: list[Address]) -> list[Address]:
        linked = {self.roster.members[node].address for node in self._by_node if node in self.roster.members}
        return [one for one in addresses if one not in linked and one not in self._failed and one != self.listening]

    def _dial(self, address: Address) -> Effects:
        if len(self._dialling) >= DIALS or address in self._dialling.values() or address in self._failed:
            return []
        if address == self.listening:
            return []
        peer = Peer(self.peers())
        self._dialling[peer] = address
        return [Link(peer, Wire(address))]

    def _wanted(self) -> dict[bytes, Member]:
        """Whom we should have a link to."""
        members = self.roster.members
        others = {node: one for node, one in members.items() if node != self.node}
        if len(members) <= ALL_LINKED:
            return others
        fellows = {
            one.node: one
            for slot in self.roster.slots_of(self.node)
            for one in self.roster.held[slot]
            if one.node != self.node
        }
        number = self.me.number
        rest = sorted((one for one in others.values() if one.node not in fellows), key=lambda one: one.number)
        rest.sort(key=lambda one: mixed(one.number ^ number, 0))
        standby = FANOUT if not fellows else 0  # one without a slot has only bridges
        return fellows | {one.node: one for one in rest[: BRIDGES + standby]}

    def _meshed(self, message: Mesh, sender: Peer, now: float) -> Effects:
        if self._me is None:
            return []
        tables: list[Table] = []
        for signed in message.standing:
            standing = standing_of(signed)
            party = self._parties.get(sender)
            place = self.registrar.place(party.name if party else "", standing.listening)
            table = self.atlas.covering(place)
            tables += [table] if table is not None and self.found else []
        reply = Meshed(standing=(self._own(),), tables=tuple(tables), heads=self.heads, request=message.request)
        return [Send(sender, reply)]

    def _met(
        self,
        standing: tuple[SignedStanding, ...],
        sender: Peer,
        now: float,
        *,
        ours: bool,
        dialled: Address | None = None,
    ) -> Effects:
        """Somebody is a supernode, and linked to us; ``dialled``: where we found it."""
        party = self._parties.get(sender)
        if not standing or party is None or standing[0].key != party.key:
            return [Unlink(sender, "no supernode")] if ours else []
        member = self.registrar.opened(standing[0], now + self.wall)
        if member.node == self.node:
            return [Unlink(sender, "this is ourselves")] if ours else []
        if member.slot == GOING:
            return []
        self.cache.succeeded(member.address, now + self.wall)
        out = self._linked(member, sender, ours=ours)
        self._failed.pop(member.address, None)
        self._doubts.pop(member.node, None)
        covered = self.roster.prefix.covers(member.place)
        if dialled == member.address:
            self._prove(member, now)
        tidings = self._take(member, now)
        if tidings is not None:
            out += tidings
            self._spread(now, (member.signed,))
        if not covered:
            self._look_at_sibling(member, now)
        link = self._links.get(sender)
        if link is not None and covered:
            if ours or member.node in self.roster.gone:
                out += self._tell_summary(sender, link, now)
            if not self.found and member.depth <= self.roster.prefix.depth:
                self._soon(Timer.PLACE, now + LOOK_SOON)
        self._soon(Timer.LOOK, now + LOOK_SOON)
        return out

    def _linked(self, member: Member, peer: Peer, *, ours: bool) -> Effects:
        """Note a link.  Of two between the same pair that stays which the lower id began; its owner ends the other."""
        old = self._by_node.get(member.node)
        link = self._links.get(peer)
        if link is None:
            self._links[peer] = _Link(member.node, ours)
        if old is None or old == peer:
            self._by_node[member.node] = peer
            return []
        keep_new = ours == (self.node < member.node)
        kept, other = (peer, old) if keep_new else (old, peer)
        self._by_node[member.node] = kept
        if self.node < member.node:
            self._links.pop(other, None)
            return [Unlink(other, "one link is enough")]
        return []

    def _unlinked(self, peer: Peer) -> bytes | None:
        """Forget a link; the node that was reached by it, if there is no other one to it."""
        link = self._links.pop(peer, None)
        if link is None or self._by_node.get(link.node) != peer:
            return None
        del self._by_node[link.node]
        return link.node

    # --- what happens in the block

    def _take(self, member: Member, now: float) -> Effects | None:
        """Put a standing in the roster; None when it is not new."""
        known = member.node in self.roster.members
        named = not member.trusted and member.address in self.registrar.vouched
        if named and self._proved.get(member.node) == member.address:
            member, named = replace(member, trusted=True), False
        if not self.roster.add(member):
            return None
        self._doubts.pop(member.node, None)
        self._changed = True
        self._soon(Timer.PLACE, now + PLACE_EVERY)
        if member.slot == GOING:
            return [MemberGone(member.address)]
        out: Effects = self._doubt(member.node, now, proves=True) if named else []
        if known:
            return out
        others = [node for node in self._listening_at(member.address) if node != member.node]
        return [*out, MemberMet(member.address), *self._doubt_all(others, now)]

    def _prove(self, member: Member, now: float) -> None:
        """A supernode answers where the network's description says that there is one."""
        if member.address not in self.registrar.vouched:
            return
        if len(self._proved) >= 2 * MAX_MEMBERS:
            self._proved = {node: at for node, at in self._proved.items() if node in self.roster.members}
        self._proved[member.node] = member.address
        if self.roster.trust(member.node):
            self._changed = True
            self._soon(Timer.PLACE, now + LOOK_SOON)

    def _spread(self, now: float, standings: Iterable[SignedStanding] = (), gone: Iterable[Member] = ()) -> None:
        """Have news passed on: not each by itself, for where one thing happens many do."""
        for signed in standings:
            node = standing_of(signed).node
            self._fresh_news[node] = signed
            self._gone_news.pop(node, None)
        for member in gone:
            self._fresh_news.pop(member.node, None)
            self._gone_news[member.node] = member.mark
        if self._fresh_news or self._gone_news:
            self._soon(Timer.NEWS, now + NEWS_AFTER * (0.5 + self.rng.random()))

    def _pass_on(self, now: float) -> Effects:
        """Tell news to a few of those that we have links to."""
        others = list(self._by_node.values())
        chosen = self.rng.sample(others, min(FANOUT, len(others)))
        standings = tuple(self._fresh_news.values())
        buried = [(int.from_bytes(node, "big"), version) for node, version in self._gone_news.items()]
        gone = paired(buried[:MAX_GONE])
        self._fresh_news.clear()
        self._gone_news.clear()
        return [
            Send(peer, News(standings=standings[at : at + STANDINGS], gone=gone if not at else b""))
            for peer in chosen
            for at in range(0, max(1, len(standings)), STANDINGS)
        ]

    def _tell_summary(self, peer: Peer, link: _Link, now: float, *, answer: bool = False) -> Effects:
        if now < link.told_at + SUMMARY_EVERY and not answer:
            return []
        link.told_at = now
        prefix = self.roster.prefix
        members = paired((one.number, one.mark) for one in self.roster.members.values())
        gone = paired((one.number, one.mark) for one in self.roster.gone.values())
        summary = Summary(depth=prefix.depth, bits=prefix.bits, members=members, gone=gone, answer=answer)
        return [Send(peer, summary)]

    def _summarised(self, message: Summary, sender: Peer, now: float) -> Effects:
        """Give the other what it lacks; ask for what we lack."""
        theirs, gone = dict(pairs_of(message.members)), dict(pairs_of(message.gone))
        prefix = Prefix(message.depth, message.bits)
        lacking: list[SignedStanding] = []
        mine: dict[int, int] = {}
        for member in self.roster.members.values():
            mine[member.number] = member.mark
            if prefix.covers(member.place) and theirs.get(member.number, 0) < member.mark:
                lacking.append(member.signed)
        buried = {one.number: one.mark for one in self.roster.gone.values()}
        dead = [(number, at) for number, at in buried.items() if theirs.get(number, at + 1) <= at]
        out: Effects = [
            Send(sender, News(standings=tuple(lacking[at : at + STANDINGS])))
            for at in range(0, len(lacking), STANDINGS)
        ]
        if dead:
            out.append(Send(sender, News(gone=paired(dead[:MAX_GONE]))))
        if not self.found:
            self.found, self._changed = True, True
            self._soon(Timer.PLACE, now + LOOK_SOON)
        new = any(mine.get(number, buried.get(number, 0)) < version for number, version in theirs.items())
        link = self._links.get(sender)
        if new and not message.answer and link is not None:
            out += self._tell_summary(sender, link, now, answer=True)
        for number, version in gone.items():
            out += self._rumour(number, version, now)
        return out

    def _news(self, message: News, sender: Peer, now: float) -> Effects:
        out: Effects = []
        fresh: list[SignedStanding] = []
        for signed in message.standings:
            standing = standing_of(signed)
            held = self.roster.members.get(standing.node) or self.roster.gone.get(standing.node)
            if held is not None and (held.version > standing.version or held.signed.standing == signed.standing):
                continue
            member = self.registrar.opened(signed, now + self.wall)
            if member.node == self.node:  # from before we were started again
                if held is not None and held.mark < member.mark:
                    self._newest = max(self._newest, member.version)
                    self._contradict(now)
                continue
            tidings = self._take(member, now)
            if tidings is not None:
                fresh.append(signed)
                out += tidings
                self.cache.add([member.address])
        if fresh:
            self._spread(now, fresh)
        for number, version in pairs_of(message.gone):
            out += self._rumour(number, version, now)
        return out

    # --- who has gone

    def _rumour(self, number: int, mark: int, now: float) -> Effects:
        """Somebody is said to have gone."""
        node = number.to_bytes(8, "big")
        if node == self.node:
            if self._me is not None and mark >= self._me.mark:
                self._contradict(now)
            return []
        member = self.roster.members.get(node)
        said = member is not None and member.mark <= mark
        return self._doubt(node, now, rumoured=True) if said else []

    def _listening_at(self, address: Address) -> list[bytes]:
        """Members that say they listen there, ourselves not among them."""
        return [node for node, one in self.roster.members.items() if one.address == address and node != self.node]

    def _doubt_all(self, nodes: list[bytes], now: float) -> Effects:
        out: Effects = []
        for node in nodes:
            if node not in self._by_node:
                out += self._doubt(node, now)
        return out

    def _doubt(self, node: bytes, now: float, *, rumoured: bool = False, proves: bool = False) -> Effects:
        """Look whether a member is there; where others take it for gone, it hears so, and can contradict."""
        member = self.roster.members.get(node)
        if member is None or len(self._doubts) >= MAX_DOUBTS:
            return []
        if node in self._doubts:
            self._doubts[node].proves |= proves
            return []
        token = self.rng.randbytes(8)
        doubt = _Doubt(member, token, now + DOUBT_FOR, now + DOUBT_AGAIN, rumoured, proves)
        self._doubts[node] = doubt
        return [self._question(doubt)]

    def _question(self, doubt: _Doubt) -> Send:
        member = doubt.member
        where = Where(
            key=member.place.to_bytes(8, "big"),
            token=doubt.token,
            doubt=member.version if doubt.rumoured else 0,
            request=self.requests() & 0xFFFF,
        )
        return Send(Wire(member.address), where)

    def _lose(self, member: Member, now: float) -> Effects:
        """It did not answer."""
        self._proved.pop(member.node, None)
        self.cache.failed(member.address)
        if not self.roster.remove(member.node):
            return []
        self._changed = True
        self._soon(Timer.PLACE, now + PLACE_EVERY)
        out: Effects = [MemberGone(member.address)]
        peer = self._by_node.get(member.node)
        if peer is not None:
            self._unlinked(peer)
            out.append(Unlink(peer, "it does not answer"))
        self._spread(now, gone=(member,))
        return out

    def _revive(self, now: float) -> Effects:
        """Look whether one who has gone is back: after a split of the network each half takes the other for gone.

        And whether one is there whom we have no link to: all who had one may have gone with it.
        """
        self.timers[Timer.REVIVE] = now + REVIVE_EVERY * (0.8 + 0.4 * self.rng.random())
        self._turn += 1
        if self._turn % 3 == 0:
            far = [node for node in self.roster.members if node not in self._by_node and node != self.node]
            return self._doubt(self.rng.choice(far), now) if far else []
        gone = [one for one in self.roster.gone.values() if one.slot != GOING and one.node not in self._doubts]
        if not gone or len(self._doubts) >= MAX_DOUBTS:
            return []
        member, token = self.rng.choice(gone), self.rng.randbytes(8)
        doubt = self._doubts[member.node] = _Doubt(member, token, now + DOUBT_FOR, inf, rumoured=True)
        return [self._question(doubt)]

    def _beat(self, now: float) -> Effects:
        self.timers[Timer.BEAT] = now + BEAT_EVERY * (0.9 + 0.2 * self.rng.random())
        self._beats += 1
        near = {node: peer for node, peer in self._by_node.items() if node in self.roster.members}
        if self._beats % 3 and self.slot != STANDBY and len(self.roster) > ALL_LINKED:
            fellows = self.roster.seated[self.slot]
            near = {one.node: near[one.node] for one in fellows if one.node in near}
        beat = Beat(members=self.roster.digest.to_bytes(8, "big"))
        return [Send(peer, beat) for peer in near.values()]

    # --- where we belong

    def _place(self, now: float) -> Effects:
        """Look whether we sit well."""
        self.timers.pop(Timer.PLACE, None)
        if not self.found or self._me is None or self.going:
            return []
        out: Effects = []
        changed, self._changed = self._changed, False
        depth = self.roster.prefix.depth
        self._watch_size(now)
        if self._should_split(now):
            return self._split(now)
        if self._should_merge(now):
            return self._merge(now)
        if not changed:
            return out
        slot = self._best_slot(now)
        if slot != self._me.slot or self._me.depth != depth:
            self._restate(now, slot=slot)
            self._spread(now, (self._own(),))
        table = table_of(self.roster)
        self.atlas.learn(table)
        self._fresh[self.roster.prefix] = now
        self._soon(Timer.LOOK, now + LOOK_SOON)
        return [*out, Placed(self.roster.prefix, self.slot)]

    def _best_slot(self, now: float) -> int:
        """Where we should sit: where we do, unless there is no seat, or the slots have become unequal."""
        me, members = self.me, self.roster.members.values()
        depth = self.roster.prefix.depth
        seats = self.roster.seated
        if me.depth == depth and me.slot < SLOTS and me in seats[me.slot]:
            own, least = seats[me.slot], min(len(slot) for slot in seats)
            if len(own) >= least + 2 and own[-1] == me:
                if self.rng.random() < MOVE:
                    return smallest_slot(members, depth, me)
                self._changed = True
                self._soon(Timer.PLACE, now + MOVE_AGAIN)
            return me.slot
        return next_seats(members, depth).get(self.node, STANDBY)

    def _watch_size(self, now: float) -> None:
        size = self.roster.size
        self._large_since = min(self._large_since, now) if size >= SPLIT_AT else inf
        small = size < HALF and self.roster.prefix.depth > 0
        if small and self._small_since == inf:
            self._soon(Timer.TABLE, now + SIBLING_EVERY * self.rng.random())
        self._small_since = min(self._small_since, now) if small else inf
        if size >= SPLIT_AT or small:
            self._soon(Timer.PLACE, now + 10.0)

    def _should_split(self, now: float) -> bool:
        if self._gone_ahead(1) and self.roster.size >= HALF:
            return True
        if now - self._large_since < SPLIT_AFTER:
            return False
        half = Prefix.of(self.me.place, self.roster.prefix.depth + 1)
        own = sum(one.trusted and half.covers(one.place) for one in self.roster.members.values())
        return HALF <= own <= self.roster.size - HALF

    def _gone_ahead(self, step: int) -> bool:
        """Whether an eighth of the block has taken a step, of a split (1) or a merge (-1), since we took our last."""
        depth = self.roster.prefix.depth
        steps = sum(
            one.trusted and one.version >= self._stepped and (one.depth - depth) * step > 0
            for one in self.roster.members.values()
        )
        return steps >= max(3, self.roster.size // FOLLOW)

    def _split(self, now: float) -> Effects:
        """Our block parts in two; we go with the half that our place belongs to."""
        whole, members = self.roster.prefix, list(self.roster.members.values())
        mine = Prefix.of(self.me.place, whole.depth + 1)
        for half in (mine, mine.sibling):
            self.atlas.learn(first_table([one for one in members if half.covers(one.place)], whole, half))
        self.roster.shrink(mine)
        self._large_since = inf
        self._stepped = int(now + self.wall)
        slot = first_seats(self.roster.members.values(), whole, mine)[self.node]
        self._restate(now, slot=slot)
        self._spread(now, (self._own(),))
        return [Placed(mine, slot)]

    def _sibling(self) -> Prefix | None:
        prefix = self.roster.prefix
        return prefix.sibling if prefix.depth else None

    def _should_merge(self, now: float) -> bool:
        if self.roster.prefix.depth == 0:
            return False
        if self._gone_ahead(-1) and now + self.wall > self._stepped + STEP_PAUSE:
            return True
        if now - self._small_since < MERGE_AFTER:
            return False
        return 0 < self._sibling_size <= MERGED - self.roster.size

    def _merge(self, now: float) -> Effects:
        """We go together with the sibling block."""
        sibling, whole = self.roster.prefix.sibling, self.roster.prefix.parent
        table = self.atlas.covering(sibling.bits << (64 - sibling.depth))
        self.roster.shrink(whole)
        self._small_since, self._sibling_size = inf, 0
        self._stepped = int(now + self.wall)
        self._restate(now, slot=STANDBY)
        self.atlas.merged(table_of(self.roster))
        self._spread(now, (self._own(),))
        out: Effects = []
        for address in list(table.gateways)[:CONTACTS] if table else []:
            out += self._dial(address)
        return [*out, Placed(whole, STANDBY)]

    def _look_at_sibling(self, member: Member, now: float) -> None:
        """One who could be of the sibling block has taken the step; look whether the block has."""
        prefix = self.roster.prefix
        if prefix.depth and member.depth == prefix.depth - 1 and prefix.parent.covers(member.place):
            self._fresh[prefix.sibling] = -inf
            self._soon(Timer.TABLE, now)

    # --- the other blocks

    def _learn(self, table: Table, now: float) -> None:
        """Somebody tells of a block; perhaps of ours, which a newcomer does not know."""
        prefix = prefix_of_table(table)
        if self._me is not None and prefix.covers(self._me.place):
            if not self.found and prefix.depth > self.roster.prefix.depth:
                self.roster.shrink(prefix)
                self._restate(now)
            if self.found:
                return  # of our own block we know more than anybody tells
        if self.atlas.learn(table):
            self._soon(Timer.LOOK, now + LOOK_SOON)

    def _told_of(self, asked: _Asked, message: Here, now: float) -> Effects:
        """The answer to a question for another block's table."""
        prefix = asked.prefix
        self._fresh[prefix] = now
        for table in message.tables:
            if table.depth < prefix.depth and asked.of_its_own:
                self.atlas.forget(prefix)
                self._soon(Timer.ATLAS, now + ATLAS_SOON * self.rng.random())
                if prefix == self._sibling() and table.depth == prefix.depth - 1:
                    return self._merge(now)
            self._learn(table, now)
        if prefix == self._sibling() and asked.of_its_own:
            self._sibling_size = message.members
        return []

    def _ask_atlas(self, now: float) -> Effects:
        """Ask one of our own for the blocks that we do not know: a newcomer knows one, and one may have been lost."""
        pause = ATLAS_EVERY if len(self.atlas) else ATLAS_SOON
        self.timers[Timer.ATLAS] = now + pause * (0.8 + 0.4 * self.rng.random())
        if not self._by_node:
            return []
        self._atlas_request = self.requests() & 0xFFFF
        peer = self.rng.choice(list(self._by_node.values()))
        return [Send(peer, AtlasAsked(known=self.atlas.known(), request=self._atlas_request))]

    def _refresh(self, now: float) -> Effects:
        """Ask for the table of another block, the one that was asked for the longest ago."""
        tables = len(self.atlas)
        small = self._small_since < inf  # whether the sibling has room for us, we want to know in time
        pause = max(TABLES_AT_ONCE, SIBLING_EVERY if small else TABLE_EVERY / max(1, tables))
        self.timers[Timer.TABLE] = now + pause * (0.8 + 0.4 * self.rng.random())
        silent = None
        if self._asked is not None and self._asked.until <= now:
            silent = self._asked.prefix
            self._fresh[silent] = now - TABLE_EVERY / 2  # it did not answer: another of them will, soon
            self._asked = None
        if tables < 2 or self._asked is not None:
            return []
        self._fresh = {prefix: at for prefix, at in self._fresh.items() if prefix in self.atlas}
        own, oldest = self.roster.prefix, None
        for table in self.atlas.tables():
            prefix = prefix_of_table(table)
            if prefix != own and (oldest is None or self._fresh.get(prefix, -inf) < self._fresh.get(oldest[0], -inf)):
                oldest = prefix, table
        if oldest is None:
            return []
        prefix, table = oldest
        if prefix == self._sibling() and small:
            self._fresh[prefix] = -inf
        elif now - self._fresh.get(prefix, -inf) < TABLE_EVERY / 2:
            return []
        chosen = self.rng.choice(table.gateways)
        if silent == prefix:  # all whom the table names may have gone: somebody else knows a newer one
            chosen = next(iter(self.cache.best(1, self.rng)), chosen)
        token = self.rng.randbytes(8)
        self._asked = _Asked(token, prefix, now + ASK_FOR, chosen in table.gateways)
        key = (prefix.bits << (64 - prefix.depth)).to_bytes(8, "big")
        where = Where(key=key, token=token, padding=PADDING, request=self.requests() & 0xFFFF)
        return [Send(Wire(chosen), where)]
