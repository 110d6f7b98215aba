"""Prove who I am, obtain my credential.

    user                              login servers, in random order
      | --- Letter (UDP) --------------> first
      | --- Letter again, and by TCP --> first
      | --- Letter --------------------> second, …
      | <-- LetterAnswer --------------- whichever is there

The same letter goes to all: it is sealed to a key of the network, and its answer is the same.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf
from random import Random

from halloo.base.address import Address, Route, Stream, Wire
from halloo.base.effects import Send
from halloo.base.errors import PeerError
from halloo.base.machine import Effects, Event, Numbers
from halloo.crypto.suite import Suite
from halloo.login.letter import Correspondence, write_letter
from halloo.messages.login import Application, Decision, Letter, LetterAnswer

__all__ = ["LoginClient", "LoginDecided", "LoginUnreachable"]

# When each server, from the moment its turn comes, is sent the letter, in seconds, and how.
STEPS = ((0.0, False), (0.5, False), (0.8, True), (1.6, False))
NEXT_SERVER = 2.0  # seconds after which the next server is tried as well
PATIENCE = 4.0  # seconds after the last server's turn before giving up


@dataclass(frozen=True, slots=True)
class LoginDecided(Event):
    """A login server answered.  ``purpose`` as in the application."""

    purpose: int
    decision: Decision


@dataclass(frozen=True, slots=True)
class LoginUnreachable(Event):
    """No login server answered."""

    tried: tuple[Address, ...]
    reason: str


@dataclass(slots=True)
class LoginClient:
    """One application to the login servers of a network."""

    suite: Suite
    login_key: bytes
    servers: tuple[Address, ...]
    rng: Random
    streams: Numbers
    requests: Numbers
    _steps: list[tuple[float, Route]] = field(default_factory=list)
    _letter: Letter | None = None
    _correspondence: Correspondence | None = None
    _purpose: int = 0
    _until: float = inf
    _reason: str = "no login server answered"

    @property
    def wake_at(self) -> float:
        """When ``wake`` has something to do."""
        return self._steps[0][0] if self._steps else self._until

    def apply(self, application: Application, now: float) -> Effects:
        """Send the application.  An earlier one that is still out is forgotten."""
        request = self.requests() & 0xFFFF
        self._letter, self._correspondence = write_letter(self.suite, self.login_key, application, request, self.rng)
        self._purpose = application.purpose
        order = list(self.servers)
        self.rng.shuffle(order)
        steps: list[tuple[float, Route]] = []
        for i, address in enumerate(order):
            for after, by_stream in STEPS:
                route: Route = Stream(self.streams(), address) if by_stream else Wire(address)
                steps.append((now + i * NEXT_SERVER + after, route))
        self._steps = sorted(steps, key=lambda step: step[0])
        self._until = now + max(0, len(order) - 1) * NEXT_SERVER + PATIENCE
        return self.wake(now)

    def receive(self, message: LetterAnswer, now: float) -> Effects:
        """An answer; one that is not for our letter, or not from who can read it, is passed over."""
        if self._letter is None or self._correspondence is None or message.request != self._letter.request:
            return []
        try:
            decision = self._correspondence.open_answer(message)
        except PeerError as fault:
            self._reason = str(fault)
            return []
        self._clear()
        return [LoginDecided(self._purpose, decision)]

    def wake(self, now: float) -> Effects:
        """Say it again, to the next server or by another way; or give up."""
        out: Effects = []
        while self._letter is not None and self._steps and self._steps[0][0] <= now:
            out.append(Send(self._steps.pop(0)[1], self._letter))
        if self._letter is not None and now >= self._until:
            self._clear()
            out.append(LoginUnreachable(self.servers, self._reason))
        return out

    def _clear(self) -> None:
        self._letter = self._correspondence = None
        self._steps.clear()
        self._until = inf
