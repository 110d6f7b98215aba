"""Searches in a crowd: the real machines of who asks and of his supernode, woken for as long as one search takes.

    ``Searches`` of a row --- Search ---> supernodes, each of which answers from what it holds or knows
                         <--- Found ----
    ``Inquiries`` of its supernode, where that is asked to ask others

The world around them stands still for those few hundred milliseconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from heapq import heappop, heappush
from math import inf
from random import Random
from typing import Any

from halloo.base.address import Address, Peer, Wire
from halloo.base.effects import Send
from halloo.base.machine import Effects, Message, Numbers
from halloo.messages.block import PADDING
from halloo.messages.credential import Claims, Entry, Listing, Presence, Record
from halloo.messages.directory import Found, Search
from halloo.overlay.elsewhere import Elsewhere
from halloo.overlay.hostcache import HostCache
from halloo.overlay.inquiry import Inquiries, Learnt
from halloo.overlay.search import SearchDone, Searches
from halloo.overlay.slots import SLOTS
from halloo.overlay.supernode import OTHERS
from halloo.sim.crowd.crowd import Crowd
from halloo.sim.crowd.ground import NOBODY
from halloo.sim.crowd.rows import ATTACHED
from halloo.sim.mindtown import supernode_address, user_address
from halloo.sim.world import WALL

__all__ = ["Answer", "Searching"]

OWN = Peer(1)  # the link to one's own supernode
MOST_CLAIMS = 50_000  # users of whom it is remembered what the network says of them


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a search."""

    found: bool
    newest: bool
    took: float
    messages: int


class Searching:
    """All searches of a crowd, one after the other."""

    def __init__(self, crowd: Crowd, seed: int, loss: float) -> None:
        self.crowd = crowd
        self.addresses = [supernode_address(i) for i in range(len(crowd.desks))]
        self._numbers = {address: i for i, address in enumerate(self.addresses)}
        self._rng = Random(f"{seed}/searches")
        self._loss = loss
        self._requests = Numbers()
        self._claims: dict[int, Claims] = {}
        self._records = 0
        self.digest = crowd.town.suite.digest
        self.said = 0
        """Messages of searches, of all who say any."""
        self.whom = -1
        """Who was looked for last."""
        self.told: list[tuple[str, int]] = []
        """Who said or heard the record of the search that was last: rows and supernodes."""

    def find(self, who: int, whom: int, *, city: str = "") -> Answer | None:
        """A row looks for another; None: it is not on line."""
        if self.crowd.rows.state[who] != ATTACHED:
            return None
        self.whom = whom
        return _One(self, who, whom, city).run()

    def record(self, row: int, city: str) -> Record:
        """The record that a row has published.  Nobody signs it: all notaries of this world know what it says."""
        crowd, town = self.crowd, self.crowd.town
        claims = self._claims.get(row)
        if claims is None:
            claims = Claims(
                name=f"user{row}", key=row.to_bytes(8, "big"), issued=int(WALL), expires=int(WALL) + town.valid_for,
                network=town.descriptor.id,
            )
            if len(self._claims) >= MOST_CLAIMS:
                del self._claims[next(iter(self._claims))]
            self._claims[row] = claims
        number = int(crowd.rows.supernode[row])
        issued = int(WALL + max(0.0, float(crowd.rows.published_at[row])))
        listing = Listing(
            version=issued,
            issued=issued,
            state=Presence.ONLINE,
            node=row.to_bytes(8, "big"),
            supernode=self.addresses[number] if number != NOBODY else None,
            reachable=(user_address(row, inside=False),),
            city=city,
        )
        self._records += 1
        record = Record(credential=b"", listing=b"", signature=self._records.to_bytes(8, "big"))
        town.notary.remember(Entry(claims, listing, record, issued))
        return record


class _One:
    """One search."""

    def __init__(self, searching: Searching, who: int, whom: int, city: str) -> None:
        self.all, self.who, self.whom, self.city = searching, who, whom, city
        self.crowd = crowd = searching.crowd
        self.rng = searching._rng
        mine, town = crowd.rows, crowd.town
        self.own = int(mine.supernode[who])
        self.key = int(crowd.keys[whom])
        self.slot = int(crowd.records.slots[whom])
        self.now = crowd.now
        self.by_udp = bool(crowd.ground.by_udp[who])
        notary, digest, requests = town.notary, searching.digest, searching._requests
        elsewhere = Elsewhere(notary, digest, HostCache(), self.rng, requests, requests, requests, WALL)
        self.searches = Searches(
            notary, digest, self.rng, requests, WALL, elsewhere, supernode=OWN,
            own=searching.addresses[self.own], open_to=self.by_udp,
        )
        asked = float(mine.atlas_at[who])
        if asked >= float(mine.attached_at[who]) or asked > 0:
            near = self._block(self.own) == self.slot // SLOTS
            table = crowd.blocks.table(self.key, asked if near else crowd.records.table_known_at(self.own, asked))
            if table is not None:
                self.searches.atlas.learn(table)
        self.inquiries = Inquiries(notary, digest, self.rng, requests, WALL)
        self.request: int | None = None
        self._heap: list[tuple[float, int, Any]] = []
        self._order = 0
        self.done: SearchDone | None = None
        searching.told.clear()
        self._record: Record | None = None

    def run(self) -> Answer:
        """Let it happen."""
        began = self.now
        _, effects = self.searches.find(f"user{self.whom}", self.now)
        self._follow(effects)
        while self.done is None:
            wake = min(self.searches.wake_at if self.searches._queries else inf, self.inquiries.wake_at)
            at = self._heap[0][0] if self._heap else inf
            if min(wake, at) == inf:
                break
            if at <= wake:
                self.now, _, deed = heappop(self._heap)
                deed()
                continue
            self.now = max(self.now, wake)
            self._follow(self.searches.wake(self.now))
            if self.inquiries.wake_at <= self.now:
                self._follow_own(self.inquiries.wake(self.now))
        done = self.done
        if done is None or not done.entries:
            return Answer(False, False, self.now - began, self.all.said)
        supernode = self.crowd.rows.supernode[self.whom]
        entry = done.entries[0]
        newest = supernode == NOBODY or entry.listing.supernode == self.all.addresses[supernode]
        return Answer(True, newest, done.took, done.messages)

    def _later(self, travel: float, deed: Any) -> None:
        self._order += 1
        heappush(self._heap, (self.now + travel, self._order, deed))

    def _block(self, number: int) -> int:
        return int(self.crowd.blocks.of_block[number]) if number in self.crowd.blocks else -1

    # --- the row

    def _follow(self, effects: Effects) -> None:
        for effect in effects:
            if isinstance(effect, SearchDone):
                self.done = effect
            elif isinstance(effect, Send) and isinstance(effect.message, Search):
                self._says(effect.message)
                if isinstance(effect.to, Wire):
                    self._ask_openly(effect.message, effect.to.address)
                else:
                    self._ask_own(effect.message)

    def _says(self, message: Message) -> None:
        self.all.said += 1
        ledger = self.crowd.ledger
        ledger.speaking[self.who] += ledger.of(type(message).__name__)

    def _ask_openly(self, message: Search, address: Address) -> None:
        number = self.all._numbers[address]
        travel = self._travel(number)
        if travel is None or not self.by_udp:
            return
        self._later(travel, lambda: self._answers(message, number, travel))

    def _answers(self, message: Search, number: int, travel: float) -> None:
        found = self._found(message, number)
        self._count(number)
        if self._arrives():
            there = self.all.addresses[number]
            self._later(travel, lambda: self._follow(self.searches.answered(found, there, self.now)))

    def _ask_own(self, message: Search) -> None:
        travel = self._travel(self.own, sure=True)
        mine, desks = self.crowd.rows, self.crowd.desks
        if travel is None or desks.life[self.own] != mine.life[self.who]:
            return
        self._later(travel, lambda: self._own_hears(message, travel))

    def _own_hears(self, message: Search, travel: float) -> None:
        found = self._found(message, self.own)
        if found.records or not message.ask_others:
            self._own_answers(found, travel)
            return
        candidates = self._candidates(self.own)
        if not candidates:
            self._own_answers(found, travel)
            return
        self.rng.shuffle(candidates)
        self.request = message.request
        _, effects = self.inquiries.ask(self.key, candidates, self.now)
        self._follow_own(effects)

    def _own_answers(self, found: Found, travel: float) -> None:
        self._count(self.own)
        self._later(travel, lambda: self._follow(self.searches.receive(found, OWN, self.now)))

    # --- its supernode

    def _follow_own(self, effects: Effects) -> None:
        for effect in effects:
            if isinstance(effect, Learnt):
                records = (effect.entry.record,) if effect.entry is not None else ()
                found = Found(records=records, complete=effect.complete, request=self.request or 0)
                travel = self._travel(self.own, sure=True)
                if travel is not None:
                    self._own_answers(found, travel)
            elif isinstance(effect, Send) and isinstance(effect.to, Wire) and isinstance(effect.message, Search):
                self.all.said += 1
                self.crowd.ledger.supernodes[self.own] += self.crowd.ledger.of("Search")
                self._own_asks(effect.message, self.all._numbers[effect.to.address])

    def _own_asks(self, message: Search, number: int) -> None:
        ground = self.crowd.ground
        if not self.crowd.desks.alive[number] or not self._arrives():
            return
        if not ground.passes_between(self.own, number):
            return
        travel = ground.trip_between(self.own, number)

        def answers() -> None:
            found = self._found(message, number)
            self._count(number)
            if self._arrives():
                address = self.all.addresses[number]
                self._later(travel, lambda: self._follow_own(self.inquiries.receive(found, address, self.now)))

        self._later(travel, answers)

    # --- those who are asked

    def _found(self, message: Search, number: int) -> Found:
        """What a supernode says: the twin of ``Supernode._found_here``."""
        crowd = self.crowd
        held = crowd.blocks.held[self.slot]
        holds = bool((held == number).any())
        published = float(crowd.rows.published_at[self.whom])
        there = holds and crowd.desks.synced[number] and published > -inf
        if there and crowd.records.has(self.whom, published) and crowd.records.reaches(
            self.whom, number, published, crowd.now
        ):
            if self._record is None:
                self._record = self.all.record(self.whom, self.city)
            self.all.told.append(("supernode", number))
            return Found(records=(self._record,), complete=True, token=message.token, request=message.request)
        others = self._candidates(number)
        open_to = len(message.padding) >= len(PADDING) or message.token == bytes(8)
        told = self.rng.sample(others, min(OTHERS, len(others))) if open_to else []
        return Found(complete=holds, others=tuple(told), token=message.token, request=message.request)

    def _candidates(self, number: int) -> list[Address]:
        """Who should hold the key, as a supernode knows it: the twin of ``Keeper.candidates``."""
        crowd, addresses = self.crowd, self.all.addresses
        if self._block(number) == self.slot // SLOTS:
            held = crowd.blocks.held[self.slot].tolist()
            return [addresses[one] for one in held if one not in (NOBODY, number)]
        table = crowd.blocks.table(self.key, crowd.records.table_known_at(number, self.now))
        if table is None:
            return []
        at = 2 * (self.slot % SLOTS)
        return [table.gateways[i] for i in table.order[at : at + 2] if i < len(table.gateways)]

    # --- wires

    def _travel(self, number: int, *, sure: bool = False) -> float | None:
        """Seconds to a supernode; None: it is not there, or what is said is lost."""
        crowd = self.crowd
        if not crowd.desks.alive[number] or not (sure or self._arrives()):
            return None
        if not crowd.ground.passes(self.who, number):
            return None
        return crowd.ground.trip(self.who, number)

    def _arrives(self) -> bool:
        return self.rng.random() >= self.all._loss

    def _count(self, number: int) -> None:
        self.all.said += 1
        self.crowd.ledger.supernodes[number] += self.crowd.ledger.of("Found")
