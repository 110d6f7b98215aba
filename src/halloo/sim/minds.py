"""Many minds, one clock, one seed: the second degree of truth, where messages pass as they are and nothing is sealed.

    mind --Link--> handshake: Hello, HelloAnswer, Finish --Up--> both minds          see ``halves``
    mind --Send--> the other side's mind, in order, said again where it was lost
    mind --events--> owner

What a mind is told is what its endpoint would have told it, at the times at which it would have; keys are proved by
showing them.  A world of minds carries some hundred times as many nodes as one of bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from random import Random
from typing import Any

from halloo.base.address import Address, Channel, Peer, Route, Stream, Wire
from halloo.base.effects import (
    Accept,
    Forward,
    Link,
    Patience,
    Release,
    Reroute,
    Send,
    SendOnce,
    SendSound,
    StreamClose,
    Unlink,
)
from halloo.base.machine import Effects, Event, Message, Numbers
from halloo.link.notice import Carried, Heard, Notice, Observed, SoundHeard
from halloo.link.persona import Persona
from halloo.node.mind import Mind
from halloo.sim.calendar import Calendar
from halloo.sim.desk import Desk, Work
from halloo.sim.halves import Half, Halves, Parcel
from halloo.sim.nat import Box
from halloo.sim.net import Net
from halloo.sim.tally import Said, Tally

__all__ = ["Dweller", "MindWorld"]

_INBOUND = 1 << 32
_FIRST_STREAM = 1 << 32

DwellerOwner = Callable[["Dweller", Event, float], None]
Act = Callable[["Dweller", Route, Any], None]


class Pipe:
    """One end of a TCP connection between minds."""

    __slots__ = ("far", "far_number", "last", "open", "route", "travel", "waiting")

    def __init__(self, far: Dweller, far_number: int, route: Stream, travel: float) -> None:
        self.far = far
        self.far_number = far_number
        self.route = route
        self.travel = travel
        self.open = False
        self.last = 0.0
        self.waiting: list[tuple[Act, Any]] = []


class Dweller:
    """A mind that lives in a world, at an address, behind a box or in the open."""

    __slots__ = (
        "address",
        "alive",
        "box",
        "channels",
        "desk",
        "due",
        "half_open",
        "halves",
        "knows",
        "mind",
        "name",
        "next_inbound",
        "next_stream",
        "owner",
        "persona",
        "pipes",
        "planned",
        "ports",
        "said",
        "streamed",
        "tickets",
        "tongue",
        "weakness",
    )

    def __init__(self, name: str, mind: Mind, persona: Persona, address: Address, owner: DwellerOwner | None) -> None:
        self.name = name
        self.mind = mind
        self.persona = persona
        self.address = address
        self.owner = owner
        self.box: Box | None = None
        self.ports: tuple[int, ...] = ()
        """TCP ports it listens on besides its own."""
        self.alive = True
        self.knows = False
        """Whether it knows the host that others see it as, so that its datagrams are bound to it."""
        self.planned = inf
        self.due = inf
        """When its mind wants to be woken, as it said last; ``-inf``: it has heard sound since, which puts off some."""
        self.halves: dict[Peer, Half] = {}
        self.half_open: dict[Half, Half] = {}
        """Handshakes that strangers have begun: theirs -> ours."""
        self.channels: dict[int, Channel] = {}
        self.pipes: dict[int, Pipe] = {}
        self.streamed: dict[int, list[Half]] = {}
        """By the number of a TCP connection, the halves of links that run over it."""
        self.next_inbound = Numbers(_INBOUND)
        self.next_stream = Numbers(_FIRST_STREAM)
        self.desk: Desk | None = None
        self.tickets: dict[bytes, tuple[Persona, bytes, float]] = {}
        """Those that it has given and that were not used: for whom, with which credential, and until when."""
        self.tongue: Callable[[Send], Send | None] | None = None
        """What becomes of what it says, if it is a liar."""
        self.weakness: Callable[[Message], bool] | None = None
        """Which messages its program cannot bear: it ends when one comes."""
        self.said: Said = {}
        """How many messages of each kind it has said."""


class MindWorld:
    """A virtual world of minds.  ``recorded``: kinds of events that the story keeps."""

    def __init__(self, seed: int, network: bytes, recorded: tuple[type[Event], ...] = (Event,), **net: Any) -> None:
        self.seed = seed
        self.now = 0.0
        self.net = Net(Random(f"{seed}/net"), **net)
        self.tally = Tally(network)
        self.dwellers: dict[str, Dweller] = {}
        self.story: list[tuple[float, str, Event]] = []
        self.delivered = 0
        """Messages that were heard."""
        self.calendar = Calendar()
        self.work: Work | None = None
        """What each supernode can do in a second; None: whatever is asked of it."""
        self.crashed: Callable[[str], None] | None = None
        """Who hears of programs that ended at a message."""
        self.slow: dict[str, float] = {}
        """By name, how many seconds later than others somebody speaks in the open."""
        self.halves = Halves(self)
        self._recorded = recorded
        self._keeps: dict[type[Event], bool] = {}
        self._hosts: dict[bytes, Dweller | Box] = {}
        self._inside: dict[Address, Dweller] = {}
        self._do: dict[type[Any], Callable[[Dweller, Any], None]] = {
            Send: self._send,
            SendOnce: self._send_once,
            SendSound: self._send_sound,
            Forward: self._forward,
            Link: self.halves.begin,
            Unlink: self._unlink,
            Reroute: self._reroute,
            Patience: self._bear,
            Accept: self._accept,
            Release: self._release,
            StreamClose: self._close,
        }

    def rng(self, name: str) -> Random:
        """The randomness of one mind of this world."""
        return Random(f"{self.seed}/{name}")

    # --- who lives here

    def settle(
        self,
        name: str,
        mind: Mind,
        persona: Persona,
        address: Address,
        *,
        owner: DwellerOwner | None = None,
        box: Box | None = None,
        knows: bool = False,
    ) -> Dweller:
        """A mind moves in, behind ``box`` or in the open.  ``knows``: it was told its public address."""
        dweller = Dweller(name, mind, persona, address, owner)
        dweller.knows, dweller.box = knows, box
        self.dwellers[name] = dweller
        self._place(dweller)
        return dweller

    def kill(self, name: str) -> None:
        """A mind stops without a word; its TCP connections break."""
        dweller = self.dwellers.pop(name)
        dweller.alive = False
        self._displace(dweller)
        self.halves.died(dweller)
        for pipe in list(dweller.pipes.values()):
            self.plan(pipe.travel, self._pipe_closed, pipe.far, pipe.far_number, "the connection was closed")

    def crash(self, dweller: Dweller) -> None:
        """A program ends at what it has heard."""
        self.kill(dweller.name)
        if self.crashed is not None:
            self.crashed(dweller.name)

    def move(self, name: str, address: Address) -> None:
        """A mind's address changes under it; its TCP connections break."""
        dweller = self.dwellers[name]
        self._displace(dweller)
        dweller.address, dweller.knows = address, False
        self._place(dweller)
        self.halves.moved(dweller)
        for number, pipe in list(dweller.pipes.items()):
            self.plan(0.0, self._pipe_closed, dweller, number, "the connection was closed")
            self.plan(pipe.travel, self._pipe_closed, pipe.far, pipe.far_number, "the connection was closed")

    def _place(self, dweller: Dweller) -> None:
        if dweller.box is None or not dweller.box.kind.translates:
            self._hosts[dweller.address.host] = dweller
        else:
            self._hosts[dweller.box.host] = dweller.box
            self._inside[dweller.address] = dweller

    def _displace(self, dweller: Dweller) -> None:
        if dweller.box is None or not dweller.box.kind.translates:
            self._hosts.pop(dweller.address.host, None)
        else:
            self._hosts.pop(dweller.box.host, None)
            self._inside.pop(dweller.address, None)

    def desk(self, dweller: Dweller) -> Desk | None:
        """The desk of a supernode, of those promoted while the world runs too; None: of no supernode."""
        if self.work is None or getattr(dweller.mind, "supernode", None) is None:
            return None
        if dweller.desk is None or dweller.desk.work is not self.work:
            dweller.desk = Desk(self.work)
        return dweller.desk

    # --- time

    def at(self, after: float, what: Callable[[], None]) -> None:
        """Do ``what`` in ``after`` seconds."""
        self.calendar.put(self.now + max(0.0, after), what)

    def plan(self, after: float, deed: Callable[..., None], *values: Any) -> None:
        """Do ``deed(*values)`` in ``after`` seconds."""
        self.calendar.put(self.now + after, deed, *values)

    def every(self, interval: float, what: Callable[[], bool]) -> None:
        """Do ``what`` each ``interval`` seconds as long as it says True."""
        self.plan(interval, self._again, interval, what)

    def _again(self, interval: float, what: Callable[[], bool]) -> None:
        if what():
            self.plan(interval, self._again, interval, what)

    def run(self, until: float, stop: Callable[[], bool] | None = None) -> bool:
        """Live on until ``until`` (virtual seconds), or until ``stop`` says so; whether it did."""
        calendar = self.calendar
        while calendar.next_at <= until:
            if stop is not None and stop():
                return True
            at, _, deed, values = calendar.take()
            if at > self.now:
                self.now = at
            deed(*values)
        if stop is not None and stop():
            return True
        self.now = max(self.now, until)
        return False

    # --- minds

    def ask(self, dweller: Dweller, effects: Effects) -> None:
        """Carry out what an intent of a mind returned."""
        self.carry_out(dweller, effects)

    def events(self, kind: type[Any], name: str | None = None) -> list[Any]:
        """The events of one kind so far, of one mind or of all."""
        return [event for _, who, event in self.story if isinstance(event, kind) and name in (None, who)]

    def tell(self, dweller: Dweller, notice: Notice) -> None:
        """Tell a mind something, and carry out what it wants."""
        self.carry_out(dweller, dweller.mind.receive(notice, self.now))

    def tell_of_sound(self, dweller: Dweller, notice: Carried | SoundHeard) -> None:
        """The same for sound, heard or passed on, of which there is much: by itself it brings no deadline nearer."""
        effects = dweller.mind.receive(notice, self.now)
        for effect in effects:
            if type(effect) is not Forward:
                self.carry_out(dweller, effects)
                return
        dweller.due = -inf
        for effect in effects:
            self._forward(dweller, effect)  # type: ignore[arg-type]

    def speak(self, dweller: Dweller, effects: Effects) -> None:
        """Carry out what a mind wants that speaks sound, which changes no deadline."""
        for effect in effects:
            self._send_sound(dweller, effect)  # type: ignore[arg-type]

    def carry_out(self, dweller: Dweller, effects: Effects) -> None:
        """Carry out what a mind wants."""
        do = self._do
        for effect in effects:
            deed = do.get(type(effect))
            if deed is not None:
                deed(dweller, effect)
            elif isinstance(effect, Event):
                self._happened(dweller, effect)
        if dweller.alive:
            dweller.due = at = dweller.mind.wake_at
            if at < dweller.planned:
                self._plan_wake(dweller, at)

    def _plan_wake(self, dweller: Dweller, at: float) -> None:
        dweller.planned = at
        self.calendar.put(at if at > self.now else self.now, self._wake, dweller, at)

    def _wake(self, dweller: Dweller, planned: float) -> None:
        if planned != dweller.planned or not dweller.alive:
            return
        dweller.planned = inf
        mind = dweller.mind
        at = dweller.due
        if at == -inf:
            dweller.due = at = mind.wake_at
        if at <= self.now:
            self.carry_out(dweller, mind.wake(self.now))
        elif at < inf:
            self._plan_wake(dweller, at)

    def _happened(self, dweller: Dweller, event: Event) -> None:
        kept = self._keeps.get(type(event))
        if kept is None:
            kept = self._keeps[type(event)] = isinstance(event, self._recorded)
        if kept:
            self.story.append((self.now, dweller.name, event))
        if dweller.owner is not None:
            dweller.owner(dweller, event, self.now)

    # --- effects

    def _send(self, dweller: Dweller, effect: Send) -> None:
        if dweller.tongue is not None:
            changed = dweller.tongue(effect)
            if changed is None:
                return
            effect = changed
        to, message = effect.to, effect.message
        if isinstance(to, int):
            half = dweller.halves.get(to)
            if half is not None:
                self.halves.say(half, message)
            return
        self.count(dweller, message, sealed=False)
        if self.slow and dweller.name in self.slow:
            self.plan(self.slow[dweller.name], self.post, dweller, to, self._open_heard, message)
            return
        self.post(dweller, to, self._open_heard, message)

    def _send_once(self, dweller: Dweller, effect: SendOnce) -> None:
        half = dweller.halves.get(effect.peer)
        if half is not None:
            self.halves.once(half, effect.message, effect.route)

    def _bear(self, dweller: Dweller, effect: Patience) -> None:
        half = dweller.halves.get(effect.peer)
        if half is not None:
            half.give_up = effect.seconds

    def _send_sound(self, dweller: Dweller, effect: SendSound) -> None:
        half = dweller.halves.get(effect.peer)
        if half is not None:
            dweller.said["Sound"] = dweller.said.get("Sound", 0) + 1
            self.halves.sound(half, effect.body)

    def _forward(self, dweller: Dweller, effect: Forward) -> None:
        half, parcel = dweller.halves.get(effect.peer), effect.inner
        if half is None or half.far is None or not isinstance(parcel, Parcel) or isinstance(half.route, Channel):
            return
        parcel.passed = True
        self.halves.over(half, self._from_relay, (half, effect.token, parcel))

    def _unlink(self, dweller: Dweller, effect: Unlink) -> None:
        half = dweller.halves.get(effect.peer)
        if half is not None:
            self.halves.end(half, effect.reason)

    def _reroute(self, dweller: Dweller, effect: Reroute) -> None:
        half = dweller.halves.get(effect.peer)
        if half is not None:
            self.halves.reroute(half, effect.route)

    def _accept(self, dweller: Dweller, effect: Accept) -> None:
        dweller.channels[effect.channel.token] = effect.channel

    def _release(self, dweller: Dweller, effect: Release) -> None:
        dweller.channels.pop(effect.channel.token, None)

    def _close(self, dweller: Dweller, effect: StreamClose) -> None:
        self.close_pipe(dweller, effect.number)

    def count(self, dweller: Dweller, message: Message, *, sealed: bool) -> None:
        """Note that somebody says something."""
        name = type(message).__name__
        dweller.said[name] = dweller.said.get(name, 0) + 1
        self.tally.saw(message, sealed=sealed)

    # --- ways

    def post(self, source: Dweller, route: Route, act: Act, item: Any) -> None:
        """Let ``act(there, route back, item)`` happen where ``route`` leads, if it gets there."""
        if isinstance(route, Wire):
            seen = self.leaves(source, route.address)
            if seen is None or self.net.loses():
                return
            travel = self.net.travel(seen.host, route.address.host)
            if not source.knows:
                self.plan(travel, self._arrive, seen, route.address, self._unbound, (source, travel, act, item))
            else:
                self.plan(travel, self._arrive, seen, route.address, act, item)
        elif isinstance(route, Stream):
            self._post_stream(source, route, act, item)
        else:
            half = source.halves.get(route.hop)
            if half is not None and not isinstance(half.route, Channel):
                self.halves.over(half, self._at_relay, (half, route.token, Parcel(act, item)))

    def leaves(self, source: Dweller, destination: Address) -> Address | None:
        """The address that a datagram leaves from, as others see it; None: it does not leave."""
        return source.address if source.box is None else source.box.outward(source.address, destination, self.now)

    def reached(self, source: Address, destination: Address) -> Dweller | None:
        """Who hears a datagram."""
        there = self._hosts.get(destination.host)
        if isinstance(there, Box):
            inside = there.inward(source, destination.port, self.now)
            there = None if inside is None else self._inside.get(inside)
        elif there is not None and there.address.port != destination.port:
            return None
        if there is None or (self.net.closed and not self.net.datagram_passes(source.host, destination.host)):
            return None
        if there.box is not None and not there.box.kind.udp:
            return None
        return there

    def _arrive(self, source: Address, destination: Address, act: Act, item: Any) -> None:
        there = self.reached(source, destination)
        if there is not None:
            act(there, Wire(source), item)

    def _unbound(self, there: Dweller, route: Wire, item: tuple[Dweller, float, Act, Any]) -> None:
        """A datagram that was not bound to its source: it is told, and says it again; then it hears of its port."""
        source, travel, act, inner = item
        self.plan(travel, self._learns, source)
        self.plan(2 * travel, self._arrive, route.address, there.address, act, inner)
        self.plan(3 * travel, self._observed, source, route.address, there.address)

    def _learns(self, dweller: Dweller) -> None:
        dweller.knows = True

    def _observed(self, dweller: Dweller, seen: Address, by: Address) -> None:
        if dweller.alive:
            self.tell(dweller, Observed(seen.host, seen.port, by))

    def _open_heard(self, there: Dweller, route: Route, message: Message) -> None:
        self.delivered += 1
        self.tell(there, Heard(message, route))

    def _at_relay(self, there: Dweller, _: Route, item: tuple[Half, int, Parcel]) -> None:
        half, token, parcel = item
        assert half.far is not None
        self.tell_of_sound(there, Carried(token, parcel, half.far.peer))  # type: ignore[arg-type]

    def _from_relay(self, there: Dweller, _: Route, item: tuple[Half, int, Parcel]) -> None:
        half, token, parcel = item
        channel = there.channels.get(token)
        if channel is not None and half.far is not None and channel.hop == half.far.peer:
            parcel.act(there, channel, parcel.item)

    # --- TCP

    def _post_stream(self, source: Dweller, route: Stream, act: Act, item: Any) -> None:
        pipe = source.pipes.get(route.number)
        if pipe is None:
            if route.number >= _FIRST_STREAM:
                return  # a connection that came to us and is gone
            pipe = self._open_pipe(source, route)
            if pipe is None:
                return
        if not pipe.open:
            pipe.waiting.append((act, item))
            return
        self._write(source, pipe, act, item)

    def _write(self, source: Dweller, pipe: Pipe, act: Act, item: Any) -> None:
        pipe.last = max(pipe.last, self.now + pipe.travel + self.net.stalls(pipe.travel))
        self.calendar.put(pipe.last, self._piece, self.halves.host(source), pipe, act, item)

    def _piece(self, source: bytes, pipe: Pipe, act: Act, item: Any) -> None:
        there = pipe.far
        far = there.pipes.get(pipe.far_number)
        if far is not None and there.alive and self.net.passes(source, self.halves.host(there)):
            act(there, far.route, item)

    def _open_pipe(self, source: Dweller, route: Stream) -> Pipe | None:
        if not self.net.connects(source.address.host, route.address.port, proxied=route.proxied):
            return None  # a firewall that says nothing
        there = self._hosts.get(route.address.host)
        host = source.address.host if source.box is None else source.box.host
        travel = self.net.travel(host, route.address.host)
        closed = isinstance(there, Box) or (there is not None and there.box is not None and not there.box.kind.udp)
        if closed or not self.net.passes(host, route.address.host):
            return None  # nobody answers
        if there is None or isinstance(there, Box) or route.address.port not in (there.address.port, *there.ports):
            self.plan(2 * travel, self._pipe_closed, source, route.number, "nobody listens there")
            return None
        number = there.next_stream()
        near = Pipe(there, number, route, travel)
        far = Pipe(source, route.number, Stream(number, Address(host, 1_024 + number % 60_000)), travel)
        source.pipes[route.number], there.pipes[number] = near, far
        self.plan(travel, self._pipe_opened, there, number)
        self.plan(2 * travel, self._pipe_opened, source, route.number)
        return near

    def _pipe_opened(self, dweller: Dweller, number: int) -> None:
        pipe = dweller.pipes.get(number)
        if pipe is not None and dweller.alive:
            pipe.open = True
            for act, item in pipe.waiting:
                self._write(dweller, pipe, act, item)
            pipe.waiting.clear()

    def close_pipe(self, dweller: Dweller, number: int) -> None:
        """Close a connection from one side; the other hears of it after all that was written."""
        pipe = dweller.pipes.pop(number, None)
        if pipe is not None:
            at = max(pipe.last, self.now + pipe.travel)
            self.calendar.put(at, self._pipe_closed, pipe.far, pipe.far_number, "the connection was closed")

    def _pipe_closed(self, dweller: Dweller, number: int, reason: str) -> None:
        dweller.pipes.pop(number, None)
        if dweller.alive:
            self.halves.pipe_gone(dweller, number, reason)
