"""Seal and open what one pair says, under numbers that are never used twice, and under keys that are renewed.

A sealed packet carries the low 16 bits of its number as its frame id; the rest follows from what was heard before.
The kind of the frame and the link number are authenticated beside it, so that sound cannot be passed off as speech
between nodes, or moved to another link.

Numbers go on when keys are renewed; which keys a packet is under is found by trying them, the present ones first.
"""

from __future__ import annotations

from halloo.base.errors import Refused
from halloo.crypto.suite import Seal, Suite
from halloo.link.keys import LinkKeys
from halloo.link.replay import Window

__all__ = ["Session"]

REORDERED = 512  # packets under new keys, after which those under the old ones are no longer opened: 10 s of sound


class Session:
    """Both directions of a link, seen from the side that began it (``began``) or from the other."""

    def __init__(self, suite: Suite, keys: LinkKeys, *, began: bool) -> None:
        self.keys = keys
        self.sent = 0
        self._suite = suite
        self._began = began
        self._window = Window()
        self._out, self._into = self._seals(keys)
        self.overhead = self._out.overhead
        self._old: Seal | None = None
        self._old_until = 0
        self._next: tuple[Seal, Seal, LinkKeys] | None = None

    def close(self, kind: int, link: bytes, plain: bytes) -> tuple[int, bytes]:
        """(frame id, sealed) for the next packet of payload type ``kind`` to their link number ``link``."""
        sequence = self.sent
        self.sent += 1
        return sequence & 0xFFFF, self._out.close(sequence, plain, bytes([kind]) + link)

    def open(self, kind: int, link: bytes, frame: int, sealed: bytes) -> tuple[bytes, bool]:
        """(plain, whether it is the newest so far).

        Raises:
            Refused: the seal does not hold, or the packet was heard before.
        """
        sequence = self._window.expand(frame)
        if not self._window.fresh(sequence):
            raise Refused("a packet that was heard before")
        plain = self._opened(sequence, sealed, bytes([kind]) + link)
        newest = sequence > self._window.highest
        self._window.mark(sequence)
        return plain, newest

    def expect(self, keys: LinkKeys) -> None:
        """Fresh keys are agreed: open what comes under them, and speak under them once something did."""
        self._next = *self._seals(keys), keys

    def renew(self, keys: LinkKeys) -> None:
        """Fresh keys are agreed, and the other side has them: speak under them from now on."""
        self.expect(keys)
        self._turn()

    def _opened(self, sequence: int, sealed: bytes, beside: bytes) -> bytes:
        try:
            plain = self._into.open(sequence, sealed, beside)
        except Refused:
            if self._next is not None:
                plain = self._next[1].open(sequence, sealed, beside)
                self._turn()
                self._old_until = sequence
                return plain
            if self._old is not None and sequence < self._old_until:
                return self._old.open(sequence, sealed, beside)
            raise
        if self._old is not None:
            # The other side changes its keys once: what it numbers higher than this is under the present ones.  So
            # whoever has the old keys cannot speak under them, and they are forgotten as soon as they open nothing.
            self._old_until = min(self._old_until, sequence)
            if sequence > self._old_until + REORDERED:
                self._old = None
        return plain

    def _turn(self) -> None:
        """The next keys become the present ones."""
        assert self._next is not None
        self._old, self._old_until = self._into, self._window.highest + REORDERED
        self._out, self._into, self.keys = self._next
        self._next = None

    def _seals(self, keys: LinkKeys) -> tuple[Seal, Seal]:
        """(ours, theirs)."""
        initiator, responder = self._suite.agree(keys.initiators, keys.responders, keys.transcript)
        return (initiator, responder) if self._began else (responder, initiator)
