"""Where the sound of a call comes from and where it goes: sound card, files, silence, a tone.

Frames are those of ``halloo.media.codec``: 20 ms, 960 samples of 16 bit, 48,000 Hz, one channel.  Nothing here waits:
a source that has nothing yet gives silence, a sink that is full drops its oldest frame.
"""

from __future__ import annotations

import math
import os
import struct
import sys
from collections import deque
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

from halloo.base.errors import Unusable, UsageError
from halloo.media.codec import FRAME_BYTES, FRAME_SAMPLES, SAMPLE_RATE, SILENCE
from halloo.runtime.resample import resampled
from halloo.runtime.wav import WavWriter, read_wav

__all__ = [
    "Loudspeaker",
    "Microphone",
    "NullSink",
    "RawSink",
    "RawSource",
    "SilenceSource",
    "Sink",
    "Source",
    "ToneSource",
    "WavSink",
    "WavSource",
    "open_sink",
    "open_source",
]

DEVICE_MS = 20  # what the sound card gathers before it calls; smaller values crackle on busy machines
RING_FRAMES = 5  # frames (100 ms) between card and call; what is older is dropped, or it would be delay for good
TONE_HZ = 440.0
TONE_LEVEL = 0.25  # of full scale, -12 dBFS: loud enough for any meter, no shock in a headset


class Source(Protocol):
    """Gives frames."""

    def read(self) -> bytes | None:
        """The next frame, FRAME_BYTES; None when the source has ended."""

    def close(self) -> None:
        """Let go of what it holds.  Harmless when called twice."""


class Sink(Protocol):
    """Takes frames."""

    def write(self, frame: bytes) -> None:
        """Take the next frame."""

    def close(self) -> None:
        """Let go of what it holds, all written.  Harmless when called twice."""


# --- sources -------------------------------------------------------------------------------------------------------


class SilenceSource:
    """Says nothing, without end."""

    def read(self) -> bytes | None:
        """A silent frame."""
        return SILENCE

    def close(self) -> None:
        """Nothing is held."""


class ToneSource:
    """The concert pitch, without end."""

    def __init__(self, hertz: float = TONE_HZ) -> None:
        self._frames = tuple(
            struct.pack(
                f"<{FRAME_SAMPLES}h",
                *(
                    round(32_767 * TONE_LEVEL * math.sin(math.tau * hertz * (frame * FRAME_SAMPLES + n) / SAMPLE_RATE))
                    for n in range(FRAME_SAMPLES)
                ),
            )
            for frame in range(50)  # a second: every whole number of hertz comes round in it
        )
        self._at = 0

    def read(self) -> bytes | None:
        """The next 20 ms of it."""
        self._at = (self._at + 1) % len(self._frames)
        return self._frames[self._at - 1]

    def close(self) -> None:
        """Nothing is held."""


class WavSource:
    """A WAV file of any common kind, brought to 48,000 Hz when it is opened.  Raises UsageError."""

    def __init__(self, path: str | Path) -> None:
        import numpy as np

        rate, sound = read_wav(path)
        samples = np.clip(np.round(resampled(sound, rate, SAMPLE_RATE) * 32_768.0), -32_768, 32_767)
        self._pcm = samples.astype("<i2").tobytes()
        self._at = 0

    @property
    def seconds(self) -> float:
        """How long it is."""
        return len(self._pcm) / (2 * SAMPLE_RATE)

    def read(self) -> bytes | None:
        """The next frame, the last one filled up with silence."""
        frame = self._pcm[self._at : self._at + FRAME_BYTES]
        self._at += len(frame)
        return frame.ljust(FRAME_BYTES, b"\0") if frame else None

    def close(self) -> None:
        """Forget the sound; nothing more is read."""
        self._pcm = b""


class RawSource:
    """A file of bare samples: 48,000 Hz, one channel, 16-bit little-endian.  Raises UsageError."""

    def __init__(self, path: str | Path) -> None:
        try:
            self._file = Path(path).open("rb")  # noqa: SIM115 (closed by close)
        except OSError as problem:
            raise UsageError(f"{path} cannot be read: {problem.strerror or problem}") from None

    def read(self) -> bytes | None:
        """The next frame, the last one filled up with silence."""
        frame = b"" if self._file.closed else self._file.read(FRAME_BYTES)
        return frame[: len(frame) & ~1].ljust(FRAME_BYTES, b"\0") if frame else None

    def close(self) -> None:
        """Close the file."""
        self._file.close()


# --- sinks ---------------------------------------------------------------------------------------------------------


class NullSink:
    """Hears everything, keeps nothing."""

    def write(self, frame: bytes) -> None:
        """Forget it."""

    def close(self) -> None:
        """Nothing is held."""


class WavSink:
    """A WAV file: 48,000 Hz, one channel, 16 bit; whole at every moment.  Raises UsageError."""

    def __init__(self, path: str | Path) -> None:
        self._writer = WavWriter(path)

    def write(self, frame: bytes) -> None:
        """Append it."""
        self._writer.write(frame)

    def close(self) -> None:
        """End the file."""
        self._writer.close()


class RawSink:
    """A file of bare samples: 48,000 Hz, one channel, 16-bit little-endian.  Raises UsageError."""

    def __init__(self, path: str | Path) -> None:
        try:
            self._file = Path(path).open("wb", buffering=0)  # noqa: SIM115 (closed by close)
        except OSError as problem:
            raise UsageError(f"{path} cannot be written: {problem.strerror or problem}") from None

    def write(self, frame: bytes) -> None:
        """Append it."""
        if not self._file.closed:
            self._file.write(frame)

    def close(self) -> None:
        """End the file."""
        self._file.close()


# --- the sound card ------------------------------------------------------------------------------------------------


def _miniaudio() -> ModuleType:
    try:
        import miniaudio
    except ImportError:
        raise UsageError(
            "the sound card needs the package miniaudio ('pip install miniaudio'); files work without it"
        ) from None
    module: ModuleType = miniaudio
    return module


def _opened(kind: str, what: str, backends: list[Any] | None) -> Any:
    miniaudio = _miniaudio()
    # Without a list the library falls back to a device that is no device: nobody would hear why it is silent.
    backends = backends or [each for each in miniaudio.Backend if each.name not in ("NULL", "CUSTOM")]
    options: dict[str, Any] = {
        "nchannels": 1,
        "sample_rate": SAMPLE_RATE,
        "buffersize_msec": DEVICE_MS,
        "backends": backends,
        "app_name": "Halloo",
    }
    try:
        with _without_library_chatter():
            return getattr(miniaudio, kind)(**options)
    except miniaudio.MiniaudioError:
        raise Unusable(f"there is no {what} on this machine; name a file instead") from None


@contextmanager
def _without_library_chatter() -> Iterator[None]:
    """The sound libraries of the system write pages to standard error where a card is missing; nobody needs them."""
    sys.stderr.flush()
    try:
        kept = os.dup(2)
    except OSError:  # there is no standard error
        yield
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


class Microphone:
    """The sound card's input.  Raises Unusable where there is none."""

    def __init__(self, backends: list[Any] | None = None) -> None:
        # The card's thread appends, the loop takes: a deque is safe for that, and its bound drops the oldest.
        self._frames: deque[bytes] = deque(maxlen=RING_FRAMES)
        self._device: Any = _opened("CaptureDevice", "microphone", backends)
        gather = self._gather()
        next(gather)
        try:
            self._device.start(gather)
        except _miniaudio().MiniaudioError as problem:
            raise Unusable(f"the microphone does not start: {problem}") from None

    def _gather(self) -> Generator[None, Any, None]:
        pending = b""
        while True:
            pending += bytes((yield))
            while len(pending) >= FRAME_BYTES:
                self._frames.append(pending[:FRAME_BYTES])
                pending = pending[FRAME_BYTES:]

    def read(self) -> bytes | None:
        """The oldest frame that was gathered; silence when the card is behind; None once it is closed."""
        if self._device is None:
            return None
        try:
            return self._frames.popleft()
        except IndexError:
            return SILENCE

    def close(self) -> None:
        """Stop the card."""
        if self._device is not None:
            self._device.close()
            self._device = None


class Loudspeaker:
    """The sound card's output.  Raises Unusable where there is none."""

    def __init__(self, backends: list[Any] | None = None) -> None:
        self._frames: deque[bytes] = deque(maxlen=RING_FRAMES)
        self._device: Any = _opened("PlaybackDevice", "loudspeaker", backends)
        play = self._play()
        next(play)
        try:
            self._device.start(play)
        except _miniaudio().MiniaudioError as problem:
            raise Unusable(f"the loudspeaker does not start: {problem}") from None

    def _play(self) -> Generator[bytes, int, None]:
        pending = b""
        wanted = yield b""
        while True:
            size = 2 * wanted
            while len(pending) < size:
                try:
                    pending += self._frames.popleft()
                except IndexError:
                    break
            wanted = yield pending[:size].ljust(size, b"\0")
            pending = pending[size:]

    def write(self, frame: bytes) -> None:
        """Play it after those that wait; when too many do, the oldest is dropped."""
        self._frames.append(frame)

    def close(self) -> None:
        """Stop the card; what still waits is not played."""
        if self._device is not None:
            self._device.close()
            self._device = None


# --- by name -------------------------------------------------------------------------------------------------------


def open_source(text: str) -> Source:
    """The source of a name: ``mic``, ``silence``, ``tone``, or a file ending in ``.wav`` or ``.raw``.

    Raises UsageError when there is no such thing, or it cannot be opened.
    """
    match text:
        case "mic":
            return Microphone()
        case "silence":
            return SilenceSource()
        case "tone":
            return ToneSource()
    match Path(text).suffix.lower():
        case ".wav":
            return WavSource(text)
        case ".raw":
            return RawSource(text)
    raise UsageError(f"{text!r} is no source of sound; write mic, silence, tone, or a file ending in .wav or .raw")


def open_sink(text: str) -> Sink:
    """The sink of a name: ``speaker``, ``null``, or a file ending in ``.wav`` or ``.raw``, which is written anew.

    Raises UsageError when there is no such thing, or it cannot be opened.
    """
    match text:
        case "speaker":
            return Loudspeaker()
        case "null":
            return NullSink()
    match Path(text).suffix.lower():
        case ".wav":
            return WavSink(text)
        case ".raw":
            return RawSink(text)
    raise UsageError(f"{text!r} is no place for sound; write speaker, null, or a file ending in .wav or .raw")
