"""Random and damaged bytes against the three entrances of sound: packets, the sound stream with Opus, WAV files.

Any exception but the named one, a frame of a wrong size, or a buffer that grows, is a failure.
"""

from __future__ import annotations

import sys
import tempfile
from collections import Counter
from pathlib import Path
from random import Random

from fuzz._bytes import damaged
from fuzz._harness import Run, alone
from halloo.base.errors import Malformed, UsageError
from halloo.media.codec import FRAME_BYTES, CodecFactory, MuLaw
from halloo.media.jitter import MAX_FRAMES
from halloo.media.packet import MAX_COPIES, NUMBERS, Copy, Packet
from halloo.media.stream import SoundStream
from halloo.runtime.opus import Opus
from halloo.runtime.speech import speech_file
from halloo.runtime.wav import read_wav


def packets(rng: Random, count: Counter[str]) -> None:
    """What can be read can be written again, byte for byte."""
    offsets = sorted(rng.sample(range(1, 256), rng.randrange(MAX_COPIES + 1)))
    copies = tuple(Copy(offset, rng.randbytes(rng.randrange(1, 90))) for offset in offsets)
    whole = Packet(rng.randrange(NUMBERS), rng.randbytes(rng.randrange(1, 300)), copies).build()
    for data in (whole, damaged(rng, whole), rng.randbytes(rng.randrange(200)), b"\x12" + rng.randbytes(100)):
        try:
            assert Packet.parse(data).build() == data
            count["packets read"] += 1
        except Malformed:
            count["packets malformed"] += 1


def streams(rng: Random, count: Counter[str]) -> None:
    """Two seconds of a call with a peer that damages, repeats, renumbers and holds back what it sends."""
    codec: CodecFactory = rng.choice((Opus(), MuLaw()))
    one, other = (SoundStream(codec.encoder(), codec.decoder(), first_number=rng.randrange(NUMBERS)) for _ in range(2))
    kept: list[bytes] = []
    wickedness = rng.random()
    for n in range(100):
        now = n * 0.02 + rng.random() * 0.05
        said = one.speak(rng.randbytes(FRAME_BYTES) if n % 10 == 0 else bytes(FRAME_BYTES), now)
        assert said is not None
        kept.append(said)
        if rng.random() < wickedness:
            inside = Packet.parse(said)
            said = rng.choice(
                (
                    damaged(rng, said),
                    rng.randbytes(rng.randrange(300)),
                    rng.choice(kept),
                    Packet(rng.randrange(NUMBERS), inside.frame).build(),
                    Packet(inside.number, damaged(rng, inside.frame) or b"x").build(),
                    Packet((inside.number + rng.randrange(-60, 60)) % NUMBERS, inside.frame).build(),
                    Packet(inside.number, inside.frame, (Copy(rng.randrange(1, 256), rng.randbytes(40)),)).build(),
                )
            )
        if rng.random() > 0.5 * wickedness:
            other.hear(said, now)
        for _ in range(rng.choice((0, 1, 1, 1, 1, 2))):
            assert len(other.listen(now)) == FRAME_BYTES
        assert len(other.buffer) <= MAX_FRAMES + MAX_COPIES
    quality = other.quality(5.0)
    assert 1.0 <= quality.mos <= 4.5
    assert 0.0 <= quality.loss_percent <= 100.0
    count["frames heard"] += other.frames_played
    count["frames concealed"] += other.frames_concealed
    count["packets refused"] += other.malformed


def recordings(rng: Random, count: Counter[str], path: Path, sample: bytes) -> None:
    """A WAV file is read, or the fault is named."""
    size = 2 * rng.randrange(1000)
    whole = sample[:40] + size.to_bytes(4, "little") + sample[44 : 44 + size]
    match rng.randrange(4):
        case 0:
            path.write_bytes(damaged(rng, whole[:44]) + whole[44:])
        case 1:
            path.write_bytes(rng.randbytes(60))
        case _:  # one field of the header
            at = rng.choice((20, 22, 24, 25, 32, 34, 40))
            path.write_bytes(whole[:at] + bytes((rng.randrange(256),)) + whole[at + 1 :])
    try:
        rate, sound = read_wav(path)
    except UsageError as told:
        if path.name not in str(told):
            raise AssertionError("the file is not named") from None
        count["recordings refused"] += 1
        return
    assert 4_000 <= rate <= 192_000
    assert len(sound) <= 4_000
    count["recordings read"] += 1


def attack(run: Run) -> None:
    """Fifty packets and recordings, and two seconds of a call, a round."""
    sample = speech_file("caller").read_bytes()
    with tempfile.TemporaryDirectory() as folder:
        while run.on():
            before = sum(run.count.values())
            for _ in range(50):
                packets(run.rng, run.count)
                recordings(run.rng, run.count, Path(folder) / "damaged.wav", sample)
            streams(run.rng, run.count)
            run.executions += sum(run.count.values()) - before


if __name__ == "__main__":
    sys.exit(alone("sound", attack))
