"""What was typed means the same from every keyboard."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from halloo.base.errors import UsageError
from halloo.crypto.suites import SUITES
from halloo.crypto.typed import typed


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("caf\u00e9", "cafe\u0301"),  # a letter with its accent, and a letter and an accent
        ("a\u00a0b", "a b"),  # the space that a French keyboard types
        ("a\u3000b", "a b"),  # the one of a Japanese
        ("\u1100\u1161", "\uac00"),  # Hangul, in pieces and whole
        ("\u212b", "A\u030a"),  # the sign for the length, and the letter
    ],
)
@pytest.mark.parametrize("suite", SUITES.values(), ids=lambda suite: suite.name)
def test_two_ways_to_type_one_password_prove_the_same(suite, one: str, other: str) -> None:  # type: ignore[no-untyped-def]
    assert suite.password.prove("ada", one, b"network!") == suite.password.prove("ada", other, b"network!")


@pytest.mark.parametrize(("one", "other"), [("a", "A"), ("\uff41", "a"), (" a", "a"), ("\ufb01", "fi")])
def test_what_is_not_the_same_stays_apart(one: str, other: str) -> None:
    assert typed(one) != typed(other)


@pytest.mark.parametrize("text", ["a\tb", "a\nb", "\x00", "a\x7f", "a\u0085"])
def test_control_characters_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="control"):
        typed(text)


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"])))
def test_it_is_in_order_once_and_for_all(text: str) -> None:
    once = typed(text)
    assert typed(once.decode()) == once
    assert unicodedata.is_normalized("NFC", once.decode())
