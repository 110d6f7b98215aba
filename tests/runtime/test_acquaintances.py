"""Known keys, and the memory of audits: kept, bounded, and set aside where a file is damaged."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from office import Office

from halloo.base.errors import UsageError
from halloo.login.auditor import Memory
from halloo.messages.log import SignedHead
from halloo.messages.login import Purpose
from halloo.runtime.acquaintances import MAX_KEYS, MAX_NAMES, Acquaintances
from halloo.runtime.home import Account, Home, NotLoggedIn

WALL = 1_800_000_000


def test_a_key_is_new_once_changed_when_it_is_another_and_known_afterwards() -> None:
    known = Acquaintances()
    assert known.met("bob", b"one", WALL) is None
    assert known.met("bob", b"one", WALL + 10) is None
    change = known.met("bob", b"two", WALL + 86_400)
    assert change is not None
    assert (change.name, change.before.key, change.before.last) == ("bob", b"one".hex(), WALL + 10)
    assert "bob has another key than before" in change.words
    assert "2027-01-15" in change.words
    assert known.met("bob", b"one", WALL + 90_000) is None  # his other device
    assert known.met("bob", b"two", WALL + 90_000) is None
    assert known.met("carol", b"two", WALL) is None


def test_what_is_known_is_bounded() -> None:
    known = Acquaintances()
    for number in range(MAX_KEYS + 5):
        known.met("bob", bytes([number]), WALL)
    assert len(known.names["bob"]) == MAX_KEYS
    for number in range(MAX_NAMES + 5):
        known.met(f"user{number}", b"key", WALL)
    assert len(known.names) == MAX_NAMES
    assert "bob" not in known.names


@given(st.lists(st.tuples(st.sampled_from(["ada", "bob", "carol"]), st.binary(max_size=4), st.integers(0, 1 << 33))))
def test_it_comes_back_whole(story: list[tuple[str, bytes, int]]) -> None:
    known = Acquaintances()
    for name, key, wall in story:
        known.met(name, key, wall)
    assert Acquaintances.load(known.dump()).names == known.names


ZZ = '{"bob": [{"key": "zz", "first": 1, "last": 2}]}'


@pytest.mark.parametrize("text", ["", "[]", "{", ZZ, '{"bob": [1]}', "1"])
def test_damaged_text_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="no acquaintances"):
        Acquaintances.load(text)


def test_what_is_nested_without_end_is_damage(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.keep_account(account("ada"))
    deep = b"[" * 200_000
    for path in (home.audit_path, tmp_path / "identity" / "known.json"):
        path.write_bytes(deep)
    assert "audit.json.damaged" in home.memory()[1]
    assert "known.json.damaged" in home.acquaintances()[1]
    home.account_path.write_bytes(deep)
    with pytest.raises(NotLoggedIn, match="damaged"):
        home.account()


def account(name: str) -> Account:
    """An account whose credential can be read."""
    office = Office()
    return Account(name, office.private, office.ask(Purpose.SIGN_UP, name, "secret").credential)


def test_a_home_keeps_them_and_the_memory_of_audits(tmp_path: Path) -> None:
    home = Home(tmp_path)
    assert home.memory() == (Memory(), "")
    home.keep_account(account("ada"))
    memory = Memory((b"a key", b"another"), 4, SignedHead(head=b"head", signature=b"signature"), (7, b"hash"))
    home.keep_memory("ada", memory)
    assert home.memory() == (memory, "")
    assert (tmp_path / "identity" / "audit.json").stat().st_mode & 0o777 == 0o600
    home.keep_account(account("bob"))
    assert home.memory() == (Memory(), "")  # it was another's
    known, warning = home.acquaintances()
    assert (known.names, warning) == ({}, "")
    known.met("carol", b"key", WALL)
    home.keep_acquaintances(known)
    assert not known.changed
    assert home.acquaintances()[0].names == known.names


@pytest.mark.parametrize("content", [b"\xff", b"{", b"[]", b'{"name": "ada"}', b'{"name": "ada", "head": 1}'])
def test_a_damaged_memory_is_kept_aside_and_begun_anew(tmp_path: Path, content: bytes) -> None:
    home = Home(tmp_path)
    home.keep_account(account("ada"))
    (tmp_path / "identity" / "audit.json").write_bytes(content)
    memory, warning = home.memory()
    assert memory == Memory()
    assert "audit.json.damaged" in warning
    assert (tmp_path / "identity" / "audit.json.damaged").read_bytes() == content
    (tmp_path / "identity" / "known.json").write_bytes(content)
    known, warning = home.acquaintances()
    assert not known.names
    assert "known.json.damaged" in warning
    assert (tmp_path / "identity" / "known.json.damaged").read_bytes() == content
