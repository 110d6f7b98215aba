"""The calls of one node: from a name to a voice.

    dial(name) -> search -> record -> reach -> link -> Invite … Answer -> sound
    Invite over a link -> ring -> answer -> sound

One call at a time talks or rings; whoever else calls meanwhile hears that the line is busy.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from math import inf
from random import Random

from halloo.base.address import Address, Channel, Peer, Route
from halloo.base.effects import Send, SendSound, Unlink
from halloo.base.errors import PeerError, UsageError
from halloo.base.machine import Effects, Message, Numbers
from halloo.call.call import Answered, Call, Ended, Result, State
from halloo.media.quality import Quality
from halloo.media.stream import Second, SoundStream
from halloo.messages.call import Decline, Invite, Why
from halloo.messages.credential import Party
from halloo.messages.name import folded
from halloo.overlay.search import SearchDone, Searches
from halloo.path.reach import Policy, Reach, Reached, Unreachable

__all__ = ["CallReport", "PathKind", "Switchboard"]

LINGER = 4.0  # seconds that the way stays open after a call, for the last words to be heard
MAX_DRAINED = 10  # frames: the deepest buffer
KEEP_REPORTS = 64  # calls remembered after they ended


class PathKind(Enum):
    """How the sound of a call travelled."""

    DIRECT = "direct"
    RELAYED = "relayed"


@dataclass(frozen=True, slots=True)
class CallReport:
    """What came of a call.  Times in seconds; None where it did not come to that."""

    name: str
    outgoing: bool
    result: Result | None
    reason: str
    path: PathKind | None
    route: str
    setup: float | None
    """From dialling to ringing."""
    first_audio: float | None
    """From the answer to the first sound that was played."""
    duration: float
    quality: Quality | None
    frames_sent: int
    frames_played: int
    frames_concealed: int
    answered_at: float | None
    """On the world's clock."""
    seconds: tuple[Second, ...]
    """The call second by second, as it was heard here."""
    key: bytes = b""
    """The public key of the other side; empty while it is not known."""


@dataclass(slots=True)
class _Line:
    call: Call
    policy: Policy = Policy.ANY
    search: int | None = None
    reach: Reach | None = None
    stream: SoundStream | None = None
    route: Route | None = None
    first_played_at: float | None = None
    closes_at: float = inf
    ended: Ended | None = None
    key: bytes = b""


class Switchboard:
    """All calls of one node."""

    def __init__(
        self,
        searches: Searches,
        peers: Numbers,
        streams: Numbers,
        requests: Numbers,
        sound: Callable[[], SoundStream],
        rng: Random,
    ) -> None:
        self._searches = searches
        self._peers = peers
        self._streams = streams
        self._requests = requests
        self._sound = sound
        self._rng = rng
        self._lines: dict[bytes, _Line] = {}
        self.supernode: tuple[Peer, Address] | None = None
        self.way: Route | None = None

    @property
    def wake_at(self) -> float:
        """When ``wake`` has something to do."""
        return min((_line_wakes(line) for line in self._lines.values()), default=inf)

    @property
    def active(self) -> list[bytes]:
        """Calls that are not over."""
        return [call for call, line in self._lines.items() if line.call.state is not State.OVER]

    @property
    def ringing(self) -> list[bytes]:
        """Calls that ring here and wait for an answer."""
        return [
            call for call, line in self._lines.items() if line.call.state is State.RINGING and not line.call.outgoing
        ]

    @property
    def known(self) -> list[bytes]:
        """All calls that a report can be had of, the oldest first."""
        return list(self._lines)

    def passes_by(self, peer: Peer) -> bool:
        """Whether a call has the node behind a link for its relay, or asks it to be."""
        return any(
            (line.reach is not None and line.reach.channel is not None and line.reach.channel.hop == peer)
            or (isinstance(line.route, Channel) and line.route.hop == peer and line.call.state is not State.OVER)
            for line in self._lines.values()
        )

    @property
    def closing(self) -> bool:
        """Whether a way is still open for the last words of a call."""
        return any(line.closes_at < inf for line in self._lines.values())

    # --- intents

    def dial(self, name: str, policy: Policy, now: float) -> tuple[bytes, Effects]:
        """Call somebody; the bytes name the call in events.  Raises UsageError."""
        name = folded(name)
        if self.active:
            raise UsageError("there is a call already; end it first")
        search, effects = self._searches.find(name, now)
        call = Call(self._rng.randbytes(8), name, outgoing=True, began=now)
        self._lines[call.id] = _Line(call, policy, search)
        return call.id, effects

    def answer(self, call: bytes, now: float) -> Effects:
        """Take a call that rings here.  Raises UsageError."""
        return self._line(call).call.answer(now)

    def refuse(self, call: bytes, now: float) -> Effects:
        """Do not take it.  Raises UsageError."""
        return self._line(call).call.refuse(now)

    def hang_up(self, call: bytes, now: float, words: str = "") -> Effects:
        """End a call.  Raises UsageError."""
        return self._line(call).call.hang_up(now, words)

    def speak(self, call: bytes, pcm: bytes, now: float) -> Effects:
        """One frame from the microphone (20 ms); outside a conversation it goes nowhere."""
        line = self._lines.get(call)
        if line is None or line.stream is None or line.call.peer is None or line.call.state is not State.TALKING:
            return []
        packet = line.stream.speak(pcm, now)
        return [] if packet is None else [SendSound(line.call.peer, packet)]

    def listen(self, call: bytes, now: float) -> bytes | None:
        """The next frame for the loudspeaker (20 ms); None outside a conversation."""
        line = self._lines.get(call)
        if line is None or line.stream is None or line.call.state is not State.TALKING:
            return None
        frame = line.stream.listen(now)
        if line.first_played_at is None and line.stream.frames_played:
            line.first_played_at = now
        return frame

    def drain(self, call: bytes, now: float) -> list[bytes]:
        """What had come but was not played when the call ended: the last word belongs to a recording."""
        line = self._lines.get(call)
        if line is None or line.stream is None or line.call.state is not State.OVER:
            return []
        out: list[bytes] = []
        while len(line.stream.buffer) and len(out) < MAX_DRAINED:
            out.append(line.stream.listen(now))
        return out

    def stream(self, call: bytes) -> SoundStream | None:
        """The sound of a call, for its figures."""
        line = self._lines.get(call)
        return line.stream if line else None

    def report(self, call: bytes, now: float) -> CallReport:
        """What is known of a call so far.  Raises UsageError for an unknown one."""
        line = self._line(call)
        this, stream = line.call, line.stream
        heard, played = this.answered_at, line.first_played_at
        return CallReport(
            name=this.name,
            outgoing=this.outgoing,
            result=line.ended.result if line.ended else None,
            reason=line.ended.reason if line.ended else "",
            path=None if line.route is None else _kind(line.route),
            route=str(line.route or ""),
            setup=this.rang_at - this.began if this.rang_at is not None else None,
            first_audio=played - heard if played is not None and heard is not None else None,
            duration=(this.ended_at or now) - heard if heard is not None else 0.0,
            quality=stream.quality(now) if stream else None,
            frames_sent=stream.frames_sent if stream else 0,
            frames_played=stream.frames_played if stream else 0,
            frames_concealed=stream.frames_concealed if stream else 0,
            answered_at=heard,
            seconds=tuple(stream.history) if stream else (),
            key=line.key,
        )

    # --- what siblings bring

    def up(self, peer: Peer, party: Party, now: float) -> Effects:
        """A link stands."""
        return self._of_reaches(lambda reach: reach.up(peer, party, now), now)

    def down(self, peer: Peer, reason: str, now: float) -> Effects:
        """A link ended."""
        out = self._of_reaches(lambda reach: reach.down(peer, reason, now), now)
        for line in self._lines.values():
            if line.call.peer == peer:
                out += line.call.lost(reason, now)
        return out

    def moved(self, peer: Peer, route: Route) -> None:
        """A peer is reached another way."""
        for line in self._lines.values():
            if line.call.peer == peer:
                line.route = route

    def relay_said(self, message: Message, sender: Peer, now: float) -> Effects:
        """A relay's answer."""
        return self._of_reaches(lambda reach: reach.receive(message, sender, now), now)

    def found(self, event: SearchDone, now: float) -> Effects:
        """A search ended; perhaps one of ours."""
        line = next((line for line in self._lines.values() if line.search == event.number), None)
        if line is None or line.call.state is not State.LOOKING:
            return []
        line.search = None
        if not event.entries:
            known = "nobody of that name is known here" if event.complete else "the directory did not answer"
            return line.call.unreachable(f"{event.name} was not found: {known}", now)
        entry = event.entries[0]
        if not entry.listing.state:
            return line.call.unreachable(f"{event.name} is off line", now)
        line.key = entry.claims.key
        line.reach = Reach(
            entry.listing,
            entry.claims.key,
            line.policy,
            self.supernode,
            self._peers,
            self._streams,
            self._requests,
            self.way,
        )
        return self._of_reaches(lambda reach: reach.begin(now) if reach is line.reach else [], now)

    def invited(self, message: Invite, sender: Peer, party: Party, route: Route, now: float) -> Effects:
        """Somebody calls us."""
        if self._by_wire(message.call) is not None:
            return []  # said again
        if not party.name:
            raise PeerError("an invitation from somebody without a name")
        rival = next((line for line in self._lines.values() if _calls(line, party.name)), None)
        if rival is not None:
            rival.key = party.key
            return self._met(rival, message.call, sender, route, now)
        if self.active:
            return [Send(sender, Decline(call=message.call, why=Why.BUSY))]
        call = Call(message.call, party.name, outgoing=False, began=now)
        self._lines[call.id] = _Line(call, route=route, key=party.key)
        return call.rings(sender, now)

    def heard(self, message: Message, call: bytes, sender: Peer, now: float) -> Effects:
        """A message about a call.  Only its other side may speak of it."""
        line = self._by_wire(call)
        if line is None or line.call.peer != sender:
            raise PeerError("words about a call that the sender is not in")
        return line.call.receive(message, now)

    def sound_heard(self, peer: Peer, body: bytes, now: float) -> None:
        """A packet of sound."""
        for line in self._lines.values():
            if line.call.peer == peer and line.stream is not None:
                line.call.sound_heard(now)
                line.stream.hear(body, now)

    def wake(self, now: float) -> Effects:
        """Do what is due."""
        out = self._of_reaches(lambda reach: reach.wake(now) if reach.wake_at <= now else [], now)
        for line in list(self._lines.values()):
            if line.call.wake_at <= now:
                out += line.call.wake(now)
            if line.closes_at <= now:
                line.closes_at = inf
                out += self._close(line)
        return out

    def react(self, event: Answered | Ended, now: float) -> Effects:
        """A call began to talk, or ended."""
        line = self._lines.get(event.call)
        if line is None:
            return []
        if isinstance(event, Answered):
            line.stream = self._sound()
        else:
            line.ended = event
            line.closes_at = now + LINGER
            for old in [call for call, held in self._lines.items() if held.call.state is State.OVER][:-KEEP_REPORTS]:
                del self._lines[old]
        return []

    # --- inside

    def _line(self, call: bytes) -> _Line:
        line = self._lines.get(call)
        if line is None:
            raise UsageError("there is no such call")
        return line

    def _of_reaches(self, ask: Callable[[Reach], Effects], now: float) -> Effects:
        """Ask the reach of every line, and follow what it says about its call."""
        out: Effects = []
        for line in list(self._lines.values()):
            if line.reach is None:
                continue
            for effect in ask(line.reach):
                match effect:
                    case Reached() if line.call.state is State.LOOKING:
                        line.route = effect.route
                        out += line.call.reached(effect.peer, now)
                    case Reached():
                        line.closes_at = now  # hung up meanwhile
                    case Unreachable():
                        words = f"{line.call.name} could not be reached: {effect.reason}"
                        out += line.call.unreachable(words, now)
                    case _:
                        out.append(effect)
        return out

    def _by_wire(self, call: bytes) -> _Line | None:
        return next((line for line in self._lines.values() if line.call.wire == call), None)

    def _met(self, line: _Line, theirs: bytes, sender: Peer, route: Route, now: float) -> Effects:
        """Two call each other at the same moment: the lower number goes on, on both sides."""
        if line.call.wire < theirs:
            return []
        out = self._close(line)
        line.search, line.route = None, route
        return out + line.call.meet(sender, theirs, now)

    def _close(self, line: _Line) -> Effects:
        if line.reach is None:
            return []
        reach, line.reach = line.reach, None
        out: Effects = []
        if line.call.peer is not None:
            out.append(Unlink(line.call.peer, "the call is over"))
        return out + reach.close()


def _line_wakes(line: _Line) -> float:
    return min(line.call.wake_at, line.closes_at, line.reach.wake_at if line.reach else inf)


def _calls(line: _Line, name: str) -> bool:
    """Whether a line is calling somebody who has not answered yet."""
    waiting = line.call.state in (State.LOOKING, State.CALLING, State.RINGING)
    return line.call.outgoing and waiting and line.call.name == name


def _kind(route: Route) -> PathKind:
    return PathKind.RELAYED if isinstance(route, Channel) else PathKind.DIRECT
