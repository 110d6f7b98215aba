"""Attacks on what is said: bits flipped, whole texts put in the place of others.

Each is carried out against both suites by the same hand.  Against classic it succeeds: its seal is a key stream and a
checksum without a key.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import pytest
from attacker import ALICE, BOB, CAROL, CLASSIC, NETWORK, Attacker, Seen, both_suites

from halloo.base.address import Channel, Peer
from halloo.crypto.suite import Covered, Suite
from halloo.link.notice import Carried
from halloo.messages.directory import Stored
from halloo.wire.command import encode_command
from halloo.wire.frame import FrameKind

suites = pytest.mark.parametrize("suite", both_suites())


def altered(attacker: Attacker, seen: Seen, plain: bytes, wanted: bytes) -> Seen:
    """A sealed frame whose plain text he knows or guesses, made to say something else of the same length."""
    assert seen.sealed is not None
    link, sealed = seen.sealed
    changed = bytes(a ^ b ^ c for a, b, c in zip(sealed, plain, wanted, strict=False))
    body = changed + sealed[len(changed) :]
    body = body[:-2] + attacker.checksum(seen, link, body[:-2])
    if seen.kind is FrameKind.PAYLOAD:
        body = b"\0" + link + body
    return replace(seen, body=body)


@suites
def test_sound_is_altered(suite: Suite) -> None:
    attacker = Attacker(suite)
    here, _ = attacker.meet()
    said, wanted = b"yes, I will come", b"no, I never will"
    attacker.rule = lambda seen: [altered(attacker, seen, said, wanted)] if seen.kind is FrameKind.MEDIA else None
    attacker.sound(ALICE, here, said)
    assert attacker.sounds(BOB) == ([wanted] if suite is CLASSIC else [])
    assert attacker.ends[BOB].faults == (0 if suite is CLASSIC else 1)


@suites
def test_what_nodes_say_to_each_other_is_altered(suite: Suite) -> None:
    """An answer becomes another one, as long when compressed: he knows what such a command looks like."""
    attacker = Attacker(suite)
    here, _ = attacker.meet()
    attacker.run(5.0)
    said = {
        search: encode_command(search, compressed=True, network=NETWORK)
        for search in (
            Stored(copies=1, reason=name, request=n) for n in range(16) for name in ("alice", "bob", "carol", "ada")
        )
    }
    meant, heard = next(
        (one, other)
        for one, other in combinations(said, 2)
        if len(said[one]) == len(said[other]) and one.reason != other.reason
    )
    asked, instead = said[meant], said[heard]
    ahead = b"\0\x01"  # nothing heard so far; this is the first command

    def rule(seen: Seen) -> list[Seen] | None:
        return [altered(attacker, seen, ahead + asked, ahead + instead)] if seen.sealed else None

    attacker.rule = rule
    attacker.say(ALICE, here, meant)
    assert attacker.heard(BOB) == ([heard] if suite is CLASSIC else [])


@suites
def test_every_single_bit_is_guarded(suite: Suite) -> None:
    """Accidents: both notice one flipped bit anywhere, in the text, the tag, the link number and the frame id."""
    attacker = Attacker(suite)
    here, _ = attacker.meet()
    attacker.rule = lambda seen: []
    attacker.sound(ALICE, here, b"twenty bytes of sound")
    (sound,) = [seen for seen in attacker.seen if seen.kind is FrameKind.MEDIA and seen.head]
    for at in range(8 * len(sound.body)):
        body = (int.from_bytes(sound.body, "big") ^ 1 << at).to_bytes(len(sound.body), "big")
        attacker.inject(replace(sound, body=body))
    for at in range(16):
        attacker.inject(replace(sound, frame=sound.frame ^ 1 << at))
    for at in range(32):
        attacker.inject(replace(sound, head=(int.from_bytes(sound.head, "big") ^ 1 << at).to_bytes(4, "big")))
    for length in range(len(sound.body)):
        attacker.inject(replace(sound, body=sound.body[:length]))
    if suite is CLASSIC:  # a checksum of 16 bits lets one in 65,536 of these pass, whichever they are
        assert len(attacker.sounds(BOB)) <= 1
    else:
        assert attacker.sounds(BOB) == []
    before = len(attacker.sounds(BOB))
    attacker.inject(sound)
    assert attacker.sounds(BOB)[before:] == [b"twenty bytes of sound"]


@suites
def test_whoever_guesses_blindly(suite: Suite) -> None:
    """20,000 invented packets for a link whose number he sees: in classic one in 65,536 is heard as noise; with the
    right checksum, each.  In modern none."""
    attacker = Attacker(suite)
    attacker.meet()
    link = attacker.link_of(ALICE, attacker.ups(ALICE)[0].peer).theirs
    for number in range(200):
        seen = Seen(ALICE, BOB, FrameKind.MEDIA, 100 + number, link, b"")
        noise = attacker.rng.randbytes(40)
        attacker.inject(replace(seen, body=noise + attacker.checksum(seen, link, noise)))
    assert len(attacker.sounds(BOB)) == (200 if suite is CLASSIC else 0)


@suites
def test_a_relay_reads_nothing_and_changes_nothing(suite: Suite) -> None:
    """Carol relays a link of alice and bob: she has her own links to both, sees every datagram inside, and alters it.

    She can do what any listener can, and no more: in classic alter sound, in modern nothing.
    """
    attacker = Attacker(suite, users=(ALICE, BOB, CAROL))
    to_alice, to_bob = attacker.meet(CAROL, ALICE)[0], attacker.meet(CAROL, BOB)[0]
    alices, bobs = attacker.ups(ALICE)[0].peer, attacker.ups(BOB)[0].peer
    there = {1: (to_bob, 2), 2: (to_alice, 1)}  # token under which it came -> to whom and under which it goes on
    attacker.ends[ALICE].accept(Channel(alices, 1))
    attacker.ends[BOB].accept(Channel(bobs, 2))
    inside: list[Covered] = []
    done, spoil = 0, b""

    def relay() -> None:
        nonlocal done
        end = attacker.ends[CAROL]
        for _ in range(50):
            attacker.run(0.01)
            carried = [notice for notice in attacker.notices[CAROL] if isinstance(notice, Carried)]
            for notice in carried[done:]:
                covered = end.datagrams.uncover_inner(notice.inner)
                inside.append(covered)
                if spoil and covered.kind == FrameKind.MEDIA:
                    seen = Seen(ALICE, BOB, FrameKind.MEDIA, covered.frame, covered.head, covered.body)
                    body = altered(attacker, seen, b"yes, I will come", spoil).body
                    inner = end.datagrams.inner(FrameKind.MEDIA, covered.frame, covered.head, body)
                else:
                    inner = notice.inner
                attacker._outcome(CAROL, end.forward(*there[notice.token], inner))
            done = len(carried)

    peer = Peer(77)
    attacker._outcome(ALICE, attacker.ends[ALICE].link(peer, Channel(alices, 1), attacker.now))
    relay()
    assert [up.party.name for up in attacker.ups(BOB)] == ["carol", "alice"]
    assert [up.party.name for up in attacker.ups(ALICE)] == ["carol", "bob"]
    attacker.sound(ALICE, peer, b"yes, I will come")
    relay()
    assert attacker.sounds(BOB) == [b"yes, I will come"]
    wire = b"".join(covered.head + covered.body for covered in inside)
    assert len(wire) > 500
    for word in (b"yes", b"alice", b"bob"):
        assert word not in wire
    spoil = b"no, I never will"
    attacker.sound(ALICE, peer, b"yes, I will come")
    relay()
    assert attacker.sounds(BOB)[1:] == ([spoil] if suite is CLASSIC else [])
