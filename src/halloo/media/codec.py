"""The roles of a codec, and two that need no library: mu-law and silence, to test with.

Sound inside Halloo is PCM: 16-bit signed little-endian samples, one channel, 48,000 a second.  It is cut into frames of
20 ms.  An encoder makes one packet of each frame; a decoder makes frames of packets, and of nothing where a packet is
missing.
"""

from __future__ import annotations

import sys
from array import array
from typing import Protocol

from halloo.base.errors import Malformed, UsageError

__all__ = [
    "FRAME_BYTES",
    "FRAME_SAMPLES",
    "FRAME_SECONDS",
    "SAMPLE_RATE",
    "SILENCE",
    "CodecFactory",
    "Decoder",
    "Encoder",
    "MuLaw",
    "MuLawDecoder",
    "MuLawEncoder",
    "Silence",
    "SilenceDecoder",
    "SilenceEncoder",
]

SAMPLE_RATE = 48_000  # Hz; what sound cards and browsers run at, so nothing has to be resampled on the way
FRAME_SECONDS = 0.020  # s; shorter frames cost more headers than sound, longer ones are heard as delay
FRAME_SAMPLES = 960  # SAMPLE_RATE * FRAME_SECONDS
FRAME_BYTES = 2 * FRAME_SAMPLES  # 16-bit samples, one channel
SILENCE = bytes(FRAME_BYTES)
"""One frame in which nothing is heard."""


class Encoder(Protocol):
    """Makes packets of frames."""

    def encode(self, pcm: bytes) -> bytes:
        """The packet for one frame of FRAME_BYTES.  Raises UsageError for any other size."""


class Decoder(Protocol):
    """Makes frames of packets.  It remembers the last ones: ask it for every frame, in order, also for lost ones."""

    def decode(self, packet: bytes) -> bytes:
        """One frame.  Raises Malformed when the packet is not one of this codec's."""

    def conceal(self, samples: int) -> bytes:
        """``samples`` samples in place of a packet that is missing, made up of what came before."""

    def has_copy(self, next_packet: bytes) -> bool:
        """Whether ``next_packet`` holds a coarse copy of the frame before it."""

    def decode_lost_from(self, next_packet: bytes) -> bytes:
        """The frame *before* ``next_packet``, from the coarse copy inside it; made up where there is no copy.

        Raises Malformed when the packet is not one of this codec's.
        """


class CodecFactory(Protocol):
    """A codec, by name; every direction of every call has its own encoder or decoder."""

    @property
    def name(self) -> str:
        """How offers name it."""

    def encoder(self) -> Encoder:
        """A fresh encoder.  Raises UsageError where the codec cannot run on this machine."""

    def decoder(self) -> Decoder:
        """A fresh decoder.  Raises UsageError where the codec cannot run on this machine."""


# --- silence -------------------------------------------------------------------------------------------------------


class SilenceEncoder:
    """Whatever is said becomes one zero byte."""

    def encode(self, pcm: bytes) -> bytes:
        """A zero byte."""
        _one_frame(pcm)
        return b"\0"


class SilenceDecoder:
    """Every packet is silence."""

    def decode(self, packet: bytes) -> bytes:
        """A silent frame.  Raises Malformed for anything but a zero byte."""
        if packet != b"\0":
            raise Malformed("a packet of silence is one zero byte")
        return SILENCE

    def conceal(self, samples: int) -> bytes:
        """Silence."""
        return bytes(2 * samples)

    def has_copy(self, next_packet: bytes) -> bool:
        """No."""
        return False

    def decode_lost_from(self, next_packet: bytes) -> bytes:
        """A silent frame."""
        return self.decode(next_packet)


class Silence:
    """The codec of those who have nothing to say."""

    name = "silence"

    def encoder(self) -> SilenceEncoder:
        """A fresh encoder."""
        return SilenceEncoder()

    def decoder(self) -> SilenceDecoder:
        """A fresh decoder."""
        return SilenceDecoder()


# --- mu-law --------------------------------------------------------------------------------------------------------

_STEP = 6  # samples of ours to one of the telephone's 8,000 a second
_PACKET = FRAME_SAMPLES // _STEP  # 160 bytes
_BIAS = 0x84  # G.711: added before the logarithm, so that the segments are powers of two
_LOUDEST = 32_635  # G.711: what still fits after the bias


def _mu_law_byte(sample: int) -> int:
    sign = 0x80 if sample < 0 else 0
    biased = min(abs(sample), _LOUDEST) + _BIAS
    segment = biased.bit_length() - 8
    return ~(sign | segment << 4 | biased >> (segment + 3) & 0x0F) & 0xFF


def _mu_law_sample(byte: int) -> int:
    flipped = ~byte
    size = (((flipped & 0x0F) << 3) + _BIAS << (flipped >> 4 & 7)) - _BIAS
    return -size if flipped & 0x80 else size


_SAMPLES = tuple(_mu_law_sample(byte) for byte in range(256))


class MuLawEncoder:
    """ITU-T G.711 mu-law at 8,000 Hz: 160 bytes a frame.  The six samples around each are averaged, no finer filter."""

    def encode(self, pcm: bytes) -> bytes:
        """The packet for one frame."""
        samples = _samples(_one_frame(pcm))
        return bytes(_mu_law_byte(sum(samples[i : i + _STEP]) // _STEP) for i in range(0, FRAME_SAMPLES, _STEP))


class MuLawDecoder:
    """G.711 mu-law to 48,000 Hz along straight lines; a lost frame is the last one again at half its loudness."""

    def __init__(self) -> None:
        self._before = 0
        self._last = SILENCE

    def decode(self, packet: bytes) -> bytes:
        """One frame.  Raises Malformed unless the packet has 160 bytes."""
        if len(packet) != _PACKET:
            raise Malformed(f"a packet of mu-law has {_PACKET} bytes, not {len(packet)}")
        out = array("h")
        before = self._before
        for byte in packet:
            after = _SAMPLES[byte]
            out.extend(before + (after - before) * step // _STEP for step in range(1, _STEP + 1))
            before = after
        self._before = before
        self._last = _pcm(out)
        return self._last

    def conceal(self, samples: int) -> bytes:
        """The last frame again, fading."""
        self._last = _pcm(array("h", (sample // 2 for sample in _samples(self._last))))
        self._before = _samples(self._last)[-1]
        return (self._last * (samples // FRAME_SAMPLES + 1))[: 2 * samples]

    def has_copy(self, next_packet: bytes) -> bool:
        """No."""
        return False

    def decode_lost_from(self, next_packet: bytes) -> bytes:
        """Mu-law packets hold no copies: the last frame again, fading."""
        if len(next_packet) != _PACKET:
            raise Malformed(f"a packet of mu-law has {_PACKET} bytes, not {len(next_packet)}")
        return self.conceal(FRAME_SAMPLES)


class MuLaw:
    """The codec of the old telephone: every machine can run it."""

    name = "mu-law"

    def encoder(self) -> MuLawEncoder:
        """A fresh encoder."""
        return MuLawEncoder()

    def decoder(self) -> MuLawDecoder:
        """A fresh decoder."""
        return MuLawDecoder()


def _one_frame(pcm: bytes) -> bytes:
    if len(pcm) != FRAME_BYTES:
        raise UsageError(f"a frame of sound has {FRAME_BYTES} bytes, not {len(pcm)}")
    return pcm


def _samples(pcm: bytes) -> array[int]:
    samples = array("h", pcm)
    if sys.byteorder == "big":
        samples.byteswap()
    return samples


def _pcm(samples: array[int]) -> bytes:
    if sys.byteorder == "big":
        samples = array("h", samples)
        samples.byteswap()
    return samples.tobytes()
