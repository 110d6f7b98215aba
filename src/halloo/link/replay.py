"""The window against replays: which sequence numbers of a session have been heard already (RFC 6479's idea)."""

from __future__ import annotations

__all__ = ["Window"]

SIZE = 1_024  # numbers remembered below the highest: 20 s of sound, far more than any path reorders


class Window:
    """Remembers the highest number heard and the ``SIZE`` below it."""

    __slots__ = ("_seen", "highest")

    def __init__(self) -> None:
        self.highest = -1
        self._seen = 0

    def expand(self, low: int) -> int:
        """The full sequence number whose low 16 bits are ``low``: the one nearest to what is expected next."""
        expected = self.highest + 1
        guess = (expected & ~0xFFFF) | low
        if guess > expected + 0x8000:
            guess -= 0x1_0000
        elif guess <= expected - 0x8000:
            guess += 0x1_0000
        return guess if guess >= 0 else guess + 0x1_0000

    def fresh(self, sequence: int) -> bool:
        """Whether ``sequence`` may still be heard."""
        behind = self.highest - sequence
        return behind < 0 or (behind < SIZE and not self._seen >> behind & 1)

    def mark(self, sequence: int) -> None:
        """Note that ``sequence`` was heard, once its seal has held."""
        behind = self.highest - sequence
        if behind < 0:
            self._seen = (self._seen << min(-behind, SIZE) | 1) & ((1 << SIZE) - 1)
            self.highest = sequence
        else:
            self._seen |= 1 << behind
