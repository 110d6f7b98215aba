"""The calls of one node: from a name to a voice.

    dial(name) -> search -> record -> reach -> link -> Invite … Answer -> sound
    Invite over a link -> ring -> answer -> sound
    sound -> the way falls silent -> another way, the same link

One call at a time talks or rings; whoever else calls meanwhile hears that the line is busy.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from math import inf
from random import Random

from halloo.base.address import Address, Channel, Peer, Route, Wire
from halloo.base.effects import Send, SendSound, Unlink
from halloo.base.errors import PeerError, UsageError
from halloo.base.machine import Effects, Message, Numbers
from halloo.call.call import Answered, Call, Ended, Result, State
from halloo.media.quality import Quality
from halloo.media.stream import Second, SoundStream
from halloo.messages.call import Decline, Invite, Why
from halloo.messages.credential import Party
from halloo.messages.name import folded
from halloo.messages.overlay import ProbeAccept, ProbeRefuse
from halloo.messages.path import RelayGranted, RelayRefused
from halloo.overlay.join import Join
from halloo.overlay.search import SearchDone, Searches
from halloo.path.continuity import Continuity, Stranded, WayTaken
from halloo.path.reach import Policy, Reach, Reached, Unreachable
from halloo.path.standby import Standby

__all__ = ["CallReport", "PathKind", "Switchboard"]

LINGER = 4.0  # seconds that the way stays open after a call, for the last words to be heard
MAX_DRAINED = 10  # frames: the deepest buffer
KEEP_REPORTS = 64  # calls remembered after they ended
LOOK_UP_EVERY = 5.0  # seconds between two questions to the directory, while no way leads to the other side
SPARE_RELAYS = 5  # supernodes from the host cache that are named to the other side, besides those that answer


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
    interrupted: bool = False
    """Whether nothing is heard now, and another way is being looked for."""
    interruptions: int = 0
    """How often that was so."""


@dataclass(slots=True)
class _Line:
    call: Call
    policy: Policy = Policy.ANY
    search: int | None = None
    reach: Reach | None = None
    ways: Continuity | None = None
    looked_up_at: float = -inf
    """When the directory was asked last where the other side is, while no way led there."""
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
        key: bytes,
        digest: Callable[[bytes], bytes],
        join: Join,
    ) -> None:
        self._key, self._digest, self._join = key, digest, join
        self._searches = searches
        self._peers = peers
        self._streams = streams
        self._requests = requests
        self._sound = sound
        self._rng = rng
        self._lines: dict[bytes, _Line] = {}
        self.supernode: tuple[Peer, Address] | None = None
        self.way: Route | None = None
        self.reachable: tuple[Address, ...] = ()
        """Where others reach us without a relay, as far as is known."""

    @property
    def wake_at(self) -> float:
        """When ``wake`` has something to do."""
        return min(map(_line_wakes, self._lines.values())) if self._lines else inf

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
            or (line.ways is not None and any(channel.hop == peer for channel in line.ways.relays))
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
            interrupted=this.interrupted and this.state is State.TALKING,
            interruptions=this.interruptions,
        )

    # --- what siblings bring

    def up(self, peer: Peer, party: Party, now: float) -> Effects:
        """A link stands."""
        out = self._of_reaches(lambda reach: reach.up(peer, party, now), now)
        return out + self._of_ways(lambda ways: ways.up(peer, now), now)

    def down(self, peer: Peer, reason: str, now: float) -> Effects:
        """A link ended."""
        out = self._of_reaches(lambda reach: reach.down(peer, reason, now), now)
        for line in self._lines.values():
            if line.call.peer == peer:
                out += line.call.lost(reason, now)
                if line.ways is not None:
                    out += line.ways.close()
                    line.ways = None
        return out + self._of_ways(lambda ways: ways.down(peer, reason, now), now)

    def moved(self, peer: Peer, route: Route, now: float) -> None:
        """A peer is reached another way."""
        for line in self._lines.values():
            if line.call.peer == peer:
                line.route = route
                if line.ways is not None:
                    line.ways.moved(route, now)

    def attached(self, supernode: tuple[Peer, Address] | None, way: Route | None, now: float) -> Effects:
        """We have another supernode, reached by ``way``, or none."""
        self.supernode, self.way = supernode, way
        known = self._relays(now)

        def tell(ways: Continuity) -> Effects:
            ways.standby.mine, ways.reachable = known, self.reachable
            return ways.attached(supernode, way)

        return self._of_ways(tell, now)

    def probed(self, message: ProbeAccept | ProbeRefuse, route: Route, now: float) -> Effects:
        """A supernode's answer to a probe, perhaps to one of a call that looks for a relay."""
        if not isinstance(route, Wire):
            return []
        return self._of_ways(lambda ways: ways.probed(message, route.address, now), now)

    def relay_said(self, message: RelayGranted | RelayRefused, sender: Peer, now: float) -> Effects:
        """A relay's answer."""
        out = self._of_reaches(lambda reach: reach.receive(message, sender, now), now)
        return out + self._of_ways(lambda ways: ways.relay_said(message, sender, now), now)

    def relay_closed(self, token: int, sender: Peer, now: float) -> Effects:
        """A relay passes nothing on any more under a token."""
        return self._of_ways(lambda ways: ways.closed(token, sender, now), now)

    def relays_by(self, peer: Peer) -> bool:
        """Whether a link is one that a call has to a supernode, for it to relay."""
        return any(line.ways is not None and line.ways.standby.knows(peer) for line in self._lines.values())

    def uses(self, channel: Channel) -> bool:
        """Whether a call goes by a channel, or would if it had to."""
        lines = self._lines.values()
        return any(line.route == channel or (line.ways and channel in line.ways.relays) for line in lines)

    def way_said(self, message: Message, sender: Peer, way: Route | None, now: float) -> Effects:
        """What the other side of a call says about ways to it, and by which it said so."""
        return self._of_ways(lambda ways: ways.receive(message, way, now) if ways.peer == sender else [], now)

    def found(self, event: SearchDone, now: float) -> Effects:
        """A search ended; perhaps one of ours."""
        line = next((line for line in self._lines.values() if line.search == event.number), None)
        if line is None:
            return []
        line.search = None
        if line.ways is not None:
            return self._found_again(line, event, now)
        if line.call.state is not State.LOOKING:
            return []
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

    def sound_heard(self, peer: Peer, body: bytes, way: Route | None, now: float) -> Effects:
        """A packet of sound, and by which way it came."""
        out: Effects = []
        for line in self._lines.values():
            if line.call.peer == peer and line.stream is not None:
                out += line.call.sound_heard(now)
                line.stream.hear(body, now)
                if line.ways is not None:
                    out += self._followed(line, line.ways.sound(way, now), now)
        return out

    def wake(self, now: float) -> Effects:
        """Do what is due."""
        out = self._of_reaches(lambda reach: reach.wake(now) if reach.wake_at <= now else [], now)
        out += self._of_ways(lambda ways: ways.wake(now) if ways.wake_at <= now else [], now)
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
            return self._keep(line, now)
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

    def _of_ways(self, ask: Callable[[Continuity], Effects], now: float) -> Effects:
        """Ask the ways of every call, and follow what they say about it."""
        out: Effects = []
        for line in list(self._lines.values()):
            if line.ways is not None:
                out += self._followed(line, ask(line.ways), now)
        return out

    def _followed(self, line: _Line, effects: Effects, now: float) -> Effects:
        out: Effects = []
        for effect in effects:
            match effect:
                case WayTaken():
                    line.route = effect.route
                case Stranded():
                    out += self._look_up(line, now)
                    continue
            out.append(effect)
        return out

    def _keep(self, line: _Line, now: float) -> Effects:
        """The two talk: see to it that they go on."""
        call, reach = line.call, line.reach
        if call.peer is None or line.route is None or not line.key:
            return []
        spare = hop = None
        if reach is not None:
            spare, hop = reach.hand_over()
        numbers = self._peers, self._streams, self._requests
        first = self._key < line.key
        standby = Standby(call.peer, self._digest(line.key)[:8], first, *numbers, self.supernode, self.way)
        standby.mine = self._relays(now)
        direct = line.policy is not Policy.RELAYED
        line.ways = Continuity(call.peer, first, direct, self._rng, standby, line.route, self.reachable)
        return self._followed(line, line.ways.begin(spare, hop, now), now)

    def _relays(self, now: float) -> tuple[Address, ...]:
        """Supernodes that could relay for us, our own first."""
        join = self._join
        own = [self.supernode[1]] if self.supernode is not None else []
        known = join.cache.best(SPARE_RELAYS, self._rng, now + join.wall)
        return tuple(dict.fromkeys((*own, *join.scout.spares, *known)))

    def _meeting_places(self, key: bytes) -> tuple[Address, ...]:
        """All supernodes that we know, in an order that this pair of nodes alone has, and both of it have."""
        pair = b"".join(sorted((self._key, key)))
        rank = {one: self._digest(pair + str(one).encode()) for one in self._join.cache.addresses()}
        return tuple(sorted(rank, key=rank.__getitem__))

    def _look_up(self, line: _Line, now: float) -> Effects:
        """No way leads to the other side any more: perhaps the directory knows where it is now."""
        if line.search is not None or now < line.looked_up_at + LOOK_UP_EVERY or line.call.state is not State.TALKING:
            return []
        line.looked_up_at = now
        if line.ways is not None:
            line.ways.standby.others = self._meeting_places(line.key)
        try:
            line.search, effects = self._searches.find(line.call.name, now)
        except UsageError:
            return []
        return effects

    def _found_again(self, line: _Line, event: SearchDone, now: float) -> Effects:
        if line.ways is None or not event.entries or event.entries[0].claims.key != line.key:
            return []
        listing = event.entries[0].listing
        return self._followed(line, line.ways.told(listing.supernode, listing.reachable, now), now)

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
        out: Effects = []
        ways, line.ways = line.ways, None
        reach, line.reach = line.reach, None
        if reach is not None and line.call.peer is not None:
            out.append(Unlink(line.call.peer, "the call is over"))
        if ways is not None:
            out += ways.close()
        return out + reach.close() if reach is not None else out


def _line_wakes(line: _Line) -> float:
    reach, ways = line.reach, line.ways
    return min(line.call.wake_at, line.closes_at, reach.wake_at if reach else inf, ways.wake_at if ways else inf)


def _calls(line: _Line, name: str) -> bool:
    """Whether a line is calling somebody who has not answered yet."""
    waiting = line.call.state in (State.LOOKING, State.CALLING, State.RINGING)
    return line.call.outgoing and waiting and line.call.name == name


def _kind(route: Route) -> PathKind:
    return PathKind.RELAYED if isinstance(route, Channel) else PathKind.DIRECT
