"""The digest of the modern suite, and how its keys are derived."""

from __future__ import annotations

import hashlib

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

__all__ = ["DIGEST", "ModernDigest"]


class ModernDigest:
    """SHA-256 and HKDF."""

    size = 32

    def __call__(self, data: bytes) -> bytes:
        """See ``Digest``."""
        return hashlib.sha256(data).digest()

    def derive(self, secret: bytes, label: str, context: bytes, size: int) -> bytes:
        """See ``Digest``."""
        return HKDF(SHA256(), size, salt=hashlib.sha256(context).digest(), info=label.encode()).derive(secret)


DIGEST = ModernDigest()
