"""What a user tells of himself: read, changed, kept; damaged files tell nothing of him."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from halloo.base.errors import UsageError
from halloo.crypto.plain import PLAIN
from halloo.messages.whitepages import Findable
from halloo.runtime.home import Home
from halloo.runtime.profile import Profile, email_digest


def test_a_profile_is_kept_and_read_back(tmp_path: Path) -> None:
    home = Home(tmp_path)
    assert home.profile() == (Profile(), "")
    said = {"full_name": "Ada Example", "city": "Ulm", "email": "ada@example.org", "findable": ["email"]}
    new = Profile().changed(said)
    home.keep_profile(new)
    assert Home(tmp_path).profile() == (new, "")
    assert new.bits == Findable.EMAIL
    assert (tmp_path / "identity" / "profile.json").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "content", ["", "[]", "{", '{"findable": ["shoe size"]}', '{"city": 7}', '{"other": 1}', "\xff"]
)
def test_a_damaged_profile_is_kept_aside_and_tells_nothing(tmp_path: Path, content: str) -> None:
    path = tmp_path / "identity" / "profile.json"
    path.parent.mkdir()
    path.write_bytes(content.encode("latin-1"))
    profile, warning = Home(tmp_path).profile()
    assert profile.bits == 0
    assert "damaged" in warning
    assert len(list(path.parent.glob("profile.json.damaged*"))) == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"full_name": "x" * 65},
        {"city": "a\nb"},
        {"email": "nobody"},
        {"findable": "name"},
        {"findable": [3]},
        {"age": 3},
    ],
)
def test_what_cannot_be_told_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        Profile().changed(changes)


SCALARS = st.none() | st.booleans() | st.text() | st.integers()


@given(st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_whatever_a_file_holds_it_is_read_or_refused(table: object) -> None:
    try:
        profile = Profile.load(json.dumps(table))
    except UsageError:
        return
    assert Profile.load(json.dumps(profile.table())) == profile


def test_an_address_is_published_as_a_digest_of_this_network_alone() -> None:
    one, other = (email_digest(PLAIN, "Ada@Example.org ", bytes([n]) * 8) for n in (1, 2))
    assert one != other
    assert one == email_digest(PLAIN, "ada@example.org", bytes([1]) * 8)
    assert b"ada" not in one
    with pytest.raises(UsageError):
        email_digest(PLAIN, "ada", bytes(8))
