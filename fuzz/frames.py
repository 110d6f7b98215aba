"""Bytes below the commands: frames of a stream, fragments, the bodies of small frames, the order of a link.

Whatever comes in whatever pieces: the named fault or a value, the same value from the same bytes however they are cut,
and what is held unfinished stays within its bound.
"""

from __future__ import annotations

import sys
from random import Random

from fuzz._anything import MESSAGES, anything
from fuzz._bytes import damaged
from fuzz._harness import Run, alone
from halloo.base.errors import Malformed
from halloo.link.fragments import MAX_PIECE
from halloo.link.reliable import QUEUE, WINDOW, Reliable
from halloo.wire.command import encode_command
from halloo.wire.frame import (
    MAX_PIECES,
    MAX_STREAM_FRAME,
    Control,
    Reassembly,
    StreamFrame,
    StreamReader,
    cut,
    decode_ack,
    decode_nack,
    decode_resend,
    decode_wanted,
    encode_ack,
    encode_nack,
    encode_resend,
    encode_stream_frame,
    encode_wanted,
    is_wanted,
)


def attack(run: Run) -> None:
    """Some of each a round."""
    while run.on():
        for _ in range(20):
            small(run)
            stream(run)
            fragments(run)
        order(run)


def small(run: Run) -> None:
    """NAck, Ack and resend."""
    rng = run.rng
    host, challenge, port = rng.randbytes(rng.choice((4, 16))), rng.getrandbits(32), rng.getrandbits(16)
    assert decode_nack(encode_nack(host, challenge)) == (host, challenge)
    assert decode_ack(encode_ack(host, port)) == (host, port)
    assert decode_resend(encode_resend(1, challenge, host)) == (challenge, host if len(host) == 4 else bytes(4))
    for _ in range(20):
        run.input = damaged(rng, encode_nack(host, challenge), encode_ack(host, port))
        for decode in (decode_nack, decode_ack):
            try:
                assert len(decode(run.input)[0]) in (4, 16)
            except Malformed:
                assert len(run.input) not in (8, 20)
    run.executions += 43


def stream(run: Run) -> None:
    """A stream in one piece and in many is the same stream, or broken at the same place."""
    rng = run.rng
    frames = [
        StreamFrame(None, rng.getrandbits(16), rng.randbytes(rng.randrange(60)))
        if rng.random() < 0.5
        else StreamFrame(rng.choice(list(Control)), 0, rng.randbytes(rng.randrange(60)))
        for _ in range(rng.randrange(1, 8))
    ]
    text = b"".join(map(encode_stream_frame, frames))
    assert StreamReader().feed(text) == frames
    for _ in range(5):
        run.input = damaged(rng, text, rng.choice(run.corpus) if run.corpus else b"")
        whole, whole_broke = _read(run.input, len(run.input) or 1)
        parts, parts_broke = _read(run.input, rng.randrange(1, 9))
        assert whole_broke == parts_broke
        assert whole_broke or whole == parts
    run.executions += 11


def _read(text: bytes, step: int) -> tuple[list[StreamFrame], bool]:
    reader = StreamReader()
    got: list[StreamFrame] = []
    for at in range(0, len(text), step):
        try:
            got += reader.feed(text[at : at + step])
        except Malformed:
            return got, True
        assert len(reader._held) <= MAX_STREAM_FRAME + 4
    return got, False


def fragments(run: Run) -> None:
    """Fragments in any order, doubled, changed, of several payloads at once."""
    rng = run.rng
    held = Reassembly()
    sent: list[tuple[bytes, bytes]] = []
    for _ in range(rng.randrange(1, 7)):
        payload = rng.randbytes(rng.randrange(1, 400))
        number, pieces = rng.getrandbits(16), cut(payload, rng.randrange(26, 100), 0)
        sent += [(number.to_bytes(2, "big") + head[2:], piece) for head, piece in pieces]
    rng.shuffle(sent)
    now = 0.0
    for head, piece in sent:
        if rng.random() < 0.3:
            changed = damaged(rng, head + piece, sent[0][0] + sent[0][1])
            head, piece = changed[:4].ljust(4, b"\0"), changed[4 : 4 + MAX_PIECE]
        run.input = head + piece
        now += rng.choice((0.0, 0.0, 0.1, 6.0))
        try:
            if is_wanted(head):
                number, missing = decode_wanted(head, piece)
                assert encode_wanted(number, missing) == (head, piece)
            else:
                whole = held.add(head, piece, now)
                assert whole is None or len(whole) <= MAX_PIECES * MAX_PIECE
        except Malformed:
            pass
        for number, missing in held.wanted(now):
            assert decode_wanted(*encode_wanted(number, missing)) == (number, missing)
        assert held.ask_at > now
        assert held.held <= held.most * MAX_PIECES * MAX_PIECE
    run.executions += len(sent)


def order(run: Run) -> None:
    """Two sides of a link whose packets are lost, doubled, held back and altered: each command once and in order."""
    rng: Random = run.rng
    one, other = Reliable(), Reliable()
    said: list[bytes] = []
    got: list[bytes] = []
    packets: list[bytes] = []
    now = 0.0
    for _ in range(60):
        now += rng.random() * 0.2
        for _ in range(rng.randrange(3)):
            command = encode_command(anything(rng, rng.choice(MESSAGES)))
            if one.say(command):
                said.append(command)
        packets += one.packets(now, 1000)
        for packet in packets[-4:]:
            fate = rng.random()
            if fate < 0.3:
                continue
            if fate < 0.6:
                # Altered packets come only where a seal does not hold them back; they go to a listener of their own.
                _altered(run, damaged(rng, packet, rng.choice(packets)), now)
                continue
            got += other.heard(packet, now)
            run.executions += 1
        for packet in other.packets(now, 1000):
            if rng.random() < 0.7:
                one.heard(packet, now)
        assert len(one._unheard) <= QUEUE
        assert len(other._early) <= WINDOW
    assert got == said[: len(got)]
    run.count["commands heard in order"] += len(got)


def _altered(run: Run, packet: bytes, now: float) -> None:
    run.input = packet
    listener = Reliable()
    try:
        listener.heard(packet, now)
    except Malformed:
        pass
    assert len(listener._early) <= WINDOW
    run.executions += 1


if __name__ == "__main__":
    sys.exit(alone("frames", attack))
