"""Datagrams in and out: the cloak, NAck and resend.

    sender (does not know its public address)      receiver
      | -- payload, bound to 0.0.0.0 -------------> |  the check fails
      | <- NAck: your host, a challenge ----------- |
      | -- resend: challenge, the payload --------> |  so the sender can hear us at its address
      | <- Ack: your host and port ---------------- |

The challenge is made from the sender's address and a secret of ours, so that nothing is stored for a stranger.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from random import Random

from halloo.base.address import Address, Wire
from halloo.base.effects import Transmit
from halloo.base.errors import Malformed, PeerError
from halloo.crypto.suite import Cloak, Covered, Layout, Mismatch, Suite
from halloo.link.fragments import Fragments
from halloo.link.notice import Observed
from halloo.wire.frame import (
    FrameKind,
    decode_ack,
    decode_nack,
    decode_resend,
    encode_ack,
    encode_nack,
    encode_resend,
)

__all__ = ["LAYOUTS", "NOWHERE", "Datagrams", "Piece"]

LAYOUTS: dict[int, Layout] = {
    FrameKind.PAYLOAD: Layout(0, hidden=True, bound=True),
    FrameKind.RESEND: Layout(9, hidden=True, bound=False, nonce_at=1),
    FrameKind.ACK: Layout(0, hidden=False, bound=False),
    FrameKind.NACK: Layout(0, hidden=False, bound=False),
    FrameKind.FORWARD: Layout(8, hidden=False, bound=False),
    FrameKind.MEDIA: Layout(4, hidden=False, bound=False),
    FrameKind.FRAGMENT: Layout(4, hidden=True, bound=False),
}

NOWHERE = {4: bytes(4), 16: bytes(16)}  # the host of one who does not know his own, by length
MAX_HOSTS = 8  # addresses of our own that are tried; each costs one check
MAX_REMEMBERED = 512  # payloads kept for a resend, and observations kept


@dataclass(frozen=True, slots=True)
class Piece:
    """The content of one frame that arrived, and from where."""

    kind: FrameKind
    frame: int
    head: bytes
    body: bytes
    source: Wire


class Datagrams:
    """The cloak over one node's datagrams, and what it takes to learn one's own address."""

    def __init__(self, suite: Suite, cloak: Cloak, hosts: Iterable[bytes], rng: Random) -> None:
        self.cloak = cloak
        self._suite = suite
        self._rng = rng
        self._secret = rng.randbytes(16)
        self.hosts: list[bytes] = list(dict.fromkeys(hosts))[:MAX_HOSTS]
        """Hosts under which others reach us, the most useful first."""
        self.public: dict[int, bytes] = {}
        """By length, the host last told to us."""
        self._seen_by: OrderedDict[bytes, bytes] = OrderedDict()
        self._sent: OrderedDict[tuple[Address, int, int], bytes] = OrderedDict()
        self.fragments = Fragments()

    def payload(self, route: Wire, frame: int, body: bytes) -> list[Transmit]:
        """The datagrams of one payload: one, or its fragments."""
        if len(body) > self._suite.fragment_size:
            pieces = self.fragments.cut(route, frame, body, self._suite.fragment_size)
            return [self.frame(route, FrameKind.FRAGMENT, frame, head, piece) for head, piece in pieces]
        self._sent[route.address, route.socket, frame] = body
        if len(self._sent) > MAX_REMEMBERED:
            self._sent.popitem(last=False)
        return [self.frame(route, FrameKind.PAYLOAD, frame, b"", body)]

    def frame(self, route: Wire, kind: FrameKind, frame: int, head: bytes, body: bytes) -> Transmit:
        """The datagram of one frame."""
        there = route.address.host
        size = len(there)
        here = self._seen_by.get(there) or self.public.get(size) or NOWHERE[size]
        covered = Covered(frame, kind, head, body)
        return Transmit(route.address, self.cloak.cover(covered, here, there, self._rng), route.socket)

    def inner(self, kind: FrameKind, frame: int, head: bytes, body: bytes) -> bytes:
        """A whole datagram to be carried by a relay; both ends count as nowhere."""
        return self.cloak.cover(Covered(frame, kind, head, body), NOWHERE[4], NOWHERE[4], self._rng)

    def uncover_inner(self, data: bytes) -> Covered:
        """Open a datagram that a relay carried.  Raises PeerError."""
        return self.cloak.uncover(data, NOWHERE[4], NOWHERE[4])

    def receive(self, data: bytes, source: Wire) -> tuple[Piece | None, list[Transmit], Observed | None]:
        """Lift the cloak of one datagram: (what is for the endpoint, what to send back, what was learned).

        Raises:
            PeerError: nothing of ours, or against the rules; to be dropped.
        """
        address = source.address
        try:
            covered = self._uncover(data, address)
        except Mismatch as mismatch:
            body = encode_nack(address.host, self._challenge(address, mismatch.frame))
            return None, [self.frame(source, FrameKind.NACK, mismatch.frame, b"", body)], None
        match covered.kind:
            case FrameKind.NACK:
                return None, *self._refused(source, covered)
            case FrameKind.RESEND:
                return self._resent(source, covered)
            case FrameKind.ACK:
                host, port = decode_ack(covered.body)
                return None, [], Observed(host, port, address)
            case FrameKind.PAYLOAD | FrameKind.FRAGMENT | FrameKind.FORWARD | FrameKind.MEDIA:
                return Piece(FrameKind(covered.kind), covered.frame, covered.head, covered.body, source), [], None
        raise Malformed(f"frames of kind {covered.kind:#04x} are not known")

    def learn_host(self, host: bytes) -> None:
        """Remember a host under which we are reached."""
        if any(host) and host not in self.hosts:
            self.hosts.insert(0, host)
            del self.hosts[MAX_HOSTS:]

    def _uncover(self, data: bytes, address: Address) -> Covered:
        size = len(address.host)
        for host in self.hosts:
            if len(host) == size:
                try:
                    return self.cloak.uncover(data, address.host, host)
                except Mismatch:
                    continue
        return self.cloak.uncover(data, address.host, NOWHERE[size])

    def _challenge(self, address: Address, frame: int) -> int:
        text = self._secret + address.host + address.port.to_bytes(2, "big") + frame.to_bytes(2, "big")
        return int.from_bytes(self._suite.digest(text)[:4], "big")

    def _refused(self, source: Wire, covered: Covered) -> tuple[list[Transmit], Observed | None]:
        """A NAck: note our host, and say it again with the challenge.  Only what we did send can be refused."""
        host, challenge = decode_nack(covered.body)
        address = source.address
        payload = self._sent.pop((address, source.socket, covered.frame), None)
        if payload is None or len(host) != len(address.host):
            raise PeerError("a NAck of what was never sent")
        self._seen_by[address.host] = host
        if len(self._seen_by) > MAX_REMEMBERED:
            self._seen_by.popitem(last=False)
        self.public[len(host)] = host
        self.learn_host(host)
        head = encode_resend(1, challenge, address.host)
        again = self.frame(source, FrameKind.RESEND, covered.frame, head, payload)
        return [again], Observed(host, 0, address)

    def _resent(self, source: Wire, covered: Covered) -> tuple[Piece, list[Transmit], None]:
        challenge, host = decode_resend(covered.head)
        address = source.address
        if challenge != self._challenge(address, covered.frame):
            raise PeerError("a resend that answers no challenge of ours")
        self.learn_host(host)
        ack = self.frame(source, FrameKind.ACK, covered.frame, b"", encode_ack(address.host, address.port))
        return Piece(FrameKind.PAYLOAD, covered.frame, b"", covered.body, source), [ack], None
