"""Supernodes that lie: what they say is changed on its way out, the node behind it is a true one.

Each has a way of answering questions for records, and every second one also pretends to keep what it is given:

    silent      answers no question for a record
    denies      says that there is none, and that it ought to know
    stale       tells the oldest one that it has ever told
    forges      tells one that its owner has not signed, or somebody else's
    pretends    says that nine keep a record, or have heard a sign of life, and tells nobody of it
"""

from __future__ import annotations

from dataclasses import replace
from random import Random

from halloo.base.effects import Send
from halloo.base.machine import Message
from halloo.messages.block import Alive, Replicate
from halloo.messages.credential import Record
from halloo.messages.directory import Found, Keep, Kept, Refresh, Stored

__all__ = ["LIES", "Liar"]

LIES = ("silent", "denies", "stale", "forges")
MANY_COPIES = 9  # that a pretender claims
MAX_REMEMBERED = 20_000  # records that a stale one remembers


class Liar:
    """The tongue of one supernode."""

    def __init__(self, rng: Random, lie: str, *, pretends: bool) -> None:
        self.lie, self.pretends = lie, pretends
        self._rng = rng
        self._oldest: dict[bytes, Record] = {}
        """By credential, the first record that was told."""
        self._other: Record | None = None
        self.lies = 0

    def __call__(self, effect: Send) -> Send | None:
        """What is said in place of it; None: nothing."""
        said = self._changed(effect.message)
        if said is effect.message:
            return effect
        self.lies += 1
        return Send(effect.to, said) if said is not None else None

    def _changed(self, message: Message) -> Message | None:
        match message:
            case Found():
                return self._found(message)
            case Keep() | Refresh() | Replicate() | Alive() if self.pretends:
                return None
            case Kept() | Stored() if self.pretends:
                return replace(message, copies=MANY_COPIES)
        return message

    def _found(self, found: Found) -> Found | None:
        match self.lie:
            case "silent":
                return None
            case "denies":
                return replace(found, records=(), complete=True, others=())
        if not found.records:
            return found
        record = found.records[0]
        if self.lie == "stale":
            if len(self._oldest) < MAX_REMEMBERED:
                self._oldest.setdefault(record.credential, record)
            return replace(found, records=(self._oldest.get(record.credential, record),))
        other, self._other = self._other, record
        if other is None or self._rng.random() < 0.5:
            listing = bytearray(record.listing)
            listing[-1] ^= 1
            other = replace(record, listing=bytes(listing))
        return replace(found, records=(other,))
