"""Who a node is to others: its keys, its credential, and the proof that both are its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from halloo.base.errors import Refused
from halloo.crypto.suite import Seal, Suite
from halloo.link.keys import LinkKeys
from halloo.messages.credential import Notary, Party
from halloo.messages.link import Proof
from halloo.wire.command import decode_shape, encode_shape

__all__ = ["Persona", "proof_seal"]


@dataclass(slots=True)
class Persona:
    """Who we are in a network: its suite, its keys, our identity, our credential (empty: none yet)."""

    suite: Suite
    notary: Notary
    private: bytes
    credential: bytes
    rng: Random
    confide: Callable[[LinkKeys], None] | None = None
    """Who is told the keys of every link, so that a capture can be read; nobody, unless somebody asked for it."""

    @property
    def public(self) -> bytes:
        """Our public identity key."""
        return self.suite.identity.public(self.private)

    def confided(self, keys: LinkKeys) -> LinkKeys:
        """``keys``, told to whoever is to know them."""
        if self.confide is not None:
            self.confide(keys)
        return keys

    def seal_proof(self, label: bytes, secret: bytes, transcript: bytes) -> bytes:
        """Our proof over ``transcript``, sealed with a key from ``secret``."""
        suite = self.suite
        signature = suite.identity.sign(self.private, label + transcript)
        proof = Proof(key=self.public, credential=self.credential, signature=signature)
        return proof_seal(suite, label, secret, transcript).close(0, encode_shape(proof), transcript)

    def open_proof(self, label: bytes, secret: bytes, transcript: bytes, sealed: bytes, wall: float) -> Party:
        """Whose proof it is.  Raises Refused or Malformed."""
        suite = self.suite
        proof = decode_shape(Proof, proof_seal(suite, label, secret, transcript).open(0, sealed, transcript))
        if not suite.identity.verify(proof.key, proof.signature, label + transcript):
            raise Refused("the other side does not hold the key it shows")
        if not proof.credential:
            return Party(proof.key, None)
        claims = self.notary.credential(proof.credential, wall)
        if claims.key != proof.key:
            raise Refused("the other side shows a credential that is not its own")
        return Party(proof.key, claims)


def proof_seal(suite: Suite, label: bytes, secret: bytes, transcript: bytes) -> Seal:
    """What keeps the proof of the side of ``label`` from everybody else; used once, under the number 0."""
    return suite.seal(suite.digest.derive(secret, label.decode(), transcript, suite.seal_key_size))
