"""Those who hold a slot compare what they hold, so that each has what any of them has.

    holder                        holder
      | --- Compare: one digest ---> |  now and then, and when one of the two is new there; mostly that is all
      | <-- Compare: 32 parts ------ |  we differ
      | --- Compare: 32 parts -----> |  of a part in which there are very many records: its own 32 parts
      | --- Differs ---------------> |  this is what I hold in the parts in which we differ
      | <-- Replicate, Wanted ------ |
      | --- Replicate -------------> |

Whoever has got something goes on until nothing new comes; what the other refuses is not brought again and again.  Where
two parts of a torn network become one again, each compares with all who are new to it: with a few drawn by lot, one of
many would miss everything now and then, and tell old records for five minutes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from math import inf
from random import Random

from halloo.base.address import Peer
from halloo.base.effects import Send
from halloo.base.errors import Malformed
from halloo.base.machine import Effects
from halloo.messages.block import MAX_FINER, PARTS, WHOLE, Compare, Differs, Replicate, Wanted, paired, pairs_of
from halloo.overlay.block import Block
from halloo.overlay.directory import PART_BITS, Directory
from halloo.overlay.slots import SLOT_BITS, Key, Prefix, slot_of

__all__ = ["AT_ONCE", "COMPARE_EVERY", "COMPARE_SOON", "Comparing"]

COMPARE_EVERY = 300.0  # seconds between comparisons of one slot
COMPARE_SOON = 2.0  # seconds until the first one where a slot, or one who holds it, is new
COMPARE_NEXT = 6.0  # seconds, about, between the first comparisons of a slot that is new: each with another holder
WHEN_NEW = 4  # such comparisons, for some of the others may be as new
WHEN_CHANGED = 2  # comparisons where one who holds it is new
MOST_TURNS = 16  # holders of a slot that are compared with by turns after a change: all of them, as a rule
COMPARE_AGAIN = 1.0  # seconds from the last record that a comparison brought until the next one
BRINGS_WITHIN = 10.0  # seconds in which what was asked for comes
TOLD_AT_ONCE = 256  # keys and versions in one message
MANY = 128  # records in a part, above which its own parts are compared
FINER_AT_ONCE = 4  # parts in which that is done at once: the others' turn is the next time
WANTED_AT_ONCE = 128  # keys in one message
AT_ONCE = 8  # records in one message


@dataclass(slots=True)
class Comparing:
    """The comparisons of one supernode."""

    block: Block
    directory: Directory
    rng: Random
    wake_at: float = inf
    _at: dict[int, float] = field(default_factory=dict)
    """By slot that we hold, when it is compared next."""
    _more: dict[int, int] = field(default_factory=dict)
    """By slot, how many comparisons more are made soon, whatever the first one finds."""
    _turns: dict[int, list[bytes]] = field(default_factory=dict)
    """By slot, with whom these are made, before it is left to chance."""
    _holders: dict[int, tuple[bytes, ...]] = field(default_factory=dict)
    _brings: dict[Peer, float] = field(default_factory=dict)
    """Who was asked for records, and until when they come."""

    def placed(self, now: float) -> None:
        """Our place, or who holds a slot with us, has changed."""
        roster, before = self.block.roster, self._holders
        slots = roster.slots_of(self.block.node)
        self._holders = {slot: tuple(one.node for one in roster.held[slot]) for slot in slots}
        self._at = {slot: at for slot, at in self._at.items() if slot in self._holders}
        self._more = {slot: more for slot, more in self._more.items() if slot in self._holders}
        self._turns = {slot: turns for slot, turns in self._turns.items() if slot in self._holders}
        for slot, holders in self._holders.items():
            if before.get(slot) == holders:
                continue
            new = slot not in before
            self._more[slot] = max(self._more.get(slot, 0), WHEN_NEW if new else WHEN_CHANGED)
            self._take_turns(slot, [node for node in holders if node not in before.get(slot, ())])
            self._sooner(slot, now + COMPARE_SOON * (0.5 + self.rng.random() * (1 if new else 5)))
        self._arm()

    def soon(self, slot: int, now: float) -> None:
        """Some who hold a slot were not reached: they shall have what they missed."""
        if slot in self._at:
            self._more[slot] = max(self._more.get(slot, 0), WHEN_CHANGED)
            self._sooner(slot, now + COMPARE_NEXT)
            self._arm()

    def brought(self, keys: Iterable[Key], sender: Peer, now: float) -> None:
        """Somebody has sent us records that are new; if it is because we compared, there may be more."""
        if self._brings.get(sender, -inf) < now:
            return
        own = self.block.roster.prefix
        for slot in dict.fromkeys(slot_of(key, own.depth) for key in keys if own.covers(key)):
            if slot in self._at:
                self._at[slot] = now + COMPARE_AGAIN
                if slot in self._more:  # others may have done with us before we had this
                    self._take_turns(slot, list(self._holders[slot]))
        self._arm()

    def receive(self, message: Compare | Differs | Wanted, sender: Peer, now: float) -> Effects:
        """What another one says.  Raises Malformed."""
        match message:
            case Compare():
                return self._compared(message, sender, now)
            case Differs():
                return self._differs(message, sender, now)
            case Wanted():
                return self._bring(sender, _keys(message.keys))

    def wake(self, now: float) -> Effects:
        """Compare what is due."""
        out: Effects = []
        self._brings = {peer: until for peer, until in self._brings.items() if until >= now}
        for slot in [slot for slot, at in self._at.items() if at <= now]:
            more = self._more.pop(slot, 0)
            pause = COMPARE_NEXT if more > 1 else COMPARE_EVERY
            self._at[slot] = now + pause * (0.8 + 0.4 * self.rng.random())
            if more > 1:
                self._more[slot] = more - 1
            held = self.block.roster.held[slot]
            fellows = {one.node: self.block.links[one.node] for one in held if one.node in self.block.links}
            if fellows:
                turns = [node for node in self._turns.pop(slot, ()) if node in fellows]
                if turns[1:]:
                    self._turns[slot] = turns[1:]
                chosen = fellows[turns[0]] if turns else self.rng.choice(list(fellows.values()))
                prefix = self._prefix(slot)
                whole = _whole(self.directory.parts(prefix))
                out.append(Send(chosen, Compare(depth=prefix.depth, bits=prefix.bits, parts=whole)))
            elif len(held) > 1:
                self._at[slot] = now + COMPARE_SOON  # the links do not stand yet
                self._more[slot] = more
        self._arm()
        return out

    # --- inside

    def _compared(self, message: Compare, sender: Peer, now: float) -> Effects:
        prefix = _prefix_of(message)
        own = self.directory.parts(prefix)
        if len(message.parts) == WHOLE:
            if _whole(own) == message.parts:
                return []
            return [Send(sender, Compare(depth=prefix.depth, bits=prefix.bits, parts=own))]
        if len(message.parts) != PARTS * WHOLE:
            raise Malformed("a comparison of neither all nor of each part")
        held: dict[int, list[tuple[int, int]]] = {
            at: [] for at in range(PARTS) if _part(own, at) != _part(message.parts, at)
        }
        for part, key, version in self.directory.under(prefix):
            if part in held:
                held[part].append((key, version))
        out: Effects = []
        mask, told = 0, list[tuple[int, int]]()
        for part, some in held.items():
            finer = Prefix(prefix.depth + PART_BITS, prefix.bits << PART_BITS | part)
            if len(some) > MANY and finer.depth <= MAX_FINER:
                if len(out) < FINER_AT_ONCE:
                    parts = self.directory.parts(finer)
                    out.append(Send(sender, Compare(depth=finer.depth, bits=finer.bits, parts=parts)))
            elif len(told) + len(some) <= TOLD_AT_ONCE:
                mask |= 1 << part
                told += some
        if mask:
            self._brings[sender] = now + BRINGS_WITHIN
            out.append(Send(sender, Differs(depth=prefix.depth, bits=prefix.bits, parts=mask, held=paired(told))))
        return out

    def _differs(self, message: Differs, sender: Peer, now: float) -> Effects:
        prefix = _prefix_of(message)
        theirs = dict(pairs_of(message.held))
        mine = {key: version for part, key, version in self.directory.under(prefix) if message.parts >> part & 1}
        give = [key for key, version in mine.items() if theirs.get(key, 0) < version]
        want = [key for key, version in theirs.items() if mine.get(key, 0) < version]
        out = self._bring(sender, give[:WANTED_AT_ONCE])
        if want:
            self._brings[sender] = now + BRINGS_WITHIN
            keys = b"".join(key.to_bytes(8, "big") for key in want[:WANTED_AT_ONCE])
            out.append(Send(sender, Wanted(keys=keys)))
        return out

    def _bring(self, peer: Peer, keys: list[Key]) -> Effects:
        entries = [entry for key in keys if (entry := self.directory.find(key, 0.0)) is not None]
        return [
            Send(peer, Replicate(records=tuple(entry.record for entry in entries[at : at + AT_ONCE]), request=0))
            for at in range(0, len(entries), AT_ONCE)
        ]

    def _take_turns(self, slot: int, nodes: list[bytes]) -> None:
        """Compare with each of these, in any order."""
        turns = dict.fromkeys(self._turns.get(slot, ()))
        fresh = [node for node in nodes if node != self.block.node and node not in turns]
        self.rng.shuffle(fresh)
        self._turns[slot] = [*turns, *fresh][:MOST_TURNS]
        self._more[slot] = max(self._more.get(slot, 0), len(self._turns[slot]))

    def _prefix(self, slot: int) -> Prefix:
        prefix = self.block.roster.prefix
        return Prefix(prefix.depth + SLOT_BITS, prefix.bits << SLOT_BITS | slot)

    def _sooner(self, slot: int, at: float) -> None:
        self._at[slot] = min(self._at.get(slot, inf), at)

    def _arm(self) -> None:
        self.wake_at = min(self._at.values(), default=inf)


def _prefix_of(message: Compare | Differs) -> Prefix:
    if message.depth < SLOT_BITS or message.bits >> message.depth:
        raise Malformed("a slot that there cannot be")
    return Prefix(message.depth, message.bits)


def _part(parts: bytes, at: int) -> bytes:
    return parts[WHOLE * at : WHOLE * (at + 1)]


def _whole(parts: bytes) -> bytes:
    """One digest of all parts."""
    whole = 0
    for at in range(PARTS):
        whole ^= int.from_bytes(_part(parts, at), "big")
    return whole.to_bytes(WHOLE, "big")


def _keys(packed: bytes) -> list[Key]:
    if len(packed) % 8:
        raise Malformed("a list of keys that ends within one")
    return [int.from_bytes(packed[at : at + 8], "big") for at in range(0, len(packed), 8)]
