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
from halloo.login.client import LoginDecided, LoginUnreachable
from halloo.media.codec import SILENCE
from halloo.media.stream import SoundStream
from halloo.messages.login import Application, Purpose, Verdict
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
from halloo.runtime.home import Account, NotLoggedIn
from halloo.runtime.keylog import key_log
from halloo.runtime.loop import Driver
from halloo.runtime.opus import OpusDecoder, OpusEncoder
from halloo.runtime.sound import Sink, Source
from halloo.runtime.talk import Talk

__all__ = ["NetworkUnreachable", "NotDone", "Phone", "local_host", "wall_offset"]

ECHO_FRAMES = 50  # frames (one second) after which an echo is heard: long enough to have ended a word
TAIL = 0.3  # seconds that the line is held after the last frame, for it to be played over there
ON_ITS_WAY = 0.06  # seconds in which the last sound of the other side may still come, for a recording
LAST_WORDS = 1.0  # seconds at most that closing waits for the other side to hear a goodbye
E_ = TypeVar("E_", bound=Event)


class NetworkUnreachable(HallooError):
    """No supernode, or no login server, could be reached."""


class NotDone(HallooError):
    """The network was asked and said no."""


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
            try:
                self.descriptor.notary.credential(self.account.credential, time.time())
            except PeerError as fault:
                raise NotLoggedIn(f"{fault}; log in again: halloo login {self.account.name}") from None
        private = self.account.private if self.account else suite.identity.make(rng)
        credential = self.account.credential if self.account else b""
        persona = Persona(suite, self.descriptor.notary, private, credential, rng, key_log())
        endpoint = Endpoint(persona, self.descriptor.cloak_key, (), wall)
        station = Station(endpoint, _Asleep())
        self._driver = Driver(station, self._heard)
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
            max_clients=max_clients,
            max_relayed=max_relayed,
        )
        self._node = Node(setup)
        station.mind = self._node
        self.opened_at = self.driver.now
        return self.address

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

    async def apply(self, purpose: Purpose, name: str, password: str, new_password: str = "") -> Account:
        """Sign up, log in or change the password; the account with a fresh credential.

        Raises:
            UsageError: the name cannot be one.
            NotLoggedIn: wrong name or password.
            NotDone: the name is taken, too many attempts, or the server cannot do it now.
            NetworkUnreachable: no login server answered.
        """
        name = folded(name)
        suite = self.descriptor.ways.suite
        network = self.descriptor.id
        proof = await asyncio.to_thread(suite.password.prove, name, password, network)
        new_proof = await asyncio.to_thread(suite.password.prove, name, new_password, network) if new_password else b""
        private = suite.identity.make(SystemRandom())
        application = Application(
            purpose=purpose, name=name, proof=proof, key=suite.identity.public(private), new_proof=new_proof
        )
        answered = self.expect(LoginDecided, LoginUnreachable)
        self.driver.do(self.node.act(self.node.login.apply(application, self.driver.now), self.driver.now))
        event = await answered
        if isinstance(event, LoginUnreachable):
            tried = ", ".join(str(address) for address in event.tried)
            raise NetworkUnreachable(f"{event.reason} (tried {tried})")
        assert isinstance(event, LoginDecided)
        decision = event.decision
        match decision.verdict:
            case Verdict.OK:
                self.descriptor.notary.credential(decision.credential, decision.wall)
                return Account(name, private, decision.credential)
            case Verdict.REFUSED:
                raise NotLoggedIn("wrong name or password")
            case Verdict.NAME_TAKEN:
                raise NotDone(f"the name {name} is taken; choose another, or log in if it is yours")
            case Verdict.TOO_MANY:
                raise NotDone(f"too many attempts; try again in {decision.retry_after} seconds")
        raise NotDone(decision.reason or "the login server cannot do this now")

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
        call = self.dial(name, policy)
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
        if isinstance(event, Rang) and not event.outgoing:
            self._incoming.put_nowait(event.call)
        for wanted, future in list(self._waiting):
            if future.done() or wanted(event):
                self._waiting.remove((wanted, future))
                if not future.done():
                    future.set_result(event)
        self.on_event(event)

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
