"""A node alive on this machine's sockets: opened, brought on line, listened to, and closed in good order."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from math import inf
from random import SystemRandom
from typing import Any, Self, TypeVar

from halloo.base.address import Address
from halloo.base.errors import HallooError, PeerError, Unusable, UsageError
from halloo.base.machine import Effects, Event
from halloo.link.endpoint import Endpoint
from halloo.link.notice import Notice
from halloo.link.persona import Persona
from halloo.login.auditor import Memory
from halloo.media.stream import SoundStream
from halloo.node.buddies import BuddiesChanged, KeptPresence
from halloo.node.descriptor import Descriptor
from halloo.node.node import Node, NodeSetup
from halloo.node.roles import Demoted, Promoted, Served
from halloo.node.station import Station
from halloo.overlay.admission import Pace
from halloo.overlay.hearsay import is_loopback
from halloo.overlay.hostcache import HostCache, Source
from halloo.overlay.join import Joined, JoinFailed, Lost
from halloo.overlay.promotion import Consent, Lending
from halloo.overlay.publish import Published
from halloo.runtime.errands import NetworkUnreachable, holds_its_key
from halloo.runtime.home import Account, NotLoggedIn
from halloo.runtime.keylog import key_log
from halloo.runtime.lan import Neighbours
from halloo.runtime.loop import Driver, wall_offset
from halloo.runtime.opus import OpusDecoder, OpusEncoder
from halloo.runtime.profile import Profile, email_digest
from halloo.runtime.strength import STRENGTH_EVERY, USE_EVERY, Meter, measured
from halloo.runtime.tcp import Connector, Proxy, Wrapping

__all__ = ["Capacity", "Line"]

LAST_WORDS = 1.0  # seconds at most that closing waits for the other side to hear a goodbye
NEAR_AFTER = 0.7  # seconds off line after which supernodes near by are looked for: most have found one by then
E_ = TypeVar("E_", bound=Event)


@dataclass(frozen=True, slots=True)
class Capacity:
    """What the owner of a supernode lends to others: so many nodes, so many bytes a second, so fast taken in."""

    clients: int = 800
    relayed: float = inf
    pace: Pace = field(default_factory=Pace)


class Line:
    """One node of one user (or of nobody yet: ``account`` None) in the real world."""

    def __init__(self, descriptor: Descriptor, account: Account | None, cache: HostCache) -> None:
        self.descriptor = descriptor
        self.account = account
        self.cache = cache
        self.on_event: Callable[[Event], None] = lambda _: None
        self.proxy: Proxy | None = None
        """What makes connections for us where nothing else can; set it before ``open``."""
        self.on_warning: Callable[[str], None] = lambda _: None
        """Is told, in words, what is wrong with the proxy or the local network; the same."""
        self.lan = False
        """Whether supernodes tell of themselves, and are looked for, on the local network; the same."""
        self.memory = Memory()
        """What audits of the own name have seen; set it before ``open``."""
        self.profile = Profile()
        """What the user tells of himself; the same, and ``show`` from then on."""
        self.presence = KeptPresence()
        """What the user shows to whom, and whom he watches; set it before ``open``."""
        self.on_presence: Callable[[KeptPresence], None] = lambda _: None
        """Is given it whenever it has changed, so that it can be kept."""
        self.lending = Lending()
        """What the owner lends to others as a supernode, should they need it; the same."""
        self.served: Served | None = None
        """As what the node served others until it was ended; the same."""
        self.on_service: Callable[[Served | None], None] = lambda _: None
        """Is told as what it serves, each minute, so that it can be kept; None: it does no more."""
        self._waiting: list[tuple[Callable[[Event], bool], asyncio.Future[Event]]] = []
        self._driver: Driver | None = None
        self._node: Node | None = None
        self._neighbours: Neighbours | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self.address: Address | None = None
        self.opened_at = 0.0

    async def open(
        self,
        listen: Address,
        tcp_ports: tuple[int, ...] = (),
        *,
        supernode: bool = False,
        capacity: Capacity | None = None,
    ) -> Address:
        """Open the sockets and come alive, still off line; where it listens.

        Raises:
            Unusable: the address is in use.
            NotLoggedIn: the credential is not, or no longer, one of this network.
        """
        capacity = capacity or Capacity()
        persona, wall = self._persona(), wall_offset()
        station = Station(Endpoint(persona, self.descriptor.cloak_key, (), wall), _Asleep())
        connector = Connector(Wrapping() if persona.suite.wrapped else None, self.proxy, self.on_warning)
        self._driver = Driver(station, self._heard, connector)
        self.address = await self._driver.listen(listen, tcp_ports)
        await self._listen_to_ipv6_too(tcp_ports)
        here = self._reachable(self.address)
        for address in here:
            station.endpoint.datagrams.learn_host(address.host)
        setup = NodeSetup(
            self.descriptor,
            persona,
            self.cache,
            here,
            _opus_stream,
            persona.rng,
            wall,
            supernode=supernode,
            has_proxy=self.proxy is not None,
            max_clients=capacity.clients,
            max_relayed=capacity.relayed,
            pace=capacity.pace,
            memory=self.memory,
            lending=self.lending,
            served=self.served,
            presence=self.presence,
        )
        self._node = Node(setup)
        station.mind = self._node
        await self._fill_in(self.profile)
        self.opened_at = self.driver.now
        if self.lending.consent is not Consent.NO:
            self._start(self._measure())
        if self.lan and not self._is_only_here():
            self._neighbours = Neighbours(self.descriptor.id, self._found_near, self.on_warning)
            if supernode:
                self._start(self._neighbours.announce(here))
                self._start(self._neighbours.browse())
        return self.address

    async def close(self) -> None:
        """Hang up, say goodbye, and give everything back."""
        if self._driver is None:
            return
        for task in list(self._tasks):
            task.cancel()
        if self._neighbours is not None:
            await self._neighbours.close()
            self._neighbours = None
        if self._node is not None:
            await self._last_words()
            self._driver.do(self.node.leave(self._driver.now))
            await self._last_words()
        await self._driver.close()
        self._driver = None
        for _, future in self._waiting:
            future.cancel()
        self._waiting.clear()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    @property
    def driver(self) -> Driver:
        """The loop under it.  Raises UsageError before ``open``."""
        if self._driver is None:
            raise UsageError("the phone is not open")
        return self._driver

    @property
    def node(self) -> Node:
        """The mind.  Raises UsageError before ``open``."""
        if self._node is None:
            raise UsageError("the phone is not open")
        return self._node

    async def come_online(self, timeout: float | None = 30.0) -> Joined:
        """Join, and have one's record in the directory; within ``timeout`` seconds (None: as long as it takes).

        Raises:
            NetworkUnreachable: no supernode answered.
            NotLoggedIn: the directory refused our record, because the credential is of no use.
        """
        if not self.cache.addresses() and not self.descriptor.supernodes and self._neighbours is None:
            raise NetworkUnreachable("the network's description names no supernode to begin with")
        joined = self.expect(Joined, JoinFailed)
        published = self.expect(Published)
        self.begin()
        tried = ", ".join(str(address) for address in self.cache.best(4, self.node.persona.rng, time.time()))
        unreachable = NetworkUnreachable(f"no supernode of {self.descriptor.name!r} answered (tried {tried})")
        event = await self._within(joined, timeout, unreachable)
        if isinstance(event, JoinFailed):
            raise unreachable
        assert isinstance(event, Joined)
        if self.account is not None:
            stored = await self._within(published, timeout, unreachable)
            if isinstance(stored, Published) and not stored.copies:
                raise NotLoggedIn(f"the network does not accept this login: {stored.reason}; use: halloo login NAME")
        return event

    def begin(self) -> None:
        """Join, or take up a supernode's duties.  Harmless while that is done."""
        self.driver.do(self.node.begin(self.driver.now))
        self._look_near()

    async def show(self, profile: Profile) -> None:
        """Tell something else of the user from now on."""
        await self._fill_in(profile)
        self.driver.do(self.node.act(self.node.publisher.publish(self.driver.now), self.driver.now))

    def expect(
        self, *kinds: type[E_], where: Callable[[E_], bool] = lambda _: True
    ) -> asyncio.Future[Event]:
        """The next event of one of these kinds for which ``where`` holds."""
        future: asyncio.Future[Event] = asyncio.get_running_loop().create_future()
        self._waiting.append((lambda event: isinstance(event, kinds) and where(event), future))
        return future

    # --- inside

    async def _fill_in(self, profile: Profile) -> None:
        """What the record says from the next time that it is published."""
        email, suite, network = b"", self.descriptor.ways.suite, self.descriptor.id
        if profile.email and "email" in profile.findable:
            email = await asyncio.to_thread(email_digest, suite, profile.email, network)
        publisher, self.profile = self.node.publisher, profile
        publisher.full_name, publisher.city = profile.full_name, profile.city
        publisher.findable, publisher.email = profile.bits, email

    def _heard(self, event: Event) -> None:
        """An event of the node: it ends the waiting for it, and goes on to whoever owns the line."""
        for wanted, future in list(self._waiting):
            if future.done() or wanted(event):
                self._waiting.remove((wanted, future))
                if not future.done():
                    future.set_result(event)
        if isinstance(event, Joined) and self._neighbours is not None:
            self._start(self._neighbours.rest())
        elif isinstance(event, Lost):
            self._look_near()
        elif isinstance(event, BuddiesChanged):
            self.presence = self.node.buddies.kept()
            self.on_presence(self.presence)
        elif isinstance(event, Promoted | Demoted):
            asyncio.get_running_loop().call_soon(self._role_changed, event)
        self.on_event(event)

    # --- the local network

    def _role_changed(self, event: Promoted | Demoted) -> None:
        """What others find here is kept, and told of on the local network."""
        if self._driver is None:
            return
        self._keep_service(self.driver.now)
        if self._neighbours is not None and isinstance(event, Promoted):
            self._start(self._neighbours.announce((event.listening,)))

    def _look_near(self) -> None:
        """Look for supernodes on the local network, if there is still none after a moment."""
        if self._neighbours is not None and self.node.supernode is None:
            self._start(self._look_near_later(self._neighbours))

    async def _look_near_later(self, neighbours: Neighbours) -> None:
        await asyncio.sleep(NEAR_AFTER)
        if self.node.join.peer is None:
            await neighbours.browse()

    def _found_near(self, addresses: tuple[Address, ...]) -> None:
        now = self.driver.now
        if self.node.supernode is None:
            self.driver.do(self.node.act(self.node.join.heard_of(addresses, now), now))
        else:
            self.cache.add(addresses, source=Source.LAN, wall=time.time())

    def _is_only_here(self) -> bool:
        """Whether this is a network of one machine, of which no other should hear."""
        named = (*self.descriptor.supernodes, *self.descriptor.servers)
        here = self.address is not None and is_loopback(self.address.host)
        return here or (bool(named) and all(is_loopback(address.host) for address in named))

    async def _measure(self) -> None:
        """See now and then what we take of the machine, and what it has left."""
        meter, sent, next_look = Meter(), self.driver.sent, -inf
        while True:
            now, strength = self.driver.now, None
            if now >= next_look:
                strength, next_look = measured(self.lending.rate), now + STRENGTH_EVERY
                self._keep_service(now)
            size, sent = self.driver.sent - sent, self.driver.sent
            roles = self.node.roles
            self.driver.do(self.node.act(roles.measured(size, meter.share(), now, strength), now))
            await asyncio.sleep(USE_EVERY)

    def _keep_service(self, now: float) -> None:
        """Let it be known that we serve, or do so no more."""
        service = self.node.roles.service(now)
        if service != self.served:
            self.served = service
            self.on_service(service)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # --- waiting

    def _persona(self) -> Persona:
        suite, account, rng = self.descriptor.ways.suite, self.account, SystemRandom()
        if account is not None:
            self._check_account(account)
        private, credential = (account.private, account.credential) if account else (suite.identity.make(rng), b"")
        return Persona(suite, self.descriptor.notary, private, credential, rng, key_log())

    def _check_account(self, account: Account) -> None:
        again = f"log in again: halloo login {account.name}"
        try:
            self.descriptor.notary.credential(account.credential, time.time())
        except PeerError as fault:
            raise NotLoggedIn(f"{fault}; {again}") from None
        if not holds_its_key(self.descriptor, account):
            raise NotLoggedIn(f"the private key kept here is not the one of the credential: it is damaged; {again}")

    async def _last_words(self) -> None:
        until = self.driver.now + LAST_WORDS
        while self.driver.station.endpoint.unheard and self.driver.now < until:
            await asyncio.sleep(0.01)

    async def _within(self, future: asyncio.Future[Event], timeout: float | None, fault: HallooError) -> Event:
        try:
            return await asyncio.wait_for(future, timeout)
        except TimeoutError:
            raise fault from None

    async def _listen_to_ipv6_too(self, tcp_ports: tuple[int, ...]) -> None:
        """Where every IPv4 address was asked for, every IPv6 one is meant as well, if the machine has that."""
        if self.address is not None and self.address.host == bytes(4):
            with contextlib.suppress(Unusable):
                await self.driver.listen(Address(bytes(16), self.address.port), tcp_ports)

    def _reachable(self, address: Address) -> tuple[Address, ...]:
        """Where others may reach us, as far as we know before anybody told us."""
        if any(address.host):
            return (address,)
        known = (*self.cache.addresses(), *self.descriptor.supernodes)
        by_family = [next((one for one in known if len(one.host) == size), None) for size in (4, 16)]
        towards = [one for one in by_family if one is not None] or [address]
        return tuple(Address(_local_host(one), address.port) for one in towards)


def _opus_stream() -> SoundStream:
    """The sound of one call, coded as Opus."""
    return SoundStream(OpusEncoder(), OpusDecoder())


def _local_host(towards: Address) -> bytes:
    """The host of ours from which ``towards`` is reached; no packet is sent."""
    family = socket.AF_INET if len(towards.host) == 4 else socket.AF_INET6
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((towards.ip, towards.port or 9))
            return Address.of(probe.getsockname()[0], 0).host
        except OSError:
            return Address.of("127.0.0.1" if len(towards.host) == 4 else "::1", 0).host


class _Asleep:
    """The mind of a station before its node is born: it hears nothing."""

    wake_at = float("inf")

    def receive(self, notice: Notice, now: float) -> Effects:
        return []

    def wake(self, now: float) -> Effects:
        return []
