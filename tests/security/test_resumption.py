"""Attacks on links that are resumed with a ticket: posing, altering, replaying, stealing, forging an address."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from attacker import ALICE, BOB, CAROL, CLASSIC, MODERN, NETWORK, THIEF, WALL, Attacker, Seen, both_suites

from halloo.base.address import Address, Peer, Wire
from halloo.base.errors import PeerError, Refused
from halloo.base.machine import Message
from halloo.crypto.classic import crc
from halloo.crypto.suite import Suite
from halloo.link.notice import Ticketed, Up
from halloo.link.resumption import Return, after_resume, binder, check, early_seal, resumed_keys
from halloo.link.tickets import TICKET_FOR, HeldTicket, TicketContent, _tag
from halloo.messages.credential import Claims
from halloo.messages.link import AskTicket, Hello, Resume, Resumed, ResumeRefused
from halloo.messages.overlay import Leave, Ping
from halloo.wire.command import decode_shape, encode_command, encode_shape
from halloo.wire.frame import FrameKind

suites = pytest.mark.parametrize("suite", both_suites())
EARLY = Ping(request=4_711)


def ticket_of(attacker: Attacker, who: Address = ALICE, to: Address = BOB) -> bytes:
    """A ticket that one was given by another, on a link that has ended since."""
    peer, _ = attacker.meet(who, to)
    attacker.say(who, peer, AskTicket())
    ticket = [notice.ticket for notice in attacker.notices[who] if isinstance(notice, Ticketed)][-1]
    attacker._outcome(who, attacker.ends[who].unlink(peer, "", attacker.now))
    attacker.run()
    for notices in attacker.notices.values():
        notices.clear()
    attacker.seen.clear()
    return ticket


def come_back(
    attacker: Attacker, ticket: bytes, to: Address = BOB, key: bytes = b"", seconds: float = 1.0, who: Address = ALICE
) -> Peer:
    """One comes back, and says something at once."""
    peer = Peer(next(attacker._peers))
    attacker._outcome(who, attacker.ends[who].link(peer, Wire(to), attacker.now, key, ticket))
    attacker._outcome(who, attacker.ends[who].send(peer, EARLY, attacker.now))
    attacker.run(seconds)
    return peer


def resumed(ups: list[Up]) -> list[bool]:
    return [up.resumed for up in ups]


def resume_of(attacker: Attacker, ticket: bytes, who: Address, messages: list[Message]) -> Resume:
    """A Resume that says what its author likes, early."""
    plain = b"\0\1" + b"".join(encode_command(message) for message in messages)
    held = decode_shape(HeldTicket, ticket)
    return Return(attacker.ends[who].persona, 0x0666_0000 + attacker.rng.getrandbits(16), held, b"").say(plain, 1, 0.0)


@suites
def test_both_ends_of_a_resumed_link_agree(suite: Suite) -> None:
    attacker = Attacker(suite)
    come_back(attacker, ticket_of(attacker))
    (here,), (there,) = attacker.ups(ALICE), attacker.ups(BOB)
    assert here.resumed is there.resumed is True
    assert (here.party.name, here.party.key) == ("bob", attacker.kit.public(BOB))
    assert (there.party.name, there.party.key) == ("alice", attacker.kit.public(ALICE))
    assert attacker.keys[ALICE] == attacker.keys[BOB]
    first, second = attacker.keys[ALICE]
    assert not {first.initiators, first.responders, first.transcript} & {
        second.initiators, second.responders, second.transcript
    }  # fmt: skip
    assert attacker.heard(BOB) == [EARLY]


FIELDS = [
    *((Resume, field) for field in ("link", "envelope", "ticket", "nonce", "early", "binder")),
    *((Resumed, field) for field in ("link", "enclosed", "taken", "check", "sealed")),
]


@suites
@pytest.mark.parametrize(("kind", "field"), FIELDS, ids=lambda value: getattr(value, "__name__", value))
def test_no_field_of_a_resumption_can_be_changed(suite: Suite, kind: type[Message], field: str) -> None:
    """Link numbers are changed back on the return, so that only what both are bound to can tell."""
    attacker = Attacker(suite)
    ticket = ticket_of(attacker)
    numbers: dict[int, int] = {}

    def changed(message: Any) -> Any:
        value = getattr(message, field)
        if isinstance(value, bool):
            return replace(message, **{field: not value})
        if isinstance(value, int):
            numbers[value ^ 1] = value
            return replace(message, **{field: value ^ 1})
        if field == "envelope":  # a key for which the attacker has the private part
            own = suite.answer_envelope.make(attacker.rng, attacker.kit.private[THIEF])
            return replace(message, envelope=suite.answer_envelope.public(own))
        return replace(message, **{field: value[:-3] + bytes([value[-3] ^ 1]) + value[-2:]})

    def rule(seen: Seen) -> list[Seen] | None:
        messages = [
            changed(message)
            if isinstance(message, kind)
            else replace(message, to=numbers[message.to])
            if getattr(message, "to", None) in numbers
            else message
            for message in seen.open
        ]
        if messages == seen.open:
            return None
        return [replace(seen, body=encode_command(message)) for message in messages]

    attacker.rule = rule
    come_back(attacker, ticket, seconds=0.1)
    assert True not in resumed(attacker.ups(ALICE))
    if kind is Resume:
        assert True not in resumed(attacker.ups(BOB))
    attacker.rule = lambda seen: None
    attacker.run(5.0)
    assert attacker.heard(BOB) == [EARLY]
    assert len(attacker.ups(ALICE)) == 1


@suites
def test_a_ticket_seen_on_the_way_serves_nobody_else(suite: Suite) -> None:
    """The thief shows it with a key of his own, and with what the holder said early."""
    attacker = Attacker(suite)
    ticket = ticket_of(attacker)
    attacker.rule = lambda seen: [] if seen.to == BOB else None
    come_back(attacker, ticket, seconds=0.1)
    (resume,) = attacker.said(Resume)
    attacker.rule = lambda seen: None
    own = suite.answer_envelope.make(attacker.rng, attacker.kit.private[THIEF])
    stolen = replace(resume, envelope=suite.answer_envelope.public(own))
    for code in (resume.binder, b"", bytes(16), binder(suite, bytes(32), after_resume(suite, stolen))):
        attacker.tell(THIEF, BOB, replace(stolen, binder=code))
        attacker.tell(THIEF, BOB, replace(stolen, binder=code, early=b""))
    assert attacker.ups(BOB) == []
    assert attacker.heard(BOB) == []
    assert attacker.said(Resumed) == []


@suites
def test_a_ticket_cannot_be_made_another_users(suite: Suite) -> None:
    """Who holds a ticket knows all that is in it.  In classic he can change it, but for the tag."""
    attacker = Attacker(suite, users=(ALICE, BOB, THIEF))
    kept = ticket_of(attacker, THIEF)
    held = decode_shape(HeldTicket, kept)
    claims = Claims(
        name="thief", key=attacker.kit.public(THIEF), expires=int(WALL) + 86_400, issued=int(WALL), network=NETWORK
    )
    wanted = replace(claims, name="alice", key=attacker.kit.public(ALICE))
    expires = held.expires
    before = encode_shape(TicketContent(secret=held.secret, expires=expires, claims=encode_shape(claims)))
    after = encode_shape(TicketContent(secret=held.secret, expires=expires, claims=encode_shape(wanted)))
    assert len(before) == len(after)
    mark, sealed = held.ticket[:16], bytearray(held.ticket[16:-16])
    for at, (old, new) in enumerate(zip(before, after, strict=True)):
        sealed[2 + at] ^= old ^ new
    hidden = bytes(sealed[:-2])
    if suite is CLASSIC:
        sealed[-2:] = (crc(mark + hidden) & 0xFFFF).to_bytes(2, "big")
    altered = replace(held, ticket=mark + bytes(sealed) + held.ticket[-16:])
    attacker.tell(THIEF, BOB, resume_of(attacker, encode_shape(altered), THIEF, [EARLY]))
    assert attacker.ups(BOB) == []
    assert attacker.heard(BOB) == []
    attacker.tell(THIEF, BOB, resume_of(attacker, kept, THIEF, [EARLY]))
    assert [up.party.name for up in attacker.ups(BOB)] == ["thief"]  # as it was given, it serves


@suites
def test_a_resume_is_heard_once_from_wherever_it_comes_again(suite: Suite) -> None:
    attacker = Attacker(suite)
    ticket = ticket_of(attacker)
    come_back(attacker, ticket)
    (seen,) = [each for each in attacker.seen if any(isinstance(message, Resume) for message in each.open)]
    for _ in range(3):
        for source in (ALICE, THIEF, CAROL):
            attacker.inject(replace(seen, source=source))
            attacker.run(0.1)
    attacker.run(8.0)
    assert attacker.heard(BOB) == [EARLY]
    assert resumed(attacker.ups(BOB)) == [True]
    assert len(attacker.ends[BOB]._links) == 1
    assert attacker.said(ResumeRefused)
    for _ in range(2):  # and its owner comes in by the front door
        come_back(attacker, ticket)
    assert resumed(attacker.ups(ALICE)) == resumed(attacker.ups(BOB)) == [True, False, False]


@suites
def test_where_it_cannot_be_noted_nothing_is_heard_early(suite: Suite, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("halloo.link.tickets.MAX_SPENT", 0)
    attacker = Attacker(suite)
    come_back(attacker, ticket_of(attacker))
    (seen,) = [each for each in attacker.seen if any(isinstance(message, Resume) for message in each.open)]
    for source in (THIEF, CAROL):
        attacker.inject(replace(seen, source=source))
        attacker.run(0.1)
    assert attacker.heard(BOB) == [EARLY]
    assert resumed(attacker.ups(BOB)) == [True]
    attacker.run(8.0)
    assert len(attacker.ends[BOB]._links) == 1


@suites
def test_only_what_may_be_heard_twice_is_heard_early(suite: Suite) -> None:
    attacker = Attacker(suite)
    for messages in ([Leave()], [EARLY, Leave()], [AskTicket()], [EARLY, AskTicket()]):
        ticket = ticket_of(attacker)
        attacker.tell(ALICE, BOB, resume_of(attacker, ticket, ALICE, messages))
        assert attacker.heard(BOB) == []
        assert attacker.ups(BOB) == []
        assert [message.taken for message in attacker.said(Resumed)] == [False]
        attacker.run(8.0)


@suites
def test_a_ticket_of_one_serves_with_no_other(suite: Suite) -> None:
    """Another giver, and the same one after a start, do not know it; who looks for another does not show it."""
    attacker = Attacker(suite, users=(ALICE, BOB, CAROL))
    ticket = ticket_of(attacker)
    come_back(attacker, ticket, to=CAROL)
    assert [(up.party.name, up.resumed) for up in attacker.ups(ALICE)] == [("carol", False)]
    attacker.ends[BOB] = attacker.endpoint(BOB, "again")
    come_back(attacker, ticket)
    assert [(up.party.name, up.resumed) for up in attacker.ups(ALICE)][1:] == [("bob", False)]
    ticket = ticket_of(attacker)
    come_back(attacker, ticket, key=attacker.kit.public(CAROL))
    assert attacker.said(Resume) == []
    assert attacker.ups(ALICE) == []  # bob is not carol


@suites
def test_who_does_not_know_the_ticket_cannot_answer_for_its_giver(suite: Suite) -> None:
    """A secret of his own under the initiator's key, and everything that can be made without the ticket's secret."""
    attacker = Attacker(suite)
    ticket = ticket_of(attacker)
    attacker.rule = lambda seen: [] if seen.to == BOB else None
    peer = come_back(attacker, ticket, seconds=0.1)
    (resume,) = attacker.said(Resume)
    fresh, enclosed = suite.answer_envelope.enclose(resume.envelope, attacker.rng)
    bare = Resumed(to=resume.link, link=0x6666, enclosed=enclosed, taken=True)
    spoken = after_resume(suite, replace(resume, binder=b""))
    keys = resumed_keys(suite, (resume.link, bare.link), bytes(32), fresh, spoken, encode_command(bare))
    session = attacker.session(keys, began=False)
    _, sealed = session.close(FrameKind.PAYLOAD, resume.link.to_bytes(4, "big"), b"\1\0")
    for code in (check(suite, keys), b"", bytes(16)):
        attacker.tell(BOB, ALICE, replace(bare, check=code, sealed=sealed))
    assert attacker.ups(ALICE) == []
    attacker.rule = lambda seen: None
    attacker.run(3.0)
    assert [(up.peer, up.party.name) for up in attacker.ups(ALICE)] == [(peer, "bob")]


@suites
def test_a_ticket_ends_with_its_time_its_credential_and_its_owners_word(suite: Suite) -> None:
    attacker = Attacker(suite)
    notary = attacker.ends[BOB].persona.notary
    for wall, called_back in ((TICKET_FOR + 1.0, False), (0.0, True)):
        held = decode_shape(HeldTicket, ticket_of(attacker))
        late = encode_shape(replace(held, expires=1 << 40))  # a holder who does not mind
        attacker.now += wall
        revoked = (lambda claims: claims.name == "alice") if called_back else (lambda claims: False)
        attacker.ends[BOB].persona.notary = replace(notary, revoked=revoked)
        attacker.tell(ALICE, BOB, resume_of(attacker, late, ALICE, [EARLY]))
        assert attacker.ups(BOB) == []
        assert len(attacker.said(ResumeRefused)) == 1
        attacker.ends[BOB].persona.notary = notary
    ticket = ticket_of(attacker)
    expires = decode_shape(HeldTicket, ticket).expires
    assert expires <= WALL + 86_400  # the credential's end comes before the ticket's
    attacker.ends[BOB].persona.notary = replace(notary, revoked=lambda claims: True)
    come_back(attacker, ticket)
    assert attacker.ups(BOB) == []  # neither by the side door nor by the front door


@suites
def test_a_ticket_key_stolen_later_opens_what_was_early_and_no_more(suite: Suite) -> None:
    attacker = Attacker(suite)
    ticket = ticket_of(attacker)
    tickets = attacker.ends[BOB]._reentry.tickets
    peer = come_back(attacker, ticket)
    attacker.say(ALICE, peer, Ping(request=99))
    (resume,), (answer,) = attacker.said(Resume), attacker.said(Resumed)
    tickets._keys[0].spent.clear()  # he only needs the key
    secret = tickets.open(resume.ticket, attacker.now + WALL).secret
    assert secret == decode_shape(HeldTicket, ticket).secret
    early = early_seal(suite, secret, resume.nonce).open(0, resume.early, resume.nonce)
    assert encode_command(EARLY) in early or encode_command(EARLY, compressed=True, network=NETWORK) in early
    spoken = after_resume(suite, replace(resume, binder=b""))
    encoded = encode_command(replace(answer, check=b"", sealed=b""))
    guesses = [bytes(len(attacker.keys[ALICE][-1].responders)), secret, secret[:16]]
    for fresh in guesses:
        keys = resumed_keys(suite, (resume.link, answer.link), secret, fresh, spoken, encoded)
        opened = attacker.read([(keys.initiators, keys.responders, keys.transcript)])
        assert not any(encode_command(Ping(request=99)) in plain for plain in opened)
        if suite is MODERN:  # where a seal tells
            assert opened == []
    true = attacker.keys[ALICE][-1]
    assert attacker.read([(true.initiators, true.responders, true.transcript)])  # with the keys themselves it reads


@suites
def test_the_keys_of_a_link_do_not_follow_from_its_tickets(suite: Suite) -> None:
    """Nor does a ticket's secret from what a listener sees, nor that of another ticket of the same link."""
    attacker = Attacker(suite)
    peer, _ = attacker.meet()
    held = []
    for _ in range(2):
        attacker.run(11.0)
        attacker.say(ALICE, peer, AskTicket())
        held.append(decode_shape(HeldTicket, attacker.notices[ALICE][-1].ticket))  # type: ignore[union-attr]
    assert held[0].secret != held[1].secret
    (keys,) = attacker.keys[ALICE]
    link = attacker.link_of(ALICE, peer)
    assert not {keys.initiators, keys.responders} & {held[0].secret, held[1].secret, link.exporter}
    assert all(each.ticket not in data for each in held for _, _, data in attacker.datagrams)
    assert len(held[0].ticket) == len(held[1].ticket)


@suites
def test_who_gives_a_false_address_is_told_no_more_than_he_says(suite: Suite) -> None:
    """Somebody with a ticket of his own has everything sent to an address that is not his."""
    attacker = Attacker(suite)
    ticket = ticket_of(attacker)
    victim = Address.parse("198.51.100.7:7777")
    resume = resume_of(attacker, ticket, ALICE, [EARLY])
    before = len(attacker.datagrams)
    attacker.tell(victim, BOB, resume)
    (up,) = attacker.ups(BOB)
    for request in range(40):
        attacker.say(BOB, up.peer, Ping(request=request))
    attacker.run(20.0)
    told = [data for source, to, data in attacker.datagrams[before:] if to == victim]
    assert len(told) == 1
    assert len(told[0]) <= len(encode_command(resume))
    assert [down.reason for down in attacker.downs(BOB)] == ["no answer"]


@suites
def test_a_listener_of_a_resumption_reads_no_name(suite: Suite) -> None:
    attacker = Attacker(suite)
    ticket = ticket_of(attacker)
    come_back(attacker, ticket)
    bodies = b"".join(seen.body for seen in attacker.seen)
    assert b"alice" not in bodies
    assert b"bob" not in bodies
    assert attacker.kit.public(BOB) not in bodies
    assert (attacker.kit.public(ALICE) in bodies) is (suite is CLASSIC)  # as in a handshake
    assert attacker.said(Hello) == []


@suites
def test_a_tag_is_of_one_key(suite: Suite) -> None:
    attacker = Attacker(suite)
    held = decode_shape(HeldTicket, ticket_of(attacker))
    tickets = attacker.ends[BOB]._reentry.tickets
    assert tickets.open(held.ticket, WALL).secret == held.secret
    forged = held.ticket[:-16] + _tag(suite, bytes(32), held.ticket[:-16])
    for ticket in (forged, held.ticket[:-1], held.ticket[1:], held.ticket + b"\0", held.ticket[:15], b""):
        with pytest.raises((Refused, PeerError)):
            tickets.open(ticket, WALL)
