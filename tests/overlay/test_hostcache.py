"""The host cache: what it ranks, what it forgets, and that nobody can fill it."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from halloo.base.address import Address
from halloo.base.errors import UsageError
from halloo.overlay.hearsay import believable, is_private, neighbourhood, usable
from halloo.overlay.hostcache import CAPACITY, FORGET_AFTER, FORGET_UNPROVEN, KEPT, SHARE, TOLD, HostCache, Source

HOSTS = st.one_of(st.binary(min_size=4, max_size=4), st.binary(min_size=16, max_size=16))
ADDRESSES = st.builds(Address, HOSTS, st.integers(0, 0xFFFF))
WALL = 1.8e9
DAY = 86_400.0


def public(number: int, port: int = 33_033) -> Address:
    """One of many hosts, each of a neighbourhood of its own."""
    return Address(bytes([20 + number // 200, number % 200, 1, 1]), port)


def of_one(number: int, first: int = 45) -> Address:
    """One of many hosts of one /16."""
    return Address(bytes([first, 9]) + number.to_bytes(2, "big"), 33_033)


@given(st.lists(ADDRESSES, max_size=300), st.randoms())
def test_it_comes_back_from_its_file(addresses: list[Address], rng: random.Random) -> None:
    cache = HostCache(b"network!")
    cache.add(addresses, wall=1.7e9)
    for address in addresses[::3]:
        cache.succeeded(address, WALL, rng.random())
    for address in addresses[::5]:
        cache.failed(address)
    assert len(cache) <= CAPACITY
    again = HostCache.load(cache.dump())
    assert again.network == b"network!"
    assert again.addresses() == cache.addresses()
    assert again.dump() == cache.dump()


@given(st.text(max_size=200), st.sampled_from(["1\n", "2\n", "2 00ff\n"]))
def test_any_file_is_one_or_refused(text: str, head: str) -> None:
    with pytest.raises(UsageError):
        HostCache.load(text)
    cache = HostCache.load(f"halloo hostcache {head}{text}")
    assert HostCache.load(cache.dump()).dump() == cache.dump()


_WORD = st.one_of(
    st.sampled_from(["nan", "inf", "-inf", "1e400", "-1", "9" * 5000, "0", "1e9", "x", "１"]), st.integers().map(str)
)
_LINE = st.lists(st.one_of(_WORD, ADDRESSES.map(str)), max_size=7).map(" ".join)


@given(st.lists(_LINE, max_size=400))
def test_a_hostile_file_breaks_no_bound(lines: list[str]) -> None:
    cache = HostCache.load("\n".join(["halloo hostcache 2", *lines]))
    assert len(cache) <= CAPACITY
    assert HostCache.load(cache.dump()).dump() == cache.dump()
    assert len(cache.best(4, random.Random(1), WALL)) == min(4, len(cache))
    for address in cache.addresses():
        assert usable(address)
        assert 0 < cache.cost(address, WALL) < 70
        cache.failed(address, WALL)


def test_a_file_of_one_neighbourhood_fills_a_share() -> None:
    lines = [f"{of_one(number)} 1800000000 0 20 1800000000" for number in range(500)]
    cache = HostCache.load("\n".join(["halloo hostcache 2", *lines, f"{public(1)} 0 0 0 0"]))
    assert len(cache) == SHARE + 1


def test_the_old_file_is_read() -> None:
    cache = HostCache.load("halloo hostcache 1\n192.0.2.1:1 1800000000 3\n")
    assert cache.addresses() == [Address.parse("192.0.2.1:1")]


# --- ranks


def test_the_best_come_first() -> None:
    cache, rng = HostCache(), random.Random(1)
    near, far, old, fresh, bad = (public(number) for number in range(5))
    cache.add([bad, fresh, old, far, near])
    cache.succeeded(near, WALL, 0.02)
    cache.succeeded(far, WALL, 0.4)
    cache.succeeded(old, WALL - 20 * DAY, 0.02)
    cache.failed(bad)
    assert cache.best(9, rng, WALL) == [near, far, old, fresh, bad]


def test_what_was_found_near_by_is_tried_before_what_was_told() -> None:
    cache = HostCache()
    cache.add([public(1), public(2)])
    cache.add([Address.parse("192.168.1.7:33033")], source=Source.LAN)
    assert cache.best(1, random.Random(1), WALL) == [Address.parse("192.168.1.7:33033")]


def test_what_everybody_knows_is_the_last_resort_of_who_was_on_line_lately() -> None:
    cache, rng = HostCache(), random.Random(1)
    cache.pin(public(number) for number in range(8))
    cache.add(public(number) for number in range(20, 30))
    own = public(40)
    pinned = {public(number) for number in range(8)}
    assert set(cache.best(4, rng, WALL)) <= pinned  # a stranger: they are most likely to be there
    cache.succeeded(own, WALL, 0.05)
    for restarted in (cache, HostCache.load(cache.dump())):
        restarted.pin(pinned)
        tried = restarted.best(11, rng, WALL + 60.0)
        assert tried[0] == own
        assert pinned.isdisjoint(tried)
        assert pinned.issubset(restarted.best(19, rng, WALL + 60.0))
        assert not pinned.isdisjoint(restarted.best(5, rng, WALL + 3 * DAY))


def test_the_last_resort_comes_in_when_others_do_not_answer_either() -> None:
    cache, rng = HostCache(), random.Random(1)
    cache.pin([public(0)])
    told = [public(number) for number in range(20, 30)]
    cache.add(told)
    cache.succeeded(public(40), WALL, 0.05)
    for address in told:
        for _ in range(2):
            cache.failed(address, WALL)
    assert cache.best(2, rng, WALL) == [public(40), public(0)]


def test_what_is_tried_lies_in_different_neighbourhoods() -> None:
    cache, rng = HostCache(), random.Random(1)
    for number in range(SHARE):
        cache.succeeded(of_one(number), WALL, 0.001)  # better than all others by far
    cache.add([public(1), public(2), public(3)])
    tried = cache.best(4, rng, WALL)
    assert len({neighbourhood(address.host) for address in tried}) == 4
    assert len(cache.best(10, rng, WALL)) == 10


def test_equals_are_not_always_tried_in_the_same_order() -> None:
    cache, rng = HostCache(), random.Random(1)
    for number in range(20):
        cache.succeeded(public(number), WALL, 0.1)
    assert len({cache.best(1, rng, WALL)[0] for _ in range(200)}) > 10


# --- forgets


def test_what_never_answered_is_forgotten_soon_and_what_did_gives_way_later() -> None:
    cache = HostCache()
    cache.add([public(number) for number in range(KEPT + 2)])
    cache.succeeded(public(1), WALL - 2 * DAY)
    for _ in range(FORGET_UNPROVEN):
        cache.failed(public(0), WALL)
        cache.failed(public(1), WALL)
    assert public(0) not in cache
    assert public(1) in cache
    for _ in range(FORGET_AFTER):
        cache.failed(public(1), WALL)
    assert public(1) not in cache


def test_the_last_few_and_the_description_are_never_forgotten() -> None:
    cache = HostCache()
    cache.pin([public(0)])
    cache.add([public(number) for number in range(1, 60)])
    for _ in range(20):
        for address in cache.addresses():
            cache.failed(address, WALL)
    assert public(0) in cache
    assert len(cache) == KEPT


# --- eclipse


@given(st.data(), st.integers(0, 3))
def test_who_owns_one_neighbourhood_displaces_nobody_who_has_answered(data: st.DataObject, tellers: int) -> None:
    cache, rng = HostCache(), random.Random(data.draw(st.integers()))
    proven = [public(number) for number in range(data.draw(st.integers(1, CAPACITY - SHARE)))]
    for address in proven:
        cache.succeeded(address, WALL, rng.random())
    told = [of_one(rng.randrange(65_536)) for _ in range(data.draw(st.integers(0, 3_000)))]
    for at in range(0, len(told), 40):
        teller = (None, proven[0], of_one(1), public(199))[tellers]
        cache.add(told[at : at + 40], teller, wall=WALL)
        if data.draw(st.booleans()):
            for address in told[at : at + 10]:  # some of them really answer
                cache.succeeded(address, WALL, 0.0001)
    assert all(address in cache for address in proven)
    theirs = [address for address in cache.addresses() if address.host[:2] == bytes([45, 9])]
    assert len(theirs) <= SHARE
    assert len(cache) <= CAPACITY
    tried = cache.best(4, rng, WALL)
    assert sum(address.host[:2] == bytes([45, 9]) for address in tried) <= max(1, 4 - len(proven))


def test_one_teller_cannot_fill_the_cache_with_what_is_nowhere() -> None:
    cache, liar, honest = HostCache(), public(190), public(191)
    for number in range(150):
        cache.add([public(number)], liar)
    assert len(cache) == TOLD
    cache.add([public(number) for number in range(300, 330)], honest)
    assert len(cache) == TOLD + 30


def test_what_is_told_never_displaces_what_has_answered_and_what_answers_does_displace_what_was_told() -> None:
    cache = HostCache()
    for number in range(CAPACITY):
        cache.succeeded(public(number), WALL, 0.1)
    assert cache.add([public(900)]) == []
    cache.succeeded(public(901), WALL, 0.1)
    assert public(901) in cache
    assert len(cache) == CAPACITY
    told = HostCache()
    told.add([public(number) for number in range(CAPACITY)])
    told.succeeded(public(901), WALL)
    assert public(901) in told
    assert len(told) == CAPACITY


def test_a_crowd_of_one_neighbourhood_makes_room_for_another() -> None:
    cache = HostCache()
    for first in range(45, 45 + CAPACITY // SHARE):
        cache.add([of_one(number, first) for number in range(SHARE)])
    assert len(cache) == CAPACITY
    assert cache.add([public(1)]) == [public(1)]
    assert len(cache) == CAPACITY


def test_the_description_finds_room_in_a_full_cache() -> None:
    cache = HostCache()
    for number in range(CAPACITY):
        cache.succeeded(public(number), WALL)
    described = [of_one(number) for number in range(64)]  # an operator may have all of his in one place
    cache.pin(described[:SHARE])
    assert all(address in cache for address in described[:SHARE])


# --- hearsay


@pytest.mark.parametrize(
    ("teller", "told", "believed"),
    [
        ("198.51.100.1", "198.51.100.2", True),
        ("198.51.100.1", "192.168.1.2", False),
        ("198.51.100.1", "10.1.2.3", False),
        ("198.51.100.1", "172.31.0.1", False),
        ("198.51.100.1", "172.32.0.1", True),
        ("198.51.100.1", "100.64.3.4", False),
        ("198.51.100.1", "169.254.1.1", False),
        ("198.51.100.1", "127.0.0.1", False),
        ("2001:db8::1", "fd00::1", False),
        ("2001:db8::1", "::1", False),
        ("192.168.1.9", "192.168.1.2", True),
        ("192.168.1.9", "198.51.100.2", True),
        ("192.168.1.9", "127.0.0.1", False),
        ("127.0.0.1", "127.0.0.1", True),
        ("127.0.0.1", "192.168.1.2", True),
        (None, "127.0.0.1", True),
        (None, "192.168.1.2", True),
        (None, "224.0.0.251", False),
        (None, "255.255.255.255", False),
        (None, "0.0.0.0", False),
        (None, "fe80::1", False),
        (None, "ff02::1", False),
        (None, "::", False),
    ],
)
def test_who_can_know_of_what(teller: str | None, told: str, believed: bool) -> None:
    host = Address.of(teller, 0).host if teller else None
    assert believable(Address.of(told, 33_033), host) is believed
    assert not believable(Address.of(told, 0), host)


def test_an_ipv4_host_in_the_clothes_of_ipv6_is_none() -> None:
    assert not usable(Address(bytes(10) + b"\xff\xff\xc0\xa8\x01\x01", 33_033))


@given(HOSTS)
def test_every_host_has_its_neighbourhood(host: bytes) -> None:
    assert (neighbourhood(host) is None) is is_private(host)
