"""The choices that a compressed object list is made of: what there is to choose from, and how likely it is.

Shared by ``squeeze`` and ``unsqueeze``; the frequencies are those of ``tables``.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import IntEnum
from itertools import accumulate

from halloo.base.address import Address
from halloo.wire.interval import PRECISION
from halloo.wire.raw import Kind
from halloo.wire.tables import ANY, FREQUENT, TABLES

__all__ = [
    "ALPHABET",
    "BITS",
    "CLASS",
    "DISTANT",
    "END",
    "END_OF_TEXT",
    "FREQUENT_FROM",
    "GROWTH",
    "GROWTH_FREE",
    "KINDS",
    "LARGE",
    "LETTERS",
    "LIST_IN_BLOB",
    "NEAR",
    "OTHER",
    "PLACE",
    "SAME",
    "SAME_STEP",
    "SHIFT",
    "SQUEEZED",
    "TOP",
    "WIDES",
    "Choice",
    "Memory",
    "Model",
    "chunks",
    "cumulative",
    "letter_context",
    "start",
]

SQUEEZED = 0x42
SHIFT = 0x15  # added to the number's first byte, so that the empty list is 42 15 as in the published dumps
TOP = 1 << 20  # parent of a command's own list, plus the command's number; of a list in a list: its id + 1
GROWTH = 8  # bytes of raw list for each byte that carries it, at most; honest lists stay below three
GROWTH_FREE = 64  # bytes besides

# --- alphabets ----------------------------------------------------------------------------------------------------

LIST_IN_BLOB = 8  # in the order of kinds: a blob that is the raw form of a list
KINDS = (
    *(Kind.BLOB, Kind.TEXT, Kind.OBJECTS, Kind.ADDRESS4, Kind.NUMBERS),
    *(Kind.WIDE, Kind.NUMBER, LIST_IN_BLOB, Kind.ADDRESS6),
)
"""The order of last use as a list begins."""
END, SAME, SAME_STEP, OTHER = 0, 1, 6, 7  # head: end; same kind with id + 0 … 4; coded step; place 1 … 8

DISTANT = 65  # number: bits 0 … 64, then distances: 2 * bits + sign, then frequent distances
FREQUENT_FROM = DISTANT + 50
LARGE = 1 << 20  # a number from here on is compared with the large number before it: clocks, mostly
NEAR = 1 << 24

WIDES = 4  # new, or the same as the last … fourth last
END_OF_TEXT = 0


def _classes() -> tuple[list[int], list[bytes]]:
    """The class of each byte, and the bytes of each class."""
    members = [
        b"\0",
        b"etaoinsr",
        b"lhdcumfp",
        b"gwybvkxjqz",
        b"0123456789",
        b"BCDFGHJKLMNPQRSTVWXYZ",
        b"AEIOU",
        b" ",
        bytes(range(0x80, 0xC0)),
        bytes(range(0xC0, 0x100)),
    ]
    known = set(b"".join(members))
    members.append(bytes(byte for byte in range(256) if byte not in known))
    table = [0] * 256
    for number, letters in enumerate(members):
        for byte in letters:
            table[byte] = number
    return table, members


CLASS, LETTERS = _classes()
PLACE = [LETTERS[kind].index(byte) for byte, kind in enumerate(CLASS)]


class Model(IntEnum):
    """What a choice is about; each has tables of its own, by context."""

    HEAD = 0
    STEP = 1
    NUMBER = 2
    LENGTH = 3
    COUNT = 4
    ITEM = 5
    CLASS = 6
    LETTER = 7
    WIDE = 8
    HOST4 = 9
    HOST6 = 10


ALPHABET: dict[int, int] = {
    Model.HEAD: OTHER + len(KINDS) - 1,
    Model.STEP: 2 * 17,
    Model.NUMBER: FREQUENT_FROM + len(FREQUENT),
    Model.LENGTH: 17,
    Model.COUNT: 12,
    Model.ITEM: 65,
    Model.CLASS: len(LETTERS),
    Model.LETTER: 64,
    Model.WIDE: WIDES + 1,
    Model.HOST4: 2 * 5,
    Model.HOST6: 2 * 17,
}
"""How many choices each model has; a letter's class has 64 members at most."""

Choice = tuple[int, int, int]
"""(model, context, what was chosen), or (``BITS``, how many, their value): bits that are equally likely."""
BITS = -1


def letter_context(kind: int, before: int) -> int:
    """The context of a letter of class ``kind`` after the byte ``before``; without a table, the class alone is it."""
    return before << 8 | kind


def start(parent: int) -> int:
    """The context at the begin of a list, in place of the object before."""
    return parent << 20 | 0xF0000


class Memory:
    """What was said before in one list and those in it, to be referred to.

    ``network``: the network's id, which both sides know (empty: it is not known).
    """

    def __init__(self, network: bytes = b"") -> None:
        self.wides: list[bytes] = [network] if network else []
        self.latest = 0
        """The last large number."""
        self._addresses: dict[int, Address] = {4: Address(bytes(4), 0), 16: Address(bytes(16), 0)}

    def wide(self, value: bytes) -> int:
        """Which of the last few new ones ``value`` is, from 1; 0: none, and it is the newest now."""
        if value in self.wides:
            return self.wides.index(value) + 1
        self.wides.insert(0, value)
        del self.wides[WIDES:]
        return 0

    def large(self, value: int) -> int:
        """The large number before ``value``; 0 where there is none or ``value`` is not large."""
        if value < LARGE:
            return 0
        before, self.latest = self.latest, value
        return before

    def latest_address(self, size: int) -> Address:
        """The last address with a host of ``size`` bytes."""
        return self._addresses[size]

    def address(self, value: Address) -> Address:
        """The address of this family before ``value``."""
        before = self._addresses[len(value.host)]
        self._addresses[len(value.host)] = value
        return before


def chunks(bits: int) -> Iterator[tuple[int, int]]:
    """(bits, places to the right of them) for ``bits`` bits in pieces of at most sixteen."""
    while bits > 0:
        size = min(bits, 16)
        bits -= size
        yield size, bits


# --- tables -------------------------------------------------------------------------------------------------------

_MADE: list[dict[int, list[int]]] = [{} for _ in Model]


def cumulative(model: int, context: int) -> list[int]:
    """How many frequencies stand before each choice; the last one is 2^12.  Made when first asked for."""
    made = _MADE[model].get(context)
    return _made(model, context) if made is None else made


def _made(model: int, context: int) -> list[int]:
    table = TABLES[model].get(context)
    if table is None:
        wider = context & 0xFF if model == Model.LETTER and context > 0xFF else ANY
        made = cumulative(model, wider)
    else:
        made = _expanded(table, ALPHABET[model])
    if table is not None:  # a context without a table is not remembered: there are as many as a peer can think of
        _MADE[model][context] = made
    return made


def _expanded(table: dict[int, int], size: int) -> list[int]:
    """Frequencies for all choices: those in the table, and 1 for each that is not."""
    frequencies = [table.get(chosen, 1) for chosen in range(size)]
    frequencies[max(table, key=table.__getitem__)] += (1 << PRECISION) - sum(frequencies)
    return [0, *accumulate(frequencies)]
