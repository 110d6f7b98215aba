"""Opus (RFC 6716) as a codec, by way of a libopus that is already on the machine.

Only its C interface gives concealment, decoding of the coarse copies (in-band error correction), constant rate and
complexity together, so it is called through ctypes.  The library is looked for, in this order: the file named by the
environment variable OPUS_LIBRARY, inside the packages ``opuslib-next-bundled`` and ``av``, and with the system.  It is
loaded when the first encoder or decoder is made.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import importlib.util
import os
import sys
import weakref
from array import array
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from halloo.base.errors import Malformed, UsageError
from halloo.media.codec import FRAME_BYTES, FRAME_SAMPLES, SAMPLE_RATE
from halloo.media.packet import MAX_FRAME

__all__ = ["BITRATE", "COMPLEXITY", "EXPECTED_LOSS", "Opus", "OpusDecoder", "OpusEncoder", "libopus"]

BITRATE = 40_000  # bit/s; 100 bytes a frame, coarse copies included
EXPECTED_LOSS = 10  # percent.  At this rate the copies cost 0.1 of PESQ on a clean line (4.4 instead of 4.5), and give
# 0.7 at 2 % loss, 1.5 at 5 %: so they are always there, and no report has to come back first
COMPLEXITY = 9  # of 10; the last step costs a third more time and gains nothing that PESQ hears

# Numbers of opus_defines.h.
_OK = 0
_APPLICATION_VOIP = 2048
_SET_BITRATE = 4002
_SET_MAX_BANDWIDTH = 4004
_SET_VBR = 4006
_SET_COMPLEXITY = 4010
_SET_INBAND_FEC = 4012
_SET_PACKET_LOSS_PERC = 4014
_SET_SIGNAL = 4024
_SIGNAL_VOICE = 3001
_BANDWIDTH_WIDE = 1103  # up to 8 kHz; speech has little beyond, and below 40 kbit/s the bits are missed where it has

_MAX_CONCEALED = 5760  # samples, 120 ms: the most that one call of the decoder makes up


def _candidates() -> Iterator[str]:
    named = os.environ.get("OPUS_LIBRARY")
    if named:
        yield named
    for package, patterns in (
        ("opuslib_next", ("_native/libopus.so", "_native/libopus.dylib", "_native/opus.dll")),
        ("av", ("../av.libs/libopus*.so*", ".dylibs/libopus*.dylib", "../av.libs/libopus*.dll")),
    ):
        found = importlib.util.find_spec(package)
        for place in (found.submodule_search_locations or ()) if found else ():
            for pattern in patterns:
                folder, _, name = pattern.rpartition("/")
                yield from sorted(map(str, Path(place, folder).resolve().glob(name)))
    system = ctypes.util.find_library("opus")
    if system:
        yield system


@cache
def libopus() -> ctypes.CDLL:
    """The library, with the types of what is used of it declared.

    Raises:
        UsageError: there is none; the text says how to get one.
    """
    tried = []
    for path in _candidates():
        try:
            return _declared(ctypes.CDLL(path))
        except (OSError, AttributeError) as problem:
            tried.append(f"{path}: {problem}")
    raise UsageError(
        "no Opus library was found; install one with 'pip install opuslib-next-bundled', or libopus from the system's"
        " packages (Debian: apt install libopus0), or name the file in the environment variable OPUS_LIBRARY"
        + "".join(f"\n  tried {line}" for line in tried)
    )


def _declared(library: ctypes.CDLL) -> ctypes.CDLL:
    number, pointer, data = ctypes.c_int, ctypes.c_void_p, ctypes.c_char_p
    for name, result, arguments in (
        ("opus_encoder_create", pointer, [number, number, number, ctypes.POINTER(number)]),
        ("opus_encoder_destroy", None, [pointer]),
        # Only what comes before the variable arguments is declared: some machines pass the two in different ways.
        ("opus_encoder_ctl", number, [pointer, number]),
        ("opus_encode", ctypes.c_int32, [pointer, data, number, pointer, ctypes.c_int32]),
        ("opus_decoder_create", pointer, [number, number, ctypes.POINTER(number)]),
        ("opus_decoder_destroy", None, [pointer]),
        ("opus_decode", number, [pointer, data, ctypes.c_int32, pointer, number, number]),
        ("opus_strerror", data, [number]),
    ):
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


def _swapped(pcm: bytes) -> bytes:
    """Between our little-endian samples and those of this machine."""
    if sys.byteorder == "little":
        return pcm
    samples = array("h", pcm)
    samples.byteswap()
    return samples.tobytes()


class OpusEncoder:
    """Frames to packets of constant size.

    Raises UsageError where there is no library, or a value is out of range.
    """

    def __init__(
        self, bitrate: int = BITRATE, *, complexity: int = COMPLEXITY, expected_loss: int = EXPECTED_LOSS
    ) -> None:
        if not 6_000 <= bitrate <= 128_000:
            raise UsageError(f"Opus carries speech at 6,000 to 128,000 bit/s, not at {bitrate}")
        if not 0 <= complexity <= 10:
            raise UsageError(f"the complexity of Opus is 0 to 10, not {complexity}")
        self._library = libopus()
        error = ctypes.c_int(_OK)
        handle = self._library.opus_encoder_create(SAMPLE_RATE, 1, _APPLICATION_VOIP, ctypes.byref(error))
        if error.value != _OK or not handle:
            raise UsageError(f"Opus made no encoder: {_words(self._library, error.value)}")
        self._handle = ctypes.c_void_p(handle)
        self._freed = weakref.finalize(self, self._library.opus_encoder_destroy, self._handle)
        self._packet = ctypes.create_string_buffer(MAX_FRAME)
        self._set(_SET_BITRATE, bitrate)
        self._set(_SET_VBR, 0)
        self._set(_SET_COMPLEXITY, complexity)
        self._set(_SET_SIGNAL, _SIGNAL_VOICE)
        self._set(_SET_MAX_BANDWIDTH, _BANDWIDTH_WIDE)
        self.expect_loss(expected_loss)

    def expect_loss(self, percent: int) -> None:
        """Put a coarse copy of each frame into the next packet, the better the more of them are lost; 0 for none.

        The packets stay as large; without loss the copies cost quality.  Raises UsageError beyond 0 to 100.
        """
        if not 0 <= percent <= 100:
            raise UsageError(f"loss is 0 to 100 percent, not {percent}")
        self._set(_SET_INBAND_FEC, int(percent > 0))
        self._set(_SET_PACKET_LOSS_PERC, percent)

    def encode(self, pcm: bytes) -> bytes:
        """The packet for one frame.  Raises UsageError when it has not FRAME_BYTES."""
        if len(pcm) != FRAME_BYTES:
            raise UsageError(f"a frame of sound has {FRAME_BYTES} bytes, not {len(pcm)}")
        size = self._library.opus_encode(
            self._handle, _swapped(bytes(pcm)), FRAME_SAMPLES, self._packet, len(self._packet)
        )
        if size < 0:
            raise UsageError(f"Opus did not encode a frame: {_words(self._library, size)}")
        return self._packet.raw[:size]

    def _set(self, control: int, value: int) -> None:
        result = self._library.opus_encoder_ctl(self._handle, control, ctypes.c_int(value))
        if result != _OK:
            raise UsageError(f"Opus refused setting {control} = {value}: {_words(self._library, result)}")


class OpusDecoder:
    """Packets to frames.  Raises UsageError where there is no library."""

    def __init__(self) -> None:
        self._library = libopus()
        error = ctypes.c_int(_OK)
        handle = self._library.opus_decoder_create(SAMPLE_RATE, 1, ctypes.byref(error))
        if error.value != _OK or not handle:
            raise UsageError(f"Opus made no decoder: {_words(self._library, error.value)}")
        self._handle = ctypes.c_void_p(handle)
        self._freed = weakref.finalize(self, self._library.opus_decoder_destroy, self._handle)
        self._pcm = ctypes.create_string_buffer(2 * _MAX_CONCEALED)

    def decode(self, packet: bytes) -> bytes:
        """One frame.  Raises Malformed for bytes that are no Opus packet of 20 ms."""
        return self._decoded(self._checked(packet), FRAME_SAMPLES, from_copy=False)

    def conceal(self, samples: int) -> bytes:
        """Sound that goes on from the last frame and fades.  Multiples of 2.5 ms (120 samples), up to 120 ms."""
        if not 0 < samples <= _MAX_CONCEALED or samples % 120:
            raise UsageError(f"Opus makes up 120 to {_MAX_CONCEALED} samples in steps of 120, not {samples}")
        return self._decoded(None, samples, from_copy=False)

    def has_copy(self, next_packet: bytes) -> bool:
        """Whether the packet holds a coarse copy of the frame before it (RFC 6716, 4.2.4).

        False also for packets that are not of one frame: Halloo sends none.
        """
        if not next_packet or next_packet[0] >= 0x80:
            return False  # the upper half of the modes has no copies
        at = 1
        if next_packet[0] & 0x03 == 0x03:  # a frame with padding behind it: 3.2.5
            if len(next_packet) < 3 or next_packet[1] & 0x3F != 1:
                return False
            at = 2
            if next_packet[1] & 0x40:
                while at < len(next_packet) and next_packet[at] == 0xFF:
                    at += 1
                at += 1
        elif next_packet[0] & 0x03:
            return False
        # The first bit says whether there is a voice in it, the second whether there is a copy; then, if there is a
        # second channel, the same two of that.
        bits = 0x50 if next_packet[0] & 0x04 else 0x40
        return at < len(next_packet) and bool(next_packet[at] & bits)

    def decode_lost_from(self, next_packet: bytes) -> bytes:
        """The frame before ``next_packet``, from the coarse copy in it; concealed where there is none."""
        return self._decoded(self._checked(next_packet), FRAME_SAMPLES, from_copy=True)

    @staticmethod
    def _checked(packet: bytes) -> bytes:
        # An empty packet would mean "lost" to the library, and a larger one cannot be a single frame.
        if not 0 < len(packet) <= MAX_FRAME:
            raise Malformed(f"{len(packet)} bytes are no Opus packet")
        return bytes(packet)

    def _decoded(self, packet: bytes | None, samples: int, *, from_copy: bool) -> bytes:
        size = len(packet) if packet is not None else 0
        made = self._library.opus_decode(self._handle, packet, size, self._pcm, samples, int(from_copy))
        if made != samples:
            raise Malformed(
                f"an Opus packet cannot be decoded: {_words(self._library, made)}"
                if made < 0
                else f"an Opus packet holds {made} samples, not {samples}"
            )
        return _swapped(self._pcm.raw[: 2 * samples])


class Opus:
    """The codec of every call."""

    name = "opus"

    def __init__(self, bitrate: int = BITRATE, *, expected_loss: int = EXPECTED_LOSS) -> None:
        self._bitrate = bitrate
        self._expected_loss = expected_loss

    def encoder(self) -> OpusEncoder:
        """A fresh encoder.  Raises UsageError where there is no library."""
        return OpusEncoder(self._bitrate, expected_loss=self._expected_loss)

    def decoder(self) -> OpusDecoder:
        """A fresh decoder.  Raises UsageError where there is no library."""
        return OpusDecoder()


def _words(library: ctypes.CDLL, error: int) -> str:
    words: bytes | None = library.opus_strerror(error)
    return words.decode(errors="replace") if words else f"error {error}"
