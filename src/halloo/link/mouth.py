"""The way out: messages become commands, commands packets, packets frames, over whatever route a link has.

    payload of a link = 0x00, link number 4, sealed (see ``reliable``)         in a PAYLOAD frame
    sound of a link   = link number 4, sealed packet of sound                  in a MEDIA frame

A payload that does not begin with a zero holds commands in the open.
"""

from __future__ import annotations

from halloo.base.address import Channel, Peer, Route, Stream, Wire
from halloo.base.machine import Effect, Message
from halloo.link.datagrams import Datagrams
from halloo.link.links import Links
from halloo.link.onelink import OneLink
from halloo.link.persona import Persona
from halloo.link.reliable import SignOfLife
from halloo.link.streams import Streams
from halloo.messages.link import Resume, Resumed
from halloo.messages.overlay import Ping, Pong
from halloo.wire.command import encode_command
from halloo.wire.frame import Control, FrameKind, StreamFrame

__all__ = ["CHANNEL_ROOM", "SEALED_HEAD", "SEALED_MARK", "Mouth"]

SEALED_MARK = b"\0"
SEALED_HEAD = len(SEALED_MARK) + 4  # bytes before the seal: mark and link number
_DENSE = (Resume, Resumed)  # to try it on them would cost more than the seals
CHANNEL_ROOM = 96  # bytes of a fragment that a relay's frame and the inner cloak take


class Mouth:
    """What a node says, put on the wire.  ``links`` tells it how the hop of a channel is reached."""

    def __init__(self, persona: Persona, datagrams: Datagrams, streams: Streams, links: Links) -> None:
        self._persona = persona
        self._network = persona.notary.network
        self._datagrams = datagrams
        self._streams = streams
        self._links = links
        self._frame = persona.rng.getrandbits(15) << 1

    def said(self, message: Message) -> bytes:
        """The bytes of a message, as they are sent; one that is nearly all keys and ciphertext is not compressed."""
        command = encode_command(message, compressed=not isinstance(message, _DENSE), network=self._network)
        return SignOfLife(command) if isinstance(message, Ping | Pong) else command

    def say(self, route: Route, message: Message) -> list[Effect]:
        """Say a message in the open."""
        return self._payload(route, self._next_frame(), self.said(message))

    def flush(self, link: OneLink, now: float) -> list[Effect]:
        """Seal and send what a link has to say or to acknowledge; nothing before it stands."""
        out: list[Effect] = []
        if link.session is None or not link.speaks:
            return out
        overhead = SEALED_HEAD + link.session.overhead
        for plain in link.reliable.packets(now, self._persona.suite.fragment_size - overhead - CHANNEL_ROOM):
            padded = self.padded(plain, overhead)
            frame, sealed = link.session.close(FrameKind.PAYLOAD, link.theirs, padded)
            out += self._payload(link.route, frame, SEALED_MARK + link.theirs + sealed)
        return out

    def once(self, link: OneLink, message: Message, route: Route) -> list[Effect]:
        """Say a message once, over a route of its own; before the link stands it goes nowhere."""
        if link.session is None or not link.speaks:
            return []
        padded = self.padded(link.reliable.once(self.said(message)), SEALED_HEAD + link.session.overhead)
        frame, sealed = link.session.close(FrameKind.PAYLOAD, link.theirs, padded)
        return self._payload(route, frame, SEALED_MARK + link.theirs + sealed)

    def sound(self, link: OneLink, body: bytes) -> list[Effect]:
        """Send one packet of sound; before the link stands it goes nowhere."""
        if link.session is None or not link.speaks:
            return []
        frame, sealed = link.session.close(FrameKind.MEDIA, link.theirs, body)
        route = link.route
        if isinstance(route, Wire):
            return [self._datagrams.frame(route, FrameKind.MEDIA, frame, link.theirs, sealed)]
        if isinstance(route, Stream):
            content = link.theirs + frame.to_bytes(2, "big") + sealed
            return self._streams.send(route, StreamFrame(Control.MEDIA, 0, content))
        return self._through(route, self._datagrams.inner(FrameKind.MEDIA, frame, link.theirs, sealed))

    def forward(self, peer: Peer, token: int, inner: bytes) -> list[Effect]:
        """Pass a datagram on to a peer under ``token``."""
        link = self._links.of(peer)
        if link is None or link.admitted is not None:
            return []
        head = token.to_bytes(8, "big")
        if isinstance(link.route, Wire):
            return [self._datagrams.frame(link.route, FrameKind.FORWARD, self._next_frame(), head, inner)]
        if isinstance(link.route, Stream):
            return self._streams.send(link.route, StreamFrame(Control.FORWARD, 0, head + inner))
        return []  # a relay is never reached through a relay

    def ask_again(self, route: Route, fragment: tuple[bytes, bytes]) -> list[Effect]:
        """Ask for the missing pieces of a payload: ``fragment`` says which."""
        return self.fragments(route, self._next_frame(), [fragment])

    def fragments(self, route: Route, frame: int, fragments: list[tuple[bytes, bytes]]) -> list[Effect]:
        """Fragments, each its head and its piece, over a route that is no stream: there nothing is cut."""
        out: list[Effect] = []
        for head, piece in fragments:
            if isinstance(route, Wire):
                out.append(self._datagrams.frame(route, FrameKind.FRAGMENT, frame, head, piece))
            elif isinstance(route, Channel):
                out += self._through(route, self._datagrams.inner(FrameKind.FRAGMENT, frame, head, piece))
        return out

    def _payload(self, route: Route, frame: int, body: bytes) -> list[Effect]:
        if isinstance(route, Wire):
            return list(self._datagrams.payload(route, frame, body))
        if isinstance(route, Stream):
            return self._streams.send(route, StreamFrame(None, frame, body))
        size = self._persona.suite.fragment_size - CHANNEL_ROOM
        if len(body) <= size:
            return self._through(route, self._datagrams.inner(FrameKind.PAYLOAD, frame, b"", body))
        return self.fragments(route, frame, self._datagrams.fragments.cut(route, frame, body, size))

    def _through(self, channel: Channel, inner: bytes) -> list[Effect]:
        return self.forward(channel.hop, channel.token, inner)

    def padded(self, plain: bytes, overhead: int, room: int = 1 << 32) -> bytes:
        """Grown with zeros, so that the whole has one of few sizes, as far as there is room.

        Only signs of life may have the least.
        """
        sizes = self._persona.suite.padded_sizes[not isinstance(plain, SignOfLife) :]
        whole = len(plain) + overhead
        fitting = next((size for size in sizes if whole <= size <= room), whole)
        return plain + bytes(fitting - whole)

    def _next_frame(self) -> int:
        self._frame = self._frame + 2 & 0xFFFF
        return self._frame
