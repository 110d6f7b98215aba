"""What a supernode does: take nodes in, keep records, answer searches, know its block.

clients        the nodes that are attached to it
block          the supernodes beside it, and the map of the others
keeper         the records, and those on their way
inquiries      what it asks others for its nodes
whitepages     what it answers to who searches by words
browses        what it searches by words itself, for its nodes that cannot
watches        who is told when a record that it holds changes its state
watchdesk      whom it watches for its nodes
need           whether the block has too few supernodes, or too many
retirement     how it lays its duties down

node            supernode                        holder of the slot
  | Search ------> | --- Search (open) -----------> |   only where it does not hold the key
  |                | <-- Found -------------------- |
  | <------ Found  |

node            supernode                        third node
  | ReachAsked --> | --- ReachPassed -------------> |   a supernode, or a node of ours, that says Reached to the node
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from math import inf
from random import Random

from halloo.base.address import Address, Peer, Route, Wire
from halloo.base.effects import Send, Unlink
from halloo.base.errors import PeerError, UsageError
from halloo.base.machine import Effects, Event, Message, Numbers
from halloo.messages.block import (
    PADDING,
    Alive,
    Beat,
    Compare,
    Differs,
    Here,
    Mesh,
    Meshed,
    News,
    Replicate,
    Replicated,
    Summary,
    Wanted,
    Where,
    mark_of,
    pairs_of,
)
from halloo.messages.credential import Entry, Notary, Party, Record, renewed
from halloo.messages.directory import (
    TABLES,
    AtlasAsked,
    AtlasTold,
    Found,
    Keep,
    Kept,
    Refresh,
    Search,
    Store,
    Stored,
)
from halloo.messages.log import SignedHead
from halloo.messages.overlay import Attach, Leave, Ping
from halloo.messages.presence import Noticed, NoticeHeard, Unseen, Unwatch, Watch, Watched
from halloo.messages.role import ReachAnswer, ReachAsked, ReachPassed
from halloo.messages.whitepages import FOUND_AT_ONCE, WordSearch, WordsFound
from halloo.overlay.block import Block
from halloo.overlay.browse import Browsed, Browses
from halloo.overlay.clients import Clients
from halloo.overlay.directory import Directory
from halloo.overlay.hostcache import HostCache
from halloo.overlay.inquiry import Inquiries, Learnt
from halloo.overlay.keeper import Keeper
from halloo.overlay.membership import MemberMet
from halloo.overlay.need import chance, surplus
from halloo.overlay.placement import Placed
from halloo.overlay.retirement import Retirement
from halloo.overlay.roster import Registrar
from halloo.overlay.slots import Key, key_of
from halloo.overlay.stance import Load
from halloo.overlay.watchdesk import WatchDesk
from halloo.overlay.watches import Watches
from halloo.overlay.whitepages import WhitePages

__all__ = ["RecordKept", "Supernode"]

MAX_ASKED = 1_024  # searches passed on at once; who comes beyond them hears at once that not all were heard
ATLAS_MESSAGES = (
    64  # messages of an answer to who asks for the atlas: 512 blocks, 50,000 supernodes; the rest comes next time
)
OTHERS = 4  # holders told to who finds nothing
LOOK_EVERY = 2.0  # seconds between looks at our load and the block's need
STEPS = 8  # of our room: a load is told when it has changed by one of them
LINE_STEP = 15.0  # seconds by which the length of our line is told
TELL_AFTER = 10.0  # seconds, at least, between two tellings of our load
PASSED = 2  # supernodes, and nodes of ours, that are asked to reach a node: it may have written to all supernodes
PASS_EVERY = 20.0  # seconds, at least, between two such questions of one node
TOLD_UNSEEN = 2  # holders that are told when one of our nodes is lost: each tells the others
MAX_PASSING = 1_024  # nodes remembered for that


@dataclass(frozen=True, slots=True)
class RecordKept(Event):
    """A node of ours published its record; it holds."""

    entry: Entry


@dataclass(slots=True)
class _Asked:
    """A search passed on, and for whom."""

    peer: Peer
    request: int


@dataclass(frozen=True, slots=True)
class _Browsing:
    """A search by words for one of our nodes."""

    peer: Peer
    token: bytes


@dataclass(slots=True)
class Supernode:
    """The duties of one supernode."""

    node: bytes
    listening: Address
    notary: Notary
    digest: Callable[[bytes], bytes]
    registrar: Registrar
    cache: HostCache
    rng: Random
    peers: Numbers
    requests: Numbers
    wall: float
    max_clients: int = 800
    block: Block = field(init=False)
    keeper: Keeper = field(init=False)
    clients: Clients = field(init=False)
    inquiries: Inquiries = field(init=False)
    whitepages: WhitePages = field(init=False)
    browses: Browses = field(init=False)
    watches: Watches = field(init=False)
    watchdesk: WatchDesk = field(init=False)
    _shown: dict[Peer, Key] = field(default_factory=dict)
    """Which of our nodes let somebody watch them, and the keys of their records."""
    _stored: dict[Peer, Entry] = field(default_factory=dict)
    """The records that our nodes have given us, with their latest signs of life."""
    _browsing: dict[int, _Browsing] = field(default_factory=dict)
    retirement: Retirement = field(init=False)
    look_at: float = inf
    """When the load is looked at next."""
    _told_at: float = -inf
    _passed: dict[Peer, float] = field(default_factory=dict)
    """For whom third nodes were asked, and when last."""
    _parties: dict[Peer, Party] = field(default_factory=dict)
    _asked: dict[int, _Asked] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.block = Block(
            self.node, self.listening, self.registrar, self.cache, self.rng, self.peers, self.requests, self.wall
        )
        self.keeper = Keeper(self.block, self.notary, self.digest, self.rng, self.requests, self.wall)
        self.clients = Clients(self.node, self.digest, self.block.known, self._heads, self.max_clients)
        self.inquiries = Inquiries(self.notary, self.digest, self.rng, self.requests, self.wall)
        directory, holds = self.keeper.directory, self.keeper.holds
        self.whitepages = WhitePages(self.block, directory, holds, self.digest, self.rng, self.wall)
        atlas, own = self.block.atlas, self.whitepages.answer
        self.browses = Browses(
            self.notary, self.digest, atlas, self.rng, self.requests, self.wall, self.listening, own
        )
        candidates, numbers = self.keeper.candidates, self.requests
        self.watches = Watches(
            self.block, directory, holds, candidates, self.digest, self.rng, numbers, self.wall
        )
        self.watchdesk = WatchDesk(
            self.block, self.notary, self.digest, holds, candidates, self.listening, self.rng, numbers, self.wall
        )
        self.retirement = Retirement(self.block, self.clients, self.keeper)

    @property
    def wake_at(self) -> float:
        """When ``wake`` has something to do."""
        machines = min(self.block.wake_at, self.keeper.wake_at, self.inquiries.wake_at, self.browses.wake_at)
        machines = min(machines, self.watches.wake_at, self.watchdesk.wake_at)
        return min(machines, self.look_at, self.retirement.wake_at)

    @property
    def surplus(self) -> int:
        """How many supernodes our block could do without."""
        return surplus(self.block.roster.members.values())

    @property
    def directory(self) -> Directory:
        """The records held here."""
        return self.keeper.directory

    @property
    def head(self) -> SignedHead | None:
        """The newest head of the login servers' log, for nodes to compare."""
        return self.block.heads[0] if self.block.heads else None

    @head.setter
    def head(self, head: SignedHead | None) -> None:
        self.block.heads = () if head is None else (head,)

    # --- intents and links

    def begin(self, now: float, since: int = 0) -> Effects:
        """Take up the duties; ``since``: the wall-clock second from which they count (0: this one)."""
        self.block.stance.load = self._load(now)
        self.look_at = now + LOOK_EVERY * (0.5 + self.rng.random() / 2)
        return self._follow(self.block.begin(now, since) + self.keeper.begin(now), now)

    def retire(self, now: float) -> Effects:
        """Begin to lay the duties down, without harm to anybody."""
        return self._follow(self.retirement.begin(now), now)

    def stay(self, now: float) -> None:
        """Take them up again."""
        self.retirement.end(now)

    def shed(self, now: float) -> Effects:
        """Ask one of our nodes, the newest that was not asked yet, to move: we have more than we can bear."""
        return self._follow(self.retirement.shed(now), now)

    def leave(self, now: float) -> Effects:
        """Lay them down, with a goodbye."""
        return self.block.leave(now)

    def up(self, peer: Peer, party: Party, now: float) -> Effects:
        """A link stands, ours or theirs."""
        self._parties[peer] = party
        return self.block.up(peer, party, now)

    def down(self, peer: Peer, reason: str, now: float) -> Effects:
        """A link ended."""
        self._parties.pop(peer, None)
        self._stored.pop(peer, None)
        for number in [number for number, one in self._browsing.items() if one.peer == peer]:
            self.browses.drop(number)
            del self._browsing[number]
        self._passed.pop(peer, None)
        if peer in self.block.links.values():
            self.clients.fellow(peer)
        self.watchdesk.down(peer)
        out = self._lost_sight(peer, now)
        return self._follow(out + self.block.down(peer, reason, now) + self.clients.down(peer, now), now)

    def call_back(self) -> Effects:
        """Some credentials were revoked: keep no records under them, and no links."""
        revoked = self.notary.revoked
        for entry in self.directory.all():
            if revoked(entry.claims):
                self.directory.forget(entry)
        gone = [peer for peer, party in self._parties.items() if party.claims is not None and revoked(party.claims)]
        return [Unlink(peer, "this login was revoked; log in again") for peer in gone]

    # --- what is heard

    def receive(self, message: Message, sender: Peer, route: Route | None, now: float) -> Effects:
        """A message of a node or of another supernode; ``route`` is how we see it.  Raises PeerError."""
        match message:
            case Attach():
                return self.clients.attach(message, sender, self._parties.get(sender), route, now)
            case Ping():
                return self.clients.pinged(message, sender, route)
            case Leave():
                return self.clients.left(message, sender)
            case Store():
                return self._store(message, sender, now)
            case Refresh():
                return self._refresh(message, sender, now)
            case Search():
                return self._search(message, sender, now)
            case WordSearch():
                return self._browse(message, sender, now)
            case AtlasAsked():
                return self._tell_atlas(message, sender)
            case Watch() | Unwatch():
                return self._watch(message, sender, now)
            case Unseen():
                return self._follow(self.watches.unseen(message, sender, now), now)
            case ReachAsked():
                return self._pass_on(message, sender, route, now)
            case Mesh() | Meshed() | Beat() | Summary() | News() | AtlasTold():
                return self._follow(self.block.receive(message, sender, now), now)
            case Replicate() | Replicated() | Alive() | Compare() | Differs() | Wanted():
                if sender not in self.block.links.values():
                    raise PeerError("records from somebody who is not known as a supernode")
                return self._follow(self.keeper.receive(message, sender, now), now)
        return []

    def heard(self, message: Message, route: Route, now: float) -> Effects:
        """A message in the open."""
        if not self.block.begun:
            return []
        match message:
            case Search():
                return [Send(route, self._found_here(message, now))]
            case WordSearch() if isinstance(route, Wire):
                answer = self.whitepages.asked(message, route.address, now)
                return [Send(route, answer)] if answer is not None else []
            case Keep():
                return self._follow(self.keeper.keep(message, route, now), now)
            case Refresh():
                return self.keeper.refresh(message, route, now)
            case Where():
                here, out = self.block.asked(message, now)
                return [Send(route, here), *self._follow(out, now)]
        if not isinstance(route, Wire):
            return []
        match message:
            case Found():
                return self._follow(self.inquiries.receive(message, route.address, now), now)
            case WordsFound():
                return self._follow(self.browses.answered(message, route.address, now), now)
            case Watch():
                return self._follow(self.watches.asked(message, route.address, now), now)
            case Watched():
                return self._follow(self.watchdesk.answered(message, route.address, now), now)
            case Noticed():
                return self._follow(self.watchdesk.noticed(message, route.address, now), now)
            case NoticeHeard():
                self.watches.heard(message, route.address, now)
            case Unseen():
                return self._follow(self.watches.unseen(message, route.address, now), now)
            case Kept():
                return self._follow(self.keeper.kept(message, route.address, now), now)
            case Here():
                return self._follow(self.block.answered(message, route.address, now), now)
        return []

    def wake(self, now: float) -> Effects:
        """Do what is due."""
        out: Effects = []
        watching = self.watches, self.watchdesk
        for machine in (self.block, self.keeper, self.inquiries, self.browses, self.retirement, *watching):
            if machine.wake_at <= now:
                out += machine.wake(now)
        if self.look_at <= now:
            self._look(now)
        return self._follow(out, now)

    # --- load and need

    def _load(self, now: float) -> Load:
        clients = self.clients
        line = clients.admission.backlog(now) if clients.admission is not None else 0.0
        return Load(clients.room, len(clients), clients.ready, clients.refused(now), int(line // LINE_STEP * LINE_STEP))

    def _look(self, now: float) -> None:
        """Tell the others of our load where it has changed; tell our nodes how much they are needed."""
        self.look_at = now + LOOK_EVERY
        load, told = self._load(now), self.block.stance.load
        step = max(1, self.clients.most // STEPS)
        changed = abs(load.room - told.room) >= step or abs(load.clients - told.clients) >= step
        changed |= load.refused > 2 * told.refused or load.refused < told.refused // 2
        changed |= load.ready > 2 * told.ready or load.ready < (told.ready + 1) // 2
        changed |= load.line > 2 * told.line or load.line < told.line // 2
        changed |= bool(load.room) != bool(told.room)
        if changed and now >= self._told_at + TELL_AFTER:
            self._told_at = now
            self.block.bear(load, now)
        self.clients.wanted = chance(self.block.roster.members.values()) if self.block.found else 0

    def _pass_on(self, message: ReachAsked, sender: Peer, route: Route | None, now: float) -> Effects:
        """Have others look whether a node is reached where we see it: nobody names an address but his own."""
        answer = ReachAnswer(request=message.request)
        known = sender in self.clients or sender in self.block.links.values()
        if not known or not isinstance(route, Wire) or now < self._passed.get(sender, -inf) + PASS_EVERY:
            return [Send(sender, answer)]
        if len(self._passed) >= MAX_PASSING:
            del self._passed[next(iter(self._passed))]
        self._passed.pop(sender, None)
        self._passed[sender] = now
        fellows = [] if message.serving else [peer for peer in self.block.links.values() if peer != sender]
        nodes = [peer for peer in self.clients.by_datagrams() if peer != sender and peer not in fellows]
        chosen = [peer for some in (fellows, nodes) for peer in self.rng.sample(some, min(PASSED, len(some)))]
        passed: Effects = [Send(peer, ReachPassed(token=message.token, observed=route.address)) for peer in chosen]
        answer = ReachAnswer(passed=len(chosen), observed=route.address, request=message.request)
        return [*passed, Send(sender, answer)]

    # --- the directory

    def _store(self, message: Store, sender: Peer, now: float) -> Effects:
        if not message.record:
            return [Send(sender, Stored(copies=0, reason="no record in it", request=message.request))]
        try:
            entry = self.notary.record(message.record[0], now + self.wall)
        except PeerError as fault:
            return [Send(sender, Stored(copies=0, reason=str(fault)[:200], request=message.request))]
        party = self._parties.get(sender)
        if party is None or party.name != entry.name:
            reason = "a record is stored only by its owner"
            return [Send(sender, Stored(copies=0, reason=reason, request=message.request))]
        if entry.listing.watch and entry.listing.state:
            self._shown[sender] = key_of(self.digest, entry.name)
        else:
            self._shown.pop(sender, None)
        self._stored[sender] = entry
        return [RecordKept(entry), *self._follow(self.keeper.write(entry, sender, message.request, now), now)]

    def _refresh(self, message: Refresh, sender: Peer, now: float) -> Effects:
        """One of our nodes shows that it is there, and that what it has stored is true."""
        wall, entry, request = now + self.wall, self._stored.get(sender), message.request
        later = renewed(entry, message.pulse, self.digest, wall) if entry is not None else None
        if later is None:
            return [Send(sender, Stored(copies=0, reason="the whole record is needed", request=request))]
        try:
            self.notary.stands(later.claims, wall)
        except PeerError as fault:
            return [Send(sender, Stored(copies=0, reason=str(fault)[:200], request=request))]
        self._stored[sender] = later
        return self._follow(self.keeper.renew(later, sender, request, now), now)

    def _search(self, message: Search, sender: Peer, now: float) -> Effects:
        if sender in self.block.links.values():
            self.clients.fellow(sender)
        self.clients.guest(sender, now)
        found = self._found_here(message, now)
        if found.records or not message.ask_others:
            return [Send(sender, found)]
        if len(self._asked) >= MAX_ASKED or self.inquiries.full:
            return [Send(sender, Found(complete=False, request=message.request))]
        key = int.from_bytes(message.key, "big")
        candidates = self.keeper.candidates(key)
        if not candidates:
            return [Send(sender, found)]
        self.rng.shuffle(candidates)
        knowing = self.block.atlas.knowing(key)
        self.rng.shuffle(knowing)
        candidates += [one for one in knowing if one not in candidates and one != self.listening]
        number, out = self.inquiries.ask(key, candidates, now)
        self._asked[number] = _Asked(sender, message.request)
        return self._follow(out, now)

    def _browse(self, message: WordSearch, sender: Peer, now: float) -> Effects:
        """Search by words for one of our nodes that cannot do it itself; it has one such search at a time."""
        if sender not in self.clients:
            raise PeerError("a search by words from somebody who is not one of our nodes")
        for number, browsing in list(self._browsing.items()):
            if browsing.peer != sender:
                continue
            if browsing.token == message.token:
                return self._follow(self.browses.more(number, now), now)
            self.browses.drop(number)
            del self._browsing[number]
        try:
            number, out = self.browses.find(message.words, message.email, now)
        except UsageError:
            return [Send(sender, WordsFound(blocks=1, token=message.token, request=message.request))]  # 0 of 1
        self._browsing[number] = _Browsing(sender, message.token)
        return self._follow(out, now)

    def _browsed(self, page: Browsed) -> Effects:
        """A page, to whom it is for; to ourselves, if to nobody else."""
        browsing = self._browsing.get(page.number)
        if browsing is None:
            return [page]
        if not page.more:
            del self._browsing[page.number]
        records = [entry.record for entry in page.entries]
        parts = [tuple(records[at : at + FOUND_AT_ONCE]) for at in range(0, len(records), FOUND_AT_ONCE)]
        out: Effects = [Send(browsing.peer, WordsFound(records=part, token=browsing.token)) for part in parts]
        blocks = max(1, page.blocks)
        last = WordsFound(more=page.more, searched=page.searched, blocks=blocks, token=browsing.token)
        return [*out, Send(browsing.peer, last)]

    def _found_here(self, message: Search, now: float) -> Found:
        """What we hold ourselves."""
        key = int.from_bytes(message.key, "big")
        entry = self.directory.find(key, now + self.wall)
        open_to = len(message.padding) >= len(PADDING) or message.token == bytes(8)
        if entry is not None and open_to:
            return Found(records=(entry.record,), complete=True, token=message.token, request=message.request)
        holds = self.block.found and self.keeper.holds(key)
        others = self.keeper.candidates(key)
        others = self.rng.sample(others, min(OTHERS, len(others))) if open_to else []
        return Found(complete=holds, others=tuple(others), token=message.token, request=message.request)

    def _learnt(self, learnt: Learnt, now: float) -> Effects:
        asked = self._asked.pop(learnt.number, None)
        if asked is None:
            return []
        records: tuple[Record, ...] = ()
        if learnt.entry is not None:
            records = (learnt.entry.record,)
            if self.keeper.holds(learnt.key):
                self.directory.store(learnt.entry, now + self.wall)
        return [Send(asked.peer, Found(records=records, complete=learnt.complete, request=asked.request))]

    def _watch(self, message: Watch | Unwatch, sender: Peer, now: float) -> Effects:
        """One of our nodes watches somebody, or does so no longer."""
        if sender not in self.clients:
            raise PeerError("a watch from somebody who is not one of our nodes")
        if isinstance(message, Watch):
            return self._follow(self.watchdesk.wished(message, sender, now), now)
        self.watchdesk.unwished(message, sender)
        return []

    def _lost_sight(self, peer: Peer, now: float) -> Effects:
        """A node of ours went without a goodbye: those who hold its record hear that it may be off line."""
        key = self._shown.pop(peer, None)
        if key is None or peer not in self.clients:
            return []
        unseen = Unseen(key=key.to_bytes(8, "big"), at=int(now + self.wall))
        holders = self.keeper.candidates(key)
        chosen = self.rng.sample(holders, min(TOLD_UNSEEN, len(holders)))
        own = [self.listening] if self.keeper.holds(key) else []
        return [Send(Wire(address), unseen) for address in [*own, *chosen]]

    def _tell_atlas(self, message: AtlasAsked, sender: Peer) -> Effects:
        known = dict(pairs_of(message.known))
        new = [
            table for table in self.block.atlas.tables() if known.get(table.depth << 32 | table.bits) != mark_of(table)
        ]
        new.sort(key=lambda table: table.depth)  # a larger block ends its halves for who hears of it: they come later
        del new[ATLAS_MESSAGES * TABLES :]
        parts = max(1, (len(new) + TABLES - 1) // TABLES)
        return [
            Send(
                sender,
                AtlasTold(tables=tuple(new[TABLES * at : TABLES * at + TABLES]), parts=parts, request=message.request),
            )
            for at in range(parts)
        ]

    # --- inside

    def _heads(self) -> tuple[SignedHead, ...]:
        return self.block.heads

    def _follow(self, effects: Effects, now: float) -> Effects:
        """What an event of one part means for another."""
        out: Effects = []
        for effect in effects:
            match effect:
                case Placed():
                    out += [effect, *self.keeper.placed(now)]
                    self.watchdesk.placed(now)
                case Send() if isinstance(effect.to, Wire) and effect.to.address == self.listening:
                    if isinstance(effect.message, Watch | Watched | Noticed | NoticeHeard | Unseen):
                        out += self.heard(effect.message, effect.to, now)  # we hold what our own node watches
                    else:
                        out.append(effect)
                case MemberMet():
                    self.clients.meet(effect.address)
                    out.append(effect)
                case Learnt():
                    out += self._learnt(effect, now)
                case Browsed():
                    out += self._browsed(effect)
                case _:
                    out.append(effect)
        if self.directory.fresh:
            self.watches.look(now)
        return out
