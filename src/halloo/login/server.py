"""The login server: reads letters, checks proofs, certifies keys.

    user                            login server
      | --- Letter -----------------> |   opened with the network's login key
      | <-- LetterAnswer ------------ |   a credential for 14 days, or why not

It keeps a name, a salted digest of what the password proves, and which keys were certified; never a password.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from random import Random

from halloo.base.address import Channel, Route
from halloo.base.effects import Send
from halloo.base.errors import PeerError, UsageError
from halloo.base.machine import Effects, Event
from halloo.crypto.suite import Suite
from halloo.login.accounts import Account, Accounts, AccountsUnavailable
from halloo.login.letter import open_letter
from halloo.messages.credential import Claims, issue
from halloo.messages.login import Application, Decision, Letter, LetterAnswer, Purpose, Verdict
from halloo.messages.name import folded

__all__ = ["LoginServer", "Served"]

VALID_FOR = 14 * 86_400  # seconds that a credential lives
BURST = 8  # wrong passwords in a row, for one name or from one host, before one has to wait
REFILL = 10.0  # seconds until one more is allowed
MAX_BUCKETS = 20_000  # names and hosts remembered for that; the longest quiet go first
MAX_ANSWERS = 1_024  # answers kept for letters that come again


@dataclass(frozen=True, slots=True)
class Served(Event):
    """A letter was answered."""

    purpose: int
    name: str
    verdict: int


@dataclass(slots=True)
class LoginServer:
    """One login server of a network.  Several may share their keys and accounts."""

    suite: Suite
    network: bytes
    signing_key: bytes
    """The private login key that signs credentials."""
    letter_key: bytes
    """The private key that letters are sealed to."""
    accounts: Accounts
    rng: Random
    wall: float
    _answers: OrderedDict[bytes, LetterAnswer] = field(default_factory=OrderedDict)
    _buckets: OrderedDict[bytes, tuple[float, float]] = field(default_factory=OrderedDict)
    """Name or host -> (wrong tries still allowed, when that was so)."""

    def receive(self, letter: Letter, route: Route, now: float) -> Effects:
        """Answer a letter that came over ``route``."""
        mark = self.suite.digest(letter.enclosed + letter.sealed)
        known = self._answers.get(mark)
        if known is not None:
            return [Send(route, known)]
        try:
            application, correspondence = open_letter(self.suite, self.letter_key, letter)
        except PeerError:
            return [Send(route, LetterAnswer(request=letter.request))]
        try:
            decision = self._decide(application, b"" if isinstance(route, Channel) else route.address.host, now)
        except AccountsUnavailable as fault:
            decision = Decision(verdict=Verdict.UNAVAILABLE, reason=str(fault)[:200])
        answer = correspondence.write_answer(decision, letter.request)
        if decision.verdict != Verdict.UNAVAILABLE:
            self._answers[mark] = answer
            if len(self._answers) > MAX_ANSWERS:
                self._answers.popitem(last=False)
        return [Send(route, answer), Served(application.purpose, application.name, decision.verdict)]

    def _decide(self, application: Application, host: bytes, now: float) -> Decision:
        wall = int(now + self.wall)
        try:
            name = folded(application.name)
        except UsageError as fault:
            return Decision(verdict=Verdict.NAME_INVALID, reason=str(fault)[:200], wall=wall)
        buckets = (b"name " + name.encode(), b"host " + host)
        wait = max(self._wait(bucket, now) for bucket in buckets)
        if wait > 0:
            return Decision(verdict=Verdict.TOO_MANY, retry_after=int(wait) + 1, wall=wall)
        account = self.accounts.find(name)
        right = self._proves(account, application.proof)
        if application.purpose == Purpose.SIGN_UP:
            if account is None:
                if not self.accounts.create(self._account(name, application.proof, wall)):
                    return Decision(verdict=Verdict.NAME_TAKEN, wall=wall)
            elif not right:
                self._spend(buckets, now)
                return Decision(verdict=Verdict.NAME_TAKEN, wall=wall)
        elif application.purpose not in (Purpose.LOGIN, Purpose.CHANGE_PASSWORD) or not right:
            self._spend(buckets, now)
            return Decision(verdict=Verdict.REFUSED, wall=wall)
        if application.purpose == Purpose.CHANGE_PASSWORD and application.new_proof:
            fresh = self._account(name, application.new_proof, wall)
            self.accounts.change_proof(name, fresh.salt, fresh.proof)
        self.accounts.record_key(name, application.key, wall)
        claims = Claims(name=name, key=application.key, expires=wall + VALID_FOR, issued=wall, network=self.network)
        credential = issue(claims, self.signing_key, self.suite.network_identity.sign)
        return Decision(verdict=Verdict.OK, credential=credential, wall=wall)

    def _account(self, name: str, proof: bytes, wall: int) -> Account:
        salt = self.rng.randbytes(16)
        return Account(name, salt, self._stored(salt, proof), wall)

    def _stored(self, salt: bytes, proof: bytes) -> bytes:
        return self.suite.digest.derive(proof, "halloo stored proof", salt, 32)

    def _proves(self, account: Account | None, proof: bytes) -> bool:
        """Whether the proof is right; costs the same when there is no such account."""
        salt, stored = (account.salt, account.proof) if account else (bytes(16), bytes(32))
        # Digests of both are compared: how far two of them agree says nothing about the proofs.
        return self.suite.digest(self._stored(salt, proof)) == self.suite.digest(stored) and account is not None

    def _wait(self, bucket: bytes, now: float) -> float:
        left, at = self._buckets.get(bucket, (float(BURST), now))
        left = min(float(BURST), left + (now - at) / REFILL)
        return 0.0 if left >= 1 else (1 - left) * REFILL

    def _spend(self, buckets: tuple[bytes, ...], now: float) -> None:
        for bucket in buckets:
            left, at = self._buckets.pop(bucket, (float(BURST), now))
            self._buckets[bucket] = min(float(BURST), left + (now - at) / REFILL) - 1, now
            if len(self._buckets) > MAX_BUCKETS:
                self._buckets.popitem(last=False)
