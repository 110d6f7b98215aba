"""Attacks with the keys of a link that stands: what they open, until when, and how one gets rid of their thief."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

import pytest
from attacker import ALICE, BOB, CLASSIC, MODERN, Attacker, Seen

from halloo.base.address import Peer
from halloo.base.errors import PeerError, Refused
from halloo.link.keys import LinkKeys
from halloo.link.renewal import RENEW_AFTER, RenewalAnswered, RenewalBegun
from halloo.link.session import Session
from halloo.messages.catalogue import SEALED
from halloo.messages.link import Renew, RenewAnswer, RenewFinish
from halloo.messages.overlay import Ping
from halloo.wire.buffer import Reader
from halloo.wire.command import decode_commands, encode_command, split_commands
from halloo.wire.frame import FrameKind


def talking(attacker: Attacker) -> tuple[Peer, Peer]:
    """A link that is an hour old: its keys were renewed once."""
    here, there = attacker.meet()
    for number in range(int(RENEW_AFTER / 20) + 3):
        attacker.say(ALICE, here, Ping(request=number))
        attacker.sound(ALICE, here, b"word %d" % number)
        attacker.sound(BOB, there, b"reply %d" % number)
        attacker.run(20.0)
    return here, there


def triple(keys: LinkKeys) -> tuple[bytes, bytes, bytes]:
    return keys.initiators, keys.responders, keys.transcript


def test_stolen_keys_open_neither_what_was_before_nor_what_comes_after_a_renewal_he_only_hears() -> None:
    attacker = Attacker(MODERN)
    here, _ = talking(attacker)
    before, after = attacker.keys[ALICE]
    marked = len(attacker.seen)
    attacker.sound(ALICE, here, b"said under the new keys")
    late = Attacker(MODERN)
    late.seen = attacker.seen[marked:]
    assert late.read([triple(after)]).count(b"said under the new keys") == 1
    assert late.read([triple(before)]) == []
    read_before, read_after = attacker.read([triple(before)]), attacker.read([triple(after)])
    assert b"word 0" in read_before
    assert b"word 0" not in read_after
    assert not {word for word in read_before if word.startswith(b"word")} & set(read_after)


def test_the_old_secrets_and_all_that_was_said_do_not_give_the_new_ones() -> None:
    """He reads the renewal (it travels under keys he has) and has both old secrets; the fresh ones are not in it."""
    attacker = Attacker(MODERN)
    talking(attacker)
    before, after = attacker.keys[ALICE]
    said = []
    for plain in attacker.read([triple(before)]):
        with suppress(PeerError):  # sound
            reader = Reader(plain)
            if reader.varint() >= 0 and reader.varint():
                said += [decode_commands(command, SEALED)[0] for command in split_commands(reader.rest())]
    renew, answer, finish = (
        next(message for message in said if isinstance(message, kind)) for kind in (Renew, RenewAnswer, RenewFinish)
    )
    transcript = MODERN.digest(before.transcript + b"".join(map(encode_command, (renew, answer, finish))))
    assert transcript == after.transcript  # he knows this much
    for fresh in (b"", bytes(32), before.initiators, answer.enclosed, finish.enclosed):
        guess = MODERN.digest.derive(before.initiators + fresh, "halloo renewed secret", transcript, 32)
        assert guess != after.initiators


def test_with_old_keys_nobody_speaks_after_the_renewal() -> None:
    """The thief has the keys of before and knows every number: not one packet of his is heard."""
    attacker = Attacker(MODERN)
    here, _ = talking(attacker)
    before, _ = attacker.keys[ALICE]
    heard = len(attacker.sounds(BOB))
    link = attacker.link_of(ALICE, here)
    assert link.session is not None
    thief = attacker.session(before, began=True)
    for ahead in (0, 1, 2, 10, 100, 500, 600, 1_000):
        thief.sent = link.session.sent + ahead
        frame, sealed = thief.close(FrameKind.MEDIA, link.theirs, b"forged")
        attacker.inject(Seen(ALICE, BOB, FrameKind.MEDIA, frame, link.theirs, sealed))
    assert len(attacker.sounds(BOB)) == heard
    attacker.sound(ALICE, here, b"alice herself")
    assert attacker.sounds(BOB)[heard:] == [b"alice herself"]


def test_old_keys_are_good_for_nothing_but_what_was_late() -> None:
    old = LinkKeys(MODERN.number, 1, 2, bytes(32), bytes(32), b"before")
    new = LinkKeys(MODERN.number, 1, 2, bytes(range(32)), bytes(range(32)), b"after")
    here, there = Session(MODERN, old, began=True), Session(MODERN, old, began=False)
    late = [here.close(FrameKind.MEDIA, bytes(4), bytes([number])) for number in range(5)]
    here.renew(new)
    there.renew(new)
    first = here.close(FrameKind.MEDIA, bytes(4), b"new")
    second = here.close(FrameKind.MEDIA, bytes(4), b"newer")
    assert there.open(FrameKind.MEDIA, bytes(4), *second)[0] == b"newer"
    thief = Session(MODERN, old, began=True)
    assert there.open(FrameKind.MEDIA, bytes(4), *first)[0] == b"new"
    for number in (5, 6, 7, 8, 500):
        thief.sent = number
        with pytest.raises(Refused):
            there.open(FrameKind.MEDIA, bytes(4), *thief.close(FrameKind.MEDIA, bytes(4), b"forged"))
    for number, packet in enumerate(late):
        assert there.open(FrameKind.MEDIA, bytes(4), *packet)[0] == bytes([number])


def test_the_first_word_under_new_keys_ends_the_old_ones() -> None:
    """Seen from the side that began: it learns by that word that the other side has changed."""
    old = LinkKeys(MODERN.number, 1, 2, bytes(32), bytes(32), b"before")
    new = LinkKeys(MODERN.number, 1, 2, bytes(range(32)), bytes(range(32)), b"after")
    here, there = Session(MODERN, old, began=True), Session(MODERN, old, began=False)
    here.expect(new)
    there.sent = 7
    there.renew(new)
    assert here.open(FrameKind.MEDIA, bytes(4), *there.close(FrameKind.MEDIA, bytes(4), b"new"))[0] == b"new"
    thief = Session(MODERN, old, began=False)
    for number in (8, 9, 100, 500):
        thief.sent = number
        with pytest.raises(Refused):
            here.open(FrameKind.MEDIA, bytes(4), *thief.close(FrameKind.MEDIA, bytes(4), b"forged"))
    thief.sent = 3  # as an honest packet that was late
    assert here.open(FrameKind.MEDIA, bytes(4), *thief.close(FrameKind.MEDIA, bytes(4), b"late"))[0] == b"late"


def test_the_old_keys_leave_the_memory() -> None:
    old = LinkKeys(MODERN.number, 1, 2, bytes(32), bytes(32), b"before")
    new = LinkKeys(MODERN.number, 1, 2, bytes(range(32)), bytes(range(32)), b"after")
    here, there = Session(MODERN, old, began=True), Session(MODERN, old, began=False)
    here.renew(new)
    there.renew(new)
    for _ in range(600):
        there.open(FrameKind.MEDIA, bytes(4), *here.close(FrameKind.MEDIA, bytes(4), b"x"))
    assert there._old is None
    assert there.keys == new


def test_who_stays_in_the_path_with_the_keys_keeps_them() -> None:
    """What a renewal does not give: it carries no signature.  Who has the present keys *and* puts himself between the
    two during a renewal agrees on fresh keys with each of them."""
    attacker = Attacker(MODERN)
    attacker.meet()
    (stolen,) = attacker.keys[ALICE]
    alice, bob = attacker.kit.persona(ALICE, "renews"), attacker.kit.persona(BOB, "renews")
    begun = RenewalBegun(alice, stolen)
    towards_bob = RenewalBegun(attacker.kit.persona(ALICE, "thief"), stolen)
    towards_alice = RenewalAnswered(attacker.kit.persona(BOB, "thief"), stolen, begun.message)
    answered = RenewalAnswered(bob, stolen, towards_bob.message)
    finish, alices = begun.answer(towards_alice.message)
    assert towards_alice.finish(finish) == alices
    finish, his = towards_bob.answer(answered.message)
    assert answered.finish(finish) == his
    assert alices != his


def test_a_renewal_without_the_present_keys_is_impossible() -> None:
    """In the open, or sealed with other keys, or out of turn: the keys stay."""
    attacker = Attacker(MODERN)
    here, there = attacker.meet()
    (keys,) = attacker.keys[ALICE]
    renew = RenewalBegun(attacker.kit.persona(ALICE, "other"), keys).message
    attacker.tell(ALICE, BOB, renew)
    other = attacker.session(replace(keys, initiators=bytes(32)), began=True)
    link = attacker.link_of(ALICE, here)
    other.sent = 50
    plain = b"\x00\x01" + encode_command(renew)
    frame, sealed = other.close(FrameKind.PAYLOAD, link.theirs, plain)
    attacker.inject(Seen(ALICE, BOB, FrameKind.PAYLOAD, frame, b"", b"\0" + link.theirs + sealed))
    attacker.say(BOB, there, renew)  # bob did not begin the link: it is not his turn, and alice refuses
    attacker.say(BOB, there, RenewFinish(enclosed=b"e"))
    attacker.say(ALICE, here, RenewAnswer(envelope=b"e", enclosed=b"e"))
    attacker.say(ALICE, here, Ping(request=9))
    assert attacker.keys == {ALICE: [keys], BOB: [keys]}
    assert attacker.heard(BOB) == [Ping(request=9)]
    assert attacker.link_of(BOB, there).session is not None


def test_the_classic_suite_never_gets_rid_of_a_thief() -> None:
    """No renewal: keys that were stolen once read the link from its first word to its last."""
    attacker = Attacker(CLASSIC)
    here, _ = talking(attacker)
    (stolen,) = attacker.keys[ALICE]
    attacker.sound(ALICE, here, b"an hour later")
    read = attacker.read([triple(stolen)])
    assert b"word 0" in read
    assert b"an hour later" in read
