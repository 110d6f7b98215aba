"""The jitter buffer: puts packets back in order, and plays each a fixed time after it was due to come.

    EMPTY --packet--> FILLING --target delay over--> PLAYING --4 frames missing, nothing behind--> STALLED
                         ^                                                                            |
                         +------------------------------------packet----------------------------------+

The player takes one frame every 20 ms: its ticks are the clock.  A frame that is not there when it is due is lost, and
is concealed; when it comes after all it is late, and thrown away.  A delay that follows every spike would be heard
more than the spikes (NetEQ does that); so the delay stays, but for two slow corrections, made in pauses of speech if
there are any: one frame is waited when many packets are late, and one frame is skipped when for a whole second more
was waiting than the target.  They also take up the drift between two clocks.

When nothing comes any more, the clock is held: what comes after a stall is played, not counted as late for ever.
Numbers that make no sense (a peer that began anew, or a hostile one) are set aside, until several in a row agree.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from halloo.base.errors import UsageError
from halloo.media.codec import FRAME_SECONDS
from halloo.media.packet import NUMBERS, Packet
from halloo.media.quality import Arrivals

__all__ = ["MAX_FRAMES", "TARGET_DELAY", "Due", "JitterBuffer", "Kind"]

TARGET_DELAY = 0.040  # s from arrival to play; two frames: one may come out of order, one 20 ms late
MAX_FRAMES = 50  # frames held, one second: what is further ahead does not belong to this stretch of sound
MAX_DELAY = 0.200  # s; beyond it a conversation suffers more from waiting than from gaps
STALLED_AFTER = 4  # frames missing with nothing behind them; then the stream has stopped rather than lost something
SEEN = 64  # frames back that are remembered, to tell a duplicate from a late packet
OLD = 500  # frames back (10 s) that are taken for late; older numbers are taken for another stretch
AGREEING = 5  # packets in a row with new numbers that make a new beginning
WINDOW = 50  # ticks (1 s) over which the least depth and the late packets are counted
LATE_LIMIT = 5  # late packets in a window (10 %) that make the delay grow by a frame
PATIENCE = 25  # ticks (0.5 s) that a correction waits for a pause in the speech


class _State(Enum):
    EMPTY, FILLING, PLAYING, STALLED = range(4)


class Kind(Enum):
    """What a tick of the player brings."""

    PLAY = "play"
    """A frame."""
    LOST = "lost"
    """A frame that is not there: conceal it."""
    HELD = "held"
    """No frame is due: the clock stands still, in a stall or to gain a frame of delay."""
    NOTHING = "nothing"
    """Not begun, or waiting for the delay to fill."""


@dataclass(frozen=True, slots=True)
class Due:
    """What is to be played now."""

    kind: Kind
    number: int = -1
    """The frame, counted on beyond 2^32; -1 where none is due."""
    frame: bytes | None = None
    following: bytes | None = None
    """For a lost frame: the one behind it, if it is here already (it may hold a coarse copy)."""


_NOTHING = Due(Kind.NOTHING)
_HELD = Due(Kind.HELD)


class JitterBuffer:
    """One direction of a call.  All counters are frames, but ``received``, which is packets."""

    __slots__ = (
        "_correcting",
        "_floor",
        "_frames",
        "_held",
        "_in_gap",
        "_late_lately",
        "_least",
        "_missing",
        "_newest",
        "_next",
        "_open",
        "_seen",
        "_start_at",
        "_state",
        "_stray",
        "_strays",
        "_surplus",
        "_target",
        "_ticks",
        "arrivals",
        "delay",
        "discarded",
        "duplicate",
        "gaps",
        "held",
        "late",
        "lost",
        "played",
        "received",
    )

    def __init__(self, target: float = TARGET_DELAY) -> None:
        if not 0.0 <= target <= MAX_DELAY:
            raise UsageError(f"a jitter buffer waits 0 to {1000 * MAX_DELAY:.0f} ms, not {1000 * target:.0f}")
        self._target = target
        self._state = _State.EMPTY
        self._frames: dict[int, tuple[bytes, float]] = {}
        self._next = 0
        self._newest = 0
        self._start_at = 0.0
        self._missing = 0
        self._open = 0  # missing with nothing behind them: lost, if the stream goes on
        self._in_gap = False
        self._held = 0  # ticks of this stall
        self._floor = 0  # while filling: the earliest frame to begin with
        self._seen = 0  # bit n: frame _next - 1 - n was here, in time or not
        self._stray = 0
        self._strays = 0
        self._ticks = 0
        self._least = MAX_FRAMES
        self._late_lately = 0
        self._surplus = 0  # frames to skip; negative: to wait
        self._correcting = 0
        self.arrivals = Arrivals()
        self.received = 0
        """Packets put in."""
        self.played = 0
        """Frames handed out in time."""
        self.lost = 0
        """Frames not there when due, late ones among them; each was concealed.  Those after the last packet of all do
        not count: a stream that ends has lost nothing."""
        self.held = 0
        """Ticks at which the clock was held."""
        self.gaps = 0
        """Runs of lost frames."""
        self.late = 0
        """Frames that came after their time."""
        self.duplicate = 0
        """Packets that were here before."""
        self.discarded = 0
        """Frames thrown away on purpose: to shorten the delay, at a new beginning, or out of place."""
        self.delay = target
        """Time from arrival to play of the latest frames, smoothed, in seconds."""

    def __len__(self) -> int:
        return len(self._frames)

    @property
    def correcting(self) -> bool:
        """Whether the next pause in speech is welcome: ``take`` then wants to know of it."""
        return self._surplus != 0

    # --- in

    def put(self, packet: Packet, now: float) -> None:
        """A packet came."""
        self.received += 1
        number = self._counted(packet.number)
        if self._state is _State.EMPTY:
            self._begin(number, now)
        ahead = number - self._next
        if self._state is _State.FILLING and self._floor <= number < self._next and self._newest - number < MAX_FRAMES:
            # The first ones came out of order: begin with the earliest.
            self._seen >>= -ahead
            self._next, ahead = number, 0
        if self._state is _State.STALLED and ahead >= 0:
            self._resume(number, now)
            ahead = 0
        if 0 <= ahead < MAX_FRAMES:
            self._strays = 0
            self._keep(number, packet.frame, now)
        elif -OLD <= ahead < 0:
            self._behind(number, now)
            if self._state is not _State.STALLED or not self._astray(number):
                return
            self._begin(number, now)
            self._keep(number, packet.frame, now)
        elif self._astray(number):
            self._begin(number, now)
            self._keep(number, packet.frame, now)
        else:
            self.discarded += 1
            return
        for copy in packet.copies:
            earlier = number - copy.offset
            if self._next <= earlier < self._next + MAX_FRAMES and earlier not in self._frames:
                self._frames[earlier] = copy.frame, now

    def _counted(self, number: int) -> int:
        """The number without wrapping: that nearest to where we are."""
        if self._state is _State.EMPTY:
            return number
        half = NUMBERS // 2
        return self._next + (number - self._next + half) % NUMBERS - half

    def _keep(self, number: int, frame: bytes, now: float) -> None:
        if number in self._frames:
            self.duplicate += 1
            return
        self._confirm()
        self.arrivals.heard(number, now)
        self._frames[number] = frame, now
        self._newest = max(self._newest, number)

    def _behind(self, number: int, now: float) -> None:
        if self._was(number):
            self.duplicate += 1
            return
        self._confirm()
        self.late += 1
        self._late_lately += 1
        self.arrivals.heard(number, now)
        back = self._next - 1 - number
        if back < SEEN:
            self._seen |= 1 << back

    def _confirm(self) -> None:
        """The stream goes on: the frames that were missing at its end are lost, it had not merely ended."""
        if self._open:
            self.lost += self._open
            self.gaps += 1
            self._open = 0

    def _was(self, number: int) -> bool:
        back = self._next - 1 - number
        return 0 <= back < SEEN and bool(self._seen >> back & 1)

    def _astray(self, number: int) -> bool:
        """Whether enough packets in a row have agreed on numbers far from ours."""
        agrees = self._strays > 0 and 0 < number - self._stray < MAX_FRAMES
        self._strays = self._strays + 1 if agrees else 1
        self._stray = number
        return self._strays >= AGREEING

    def _begin(self, number: int, now: float) -> None:
        self.discarded += len(self._frames)
        self._frames.clear()
        self._state = _State.FILLING
        self._next = self._newest = number
        self._start_at = now + self._target
        self._floor = number - MAX_FRAMES
        self._in_gap = False
        self._seen = self._missing = self._open = self._held = self._strays = 0
        self._calm()

    def _resume(self, number: int, now: float) -> None:
        """Sound comes again after a stall; from the frame that the clock was held at on, anything may still come."""
        self._floor = self._next
        gone = number - self._next
        self._seen = (self._seen << gone) & ((1 << SEEN) - 1) if gone < SEEN else 0
        self._state = _State.FILLING
        self._next = self._newest = number
        self._start_at = now + self._target
        self._in_gap = False
        self._missing = self._strays = 0
        self._calm()

    # --- out

    def take(self, now: float, quiet: bool = False) -> Due:
        """What to play in this tick of 20 ms.  ``quiet``: the last frame was a pause, in which nobody hears a skip."""
        if self._state is _State.FILLING and now >= self._start_at - FRAME_SECONDS / 2:
            # Half a frame early or late: the ticks of the player fall anywhere.
            self._state = _State.PLAYING
            # After a stall: what never came is lost, as far as the clock has stood.
            self.lost += min(self._next - self._floor, self._held)
            self._held = 0
        if self._state is _State.PLAYING:
            return self._play(now, quiet)
        if self._state is _State.EMPTY or not self.played:
            return _NOTHING
        self._held += self._state is _State.STALLED
        self.held += 1
        return _HELD

    def _play(self, now: float, quiet: bool) -> Due:
        self._measure()
        if self._surplus:
            self._correcting += 1
            if quiet or self._correcting > PATIENCE:
                self._correcting = 0
                if self._surplus < 0:
                    self._surplus += 1
                    self.held += 1
                    return _HELD
                self._surplus -= 1
                if self._newest > self._next:
                    self._skip()
        number = self._next
        entry = self._frames.pop(number, None)
        if entry is None:
            return self._miss(number)
        self._advance(here=True)
        self._in_gap = False
        self._missing = 0
        self.played += 1
        frame, came = entry
        self.delay += (max(0.0, now - came) - self.delay) / 16.0
        return Due(Kind.PLAY, number, frame)

    def _miss(self, number: int) -> Due:
        if self._frames:
            self._missing = 0
            self.lost += 1
            self.gaps += not self._in_gap
        elif self._missing == STALLED_AFTER:
            self._state = _State.STALLED
            self._held = 1
            self.held += 1
            return _HELD
        else:
            self._missing += 1
            self._open += 1
        self._in_gap = True
        self._advance(here=False)
        behind = self._frames.get(number + 1)
        return Due(Kind.LOST, number, None, behind[0] if behind else None)

    def _advance(self, here: bool) -> None:
        self._next += 1
        self._seen = (self._seen << 1 | here) & ((1 << SEEN) - 1)

    def _skip(self) -> None:
        """Leave out a frame, to be a frame less late from now on."""
        here = self._frames.pop(self._next, None) is not None
        self.discarded += here
        self.lost += not here
        self._advance(here=here)

    def _measure(self) -> None:
        """Once a second: was more waiting all the time than asked for, or too much late?"""
        depth = self._newest - self._next + 1
        self._least = min(self._least, max(0, depth))
        self._ticks += 1
        if self._ticks < WINDOW:
            return
        surplus = self._least - 1 - round(self._target / FRAME_SECONDS)
        late = self._late_lately
        self._calm()
        if surplus > 0:
            self._surplus = surplus
        elif late >= LATE_LIMIT and self.delay < MAX_DELAY:
            self._surplus = -1

    def _calm(self) -> None:
        self._ticks = self._late_lately = self._surplus = self._correcting = 0
        self._least = MAX_FRAMES
