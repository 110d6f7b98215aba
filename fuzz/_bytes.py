"""Near relatives of bytes: what a fault on the way, or somebody who tries, makes of them."""

from __future__ import annotations

from random import Random

__all__ = ["damaged", "variants"]

# Numbers at their bounds, the begin of a list, what is not UTF-8.
EDGES = tuple(
    bytes.fromhex(edge)
    for edge in (
        *("00", "01", "7f", "80", "ff", "ffff", "00000000", "ffffffff", "80000000", "ffffff7f"),
        *("80808080808080808001", "4100", "42", "41ff01", "c328"),
    )
)


def damaged(rng: Random, data: bytes, other: bytes = b"") -> bytes:
    """Some bytes with a few faults in them; or spliced with ``other``."""
    out = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 3, 5))):
        at = rng.randrange(len(out) + 1)
        match rng.randrange(8):
            case 0 | 1 if out:
                out[at - 1] ^= 1 << rng.randrange(8)
            case 2:
                del out[at:]
            case 3:
                out += rng.randbytes(rng.randrange(1, 40))
            case 4:
                out[at : at + rng.randrange(9)] = rng.randbytes(rng.randrange(9))
            case 5:
                edge = rng.choice(EDGES)
                out[at : at + rng.choice((0, 1, len(edge)))] = edge
            case 6:
                out[at:] = other[rng.randrange(len(other) + 1) :] if rng.random() < 0.5 else other[at:]
            case _:
                start = rng.randrange(len(out) + 1)
                out[at:at] = out[start : start + rng.randrange(1, 40)]
    return bytes(out)


def variants(rng: Random, data: bytes, other: bytes, noise: bytes) -> list[bytes]:
    """Many relatives of one input, made with little work each: prefixes, flips, edges, splices, and noise."""
    size, many, last = len(data), len(noise), len(other)
    out = [data[:end] for end in range(0, size, 1 + size // 48)]
    for number in rng.randbytes(48):
        at = number * size >> 8
        out.append(data[:at] + bytes((data[at] ^ (1 << (number & 7)),)) + data[at + 1 :])
    for edge in EDGES:
        at = rng.randrange(size)
        out.append(data[:at] + edge + data[at + len(edge) :])
        out.append(data[:at] + edge + data[at:])
    for one, two in zip(rng.randbytes(16), rng.randbytes(16), strict=True):
        out.append(data[: one * size >> 8] + other[two * last >> 8 :])
        out.append(data[: one * size >> 8] + data[two * size >> 8 :])
        at = (one << 8 | two) % many
        out.append(noise[at : at + one])
        out.append(data[: two * size >> 8] + noise[at : at + 8] + data[(two * size >> 8) + 8 :])
    return out
