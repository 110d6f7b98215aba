"""Sign up, log in, change the password; and what strangers try."""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace

import pytest

from halloo.base.address import Address, Stream, Wire
from halloo.base.effects import Send
from halloo.base.errors import PeerError
from halloo.base.machine import Numbers
from halloo.crypto.suite import Suite
from halloo.crypto.suites import SUITES
from halloo.login.accounts import Account, AccountsInMemory, AccountsUnavailable
from halloo.login.client import LoginClient, LoginDecided, LoginUnreachable
from halloo.login.letter import open_letter, write_letter
from halloo.login.server import BURST, VALID_FOR, LoginServer, Served
from halloo.messages.credential import CLOCK_TOLERANCE, Notary
from halloo.messages.login import Application, Decision, Letter, LetterAnswer, Purpose, Verdict

PLAIN = SUITES[0]
WALL = 1.8e9
SERVERS = tuple(Address.parse(f"192.0.2.{i}:33033") for i in (1, 2, 3))
HERE = Wire(Address.parse("192.0.2.50:5000"))
all_suites = pytest.mark.parametrize("suite", SUITES.values(), ids=lambda suite: suite.name)


@dataclass
class Office:
    """A login server and its keys."""

    suite: Suite = PLAIN
    accounts: AccountsInMemory = field(default_factory=AccountsInMemory)

    def __post_init__(self) -> None:
        rng = random.Random(7)
        self.login = self.suite.network_identity.make(rng)
        self.letter = self.suite.network_envelope.make(rng, b"")
        self.server = LoginServer(self.suite, b"network!", self.login, self.letter, self.accounts, rng, WALL)
        public = self.suite.network_identity.public(self.login)
        self.notary = Notary(b"network!", (public,), self.suite.network_identity.verify, self.suite.identity.verify)
        self.key = self.suite.identity.public(self.suite.identity.make(rng))

    def ask(
        self, purpose: int, name: str, password: str, *, now: float = 0.0, new: str = "", host: int = 50
    ) -> Decision:
        def prove(text: str) -> bytes:
            return PLAIN.password.prove(name, text, b"network!")

        application = Application(
            purpose=purpose, name=name, proof=prove(password), key=self.key, new_proof=prove(new) if new else b""
        )
        public = self.suite.network_envelope.public(self.letter)
        letter, correspondence = write_letter(self.suite, public, application, 9, random.Random())
        route = Wire(Address.parse(f"192.0.2.{host}:5000"))
        send = self.server.receive(letter, route, now)[0]
        assert isinstance(send, Send)
        assert isinstance(send.message, LetterAnswer)
        assert send.to == route
        return correspondence.open_answer(send.message)


@all_suites
def test_sign_up_log_in_and_a_credential_that_holds(suite: Suite) -> None:
    office = Office(suite)
    for purpose in (Purpose.SIGN_UP, Purpose.LOGIN):
        decision = office.ask(purpose, "Ada", "secret")
        assert decision.verdict == Verdict.OK
        claims = office.notary.credential(decision.credential, WALL + 10)
        assert (claims.name, claims.key) == ("ada", office.key)
        assert claims.expires - claims.issued == VALID_FOR
    assert [name for name, _, _ in office.accounts.keys] == ["ada", "ada"]
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


def test_guessing_is_slowed_down_and_forgiven() -> None:
    office = Office()
    office.ask(Purpose.SIGN_UP, "ada", "secret")
    verdicts = [office.ask(Purpose.LOGIN, "ada", f"guess{i}", host=i).verdict for i in range(BURST + 1)]
    assert verdicts == [Verdict.REFUSED] * BURST + [Verdict.TOO_MANY]
    slowed = office.ask(Purpose.LOGIN, "ada", "secret", host=99)
    assert slowed.verdict == Verdict.TOO_MANY
    assert 0 < slowed.retry_after <= 11
    assert office.ask(Purpose.LOGIN, "ada", "secret", now=11.0, host=99).verdict == Verdict.OK
    many_names = [office.ask(Purpose.LOGIN, f"name{i}", "x", now=500.0, host=7).verdict for i in range(BURST + 1)]
    assert many_names[-1] == Verdict.TOO_MANY  # one host that tries many names


def test_the_same_letter_gets_the_same_answer() -> None:
    office = Office()
    application = Application(purpose=Purpose.SIGN_UP, name="ada", proof=b"p", key=office.key)
    letter, _ = write_letter(PLAIN, PLAIN.network_envelope.public(office.letter), application, 1, random.Random(1))
    first, *events = office.server.receive(letter, HERE, 0.0)
    again = office.server.receive(letter, HERE, 1.0)
    assert [type(event) for event in events] == [Served]
    assert again == [first]


@all_suites
def test_a_letter_that_cannot_be_opened(suite: Suite) -> None:
    office = Office(suite)
    application = Application(purpose=Purpose.LOGIN, name="ada", proof=b"p", key=b"k")
    stranger = suite.network_envelope.make(random.Random(99), b"")
    letter, correspondence = write_letter(
        suite, suite.network_envelope.public(stranger), application, 1, random.Random(1)
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


def test_a_letter_comes_back_whole() -> None:
    application = Application(purpose=Purpose.LOGIN, name="ada", proof=b"p", key=b"k", new_proof=b"n")
    private = PLAIN.network_envelope.make(random.Random(1), b"")
    letter, _ = write_letter(PLAIN, PLAIN.network_envelope.public(private), application, 1, random.Random(2))
    assert open_letter(PLAIN, private, letter)[0] == application


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
    return LoginClient(PLAIN, public, SERVERS, random.Random(seed), Numbers(), Numbers())


def test_servers_are_tried_in_random_order_by_udp_and_tcp() -> None:
    firsts = set()
    for seed in range(20):
        machine = client(seed)
        application = Application(purpose=Purpose.LOGIN, name="ada", proof=b"p", key=b"k")
        sends = machine.apply(application, 0.0)
        assert len(sends) == 1
        first = sends[0]
        assert isinstance(first, Send)
        assert isinstance(first.to, Wire)
        firsts.add(first.to.address)
    assert firsts == set(SERVERS)

    machine, now, routes, events = client(), 0.0, [], []
    for effect in machine.apply(application, now):
        assert isinstance(effect, Send)
        routes.append(effect.to)
    while not events:
        now = machine.wake_at
        for effect in machine.wake(now):
            if isinstance(effect, Send):
                routes.append(effect.to)
            else:
                events.append(effect)
    assert {route.address for route in routes if isinstance(route, Wire)} == set(SERVERS)
    assert {route.address for route in routes if isinstance(route, Stream)} == set(SERVERS)
    (gone,) = events
    assert isinstance(gone, LoginUnreachable)
    assert set(gone.tried) == set(SERVERS)
    assert now < 10
    assert machine.wake(now + 1) == []


def test_an_answer_of_somebody_else_is_passed_over() -> None:
    machine = client()
    (send,) = machine.apply(Application(purpose=Purpose.LOGIN, name="ada", proof=b"p", key=b"k"), 0.0)
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
