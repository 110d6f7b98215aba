"""Search the white pages: block after block, page by page, with a definite end.

    who searches                 holders of slots of a block
      | --- WordSearch ------------> |  two for each slot, so that one alone hides nobody
      | <-- WordsFound ------------- |

A block is searched when of each of its slots somebody has answered.  When a page is full, the search rests until the
next one is asked for; when all blocks were searched, or did not answer, it is over, and says how many were.
Who cannot ask in the open, or knows of no block yet, has his supernode search for him.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from math import inf
from random import Random

from halloo.base.address import Address, Peer, Wire
from halloo.base.effects import Send
from halloo.base.errors import PeerError, UsageError
from halloo.base.machine import Effects, Event, Numbers
from halloo.messages.block import Table
from halloo.messages.credential import Entry, Notary, Record
from halloo.messages.whitepages import WordSearch, WordsFound, fits
from halloo.overlay.atlas import Atlas, prefix_of_table
from halloo.overlay.slots import SLOTS, Key, Prefix, key_of, slot_of

__all__ = ["Browsed", "Browses"]

PAGE = 20  # users in one page: as many as a person looks through
BLOCKS_AT_ONCE = 3  # blocks asked at the same time
ASK_AGAIN = 0.6  # seconds without an answer after which a question is said again
LAST_ASKED = 2.0  # seconds without an answer after which a holder is given up
SECOND_FOR = 0.8  # seconds that the second holder of a slot has when the first has answered
RESTS_FOR = 300.0  # seconds after which a search is over whose next page nobody has asked for
SUPERNODE_FOR = 25.0  # seconds that our supernode has for a page
MAX_BROWSES = 64  # searches of one node at once
MAX_COOKIES = 2_048  # holders whose cookie is remembered
MAX_ANSWERS = 4_096  # answers to one search: it ends there


@dataclass(frozen=True, slots=True)
class Browsed(Event):
    """One page of a search.  ``searched`` of ``blocks`` were; ``more``: there may be more, so ask for the next page.

    ``took``: seconds for this page; ``messages``: what the search has cost so far, answers included.
    """

    number: int
    entries: tuple[Entry, ...]
    searched: int
    blocks: int
    more: bool
    took: float
    messages: int

    @property
    def complete(self) -> bool:
        """Whether everybody was asked."""
        return not self.more and 0 < self.blocks == self.searched


@dataclass(slots=True)
class _Question:
    """To one holder, about some slots of a block."""

    address: Address
    prefix: Prefix
    slots: int
    again: float = inf
    until: float = inf
    after: bytes = bytes(8)


@dataclass(slots=True)
class _Block:
    """A block that is being searched."""

    answered: int = 0
    """Slots of which somebody has told all."""
    until: float = inf
    """When those who have not answered yet are waited for no longer."""


@dataclass(slots=True)
class _Browse:
    query: str
    email: bytes
    began: float
    ahead: list[Table]
    blocks: int
    via: Peer | None
    """Our supernode, where it searches for us."""
    token: bytes
    until: float = inf
    searched: int = 0
    messages: int = 0
    more: bool = False
    open: dict[Prefix, _Block] = field(default_factory=dict)
    questions: dict[bytes, _Question] = field(default_factory=dict)
    """By token; those with a deadline are under way, the others rest until the next page."""
    seen: dict[Key, None] = field(default_factory=dict)
    ready: list[Entry] = field(default_factory=list)
    waits: bool = True
    """Whether a page was asked for and is not full yet."""


@dataclass(slots=True)
class Browses:
    """All searches by words of one node, or of the nodes that a supernode searches for."""

    notary: Notary
    digest: Callable[[bytes], bytes]
    atlas: Atlas
    rng: Random
    requests: Numbers
    wall: float
    listening: Address | None = None
    """Where we are asked ourselves, if we are a supernode."""
    own: Callable[[WordSearch, float], WordsFound] | None = None
    """What we answer ourselves then."""
    supernode: Peer | None = None
    open_to: bool = False
    """Whether datagrams of ours get through."""
    _browses: dict[int, _Browse] = field(default_factory=dict)
    _numbers: Numbers = field(default_factory=Numbers)
    _cookies: dict[Address, bytes] = field(default_factory=dict)

    @property
    def wake_at(self) -> float:
        """When ``wake`` has something to do."""
        return min(_wakes(browse) for browse in self._browses.values()) if self._browses else inf

    # --- intents

    def find(self, query: str, email: bytes, now: float) -> tuple[int, Effects]:
        """Search for words (as ``query_of`` gives them), or an e-mail's digest; the number is in the events.

        Raises:
            UsageError: too many searches at once.
        """
        if len(self._browses) >= MAX_BROWSES:
            raise UsageError("too many searches at once")
        number = self._numbers()
        tables = list(self.atlas.tables())
        self.rng.shuffle(tables)
        through = self.supernode if self.listening is None and not (self.open_to and tables) else None
        browse = _Browse(query, email, now, tables, len(tables), through, self.rng.randbytes(8))
        self._browses[number] = browse
        return number, self._page(number, browse, now)

    def more(self, number: int, now: float) -> Effects:
        """The next page.  Raises UsageError where the search is over."""
        browse = self._browses.get(number)
        if browse is None:
            raise UsageError("this search is over")
        browse.began = now
        return self._page(number, browse, now)

    def drop(self, number: int) -> None:
        """No more pages are wanted."""
        self._browses.pop(number, None)

    # --- what is heard

    def answered(self, message: WordsFound, address: Address, now: float) -> Effects:
        """A holder's answer in the open."""
        for number, browse in self._browses.items():
            question = browse.questions.get(message.token)
            if question is None or question.address != address or question.until == inf:
                continue
            browse.messages += 1
            if message.cookie:
                self._remember(address, message.cookie)
                return self._ask(browse, message.token, question, now, until=question.until)
            out = self._take(browse, message.token, question, message, now)
            return out + self._go_on(number, browse, now)
        return []

    def told(self, message: WordsFound, sender: Peer, now: float) -> Effects:
        """What our supernode has found for us."""
        for number, browse in self._browses.items():
            if browse.via == sender and browse.token == message.token and browse.waits:
                browse.messages += 1
                for record in message.records:
                    self._add(browse, record)
                if not message.blocks:
                    return []
                browse.searched, browse.blocks, browse.more = message.searched, message.blocks, message.more
                return self._tell(number, browse, now)
        return []

    def lost(self, peer: Peer, now: float) -> Effects:
        """Our supernode is gone; what it searched for us ends."""
        out: Effects = []
        for number, browse in list(self._browses.items()):
            if browse.via == peer:
                browse.more = False
                out += self._tell(number, browse, now)
        return out

    def wake(self, now: float) -> Effects:
        """Say again; give up who does not answer."""
        out: Effects = []
        for number, browse in list(self._browses.items()):
            if browse.until <= now:
                browse.more = False
                out += self._tell(number, browse, now) if browse.waits else []
                self._browses.pop(number, None)
                continue
            for token, question in list(browse.questions.items()):
                if question.until <= now:
                    del browse.questions[token]
                elif question.again <= now:
                    out += self._ask(browse, token, question, now, until=question.until)
            if browse.waits and browse.via is None:
                out += self._go_on(number, browse, now)
        return out

    # --- inside

    def _page(self, number: int, browse: _Browse, now: float) -> Effects:
        browse.waits, browse.until = True, inf
        if browse.via is not None:
            browse.until = now + SUPERNODE_FOR
            browse.messages += 1
            search = WordSearch(
                words=browse.query, email=browse.email, token=browse.token, request=self.requests() & 0xFFFF
            )
            return [Send(browse.via, search)]
        out: Effects = []
        for token, question in list(browse.questions.items()):
            if question.until == inf:
                out += self._ask(browse, token, question, now, until=now + LAST_ASKED)
        return out + self._go_on(number, browse, now)

    def _go_on(self, number: int, browse: _Browse, now: float) -> Effects:
        """Close blocks that are done, begin others, and tell the page when it is full or all is over."""
        out: Effects = []
        while True:
            for prefix, block in list(browse.open.items()):
                self._close(browse, prefix, block, now)
            if len(browse.ready) >= PAGE or not (browse.ahead or browse.open):
                break
            if len(browse.open) >= BLOCKS_AT_ONCE or not browse.ahead:
                break
            out += self._begin(browse, browse.ahead.pop(), now)
        over = not (browse.ahead or browse.open)
        busy = any(one.until < inf for one in browse.questions.values())
        if browse.waits and (over or (len(browse.ready) >= PAGE and not busy)):
            browse.more = not over or len(browse.ready) > PAGE
            out += self._tell(number, browse, now)
        return out

    def _begin(self, browse: _Browse, table: Table, now: float) -> Effects:
        """Ask the two longest serving of each slot, each once for all slots that they are asked about."""
        prefix = prefix_of_table(table)
        browse.open[prefix] = _Block()
        out: Effects = []
        for rank in (0, 1):
            asked: dict[Address, int] = {}
            for slot in range(SLOTS):
                index = table.order[2 * slot + rank]
                if index < len(table.gateways):
                    address = table.gateways[index]
                    asked[address] = asked.get(address, 0) | 1 << slot
            for address, slots in asked.items():
                token = self.rng.randbytes(8)
                question = browse.questions[token] = _Question(address, prefix, slots)
                out += self._ask(browse, token, question, now, until=now + LAST_ASKED)
        return out

    def _ask(self, browse: _Browse, token: bytes, question: _Question, now: float, *, until: float) -> Effects:
        question.again, question.until = now + ASK_AGAIN, until
        search = WordSearch(
            words=browse.query,
            email=browse.email,
            depth=question.prefix.depth,
            bits=question.prefix.bits,
            slots=question.slots,
            after=question.after,
            token=token,
            cookie=self._cookies.get(question.address, b""),
            request=self.requests() & 0xFFFF,
        )
        if question.address == self.listening and self.own is not None:
            return self._take(browse, token, question, self.own(search, now), now)
        browse.messages += 1
        return [Send(Wire(question.address), search)]

    def _take(self, browse: _Browse, token: bytes, question: _Question, answer: WordsFound, now: float) -> Effects:
        """One holder's answer."""
        last = b""
        for record in answer.records:
            key = self._add(browse, record, question)
            last = key.to_bytes(8, "big") if key is not None else last
        if answer.more and last > question.after and browse.messages < MAX_ANSWERS:
            question.after = last
            if len(browse.ready) >= PAGE:
                question.again = question.until = inf  # rests until the next page
                return []
            return self._ask(browse, token, question, now, until=now + LAST_ASKED)
        browse.questions.pop(token, None)
        block = browse.open.get(question.prefix)
        if block is not None:
            block.answered |= answer.slots & question.slots
            block.until = min(block.until, now + SECOND_FOR)
        return []

    def _close(self, browse: _Browse, prefix: Prefix, block: _Block, now: float) -> None:
        """Count a block when all was told, or nothing more is to be expected."""
        left = [token for token, one in browse.questions.items() if one.prefix == prefix]
        resting = any(browse.questions[token].until == inf for token in left)
        whole = block.answered == (1 << SLOTS) - 1
        if left and (resting or not whole or now < block.until):
            block.until = block.until if now < block.until else inf  # each question has an end of its own
            return
        for token in left:
            del browse.questions[token]
        del browse.open[prefix]
        browse.searched += whole

    def _add(self, browse: _Browse, record: Record, question: _Question | None = None) -> Key | None:
        """Take a record in that is true and fits; its key, where it is one of those that were asked about."""
        try:
            entry = self.notary.record(record, browse.began + self.wall)
        except PeerError:
            return None
        key = key_of(self.digest, entry.name)
        if not fits(entry, browse.query, browse.email):
            return None
        if question is not None:
            depth = question.prefix.depth
            if not (question.prefix.covers(key) and question.slots >> slot_of(key, depth) & 1):
                return None
        if key not in browse.seen:
            browse.seen[key] = None
            browse.ready.append(entry)
        return key

    def _tell(self, number: int, browse: _Browse, now: float) -> Effects:
        page, browse.ready = browse.ready[:PAGE], browse.ready[PAGE:]
        browse.waits, browse.until = False, now + RESTS_FOR
        if not browse.more:
            self._browses.pop(number, None)
        took = now - browse.began
        return [Browsed(number, tuple(page), browse.searched, browse.blocks, browse.more, took, browse.messages)]

    def _remember(self, address: Address, cookie: bytes) -> None:
        self._cookies.pop(address, None)
        if len(self._cookies) >= MAX_COOKIES:
            del self._cookies[next(iter(self._cookies))]
        self._cookies[address] = cookie


def _wakes(browse: _Browse) -> float:
    questions = min((min(one.again, one.until) for one in browse.questions.values()), default=inf)
    blocks = min((block.until for block in browse.open.values()), default=inf) if browse.waits else inf
    return min(browse.until, questions, blocks)
