"""The host cache on disk: of one network, kept from time to time, whole whatever happens."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from halloo.base.address import Address
from halloo.base.errors import Unusable
from halloo.cli import session
from halloo.cli.session import kept_cache
from halloo.cli.speak import Context
from halloo.overlay.hostcache import HostCache
from halloo.runtime import home as homes
from halloo.runtime.home import Home

ONE, OTHER = b"network1", b"network2"
PLACE = Address.parse("198.51.100.1:33033")


def test_the_cache_of_another_network_is_of_no_use(tmp_path: Path) -> None:
    home = Home(tmp_path)
    cache, _ = home.host_cache(ONE)
    cache.succeeded(PLACE, 1.8e9)
    home.keep_host_cache(cache)
    assert home.host_cache(ONE)[0].addresses() == [PLACE]
    fresh, warning = home.host_cache(OTHER)
    assert (fresh.addresses(), fresh.network, warning) == ([], OTHER, "")
    assert home.host_cache()[0].network == ONE


def test_one_of_an_earlier_version_is_read(tmp_path: Path) -> None:
    (tmp_path / "hostcache").write_text(f"halloo hostcache 1\n{PLACE} 1800000000 0\n")
    cache, warning = Home(tmp_path).host_cache(ONE)
    assert (cache.addresses(), cache.network, warning) == ([PLACE], ONE, "")


@pytest.mark.parametrize("damage", [b"", b"\0\xff", b"halloo hostcache 2 xyz\n", b"halloo hostcache 9\n", b"\n" * 9])
def test_a_damaged_one_is_told_of_and_kept_aside(tmp_path: Path, damage: bytes) -> None:
    (tmp_path / "hostcache").write_bytes(damage)
    cache, warning = Home(tmp_path).host_cache(ONE)
    assert len(cache) == 0
    assert "damaged" in warning
    assert (tmp_path / "hostcache.damaged").read_bytes() == damage


def test_a_write_that_fails_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = Home(tmp_path)
    home.keep_host_cache(HostCache(ONE))
    before = (tmp_path / "hostcache").read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(homes.os, "fsync", full)
    cache = HostCache(ONE)
    cache.add([PLACE])
    with pytest.raises(Unusable, match="No space left"):
        home.keep_host_cache(cache)
    assert (tmp_path / "hostcache").read_bytes() == before
    assert os.listdir(tmp_path) == ["hostcache"]


def test_it_is_kept_from_time_to_time_and_at_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "CACHE_EVERY", 0.01)
    home = Home(tmp_path)
    written = asyncio.Event()
    keep = home.keep_host_cache

    def told(cache: HostCache) -> None:
        keep(cache)
        written.set()

    monkeypatch.setattr(home, "keep_host_cache", told)

    async def story() -> None:
        cache = HostCache(ONE)
        async with kept_cache(Context(home, quiet=True), cache):
            cache.add([PLACE])
            await asyncio.wait_for(written.wait(), 10)
            assert Home(tmp_path).host_cache(ONE)[0].addresses() == [PLACE]
            written.clear()
        assert written.is_set()

    asyncio.run(story())
