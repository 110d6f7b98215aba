"""Attacks with what was said before: replays in every order, to whoever was there and to whoever starts anew;
reordering; cutting off."""

from __future__ import annotations

import itertools
import random
from dataclasses import replace
from typing import Any

import pytest
from attacker import ALICE, BOB, MODERN, THIEF, Attacker, Seen, both_suites
from hypothesis import given, settings
from hypothesis import strategies as st

from halloo.base.address import Address
from halloo.base.errors import Refused
from halloo.base.machine import Message
from halloo.crypto.suite import Suite
from halloo.link.keys import LinkKeys
from halloo.link.replay import SIZE
from halloo.link.session import Session
from halloo.link.strangers import BUSY, MAX_OF_HOST
from halloo.messages.link import Finish, Hello, HelloAnswer, HelloRetry
from halloo.messages.overlay import Ping
from halloo.wire.frame import FrameKind

suites = pytest.mark.parametrize("suite", both_suites())
ORDERS = [order for size in (1, 2, 3) for order in itertools.permutations((Hello, HelloAnswer, Finish), size)]


def handshake_of(attacker: Attacker) -> dict[type[Message], list[Seen]]:
    """Every frame of the handshake that passed, by what it says."""
    out: dict[type[Message], list[Seen]] = {Hello: [], HelloAnswer: [], Finish: []}
    for seen in attacker.seen:
        for message in seen.open:
            out[type(message)].append(seen)
    return out


@suites
@pytest.mark.parametrize("fresh", [False, True], ids=["same run", "after a start"])
def test_a_handshake_replayed_in_any_order_makes_no_link(suite: Suite, fresh: bool) -> None:
    attacker = Attacker(suite)
    here, there = attacker.meet()
    said = handshake_of(attacker)
    assert all(said.values())
    attacker.rule = lambda seen: []  # what they say to it reaches nobody, so nothing but the replay is at work
    for number, order in enumerate(ORDERS):
        if fresh:
            for who in (ALICE, BOB):
                attacker.ends[who] = attacker.endpoint(who, str(number))
        for source in (None, THIEF):  # from where it came, and from elsewhere
            for kind in order:
                for seen in said[kind]:
                    attacker.inject(seen if source is None else replace(seen, source=source))
    attacker.run(0.1)
    assert len(attacker.ups(ALICE)) == len(attacker.ups(BOB)) == 1
    if not fresh:
        attacker.rule = lambda seen: None
        attacker.say(ALICE, here, Ping(request=1))
        attacker.say(BOB, there, Ping(request=2))
        assert attacker.heard(BOB) == [Ping(request=1)]  # and the link that stands stands
        assert attacker.heard(ALICE) == [Ping(request=2)]


@suites
def test_an_old_answer_does_not_fit_a_new_hello(suite: Suite) -> None:
    """Alice begins again; all that bob ever said is said to her again under her new number."""
    attacker = Attacker(suite)
    attacker.meet()
    (answer,) = attacker.said(HelloAnswer)
    attacker.rule = lambda seen: []
    attacker.begin(ALICE, BOB)
    hello = attacker.said(Hello)[-1]
    attacker.tell(BOB, ALICE, replace(answer, to=hello.link))
    attacker.tell(BOB, ALICE, answer)
    assert len(attacker.ups(ALICE)) == 1


@suites
def test_whatever_is_replayed_is_heard_once(suite: Suite) -> None:
    attacker = Attacker(suite)
    here, there = attacker.meet()
    for number in range(20):
        attacker.say(ALICE, here, Ping(request=number))
        attacker.say(BOB, there, Ping(request=100 + number))
        attacker.sound(ALICE, here, b"sound %d" % number)
    everything = list(attacker.datagrams)
    random.Random(1).shuffle(everything)
    attacker.replay(everything)
    attacker.replay(everything[::-1])
    attacker.run()
    assert [message.request for message in attacker.heard(BOB)] == list(range(20))  # type: ignore[attr-defined]
    assert [message.request for message in attacker.heard(ALICE)] == list(range(100, 120))  # type: ignore[attr-defined]
    assert attacker.sounds(BOB) == [b"sound %d" % number for number in range(20)]
    assert attacker.downs(ALICE) == attacker.downs(BOB) == []


@suites
def test_a_packet_serves_on_no_other_link_and_as_no_other_kind(suite: Suite) -> None:
    """Two links of the same two: what was said on one, byte for byte, on the other; and sound as speech.

    Classic: the number is in the checksum, which anybody can make anew; what is then heard is noise.
    """
    attacker = Attacker(suite)
    here, _ = attacker.meet()
    other, _ = attacker.meet()
    attacker.sound(ALICE, here, b"sound on the first" * 3)
    sound = next(seen for seen in attacker.seen if seen.kind is FrameKind.MEDIA and seen.head)
    head = attacker.link_of(ALICE, other).theirs
    attacker.inject(replace(sound, head=head, frame=50))
    forged = sound.body[:-2] + attacker.checksum(replace(sound, frame=50), head, sound.body[:-2])
    attacker.inject(replace(sound, head=head, frame=50, body=forged))
    as_speech = b"\0" + sound.head + sound.body
    attacker.inject(replace(sound, kind=FrameKind.PAYLOAD, head=b"", body=as_speech))
    assert [sound for sound in attacker.sounds(BOB) if b"first" in sound] == [b"sound on the first" * 3]
    assert len(attacker.sounds(BOB)) == (2 if suite.name == "classic" else 1)
    assert attacker.heard(BOB) == []


def sessions() -> tuple[Session, Session]:
    keys = LinkKeys(MODERN.number, 1, 2, bytes(32), bytes(range(32)), b"transcript")
    return Session(MODERN, keys, began=True), Session(MODERN, keys, began=False)


def opened(there: Session, packet: tuple[int, bytes]) -> bytes | None:
    try:
        return there.open(FrameKind.MEDIA, bytes(4), *packet)[0]
    except Refused:
        return None


def test_every_order_of_a_few_packets_is_heard_once_each() -> None:
    """All orders of six, each packet twice over in every place."""
    here, _ = sessions()
    packets = [here.close(FrameKind.MEDIA, bytes(4), bytes([number])) for number in range(6)]
    for order in itertools.permutations(range(6)):
        _, there = sessions()
        for number in order:
            assert opened(there, packets[number]) == bytes([number])
            assert all(opened(there, packets[again]) is None for again in order[: order.index(number) + 1])


@given(st.randoms(use_true_random=False), st.integers(0, 70_000))
@settings(max_examples=25, deadline=None)
def test_all_that_is_late_within_the_window_is_heard_and_nothing_beyond(rng: Any, start: int) -> None:
    """The edges exactly, anywhere in the numbers (their low 16 bits run over): 1,023 behind is heard, 1,024 is not."""
    here, there = sessions()
    here.sent = start
    there._window.highest = start - 1
    packets = [here.close(FrameKind.MEDIA, bytes(4), number.to_bytes(2, "big")) for number in range(SIZE + 1)]
    assert opened(there, packets[-1]) is not None
    assert opened(there, packets[0]) is None  # SIZE behind the newest
    late = list(range(1, SIZE))
    rng.shuffle(late)
    for number in late:
        assert opened(there, packets[number]) == number.to_bytes(2, "big")
    for number in rng.sample(late, 50):
        assert opened(there, packets[number]) is None


def test_a_forged_packet_far_ahead_does_not_move_the_window() -> None:
    """The window follows what was opened, so nobody shuts out what is to come."""
    here, there = sessions()
    assert opened(there, (20_000, bytes(40))) is None
    assert opened(there, here.close(FrameKind.MEDIA, bytes(4), b"first")) == b"first"
    assert there._window.highest == 0


@suites
def test_what_is_cut_out_is_not_passed_over(suite: Suite) -> None:
    """One packet is held back for ever: nothing that was said after it is heard, and both ends see that they are cut
    off; what they cannot be made to believe is that nothing was missing."""
    attacker = Attacker(suite)
    here, _ = attacker.meet()
    attacker.say(ALICE, here, Ping(request=1))
    held: list[bytes] = []

    def rule(seen: Seen) -> list[Seen] | None:
        if seen.source != ALICE or not seen.sealed:
            return None
        if not held:
            held.append(seen.body)
        return [] if len(held) < 2 else None

    attacker.rule = rule
    attacker.say(ALICE, here, Ping(request=2))
    held.append(b"the rest passes")
    link = attacker.link_of(ALICE, here)
    link.reliable._repeat_at = float("inf")  # the repetition would heal it: this one never comes
    attacker.say(ALICE, here, Ping(request=3))
    assert [message.request for message in attacker.heard(BOB)] == [1]  # type: ignore[attr-defined]
    assert link.reliable.unheard
    attacker.rule = lambda seen: [] if seen.sealed else None
    attacker.run(120.0)
    assert [down.reason for down in attacker.downs(ALICE)] == ["no sign of life"]
    assert [down.reason for down in attacker.downs(BOB)] == ["no sign of life"]  # not "the other side ended the link"


def hello_of(suite: Suite) -> Hello:
    """A Hello that somebody said once."""
    other = Attacker(suite, users=(ALICE,))
    other.begin(ALICE, BOB)
    return other.said(Hello)[0]  # type: ignore[no-any-return]


@suites
def test_a_flood_of_half_handshakes_leaves_room(suite: Suite) -> None:
    """Hellos from a thousand forged addresses, and many from one: few are held, and an honest one passes.

    None of the forged ones hears the cookie that it is asked for, so from some number on none gets an answer.
    """
    attacker = Attacker(suite)
    template = hello_of(suite)
    attacker.rule = lambda seen: [] if seen.to not in (ALICE, BOB) else None
    for number in range(40):
        attacker.tell(THIEF, BOB, replace(template, link=number))
    assert len(attacker.ends[BOB]._links) == MAX_OF_HOST
    for number in range(1_000):
        source = Address.of(f"198.51.{number >> 8}.{number & 255}", 1_000)
        attacker.tell(source, BOB, replace(template, link=number))
    assert len(attacker.ends[BOB]._links) <= BUSY
    answers = [seen for seen in attacker.seen if seen.source == BOB and isinstance(seen.open[0], HelloAnswer)]
    asked = [seen for seen in attacker.seen if seen.source == BOB and isinstance(seen.open[0], HelloRetry)]
    assert len(answers) <= BUSY
    assert len(asked) > 900
    held = len(attacker.ends[BOB]._links)
    cookie = asked[0].open[0].cookie  # type: ignore[attr-defined]
    attacker.tell(Address.of("203.0.113.9", 9), BOB, replace(template, link=7_777, cookie=cookie))
    assert len(attacker.ends[BOB]._links) == held  # another's cookie serves nobody
    attacker.meet()
    assert [up.party.name for up in attacker.ups(BOB)] == ["alice"]


@suites
def test_false_cookies_are_followed_twice_at_most(suite: Suite) -> None:
    """Who sees a Hello asks for cookies without end in the responder's name: two are followed, then the Hello stays,
    and the answer to it is taken."""
    attacker = Attacker(suite)
    attacker.rule = lambda seen: [] if seen.to == BOB else None
    attacker.begin(ALICE, BOB)
    hello = attacker.said(Hello)[0]
    for number in range(2):
        attacker.tell(BOB, ALICE, HelloRetry(to=hello.link, cookie=bytes([number + 1])))
    attacker.rule = lambda seen: [] if any(isinstance(message, HelloAnswer) for message in seen.open) else None
    attacker.run(1.0)
    assert attacker.said(HelloAnswer)
    for number in range(10):
        attacker.tell(BOB, ALICE, HelloRetry(to=hello.link, cookie=bytes([number + 10])))
    attacker.rule = lambda seen: None
    attacker.run(3.0)
    assert [up.party.name for up in attacker.ups(ALICE)] == ["bob"]
    assert attacker.keys[ALICE] == attacker.keys[BOB]
    attacker.tell(BOB, ALICE, HelloRetry(to=hello.link, cookie=b"late"))
    assert attacker.downs(ALICE) == []
