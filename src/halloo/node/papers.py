"""All that a node has to do with login servers: its credential, its name in their log, what others want of them.

    ask           what the user wants: sign up, log in, another password
    renewal       the credential kept fresh                                   who has one
    auditor       the own name in the log                                     who has one
    watch         the whole log, for revocations                              supernodes
    carrier       letters of those whose way to the servers is blocked        supernodes
"""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import Any

from halloo.base.address import Peer
from halloo.base.machine import Effects, Event, Machine, Message, Numbers
from halloo.link.persona import Persona
from halloo.login.auditor import Audited, Auditor, Memory
from halloo.login.carrier import Carrier
from halloo.login.client import LoginClient
from halloo.login.log import Ledger
from halloo.login.renewal import Renewal
from halloo.login.revocations import Revocations
from halloo.login.watch import HeadSeen, KeysRevoked, Watch
from halloo.messages.credential import Claims, credential_of
from halloo.messages.log import CarryQuestion, LogTold, QuestionBack, SignedHead
from halloo.messages.login import CarryLetter, LetterAnswer, LetterBack
from halloo.node.descriptor import Descriptor
from halloo.overlay.supernode import RecordKept, Supernode

__all__ = ["Papers"]


class Papers:
    """The machines of one node that speak to login servers.

    From its birth on the persona's notary knows the revocations that ``watch`` hears of.
    """

    def __init__(
        self,
        descriptor: Descriptor,
        persona: Persona,
        memory: Memory,
        numbers: tuple[Numbers, Numbers],
        rng: Random,
        wall: float,
        *,
        supernode: bool,
    ) -> None:
        suite, servers = persona.suite, descriptor.servers
        streams, requests = numbers
        ledger = Ledger(suite.digest, descriptor.id)
        self.revocations = Revocations(ledger)
        self._ledger, self._servers, self._rng, self._wall = ledger, servers, rng, wall
        self._streams, self._requests = streams, requests
        persona.notary = self._notary = notary = replace(persona.notary, revoked=self.revocations.covers)

        def client() -> LoginClient:
            return LoginClient(suite, descriptor.letter_key, servers, rng, streams, requests, wall)

        self.ask = client()
        self.renewal: Renewal | None = None
        self.auditor: Auditor | None = None
        if persona.credential:
            self.renewal = Renewal(client(), notary, persona.private, rng)
            self.auditor = Auditor(ledger, notary, servers, memory, rng, streams, requests)
        self.watch: Watch | None = None
        self.carrier: Carrier | None = None
        if supernode:
            self.watch = self._new_watch()
            self.carrier = Carrier(servers, rng, streams)
        self._machines = self._all()
        self._credential = persona.credential
        self._begun = False

    @property
    def wake_at(self) -> float:
        """When ``wake`` has something to do."""
        return min([machine.wake_at for machine in self._machines])

    def begin(self, now: float) -> Effects:
        """The node comes on line."""
        if self._begun:
            return []
        self._begun = True
        out = self.certified(credential_of(self._credential), now) if self._credential else []
        return out + (self.watch.begin(now) if self.watch else [])

    def _new_watch(self) -> Watch:
        numbers = self._streams, self._requests
        return Watch(
            self._ledger, self._notary, self._servers, self.revocations, self._rng, *numbers, self._wall
        )

    def _all(self) -> tuple[Machine, ...]:
        machines = (self.ask, self.renewal, self.auditor, self.watch, self.carrier)
        return tuple(machine for machine in machines if machine is not None)

    def serve(self, now: float) -> Effects:
        """The node becomes a supernode: read the log, carry letters."""
        if self.watch is not None:
            return []
        self.watch = self._new_watch()
        self.carrier = Carrier(self._servers, self._rng, self._streams)
        self._machines = self._all()
        return self.watch.begin(now)

    def rest(self) -> Effects:
        """It is none any more.  What was heard of revocations is kept."""
        out = self.watch.asking.end() if self.watch else []
        out += self.carrier.end() if self.carrier else []
        self.watch = self.carrier = None
        self._machines = self._all()
        return out

    def certified(self, claims: Claims, now: float) -> Effects:
        """There is a credential, at birth or by a new login."""
        out: Effects = self.renewal.certified(claims, now) if self.renewal else []
        return out + (self.auditor.certified(claims, now) if self.auditor else [])

    def attached(self, supernode: Peer | None, now: float) -> Effects:
        """The supernode changed."""
        out = self.ask.attached(supernode, now)
        if self.renewal is not None:
            out += self.renewal.client.attached(supernode, now)
        if self.auditor is not None:
            out += self.auditor.attached(supernode, now)
            if supernode is None:
                self.auditor.soon(now)
        return out

    def receive(self, message: Message, sender: Any, now: float) -> Effects:
        """What login servers say, to us or by way of us or of our supernode.  Raises PeerError."""
        match message:
            case LetterAnswer():
                out = self.ask.receive(message, now)
                out += self.renewal.receive(message, now) if self.renewal else []
                return out + (self.carrier.receive(message, sender, now) if self.carrier else [])
            case LetterBack():
                out = self.ask.brought_back(message, sender, now)
                return out + (self.renewal.brought_back(message, sender, now) if self.renewal else [])
            case LogTold():
                out = self.auditor.receive(message, now) if self.auditor else []
                out += self.watch.receive(message, now) if self.watch else []
                return out + (self.carrier.told(message, sender) if self.carrier else [])
            case QuestionBack() if self.auditor is not None:
                return self.auditor.brought_back(message, now)
        return []

    def react(self, event: Event, supernode: Supernode | None, now: float) -> Effects:
        """What an event of ours, or of our supernode's duties, means for the others."""
        match event:
            case Audited() if self.renewal is not None and event.report.revoked is not None:
                return self.renewal.hasten(now)  # a credential that was revoked may have a key that was not
            case RecordKept() if self.watch is not None:
                return self.watch.credential_shown(event.entry.claims, event.entry.record.credential, now)
            case HeadSeen() if supernode is not None:
                supernode.head = event.signed
            case KeysRevoked() if supernode is not None:
                return supernode.call_back()
        return []

    def carry(self, message: CarryLetter | CarryQuestion, sender: Peer, key: bytes, now: float) -> Effects:
        """A node of ours wants a letter, or a question about the log, carried."""
        if self.carrier is None:
            return []
        if isinstance(message, CarryQuestion):
            return self.carrier.ask(message, sender, key, now)
        return self.carrier.carry(message, sender, key, now)

    def heads(self, shown: tuple[SignedHead, ...], now: float) -> Effects:
        """A supernode shows the newest head that it has seen."""
        out: Effects = []
        for signed in shown:
            out += self.auditor.head_shown(signed, now) if self.auditor else []
            out += self.watch.head_shown(signed, now) if self.watch else []
        return out

    def entry_shown(self, number: int, now: float) -> Effects:
        """Our supernode tells how far it has read our name in the log."""
        return self.auditor.entry_shown(number, now) if self.auditor else []

    def down(self, peer: Peer) -> Effects:
        """A link ended."""
        return self.carrier.down(peer) if self.carrier else []

    def wake(self, now: float) -> Effects:
        """Do what is due."""
        out: Effects = []
        for machine in self._machines:
            if machine.wake_at <= now:
                out += machine.wake(now)
        return out
