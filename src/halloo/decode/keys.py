"""The keys that a reader of captures was given, and what they open.

A key file holds the lines of a key log, one per link (see ``link/keys.py``); empty lines and lines that begin with
``#`` are passed over.  The operator of a network can also give its letter key, which opens what is said at login.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from halloo.base.errors import Malformed, PeerError, UsageError
from halloo.crypto.suite import Seal, Suite
from halloo.crypto.suites import SUITES
from halloo.link.keys import LinkKeys
from halloo.link.replay import Window

__all__ = ["Direction", "Keys", "Opened"]

MAX_LINES = 100_000  # links in one key file: a busy supernode's day
EPOCHS = 8  # how many times 65,536 packets a capture may begin after its link did


@dataclass(slots=True)
class Direction:
    """What one side of a link says."""

    keys: LinkKeys
    by_initiator: bool
    seal: Seal
    synchronised: bool = False
    """Whether the window knows where in the numbers it is."""
    window: Window = field(default_factory=Window)

    def open(self, kind: int, link: bytes, frame: int, sealed: bytes) -> tuple[int, bytes] | None:
        """(sequence number, plain), or None when it is not sealed with this key."""
        expected = self.window.expand(frame)
        tries = [expected] if self.synchronised else [expected + (epoch << 16) for epoch in range(EPOCHS)]
        for sequence in tries:
            try:
                plain = self.seal.open(sequence, sealed, bytes([kind]) + link)
            except PeerError:
                continue
            self.window.mark(sequence)
            self.synchronised = True
            return sequence, plain
        return None


@dataclass(frozen=True, slots=True)
class Opened:
    """A sealed packet, opened."""

    direction: Direction
    sequence: int
    plain: bytes

    @property
    def meaning(self) -> str:
        """Who sealed it, under which number."""
        keys = self.direction.keys
        who = "initiator" if self.direction.by_initiator else "responder"
        return f"packet {self.sequence} of the {who} of the link {keys.initiator:#010x} to {keys.responder:#010x}"


class Keys:
    """Keys of links by the number that packets carry, and the operator's letter key."""

    def __init__(self, links: Iterable[LinkKeys] = (), letter: bytes = b"") -> None:
        self.letter = letter
        self.links: dict[tuple[int, int], list[LinkKeys]] = {}
        """By the numbers of both sides: those of the handshake, and of every renewal after it."""
        self._known: set[LinkKeys] = set()
        self.opened = 0
        """Packets that were opened so far."""
        self._by_number: dict[int, list[Direction]] = {}
        for keys in links:
            self._add(keys)

    @classmethod
    def read(cls, text: str, letter: bytes = b"") -> Keys:
        """The keys of a key file.

        Raises:
            UsageError: a line of it is none of a key log's; says which.
        """
        links = []
        for number, line in enumerate(text.splitlines(), start=1):
            if number > MAX_LINES:
                raise UsageError(f"the key file has more than {MAX_LINES} lines")
            if line.strip() and not line.startswith("#"):
                try:
                    links.append(LinkKeys.from_line(line))
                except Malformed as fault:
                    raise UsageError(f"line {number} of the key file: {fault}") from None
        return cls(links, letter)

    def open(self, suite: Suite, kind: int, link: bytes, frame: int, sealed: bytes) -> Opened | None:
        """Open what was said to the link number ``link``; None when no key given here does."""
        for direction in self._by_number.get(int.from_bytes(link, "big"), ()):
            if direction.keys.suite == suite.number:
                found = direction.open(kind, link, frame, sealed)
                if found is not None:
                    self.opened += 1
                    return Opened(direction, *found)
        return None

    def _add(self, keys: LinkKeys) -> None:
        suite = SUITES.get(keys.suite)
        if suite is None or keys in self._known:  # both sides may write the same file
            return
        self._known.add(keys)
        self.links.setdefault((keys.initiator, keys.responder), []).append(keys)
        initiator, responder = suite.agree(keys.initiators, keys.responders, keys.transcript)
        self._by_number.setdefault(keys.responder, []).append(Direction(keys, True, initiator))
        self._by_number.setdefault(keys.initiator, []).append(Direction(keys, False, responder))
