"""The article's suite, exactly and on purpose: RC4, MD5, SHA-1, RSA of 1,024 bits, AES without integrity.

It is broken by today's measure: whoever sees a datagram can lift its cloak, a captured password digest can be guessed
at the speed of MD5, altered sound is not noticed, and there is no forward secrecy.  It is here because the classic
system is described so, and it is chosen by name only.

    cloak          RC4 under an 80-byte key, expanded from CRC32(both hosts, frame id) XOR a clear 32-bit vector
    stream cloak   RC4; restarted with the same key after the first ten bytes, as the classic client did
    identity       RSA-1024, a new key for each login; the network's RSA-2048
    envelope       128 (users) or 192 (login) random bits under RSA
    seal           AES-256 in counter mode, two bytes of checksum
    password       MD5 of name, "\\nskyper\\n" and password

The expansion from 32 bits to 80 bytes was never published under terms one could use; ours is four SHA-1 blocks of
seed and counter (``docs/decisions``).  RSA is padded (OAEP, PKCS #1 v1.5): the bare RSA of the original is refused by
every library, with reason.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from functools import lru_cache
from random import Random
from typing import Any, cast
from zlib import crc32

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext, algorithms, modes
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
)

from halloo.base.errors import Malformed, Refused, UsageError
from halloo.crypto.disguise import GREETING
from halloo.crypto.suite import TLS_BEGINS, Covered, Layout, Mismatch, Seal, Suite
from halloo.crypto.typed import typed

__all__ = ["CLASSIC", "crc", "expanded"]

KIND_MASK = 0x8F
_EXPONENT = 65_537
_KNOWN = bytes.fromhex("00010000000100000001")  # the ten known bytes of a stream's opening; the last may be 3
_TAKEN = (0x80, TLS_BEGINS)  # how the greetings of other protocols begin: a seed that looks like one is drawn again
_KNOWN_TOO = _KNOWN[:-1] + b"\x03"


def crc(data: bytes) -> int:
    """CRC32 as the classic protocol takes it: reflected, begun with ones, not inverted at the end."""
    return crc32(data) ^ 0xFFFF_FFFF


def expanded(seed: int) -> bytes:
    """Eighty bytes of RC4 key from 32 bits: four blocks of SHA-1 over seed and counter."""
    start = seed.to_bytes(4, "big")
    return b"".join(hashlib.sha1(start + count.to_bytes(4, "big")).digest() for count in range(4))


def _rc4() -> Callable[[bytes], Any]:
    """The maker of RC4 key streams.  Raises UsageError where the package is missing, before anything is sent."""
    try:
        from Crypto.Cipher import ARC4
    except ImportError:
        raise UsageError("the classic profile needs the package pycryptodome: pip install 'halloo[classic]'") from None
    return cast("Callable[[bytes], Any]", ARC4.new)


class ClassicCloak:
    """RC4 over the bodies of hidden frames; heads and the rest in the clear.  The network's key plays no part."""

    overhead = 11

    def __init__(self, key: bytes, layouts: Mapping[int, Layout]) -> None:
        self._layouts = layouts
        self._rc4 = _rc4()

    def cover(self, covered: Covered, source: bytes, destination: bytes, rng: Random) -> bytes:
        """See ``Cloak``."""
        layout, body = self._layouts[covered.kind], covered.body
        start = covered.frame.to_bytes(2, "big") + bytes([covered.kind | rng.getrandbits(3) << 4]) + covered.head
        if not layout.hidden:
            return start + body
        vector = b"" if layout.nonce_at >= 0 else rng.randbytes(4)
        cipher = self._rc4(expanded(self._seed(layout, covered.frame, covered.head, vector, source, destination)))
        return start + vector + crc(body).to_bytes(4, "big") + bytes(cipher.encrypt(body))

    def uncover(self, datagram: bytes, source: bytes, destination: bytes) -> Covered:
        """See ``Cloak``."""
        if len(datagram) < 3:
            raise Malformed("a datagram shorter than its head")
        frame, kind = int.from_bytes(datagram[:2], "big"), datagram[2] & KIND_MASK
        layout = self._layouts.get(kind)
        if layout is None:
            raise Malformed(f"no frame is of kind {kind:#04x}")
        if kind == 0x0D and len(datagram) == 3:
            return Covered(frame, kind, b"", b"")
        at = 3 + layout.head
        vector_end = at + (4 if layout.hidden and layout.nonce_at < 0 else 0)
        body_at = vector_end + (4 if layout.hidden else 0)
        if len(datagram) < body_at:
            raise Malformed("a datagram shorter than its head")
        head, body = datagram[3:at], datagram[body_at:]
        if not layout.hidden:
            return Covered(frame, kind, head, body)
        seed = self._seed(layout, frame, head, datagram[at:vector_end], source, destination)
        plain = bytes(self._rc4(expanded(seed)).decrypt(body))
        if crc(plain) != int.from_bytes(datagram[vector_end:body_at], "big"):
            if layout.bound:
                raise Mismatch(frame)
            raise Malformed("a datagram that was altered on its way")
        return Covered(frame, kind, head, plain)

    @staticmethod
    def _seed(layout: Layout, frame: int, head: bytes, vector: bytes, source: bytes, destination: bytes) -> int:
        if layout.nonce_at >= 0:
            return frame ^ int.from_bytes(head[layout.nonce_at : layout.nonce_at + 4], "big")
        if not layout.bound:
            source, destination = bytes(len(source)), bytes(len(destination))
        # Every field is fed with its last byte first, as a little-endian machine holds it.
        fed = source[::-1] + destination[::-1] + frame.to_bytes(2, "little") + bytes(2)
        return crc(fed) ^ int.from_bytes(vector, "big")


class ClassicStreamCloak:
    """opening = seed 4, then ten known bytes under RC4; then RC4 with the same key from its beginning.

    That restart is the misuse the article notes: the first ten bytes of what follows are XORed with a key stream that
    the known bytes give away.  Datagrams are not concerned.
    """

    def __init__(self, key: bytes, rng: Random) -> None:
        self._rc4 = _rc4()
        self._rng = rng
        self._out: Any = None
        self._into: Any = None
        self._held = bytearray()
        self.recognised: bytes | None = None

    def opening(self) -> bytes:
        """See ``StreamCloak``."""
        seed = self._rng.getrandbits(32)
        while seed >> 24 in _TAKEN:
            seed = self._rng.getrandbits(32)
        key = expanded(seed)
        self._out = self._rc4(key)
        return seed.to_bytes(4, "big") + bytes(self._rc4(key).encrypt(self._rng.choice((_KNOWN, _KNOWN_TOO))))

    def send(self, data: bytes) -> bytes:
        """See ``StreamCloak``."""
        assert self._out is not None, "the opening goes first"
        return bytes(self._out.encrypt(data))

    def receive(self, data: bytes) -> bytes:
        """See ``StreamCloak``."""
        if self._into is None:
            self._held += data
            if len(self._held) < 14:
                return b""
            key = expanded(int.from_bytes(self._held[:4], "big"))
            if self._rc4(key).decrypt(bytes(self._held[4:14])) not in (_KNOWN, _KNOWN_TOO):
                raise Malformed("a stream that does not begin as ours do")
            self._into = self._rc4(key)
            self.recognised = b""  # four bytes of seed are too few to tell a recorded opening by
            data = bytes(self._held[14:])
            self._held.clear()
        return bytes(self._into.decrypt(data))


class ClassicDigest:
    """SHA-1, and keys of SHA-1 blocks over a counter and the secret."""

    size = 20

    def __call__(self, data: bytes) -> bytes:
        return hashlib.sha1(data).digest()

    def derive(self, secret: bytes, label: str, context: bytes, size: int) -> bytes:
        """See ``Digest``.  Of a session key K: SHA1(00000000, K), SHA1(00000001, K), … cut to size."""
        text = secret + label.encode() + context
        count = -(-size // self.size)
        return b"".join(hashlib.sha1(i.to_bytes(4, "big") + text).digest() for i in range(count))[:size]


DIGEST = ClassicDigest()


@lru_cache(maxsize=256)
def _private(private: bytes) -> rsa.RSAPrivateKey:
    try:
        key = load_der_private_key(private, None)
    except ValueError:
        raise UsageError("the private key is damaged") from None
    if not isinstance(key, rsa.RSAPrivateKey):
        raise UsageError("the private key is of another kind")
    return key


@lru_cache(maxsize=1024)
def _public(modulus: bytes) -> rsa.RSAPublicKey:
    """A public key from its modulus.  Raises ValueError for what can be none.

    The first bit must be set, as it is in every key of that many bits: zeros in front would make the key weaker than
    it looks, and what is put under it shorter than announced.
    """
    if modulus[0] < 0x80:
        raise ValueError("a modulus shorter than its kind of key has")
    return rsa.RSAPublicNumbers(_EXPONENT, int.from_bytes(modulus, "big")).public_key()


class ClassicIdentity:
    """RSA signatures over SHA-1; a public key is its modulus, a private one PKCS #8."""

    def __init__(self, bits: int) -> None:
        self._bits = bits
        self.public_size = self.signature_size = bits // 8

    def make(self, rng: Random) -> bytes:
        """See ``Identity``.  The library draws the primes itself; ``rng`` has no say."""
        key = rsa.generate_private_key(_EXPONENT, self._bits)
        return key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())

    def public(self, private: bytes) -> bytes:
        """See ``Identity``."""
        return _private(private).public_key().public_numbers().n.to_bytes(self.public_size, "big")

    def sign(self, private: bytes, text: bytes) -> bytes:
        """See ``Identity``."""
        return _private(private).sign(text, padding.PKCS1v15(), SHA1())

    def verify(self, public: bytes, signature: bytes, text: bytes) -> bool:
        """See ``Identity``."""
        if len(public) != self.public_size:
            return False
        try:
            _public(public).verify(signature, text, padding.PKCS1v15(), SHA1())
        except (InvalidSignature, ValueError):
            return False
        return True


class ClassicEnvelope:
    """Random bits under RSA with OAEP; between users the identity key itself receives them."""

    def __init__(self, bits: int, secret_size: int) -> None:
        self._keys = ClassicIdentity(bits)
        self._secret_size = secret_size
        self.public_size = self.enclosed_size = bits // 8

    def make(self, rng: Random, identity: bytes) -> bytes:
        """See ``Envelope``: the identity where there is one, for a new RSA key a link would be too dear."""
        return identity or self._keys.make(rng)

    def public(self, private: bytes) -> bytes:
        """See ``Envelope``."""
        return self._keys.public(private)

    def enclose(self, public: bytes, rng: Random) -> tuple[bytes, bytes]:
        """See ``Envelope``."""
        if len(public) != self.public_size:
            raise Refused("this is no key to put a secret under")
        secret = rng.randbytes(self._secret_size)
        try:
            return secret, _public(public).encrypt(secret, _OAEP)
        except ValueError:
            raise Refused("this is no key to put a secret under") from None

    def disclose(self, private: bytes, enclosed: bytes) -> bytes:
        """See ``Envelope``."""
        try:
            return _private(private).decrypt(enclosed, _OAEP)
        except ValueError:
            raise Refused("the secret was not made for this key") from None


_OAEP = padding.OAEP(padding.MGF1(SHA1()), SHA1(), None)


class ClassicSeal:
    """AES-256 in counter mode; counter block = salt 4, salt 4, index 6, block 2.  key = 32, salt 4.

    The last two bytes are a checksum of the ciphertext XOR the low 16 bits of the index: they notice accidents, not
    attacks.  What stands beside is in the checksum too.
    """

    overhead = 2

    def __init__(self, key: bytes) -> None:
        self._salt = key[32:36]
        # Kept, and given each packet's counter block: to set a cipher up anew costs four times the packet.
        self._cipher: CipherContext = Cipher(algorithms.AES(key[:32]), modes.CTR(bytes(16))).encryptor()

    def close(self, sequence: int, plain: bytes, beside: bytes) -> bytes:
        """See ``Seal``."""
        hidden = self._counted(sequence, plain)
        return hidden + self._sum(sequence, hidden, beside)

    def open(self, sequence: int, sealed: bytes, beside: bytes) -> bytes:
        """See ``Seal``."""
        hidden = sealed[:-2]
        if len(sealed) < 2 or sealed[-2:] != self._sum(sequence, hidden, beside):
            raise Refused("the checksum does not hold")
        return self._counted(sequence, hidden)

    def _counted(self, sequence: int, data: bytes) -> bytes:
        block = self._salt + self._salt + (sequence & (1 << 48) - 1).to_bytes(6, "big") + bytes(2)
        self._cipher.reset_nonce(block)
        return self._cipher.update(data)

    @staticmethod
    def _sum(sequence: int, hidden: bytes, beside: bytes) -> bytes:
        return ((crc(beside + hidden) ^ sequence) & 0xFFFF).to_bytes(2, "big")


class ClassicPassword:
    """MD5 of name, "\\nskyper\\n" and password."""

    def prove(self, name: str, password: str, network: bytes) -> bytes:
        """See ``Password``."""
        return hashlib.md5(typed(name) + b"\nskyper\n" + typed(password)).digest()


def _agree(initiators: bytes, responders: bytes, transcript: bytes) -> tuple[Seal, Seal]:
    """Each side's secret gives half of the key; the directions differ by salts that are each other's complement."""
    key = DIGEST.derive(initiators, "", b"", 16) + DIGEST.derive(responders, "", b"", 16)
    salt = DIGEST(transcript)[:4]
    return ClassicSeal(key + salt), ClassicSeal(key + bytes(byte ^ 0xFF for byte in salt))


CLASSIC = Suite(
    name="classic",
    number=1,
    danger=(
        "the classic profile uses the cryptography of 2003 (RC4, MD5, SHA-1, RSA-1024, AES without integrity); "
        "it is broken by today's measure: use it to study, not to talk"
    ),
    described=(
        ("sound and everything said between two users", "AES-256 in counter mode, without integrity"),
        ("how they agree on the keys", "two 128-bit secrets under RSA-1024 (no forward secrecy)"),
        ("who is who", "RSA-1024 keys, new at each login, signed by the network's RSA-2048 key"),
        ("login", "192 random bits under the network's RSA-1536 key; MD5 of name, salt and password"),
        ("every datagram", "obfuscated with RC4 under a key that anybody can compute"),
    ),
    cloak=ClassicCloak,
    stream_cloak=ClassicStreamCloak,
    disguise=GREETING,
    wrapped=False,
    identity=ClassicIdentity(1024),
    network_identity=ClassicIdentity(2048),
    envelope=ClassicEnvelope(1024, 16),
    answer_envelope=ClassicEnvelope(1024, 16),
    network_envelope=ClassicEnvelope(1536, 24),
    agree=_agree,
    renews=False,  # one key for a session, as described; its checksum could not tell two keys apart
    seal=ClassicSeal,
    seal_key_size=36,
    digest=DIGEST,
    password=ClassicPassword(),
    fragment_size=1_355,
    padded_sizes=(),
)
