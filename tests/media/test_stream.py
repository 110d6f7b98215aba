"""The machine between microphone and loudspeaker."""

from __future__ import annotations

import pickle
import struct
import subprocess
import sys
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from halloo.base.errors import Malformed, UsageError
from halloo.media.codec import FRAME_BYTES, FRAME_SAMPLES, SILENCE, MuLaw, Silence
from halloo.media.packet import Packet
from halloo.media.stream import SoundStream

LOUD = struct.pack(f"<{FRAME_SAMPLES}h", *(9000 if n // 60 % 2 else -9000 for n in range(FRAME_SAMPLES)))


def stream(first: int = 0) -> SoundStream:
    return SoundStream(MuLaw().encoder(), MuLaw().decoder(), first_number=first)


def talk(one: SoundStream, other: SoundStream, frames: int, lose: set[int] = frozenset()) -> list[bytes]:  # type: ignore[assignment]
    heard = []
    for n in range(frames):
        now = n * 0.02
        said = one.speak(LOUD, now)
        assert said is not None
        if n not in lose:
            other.hear(said, now + 0.001)
        heard.append(other.listen(now + 0.005))
    return heard


def test_sound_goes_across() -> None:
    one, other = stream(), stream()
    heard = talk(one, other, 150)
    assert all(len(frame) == FRAME_BYTES for frame in heard)
    assert heard[0] == heard[1] == SILENCE
    assert max(struct.unpack(f"<{FRAME_SAMPLES}h", heard[50])) > 7000
    assert (one.frames_sent, other.frames_played, other.frames_concealed) == (150, 148, 0)
    quality = other.quality(3.0)
    assert quality.loss_percent == 0.0
    assert 60 < quality.delay_ms < 80
    assert quality.mos > 4.3
    assert one.quality(3.0).sentence == "No sound has been heard yet."


def test_loss_is_concealed_and_counted() -> None:
    one, other = stream(), stream()
    heard = talk(one, other, 300, lose={50, 100, 101, 200})
    assert SILENCE not in heard[3:]
    assert (other.frames_played, other.frames_concealed) == (294, 4)
    assert other.quality(6.0).loss_percent == pytest.approx(400 / 298)


def test_packets_have_one_size_muted_or_not() -> None:
    one, other = stream(), stream()
    sizes = {len(one.speak(LOUD, 0.0) or b"")}
    one.muted = True
    muted = one.speak(LOUD, 0.02)
    assert muted is not None
    sizes.add(len(muted))
    assert len(sizes) == 1
    other.hear(muted, 0.02)
    assert other.listen(0.06) == SILENCE
    assert one.frames_sent == 2


def test_a_frame_of_another_size_is_our_own_mistake() -> None:
    for muted in (False, True):
        one = stream()
        one.muted = muted
        with pytest.raises(UsageError):
            one.speak(b"short", 0.0)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.binary(max_size=300), max_size=40), st.booleans())
def test_whatever_comes_a_frame_is_played(bodies: list[bytes], framed: bool) -> None:
    one = stream()
    for n, body in enumerate(bodies):
        one.hear(Packet(n, body).build() if framed and body else body, n * 0.02)
        assert len(one.listen(n * 0.02)) == FRAME_BYTES
    assert one.malformed + one.buffer.received == len(bodies)
    assert one.quality(1.0).mos >= 1.0


def test_frames_that_cannot_be_decoded_are_concealed() -> None:
    one = stream()
    for n in range(50):
        one.hear(Packet(n, b"nonsense").build(), n * 0.02)
        one.listen(n * 0.02)
    assert one.undecodable == 48
    assert one.frames_played == 0
    assert one.frames_concealed == 48
    assert one.quality(1.0).loss_percent == 100.0


class OddDecoder:
    """Returns frames of a wrong size, and refuses copies."""

    def decode(self, packet: bytes) -> bytes:
        return b"\1\0" * 2000

    def conceal(self, samples: int) -> bytes:
        return b""

    def has_copy(self, next_packet: bytes) -> bool:
        return True

    def decode_lost_from(self, next_packet: bytes) -> bytes:
        raise Malformed("no copy")


def test_frames_are_whole_whatever_a_decoder_returns() -> None:
    one, other = stream(), SoundStream(MuLaw().encoder(), OddDecoder())
    assert {len(frame) for frame in talk(one, other, 60, lose={20, 30, 31, *range(50, 60)})} == {FRAME_BYTES}


def test_history_has_a_line_for_each_second() -> None:
    one, other = stream(first=2**32 - 100), stream()
    other.listen(-0.01)  # its seconds begin between two packets
    talk(one, other, 260, lose={10, 60, 61, 170})
    history = other.history
    assert [line.second for line in history] == [0, 1, 2, 3, 4]
    assert [line.received for line in history] == [49, 48, 50, 49, 50]
    assert [line.lost for line in history] == [1, 2, 0, 1, 0]
    assert all(60 < line.delay_ms < 80 and 0 <= line.jitter_ms < 5 for line in history)


def test_same_story_twice() -> None:
    def story() -> list[bytes]:
        rng = Random(5)
        one, other = stream(), stream()
        return talk(one, other, 200, lose={n for n in range(200) if rng.random() < 0.2})

    assert story() == story()


def test_it_can_be_put_away_and_taken_up() -> None:
    one = SoundStream(Silence().encoder(), Silence().decoder())
    one.hear(Packet(0, b"\0").build(), 0.0)
    again = pickle.loads(pickle.dumps(one))
    assert again.listen(0.04) == one.listen(0.04)
    assert again.frames_played == one.frames_played == 1


def test_the_room_is_light() -> None:
    heavy = "('numpy', 'ctypes', 'asyncio', 'socket')"
    code = f"import sys, halloo.media.stream; print([name for name in {heavy} if name in sys.modules])"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert told.stdout.strip() == "[]"
