"""TCP connections that others make: so many at once, and none that is silent for ever."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path

import pytest

from halloo.base.address import Address
from halloo.base.errors import Unusable
from halloo.node.station import Station
from halloo.runtime import loop
from halloo.runtime.loop import Driver
from halloo.sim.town import Town

HERE = Address.parse("127.0.0.1:0")


def station() -> Station:
    return Town(1, supernodes=1).world.residents["supernode0"].station


async def connections(address: Address, count: int) -> list[asyncio.StreamWriter]:
    return [(await asyncio.open_connection(address.ip, address.port))[1] for _ in range(count)]


async def until(holds: Callable[[], bool]) -> bool:
    for _ in range(200):
        if holds():
            return True
        await asyncio.sleep(0.01)
    return False


def test_others_cannot_take_all_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "MAX_INBOUND", 5)

    async def play() -> None:
        driver = Driver(station(), lambda _: None)
        address = await driver.listen(HERE)
        try:
            held = await connections(address, 8)
            assert await until(lambda: len(driver._streams) == 5)
            await asyncio.sleep(0.05)
            assert len(driver._streams) == len(driver.station.endpoint.streams) == 5
            for writer in held:
                writer.close()
            assert await until(lambda: not driver._streams)
            again = await connections(address, 1)
            assert await until(lambda: len(driver._streams) == 1)
            again[0].close()
        finally:
            await driver.close()

    asyncio.run(play())


def test_a_connection_that_says_nothing_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "SILENT_FOR", 0.3)

    async def play() -> None:
        driver = Driver(station(), lambda _: None)
        address = await driver.listen(HERE)
        try:
            silent, talking = await connections(address, 2)
            assert await until(lambda: len(driver._streams) == 2)
            await asyncio.sleep(0.2)
            talking.write(b"o")  # no frame yet, but not nothing
            await asyncio.sleep(0.2)
            assert len(driver._streams) == 1
            assert await until(lambda: not driver._streams)
            assert len(driver.station.endpoint.streams) == 0
            silent.close()
            talking.close()
        finally:
            await driver.close()

    asyncio.run(play())


def test_a_process_with_few_files_keeps_some(monkeypatch: pytest.MonkeyPatch) -> None:
    import resource

    limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    monkeypatch.setattr(resource, "setrlimit", lambda *_: None)
    monkeypatch.setattr(resource, "getrlimit", lambda _: (256, 256))
    assert loop._files_for_connections() == 256 - loop.SPARED
    monkeypatch.setattr(resource, "getrlimit", lambda _: limit)
    assert loop._files_for_connections() >= 1


def test_a_port_that_tcp_has_taken_is_not_insisted_on() -> None:
    """A third of the ports are taken for TCP; UDP, which chooses, does not know."""
    import socket

    async def play() -> None:
        with contextlib.ExitStack() as stack:
            for port in range(33_000, 60_000, 3):
                plug = stack.enter_context(socket.socket())
                with contextlib.suppress(OSError):
                    plug.bind(("127.0.0.1", port))
                if plug.fileno() > 900:
                    break
            for _ in range(40):
                driver = Driver(station(), lambda _: None)
                address = await driver.listen(HERE)
                assert address.port
                await driver.close()

    asyncio.run(play())


def test_nothing_is_left_open_where_one_port_is_not_to_be_had() -> None:
    import socket

    async def play() -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            driver = Driver(station(), lambda _: None)
            before = len(list(Path("/proc/self/fd").iterdir())) if Path("/proc/self/fd").exists() else 0
            for _ in range(5):
                with pytest.raises(Unusable, match="cannot listen"):
                    await driver.listen(HERE, (taken.getsockname()[1],))
            if before:
                assert len(list(Path("/proc/self/fd").iterdir())) == before
            await driver.close()

    asyncio.run(play())
