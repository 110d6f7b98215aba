"""The machine between microphone and loudspeaker: frames in, packets out; packets in, frames out.

    microphone --speak--> encoder --> packet --> (sealed, sent once)
    loudspeaker <--listen-- decoder <-- jitter buffer <--hear-- packet

The owner calls ``speak`` and ``listen`` every 20 ms and ``hear`` for each packet; nothing here waits.  Whatever the
peer sends, ``hear`` and ``listen`` raise nothing: what cannot be read is counted, what cannot be decoded is concealed.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from halloo.base.errors import Malformed
from halloo.media.codec import FRAME_BYTES, FRAME_SAMPLES, FRAME_SECONDS, SILENCE, Decoder, Encoder
from halloo.media.jitter import TARGET_DELAY, JitterBuffer, Kind
from halloo.media.packet import NUMBERS, Packet
from halloo.media.quality import Quality, quality_of

__all__ = ["Second", "SoundStream"]

LOOK_AHEAD = 0.0065  # s; by how much an Opus encoder for voice lags behind
QUIET = 600  # of 32,767 (-35 dBFS); frames that never exceed it are pauses for the jitter buffer
FADED = 5  # frames (100 ms) of concealment in a row; after that a made-up voice is only a buzz
REMEMBERED = 3600  # seconds of history kept


class Second(NamedTuple):
    """What happened in one second of the call."""

    second: int
    """Since the first sound, counted from 0."""
    received: int
    """Packets."""
    lost: int
    """Frames."""
    jitter_ms: float
    delay_ms: float


class SoundStream:
    """One call's sound in both directions."""

    __slots__ = (
        "_began",
        "_decoder",
        "_encoder",
        "_faded",
        "_history",
        "_last",
        "_lost_before",
        "_number",
        "_received_before",
        "_second",
        "buffer",
        "frames_restored",
        "frames_sent",
        "malformed",
        "muted",
        "network_delay",
        "undecodable",
    )

    def __init__(
        self, encoder: Encoder, decoder: Decoder, *, target_delay: float = TARGET_DELAY, first_number: int = 0
    ) -> None:
        self._encoder = encoder
        self._decoder = decoder
        self._number = first_number % NUMBERS
        self.buffer = JitterBuffer(target_delay)
        self.frames_sent = 0
        self.frames_restored = 0
        """Lost frames that were restored from the coarse copy in the packet behind; concealed ones are more."""
        self.malformed = 0
        """Packets that could not be read."""
        self.undecodable = 0
        """Frames that the decoder refused; they were concealed."""
        self.muted = False
        """While it is set, silence is sent instead of the microphone: as many packets, and as large."""
        self.network_delay = 0.0
        """One way, in seconds; the owner sets it to half the round trip where it knows that."""
        self._last = SILENCE
        self._faded = 0
        self._began: float | None = None
        self._second = 0
        self._received_before = self._lost_before = 0
        self._history: deque[Second] = deque(maxlen=REMEMBERED)

    @property
    def frames_played(self) -> int:
        """Frames that came in time and were played."""
        return self.buffer.played - self.undecodable

    @property
    def frames_concealed(self) -> int:
        """Frames that did not come in time, or could not be decoded: made up, or restored from a coarse copy."""
        return self.buffer.lost + self.undecodable

    @property
    def history(self) -> list[Second]:
        """The seconds of the call that are over, at most an hour of them, oldest first."""
        return list(self._history)

    def speak(self, pcm: bytes, now: float) -> bytes | None:
        """The packet for one frame from the microphone; None when the codec has nothing to send for it.

        Raises UsageError when the frame has not FRAME_BYTES.
        """
        self._tick(now)
        number = self._number
        encoded = self._encoder.encode(SILENCE if self.muted and len(pcm) == FRAME_BYTES else pcm)
        self._number = (number + 1) % NUMBERS
        if not encoded:
            return None
        self.frames_sent += 1
        return Packet(number, encoded).build()

    def hear(self, packet: bytes, now: float) -> None:
        """A packet came from the peer.  Bad ones are counted and dropped."""
        self._tick(now)
        try:
            parsed = Packet.parse(packet)
        except Malformed:
            self.malformed += 1
            return
        self.buffer.put(parsed, now)

    def listen(self, now: float) -> bytes:
        """The next frame for the loudspeaker: always FRAME_BYTES, silence when there is nothing."""
        self._tick(now)
        due = self.buffer.take(now, self.buffer.correcting and self._quiet())
        if due.kind is Kind.PLAY and due.frame is not None:
            try:
                self._last = _whole(self._decoder.decode(due.frame))
                self._faded = 0
            except Malformed:
                self.undecodable += 1
                self._last = self._conceal()
        elif due.kind is Kind.LOST and due.following is not None:
            try:
                self._last = _whole(self._decoder.decode_lost_from(due.following))
                if self._decoder.has_copy(due.following):
                    self.frames_restored += 1
                    self._faded = 0
            except Malformed:
                self._last = self._conceal()
        elif due.kind is Kind.NOTHING:
            self._last = SILENCE
        else:
            self._last = self._conceal()
        return self._last

    def quality(self, now: float) -> Quality:
        """How what we hear has been, from the first packet until now."""
        self._tick(now)
        buffer = self.buffer
        lost = buffer.lost + self.undecodable
        frames = buffer.played + buffer.lost
        gaps = buffer.gaps + self.undecodable
        jitter, restored = buffer.arrivals.jitter, min(lost, self.frames_restored)
        return quality_of(frames, lost, restored, gaps, jitter, self._delay(), buffer.received)

    def _delay(self) -> float:
        return LOOK_AHEAD + FRAME_SECONDS + self.network_delay + self.buffer.delay

    def _conceal(self) -> bytes:
        self._faded += 1
        return _whole(self._decoder.conceal(FRAME_SAMPLES)) if self._faded <= FADED else SILENCE

    def _quiet(self) -> bool:
        samples = memoryview(self._last).cast("h")
        return max(samples) <= QUIET and min(samples) >= -QUIET

    def _tick(self, now: float) -> None:
        if self._began is None:
            self._began = now
        second = int(now - self._began)
        if second <= self._second:
            return
        buffer = self.buffer
        lost = buffer.lost + self.undecodable
        self._history.append(
            Second(
                self._second,
                buffer.received - self._received_before,
                lost - self._lost_before,
                1000.0 * buffer.arrivals.jitter,
                1000.0 * self._delay(),
            )
        )
        self._received_before, self._lost_before = buffer.received, lost
        self._second = second


def _whole(pcm: bytes) -> bytes:
    """Exactly one frame, whatever a decoder thought of."""
    return pcm if len(pcm) == FRAME_BYTES else pcm[:FRAME_BYTES].ljust(FRAME_BYTES, b"\0")
