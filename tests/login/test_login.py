"""Sign up, log in, change the password; and what strangers try."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from office import PLAIN, WALL, Office, proof_of

from halloo.base.address import Address, Peer, Stream, Wire
from halloo.base.effects import Send, StreamClose
from halloo.base.errors import PeerError
from halloo.base.machine import Effects, Numbers
from halloo.crypto.suite import Suite
from halloo.crypto.suites import SUITES
from halloo.login.accounts import Account, AccountsInMemory, AccountsUnavailable
from halloo.login.client import LoginClient, LoginDecided, LoginUnreachable
from halloo.login.letter import open_letter, write_letter
from halloo.login.server import SEEN_FOR, VALID_FOR, Served
from halloo.messages.credential import CLOCK_TOLERANCE
from halloo.messages.login import Application, Decision, Letter, LetterAnswer, Purpose, Verdict

SERVERS = tuple(Address.parse(f"192.0.2.{i}:33033") for i in (1, 2, 3))
HERE = Wire(Address.parse("192.0.2.50:5000"))
all_suites = pytest.mark.parametrize("suite", SUITES.values(), ids=lambda suite: suite.name)


@all_suites
def test_sign_up_log_in_and_a_credential_that_holds(suite: Suite) -> None:
    office = Office(suite)
    for purpose in (Purpose.SIGN_UP, Purpose.LOGIN):
        decision = office.ask(purpose, "Ada", "secret")
        assert decision.verdict == Verdict.OK
        claims = office.notary.credential(decision.credential, WALL + 10)
        assert (claims.name, claims.key) == ("ada", office.key)
        assert claims.expires - claims.issued == VALID_FOR
        entry = office.log[claims.entry - 1]
        assert (claims.entry, claims.entry_hash) == (entry.number, office.ledger.mark_of(entry))
        assert (entry.name, entry.key) == (office.ledger.name("ada"), office.ledger.key(office.key))
    assert len(office.log) == 2
    assert b"secret" not in repr(office.accounts).encode()


def test_wrong_password_and_unknown_name_look_the_same() -> None:
    office = Office()
    office.ask(Purpose.SIGN_UP, "ada", "secret")
    wrong = office.ask(Purpose.LOGIN, "ada", "guess")
    unknown = office.ask(Purpose.LOGIN, "eve", "guess")
    assert wrong == unknown
    assert wrong.verdict == Verdict.REFUSED
    assert not wrong.credential


def test_a_taken_name_and_an_impossible_one() -> None:
    office = Office()
    office.ask(Purpose.SIGN_UP, "ada", "secret")
    assert office.ask(Purpose.SIGN_UP, "ADA", "other").verdict == Verdict.NAME_TAKEN
    assert office.ask(Purpose.SIGN_UP, "ada", "secret").verdict == Verdict.OK  # the same person, again
    invalid = office.ask(Purpose.SIGN_UP, "a b", "secret")
    assert invalid.verdict == Verdict.NAME_INVALID
    assert "letters" in invalid.reason


def test_a_changed_password() -> None:
    office = Office()
    office.ask(Purpose.SIGN_UP, "ada", "old")
    assert office.ask(Purpose.CHANGE_PASSWORD, "ada", "guess", new="new").verdict == Verdict.REFUSED
    assert office.ask(Purpose.CHANGE_PASSWORD, "ada", "old", new="new").verdict == Verdict.OK
    assert office.ask(Purpose.LOGIN, "ada", "old").verdict == Verdict.REFUSED
    assert office.ask(Purpose.LOGIN, "ada", "new").verdict == Verdict.OK


def test_the_same_letter_gets_the_same_answer() -> None:
    office = Office()
    application = Application(purpose=Purpose.SIGN_UP, name="ada", proof=b"p", key=office.key, wall=int(WALL))
    letter, _ = write_letter(PLAIN, office.letter_key, application, office.private, 1, random.Random(1))
    first, *events = office.server.receive(letter, HERE, 0.0)
    again = office.server.receive(letter, HERE, 1.0)
    assert [type(event) for event in events] == [Served]
    assert again == [first]
    assert office.server.receive(replace(letter, carried=True), HERE, 2.0) == [first]


def test_a_letter_of_long_ago_is_not_answered_again() -> None:
    office = Office()
    office.sign_up("ada")
    application = Application(
        purpose=Purpose.LOGIN, name="ada", proof=proof_of("ada", "secret"), key=office.key, wall=int(WALL)
    )
    letter, _ = write_letter(PLAIN, office.letter_key, application, office.private, 1, random.Random(1))
    assert len(office.server.receive(letter, HERE, 0.0)) == 2
    office.server._answers.clear()  # so many others came since
    assert office.server.receive(letter, HERE, CLOCK_TOLERANCE) == []  # somebody who listened says it again
    before = len(office.log)
    office.server._seen.clear()  # as after SEEN_FOR: then its own time is over
    _, served = office.server.receive(letter, HERE, SEEN_FOR)
    assert served == Served(Purpose.LOGIN, "ada", Verdict.CLOCK_WRONG)
    assert len(office.log) == before


def test_a_wrong_clock_is_said() -> None:
    office = Office()
    for written in (-CLOCK_TOLERANCE - 1, CLOCK_TOLERANCE + 1):
        decision = office.ask(Purpose.SIGN_UP, "ada", "secret", written=written)
        assert (decision.verdict, decision.wall) == (Verdict.CLOCK_WRONG, int(WALL))
    assert office.accounts.find("ada") is None


@all_suites
def test_a_letter_that_cannot_be_opened(suite: Suite) -> None:
    office = Office(suite)
    application = Application(purpose=Purpose.LOGIN, name="ada", proof=b"p", key=office.key)
    stranger = suite.network_envelope.make(random.Random(99), b"")
    letter, correspondence = write_letter(
        suite, suite.network_envelope.public(stranger), application, office.private, 1, random.Random(1)
    )
    send, *_ = office.server.receive(letter, HERE, 0.0)
    assert isinstance(send, Send)
    if suite is not PLAIN:  # the plain suite encloses secrets for everybody
        assert send.message == LetterAnswer(request=1)
        with pytest.raises(PeerError, match="out of date"):
            correspondence.open_answer(send.message)
    for spoiled in (replace(letter, enclosed=b"x"), replace(letter, sealed=b"x"), Letter(enclosed=b"y", sealed=b"z")):
        (send,) = office.server.receive(spoiled, HERE, 0.0)
        assert isinstance(send, Send)


@all_suites
def test_a_letter_comes_back_whole_and_has_one_size(suite: Suite) -> None:
    office = Office(suite)
    sizes = set()
    for name, new in (("ada", b""), ("ü" * 32, b"n" * 32)):
        application = Application(purpose=Purpose.LOGIN, name=name, proof=b"p", key=office.key, new_proof=new)
        letter, _ = write_letter(suite, office.letter_key, application, office.private, 1, random.Random(2))
        assert replace(open_letter(suite, office.letter, letter)[0], signature=b"") == application
        sizes.add(len(letter.sealed))
    assert len(sizes) == 1


@all_suites
def test_nobody_has_the_key_of_another_certified(suite: Suite) -> None:
    office = Office(suite)
    hers = office.key
    application = Application(purpose=Purpose.SIGN_UP, name="eve", proof=b"p", key=hers, wall=int(WALL))
    letter, _ = write_letter(suite, office.letter_key, application, office.fresh_key(), 1, random.Random(2))
    assert office.server.receive(letter, HERE, 0.0) == [Send(HERE, LetterAnswer(request=1))]
    assert office.log == []


def test_a_store_that_fails_is_said_and_tried_again() -> None:
    class Broken(AccountsInMemory):
        def find(self, name: str) -> Account | None:
            raise AccountsUnavailable("the disk is full")

    office = Office(accounts=Broken())
    decision = office.ask(Purpose.LOGIN, "ada", "x")
    assert (decision.verdict, decision.reason) == (Verdict.UNAVAILABLE, "the disk is full")


@pytest.mark.parametrize(
    ("wall", "words"),
    [(WALL + VALID_FOR + 1, "expired"), (WALL - CLOCK_TOLERANCE - 1, "future")],
)
def test_a_credential_out_of_its_time(wall: float, words: str) -> None:
    office = Office()
    credential = office.ask(Purpose.SIGN_UP, "ada", "secret").credential
    with pytest.raises(PeerError, match=words):
        office.notary.credential(credential, wall)


@all_suites
def test_a_forged_credential_is_refused(suite: Suite) -> None:
    office, other = Office(suite), Office(suite)
    credential = bytearray(office.ask(Purpose.SIGN_UP, "ada", "secret").credential)
    office.notary.credential(bytes(credential), WALL)
    for at in range(0, len(credential), 7):
        forged = bytes(credential[:at]) + bytes([credential[at] ^ 4]) + bytes(credential[at + 1 :])
        with pytest.raises(PeerError):
            office.notary.credential(forged, WALL)
    stranger = replace(other.notary, network=b"another!")
    with pytest.raises(PeerError, match="another network"):
        stranger.credential(bytes(credential), WALL)


def client(seed: int = 1) -> LoginClient:
    public = PLAIN.network_envelope.public(PLAIN.network_envelope.make(random.Random(5), b""))
    return LoginClient(PLAIN, public, SERVERS, random.Random(seed), Numbers(), Numbers(), WALL)


def apply(machine: LoginClient, now: float = 0.0) -> Effects:
    private = PLAIN.identity.make(random.Random(3))
    key = PLAIN.identity.public(private)
    return machine.apply(Application(purpose=Purpose.LOGIN, name="ada", proof=b"p", key=key), private, now)


def test_servers_are_tried_in_random_order_by_udp_and_tcp() -> None:
    firsts = set()
    for seed in range(20):
        machine = client(seed)
        sends = apply(machine)
        assert len(sends) == 1
        first = sends[0]
        assert isinstance(first, Send)
        assert isinstance(first.to, Wire)
        firsts.add(first.to.address)
    assert firsts == set(SERVERS)

    machine, now, routes, events, closed = client(), 0.0, [], [], []
    for effect in apply(machine, now):
        assert isinstance(effect, Send)
        routes.append(effect.to)
    while not events:
        now = machine.wake_at
        for effect in machine.wake(now):
            if isinstance(effect, Send):
                routes.append(effect.to)
            elif isinstance(effect, StreamClose):
                closed.append(effect.number)
            else:
                events.append(effect)
    assert {route.address for route in routes if isinstance(route, Wire)} == set(SERVERS)
    assert {route.address for route in routes if isinstance(route, Stream)} == set(SERVERS)
    assert sorted(closed) == sorted(route.number for route in routes if isinstance(route, Stream))
    (gone,) = events
    assert isinstance(gone, LoginUnreachable)
    assert set(gone.tried) == set(SERVERS)
    assert now < 10
    assert machine.wake(now + 1) == []


def test_an_answer_of_somebody_else_is_passed_over() -> None:
    machine = client()
    (send,) = apply(machine)
    assert isinstance(send, Send)
    assert isinstance(send.message, Letter)
    request = send.message.request
    assert machine.receive(LetterAnswer(sealed=b"nonsense", request=request), 0.1) == []
    assert machine.receive(LetterAnswer(sealed=b"", request=request + 1), 0.1) == []
    private = PLAIN.network_envelope.make(random.Random(5), b"")
    _, correspondence = open_letter(PLAIN, private, send.message)
    decision = Decision(verdict=Verdict.REFUSED)
    assert machine.receive(correspondence.write_answer(decision, request), 0.2) == [
        LoginDecided(Purpose.LOGIN, decision)
    ]
    assert machine.receive(correspondence.write_answer(decision, request), 0.3) == []


def test_nobody_gives_up_while_a_supernode_is_looked_for() -> None:
    """The ladder to a supernode may be longer than the patience with login servers that cannot be reached at all."""
    machine = client()
    apply(machine)
    machine.asking.wait_for_supernode(30.0)
    now = 0.0
    while machine.wake_at < 29.0:
        now = machine.wake_at
        assert not any(isinstance(effect, LoginUnreachable) for effect in machine.wake(now))
    carried = [*machine.attached(Peer(3), 29.0), *machine.wake(29.0)]
    assert any(isinstance(effect, Send) and isinstance(effect.to, int) for effect in carried)
    assert any(isinstance(effect, LoginUnreachable) for effect in machine.wake(29.0 + 4.0))
