"""Guessing passwords, filling the server with accounts, locking others out: what a stranger can and cannot do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from office import PLAIN, WALL, Office

from halloo.base.address import prefix_of
from halloo.crypto.suite import Suite
from halloo.crypto.suites import SUITES
from halloo.login.accounts import AccountsInMemory
from halloo.login.limits import MAX_BUCKETS, Limits, Rate, Tries
from halloo.login.server import RENEW_GRACE, VALID_FOR
from halloo.messages.log import EntryKind
from halloo.messages.login import Purpose, Verdict

NAME, HOST = Limits().wrong_by_name, Limits().wrong_by_host


def host(number: int) -> str:
    return f"198.51.{number // 200}.{number % 200 + 1}"


def test_guessing_one_name_from_everywhere_is_slowed_down_and_forgiven() -> None:
    office = Office()
    office.sign_up("ada")
    office.fresh_key()
    verdicts = [
        office.ask(Purpose.LOGIN, "ada", f"guess{i}", host=host(i)).verdict for i in range(NAME.burst + 1)
    ]
    assert verdicts == [Verdict.REFUSED] * NAME.burst + [Verdict.TOO_MANY]
    slowed = office.ask(Purpose.LOGIN, "ada", "secret", host=host(99))
    assert slowed.verdict == Verdict.TOO_MANY
    assert 0 < slowed.retry_after <= NAME.refill + 1
    later = NAME.refill + 1
    assert office.ask(Purpose.LOGIN, "ada", "secret", now=later, host=host(99)).verdict == Verdict.OK


def test_one_host_that_tries_many_names_is_slowed_down() -> None:
    office = Office()
    verdicts = [office.ask(Purpose.LOGIN, f"name{i}", "x").verdict for i in range(HOST.burst + 1)]
    assert verdicts == [Verdict.REFUSED] * HOST.burst + [Verdict.TOO_MANY]
    assert office.ask(Purpose.LOGIN, "name0", "x", host=host(1)).verdict == Verdict.REFUSED


def test_all_of_a_network_is_one_host_in_ipv6_and_none_in_ipv4() -> None:
    office = Office()
    for i in range(HOST.burst):
        office.ask(Purpose.LOGIN, f"name{i}", "x", host=f"2001:db8:1:2::{i + 1}")
    assert office.ask(Purpose.LOGIN, "ada", "x", host="2001:db8:1:2:ffff::1").verdict == Verdict.TOO_MANY
    assert office.ask(Purpose.LOGIN, "ada", "x", host="2001:db8:1:3::1").verdict == Verdict.REFUSED
    assert prefix_of(b"\1\2\3\4") == b"\1\2\3\4"


def test_guesses_of_a_whole_army_are_slowed_down_in_all() -> None:
    office = Office(limits=Limits(wrong_in_all=Rate(20, 1.0)))
    verdicts = [office.ask(Purpose.LOGIN, f"name{i}", "x", host=host(i)).verdict for i in range(22)]
    assert verdicts == [Verdict.REFUSED] * 20 + [Verdict.TOO_MANY] * 2


def locked_out(office: Office, name: str) -> None:
    """Strangers guess until nobody unknown may try this name any more."""
    mine = office.private
    office.fresh_key()
    for i in range(NAME.burst + 2):
        office.ask(Purpose.LOGIN, name, "guess", host=host(i))
    assert office.ask(Purpose.LOGIN, name, "secret", host=host(150)).verdict == Verdict.TOO_MANY
    office.private = mine


def test_nobody_is_locked_out_by_strangers_who_comes_with_a_key_that_is_certified() -> None:
    office = Office()
    office.sign_up("ada")
    locked_out(office, "ada")
    assert office.ask(Purpose.LOGIN, "ada", "secret", host=host(151)).verdict == Verdict.OK
    assert office.ask(Purpose.RENEW, "ada", host=host(152)).verdict == Verdict.OK


def test_nobody_is_locked_out_by_strangers_who_comes_from_where_he_was() -> None:
    office = Office()
    office.ask(Purpose.SIGN_UP, "ada", "secret")
    office.ask(Purpose.LOGIN, "ada", "secret", host="203.0.113.7")
    locked_out(office, "ada")
    office.fresh_key()
    assert office.ask(Purpose.LOGIN, "ada", "secret", host="203.0.113.7").verdict == Verdict.OK
    # But where he was before, guesses are counted too.
    office.fresh_key()
    for _ in range(NAME.burst):
        assert office.ask(Purpose.LOGIN, "ada", "guess", host="203.0.113.7").verdict == Verdict.REFUSED
    assert office.ask(Purpose.LOGIN, "ada", "secret", host="203.0.113.7").verdict == Verdict.TOO_MANY


def test_guesses_with_a_key_that_is_certified_are_counted_by_the_key() -> None:
    office = Office()
    office.sign_up("ada")
    for i in range(NAME.burst):
        assert office.ask(Purpose.CHANGE_PASSWORD, "ada", "guess", new="x", host=host(i)).verdict == Verdict.REFUSED
    assert office.ask(Purpose.CHANGE_PASSWORD, "ada", "secret", new="x").verdict == Verdict.TOO_MANY


def test_a_supernode_that_carries_for_many_is_not_taken_for_one_who_guesses() -> None:
    office = Office()
    office.sign_up("ada")
    for i in range(HOST.burst + 20):
        refused = office.ask(Purpose.LOGIN, f"name{i}", "x", host="203.0.113.9", carried=True)
        assert refused.verdict == Verdict.REFUSED
    office.fresh_key()
    assert office.ask(Purpose.LOGIN, "ada", "secret", host="203.0.113.9", carried=True).verdict == Verdict.OK
    for _ in range(NAME.burst):
        office.ask(Purpose.LOGIN, "bob", "guess", host="203.0.113.9", carried=True)
    assert office.ask(Purpose.LOGIN, "bob", "x", host="203.0.113.9", carried=True).verdict == Verdict.TOO_MANY


def test_accounts_are_not_made_by_the_thousand() -> None:
    office = Office(limits=Limits(sign_ups_by_host=Rate(3, 30.0), sign_ups_in_all=Rate(5, 1.0)))
    verdicts = [office.ask(Purpose.SIGN_UP, f"name{i}", "x").verdict for i in range(4)]
    assert verdicts == [Verdict.OK] * 3 + [Verdict.TOO_MANY]
    elsewhere = [office.ask(Purpose.SIGN_UP, f"other{i}", "x", host=host(i)).verdict for i in range(3)]
    assert elsewhere == [Verdict.OK] * 2 + [Verdict.TOO_MANY]
    assert office.accounts.find("name3") is None
    assert office.ask(Purpose.SIGN_UP, "name3", "x", now=31.0).verdict == Verdict.OK
    assert office.ask(Purpose.SIGN_UP, "noproof", now=40.0, host=host(9)).verdict == Verdict.REFUSED


def test_nobody_fills_the_log_alone() -> None:
    office = Office(limits=Limits(certified_by_name=Rate(4, 60.0)))
    office.sign_up("ada")
    verdicts = [office.ask(Purpose.LOGIN, "ada", "secret").verdict for _ in range(4)]
    assert verdicts == [Verdict.OK] * 3 + [Verdict.TOO_MANY]
    assert office.ask(Purpose.RENEW, "ada").verdict == Verdict.TOO_MANY
    assert len(office.log) == 4


# --- whether a name exists


class Counting:
    """Accounts, and every call made of them."""

    def __init__(self) -> None:
        self.held = AccountsInMemory()
        self.calls: list[str] = []

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self.held, name)

        def counted(*values: Any, **named: Any) -> Any:
            self.calls.append(name)
            return method(*values, **named)

        return counted


@pytest.mark.parametrize("purpose", [Purpose.LOGIN, Purpose.CHANGE_PASSWORD, Purpose.RENEW, Purpose.REVOKE, 1])
def test_a_name_that_exists_costs_and_says_what_one_does_that_nobody_has(purpose: int) -> None:
    reckoned: list[str] = []

    class Digest:
        size = PLAIN.digest.size

        def __call__(self, data: bytes) -> bytes:
            reckoned.append(f"digest of {len(data)}")
            return PLAIN.digest(data)

        def derive(self, secret: bytes, label: str, context: bytes, size: int) -> bytes:
            reckoned.append(f"derive {label} from {len(secret)}, {len(context)}")
            return PLAIN.digest.derive(secret, label, context, size)

    accounts = Counting()
    office = Office(accounts=accounts)  # type: ignore[arg-type]
    office.sign_up("ada")
    office.fresh_key()
    office.server.suite = Suite(**{**PLAIN.__dict__, "digest": Digest()})
    told = {}
    for name, where in (("ada", "192.0.2.71"), ("eve", "192.0.2.72")):
        accounts.calls.clear()
        reckoned.clear()
        password = "" if purpose in (Purpose.RENEW, Purpose.REVOKE) else "guess"
        decision = office.ask(purpose, name, password, new="other", host=where)
        told[name] = decision, list(accounts.calls), list(reckoned)
    assert told["ada"] == told["eve"]
    assert told["ada"][0].verdict == Verdict.REFUSED
    assert told["ada"][1] == ["find", "standing"]


@pytest.mark.parametrize("suite", SUITES.values(), ids=lambda suite: suite.name)
def test_every_answer_has_one_size(suite: Suite) -> None:
    office = Office(suite, limits=Limits(wrong_by_host=Rate(2, 10.0)))
    sizes: list[int] = []
    receive = office.server.receive

    def measured(*values: Any) -> Any:
        out = receive(*values)
        sizes.append(len(out[0].message.sealed))  # type: ignore[attr-defined]
        return out

    object.__setattr__(office, "server", _With(office.server, measured))
    verdicts = {
        office.ask(Purpose.SIGN_UP, "ada" * 10, "secret").verdict,
        office.ask(Purpose.SIGN_UP, "a b", "secret").verdict,
        office.ask(Purpose.RENEW, "ada" * 10).verdict,
        office.ask(Purpose.REVOKE, "ada" * 10).verdict,
    }
    office.fresh_key()
    for purpose in (Purpose.SIGN_UP, Purpose.LOGIN, Purpose.LOGIN):
        verdicts.add(office.ask(purpose, "ada" * 10, "guess", host=host(3)).verdict)
    verdicts.add(office.ask(Purpose.LOGIN, "eve", "guess", written=-4000.0).verdict)
    assert verdicts >= {
        Verdict.OK,
        Verdict.NAME_INVALID,
        Verdict.NAME_TAKEN,
        Verdict.REFUSED,
        Verdict.TOO_MANY,
        Verdict.CLOCK_WRONG,
    }
    assert len(set(sizes)) == 1


class _With:
    def __init__(self, server: Any, receive: Any) -> None:
        self._server, self.receive = server, receive

    def __getattr__(self, name: str) -> Any:
        return getattr(self._server, name)


# --- renewal and revocation


def test_a_key_renews_itself_without_a_password() -> None:
    office = Office()
    first = office.claims(Purpose.SIGN_UP, "ada", "secret")
    half = VALID_FOR / 2
    again = office.claims(Purpose.RENEW, "ada", now=half)
    assert (again.name, again.key) == (first.name, first.key)
    assert again.expires == first.expires + half
    assert again.entry == first.entry + 1
    office.notary.credential(office.ask(Purpose.RENEW, "ada", now=half).credential, WALL + half)


def test_what_was_never_certified_or_too_long_ago_is_not_renewed() -> None:
    office = Office()
    office.sign_up("ada", "bob")
    hers = office.private
    assert office.ask(Purpose.RENEW, "ada", now=VALID_FOR + RENEW_GRACE - 1).verdict == Verdict.OK
    assert office.ask(Purpose.RENEW, "ada", now=2 * (VALID_FOR + RENEW_GRACE)).verdict == Verdict.REFUSED
    assert office.ask(Purpose.RENEW, "carol").verdict == Verdict.REFUSED
    office.fresh_key()
    assert office.ask(Purpose.RENEW, "bob").verdict == Verdict.REFUSED
    assert office.ask(Purpose.REVOKE, "bob").verdict == Verdict.REFUSED
    assert office.private != hers


def test_a_changed_password_revokes_every_key_but_the_one_that_asks() -> None:
    office = Office()
    office.sign_up("ada")
    stolen = office.private
    office.fresh_key()
    office.ask(Purpose.LOGIN, "ada", "secret")
    before = len(office.log)
    mine = office.claims(Purpose.CHANGE_PASSWORD, "ada", "secret", new="better")
    assert [entry.kind for entry in office.log[before:]] == [EntryKind.REVOKED, EntryKind.CERTIFIED]
    assert mine.entry == before + 2
    assert office.ask(Purpose.RENEW, "ada").verdict == Verdict.OK
    office.private = stolen
    assert office.ask(Purpose.RENEW, "ada").verdict == Verdict.REFUSED
    assert office.ask(Purpose.REVOKE, "ada").verdict == Verdict.REFUSED
    assert office.ask(Purpose.LOGIN, "ada", "secret").verdict == Verdict.REFUSED


def test_logged_out_everywhere_no_key_is_renewed_until_the_password_is_given() -> None:
    office = Office()
    office.sign_up("ada")
    decision = office.ask(Purpose.REVOKE, "ada")
    assert (decision.verdict, decision.credential) == (Verdict.OK, b"")
    assert office.ask(Purpose.RENEW, "ada").verdict == Verdict.REFUSED
    assert office.ask(Purpose.LOGIN, "ada", "secret").verdict == Verdict.OK
    assert office.ask(Purpose.RENEW, "ada").verdict == Verdict.OK


def test_a_password_changed_at_another_server_at_this_very_moment_counts() -> None:
    class Overtaken(AccountsInMemory):
        looked = 0

        def find(self, name: str) -> Any:
            self.looked += 1
            if self.looked == 2:
                self.change_proof(name, b"", b"")
            return AccountsInMemory.find(self, name)

    accounts = Overtaken()
    office = Office(accounts=accounts)
    office.sign_up("ada")
    accounts.looked = 0
    before = len(office.log)
    assert office.ask(Purpose.LOGIN, "ada", "secret").verdict == Verdict.REFUSED
    assert len(office.log) == before


# --- the buckets


@given(st.lists(st.tuples(st.floats(0, 100), st.booleans()), max_size=60))
@settings(max_examples=60)
def test_no_bucket_gives_more_than_its_rate(story: list[tuple[float, bool]]) -> None:
    tries, rate, now, taken = Tries(), Rate(4, 5.0), 0.0, []
    bucket = ((b"x", rate),)
    for after, _ in story:
        now += after / 20
        if tries.wait(bucket, now) <= 0:
            tries.spend(bucket, now)
            taken.append(now)
    for i, begin in enumerate(taken):
        for j in range(i, len(taken)):
            assert j - i + 1 <= rate.burst + (taken[j] - begin) / rate.refill + 1e-6


def test_buckets_are_not_kept_without_end() -> None:
    tries, rate = Tries(), Rate(1, 10.0)
    for number in range(MAX_BUCKETS + 10):
        tries.spend(((number.to_bytes(4, "big"), rate),), 0.0)
    assert len(tries._left) == MAX_BUCKETS
    assert tries.wait((((MAX_BUCKETS + 9).to_bytes(4, "big"), rate),), 0.0) == 10.0
