"""The sound of the echo user: what he hears, said again a second later."""

from __future__ import annotations

from collections import deque

from halloo.media.codec import SILENCE

__all__ = ["Echo"]

ECHO_FRAMES = 50  # frames (one second) after which an echo is heard: long enough to have ended a word


class Echo:
    """A sink and a source in one."""

    def __init__(self) -> None:
        self._held = deque([SILENCE] * ECHO_FRAMES)

    def write(self, frame: bytes) -> None:
        """See ``Sink``."""
        self._held.append(frame)

    def read(self) -> bytes | None:
        """See ``Source``: it never ends."""
        return self._held.popleft() if self._held else SILENCE

    def close(self) -> None:
        """Nothing to give back."""
