"""The ear and the mouth of a node: datagrams and streams on one side, peers and messages on the other.

A *link* is what two nodes have after a handshake: keys, an order of messages, and a route that may change while the
keys stay.  Each side gives the link a number of its own, by which the other addresses it:

    payload of a link = 0x00, link number 4, sealed (see ``reliable``)         in a PAYLOAD frame
    sound of a link   = link number 4, sealed packet of sound                  in a MEDIA frame

A payload that does not begin with a zero holds commands in the open.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import inf

from halloo.base.address import Address, Channel, Peer, Route, Stream, Wire
from halloo.base.errors import Malformed, PeerError, Refused
from halloo.base.machine import Alarms, Effect, Message, Numbers
from halloo.link.datagrams import LAYOUTS, Datagrams
from halloo.link.handshake import Initiator, Responder, SomebodyElse
from halloo.link.notice import Carried, Down, Heard, Moved, Notice, SoundHeard, Up
from halloo.link.onelink import HELLO_AGAIN, HELLO_FOR, HELLO_GROWTH, HELLO_MOST, IDLE_FOR, OneLink
from halloo.link.persona import Persona
from halloo.link.strangers import Strangers
from halloo.link.streams import Streams
from halloo.messages.catalogue import OPEN, SEALED
from halloo.messages.credential import Party
from halloo.messages.link import Finish, Goodbye, Hello, HelloAnswer, HelloRetry, Renew, RenewAnswer, RenewFinish
from halloo.wire.buffer import Reader
from halloo.wire.command import decode_commands, encode_command
from halloo.wire.frame import Control, FrameKind, StreamFrame, is_wanted

__all__ = ["Endpoint"]

MAX_WAITING = 64 << 20  # bytes said and not yet acknowledged, over all links: more is kept for nobody
MAX_LINKS = 4_096  # at once: a supernode with 800 clients, all other supernodes, and room for both to come again
SEALED_MARK = b"\0"
_INBOUND = 1 << 32  # peers that came to us are numbered from here, those we made below
_CHANNEL_ROOM = 96  # bytes of a fragment that a relay's frame and the inner cloak take
_HEAD = 5  # bytes before the seal: mark and link number


Output = Effect | Notice


class Endpoint:
    """All links of one node.  ``wall``: seconds to add to the world's clock for the wall clock."""

    def __init__(self, persona: Persona, cloak_key: bytes, hosts: Iterable[bytes], wall: float) -> None:
        self.persona = persona
        self.wall = wall
        self._network = persona.notary.network
        self.datagrams = Datagrams(persona.suite, persona.suite.cloak(cloak_key, LAYOUTS), hosts, persona.rng)
        self.streams = Streams(persona.suite, cloak_key, persona.rng)
        self.faults = 0
        """Datagrams and messages dropped because they broke the rules."""
        self._links: dict[int, OneLink] = {}
        self._peers: dict[Peer, OneLink] = {}
        self._strangers = Strangers(persona.suite.digest, persona.rng)
        self._by_route: dict[Route, Peer] = {}
        self._channels: dict[int, Channel] = {}
        self._alarms: Alarms[int] = Alarms()
        self._dirty: dict[int, OneLink] = {}
        self._waiting: dict[int, int] = {}
        """By link, the bytes that were not acknowledged when it was last flushed."""
        self._waiting_in_all = 0
        self._numbers = Numbers(_INBOUND)
        self._frame = persona.rng.getrandbits(15) << 1

    # --- what the world brings --------------------------------------------------------------------------------

    def receive(self, data: bytes, address: Address, now: float, socket: int = 0) -> list[Output]:
        """One datagram.  Whatever it holds, nothing is raised."""
        out: list[Output] = []
        try:
            piece, answers, learned = self.datagrams.receive(data, Wire(address, socket))
            out += answers
            if learned is not None:
                out.append(learned)
            if piece is not None:
                self._frame_heard(piece.kind, piece.frame, piece.head, piece.body, piece.source, now, out)
        except PeerError:
            self.faults += 1
        return out

    def stream_opened(self, number: int, address: Address, now: float) -> list[Output]:
        """A TCP connection stands."""
        return list(self.streams.opened(number, address, now))

    def stream_received(self, number: int, data: bytes, now: float) -> list[Output]:
        """Bytes of a TCP connection.  Nonsense closes it."""
        out: list[Output] = []
        try:
            route, frames, answers = self.streams.receive(number, data)
            out += answers
        except PeerError:
            self.faults += 1
            out += self.streams.close(number)
            return out + self._stream_gone(number, "the other side broke the protocol")
        for frame in frames:
            try:
                self._stream_frame(frame, route, now, out)
            except PeerError:
                self.faults += 1
        return out

    def stream_closed(self, number: int, now: float, reason: str = "the connection was closed") -> list[Output]:
        """A TCP connection ended, or could not be made."""
        self.streams.closed(number)
        return self._stream_gone(number, reason)

    @property
    def wake_at(self) -> float:
        """When ``wake`` has something to do."""
        return min(self._alarms.next, self.datagrams.fragments.wake_at, self.streams.wake_at)

    def wake(self, now: float) -> list[Output]:
        """Say again what was not heard; ask for what is missing; end what is dead."""
        out: list[Output] = []
        if self.datagrams.fragments.wake_at <= now:
            for route, fragment in self.datagrams.fragments.wake(now):
                out += self._fragments(route, self._next_frame(), [fragment])
        for number in self.streams.silent(now):
            out += self.streams.close(number)
        for number in self._alarms.due(now):
            link = self._links.get(number)
            if link is None:
                continue
            if link.session is None and now >= link.born + HELLO_FOR:
                self._drop(link, "no answer", out)
            elif link.session is not None and (link.reliable.dead(now) or now >= link.heard_at + IDLE_FOR):
                self._drop(link, "no sign of life", out)
            else:
                if now >= link.again_at:
                    link.wait = min(HELLO_GROWTH * link.wait, HELLO_MOST)
                    link.again_at = now + link.wait
                    self._greet(link, out)
                if now >= link.renew_at:
                    link.reliable.say(self._said(link.renew(self.persona, now)))
                self._dirty[number] = link
        return out

    # --- what the owner wants ---------------------------------------------------------------------------------

    def link(self, peer: Peer, route: Route, now: float, key: bytes = b"") -> list[Output]:
        """Begin a link under the number ``peer``, over ``route``, with the holder of ``key`` (empty: with anybody)."""
        out: list[Output] = []
        if len(self._links) >= MAX_LINKS:
            return [Down(peer, "too many links")]
        link = self._new(peer, route, now, inbound=False)
        link.initiator = Initiator(self.persona, link.number, key)
        link.greeting = (link.initiator.hello,)
        link.again_at = now + link.wait
        self._greet(link, out)
        self._arm(link)
        return out

    def unlink(self, peer: Peer, reason: str, now: float) -> list[Output]:
        """End a link; the other side is told once."""
        out: list[Output] = []
        link = self._peers.get(peer)
        if link is not None:
            if link.session is not None:
                link.reliable.say(self._said(Goodbye(reason=reason[:120])))
                self._flush(link, now, out)
            self._forget(link, out)
            out.append(Down(peer, reason))
        return out

    def reroute(self, peer: Peer, route: Route, now: float) -> list[Output]:
        """Speak to a peer over another route from now on."""
        link = self._peers.get(peer)
        if link is not None:
            self._move(link, route)
        return []

    def send(self, to: Peer | Route, message: Message, now: float) -> list[Output]:
        """Say a message: to a peer it goes out at the next ``flush``; in the open at once."""
        if isinstance(to, int):
            link = self._peers.get(to)
            if link is None:
                return []
            if not link.reliable.say(self._said(message)):
                out: list[Output] = []
                self._drop(link, "too much waits unheard", out)
                return out
            self._dirty[link.number] = link
            return []
        return self._payload(to, self._next_frame(), self._said(message))

    def send_sound(self, peer: Peer, body: bytes, now: float) -> list[Output]:
        """Send one packet of sound; without a link it goes nowhere."""
        link = self._peers.get(peer)
        if link is None or link.session is None:
            return []
        frame, sealed = link.session.close(FrameKind.MEDIA, link.theirs, body)
        route = link.route
        if isinstance(route, Wire):
            return [self.datagrams.frame(route, FrameKind.MEDIA, frame, link.theirs, sealed)]
        if isinstance(route, Stream):
            content = link.theirs + frame.to_bytes(2, "big") + sealed
            return list(self.streams.send(route, StreamFrame(Control.MEDIA, 0, content)))
        return self._through(route, self.datagrams.inner(FrameKind.MEDIA, frame, link.theirs, sealed))

    def forward(self, peer: Peer, token: int, inner: bytes) -> list[Output]:
        """Pass a datagram on to a peer under ``token``."""
        link = self._peers.get(peer)
        if link is None:
            return []
        head = token.to_bytes(8, "big")
        if isinstance(link.route, Wire):
            return [self.datagrams.frame(link.route, FrameKind.FORWARD, self._next_frame(), head, inner)]
        if isinstance(link.route, Stream):
            return list(self.streams.send(link.route, StreamFrame(Control.FORWARD, 0, head + inner)))
        return []  # a relay is never reached through a relay

    def accept(self, channel: Channel) -> None:
        """Take what comes under this channel's token as ours."""
        self._channels[channel.token] = channel

    def release(self, channel: Channel) -> None:
        """No longer."""
        self._channels.pop(channel.token, None)

    def flush(self, now: float) -> list[Output]:
        """Seal and send what was said in this turn, and acknowledge what was heard."""
        out: list[Output] = []
        while self._dirty:
            _, link = self._dirty.popitem()
            if link.number in self._links:
                self._flush(link, now, out)
                self._arm(link)
                self._weigh(link, out)
        return out

    def _weigh(self, link: OneLink, out: list[Output]) -> None:
        """Count what waits; who does not acknowledge when too much does in all has to go."""
        waiting = link.reliable.waiting
        self._waiting_in_all += waiting - self._waiting.get(link.number, 0)
        self._waiting[link.number] = waiting
        if waiting and self._waiting_in_all > MAX_WAITING:
            self._drop(link, "too much waits unheard", out)

    def route(self, peer: Peer) -> Route | None:
        """How a peer is reached now."""
        link = self._peers.get(peer)
        return link.route if link else None

    def round_trip(self, peer: Peer) -> float:
        """The measured round trip to a peer in seconds, 0 while unknown."""
        link = self._peers.get(peer)
        return link.reliable.round_trip if link else 0.0

    @property
    def unheard(self) -> bool:
        """Whether something was said to somebody that he has not acknowledged."""
        return any(link.reliable.unheard for link in self._links.values() if link.session is not None)

    @property
    def links(self) -> int:
        """How many links there are, unfinished ones included."""
        return len(self._links)

    # --- frames -----------------------------------------------------------------------------------------------

    def _frame_heard(
        self, kind: FrameKind, frame: int, head: bytes, body: bytes, route: Route, now: float, out: list[Output]
    ) -> None:
        if kind is FrameKind.MEDIA:
            if head or body:  # otherwise a keep-alive
                self._sound_heard(head, frame, body, route, now, out)
        elif kind is FrameKind.FORWARD:
            self._carried(int.from_bytes(head, "big"), body, route, now, out)
        elif kind is FrameKind.FRAGMENT:
            self._fragment_heard(frame, head, body, route, now, out)
        elif body[:1] == SEALED_MARK:
            self._sealed_heard(frame, body, route, now, out)
        else:
            for message in decode_commands(body, OPEN, self._network):
                self._open_heard(message, route, now, out)

    def _stream_frame(self, frame: StreamFrame, route: Stream, now: float, out: list[Output]) -> None:
        if frame.control is None:
            self._frame_heard(FrameKind.PAYLOAD, frame.frame, b"", frame.body, route, now, out)
        elif frame.control is Control.MEDIA:
            reader = Reader(frame.body)
            head, number = reader.take(4), reader.number(2)
            self._frame_heard(FrameKind.MEDIA, number, head, reader.rest(), route, now, out)
        elif frame.control is Control.FORWARD:
            reader = Reader(frame.body)
            self._frame_heard(FrameKind.FORWARD, 0, reader.take(8), reader.rest(), route, now, out)

    def _carried(self, token: int, inner: bytes, route: Route, now: float, out: list[Output]) -> None:
        channel = self._channels.get(token)
        if channel is None:
            out.append(Carried(token, inner, self._by_route.get(route)))
            return
        if self._by_route.get(route) != channel.hop:
            raise Refused("a relay's token from somebody who is not the relay")
        covered = self.datagrams.uncover_inner(inner)
        if covered.kind not in (FrameKind.PAYLOAD, FrameKind.FRAGMENT, FrameKind.MEDIA):
            raise Malformed("a relay carries only payloads and sound")
        self._frame_heard(FrameKind(covered.kind), covered.frame, covered.head, covered.body, channel, now, out)

    def _fragment_heard(
        self, frame: int, head: bytes, body: bytes, route: Route, now: float, out: list[Output]
    ) -> None:
        fragments = self.datagrams.fragments
        if is_wanted(head):
            out += self._fragments(route, *fragments.wanted(route, head, body))
            return
        whole = fragments.hear(route, head, body, now)
        if whole is not None:
            self._frame_heard(FrameKind.PAYLOAD, frame, b"", whole, route, now, out)

    def _sealed_heard(self, frame: int, body: bytes, route: Route, now: float, out: list[Output]) -> None:
        reader = Reader(body)
        head = reader.take(_HEAD)[1:]
        link, plain = self._open(FrameKind.PAYLOAD, head, frame, reader.rest(), route, now, out)
        if link.greeting:
            link.greeting, link.again_at, link.initiator = (), inf, None
        self._dirty[link.number] = link
        for command in link.reliable.heard(plain, now):
            for message in decode_commands(command, SEALED, self._network):
                match message:
                    case Goodbye():
                        self._drop(link, message.reason or "the other side ended the link", out)
                        return
                    case Renew() | RenewAnswer() | RenewFinish():
                        reply = link.hear_renewal(self.persona, message, now)
                        if reply is not None:
                            link.reliable.say(self._said(reply))
                    case _:
                        out.append(Heard(message, link.peer))

    def _sound_heard(self, head: bytes, frame: int, body: bytes, route: Route, now: float, out: list[Output]) -> None:
        link, plain = self._open(FrameKind.MEDIA, head, frame, body, route, now, out)
        out.append(SoundHeard(link.peer, plain))

    def _open(
        self, kind: FrameKind, head: bytes, frame: int, sealed: bytes, route: Route, now: float, out: list[Output]
    ) -> tuple[OneLink, bytes]:
        link = self._links.get(int.from_bytes(head, "big"))
        if link is None or link.session is None:
            raise Refused("a packet for no link of ours")
        plain, newest = link.session.open(kind, head, frame, sealed)
        link.heard_at = now
        if newest and route != link.route and isinstance(route, Wire) and isinstance(link.route, Wire):
            self._move(link, route)  # the other side's address changed; its seal shows that it is the same
            out.append(Moved(link.peer, route))
        return link, plain

    # --- the handshake ----------------------------------------------------------------------------------------

    def _open_heard(self, message: Message, route: Route, now: float, out: list[Output]) -> None:
        match message:
            case Hello():
                self._hello(message, route, now, out)
            case HelloRetry():
                self._hello_retry(message, out)
            case HelloAnswer():
                self._hello_answer(message, route, now, out)
            case Finish():
                self._finish(message, now, out)
            case _:
                out.append(Heard(message, route))

    def _hello(self, hello: Hello, route: Route, now: float, out: list[Output]) -> None:
        known = self._strangers.find(route, hello)
        if known is None:
            if len(self._links) >= MAX_LINKS:
                raise Refused("too many links")
            retry = self._strangers.examine(route, hello)
            if retry is not None:
                out += self._payload(route, self._next_frame(), self._said(retry))
                return
            number = self._free_number()
            responder = Responder(self.persona, number, hello)
            known = self._new(Peer(self._numbers()), route, now, inbound=True, number=number)
            known.responder = responder
            known.greeting = (responder.answer,)
            known.theirs = hello.link.to_bytes(4, "big")
            oldest = self._strangers.add(known)
            if oldest is not None:
                self._forget(oldest, out)
            self._arm(known)
        self._greet(known, out)

    def _hello_retry(self, retry: HelloRetry, out: list[Output]) -> None:
        link = self._links.get(retry.to)
        if link is None or link.initiator is None or link.session is not None or not link.initiator.retry(retry):
            raise Refused("a cookie for no Hello of ours")
        link.greeting = (link.initiator.hello,)
        self._greet(link, out)

    def _hello_answer(self, answer: HelloAnswer, route: Route, now: float, out: list[Output]) -> None:
        link = self._links.get(answer.to)
        if link is None or link.initiator is None:
            raise Refused("an answer to no Hello of ours")
        if link.session is None:
            try:
                finish, link.session, party = link.initiator.answer(answer, now + self.wall)
            except SomebodyElse as fault:
                self._drop(link, str(fault), out)
                return
            link.theirs = answer.link.to_bytes(4, "big")
            link.greeting, link.wait = (finish,), HELLO_AGAIN
            self._standing(link, party, now, out)
        self._greet(link, out)
        link.again_at = now + link.wait
        self._arm(link)

    def _finish(self, finish: Finish, now: float, out: list[Output]) -> None:
        link = self._links.get(finish.to)
        if link is None or not link.inbound:
            raise Refused("the end of no handshake of ours")
        if link.responder is not None:
            link.session, party = link.responder.finish(finish, now + self.wall)
            link.responder = None  # its secrets would open what is said before the keys are renewed
            self._strangers.remove(link)
            link.greeting = ()
            self._standing(link, party, now, out)
        link.reliable.acknowledge()  # the other side repeats its Finish until it hears something sealed
        self._dirty[link.number] = link

    def _standing(self, link: OneLink, party: Party, now: float, out: list[Output]) -> None:
        link.stands(party, now, renews=self.persona.suite.renews)
        self._by_route[link.route] = link.peer
        out.append(Up(link.peer, party, link.route, link.inbound))

    def _greet(self, link: OneLink, out: list[Output]) -> None:
        for message in link.greeting:
            out += self._payload(link.route, self._next_frame(), self._said(message))

    # --- the way out ------------------------------------------------------------------------------------------

    def _flush(self, link: OneLink, now: float, out: list[Output]) -> None:
        if link.session is None:
            return
        overhead = _HEAD + link.session.overhead
        for plain in link.reliable.packets(now, self.persona.suite.fragment_size - overhead - _CHANNEL_ROOM):
            padded = self._padded(plain, overhead)
            frame, sealed = link.session.close(FrameKind.PAYLOAD, link.theirs, padded)
            out += self._payload(link.route, frame, SEALED_MARK + link.theirs + sealed)

    def _padded(self, plain: bytes, overhead: int) -> bytes:
        """Grown with zeros, so that the whole has one of few sizes."""
        sizes = self.persona.suite.padded_sizes
        whole = len(plain) + overhead
        fitting = next((size for size in sizes if size >= whole), whole)
        return plain + bytes(fitting - whole)

    def _payload(self, route: Route, frame: int, body: bytes) -> list[Output]:
        if isinstance(route, Wire):
            return list(self.datagrams.payload(route, frame, body))
        if isinstance(route, Stream):
            return list(self.streams.send(route, StreamFrame(None, frame, body)))
        size = self.persona.suite.fragment_size - _CHANNEL_ROOM
        if len(body) <= size:
            return self._through(route, self.datagrams.inner(FrameKind.PAYLOAD, frame, b"", body))
        return self._fragments(route, frame, self.datagrams.fragments.cut(route, frame, body, size))

    def _fragments(self, route: Route, frame: int, fragments: list[tuple[bytes, bytes]]) -> list[Output]:
        """Fragments over a route that is no stream: there nothing is cut."""
        out: list[Output] = []
        for head, piece in fragments:
            if isinstance(route, Wire):
                out.append(self.datagrams.frame(route, FrameKind.FRAGMENT, frame, head, piece))
            elif isinstance(route, Channel):
                out += self._through(route, self.datagrams.inner(FrameKind.FRAGMENT, frame, head, piece))
        return out

    def _through(self, channel: Channel, inner: bytes) -> list[Output]:
        return self.forward(channel.hop, channel.token, inner)

    def _said(self, message: Message) -> bytes:
        """The bytes of a message, as they are sent."""
        return encode_command(message, compressed=True, network=self._network)

    def _next_frame(self) -> int:
        self._frame = self._frame + 2 & 0xFFFF
        return self._frame

    # --- the table of links -----------------------------------------------------------------------------------

    def _free_number(self) -> int:
        while (number := self.persona.rng.getrandbits(32)) in self._links:
            continue
        return number

    def _new(self, peer: Peer, route: Route, now: float, *, inbound: bool, number: int | None = None) -> OneLink:
        link = OneLink(self._free_number() if number is None else number, peer, route, now, now, inbound)
        self._links[link.number] = link
        self._peers[peer] = link
        return link

    def _arm(self, link: OneLink) -> None:
        self._alarms[link.number] = link.wake_at

    def _move(self, link: OneLink, route: Route) -> None:
        if self._by_route.get(link.route) == link.peer:
            del self._by_route[link.route]
        link.route = route
        self._by_route[route] = link.peer

    def _drop(self, link: OneLink, reason: str, out: list[Output]) -> None:
        self._forget(link, out)
        if link.session is not None or not link.inbound:
            out.append(Down(link.peer, reason))

    def _forget(self, link: OneLink, out: list[Output]) -> None:
        self._links.pop(link.number, None)
        self._peers.pop(link.peer, None)
        self._waiting_in_all -= self._waiting.pop(link.number, 0)
        self._strangers.remove(link)
        if self._by_route.get(link.route) == link.peer:
            del self._by_route[link.route]
        del self._alarms[link.number]
        if isinstance(link.route, Stream):
            number = link.route.number
            if not any(_runs_over(other.route, number) for other in self._links.values()):
                out += self.streams.close(number)

    def _stream_gone(self, number: int, reason: str) -> list[Output]:
        out: list[Output] = []
        for link in [held for held in self._links.values() if _runs_over(held.route, number)]:
            self._drop(link, reason, out)
        return out


def _runs_over(route: Route, number: int) -> bool:
    return isinstance(route, Stream) and route.number == number


