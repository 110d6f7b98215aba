"""The key log: only where it is asked for, for its owner's eyes, with a warning, and never in the way."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from random import Random

import pytest

from halloo.base.address import Address
from halloo.base.errors import Unusable
from halloo.link.keys import LinkKeys
from halloo.node.descriptor import create
from halloo.overlay.hostcache import HostCache
from halloo.runtime.keylog import VARIABLE, key_log
from halloo.runtime.phone import Phone

KEYS = LinkKeys(2, 1, 2, b"a" * 32, b"b" * 32, b"c" * 32)


def test_nobody_is_told_unasked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    assert key_log() is None


def test_lines_are_added_to_a_private_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "keys"
    monkeypatch.setenv(VARIABLE, str(path))
    for _ in range(2):
        confide = key_log()
        assert confide is not None
        confide(KEYS)
    assert path.stat().st_mode & 0o777 == 0o600
    assert [LinkKeys.from_line(line) for line in path.read_text().splitlines()] == [KEYS, KEYS]
    assert "whoever has that file" in capsys.readouterr().err


def test_a_file_that_others_could_read_is_closed_to_them(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "keys"
    path.touch()
    os.chmod(path, 0o644)
    monkeypatch.setenv(VARIABLE, str(path))
    key_log()
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_place_that_cannot_be_written_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "missing" / "keys"))
    with pytest.raises(Unusable, match=VARIABLE):
        key_log()


def test_a_disk_that_fails_later_ends_no_call(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    monkeypatch.setenv(VARIABLE, str(folder / "keys"))
    confide = key_log()
    (folder / "keys").unlink()
    folder.rmdir()
    assert confide is not None
    confide(KEYS)
    assert "cannot be written" in capsys.readouterr().err


def test_a_phone_writes_the_keys_of_its_links(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A supernode and a stranger who joins by it, over loopback: both write the same line."""
    path = tmp_path / "keys"
    monkeypatch.setenv(VARIABLE, str(path))
    here = Address.parse("127.0.0.1:0")
    rng = Random(1)

    async def both() -> None:
        empty, _ = create("keys", "modern", (here,), (), 1.8e9, rng)
        async with Phone(empty, None, HostCache()) as supernode:
            address = await supernode.open(here, supernode=True)
            supernode.driver.do(supernode.node.begin(supernode.driver.now))
            cache = HostCache()
            cache.add((address,))
            async with Phone(empty, None, cache) as phone:
                await phone.open(here)
                await phone.come_online(10)

    asyncio.run(both())
    lines = path.read_text().splitlines()
    assert len(lines) == 2
    assert lines[0] == lines[1]
    assert LinkKeys.from_line(lines[0]).suite == 2
