"""What a presence secret gives: a seal for the state, and a token for who may watch.  Pure.

    secret, epoch --> token --> digest of the token, in the record      a holder of the record knows who may watch
    secret, salt  --> a key for one sealed state                        he cannot read it, for he has only the token

The state is sealed under a key of its own each time, made with a fresh salt: nothing has to be counted across restarts.
How old "on line" is, says the record's chain of signs of life (``messages.chain``): neither a holder nor one of those
who are allowed to watch can pretend that somebody is still there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from halloo.base.errors import Malformed, UsageError
from halloo.crypto.suite import Digest, Seal
from halloo.messages.credential import Presence
from halloo.messages.presence import TOKEN_SIZE

__all__ = [
    "MAX_MOOD",
    "SALT_SIZE",
    "SECRET_SIZE",
    "Shown",
    "Sight",
    "mark",
]

SECRET_SIZE = 32  # bytes of a presence secret
MAX_MOOD = 80  # characters of a mood
MAX_MOOD_BYTES = 121  # of them in UTF-8: what the one size of a sealed state leaves
SHOWN_SIZE = 128  # bytes of every state before it is sealed: its size tells nothing
SALT_SIZE = 16  # bytes: drawn for each sealed state


@dataclass(frozen=True, slots=True)
class Shown:
    """What somebody shows: his state, since which wall-clock second, and what he says of his mood."""

    state: Presence
    since: int
    mood: str = ""

    def __post_init__(self) -> None:
        said = self.mood.encode("utf-8", "surrogatepass")
        if len(self.mood) > MAX_MOOD or len(said) > MAX_MOOD_BYTES or not self.mood.isprintable():
            raise UsageError(f"a mood is a line of at most {MAX_MOOD} characters, or {MAX_MOOD_BYTES} bytes")

    def packed(self) -> bytes:
        """Its bytes, always as many."""
        said = self.mood.encode()
        head = bytes([self.state]) + self.since.to_bytes(5, "big") + bytes([len(said)])
        return (head + said).ljust(SHOWN_SIZE, b"\0")

    @classmethod
    def unpacked(cls, data: bytes) -> Shown:
        """The reverse.  Raises Malformed."""
        if len(data) != SHOWN_SIZE:
            raise Malformed("a state of another size")
        size = data[6]
        try:
            return cls(Presence(data[0]), int.from_bytes(data[1:6], "big"), data[7 : 7 + size].decode())
        except (ValueError, UsageError) as fault:
            raise Malformed(f"this is no state: {fault}") from None


@dataclass(frozen=True, slots=True)
class Sight:
    """The presence secret of somebody, the ``epoch``-th one: who has it can see him."""

    epoch: int
    secret: bytes

    def token(self, digest: Digest) -> bytes:
        """What is shown to who holds the record."""
        return digest.derive(self.secret, "halloo presence watch", self.epoch.to_bytes(8, "big"), TOKEN_SIZE)

    def sealed(
        self, shown: Shown, name: str, salt: bytes, digest: Digest, seal: Callable[[bytes], Seal], size: int
    ) -> bytes:
        """A state for the record; ``salt`` of ``SALT_SIZE`` bytes never used before, ``size`` of a seal's key."""
        return salt + seal(self._key(salt, digest, size)).close(0, shown.packed(), name.encode())

    def opened(self, blob: bytes, name: str, digest: Digest, seal: Callable[[bytes], Seal], size: int) -> Shown:
        """The reverse.  Raises Refused (it was not sealed with this secret, or not for this name), Malformed."""
        if len(blob) <= SALT_SIZE:
            raise Malformed("a sealed state that is too short")
        salt, sealed = blob[:SALT_SIZE], blob[SALT_SIZE:]
        return Shown.unpacked(seal(self._key(salt, digest, size)).open(0, sealed, name.encode()))

    def _key(self, salt: bytes, digest: Digest, size: int) -> bytes:
        context = salt + self.epoch.to_bytes(8, "big")
        return digest.derive(self.secret, "halloo presence seal", context, size)


def mark(digest: Callable[[bytes], bytes], token: bytes) -> bytes:
    """What the record has of a token."""
    return digest(b"halloo watch token\n" + token)[:TOKEN_SIZE]
