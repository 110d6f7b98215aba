"""The default suite: today's primitives in the places of the article's.

    cloak          AES-256 over the last 16 bytes of the datagram masks its head; ChaCha20 hides what is not sealed
    stream cloak   ChaCha20, a key for each direction
    identity       Ed25519
    envelope       X25519 and ML-KEM-768 together: a secret is safe while one of the two is; X25519 for the way back
    seal           AES-256-GCM, a 64-bit sequence number in the nonce
    digest         SHA-256, HKDF
    password       Argon2id on the client; the server never sees the password
"""

from __future__ import annotations

from random import Random

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from halloo.base.errors import Refused, UsageError
from halloo.crypto.modern_cloak import ModernCloak, ModernStreamCloak
from halloo.crypto.modern_digest import DIGEST
from halloo.crypto.suite import Seal, Suite
from halloo.crypto.typed import typed

__all__ = ["MODERN"]

_LONGEST_HEAD = 9  # bytes of a resend's fields: what one datagram carried, it carries again
_X = 32  # bytes of an X25519 key
_KEM_PUBLIC, _KEM_CIPHERTEXT, _KEM_SEED = 1184, 1088, 64
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


def _hybrid_public(curve: X25519PrivateKey, lattice: MLKEM768PrivateKey) -> bytes:
    return curve.public_key().public_bytes_raw() + lattice.public_key().public_bytes_raw()


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
        return _hybrid_public(_curve(private[:_X]), _lattice(private[_X:]))

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
        curve_key, lattice_key = _curve(private[:_X]), _lattice(private[_X:])
        try:
            curve = curve_key.exchange(X25519PublicKey.from_public_bytes(enclosed[:_X]))
            lattice = lattice_key.decapsulate(enclosed[_X:])
        except ValueError:
            raise Refused("this is no enclosed secret") from None
        return self._secret(curve, lattice, enclosed, _hybrid_public(curve_key, lattice_key))

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
        mine = _curve(rng.randbytes(_X))
        enclosed = mine.public_key().public_bytes_raw()
        return self._secret(mine, public, enclosed + public), enclosed

    def disclose(self, private: bytes, enclosed: bytes) -> bytes:
        """See ``Envelope``.  As with the hybrid, a secret for another key comes out wrong."""
        mine = _curve(private)
        return self._secret(mine, enclosed, enclosed + mine.public_key().public_bytes_raw())

    @staticmethod
    def _secret(private: X25519PrivateKey, public: bytes, context: bytes) -> bytes:
        try:
            shared = private.exchange(X25519PublicKey.from_public_bytes(public))
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
    padded_sizes=(40, 64, 128, 256, 512, 1_024),
)
