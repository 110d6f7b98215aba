"""A relay forwards for the two it was asked for, within limits, and for nobody else."""

import random

from halloo.base.address import Peer
from halloo.base.effects import Forward, Send
from halloo.messages.path import RelayClose, RelayGranted, RelayOffer, RelayRefused, RelayRequest
from halloo.path.relayer import IDLE_FOR, MAX_CHANNELS, MAX_PER_NODE, RelayEnded, Relayer

ALICE, BOB, EVE = Peer(1), Peer(2), Peer(3)


def opened(relayer: Relayer, caller: Peer = ALICE, callee: Peer = BOB) -> tuple[int, int]:
    """A channel: both tokens."""
    offer, granted, *_ = relayer.requested(RelayRequest(callee=bytes(8), request=5), caller, callee, 0.0)
    assert isinstance(offer, Send)
    assert isinstance(granted, Send)
    assert isinstance(offer.message, RelayOffer)
    assert isinstance(granted.message, RelayGranted)
    assert (offer.to, granted.to, granted.message.request) == (callee, caller, 5)
    return int.from_bytes(granted.message.token, "big"), int.from_bytes(offer.message.token, "big")


def test_both_directions_and_only_those_two() -> None:
    relayer = Relayer(random.Random(1))
    ours, theirs = opened(relayer)
    (there,) = relayer.carried(ours, b"hello", ALICE, 1.0)
    assert isinstance(there, Forward)
    assert (there.peer, there.token, there.inner) == (BOB, theirs, b"hello")
    (back,) = relayer.carried(theirs, b"hi", BOB, 1.0)
    assert isinstance(back, Forward)
    assert (back.peer, back.token) == (ALICE, ours)
    for token, sender in ((ours, BOB), (ours, EVE), (theirs, ALICE), (ours, None), (12345, ALICE)):
        assert relayer.carried(token, b"x", sender, 1.0) == []


def test_limits() -> None:
    relayer = Relayer(random.Random(1))
    for _ in range(MAX_PER_NODE):
        opened(relayer)
    (refused,) = relayer.requested(RelayRequest(callee=bytes(8), request=5), ALICE, BOB, 0.0)
    assert isinstance(refused, Send)
    assert isinstance(refused.message, RelayRefused)
    relayer = Relayer(random.Random(1))
    for number in range(MAX_CHANNELS):
        opened(relayer, Peer(100 + number))
    (refused,) = relayer.requested(RelayRequest(callee=bytes(8), request=5), ALICE, BOB, 0.0)
    assert isinstance(refused, Send)
    assert isinstance(refused.message, RelayRefused)
    (absent,) = Relayer(random.Random(1)).requested(RelayRequest(callee=bytes(8), request=5), ALICE, None, 0.0)
    assert isinstance(absent, Send)
    assert isinstance(absent.message, RelayRefused)


def test_a_channel_ends_when_asked_when_idle_and_when_an_end_is_gone() -> None:
    relayer = Relayer(random.Random(1))
    ours, theirs = opened(relayer)
    close = RelayClose(token=ours.to_bytes(8, "big"))
    assert relayer.closed(close, EVE, 1.0) == []
    assert relayer.closed(close, ALICE, 1.0) == [
        Send(BOB, RelayClose(token=theirs.to_bytes(8, "big"))),
        RelayEnded(0, 0),
    ]
    assert relayer.channels == 0

    ours, _ = opened(relayer)
    relayer.carried(ours, b"12345", ALICE, 30.0)
    assert relayer.wake(relayer.wake_at) == []
    assert relayer.wake_at == 30.0 + IDLE_FOR
    assert relayer.wake(relayer.wake_at)[-1] == RelayEnded(1, 5)
    assert (relayer.channels, relayer.wake_at) == (0, float("inf"))

    opened(relayer)
    opened(relayer, EVE)
    assert [type(effect) for effect in relayer.down(ALICE, 0.0)] == [Send, RelayEnded]
    assert relayer.channels == 1


def test_the_owners_cap_is_kept() -> None:
    relayer = Relayer(random.Random(1), max_rate=10_000.0)
    ours, _ = opened(relayer)
    passed = sum(bool(relayer.carried(ours, bytes(100), ALICE, n / 1000)) for n in range(10_000))
    # Ten seconds at 10,000 bytes a second, and the second that the bucket holds at the beginning.
    assert 1_000 <= passed <= 1_101
    assert relayer.refused == 10_000 - passed


def test_a_relay_that_is_woken_when_it_asked_has_done_its_work() -> None:
    rng = random.Random(1)
    for _ in range(200):
        relayer, used_at = Relayer(rng), 1_000 * rng.random()
        token, _ = opened(relayer)
        relayer.carried(token, b"hello", ALICE, used_at)
        for _ in range(3):
            relayer.wake(relayer.wake_at)
        assert relayer.channels == 0, used_at
        assert relayer.wake_at == float("inf")
