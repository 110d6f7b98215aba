"""The links between minds: what two endpoints would do, without a byte.

    initiator                          responder
      | -- Hello --------------------->  |   at the desk of a supernode it waits for its turn
      | <- HelloRetry -----------------  |   when many knock
      | <- HelloAnswer ----------------  |   Up here
      | -- Finish -------------------->  |   Up there
      | == messages, in order =======>   |   what is lost arrives later by the time after which it is said again
      | -- Goodbye ------------------->  |   once

A link has two halves, each of which ends for itself: by a goodbye, by silence, with its connection.  The times are
those of ``link``; what is not modelled is what only bytes have: sizes at which a payload is cut, windows, forgery.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from halloo.base.address import Address, Channel, Peer, Route, Stream, Wire
from halloo.base.effects import Link
from halloo.base.errors import PeerError
from halloo.base.machine import Message
from halloo.link.links import MAX_LINKS
from halloo.link.notice import Down, Heard, Moved, SoundHeard, Up
from halloo.link.onelink import HELLO_AGAIN, HELLO_FOR, HELLO_GROWTH, HELLO_MOST, IDLE_FOR
from halloo.link.reliable import FIRST_WAIT, LEAST_WAIT, MOST_WAIT, QUEUE
from halloo.link.renewal import RENEW_AFTER
from halloo.link.strangers import BUSY, MAX_HALF_OPEN
from halloo.messages.credential import Party
from halloo.overlay.admission import HANDSHAKE_SHARE
from halloo.sim.comebacks import Comebacks
from halloo.sim.half import Half
from halloo.sim.parcel import Parcel
from halloo.sim.world import WALL

if TYPE_CHECKING:
    from halloo.sim.minds import Dweller, MindWorld

__all__ = ["Half", "Halves", "Parcel"]

_NO_SIGN = "no sign of life"


class Halves:
    """All links of a world of minds."""

    def __init__(self, world: MindWorld) -> None:
        self._world = world
        self._turn = 0
        self._comebacks = Comebacks(world, self)

    # --- a link begins

    def begin(self, dweller: Dweller, effect: Link) -> None:
        """Begin a link."""
        world = self._world
        if len(dweller.halves) + len(dweller.half_open) >= MAX_LINKS:
            world.tell(dweller, Down(effect.peer, "too many links"))
            return
        half = Half(dweller, effect.peer, effect.route, effect.key, world.now, inbound=False)
        dweller.halves[effect.peer] = half
        _enter(half)
        world.plan(HELLO_FOR, self._hello_over, half)
        if not self._comebacks.begin(half, effect.ticket):
            self.greet(half)

    def greet(self, half: Half) -> None:
        """Say Hello, until somebody answers."""
        if half.gone or half.up:
            return
        world = self._world
        _said(half, "Hello")
        world.post(half.owner, half.route, self._hello, half)
        if not isinstance(half.route, Stream):
            world.plan(half.wait, self.greet, half)
            half.wait = min(HELLO_GROWTH * half.wait, HELLO_MOST)

    def _hello_over(self, half: Half) -> None:
        if not half.up and not half.gone:
            self._drop(half, "no answer")

    def _hello(self, there: Dweller, route: Route, begun: Half) -> None:
        world = self._world
        known = there.half_open.get(begun)
        if known is not None:
            if known.ripe:
                self._answer(known)
            return
        if begun.far is not None and begun.far.owner is there and not begun.far.gone:
            return  # a Hello that comes after its Finish
        if len(there.halves) + len(there.half_open) >= MAX_LINKS:
            return
        if len(there.half_open) >= BUSY and not begun.cookie and isinstance(route, Wire):
            there.said["HelloRetry"] = there.said.get("HelloRetry", 0) + 1
            world.post(there, route, self._hello_retry, begun)
            return
        wait = 0.0
        desk = world.desk(there)
        if desk is not None:
            served = desk.wait(world.now, self._work(begun), again=begun.knocked)
            begun.knocked = True
            if served is None:
                return
            wait = served
        ours = Half(there, Peer(0), route, b"", world.now, inbound=True)
        ours.far = begun
        if len(there.half_open) >= MAX_HALF_OPEN:
            oldest = next(iter(there.half_open.values()))
            self._forget(oldest)
        there.half_open[begun] = ours
        _enter(ours)
        world.plan(HELLO_FOR, self._hello_over, ours)
        if wait:
            world.plan(wait, self._answer, ours)
        else:
            self._answer(ours)

    def _work(self, begun: Half) -> float:
        """What share of a login's work a handshake is: other supernodes, who are few, count as nothing."""
        if self._world.desk(begun.owner) is not None:
            return 0.0
        join = getattr(begun.owner.mind, "join", None)
        return 1.0 if join is not None and join.tries(begun.peer) else HANDSHAKE_SHARE

    def _hello_retry(self, there: Dweller, _: Route, begun: Half) -> None:
        if begun.owner is there and not begun.gone and not begun.up and not begun.cookie:
            begun.cookie = True
            _said(begun, "Hello")
            self._world.post(there, begun.route, self._hello, begun)

    def _answer(self, ours: Half) -> None:
        if ours.gone or not ours.owner.alive:
            return
        ours.ripe = True
        _said(ours, "HelloAnswer")
        self._world.post(ours.owner, ours.route, self._hello_answer, ours)

    def _hello_answer(self, there: Dweller, _: Route, theirs: Half) -> None:
        world = self._world
        half = theirs.far
        if half is None or half.owner is not there or half.gone or half.up:
            return
        party = self.party(theirs.owner, there)
        if party is None:
            return
        if half.key and party.key != half.key:
            self._drop(half, "somebody else answered at the address")
            return
        half.far = theirs
        half.wait = HELLO_AGAIN
        self.stand(half)
        self._finish(half)
        world.tell(there, Up(half.peer, party, half.route, inbound=False))
        self.said_at_last(half)

    def _finish(self, half: Half) -> None:
        theirs = half.far
        if half.gone or theirs is None or theirs.up or theirs.gone:
            return
        world = self._world
        _said(half, "Finish")
        world.post(half.owner, half.route, self._finished, theirs)
        if not isinstance(half.route, Stream):
            world.plan(half.wait, self._finish, half)
            half.wait = min(HELLO_GROWTH * half.wait, HELLO_MOST)

    def _finished(self, there: Dweller, _: Route, ours: Half) -> None:
        if ours.gone or ours.up or ours.owner is not there or ours.far is None:
            return
        party = self.party(ours.far.owner, there)
        if party is None:
            return
        there.half_open.pop(ours.far, None)
        ours.peer = Peer(there.next_inbound())
        there.halves[ours.peer] = ours
        self.stand(ours)
        _said(ours, "Ack of Finish")
        self._world.tell(there, Up(ours.peer, party, ours.route, inbound=True))
        self.said_at_last(ours)

    def party(self, whose: Dweller, judge: Dweller) -> Party | None:
        """Who somebody proves to be; None: his credential does not hold."""
        persona = whose.persona
        if not persona.credential:
            return Party(persona.public, None)
        try:
            claims = judge.persona.notary.credential(persona.credential, self._world.now + WALL)
        except PeerError:
            return None
        return Party(persona.public, claims) if claims.key == persona.public else None

    @staticmethod
    def half(owner: Dweller, peer: Peer, route: Route, now: float) -> Half:
        """The half of who is come to."""
        half = Half(owner, peer, route, b"", now, inbound=True)
        _enter(half)
        return half

    def stand(self, half: Half) -> None:
        """A link stands, on one side."""
        world, owner = self._world, half.owner
        half.up = True
        half.heard_at = half.renewed_at = world.now
        assert half.far is not None
        if not isinstance(half.route, Channel):
            half.travel = world.net.travel(self.host(owner), half.route.address.host)
        half.direct = isinstance(half.route, Wire) and owner.box is None and half.far.owner.box is None
        world.plan(IDLE_FOR, self._idle, half)

    @staticmethod
    def host(dweller: Dweller) -> bytes:
        """The host that others see somebody as."""
        box = dweller.box
        return dweller.address.host if box is None or not box.kind.translates else box.host

    # --- what is said

    def say(self, half: Half, message: Message) -> None:
        """Say a message to the other side, once it is there, in order."""
        if not half.up:
            if len(half.waiting) >= QUEUE:
                self._drop(half, "too much waits unheard")
                return
            half.waiting.append(message)
            return
        world, owner = self._world, half.owner
        world.count(owner, message, sealed=True)
        half.said_in = self._turn
        if isinstance(half.route, Channel):
            self._number(half, message, world.now)
            return
        net = world.net
        at = world.now + half.travel
        if net.jitter:
            at += net.jitter * net.rng.random()
        if net.loss and net.loses():
            at += self._repeated(half)
        if at < half.last:
            at = half.last
        half.last = at
        seen = None
        if not half.direct and isinstance(half.route, Wire):
            seen = world.leaves(owner, half.route.address)
            if seen is None:
                return
        world.calendar.put(at, self._arrives, half, message, seen, world.now)

    def _repeated(self, half: Half) -> float:
        """By how much later a message arrives that was lost at first."""
        if isinstance(half.route, Stream):
            return 2 * half.travel + 0.2
        wait = max(LEAST_WAIT, 4 * half.travel) if half.renewed_at < self._world.now else FIRST_WAIT
        late = wait
        while self._world.net.loses() and late < half.give_up:
            wait = min(2 * wait, MOST_WAIT)
            late += wait
        return late

    def said_at_last(self, half: Half) -> None:
        """Say what waited for the link to stand."""
        waiting, half.waiting = half.waiting, []
        for message in waiting:
            if not half.gone:
                self.say(half, message)

    def _arrives(self, half: Half, message: Message, seen: Address | None, said_at: float) -> None:
        if isinstance(half.route, Channel):  # since it was said: it goes by the relay now
            self._number(half, message, said_at)
            return
        if half.stuck is not None:
            half.stuck.append((message, said_at))
            return
        if not self._pass(half, message, seen):
            half.stuck = [(message, said_at)]
            self._world.plan(max(LEAST_WAIT, 2 * half.travel), self._again, half, 2 * FIRST_WAIT)

    def _again(self, half: Half, wait: float) -> None:
        """Say again what did not get through."""
        if half.gone or not half.stuck:
            return
        world = self._world
        message, said_at = half.stuck[0]
        if world.now >= said_at + half.give_up or len(half.stuck) > QUEUE:
            self._drop(half, _NO_SIGN)
            return
        seen = world.leaves(half.owner, half.route.address) if isinstance(half.route, Wire) else None
        if self._pass(half, message, seen):
            rest, half.stuck = half.stuck[1:], None
            for message, _ in rest:
                self._pass(half, message, seen)
            return
        world.plan(wait, self._again, half, min(2 * wait, MOST_WAIT))

    def _pass(self, half: Half, message: Message, seen: Address | None) -> bool:
        """Let the other side hear a message; False: it did not get through."""
        far, world = half.far, self._world
        assert far is not None
        if far.gone or not far.up:
            return False
        if not (half.direct and not world.net.closed) and not self._leads(half, far, seen):
            return False
        self.hear(half, far, message)
        return True

    def _leads(self, half: Half, far: Half, seen: Address | None) -> bool:
        """Whether what is said over a half gets to the other side now."""
        world, route = self._world, half.route
        if isinstance(route, Stream):
            pipe = far.owner.pipes.get(far.route.number) if isinstance(far.route, Stream) else None
            # Ours may be closed already, behind what we said last.
            return pipe is not None and world.net.passes(self.host(half.owner), self.host(far.owner))
        if not isinstance(route, Wire):
            return False
        if seen is None:
            seen = world.leaves(half.owner, route.address)
        if seen is None or world.reached(seen, route.address) is not far.owner:
            return False
        if isinstance(far.route, Wire) and far.route.address != seen:
            far.route = Wire(seen)
            world.tell(far.owner, Moved(far.peer, far.route))
        return True

    def hear(self, half: Half, far: Half, message: Message) -> None:
        """The other side hears a message."""
        world, there = self._world, far.owner
        if there.weakness is not None and there.weakness(message):
            world.crash(there)
            return
        far.heard_at = world.now
        half.heard_at = world.now + half.travel
        self._turn += 1
        world.delivered += 1
        far.said_in = -1
        turn = self._turn
        if not self._comebacks.heard(far, message):
            world.tell(there, Heard(message, far.peer))
        if far.said_in != turn:  # nothing was answered that would say beside it what was heard
            name = f"Ack of {type(message).__name__}"
            there.said[name] = there.said.get(name, 0) + 1

    def sound(self, half: Half, body: bytes) -> None:
        """One packet of sound, once."""
        if half.up:
            self._world.post(half.owner, half.route, self._sound_heard, (half, body))

    def _sound_heard(self, there: Dweller, route: Route, item: tuple[Half, bytes]) -> None:
        half, body = item
        far = half.far
        if far is not None and far.owner is there and not far.gone and far.up:
            far.heard_at = self._world.now
            self._world.tell_of_sound(there, SoundHeard(far.peer, body, route))

    def once(self, half: Half, message: Message, route: Route) -> None:
        """A message that is said once, over a route of its own."""
        if half.up:
            self._world.count(half.owner, message, sealed=True)
            self._world.post(half.owner, route, self._once_heard, (half, message))

    def _once_heard(self, there: Dweller, route: Route, item: tuple[Half, Message]) -> None:
        half, message = item
        far = half.far
        if far is not None and far.owner is there and not far.gone and far.up:
            far.heard_at = self._world.now
            self._world.delivered += 1
            self._world.tell(there, Heard(message, far.peer, route))

    # --- through a relay

    def over(self, half: Half, act: Callable[[Dweller, Route, Any], None], item: Any) -> None:
        """Let something happen at the other side of a link, once, if it gets there."""
        if half.up and half.far is not None:
            self._world.post(half.owner, half.route, self._carried, (half, act, item))

    def _carried(
        self, there: Dweller, route: Route, item: tuple[Half, Callable[[Dweller, Route, Any], None], Any]
    ) -> None:
        half, act, inner = item
        if half.far is not None and half.far.owner is there and not half.far.gone:
            half.far.heard_at = self._world.now
            act(there, route, inner)

    def _number(self, half: Half, message: Message, said_at: float) -> None:
        half.number += 1
        half.unheard[half.number] = message, said_at
        self._say_by_relay(half, half.number, FIRST_WAIT)

    def _say_by_relay(self, half: Half, number: int, wait: float) -> None:
        held = half.unheard.get(number)
        if held is None or half.gone:
            return
        message, said_at = held
        world = self._world
        if world.now >= said_at + half.give_up:
            self._drop(half, _NO_SIGN)
            return
        world.post(half.owner, half.route, self._relayed, (half, number, message))
        world.plan(wait, self._say_by_relay, half, number, min(2 * wait, MOST_WAIT))

    def _relayed(self, there: Dweller, _: Route, item: tuple[Half, int, Message]) -> None:
        half, number, message = item
        far = half.far
        if far is None or far.owner is not there or far.gone or not far.up:
            return
        half.unheard.pop(number, None)
        if number <= far.heard_number:
            return
        far.early[number] = message
        while (following := far.early.pop(far.heard_number + 1, None)) is not None and not far.gone:
            far.heard_number += 1
            self.hear(half, far, following)

    # --- a link ends

    def end(self, half: Half, reason: str) -> None:
        """End a link, with a goodbye, and tell the mind."""
        world, peer, owner = self._world, half.peer, half.owner
        if half.up:
            _said(half, "Goodbye")
            if isinstance(half.route, Channel):
                world.post(owner, half.route, self._goodbye, (half, reason))
            elif isinstance(half.route, Stream):
                pipe = owner.pipes.get(half.route.number)
                if pipe is not None:
                    pipe.last = max(pipe.last, half.last)
                world.post(owner, half.route, self._goodbye, (half, reason))
            elif not world.net.loses():
                seen = world.leaves(owner, half.route.address)
                if seen is not None:
                    at = max(half.last, world.now + half.travel)
                    address = half.route.address
                    world.calendar.put(at, self._farewell, seen, address, half, reason)
        self._forget(half)
        world.tell(owner, Down(peer, reason))

    def _farewell(self, seen: Address, address: Address, half: Half, reason: str) -> None:
        there = self._world.reached(seen, address)
        if there is not None:
            self._goodbye(there, Wire(seen), (half, reason))

    def _goodbye(self, there: Dweller, _: Route, item: tuple[Half, str]) -> None:
        half, reason = item
        far = half.far
        if far is not None and far.owner is there and not far.gone and far.up:
            self._drop(far, reason or "the other side ended the link")

    def _idle(self, half: Half) -> None:
        """Whether a link has been silent for too long; and fresh keys, each hour."""
        if half.gone:
            return
        world = self._world
        if world.now >= half.renewed_at + RENEW_AFTER:
            half.renewed_at = world.now
            for name in ("RenewAnswer",) if half.inbound else ("Renew", "RenewFinish"):
                _said(half, name)
        silent_at = half.heard_at + IDLE_FOR
        if world.now >= silent_at:
            self._drop(half, _NO_SIGN)
        else:
            world.calendar.put(silent_at, self._idle, half)

    def _drop(self, half: Half, reason: str) -> None:
        known = half.up or not half.inbound
        self._forget(half)
        if known and half.owner.alive:
            self._world.tell(half.owner, Down(half.peer, reason))

    def _forget(self, half: Half) -> None:
        owner = half.owner
        half.gone = True
        half.unheard.clear()
        half.early.clear()
        if half.inbound and not half.up:
            if half.far is not None and owner.half_open.get(half.far) is half:
                del owner.half_open[half.far]
        elif owner.halves.get(half.peer) is half:
            del owner.halves[half.peer]
        if isinstance(half.route, Stream) and _left(half):
            self._world.close_pipe(owner, half.route.number)

    @staticmethod
    def _of(dweller: Dweller) -> list[Half]:
        return [*dweller.halves.values(), *dweller.half_open.values()]

    def reroute(self, half: Half, route: Route) -> None:
        """Speak to the other side over another route from now on."""
        _left(half)
        half.route = route
        _enter(half)
        half.direct = False
        if isinstance(route, Channel) and half.stuck is not None:
            stuck, half.stuck = half.stuck, None
            for message, said_at in stuck:
                self._number(half, message, said_at)
        if half.up and not isinstance(route, Channel):
            half.travel = self._world.net.travel(self.host(half.owner), route.address.host)

    def pipe_gone(self, dweller: Dweller, number: int, reason: str) -> None:
        """A connection ended, and the links over it."""
        for half in list(dweller.streamed.get(number, ())):
            self._drop(half, reason)

    def died(self, dweller: Dweller) -> None:
        """A mind is no more; the other sides hear of it by silence."""
        for half in self._of(dweller):
            half.gone = True
        dweller.halves.clear()
        dweller.half_open.clear()
        dweller.streamed.clear()

    def moved(self, dweller: Dweller) -> None:
        """A mind's address has changed."""
        for half in self._of(dweller):
            half.direct = False
            if half.far is not None:
                half.far.direct = False


def _enter(half: Half) -> None:
    """Note which connection a half runs over."""
    if isinstance(half.route, Stream):
        half.owner.streamed.setdefault(half.route.number, []).append(half)


def _left(half: Half) -> bool:
    """It does not any more; whether no other half runs over that connection."""
    if not isinstance(half.route, Stream):
        return False
    held = half.owner.streamed.get(half.route.number)
    if held is None or half not in held:
        return False
    held.remove(half)
    if not held:
        del half.owner.streamed[half.route.number]
    return not held


def _said(half: Half, name: str) -> None:
    said = half.owner.said
    said[name] = said.get(name, 0) + 1
