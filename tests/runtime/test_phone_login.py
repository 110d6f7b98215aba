"""A phone and its login servers, with real sockets in one loop: over a supernode where the direct way is blocked."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from random import SystemRandom
from types import SimpleNamespace
from typing import Any

import pytest

from halloo.base.address import Address
from halloo.base.effects import StreamOpen, Transmit
from halloo.base.errors import HallooError
from halloo.lab.processes import free_ports
from halloo.login.accounts import AccountsInMemory
from halloo.login.carrier import LetterCarried
from halloo.messages.login import Purpose
from halloo.node.descriptor import Descriptor, create
from halloo.overlay.hostcache import HostCache
from halloo.runtime.errands import NetworkUnreachable, NotDone
from halloo.runtime.home import Account, NotLoggedIn
from halloo.runtime.phone import Phone
from halloo.runtime.serve import NetworkFolder, start_login_server

pytestmark = pytest.mark.processes
ANYWHERE = Address.parse("127.0.0.1:0")


class Network:
    """A login server and a supernode in this loop."""

    def __init__(self, folder: Path) -> None:
        ports = free_ports(2)
        self.login, self.supernode = (Address.parse(f"127.0.0.1:{port}") for port in ports)
        self.descriptor, secrets = create(
            "here", "modern", (self.login,), (self.supernode,), time.time(), SystemRandom()
        )
        self.folder = NetworkFolder(folder / "network")
        self.folder.write(self.descriptor, secrets)
        self.events: list[object] = []

    async def __aenter__(self) -> Network:
        accounts = AccountsInMemory()
        self.driver, _ = await start_login_server(self.folder, accounts, (self.login,), self.events.append)
        self.node = Phone(self.descriptor, None, HostCache())
        self.node.on_event = self.events.append
        await self.node.open(self.supernode, supernode=True)
        self.node.driver.do(self.node.node.begin(self.node.driver.now))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.node.close()
        await self.driver.close()


def blocked(phone: Phone, far: Address) -> None:
    """Nothing of this phone reaches an address any more, by UDP or TCP."""
    driver: Any = phone.driver
    carry_out: Callable[..., None] = driver._carry_out

    def without(effects: list[Any], **more: Any) -> None:
        kept = [one for one in effects if not (isinstance(one, Transmit | StreamOpen) and one.address == far)]
        carry_out(kept, **more)

    driver._carry_out = without


def play(folder: Path, story: Callable[[Network], Any]) -> None:
    async def whole() -> None:
        async with Network(folder) as network:
            await story(network)

    asyncio.run(whole())


def phone(descriptor: Descriptor, account: Account | None = None) -> Phone:
    return Phone(descriptor, account, HostCache())


def test_signing_up_where_every_way_to_the_login_server_is_blocked(tmp_path: Path) -> None:
    async def story(network: Network) -> None:
        async with phone(network.descriptor) as me:
            await me.open(ANYWHERE)
            blocked(me, network.login)
            began = time.monotonic()
            account = await me.apply(Purpose.SIGN_UP, "alice", "secret")
            assert 1.5 < time.monotonic() - began < 6
            assert account.claims.name == "alice"
        assert LetterCarried(answered=True) in network.events

        async with phone(network.descriptor, account) as me:
            await me.open(ANYWHERE)
            blocked(me, network.login)
            await me.come_online()
            report = await me.audit()
            assert report.clean
            assert len(report.entries) == 1

    play(tmp_path, story)


def test_what_a_login_server_says_no_to(tmp_path: Path) -> None:
    async def story(network: Network) -> None:
        async with phone(network.descriptor) as me:
            await me.open(ANYWHERE)
            alice = await me.apply(Purpose.SIGN_UP, "alice", "secret")
            again = await me.apply(Purpose.LOGIN, "ALICE", "secret", private=alice.private)
            assert again.private == alice.private
            assert again.claims.entry == alice.claims.entry + 1
            for purpose, fault, words in (
                (Purpose.LOGIN, NotLoggedIn, "wrong name or password"),
                (Purpose.SIGN_UP, NotDone, "is taken"),
            ):
                with pytest.raises(fault, match=words):
                    await me.apply(purpose, "alice", "another")
            with pytest.raises(NotLoggedIn, match="nobody is logged in"):
                await me.audit()
            await me.apply(Purpose.REVOKE, "alice", private=alice.private)
            with pytest.raises(NotLoggedIn, match="was revoked"):
                await me.apply(Purpose.REVOKE, "alice", private=alice.private)
            with pytest.raises(HallooError, match="control characters"):
                await me.apply(Purpose.LOGIN, "alice", "a\tb")

    play(tmp_path, story)


def test_a_clock_that_is_wrong_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(network: Network) -> None:
        monkeypatch.setattr("halloo.runtime.line.wall_offset", lambda: time.time() - time.monotonic() - 3_600)
        async with phone(network.descriptor) as me:
            await me.open(ANYWHERE)
            slow = SimpleNamespace(time=lambda: time.time() - 3_600)
            monkeypatch.setattr("halloo.runtime.errands.time", slow)
            with pytest.raises(NotDone, match=r"clock is 3[56]\d\d s behind the login server's"):
                await me.apply(Purpose.SIGN_UP, "alice", "secret")

    play(tmp_path, story)


def test_nobody_there_at_all(tmp_path: Path) -> None:
    async def story(network: Network) -> None:
        async with phone(network.descriptor) as me:
            await me.open(ANYWHERE)
            blocked(me, network.login)
            blocked(network.node, network.login)
            with pytest.raises(NetworkUnreachable, match="no login server answered"):
                await me.apply(Purpose.SIGN_UP, "alice", "secret")

    play(tmp_path, story)
