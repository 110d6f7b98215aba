"""Compressed object lists: what is written comes back; what nobody wrote is a list within its bound, or Malformed.

A list that comes out is never longer, raw, than its declared growth allows, and never takes long.
"""

from __future__ import annotations

import sys
import time
from random import Random
from typing import Any

from fuzz._anything import MESSAGES, any_address, anything
from fuzz._bytes import damaged, variants
from fuzz._harness import Run, alone
from halloo.base.errors import Malformed
from halloo.wire.alphabet import GROWTH, GROWTH_FREE
from halloo.wire.buffer import Reader
from halloo.wire.command import declaration_of, encode_command
from halloo.wire.objects import Kind, decode_objects, encode_objects, shortest_form

SLOWEST = 2.0  # seconds for one input: an honest one takes a ten-thousandth; a busy machine may look away for a while
SUBJECTS = [declaration_of(kind).number for kind in MESSAGES]


def attack(run: Run) -> None:
    """Lists of every message and of any make, their relatives, and noise."""
    while run.on():
        rng = run.rng
        forms = [_true(rng) for _ in range(8)] + [_free(rng) for _ in range(8)]
        forms += [
            (int.from_bytes(data[:2], "big") & 0xFFF, data[2:])
            for data in rng.sample(run.corpus, min(8, len(run.corpus)))
        ]
        noise = rng.randbytes(2048)
        for subject, form in forms:
            if not form:
                continue
            _, other = rng.choice(forms)
            if rng.random() < 0.05:
                inputs = variants(rng, form, other or form, noise)
            else:
                inputs = [damaged(rng, form, other) for _ in range(20)]
            for data in inputs:
                run.input = data
                read(run, data, subject)
            run.executions += len(inputs)


def read(run: Run, data: bytes, subject: int) -> None:
    """One input."""
    began = time.perf_counter()
    try:
        listed = decode_objects(Reader(data), subject)
    except Malformed:
        listed = None
    took = time.perf_counter() - began
    assert took < SLOWEST, f"{took:.2f} s for {len(data)} bytes"
    if listed is None:
        return
    run.count["lists"] += 1
    raw = encode_objects(listed)
    if data[:1] == b"\x42":
        assert len(raw) <= GROWTH_FREE + (GROWTH + 1) * len(data), f"{len(data)} bytes became {len(raw)}"
    form = shortest_form(listed, subject)
    assert len(form) <= len(raw)
    assert decode_objects(Reader(form), subject) == listed


def _true(rng: Random) -> tuple[int, bytes]:
    """The list of a message, in the form in which it is sent."""
    message = anything(rng, rng.choice(MESSAGES))
    declared = declaration_of(type(message))
    form = encode_command(message, compressed=True)
    reader = Reader(form)
    reader.varint()
    reader.varint()
    if "request" in message.__slots__:
        reader.take(2)
    listed = reader.rest()
    assert decode_objects(Reader(listed), declared.number) is not None
    return declared.number, listed


def _free(rng: Random) -> tuple[int, bytes]:
    """Any list at all."""
    subject, listed = rng.choice(SUBJECTS), _objects(rng, 0)
    form = shortest_form(listed, subject)
    assert decode_objects(Reader(form), subject) == listed
    return subject, form


def _objects(rng: Random, depth: int) -> Any:
    return [_object(rng, depth) for _ in range(rng.choice((0, 1, 2, 3, 5, 9)))]


def _object(rng: Random, depth: int) -> Any:
    key = rng.choice((0, 1, 2, 3, 5, 0x11, 0x89, 255, 0xFFFF))
    match rng.randrange(7 if depth < 3 else 6):
        case 0:
            return Kind.NUMBER, key, rng.choice((0, 1, 127, 128, rng.getrandbits(31), (1 << 64) - 1))
        case 1:
            return Kind.WIDE, key, rng.choice((bytes(8), rng.randbytes(8)))
        case 2:
            address = any_address(rng)
            return (Kind.ADDRESS4 if len(address.host) == 4 else Kind.ADDRESS6), key, address
        case 3:
            return Kind.TEXT, key, "".join(rng.choice("abz09. -äß🙂\x01") for _ in range(rng.randrange(12)))
        case 4:
            return Kind.BLOB, key, rng.choice((b"", rng.randbytes(20), encode_objects(_objects(rng, 3))))
        case 5:
            return Kind.NUMBERS, key, tuple(rng.getrandbits(rng.randrange(1, 64)) for _ in range(rng.randrange(6)))
    return Kind.OBJECTS, key, _objects(rng, depth + 1)


if __name__ == "__main__":
    sys.exit(alone("squeeze", attack))
