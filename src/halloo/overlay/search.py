"""Find a person by exact name: straight from those who hold the slot, or through one's own supernode.

    node                         holder of the slot
      | --- Search (open) --------> |                     the first way, where the node has UDP and knows the block
      | <-- Found ----------------- |

    node                         own supernode            holder of the slot
      | --- Search -------------- -> |                        |     otherwise, or when nobody has answered for a while
      |                              | --- Search (open) ---> |
      |                              | <-- Found ------------ |
      | <-- Found ------------------ |

    node                         own supernode
      | --- AtlasAsked ------------> |  which blocks there are; after joining, and now and then
      | <-- AtlasTold -------------- |

Every record that comes back is opened here: who carried it is not believed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from math import inf
from random import Random

from halloo.base.address import Address, Peer
from halloo.base.effects import Send
from halloo.base.errors import UsageError
from halloo.base.machine import Effects, Event, Message, Numbers
from halloo.messages.credential import Entry, Notary
from halloo.messages.directory import AtlasAsked, AtlasTold, Found, Search
from halloo.overlay.atlas import ATLAS_EVERY, ATLAS_SOON, Atlas
from halloo.overlay.elsewhere import FIRST_ELSEWHERE, Elsewhere
from halloo.overlay.inquiry import AT_LEAST, Inquiries, Learnt, record_under
from halloo.overlay.slots import Key, key_of

__all__ = ["SearchDone", "Searches"]

MAX_QUERIES = 64  # searches at once: a program that asks for a whole contact list waits its turn
GIVE_UP = 6.0  # seconds without an answer; a slow satellite line needs two
OTHERS_AFTER = 0.2  # seconds that our own supernode has, where it holds the name, before others are asked
OWN_AFTER = 0.6  # seconds after which one's own supernode is asked as well
ELSEWHERE_AFTER = 1.5  # seconds that our own supernode has, where nobody can be asked in the open, before another is
OTHER_OPINIONS = 2  # others who are asked then, before it is believed that there is nothing
ATLAS_AFTER = 3.0  # seconds from joining to the question for the blocks, at most: not all ask at once


@dataclass(frozen=True, slots=True)
class SearchDone(Event):
    """A search ended.  ``complete``: those who hold the name were heard; otherwise "not found" is only "not heard of".

    ``took``: seconds; ``messages``: what it cost, answers included, as far as we can see.
    """

    number: int
    name: str
    entries: tuple[Entry, ...]
    complete: bool
    took: float = 0.0
    messages: int = 0


@dataclass(slots=True)
class _Query:
    name: str
    key: Key
    began: float
    until: float
    own_at: float
    """When our own supernode is asked."""
    open_at: float = inf
    """When others are asked in the open."""
    elsewhere_at: float = inf
    """When another supernode is asked, because nobody can be asked in the open."""
    asked: list[Address] = field(default_factory=list)
    """Which others were."""
    nobody_left: bool = False
    """Whether there was no other that could be asked, when one was wanted last."""
    thorough: bool = False
    request: int = -1
    inquiry: int = -1
    messages: int = 0
    empty: bool = False
    """Those who were asked in the open have nothing, or do not answer."""
    complete: bool = False


@dataclass(slots=True)
class Searches:
    """All searches of one node."""

    notary: Notary
    digest: Callable[[bytes], bytes]
    rng: Random
    requests: Numbers
    wall: float
    elsewhere: Elsewhere
    atlas: Atlas = field(default_factory=Atlas)
    supernode: Peer | None = None
    own: Address | None = None
    """Where our supernode listens."""
    open_to: bool = False
    """Whether datagrams reach the world, so that anybody can be asked."""
    inquiries: Inquiries = field(init=False)
    _queries: dict[int, _Query] = field(default_factory=dict)
    _numbers: Numbers = field(default_factory=Numbers)
    _atlas_at: float = inf
    _atlas_request: int = -1

    def __post_init__(self) -> None:
        self.inquiries = Inquiries(self.notary, self.digest, self.rng, self.requests, self.wall)

    @property
    def wake_at(self) -> float:
        """When ``wake`` has something to do."""
        at = min(self.inquiries.wake_at, self.elsewhere.wake_at, self._atlas_at)
        for one in self._queries.values():
            at = min(at, one.until, one.own_at, one.open_at, one.elsewhere_at)
        return at

    def find(self, name: str, now: float, *, thorough: bool = False) -> tuple[int, Effects]:
        """Look for a folded name; the number names the search in its event.

        ``thorough``: ask several, and take the newest: what we knew turned out to be old.

        Raises:
            UsageError: too many at once.
        """
        if len(self._queries) >= MAX_QUERIES:
            raise UsageError("too many searches at once; wait for some of them to end")
        number, key = self._numbers(), key_of(self.digest, name)
        query = self._queries[number] = _Query(name, key, now, now + GIVE_UP, inf, thorough=thorough)
        holders = self.atlas.holders(key)
        if not self.open_to:
            query.until += GIVE_UP
            query.elsewhere_at = now + ELSEWHERE_AFTER
        if not self.open_to or not holders:
            return number, self._ask_own(query)
        if self.own in holders and not thorough:
            query.open_at = now + OTHERS_AFTER
            return number, self._ask_own(query)
        query.own_at = now + OWN_AFTER
        return number, self._ask_others(query, now)

    def attached(self, supernode: Peer | None, own: Address | None, now: float, *, open_to: bool) -> Effects:
        """The supernode changed: ask the new one."""
        self.supernode, self.own, self.open_to = supernode, own, open_to
        self._atlas_at = inf if supernode is None else now + ATLAS_AFTER * self.rng.random()
        out: Effects = []
        for query in self._queries.values():
            if query.own_at == inf:  # it should have been asked, or has been and is gone
                out += self._ask_own(query)
        return out

    def receive(self, message: Message, sender: Peer, now: float) -> Effects:
        """What our supernode says, or another whom we have asked."""
        if sender != self.supernode:
            heard = self.elsewhere.receive(message, sender, now) if isinstance(message, Found) else []
            return self._follow(heard, now)
        match message:
            case AtlasTold() if message.request == self._atlas_request:
                for table in message.tables:
                    self.atlas.merged(table)
                if not len(self.atlas):
                    self._atlas_at = now + ATLAS_SOON * (0.5 + self.rng.random())
            case Found():
                for number, query in self._queries.items():
                    if query.request == message.request:
                        query.messages += 1
                        entry = self._opened(message, query, now)
                        if entry is None and query.open_at < inf:
                            query.request = -1
                            return self._ask_others(query, now)  # that there is nothing, one alone is not believed
                        if entry is None and query.inquiry >= 0 and not query.empty:
                            query.request = -1
                            return []  # the others may have it still
                        query.complete |= message.complete or entry is not None
                        if entry is None and not self.open_to:
                            query.request = -1
                            return [] if query.inquiry <= FIRST_ELSEWHERE else self._ask_elsewhere(query, now)
                        return self._done(number, query, entry, query.complete, now)
        return []

    def up(self, peer: Peer, now: float) -> Effects:
        """A link stands."""
        return self.elsewhere.up(peer, now)

    def down(self, peer: Peer, now: float) -> Effects:
        """A link ended."""
        return self._follow(self.elsewhere.down(peer, now), now)

    def answered(self, message: Found, address: Address, now: float) -> Effects:
        """What somebody says in the open."""
        return self._follow(self.inquiries.receive(message, address, now), now)

    def wake(self, now: float) -> Effects:
        """Ask on; give up what was not answered."""
        out: Effects = []
        if self.inquiries.wake_at <= now:
            out += self._follow(self.inquiries.wake(now), now)
        if self.elsewhere.wake_at <= now:
            out += self._follow(self.elsewhere.wake(now), now)
        for number, query in list(self._queries.items()):
            if query.until <= now:
                out += self._done(number, query, None, query.complete, now)
                continue
            if query.own_at <= now:
                out += self._ask_own(query)
            if query.open_at <= now:
                out += self._ask_others(query, now)
            if query.elsewhere_at <= now:
                out += self._ask_elsewhere(query, now)
        if self._atlas_at <= now:
            out += self._ask_atlas(now)
        return out

    # --- inside

    def _ask_others(self, query: _Query, now: float) -> Effects:
        query.open_at = inf
        holders, knowing = self.atlas.holders(query.key), self.atlas.knowing(query.key)
        self.rng.shuffle(holders)
        self.rng.shuffle(knowing)
        query.inquiry, out = self.inquiries.ask(query.key, [*holders, *knowing], now, thorough=query.thorough)
        return self._follow(out, now)

    def _ask_elsewhere(self, query: _Query, now: float) -> Effects:
        query.elsewhere_at = inf
        query.inquiry, asked, out = self.elsewhere.ask(query.key, query.asked, now)
        query.asked += [asked] if asked is not None else []
        query.nobody_left = asked is None
        return self._follow(out, now)

    def _heard_elsewhere(self, number: int, query: _Query, learnt: Learnt, now: float) -> Effects:
        """Another supernode's word."""
        query.inquiry = -1
        if learnt.entry is not None:
            return self._done(number, query, learnt.entry, complete=True, now=now)
        if learnt.heard and len(query.asked) >= OTHER_OPINIONS and query.request < 0:
            return self._done(number, query, None, query.complete and learnt.complete, now)
        if len(query.asked) < OTHER_OPINIONS and query.asked and not query.nobody_left:
            return self._ask_elsewhere(query, now)
        if query.request < 0 and self.supernode is not None:
            return self._done(number, query, None, query.complete and not query.asked, now)
        return []  # our own one may still answer, or the next one that we find

    def _ask_own(self, query: _Query) -> Effects:
        query.own_at = inf
        if self.supernode is None:
            query.request = -1
            return []
        query.request = self.requests() & 0xFFFF
        query.messages += 1
        search = Search(key=query.key.to_bytes(8, "big"), ask_others=True, request=query.request)
        return [Send(self.supernode, search)]

    def _follow(self, effects: Effects, now: float) -> Effects:
        """What came of the questions in the open."""
        out: Effects = []
        for effect in effects:
            if not isinstance(effect, Learnt):
                out.append(effect)
                continue
            ours = [number for number, query in self._queries.items() if query.inquiry == effect.number]
            for number in ours:
                query = self._queries[number]
                query.messages += effect.messages
                out += self._learnt(number, query, effect, now)
            if not ours:
                out.append(effect)  # somebody else's of this node
        return out

    def _learnt(self, number: int, query: _Query, learnt: Learnt, now: float) -> Effects:
        if learnt.number <= FIRST_ELSEWHERE:
            return self._heard_elsewhere(number, query, learnt, now)
        several = learnt.complete and learnt.heard >= AT_LEAST  # the two that a table names may be of one mind
        if learnt.entry is not None or (several and query.request < 0):
            return self._done(number, query, learnt.entry, learnt.complete, now)
        query.empty, query.complete = True, learnt.complete
        if query.request < 0:
            return self._ask_own(query)
        return []

    def _done(self, number: int, query: _Query, entry: Entry | None, complete: bool, now: float) -> Effects:
        del self._queries[number]
        if query.inquiry >= 0:
            self.inquiries.drop(query.inquiry)
        entries = (entry,) if entry is not None else ()
        return [SearchDone(number, query.name, entries, complete, now - query.began, query.messages)]

    def _opened(self, message: Found, query: _Query, now: float) -> Entry | None:
        entry = record_under(query.key, message, self.notary, self.digest, now + self.wall)
        return entry if entry is not None and entry.name == query.name else None

    def _ask_atlas(self, now: float) -> Effects:
        self._atlas_at = now + ATLAS_EVERY * (0.8 + 0.4 * self.rng.random())
        if self.supernode is None:
            return []
        self._atlas_request = self.requests() & 0xFFFF
        return [Send(self.supernode, AtlasAsked(known=self.atlas.known(), request=self._atlas_request))]
