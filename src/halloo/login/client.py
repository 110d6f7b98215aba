"""Prove who I am, obtain my credential.

    user                              login servers, in random order
      | --- Letter (UDP) --------------> first
      | --- Letter again, and by TCP --> first
      | --- CarryLetter ----> supernode ---> after 1.5 s of silence, where there is one
      | --- Letter --------------------> second, …
      | <-- LetterAnswer --------------- whichever is there

The same letter goes to all: it is sealed to a key of the network, and its answer is the same.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from random import Random

from halloo.base.address import Address, Peer
from halloo.base.errors import PeerError
from halloo.base.machine import Effects, Event, Numbers
from halloo.crypto.suite import Suite
from halloo.login.asking import CARRY_AFTER, Asking
from halloo.login.letter import Correspondence, write_letter
from halloo.messages.login import (
    Application,
    Carriage,
    CarryLetter,
    Decision,
    Letter,
    LetterAnswer,
    LetterBack,
)

__all__ = ["CARRY_AFTER", "LoginClient", "LoginDecided", "LoginUnreachable"]


@dataclass(frozen=True, slots=True)
class LoginDecided(Event):
    """A login server answered.  ``purpose`` as in the application; ``carried``: by way of a supernode."""

    purpose: int
    decision: Decision
    carried: bool = False


@dataclass(frozen=True, slots=True)
class LoginUnreachable(Event):
    """No login server answered."""

    tried: tuple[Address, ...]
    reason: str


@dataclass(slots=True)
class LoginClient:
    """One application to the login servers of a network.  ``wall``: seconds to add to ``now`` for the wall clock."""

    suite: Suite
    login_key: bytes
    servers: tuple[Address, ...]
    rng: Random
    streams: Numbers
    requests: Numbers
    wall: float
    asking: Asking = field(init=False)
    _letter: Letter | None = None
    _correspondence: Correspondence | None = None
    _purpose: int = 0
    _reason: str = ""

    def __post_init__(self) -> None:
        self.asking = Asking(self.servers, self.rng, self.streams)

    @property
    def wake_at(self) -> float:
        """When ``wake`` has something to do."""
        return self.asking.wake_at

    @property
    def busy(self) -> bool:
        """Whether a letter is out."""
        return self._letter is not None

    def apply(self, application: Application, private: bytes, now: float) -> Effects:
        """Send the application, signed with ``private``, whose public part it names.

        An earlier one that is still out is forgotten.
        """
        request = self.requests() & 0xFFFF
        timed = replace(application, wall=int(now + self.wall))
        letter, self._correspondence = write_letter(self.suite, self.login_key, timed, private, request, self.rng)
        self._letter, self._purpose, self._reason = letter, application.purpose, "no login server answered"
        carried = CarryLetter(enclosed=letter.enclosed, sealed=letter.sealed, request=request)
        return self.asking.begin(letter, now, carried=carried)

    def attached(self, supernode: Peer | None, now: float) -> Effects:
        """The supernode changed; a new one may be asked to carry what is still out."""
        return self.asking.attached(supernode, now)

    def receive(self, message: LetterAnswer, now: float, *, carried: bool = False) -> Effects:
        """An answer; one that is not for our letter, or not from who can read it, is passed over."""
        if self._letter is None or self._correspondence is None or message.request != self._letter.request:
            return []
        try:
            decision = self._correspondence.open_answer(message)
        except PeerError as fault:
            self._reason = str(fault)
            return []
        return [*self._clear(), LoginDecided(self._purpose, decision, carried)]

    def brought_back(self, message: LetterBack, sender: Peer, now: float) -> Effects:
        """What became of a letter that our supernode was to carry."""
        if self._letter is None or sender != self.asking.supernode or message.request != self._letter.request:
            return []
        match message.carriage:
            case Carriage.ANSWERED:
                return self.receive(LetterAnswer(sealed=message.sealed, request=message.request), now, carried=True)
            case Carriage.TOO_MANY:
                self._reason = "no login server answered, and the supernode carries no more letters for now"
            case _:
                self._reason = "no login server answered, neither us nor our supernode"
        return []

    def wake(self, now: float) -> Effects:
        """Say it again, to the next server or by another way; or give up."""
        out = self.asking.wake(now)
        if self._letter is not None and now >= self.asking.until:
            out += self._clear()
            out.append(LoginUnreachable(self.servers, self._reason))
        return out

    def _clear(self) -> Effects:
        self._letter = self._correspondence = None
        return self.asking.end()
