"""One call, from the first ring to goodbye.

    caller                      callee
      | (looks for the callee)     |
      | ------- Invite --------> |   RINGING
      | <------ Ringing -------- |
      | <------ Answer --------- |   TALKING
      | <====== sound =========> |
      | ------- Bye -----------> |   OVER

When both invite each other at the same moment, the call with the lower number is taken on both sides.
Instead of Answer: Decline (refused, busy).  The link below repeats what is lost.  When no sound comes any more the call
is interrupted; it goes on when sound comes again, by whichever way, and ends here when none has come for half a
minute, whatever the other side believes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from halloo.base.address import Peer
from halloo.base.effects import Send
from halloo.base.errors import PeerError, UsageError
from halloo.base.machine import Effects, Event, Message, Timers
from halloo.messages.call import Answer, Bye, Decline, Invite, Ringing, Why

__all__ = ["Answered", "Call", "Ended", "Interrupted", "Rang", "Result", "Resumed", "State"]

RING_FOR = 45.0  # seconds before the caller gives an unanswered call up
RINGS_FOR = 60.0  # seconds before the callee's bell stops by itself: the caller's goodbye was lost
INVITE_FOR = 12.0  # seconds before a call that does not even ring is given up
INTERRUPTED_AFTER = 3.0  # seconds without any packet of sound after which the owner is told
SILENT_FOR = 30.0  # seconds without any: nobody waits longer for a voice, and a way would have been found


class State(Enum):
    """Where a call stands."""

    LOOKING = 0
    CALLING = 1
    RINGING = 2
    TALKING = 3
    OVER = 4


class Result(Enum):
    """How a call ended, in the words of the command line."""

    ENDED = "ended"
    BUSY = "busy"
    REFUSED = "refused"
    NO_ANSWER = "no_answer"
    UNREACHABLE = "unreachable"


class Timer(Enum):
    """What is waited for."""

    RING = 0
    SILENCE = 1
    INTERRUPTED = 2


# where we are, what the peer says -> where we go.  What is not here, the peer may not say.
HEAR: dict[tuple[State, type[Message]], State] = {
    (State.CALLING, Ringing): State.RINGING,
    (State.CALLING, Answer): State.TALKING,
    (State.CALLING, Decline): State.OVER,
    (State.CALLING, Bye): State.OVER,
    (State.RINGING, Ringing): State.RINGING,
    (State.RINGING, Answer): State.TALKING,
    (State.RINGING, Decline): State.OVER,
    (State.RINGING, Bye): State.OVER,
    (State.TALKING, Bye): State.OVER,
    (State.OVER, Ringing): State.OVER,
    (State.OVER, Answer): State.OVER,
    (State.OVER, Decline): State.OVER,
    (State.OVER, Bye): State.OVER,
}

# where we are, what our owner asks -> where we go.
ASK: dict[tuple[State, str], State] = {
    (State.LOOKING, "reached"): State.CALLING,
    (State.LOOKING, "rings"): State.RINGING,
    (State.LOOKING, "meet"): State.TALKING,
    (State.CALLING, "meet"): State.TALKING,
    (State.RINGING, "meet"): State.TALKING,
    (State.LOOKING, "hang_up"): State.OVER,
    (State.CALLING, "hang_up"): State.OVER,
    (State.RINGING, "answer"): State.TALKING,
    (State.RINGING, "refuse"): State.OVER,
    (State.RINGING, "hang_up"): State.OVER,
    (State.TALKING, "hang_up"): State.OVER,
}


@dataclass(frozen=True, slots=True)
class Rang(Event):
    """It rings: there (``outgoing``), or here."""

    call: bytes
    name: str
    outgoing: bool


@dataclass(frozen=True, slots=True)
class Answered(Event):
    """The two can hear each other."""

    call: bytes
    outgoing: bool


@dataclass(frozen=True, slots=True)
class Interrupted(Event):
    """The connection is interrupted: nothing is heard.  Another way is being looked for; the call goes on."""

    call: bytes


@dataclass(frozen=True, slots=True)
class Resumed(Event):
    """The connection is there again, after ``silence`` seconds without sound."""

    call: bytes
    silence: float


@dataclass(frozen=True, slots=True)
class Ended(Event):
    """The call is over.  ``by_us``: we ended it."""

    call: bytes
    result: Result
    reason: str
    by_us: bool


@dataclass(slots=True)
class Call:
    """One call of one of its two sides.  ``name`` is the other one's.

    ``id`` names it to the owner, ``wire`` between the two sides; they differ only where two calls met (``meet``).
    """

    id: bytes
    name: str
    outgoing: bool
    began: float
    peer: Peer | None = None
    state: State = State.LOOKING
    timers: Timers = field(default_factory=Timers)
    rang_at: float | None = None
    answered_at: float | None = None
    ended_at: float | None = None
    wire: bytes = b""
    interrupted: bool = False
    interruptions: int = 0
    heard_at: float = 0.0
    """When the last packet of sound came, or the talk began."""

    def __post_init__(self) -> None:
        self.wire = self.wire or self.id

    @property
    def wake_at(self) -> float:
        """When ``wake`` has something to do."""
        return self.timers.next

    # --- intents

    def reached(self, peer: Peer, now: float) -> Effects:
        """The callee was found and a link to him stands: invite him."""
        self._ask("reached")
        self.peer = peer
        self.timers[Timer.RING] = now + INVITE_FOR
        return [Send(peer, Invite(call=self.wire))]

    def rings(self, peer: Peer, now: float) -> Effects:
        """We were invited."""
        self._ask("rings")
        self.peer, self.rang_at = peer, now
        self.timers[Timer.RING] = now + RINGS_FOR
        return [Send(peer, Ringing(call=self.wire)), Rang(self.id, self.name, outgoing=False)]

    def answer(self, now: float) -> Effects:
        """Take the call.  Raises UsageError when it does not ring here."""
        if self.outgoing:
            raise UsageError("a call that we made ourselves cannot be answered here")
        self._ask("answer")
        return [Send(self._peer, Answer(call=self.wire)), *self._talk(now)]

    def meet(self, peer: Peer, wire: bytes, now: float) -> Effects:
        """Whom we call calls us at the same moment: take his call in place of ours.  Raises UsageError."""
        if not self.outgoing:
            raise UsageError("only a call that we made can meet another one")
        self._ask("meet")
        self.peer, self.wire = peer, wire
        rang = [] if self.rang_at is not None else [Rang(self.id, self.name, outgoing=True)]
        self.rang_at = now if self.rang_at is None else self.rang_at
        return [Send(peer, Answer(call=wire)), *rang, *self._talk(now)]

    def refuse(self, now: float, why: Why = Why.REFUSED) -> Effects:
        """Do not take it.  Raises UsageError when it does not ring here."""
        if self.outgoing:
            raise UsageError("a call that we made ourselves cannot be refused here")
        self._ask("refuse")
        words = "you are in another call" if why is Why.BUSY else "you refused"
        return [Send(self._peer, Decline(call=self.wire, why=why)), self._over(Result.REFUSED, words, now, by_us=True)]

    def hang_up(self, now: float, words: str = "") -> Effects:
        """End it, in whatever state.  Raises UsageError when it is over already."""
        before = self._ask("hang_up")
        talked = before is State.TALKING
        result = Result.ENDED if talked else Result.NO_ANSWER
        over = self._over(result, words or ("you hung up" if talked else "you gave up"), now, by_us=True)
        if self.peer is None:
            return [over]
        return [Send(self.peer, Bye(call=self.wire, why=Why.HUNG_UP if talked else Why.CANCELLED, words=words)), over]

    def unreachable(self, reason: str, now: float) -> Effects:
        """The callee could not be found or reached."""
        return [] if self.state is State.OVER else [self._over(Result.UNREACHABLE, reason, now)]

    def lost(self, reason: str, now: float) -> Effects:
        """The link to the other side is gone."""
        if self.state is State.OVER:
            return []
        result = Result.ENDED if self.state is State.TALKING else Result.UNREACHABLE
        return [self._over(result, f"the line was lost: {reason}", now)]

    def sound_heard(self, now: float) -> Effects:
        """A packet of sound arrived."""
        if self.state is not State.TALKING:
            return []
        silence, self.heard_at = now - self.heard_at, now
        self.timers[Timer.SILENCE] = now + SILENT_FOR
        self.timers[Timer.INTERRUPTED] = now + INTERRUPTED_AFTER
        if not self.interrupted:
            return []
        self.interrupted = False
        return [Resumed(self.id, silence)]

    # --- what the other side says

    def receive(self, message: Message, now: float) -> Effects:
        """Raises PeerError for what may not be said now."""
        before = self._hear(message)
        if before is State.OVER:
            return []
        match message:
            case Ringing():
                if self.rang_at is None:
                    self.rang_at = now
                    self.timers[Timer.RING] = now + RING_FOR
                    return [Rang(self.id, self.name, outgoing=True)]
            case Answer():
                return self._talk(now)
            case Decline() if message.why == Why.BUSY:
                return [self._over(Result.BUSY, f"{self.name} is in another call", now)]
            case Decline():
                return [self._over(Result.REFUSED, f"{self.name} does not take the call", now)]
            case Bye() if before is State.TALKING:
                return [self._over(Result.ENDED, message.words or f"{self.name} hung up", now)]
            case Bye():
                return [self._over(Result.NO_ANSWER, message.words or f"{self.name} gave up", now)]
        return []

    def wake(self, now: float) -> Effects:
        """Nobody came, or nothing is heard any more."""
        due = self.timers.due(now)
        if Timer.SILENCE in due:
            return self._end(Result.ENDED, f"nothing was heard for {SILENT_FOR:.0f} seconds", Why.FAULT, now)
        if Timer.RING in due:
            words = f"{self.name} did not answer" if self.outgoing else "you did not answer"
            return self._end(Result.NO_ANSWER, words, Why.NO_ANSWER, now)
        if Timer.INTERRUPTED in due:
            self.interrupted = True
            self.interruptions += 1
            return [Interrupted(self.id)]
        return []

    # --- inside

    @property
    def _peer(self) -> Peer:
        if self.peer is None:
            raise UsageError("the call has no other side yet")
        return self.peer

    def _ask(self, what: str) -> State:
        before = self.state
        after = ASK.get((before, what))
        if after is None:
            raise UsageError(f"a call that is {before.name.lower()} cannot {what.replace('_', ' ')}")
        self.state = after
        return before

    def _hear(self, message: Message) -> State:
        before = self.state
        after = HEAR.get((before, type(message)))
        # A callee's own ringing is not for the caller to talk about.
        if after is None or (before is State.RINGING and not self.outgoing and not isinstance(message, Bye)):
            raise PeerError(f"{type(message).__name__} while the call is {before.name.lower()}")
        self.state = after
        return before

    def _talk(self, now: float) -> Effects:
        self.answered_at = self.heard_at = now
        self.timers.clear()
        self.timers[Timer.SILENCE] = now + SILENT_FOR
        self.timers[Timer.INTERRUPTED] = now + INTERRUPTED_AFTER
        return [Answered(self.id, self.outgoing)]

    def _end(self, result: Result, words: str, why: Why, now: float) -> Effects:
        return [Send(self._peer, Bye(call=self.wire, why=why)), self._over(result, words, now)]

    def _over(self, result: Result, reason: str, now: float, *, by_us: bool = False) -> Ended:
        self.state, self.ended_at = State.OVER, now
        self.timers.clear()
        return Ended(self.id, result, reason, by_us)
