"""A certificate for the TLS connections that streams to port 443 travel in.

Nobody checks it: who the other side is, the link inside proves.  It is made anew at every start, with a random name,
and TLS 1.3 shows it to nobody but who connects.
"""

from __future__ import annotations

from random import Random
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

__all__ = ["self_signed"]

_LETTERS = "abcdefghijklmnopqrstuvwxyz"


def self_signed(begins: Any, ends: Any, rng: Random) -> bytes:
    """Certificate and private key, in PEM, one after the other.

    ``begins`` and ``ends``: when it holds, as ``datetime.datetime``; this room knows no calendar of its own.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    host = "".join(rng.choice(_LETTERS) for _ in range(rng.randrange(6, 12))) + ".net"
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(rng.getrandbits(120))
        .not_valid_before(begins)
        .not_valid_after(ends)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .sign(key, SHA256())
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return certificate.public_bytes(Encoding.PEM) + private
