"""Records by the words they are found by: a sorted list, searched by the beginnings of words.  Pure.

It is made when somebody searches by words for the first time, and kept up from then on: most tests and simulations
never do.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from halloo.messages.credential import Entry
from halloo.messages.whitepages import Findable, words_of
from halloo.overlay.slots import Key

__all__ = ["WordIndex"]

_LAST = "\U0010ffff"


@dataclass(slots=True)
class WordIndex:
    """Keys by word, and by the digest of an e-mail address."""

    _words: list[tuple[str, Key]] = field(default_factory=list)
    _emails: dict[bytes, dict[Key, None]] = field(default_factory=dict)

    @classmethod
    def of(cls, entries: Iterable[tuple[Key, Entry]]) -> WordIndex:
        """The index of many records."""
        index = cls()
        for key, entry in entries:
            index._words += [(word, key) for word in words_of(entry)]
            index._add_email(key, entry)
        index._words.sort()
        return index

    def add(self, key: Key, entry: Entry) -> None:
        """A record is kept."""
        for word in words_of(entry):
            insort(self._words, (word, key))
        self._add_email(key, entry)

    def remove(self, key: Key, entry: Entry) -> None:
        """It is no longer kept."""
        for word in words_of(entry):
            at = bisect_left(self._words, (word, key))
            if at < len(self._words) and self._words[at] == (word, key):
                del self._words[at]
        known = self._emails.get(entry.listing.email)
        if known is not None:
            known.pop(key, None)
            if not known:
                del self._emails[entry.listing.email]

    def beginning(self, begin: str) -> Iterator[Key]:
        """Keys of records with a word that begins so; one may come twice."""
        first, end = bisect_left(self._words, (begin, 0)), bisect_left(self._words, (begin + _LAST, 0))
        return (key for _, key in self._words[first:end])

    def narrowest(self, query: str) -> Iterator[Key]:
        """Keys of records with a word that begins as the rarest word of a search."""
        spans = [
            (bisect_left(self._words, (word + _LAST, 0)) - bisect_left(self._words, (word, 0)), word)
            for word in query.split()
        ]
        return self.beginning(min(spans)[1]) if spans else iter(())

    def with_email(self, email: bytes) -> Iterator[Key]:
        """Keys of records with this digest of an address."""
        return iter(self._emails.get(email, ()))

    def _add_email(self, key: Key, entry: Entry) -> None:
        if entry.listing.email and entry.listing.findable & Findable.EMAIL:
            self._emails.setdefault(entry.listing.email, {})[key] = None
