"""Recordings as WAV files: read from any common kind, written as 48,000 Hz, one channel, 16 bit.

Read: 8, 16, 24 and 32-bit integers, 32 and 64-bit floats, one to eight channels (their mean is taken), 4,000 to
192,000 Hz, up to ten minutes (less above 48,000 Hz).  What is wrong with a file is said with its name.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from halloo.base.errors import UsageError
from halloo.media.codec import SAMPLE_RATE

if TYPE_CHECKING:
    from numpy import float32
    from numpy.typing import NDArray

__all__ = ["MAX_SECONDS", "WavWriter", "read_wav"]

MAX_SECONDS = 600  # a recording is held in memory whole; above 48,000 Hz it may be as many samples, not seconds
MAX_CHANNELS = 8
RATES = range(4_000, 192_001)
BLOCK = 1 << 20  # bytes read at a time
MAX_CHUNKS = 1000  # chunks before the sound; an honest file has a handful
UNKNOWN_SIZE = 0xFFFFFFFF  # written by programs that could not come back to their header
HEADER = 44  # bytes before the sound in what we write

_INTEGER, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE  # WAVE_FORMAT_PCM, WAVE_FORMAT_IEEE_FLOAT, WAVE_FORMAT_EXTENSIBLE


def read_wav(path: str | Path) -> tuple[int, NDArray[float32]]:
    """The sampling rate, and the sound from -1 to 1, as one channel.

    Raises:
        UsageError: there is no such file, or it is not one that can be read; the text says why.
    """
    try:
        with Path(path).open("rb") as file:
            return _read(file)
    except OSError as problem:
        raise UsageError(f"{path} cannot be read: {problem.strerror or problem}") from None
    except ValueError as problem:
        raise UsageError(f"{path} is not a WAV file that can be read: {problem}") from None


def _read(file: BinaryIO) -> tuple[int, NDArray[float32]]:
    head = file.read(12)
    if len(head) < 12 or head[:4] not in (b"RIFF", b"RF64") or head[8:] != b"WAVE":
        raise ValueError("it does not begin with RIFF and WAVE")
    shape: tuple[int, int, int, int] | None = None
    for _ in range(MAX_CHUNKS):
        name, size = _chunk(file)
        if name == b"fmt ":
            shape = _shape(file, size)
        elif name == b"data":
            if shape is None:
                raise ValueError("the sound comes before its format")
            return shape[2], _sound(file, size, *shape)
        else:
            file.seek(size + (size & 1), 1)
    raise ValueError("no sound in its first thousand chunks")


def _chunk(file: BinaryIO) -> tuple[bytes, int]:
    head = file.read(8)
    if len(head) < 8:
        raise ValueError("it ends before any sound")
    return head[:4], int.from_bytes(head[4:], "little")


def _shape(file: BinaryIO, size: int) -> tuple[int, int, int, int]:
    """Kind of number, channels, rate, bits."""
    if not 16 <= size <= 4096:
        raise ValueError("its format has a wrong size")
    body = file.read(size + (size & 1))
    if len(body) < size:
        raise ValueError("it ends inside its format")
    kind, channels, rate, _, step, bits = struct.unpack_from("<HHIIHH", body)
    if kind == _EXTENSIBLE and size >= 26:
        kind = int.from_bytes(body[24:26], "little")
    if (kind, bits) not in _NUMBERS:
        raise ValueError(f"numbers of kind {kind} with {bits} bits are not known here")
    if not 1 <= channels <= MAX_CHANNELS:
        raise ValueError(f"{channels} channels are not 1 to {MAX_CHANNELS}")
    if rate not in RATES:
        raise ValueError(f"{rate} Hz are not 4,000 to 192,000")
    if step != channels * bits // 8:
        raise ValueError("its format contradicts itself")
    return kind, channels, rate, bits


_NUMBERS = {
    (_INTEGER, 8): ("u1", 128.0, 128.0),  # type, zero, full scale
    (_INTEGER, 16): ("<i2", 0.0, 32_768.0),
    (_INTEGER, 24): ("<i4", 0.0, 2_147_483_648.0),  # widened below
    (_INTEGER, 32): ("<i4", 0.0, 2_147_483_648.0),
    (_FLOAT, 32): ("<f4", 0.0, 1.0),
    (_FLOAT, 64): ("<f8", 0.0, 1.0),
}


def _sound(file: BinaryIO, size: int, kind: int, channels: int, rate: int, bits: int) -> NDArray[float32]:
    import numpy as np

    begin = file.tell()
    there = file.seek(0, 2) - begin
    file.seek(begin)
    step = channels * bits // 8
    if size == UNKNOWN_SIZE:
        size = there - there % step
    if there < size:
        raise ValueError(f"it is cut short: {size} bytes of sound announced, {there} there")
    if size % step:
        raise ValueError("its sound ends inside a sample")
    most = MAX_SECONDS * min(rate, SAMPLE_RATE)
    if size // step > most:
        raise ValueError(f"it is longer than {most // rate} s; cut it")
    dtype, zero, full = _NUMBERS[kind, bits]
    out = np.empty(size // step, np.float32)
    done = 0
    while done < len(out):
        block = file.read(min(BLOCK // step, len(out) - done) * step)
        if not block or len(block) % step:
            raise ValueError("it became shorter while it was read")
        if bits == 24:
            wide = np.zeros((len(block) // 3, 4), np.uint8)
            wide[:, 1:] = np.frombuffer(block, np.uint8).reshape(-1, 3)
            numbers = wide.reshape(-1).view("<i4")
        else:
            numbers = np.frombuffer(block, dtype)
        if kind == _FLOAT:
            # Infinity and not-a-number would spread over the whole recording.
            numbers = np.clip(np.nan_to_num(numbers, nan=0.0, posinf=1.0, neginf=-1.0), -1.0, 1.0)
        mono = ((numbers.astype(np.float64) - zero) / full).reshape(-1, channels).mean(axis=1)
        out[done : done + len(mono)] = mono
        done += len(mono)
    return out


class WavWriter:
    """A recording in the making: 48,000 Hz, one channel, 16 bit.

    The header is brought up to date with every write, so that the file can be played whenever the program ends.
    """

    def __init__(self, path: str | Path) -> None:
        try:
            self._file = Path(path).open("wb", buffering=0)  # noqa: SIM115 (closed by close)
            self._bytes = 0
            self._file.write(self._header())
        except OSError as problem:
            raise UsageError(f"{path} cannot be written: {problem.strerror or problem}") from None

    def write(self, pcm: bytes) -> None:
        """Append samples.  Nothing is written once it is closed."""
        if self._file.closed:
            return
        self._file.write(pcm)
        self._bytes += len(pcm)
        self._file.seek(0)
        self._file.write(self._header())
        self._file.seek(0, 2)

    def close(self) -> None:
        """End the file.  Harmless when called twice."""
        self._file.close()

    def _header(self) -> bytes:
        size = min(self._bytes, UNKNOWN_SIZE - HEADER)  # 12 hours; beyond them the header stays behind
        return b"".join(
            (
                struct.pack("<4sI4s", b"RIFF", size + HEADER - 8, b"WAVE"),
                struct.pack("<4sIHHIIHH", b"fmt ", 16, _INTEGER, 1, SAMPLE_RATE, 2 * SAMPLE_RATE, 2, 16),
                struct.pack("<4sI", b"data", size),
            )
        )
