"""Find a person by exact name, through one's own supernode.

    node                    supernode               another of the slot
      | --- Search ----------> |                        |
      |                        | --- Search ----------> |   only where it does not hold the name
      |                        | <-- Found ------------ |
      | <-- Found ------------ |

Every record that comes back is opened here: who carried it is not believed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf

from halloo.base.address import Peer
from halloo.base.effects import Send
from halloo.base.errors import PeerError, UsageError
from halloo.base.machine import Effects, Event, Numbers
from halloo.messages.credential import Entry, Notary
from halloo.messages.overlay import Found, Search

__all__ = ["SearchDone", "Searches"]

MAX_QUERIES = 64  # searches at once: a program that asks for a whole contact list waits its turn
GIVE_UP = 6.0  # seconds without an answer; a slow satellite line needs two


@dataclass(frozen=True, slots=True)
class SearchDone(Event):
    """A search ended.  ``complete``: the whole slot was heard; otherwise "not found" is only "not heard of"."""

    number: int
    name: str
    entries: tuple[Entry, ...]
    complete: bool


@dataclass(slots=True)
class _Query:
    name: str
    until: float
    request: int = -1


@dataclass(slots=True)
class Searches:
    """All searches of one node."""

    notary: Notary
    requests: Numbers
    wall: float
    supernode: Peer | None = None
    _queries: dict[int, _Query] = field(default_factory=dict)
    _numbers: Numbers = field(default_factory=Numbers)

    @property
    def wake_at(self) -> float:
        """When the next one is given up."""
        return min((query.until for query in self._queries.values()), default=inf)

    def find(self, name: str, now: float) -> tuple[int, Effects]:
        """Look for a folded name; the number names the search in its event.  Raises UsageError: too many at once."""
        if len(self._queries) >= MAX_QUERIES:
            raise UsageError("too many searches at once; wait for some of them to end")
        number = self._numbers()
        query = self._queries[number] = _Query(name, now + GIVE_UP)
        return number, self._ask(query)

    def attached(self, supernode: Peer | None) -> Effects:
        """The supernode changed: ask the new one."""
        self.supernode = supernode
        out: Effects = []
        for query in self._queries.values():
            out += self._ask(query)
        return out

    def receive(self, message: Found, sender: Peer, now: float) -> Effects:
        """An answer."""
        for number, query in self._queries.items():
            if query.request == message.request and sender == self.supernode:
                del self._queries[number]
                entries = self._opened(message, query.name, now)
                return [SearchDone(number, query.name, entries, message.complete)]
        return []

    def wake(self, now: float) -> Effects:
        """Give up what was not answered."""
        out: Effects = []
        for number, query in list(self._queries.items()):
            if query.until <= now:
                del self._queries[number]
                out.append(SearchDone(number, query.name, (), complete=False))
        return out

    def _ask(self, query: _Query) -> Effects:
        if self.supernode is None:
            return []
        query.request = self.requests() & 0xFFFF
        return [Send(self.supernode, Search(name=query.name, ask_others=True, request=query.request))]

    def _opened(self, message: Found, name: str, now: float) -> tuple[Entry, ...]:
        entries: list[Entry] = []
        for record in message.records:
            try:
                entry = self.notary.record(record, now + self.wall)
            except PeerError:
                continue
            if entry.name == name:
                entries.append(entry)
        return tuple(sorted(entries, key=lambda entry: -entry.listing.version)[:1])
