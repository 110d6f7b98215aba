"""The mind of a node: every sentence goes to the one machine that speaks it, every event to whom it concerns.

The tables at the end of the class are the whole of its knowledge of who talks to whom; the machines are strangers to
each other.  A supernode is a node with two more machines; an ordinary node one with a way into the network.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from math import inf
from random import Random
from typing import Any, ClassVar

from halloo.base.address import Address, Channel, Peer, Route, Wire
from halloo.base.effects import Accept, Release, Send, Unlink
from halloo.base.errors import PeerError
from halloo.base.machine import Effects, Event, Message, Numbers
from halloo.call.call import Answered, Ended
from halloo.link.notice import Carried, Down, Heard, Moved, Notice, Observed, SoundHeard, Ticketed, Up
from halloo.link.persona import Persona
from halloo.login.auditor import Audited, Memory
from halloo.login.renewal import Renewed
from halloo.login.watch import HeadSeen, KeysRevoked
from halloo.media.stream import SoundStream
from halloo.messages import block, call, directory, log, overlay, path, presence, role, whitepages
from halloo.messages import login as letters
from halloo.messages.credential import Party, credential_of
from halloo.node.buddies import Buddies, KeptPresence
from halloo.node.descriptor import Descriptor
from halloo.node.papers import Papers
from halloo.node.parts import EVERY, Part, Parts
from halloo.node.roles import Roles, Served, make_supernode
from halloo.node.switchboard import Switchboard
from halloo.overlay.admission import Pace
from halloo.overlay.browse import Browses
from halloo.overlay.confirm import Confirmation, Doubted, Pretended
from halloo.overlay.elsewhere import Elsewhere
from halloo.overlay.hostcache import HostCache
from halloo.overlay.inquiry import Learnt
from halloo.overlay.join import Join, Joined, Lost, Shifted
from halloo.overlay.promotion import Called, Dismissed, Lending
from halloo.overlay.publish import Published, Publisher
from halloo.overlay.retirement import Retired
from halloo.overlay.search import SearchDone, Searches
from halloo.overlay.supernode import RecordKept, Supernode
from halloo.overlay.watching import BuddySeen
from halloo.path.relayer import Relayer

__all__ = ["Node", "NodeSetup"]

MAX_OFFERS = 32  # channels that relays may have offered us at once


@dataclass(slots=True)
class NodeSetup:
    """What a node is born with.  ``reachable``: where it believes to listen, as others would write it."""

    descriptor: Descriptor
    persona: Persona
    cache: HostCache
    reachable: tuple[Address, ...]
    sound: Callable[[], SoundStream]
    rng: Random
    wall: float
    supernode: bool = False
    max_clients: int = 800
    pace: Pace | None = field(default_factory=Pace)
    """How fast a supernode takes others in; None: as fast as they come."""
    has_proxy: bool = False
    """Whether an HTTP proxy can make TCP connections for this machine."""
    max_relayed: float = inf
    """Bytes a second that a supernode passes on for others."""
    memory: Memory = field(default_factory=Memory)
    """What earlier audits of the own name have seen."""
    lending: Lending = field(default_factory=Lending)
    """What the owner of an ordinary node lends to others, should they need it."""
    served: Served | None = None
    """As what it served others until it was ended, not long ago."""
    presence: KeptPresence = field(default_factory=KeptPresence)
    """What its user shows, and whom he watches."""


class Node:
    """One node.  Its intents, like its entrances, return effects, to be carried out by its station."""

    join = Part[Join](0)
    searches = Part[Searches](1)
    _browses = Part[Browses](2)
    confirmation = Part[Confirmation](3, 1)
    publisher = Part[Publisher](4)
    buddies = Part[Buddies](5)
    papers = Part[Papers](6)
    calls = Part[Switchboard](7, 1)
    roles = Part[Roles](8)
    supernode = Part[Supernode | None](9)
    relayer = Part[Relayer | None](10)

    def __init__(self, setup: NodeSetup) -> None:
        self.parts = Parts()
        persona, rng, wall = setup.persona, setup.rng, setup.wall
        suite, profile = persona.suite, setup.descriptor.ways
        self.persona = persona
        self.id = suite.digest(persona.public)[:8]
        self.online_since: float = inf
        self.observed: Address | None = None
        """Our public address, as the supernode sees it."""
        self._reachable = setup.reachable
        self.peers, self.streams, self.requests = Numbers(), Numbers(), Numbers(rng.getrandbits(15))
        self.parties: dict[Peer, tuple[Party, Route]] = {}
        self._offers: dict[int, Channel] = {}
        port = setup.reachable[0].port if setup.reachable else 0
        setup.cache.pin(setup.descriptor.supernodes)
        self.cache = setup.cache
        peers, streams, requests = self.peers, self.streams, self.requests
        self.join = Join(
            profile.join, setup.cache, self.id, port, rng, peers, streams, requests, wall, setup.has_proxy
        )
        numbers = streams, requests
        self.papers = Papers(setup.descriptor, persona, setup.memory, numbers, rng, wall, supernode=setup.supernode)
        elsewhere = Elsewhere(persona.notary, suite.digest, setup.cache, rng, peers, streams, requests, wall)
        self.searches = Searches(persona.notary, suite.digest, rng, requests, wall, elsewhere)
        self.confirmation = Confirmation(self.searches.inquiries, elsewhere, self.searches.atlas, rng)
        self._browses = Browses(persona.notary, suite.digest, self.searches.atlas, rng, requests, wall)
        self.publisher = Publisher(
            self.id, persona.private, persona.credential, suite.identity.sign, suite.digest, rng, requests, wall
        )
        self.buddies = Buddies(self, setup)
        self.publisher.showing = self.buddies.showing
        own = persona.public, suite.digest, self.join
        self.calls = Switchboard(self.searches, peers, streams, requests, setup.sound, rng, *own)
        self.born_supernode = setup.supernode
        if setup.supernode:
            listening = setup.reachable[0] if setup.reachable else None
            self.supernode = make_supernode(self, setup, listening, setup.max_clients)
            self.relayer = Relayer(rng, setup.max_relayed)
        self.roles = Roles(self, setup)

    @property
    def browses(self) -> Browses:
        """Our searches by words."""
        return self.supernode.browses if self.supernode is not None else self._browses

    # --- the owner

    def begin(self, now: float) -> Effects:
        """Come on line: join, or take up a supernode's duties."""
        papers = self.papers.begin(now)
        self.roles.begin(now)
        if self.supernode is not None and self.born_supernode:
            self.online_since = now
            return self._react(papers + self.supernode.begin(now), now)
        return self._react(papers + self.join.begin(now), now)

    def leave(self, now: float) -> Effects:
        """Hang up and go off line, with a goodbye."""
        out: Effects = []
        for active in self.calls.active:
            out += self.calls.hang_up(active, now)
        if self.supernode is not None:
            out += self.supernode.leave(now)
        return self._react(out + self.publisher.leave(now) + self.join.leave(), now)

    def act(self, effects: Effects, now: float) -> Effects:
        """Follow up what an intent of one of the machines returned: ``act(node.calls.answer(…), now)``."""
        self.parts.touched = EVERY
        return self._react(effects, now)

    # --- the station

    @property
    def wake_at(self) -> float:
        """When ``wake`` has something to do."""
        return self.parts.wake_at

    def wake(self, now: float) -> Effects:
        """Do what is due."""
        out: Effects = []
        ready = Node.roles.seen(self).promotion.ready(now)
        if Node.join.seen(self).ready != ready:
            self.join.be_ready(now, ready=ready)
        supernode, relayer = Node.supernode.seen(self), Node.relayer.seen(self)
        if supernode is not None and relayer is not None:
            supernode.retirement.busy = relayer.channels > 0
        for part in self._woken:
            machine = self.parts.due(part.number, now)
            if machine is not None:
                self.parts.touched |= part.bits
                out += machine.wake(now)
        return self._react(out, now)

    def receive(self, notice: Notice, now: float) -> Effects:
        """What the endpoint has to tell.  A peer that breaks the rules is not answered."""
        try:
            handle = self._hear.get(type(notice))
            return self._react(handle(self, notice, now), now) if handle else []
        except PeerError:
            return []

    # --- what the endpoint tells

    def _heard(self, notice: Heard, now: float) -> Effects:
        if isinstance(notice.sender, int) and notice.sender not in self.parties:
            return []  # the last words of a link that we have ended meanwhile
        if notice.way is not None and isinstance(notice.sender, int):
            return self.calls.way_said(notice.message, Peer(notice.sender), notice.way, now)
        handle = self._speak.get(type(notice.message))
        return handle(self, notice.message, notice.sender, now) if handle else []

    def _sound(self, notice: SoundHeard, now: float) -> Effects:
        return self.calls.sound_heard(notice.peer, notice.body, notice.way, now)

    def _carried(self, notice: Carried, now: float) -> Effects:
        return self.relayer.carried(notice.token, notice.inner, notice.sender, now) if self.relayer else []

    def _up(self, notice: Up, now: float) -> Effects:
        peer, party = notice.peer, notice.party
        self.parties[peer] = party, notice.route
        if notice.inbound:
            self.roles.promotion.came(notice.route, now)
            if self.supernode is not None:
                self.supernode.clients.came(peer, resumed=notice.resumed)
        out = self.join.up(peer, now) + self.searches.up(peer, now) + self.calls.up(peer, party, now)
        out += self.buddies.up(peer, party, now)
        if self.relayer is not None:
            self.relayer.up(peer, self.persona.suite.digest(party.key)[:8])
        return out + (self.supernode.up(peer, party, now) if self.supernode else [])

    def _down(self, notice: Down, now: float) -> Effects:
        peer, reason = notice.peer, notice.reason
        self.parties.pop(peer, None)
        self.roles.down(peer)
        out = self.join.down(peer, reason, now) + self.searches.down(peer, now) + self.calls.down(peer, reason, now)
        out += self.buddies.down(peer, reason, now)
        for token in [token for token, channel in self._offers.items() if channel.hop == peer]:
            out.append(Release(self._offers.pop(token)))
        out += self.papers.down(peer)
        if self.supernode and self.relayer:
            out += self.supernode.down(peer, reason, now) + self.relayer.down(peer, now)
        return out

    def _moved(self, notice: Moved, now: float) -> Effects:
        if notice.peer in self.parties:
            self.parties[notice.peer] = self.parties[notice.peer][0], notice.route
        self.calls.moved(notice.peer, notice.route, now)
        return []

    def _ticketed(self, notice: Ticketed, now: float) -> Effects:
        return self.join.returns.ticketed(notice.peer, notice.ticket, notice.expires)

    def _observed(self, notice: Observed, now: float) -> Effects:
        if notice.port and self.observed is None:
            self.observed = Address(notice.host, notice.port)
        return []

    # --- sentences

    def _to_join(self, message: Message, sender: Any, now: float) -> Effects:
        return self.join.receive(message, sender, now)

    def _to_probe(self, message: Any, sender: Any, now: float) -> Effects:
        if isinstance(sender, int) or self.roles.promotion.probed(message, sender, now):
            return []
        out = self.join.probed(message, sender, now) + self.calls.probed(message, sender, now)
        if isinstance(message, overlay.ProbeRefuse) and self.join.peer is None and isinstance(sender, Wire):
            out += self.roles.wanted(message.wanted, sender.address, now)  # many stand in the line, and we could help
        return out

    def _to_supernode(self, message: Message, sender: Any, now: float) -> Effects:
        if self.supernode is None:
            return []
        return self.supernode.receive(message, sender, self.parties[sender][1], now)

    def _probe(self, message: Any, sender: Any, now: float) -> Effects:
        if self.supernode is None or isinstance(sender, int):
            return []
        self.roles.promotion.came(sender, now)
        return self.supernode.clients.probed(message, sender, now)

    def _to_directory(self, message: Message, sender: Any, now: float) -> Effects:
        """Questions and answers of the directory: in the open, or over a link."""
        if isinstance(sender, int):
            return self._to_supernode(message, sender, now)
        return self.supernode.heard(message, sender, now) if self.supernode is not None else []

    def _found(self, message: Any, sender: Any, now: float) -> Effects:
        if isinstance(sender, int):
            return self.searches.receive(message, Peer(sender), now)
        answered = self.searches.answered(message, sender.address, now) if isinstance(sender, Wire) else []
        return answered + self._to_directory(message, sender, now)

    def _words_found(self, message: Any, sender: Any, now: float) -> Effects:
        if isinstance(sender, int):
            return self._browses.told(message, Peer(sender), now)
        answered = self._browses.answered(message, sender.address, now) if isinstance(sender, Wire) else []
        return answered + self._to_directory(message, sender, now)

    def _atlas_told(self, message: Any, sender: Any, now: float) -> Effects:
        if sender == self.join.peer:
            return self.searches.receive(message, sender, now)
        return self._to_supernode(message, sender, now)

    def _stored(self, message: Any, sender: Any, now: float) -> Effects:
        out = self.publisher.receive(message, sender, now)
        if sender == self.join.peer:
            return out + self.papers.heads(message.heads, now) + self.papers.entry_shown(message.entry, now)
        return out + self.searches.elsewhere.stored(sender)

    def _kept(self, message: Any, sender: Any, now: float) -> Effects:
        return self.confirmation.kept(message, sender, now) + self._to_directory(message, sender, now)

    def _attached(self, message: Any, sender: Any, now: float) -> Effects:
        out = self.join.receive(message, sender, now)
        return out + (self.papers.heads(message.heads, now) if sender == self.join.peer else [])

    def _pong(self, message: Any, sender: Any, now: float) -> Effects:
        """Our address has changed under us: whoever looks us up should hear of it."""
        out = self.join.receive(message, sender, now)
        if sender == self.join.peer:
            out += self.roles.wanted(message.wanted, self.join.supernode, now)
        if message.observed is None or sender != self.join.peer:
            return out
        self.observed = message.observed
        self._seen_as(message.observed, sender)
        return out + self.publisher.publish(now)

    def _meshing(self, message: Any, sender: Any, now: float) -> Effects:
        out = self._to_supernode(message, sender, now)
        return out + (self.papers.heads(message.heads, now) if self.supernode else [])

    def _reach_passed(self, message: Any, sender: Any, now: float) -> Effects:
        return self.roles.pass_on(message, sender, now)

    def _reach_answer(self, message: Any, sender: Any, now: float) -> Effects:
        return self.roles.promotion.answered(message, sender, now)

    def _reached(self, message: Any, sender: Any, now: float) -> Effects:
        return self.roles.promotion.heard(message, sender, now)

    def _to_papers(self, message: Message, sender: Any, now: float) -> Effects:
        return self.papers.receive(message, sender, now)

    def _to_carry(self, message: Any, sender: Any, now: float) -> Effects:
        if self.supernode is None or sender not in self.supernode.clients:
            return []
        return self.papers.carry(message, sender, self.parties[sender][0].key, now)

    def _to_reach(self, message: Any, sender: Any, now: float) -> Effects:
        return self.calls.relay_said(message, sender, now) + self.buddies.relay_said(message, sender, now)

    def _relay_request(self, message: Any, sender: Any, now: float) -> Effects:
        if self.relayer is None or self.supernode is None or not self._name(sender):
            return []
        if self.roles.tight:
            return [Send(sender, path.RelayRefused(reason="no capacity is left", request=message.request))]
        callee = self.supernode.clients.link_to(message.callee) or self.relayer.link_to(message.callee)
        for guest in (sender, callee):
            self.supernode.clients.guest(guest, now)
        return self.relayer.requested(message, sender, callee, now)

    def _relay_offer(self, message: Any, sender: Any, now: float) -> Effects:
        if sender != self.join.peer and not self.calls.relays_by(sender):
            raise PeerError("a channel from somebody who is neither our supernode nor asked to relay")
        channel = Channel(sender, int.from_bytes(message.token, "big"))
        self._offers[channel.token] = channel
        out: Effects = [Accept(channel)]
        if len(self._offers) > MAX_OFFERS:
            unused = next((token for token, held in self._offers.items() if not self.calls.uses(held)), channel.token)
            out.append(Release(self._offers.pop(unused)))
        return out

    def _relay_close(self, message: Any, sender: Any, now: float) -> Effects:
        token = int.from_bytes(message.token, "big")
        out: Effects = self.calls.relay_closed(token, sender, now)
        channel = self._offers.get(token)
        if channel is not None and channel.hop == sender:
            out.append(Release(self._offers.pop(token)))
        return out + (self.relayer.closed(message, sender, now) if self.relayer else [])

    def _to_ways(self, message: Message, sender: Any, now: float) -> Effects:
        return self.calls.way_said(message, sender, None, now)

    def _invite(self, message: Any, sender: Any, now: float) -> Effects:
        party, route = self.parties[sender]
        return self.calls.invited(message, sender, party, route, now)

    def _to_call(self, message: Any, sender: Any, now: float) -> Effects:
        return self.calls.heard(message, message.call, sender, now)

    def _to_watch(self, message: Any, sender: Any, now: float) -> Effects:
        """Presence: between supernodes in the open, over a link to our supernode or from it."""
        if isinstance(sender, int) and not isinstance(message, presence.Watch | presence.Unwatch | presence.Unseen):
            return self.buddies.watching.receive(message, Peer(sender), now)
        return self._to_directory(message, sender, now)

    def _watched(self, message: Any, sender: Any, now: float) -> Effects:
        return [] if isinstance(sender, int) else self._to_directory(message, sender, now)

    def _watch_key(self, message: Any, sender: Any, now: float) -> Effects:
        return self.buddies.receive(message, sender, self.parties[sender][0], now)

    def _name(self, peer: Any) -> str:
        known = self.parties.get(peer)
        return known[0].name if known else ""

    def relays_by(self, peer: Peer) -> bool:
        """Whether a call, or a channel that was offered, passes through the node behind a link."""
        return self.calls.passes_by(peer) or any(channel.hop == peer for channel in self._offers.values())

    # --- events

    def _of_roles(self, event: Event, now: float) -> Effects:
        return self.roles.react(event, now)

    def _joined(self, event: Joined, now: float) -> Effects:
        self.online_since = now
        self.observed = event.observed or self.observed
        supernode = event.peer, event.supernode
        self._seen_as(event.observed, event.peer)
        way = self.parties[event.peer][1]
        open_to = isinstance(way, Wire) and event.peer != self.roles.loopback.peer
        out = self.calls.attached(supernode, way, now)
        out += self.searches.attached(event.peer, event.supernode, now, open_to=open_to)
        self._browses.supernode, self._browses.open_to = event.peer, open_to
        self.confirmation.attached(event.supernode, open_to=open_to, took=event.took)
        self.searches.elsewhere.attached(event.supernode, way)
        self.buddies.attached(event.peer, now)
        out += self.publisher.attached(supernode, now)
        out += self.roles.promotion.attached(event.peer, now)
        out += self.roles.joined(event.observed if isinstance(way, Wire) else None, now)
        return out + self.papers.attached(event.peer, now)

    def _seen_as(self, observed: Address | None, supernode: Peer) -> None:
        """Where others reach us: as our supernode sees us, if by datagrams, and as we see ourselves."""
        by_udp = isinstance(self.parties[supernode][1], Wire)
        seen = (observed,) if observed is not None and by_udp else ()
        self.publisher.reachable = self.calls.reachable = tuple(dict.fromkeys((*seen, *self._reachable)))

    def _lost(self, event: Lost, now: float) -> Effects:
        self.online_since = inf
        self.confirmation.attached(None, open_to=False)
        self.searches.elsewhere.attached(None, None)
        self.buddies.attached(None, now)
        gone, self._browses.supernode, self._browses.open_to = self._browses.supernode, None, False
        lost = self._browses.lost(gone, now) if gone is not None else []
        out = self.calls.attached(None, None, now) + lost
        out += self.searches.attached(None, None, now, open_to=False) + self.publisher.attached(None, now)
        out += self.roles.promotion.attached(None, now)
        return out + self.papers.attached(None, now)

    def _renewed(self, event: Renewed, now: float) -> Effects:
        self.persona.credential = self.publisher.credential = event.credential
        out = self.papers.auditor.certified(event.claims, now) if self.papers.auditor else []
        return out + self.publisher.publish(now)

    def _published(self, event: Published, now: float) -> Effects:
        record = self.publisher.record
        if event.copies and record is not None:
            name = credential_of(self.persona.credential).name
            self.confirmation.stored(name, event.version, event.seen, record, now, renewed=event.renewed)
        return []

    def _looked(self, event: Learnt | Doubted, now: float) -> Effects:
        return self.confirmation.learnt(event, now) if isinstance(event, Learnt) else self.publisher.publish(now)

    def _pretended(self, event: Pretended, now: float) -> Effects:
        return self.join.shun(now)

    def _of_papers(self, event: Event, now: float) -> Effects:
        return self.papers.react(event, self.supernode, now)

    def _searched(self, event: SearchDone, now: float) -> Effects:
        return self.calls.found(event, now) + self.buddies.found(event, now)

    def _buddy_seen(self, event: BuddySeen, now: float) -> Effects:
        return self.buddies.saw(event, now)

    def _call_event(self, event: Answered | Ended, now: float) -> Effects:
        return self.calls.react(event, now)

    def _react(self, effects: Effects, now: float) -> Effects:
        """Tell siblings what concerns them; pass everything on."""
        roles = Node.roles.seen(self)
        roles.note(effects, now)
        out: Effects = []
        for effect in effects:
            if roles.loopback.peer is not None and self._is_to_ourselves(effect):
                out += self._hand_over(effect, now)
                continue
            out.append(effect)
            if isinstance(effect, Event) and (reaction := self._reactions.get(type(effect))) is not None:
                out += self._react(reaction(self, effect, now), now)
        return out

    def _is_to_ourselves(self, effect: Any) -> bool:
        own = Node.roles.seen(self).loopback.peer
        return (isinstance(effect, Send) and effect.to == own) or (isinstance(effect, Unlink) and effect.peer == own)

    def _hand_over(self, effect: Any, now: float) -> Effects:
        """What one half of a supernode that its own user is attached to says to the other."""
        if isinstance(effect, Unlink):
            return self._react(self._down(Down(effect.peer, effect.reason), now), now)
        try:
            return self._react(self._heard(Heard(effect.message, effect.to), now), now)
        except PeerError:
            return []

    # --- the tables

    _woken: ClassVar[tuple[Part[Any], ...]] = (
        *(join, searches, _browses, confirmation, publisher, buddies, papers, calls, roles),
        *(supernode, relayer),
    )

    _hear: ClassVar[dict[type[Any], Callable[[Node, Any, float], Effects]]] = {
        Heard: _heard,
        SoundHeard: _sound,
        Carried: _carried,
        Up: _up,
        Down: _down,
        Moved: _moved,
        Observed: _observed,
        Ticketed: _ticketed,
    }

    _speak: ClassVar[dict[type[Message], Callable[[Node, Any, Any, float], Effects]]] = {
        overlay.Probe: _probe,
        overlay.ProbeAccept: _to_probe,
        overlay.ProbeRefuse: _to_probe,
        overlay.Attached: _attached,
        overlay.AttachRefused: _to_join,
        overlay.Pong: _pong,
        overlay.Attach: _to_supernode,
        overlay.Ping: _to_supernode,
        overlay.Leave: _to_supernode,
        block.Mesh: _meshing,
        block.Meshed: _meshing,
        block.Beat: _to_supernode,
        block.Summary: _to_supernode,
        block.News: _to_supernode,
        block.Compare: _to_supernode,
        block.Differs: _to_supernode,
        block.Wanted: _to_supernode,
        block.Replicate: _to_supernode,
        block.Alive: _to_supernode,
        block.Replicated: _to_supernode,
        block.Where: _to_directory,
        block.Here: _to_directory,
        directory.Search: _to_directory,
        directory.Keep: _to_directory,
        directory.Refresh: _to_directory,
        directory.Kept: _kept,
        directory.Found: _found,
        directory.Store: _to_supernode,
        directory.Stored: _stored,
        directory.AtlasAsked: _to_supernode,
        directory.AtlasTold: _atlas_told,
        whitepages.WordSearch: _to_directory,
        whitepages.WordsFound: _words_found,
        letters.LetterAnswer: _to_papers,
        letters.LetterBack: _to_papers,
        letters.CarryLetter: _to_carry,
        log.CarryQuestion: _to_carry,
        log.QuestionBack: _to_papers,
        log.LogTold: _to_papers,
        path.RelayRequest: _relay_request,
        path.RelayGranted: _to_reach,
        path.RelayRefused: _to_reach,
        path.RelayOffer: _relay_offer,
        path.RelayClose: _relay_close,
        presence.Watch: _to_watch,
        presence.Watched: _watched,
        presence.Unwatch: _to_watch,
        presence.Noticed: _to_watch,
        presence.NoticeHeard: _to_watch,
        presence.Unseen: _to_watch,
        presence.WatchKey: _watch_key,
        presence.WatchKeyKept: _watch_key,
        role.ReachAsked: _to_supernode,
        role.ReachAnswer: _reach_answer,
        role.ReachPassed: _reach_passed,
        role.Reached: _reached,
        role.Move: _to_join,
        path.WayHints: _to_ways,
        path.MeetAt: _to_ways,
        call.Invite: _invite,
        call.Ringing: _to_call,
        call.Answer: _to_call,
        call.Decline: _to_call,
        call.Bye: _to_call,
    }

    _reactions: ClassVar[dict[type[Event], Callable[[Node, Any, float], Effects]]] = {
        Joined: _joined,
        Lost: _lost,
        Renewed: _renewed,
        Audited: _of_papers,
        HeadSeen: _of_papers,
        KeysRevoked: _of_papers,
        RecordKept: _of_papers,
        SearchDone: _searched,
        BuddySeen: _buddy_seen,
        Published: _published,
        Learnt: _looked,
        Doubted: _looked,
        Pretended: _pretended,
        Called: _of_roles,
        Dismissed: _of_roles,
        Retired: _of_roles,
        Shifted: _of_roles,
        Answered: _call_event,
        Ended: _call_event,
    }
