"""The care for one credential, and what a supernode carries for others: what they answer to each answer."""

from __future__ import annotations

import random
from dataclasses import replace
from math import inf
from typing import Any

import pytest
from office import PLAIN, WALL, Office

from halloo.base.address import Address, Peer, Stream, Wire
from halloo.base.effects import Send, StreamClose
from halloo.base.machine import Effects, Numbers
from halloo.login.asking import CARRY_AFTER, PATIENCE
from halloo.login.carrier import AT_ONCE, FOR_ONE, LONGEST_ANSWER, QUESTIONS_FOR_ONE, Carrier, LetterCarried
from halloo.login.client import LoginClient, LoginUnreachable
from halloo.login.letter import open_letter
from halloo.login.renewal import BACK_OFF, BACK_OFF_MOST, CredentialExpired, Renewal, RenewalRefused, Renewed, Timer
from halloo.login.server import VALID_FOR
from halloo.messages.credential import Claims, credential_of, issue
from halloo.messages.log import CarryQuestion, LogAsked, LogEntry, LogTold, QuestionBack
from halloo.messages.login import (
    Carriage,
    CarryLetter,
    Decision,
    Letter,
    LetterAnswer,
    LetterBack,
    Purpose,
    Verdict,
)
from halloo.wire.command import encode_command

SERVERS = tuple(Address.parse(f"192.0.2.{i}:33033") for i in (1, 2))
SUPERNODE = Peer(7)


def renewal(office: Office, credential: bytes) -> Renewal:
    client = LoginClient(PLAIN, office.letter_key, SERVERS, random.Random(2), Numbers(), Numbers(), WALL)
    made = Renewal(client, office.notary, office.private, random.Random(3))
    made.certified(credential_of(credential), 0.0)
    return made


def letters(effects: Effects) -> list[Letter]:
    return [one.message for one in effects if isinstance(one, Send) and isinstance(one.message, Letter)]


def asked(machine: Renewal) -> tuple[Letter, float]:
    """The letter that comes when its time has come."""
    now = machine.wake_at
    (letter,) = letters(machine.wake(now))
    return letter, now


def answer(office: Office, letter: Letter, decision: Decision) -> LetterAnswer:
    _, correspondence = open_letter(PLAIN, office.letter, letter)
    return correspondence.write_answer(decision, letter.request)


def signed(office: Office, **more: Any) -> bytes:
    claims = Claims(
        name="ada",
        key=office.key,
        expires=int(WALL) + 2 * VALID_FOR,
        issued=int(WALL) + VALID_FOR // 2,
        network=b"network!",
    )
    return issue(replace(claims, **more), office.login, PLAIN.network_identity.sign)


def test_it_is_due_between_half_and_six_tenths_and_at_once_when_that_is_over() -> None:
    office = Office()
    credential = office.ask(Purpose.SIGN_UP, "ada", "secret").credential
    dues = []
    for seed in range(30):
        machine = renewal(office, credential)
        machine.rng = random.Random(seed)
        machine.certified(credential_of(credential), 0.0)
        dues.append(machine.wake_at)
        machine.certified(credential_of(credential), 0.9 * VALID_FOR)
        assert 0.9 * VALID_FOR < machine.wake_at < 0.9 * VALID_FOR + 10
    assert min(dues) >= 0.5 * VALID_FOR
    assert max(dues) <= 0.6 * VALID_FOR
    assert max(dues) - min(dues) > 0.05 * VALID_FOR


def test_a_true_renewal_is_taken() -> None:
    office = Office()
    machine = renewal(office, office.ask(Purpose.SIGN_UP, "ada", "secret").credential)
    letter, now = asked(machine)
    application, _ = open_letter(PLAIN, office.letter, letter)
    assert (application.purpose, application.proof, application.key) == (Purpose.RENEW, b"", office.key)
    fresh = office.ask(Purpose.RENEW, "ada", now=now).credential
    events = machine.receive(answer(office, letter, Decision(verdict=Verdict.OK, credential=fresh)), now)
    assert events[-1] == Renewed(fresh, credential_of(fresh))
    assert machine.claims == credential_of(fresh)
    assert machine.wake_at > now + 0.49 * VALID_FOR


@pytest.mark.parametrize(
    "more",
    [
        {"name": "eve"},
        {"key": b"another"},
        {"network": b"another!"},
        {"expires": int(WALL)},
        {"issued": int(WALL) + 2 * VALID_FOR},
    ],
)
def test_a_credential_for_something_else_is_not_taken_and_asked_for_again(more: dict[str, Any]) -> None:
    office = Office()
    machine = renewal(office, office.ask(Purpose.SIGN_UP, "ada", "secret").credential)
    before = machine.claims
    letter, now = asked(machine)
    wrong = Decision(verdict=Verdict.OK, credential=signed(office, **more))
    assert not [one for one in machine.receive(answer(office, letter, wrong), now) if isinstance(one, Renewed)]
    assert machine.claims == before
    assert now < machine.wake_at < now + 2 * BACK_OFF


@pytest.mark.parametrize("verdict", [Verdict.TOO_MANY, Verdict.UNAVAILABLE, Verdict.CLOCK_WRONG])
def test_a_server_that_cannot_now_is_asked_again_ever_more_rarely(verdict: Verdict) -> None:
    office = Office()
    machine = renewal(office, office.ask(Purpose.SIGN_UP, "ada", "secret").credential)
    machine.timers.pop(Timer.EXPIRE)
    waits = []
    for _ in range(12):
        letter, now = asked(machine)
        machine.receive(answer(office, letter, Decision(verdict=verdict)), now)
        waits.append(min(machine.wake_at, now + 2 * BACK_OFF_MOST) - now)
    assert waits[0] < 1.5 * BACK_OFF
    assert max(waits) <= 1.5 * BACK_OFF_MOST
    assert sum(waits[-3:]) > sum(waits[:6])


def test_a_refusal_is_said_once_and_not_asked_again() -> None:
    office = Office()
    machine = renewal(office, office.ask(Purpose.SIGN_UP, "ada", "secret").credential)
    letter, now = asked(machine)
    events = machine.receive(answer(office, letter, Decision(verdict=Verdict.REFUSED)), now)
    (refused,) = [one for one in events if isinstance(one, RenewalRefused)]
    assert "halloo login ada" in refused.reason
    (expired,) = [one for one in machine.wake(machine.wake_at) if isinstance(one, CredentialExpired)]
    assert expired.name == "ada"
    assert machine.wake_at == inf


def test_a_credential_that_is_not_taken_any_more_is_asked_about_at_once_but_not_after_a_refusal() -> None:
    office = Office()
    machine = renewal(office, office.ask(Purpose.SIGN_UP, "ada", "secret").credential)
    machine.hasten(100.0)
    letter, now = asked(machine)
    assert 100 < now < 106
    machine.hasten(now)
    machine.receive(answer(office, letter, Decision(verdict=Verdict.REFUSED)), now)
    machine.hasten(now + 1)
    assert machine.wake_at > now + 0.9 * VALID_FOR  # nothing but the end


# --- carried letters


def carrier() -> Carrier:
    return Carrier(SERVERS, random.Random(5), Numbers())


LETTER = CarryLetter(enclosed=b"enclosed", sealed=b"sealed", request=9)


def sent(effects: Effects) -> list[Send]:
    return [one for one in effects if isinstance(one, Send)]


def test_a_letter_is_carried_there_and_its_answer_back() -> None:
    machine = carrier()
    (there,) = sent(machine.carry(LETTER, SUPERNODE, b"key", 0.0))
    assert isinstance(there.message, Letter)
    assert (there.message.enclosed, there.message.sealed, there.message.carried) == (b"enclosed", b"sealed", True)
    answered = LetterAnswer(sealed=b"answer", request=there.message.request)
    stranger = Wire(Address.parse("203.0.113.1:33033"))
    assert machine.receive(answered, stranger, 0.1) == []
    assert machine.receive(replace(answered, request=there.message.request ^ 1), Wire(SERVERS[0]), 0.1) == []
    back, told = machine.receive(answered, Wire(SERVERS[0]), 0.2)
    assert back == Send(SUPERNODE, LetterBack(carriage=Carriage.ANSWERED, sealed=b"answer", request=9))
    assert told == LetterCarried(answered=True)
    assert machine.receive(answered, Wire(SERVERS[0]), 0.3) == []
    assert machine.wake_at == inf


def test_silence_is_told_and_every_stream_given_back() -> None:
    machine = carrier()
    said = machine.carry(LETTER, SUPERNODE, b"key", 0.0)
    while machine.wake_at < inf:
        said += machine.wake(machine.wake_at)
    streams = {one.to.number for one in sent(said) if isinstance(one.to, Stream)}
    assert {one.number for one in said if isinstance(one, StreamClose)} == streams
    assert {one.to.address for one in sent(said) if isinstance(one.to, Wire)} == set(SERVERS)
    assert Send(SUPERNODE, LetterBack(carriage=Carriage.SILENT, request=9)) in said
    assert said[-1] == LetterCarried(answered=False)


def test_one_node_and_all_together_are_limited() -> None:
    machine = carrier()
    for _ in range(FOR_ONE.burst):
        machine.carry(LETTER, SUPERNODE, b"key", 0.0)
    (refused,) = sent(machine.carry(LETTER, SUPERNODE, b"key", 0.0))
    assert isinstance(refused.message, LetterBack)
    assert refused.message.carriage == Carriage.TOO_MANY
    assert 0 < refused.message.retry_after <= FOR_ONE.refill + 1
    for number in range(AT_ONCE):
        machine.carry(LETTER, SUPERNODE, number.to_bytes(4, "big"), 0.0)
    (refused,) = sent(machine.carry(LETTER, SUPERNODE, b"somebody else", 0.0))
    assert isinstance(refused.message, LetterBack)
    assert len(machine._errands) == AT_ONCE
    assert machine.down(SUPERNODE) == []  # nothing but datagrams was sent so far
    assert machine.wake_at == inf


def test_a_question_is_carried_under_its_own_number_and_its_answer_is_not_longer_than_a_letter() -> None:
    machine = carrier()
    question = LogAsked(most=8, request=77)
    carried = CarryQuestion(question=encode_command(question), request=5)
    (there,) = sent(machine.ask(carried, SUPERNODE, b"key", 0.0))
    assert there.message == question
    assert machine.ask(carried, Peer(8), b"other", 0.0) == []  # the number is taken for the moment
    entry = LogEntry(number=1, kind=1, name=bytes(64), key=bytes(64), wall=5, previous=bytes(64))
    assert machine.told(LogTold(entries=(entry,) * 20, request=77), Wire(SERVERS[1])) == []
    told = LogTold(entries=(entry,), request=77)
    assert machine.told(told, Wire(Address.parse("203.0.113.1:33033"))) == []
    (back,) = sent(machine.told(told, Wire(SERVERS[1])))
    assert back == Send(SUPERNODE, QuestionBack(told=encode_command(told), request=5))
    assert len(encode_command(told)) < LONGEST_ANSWER
    for number in range(QUESTIONS_FOR_ONE.burst + 5):
        form = encode_command(LogAsked(request=number))
        machine.ask(CarryQuestion(question=form, request=number), SUPERNODE, b"key", 0.0)
    assert len(machine._questions) == QUESTIONS_FOR_ONE.burst - 1


# --- who asks to have it carried


def client() -> tuple[LoginClient, Office, Effects]:
    office = Office()
    machine = LoginClient(PLAIN, office.letter_key, SERVERS, random.Random(2), Numbers(), Numbers(), WALL)
    application = replace(
        open_letter(PLAIN, office.letter, asked(renewal(office, signed(office)))[0])[0], signature=b""
    )
    return machine, office, machine.apply(application, office.private, 0.0)


def wake_until(machine: LoginClient, until: float) -> Effects:
    out: Effects = []
    while machine.wake_at <= until:
        out += machine.wake(machine.wake_at)
    return out


def carried(effects: Effects) -> list[Send]:
    return [one for one in sent(effects) if isinstance(one.message, CarryLetter)]


def test_a_supernode_is_asked_after_a_second_and_a_half_of_silence_once() -> None:
    machine, _, first = client()
    machine.attached(SUPERNODE, 0.0)
    assert not carried(first + wake_until(machine, CARRY_AFTER - 0.01))
    (asked_for,) = carried(wake_until(machine, CARRY_AFTER))
    assert asked_for.to == SUPERNODE
    assert not carried(wake_until(machine, 100.0))


def test_one_that_is_found_later_is_asked_at_once_and_given_time() -> None:
    machine, office, first = client()
    (letter, *_) = letters(first)
    wake_until(machine, 5.0)
    (asked_for,) = carried(machine.attached(SUPERNODE, 5.0))
    assert isinstance(asked_for.message, CarryLetter)
    assert asked_for.message.sealed == letter.sealed
    assert not [one for one in wake_until(machine, 5.0 + PATIENCE - 0.1) if isinstance(one, LoginUnreachable)]
    decision = Decision(verdict=Verdict.REFUSED)
    answered = answer(office, letter, decision)
    back = LetterBack(carriage=Carriage.ANSWERED, sealed=answered.sealed, request=letter.request)
    assert machine.brought_back(back, Peer(99), 8.0) == []
    decided = machine.brought_back(back, SUPERNODE, 8.0)[-1]
    assert (decided.decision, decided.carried) == (decision, True)  # type: ignore[attr-defined]
    assert machine.wake_at == inf


@pytest.mark.parametrize(("carriage", "words"), [(Carriage.TOO_MANY, "no more letters"), (Carriage.SILENT, "neither")])
def test_why_a_supernode_brought_nothing_is_said_in_the_end(carriage: Carriage, words: str) -> None:
    machine, _, first = client()
    machine.attached(SUPERNODE, 0.0)
    wake_until(machine, 2.0)
    (letter, *_) = letters(first)
    machine.brought_back(LetterBack(carriage=carriage, request=letter.request), SUPERNODE, 2.0)
    (gone,) = [one for one in wake_until(machine, 100.0) if isinstance(one, LoginUnreachable)]
    assert words in gone.reason
