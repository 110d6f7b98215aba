"""Kademlia, message by message, over the same number of nodes, with the same churn and the same round trips.

An ideal one: k = 20, alpha = 3, every bucket refreshed each hour, every value stored anew each hour on the 20 nodes
nearest to it, a second until a request counts as unanswered, and nobody behind a router that lets nothing in.  Tables
are made when they are looked into, from who was there at the last refresh, so that any size fits.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field
from heapq import heappop, heappush
from math import log2
from random import Random
from statistics import fmean
from typing import Any

from halloo.sim.distances import Distances
from halloo.sim.figures import quantile
from halloo.sim.lifetimes import SUPERNODES, Sessions

__all__ = ["Kademlia", "kademlia"]

K = 20  # entries of a bucket, and nodes that keep a value
ALPHA = 3  # requests under way at once
BITS = 64  # of an id; more only cost time here
HOUR = 3_600.0  # seconds between refreshes, and between stores of one value
TIMEOUT = 1.0  # seconds
HEAD = 27 + 8 + 20  # bytes of a datagram beside what it says: cloak, request number, the sender's id
CONTACT = 26  # bytes of an id and an address
RECORD = 700  # bytes of a value, as of ours


@dataclass(slots=True)
class _Node:
    id: int
    host: bytes
    begins: float
    ends: float


@dataclass(slots=True)
class _Found:
    latency: float | None
    rounds: int
    messages: int


@dataclass
class Kademlia:
    """A network of ``size`` nodes, looked at at time 0 after it has run for long."""

    size: int
    seed: int
    sessions: Sessions = SUPERNODES
    _nodes: list[_Node] = field(default_factory=list)
    _tables: dict[tuple[int, int], list[_Node]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        rng = Random(f"{self.seed}/kademlia")
        self._rng = rng
        self._distances = Distances(self.seed)
        self._mixed = rng.getrandbits(32)
        # Every place is held by one node after the other: who is there now, and who was in the hours before.
        for _ in range(self.size):
            ends = self.sessions.left(rng)
            length = max(ends, self.sessions.drawn(rng))
            begins = ends - max(length, ends + rng.expovariate(1 / self.sessions.median))
            self._nodes.append(self._node(begins, ends))
            while begins > -2 * HOUR:
                ends = begins
                begins -= self.sessions.drawn(rng)
                self._nodes.append(self._node(begins, ends))
        self._nodes.sort(key=lambda node: node.id)
        self._ids = [node.id for node in self._nodes]
        self.alive = [node for node in self._nodes if node.begins <= 0 < node.ends]

    def kill(self, share: float) -> None:
        """So many of those who are there end at once."""
        for node in self._rng.sample(self.alive, round(share * len(self.alive))):
            node.ends = 0.0
        self.alive = [node for node in self.alive if node.ends > 0]

    def look_up(self) -> _Found:
        """A node that is there looks for a value that was stored within the last hour."""
        rng = self._rng
        key, asker = rng.getrandbits(BITS), rng.choice(self.alive)
        stored_at = -HOUR * rng.random()
        keepers = {node.id for node in self._nearest(key, stored_at)}
        known: dict[int, tuple[_Node, int]] = {
            node.id: (node, 1) for node in self._closest(asker, key) if node is not asker
        }
        asked: set[int] = set()
        flying: list[tuple[float, int, _Node, int, bool]] = []
        now, messages, order, slow = 0.0, 0, 0, 0
        while True:
            waiting = sum(not late for *_, late in flying)
            for ident in sorted(known, key=lambda one: one ^ key):
                if waiting >= ALPHA:
                    break
                if ident in asked:
                    continue
                node, depth = known[ident]
                asked.add(ident)
                messages += 1
                waiting += 1
                order += 1
                answers = node.ends > now and node.begins <= 0
                takes = 2 * self._distances.one_way(asker.host, node.host) if answers else TIMEOUT
                heappush(flying, (now + min(takes, TIMEOUT), order, node, depth, False))
            if not flying:
                return _Found(None, slow, messages)
            now, _, node, depth, _ = heappop(flying)
            if not (node.ends > now and node.begins <= 0):
                del known[node.id]
                continue
            messages += 1
            slow = max(slow, depth)
            if node.id in keepers and node.begins <= stored_at:
                return _Found(now, depth, messages)
            for contact in self._closest(node, key):
                if contact is not asker and contact.id not in asked:
                    known.setdefault(contact.id, (contact, depth + 1))
            if len(asked) > 20 * K:
                return _Found(None, slow, messages)

    def upkeep(self, values: float, lookup_messages: float) -> float:
        """Bytes a second that one node sends to keep its table and ``values`` of its own stored.

        One lookup for each bucket that is not empty, each hour; one, and 20 stores, for each value.
        """
        request, answer = HEAD + 20, HEAD + K * CONTACT
        lookup = lookup_messages / 2 * (request + answer)
        refresh = log2(max(2, self.size)) * lookup
        store = values * (lookup + K * (HEAD + RECORD + HEAD))
        return (refresh + store) / HOUR

    def _node(self, begins: float, ends: float) -> _Node:
        return _Node(self._rng.getrandbits(BITS), self._rng.randbytes(4), begins, ends)

    def _closest(self, owner: _Node, key: int) -> list[_Node]:
        """The K entries of a node's table that are nearest to a key."""
        bucket = BITS - (owner.id ^ key).bit_length()
        out = list(self._bucket(owner, bucket))
        following = bucket + 1
        while len(out) < K and following < BITS and following < bucket + 12:
            out += self._bucket(owner, following)
            following += 1
        preceding = bucket - 1
        while len(out) < K and preceding >= 0:
            out += self._bucket(owner, preceding)
            preceding -= 1
        return sorted(out, key=lambda node: node.id ^ key)[:K]

    def _bucket(self, owner: _Node, bucket: int) -> list[_Node]:
        """Up to K nodes that share exactly ``bucket`` bits with the owner, as it knew them at its last refresh."""
        held = self._tables.get((owner.id, bucket))
        if held is None:
            shift = BITS - bucket - 1
            low = (owner.id >> shift ^ 1) << shift
            first, last = bisect_left(self._ids, low), bisect_left(self._ids, low + (1 << shift))
            refreshed = -HOUR * self._rng.random()
            there = [node for node in self._nodes[first:last] if node.begins <= refreshed < node.ends]
            # Who has been there for longest is kept, as the protocol has it; the others as they come.
            held = sorted(there, key=lambda node: node.begins)[:K] if len(there) > K else there
            if len(there) > 4 * K:
                held = self._rng.sample(there, K)
            self._tables[owner.id, bucket] = held
        return held

    def _nearest(self, key: int, when: float) -> list[_Node]:
        """The K nodes nearest to a key at a time."""
        at = bisect_left(self._ids, key)
        reach = 8 * K
        near = [
            node for node in self._nodes[max(0, at - reach) : at + reach] if node.begins <= when < node.ends
        ]
        return sorted(near, key=lambda node: node.id ^ key)[:K]


def kademlia(size: int, seed: int, lookups: int, *, killed: float = 0.0, values: float = 100.0) -> dict[str, Any]:
    """Look up many values; hops, messages, times and upkeep.  ``values``: users for each node, as of ours."""
    network = Kademlia(size, seed)
    if killed:
        network.kill(killed)
    found = [network.look_up() for _ in range(lookups)]
    took = [one.latency for one in found if one.latency is not None]
    messages = fmean(one.messages for one in found)
    return {
        "nodes": size,
        "lookups": lookups,
        "success": round(len(took) / lookups, 5),
        "round_trips": round(fmean(one.rounds for one in found), 3),
        "messages": round(messages, 2),
        "p50_ms": round(1_000 * (quantile(took, 0.5) or 0.0), 1),
        "p99_ms": round(1_000 * (quantile(took, 0.99) or 0.0), 1),
        "upkeep_bytes_per_s": round(network.upkeep(values, messages), 1),
    }
