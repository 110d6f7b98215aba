"""A suite without secrets: for the simulator, where the story counts and not the cryptography.

Every role has its shape and its checks, so that altered bytes are noticed; nothing is hidden from anybody.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from random import Random
from zlib import crc32

from halloo.base.errors import Malformed, Refused
from halloo.crypto.suite import Covered, Layout, Mismatch, Seal, Suite
from halloo.crypto.typed import typed

__all__ = ["PLAIN"]

KIND_MASK = 0x8F


def _check(*parts: bytes) -> bytes:
    return crc32(b"|".join(parts)).to_bytes(4, "big")


class PlainCloak:
    """Frames as they are; hidden ones with a check, bound ones with another over both hosts."""

    overhead = 11

    def __init__(self, key: bytes, layouts: Mapping[int, Layout]) -> None:
        self._layouts = layouts

    def cover(self, covered: Covered, source: bytes, destination: bytes, rng: Random) -> bytes:
        """See ``Cloak``."""
        layout = self._layouts[covered.kind]
        start = covered.frame.to_bytes(2, "big") + bytes([covered.kind]) + covered.head
        if layout.bound:
            start += _check(source, destination)
        if layout.hidden:
            start += _check(start[:2], covered.body)
        return start + covered.body

    def uncover(self, datagram: bytes, source: bytes, destination: bytes) -> Covered:
        """See ``Cloak``."""
        if len(datagram) < 3:
            raise Malformed("a datagram shorter than its head")
        kind = datagram[2] & KIND_MASK
        layout = self._layouts.get(kind)
        if layout is None:
            raise Malformed(f"no frame is of kind {kind:#04x}")
        frame, at = int.from_bytes(datagram[:2], "big"), 3 + layout.head
        head = datagram[3:at]
        if len(datagram) == 3 and not layout.hidden:
            return Covered(frame, kind, b"", b"")
        bound = at + 4 * layout.bound
        body = bound + 4 * layout.hidden
        if len(datagram) < body:
            raise Malformed("a datagram shorter than its head")
        if layout.hidden and datagram[bound:body] != _check(datagram[:2], datagram[body:]):
            raise Malformed("a datagram that was altered on its way")
        if layout.bound and datagram[at:bound] != _check(source, destination):
            raise Mismatch(frame)
        return Covered(frame, kind, head, datagram[body:])


class PlainStreamCloak:
    """A stream as it is, after four known bytes."""

    _GREETING = b"open"

    def __init__(self, key: bytes, rng: Random) -> None:
        self._waiting = self._GREETING
        self.recognised: bytes | None = None

    def opening(self) -> bytes:
        """See ``StreamCloak``."""
        return self._GREETING

    def send(self, data: bytes) -> bytes:
        """See ``StreamCloak``."""
        return data

    def receive(self, data: bytes) -> bytes:
        """See ``StreamCloak``."""
        if not self._waiting:
            return data
        count = min(len(data), len(self._waiting))
        if data[:count] != self._waiting[:count]:
            raise Malformed("a stream that does not begin as ours do")
        self._waiting = self._waiting[count:]
        if not self._waiting:
            self.recognised = b""
        return data[count:]


class PlainDigest:
    """SHA-256, and keys from it by counting."""

    size = 32

    def __call__(self, data: bytes) -> bytes:
        return hashlib.sha256(data).digest()

    def derive(self, secret: bytes, label: str, context: bytes, size: int) -> bytes:
        """See ``Digest``."""
        seed = hashlib.sha256(b"|".join([secret, label.encode(), context])).digest()
        blocks = (hashlib.sha256(seed + count.to_bytes(4, "big")).digest() for count in range(-(-size // 32)))
        return b"".join(blocks)[:size]


DIGEST = PlainDigest()


class PlainIdentity:
    """Signatures that anybody can make."""

    public_size = 32
    signature_size = 32

    def make(self, rng: Random) -> bytes:
        """See ``Identity``."""
        return rng.randbytes(32)

    def public(self, private: bytes) -> bytes:
        """See ``Identity``."""
        return DIGEST(b"public" + private)

    def sign(self, private: bytes, text: bytes) -> bytes:
        """See ``Identity``."""
        return DIGEST(self.public(private) + text)

    def verify(self, public: bytes, signature: bytes, text: bytes) -> bool:
        """See ``Identity``."""
        return signature == DIGEST(public + text)


class PlainEnvelope:
    """A secret that travels in the open, with the key it is for."""

    public_size = 32
    enclosed_size = 36

    def make(self, rng: Random, identity: bytes) -> bytes:
        """See ``Envelope``."""
        return rng.randbytes(32)

    def public(self, private: bytes) -> bytes:
        """See ``Envelope``."""
        return private

    def enclose(self, public: bytes, rng: Random) -> tuple[bytes, bytes]:
        """See ``Envelope``."""
        if len(public) != self.public_size:
            raise Refused("this is no key to put a secret under")
        secret = rng.randbytes(32)
        return secret, secret + _check(public)

    def disclose(self, private: bytes, enclosed: bytes) -> bytes:
        """See ``Envelope``."""
        if len(enclosed) != self.enclosed_size or enclosed[32:] != _check(private):
            raise Refused("the secret was not made for this key")
        return enclosed[:32]


class PlainSeal:
    """A check where a seal would be."""

    overhead = 4

    def __init__(self, key: bytes) -> None:
        self._key = key

    def close(self, sequence: int, plain: bytes, beside: bytes) -> bytes:
        """See ``Seal``."""
        return plain + _check(self._key, sequence.to_bytes(8, "big"), beside, plain)

    def open(self, sequence: int, sealed: bytes, beside: bytes) -> bytes:
        """See ``Seal``."""
        plain = sealed[:-4]
        if len(sealed) < 4 or sealed[-4:] != _check(self._key, sequence.to_bytes(8, "big"), beside, plain):
            raise Refused("the seal does not hold")
        return plain


class PlainPassword:
    """A digest, cheap to guess."""

    def prove(self, name: str, password: str, network: bytes) -> bytes:
        """See ``Password``."""
        return DIGEST(b"|".join([network, typed(name), typed(password)]))


def _agree(initiators: bytes, responders: bytes, transcript: bytes) -> tuple[Seal, Seal]:
    secret = initiators + responders
    return (
        PlainSeal(DIGEST.derive(secret, "initiator", transcript, 32)),
        PlainSeal(DIGEST.derive(secret, "responder", transcript, 32)),
    )


PLAIN = Suite(
    name="plain",
    number=0,
    danger="the plain suite hides and proves nothing; it is for the simulator",
    described=(("everything", "nothing is encrypted; for the simulator only"),),
    cloak=PlainCloak,
    stream_cloak=PlainStreamCloak,
    disguise=None,
    wrapped=False,
    identity=PlainIdentity(),
    network_identity=PlainIdentity(),
    envelope=PlainEnvelope(),
    answer_envelope=PlainEnvelope(),
    network_envelope=PlainEnvelope(),
    agree=_agree,
    renews=True,
    seal=PlainSeal,
    seal_key_size=32,
    digest=DIGEST,
    password=PlainPassword(),
    fragment_size=1200,
    padded_sizes=(),
)
