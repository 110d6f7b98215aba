"""Said until heard; heard once and in order."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from halloo.base.errors import Malformed
from halloo.link.reliable import MAX_EARLY, QUEUE, Reliable
from halloo.messages.directory import Stored
from halloo.wire.buffer import varint
from halloo.wire.command import encode_command


def saying(number: int) -> bytes:
    return encode_command(Stored(copies=1, reason=f"name{number}", request=number & 0xFFFF))


def converse(seed: int, count: int, loss: float, *, seconds: float = 400.0) -> tuple[list[bytes], list[bytes]]:
    """Both sides say ``count`` commands over a line that loses, doubles and reorders; what each has heard."""
    rng = random.Random(seed)
    sides = Reliable(give_up=1e9), Reliable(give_up=1e9)
    heard: tuple[list[bytes], list[bytes]] = ([], [])
    flying: list[tuple[float, int, int, bytes]] = []
    now = 0.0
    for number in range(count):
        assert sides[0].say(saying(number))
        assert sides[1].say(saying(number))
    while now < seconds and any(len(side) < count for side in heard):
        for me in (0, 1):
            for packet in sides[me].packets(now, 300):
                for _ in range(1 + (rng.random() < 0.1)):
                    if rng.random() >= loss:
                        padded = packet + bytes(rng.randrange(3))
                        flying.append((now + rng.uniform(0.01, 0.2), len(flying), 1 - me, padded))
        flying.sort()
        now = min([at for at, *_ in flying[:1]] + [side.wake_at for side in sides])
        if flying and flying[0][0] <= now:
            _, _, me, packet = flying.pop(0)
            heard[me].extend(sides[me].heard(packet, now))
    return heard


@pytest.mark.parametrize("loss", [0.0, 0.1, 0.4])
@given(seed=st.integers(0, 1 << 30), count=st.integers(1, 90))
@settings(max_examples=25, deadline=None)
def test_everything_is_heard_once_and_in_order(loss: float, seed: int, count: int) -> None:
    expected = [saying(number) for number in range(count)]
    assert converse(seed, count, loss) == (expected, expected)


def test_what_is_never_heard_is_given_up() -> None:
    side = Reliable(give_up=10.0)
    side.say(saying(1))
    now, sent = 0.0, 0
    while not side.dead(now):
        sent += len(side.packets(now, 300))
        now = side.wake_at
    assert now == 10.0
    assert 5 <= sent <= 12  # it backs off


def test_too_much_is_not_taken() -> None:
    side = Reliable()
    assert all(side.say(saying(number)) for number in range(QUEUE))
    assert not side.say(saying(QUEUE))


def test_an_ack_of_what_was_never_said_is_malformed() -> None:
    with pytest.raises(Malformed):
        Reliable().heard(bytes([5, 0]), 0.0)


@given(st.binary(max_size=100))
def test_random_plain_texts_are_heard_or_malformed(plain: bytes) -> None:
    side = Reliable()
    side.say(saying(1))
    side.packets(0.0, 300)
    try:
        side.heard(plain, 0.0)
    except Malformed:
        return
    assert len(side._early) <= 64


def test_the_wait_follows_the_round_trip() -> None:
    mine, theirs = Reliable(), Reliable()
    now = 0.0
    for number in range(20):
        mine.say(saying(number))
        for packet in mine.packets(now, 300):
            theirs.heard(packet, now + 0.5)
        now += 1.0
        for packet in theirs.packets(now, 300):
            mine.heard(packet, now)
    assert 0.9 < mine.round_trip < 1.1
    assert mine.repeated == 0


def long(number: int) -> bytes:
    """A command of some 16 kB."""
    return varint(16_000) + varint(0x67 << 3 | 1) + number.to_bytes(2, "big") + bytes(15_998)


def test_what_comes_before_its_turn_is_bounded_in_bytes_and_nothing_is_lost() -> None:
    sender, receiver = Reliable(), Reliable()
    commands = [long(number) for number in range(40)]
    for one in commands:
        assert sender.say(one)
    first, *others = sender.packets(0.0, 1_200)
    heard = [each for packet in others for each in receiver.heard(packet, 0.0)]
    assert heard == []
    assert receiver._early_size <= MAX_EARLY
    assert receiver._early_size == sum(map(len, receiver._early.values()))
    heard += receiver.heard(first, 0.0)
    now = 0.0
    while len(heard) < len(commands) and now < 60:
        for packet in receiver.packets(now, 1_200):
            sender.heard(packet, now)
        now = max(now + 0.01, min(sender.wake_at, now + 1))
        for packet in sender.packets(now, 1_200):
            heard += receiver.heard(packet, now)
    assert heard == commands


def test_what_waits_is_counted() -> None:
    sender, receiver = Reliable(), Reliable()
    for number in range(5):
        sender.say(saying(number))
    assert sender.waiting == sum(len(saying(number)) for number in range(5))
    for packet in sender.packets(0.0, 1_200):
        receiver.heard(packet, 0.0)
    for packet in receiver.packets(0.0, 1_200):
        sender.heard(packet, 0.0)
    assert sender.waiting == 0
