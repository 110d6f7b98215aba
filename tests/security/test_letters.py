"""Attacks on login: false servers; letters overheard, replayed, swapped, altered; guessed passwords, stolen files."""

from __future__ import annotations

import random
import time
from dataclasses import replace
from typing import Any

import pytest
from attacker import CLASSIC, MODERN, both_suites
from office import NETWORK, WALL, Office

from halloo.base.address import Address, Wire
from halloo.base.effects import Send
from halloo.base.errors import PeerError, Refused
from halloo.crypto.classic import crc
from halloo.crypto.suite import Suite
from halloo.login.letter import _LETTER, APPLICATION_SIZE, Correspondence, _filled, _seal, open_letter, write_letter
from halloo.login.server import SEEN_FOR
from halloo.messages.credential import credential_of
from halloo.messages.login import Application, Decision, Letter, LetterAnswer, Purpose, Verdict
from halloo.wire.command import encode_command, encode_shape

suites = pytest.mark.parametrize("suite", both_suites())
ROUTE = Wire(Address.parse("192.0.2.50:5000"))
PASSWORD = "correct horse"
WORDS = ("secret", "123456", "correct horse", "password")


def proof(suite: Suite, password: str = PASSWORD, network: bytes = NETWORK) -> bytes:
    return suite.password.prove("ada", password, network)


def written(office: Office, **changes: Any) -> tuple[Letter, Correspondence]:
    """A letter of ada's."""
    application = Application(
        purpose=Purpose.LOGIN, name="ada", proof=b"p" * 16, key=office.key, wall=int(WALL)
    )
    return write_letter(
        office.suite, office.letter_key, replace(application, **changes), office.private, 9, random.Random(1)
    )


def answered(office: Office, letter: Letter, now: float = 0.0) -> LetterAnswer | None:
    for effect in office.server.receive(letter, ROUTE, now):
        assert isinstance(effect, Send)
        assert isinstance(effect.message, LetterAnswer)
        return effect.message
    return None


def signed_up(suite: Suite, known: bytes) -> Office:
    """A server with ada's account, whose proof is ``known``."""
    office = Office(suite)
    letter, correspondence = written(office, purpose=Purpose.SIGN_UP, proof=known)
    answer = answered(office, letter)
    assert answer is not None
    assert correspondence.open_answer(answer).verdict == Verdict.OK
    return office


@suites
def test_only_the_holder_of_the_letter_key_can_answer(suite: Suite) -> None:
    """A false server without the key: it answers with what it has, with nothing, or with another's answer."""
    office, false = Office(suite), Office(suite)
    false.letter = suite.network_envelope.make(random.Random(99), b"")
    letter, correspondence = written(office)
    with pytest.raises(PeerError):
        open_letter(suite, false.letter, letter)
    invented = Correspondence(suite, bytes(32), correspondence.letter)
    yes = Decision(verdict=Verdict.OK, wall=int(WALL))
    for answer in (LetterAnswer(), invented.write_answer(yes, 9), LetterAnswer(sealed=bytes(1_040))):
        with pytest.raises(PeerError):
            correspondence.open_answer(answer)


@suites
def test_an_answer_fits_one_letter_only(suite: Suite) -> None:
    """Two letters of the same user: their answers swapped, and one answered with the other's."""
    office = signed_up(suite, proof(suite))
    first, one = written(office, proof=proof(suite))
    second, two = written(office, proof=proof(suite), wall=int(WALL) + 1)
    answers = answered(office, first), answered(office, second)
    for correspondence, answer in ((one, answers[1]), (two, answers[0])):
        assert answer is not None
        with pytest.raises(PeerError):
            correspondence.open_answer(answer)
    assert answers[0] is not None
    assert one.open_answer(answers[0]).verdict == Verdict.OK


@suites
def test_a_listener_sees_no_name_no_proof_no_key(suite: Suite) -> None:
    office = signed_up(suite, proof(suite))
    letter, correspondence = written(office, proof=proof(suite))
    answer = answered(office, letter)
    assert answer is not None
    wire = encode_command(letter) + encode_command(answer)
    credential = correspondence.open_answer(answer).credential
    assert credential_of(credential).name == "ada"
    for secret in (b"ada", proof(suite), office.key[:24], PASSWORD.encode(), credential[:40]):
        assert secret not in wire


@suites
def test_a_replayed_letter_does_nothing_twice(suite: Suite) -> None:
    """Within its time it gets the very same bytes, after that silence or a word about clocks; nothing is certified."""
    office = signed_up(suite, proof(suite))
    letter, _ = written(office, proof=proof(suite))
    first = answered(office, letter)
    entries = len(office.log)
    assert [answered(office, letter, now) for now in (0.0, 5.0, 100.0)] == [first] * 3
    office.server._answers.clear()  # as when a thousand others came between
    assert answered(office, letter, 200.0) is None
    office.server._seen.clear()  # as after a start of the server, or at another one: then its time is over
    late = answered(office, letter, SEEN_FOR + 1.0)
    assert late is None or late != first
    assert len(office.log) == entries


@suites
def test_a_letter_cannot_be_made_another_users(suite: Suite) -> None:
    """Its secret cut out and put before another's text; its key exchanged by one who has opened it (a dishonest
    server of another network, say): the signature holds both together."""
    office = Office(suite)
    one, _ = written(office)
    other, _ = written(office, purpose=Purpose.REVOKE)
    with pytest.raises(PeerError):
        open_letter(suite, office.letter, replace(one, enclosed=other.enclosed))
    with pytest.raises(PeerError):
        open_letter(suite, office.letter, replace(one, sealed=other.sealed))
    thief = suite.identity.make(random.Random(3))
    application, _ = open_letter(suite, office.letter, one)
    forged, _ = write_letter(suite, office.letter_key, application, thief, 9, random.Random(4))
    with pytest.raises(Refused):  # signed with his key, naming hers
        open_letter(suite, office.letter, forged)


@suites
def test_a_letter_cannot_be_passed_on(suite: Suite) -> None:
    """A dishonest server of another network, to which ada wrote with the same key, seals her very letter to this one:
    she signed the enclosed secret with it, and that is another now."""
    theirs, ours = Office(suite), Office(suite)
    ours.letter = suite.network_envelope.make(random.Random(12), b"")
    ours.letter_key = suite.network_envelope.public(ours.letter)
    letter, _ = written(theirs, purpose=Purpose.SIGN_UP)
    application, _ = open_letter(suite, theirs.letter, letter)
    assert application.signature
    secret, enclosed = suite.network_envelope.enclose(ours.letter_key, random.Random(13))
    sealed = _seal(suite, secret, _LETTER).close(0, _filled(application, APPLICATION_SIZE), enclosed)
    with pytest.raises(Refused, match="not signed"):
        open_letter(suite, ours.letter, Letter(enclosed=enclosed, sealed=sealed, request=1))


@suites
def test_an_answer_altered_on_its_way(suite: Suite) -> None:
    """A refusal is made a yes: in classic the user reads it so (and finds no credential in it); in modern nothing."""
    office = signed_up(suite, proof(suite))
    letter, correspondence = written(office, proof=b"wrong")
    answer = answered(office, letter)
    assert answer is not None
    no = Decision(verdict=Verdict.REFUSED, wall=int(WALL))
    said, wanted = (encode_shape(each) for each in (no, replace(no, verdict=Verdict.UNAVAILABLE)))
    assert correspondence.open_answer(answer) == no
    sealed = bytearray(answer.sealed)
    for at, (old, new) in enumerate(zip(said, wanted, strict=True)):
        sealed[2 + at] ^= old ^ new
    hidden = bytes(sealed[:-2])
    made = (crc(correspondence.letter + hidden) & 0xFFFF).to_bytes(2, "big")
    forged = replace(answer, sealed=hidden + made)
    if suite is CLASSIC:
        assert correspondence.open_answer(forged).verdict == Verdict.UNAVAILABLE
    else:
        with pytest.raises(Refused):
            correspondence.open_answer(forged)


@suites
def test_a_letter_key_stolen_later_opens_every_letter_of_before(suite: Suite) -> None:
    """Not forward secret in either suite.  What it gives away is the proof: as good as the password at this network,
    and in classic at every other."""
    office = Office(suite)
    letter, _ = written(office, proof=proof(suite))
    application, _ = open_letter(suite, office.letter, letter)
    assert application.proof == proof(suite)
    elsewhere = proof(suite, network=b"another!") == application.proof
    assert elsewhere == (suite is CLASSIC)


@suites
def test_a_stolen_file_of_accounts_logs_nobody_in(suite: Suite) -> None:
    """What is stored is a salted digest of the proof: shown in its place it is wrong, and it never comes twice."""
    office = signed_up(suite, proof(suite))
    account = office.accounts.find("ada")
    assert account is not None
    assert account.proof != proof(suite)
    for shown in (account.proof, account.salt, account.salt + account.proof):
        letter, correspondence = written(office, proof=shown)
        answer = answered(office, letter)
        assert answer is not None
        assert correspondence.open_answer(answer).verdict == Verdict.REFUSED
    again = Office(suite)
    again.server.rng = random.Random(8)
    letter, _ = written(again, purpose=Purpose.SIGN_UP, proof=proof(suite))
    answered(again, letter)
    other = again.accounts.find("ada")
    assert other is not None
    assert other.proof != account.proof


@suites
def test_a_stolen_file_can_be_guessed_at(suite: Suite) -> None:
    """With the file nobody counts tries any more: a password in a list of words is found, in either suite."""
    office = signed_up(suite, proof(suite))
    account = office.accounts.find("ada")
    assert account is not None
    found = [
        word for word in WORDS if office.server._stored(account.salt, proof(suite, word)) == account.proof
    ]
    assert found == [PASSWORD]
    # One list of digests made beforehand serves for all networks in classic, for one name of one network in modern.
    made_before = {proof(suite, word, b"another!"): word for word in WORDS}
    assert (proof(suite) in made_before) == (suite is CLASSIC)


@pytest.mark.timing
def test_what_a_guess_costs() -> None:
    """Modern: 64 MiB and some ten milliseconds at least, on any machine; classic: a microsecond."""

    def cost(suite: Suite, times: int) -> float:
        began = time.process_time()
        for number in range(times):
            proof(suite, f"word {number}")
        return (time.process_time() - began) / times

    assert cost(MODERN, 2) > 1_000 * cost(CLASSIC, 2_000)


@suites
def test_no_answer_tells_whether_a_name_exists(suite: Suite) -> None:
    """Log in, change, renew, revoke: for a name that is there and one that is not, the same verdict, words and size."""
    office = signed_up(suite, proof(suite))
    office.private = suite.identity.make(random.Random(5))  # a stranger's key: hers is certified, so it may renew
    for purpose in (Purpose.LOGIN, Purpose.CHANGE_PASSWORD, Purpose.RENEW, Purpose.REVOKE):
        decisions, sizes = set(), set()
        for name in ("ada", "nobody"):
            letter, correspondence = written(office, purpose=purpose, name=name, proof=b"wrong")
            answer = answered(office, letter)
            assert answer is not None
            decisions.add(correspondence.open_answer(answer))
            sizes.add((len(encode_command(letter)), len(encode_command(answer))))
        assert len(decisions) == len(sizes) == 1
        assert decisions.pop().verdict == Verdict.REFUSED


@suites
def test_only_the_networks_signature_certifies(suite: Suite) -> None:
    """Whatever is answered, and whoever answers: a credential with one letter changed is none."""
    office = signed_up(suite, proof(suite))
    letter, correspondence = written(office, proof=proof(suite))
    answer = answered(office, letter)
    assert answer is not None
    credential = correspondence.open_answer(answer).credential
    assert office.notary.credential(credential, WALL).name == "ada"
    altered = credential.replace(b"ada", b"bob")
    assert altered != credential
    with pytest.raises(PeerError):
        office.notary.credential(altered, WALL)
