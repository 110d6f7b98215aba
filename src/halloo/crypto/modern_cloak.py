"""The cloaks of the modern suite: what a datagram and a stream look like to a stranger, which is noise.

A cloak promises no secrecy: its key is in the network's public description.  Whoever lacks that description sees noise,
and is answered with silence.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from random import Random

from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext, algorithms, modes

from halloo.base.errors import Malformed
from halloo.crypto.modern_digest import DIGEST
from halloo.crypto.suite import TLS_BEGINS, Covered, Layout, Mismatch

__all__ = ["ModernCloak", "ModernStreamCloak"]

KIND_MASK = 0x8F
_NONCE = 16  # bytes at the end of what is not sealed
_CHECK = 4  # bytes of each of the two checks
_APPENDED = 0x10  # the filler bit that says: a nonce was appended, the body is masked
_SMALLEST = 3 + _NONCE


def _fresh_nonce(rng: Random) -> bytes:
    """A nonce whose first four bytes, where blocks are counted, leave room for the longest datagram."""
    while (nonce := rng.randbytes(_NONCE))[2:4] == b"\xff\xff":
        continue
    return nonce


def _xor(data: bytes, mask: bytes) -> bytes:
    size = len(data)
    return (int.from_bytes(data, "big") ^ int.from_bytes(mask[:size], "big")).to_bytes(size, "big")


class ModernCloak:
    """Datagrams that look like noise.

    The head (frame id, kind, fields) is masked with one AES block over the last 16 bytes and the length: what ends a
    datagram is a fresh nonce or the tag of a seal, so no mask is used twice; the length is in it because a forwarded
    datagram ends as the one inside it.  Hidden bodies carry two checks: one keyed with the network's cloak key, so
    that a stranger gets no answer, and one that also covers both hosts, whose failure is answered by a NAck.

    hidden    mask(id 2, kind 1, head) | stream(body, checks 4 + 4) | nonce 16
    sealed    mask(id 2, kind 1, head) | body, which ends with its tag
    the rest  mask(id 2, kind 1 with 0x10, head) | stream(body) | nonce 16

    To the rest belong the frames that say a host in the open (Ack, NAck: not hidden, and no fields of their own)
    and whatever is too short to be sealed.
    """

    overhead = 3 + 2 * _CHECK + _NONCE

    def __init__(self, key: bytes, layouts: Mapping[int, Layout]) -> None:
        self._layouts = layouts
        self._mask_key = DIGEST.derive(key, "halloo cloak mask", b"", 32)
        self._body_key = DIGEST.derive(key, "halloo cloak body", b"", 32)
        self._check_key = DIGEST.derive(key, "halloo cloak check", b"", 32)
        # One block at a time and never chained: the mode is the block function itself.
        self._block: CipherContext = Cipher(algorithms.AES(self._mask_key), modes.ECB()).encryptor()  # noqa: S305
        # Kept, and given each datagram's nonce: to set a cipher up anew would cost more than all the rest.
        self._hiding: CipherContext = Cipher(algorithms.ChaCha20(self._body_key, bytes(_NONCE)), mode=None).encryptor()

    def cover(self, covered: Covered, source: bytes, destination: bytes, rng: Random) -> bytes:
        """See ``Cloak``."""
        layout, body = self._layouts[covered.kind], covered.body
        filler = rng.getrandbits(3) << 4
        if layout.hidden:
            nonce = _fresh_nonce(rng)
            start = covered.frame.to_bytes(2, "big") + bytes([covered.kind | filler]) + covered.head
            checks = self._checks(start, body, nonce, source + destination if layout.bound else b"")
            end = self._stream(nonce, body + checks) + nonce
        elif not layout.head or len(body) < _NONCE:
            nonce = _fresh_nonce(rng)
            start = covered.frame.to_bytes(2, "big") + bytes([covered.kind | filler | _APPENDED]) + covered.head
            end = self._stream(nonce, body) + nonce
        else:
            start = covered.frame.to_bytes(2, "big") + bytes([covered.kind | filler & ~_APPENDED]) + covered.head
            end = body
        return _xor(start, self._mask(end[-_NONCE:], len(start) + len(end))) + end

    def uncover(self, datagram: bytes, source: bytes, destination: bytes) -> Covered:
        """See ``Cloak``."""
        if len(datagram) < _SMALLEST:
            raise Malformed("a datagram shorter than any of ours")
        nonce = datagram[-_NONCE:]
        mask = self._mask(nonce, len(datagram))
        frame_high, frame_low, func = _xor(datagram[:3], mask)
        frame, kind = frame_high << 8 | frame_low, func & KIND_MASK
        layout = self._layouts.get(kind)
        if layout is None:
            raise Malformed("a datagram that is none of ours")
        at = 3 + layout.head
        start = _xor(datagram[:at], mask)
        if layout.hidden:
            plain = self._stream(nonce, datagram[at:-_NONCE]) if len(datagram) > at + _NONCE else b""
            body, checks = plain[: -2 * _CHECK], plain[-2 * _CHECK :]
            hosts = source + destination if layout.bound else b""
            right = self._checks(start, body, nonce, hosts)
            if checks[:_CHECK] != right[:_CHECK]:
                raise Malformed("a datagram that is none of ours, or was altered on its way")
            if checks != right:
                if not layout.bound:
                    raise Malformed("a datagram that was altered on its way")
                raise Mismatch(frame)
        elif func & _APPENDED:
            if layout.head and len(datagram) == _SMALLEST:  # a keep-alive: not even the fields
                return Covered(frame, kind, b"", b"")
            if len(datagram) < at + _NONCE:
                raise Malformed("a datagram shorter than its head")
            body = self._stream(nonce, datagram[at:-_NONCE])
        else:
            body = datagram[at:]
            if len(body) < _NONCE:
                raise Malformed("a datagram shorter than its seal")
        return Covered(frame, kind, start[3:], body)

    def _mask(self, tail: bytes, length: int) -> bytes:
        return self._block.update(_xor(tail, length.to_bytes(_NONCE, "big")))

    def _stream(self, nonce: bytes, data: bytes) -> bytes:
        self._hiding.reset_nonce(nonce)
        try:
            return self._hiding.update(data)
        except ValueError:  # the library counts blocks in the nonce's first bytes, and theirs may leave no room
            raise Malformed("a datagram under a nonce that none of ours has") from None

    def _checks(self, start: bytes, body: bytes, nonce: bytes, hosts: bytes) -> bytes:
        text = b"".join((start, body, nonce))
        whole = hashlib.blake2s(text, key=self._check_key, digest_size=_CHECK).digest()
        return whole + hashlib.blake2s(text + hosts, key=self._check_key, digest_size=_CHECK, person=b"bound").digest()


class ModernStreamCloak:
    """A stream that looks like noise: each direction its own key from a random salt, and padding of random length.

    opening = salt 32, then under the cipher: check 4, length of the padding 1, padding
    """

    _SALT = 32

    def __init__(self, key: bytes, rng: Random) -> None:
        self._key = key
        self._rng = rng
        self._out: CipherContext | None = None
        self._into: CipherContext | None = None
        self._held = bytearray()
        self._plain = bytearray()
        self._padding = -1
        self.recognised: bytes | None = None

    def opening(self) -> bytes:
        """See ``StreamCloak``."""
        salt = self._rng.randbytes(self._SALT)
        while salt[0] == TLS_BEGINS:
            salt = self._rng.randbytes(self._SALT)
        self._out = self._cipher(salt)
        padding = self._rng.randbytes(self._rng.randrange(64))
        return salt + self._out.update(DIGEST(salt + self._key)[:_CHECK] + bytes([len(padding)]) + padding)

    def send(self, data: bytes) -> bytes:
        """See ``StreamCloak``."""
        assert self._out is not None, "the opening goes first"
        return self._out.update(data)

    def receive(self, data: bytes) -> bytes:
        """See ``StreamCloak``."""
        if self._into is None:
            self._held += data
            if len(self._held) < self._SALT:
                return b""
            salt = bytes(self._held[: self._SALT])
            self._into = self._cipher(salt)
            data = bytes(self._held[self._SALT :])
            self._held[:] = salt
        plain = self._into.update(data)
        if self._padding == 0:
            return plain
        return self._opened(plain)

    def _opened(self, plain: bytes) -> bytes:
        """Check the rest of the opening, and pass over its padding."""
        self._plain += plain
        if self._padding < 0:
            if len(self._plain) <= _CHECK:
                return b""
            if self._plain[:_CHECK] != DIGEST(bytes(self._held) + self._key)[:_CHECK]:
                raise Malformed("a stream that is none of ours")
            self._padding = self._plain[_CHECK]
            self.recognised = bytes(self._held)
            del self._plain[: _CHECK + 1]
        skipped = min(self._padding, len(self._plain))
        self._padding -= skipped
        rest = bytes(self._plain[skipped:])
        self._plain.clear()
        return rest

    def _cipher(self, salt: bytes) -> CipherContext:
        key = DIGEST.derive(self._key, "halloo stream cloak", salt, 32)
        return Cipher(algorithms.ChaCha20(key, bytes(16)), mode=None).encryptor()
