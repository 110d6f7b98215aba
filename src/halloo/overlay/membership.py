"""Who is of a supernode's block: who is let in, who is found to be whom the network names, who is taken for gone.

    supernode                     another supernode
      | --- Mesh / Meshed --------> |  on every link: each shows how it stands, signed
      | --- News ----------------> |  how others stand, signed by themselves; who is said to have gone
      | --- Where / Here --------> |  in the open: is that one alive? (``doubt.py``)

A standing proves itself, and is passed on to others once; that somebody has gone nobody can prove.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from halloo.base.address import Address, Peer
from halloo.base.effects import Unlink
from halloo.base.machine import Effects, Event
from halloo.messages.block import News, SignedStanding, Summary, pairs_of, standing_of
from halloo.overlay.doubt import Doubts
from halloo.overlay.duties import LOOK_SOON, PLACE_EVERY, Duties, Duty
from halloo.overlay.gossip import Gossip
from halloo.overlay.hostcache import HostCache
from halloo.overlay.links import Links
from halloo.overlay.roster import MAX_MEMBERS, Member, Registrar, Roster
from halloo.overlay.slots import GOING
from halloo.overlay.stance import Stance
from halloo.overlay.survey import Survey

__all__ = ["MemberGone", "MemberMet", "Membership"]


@dataclass(frozen=True, slots=True)
class MemberMet(Event):
    """Another supernode of our block is known."""

    address: Address


@dataclass(frozen=True, slots=True)
class MemberGone(Event):
    """One has gone."""

    address: Address


@dataclass(slots=True)
class Membership:
    """What one supernode makes of what it hears of the members of its block."""

    roster: Roster
    registrar: Registrar
    stance: Stance
    links: Links
    doubts: Doubts
    gossip: Gossip
    survey: Survey
    cache: HostCache
    duties: Duties
    wall: float
    _proved: dict[bytes, Address] = field(default_factory=dict)
    """By node, the address of the network's description at which it was found."""

    def met(
        self,
        shown: tuple[SignedStanding, ...],
        peer: Peer,
        now: float,
        *,
        ours: bool,
        dialled: Address | None = None,
    ) -> Effects:
        """Somebody is a supernode, and linked to us, by a link of ``ours`` or its own; ``dialled``: where we found it.

        Raises PeerError, if what it shows is not true.
        """
        party = self.links.parties.get(peer)
        if not shown or party is None or shown[0].key != party.key:
            return [Unlink(peer, "no supernode")] if ours else []
        member = self.registrar.opened(shown[0], now + self.wall)
        if member.node == self.stance.node:
            return [Unlink(peer, "this is ourselves")] if ours else []
        if member.slot == GOING:
            return []
        self.cache.succeeded(member.address, now + self.wall)
        out = self.links.note(member, peer, ours=ours)
        self.doubts.forget(member.node)
        covered = self.roster.prefix.covers(member.place)
        if dialled == member.address:
            self.prove(member, now)
        tidings = self._take(member, now)
        if tidings is not None:
            out += tidings
            self.gossip.spread(now, (member.signed,))
        if not covered:
            self.survey.followed(member, now)
        elif peer in self.links.standing:
            out += self._greet(member, peer, now, ours=ours)
        self.duties.soon(Duty.LOOK, now + LOOK_SOON)
        return out

    def heard(self, news: News, now: float) -> Effects:
        """How some stand, and who is said to have gone.  Raises PeerError, if a standing is not true."""
        out: Effects = []
        fresh: list[SignedStanding] = []
        for signed in news.standings:
            standing = standing_of(signed)
            held = self.roster.members.get(standing.node) or self.roster.gone.get(standing.node)
            if held is not None and (held.version > standing.version or held.signed.standing == signed.standing):
                continue
            member = self.registrar.opened(signed, now + self.wall)
            if member.node == self.stance.node:
                if held is not None and held.mark < member.mark:
                    self.stance.outdo(member.version, now)
                continue
            tidings = self._take(member, now)
            if tidings is not None:
                fresh.append(signed)
                out += tidings
                self.cache.add([member.address])
        if fresh:
            self.gossip.spread(now, fresh)
        return out + self._rumours(pairs_of(news.gone), now)

    def compared(self, summary: Summary, peer: Peer, now: float) -> Effects:
        """Whom another knows: a newcomer learns by it that it has found its block."""
        gone = dict(pairs_of(summary.gone))
        out = self.gossip.compare(summary, peer, now)
        if not self.stance.found:
            self.stance.find(now + LOOK_SOON)
        return out + self._rumours(gone.items(), now)

    def prove(self, member: Member, now: float) -> None:
        """It answers at its address: if the network's description names that, it can be trusted."""
        if member.address not in self.registrar.vouched:
            return
        if len(self._proved) >= 2 * MAX_MEMBERS:
            self._proved = {node: at for node, at in self._proved.items() if node in self.roster.members}
        self._proved[member.node] = member.address
        if self.roster.trust(member.node):
            self.stance.disturb(now + LOOK_SOON)

    def lose(self, member: Member, now: float) -> Effects:
        """It did not answer."""
        self._proved.pop(member.node, None)
        self.cache.failed(member.address)
        if not self.roster.remove(member.node):
            return []
        self.stance.disturb(now + PLACE_EVERY)
        out: Effects = [MemberGone(member.address)]
        peer = self.links.by_node.get(member.node)
        if peer is not None:
            self.links.drop(peer)
            out.append(Unlink(peer, "it does not answer"))
        self.gossip.spread(now, gone=(member,))
        return out

    def _take(self, member: Member, now: float) -> Effects | None:
        """Put a standing in the roster; None when it is not new."""
        known = member.node in self.roster.members
        named = not member.trusted and member.address in self.registrar.vouched
        if named and self._proved.get(member.node) == member.address:
            member, named = replace(member, trusted=True), False
        if not self.roster.add(member):
            return None
        self.doubts.forget(member.node)
        self.stance.disturb(now + PLACE_EVERY)
        if member.slot == GOING:
            return [MemberGone(member.address)]
        out: Effects = self.doubts.look(member.node, now, proves=True) if named else []
        if known:
            return out
        others = self.doubts.look_where(member.address, self.links.by_node, now, but=member.node)
        return [*out, MemberMet(member.address), *others]

    def _greet(self, member: Member, peer: Peer, now: float, *, ours: bool) -> Effects:
        """One of our block is linked to us: compare whom we know, and look for a seat."""
        out: Effects = []
        if ours or member.node in self.roster.gone:
            out = self.gossip.tell_summary(peer, now)
        if not self.stance.found and member.depth <= self.roster.prefix.depth:
            self.duties.soon(Duty.PLACE, now + LOOK_SOON)
        return out

    def _rumours(self, gone: Iterable[tuple[int, int]], now: float) -> Effects:
        """Some are said to have gone: pairs of a node's number, and the mark of the standing after which it did."""
        out: Effects = []
        for number, mark in gone:
            node = number.to_bytes(8, "big")
            if node != self.stance.node:
                out += self.doubts.rumoured(node, mark, now)
            elif self.stance.begun and mark >= self.stance.me.mark:
                self.stance.contradict(now)
        return out
