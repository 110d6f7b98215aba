"""Attacks on what is kept secret: names, keys, words; with stolen keys, stolen machines, and broken primitives."""

from __future__ import annotations

from dataclasses import replace

import pytest
from attacker import ALICE, BOB, MODERN, THIEF, Attacker, Kept, Kit, both_suites
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from halloo.base.errors import PeerError
from halloo.crypto.suite import Suite
from halloo.link.handshake import INITIATOR, RESPONDER, Initiator, after_answer, after_finish
from halloo.messages.directory import Stored
from halloo.messages.link import Finish, Hello, HelloAnswer
from halloo.messages.overlay import Ping

suites = pytest.mark.parametrize("suite", both_suites())
SECRET = b"a word between the two of them "
X = 32  # bytes of an X25519 key


def recorded(suite: Suite) -> Attacker:
    """A link that was overheard from its first datagram, with words in both directions."""
    attacker = Attacker(suite)
    here, there = attacker.meet()
    attacker.sound(ALICE, here, SECRET + b"of alice")
    attacker.sound(BOB, there, SECRET + b"of bob")
    return attacker


@suites
def test_a_listener_reads_no_word_and_no_name(suite: Suite) -> None:
    attacker = recorded(suite)
    wire = b"".join(seen.head + seen.body for seen in attacker.seen)  # every cloak lifted: its key is public
    for secret in (SECRET, b"alice", b"bob", attacker.kit.credential(ALICE)[:40], attacker.kit.credential(BOB)[:40]):
        assert secret not in wire
    assert len(attacker.sounds(BOB)) == len(attacker.sounds(ALICE)) == 1


@suites
def test_which_identity_keys_a_listener_sees(suite: Suite) -> None:
    """Modern: none.  Classic: both, for they are the envelopes of the handshake."""
    attacker = recorded(suite)
    wire = b"".join(seen.body for seen in attacker.seen)
    shown = [attacker.kit.public(who) in wire for who in (ALICE, BOB)]
    assert shown == [suite.name == "classic"] * 2


@suites
def test_two_links_of_the_same_two_have_nothing_in_common(suite: Suite) -> None:
    """Modern: a listener cannot tell that they are the same two (but for their addresses).  Classic: he can."""
    attacker = Attacker(suite)
    attacker.meet()
    attacker.meet()
    hellos, answers, finishes = (attacker.said(kind) for kind in (Hello, HelloAnswer, Finish))
    assert len(hellos) == len(answers) == len(finishes) == 2
    parts = [[hello.envelope for hello in hellos], [answer.envelope for answer in answers]]
    assert [len(set(part)) == 1 for part in parts] == [suite.name == "classic"] * 2
    for part in ([a.enclosed for a in answers], [f.enclosed for f in finishes], [a.proof for a in answers]):
        assert len(set(part)) == 2


@suites
def test_identity_keys_stolen_afterwards_open_the_past(suite: Suite) -> None:
    """Forward secrecy.  Classic: everything is read.  Modern: nothing."""
    attacker = recorded(suite)
    stolen = [attacker.kit.private[ALICE], attacker.kit.private[BOB], attacker.kit.login]
    stolen += [key.ljust(96, b"\0") for key in stolen]  # in whatever length the envelopes may take
    read = attacker.read(list(attacker.guesses(stolen)))
    found = [word for word in (SECRET + b"of alice", SECRET + b"of bob") if word in read]
    assert len(found) == (2 if suite.name == "classic" else 0)


def test_the_same_attack_with_the_keys_of_the_handshake_itself() -> None:
    """What the attack above lacks: with the fresh keys, which a modern node forgets, it does succeed."""
    envelope, back = Kept(MODERN.envelope), Kept(MODERN.answer_envelope)
    attacker = recorded(replace(MODERN, envelope=envelope, answer_envelope=back))
    assert SECRET + b"of alice" in attacker.read(list(attacker.guesses(envelope.privates + back.privates)))
    # One half is not enough: the keys follow from both secrets.
    for stolen in (envelope.privates, back.privates):
        assert not list(attacker.guesses(stolen))


def test_a_node_forgets_the_keys_of_the_handshake() -> None:
    """Neither end can be made to open the past once the first sealed packet has passed; keys go with a renewal."""
    attacker = Attacker(MODERN)
    here, there = attacker.meet()
    attacker.run(5.0)
    for who, peer in ((ALICE, here), (BOB, there)):
        link = attacker.link_of(who, peer)
        assert link.session is not None
        assert link.initiator is link.responder is None
        assert link.greeting == ()


def curve_broken(private: bytes, enclosed: bytes, public: bytes, lattice: bytes = bytes(32)) -> bytes:
    """What a hybrid envelope gives one who has the X25519 half of its key (or can compute it) and guesses the rest."""
    shared = X25519PrivateKey.from_private_bytes(private[:X]).exchange(X25519PublicKey.from_public_bytes(enclosed[:X]))
    return MODERN.digest.derive(lattice + shared, "halloo hybrid envelope", enclosed + public, 32)


def test_who_breaks_x25519_later_reads_nothing() -> None:
    """A quantum computer of later: every X25519 key of the handshake is his, ML-KEM stands.

    What rests on X25519 alone is the initiator's secret: he has that.  The link's keys, and both names, he has not.
    """
    envelope, back = Kept(MODERN.envelope), Kept(MODERN.answer_envelope)
    suite = replace(MODERN, envelope=envelope, answer_envelope=back)
    attacker = recorded(suite)
    (hello,), (answer,), (finish,) = (attacker.said(kind) for kind in (Hello, HelloAnswer, Finish))
    (private,), (way_back,) = envelope.privates, back.privates
    initiators = MODERN.answer_envelope.disclose(way_back, finish.enclosed)
    assert initiators == attacker.keys[ALICE][0].initiators  # this half has fallen
    first = after_answer(suite, hello, answer)
    second = after_finish(suite, first, answer.proof, replace(finish, proof=b""))
    for half in (curve_broken(private, answer.enclosed, hello.envelope, rest) for rest in (bytes(32), b"")):
        assert attacker.read([(initiators, each, second) for each in (half, bytes(32), b"")]) == []
        for label, secret, transcript, proof in (
            (RESPONDER, half, first, answer.proof),
            (INITIATOR, initiators + half, second, finish.proof),
            (INITIATOR, initiators, second, finish.proof),
        ):
            with pytest.raises(PeerError):
                attacker.opened_proof(label, secret, transcript, proof)
    # With ML-KEM broken as well, the same steps read everything: nothing else stands in his way.
    lattice = MLKEM768PrivateKey.from_seed_bytes(private[X:]).decapsulate(answer.enclosed[X:])
    whole = curve_broken(private, answer.enclosed, hello.envelope, lattice)
    assert SECRET + b"of alice" in attacker.read([(initiators, whole, second)])
    assert attacker.opened_proof(RESPONDER, whole, first, answer.proof).key == attacker.kit.public(BOB)


def test_who_breaks_ml_kem_reads_nothing_either() -> None:
    envelope, back = Kept(MODERN.envelope), Kept(MODERN.answer_envelope)
    suite = replace(MODERN, envelope=envelope, answer_envelope=back)
    attacker = recorded(suite)
    (hello,), (answer,), (finish,) = (attacker.said(kind) for kind in (Hello, HelloAnswer, Finish))
    (private,) = envelope.privates
    lattice = MLKEM768PrivateKey.from_seed_bytes(private[X:]).decapsulate(answer.enclosed[X:])
    first = after_answer(suite, hello, answer)
    second = after_finish(suite, first, answer.proof, replace(finish, proof=b""))
    for rest in (bytes(32), b""):
        half = MODERN.digest.derive(lattice + rest, "halloo hybrid envelope", answer.enclosed + hello.envelope, 32)
        assert attacker.read([(bytes(32), half, second), (b"", half, second)]) == []
        with pytest.raises(PeerError):
            attacker.opened_proof(RESPONDER, half, first, answer.proof)


@suites
def test_whoever_connects_learns_the_responders_name(suite: Suite) -> None:
    """An active stranger: he needs no account.  He must show *a* key only after he has been told whose door it is."""
    attacker = Attacker(suite, users=(BOB,))
    stranger = attacker.kit.persona(THIEF)
    stranger.credential = b""
    initiator = Initiator(stranger, 5)
    attacker.rule = lambda seen: []
    attacker.tell(THIEF, BOB, initiator.hello)
    (answer,) = attacker.said(HelloAnswer)
    _, _, party = initiator.answer(answer, 1.8e9)
    assert party.name == "bob"
    assert attacker.ups(BOB) == []  # who never learns that anybody asked


@suites
def test_who_answers_in_the_way_learns_the_initiators_name_where_anybody_would_do(suite: Suite) -> None:
    """A node that looks for nobody in particular (a supernode at an address) tells its name to whoever answers."""
    for sought, told in ((b"", 1), (Kit.of(suite).public(BOB), 0)):
        attacker = Attacker(suite, users=(ALICE,))
        attacker.begin(ALICE, BOB, sought)
        (hello,) = attacker.said(Hello)
        mine = attacker.kit.private[THIEF]
        answer, private, secret = attacker.forged_answer(hello, shows=THIEF, signs=mine, credential=b"")
        attacker.tell(BOB, ALICE, answer)
        finishes = attacker.said(Finish)
        assert len(finishes) == told
        for finish in finishes:
            first = after_answer(suite, hello, answer)
            second = after_finish(suite, first, answer.proof, replace(finish, proof=b""))
            theirs = suite.answer_envelope.disclose(private, finish.enclosed)
            proof = attacker.opened_proof(INITIATOR, theirs + secret, second, finish.proof)
            assert proof.key == attacker.kit.public(ALICE)


def test_lengths_tell_little() -> None:
    """Sealed signalling has one of few sizes, whatever is said."""
    attacker = Attacker(MODERN)
    here, _ = attacker.meet()
    sizes = set()
    for length in range(1, 25):
        before = len(attacker.seen)
        attacker.say(ALICE, here, Stored(copies=1, reason="x" * length, request=length))
        sizes |= {len(seen.sealed[1]) for seen in attacker.seen[before:] if seen.sealed and seen.source == ALICE}
    assert len(attacker.heard(BOB)) == 24
    assert sizes == {64 - 5}  # less mark and link number
    attacker.seen.clear()
    for number in range(8):
        attacker.say(ALICE, here, Ping(ready=number % 2 == 0, request=number))
    short = {len(seen.sealed[1]) for seen in attacker.seen if seen.sealed}
    assert short == {40 - 5}, "a sign of life, and that it was heard"


def test_weak_keys_are_refused() -> None:
    """Points of low order and keys of the wrong length: nobody can be made to agree on a secret everybody knows."""
    low = [bytes(32), b"\x01" + bytes(31), bytes.fromhex("ec" + "ff" * 30 + "7f")]
    rng = Attacker(MODERN, users=()).rng
    lattice = MODERN.envelope.public(MODERN.envelope.make(rng, b""))[X:]
    for point in low:
        with pytest.raises(PeerError):
            MODERN.answer_envelope.enclose(point, rng)
        with pytest.raises(PeerError):
            MODERN.answer_envelope.disclose(bytes(31) + b"\x01", point)
        with pytest.raises(PeerError):
            MODERN.envelope.enclose(point + lattice, rng)
        assert not MODERN.identity.verify(point, bytes(64), b"text")


def test_a_hello_in_the_open_is_all_a_listener_gets() -> None:
    """Every command of a whole conversation outside the seals is one of the three."""
    attacker = recorded(MODERN)
    kinds = {type(message) for seen in attacker.seen for message in seen.open}
    assert kinds == {Hello, HelloAnswer, Finish}
