"""Attacks on who is who: posing, misbinding, reflecting, mixing, changing on the way, talking down the suite."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import pytest
from attacker import ALICE, BOB, CAROL, MODERN, THIEF, Attacker, Kept, Kit, Seen, both_suites

from halloo.base.address import Address, Channel, Stream, Wire
from halloo.base.effects import Link, Send
from halloo.base.errors import PeerError, Refused
from halloo.base.machine import Message, Numbers
from halloo.crypto.suite import Suite
from halloo.link.handshake import INITIATOR, RESPONDER, Initiator, Responder, after_answer, after_finish
from halloo.messages.credential import Listing, Party
from halloo.messages.link import Finish, Goodbye, Hello, HelloAnswer
from halloo.messages.overlay import Ping
from halloo.messages.path import RelayGranted, RelayRequest
from halloo.path.reach import Policy, Reach
from halloo.wire.command import encode_command
from halloo.wire.frame import FrameKind

suites = pytest.mark.parametrize("suite", both_suites())


def rewriting(change: Any) -> Any:
    """A rule that changes commands in the open: ``change(source, message)`` gives another one, the same, or None."""

    def rule(seen: Seen) -> list[Seen] | None:
        if not seen.open:
            return None
        changed = [change(seen.source, message) for message in seen.open]
        kept = [message for message in changed if message is not None]
        if kept == seen.open:
            return None
        return [replace(seen, body=encode_command(message)) for message in kept]

    return rule


@suites
def test_both_ends_agree_on_everything(suite: Suite) -> None:
    attacker = Attacker(suite)
    attacker.meet()
    (up_here,), (up_there,) = attacker.ups(ALICE), attacker.ups(BOB)
    assert (up_here.party.name, up_here.party.key) == ("bob", attacker.kit.public(BOB))
    assert (up_there.party.name, up_there.party.key) == ("alice", attacker.kit.public(ALICE))
    assert attacker.keys[ALICE] == attacker.keys[BOB]
    (keys,) = attacker.keys[ALICE]
    assert keys.suite == suite.number
    assert keys.initiator != keys.responder


FIELDS = [
    (Hello, "link"),
    (Hello, "envelope"),
    (HelloAnswer, "link"),
    (HelloAnswer, "envelope"),
    (HelloAnswer, "enclosed"),
    (HelloAnswer, "proof"),
    (Finish, "enclosed"),
    (Finish, "proof"),
]


@suites
@pytest.mark.parametrize(("kind", "field"), FIELDS, ids=lambda value: getattr(value, "__name__", value))
def test_no_field_can_be_changed_on_the_way(suite: Suite, kind: type[Message], field: str) -> None:
    """Consistently: a number that is changed one way is changed back the other way, so that only proofs can tell."""
    attacker = Attacker(suite)
    numbers: dict[int, int] = {}

    def change(source: Any, message: Message) -> Message:
        if isinstance(message, kind):
            old = getattr(message, field)
            if isinstance(old, int):
                numbers[old ^ 1] = old
                return replace(message, **{field: old ^ 1})
            if field == "envelope":  # a key that is one: the attacker's own, for which he has the private part
                envelope = suite.envelope if kind is Hello else suite.answer_envelope
                return replace(message, envelope=envelope.public(envelope.make(attacker.rng, thiefs)))
            return replace(message, **{field: old[:-1] + bytes([old[-1] ^ 1])})
        back = getattr(message, "to", None)
        return replace(message, to=numbers[back]) if back in numbers else message  # type: ignore[call-arg]

    thiefs = attacker.kit.private[THIEF]
    attacker.rule = rewriting(change)
    attacker.begin(ALICE, BOB)
    attacker.run(8.0)
    assert attacker.ups(BOB) == []
    believed = [up.party.name for up in attacker.ups(ALICE)]
    assert believed == ([] if kind is not Finish else ["bob"])  # who began has heard bob, and then nothing more
    assert {down.reason for down in attacker.downs(ALICE)} <= {"no answer", "no sign of life"}


@suites
def test_nobody_poses_with_a_credential_that_is_not_his(suite: Suite) -> None:
    attacker = Attacker(suite, users=(ALICE,))
    peer = attacker.begin(ALICE, BOB)
    (hello,) = attacker.said(Hello)
    mine = attacker.kit.private[THIEF]
    bobs = attacker.kit.credential(BOB)
    for shows, signs, credential in (
        (BOB, mine, bobs),  # his key, our signature
        (THIEF, mine, bobs),  # our key, our signature, his credential
        (BOB, mine, b""),  # his key alone
    ):
        forged, _, _ = attacker.forged_answer(hello, shows=shows, signs=signs, credential=credential)
        attacker.tell(BOB, ALICE, forged)
    assert attacker.ups(ALICE) == []
    assert attacker.said(Finish) == []
    honest, _, _ = attacker.forged_answer(hello, shows=THIEF, signs=mine)  # the same machinery, as himself
    attacker.tell(BOB, ALICE, honest)
    assert [up.party.name for up in attacker.ups(ALICE)] == ["thief"]
    assert attacker.link_of(ALICE, peer).party is not None


@suites
def test_who_steals_alices_key_cannot_pose_to_alice_as_bob(suite: Suite) -> None:
    """Key compromise impersonation: with her key he may sign, and open whatever is enclosed to it."""
    attacker = Attacker(suite, users=(ALICE,))
    attacker.begin(ALICE, BOB)
    (hello,) = attacker.said(Hello)
    stolen = attacker.kit.private[ALICE]
    for shows in (BOB, ALICE):
        forged, _, _ = attacker.forged_answer(
            hello, shows=shows, signs=stolen, credential=attacker.kit.credential(BOB)
        )
        attacker.tell(BOB, ALICE, forged)
    assert attacker.ups(ALICE) == []
    # And towards her as the side that answers:
    alice = Responder(attacker.kit.persona(ALICE), 7, Initiator(attacker.kit.persona(THIEF), 9).hello)
    hello = Initiator(attacker.kit.persona(THIEF, "again"), 9).hello
    alice = Responder(attacker.kit.persona(ALICE), 7, hello)
    mine, enclosed = suite.answer_envelope.enclose(alice.answer.envelope, attacker.rng)
    bare = Finish(to=7, enclosed=enclosed)
    transcript = after_finish(suite, after_answer(suite, hello, alice.answer), alice.answer.proof, bare)
    secret = mine + alice._secret
    proof = attacker.forged_proof(INITIATOR, secret, transcript, shows=BOB, signs=stolen)
    with pytest.raises(Refused):
        alice.finish(replace(bare, proof=proof), 1.8e9)
    proof = attacker.forged_proof(INITIATOR, secret, transcript, shows=ALICE, signs=stolen)
    _, party = alice.finish(replace(bare, proof=proof), 1.8e9)
    assert party.name == "alice"  # as herself he can: that is what a stolen key is


@suites
def test_a_proof_cannot_be_put_in_anothers_name(suite: Suite) -> None:
    """Misbinding: the thief, in the path, puts his own proof over the very same messages in the place of bob's.

    Nothing but the seal keeps him from it, whose key follows from the enclosed secret.
    """
    attacker = Attacker(suite)
    mine = attacker.kit.private[THIEF]

    def change(source: Any, message: Message) -> Message:
        if isinstance(message, HelloAnswer):
            (hello,) = attacker.said(Hello)
            transcript = after_answer(suite, hello, message)
            guessed = bytes(32)
            proof = attacker.forged_proof(RESPONDER, guessed, transcript, shows=THIEF, signs=mine)
            return replace(message, proof=proof)
        return message

    attacker.rule = rewriting(change)
    attacker.begin(ALICE, BOB)
    attacker.run(8.0)
    assert attacker.ups(ALICE) == attacker.ups(BOB) == []


def test_misbinding_fails_even_for_who_knows_the_responders_secret() -> None:
    """Bob's random numbers are known to the thief, so he can swap the sealed proof: the transcript holds that proof,
    and bob sees that alice has not heard his."""
    answers = Kept(MODERN.envelope)
    attacker = Attacker(replace(MODERN, envelope=answers))
    mine = attacker.kit.private[THIEF]

    def change(source: Any, message: Message) -> Message:
        if isinstance(message, HelloAnswer):
            (hello,) = attacker.said(Hello)
            transcript = after_answer(MODERN, hello, message)
            secret = answers.secrets[-1]
            assert attacker.opened_proof(RESPONDER, secret, transcript, message.proof).key == attacker.kit.public(BOB)
            proof = attacker.forged_proof(RESPONDER, secret, transcript, shows=THIEF, signs=mine)
            return replace(message, proof=proof)
        return message

    attacker.rule = rewriting(change)
    attacker.begin(ALICE, BOB)
    attacker.run(8.0)
    assert [up.party.name for up in attacker.ups(ALICE)] == ["thief"]  # as himself, which he may
    assert attacker.ups(BOB) == []  # so nobody took for alice's what she said to the thief


@suites
def test_a_reflected_hello_makes_a_link_with_oneself_only(suite: Suite) -> None:
    """All that alice says comes back to her: at most she meets herself, under her own name."""
    attacker = Attacker(suite, users=(ALICE,))
    attacker.rule = lambda seen: [replace(seen, source=BOB, to=ALICE)] if seen.source == ALICE else None
    attacker.begin(ALICE, BOB)
    attacker.run(2.0)
    assert {up.party.name for up in attacker.ups(ALICE)} == {"alice"}
    sought = Attacker(suite, users=(ALICE,))
    sought.rule = attacker.rule
    sought.begin(ALICE, BOB, sought.kit.public(BOB))
    sought.run(2.0)
    assert not [up for up in sought.ups(ALICE) if not up.inbound]  # who looks for bob does not take herself for him


@suites
def test_what_one_says_cannot_be_said_back_to_him(suite: Suite) -> None:
    """Sealed packets reflected under the right link number: the seals of the two directions differ."""
    attacker = Attacker(suite)
    here, there = attacker.meet()
    attacker.sound(ALICE, here, b"sound of alice" * 4)
    head = attacker.link_of(ALICE, here).number.to_bytes(4, "big")
    (sound,) = [seen for seen in attacker.seen if seen.kind is FrameKind.MEDIA and seen.head]
    back = replace(sound, source=BOB, to=ALICE, frame=40, head=head)
    attacker.inject(back)
    attacker.inject(replace(back, frame=sound.frame))
    assert attacker.sounds(ALICE) == []
    # The classic checksum has no key: it is made anew, and holds.  What alice hears is noise, since salts differ.
    attacker.inject(replace(back, body=sound.body[:-2] + attacker.checksum(back, head, sound.body[:-2])))
    assert len(attacker.sounds(ALICE)) == (1 if suite.name == "classic" else 0)
    assert b"alice" not in b"".join(attacker.sounds(ALICE))
    assert attacker.link_of(BOB, there).session is not None


@suites
def test_messages_of_parallel_sessions_cannot_be_mixed(suite: Suite) -> None:
    """Two handshakes of alice with bob at once, one of carol's: every answer and end is tried in every other."""
    attacker = Attacker(suite, users=(ALICE, BOB, CAROL))
    attacker.rule = lambda seen: [] if any(isinstance(m, HelloAnswer) for m in seen.open) else None
    attacker.begin(ALICE, BOB)
    attacker.begin(ALICE, BOB)
    attacker.begin(CAROL, BOB)
    answers = list(dict.fromkeys((seen.to, seen.open[0]) for seen in _having(attacker, HelloAnswer)))
    assert len(answers) == 3
    attacker.rule = lambda seen: [] if any(isinstance(m, Finish) for m in seen.open) else None
    for (_, answer), (to, other) in itertools.permutations(answers, 2):
        attacker.tell(BOB, to, replace(answer, to=other.to))  # type: ignore[call-arg,attr-defined]
    assert attacker.ups(ALICE) == attacker.ups(CAROL) == []
    for to, answer in answers:
        attacker.tell(BOB, to, answer)
    finishes = list(dict.fromkeys((seen.source, seen.open[0]) for seen in _having(attacker, Finish)))
    assert len(finishes) == 3
    attacker.rule = lambda seen: None
    for (source, finish), (_, other) in itertools.permutations(finishes, 2):
        attacker.tell(source, BOB, replace(finish, to=other.to))  # type: ignore[call-arg,attr-defined]
    assert attacker.ups(BOB) == []
    for source, finish in finishes:
        attacker.tell(source, BOB, finish)
    attacker.run()
    assert sorted(up.party.name for up in attacker.ups(BOB)) == ["alice", "alice", "carol"]
    assert sorted(map(repr, attacker.keys[BOB])) == sorted(map(repr, attacker.keys[ALICE] + attacker.keys[CAROL]))
    assert len(set(attacker.keys[BOB])) == 3


def _having(attacker: Attacker, kind: type[Message]) -> list[Seen]:
    return [seen for seen in attacker.seen if any(isinstance(message, kind) for message in seen.open)]


@suites
def test_nobody_is_talked_down_to_another_suite(suite: Suite) -> None:
    """The number in the Hello is changed to every other: refused there.  Said in a network of that suite: no link."""
    for number in set(range(256)) - {suite.number}:
        with pytest.raises(Refused, match=f"suite {number}"):
            Responder(Kit.of(suite).persona(BOB), 1, Hello(suite=number, link=1, envelope=b"e"))
    attacker = Attacker(suite)
    attacker.rule = rewriting(lambda source, m: replace(m, suite=3 - suite.number) if isinstance(m, Hello) else m)
    attacker.begin(ALICE, BOB)
    attacker.run(8.0)
    assert attacker.ups(ALICE) == attacker.ups(BOB) == []
    assert attacker.said(HelloAnswer) == []


@suites
def test_the_suites_number_is_signed(suite: Suite) -> None:
    """Were there a responder that takes any number: the transcripts differ, and who began refuses."""
    kit = Kit.of(suite)
    initiator = Initiator(kit.persona(ALICE), 1)
    other = replace(suite, number=3 - suite.number)
    persona = kit.persona(BOB)
    persona.suite = other
    responder = Responder(persona, 2, replace(initiator.hello, suite=other.number))
    with pytest.raises(Refused):
        initiator.answer(responder.answer, 1.8e9)


def test_who_is_looked_for_is_the_only_one_who_learns_who_asks() -> None:
    """A key that was certified for somebody else, or for nobody, gets no Finish, hence no name."""
    for credential in (None, b""):
        attacker = Attacker(MODERN, users=(ALICE,))
        peer = attacker.begin(ALICE, BOB, attacker.kit.public(BOB))
        (hello,) = attacker.said(Hello)
        mine = attacker.kit.private[THIEF]
        forged, _, _ = attacker.forged_answer(hello, shows=THIEF, signs=mine, credential=credential)
        attacker.tell(BOB, ALICE, forged)
        attacker.run()
        assert attacker.said(Finish) == []
        assert [(down.peer, down.reason) for down in attacker.downs(ALICE)] == [
            (peer, "somebody else answered at the address")
        ]
    attacker = Attacker(MODERN)
    attacker.begin(ALICE, BOB, attacker.kit.public(BOB))
    attacker.run()
    assert [up.party.name for up in attacker.ups(ALICE)] == ["bob"]


def test_a_call_looks_for_the_callees_key_on_every_way() -> None:
    """Straight, over TCP and through a relay; the relay itself is whoever is there."""
    supernode = Address.parse("192.0.2.9:9")
    listing = Listing(version=1, issued=1, state=1, node=bytes(8), supernode=supernode, reachable=(BOB,))
    reach = Reach(listing, b"bob's key", Policy.ANY, None, Numbers(1), Numbers(1), Numbers(1))
    effects = [effect for now in (0.0, 0.3, 0.6, 1.0) for effect in (reach.begin(now) if not now else reach.wake(now))]
    (hop,) = [effect.peer for effect in effects if isinstance(effect, Link) and effect.route == Wire(supernode)]
    asked = reach.up(hop, Party(b"a relay's key", None), 1.0)
    (request,) = [effect.message for effect in asked if isinstance(effect, Send)]
    assert isinstance(request, RelayRequest)
    effects += reach.receive(RelayGranted(token=bytes(8), request=request.request), hop, 1.0)
    links = [effect for effect in effects if isinstance(effect, Link)]
    hops = [link for link in links if getattr(link.route, "address", None) == supernode]
    assert {link.key for link in hops} == {b""}
    sought = {type(link.route): link.key for link in links if link not in hops}
    assert sought == {Wire: b"bob's key", Stream: b"bob's key", Channel: b"bob's key"}


@suites
def test_links_end_at_the_word_of_their_ends_only(suite: Suite) -> None:
    """A goodbye in the open, or one cut off and replayed elsewhere, ends nothing."""
    attacker = Attacker(suite)
    here, _ = attacker.meet()
    attacker.tell(BOB, ALICE, Goodbye(reason="forged"))
    attacker.tell(ALICE, BOB, Goodbye(reason="forged"))
    attacker.say(ALICE, here, Ping(request=1))
    assert attacker.downs(ALICE) == attacker.downs(BOB) == []
    assert attacker.heard(BOB) == [Ping(request=1)]


def test_signatures_for_one_purpose_serve_no_other() -> None:
    """No label is the beginning of another, so no signed text can be read as one of another kind."""
    from halloo.login import letter, log
    from halloo.messages import credential
    from halloo.node import descriptor

    labels = [
        INITIATOR,
        RESPONDER,
        letter._POSSESSION,
        credential._SIGNED_CLAIMS,
        credential._SIGNED_LISTING,
        log._HEAD,
        log._TOLD,
        descriptor._SIGNED,
    ]
    assert len(set(labels)) == 8
    for one, other in itertools.permutations(labels, 2):
        assert not one.startswith(other)


@suites
def test_an_expired_or_foreign_credential_proves_nobody(suite: Suite) -> None:
    kit = Kit.of(suite)
    for wall, network in ((1.8e9 + 90_000, b"network!"), (1.8e9, b"another!")):
        persona = kit.persona(ALICE)
        persona.notary = replace(persona.notary, network=network)
        initiator = Initiator(persona, 1)
        with pytest.raises(PeerError):
            initiator.answer(Responder(kit.persona(BOB), 2, initiator.hello).answer, wall)
