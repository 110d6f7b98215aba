"""Watch others: learn of their state as soon as it changes, and know how old what one knows is.

    here                      own supernode
      | --- Watch --------------> |  keys and tokens; nobody else learns who asks
      | <-- Watched ------------- |
      | <-- Noticed ------------- |  a record, a sign of life, a doubt
      | --- Unwatch ------------> |

What is told here is true or says that it may not be: a state is signed and sealed by its owner, and as old as his last
sign of life, which only he can make.  When none has come for longer than he lets pass between two of them, nobody says
"on line" any more.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from math import inf
from random import Random

from halloo.base.address import Peer
from halloo.base.effects import Send
from halloo.base.errors import PeerError, UsageError
from halloo.base.machine import Effects, Event, Numbers
from halloo.crypto.suite import Digest, Seal
from halloo.messages.chain import PULSE_EVERY, links_between
from halloo.messages.credential import Entry, Notary, Presence, Record
from halloo.messages.name import folded
from halloo.messages.presence import KNOWN_BY, WISHES_AT_ONCE, Noticed, Unwatch, Watch, Wish
from halloo.overlay.presence import Sight, mark
from halloo.overlay.publish import AGAIN
from halloo.overlay.slots import Key, key_of

__all__ = ["BuddySeen", "Certainty", "Watching"]

MAX_BUDDIES = 300  # users that one watches
MAX_SIGHTS = 600  # secrets kept that others have given us, watched or not
OLD_AFTER = 2 * AGAIN + 2 * PULSE_EVERY  # seconds without a sign of life after which "on line" is not said any more
WATCH_WITHIN = 0.5  # seconds from joining to the first question, at most
NOT_TOLD = (5.0, 10.0, 20.0, 60.0, 120.0, 300.0, 600.0)  # seconds without a record after which we ask again
AHEAD_OF_US = 2  # links that an owner's clock may be ahead of ours


class Certainty(Enum):
    """How sure a state is."""

    SURE = "sure"
    DOUBTED = "doubted"
    """Hearsay: his supernode has lost him."""
    OLD = "old"
    """No sign of life for too long."""
    UNKNOWN = "unknown"
    """Nothing was told: he has not allowed it, or his record was not found."""


@dataclass(frozen=True, slots=True)
class BuddySeen(Event):
    """What is known of somebody has changed.  ``since`` and ``as_of`` in seconds of the wall clock; 0: not known.

    ``state`` was his at ``as_of``; whether it still is, says ``certainty``.
    """

    name: str
    state: Presence
    mood: str
    since: int
    as_of: int
    certainty: Certainty


@dataclass(slots=True)
class _Buddy:
    key: Key
    version: int = 0
    blob: bytes = b""
    state: Presence = Presence.OFFLINE
    mood: str = ""
    since: int = 0
    as_of: int = 0
    pulse: bytes = b""
    doubted_at: int = 0
    ask_at: float = inf
    tries: int = 0
    told: tuple[Presence, str, int, Certainty] | None = None


@dataclass(slots=True)
class Watching:
    """Whom one node watches.  ``sights``: by name, the presence secrets that their owners have given us."""

    notary: Notary
    digest: Digest
    seal: Callable[[bytes], Seal]
    seal_key_size: int
    rng: Random
    requests: Numbers
    wall: float
    sights: dict[str, Sight] = field(default_factory=dict)
    supernode: Peer | None = None
    changed: bool = False
    """Whether something has to be kept that was not yet."""
    _buddies: dict[str, _Buddy] = field(default_factory=dict)

    @property
    def wake_at(self) -> float:
        """When ``wake`` has something to do."""
        at = inf
        for one in self._buddies.values():
            at = min(at, self._asks(one), self._ages(one))
        return at

    @property
    def names(self) -> list[str]:
        """Whom we watch."""
        return list(self._buddies)

    # --- intents

    def watch(self, name: str, now: float) -> Effects:
        """Watch somebody from now on.  Raises UsageError: this cannot be a name, or there are too many."""
        name = folded(name)
        if name in self._buddies:
            return []
        if len(self._buddies) >= MAX_BUDDIES:
            raise UsageError(f"no more than {MAX_BUDDIES} users can be watched")
        self._buddies[name] = _Buddy(key_of(self.digest, name), ask_at=now)
        self.changed = True
        return self._tell(name, now)

    def unwatch(self, name: str) -> Effects:
        """Watch him no longer."""
        buddy = self._buddies.pop(folded(name), None)
        if buddy is None:
            return []
        self.changed = True
        return [Send(self.supernode, Unwatch(keys=buddy.key.to_bytes(8, "big")))] if self.supernode is not None else []

    def seen(self, name: str, now: float) -> BuddySeen:
        """What is known of somebody.  Raises UsageError: he is not watched."""
        buddy = self._buddies.get(folded(name))
        if buddy is None:
            raise UsageError(f"{name} is not watched")
        certainty = self._certainty(buddy, now)
        return BuddySeen(folded(name), buddy.state, buddy.mood, buddy.since, buddy.as_of, certainty)

    # --- what siblings bring

    def attached(self, supernode: Peer | None, now: float) -> None:
        """Our supernode changed; the new one knows nothing of whom we watch."""
        self.supernode = supernode
        for buddy in self._buddies.values():
            buddy.ask_at, buddy.tries = now + WATCH_WITHIN * self.rng.random(), 0

    def given(self, name: str, sight: Sight, now: float) -> bool:
        """An owner lets us see him; False when we can keep no more of these."""
        held = self.sights.get(name)
        if held is not None and held.epoch >= sight.epoch:
            return held == sight or held.epoch > sight.epoch
        if held is None and len(self.sights) >= MAX_SIGHTS:
            other = next((one for one in self.sights if one not in self._buddies), None)
            if other is None:
                return False
            del self.sights[other]
        self.sights[name] = sight
        self.changed = True
        buddy = self._buddies.get(name)
        if buddy is not None:
            buddy.ask_at, buddy.tries = now, 0
        return True

    def receive(self, message: Noticed, sender: Peer, now: float) -> Effects:
        """What our supernode has heard of those whom we watch."""
        if sender != self.supernode:
            return []
        out: Effects = []
        for record in message.records:
            out += self._record(record, now)
        by_key = {one.key: name for name, one in self._buddies.items()}
        for beat in message.pulses:
            name = by_key.get(int.from_bytes(beat.key, "big"))
            if name is not None:
                out += self._pulse(name, beat.pulse, now)
        for doubt in message.doubts:
            name = by_key.get(int.from_bytes(doubt.key, "big"))
            if name is not None:
                buddy = self._buddies[name]
                buddy.doubted_at = max(buddy.doubted_at, min(doubt.at, int(now + self.wall)))
                out += self._tell(name, now)
        return out

    def wake(self, now: float) -> Effects:
        """Ask; say what has become old."""
        out: Effects = []
        wishes: list[Wish] = []
        for name, buddy in self._buddies.items():
            if self._ages(buddy) <= now:
                buddy.ask_at, buddy.tries = min(buddy.ask_at, now + NOT_TOLD[0]), 0
                out += self._tell(name, now)
            if self._asks(buddy) <= now:
                sight = self.sights.get(name)
                pause = NOT_TOLD[min(buddy.tries, len(NOT_TOLD) - 1)]
                buddy.ask_at = now + pause * (0.8 + 0.4 * self.rng.random())
                buddy.tries += 1
                if sight is not None:
                    token = sight.token(self.digest)
                    wishes.append(Wish(key=buddy.key.to_bytes(8, "big"), token=token, known=buddy.blob[:KNOWN_BY]))
        for at in range(0, len(wishes), WISHES_AT_ONCE):
            watch = Watch(wishes=tuple(wishes[at : at + WISHES_AT_ONCE]), request=self.requests() & 0xFFFF)
            if self.supernode is not None:
                out.append(Send(self.supernode, watch))
        return out

    # --- inside

    def _asks(self, buddy: _Buddy) -> float:
        return buddy.ask_at if self.supernode is not None else inf

    def _ages(self, buddy: _Buddy) -> float:
        """When what is known of him has become too old to be said."""
        told = buddy.told
        if not buddy.state or told is None or told[3] is not Certainty.SURE:
            return inf
        return buddy.as_of - self.wall + OLD_AFTER

    def _certainty(self, buddy: _Buddy, now: float) -> Certainty:
        if not buddy.version:
            return Certainty.UNKNOWN
        if not buddy.state:
            return Certainty.SURE  # he said goodbye himself
        if buddy.as_of - self.wall + OLD_AFTER <= now:
            return Certainty.OLD
        return Certainty.DOUBTED if buddy.doubted_at and buddy.doubted_at >= buddy.as_of else Certainty.SURE

    def _record(self, record: Record, now: float) -> Effects:
        try:
            entry = self.notary.record(record, now + self.wall)
        except PeerError:
            return []
        name, listing = entry.name, entry.listing
        buddy, sight = self._buddies.get(name), self.sights.get(name)
        if buddy is None or sight is None or listing.version <= buddy.version:
            return []
        if mark(self.digest, sight.token(self.digest)) != listing.watch:
            return []
        return self._opened(name, buddy, sight, entry, now)

    def _opened(self, name: str, buddy: _Buddy, sight: Sight, entry: Entry, now: float) -> Effects:
        listing = entry.listing
        try:
            shown = sight.opened(listing.presence, name, self.digest, self.seal, self.seal_key_size)
        except PeerError:
            return []
        buddy.version, buddy.blob, buddy.pulse = listing.version, listing.presence, entry.pulse
        buddy.state, buddy.mood, buddy.since = shown.state, shown.mood, shown.since
        buddy.as_of, buddy.doubted_at = min(entry.seen, int(now + self.wall)), 0
        buddy.ask_at, buddy.tries = inf, 0
        return self._tell(name, now)

    def _pulse(self, name: str, pulse: bytes, now: float) -> Effects:
        buddy = self._buddies[name]
        most = int(now + self.wall - buddy.as_of) // PULSE_EVERY + AHEAD_OF_US
        links = links_between(self.digest, buddy.pulse, pulse, most)
        if not links:
            return []
        buddy.pulse = pulse
        buddy.as_of = min((buddy.as_of // PULSE_EVERY + links) * PULSE_EVERY, int(now + self.wall))
        buddy.ask_at, buddy.tries = inf, 0
        return self._tell(name, now)

    def _tell(self, name: str, now: float) -> Effects:
        """Say what is known of somebody, where it is news."""
        buddy = self._buddies[name]
        seen = self.seen(name, now)
        told = seen.state, seen.mood, seen.since, seen.certainty
        if told == buddy.told:
            return []
        buddy.told = told
        return [seen]
