"""A supernode's own user where there is no other supernode: he is attached to the duties of his own node.

    the user's half                    the supernode's half
      | --- Attach, Ping, Store ... ----> |   no link, no datagram: what one says is handed to the other
      | <-- Attached, Pong, Stored ... -- |
      | <-- Move ------------------------ |   as soon as another supernode is known, and now and then after that

So the last supernode of a network is still a telephone, and its user is found by those who are attached to it.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from halloo.base.address import Address, Peer, Wire
from halloo.base.machine import Effects
from halloo.messages.credential import Party, credential_of
from halloo.messages.role import MOVES, Move
from halloo.overlay.join import State

if TYPE_CHECKING:
    from halloo.node.node import Node

__all__ = ["Loopback"]

LOOK_ROUND = 5.0  # seconds between looks whether our user is on line, while we serve
SEEK_EVERY = 60.0  # seconds between looks for another supernode, while he is attached to ourselves


class Loopback:
    """One node's way to itself."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self.peer: Peer | None = None
        """The number under which the two halves know each other; None: they do not."""
        self.wake_at = inf
        self._seek_at = inf

    def serves(self, now: float) -> None:
        """The node is a supernode from now on."""
        self.wake_at = now + LOOK_ROUND

    def rests(self) -> None:
        """It is none any more."""
        self.wake_at = inf

    def ended(self, peer: Peer) -> None:
        """A link ended, or what stood for one."""
        if peer == self.peer:
            self.peer, self._seek_at = None, inf

    def wake(self, now: float) -> Effects:
        """See to it that our user is on line."""
        self.wake_at = now + LOOK_ROUND
        node = self._node
        if node.supernode is None or node.supernode.retirement.begun:
            return []
        if self.peer is None:
            without = node.join.state in (State.PAUSING, State.FAILED)
            return self._begin(node.supernode.listening, now) if without else []
        if now < self._seek_at or node.join.peer != self.peer:
            return []
        self._seek_at = now + SEEK_EVERY
        others = [one for one in node.cache.addresses() if one != node.cache.own]
        node.persona.rng.shuffle(others)
        return node.join.receive(Move(supernodes=tuple(others[:MOVES])), self.peer, now) if others else []

    def _begin(self, listening: Address, now: float) -> Effects:
        node = self._node
        assert node.supernode is not None
        self.peer = peer = Peer(node.peers())
        self._seek_at = now + SEEK_EVERY
        credential = node.persona.credential
        party = Party(node.persona.public, credential_of(credential) if credential else None)
        node.parties[peer] = party, Wire(listening)
        node.supernode.clients.own = peer
        return node.supernode.up(peer, party, now) + node.join.attach_by(peer, listening, now)
