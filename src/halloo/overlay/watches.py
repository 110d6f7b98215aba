"""Who watches the records that we hold: supernodes that stand beside a record and are told when its state changes.

    supernode of a watcher        holder
      | --- Watch (open) ----------> |
      | <-- Watched: cookie -------- |  a digest of where he is: nobody has a third party told anything
      | --- Watch: cookie ---------> |
      | <-- Watched ---------------- |
      | <-- Noticed: record -------- |  where his token is the one that the record knows; otherwise nothing
      | --- NoticeHeard -----------> |
      | <-- Noticed: record -------- |  its state has changed; said again until it is heard
      | <-- Noticed: pulse --------- |  its owner has only shown a sign of life
      | <-- Noticed: doubt --------- |  its owner's supernode says Unseen

What a watcher has not heard yet is a difference between two states, not a queue: who was away for a while is told the
newest record once.  A new record that does not know his token any more ends his watch without a word.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from math import inf
from random import Random

from halloo.base.address import Address, Peer, Wire
from halloo.base.effects import Send
from halloo.base.machine import Alarms, Effects, Numbers
from halloo.messages.credential import Record
from halloo.messages.presence import (
    KNOWN_BY,
    NOTICED_AT_ONCE,
    PULSES_AT_ONCE,
    Doubt,
    Noticed,
    NoticeHeard,
    Pulse,
    Unseen,
    Watch,
    Watched,
    Wish,
)
from halloo.overlay.block import Block
from halloo.overlay.directory import Directory
from halloo.overlay.presence import mark
from halloo.overlay.slots import Key, slot_of

__all__ = ["LEASE", "Watches"]

LEASE = 3_600.0  # seconds that a watch stands when it is not renewed
MAX_WATCHES = 50_000  # of one holder, of all records: some 15 MB
MAX_PER_RECORD = 1_000  # supernodes that watch one record
TELL_WITHIN = 0.3  # seconds in which changes for one supernode are gathered
PULSE_WITHIN = 60.0  # seconds in which signs of life are: their age is told in minutes
CALM = 5.0  # seconds, at least, between two states of one owner that are told
SAY_AGAIN = (0.7, 1.5, 3.0, 60.0, 240.0, 960.0)  # seconds after which an unheard one is said again, then not any more
MAX_UNHEARD = 4_096  # messages that are waited for
WATCH_COOKIE = 8  # bytes
MAX_DOUBTED = 4_096  # records whose owner's supernode has said that he is gone


@dataclass(slots=True)
class _Beside:
    """One supernode beside one record."""

    until: float
    mark: bytes
    blob: bytes = b""
    """The sealed state that it has heard of."""
    pulse: bytes = b""
    doubted: int = 0
    """The version of the record whose doubt it has heard of."""
    due: float = inf
    said: int = 0
    """How often what it lacks was said."""


@dataclass(slots=True)
class _Watched:
    """One record."""

    beside: dict[Address, _Beside] = field(default_factory=dict)
    blob: bytes = b""
    """The sealed state that was told last."""
    told_at: float = -inf


@dataclass(slots=True)
class _Said:
    address: Address
    lines: list[tuple[Key, bytes, bytes, int]]
    """Key, sealed state, pulse, version that was doubted, as they were said."""


@dataclass(slots=True)
class Watches:
    """What one holder of records tells to those who watch them."""

    block: Block
    directory: Directory
    holds: Callable[[Key], bool]
    candidates: Callable[[Key], list[Address]]
    digest: Callable[[bytes], bytes]
    rng: Random
    requests: Numbers
    wall: float
    refused: int = 0
    """Wishes whose token was not the record's."""
    _count: int = 0
    _alarms: Alarms[tuple[Key, Address]] = field(default_factory=Alarms)
    _said: dict[int, _Said] = field(default_factory=dict)
    _doubted: dict[Key, tuple[int, int]] = field(default_factory=dict)
    """By key, the version of the record and the second from which it is doubted."""
    _secret: bytes = b""
    sweep_at: float = inf

    @property
    def wake_at(self) -> float:
        """When ``wake`` has something to do."""
        return min(self._alarms.next, self.sweep_at)

    def __len__(self) -> int:
        return self._count

    # --- what is heard

    def asked(self, message: Watch, asker: Address, now: float) -> Effects:
        """Somebody would watch some records."""
        if message.cookie != self._cookie(asker):
            return [Send(Wire(asker), Watched(cookie=self._cookie(asker), request=message.request))]
        others: list[Address] = []
        unheld: dict[bytes, None] = {}
        for wish in message.wishes:
            key = int.from_bytes(wish.key, "big")
            if not self.holds(key):
                unheld[wish.key] = None
                others += [one for one in self.candidates(key) if one not in others]
            else:
                self._stand(key, wish, asker, now)
        chosen = self.rng.sample(others, min(4, len(others)))
        watched = Watched(unheld=b"".join(unheld), others=tuple(chosen), request=message.request)
        return [Send(Wire(asker), watched)]

    def heard(self, message: NoticeHeard, address: Address, now: float) -> None:
        """A supernode has heard what we said."""
        said = self._said.get(message.request)
        if said is None or said.address != address:
            return
        del self._said[message.request]
        unwanted = {message.unwanted[at : at + 8] for at in range(0, len(message.unwanted) - 7, 8)}
        for key, blob, pulse, doubted in said.lines:
            beside = self._beside(key, address)
            if beside is None:
                continue
            if key.to_bytes(8, "big") in unwanted:
                self._drop(key, address)
                continue
            beside.blob, beside.pulse, beside.said = blob or beside.blob, pulse or beside.pulse, 0
            beside.doubted = max(beside.doubted, doubted)
            watched: _Watched = self.directory.watched[key]
            due = watched.told_at if watched.told_at > now else now + TELL_WITHIN
            self._plan(key, address, beside, due if self._lacks(key, beside, now) else inf)

    def unseen(self, message: Unseen, sender: Address | Peer, now: float) -> Effects:
        """The owner's supernode, or somebody who holds the same slot, has heard that he is gone."""
        key = int.from_bytes(message.key, "big")
        entry = self.directory.find(key, now + self.wall)
        if entry is None or not entry.listing.watch or not self.holds(key):
            return []
        version = entry.listing.version
        if self._doubted.get(key, (0, 0))[0] == version:
            return []
        out: Effects = []
        fellows = self._fellows(key)
        if not isinstance(sender, int):
            if entry.listing.supernode != sender:
                return []
            out += [Send(peer, message) for peer in fellows]
        elif sender not in fellows:
            return []
        if len(self._doubted) >= MAX_DOUBTED:
            del self._doubted[next(iter(self._doubted))]
        self._doubted[key] = version, min(message.at, int(now + self.wall))
        self._tell_all(key, now)
        return out

    def look(self, now: float) -> None:
        """Some records that are watched are new."""
        fresh = list(self.directory.fresh)
        self.directory.fresh.clear()
        for key in fresh:
            self._tell_all(key, now)

    def wake(self, now: float) -> Effects:
        """Tell what is due, to each supernode at once."""
        if self.sweep_at <= now:
            self._sweep(now)
        by_address: dict[Address, list[Key]] = {}
        for key, address in self._alarms.due(now):
            by_address.setdefault(address, []).append(key)
        out: Effects = []
        for address, keys in by_address.items():
            out += self._tell(address, keys, now)
        return out

    # --- inside

    def _stand(self, key: Key, wish: Wish, asker: Address, now: float) -> None:
        entry = self.directory.find(key, now + self.wall)
        if entry is None or not entry.listing.watch or mark(self.digest, wish.token) != entry.listing.watch:
            self.refused += 1
            return
        watched: _Watched | None = self.directory.watched.get(key)
        beside = watched.beside.get(asker) if watched is not None else None
        if beside is None:
            if self._count >= MAX_WATCHES or (watched is not None and len(watched.beside) >= MAX_PER_RECORD):
                return
            if watched is None:
                watched = self.directory.watched[key] = _Watched(blob=entry.listing.presence)
            beside = watched.beside[asker] = _Beside(now + LEASE, entry.listing.watch)
            self._count += 1
            self.sweep_at = min(self.sweep_at, now + LEASE)
        beside.until, beside.mark, beside.said = now + LEASE, entry.listing.watch, 0
        knows = wish.known == entry.listing.presence[:KNOWN_BY]
        beside.blob, beside.pulse, beside.doubted = entry.listing.presence if knows else b"", b"", 0
        if self._lacks(key, beside, now):
            self._plan(key, asker, beside, now)

    def _lacks(self, key: Key, beside: _Beside, now: float) -> bool:
        entry = self.directory.find(key, now + self.wall)
        if entry is None:
            return False
        listing = entry.listing
        doubted = self._doubted.get(key, (0, 0))[0] == listing.version != beside.doubted
        return beside.blob != listing.presence or bool(entry.pulse and beside.pulse != entry.pulse) or doubted

    def _tell_all(self, key: Key, now: float) -> None:
        """A record that is watched has changed, or is doubted."""
        watched: _Watched | None = self.directory.watched.get(key)
        entry = self.directory.find(key, now + self.wall)
        if watched is None or entry is None:
            return
        listing = entry.listing
        changed = watched.blob != listing.presence or self._doubted.get(key, (0, 0))[0] == listing.version
        due = now + (TELL_WITHIN if changed else PULSE_WITHIN - now % PULSE_WITHIN)
        if changed:
            due = watched.told_at if watched.told_at >= now else max(due, watched.told_at + CALM)
            watched.told_at, watched.blob = due, listing.presence
        for address, beside in list(watched.beside.items()):
            if beside.mark != listing.watch:
                self._drop(key, address)
            else:
                beside.said = 0
                self._plan(key, address, beside, due if changed else min(due, beside.due))

    def _tell(self, address: Address, keys: list[Key], now: float) -> Effects:
        records: list[tuple[Key, Record, bytes, bytes]] = []
        pulses: list[tuple[Key, bytes]] = []
        doubts: list[tuple[Key, int, int]] = []
        for key in keys:
            beside, entry = self._beside(key, address), self.directory.find(key, now + self.wall)
            if beside is None:
                continue
            beside.due = inf
            if entry is None or beside.until <= now or beside.mark != entry.listing.watch:
                self._drop(key, address)
                continue
            if beside.said >= len(SAY_AGAIN) or not self._lacks(key, beside, now):
                continue
            self._plan(key, address, beside, now + SAY_AGAIN[beside.said])
            beside.said += 1
            listing = entry.listing
            if beside.blob != listing.presence:
                records.append((key, entry.record, listing.presence, entry.pulse))
            elif beside.pulse != entry.pulse and entry.pulse:
                pulses.append((key, entry.pulse))
            version, at = self._doubted.get(key, (0, 0))
            if version == listing.version != beside.doubted:
                doubts.append((key, at, version))
        out: Effects = []
        while records or pulses or doubts:
            told, records = records[:NOTICED_AT_ONCE], records[NOTICED_AT_ONCE:]
            beats, pulses = pulses[:PULSES_AT_ONCE], pulses[PULSES_AT_ONCE:]
            said, doubts = doubts[:PULSES_AT_ONCE], doubts[PULSES_AT_ONCE:]
            lines = [(key, blob, pulse, 0) for key, _, blob, pulse in told]
            lines += [(key, b"", pulse, 0) for key, pulse in beats]
            lines += [(key, b"", b"", version) for key, _, version in said]
            number = self.requests() & 0xFFFF
            while len(self._said) >= MAX_UNHEARD:
                del self._said[next(iter(self._said))]
            self._said.pop(number, None)
            self._said[number] = _Said(address, lines)
            noticed = Noticed(
                records=tuple(record for _, record, _, _ in told),
                pulses=tuple(Pulse(key=key.to_bytes(8, "big"), pulse=pulse) for key, pulse in beats),
                doubts=tuple(Doubt(key=key.to_bytes(8, "big"), at=at) for key, at, _ in said),
                request=number,
            )
            out.append(Send(Wire(address), noticed))
        return out

    def _beside(self, key: Key, address: Address) -> _Beside | None:
        watched: _Watched | None = self.directory.watched.get(key)
        return watched.beside.get(address) if watched is not None else None

    def _plan(self, key: Key, address: Address, beside: _Beside, due: float) -> None:
        beside.due = due
        self._alarms[key, address] = due

    def _drop(self, key: Key, address: Address) -> None:
        watched: _Watched = self.directory.watched[key]
        del watched.beside[address]
        del self._alarms[key, address]
        self._count -= 1
        if not watched.beside:
            del self.directory.watched[key]

    def _sweep(self, now: float) -> None:
        """Forget watches that were not renewed."""
        self.sweep_at = now + LEASE / 4 if self._count else inf
        for key, watched in list(self.directory.watched.items()):
            for address, beside in list(watched.beside.items()):
                if beside.until <= now:
                    self._drop(key, address)

    def _fellows(self, key: Key) -> list[Peer]:
        """Links to the others who hold a key."""
        roster = self.block.roster
        if not roster.prefix.covers(key):
            return []
        held = roster.held[slot_of(key, roster.prefix.depth)]
        return [self.block.links[one.node] for one in held if one.node in self.block.links]

    def _cookie(self, asker: Address) -> bytes:
        if not self._secret:
            self._secret = self.rng.randbytes(32)
        return self.digest(self._secret + asker.host + asker.port.to_bytes(2, "big"))[:WATCH_COOKIE]
