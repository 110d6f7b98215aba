"""How all of a block come to know the same members: news as things happen, and summaries where somebody missed some.

    supernode                     linked member
      | --- News ----------------> |  what has happened, to a few, who pass on what is new to them
      | --- Beat ----------------> |  a digest of the members known here
      | <-- Summary -------------- |  if its own differs: who is known there, and how new
      | --- News ----------------> |  what it lacks
      | --- Summary (answer) ----> |  if it knows what we lack
      | <-- News ----------------- |
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from random import Random

from halloo.base.address import Peer
from halloo.base.effects import Send
from halloo.base.machine import Effects
from halloo.messages.block import (
    MAX_GONE,
    STANDINGS,
    Beat,
    News,
    SignedStanding,
    Summary,
    paired,
    pairs_of,
    standing_of,
)
from halloo.overlay.duties import Duties, Duty
from halloo.overlay.links import ALL_LINKED, FANOUT, Links
from halloo.overlay.roster import Member, Roster
from halloo.overlay.slots import STANDBY, Prefix

__all__ = ["BEAT_EVERY", "Gossip"]

BEAT_EVERY = 10.0  # seconds between signs of life to those of our slot; to others each third time
NEWS_AFTER = 0.4  # seconds, about, for which news are gathered before they are passed on
SUMMARY_EVERY = 4.0  # seconds between summaries to one member


@dataclass(slots=True)
class Gossip:
    """What one supernode has to tell its block."""

    roster: Roster
    links: Links
    duties: Duties
    rng: Random
    _fresh: dict[bytes, SignedStanding] = field(default_factory=dict)
    """News that wait: standings, by node."""
    _gone: dict[bytes, int] = field(default_factory=dict)
    """News that wait: the mark of the last standing of those who have gone, by node."""
    _beats: int = 0

    def spread(self, now: float, standings: Iterable[SignedStanding] = (), gone: Iterable[Member] = ()) -> None:
        """Have news passed on: not each by itself, for where one thing happens many do."""
        for signed in standings:
            node = standing_of(signed).node
            self._fresh[node] = signed
            self._gone.pop(node, None)
        for member in gone:
            self._fresh.pop(member.node, None)
            self._gone[member.node] = member.mark
        if self._fresh or self._gone:
            self.duties.soon(Duty.NEWS, now + NEWS_AFTER * (0.5 + self.rng.random()))

    def pass_on(self) -> Effects:
        """Tell news to a few of those that we have links to."""
        others = list(self.links.by_node.values())
        chosen = self.rng.sample(others, min(FANOUT, len(others)))
        standings = tuple(self._fresh.values())
        buried = [(int.from_bytes(node, "big"), version) for node, version in self._gone.items()]
        gone = paired(buried[:MAX_GONE])
        self._fresh.clear()
        self._gone.clear()
        return [
            Send(peer, News(standings=standings[at : at + STANDINGS], gone=gone if not at else b""))
            for peer in chosen
            for at in range(0, max(1, len(standings)), STANDINGS)
        ]

    def beat(self, slot: int, now: float) -> Effects:
        """Show the others that we are here, and a digest of whom we know; ``slot``: where we sit."""
        self.duties[Duty.BEAT] = now + BEAT_EVERY * (0.9 + 0.2 * self.rng.random())
        self._beats += 1
        near = {node: peer for node, peer in self.links.by_node.items() if node in self.roster.members}
        if self._beats % 3 and slot != STANDBY and len(self.roster) > ALL_LINKED:
            fellows = self.roster.seated[slot]
            near = {one.node: near[one.node] for one in fellows if one.node in near}
        beat = Beat(members=self.roster.digest.to_bytes(8, "big"))
        return [Send(peer, beat) for peer in near.values()]

    def heard_beat(self, beat: Beat, peer: Peer, now: float) -> Effects:
        """A digest of whom the other knows; where it is not ours, it hears whom we know."""
        known = int.from_bytes(beat.members, "big") == self.roster.digest
        return [] if known else self.tell_summary(peer, now)

    def tell_summary(self, peer: Peer, now: float, *, answer: bool = False) -> Effects:
        """Tell another whom we know, and how new: not too often, except to answer."""
        link = self.links.standing.get(peer)
        if link is None or (now < link.told_at + SUMMARY_EVERY and not answer):
            return []
        link.told_at = now
        prefix = self.roster.prefix
        members = paired((one.number, one.mark) for one in self.roster.members.values())
        gone = paired((one.number, one.mark) for one in self.roster.gone.values())
        summary = Summary(depth=prefix.depth, bits=prefix.bits, members=members, gone=gone, answer=answer)
        return [Send(peer, summary)]

    def compare(self, summary: Summary, peer: Peer, now: float) -> Effects:
        """Give the other what it lacks; ask for what we lack."""
        theirs = dict(pairs_of(summary.members))
        prefix = Prefix(summary.depth, summary.bits)
        lacking: list[SignedStanding] = []
        mine: dict[int, int] = {}
        for member in self.roster.members.values():
            mine[member.number] = member.mark
            if prefix.covers(member.place) and theirs.get(member.number, 0) < member.mark:
                lacking.append(member.signed)
        buried = {one.number: one.mark for one in self.roster.gone.values()}
        dead = [(number, at) for number, at in buried.items() if theirs.get(number, at + 1) <= at]
        out: Effects = [
            Send(peer, News(standings=tuple(lacking[at : at + STANDINGS]))) for at in range(0, len(lacking), STANDINGS)
        ]
        if dead:
            out.append(Send(peer, News(gone=paired(dead[:MAX_GONE]))))
        new = any(mine.get(number, buried.get(number, 0)) < version for number, version in theirs.items())
        if new and not summary.answer:
            out += self.tell_summary(peer, now, answer=True)
        return out
