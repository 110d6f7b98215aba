"""The sound of calls in large worlds: a stream whose packets are heard and not played.

A sign of sound each few seconds shows that the way of a call stands; a packet each 20 ms would show no more.
"""

from __future__ import annotations

from halloo.media.codec import Silence
from halloo.media.packet import Packet
from halloo.media.stream import SoundStream

__all__ = ["BEAT", "PCM", "quiet"]

BEAT = 2.0  # seconds between two signs of sound: a call is given up after thirty without
PCM = b""  # what is said


class _Quiet(SoundStream):
    """A stream that counts what it hears."""

    __slots__ = ("heard",)

    def __init__(self) -> None:
        silence = Silence()
        super().__init__(silence.encoder(), silence.decoder())
        self.heard = 0

    def speak(self, pcm: bytes, now: float) -> bytes | None:
        """A packet, whatever is said."""
        self.frames_sent += 1
        return Packet(self.frames_sent & 0xFF, b"\0").build()

    def hear(self, packet: bytes, now: float) -> None:
        """Count it."""
        self.heard += 1


def quiet() -> SoundStream:
    """Such a stream."""
    return _Quiet()
