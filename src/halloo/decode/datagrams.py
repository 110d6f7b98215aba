"""Explains datagrams: the cloak lifted, frames, fragments put together, what is sealed opened where a key is there."""

from __future__ import annotations

from collections import OrderedDict
from itertools import product

from halloo.base.address import Address
from halloo.base.errors import Malformed, PeerError
from halloo.crypto.suite import Cloak, Covered, Layout, Mismatch, Suite
from halloo.decode.cloaks import places
from halloo.decode.commands import explain_commands, read_commands
from halloo.decode.handshake import Talks
from halloo.decode.keys import Keys
from halloo.decode.tree import Cursor, Part
from halloo.link.datagrams import LAYOUTS, NOWHERE
from halloo.link.mouth import SEALED_MARK
from halloo.media.packet import Packet
from halloo.messages.catalogue import OPEN, SEALED
from halloo.messages.link import Resumed
from halloo.wire.frame import FrameKind, Reassembly, decode_ack, decode_nack, decode_wanted, is_wanted

__all__ = ["Frames", "NotOurs"]

MAX_SENDERS = 256  # whose fragments are held at once
MAX_HOSTS = 4_096  # hosts of which another, public one is known
_NAMES = {int(kind): kind.name.lower() for kind in FrameKind}


class NotOurs(PeerError):
    """Bytes that are no datagram of this network, as far as the keys that were given can tell."""


class Frames:
    """Explains the frames of one network (``network``: its id), and remembers what later ones need."""

    def __init__(self, suite: Suite, cloak_key: bytes, keys: Keys, network: bytes = b"") -> None:
        self.suite = suite
        self.network = network
        self.cloak_key = cloak_key
        self._cloak: Cloak = suite.cloak(cloak_key, LAYOUTS)
        self._keys = keys
        self._talks = Talks(suite, keys)
        self._partial: OrderedDict[str, Reassembly] = OrderedDict()
        self._public: OrderedDict[bytes, bytes] = OrderedDict()
        """Hosts as others see them, by the host that the capture has: what NAcks told."""
        self._pairs: OrderedDict[tuple[Address, Address], None] = OrderedDict()
        """Who spoke to whom in frames that can be checked, both ways round."""

    def datagram(
        self, data: bytes, source: Address, destination: Address, now: float, *, certain: bool = False
    ) -> Part:
        """One datagram.

        Some kinds of frames have nothing in them that can be checked.  Where ``certain``, they count as ours only
        between two who spoke in others before, or when a key opens them: any bytes could be such a frame.

        Raises:
            NotOurs: the cloak does not come off.
        """
        covered, hosts = self._uncover(data, source.host, destination.host)
        opened = self._keys.opened
        part = self._explained(data, covered, hosts, source, destination, now)
        if LAYOUTS[covered.kind].hidden or self._keys.opened > opened:
            for pair in ((source, destination), (destination, source)):
                self._pairs[pair] = None
                self._pairs.move_to_end(pair)
            while len(self._pairs) > 2 * MAX_HOSTS:
                self._pairs.popitem(last=False)
        elif certain and (source, destination) not in self._pairs:
            raise NotOurs("nothing in it can be checked, and its sender is not known")
        return part

    def _explained(
        self, data: bytes, covered: Covered, hosts: str, source: Address, destination: Address, now: float
    ) -> Part:
        if covered.kind == FrameKind.NACK and len(covered.body) in (8, 20):
            self._learn(destination.host, decode_nack(covered.body)[0])
        return self._frame(data, covered, hosts, str(source), now)

    def payload(self, frame: int, body: bytes) -> list[Part]:
        """The content of a payload: commands in the open, or one sealed packet."""
        cursor = Cursor(body, self.network)
        try:
            if body[:1] == SEALED_MARK:
                self._sealed(cursor, frame)
            else:
                explain_commands(cursor, OPEN)
                for message in read_commands(body, self.network):
                    cursor.parts += self._talks.explain(message)
                    if isinstance(message, Resumed):
                        cursor.parts += self._resumed(message)
        except PeerError as fault:
            cursor.stop(fault)
        return cursor.parts

    def media(self, frame: int, head: bytes, sealed: bytes) -> list[Part]:
        """A packet of sound to the link number ``head``."""
        if not head and not sealed:
            return [Part("keep-alive", 0, b"", "empty: it only keeps an address translator's entry")]
        opened = self._keys.open(self.suite, FrameKind.MEDIA, head, frame, sealed)
        if opened is None:
            return [Part("sound", 0, sealed, "sealed; no key is given for this link", fresh=True)]
        cursor = Cursor(opened.plain)
        parts = [Part("sound", 0, opened.plain, opened.meaning, cursor.parts, fresh=True)]
        try:
            packet = Packet.parse(opened.plain)
            cursor.byte()
            cursor.note("head", 0, f"version 1, {len(packet.copies)} copies of earlier frames")
            cursor.number(4)
            cursor.note("number", 1, f"frame {packet.number}, media time {packet.number * 20} ms")
            for copy in packet.copies:
                start = cursor.position
                cursor.take(3 + len(copy.frame))
                cursor.note("copy", start, f"of frame {packet.number - copy.offset}, {len(copy.frame)} bytes")
            start = cursor.position
            cursor.rest()
            cursor.note("frame", start, f"{len(packet.frame)} bytes of coded sound")
        except PeerError as fault:
            cursor.stop(fault)
        return parts

    def forward(self, token: bytes, inner: bytes, now: float) -> list[Part]:
        """A datagram that travels by a relay under ``token``."""
        nowhere = NOWHERE[4]
        try:
            covered = self._cloak.uncover(inner, nowhere, nowhere)
            if covered.kind == FrameKind.FORWARD:
                raise Malformed("a relay carries no forwarded datagram")
        except PeerError as fault:
            return [Part("the datagram inside", 0, inner, "", fault=str(fault), fresh=True)]
        part = self._frame(inner, covered, "both ends count as nowhere", f"token {token.hex()}", now)
        part.name, part.fresh = f"the datagram inside, {part.name}", True
        return [part]

    # --- inside -------------------------------------------------------------------------------------------------

    def _uncover(self, data: bytes, source: bytes, destination: bytes) -> tuple[Covered, str]:
        """The datagram without its cloak, and for which hosts it was made."""
        from_hosts = [source, *self._known(source), NOWHERE[len(source)]]
        to_hosts = [destination, *self._known(destination), NOWHERE[len(destination)]]
        mismatch: Mismatch | None = None
        for here, there in dict.fromkeys(product(from_hosts, to_hosts)):
            try:
                covered = self._cloak.uncover(data, here, there)
            except Mismatch as fault:
                mismatch = fault
                continue
            except Malformed as fault:
                raise NotOurs(str(fault)) from None
            if not LAYOUTS[covered.kind].bound:
                return covered, ""
            said = Address(here, 0).ip if any(here) else f"{Address(here, 0).ip} (a sender who does not know his own)"
            return covered, f"bound to {said} and {Address(there, 0).ip}"
        assert mismatch is not None
        raise NotOurs(f"{mismatch}; give the addresses it was sent from and to")

    def _known(self, host: bytes) -> list[bytes]:
        return [self._public[host]] if host in self._public else []

    def _learn(self, host: bytes, public: bytes) -> None:
        """A NAck: a host of the capture is seen as ``public`` by others."""
        if len(host) == len(public):
            self._public[host] = public
            if len(self._public) > MAX_HOSTS:
                self._public.popitem(last=False)

    def _frame(self, data: bytes, covered: Covered, hosts: str, source: str, now: float) -> Part:
        layout: Layout = LAYOUTS[covered.kind]
        name = _NAMES.get(covered.kind, f"frame of kind {covered.kind:#04x}")
        cursor = Cursor(data)
        cursor.take(2)
        cursor.note("frame id", 0, f"{covered.frame:#06x}")
        cursor.take(1)
        cursor.note("kind", 2, f"{covered.kind:#04x} {name}")
        if covered.head:
            cursor.take(len(covered.head))
            cursor.note("head", 3, "", _head(covered))
        for place in places(self.suite.name, data, covered, layout):
            start = cursor.position
            cursor.take(place.size)
            cursor.note(place.name, start, place.meaning)
        cursor.parts += self._content(covered, source, now)
        return Part(name, 0, data, hosts, cursor.parts)

    def _content(self, covered: Covered, source: str, now: float) -> list[Part]:
        body = covered.body
        match covered.kind:
            case FrameKind.PAYLOAD | FrameKind.RESEND:
                return [Part("payload", 0, body, "", self.payload(covered.frame, body), fresh=True)]
            case FrameKind.MEDIA:
                return self.media(covered.frame, covered.head, body)
            case FrameKind.FORWARD:
                return self.forward(covered.head, body, now)
            case FrameKind.ACK | FrameKind.NACK:
                return [_told(covered.kind, body)]
            case FrameKind.FRAGMENT:
                return self._fragment(covered, source, now)
        return [Part("body", 0, body, "frames of this kind are not explained", fresh=True)]

    def _fragment(self, covered: Covered, source: str, now: float) -> list[Part]:
        if is_wanted(covered.head):
            try:
                number, missing = decode_wanted(covered.head, covered.body)
            except PeerError as fault:
                return [Part("wanted", 0, covered.body, "", fault=str(fault), fresh=True)]
            places = ", ".join(map(str, missing))
            return [Part("wanted", 0, covered.body, f"of message {number:#06x} the pieces {places} again", fresh=True)]
        parts = [Part("piece", 0, covered.body, "", fresh=True)]
        held = self._partial.setdefault(source, Reassembly())
        self._partial.move_to_end(source)
        if len(self._partial) > MAX_SENDERS:
            self._partial.popitem(last=False)
        try:
            whole = held.add(covered.head, covered.body, now)
        except PeerError as fault:
            parts[0].fault = str(fault)
            return parts
        if not held.held:
            del self._partial[source]
        if whole is not None:
            inside = self.payload(covered.frame, whole)
            parts.append(Part("payload, put together", 0, whole, "", inside, fresh=True))
        return parts

    def _sealed(self, cursor: Cursor, frame: int) -> None:
        cursor.byte()
        cursor.note("mark", 0, "what follows is sealed")
        link = cursor.take(4)
        cursor.note("link", 1, f"to the link number {link.hex()}")
        start = cursor.position
        sealed = cursor.rest()
        opened = self._keys.open(self.suite, FrameKind.PAYLOAD, link, frame, sealed)
        part = cursor.note("sealed", start, opened.meaning if opened else "no key is given for this link")
        if opened is not None:
            part.parts = [self._plain(opened.plain)]

    def _plain(self, packet: bytes) -> Part:
        """An opened packet of a link."""
        plain = Cursor(packet, self.network)
        part = Part("plain", 0, packet, "", plain.parts, fresh=True)
        try:
            ack = plain.varint()
            plain.note("ack", 0, f"all up to {ack} was heard")
            start = plain.position
            first = plain.varint()
            plain.note("first", start, f"the first command is number {first}" if first else "no command is in it")
            rest = plain.position
            explain_commands(plain, SEALED, first)
            for message in read_commands(packet[rest:], self.network):
                plain.parts += self._talks.explain(message)
        except PeerError as fault:
            plain.stop(fault)
        return part

    def _resumed(self, message: Resumed) -> list[Part]:
        """The first packet of a link that was resumed, where a key to it is given."""
        head = message.to.to_bytes(4, "big")
        opened = self._keys.open(self.suite, FrameKind.PAYLOAD, head, 0, message.sealed)
        if opened is None:
            return []
        part = self._plain(opened.plain)
        part.name, part.meaning = "the first packet, opened", opened.meaning
        return [part]


def _head(covered: Covered) -> list[Part]:
    """The fields of a frame, uncovered."""
    cursor = Cursor(covered.head)

    def field(name: str, size: int, meaning: str) -> None:
        start = cursor.position
        cursor.take(size)
        cursor.note(name, start, meaning)

    head = covered.head
    match covered.kind:
        case FrameKind.RESEND:
            field("attempt", 1, str(head[0]))
            field("challenge", 4, "from the NAck")
            field("destination", 4, Address(head[5:9], 0).ip)
        case FrameKind.FORWARD:
            field("token", 8, head.hex())
        case FrameKind.MEDIA:
            field("link", 4, f"to the link number {head.hex()}")
        case FrameKind.FRAGMENT:
            field("message", 2, head[:2].hex())
            last = ", the last" if head[2] & 0x80 else ""
            field("place", 1, "asks for pieces" if is_wanted(head) else f"piece {head[2] & 0x0F}{last}")
            field("of", 1, "a payload" if head[3] == FrameKind.PAYLOAD else "something unknown")
    return [Part("head, uncovered", 0, head, "", cursor.parts, fresh=True)]


def _told(kind: int, body: bytes) -> Part:
    """What an Ack or a NAck says."""
    part = Part("ack" if kind == FrameKind.ACK else "nack", 0, body, fresh=True)
    cursor = Cursor(body)
    try:
        if kind == FrameKind.ACK:
            host, port = decode_ack(body)
            cursor.take(len(host))
            cursor.note("host", 0, f"you are {Address(host, 0).ip}")
            cursor.take(2)
            cursor.note("port", len(host), str(port))
            cursor.rest()
            cursor.note("zero", len(host) + 2)
        else:
            host, challenge = decode_nack(body)
            cursor.take(len(host))
            cursor.note("host", 0, f"you are {Address(host, 0).ip}")
            cursor.rest()
            cursor.note("challenge", len(host), f"{challenge:#010x}, to be said again in a resend")
    except PeerError as fault:
        cursor.stop(fault)
    part.parts = cursor.parts
    return part


