"""Bytes of which one bit was altered."""

from __future__ import annotations

from collections.abc import Iterator

__all__ = ["flipped", "flips"]


def flipped(data: bytes, bit: int) -> bytes:
    """The bytes with one bit altered, counted from the first byte's lowest."""
    altered = bytearray(data)
    altered[bit // 8] ^= 1 << bit % 8
    return bytes(altered)


def flips(data: bytes) -> Iterator[bytes]:
    """All that comes of altering one bit."""
    return (flipped(data, bit) for bit in range(8 * len(data)))
