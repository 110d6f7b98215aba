"""The links of a supernode to others of its block: which should stand, which do, and which are begun.

    supernode                     another of its block
      | --- (link) --------------> |  to all where the block is small; else to those who hold a slot with it, and
      |                            |  to some of the rest, so that news cross the block
      | <-- (link) --------------- |  both began one at once: that of the lower id stays, and its owner ends the other
      | --- (end) ---------------> |  one that nobody needed for a minute

What is said on them is no matter of this file.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf

from halloo.base.address import Address, Peer, Wire
from halloo.base.effects import Link, Unlink
from halloo.base.machine import Effects, Numbers
from halloo.messages.credential import Party
from halloo.overlay.roster import Member, Roster
from halloo.overlay.slots import mixed

__all__ = ["ALL_LINKED", "BRIDGES", "CONTACTS", "FANOUT", "LOOK_AGAIN", "Linked", "Links"]

LOOK_AGAIN = 15.0  # seconds between looks for links that should stand, and tries of an address that was not reached
ALL_LINKED = 24  # members up to which each has a link to every other
BRIDGES = 3  # links to members that we share no slot with, so that news cross a large block
FANOUT = 3  # links that a piece of news is passed on over; whom it misses learns of it by the next beat
CONTACTS = 4  # supernodes that a newcomer asks at once
DIALS = 12  # links begun at once
UNWANTED_FOR = 60.0  # seconds after which a link of ours that nobody needs is ended


@dataclass(slots=True)
class Linked:
    """A supernode that a link leads to."""

    node: bytes
    ours: bool
    """Whether we began it."""
    told_at: float = -inf
    """When it had our last summary."""
    unwanted_since: float = inf


@dataclass(slots=True)
class Links:
    """One supernode's links to the others."""

    node: bytes
    listening: Address
    roster: Roster
    peers: Numbers
    parties: dict[Peer, Party] = field(default_factory=dict)
    """Who is at the other end, whether or not it is a supernode."""
    standing: dict[Peer, Linked] = field(default_factory=dict)
    by_node: dict[bytes, Peer] = field(default_factory=dict)
    dialling: dict[Peer, Address] = field(default_factory=dict)
    """Links begun, of which it is not known yet who is there."""
    _failed: dict[Address, float] = field(default_factory=dict)
    """When an address that could not be reached may be tried again."""

    def dial(self, address: Address) -> Effects:
        """Begin a link, unless there are too many begun, or this one is, or was tried in vain a moment ago."""
        if len(self.dialling) >= DIALS or address in self.dialling.values() or address in self._failed:
            return []
        if address == self.listening:
            return []
        peer = Peer(self.peers())
        self.dialling[peer] = address
        return [Link(peer, Wire(address))]

    def failed(self, peer: Peer, now: float) -> Address | None:
        """A link ended; where it should have led to, if nobody was met there."""
        address = self.dialling.pop(peer, None)
        if address is not None:
            self._failed[address] = now + LOOK_AGAIN
        return address

    def forgive(self, now: float) -> None:
        """Addresses that failed long enough ago may be tried again."""
        self._failed = {address: at for address, at in self._failed.items() if at > now}

    def strangers(self, addresses: list[Address]) -> list[Address]:
        """Those of some addresses that it makes sense to begin a link to."""
        members = self.roster.members
        linked = {members[node].address for node in self.by_node if node in members}
        return [one for one in addresses if one not in linked and one not in self._failed and one != self.listening]

    def keep(self, now: float) -> Effects:
        """Begin the links that should stand, end those of ours that need not."""
        out: Effects = []
        wanted = self._wanted()
        for node, member in wanted.items():
            if node not in self.by_node:
                out += self.dial(member.address)
        for peer, link in list(self.standing.items()):
            if link.node in wanted or not link.ours:
                link.unwanted_since = inf
            elif link.unwanted_since == inf:
                link.unwanted_since = now
            elif now - link.unwanted_since > UNWANTED_FOR:
                self.drop(peer)
                out.append(Unlink(peer, "not needed"))
        return out

    def note(self, member: Member, peer: Peer, *, ours: bool) -> Effects:
        """Note a link.  Of two between the same pair that stays which the lower id began; its owner ends the other."""
        self._failed.pop(member.address, None)
        old = self.by_node.get(member.node)
        if peer not in self.standing:
            self.standing[peer] = Linked(member.node, ours)
        if old is None or old == peer:
            self.by_node[member.node] = peer
            return []
        keep_new = ours == (self.node < member.node)
        kept, other = (peer, old) if keep_new else (old, peer)
        self.by_node[member.node] = kept
        if self.node < member.node:
            self.standing.pop(other, None)
            return [Unlink(other, "one link is enough")]
        return []

    def drop(self, peer: Peer) -> bytes | None:
        """Forget a link; the node that was reached by it, if there is no other one to it."""
        link = self.standing.pop(peer, None)
        if link is None or self.by_node.get(link.node) != peer:
            return None
        del self.by_node[link.node]
        return link.node

    def end_all(self, reason: str) -> Effects:
        """End those that stand, and those that are begun."""
        return [Unlink(peer, reason) for peer in (*self.standing, *self.dialling)]

    def _wanted(self) -> dict[bytes, Member]:
        """Whom we should have a link to."""
        members = self.roster.members
        others = {node: one for node, one in members.items() if node != self.node}
        if len(members) <= ALL_LINKED:
            return others
        fellows = {
            one.node: one
            for slot in self.roster.slots_of(self.node)
            for one in self.roster.held[slot]
            if one.node != self.node
        }
        number = int.from_bytes(self.node, "big")
        rest = sorted((one for one in others.values() if one.node not in fellows), key=lambda one: one.number)
        rest.sort(key=lambda one: mixed(one.number ^ number, 0))
        standby = FANOUT if not fellows else 0  # one without a slot has only bridges
        return fellows | {one.node: one for one in rest[: BRIDGES + standby]}
