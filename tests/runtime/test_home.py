"""The folder of a user: what is damaged in it is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from halloo.base.address import Address
from halloo.base.errors import Unusable
from halloo.node.roles import Served
from halloo.overlay.promotion import Consent, Lending
from halloo.runtime.home import Home, NotLoggedIn
from halloo.runtime.strength import Meter, measured

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


def test_what_is_lent_is_kept(tmp_path: Path) -> None:
    home = Home(tmp_path)
    assert home.lending() == (Lending(), "")
    lending = Lending(Consent.AUTO, clients=50, rate=40_000.0, cpu=0.25, after=60.0)
    home.keep_lending(lending)
    assert Home(tmp_path).lending() == (lending, "")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "[]",
        "\udce4",
        '{"consent": "perhaps", "clients": 5, "rate": 1e5, "cpu": 0.5, "after": 300}',
        '{"consent": "yes", "clients": 0, "rate": 1e5, "cpu": 0.5, "after": 300}',
        '{"consent": "yes", "clients": 5, "rate": NaN, "cpu": 0.5, "after": 300}',
        '{"consent": "yes", "clients": 5, "rate": 1e5, "cpu": 2, "after": 300}',
        '{"consent": "yes", "clients": 5, "rate": 1e5, "cpu": 0.5, "after": -1}',
    ],
)
def test_what_is_lent_is_nothing_where_it_cannot_be_read(tmp_path: Path, text: str) -> None:
    (tmp_path / "lending.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    lending, warning = Home(tmp_path).lending()
    assert lending == Lending()
    assert "lending.json.damaged" in warning


def test_as_what_a_node_served_is_kept_and_forgotten(tmp_path: Path) -> None:
    home = Home(tmp_path)
    served = Served(Address.parse("198.51.100.7:40000"), 1_700_000_000, 1_700_000_600)
    assert home.served() is None
    home.keep_served(served)
    assert Home(tmp_path).served() == served
    (tmp_path / "served.json").write_text('{"listening": "nowhere", "since": 1, "until": 2}')
    assert home.served() is None
    home.keep_served(None)
    home.keep_served(None)
    assert not (tmp_path / "served.json").exists()


def test_what_the_machine_has_and_what_we_take_of_it() -> None:
    strength = measured(50_000.0)
    assert strength.upload == 50_000.0
    assert 0 <= strength.cpu <= 1
    assert strength.memory > 0
    meter = Meter()
    sum(range(200_000))
    assert 0 <= meter.share() <= 1
