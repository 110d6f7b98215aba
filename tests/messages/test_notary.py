"""What a notary remembers of the network's signatures: only true ones, so many, and never that they still hold."""

from __future__ import annotations

import pytest
from tests.support.members import LOGIN_KEY, NETWORK, WALL, credential, digest, key_named, verify

from halloo.base.errors import Refused
from halloo.messages import credential as credentials
from halloo.messages.credential import Claims, Notary


class Verifying:
    """Counts how often it is asked."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self, key: bytes, signature: bytes, text: bytes) -> bool:
        self.times += 1
        return verify(key, signature, text)


def notary(counted: Verifying) -> Notary:
    return Notary(NETWORK, (LOGIN_KEY,), counted, verify, digest)


def test_a_signature_that_was_found_true_is_not_verified_again() -> None:
    counted = Verifying()
    watchful = notary(counted)
    ada = credential("ada", key_named("ada"))
    claims = watchful.credential(ada, WALL)
    assert watchful.credential(ada, WALL + 1.0) == claims
    assert counted.times == 1


def test_what_is_remembered_does_not_say_that_it_still_holds() -> None:
    called_back: list[Claims] = []
    watchful = Notary(NETWORK, (LOGIN_KEY,), verify, verify, digest, lambda claims: claims in called_back)
    ada = credential("ada", key_named("ada"))
    claims = watchful.credential(ada, WALL)
    with pytest.raises(Refused, match="expired"):
        watchful.credential(ada, claims.expires)
    called_back.append(claims)
    with pytest.raises(Refused, match="revoked"):
        watchful.credential(ada, WALL)


def test_a_false_signature_is_refused_each_time() -> None:
    counted = Verifying()
    watchful = notary(counted)
    assert watchful.signed(b"", b"text") is watchful.signed(b"", b"text") is False
    assert counted.times == 2


def test_no_other_text_or_signature_passes_for_one_that_was_found_true() -> None:
    true = b"ab", b"cd"
    watchful = Notary(NETWORK, (LOGIN_KEY,), lambda _, *signed: signed == true, verify, digest)
    assert watchful.signed(b"ab", b"cd")
    assert not watchful.signed(b"a", b"bcd")  # the same bytes one after the other
    assert not watchful.signed(b"abc", b"d")


def test_so_many_are_remembered_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(credentials, "MOST_SIGNED", 8)
    counted = Verifying()
    watchful = Notary(NETWORK, (LOGIN_KEY,), lambda *_: bool(counted(b"", b"", b"")) or True, verify, digest)
    for number in range(30):
        assert watchful.signed(b"", bytes([number]))
        assert len(watchful._signed) <= 8
    times = counted.times
    assert watchful.signed(b"", bytes([29]))  # the newest
    assert counted.times == times
    assert watchful.signed(b"", bytes([0]))  # one long forgotten
    assert counted.times == times + 1
