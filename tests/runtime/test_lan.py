"""The local network: what an announcement may say, and that nothing of it gets out where it should not."""

from __future__ import annotations

import asyncio
import builtins
import random
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from halloo.base.address import Address
from halloo.node.descriptor import create
from halloo.overlay.hearsay import is_loopback, usable
from halloo.overlay.hostcache import HostCache
from halloo.runtime import lan
from halloo.runtime.lan import MAX_HOSTS, Neighbours, own_hosts, told_of
from halloo.runtime.phone import Phone

NETWORK = bytes.fromhex("00112233445566ff")
WORDS = {b"network": NETWORK.hex().encode()}
HERE = (Address.parse("127.0.0.1:33033"),)
NOT_LOOKED_FOR = "supernodes on the local network are not looked for"
THERE = (Address.parse("192.168.1.7:33033"),)


def test_an_announcement_of_our_network_is_believed() -> None:
    hosts = [bytes([192, 168, 1, 7]), bytes([10, 0, 0, 1])]
    found = told_of(hosts, 33_033, WORDS, NETWORK)
    assert [str(address) for address in found] == ["192.168.1.7:33033", "10.0.0.1:33033"]
    assert told_of(hosts, 33_033, {b"network": WORDS[b"network"].upper()}, NETWORK)


@pytest.mark.parametrize("words", [{}, {b"network": None}, {b"network": b""}, {b"network": b"0011223344556677"}])
def test_those_of_other_networks_are_passed_over(words: dict[bytes, bytes | None]) -> None:
    assert told_of([bytes([192, 168, 1, 7])], 33_033, words, NETWORK) == ()


@given(
    st.lists(st.binary(max_size=20), max_size=100),
    st.one_of(st.none(), st.integers(-5, 70_000)),
    st.dictionaries(st.sampled_from([b"network", b"x"]), st.one_of(st.none(), st.binary(), st.just(WORDS[b"network"]))),
)
def test_whatever_is_announced_little_is_heard_of_it(
    hosts: list[bytes], port: int | None, words: dict[bytes, bytes | None]
) -> None:
    found = told_of(hosts, port, words, NETWORK)
    assert len(found) <= MAX_HOSTS
    assert all(usable(address) and not is_loopback(address.host) for address in found)


class Announcement:
    """What the library calls a change."""

    name = "Added"


def test_a_flood_of_announcements_is_not_followed() -> None:
    async def story() -> tuple[int, int, list[Any]]:
        found: list[Any] = []
        near = Neighbours(NETWORK, found.append, found.append)
        followed: list[str] = []

        async def follow(_: object, name: str) -> None:
            followed.append(name)
            await asyncio.sleep(3600)

        near._follow = follow  # type: ignore[method-assign]
        for number in range(10_000):
            near._heard(None, lan.SERVICE, f"{number}.{lan.SERVICE}", Announcement)
        await asyncio.sleep(0)
        running = len(near._tasks)
        await near.close()
        return len(followed), running, found

    assert asyncio.run(story()) == (lan.AT_ONCE, lan.AT_ONCE, [])


def test_without_the_library_one_warning_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def missing(name: str, *arguments: Any, **named: Any) -> Any:
        if name.split(".")[0] in ("zeroconf", "ifaddr"):
            raise ImportError(name)
        return real(name, *arguments, **named)

    for name in [name for name in sys.modules if name.split(".")[0] in ("zeroconf", "ifaddr")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(builtins, "__import__", missing)
    assert warnings_of(THERE) == [f"{NOT_LOOKED_FOR}: the library zeroconf is not installed"]


def test_without_multicast_one_warning_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    library = pytest.importorskip("zeroconf.asyncio")

    def refused(**_: object) -> None:
        raise OSError(19, "No such device")

    monkeypatch.setattr(lan, "own_hosts", lambda: [bytes([10, 255, 254, 253])])
    monkeypatch.setattr(library, "AsyncZeroconf", refused)
    (warning,) = warnings_of(THERE)
    assert warning == f"{NOT_LOOKED_FOR}: [Errno 19] No such device"


def test_a_machine_without_a_private_address_takes_no_part(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("zeroconf")
    monkeypatch.setattr(lan, "own_hosts", list)
    (warning,) = warnings_of(THERE)
    assert warning.endswith("this machine has no private address")


def warnings_of(addresses: tuple[Address, ...]) -> list[str]:
    """What is said of announcing, and of looking twice."""

    async def story() -> list[str]:
        said: list[str] = []
        near = Neighbours(NETWORK, lambda _: None, said.append)
        await near.announce(addresses)
        await near.browse()
        await near.browse()
        await near.rest()
        await near.close()
        return said

    return asyncio.run(story())


def test_the_loopback_takes_no_part() -> None:
    pytest.importorskip("ifaddr")
    assert not any(is_loopback(host) for host in own_hosts())


@pytest.mark.parametrize(
    ("named", "listen", "takes_part"),
    [
        (HERE, "0.0.0.0:0", False),
        (THERE, "127.0.0.1:0", False),
        (THERE, "0.0.0.0:0", True),
        ((), "0.0.0.0:0", True),
        ((*HERE, *THERE), "0.0.0.0:0", True),
    ],
)
def test_a_network_of_one_machine_stays_on_it(named: tuple[Address, ...], listen: str, takes_part: bool) -> None:
    descriptor, _ = create("near", "modern", (), named, 1.8e9, random.Random(1))

    async def story(*, wanted: bool) -> bool:
        phone = Phone(descriptor, None, HostCache())
        phone.lan = wanted
        await phone.open(Address.parse(listen))
        took_part = phone._neighbours is not None
        await phone.close()
        return took_part

    assert asyncio.run(story(wanted=True)) is takes_part
    assert not asyncio.run(story(wanted=False))
