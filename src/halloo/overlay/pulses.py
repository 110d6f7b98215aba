"""Signs of life at a holder: taken where they prove themselves, gathered for a while, told to the others of the slot.

    supernode                     holder                        others who hold the slot
      | --- Refresh ---------------> |  (``keeper``)                 |
      |                              | --- Alive: many pulses -----> |  once a minute, whatever came meanwhile

So a record that is only as true as before costs each holder some 27 bytes and a few digests.  Whoever has not got the
record, or another version of it, passes over its signs of life: versions are compared by ``comparing``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf

from halloo.base.address import Peer
from halloo.base.effects import Send
from halloo.base.machine import Effects
from halloo.messages.block import ALIVE_AT_ONCE, Alive
from halloo.messages.presence import Pulse
from halloo.overlay.block import Block
from halloo.overlay.directory import Directory
from halloo.overlay.slots import Key, slot_of

__all__ = ["GATHER_FOR", "Pulses"]

GATHER_FOR = 60.0  # seconds in which signs of life are gathered before the others of the slot are told


@dataclass(slots=True)
class Pulses:
    """The signs of life that one holder is told."""

    block: Block
    directory: Directory
    wall: float
    wake_at: float = inf
    _gathered: dict[Key, None] = field(default_factory=dict)
    """Whose are to be told to the others: records that we hold, and no more."""

    def take(self, key: Key, pulse: bytes, now: float) -> bool:
        """A sign of life from outside the slot; whether we have its record, and it is one, or is known already."""
        news = self.directory.renew(key, pulse, now + self.wall)
        if news:
            self._gathered[key] = None
            self.wake_at = min(self.wake_at, now + GATHER_FOR)
        return news is not None

    def receive(self, message: Alive, now: float) -> Effects:
        """Another one of the slot tells what it was told."""
        for one in message.pulses:
            self.directory.renew(int.from_bytes(one.key, "big"), one.pulse, now + self.wall)
        return []

    def wake(self, now: float) -> Effects:
        """Tell the others."""
        roster, links = self.block.roster, self.block.links
        told: dict[Peer, list[Pulse]] = {}
        for key in self._gathered:
            entry = self.directory.find(key, now + self.wall)
            if entry is None or not roster.prefix.covers(key):
                continue
            pulse = Pulse(key=key.to_bytes(8, "big"), pulse=entry.pulse)
            for one in roster.held[slot_of(key, roster.prefix.depth)]:
                if one.node in links:
                    told.setdefault(links[one.node], []).append(pulse)
        self._gathered, self.wake_at = {}, inf
        return [
            Send(peer, Alive(pulses=tuple(pulses[at : at + ALIVE_AT_ONCE])))
            for peer, pulses in told.items()
            for at in range(0, len(pulses), ALIVE_AT_ONCE)
        ]
