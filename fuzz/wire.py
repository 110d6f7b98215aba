"""Bytes at the parser of commands: both languages, at full speed.

Whatever the bytes are, what comes back is messages or Malformed; a message that was read is written and read again, and
is the same.
"""

from __future__ import annotations

import sys

from fuzz._anything import MESSAGES, anything
from fuzz._bytes import variants
from fuzz._harness import Run, alone
from halloo.base.errors import Malformed
from halloo.messages.catalogue import OPEN, SEALED
from halloo.wire.command import decode_commands, encode_command, split_commands

FORMS = 24  # inputs of which one round makes relatives


def attack(run: Run) -> None:
    """Forms of messages, their relatives, and noise."""
    while run.on():
        rng = run.rng
        noise = rng.randbytes(4096)
        said = [anything(rng, rng.choice(MESSAGES)) for _ in range(FORMS // 2)]
        forms = [encode_command(message, compressed=rng.random() < 0.3) for message in said]
        forms += rng.sample(run.corpus, min(FORMS // 2, len(run.corpus)))
        forms += [b"".join(rng.sample(forms, 3))]
        read = 0
        for form in forms:
            for language in (OPEN, SEALED):
                inputs = variants(rng, form, rng.choice(forms), noise)
                for data in inputs:
                    run.input = data
                    try:
                        messages = decode_commands(data, language)
                    except Malformed:
                        continue
                    for message in messages:
                        read += 1
                        assert decode_commands(encode_command(message), language) == [message]
                run.executions += len(inputs)
            try:
                assert form.startswith(b"".join(split_commands(form)))
            except Malformed:
                pass
        run.count["messages read and written again"] += read


if __name__ == "__main__":
    sys.exit(alone("wire", attack))
