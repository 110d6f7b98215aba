"""What a supernode does: take nodes in, keep records, answer searches, know the other supernodes.

    supernode               supernode
      | --- Mesh -------------> |   each knows all others (up to some dozens)
      | <-- Meshed ------------ |
      | --- Replicate --------> |   records of the other's slots
      | --- Search -----------> |   names it may know
      | <-- Found ------------- |
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from math import inf

from halloo.base.address import Address, Peer, Route, Wire
from halloo.base.effects import Link, Send, Unlink
from halloo.base.errors import PeerError
from halloo.base.machine import Effects, Event, Message, Numbers, Timers
from halloo.messages.credential import Entry, Notary, Party, Record
from halloo.messages.log import SignedHead
from halloo.messages.overlay import (
    Attach,
    Found,
    Leave,
    Mesh,
    Meshed,
    Ping,
    Replicate,
    Search,
    Store,
    Stored,
)
from halloo.overlay.clients import Clients
from halloo.overlay.directory import Directory
from halloo.overlay.hostcache import HostCache
from halloo.overlay.slots import SLOTS_PER_BLOCK, members, slot_of

__all__ = ["Meshing", "RecordKept", "Supernode"]

PING_EVERY = 30.0  # seconds between signs of life to other supernodes: a link that is silent for 100 s is gone
MESH_AGAIN = 15.0  # seconds between looks for supernodes we have no link to
RELAY_SEARCH = 2.0  # seconds that another supernode has for an answer
ASKED = 2  # others of the slot asked when a name is not here
MAX_ASKED = 1_024  # searches passed on at once; who comes beyond them hears at once that not all were heard
REPLICATED_AT_ONCE = 8  # records in one message
REPLICATED_IN_ALL = 2_000  # records for one who is met; the rest follows as owners publish, every quarter of an hour


class Timer(Enum):
    """What is waited for."""

    MESH = 0
    PING = 1


@dataclass(frozen=True, slots=True)
class Meshing(Event):
    """We know another supernode now."""

    address: Address


@dataclass(frozen=True, slots=True)
class RecordKept(Event):
    """A node of ours published its record; it holds."""

    entry: Entry


@dataclass(slots=True)
class _Asked:
    """A search passed on: for whom, whose answers are still out, until when."""

    peer: Peer
    request: int
    out: list[Peer]
    until: float


def _nothing_read(_: str) -> int:
    return 0


@dataclass(slots=True)
class Supernode:
    """The duties of one supernode."""

    node: bytes
    listening: Address
    notary: Notary
    digest: Callable[[bytes], bytes]
    cache: HostCache
    peers: Numbers
    requests: Numbers
    wall: float
    max_clients: int = 800
    directory: Directory = field(default_factory=Directory)
    clients: Clients = field(init=False)
    timers: Timers = field(default_factory=Timers)
    head: SignedHead | None = None
    """The newest head of the login servers' log, for nodes to compare."""
    newest_entry: Callable[[str], int] = _nothing_read
    """From a name to the number of its newest entry in that log, as far as we have read."""
    _parties: dict[Peer, Party] = field(default_factory=dict)
    _mesh: dict[bytes, Peer] = field(default_factory=dict)
    """Node id of another supernode -> the link to it that stood up last."""
    _addresses: dict[bytes, Address] = field(default_factory=dict)
    _dialling: dict[Peer, Address] = field(default_factory=dict)
    _asked: dict[int, _Asked] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.clients = Clients(self.node, self.digest, self._known, self._heads, self.max_clients)

    @property
    def wake_at(self) -> float:
        """When ``wake`` has something to do."""
        return min(self.timers.next, min((asked.until for asked in self._asked.values()), default=inf))

    @property
    def mesh(self) -> dict[bytes, Address]:
        """The supernodes we have a link to, and where they listen."""
        return {node: self._addresses[node] for node in self._mesh}

    # --- intents and links

    def begin(self, now: float) -> Effects:
        """Take up the duties."""
        self.timers[Timer.PING] = now + PING_EVERY
        return self._look_around(now)

    def up(self, peer: Peer, party: Party, now: float) -> Effects:
        """A link stands, ours or theirs."""
        self._parties[peer] = party
        if peer in self._dialling:
            return [Send(peer, self._introduction())]
        return []

    def down(self, peer: Peer, reason: str, now: float) -> Effects:
        """A link ended."""
        self._parties.pop(peer, None)
        failed = self._dialling.pop(peer, None)
        if failed is not None and failed not in self._addresses.values():
            self.cache.failed(failed)
        for node in [node for node, link in self._mesh.items() if link == peer]:
            del self._mesh[node], self._addresses[node]
            self.timers[Timer.MESH] = min(self.timers.get(Timer.MESH, inf), now + 1.0)
        return self.clients.down(peer)

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
        """A message of a node or of another supernode; ``route`` is how we see it."""
        match message:
            case Attach():
                return self.clients.attach(message, sender, self._parties.get(sender), route, now)
            case Ping():
                return self.clients.pinged(message, sender, route)
            case Leave():
                return self.clients.left(message, sender)
            case Store():
                return self._store(message, sender, now)
            case Search():
                return self._search(message, sender, now)
            case Found():
                return self._found(message, sender, now)
            case Replicate():
                for record in message.records:
                    self._keep(record, now)
            case Mesh():
                meshed = Meshed(
                    node=self.node,
                    listening=self.listening,
                    supernodes=self._known(),
                    heads=self._heads(),
                    request=message.request,
                )
                return [Send(sender, meshed), *self._met(message, sender, now)]
            case Meshed():
                self._dialling.pop(sender, None)
                return self._met(message, sender, now)
        return []

    def wake(self, now: float) -> Effects:
        """Look for supernodes we have no link to; answer searches that others did not."""
        out: Effects = []
        due = self.timers.due(now)
        if Timer.MESH in due:
            out += self._look_around(now)
        if Timer.PING in due:
            self.timers[Timer.PING] = now + PING_EVERY
            out += [Send(peer, Ping(request=self.requests() & 0xFFFF)) for peer in self._mesh.values()]
        for request in [request for request, asked in self._asked.items() if asked.until <= now]:
            asked = self._asked.pop(request)
            out.append(Send(asked.peer, Found(complete=False, request=asked.request)))
        return out

    # --- the directory

    def _keep(self, record: Record, now: float) -> Entry | None:
        """Open a record and keep it; None when it is not true.  An older one than ours changes nothing."""
        try:
            entry = self.notary.record(record, now + self.wall)
        except PeerError:
            return None
        self.directory.store(entry, now + self.wall)
        return entry

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
        self.directory.store(entry, now + self.wall)
        others = self._others_of(entry.name)
        out: Effects = [Send(peer, Replicate(records=(entry.record,))) for peer in others]
        stored = Stored(
            copies=1 + len(others),
            heads=self._heads(),
            entry=self.newest_entry(entry.name),
            request=message.request,
        )
        return [*out, RecordKept(entry), Send(sender, stored)]

    def _search(self, message: Search, sender: Peer, now: float) -> Effects:
        entry = self.directory.find(message.name, now + self.wall)
        if entry is not None:
            return [Send(sender, Found(records=(entry.record,), complete=True, request=message.request))]
        if message.ask_others and len(self._asked) >= MAX_ASKED:
            return [Send(sender, Found(complete=False, request=message.request))]
        others = self._others_of(message.name)[:ASKED] if message.ask_others else []
        if not others:
            return [Send(sender, Found(complete=True, request=message.request))]
        request = self.requests() & 0xFFFF
        self._asked[request] = _Asked(sender, message.request, list(others), now + RELAY_SEARCH)
        return [Send(peer, Search(name=message.name, ask_others=False, request=request)) for peer in others]

    def _found(self, message: Found, sender: Peer, now: float) -> Effects:
        asked = self._asked.get(message.request)
        if asked is None or sender not in asked.out:
            return []
        true = tuple(entry.record for record in message.records if (entry := self._keep(record, now)) is not None)
        asked.out.remove(sender)
        if not true and asked.out:
            return []
        del self._asked[message.request]
        return [Send(asked.peer, Found(records=true[:1], complete=True, request=asked.request))]

    def _others_of(self, name: str) -> list[Peer]:
        """Links to the other supernodes that hold a name."""
        slot = slot_of(self.digest(name.encode()))
        return [self._mesh[node] for node in members(slot, [self.node, *self._mesh]) if node != self.node]

    def _held_for(self, node: bytes) -> list[Entry]:
        """The newest records of the slots that another supernode holds too."""
        everyone = [self.node, *self._mesh]
        theirs = [node in members(slot, everyone) for slot in range(SLOTS_PER_BLOCK)]
        held = [entry for entry in self.directory.all() if theirs[slot_of(self.digest(entry.name.encode()))]]
        return held[-REPLICATED_IN_ALL:]

    # --- the mesh

    def _heads(self) -> tuple[SignedHead, ...]:
        return () if self.head is None else (self.head,)

    def _introduction(self) -> Mesh:
        return Mesh(node=self.node, listening=self.listening, supernodes=self._known(), heads=self._heads(), request=0)

    def _known(self) -> tuple[Address, ...]:
        return (self.listening, *self.mesh.values())[:40]

    def _look_around(self, now: float) -> Effects:
        self.timers[Timer.MESH] = now + MESH_AGAIN
        busy = {self.listening, *self.mesh.values(), *self._dialling.values()}
        out: Effects = []
        for address in self.cache.addresses():
            if address not in busy and len(self._dialling) < 40:
                peer = Peer(self.peers())
                self._dialling[peer] = address
                out.append(Link(peer, Wire(address)))
        return out

    def _met(self, message: Mesh | Meshed, sender: Peer, now: float) -> Effects:
        party = self._parties.get(sender)
        if message.node == self.node or party is None or self.digest(party.key)[:8] != message.node:
            return []  # an old address of our own, or an id that is not its own
        known, again = message.node in self._mesh, self._mesh.get(message.node) == sender
        self._mesh[message.node] = sender
        self._addresses[message.node] = message.listening
        self.cache.succeeded(message.listening, now + self.wall)
        self.cache.add(message.supernodes)
        out: Effects = [] if known else [Meshing(message.listening)]
        held = [] if again else self._held_for(message.node)
        for at in range(0, len(held), REPLICATED_AT_ONCE):
            records = tuple(entry.record for entry in held[at : at + REPLICATED_AT_ONCE])
            out.append(Send(sender, Replicate(records=records)))
        busy = {self.listening, *self.mesh.values(), *self._dialling.values()}
        if any(address not in busy for address in message.supernodes):
            out += self._look_around(now)
        return out

