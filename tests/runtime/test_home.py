"""The folder of a user: what is damaged in it is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from halloo.base.errors import Unusable
from halloo.runtime.home import Home, NotLoggedIn

NESTED = ("[" * 200_000, '{"a":' * 200_000)
DAMAGED = ("", "[]", "{}", '{"name": 1}', *NESTED, "9" * 5_000, '{"name":"a","private":"?"}', "\0")


@pytest.mark.parametrize("text", DAMAGED, ids=lambda text: text[:12])
def test_a_damaged_account_is_named(tmp_path: Path, text: str) -> None:
    home = Home(tmp_path)
    home.account_path.parent.mkdir()
    home.account_path.write_text(text, "utf-8")
    with pytest.raises(NotLoggedIn, match="damaged"):
        home.account()


@pytest.mark.parametrize("text", ["", "a=" + "[" * 9_000, "\xff"], ids=["empty", "nested", "no text"])
def test_a_damaged_description_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "network.toml").write_text(text, "latin-1")
    with pytest.raises(Unusable, match=r"network\.toml"):
        Home(tmp_path).descriptor()
