"""What a supernode answers to who searches by words: some of its records, to who hears it, and not too often.

A question in the open is short and its answer may be long, so nobody is answered at length before he has shown that he
is where he seems to be: he has to bring a cookie that was sent to him, a digest of his address under a secret of ours.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from halloo.base.address import Address
from halloo.messages.whitepages import FOUND_AT_ONCE, WordSearch, WordsFound
from halloo.overlay.block import Block
from halloo.overlay.directory import Directory
from halloo.overlay.slots import KEY_BITS, SLOTS, Key, Prefix, slot_of

__all__ = ["WhitePages"]

COOKIE_FOR = 600.0  # seconds that a secret is used; its cookies are taken for as long again
COOKIE = 8  # bytes
QUESTIONS_AT_ONCE = 40  # from one host; a search asks a holder once, and once more for each page
QUESTIONS_A_SECOND = 4.0  # from one host, beyond those
WORK_AT_ONCE = 100  # questions from all hosts
WORK_A_SECOND = 50.0  # the same: some percent of a core
MAX_HOSTS = 1_024  # hosts whose questions are counted


@dataclass(slots=True)
class WhitePages:
    """The white pages of one supernode."""

    block: Block
    directory: Directory
    holds: Callable[[Key], bool]
    digest: Callable[[bytes], bytes]
    rng: Random
    wall: float
    _secrets: list[tuple[float, bytes]] = field(default_factory=list)
    """Since when, and what; the newest first."""
    _left: dict[bytes, tuple[float, float]] = field(default_factory=dict)
    """By host, the questions left at a time; under the empty one those of all."""

    def asked(self, message: WordSearch, asker: Address, now: float) -> WordsFound | None:
        """The answer to a question in the open; None where there were too many."""
        if message.cookie not in self._cookies(asker, now):
            return WordsFound(cookie=self._cookies(asker, now)[0], token=message.token, request=message.request)
        if not (self._may(asker.host, now) and self._may(b"", now)):
            return None
        return self.answer(message, now)

    def answer(self, message: WordSearch, now: float) -> WordsFound:
        """What we hold of it."""
        prefix = Prefix(message.depth, message.bits)
        own = self.block.roster.prefix
        held = 0
        if prefix == own and self.block.found:
            asked = [slot for slot in range(SLOTS) if message.slots >> slot & 1]
            held = sum(1 << slot for slot in asked if self.holds(_first(own, slot)))
        if not held or not (message.words or message.email):
            return WordsFound(token=message.token, request=message.request)
        after = int.from_bytes(message.after, "big")
        found = [
            key
            for key in self.directory.search(message.words, message.email, now + self.wall)
            if key > after and own.covers(key) and held >> slot_of(key, own.depth) & 1
        ]
        entries = [self.directory.find(key, now + self.wall) for key in found[:FOUND_AT_ONCE]]
        return WordsFound(
            records=tuple(entry.record for entry in entries if entry is not None),
            slots=held,
            more=len(found) > FOUND_AT_ONCE,
            token=message.token,
            request=message.request,
        )

    def _cookies(self, asker: Address, now: float) -> list[bytes]:
        if not self._secrets or now - self._secrets[0][0] >= COOKIE_FOR:
            kept = [one for one in self._secrets if now - one[0] < 2 * COOKIE_FOR]
            self._secrets = [(now, self.rng.randbytes(32)), *kept[:1]]
        place = asker.host + asker.port.to_bytes(2, "big")
        return [self.digest(secret + place)[:COOKIE] for _, secret in self._secrets]

    def _may(self, host: bytes, now: float) -> bool:
        """Whether one more question is answered."""
        most, rate = (QUESTIONS_AT_ONCE, QUESTIONS_A_SECOND) if host else (WORK_AT_ONCE, WORK_A_SECOND)
        left, since = self._left.pop(host, (float(most), now))
        left = min(most, left + (now - since) * rate)
        may = left >= 1.0
        self._left[host] = left - may, now
        if len(self._left) > MAX_HOSTS:
            del self._left[next(iter(self._left))]
        return may


def _first(prefix: Prefix, slot: int) -> Key:
    """The lowest key of a slot."""
    return ((prefix.bits << 3) | slot) << (KEY_BITS - prefix.depth - 3)
