"""Damaged files and texts of a person: descriptor, link, host cache, account, port, lines of the command language;
and what somebody on the local network announces.

Each is read, or the fault is named; what was read is written and read again the same.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from random import Random

from fuzz._anything import any_address
from fuzz._bytes import damaged
from fuzz._harness import Run, alone
from halloo.api.language import Trouble, files_of, parse
from halloo.base.address import Address
from halloo.base.errors import HallooError
from halloo.login.auditor import Memory
from halloo.messages.log import SignedHead
from halloo.messages.name import folded
from halloo.node.descriptor import create, from_link, from_toml
from halloo.overlay.hostcache import CAPACITY, HostCache
from halloo.runtime.acquaintances import Acquaintances
from halloo.runtime.home import Account, Home, memory_text, read_memory
from halloo.runtime.lan import MAX_HOSTS, told_of
from halloo.sim.town import Town

LINES = (
    *("CALL bob", "#7 CALL bob direct", "ALTER CALL 1 ANSWER", "GET CALL 1 STATUS", "GET HALLOO STATUS", "PING"),
    *('ALTER CALL 1 SET_INPUT FILE="/x ""y"".wav", SOUNDCARD="default"', "SEARCH USERS bob", "#tag", "#a  get  x"),
)


def attack(run: Run) -> None:
    """Some of each a round."""
    with tempfile.TemporaryDirectory() as folder:
        sample = _Sample(Random(run.seed), Path(folder))
        while run.on():
            for _ in range(10):
                for trick in (_descriptor, _cache, _announcement, _home, _learnt, _line, _words):
                    trick(run, sample)


class _Sample:
    """Whole files, of which relatives are made."""

    def __init__(self, rng: Random, folder: Path) -> None:
        places = (Address.parse("192.0.2.1:33033"), Address.parse("[2001:db8::1]:33033"))
        self.descriptors = [create("fuzz", profile, places, places, 1.8e9, rng)[0] for profile in ("plain", "modern")]
        self.home = Home(folder)
        town = Town(1, supernodes=1)
        private = town.suite.identity.make(rng)
        self.home.join(self.descriptors[0])
        self.home.keep_account(Account("alice", private, town.credential("alice", town.suite.identity.public(private))))
        self.account = self.home.account_path.read_bytes()


def _read(run: Run, what: str, read: Callable[[], object], *also: type[Exception]) -> object:
    run.executions += 1
    try:
        value = read()
    except (HallooError, *also):
        return None
    run.count[what] += 1
    return value


def _descriptor(run: Run, sample: _Sample) -> None:
    rng = run.rng
    whole = rng.choice(sample.descriptors)
    link, table = whole.to_link(), whole.to_toml()
    run.input = damaged(rng, link.encode(), table.encode())
    found = _read(run, "links", lambda: from_link(run.input.decode("utf-8", "replace")))
    assert found in (None, whole)
    run.input = damaged(rng, table.encode(), link.encode())
    found = _read(run, "descriptors", lambda: from_toml(run.input.decode("utf-8", "replace")))
    assert found in (None, whole)


def _cache(run: Run, _: _Sample) -> None:
    rng = run.rng
    cache = HostCache()
    cache.add(any_address(rng) for _ in range(rng.randrange(12)))
    for known in cache.addresses()[:3]:
        cache.succeeded(known, rng.choice((0.0, 1.8e9)))
    run.input = damaged(rng, cache.dump().encode(), b"nan inf -1 1e400 99999999999999999999 \n")
    cache.network = rng.choice((b"", b"network!"))
    found = _read(run, "host caches", lambda: HostCache.load(run.input.decode("utf-8", "replace")))
    if isinstance(found, HostCache):
        assert len(found) <= CAPACITY
        assert HostCache.load(found.dump()).dump() == found.dump()
        for known in found.addresses():
            found.failed(known)
        assert len(found.best(5, rng, 1.8e9)) <= 5


def _announcement(run: Run, _: _Sample) -> None:
    """What somebody on the local network says."""
    rng, network = run.rng, b"network!"
    run.input = damaged(rng, network.hex().encode(), b"0123456789abcdefABCDEF\0")
    hosts = [rng.randbytes(rng.choice((0, 3, 4, 5, 15, 16, 17))) for _ in range(rng.randrange(20))]
    found = told_of(hosts, rng.choice((None, -1, 0, 33_033, 1 << 20)), {b"network": run.input}, network)
    assert len(found) <= MAX_HOSTS
    run.executions += 1


def _home(run: Run, sample: _Sample) -> None:
    rng, home = run.rng, sample.home
    if rng.random() < 0.01:  # nested deeper than any reader goes
        depth = rng.choice((b"[", b'{"name":', b"a=[{a=")) * rng.randrange(1, 9_000)
        home.account_path.write_bytes(depth)
        _read(run, "accounts", home.account)
        _read(run, "descriptors", lambda: from_toml("a=" + depth.decode()))
    run.input = damaged(rng, sample.account, b'{"name": 5, "private": null, "credential": [[[[')
    home.account_path.write_bytes(run.input)
    _read(run, "accounts", home.account)
    run.input = damaged(rng, b"33033\n", b"-1 99999 \xef\xbc\x93 0x10 3_3")
    (home.path / "port").write_bytes(run.input)
    assert 0 <= home.port() < 65_536
    run.executions += 1


def _learnt(run: Run, _: _Sample) -> None:
    """What a home has learnt: the memory of audits, known keys."""
    rng = run.rng
    memory = Memory((rng.randbytes(4),), rng.randrange(9), SignedHead(head=b"h", signature=b"s"), (3, b"hash"))
    run.input = damaged(rng, memory_text(memory, "alice").encode(), b'[1e999, null, "x", {"name": "alice"}]')
    found = _read(run, "memories", lambda: read_memory(run.input.decode("utf-8", "replace"), "alice"))
    if isinstance(found, Memory):
        assert read_memory(memory_text(found, "alice"), "alice") == found
    known = Acquaintances()
    for name in ("bob", "carol", "bob"):
        known.met(name, rng.randbytes(2), rng.randrange(1 << 40))
    run.input = damaged(rng, known.dump().encode(), b'[1e999, null, {"bob": [{"key": "00", "first": 1, "last": []}]}]')
    found = _read(run, "acquaintances", lambda: Acquaintances.load(run.input.decode("utf-8", "replace")))
    if isinstance(found, Acquaintances):
        assert Acquaintances.load(found.dump()).names == found.names
        found.met("bob", b"key", 1_800_000_000)


def _line(run: Run, _: _Sample) -> None:
    rng = run.rng
    run.input = damaged(rng, rng.choice(LINES).encode(), rng.choice(LINES).encode())
    text = run.input.decode("utf-8", "replace")
    line = _read(run, "lines", lambda: parse(text), Trouble)
    assert line is None or line.words
    _read(run, "targets", lambda: files_of(text))


def _words(run: Run, _: _Sample) -> None:
    rng = run.rng
    run.input = damaged(rng, "Ädä-Straße_ﬁn.٣".encode(), "İ🙂ſ\u0345\u1fb3".encode())
    text = run.input.decode("utf-8", "replace")
    name = _read(run, "names", lambda: folded(text))
    assert name is None or folded(str(name)) == name
    _read(run, "addresses", lambda: Address.parse(damaged(rng, b"[2001:db8::1]:33033", b"1.2.3.4%1:5").decode("latin")))


if __name__ == "__main__":
    sys.exit(alone("files", attack))
