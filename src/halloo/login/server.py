"""The login server: reads letters, checks proofs, certifies keys, and tells what it certified.

    user                            login server
      | --- Letter -----------------> |   opened with the network's login key
      | <-- LetterAnswer ------------ |   a credential for 14 days, or why not
    anybody
      | --- LogAsked ---------------> |
      | <-- LogTold ----------------- |   entries, and the signed head

It keeps a name, a salted digest of what the password proves, and the log of keys; never a password.

Whether a name exists shows in no answer to a wrong password: the same is read, reckoned and counted for a name that
nobody has.  Guessing is counted by name, by host and in all.  So that nobody can be locked out of his account by the
guesses of others, who comes with a key that is certified for the name is counted by that key alone, and who comes
from a host where the name has logged in before is counted there.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field, replace
from random import Random

from halloo.base.address import Channel, Route, Wire, prefix_of
from halloo.base.effects import Send
from halloo.base.errors import PeerError, UsageError
from halloo.base.machine import Effects, Event
from halloo.crypto.suite import Suite
from halloo.login.accounts import Account, Accounts, AccountsUnavailable
from halloo.login.letter import mark_of, open_letter
from halloo.login.limits import Bucket, Limits, Tries
from halloo.login.log import Ledger
from halloo.messages.credential import CLOCK_TOLERANCE, Claims, issue
from halloo.messages.log import EntryKind, LogAsked, LogEntry, LogTold, SignedHead
from halloo.messages.login import Application, Decision, Letter, LetterAnswer, Purpose, Verdict
from halloo.messages.name import folded
from halloo.wire.command import encode_command, encode_shape

__all__ = ["RENEW_GRACE", "VALID_FOR", "LoginServer", "Served"]

VALID_FOR = 14 * 86_400  # seconds that a credential lives
RENEW_GRACE = 30 * 86_400  # seconds after its end in which a key is still good for a renewal, if nothing revoked it
MAX_ANSWERS = 1_024  # answers kept for letters that come again
SEEN_FOR = 2 * CLOCK_TOLERANCE + 60  # seconds that a letter is remembered: after that its time is over
MAX_SEEN = 200_000  # letters; 30 MB, ten minutes at 300 a second
MAX_KNOWN = 100_000  # pairs of name and host remembered
_SIGNATURE_FRAME = 4  # bytes of the object around a signature
_ENTRY_FRAME = 4  # bytes around an entry within its list
HEAD_AGAIN = 60  # seconds for which one signature over the same head serves


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
    limits: Limits = field(default_factory=Limits)
    valid_for: int = VALID_FOR
    """Seconds that a credential lives; never more than VALID_FOR, for which revocations are remembered."""
    tries: Tries = field(default_factory=Tries)
    _answers: OrderedDict[bytes, LetterAnswer] = field(default_factory=OrderedDict)
    _seen: OrderedDict[bytes, float] = field(default_factory=OrderedDict)
    """Letters already answered -> when they may be forgotten."""
    _known: OrderedDict[bytes, None] = field(default_factory=OrderedDict)
    """Digests of (name, host) that have logged in."""
    _head: tuple[int, int, SignedHead] | None = None
    """(count, time, the signed head) last told."""

    @property
    def ledger(self) -> Ledger:
        """How the log of this network is written."""
        return Ledger(self.suite.digest, self.network)

    # --- letters

    def receive(self, letter: Letter, route: Route, now: float) -> Effects:
        """Answer a letter that came over ``route``.  One that was answered long ago is not answered again."""
        mark = mark_of(self.suite, letter)
        known = self._answers.get(mark)
        if known is not None:
            return [Send(route, known)]
        if mark in self._seen:
            return []
        try:
            application, correspondence = open_letter(self.suite, self.letter_key, letter)
        except PeerError:
            return [Send(route, LetterAnswer(request=letter.request))]
        host = b"" if isinstance(route, Channel) else prefix_of(route.address.host)
        try:
            decision = self._decide(application, host, letter.carried, now)
        except AccountsUnavailable as fault:
            decision = Decision(verdict=Verdict.UNAVAILABLE, reason=str(fault)[:200])
        answer = correspondence.write_answer(decision, letter.request)
        if decision.verdict != Verdict.UNAVAILABLE:
            self._remember(mark, answer, now)
        return [Send(route, answer), Served(application.purpose, application.name, decision.verdict)]

    def _remember(self, mark: bytes, answer: LetterAnswer, now: float) -> None:
        self._answers[mark] = answer
        if len(self._answers) > MAX_ANSWERS:
            self._answers.popitem(last=False)
        self._seen[mark] = now + SEEN_FOR
        while self._seen and (len(self._seen) > MAX_SEEN or next(iter(self._seen.values())) <= now):
            self._seen.popitem(last=False)

    def _decide(self, application: Application, host: bytes, carried: bool, now: float) -> Decision:
        wall = int(now + self.wall)
        if abs(application.wall - wall) > CLOCK_TOLERANCE:
            return Decision(verdict=Verdict.CLOCK_WRONG, wall=wall)
        try:
            name = folded(application.name)
        except UsageError as fault:
            return Decision(verdict=Verdict.NAME_INVALID, reason=str(fault)[:200], wall=wall)
        account = self.accounts.find(name)
        standing = self.accounts.standing(self.ledger.name(name), self.ledger.key(application.key))
        right = self._proves(account, application.proof)
        buckets = self._buckets(name, application.key if standing else b"", host, carried)
        wait = self.tries.wait(buckets, now)
        if wait <= 0:
            match application.purpose:
                case Purpose.SIGN_UP if account is None:
                    return self._sign_up(name, application, host, carried, now)
                case Purpose.SIGN_UP | Purpose.LOGIN | Purpose.CHANGE_PASSWORD if right:
                    self._was_here(name, host, carried)
                    return self._certify(name, application, account, now)
                case Purpose.RENEW | Purpose.REVOKE if standing and wall < standing.wall + self.valid_for + RENEW_GRACE:
                    return self._certify(name, application, account, now)
            self.tries.spend(buckets, now)
            taken = application.purpose == Purpose.SIGN_UP
            return Decision(verdict=Verdict.NAME_TAKEN if taken else Verdict.REFUSED, wall=wall)
        return _too_many(wait, wall)

    def _buckets(self, name: str, certified: bytes, host: bytes, carried: bool) -> tuple[Bucket, ...]:
        """By what a wrong try of this one is counted."""
        limits, whose = self.limits, name.encode() + b"\n"
        if certified:
            return ((b"key " + whose + self.ledger.key(certified), limits.wrong_by_name),)
        here = (b"carrier " + host, limits.wrong_carried) if carried else (b"host " + host, limits.wrong_by_host)
        if not carried and self._pair(name, host) in self._known:
            return (b"known " + self._pair(name, host), limits.wrong_by_name), here
        return (b"name " + whose, limits.wrong_by_name), here, (b"all", limits.wrong_in_all)

    def _was_here(self, name: str, host: bytes, carried: bool) -> None:
        """A name was proved from a host; a supernode's says nothing of whom it carries for."""
        if not carried:
            self._known[self._pair(name, host)] = None
            if len(self._known) > MAX_KNOWN:
                self._known.popitem(last=False)

    def _pair(self, name: str, host: bytes) -> bytes:
        return self.suite.digest(name.encode() + b"\n" + host)[:16]

    def _sign_up(self, name: str, application: Application, host: bytes, carried: bool, now: float) -> Decision:
        limits, wall = self.limits, int(now + self.wall)
        rate = limits.sign_ups_carried if carried else limits.sign_ups_by_host
        buckets = (b"sign-ups " + bytes([carried]) + host, rate), (b"sign-ups", limits.sign_ups_in_all)
        wait = self.tries.wait(buckets, now)
        if wait > 0:
            return _too_many(wait, wall)
        if not application.proof:
            return Decision(verdict=Verdict.REFUSED, wall=wall)
        account = self._account(name, application.proof, wall)
        if not self.accounts.create(account):
            return Decision(verdict=Verdict.NAME_TAKEN, wall=wall)
        self.tries.spend(buckets, now)
        self._was_here(name, host, carried)
        return self._certify(name, application, account, now)

    def _certify(self, name: str, application: Application, account: Account | None, now: float) -> Decision:
        """Write into the log what was decided; the credential that says the same."""
        wall = int(now + self.wall)
        certified = ((b"certified " + name.encode(), self.limits.certified_by_name),)
        wait = self.tries.wait(certified, now)
        if wait > 0:
            return _too_many(wait, wall)
        self.tries.spend(certified, now)
        ledger, accounts = self.ledger, self.accounts
        whose, key = ledger.name(name), ledger.key(application.key)
        by_key = application.purpose in (Purpose.RENEW, Purpose.REVOKE)
        with accounts.together():
            # Another server may have changed the password or revoked the key since we looked.
            if accounts.find(name) != account or (by_key and accounts.standing(whose, key) is None):
                return Decision(verdict=Verdict.REFUSED, wall=wall)
            if application.purpose == Purpose.CHANGE_PASSWORD and application.new_proof:
                fresh = self._account(name, application.new_proof, wall)
                accounts.change_proof(name, fresh.salt, fresh.proof)
            if application.purpose in (Purpose.CHANGE_PASSWORD, Purpose.REVOKE):
                accounts.append(whose, ledger.write(EntryKind.REVOKED, whose, b"", wall))
            if application.purpose == Purpose.REVOKE:
                return Decision(verdict=Verdict.OK, wall=wall)
            entry = accounts.append(whose, ledger.write(EntryKind.CERTIFIED, whose, key, wall))
        claims = Claims(
            name=name,
            key=application.key,
            expires=wall + self.valid_for,
            issued=wall,
            network=self.network,
            entry=entry.number,
            entry_hash=ledger.mark_of(entry),
        )
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

    # --- the log

    def asked(self, question: LogAsked, route: Route, now: float) -> Effects:
        """Tell what was asked of the log.  Over UDP an answer is never longer than its question."""
        host = b"" if isinstance(route, Channel) else prefix_of(route.address.host)
        bucket = ((b"questions " + host, self.limits.questions_by_host),)
        if self.tries.wait(bucket, now) > 0:
            return []
        self.tries.spend(bucket, now)
        try:
            told = self._told(question, now)
        except AccountsUnavailable:
            return []  # as silent as a server that is not there: the next one is asked
        if isinstance(route, Wire):
            size = len(encode_command(question)) - self.suite.network_identity.signature_size - _SIGNATURE_FRAME
            told = _cut(told, size)
            if not told.head:
                return []  # the question is too short for any answer
        signature = self.suite.network_identity.sign(self.signing_key, self.ledger.told(question, told))
        return [Send(route, replace(told, signature=signature))]

    def _told(self, question: LogAsked, now: float) -> LogTold:
        newest = self.accounts.newest()
        entries: tuple[LogEntry, ...] = ()
        if question.most:
            entries = self.accounts.page(
                question.first,
                question.most + 1,
                name=question.name,
                revocations=question.revocations,
                since=question.since if question.revocations else 0,  # alone it would mean a search through all
            )
        entries = tuple(entry for entry in entries if newest is not None and entry.number <= newest.number)
        return LogTold(
            entries=entries[: question.most],
            head=(self._signed_head(newest, int(now + self.wall)),),
            more=len(entries) > question.most,
            request=question.request,
        )

    def _signed_head(self, newest: LogEntry | None, wall: int) -> SignedHead:
        count = newest.number if newest else 0
        if self._head is None or self._head[0] != count or wall >= self._head[1] + HEAD_AGAIN:
            signed = self.ledger.head(newest, wall, self.signing_key, self.suite.network_identity.sign)
            self._head = count, wall, signed
        return self._head[2]


def _too_many(wait: float, wall: int) -> Decision:
    return Decision(verdict=Verdict.TOO_MANY, retry_after=int(wait) + 1, wall=wall)


def _cut(told: LogTold, size: int) -> LogTold:
    """As much of an answer as is no longer than ``size`` bytes; without a head where not even that fits."""
    left = size - len(encode_command(replace(told, entries=(), more=True)))
    if left < 0:
        return LogTold(request=told.request)
    kept = 0
    for entry in told.entries:
        left -= len(encode_shape(entry)) + _ENTRY_FRAME
        if left < 0:
            break
        kept += 1
    return replace(told, entries=told.entries[:kept], more=told.more or kept < len(told.entries))
