"""The white pages: who has these words in his name, full name or city, or this e-mail address?

In the open, to a supernode that holds slots of a block:

    anybody                       holder of slots
      | --- WordSearch ------------> |  who of these slots fits?
      | <-- WordsFound: cookie ----- |  once: show that you hear me
      | --- WordSearch: cookie ----> |
      | <-- WordsFound: records ---- |  some, in the order of their keys; ``more``: go on after the last

Over a link, from who cannot ask in the open, to his supernode, which asks for him:

    node                          its supernode
      | --- WordSearch ------------> |
      | <-- WordsFound ------------- |  several, the last with how many blocks were searched

A user is found by what he has left findable, and by nothing else; what a holder answers is signed by its owner, so it
can leave somebody out but make nobody up.
"""

from __future__ import annotations

import unicodedata
from enum import IntFlag

from halloo.base.errors import UsageError
from halloo.base.machine import Message
from halloo.messages.credential import Entry, Record
from halloo.wire.command import Form, blob, command, flag, nested, number, request_id, text, wide

__all__ = [
    "FOUND_AT_ONCE",
    "Findable",
    "WordSearch",
    "WordsFound",
    "fits",
    "query_of",
    "words_of",
]

MAX_QUERY = 80  # characters of a search
MAX_WORDS = 6  # words of a search
SHORTEST = 2  # letters that the longest word of a search has at least: nobody means to see everybody
MAX_INDEXED = 24  # words of one record that it is found by
FOUND_AT_ONCE = 4  # records in one answer: some 3 kB


class Findable(IntFlag):
    """By what somebody may be found besides his exact name."""

    NAME = 1
    FULL_NAME = 2
    CITY = 4
    EMAIL = 8


@command(40, Form.REQUEST)
class WordSearch(Message):
    """Who fits?  ``words``: each begins a word of his; ``email``: the digest of an address, if it is sought.

    ``slots``: a bit for each slot of the block ``depth``, ``bits`` that is asked about; ``after``: only keys above.
    ``cookie``: what the same holder gave before.  Over a link slots are not said, and ``token`` names the search: the
    same one again asks for the next page.
    """

    words: str = text(0x01, most=MAX_QUERY, default="")
    email: bytes = blob(0x02, most=64, default=b"")
    depth: int = number(0x03, most=64, default=0)
    bits: int = number(0x04, most=1 << 60, default=0)
    slots: int = number(0x05, most=255, default=0)
    after: bytes = wide(0x06, default=bytes(8))
    token: bytes = wide(0x07)
    cookie: bytes = blob(0x08, most=16, default=b"")
    request: int = request_id(default=0)


@command(41, Form.REPLY)
class WordsFound(Message):
    """Those who fit.  ``slots``: of which slots all were looked at that come before the last record told.

    ``more``: there are more after it.  Over a link ``blocks`` is 0 in all parts of a page but the last, which says how
    many blocks were ``searched``.
    """

    records: tuple[Record, ...] = nested(0x01, Record, most=FOUND_AT_ONCE, default=())
    slots: int = number(0x02, most=255, default=0)
    more: bool = flag(0x03, default=False)
    searched: int = number(0x04, most=1 << 32, default=0)
    blocks: int = number(0x05, most=1 << 32, default=0)
    token: bytes = wide(0x07)
    cookie: bytes = blob(0x08, most=16, default=b"")
    request: int = request_id(default=0)


def query_of(said: str) -> str:
    """The words of a search in their one spelling.

    Raises:
        UsageError: too short or too long to search for.
    """
    words = list(dict.fromkeys(_split(said)))
    query = " ".join(words)
    if max((len(word) for word in words), default=0) < SHORTEST:
        raise UsageError(f"search for a word of at least {SHORTEST} letters or digits")
    if len(words) > MAX_WORDS or len(query) > MAX_QUERY:
        raise UsageError(f"search for at most {MAX_WORDS} words, {MAX_QUERY} characters in all")
    return query


def words_of(entry: Entry) -> tuple[str, ...]:
    """The words that somebody is found by, as far as he wants to be."""
    listing, words = entry.listing, []
    if listing.findable & Findable.NAME:
        words += [entry.name, *_split(entry.name)]
    if listing.findable & Findable.FULL_NAME:
        words += _split(listing.full_name)
    if listing.findable & Findable.CITY:
        words += _split(listing.city)
    return tuple(dict.fromkeys(words))[:MAX_INDEXED]


def fits(entry: Entry, query: str, email: bytes) -> bool:
    """Whether somebody is what is searched for, and may be found so."""
    if email:
        return bool(entry.listing.findable & Findable.EMAIL) and entry.listing.email == email
    own = words_of(entry)
    return all(any(word.startswith(begin) for word in own) for begin in query.split())


def _split(said: str) -> list[str]:
    """Letters and digits in one spelling, cut where anything else stands."""
    spelled = unicodedata.normalize("NFC", unicodedata.normalize("NFKC", said).casefold())
    return "".join(letter if letter.isalnum() else " " for letter in spelled).split()
