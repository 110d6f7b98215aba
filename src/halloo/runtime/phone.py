"""The telephone of a user in the real world: sign up and log in, search, call and be called.

Every method waits for the event that ends it, and raises what went wrong in words for the user.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace
from random import SystemRandom
from typing import Any

from halloo.base.errors import UsageError
from halloo.base.machine import Event
from halloo.call.call import Answered, Ended, Rang
from halloo.login.audit import Report
from halloo.login.auditor import Audited, AuditFailed
from halloo.login.client import CARRY_AFTER, LoginDecided, LoginUnreachable
from halloo.login.renewal import Renewed
from halloo.messages.credential import Entry
from halloo.messages.login import Application, Purpose
from halloo.messages.name import folded
from halloo.messages.whitepages import query_of
from halloo.node.descriptor import Descriptor
from halloo.node.switchboard import CallReport
from halloo.overlay.browse import Browsed
from halloo.overlay.hostcache import HostCache
from halloo.overlay.search import SearchDone
from halloo.path.reach import Policy
from halloo.runtime.acquaintances import Acquaintances, KeyChange
from halloo.runtime.echo import Echo
from halloo.runtime.errands import account_of, report_of
from halloo.runtime.home import Account, NotLoggedIn
from halloo.runtime.line import Line
from halloo.runtime.presence import change, presence_table
from halloo.runtime.profile import email_digest
from halloo.runtime.sound import Sink, Source
from halloo.runtime.talk import Talk

__all__ = ["Phone"]

TAIL = 0.3  # seconds that the line is held after the last frame, for it to be played over there
ON_ITS_WAY = 0.06  # seconds in which the last sound of the other side may still come, for a recording


class Phone(Line):
    """A line with a user: his account, and his calls."""

    def __init__(self, descriptor: Descriptor, account: Account | None, cache: HostCache) -> None:
        super().__init__(descriptor, account, cache)
        self.on_account: Callable[[Account], None] = lambda _: None
        """Is given the account whenever the network has certified it anew."""
        self.on_learnt: Callable[[], None] = lambda: None
        """Called when ``memory`` or ``acquaintances`` hold something new."""
        self.acquaintances = Acquaintances()
        """Whose keys we know; set it before ``open``."""
        self._key_changes: dict[bytes, KeyChange] = {}
        self._over: dict[bytes, asyncio.Future[Event]] = {}
        self._begun: dict[bytes, asyncio.Future[Event]] = {}
        self._incoming: asyncio.Queue[bytes] = asyncio.Queue()

    # --- the account

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
            self.begin()
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

    # --- calls

    async def search(self, name: str) -> SearchDone:
        """Look somebody up by exact name.  Raises UsageError for what cannot be a name."""
        name = folded(name)
        number, effects = self.node.searches.find(name, self.driver.now)
        done = self.expect(SearchDone, where=lambda event: event.number == number)
        self.driver.do(self.node.act(effects, self.driver.now))
        event = await done
        assert isinstance(event, SearchDone)
        return event

    async def browse(self, said: str, limit: int) -> tuple[list[Entry], Browsed]:
        """Search the white pages for words, or an e-mail address: about ``limit`` users, and how far the search came.

        Who has exactly this name comes first, whatever he may be found by.

        Raises:
            UsageError: too short or too long to search for, or too many searches at once.
        """
        query, email, suite = "", b"", self.descriptor.ways.suite
        if "@" in said:
            email = await asyncio.to_thread(email_digest, suite, said, self.descriptor.id)
        else:
            query = query_of(said)
        exactly = asyncio.create_task(self._exactly(said))
        browses = self.node.browses
        number, effects = browses.find(query, email, self.driver.now)
        entries: list[Entry] = []
        try:
            while True:
                done = self.expect(Browsed, where=lambda event: event.number == number)
                self.driver.do(self.node.act(effects, self.driver.now))
                page = await done
                assert isinstance(page, Browsed)
                entries += page.entries
                if not page.more or len(entries) >= limit:
                    first = await exactly
                    names = {entry.name for entry in first}
                    return [*first, *(entry for entry in entries if entry.name not in names)], page
                effects = browses.more(number, self.driver.now)
        finally:
            exactly.cancel()
            browses.drop(number)

    def present(self, changes: object) -> None:
        """Show, allow, deny, watch, as a table says.  Raises UsageError."""
        now = self.driver.now
        self.driver.do(self.node.act(change(self.node.buddies, changes, now), now))

    def presences(self) -> dict[str, Any]:
        """What is shown to whom, and what is known of those who are watched."""
        return presence_table(self.node.buddies, self.driver.now, time.time())

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
        echo = Echo()
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

    async def _exactly(self, said: str) -> tuple[Entry, ...]:
        """Who has exactly this name, if it can be one."""
        try:
            return (await self.search(said)).entries
        except UsageError:
            return ()

    def _done(self, call: bytes) -> CallReport:
        for known in (self._over, self._begun):
            future = known.pop(call, None)
            if future is not None:
                future.cancel()
        return self.report(call)

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
        super()._heard(event)

    def _meet(self, call: bytes) -> None:
        """Look whether the other side's key is the one we know."""
        report = self.report(call)
        if report.key:
            key = self.descriptor.ways.suite.digest(report.key)[:16]
            change = self.acquaintances.met(report.name, key, int(time.time()))
            if change is not None:
                self._key_changes[call] = change
            self.on_learnt()
