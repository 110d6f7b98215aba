"""Say a message until it is heard, and hear messages once and in order.

    plain = ack(varint) first(varint) command* padding

``ack`` is the highest number up to which everything was heard; ``first`` numbers the first command, the others
follow on; 0: what the packet carries, if anything, is said once and never again.  A packet that brought something
numbered is answered at once, with whatever else is to be said.  An unheard packet is said again after a time that
follows the round trip (RFC 6298) and doubles.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from math import inf

from halloo.base.errors import Malformed
from halloo.wire.buffer import Reader, Writer
from halloo.wire.command import split_commands

__all__ = ["Reliable", "SignOfLife", "said_once"]

FIRST_WAIT = 0.4  # seconds before the first repetition while the round trip is unknown
LEAST_WAIT = 0.15  # seconds: below it a busy machine looks like a loss
MOST_WAIT = 2.0  # seconds between repetitions at most
WINDOW = 64  # commands said and not yet heard, at most
QUEUE = 512  # commands waiting in all, at most
_HEAD_ROOM = 6  # bytes that ack and first of a first packet may take
MAX_EARLY = 65_536  # bytes kept of what comes before its turn; what is beyond is heard when it is said again


class SignOfLife(bytes):
    """A command, or a packet, that says no more than that one is there.

    When it comes tells as much already; so its size may.
    """


def said_once(plain: bytes) -> list[bytes]:
    """Commands of a packet that are said once, each in its bytes; most packets have none.  Raises Malformed."""
    reader = Reader(plain)
    reader.varint()
    return [] if reader.varint() else split_commands(reader.rest())


@dataclass(slots=True)
class Reliable:
    """One link's memory of what was said and heard.  ``give_up``: seconds unheard before the link is taken for dead."""

    give_up: float = 10.0
    _unheard: deque[bytes] = field(default_factory=deque)
    """Commands numbered ``_base``, ``_base + 1``, … that were not acknowledged."""
    _base: int = 1
    _said: int = 0
    """The highest number said so far."""
    _heard: int = 0
    _early: dict[int, bytes] = field(default_factory=dict)
    _early_size: int = 0
    waiting: int = 0
    """Bytes of commands that were not acknowledged."""
    _ack_due: bool = False
    _repeat_at: float = inf
    _wait: float = FIRST_WAIT
    _silent_since: float = inf
    """When the oldest unheard command was first said, or the last time some were heard."""
    _timed: tuple[int, float] | None = None
    """(number, when said) of one command whose round trip is being measured."""
    round_trip: float = 0.0
    """Smoothed, in seconds; 0 while unknown."""
    _variation: float = 0.0
    repeated: int = 0

    def say(self, command: bytes) -> bool:
        """Take a command to be said.  False when too many wait: the link is dead in all but name."""
        if len(self._unheard) >= QUEUE:
            return False
        self._unheard.append(command)
        self.waiting += len(command)
        return True

    @property
    def unheard(self) -> bool:
        """Whether something said was not acknowledged."""
        return bool(self._unheard)

    @property
    def wake_at(self) -> float:
        """When ``packets`` has something to repeat."""
        return min(self._repeat_at, self._silent_since + self.give_up)

    def dead(self, now: float) -> bool:
        """Whether what was said has been unheard for too long."""
        return now >= self._silent_since + self.give_up

    def packets(self, now: float, room: int) -> list[bytes]:
        """Plain texts to seal and send now, each of at most ``room`` bytes where its commands allow."""
        out: list[bytes] = []
        if now >= self._repeat_at:
            self._wait = min(2 * self._wait, MOST_WAIT)
            self._timed = None
            out.append(self._packet(self._base, room)[0])
            self._repeat_at = now + self._wait
            self.repeated += 1
        limit = min(self._base + len(self._unheard), self._base + WINDOW) - 1
        while self._said < limit:
            packet, count = self._packet(self._said + 1, room)
            if self._timed is None:
                self._timed = (self._said + 1, now)
            self._said += count
            if self._repeat_at == inf:
                self._repeat_at = now + self._wait
            if self._silent_since == inf:
                self._silent_since = now
            out.append(packet)
        if self._ack_due and not out:
            out.append(SignOfLife(Writer().varint(self._heard).varint(0)))
        self._ack_due = False
        return out

    def first_packet(self, room: int, most: int = WINDOW) -> tuple[bytes, int]:
        """A packet of at most ``room`` bytes for a message that begins a link, and how many commands it has (``most``).

        They count as said once ``said_before`` was told so.
        """
        fitting, size = 0, _HEAD_ROOM
        for command in list(self._unheard)[: min(most, WINDOW)]:
            size += len(command)
            if size > room:
                break
            fitting += 1
        out = Writer().varint(self._heard).varint(1 if fitting else 0)
        for command in list(self._unheard)[:fitting]:
            out += command
        return bytes(out), fitting

    def said_before(self, count: int, at: float) -> None:
        """The first ``count`` commands were said at ``at``, in a first packet."""
        if count:
            self._said, self._timed = count, (1, at)
            self._repeat_at, self._silent_since = at + self._wait, at

    def heard(self, plain: bytes, now: float) -> list[bytes]:
        """Commands that are new and in order, each in its bytes.

        Raises:
            Malformed: not a packet of this layer, or an ack of what was never said.
        """
        reader = Reader(plain)
        ack, first = reader.varint(), reader.varint()
        if ack > self._said:
            raise Malformed("something is acknowledged that was never said")
        if ack >= self._base:
            self._acknowledge(ack, now)
        if not first:
            return []
        self._ack_due = True
        for offset, command in enumerate(split_commands(reader.rest())):
            number = first + offset
            # The very next one is always taken: it makes room for the others.
            room = number == self._heard + 1 or self._early_size + len(command) <= MAX_EARLY
            if room and self._heard < number <= self._heard + WINDOW and number not in self._early:
                self._early[number] = command
                self._early_size += len(command)
        out: list[bytes] = []
        while (command_next := self._early.pop(self._heard + 1, None)) is not None:
            self._heard += 1
            self._early_size -= len(command_next)
            out.append(command_next)
        return out

    def once(self, command: bytes) -> bytes:
        """The plain text of a command that is said once."""
        return bytes(Writer().varint(self._heard).varint(0)) + command

    def acknowledge(self) -> None:
        """Let the next packets say what was heard, even if nothing new was."""
        self._ack_due = True

    def _packet(self, first: int, room: int) -> tuple[bytes, int]:
        out = Writer().varint(self._heard).varint(first)
        count, short = 0, True
        for at in range(first - self._base, min(len(self._unheard), WINDOW)):
            command = self._unheard[at]
            if count and len(out) + len(command) > room:
                break
            out += command
            count += 1
            short = short and isinstance(command, SignOfLife)
        return SignOfLife(out) if short else bytes(out), count

    def _acknowledge(self, ack: int, now: float) -> None:
        if self._timed is not None and self._timed[0] <= ack:
            self._measure(now - self._timed[1])
            self._timed = None
        for _ in range(ack - self._base + 1):
            self.waiting -= len(self._unheard.popleft())
        self._base = ack + 1
        waiting = self._said >= self._base
        self._wait = max(LEAST_WAIT, self.round_trip + 4 * self._variation) if self.round_trip else FIRST_WAIT
        self._repeat_at = now + self._wait if waiting else inf
        self._silent_since = now if waiting else inf

    def _measure(self, sample: float) -> None:
        if not self.round_trip:
            self.round_trip, self._variation = sample, sample / 2
        else:
            self._variation += (abs(self.round_trip - sample) - self._variation) / 4
            self.round_trip += (sample - self.round_trip) / 8
