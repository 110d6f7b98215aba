"""Seal and open what one pair says, under numbers that are never used twice.

A sealed packet carries the low 16 bits of its number as its frame id; the rest follows from what was heard before.
The kind of the frame and the link number are authenticated beside it, so that sound cannot be passed off as speech
between nodes, or moved to another link.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from halloo.base.errors import Refused
from halloo.crypto.suite import Seal
from halloo.link.replay import Window

__all__ = ["Session"]


@dataclass(slots=True)
class Session:
    """Both directions of a link."""

    out: Seal
    into: Seal
    window: Window = field(default_factory=Window)
    sent: int = 0

    def close(self, kind: int, link: bytes, plain: bytes) -> tuple[int, bytes]:
        """(frame id, sealed) for the next packet of payload type ``kind`` to their link number ``link``."""
        sequence = self.sent
        self.sent += 1
        return sequence & 0xFFFF, self.out.close(sequence, plain, bytes([kind]) + link)

    def open(self, kind: int, link: bytes, frame: int, sealed: bytes) -> tuple[bytes, bool]:
        """(plain, whether it is the newest so far).

        Raises:
            Refused: the seal does not hold, or the packet was heard before.
        """
        sequence = self.window.expand(frame)
        if not self.window.fresh(sequence):
            raise Refused("a packet that was heard before")
        plain = self.into.open(sequence, sealed, bytes([kind]) + link)
        newest = sequence > self.window.highest
        self.window.mark(sequence)
        return plain, newest
