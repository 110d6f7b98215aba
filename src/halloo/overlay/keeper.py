"""Records kept: written to those who hold a slot, compared among them, handed on when the slot changes hands.

    node      supernode            holder                others who hold the slot
      | Store --> |                   |                       |
      |           | --- Keep -------> | --- Replicate ------> |
      |           |                   | <-- Replicated ------ |  five of nine are enough for the answer
      |           | <-- Kept -------- |                       |
      | <- Stored |                   |                       |
      |           | --- Keep -------> (two of the others, so that no single one can pretend)

A record that is only as true as before is not written anew: its owner's sign of life goes the same way (``pulses``).

    node      supernode            holder                others who hold the slot
      | Refresh > | --- Refresh ----> | --- Alive: many ----> |  within a minute
      | <- Stored | <-- Kept -------- |                       |
      |           | --- Keep -------> |  where it has another record, or none
      |           | --- Refresh ----> (two of the others, later: who was told already does nothing)

Those who hold a slot compare what they hold, too (``comparing``).  Every record is opened before it is kept: who brings
it is not believed.  The higher version wins everywhere.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from math import inf
from random import Random

from halloo.base.address import Address, Peer, Route, Wire
from halloo.base.effects import Send
from halloo.base.errors import PeerError
from halloo.base.machine import Effects, Event, Message, Numbers, Timers
from halloo.messages.block import Alive, Compare, Differs, Replicate, Replicated, Wanted
from halloo.messages.credential import Entry, Notary, Record
from halloo.messages.directory import NO_TOKEN, Keep, Kept, Refresh, Stored
from halloo.overlay.block import Block
from halloo.overlay.comparing import COMPARE_SOON, Comparing
from halloo.overlay.directory import Directory
from halloo.overlay.pulses import GATHER_FOR, Pulses
from halloo.overlay.slots import Key, key_of, slot_of

__all__ = ["Keeper", "Written"]

QUORUM = 5  # holders that have a record before its owner hears that it is kept
SPREAD_FOR = 1.0  # seconds that the others have to say that they hold it
KEEP_AGAIN = 0.4  # seconds after which another holder is asked to keep it
KEPT_WITHIN = 4.0  # seconds in which one has to
CHECKS = 2  # other holders that are asked to keep what one says it keeps
HANDED_TO = 2  # holders that say they keep what was handed on before it is forgotten here: one may lie
CHECK_AFTER = 0.5  # seconds from his answer to those checks
REFERRED = 2  # holders named to who brings a sign of life to the wrong one: the answer is no longer than the question
CHECK_ALIVE = GATHER_FOR + 15.0  # seconds to them where it was a sign of life: by then he has told the others of it
MAX_WRITES = 2_048  # under way at once; who comes beyond them hears that we are busy
HAND_ON_EVERY = 0.5  # seconds between rounds of handing on
HANDED_ON = 10  # records in one round: 7 kB/s
EXPIRE_EVERY = 600.0  # seconds between looks for what is too old


class Timer(Enum):
    """What is waited for."""

    HAND_ON = 0
    EXPIRE = 1


@dataclass(frozen=True, slots=True)
class Written(Event):
    """A record that we were asked to write is held by so many."""

    name: str
    copies: int


@dataclass(slots=True)
class _Spread:
    """A record told to the others of its slot: who asked for it, how many have it, until when we wait."""

    asker: Route | Peer | None
    request: int
    token: bytes
    name: str
    key: Key
    copies: int
    waits: list[Peer]
    """Whose answer is still to come."""
    need: int
    until: float


@dataclass(slots=True)
class _Errand:
    """A record on its way to those who hold its slot."""

    entry: Entry
    key: Key
    asker: Peer | None
    request: int
    candidates: list[Address]
    until: float
    again: float
    knowing: list[Address] = field(default_factory=list)
    """Others of that block, who know who holds it: asked when nobody of ``candidates`` answers."""
    asked: list[Address] = field(default_factory=list)
    holders: list[Address] = field(default_factory=list)
    """Who says that it holds it."""
    answered: list[Address] = field(default_factory=list)
    checks: int = -1
    """How many checks are still out; -1: nobody has it yet."""
    copies: int = 0
    handed_on: bool = False
    """It is none of ours: once it is kept elsewhere, we forget it."""
    alive: bool = False
    """Only a sign of life, as long as nobody needs the whole record."""
    whole: list[Address] = field(default_factory=list)
    """Who had not got that record, and was brought it."""


def _nothing_read(_: str) -> int:
    return 0


@dataclass(slots=True)
class Keeper:
    """The records of one supernode, and those on their way through it."""

    block: Block
    notary: Notary
    digest: Callable[[bytes], bytes]
    rng: Random
    requests: Numbers
    wall: float
    newest_entry: Callable[[str], int] = _nothing_read
    """From a name to the number of its newest entry in the login servers' log, as far as we have read."""
    directory: Directory = field(init=False)
    comparing: Comparing = field(init=False)
    pulses: Pulses = field(init=False)
    timers: Timers = field(default_factory=Timers)
    _spreads: dict[int, _Spread] = field(default_factory=dict)
    _errands: dict[bytes, _Errand] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.directory = Directory(self.digest)
        self.comparing = Comparing(self.block, self.directory, self.rng)
        self.pulses = Pulses(self.block, self.directory, self.wall)

    @property
    def wake_at(self) -> float:
        """When ``wake`` has something to do."""
        spreads = min((spread.until for spread in self._spreads.values()), default=inf)
        errands = min((min(one.until, one.again) for one in self._errands.values()), default=inf)
        return min(self.timers.next, self.comparing.wake_at, self.pulses.wake_at, spreads, errands)

    # --- intents

    def begin(self, now: float) -> Effects:
        """Take up the duties."""
        self.timers[Timer.EXPIRE] = now + EXPIRE_EVERY
        return []

    def placed(self, now: float) -> Effects:
        """Our place, or who holds a slot with us, has changed: compare what is new, hand on what is no longer ours."""
        self.comparing.placed(now)
        self.timers[Timer.HAND_ON] = min(self.timers.get(Timer.HAND_ON, inf), now + 3 * COMPARE_SOON)
        return []

    def write(self, entry: Entry, asker: Peer, request: int, now: float) -> Effects:
        """Keep a record of one of our nodes where it belongs; the answer is a Stored."""
        key = key_of(self.digest, entry.name)
        if self.holds(key):
            return self._spread(entry, key, asker, request, b"", now)
        if len(self._errands) >= MAX_WRITES:
            return [Send(asker, Stored(copies=0, reason="too busy; try again", request=request))]
        return self._run(entry, key, asker, request, now)

    def renew(self, entry: Entry, asker: Peer, request: int, now: float) -> Effects:
        """Bring a sign of life of one of our nodes, whose record this is, where it belongs; the answer is a Stored."""
        key = key_of(self.digest, entry.name)
        if not self.holds(key):
            if len(self._errands) >= MAX_WRITES:
                return [Send(asker, Stored(copies=0, reason="too busy; try again", request=request))]
            return self._run(entry, key, asker, request, now, alive=True)
        if self.pulses.take(key, entry.pulse, now):
            return [Send(asker, self._stored(1, entry.name, request))]
        return self._spread(entry, key, asker, request, b"", now)

    def holds(self, key: Key) -> bool:
        """Whether we are one of those who hold a key."""
        prefix = self.block.roster.prefix
        if not prefix.covers(key):
            return False
        return any(one.node == self.block.node for one in self.block.roster.held[slot_of(key, prefix.depth)])

    def candidates(self, key: Key) -> list[Address]:
        """Others who should hold a key: of our own block all of them, of others two."""
        prefix = self.block.roster.prefix
        if not prefix.covers(key):
            return self.block.atlas.holders(key)
        held = self.block.roster.held[slot_of(key, prefix.depth)]
        return [one.address for one in held if one.node != self.block.node]

    def take(self, record: Record, now: float) -> Entry | None:
        """Open a record and keep it; None when it is not true.  An older one than ours changes nothing."""
        return self._took(record, now)[0]

    def _took(self, record: Record, now: float) -> tuple[Entry | None, bool]:
        """The same; and whether it is new."""
        try:
            entry = self.notary.record(record, now + self.wall)
        except PeerError:
            return None, False
        return entry, self.directory.store(entry, now + self.wall)

    # --- what is heard

    def keep(self, message: Keep, route: Route, now: float) -> Effects:
        """Somebody asks us, in the open, to keep a record."""
        refused = Kept(copies=0, token=message.token, request=message.request)
        if len(self._spreads) >= MAX_WRITES or not message.record:
            return [Send(route, refused)]
        try:
            entry = self.notary.record(message.record[0], now + self.wall)
        except PeerError:
            return [Send(route, refused)]
        key = key_of(self.digest, entry.name)
        if not self.holds(key):
            others = tuple(self.candidates(key)[:4])
            return [Send(route, Kept(copies=0, others=others, token=message.token, request=message.request))]
        return self._spread(entry, key, route, message.request, message.token, now)

    def refresh(self, message: Refresh, route: Route, now: float) -> Effects:
        """Somebody brings us, in the open, a sign of life of whose record we may hold."""
        key = int.from_bytes(message.key, "big")
        holds = self.holds(key)
        others = () if holds else tuple(self.candidates(key)[:REFERRED])
        copies = 1 if holds and self.pulses.take(key, message.pulse, now) else 0
        token = message.token or NO_TOKEN
        return [Send(route, Kept(copies=copies, others=others, token=token, request=message.request))]

    def kept(self, message: Kept, address: Address, now: float) -> Effects:
        """One of those who should hold a record answers."""
        errand = self._errands.get(message.token)
        if errand is None or address not in errand.asked or address in errand.holders:
            return []
        if errand.checks >= 0 and address in errand.answered:
            return []
        if errand.alive and not message.copies and not message.others and address not in errand.whole:
            errand.whole.append(address)  # it holds the slot, but not this record: it gets it, and so do the next ones
            return [self._please(message.token, errand, address)]
        if message.copies:
            errand.holders.append(address)
        elif errand.checks < 0 and address in errand.answered:
            return []  # he has refused before
        if address not in errand.answered:
            errand.answered.append(address)
        for other in message.others:
            if other not in errand.candidates and len(errand.candidates) < 16:
                errand.candidates.append(other)
        if errand.checks >= 0:
            errand.checks -= 1
            if not errand.checks:
                return self._done(message.token)
            return []
        if not message.copies:
            return self._ask(message.token, errand, now)
        errand.copies, errand.checks = message.copies, CHECKS
        errand.again = now + (CHECK_ALIVE if errand.alive and not errand.handed_on else CHECK_AFTER)
        errand.until = errand.again + 2 * KEEP_AGAIN
        return self._told(errand)

    def receive(self, message: Message, sender: Peer, now: float) -> Effects:
        """A message of a supernode that we have a link to.  Raises PeerError."""
        match message:
            case Replicate():
                held, new = 0, list[Key]()
                for record in message.records:
                    entry, news = self._took(record, now)
                    held += entry is not None
                    new += [key_of(self.digest, entry.name)] if entry is not None and news else []
                self.comparing.brought(new, sender, now)
                return [Send(sender, Replicated(held=held, request=message.request))]
            case Replicated():
                return self._replicated(message, sender)
            case Alive():
                return self.pulses.receive(message, now)
            case Compare() | Differs() | Wanted():
                return self.comparing.receive(message, sender, now)
        return []

    def wake(self, now: float) -> Effects:
        """Do what is due."""
        out: Effects = self.comparing.wake(now) if self.comparing.wake_at <= now else []
        out += self.pulses.wake(now) if self.pulses.wake_at <= now else []
        due = self.timers.due(now)
        if Timer.HAND_ON in due:
            out += self._hand_on(now)
        if Timer.EXPIRE in due:
            self.timers[Timer.EXPIRE] = now + EXPIRE_EVERY
            self.directory.expire(now + self.wall)
        for number in [number for number, spread in self._spreads.items() if spread.until <= now]:
            spread = self._spreads.pop(number)
            self.comparing.soon(slot_of(spread.key, self.block.roster.prefix.depth), now)
            out += self._answer(spread)
        for token, errand in list(self._errands.items()):
            if errand.until <= now:
                out += self._told(errand) if errand.checks < 0 else []
                out += self._done(token)
            elif errand.again <= now:
                out += self._check(token, errand) if errand.checks >= 0 else self._ask(token, errand, now)
        return out

    # --- spreading among those who hold a slot

    def _spread(
        self, entry: Entry, key: Key, asker: Route | Peer | None, request: int, token: bytes, now: float
    ) -> Effects:
        roster = self.block.roster
        slot = slot_of(key, roster.prefix.depth)
        held = roster.held[slot]
        news = self.directory.store(entry, now + self.wall)
        links = [self.block.links[one.node] for one in held if one.node in self.block.links] if news else []
        if news and len(links) + 1 < len(held):
            self.comparing.soon(slot, now)  # a link that does not stand yet, or breaks just now
        copies = 1 if news else len(held)
        need = min(QUORUM, 1 + len(links))
        spread = _Spread(asker, request, token, entry.name, key, copies, list(links), need, now + SPREAD_FOR)
        if spread.copies >= spread.need or not links:
            return [*self._replicate(links, entry, 0), *self._answer(spread)]
        number = self.requests() & 0xFFFF or 1
        if number in self._spreads:
            return [*self._replicate(links, entry, 0), *self._answer(spread)]
        self._spreads[number] = spread
        return self._replicate(links, entry, number)

    def _replicate(self, links: list[Peer], entry: Entry, number: int) -> Effects:
        return [Send(peer, Replicate(records=(entry.record,), request=number)) for peer in links]

    def _replicated(self, message: Replicated, sender: Peer) -> Effects:
        spread = self._spreads.get(message.request)
        if spread is None or sender not in spread.waits:
            return []
        spread.waits.remove(sender)
        spread.copies += min(1, message.held)
        if spread.copies < spread.need and spread.waits:
            return []
        del self._spreads[message.request]
        return self._answer(spread)

    def _answer(self, spread: _Spread) -> Effects:
        """Tell who asked for a record to be kept."""
        if spread.asker is None:
            return []
        if isinstance(spread.asker, int):
            return [Send(spread.asker, self._stored(spread.copies, spread.name, spread.request))]
        others = self.candidates(spread.key)
        chosen = tuple(self.rng.sample(others, min(4, len(others))))
        kept = Kept(copies=min(64, spread.copies), others=chosen, token=spread.token, request=spread.request)
        return [Send(spread.asker, kept)]

    def _stored(self, copies: int, name: str, request: int) -> Stored:
        heads, entry = self.block.heads, self.newest_entry(name)
        return Stored(copies=min(64, copies), heads=heads, entry=entry, request=request)

    # --- to another slot

    def _run(
        self,
        entry: Entry,
        key: Key,
        asker: Peer | None,
        request: int,
        now: float,
        *,
        handed_on: bool = False,
        alive: bool = False,
    ) -> Effects:
        token = self.rng.randbytes(8)
        candidates = self.candidates(key)
        if alive and not handed_on:
            self.rng.shuffle(candidates)  # another one each time: who keeps it to himself is found out by the next
        until, again = now + KEPT_WITHIN, now + KEEP_AGAIN
        errand = _Errand(entry, key, asker, request, candidates, until, again, handed_on=handed_on, alive=alive)
        if not self.block.roster.prefix.covers(key):
            errand.knowing = self.block.atlas.knowing(key)
            self.rng.shuffle(errand.knowing)
        self._errands[token] = errand
        return self._ask(token, errand, now)

    def _ask(self, token: bytes, errand: _Errand, now: float) -> Effects:
        """Ask the next one who should hold it."""
        known = [*errand.candidates, *errand.knowing]
        fresh = [one for one in known if one not in errand.asked] or errand.candidates
        errand.again = now + KEEP_AGAIN
        if not fresh:
            return []
        address = fresh[0] if fresh is not errand.candidates else self.rng.choice(fresh)
        errand.asked.append(address)
        return [self._please(token, errand, address)]

    def _please(self, token: bytes, errand: _Errand, address: Address) -> Send:
        request, entry = self.requests() & 0xFFFF, errand.entry
        if errand.alive and not errand.whole:
            key = errand.key.to_bytes(8, "big")
            return Send(Wire(address), Refresh(key=key, pulse=entry.pulse, token=token, request=request))
        return Send(Wire(address), Keep(record=(entry.record,), token=token, request=request))

    def _check(self, token: bytes, errand: _Errand) -> Effects:
        """Ask others of the slot for the same: who has it does nothing, who has not was not told."""
        errand.again = inf
        fresh = [one for one in errand.candidates if one not in errand.asked][:CHECKS]
        errand.checks = len(fresh)
        errand.asked += fresh
        if not fresh:
            return self._done(token)
        return [self._please(token, errand, address) for address in fresh]

    def _told(self, errand: _Errand) -> Effects:
        written = Written(errand.entry.name, errand.copies)
        if errand.asker is None:
            return [written]
        stored = self._stored(errand.copies, errand.entry.name, errand.request)
        if not errand.copies:
            stored = Stored(copies=0, reason="those who should keep it did not answer", request=errand.request)
        asker, errand.asker = errand.asker, None
        return [Send(asker, stored), written]

    def _done(self, token: bytes) -> Effects:
        errand = self._errands.pop(token)
        enough = min(HANDED_TO, len(errand.candidates))
        if errand.handed_on and errand.copies and len(errand.holders) >= enough and not self.holds(errand.key):
            self.directory.forget(errand.entry)
        return []

    def _hand_on(self, now: float) -> Effects:
        """Bring records that are not ours to those who hold them."""
        if not self.block.found:
            return []
        out: Effects = []
        left = HANDED_ON
        under_way = {one.key for one in self._errands.values()}
        for key, entry in list(self.directory.items()):
            if key in under_way or self.holds(key):
                continue
            if not left or len(self._errands) >= MAX_WRITES // 2:
                self.timers[Timer.HAND_ON] = now + HAND_ON_EVERY
                break
            left -= 1
            out += self._run(entry, key, None, 0, now, handed_on=True, alive=bool(entry.pulse))  # most have it already
        else:
            if left < HANDED_ON:
                self.timers[Timer.HAND_ON] = now + KEPT_WITHIN  # look whether all were taken
        return out
