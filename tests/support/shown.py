"""Records of somebody who shows his presence, for machines that are tried without a network."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256
from random import Random

from tests.support.members import WALL, credential, key_named, notary, sign

from halloo.crypto.plain import PLAIN
from halloo.messages.chain import LONGEST_CHAIN, PULSE_EVERY, linked
from halloo.messages.credential import Entry, Listing, Presence, list_entry
from halloo.overlay.presence import mark
from halloo.overlay.showing import Showing

__all__ = ["Owner"]


def digest(data: bytes) -> bytes:
    return sha256(data).digest()


class Owner:
    """Somebody who lets others watch."""

    def __init__(self, name: str, *allowed: str) -> None:
        self.name = name
        self.showing = Showing(name, PLAIN.digest, PLAIN.seal, PLAIN.seal_key_size, Random(name))
        for other in allowed:
            self.showing.allow(other, WALL)
        self._version = 0
        self._root, self._begun = b"", 0

    def entry(self, now: float) -> Entry:
        """The record as it is published at a time."""
        self._version = max(self._version + 1, int((WALL + now) * 1000))
        key = key_named("user " + self.name)
        listing = Listing(version=self._version, issued=int(WALL + now), state=1, node=bytes(8))
        filled = self.showing.filled(listing)
        if self.showing.lives:
            self._root = Random(f"{self.name} {self._version}").randbytes(16)
            self._begun = int(WALL + now) // PULSE_EVERY
            filled = replace(filled, pulse=linked(digest, self._root, LONGEST_CHAIN))
        return notary().record(list_entry(credential(self.name, key), filled, key, sign), WALL + now)

    def pulse(self, now: float) -> bytes:
        """The sign of life of a time, after the record."""
        return linked(digest, self._root, LONGEST_CHAIN - int(WALL + now) // PULSE_EVERY + self._begun)

    def show(self, now: float, state: Presence, mood: str = "") -> Entry:
        """Show something else."""
        self.showing.show(state, mood, WALL + now)
        return self.entry(now)

    @property
    def token(self) -> bytes:
        """The token of today."""
        assert self.showing.sight is not None
        token = self.showing.sight.token(PLAIN.digest)
        assert mark(digest, token) == mark(PLAIN.digest, token)
        return token
