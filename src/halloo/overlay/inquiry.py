"""Ask those who hold a slot for one key, in the open: hedged, cross-checked, with a definite end.

    who asks                      a holder of the slot      another            a third
      | --- Search ----------------> |                        |                  |
      | --- Search, after 150 ms, if there is no answer -----> |                  |
      | <-- Found ------------------ |                        |                  |
      | --- Search, to two more, if it says that there is nothing --------------> |

A record is believed because it is signed; that there is none, because several say so.  Who said so while others had it,
or answers with an old one, is asked last from then on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from math import inf
from random import Random

from halloo.base.address import Address, Wire
from halloo.base.effects import Send
from halloo.base.errors import PeerError
from halloo.base.machine import Effects, Event, Numbers
from halloo.messages.block import PADDING
from halloo.messages.credential import Entry, Notary
from halloo.messages.directory import Found, Search
from halloo.overlay.slots import Key, key_of

__all__ = ["Inquiries", "Learnt", "record_under"]

HEDGES = (0.15, 0.1, 0.1, 0.1, 0.3, 0.6)  # seconds without an answer, after which the next one is asked as well
HEDGE_MOST = 1.0  # seconds between the ones after those
GIVE_UP = 4.0  # seconds for one inquiry
BELIEVED = 5  # holders whose word it takes that there is nothing, where there are so many
AT_LEAST = 3  # of whom so many make the answer complete
MORE = 2  # holders asked at once when one has nothing
THOROUGH = 3  # answers of which the newest is taken, when that is asked for
THOROUGH_FOR = 0.4  # seconds from the first to the last of them
MAX_CANDIDATES = 16  # holders tried for one key
MAX_INQUIRIES = 1_024  # at once
SETTLED = 60.0  # seconds after which a record must be with all who hold its slot: earlier, not to have it is no lie
SILENT_FOR = 60.0  # seconds for which who did not answer, while others did, is asked last
MAX_DISTRUSTED = 512  # addresses remembered for their lies
FORGIVEN = 2.0  # by what a distrust is divided with each answer that was right
ONLINE_FOR = 12.5 * 3600  # seconds that a record is newer than, if its owner is on line: it is written every 12 hours


@dataclass(frozen=True, slots=True)
class Learnt(Event):
    """An inquiry ended.  ``heard``: how many have answered; ``messages``: what it cost, answers included.

    ``holders``: who answered as one who holds the key, whatever he has of it.
    """

    number: int
    key: Key
    entry: Entry | None
    complete: bool
    heard: int
    messages: int
    holders: tuple[Address, ...] = ()


@dataclass(slots=True)
class _Inquiry:
    key: Key
    token: bytes
    candidates: list[Address]
    thorough: bool
    until: float
    again: float
    hedges: int = 0
    """How many more were asked because nobody answered."""
    asked: dict[Address, float] = field(default_factory=dict)
    """Who was asked, and when last."""
    answered: dict[Address, int] = field(default_factory=dict)
    """Who answered, and the version that he had (0: none)."""
    referred: dict[Address, None] = field(default_factory=dict)
    """Who answered that he does not hold the key."""
    best: Entry | None = None
    messages: int = 0

    def heard(self, address: Address) -> bool:
        """Whether somebody has answered, whatever he said."""
        return address in self.answered or address in self.referred


@dataclass(slots=True)
class Inquiries:
    """All inquiries of one node."""

    notary: Notary
    digest: Callable[[bytes], bytes]
    rng: Random
    requests: Numbers
    wall: float
    distrust: dict[Address, float] = field(default_factory=dict)
    """Who has said what was not so, and how often lately."""
    silent: dict[Address, float] = field(default_factory=dict)
    """Who did not answer, and until when that counts."""
    _inquiries: dict[int, _Inquiry] = field(default_factory=dict)
    _tokens: dict[bytes, int] = field(default_factory=dict)
    _numbers: Numbers = field(default_factory=Numbers)

    @property
    def wake_at(self) -> float:
        """When ``wake`` has something to do."""
        return min((min(one.until, one.again) for one in self._inquiries.values()), default=inf)

    @property
    def full(self) -> bool:
        """Whether no more can be begun now."""
        return len(self._inquiries) >= MAX_INQUIRIES

    def ask(
        self, key: Key, candidates: list[Address], now: float, *, thorough: bool = False, but: Address | None = None
    ) -> tuple[int, Effects]:
        """Ask for a key; ``thorough``: take the newest of several answers.  The number names it in its event.

        ``but``: who is not asked, whoever names him.
        """
        number = self._numbers()
        ranked = sorted(candidates[:MAX_CANDIDATES], key=lambda one: self._doubtful(one, now))
        inquiry = _Inquiry(key, self.rng.randbytes(8), ranked, thorough, now + GIVE_UP, now + HEDGES[0])
        if not ranked or self.full:
            return number, [Learnt(number, key, None, complete=False, heard=0, messages=0)]
        if but is not None:
            inquiry.asked[but] = now
            inquiry.referred[but] = None
        self._inquiries[number] = inquiry
        self._tokens[inquiry.token] = number
        out: Effects = []
        for _ in range(THOROUGH if thorough else 1):
            out += self._next(inquiry, now)
        return number, out

    def drop(self, number: int) -> None:
        """The answer is no longer wanted."""
        inquiry = self._inquiries.pop(number, None)
        if inquiry is not None:
            del self._tokens[inquiry.token]

    def receive(self, message: Found, address: Address, now: float) -> Effects:
        """An answer in the open."""
        number = self._tokens.get(message.token)
        if number is None:
            return []
        inquiry = self._inquiries[number]
        if address not in inquiry.asked or inquiry.heard(address):
            return []
        inquiry.messages += 1
        entry = record_under(inquiry.key, message, self.notary, self.digest, now + self.wall)
        if entry is None and not message.complete:
            inquiry.referred[address] = None
            self._extend(inquiry, message.others)  # it does not hold the key, and says who does
            out = self._next(inquiry, now)
            return out if out or not self._all_heard(inquiry) else self._end(number, now)
        inquiry.answered[address] = entry.listing.version if entry is not None else 0
        if entry is not None and (
            inquiry.best is None or not inquiry.best.as_new_as(entry.listing.version, entry.seen)
        ):
            inquiry.best = entry
        self._extend(inquiry, message.others)
        return self._weigh(number, inquiry, now)

    def wake(self, now: float) -> Effects:
        """Ask the next one; give up what took too long."""
        out: Effects = []
        for number, inquiry in list(self._inquiries.items()):
            if inquiry.until <= now:
                out += self._end(number, now)
            elif inquiry.again <= now:
                inquiry.hedges += 1
                more = HEDGES[inquiry.hedges :]
                inquiry.again = now + (more[0] if more else HEDGE_MOST)
                out += self._next(inquiry, now) or self._once_more(inquiry, now)
        return out

    # --- inside

    def _weigh(self, number: int, inquiry: _Inquiry, now: float) -> Effects:
        """Whether enough was heard."""
        best = inquiry.best
        if best is not None:
            stale = bool(best.listing.state) and best.seen + ONLINE_FOR < now + self.wall
            if not inquiry.thorough and not stale:
                return self._end(number, now)
            if sum(1 for version in inquiry.answered.values() if version) >= THOROUGH:
                return self._end(number, now)
            inquiry.until = min(inquiry.until, now + THOROUGH_FOR)
        elif len(inquiry.answered) >= BELIEVED:
            return self._end(number, now)
        out: Effects = []
        for _ in range(MORE):
            out += self._next(inquiry, now)
        if not out and self._all_heard(inquiry):
            return self._end(number, now)  # nobody is left to ask
        return out

    def _all_heard(self, inquiry: _Inquiry) -> bool:
        return len(inquiry.answered) + len(inquiry.referred) == len(inquiry.asked)

    def _next(self, inquiry: _Inquiry, now: float) -> Effects:
        fresh = next((one for one in inquiry.candidates if one not in inquiry.asked), None)
        return self._question(inquiry, fresh, now) if fresh is not None else []

    def _once_more(self, inquiry: _Inquiry, now: float) -> Effects:
        """Everybody was asked; somebody's question or answer was lost."""
        silent = [one for one in inquiry.asked if not inquiry.heard(one)]
        return self._question(inquiry, self.rng.choice(silent), now) if silent else []

    def _question(self, inquiry: _Inquiry, address: Address, now: float) -> Effects:
        inquiry.asked[address] = now
        inquiry.messages += 1
        search = Search(
            key=inquiry.key.to_bytes(8, "big"),
            token=inquiry.token,
            padding=PADDING,
            request=self.requests() & 0xFFFF,
        )
        return [Send(Wire(address), search)]

    def _extend(self, inquiry: _Inquiry, others: tuple[Address, ...]) -> None:
        """Who holds the key for certain is asked before those who may only know of such."""
        at = sum(1 for one in inquiry.candidates if one in inquiry.asked)
        for other in others:
            if other not in inquiry.asked and other not in inquiry.candidates[:at]:
                if other in inquiry.candidates:
                    inquiry.candidates.remove(other)
                inquiry.candidates.insert(at, other)
        del inquiry.candidates[MAX_CANDIDATES:]

    def _end(self, number: int, now: float) -> Effects:
        inquiry = self._inquiries.pop(number)
        del self._tokens[inquiry.token]
        self._judge(inquiry, now)
        if inquiry.answered or inquiry.referred:
            self._note_silent(inquiry, now)
        heard = len(inquiry.answered)
        known = min(AT_LEAST, len(inquiry.candidates) - len(inquiry.referred))
        complete = inquiry.best is not None or (heard >= known > 0)
        return [Learnt(number, inquiry.key, inquiry.best, complete, heard, inquiry.messages, tuple(inquiry.answered))]

    def _doubtful(self, address: Address, now: float) -> bool:
        return self.distrust.get(address, 0.0) >= 1.0 or self.silent.get(address, 0.0) > now

    def _note_silent(self, inquiry: _Inquiry, now: float) -> None:
        """Remember who did not answer, though others did."""
        for address, asked in inquiry.asked.items():
            if inquiry.heard(address):
                self.silent.pop(address, None)
            elif asked + HEDGES[0] <= now:
                if len(self.silent) >= MAX_DISTRUSTED and address not in self.silent:
                    del self.silent[next(iter(self.silent))]
                self.silent[address] = now + SILENT_FOR

    def _judge(self, inquiry: _Inquiry, now: float) -> None:
        """Remember who said something else than what is true."""
        best = inquiry.best
        if best is None or best.listing.issued + SETTLED > now + self.wall:
            return
        for address, version in inquiry.answered.items():
            if version < best.listing.version:
                if len(self.distrust) >= MAX_DISTRUSTED and address not in self.distrust:
                    del self.distrust[next(iter(self.distrust))]
                self.distrust[address] = self.distrust.get(address, 0.0) + 1.0
            elif address in self.distrust:
                self.distrust[address] /= FORGIVEN


def record_under(
    key: Key, message: Found, notary: Notary, digest: Callable[[bytes], bytes], wall: float
) -> Entry | None:
    """The record in an answer, opened; None where there is none, it is not true, or it belongs under another key."""
    for record in message.records[:1]:
        try:
            entry = notary.record(record, wall)
        except PeerError:
            return None
        return entry if key_of(digest, entry.name) == key else None
    return None
