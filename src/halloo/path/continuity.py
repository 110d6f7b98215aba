"""Keep a call going while its ways come and go: the link and its keys stay, only the way changes.

    one side                 relay 1 (in use)   relay 2 (warm)        the other
      | ===== sound ============== | ======================== sound ==> |
      | --- PathProbe -----------------------------> | ----- and Echo - |   now and then
      |                            x                 |                  |   nothing comes by the first any more
      | --- PathProbe: follow ---------------------> | ---------------> |
      | ===== sound ===============================> | ======= sound => |   at once; and a new second relay is sought

What shows that a way leads there is the sound itself, 50 packets a second; a way that is not in use is probed.  A way
is taken only when a number that we drew came back by it: whoever copies a packet elsewhere gains nothing.

The side with the lower key (``first``) sees to the spare way and chooses the better of two that work; the other one
follows.  Either moves when the way in use falls silent.  When all ways are silent, both look for a new one, by relays
and directly, as long as the call lasts (see ``call``, which ends it).  A direct way is tried again and again beside
the relays: both probe the addresses of the other at the same time, which opens most boxes; it is taken once it works.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from math import inf
from random import Random

from halloo.base.address import Address, Channel, Peer, Route, Stream, Wire
from halloo.base.effects import Patience, Release, Reroute, Send, SendOnce
from halloo.base.machine import Effects, Event, Message, Timers
from halloo.messages.overlay import ProbeAccept, ProbeRefuse
from halloo.messages.path import (
    MAX_HINTS,
    MeetAt,
    PathEcho,
    PathProbe,
    RelayClose,
    RelayGranted,
    RelayRefused,
    WayHints,
)
from halloo.path.hop import Hop
from halloo.path.standby import ChannelReady, Standby

__all__ = ["Continuity", "Stranded", "WayTaken"]

QUIET = 0.18  # seconds of silence, besides the usual pauses, after which a way in use is doubted: nine packets
PAUSES = 1.5  # usual pauses that are no silence either
LONGEST_PAUSE = 2.0  # seconds: no stream of sound rests for longer by itself
STRANDED_AFTER = 1.0  # seconds of silence on all ways after which new ones are sought
LOOK_EVERY = 0.3  # seconds between two looks while the way in use is silent
FOLLOW_AFTER = 0.15  # seconds of silence on ours while sound comes by another way, after which that one is taken
SETTLES_IN = 1.5  # seconds after a change in which what comes by the old way is only late
WARM_EVERY = 4.0  # seconds between two probes of a way that is not in use; it keeps boxes open, too
COLD_AFTER = 13.0  # seconds unheard after which such a way is given up: three probes
PROVE_WITHIN = 6.0  # seconds in which a new way has to show that it leads there
PROBE_FIRST, PROBE_MOST = 0.2, 1.6  # seconds between probes of a new way: twice as long each time, up to
UNANSWERED = 8  # probes of one way that an answer may still come to
BETTER_BY = 0.02  # seconds of round trip that are worth a change of relay,
CHANGE_EVERY = 10.0  # and seconds between two such changes
SEEK_SPREAD = 25.0  # seconds over which those who have lost their second relay look for another: many lose it at once
SEEK_MOST = 60.0  # seconds between two attempts, which become rarer: where none opens, supernodes have more to do
DIRECT_EVERY = 60.0  # seconds between two attempts to do without relays
LOST_FOR = 60.0  # seconds that the link waits for a way: longer than any call does
MAX_CHANNEL_WAYS = 6  # relays that may lead to the other side at once, two of them wanted
MAX_DIRECT_WAYS = 12  # addresses of the other side that are tried at once


class Timer(Enum):
    """What is waited for."""

    LOOK = 0
    WARM = 1
    DIRECT = 2


@dataclass(frozen=True, slots=True)
class WayTaken(Event):
    """The other side is spoken to by ``route`` now, as nothing had come by the last way for ``silence`` seconds."""

    peer: Peer
    route: Route
    silence: float


@dataclass(frozen=True, slots=True)
class Stranded(Event):
    """No way leads to the other side any more.  Told again and again: where is it now?"""

    peer: Peer


@dataclass(slots=True)
class _Way:
    route: Route
    heard_at: float
    proved: bool = False
    """Whether a probe of ours was answered by it."""
    wanted: bool = False
    """Whether the other side asked to be spoken to by it."""
    left_at: float = -inf
    """When we left it because it was silent."""
    until: float = inf
    """When it is forgotten if it has not shown that it leads there."""
    probe_at: float = inf
    wait: float = PROBE_FIRST
    asked: dict[bytes, float] = field(default_factory=dict)
    """Numbers of probes that were not answered, and when they were sent."""
    round_trip: float = 0.0
    """Smoothed, in seconds; 0 while unknown."""


@dataclass(slots=True)
class Continuity:
    """The ways of one call.  ``direct``: whether ways without a relay may be tried."""

    peer: Peer
    first: bool
    direct: bool
    rng: Random
    standby: Standby
    route: Route
    """The way in use."""
    reachable: tuple[Address, ...] = ()
    """Where we can be reached ourselves."""
    theirs: tuple[Address, ...] = ()
    """Where the other side said that it can be reached."""
    stranded: bool = False
    timers: Timers = field(default_factory=Timers)
    _ways: dict[Route, _Way] = field(default_factory=dict)
    _since: float = -inf
    """When the way in use was taken."""
    _changed_at: float = -inf
    _sound_at: float = -inf
    _pause: float = LONGEST_PAUSE / 4
    """What usually passes between two packets of sound, in seconds."""
    _warmed: int = 0
    _seek_at: float = inf
    """From when on another second relay is sought."""
    _seek_wait: float = SEEK_SPREAD / 2

    @property
    def wake_at(self) -> float:
        """When ``wake`` has something to do."""
        at = min(self.timers.next, self.standby.wake_at)
        for way in self._ways.values():
            if way.probe_at < at:
                at = way.probe_at
        return at

    @property
    def relays(self) -> list[Channel]:
        """The channels there are, known to lead there or not."""
        return [route for route in self._ways if isinstance(route, Channel)]

    # --- intents

    def begin(self, spare: Channel | None, hop: Hop | None, now: float) -> Effects:
        """The two talk.  ``spare``: a channel that was opened and is not in use; ``hop``: the link to its relay."""
        self._ways[self.route] = _Way(self.route, now, proved=True)
        self._since = self._sound_at = now
        self.timers[Timer.LOOK] = now + QUIET
        self.timers[Timer.WARM] = now + STRANDED_AFTER
        if hop is not None:
            self.standby.adopt(hop, now)
        out: Effects = [Patience(self.peer, LOST_FOR)]
        if spare is not None and spare != self.route:
            out += self._try(spare, now)
        return out + self.hints()

    def hints(self) -> Effects:
        """Tell the other side where we are."""
        where = self.reachable[:MAX_HINTS] if self.direct else ()
        return [Send(self.peer, WayHints(supernodes=self.standby.mine[:MAX_HINTS], reachable=where))]

    def told(self, supernode: Address | None, reachable: tuple[Address, ...], now: float) -> Effects:
        """The directory knows where the other side is now."""
        if supernode is not None:
            known = dict.fromkeys((supernode, *self.standby.theirs))
            self.standby.theirs = tuple(known)[:MAX_HINTS]
        self.theirs = tuple(dict.fromkeys((*reachable, *self.theirs)))[:MAX_HINTS]
        return self._search(now) if self.stranded else []

    def close(self) -> Effects:
        """The call is over: give all relays back."""
        out: Effects = []
        for route in list(self._ways):
            out += self._drop(route)
        self.timers.clear()
        return out + self.standby.close()

    # --- what is heard

    def sound(self, route: Route | None, now: float) -> Effects:
        """A packet of sound came by ``route``."""
        self._pause += (min(now - self._sound_at, LONGEST_PAUSE) - self._pause) / 8
        self._sound_at = now
        if route is None:
            return []
        way = self._ways.get(route)
        if way is None:
            return self._try(route, now)
        way.heard_at = now
        if route == self.route:
            return self._found()
        if way.proved and self._silence(now) > FOLLOW_AFTER and now > self._since + SETTLES_IN:
            return self._take(way, now)
        return []

    def receive(self, message: Message, route: Route | None, now: float) -> Effects:
        """What the other side says about ways; ``route``: by which it came, where it was said once."""
        match message:
            case WayHints():
                self.standby.theirs = message.supernodes
                self.theirs = message.reachable
                self.timers[Timer.DIRECT] = now
            case MeetAt():
                return self.standby.meet(message.supernode, now)
            case PathProbe() if route is not None:
                return self._probed(message, route, now)
            case PathEcho() if route is not None:
                return self._echoed(message, route, now)
        return []

    def probed(self, message: ProbeAccept | ProbeRefuse, address: Address, now: float) -> Effects:
        """A supernode's answer to a probe, perhaps of ours."""
        return self.standby.probed(message, address, now)

    def relay_said(self, message: RelayGranted | RelayRefused, sender: Peer, now: float) -> Effects:
        """A relay's answer."""
        out: Effects = []
        for effect in self.standby.receive(message, sender, now):
            if isinstance(effect, ChannelReady):
                out += self._try(effect.channel, now)
                if effect.channel not in self._ways:
                    out += _give_back(effect.channel)
            else:
                out.append(effect)
        return out

    def closed(self, token: int, relay: Peer, now: float) -> Effects:
        """A relay does not pass on what comes under a token any more."""
        return self._gone([route for route in self.relays if (route.token, route.hop) == (token, relay)], now)

    def up(self, peer: Peer, now: float) -> Effects:
        """A link stands."""
        return self.standby.up(peer, now)

    def down(self, peer: Peer, reason: str, now: float) -> Effects:
        """A link ended, and with it the ways that went by it."""
        gone = [route for route in self.relays if route.hop == peer]
        address = self.standby.address_of(peer) if gone else None
        if address is not None:
            self.standby.avoid(address, now)
        self.standby.down(peer, reason, now)
        return self._gone(gone, now)

    def moved(self, route: Route, now: float) -> None:
        """The other side's address has changed under the way in use."""
        way = self._ways.pop(self.route, None) or _Way(route, now, proved=True)
        way.route = route
        self._ways[route], self.route = way, route

    def attached(self, supernode: tuple[Peer, Address] | None, way: Route | None) -> Effects:
        """We have another supernode, or none."""
        self.standby.supernode = supernode
        if way is not None:  # while there is none, we reach others as we have reached the last one
            self.standby.way = way
        return self.hints() if supernode is not None else []

    def wake(self, now: float) -> Effects:
        """Look whether the way in use still leads there; keep the spare one warm; probe what is new."""
        out: Effects = self.standby.wake(now) if self.standby.wake_at <= now else []
        for timer in self.timers.due(now):
            match timer:
                case Timer.LOOK:
                    out += self._look(now)
                case Timer.WARM:
                    self.timers[Timer.WARM] = now + WARM_EVERY
                    out += self._keep_warm(now)
                case Timer.DIRECT:
                    self.timers[Timer.DIRECT] = now + DIRECT_EVERY
                    out += self._try_directly(now)
        for way in [way for way in self._ways.values() if way.probe_at <= now]:
            if way.proved:
                way.probe_at = inf
            elif way.until <= now:
                out += self._drop(way.route)
            else:
                way.wait = min(2 * way.wait, PROBE_MOST)
                way.probe_at = now + way.wait
                out.append(self._probe(way, now))
        return out

    # --- whether the way in use leads there

    @property
    def _used(self) -> _Way:
        return self._ways[self.route]

    def _silence(self, now: float) -> float:
        """For how long nothing has come by the way in use."""
        return now - max(self._used.heard_at, self._since) if self.route in self._ways else inf

    def _doubted_at(self) -> float:
        """When the way in use has been silent for so long that it is doubted."""
        if self.route not in self._ways:
            return -inf
        return max(self._used.heard_at, self._since) + QUIET + PAUSES * self._pause

    def _look(self, now: float) -> Effects:
        doubted_at = self._doubted_at()
        if now < doubted_at:
            self.timers[Timer.LOOK] = doubted_at
            return []
        self.timers[Timer.LOOK] = now + LOOK_EVERY
        out: Effects = []
        way = self._spare(now)
        if isinstance(self.route, Channel) and (way is not None or not self.stranded):
            out += self.standby.ping(self.route.hop)
        if way is not None:
            if self.route in self._ways:
                self._used.left_at = now
            return out + self._take(way, now, follow=True)
        for held in self._ways.values():
            if held.proved:
                out.append(self._probe(held, now, follow=held.route == self.route))
        last = max((held.heard_at for held in self._ways.values() if held.proved), default=-inf)
        if now - last >= STRANDED_AFTER + PAUSES * self._pause:
            out += self._search(now)
        return out

    def _spare(self, now: float) -> _Way | None:
        """The best other way of which something was heard lately, and since it was left."""
        fresh = [
            way
            for way in self._ways.values()
            if way.proved and way.route != self.route and way.heard_at > max(way.left_at, now - COLD_AFTER)
        ]
        return min(fresh, key=_rank, default=None)

    def _take(self, way: _Way, now: float, *, follow: bool = False) -> Effects:
        """Speak by another way from now on."""
        silence = self._silence(now)
        self.route, self._since = way.route, now
        way.wanted = False
        rested = self._found()
        self.timers[Timer.LOOK] = now + LOOK_EVERY
        self.timers[Timer.WARM] = min(self.timers.get(Timer.WARM, inf), now + STRANDED_AFTER)
        out: Effects = [Reroute(self.peer, way.route), WayTaken(self.peer, way.route, silence), *rested]
        if follow:
            out.append(self._probe(way, now, follow=True))
        return out

    def _found(self) -> Effects:
        """There is a way."""
        if not self.stranded:
            return []
        self.stranded = False
        return self.standby.rest()

    def _gone(self, routes: list[Channel], now: float) -> Effects:
        """Relays are gone for certain."""
        out: Effects = []
        for route in routes:
            out += self._drop(route, told=True)
        if self.route in routes:
            way = self._spare(now)
            out += self._take(way, now, follow=True) if way is not None else self._search(now)
        return out

    def _search(self, now: float) -> Effects:
        """No way is left: look for one, by all means."""
        self.stranded = True
        self.timers[Timer.LOOK] = min(self.timers.get(Timer.LOOK, inf), now + LOOK_EVERY)
        self.timers.setdefault(Timer.DIRECT, now)
        self.timers[Timer.DIRECT] = min(self.timers[Timer.DIRECT], now + STRANDED_AFTER)
        return [*self.standby.search(self._addresses(), now), Stranded(self.peer)]

    # --- ways that are not in use

    def _keep_warm(self, now: float) -> Effects:
        self._warmed += 1
        out: Effects = []
        for way in list(self._ways.values()):
            if way.route == self.route:
                if self.first and self._warmed % 5 == 1:
                    out.append(self._probe(way, now))
            elif way.proved and now >= way.heard_at + COLD_AFTER:
                address = self.standby.address_of(way.route.hop) if isinstance(way.route, Channel) else None
                if address is not None:
                    self.standby.avoid(address, now)
                out += self._drop(way.route)
            elif way.proved and self.first:
                out.append(self._probe(way, now))
        out += self.standby.trim(self._addresses(), now)
        if self.first and not self.stranded and self.route in self._ways:
            out += self._choose(now)
        return out

    def _choose(self, now: float) -> Effects:
        """Have the better way, and as many others as are worth their while."""
        spares = [way for way in self._ways.values() if way.route != self.route]
        relays = sorted((way for way in spares if way.proved and isinstance(way.route, Channel)), key=_rank)
        relayed = isinstance(self.route, Channel)
        out: Effects = []
        for way in relays[1:]:
            out += self._drop(way.route)
        if relayed and not any(isinstance(way.route, Channel) for way in spares):
            self._seek_at = min(self._seek_at, now + SEEK_SPREAD * self.rng.random())
            if now >= self._seek_at or self._warmed == 1:
                out += self.standby.seek(self._addresses(), now)
                self._seek_wait = min(2 * self._seek_wait, SEEK_MOST)
                self._seek_at = now + self._seek_wait * (0.5 + self.rng.random())
        else:
            self._seek_at, self._seek_wait = inf, SEEK_SPREAD / 2
        best, used = min((way for way in spares if way.proved), key=_rank, default=None), self._used
        if best is None or now >= self._doubted_at():
            return out
        nearer = best.round_trip and used.round_trip and best.round_trip < used.round_trip - BETTER_BY
        better = isinstance(best.route, Wire) and relayed
        if better or (nearer and isinstance(best.route, Channel) is relayed and now > self._changed_at + CHANGE_EVERY):
            self._changed_at = now
            out += self._take(best, now, follow=True)
        return out

    def _addresses(self) -> list[Address]:
        """Where the relays are that there are channels at."""
        found = [self.standby.address_of(route.hop) for route in self.relays]
        return [address for address in found if address is not None]

    def _try_directly(self, now: float) -> Effects:
        if not self.direct or not (isinstance(self.route, Channel) or self.stranded):
            return []
        out: Effects = []
        for address in self.theirs:
            out += self._try(Wire(address), now)
        return out

    # --- probes

    def _try(self, route: Route, now: float) -> Effects:
        """A way that may lead there: see whether it does."""
        if route in self._ways or isinstance(route, Stream) or (isinstance(route, Wire) and not self.direct):
            return []
        same = sum(isinstance(held, Wire) == isinstance(route, Wire) for held in self._ways)
        if same >= (MAX_DIRECT_WAYS if isinstance(route, Wire) else MAX_CHANNEL_WAYS):
            return []
        way = self._ways[route] = _Way(route, -inf, until=now + PROVE_WITHIN, probe_at=now + PROBE_FIRST)
        return [self._probe(way, now)]

    def _probe(self, way: _Way, now: float, *, follow: bool = False) -> SendOnce:
        number = self.rng.randbytes(8)
        way.asked[number] = now
        if len(way.asked) > UNANSWERED:
            del way.asked[next(iter(way.asked))]
        return SendOnce(self.peer, PathProbe(number=number, follow=follow), way.route)

    def _probed(self, probe: PathProbe, route: Route, now: float) -> Effects:
        out = self._try(route, now)
        way = self._ways.get(route)
        if way is None:
            return []
        way.heard_at = now
        out.append(SendOnce(self.peer, PathEcho(number=probe.number), route))
        if route == self.route:
            out += self._found()
        elif probe.follow and way.proved:
            out += self._take(way, now)
        elif probe.follow:
            way.wanted = True
        return out

    def _echoed(self, echo: PathEcho, route: Route, now: float) -> Effects:
        way = self._ways.get(route)
        asked_at = way.asked.pop(echo.number, None) if way is not None else None
        if way is None or asked_at is None:
            return []
        sample = now - asked_at
        way.round_trip += (sample - way.round_trip) / (4 if way.round_trip else 1)
        way.heard_at, way.proved, way.probe_at, way.until = now, True, inf, inf
        if route == self.route:
            return self._found()
        lost = self.stranded or self.route not in self._ways
        direct = self.first and isinstance(route, Wire) and isinstance(self.route, Channel)
        return self._take(way, now, follow=not way.wanted) if lost or direct or way.wanted else []

    def _drop(self, route: Route, *, told: bool = False) -> Effects:
        """Forget a way; ``told``: its relay knows that it is none any more."""
        self._ways.pop(route, None)
        if not isinstance(route, Channel):
            return []
        return [Release(route)] if told else _give_back(route)


def _rank(way: _Way) -> tuple[bool, float]:
    """Direct ways before relayed ones, then the shorter round trip; unknown ones last."""
    return isinstance(way.route, Channel), way.round_trip or inf


def _give_back(channel: Channel) -> Effects:
    return [Send(channel.hop, RelayClose(token=channel.token.to_bytes(8, "big"))), Release(channel)]
