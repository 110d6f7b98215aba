"""This network's own signalling, captured: what the tables of compression are trained on, and measured with.

Towns of the simulator in every suite, with hosts beside each other and all over the address space, with loss, blocked
UDP, lost supernodes and calls of every outcome; and a network of real sockets on this machine.  What is kept are the
object lists of messages as they are handed to the writer, with the number of the command.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import SystemRandom

from halloo.base.address import Address
from halloo.base.errors import UsageError
from halloo.base.machine import Event
from halloo.call.call import Rang
from halloo.lab.processes import free_ports
from halloo.login.accounts import AccountsInMemory
from halloo.messages.login import Purpose
from halloo.messages.name import folded
from halloo.node.descriptor import Descriptor, create
from halloo.overlay.hostcache import HostCache
from halloo.path.reach import Policy
from halloo.runtime.phone import Phone
from halloo.runtime.serve import NetworkFolder, start_login_server
from halloo.sim.town import Town
from halloo.sim.world import Resident
from halloo.wire import command
from halloo.wire.objects import ObjectList

__all__ = ["Captured", "captured"]

Captured = list[tuple[int, ObjectList, bytes]]
"""(number of the command, its list, id of the network) in the order of being said."""

# Names are made of common words, as people make them: alone, in pairs, with a number behind.
WORDS = tuple(  # split at run time: a list of literals would be four times as long
    """
    amber anchor apple ash autumn badger bamboo barn basil beacon birch blue bread breeze bridge brook cabin
    candle cedar chalk cherry cinder clay cloud clover coast cobalt comet copper coral cotton crane creek
    crystal daisy dawn delta desert dolphin dove dune eagle echo ember falcon feather fern field finch fire
    fjord flint forest fox frost garden ginger glacier grape granite green grove harbor hazel heron hill honey
    ivory ivy jade jasmine juniper kestrel lagoon lake lark lavender leaf lemon lilac lily lime linden lotus
    lunar maple marble marsh meadow melon mint mist moon moss mountain nectar north oak oasis ocean olive onyx
    opal orbit orchid otter owl paper pearl pebble pepper pine planet plum pond poplar poppy prairie quartz
    quince rain raven reed river robin rose rowan ruby saffron sage salt sand scarlet seal shadow shore silver
    sky slate snow solar sparrow spring spruce star stone storm summer sun swan swift thistle thunder tiger
    topaz tulip valley velvet violet walnut water wave west wheat willow wind winter wolf wood wren yarrow zebra
    zephyr apfel baum berg bois ciel colina fiore fleur himmel lago lumen luz mar montagne nuage río señal
    soleil stern strand wald
    """.split()  # noqa: SIM905
)


def _names(rng: random.Random) -> Iterator[str]:
    taken = set()
    while True:
        first, second = rng.choice(WORDS), rng.choice(WORDS)
        name = rng.choice(
            (first, f"{first}.{second}", f"{first}_{second}", f"{first}{second}", f"{first}{rng.randrange(1, 100)}",
             f"{first}{rng.randrange(1950, 2015)}", f"{first[0]}.{second}", f"{first}-{second}")
        )  # fmt: skip
        try:
            name = folded(name)
        except UsageError:
            continue
        if name not in taken:
            taken.add(name)
            yield name


def captured(seed: int) -> dict[str, Captured]:
    """The signalling of some minutes of several networks, by the suite they run on; real sockets included."""
    rng = random.Random(f"traffic {seed}")
    out: dict[str, Captured] = {}
    for suite, towns in (("modern", 6), ("classic", 1), ("plain", 2)):
        said: Captured = []
        with _listening(said):
            for number in range(towns):
                _town(rng, suite, spread=number % 3 != 2)
            if suite == "modern":
                asyncio.run(_sockets(rng))
        out[suite] = said
    return out


@contextmanager
def _listening(said: Captured) -> Iterator[None]:
    """Keep every list that is handed to the writer of what is sent."""
    writer = command.shortest_form

    def listening(objects: ObjectList, subject: int, network: bytes) -> bytes:
        said.append((subject, objects, network))
        return writer(objects, subject, network)

    command.shortest_form = listening  # type: ignore[attr-defined]
    try:
        yield
    finally:
        command.shortest_form = writer  # type: ignore[attr-defined]


def _town(rng: random.Random, suite: str, *, spread: bool) -> None:
    """Ten minutes of a town: people come, look each other up, call, are refused or busy, go."""
    seed = rng.getrandbits(32)
    town = Town(seed, supernodes=rng.randrange(1, 9), profile=suite, spread=spread, net={"loss": rng.choice((0, 0.02))})
    world = town.world
    answers = random.Random(seed)

    def owner(resident: Resident, event: Event, _: float) -> None:
        if isinstance(event, Rang) and not event.outgoing:
            calls = town.node(resident.name).calls
            act = calls.answer if answers.random() < 0.7 else calls.refuse

            def take() -> None:
                with contextlib.suppress(UsageError):  # the caller hung up meanwhile
                    town.act(resident.name, act(event.call, world.now))

            world.at(answers.uniform(0.5, 8), take)

    makes = _names(rng)
    names = [next(makes) for _ in range(rng.randrange(6, 24))]
    for name in names:
        publisher = town.node(town.user(name, owner).name).publisher
        if rng.random() < 0.5:
            publisher.full_name = " ".join(part.title() for part in rng.sample(WORDS, 2))
            publisher.city = rng.choice(WORDS).title()
        world.run(world.now + rng.uniform(0, 3))
    world.run(world.now + 5)
    for _ in range(len(names)):
        caller, callee = rng.sample(names, 2)
        node = town.node(caller)
        if rng.random() < 0.3:
            wanted = rng.choice((callee, next(makes)))
            town.act(caller, node.searches.find(wanted, world.now)[1])
        else:
            policy = rng.choice((Policy.ANY, Policy.ANY, Policy.RELAYED))
            try:
                call, effects = node.calls.dial(callee, policy, world.now)
            except UsageError:
                continue
            town.act(caller, effects)
            world.at(rng.uniform(5, 40), lambda node=node, call=call, caller=caller: (  # type: ignore[misc]
                town.act(caller, node.calls.hang_up(call, world.now)) if call in node.calls.active else None
            ))  # fmt: skip
        world.run(world.now + rng.uniform(1, 30))
    leaver = rng.choice(names)
    town.act(leaver, town.node(leaver).leave(world.now))
    world.run(world.now + 200)


async def _sockets(rng: random.Random) -> None:
    """A network of real sockets on loopback: people sign up, come on line, look each other up and call."""
    ports = free_ports(5)
    server, *supernodes = [Address.of("127.0.0.1", port) for port in ports[:4]]
    with tempfile.TemporaryDirectory(prefix="halloo-traffic-") as place:
        folder = NetworkFolder(Path(place) / "network")
        descriptor, secrets = create("traffic", "modern", (server,), tuple(supernodes), time.time(), SystemRandom())
        folder.write(descriptor, secrets)
        async with contextlib.AsyncExitStack() as stack:
            login, _ = await start_login_server(folder, AccountsInMemory(), (server,), lambda _: None)
            stack.push_async_callback(login.close)
            for address in supernodes:
                phone = await stack.enter_async_context(Phone(descriptor, None, HostCache()))
                await phone.open(address, supernode=True)
                phone.driver.do(phone.node.begin(phone.driver.now))
            makes = _names(rng)
            people = [
                await _person(stack, descriptor, name) for name in [next(makes) for _ in range(3)]
            ]
            tasks = [asyncio.create_task(_takes_calls(phone)) for phone in people]
            for _ in range(4):
                caller, callee = rng.sample(people, 2)
                assert callee.account is not None
                await caller.search(callee.account.name)
                call = caller.dial(callee.account.name)
                await asyncio.sleep(0.5)
                caller.hang_up(call)
                await asyncio.sleep(0.2)
            for task in tasks:
                task.cancel()


async def _person(stack: contextlib.AsyncExitStack, descriptor: Descriptor, name: str) -> Phone:
    anywhere = Address.parse("127.0.0.1:0")
    async with Phone(descriptor, None, HostCache()) as nobody:
        await nobody.open(anywhere)
        account = await nobody.apply(Purpose.SIGN_UP, name, "a password")
    phone = await stack.enter_async_context(Phone(descriptor, account, HostCache()))
    await phone.open(anywhere)
    await phone.come_online()
    return phone


async def _takes_calls(phone: Phone) -> None:
    while True:
        phone.take(await phone.next_call())
