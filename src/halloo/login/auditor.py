"""Audit one's own name: after each new credential, and once a day.

    node                          login server
      | --- LogAsked (my name) -----> |
      | <-- LogTold ----------------- |   again from where a page ended
      | --- LogAsked (one entry) ---> |   where our supernode was told another head than we
      | <-- LogTold ----------------- |

Where the way there is blocked, a supernode carries question and answer: it is signed, and nobody but a login server can
have made it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from math import inf
from random import Random

from halloo.base.address import Address, Peer
from halloo.base.errors import PeerError
from halloo.base.machine import Effects, Event, Numbers, Timers
from halloo.login.asking import Asking
from halloo.login.audit import Known, NameChain, Report, contradiction, examined
from halloo.login.log import Ledger, one_command, read_answer, read_head
from halloo.messages.credential import Claims, Notary
from halloo.messages.log import CarryQuestion, Head, LogAsked, LogTold, QuestionBack, SignedHead
from halloo.wire.command import encode_command, encode_shape

__all__ = ["AuditFailed", "Audited", "Auditor", "LogContradicted", "Memory"]

FIRST = (2.0, 30.0)  # seconds after a new credential, from and to: not all who log in at nine ask at the same moment
DAILY = 86_400.0  # seconds; 10 % more or less
RETRY = 3_600.0  # seconds after an audit that nobody answered
MAX_KNOWN = 64  # keys of this device remembered
AT_A_TIME = 8  # entries: as many as a datagram carries, and a supernode
PAGES = 512  # pages of one name that are read at most; some six entries each
QUESTION = 1_024  # bytes of padding: as long as the answer may be


class Timer(Enum):
    """What is waited for."""

    AUDIT = 0


@dataclass(slots=True)
class Memory:
    """What a device remembers from audit to audit, kept by its owner."""

    known: tuple[bytes, ...] = ()
    """Digests of the keys that this device had certified, or whose certification its user has approved."""
    since: int = 0
    """The number of the first certification of this device."""
    head: SignedHead | None = None
    """The newest signed head seen."""
    seen: tuple[int, bytes] = (0, b"")
    """(number, hash) of the newest entry of our name."""


@dataclass(frozen=True, slots=True)
class Audited(Event):
    """Our name was audited."""

    report: Report


@dataclass(frozen=True, slots=True)
class AuditFailed(Event):
    """Nobody told us of the log, or what was told is no log; in words."""

    reason: str
    unreachable: bool = False


@dataclass(frozen=True, slots=True)
class LogContradicted(Event):
    """The login servers signed what cannot be true together.

    ``evidence``: what they signed (SignedHead shapes, a credential), for whoever wants to see.
    """

    words: str
    evidence: tuple[bytes, ...]


@dataclass(slots=True)
class Auditor:
    """The audits of one user's name."""

    ledger: Ledger
    notary: Notary
    servers: tuple[Address, ...]
    memory: Memory
    rng: Random
    streams: Numbers
    requests: Numbers
    claims: Claims | None = None
    timers: Timers = field(default_factory=Timers)
    asking: Asking = field(init=False)
    _chain: NameChain | None = None
    _head: Head | None = None
    _question: LogAsked | None = None
    _pages: int = 0
    _point: tuple[Head, SignedHead] | None = None
    """A head that our supernode showed us, still to be compared with the log as we are told it."""
    _asking_point: bool = False
    _shown: int = 0
    """The number of the newest entry of our name that a supernode has spoken of."""

    def __post_init__(self) -> None:
        self.asking = Asking(self.servers, self.rng, self.streams)

    @property
    def wake_at(self) -> float:
        """When ``wake`` has something to do."""
        return min(self.timers.next, self.asking.wake_at)

    # --- intents

    def certified(self, claims: Claims, now: float) -> Effects:
        """We have a new credential: it is ours, and will be looked for in the log."""
        memory, key = self.memory, self.ledger.key(claims.key)
        self.claims = claims
        if key not in memory.known:
            memory.known = (*memory.known, key)[-MAX_KNOWN:]
        if not memory.since:
            memory.since = claims.entry
        self.timers[Timer.AUDIT] = now + self.rng.uniform(*FIRST)
        return []

    def soon(self, now: float) -> None:
        """Something looks as if our key had been revoked: look at the log before a day is over."""
        if self.claims is not None and self.timers.get(Timer.AUDIT, inf) > now + RETRY:
            self.timers[Timer.AUDIT] = now + self.rng.uniform(*FIRST)

    def audit(self, now: float) -> Effects:
        """Look now."""
        if self.claims is None:
            return []
        self.timers[Timer.AUDIT] = now + DAILY * (0.9 + 0.2 * self.rng.random())
        self._chain = NameChain(self.ledger, self.ledger.name(self.claims.name))
        self._head, self._pages, self._asking_point = None, 0, False
        return self._ask(0, now)

    def attached(self, supernode: Peer | None, now: float) -> Effects:
        """The supernode changed; it may be asked to carry a question that is still out."""
        return self.asking.attached(supernode, now)

    # --- what is heard

    def head_shown(self, signed: SignedHead, now: float) -> Effects:
        """Our supernode shows the newest head that it has seen."""
        try:
            head = read_head(signed, self.notary)
        except PeerError:
            return []  # a supernode's own invention is no evidence of anything
        self._point = head, signed
        return self._compared(head, signed)

    def entry_shown(self, number: int, now: float) -> Effects:
        """Our supernode has read an entry of our name: if we know of none so new, look now and not tomorrow."""
        if self.claims is not None and number > max(self.memory.seen[0], self.claims.entry, self._shown):
            self._shown = number
            wait = self.rng.uniform(*FIRST)
            self.timers[Timer.AUDIT] = min(self.timers.get(Timer.AUDIT, inf), now + wait)
        return []

    def receive(self, message: LogTold, now: float) -> Effects:
        """An answer."""
        question = self._question
        if question is None or message.request != question.request or self._chain is None:
            return []
        try:
            head, signed = read_answer(self.ledger, self.notary, question, message)
        except PeerError:
            return []  # not from a login server, or not as it left one: it is asked again
        self._question = None
        out = self.asking.end()
        try:
            out += self._compared(head, signed)
            if self._asking_point:
                return out + self._point_told(message)
            self._chain.add(message.entries, head)
        except PeerError as fault:
            return out + self._failed(str(fault))
        self._head, self._pages = head, self._pages + 1
        if not message.more:
            return out + self._done(now)
        if not message.entries or self._pages >= PAGES:
            return out + self._failed(f"the log has more entries of this name than can be read: over {self._pages * 6}")
        return out + self._ask(message.entries[-1].number + 1, now)

    def brought_back(self, message: QuestionBack, now: float) -> Effects:
        """An answer that our supernode brings.  Raises Malformed."""
        return self.receive(one_command(LogTold, message.told), now)

    def wake(self, now: float) -> Effects:
        """Begin an audit, say a question again, or give up."""
        out = self.asking.wake(now)
        if now >= self.asking.until:
            out += self.asking.end()
            self._question = None
            self.timers[Timer.AUDIT] = now + RETRY * (0.5 + self.rng.random())
            out += self._failed("no login server answered", unreachable=True)
        if self.timers.due(now):
            out += self.audit(now)
        return out

    # --- inside

    def _ask(self, first: int, now: float) -> Effects:
        assert self._chain is not None
        name = b"" if self._asking_point else self._chain.name
        question = self._question = LogAsked(
            first=first,
            most=1 if self._asking_point else AT_A_TIME,
            name=name,
            padding=bytes(QUESTION),
            request=self.requests() & 0xFFFF,
        )
        carried = CarryQuestion(question=encode_command(question), request=question.request)
        return self.asking.begin(question, now, carried=carried)

    def _compared(self, head: Head, signed: SignedHead) -> Effects:
        """Compare a head with the newest we know, and remember the newer."""
        held = self.memory.head
        if held is None:
            self.memory.head = signed
            return []
        before = read_head(held, self.notary)
        words = contradiction(before, head)
        if words:
            return [LogContradicted(words, (encode_shape(held), encode_shape(signed)))]
        if head.count >= before.count:
            self.memory.head = signed
        return []

    def _done(self, now: float) -> Effects:
        assert self._chain is not None
        assert self._head is not None
        assert self.claims is not None
        memory = self.memory
        report = examined(
            self.ledger,
            self.claims,
            self._chain,
            self._head,
            Known(frozenset(memory.known), memory.since, memory.seen, self._shown),
        )
        self._shown = 0
        if report.entries and not report.faults:
            last = report.entries[-1]
            memory.seen = last.number, self.ledger.hash_of(last)
        out: Effects = [Audited(report)]
        if self._point is not None and 0 < self._point[0].count <= self._head.count:
            self._asking_point = True
            return out + self._ask(self._point[0].count, now)
        self._chain = None
        return out

    def _point_told(self, message: LogTold) -> Effects:
        """Whether the entry that our supernode's head ends with is the one that we are told."""
        assert self._point is not None
        head, signed = self._point
        self._chain, self._point, self._asking_point = None, None, False
        entry = message.entries[0] if message.entries else None
        if entry is not None and entry.number == head.count and self.ledger.hash_of(entry) == head.newest:
            return []
        words = f"the login server tells us another entry {head.count} than it signed towards our supernode"
        return [LogContradicted(words, tuple(encode_shape(one) for one in (signed, *message.head)))]

    def _failed(self, reason: str, *, unreachable: bool = False) -> Effects:
        self._chain, self._asking_point = None, False
        return [AuditFailed(reason, unreachable)]
