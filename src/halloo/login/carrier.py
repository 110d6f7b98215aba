"""A supernode carries letters and questions between its nodes and the login servers, where their own way is blocked.

    node                    supernode                   login servers
      | --- CarryLetter ------> | --- Letter (carried) -----> first, again, by TCP, second, …
      | <-- LetterBack -------- | <-- LetterAnswer ----------
      | --- CarryQuestion ----> | --- LogAsked -------------> the same
      | <-- QuestionBack ------ | <-- LogTold ---------------

Letters it cannot read, and what is told of the log it cannot alter.  What it does for one node, and in all, is limited.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf
from random import Random

from halloo.base.address import Address, Channel, Peer, Route
from halloo.base.effects import Send
from halloo.base.machine import Effects, Event, Numbers
from halloo.login.asking import Asking
from halloo.login.limits import Bucket, Rate, Tries
from halloo.login.log import one_command
from halloo.messages.log import CarryQuestion, LogAsked, LogTold, QuestionBack
from halloo.messages.login import Carriage, CarryLetter, Letter, LetterAnswer, LetterBack
from halloo.wire.command import encode_command

__all__ = ["Carrier", "LetterCarried"]

FOR_ONE = Rate(6, 20.0)  # letters of one node: a sign-up that is mistyped a few times
IN_ALL = Rate(120, 0.5)  # two a second
QUESTIONS_FOR_ONE = Rate(30, 5.0)  # a name of two hundred entries
LONGEST_ANSWER = 2_048  # bytes; who wants more asks for fewer entries at a time
AT_ONCE = 64  # letters, and questions, on their way


@dataclass(frozen=True, slots=True)
class LetterCarried(Event):
    """A letter was carried for a node; ``answered``: and its answer back."""

    answered: bool


@dataclass(slots=True)
class _Errand:
    peer: Peer
    request: int
    asking: Asking


@dataclass(slots=True)
class Carrier:
    """All letters that one supernode carries."""

    servers: tuple[Address, ...]
    rng: Random
    streams: Numbers
    tries: Tries = field(default_factory=Tries)
    _errands: dict[int, _Errand] = field(default_factory=dict)
    """Letters, by the number that they have towards the login servers."""
    _questions: dict[int, _Errand] = field(default_factory=dict)
    """Questions, by their own number, which their answer is signed with."""

    @property
    def wake_at(self) -> float:
        """When ``wake`` has something to do."""
        if not self._errands and not self._questions:
            return inf
        both = (*self._errands.values(), *self._questions.values())
        return min(errand.asking.wake_at for errand in both)

    def carry(self, message: CarryLetter, sender: Peer, key: bytes, now: float) -> Effects:
        """A node, known by ``key``, wants a letter carried."""
        buckets: tuple[Bucket, ...] = (b"node " + key, FOR_ONE), (b"all", IN_ALL)
        wait = self.tries.wait(buckets, now)
        if wait > 0 or len(self._errands) >= AT_ONCE:
            refused = LetterBack(
                carriage=Carriage.TOO_MANY, retry_after=min(3600, int(wait) + 1), request=message.request
            )
            return [Send(sender, refused)]
        self.tries.spend(buckets, now)
        number = self._free()
        letter = Letter(enclosed=message.enclosed, sealed=message.sealed, carried=True, request=number)
        errand = self._errands[number] = _Errand(sender, message.request, Asking(self.servers, self.rng, self.streams))
        return errand.asking.begin(letter, now)

    def ask(self, message: CarryQuestion, sender: Peer, key: bytes, now: float) -> Effects:
        """A node, known by ``key``, has a question about the log; too many of them get no answer.

        Raises:
            Malformed: this is no question.
        """
        question = one_command(LogAsked, message.question)
        buckets: tuple[Bucket, ...] = (b"questions " + key, QUESTIONS_FOR_ONE), (b"all questions", IN_ALL)
        busy = len(self._questions) >= AT_ONCE or question.request in self._questions
        if busy or self.tries.wait(buckets, now) > 0:
            return []
        self.tries.spend(buckets, now)
        errand = _Errand(sender, message.request, Asking(self.servers, self.rng, self.streams))
        self._questions[question.request] = errand
        return errand.asking.begin(question, now)

    def told(self, message: LogTold, route: Route) -> Effects:
        """What a login server tells of the log; whether it is one, its signature says to the node."""
        errand = self._questions.get(message.request)
        if errand is None or isinstance(route, Channel) or route.address not in self.servers:
            return []
        told = encode_command(message)
        if len(told) > LONGEST_ANSWER:
            return []
        del self._questions[message.request]
        return [*errand.asking.end(), Send(errand.peer, QuestionBack(told=told, request=errand.request))]

    def receive(self, message: LetterAnswer, route: Route, now: float) -> Effects:
        """The answer of a login server, or of somebody with its address: the node will see."""
        errand = self._errands.get(message.request)
        if errand is None or isinstance(route, Channel) or route.address not in self.servers:
            return []
        del self._errands[message.request]
        return [
            *errand.asking.end(),
            Send(errand.peer, LetterBack(carriage=Carriage.ANSWERED, sealed=message.sealed, request=errand.request)),
            LetterCarried(answered=True),
        ]

    def down(self, peer: Peer) -> Effects:
        """A node is gone: its letters need no answer."""
        out: Effects = []
        for number in [number for number, errand in self._errands.items() if errand.peer == peer]:
            out += self._errands.pop(number).asking.end()
        for number in [number for number, errand in self._questions.items() if errand.peer == peer]:
            out += self._questions.pop(number).asking.end()
        return out

    def end(self) -> Effects:
        """We carry nothing any more: nodes ask another."""
        out: Effects = []
        for errand in (*self._errands.values(), *self._questions.values()):
            out += errand.asking.end()
        self._errands.clear()
        self._questions.clear()
        return out

    def wake(self, now: float) -> Effects:
        """Say it again; or tell the node that nobody answered."""
        out: Effects = []
        for number, errand in list(self._errands.items()):
            out += errand.asking.wake(now)
            if now >= errand.asking.until:
                del self._errands[number]
                out += errand.asking.end()
                out.append(Send(errand.peer, LetterBack(carriage=Carriage.SILENT, request=errand.request)))
                out.append(LetterCarried(answered=False))
        for number, errand in list(self._questions.items()):
            out += errand.asking.wake(now)
            if now >= errand.asking.until:
                del self._questions[number]
                out += errand.asking.end()
        return out

    def _free(self) -> int:
        # Not simply the next: who guesses it could answer in the login server's place.
        while (number := self.rng.getrandbits(16)) in self._errands:
            continue
        return number
