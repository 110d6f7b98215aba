"""One rule for names."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from halloo.base.errors import UsageError
from halloo.messages.name import folded


@pytest.mark.parametrize(
    ("given_name", "known_as"),
    [("Ada", "ada"), (" ADA ", "ada"), ("ａｄａ", "ada"), ("Straße", "strasse"), ("a-b", "a-b"), ("ﬁn", "fin")],
)
def test_spellings_of_one_name(given_name: str, known_as: str) -> None:
    assert folded(given_name) == known_as


@pytest.mark.parametrize("text", ["", "a", "x" * 33, "a b", "a\nb", "-ab", "ab.", "a/b", "a\0b", "🙂🙂"])
def test_what_cannot_be_a_name(text: str) -> None:
    with pytest.raises(UsageError):
        folded(text)


@given(st.text(max_size=40))
def test_folding_twice_changes_nothing(text: str) -> None:
    try:
        once = folded(text)
    except UsageError:
        return
    assert folded(once) == once
