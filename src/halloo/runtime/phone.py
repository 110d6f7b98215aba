"""A node of a user in the real world: come on line, log in, search, call and be called.

Every method waits for the event that ends it, and raises what went wrong in words for the user.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from math import inf
from random import SystemRandom
from typing import Any, TypeVar

from halloo.base.address import Address
from halloo.base.errors import HallooError, PeerError, Unusable, UsageError
from halloo.base.machine import Effects, Event
from halloo.call.call import Answered, Ended, Rang
from halloo.link.endpoint import Endpoint
from halloo.link.notice import Notice
from halloo.link.persona import Persona
from halloo.login.audit import Report
from halloo.login.auditor import Audited, AuditFailed, Memory
from halloo.login.client import CARRY_AFTER, LoginDecided, LoginUnreachable
from halloo.login.renewal import Renewed
from halloo.media.codec import SILENCE
from halloo.media.stream import SoundStream
from halloo.messages.login import Application, Purpose
from halloo.messages.name import folded
from halloo.node.descriptor import Descriptor
from halloo.node.node import Node, NodeSetup
from halloo.node.station import Station
from halloo.node.switchboard import CallReport
from halloo.overlay.hostcache import HostCache
from halloo.overlay.join import Joined, JoinFailed
from halloo.overlay.publish import Published
from halloo.overlay.search import SearchDone
from halloo.path.reach import Policy
from halloo.runtime.acquaintances import Acquaintances, KeyChange
from halloo.runtime.errands import NetworkUnreachable, NotDone, account_of, holds_its_key, report_of
from halloo.runtime.home import Account, NotLoggedIn
from halloo.runtime.keylog import key_log
from halloo.runtime.loop import Driver
from halloo.runtime.opus import OpusDecoder, OpusEncoder
from halloo.runtime.sound import Sink, Source
from halloo.runtime.talk import Talk
from halloo.runtime.tcp import Connector, Proxy, Wrapping

__all__ = ["NetworkUnreachable", "NotDone", "Phone", "local_host", "wall_offset"]

ECHO_FRAMES = 50  # frames (one second) after which an echo is heard: long enough to have ended a word
TAIL = 0.3  # seconds that the line is held after the last frame, for it to be played over there
ON_ITS_WAY = 0.06  # seconds in which the last sound of the other side may still come, for a recording
LAST_WORDS = 1.0  # seconds at most that closing waits for the other side to hear a goodbye
E_ = TypeVar("E_", bound=Event)


def wall_offset() -> float:
    """Seconds to add to the loop's clock for the wall clock."""
    return time.time() - time.monotonic()


def local_host(towards: Address) -> bytes:
    """The host of ours from which ``towards`` is reached; no packet is sent."""
    family = socket.AF_INET if len(towards.host) == 4 else socket.AF_INET6
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((towards.ip, towards.port or 9))
            return Address.of(probe.getsockname()[0], 0).host
        except OSError:
            return Address.of("127.0.0.1" if len(towards.host) == 4 else "::1", 0).host


def opus_stream() -> SoundStream:
    """The sound of one call, coded as Opus."""
    return SoundStream(OpusEncoder(), OpusDecoder())


class Phone:
    """One node of one user (or of nobody yet: ``account`` None) in the real world."""

    def __init__(self, descriptor: Descriptor, account: Account | None, cache: HostCache) -> None:
        self.descriptor = descriptor
        self.account = account
        self.cache = cache
        self.on_event: Callable[[Event], None] = lambda _: None
        self.on_account: Callable[[Account], None] = lambda _: None
        """Is given the account whenever the network has certified it anew."""
        self.on_learnt: Callable[[], None] = lambda: None
        """Called when ``memory`` or ``acquaintances`` hold something new."""
        self.proxy: Proxy | None = None
        """What makes connections for us where nothing else can; set it before ``open``."""
        self.on_warning: Callable[[str], None] = lambda _: None
        """Is told, in words, what is wrong with the proxy; the same."""
        self.memory = Memory()
        """What audits of the own name have seen; set it before ``open``."""
        self.acquaintances = Acquaintances()
        """Whose keys we know; the same."""
        self._key_changes: dict[bytes, KeyChange] = {}
        self._waiting: list[tuple[Callable[[Event], bool], asyncio.Future[Event]]] = []
        self._over: dict[bytes, asyncio.Future[Event]] = {}
        self._begun: dict[bytes, asyncio.Future[Event]] = {}
        self._incoming: asyncio.Queue[bytes] = asyncio.Queue()
        self._driver: Driver | None = None
        self._node: Node | None = None
        self.address: Address | None = None
        self.opened_at = 0.0

    # --- life

    async def open(
        self,
        listen: Address,
        tcp_ports: tuple[int, ...] = (),
        *,
        supernode: bool = False,
        max_clients: int = 800,
        max_relayed: float = inf,
    ) -> Address:
        """Open the sockets and come alive, still off line; where it listens.

        Raises:
            Unusable: the address is in use.
            NotLoggedIn: the credential is not, or no longer, one of this network.
        """
        suite, rng, wall = self.descriptor.ways.suite, SystemRandom(), wall_offset()
        if self.account is not None:
            self._check_account(self.account)
        private = self.account.private if self.account else suite.identity.make(rng)
        credential = self.account.credential if self.account else b""
        persona = Persona(suite, self.descriptor.notary, private, credential, rng, key_log())
        endpoint = Endpoint(persona, self.descriptor.cloak_key, (), wall)
        station = Station(endpoint, _Asleep())
        connector = Connector(Wrapping() if suite.wrapped else None, self.proxy, self.on_warning)
        self._driver = Driver(station, self._heard, connector)
        self.address = await self._driver.listen(listen, tcp_ports)
        await self._listen_to_ipv6_too(tcp_ports)
        here = self._reachable(self.address)
        for address in here:
            endpoint.datagrams.learn_host(address.host)
        setup = NodeSetup(
            self.descriptor,
            persona,
            self.cache,
            here,
            opus_stream,
            rng,
            wall,
            supernode=supernode,
            has_proxy=self.proxy is not None,
            max_clients=max_clients,
            max_relayed=max_relayed,
            memory=self.memory,
        )
        self._node = Node(setup)
        station.mind = self._node
        self.opened_at = self.driver.now
        return self.address

    def _check_account(self, account: Account) -> None:
        again = f"log in again: halloo login {account.name}"
        try:
            self.descriptor.notary.credential(account.credential, time.time())
        except PeerError as fault:
            raise NotLoggedIn(f"{fault}; {again}") from None
        if not holds_its_key(self.descriptor, account):
            raise NotLoggedIn(f"the private key kept here is not the one of the credential: it is damaged; {again}")

    async def close(self) -> None:
        """Hang up, say goodbye, and give everything back."""
        if self._driver is None:
            return
        if self._node is not None:
            await self._last_words()
            self._driver.do(self.node.leave(self._driver.now))
            await self._last_words()
        await self._driver.close()
        self._driver = None
        for _, future in self._waiting:
            future.cancel()
        self._waiting.clear()

    async def __aenter__(self) -> Phone:
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

    # --- the network

    async def come_online(self, timeout: float | None = 30.0) -> Joined:
        """Join, and have one's record in the directory; within ``timeout`` seconds (None: as long as it takes).

        Raises:
            NetworkUnreachable: no supernode answered.
            NotLoggedIn: the directory refused our record, because the credential is of no use.
        """
        if not self.cache.addresses() and not self.descriptor.supernodes:
            raise NetworkUnreachable("the network's description names no supernode to begin with")
        joined = self.expect(Joined, JoinFailed)
        published = self.expect(Published)
        self.driver.do(self.node.begin(self.driver.now))
        tried = ", ".join(str(address) for address in self.cache.best(4, self.node.persona.rng))
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

    async def apply(
        self, purpose: Purpose, name: str, password: str = "", new_password: str = "", private: bytes = b""
    ) -> Account:
        """Sign up, log in, change the password, or revoke every key; the account with a fresh credential.

        ``private`` is the key to be certified, a new one where none is given.  To revoke takes no password but a
        key that is certified; there is no credential after it.

        Raises:
            UsageError: the name cannot be one.
            NotLoggedIn: wrong name or password, or a key that is not certified.
            NotDone: the name is taken, too many attempts, or the server cannot do it now.
            NetworkUnreachable: no login server answered.
        """
        name = folded(name)
        suite = self.descriptor.ways.suite
        network = self.descriptor.id
        proof = await asyncio.to_thread(suite.password.prove, name, password, network) if password else b""
        new_proof = await asyncio.to_thread(suite.password.prove, name, new_password, network) if new_password else b""
        private = private or suite.identity.make(SystemRandom())
        application = Application(
            purpose=purpose, name=name, proof=proof, key=suite.identity.public(private), new_proof=new_proof
        )
        return account_of(await self._applied(application, private), application, private, self.descriptor.notary)

    async def _applied(self, application: Application, private: bytes) -> Event:
        """The answer to an application.  Where the servers stay silent, a supernode is found to carry it."""
        answered = self.expect(LoginDecided, LoginUnreachable)
        node, driver = self.node, self.driver
        driver.do(node.act(node.papers.ask.apply(application, private, driver.now), driver.now))
        await asyncio.wait({answered}, timeout=CARRY_AFTER)
        if not answered.done() and node.supernode is None:
            driver.do(node.begin(driver.now))  # harmless while we are on line already
            node.papers.ask.asking.wait_for_supernode(driver.now + self.descriptor.ways.join.ladder.round)
        return await answered

    async def audit(self) -> Report:
        """Look in the login servers' log which keys were certified for our name.

        Raises:
            NotLoggedIn: nobody is logged in here.
            NetworkUnreachable: no login server answered.
            NotDone: what was told is no log.
        """
        auditor = self.node.papers.auditor
        if self.account is None or auditor is None:
            raise NotLoggedIn("nobody is logged in here; use: halloo login NAME")
        done = self.expect(Audited, AuditFailed)
        if auditor.claims is None:
            self.driver.do(self.node.act(auditor.certified(self.account.claims, self.driver.now), self.driver.now))
        self.driver.do(self.node.act(auditor.audit(self.driver.now), self.driver.now))
        return report_of(await done)

    async def search(self, name: str) -> SearchDone:
        """Look somebody up by exact name.  Raises UsageError for what cannot be a name."""
        name = folded(name)
        number, effects = self.node.searches.find(name, self.driver.now)
        done = self.expect(SearchDone, where=lambda event: event.number == number)
        self.driver.do(self.node.act(effects, self.driver.now))
        event = await done
        assert isinstance(event, SearchDone)
        return event

    # --- calls

    def dial(self, name: str, policy: Policy = Policy.ANY) -> bytes:
        """Begin to call somebody; the bytes name the call.

        Raises:
            UsageError: this cannot be a name, or there is a call already.
        """
        call, effects = self.node.calls.dial(name, policy, self.driver.now)
        self._over[call] = self.expect(Ended, where=lambda event: event.call == call)
        self._begun[call] = self.expect(Answered, where=lambda event: event.call == call)
        self.driver.do(self.node.act(effects, self.driver.now))
        return call

    async def call(
        self, name: str, source: Source, sink: Sink, *, policy: Policy = Policy.ANY, seconds: float | None = None
    ) -> CallReport:
        """Call somebody and talk until the source ends, ``seconds`` have passed, or the other side hangs up."""
        return await self.follow(self.dial(name, policy), source, sink, seconds=seconds)

    async def follow(self, call: bytes, source: Source, sink: Sink, *, seconds: float | None = None) -> CallReport:
        """Wait until a call that was dialled is answered, and talk as in ``call``."""
        try:
            await asyncio.wait({self._over[call], self._begun[call]}, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            self.hang_up(call)
            raise
        return await self.talk(call, source, sink, seconds, hang_up_at_end=True)

    async def next_call(self) -> bytes:
        """Wait for a call; its number, while it rings."""
        return await self._incoming.get()

    def take(self, call: bytes) -> None:
        """Answer a call that rings.  Raises UsageError when it does not."""
        self._over[call] = self.expect(Ended, where=lambda event: event.call == call)
        self.driver.do(self.node.act(self.node.calls.answer(call, self.driver.now), self.driver.now))

    async def answer(self, call: bytes, source: Source, sink: Sink, *, seconds: float | None = None) -> CallReport:
        """Take a call that rings, and talk until it ends."""
        self.take(call)
        return await self.talk(call, source, sink, seconds)

    async def echo(self, call: bytes) -> CallReport:
        """Take a call and play everything back a second later."""
        echo = _Echo()
        self.take(call)
        return await self.talk(call, echo, echo, None)

    def refuse(self, call: bytes) -> None:
        """Do not take a call that rings."""
        self.driver.do(self.node.act(self.node.calls.refuse(call, self.driver.now), self.driver.now))

    def hang_up(self, call: bytes) -> None:
        """End a call, if it is not over."""
        if call in self.node.calls.active:
            self.driver.do(self.node.act(self.node.calls.hang_up(call, self.driver.now), self.driver.now))

    def key_change(self, call: bytes) -> KeyChange | None:
        """What is new about the other side's key, known as soon as a call rings."""
        return self._key_changes.get(call)

    def report(self, call: bytes) -> CallReport:
        """What is known of a call."""
        return self.node.calls.report(call, self.driver.now)

    def expect(
        self, *kinds: type[E_], where: Callable[[E_], bool] = lambda _: True
    ) -> asyncio.Future[Event]:
        """The next event of one of these kinds for which ``where`` holds."""
        future: asyncio.Future[Event] = asyncio.get_running_loop().create_future()
        self._waiting.append((lambda event: isinstance(event, kinds) and where(event), future))
        return future

    async def talk(
        self, call: bytes, source: Source, sink: Sink, seconds: float | None = None, *, hang_up_at_end: bool = False
    ) -> CallReport:
        """The sound of a call that was answered, until it ends, ``seconds`` have passed, or the source has ended."""
        began, over = self.report(call).answered_at, self._over[call]
        if began is None:
            await over
            return self._done(call)
        talk = Talk(self.driver, self.node, call, source, sink, began, ends=hang_up_at_end)
        said_all = asyncio.create_task(talk.said_all.wait())
        waits: set[asyncio.Future[Any]] = {over, said_all} if hang_up_at_end else {over}
        try:
            await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            if said_all.done() and not over.done():
                await asyncio.wait({over}, timeout=TAIL)
            self.hang_up(call)
            await asyncio.sleep(ON_ITS_WAY)
        finally:
            said_all.cancel()
            self.hang_up(call)
            talk.stop()
            source.close()
            sink.close()
        return self._done(call)

    # --- inside

    def _done(self, call: bytes) -> CallReport:
        for known in (self._over, self._begun):
            future = known.pop(call, None)
            if future is not None:
                future.cancel()
        return self.report(call)

    async def _last_words(self) -> None:
        until = self.driver.now + LAST_WORDS
        while self.driver.station.endpoint.unheard and self.driver.now < until:
            await asyncio.sleep(0.01)

    async def _within(self, future: asyncio.Future[Event], timeout: float | None, fault: HallooError) -> Event:
        try:
            return await asyncio.wait_for(future, timeout)
        except TimeoutError:
            raise fault from None

    def _heard(self, event: Event) -> None:
        if isinstance(event, Renewed) and self.account is not None:
            self.account = replace(self.account, credential=event.credential)
            self.on_account(self.account)
        if isinstance(event, Audited):
            self.on_learnt()
        if isinstance(event, Rang):
            self._meet(event.call)
            if not event.outgoing:
                self._incoming.put_nowait(event.call)
        for wanted, future in list(self._waiting):
            if future.done() or wanted(event):
                self._waiting.remove((wanted, future))
                if not future.done():
                    future.set_result(event)
        self.on_event(event)

    def _meet(self, call: bytes) -> None:
        """Look whether the other side's key is the one we know."""
        report = self.report(call)
        if report.key:
            key = self.descriptor.ways.suite.digest(report.key)[:16]
            change = self.acquaintances.met(report.name, key, int(time.time()))
            if change is not None:
                self._key_changes[call] = change
            self.on_learnt()

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
        return tuple(Address(local_host(one), address.port) for one in towards)


class _Echo:
    """What was heard, said again a second later: a sink and a source in one."""

    def __init__(self) -> None:
        self._held = deque([SILENCE] * ECHO_FRAMES)

    def write(self, frame: bytes) -> None:
        self._held.append(frame)

    def read(self) -> bytes | None:
        return self._held.popleft() if self._held else SILENCE

    def close(self) -> None:
        """Nothing to give back."""


class _Asleep:
    """The mind of a station before its node is born: it hears nothing."""

    wake_at = float("inf")

    def receive(self, notice: Notice, now: float) -> Effects:
        return []

    def wake(self, now: float) -> Effects:
        return []
