"""The ear of a node, and the face of all its links: datagrams and streams on one side, peers and messages on the other.

A *link* is what two nodes have after a handshake: keys, an order of messages, and a route that may change while the
keys stay.  Each side gives the link a number of its own, by which the other addresses it.  Here what arrives is heard;
``mouth`` says what is to be said, ``doorkeeper`` begins and ends links, ``reentry`` resumes them, ``links`` is the
table of them.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import inf

from halloo.base.address import Address, Channel, Peer, Route, Stream, Wire
from halloo.base.errors import Malformed, PeerError, Refused
from halloo.base.machine import Message
from halloo.link.datagrams import LAYOUTS, Datagrams
from halloo.link.doorkeeper import Doorkeeper
from halloo.link.links import Links
from halloo.link.mouth import SEALED_HEAD, SEALED_MARK, Mouth
from halloo.link.notice import Carried, Down, Heard, Moved, Output, SoundHeard
from halloo.link.onelink import OneLink
from halloo.link.persona import Persona
from halloo.link.reentry import Reentry, Resumption
from halloo.link.reliable import said_once
from halloo.link.strangers import Strangers
from halloo.link.streams import Streams
from halloo.messages.catalogue import OPEN, SEALED
from halloo.messages.link import (
    AskTicket,
    Confirm,
    Finish,
    Goodbye,
    Hello,
    HelloAnswer,
    HelloRetry,
    Renew,
    RenewAnswer,
    RenewFinish,
    Resume,
    Resumed,
    ResumeRefused,
    Ticket,
)
from halloo.messages.path import PathEcho, PathProbe
from halloo.wire.buffer import Reader
from halloo.wire.command import decode_commands
from halloo.wire.frame import Control, FrameKind, StreamFrame, is_wanted

__all__ = ["Endpoint"]


class Endpoint:
    """All links of one node.  ``wall``: seconds to add to the world's clock for the wall clock."""

    def __init__(self, persona: Persona, cloak_key: bytes, hosts: Iterable[bytes], wall: float) -> None:
        self.persona = persona
        self.datagrams = Datagrams(persona.suite, persona.suite.cloak(cloak_key, LAYOUTS), hosts, persona.rng)
        self.streams = Streams(persona.suite, cloak_key, persona.rng)
        self.faults = 0
        """Datagrams and messages dropped because they broke the rules."""
        self._links = Links(persona.rng)
        strangers = Strangers(persona.suite.digest, persona.rng)
        self._mouth = Mouth(persona, self.datagrams, self.streams, self._links)
        self._doorkeeper = Doorkeeper(persona, self._links, strangers, self.streams, self._mouth, wall)
        self._reentry = Reentry(persona, self._links, strangers, self._doorkeeper, self._mouth, wall)
        self._channels: dict[int, Channel] = {}

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
        tickets = self._reentry.tickets
        return min(self._links.wake_at, self.datagrams.fragments.wake_at, self.streams.wake_at, tickets.wake_at)

    def wake(self, now: float) -> list[Output]:
        """Say again what was not heard; ask for what is missing; end what is dead."""
        out: list[Output] = []
        self._reentry.tickets.wake(now)
        if self.datagrams.fragments.wake_at <= now:
            for route, fragment in self.datagrams.fragments.wake(now):
                out += self._mouth.ask_again(route, fragment)
        for number in self.streams.silent(now):
            out += self.streams.close(number)
        for link in self._links.due(now):
            given_up = link.given_up(now)
            if given_up:
                out += self._doorkeeper.drop(link, given_up)
                continue
            if now >= link.again_at:
                out += self._reentry.greet_again(link, now)
            if now >= link.renew_at:
                link.reliable.say(self._mouth.said(link.renew(self.persona, now)))
            self._links.stir(link)
        return out

    # --- what the owner wants ---------------------------------------------------------------------------------

    def link(self, peer: Peer, route: Route, now: float, key: bytes = b"", ticket: bytes = b"") -> list[Output]:
        """Begin a link under the number ``peer``, over ``route``, with the holder of ``key`` (empty: with anybody).

        ``ticket``: what a Ticketed brought; then the first word goes out at the next ``flush``, with what may go along.
        """
        return self._reentry.begin(peer, route, now, key, ticket)

    def unlink(self, peer: Peer, reason: str, now: float) -> list[Output]:
        """End a link; the other side is told once."""
        out: list[Output] = []
        link = self._links.of(peer)
        if link is not None:
            if link.session is not None:
                link.reliable.say(self._mouth.said(Goodbye(reason=reason[:120])))
                out += self._mouth.flush(link, now)
            out += self._doorkeeper.forget(link)
            out.append(Down(peer, reason))
        return out

    def reroute(self, peer: Peer, route: Route, now: float) -> list[Output]:
        """Speak to a peer over another route from now on."""
        link = self._links.of(peer)
        if link is not None:
            self._links.move(link, route)
        return []

    def send(self, to: Peer | Route, message: Message, now: float) -> list[Output]:
        """Say a message: to a peer it goes out at the next ``flush``; in the open at once."""
        if not isinstance(to, int):
            return list(self._mouth.say(to, message))
        link = self._links.of(to)
        if link is None:
            return []
        if link.returning is not None:
            link.returning.offer(message)
        link.asks_ticket = link.asks_ticket or isinstance(message, AskTicket)
        if not link.reliable.say(self._mouth.said(message)):
            return self._doorkeeper.drop(link, "too much waits unheard")
        self._links.stir(link)
        return []

    def send_once(self, peer: Peer, message: Message, route: Route) -> list[Output]:
        """Say a message once over ``route``; the link keeps the way it has."""
        link = self._links.of(peer)
        return list(self._mouth.once(link, message, route)) if link is not None else []

    def bear(self, peer: Peer, seconds: float) -> None:
        """Take the link to a peer for dead when nothing said was heard for so many seconds."""
        link = self._links.of(peer)
        if link is not None:
            link.reliable.give_up = seconds
            self._links.stir(link)

    def send_sound(self, peer: Peer, body: bytes, now: float) -> list[Output]:
        """Send one packet of sound; without a link it goes nowhere."""
        link = self._links.of(peer)
        return list(self._mouth.sound(link, body)) if link is not None else []

    def forward(self, peer: Peer, token: int, inner: bytes) -> list[Output]:
        """Pass a datagram on to a peer under ``token``."""
        return list(self._mouth.forward(peer, token, inner))

    def accept(self, channel: Channel) -> None:
        """Take what comes under this channel's token as ours."""
        self._channels[channel.token] = channel

    def release(self, channel: Channel) -> None:
        """No longer."""
        self._channels.pop(channel.token, None)

    def flush(self, now: float) -> list[Output]:
        """Seal and send what was said in this turn, and acknowledge what was heard."""
        out: list[Output] = []
        for link in self._links.stirred():
            out += self._reentry.flush(link, now)
            out += self._mouth.flush(link, now)
            self._links.arm(link)
            if self._links.overweight(link):
                out += self._doorkeeper.drop(link, "too much waits unheard")
        return out

    def route(self, peer: Peer) -> Route | None:
        """How a peer is reached now."""
        link = self._links.of(peer)
        return link.route if link else None

    def round_trip(self, peer: Peer) -> float:
        """The measured round trip to a peer in seconds, 0 while unknown."""
        link = self._links.of(peer)
        return link.reliable.round_trip if link else 0.0

    @property
    def unheard(self) -> bool:
        """Whether something was said to somebody that he has not acknowledged."""
        return any(link.reliable.unheard for link in self._links if link.session is not None)

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
            messages = decode_commands(body, OPEN, self.persona.notary.network)
            for message in messages:
                self._open_heard(message, route, now, out, len(body) // len(messages))

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
            out.append(Carried(token, inner, self._links.peer_at(route)))
            return
        if self._links.peer_at(route) != channel.hop:
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
            out += self._mouth.fragments(route, *fragments.wanted(route, head, body))
            return
        whole = fragments.hear(route, head, body, now)
        if whole is not None:
            self._frame_heard(FrameKind.PAYLOAD, frame, b"", whole, route, now, out)

    def _sealed_heard(self, frame: int, body: bytes, route: Route, now: float, out: list[Output]) -> None:
        reader = Reader(body)
        head = reader.take(SEALED_HEAD)[1:]
        link, plain, newest = self._open(FrameKind.PAYLOAD, head, frame, reader.rest(), route, now)
        once = said_once(plain)
        if newest and not once:
            self._follow(link, route, out)
        if link.greeting:
            link.greeting, link.again_at, link.initiator = (), inf, None
        self._links.stir(link)
        commands = link.reliable.heard(plain, now)
        if link.admitted is not None:
            out += self._reentry.confirmed(link, now)
        for command in commands:
            for message in decode_commands(command, SEALED, self.persona.notary.network):
                if not self._message_heard(link, message, now, out):
                    return
        for command in once:
            for message in decode_commands(command, SEALED, self.persona.notary.network):
                if isinstance(message, PathProbe | PathEcho):
                    out.append(Heard(message, link.peer, route))

    def _message_heard(self, link: OneLink, message: Message, now: float, out: list[Output]) -> bool:
        """Whether the link goes on."""
        match message:
            case Goodbye():
                out += self._doorkeeper.drop(link, message.reason or "the other side ended the link")
                return False
            case Renew() | RenewAnswer() | RenewFinish():
                reply = link.hear_renewal(self.persona, message, now)
                if reply is not None:
                    link.reliable.say(self._mouth.said(reply))
            case AskTicket():
                self._reentry.asked(link, now)
            case Ticket():
                out.append(self._reentry.given(link, message))
            case Confirm():
                pass  # that it came is all that it says
            case _:
                out.append(Heard(message, link.peer))
        return True

    def _sound_heard(self, head: bytes, frame: int, body: bytes, route: Route, now: float, out: list[Output]) -> None:
        link, plain, newest = self._open(FrameKind.MEDIA, head, frame, body, route, now)
        if link.admitted is not None:
            raise Refused("sound before a word")
        if newest:
            self._follow(link, route, out)
        out.append(SoundHeard(link.peer, plain, route))

    def _open(
        self, kind: FrameKind, head: bytes, frame: int, sealed: bytes, route: Route, now: float
    ) -> tuple[OneLink, bytes, bool]:
        """(the link, what was sealed, whether it is the newest so far).  Raises Refused."""
        link = self._links.numbered(int.from_bytes(head, "big"))
        if link is None or link.session is None:
            raise Refused("a packet for no link of ours")
        if link.admitted is not None and route != link.route:
            raise Refused("a confirmation from elsewhere")
        plain, newest = link.session.open(kind, head, frame, sealed)
        link.heard_at = now
        return link, plain, newest

    def _follow(self, link: OneLink, route: Route, out: list[Output]) -> None:
        """The other side's address has changed; its seal shows that it is the same.  What tries a way changes none."""
        if route != link.route and isinstance(route, Wire) and isinstance(link.route, Wire):
            self._links.move(link, route)
            out.append(Moved(link.peer, route))

    def _open_heard(self, message: Message, route: Route, now: float, out: list[Output], size: int = 0) -> None:
        """``size``: the bytes that the other side spent on it."""
        match message:
            case Hello() | HelloRetry() | HelloAnswer() | Finish():
                out += self._doorkeeper.hear(message, route, now)
            case Resume():
                self._resumption(self._reentry.hear_resume(message, route, size, now), now, out)
            case Resumed():
                self._resumption(self._reentry.hear_resumed(message, now), now, out)
            case ResumeRefused():
                out += self._reentry.hear_refused(message, now)
            case _:
                out.append(Heard(message, route))

    def _resumption(self, heard: Resumption, now: float, out: list[Output]) -> None:
        told, link, messages = heard
        out += told
        if link is not None:
            for message in messages:
                if not self._message_heard(link, message, now, out):
                    return

    def _stream_gone(self, number: int, reason: str) -> list[Output]:
        return [told for link in self._links.over(number) for told in self._doorkeeper.drop(link, reason)]
