"""The description of a network: file, link, and what was altered."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from halloo.base.address import Address
from halloo.base.errors import UsageError
from halloo.crypto.suites import SUITES
from halloo.node.descriptor import Descriptor, create, from_link, from_toml

SERVERS = (Address.parse("192.0.2.1:33033"), Address.parse("[2001:db8::1]:443"))
SUPERNODES = (Address.parse("192.0.2.2:33040"),)


def made(profile: str = "plain") -> Descriptor:
    return create('the "village" \\ net', profile, SERVERS, SUPERNODES, 1.8e9, random.Random(1))[0]


@pytest.mark.parametrize("profile", [suite.name for suite in SUITES.values()])
def test_it_comes_back_from_file_and_link(profile: str) -> None:
    descriptor = made(profile)
    assert from_toml(descriptor.to_toml()) == descriptor
    assert from_link(descriptor.to_link()) == descriptor
    assert descriptor.servers == SERVERS
    assert descriptor.notary.network == descriptor.id


def test_the_login_servers_are_not_readable_in_it() -> None:
    descriptor = made()
    for address in SERVERS:
        assert address.host not in descriptor.login_servers
        assert address.ip not in descriptor.to_toml()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("192.0.2.2:33040", "192.0.2.66:33040"),
        ("issued = 18", "issued = 19"),
        ('profile = "plain"', 'profile = "modern"'),
        ('profile = "plain"', 'profile = "quantum"'),
        ("root_key", "key_root"),
        ("= [", "= "),
        ("signature = \"", "signature = \"!"),
    ],
)
def test_an_altered_file_is_refused(old: str, new: str) -> None:
    text = made().to_toml()
    assert old in text
    with pytest.raises(UsageError):
        from_toml(text.replace(old, new))


@given(st.text(max_size=300))
@settings(max_examples=100)
def test_any_text_is_refused_with_words(text: str) -> None:
    for read in (from_toml, from_link):
        with pytest.raises(UsageError):
            read(text)


@given(st.data())
@settings(max_examples=80)
def test_a_link_with_a_wrong_letter_is_refused(data: st.DataObject) -> None:
    link = made().to_link()
    at = data.draw(st.integers(7, len(link) - 2))  # the last letter may hold bits that count for nothing
    letter = data.draw(st.sampled_from("ABCDEFGHabcdefgh0123-_"))
    if link[at] != letter:
        with pytest.raises(UsageError):
            from_link(link[:at] + letter + link[at + 1 :])


@pytest.mark.parametrize("name", ["", " ", "x" * 65, "a\nb"])
def test_names_that_a_network_cannot_have(name: str) -> None:
    with pytest.raises(UsageError):
        create(name, "plain", SERVERS, SUPERNODES, 1.8e9, random.Random(1))


@pytest.mark.parametrize("text", ["a=" + "[" * 9_000, "a=" + "{a=" * 9_000, "a." * 30_000 + "b=1", "i=" + "9" * 9_000])
def test_a_file_made_to_break_the_reader_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        from_toml(text)
