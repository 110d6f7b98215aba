"""Bytes at the parser of shapes: credentials, records, proofs, letters, descriptors, and the bare object list.

What comes back is a value that is written and read again the same, or Malformed.
"""

from __future__ import annotations

import sys

from fuzz._anything import SHAPES, anything
from fuzz._bytes import variants
from fuzz._harness import Run, alone
from halloo.base.errors import Malformed
from halloo.node.descriptor import Descriptor
from halloo.wire.buffer import Reader
from halloo.wire.command import decode_shape, encode_shape
from halloo.wire.objects import decode_objects, encode_objects

KINDS = [*SHAPES, Descriptor]


def attack(run: Run) -> None:
    """Every shape, its relatives, and those of another shape."""
    while run.on():
        rng = run.rng
        noise = rng.randbytes(4096)
        forms = [encode_shape(anything(rng, kind)) for kind in KINDS]
        forms += rng.sample(run.corpus, min(8, len(run.corpus)))
        for form in forms:
            kind = rng.choice(KINDS)
            inputs = variants(rng, form, rng.choice(forms), noise)
            for data in inputs:
                run.input = data
                try:
                    value = decode_shape(kind, data)
                    run.count["values"] += 1
                    assert decode_shape(kind, encode_shape(value)) == value
                except Malformed:
                    pass
                try:
                    listed = decode_objects(Reader(data))
                    run.count["lists"] += 1
                    assert decode_objects(Reader(encode_objects(listed))) == listed
                except Malformed:
                    pass
            run.executions += 2 * len(inputs)


if __name__ == "__main__":
    sys.exit(alone("shapes", attack))
