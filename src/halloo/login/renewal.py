"""Keep a credential fresh: when half of its life is over, have the same key certified anew, without the password.

    node                          login servers
      | --- Letter (renew) ---------> |   signed with the certified key; to each of them, until one answers
      | <-- LetterAnswer ------------ |   a new credential

While all of them are dark the node goes on with what it has; it says so when the credential's time is over.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from math import inf
from random import Random

from halloo.base.address import Peer
from halloo.base.errors import PeerError
from halloo.base.machine import Effects, Event, Timers
from halloo.login.client import LoginClient, LoginDecided, LoginUnreachable
from halloo.messages.credential import Claims, Notary
from halloo.messages.login import Application, LetterAnswer, LetterBack, Purpose, Verdict

__all__ = ["CredentialExpired", "Renewal", "RenewalRefused", "Renewed"]

RENEW_AT = (0.5, 0.6)  # parts of a credential's life, from and to: not all are renewed at one moment
OVERDUE = (0.2, 5.0)  # seconds after start, from and to, when that time is over already
BACK_OFF = 60.0  # seconds until the next try, doubled after each
BACK_OFF_MOST = 6 * 3_600.0


class Timer(Enum):
    """What is waited for."""

    RENEW = 0
    EXPIRE = 1


@dataclass(frozen=True, slots=True)
class Renewed(Event):
    """The network certified our key anew."""

    credential: bytes
    claims: Claims


@dataclass(frozen=True, slots=True)
class RenewalRefused(Event):
    """The network does not certify our key any more; in words."""

    reason: str


@dataclass(frozen=True, slots=True)
class CredentialExpired(Event):
    """Our credential's time is over and nobody renewed it; in words, with what to do."""

    name: str
    reason: str


@dataclass(slots=True)
class Renewal:
    """The care for one credential.  ``client`` is its own: what the user asks meanwhile does not disturb it."""

    client: LoginClient
    notary: Notary
    private: bytes
    rng: Random
    claims: Claims | None = None
    timers: Timers = field(default_factory=Timers)
    _failures: int = 0
    _refused: bool = False

    @property
    def wake_at(self) -> float:
        """When ``wake`` has something to do."""
        return min(self.timers.next, self.client.wake_at)

    def certified(self, claims: Claims, now: float) -> Effects:
        """There is a new credential to care for."""
        self.claims, self._failures, self._refused = claims, 0, False
        wall, life = now + self.client.wall, claims.expires - claims.issued
        due = claims.issued + life * self.rng.uniform(*RENEW_AT)
        self.timers[Timer.RENEW] = now + max(due - wall, self.rng.uniform(*OVERDUE))
        self.timers[Timer.EXPIRE] = now + max(0.0, claims.expires - wall)
        return []

    def hasten(self, now: float) -> Effects:
        """The credential is not taken any more, but perhaps the key is: another program of this device may have
        changed the password.  Ask now, unless it was said already that there is no renewal.
        """
        if self.claims is not None and not self._refused and not self.client.busy:
            soon = now + self.rng.uniform(*OVERDUE)
            if not self._failures:  # otherwise it is being tried already, as often as it should
                self.timers[Timer.RENEW] = min(self.timers.get(Timer.RENEW, inf), soon)
        return []

    def receive(self, message: LetterAnswer, now: float) -> Effects:
        """An answer of a login server, perhaps to us."""
        return self._judged(self.client.receive(message, now), now)

    def brought_back(self, message: LetterBack, sender: Peer, now: float) -> Effects:
        """One that a supernode brings."""
        return self._judged(self.client.brought_back(message, sender, now), now)

    def wake(self, now: float) -> Effects:
        """Ask for a renewal, again where need be; notice the end."""
        out = self._judged(self.client.wake(now), now)
        for timer in self.timers.due(now):
            match timer:
                case Timer.RENEW if self.claims is not None:
                    application = Application(purpose=Purpose.RENEW, name=self.claims.name, key=self.claims.key)
                    out += self.client.apply(application, self.private, now)
                case Timer.EXPIRE if self.claims is not None:
                    reason = (
                        "no login server could be reached to renew this login before its time was over; it is tried "
                        f"on, and `halloo login {self.claims.name}` does it as soon as one is there"
                    )
                    out.append(CredentialExpired(self.claims.name, reason))
        return out

    def _judged(self, effects: Effects, now: float) -> Effects:
        """What the client's events mean for us; everything else goes on."""
        out: Effects = []
        for effect in effects:
            match effect:
                case LoginDecided(decision=decision) if decision.verdict == Verdict.OK:
                    out += self._renewed(decision.credential, now)
                case LoginDecided(decision=decision) if decision.verdict == Verdict.REFUSED:
                    self.timers.pop(Timer.RENEW, None)
                    self._refused = True
                    name = self.claims.name if self.claims else "NAME"
                    words = f"the network does not renew this login, its key was revoked; use: halloo login {name}"
                    out.append(RenewalRefused(words))
                case LoginDecided() | LoginUnreachable():
                    self._again(now)
                case _:
                    out.append(effect)
        return out

    def _renewed(self, credential: bytes, now: float) -> Effects:
        try:
            claims = self.notary.credential(credential, now + self.client.wall)
        except PeerError:
            claims = None
        if self.claims is None or claims is None or (claims.name, claims.key) != (self.claims.name, self.claims.key):
            self._again(now)
            return []
        return [*self.certified(claims, now), Renewed(credential, claims)]

    def _again(self, now: float) -> None:
        wait = min(BACK_OFF_MOST, BACK_OFF * 2.0**self._failures)
        self._failures = min(self._failures + 1, 20)
        self.timers[Timer.RENEW] = now + wait * (0.5 + self.rng.random())
