"""A login server with its keys, and users who write to it, for the tests."""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace

from halloo.base.address import Address, Wire
from halloo.base.effects import Send
from halloo.crypto.suite import Suite
from halloo.crypto.suites import SUITES
from halloo.login.accounts import Accounts, AccountsInMemory
from halloo.login.letter import write_letter
from halloo.login.limits import Limits
from halloo.login.log import Ledger
from halloo.login.server import LoginServer
from halloo.messages.credential import Claims, Notary, credential_of
from halloo.messages.log import LogAsked, LogEntry, LogTold
from halloo.messages.login import Application, Decision, LetterAnswer, Purpose

__all__ = ["PLAIN", "WALL", "Office", "proof_of"]

PLAIN = SUITES[0]
WALL = 1.8e9
NETWORK = b"network!"


def proof_of(name: str, text: str) -> bytes:
    """What a password proves, cheaply."""
    return PLAIN.password.prove(name, text, NETWORK)


@dataclass
class Office:
    """A login server and its keys; ``private`` is the key of whoever asks."""

    suite: Suite = PLAIN
    accounts: Accounts = field(default_factory=AccountsInMemory)
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        self.rng = rng = random.Random(7)
        self.login = self.suite.network_identity.make(rng)
        self.letter = self.suite.network_envelope.make(rng, b"")
        self.letter_key = self.suite.network_envelope.public(self.letter)
        self.server = LoginServer(
            self.suite, NETWORK, self.login, self.letter, self.accounts, rng, WALL, self.limits
        )
        public = self.suite.network_identity.public(self.login)
        suite = self.suite
        self.notary = Notary(NETWORK, (public,), suite.network_identity.verify, suite.identity.verify, suite.digest)
        self.ledger = Ledger(self.suite.digest, NETWORK)
        self.private = self.suite.identity.make(rng)

    @property
    def key(self) -> bytes:
        """The public key of whoever asks."""
        return self.suite.identity.public(self.private)

    def fresh_key(self) -> bytes:
        """Ask with another key from now on; the private one."""
        self.private = self.suite.identity.make(self.rng)
        return self.private

    def ask(
        self,
        purpose: int,
        name: str,
        password: str = "",
        *,
        now: float = 0.0,
        new: str = "",
        host: str = "192.0.2.50",
        carried: bool = False,
        written: float | None = None,
    ) -> Decision:
        """One letter and its answer.  ``written``: when it was, if not now."""
        application = Application(
            purpose=purpose,
            name=name,
            proof=proof_of(name, password) if password else b"",
            key=self.key,
            new_proof=proof_of(name, new) if new else b"",
            wall=int((now if written is None else written) + WALL),
        )
        letter, correspondence = write_letter(
            self.suite, self.letter_key, application, self.private, 9, random.Random()
        )
        route = Wire(Address.of(host, 5000))
        send = self.server.receive(replace(letter, carried=carried), route, now)[0]
        assert isinstance(send, Send)
        assert isinstance(send.message, LetterAnswer)
        assert send.to == route
        return correspondence.open_answer(send.message)

    def claims(self, purpose: int, name: str, password: str = "", **more: object) -> Claims:
        """What the credential says that is asked for."""
        return credential_of(self.ask(purpose, name, password, **more).credential)  # type: ignore[arg-type]

    def sign_up(self, *names: str) -> None:
        """Accounts with the password "secret"."""
        for name in names:
            self.ask(Purpose.SIGN_UP, name, "secret")

    def told(self, question: LogAsked, *, now: float = 0.0, host: str = "192.0.2.60") -> LogTold | None:
        """What the server tells of its log over UDP, if anything."""
        for effect in self.server.asked(question, Wire(Address.of(host, 5000)), now):
            assert isinstance(effect, Send)
            assert isinstance(effect.message, LogTold)
            return effect.message
        return None

    @property
    def log(self) -> list[LogEntry]:
        """The whole log."""
        return list(self.accounts.page(0, 1_000_000))
