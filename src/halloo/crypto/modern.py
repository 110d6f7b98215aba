"""The default suite: today's primitives in the places of the article's.

    cloak          AES-256 over the last 16 bytes of the datagram masks its head; ChaCha20 hides what is not sealed
    stream cloak   ChaCha20, a key for each direction
    identity       Ed25519
    envelope       X25519 and ML-KEM-768 together: a secret is safe while one of the two is; X25519 for the way back
    seal           AES-256-GCM, a 64-bit sequence number in the nonce
    digest         SHA-256, HKDF
    password       Argon2id on the client; the server never sees the password

The cloak promises no secrecy: its key is in the network's public description.  It makes datagrams look like noise to
whoever lacks that description, and answers him with silence.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from random import Random

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from halloo.base.errors import Malformed, Refused, UsageError
from halloo.crypto.suite import Covered, Layout, Mismatch, Seal, Suite
from halloo.crypto.typed import typed

__all__ = ["MODERN"]

KIND_MASK = 0x8F
_NONCE = 16  # bytes at the end of what is not sealed
_CHECK = 4  # bytes of each of the two checks
_APPENDED = 0x10  # the filler bit that says: a nonce was appended, the body is masked
_SMALLEST = 3 + _NONCE
_LONGEST_HEAD = 9  # bytes of a resend's fields: what one datagram carried, it carries again
_TLS = 0x16  # how a TLS connection begins: no opening of ours does
_X = 32  # bytes of an X25519 key
_KEM_PUBLIC, _KEM_CIPHERTEXT, _KEM_SEED = 1184, 1088, 64


class ModernDigest:
    """SHA-256 and HKDF."""

    size = 32

    def __call__(self, data: bytes) -> bytes:
        return hashlib.sha256(data).digest()

    def derive(self, secret: bytes, label: str, context: bytes, size: int) -> bytes:
        """See ``Digest``."""
        return HKDF(SHA256(), size, salt=hashlib.sha256(context).digest(), info=label.encode()).derive(secret)


DIGEST = ModernDigest()


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
        while salt[0] == _TLS:
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


_FIELD = 2**255 - 19  # the field of Curve25519 and of its Edwards form
_TWIST = -121_665 * pow(121_666, -1, _FIELD) % _FIELD  # d of the Edwards form (RFC 8032, 5.1)


def _of_low_order(public: bytes) -> bool:
    """Whether an Ed25519 key is one of the eight points for which anybody can sign.

    Of order 1 and 2: y = 1, -1; of order 4: y = 0; of order 8: twice the point has y = 0, which on the curve
    comes to d y^4 + 2 y^2 = 1.
    """
    y = int.from_bytes(public, "little") & (1 << 255) - 1
    square = y * y % _FIELD
    return y % _FIELD * (square - 1) * (_TWIST * square * square + 2 * square - 1) % _FIELD == 0


def _signing(private: bytes) -> Ed25519PrivateKey:
    try:
        return Ed25519PrivateKey.from_private_bytes(private)
    except ValueError:
        raise UsageError("the private key is damaged") from None


def _curve(private: bytes) -> X25519PrivateKey:
    try:
        return X25519PrivateKey.from_private_bytes(private)
    except ValueError:
        raise UsageError("the private key is damaged") from None


def _lattice(private: bytes) -> MLKEM768PrivateKey:
    try:
        return MLKEM768PrivateKey.from_seed_bytes(private)
    except ValueError:
        raise UsageError("the private key is damaged") from None


class ModernIdentity:
    """Ed25519; keys in their raw 32 bytes."""

    public_size = 32
    signature_size = 64

    def make(self, rng: Random) -> bytes:
        """See ``Identity``."""
        return rng.randbytes(32)

    def public(self, private: bytes) -> bytes:
        """See ``Identity``."""
        return _signing(private).public_key().public_bytes_raw()

    def sign(self, private: bytes, text: bytes) -> bytes:
        """See ``Identity``."""
        return _signing(private).sign(text)

    def verify(self, public: bytes, signature: bytes, text: bytes) -> bool:
        """See ``Identity``."""
        if _of_low_order(public):
            return False
        try:
            Ed25519PublicKey.from_public_bytes(public).verify(signature, text)
        except (InvalidSignature, ValueError):
            return False
        return True


class ModernEnvelope:
    """X25519 and ML-KEM-768; the secret is derived from both shared secrets, both ciphertexts and both keys.

    private = X25519 32, ML-KEM seed 64; public = X25519 32, ML-KEM 1,184; enclosed = X25519 32, ML-KEM 1,088
    """

    public_size = _X + _KEM_PUBLIC
    enclosed_size = _X + _KEM_CIPHERTEXT

    def make(self, rng: Random, identity: bytes) -> bytes:
        """See ``Envelope``: always fresh."""
        return rng.randbytes(_X + _KEM_SEED)

    def public(self, private: bytes) -> bytes:
        """See ``Envelope``."""
        curve = _curve(private[:_X]).public_key().public_bytes_raw()
        return curve + _lattice(private[_X:]).public_key().public_bytes_raw()

    def enclose(self, public: bytes, rng: Random) -> tuple[bytes, bytes]:
        """See ``Envelope``."""
        if len(public) != self.public_size:
            raise Refused("this is no key to put a secret under")
        mine = _curve(rng.randbytes(_X))
        try:
            curve = mine.exchange(X25519PublicKey.from_public_bytes(public[:_X]))
            lattice, ciphertext = MLKEM768PublicKey.from_public_bytes(public[_X:]).encapsulate()
        except ValueError:
            raise Refused("this is no key to put a secret under") from None
        enclosed = mine.public_key().public_bytes_raw() + ciphertext
        return self._secret(curve, lattice, enclosed, public), enclosed

    def disclose(self, private: bytes, enclosed: bytes) -> bytes:
        """See ``Envelope``.  A secret for another key comes out as a wrong secret, which no seal of the other fits."""
        if len(enclosed) != self.enclosed_size:
            raise Refused("this is no enclosed secret")
        try:
            curve = _curve(private[:_X]).exchange(X25519PublicKey.from_public_bytes(enclosed[:_X]))
            lattice = _lattice(private[_X:]).decapsulate(enclosed[_X:])
        except ValueError:
            raise Refused("this is no enclosed secret") from None
        return self._secret(curve, lattice, enclosed, self.public(private))

    def _secret(self, curve: bytes, lattice: bytes, enclosed: bytes, public: bytes) -> bytes:
        return DIGEST.derive(lattice + curve, "halloo hybrid envelope", enclosed + public, 32)


class CurveEnvelope:
    """X25519 alone, for the way back: 32 bytes each way."""

    public_size = enclosed_size = _X

    def make(self, rng: Random, identity: bytes) -> bytes:
        """See ``Envelope``: always fresh."""
        return rng.randbytes(_X)

    def public(self, private: bytes) -> bytes:
        """See ``Envelope``."""
        return _curve(private).public_key().public_bytes_raw()

    def enclose(self, public: bytes, rng: Random) -> tuple[bytes, bytes]:
        """See ``Envelope``."""
        mine = rng.randbytes(_X)
        enclosed = self.public(mine)
        return self._secret(mine, public, enclosed + public), enclosed

    def disclose(self, private: bytes, enclosed: bytes) -> bytes:
        """See ``Envelope``.  As with the hybrid, a secret for another key comes out wrong."""
        return self._secret(private, enclosed, enclosed + self.public(private))

    @staticmethod
    def _secret(private: bytes, public: bytes, context: bytes) -> bytes:
        try:
            shared = _curve(private).exchange(X25519PublicKey.from_public_bytes(public))
        except ValueError:
            raise Refused("this is no key to put a secret under") from None
        return DIGEST.derive(shared, "halloo curve envelope", context, 32)


class ModernSeal:
    """AES-256-GCM.  key = 32, salt 4; nonce = salt, sequence 8."""

    overhead = 16

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key[:32])
        self._salt = key[32:36]

    def close(self, sequence: int, plain: bytes, beside: bytes) -> bytes:
        """See ``Seal``."""
        return self._cipher.encrypt(self._salt + sequence.to_bytes(8, "big"), plain, beside)

    def open(self, sequence: int, sealed: bytes, beside: bytes) -> bytes:
        """See ``Seal``."""
        try:
            return self._cipher.decrypt(self._salt + sequence.to_bytes(8, "big"), sealed, beside)
        except (InvalidTag, ValueError, OverflowError):
            raise Refused("the seal does not hold") from None


class ModernPassword:
    """Argon2id with the parameters of RFC 9106's second recommendation; the salt binds it to name and network."""

    def prove(self, name: str, password: str, network: bytes) -> bytes:
        """See ``Password``."""
        salt = DIGEST(b"halloo password\n" + network + typed(name))[:16]
        return Argon2id(salt=salt, length=32, iterations=3, lanes=4, memory_cost=65_536).derive(typed(password))


def _agree(initiators: bytes, responders: bytes, transcript: bytes) -> tuple[Seal, Seal]:
    keys = DIGEST.derive(initiators + responders, "halloo link", transcript, 72)
    return ModernSeal(keys[:36]), ModernSeal(keys[36:])


MODERN = Suite(
    name="modern",
    number=2,
    danger="",
    described=(
        ("sound and everything said between two users", "AES-256-GCM, keys of the two users only, whatever the path"),
        ("how they agree on the keys", "X25519 with ML-KEM-768, fresh for each link (forward secrecy, post-quantum)"),
        ("who is who", "Ed25519 keys certified by the network for 14 days"),
        ("password", "Argon2id on the user's machine; the login server sees and keeps no password"),
        ("every datagram", "looks like noise (AES-256 and ChaCha20 under the network's public cloak key)"),
    ),
    cloak=ModernCloak,
    stream_cloak=ModernStreamCloak,
    disguise=None,
    wrapped=True,
    identity=ModernIdentity(),
    network_identity=ModernIdentity(),
    envelope=ModernEnvelope(),
    answer_envelope=CurveEnvelope(),
    network_envelope=ModernEnvelope(),
    agree=_agree,
    renews=True,
    seal=ModernSeal,
    seal_key_size=36,
    digest=DIGEST,
    password=ModernPassword(),
    # IPv6's least packet of 1,280 less IP and UDP heads, cloak and the longest head.
    fragment_size=1_280 - 48 - ModernCloak.overhead - _LONGEST_HEAD,
    padded_sizes=(64, 128, 256, 512, 1_024),
)
