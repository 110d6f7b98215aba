"""A supernode reads the log as it grows: who was called back, and whether the log is still the one it was.

    supernode                     login server
      | --- LogAsked (head) --------> |   once, at first
      | --- LogAsked (revocations) -> |   of the last 14 days, page by page
      | --- LogAsked (new entries) -> |   every ten minutes, page by page
      | <-- LogTold ----------------- |

Every entry since the first head is chained; every head is compared with the one before.  What others show is compared
with what was read: heads that nodes and supernodes were told, and credentials, each of which names its entry.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from enum import Enum
from random import Random

from halloo.base.address import Address
from halloo.base.errors import PeerError
from halloo.base.machine import Effects, Event, Numbers, Timers
from halloo.login.asking import Asking
from halloo.login.audit import Chain, contradiction
from halloo.login.auditor import QUESTION, LogContradicted
from halloo.login.log import MARK_SIZE, Ledger, read_answer, read_head
from halloo.login.revocations import CREDENTIAL_LIFE, Revocations
from halloo.messages.credential import Claims, Notary
from halloo.messages.log import MAX_PAGE, EntryKind, Head, LogAsked, LogEntry, LogTold, SignedHead
from halloo.wire.command import encode_shape

__all__ = ["HeadSeen", "KeysRevoked", "Watch"]

EVERY = 600.0  # seconds between looks, 20 % more or less: how long a revoked key may still be served
RETRY = 60.0  # seconds after a look that nobody answered; 50 % more or less
MAX_MARKS = 8_192  # of the newest entries, kept for comparing; 1 MB, a day of a network of ten thousand
MAX_NAMES = 200_000  # names whose newest entry is remembered, some 30 MB; the longest quiet go first
MAX_CLAIMED = 1_024  # entries that credentials name and that are still to be read
BEHIND = 24  # entries still to be read from which on a stream is cheaper than many datagrams


class State(Enum):
    """What is being read."""

    HEAD = 0
    REVOCATIONS = 1
    ENTRIES = 2


class Timer(Enum):
    """What is waited for."""

    LOOK = 0


@dataclass(frozen=True, slots=True)
class HeadSeen(Event):
    """The log has a new head."""

    signed: SignedHead


@dataclass(frozen=True, slots=True)
class KeysRevoked(Event):
    """The keys of so many names were called back."""

    names: int


@dataclass(slots=True)
class Watch:
    """One supernode's view of the log."""

    ledger: Ledger
    notary: Notary
    servers: tuple[Address, ...]
    revocations: Revocations
    rng: Random
    streams: Numbers
    requests: Numbers
    wall: float
    state: State = State.HEAD
    timers: Timers = field(default_factory=Timers)
    head: SignedHead | None = None
    chain: Chain = field(init=False)
    asking: Asking = field(init=False)
    _first: int = 0
    _question: LogAsked | None = None
    _newest: bytes = b""
    """The hash in ``head``."""
    _marks: OrderedDict[int, bytes] = field(default_factory=OrderedDict)
    """By number, the marks of the entries read last."""
    _names: OrderedDict[bytes, int] = field(default_factory=OrderedDict)
    """By digest of a name, the number of its newest entry that was read."""
    _claimed: OrderedDict[int, tuple[bytes, str, bytes]] = field(default_factory=OrderedDict)
    """By number, what was shown of entries still to come: (mark, in words where it stood, evidence)."""

    def __post_init__(self) -> None:
        self.chain = Chain(self.ledger)
        self.asking = Asking(self.servers, self.rng, self.streams)

    @property
    def wake_at(self) -> float:
        """When ``wake`` has something to do."""
        return min(self.timers.next, self.asking.wake_at)

    def begin(self, now: float) -> Effects:
        """Look for the first time."""
        return self._ask(now) if self.servers else []

    def receive(self, message: LogTold, now: float) -> Effects:
        """An answer."""
        question = self._question
        if question is None or message.request != question.request:
            return []
        try:
            head, signed = read_answer(self.ledger, self.notary, question, message)
        except PeerError:
            return []  # not from a login server, or not as it left one: it is asked again
        self._question = None
        out = self.asking.end()
        words = self._contradicted(head)
        again, behind = False, 0
        try:
            news, again, behind = self._read(message, head, now)
            out += news
        except PeerError as fault:
            words = words or str(fault)
        if words:
            # Say so, and begin anew with the log that is told now: revocations must be heard of all the same.
            both = (self.head, signed) if self.head is not None else (signed,)
            out.append(LogContradicted(words, tuple(encode_shape(one) for one in both)))
            self.state, again = State.HEAD, False
        elif self.head is None or head.newest != self._newest:
            self.head, self._newest = signed, head.newest
            out.append(HeadSeen(signed))
        if again:
            return out + self._ask(now, only_streams=behind > BEHIND)
        self._later(now, EVERY, 0.2)
        return out

    def wake(self, now: float) -> Effects:
        """Look again; or give this look up."""
        out = self.asking.wake(now)
        if now >= self.asking.until:
            out += self.asking.end()
            self._question = None
            self._later(now, RETRY, 0.5)
        if self.timers.due(now):
            out += self._ask(now)
        return out

    def head_shown(self, signed: SignedHead, now: float) -> Effects:
        """Somebody shows us a head of the log that he was told."""
        try:
            head = read_head(signed, self.notary)
        except PeerError:
            return []  # his own invention is no evidence of anything
        words = self._contradicted(head)
        if words and self.head is not None:
            return [LogContradicted(words, (encode_shape(self.head), encode_shape(signed)))]
        if not head.count:
            return []
        where = f"a signed head of {head.count} entries that others were shown"
        return self._claim(head.count, head.newest[:MARK_SIZE], where, encode_shape(signed))

    def credential_shown(self, claims: Claims, credential: bytes, now: float) -> Effects:
        """Somebody shows us a credential that holds: does the log hold what it says?"""
        if not claims.entry:
            return []
        where = f"the credential of {claims.name}"
        return self._claim(claims.entry, claims.entry_hash, where, credential)

    def newest_entry(self, name: str) -> int:
        """The number of the newest entry of a folded name that we have read, 0 for none."""
        return self._names.get(self.ledger.name(name), 0)

    # --- inside

    def _claim(self, count: int, mark: bytes, where: str, evidence: bytes) -> Effects:
        """Compare a mark with the entry that it is of, now or when we come to read it."""
        held = self._marks.get(count)
        if held is not None:
            return [] if held == mark else [_another(count, where, evidence)]
        if count > self.chain.count:
            claimed = self._claimed.get(count)
            if claimed is not None and claimed[0] != mark:
                return [_another(count, f"{claimed[1]} and {where}", claimed[2], evidence)]
            self._claimed[count] = mark, where, evidence
            if len(self._claimed) > MAX_CLAIMED:
                self._claimed.popitem(last=False)
        return []

    def _take_in(self, entries: tuple[LogEntry, ...]) -> Effects:
        """Chain these, and compare them with what was shown of them before.  Raises Refused."""
        out: Effects = []
        for entry in entries:
            self.chain.add((entry,))
            self._marks[entry.number] = self.chain.newest[:MARK_SIZE]
            if len(self._marks) > MAX_MARKS:
                self._marks.popitem(last=False)
            self._names.pop(entry.name, None)
            self._names[entry.name] = entry.number
            if len(self._names) > MAX_NAMES:
                self._names.popitem(last=False)
            claimed = self._claimed.pop(entry.number, None)
            if claimed is not None and claimed[0] != self.chain.newest[:MARK_SIZE]:
                out.append(_another(entry.number, *claimed[1:]))
        return out

    def _read(self, message: LogTold, head: Head, now: float) -> tuple[Effects, bool, int]:
        """Take in a page: (what to tell, whether to ask on at once, how many entries are still to come)."""
        match self.state:
            case State.HEAD:
                self.chain.count, self.chain.newest = head.count, head.newest
                self._marks = OrderedDict({head.count: head.newest[:MARK_SIZE]} if head.count else {})
                self.state, self._first = State.REVOCATIONS, 0
                return [], True, 0
            case State.REVOCATIONS:
                if message.more and not message.entries:
                    return [], False, 0  # no room for one entry: somebody plays with us
                if message.entries:
                    self._first = message.entries[-1].number + 1
                if not message.more:
                    self.state = State.ENTRIES
                return self._revoked(message.entries, now), True, MAX_PAGE if message.more else 0
        out = self._take_in(message.entries)
        self.chain.agrees(head)
        behind = head.count - self.chain.count
        return out + self._revoked(message.entries, now), behind > 0 and bool(message.entries), behind

    def _revoked(self, entries: tuple[LogEntry, ...], now: float) -> Effects:
        revocations = (entry for entry in entries if entry.kind == EntryKind.REVOKED)
        fresh = sum(self.revocations.add(entry, now + self.wall) for entry in revocations)
        return [KeysRevoked(fresh)] if fresh else []

    def _contradicted(self, head: Head) -> str:
        return contradiction(read_head(self.head, self.notary), head) if self.head is not None else ""

    def _ask(self, now: float, *, only_streams: bool = False) -> Effects:
        question = self._question = LogAsked(
            first=self._first if self.state is State.REVOCATIONS else self.chain.count + 1,
            most=0 if self.state is State.HEAD else MAX_PAGE,
            revocations=self.state is State.REVOCATIONS,
            since=int(max(0.0, now + self.wall - CREDENTIAL_LIFE)) if self.state is State.REVOCATIONS else 0,
            padding=bytes(QUESTION),
            request=self.requests() & 0xFFFF,
        )
        return self.asking.begin(question, now, only_streams=only_streams)

    def _later(self, now: float, after: float, jitter: float) -> None:
        self.timers[Timer.LOOK] = now + after * (1 - jitter + 2 * jitter * self.rng.random())


def _another(count: int, where: str, *evidence: bytes) -> LogContradicted:
    return LogContradicted(f"{where} speaks of another entry {count} than the log holds", evidence)
