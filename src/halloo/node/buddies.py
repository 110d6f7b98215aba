"""Presence of one node, both sides: what it shows and to whom, whom it watches, and how the right to watch travels.

    owner                            whom he allows
      | --- search, reach (as for a call) --> |
      | --- WatchKey -----------------------> |  end to end, over a link of their own
      | <-- WatchKeyKept -------------------- |

Who is off line is given the secret when he is seen on line again, or is found so by one of the looks that become rarer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING

from halloo.base.address import Peer
from halloo.base.effects import Send, Unlink
from halloo.base.errors import UsageError
from halloo.base.machine import Effects, Event, Message
from halloo.messages.credential import Party, Presence, credential_of
from halloo.messages.presence import WatchKey, WatchKeyKept
from halloo.overlay.presence import Sight
from halloo.overlay.search import SearchDone
from halloo.overlay.showing import Showing
from halloo.overlay.watching import BuddySeen, Certainty, Watching
from halloo.path.reach import Policy, Reach, Reached, Unreachable

if TYPE_CHECKING:
    from halloo.node.node import Node, NodeSetup

__all__ = ["Buddies", "BuddiesChanged", "KeptPresence"]

GIVEN_AT_ONCE = 2  # users that are given the secret at the same time
GIVE_FIRST = 3.0  # seconds from joining to the first try, at most
GIVE_WITHIN = 10.0  # seconds for an answer, once he is reached
GIVE_AGAIN = 60.0  # seconds after which a failed try is made again; twice as long each time
GIVE_RARELY = 3_600.0  # seconds between tries, at most


@dataclass(frozen=True, slots=True)
class KeptPresence:
    """What is kept of it when the program ends.

    ``allowed``: by name, the epoch of the secret that he has; ``sights``: by name, the secrets that others gave us.
    """

    sight: Sight | None = None
    state: Presence = Presence.ONLINE
    invisible: bool = False
    everybody: bool = False
    mood: str = ""
    allowed: tuple[tuple[str, int], ...] = ()
    sights: tuple[tuple[str, Sight], ...] = ()
    watched: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class BuddiesChanged(Event):
    """There is something new to keep."""


@dataclass(slots=True)
class _Gift:
    """A secret on its way to somebody."""

    name: str
    search: int = -1
    reach: Reach | None = None
    peer: Peer | None = None
    epoch: int = 0
    until: float = inf


@dataclass(slots=True)
class _Again:
    at: float
    pause: float = GIVE_AGAIN


class Buddies:
    """The presence of one node's user and of those whom he watches."""

    def __init__(self, node: Node, setup: NodeSetup) -> None:
        suite, kept, persona = setup.persona.suite, setup.presence, setup.persona
        self._node = node
        self._rng = setup.rng
        self._gifts: list[_Gift] = []
        self._again: dict[str, _Again] = {}
        self.watching = Watching(
            persona.notary, suite.digest, suite.seal, suite.seal_key_size, setup.rng, node.requests, setup.wall
        )
        self.watching.sights.update(kept.sights)
        for name in kept.watched:
            self.watching.watch(name, 0.0)
        self.watching.changed = False
        self.showing: Showing | None = None
        if persona.credential:
            name = credential_of(persona.credential).name
            self.showing = Showing(name, suite.digest, suite.seal, suite.seal_key_size, setup.rng, kept.sight)
            self.showing.state, self.showing.invisible = kept.state, kept.invisible
            self.showing.everybody, self.showing.mood = kept.everybody, kept.mood
            self.showing.allowed.update(kept.allowed)

    @property
    def wake_at(self) -> float:
        """When ``wake`` has something to do."""
        at = self.watching.wake_at
        for gift in self._gifts:
            at = min(at, gift.until, gift.reach.wake_at if gift.reach else inf)
        if self._again and self.watching.supernode is not None and len(self._gifts) < GIVEN_AT_ONCE:
            at = min(at, *(one.at for one in self._again.values()))
        return at

    def kept(self) -> KeptPresence:
        """What has to be kept."""
        showing, watching = self.showing, self.watching
        sights = tuple(watching.sights.items())
        if showing is None:
            return KeptPresence(sights=sights, watched=tuple(watching.names))
        allowed = tuple(showing.allowed.items())
        return KeptPresence(
            showing.sight,
            showing.state,
            showing.invisible,
            showing.everybody,
            showing.mood,
            allowed,
            sights,
            tuple(watching.names),
        )

    # --- intents

    def show(
        self,
        now: float,
        state: Presence | None = None,
        mood: str | None = None,
        *,
        invisible: bool = False,
        everybody: bool | None = None,
    ) -> Effects:
        """Show another state (None: the same), or mood, or to others.  Raises UsageError."""
        showing = self._own()
        if state is None:
            state, invisible = showing.state, showing.invisible
        showing.show(state, mood, now + self.watching.wall, invisible=invisible)
        if everybody is not None:
            showing.everybody = everybody
        return self._kept(self._node.publisher.publish(now))

    def allow(self, name: str, now: float) -> Effects:
        """Let somebody see our presence.  Raises UsageError."""
        showing = self._own()
        if not showing.allow(name, now + self.watching.wall):
            return []
        self._plan(now)
        return self._kept(self._node.publisher.publish(now))

    def deny(self, name: str, now: float) -> Effects:
        """Let him see it no longer.  Raises UsageError."""
        if not self._own().deny(name, now + self.watching.wall):
            return []
        self._plan(now)
        return self._kept(self._node.publisher.publish(now))

    def watch(self, name: str, now: float) -> Effects:
        """Watch somebody, as far as he lets us.  Raises UsageError."""
        return self._kept(self.watching.watch(name, now))

    def unwatch(self, name: str, now: float) -> Effects:
        """Watch him no longer.  Raises UsageError."""
        return self._kept(self.watching.unwatch(name))

    # --- what siblings bring

    def attached(self, supernode: Peer | None, now: float) -> None:
        """Our supernode changed."""
        self.watching.attached(supernode, now)
        if supernode is not None:
            self._plan(now)

    def up(self, peer: Peer, party: Party, now: float) -> Effects:
        """A link stands."""
        return self._of_gifts(lambda reach: reach.up(peer, party, now), now)

    def down(self, peer: Peer, reason: str, now: float) -> Effects:
        """A link ended."""
        out = self._of_gifts(lambda reach: reach.down(peer, reason, now), now)
        for gift in [gift for gift in self._gifts if gift.peer == peer]:
            out += self._failed(gift, now)
        return out

    def relay_said(self, message: Message, sender: Peer, now: float) -> Effects:
        """A relay's answer."""
        return self._of_gifts(lambda reach: reach.receive(message, sender, now), now)

    def found(self, event: SearchDone, now: float) -> Effects:
        """A search ended; perhaps one of ours."""
        gift = next((gift for gift in self._gifts if gift.search == event.number), None)
        if gift is None:
            return []
        gift.search = -1
        if not event.entries or not event.entries[0].listing.state:
            return self._failed(gift, now)
        entry, calls, node = event.entries[0], self._node.calls, self._node
        gift.reach = Reach(
            entry.listing,
            entry.claims.key,
            Policy.ANY,
            calls.supernode,
            node.peers,
            node.streams,
            node.requests,
            calls.way,
        )
        return self._of_gifts(lambda reach: reach.begin(now) if reach is gift.reach else [], now)

    def saw(self, event: BuddySeen, now: float) -> Effects:
        """Somebody whom we watch is on line: what we have for him can be given."""
        again = self._again.get(event.name)
        if again is not None and event.state and event.certainty is Certainty.SURE:
            again.at = min(again.at, now)
        return []

    def receive(self, message: WatchKey | WatchKeyKept, sender: Peer, party: Party, now: float) -> Effects:
        """The right to watch somebody, or that somebody has it."""
        if isinstance(message, WatchKey):
            if not party.name or not self.watching.given(party.name, Sight(message.epoch, message.secret), now):
                return []
            return self._kept([Send(sender, WatchKeyKept(epoch=message.epoch, request=message.request))])
        gift = next((gift for gift in self._gifts if gift.peer == sender), None)
        if gift is None or self.showing is None or gift.epoch != message.epoch:
            return []
        self.showing.given(gift.name, message.epoch)
        self._again.pop(gift.name, None)
        out = self._end(gift)
        self._plan(now)
        return self._kept(out)

    def wake(self, now: float) -> Effects:
        """Ask, say what is old; give what is due."""
        out = self.watching.wake(now) if self.watching.wake_at <= now else []
        out += self._of_gifts(lambda reach: reach.wake(now) if reach.wake_at <= now else [], now)
        for gift in [gift for gift in self._gifts if gift.until <= now]:
            out += self._failed(gift, now)
        if self.watching.supernode is not None:
            for name in [name for name, again in self._again.items() if again.at <= now]:
                if len(self._gifts) < GIVEN_AT_ONCE:
                    out += self._give(name, now)
        return out

    # --- inside

    def _own(self) -> Showing:
        if self.showing is None:
            raise UsageError("nobody is logged in here")
        return self.showing

    def _plan(self, now: float) -> None:
        """Who has to be given something is given it soon."""
        waiting = self.showing.waiting() if self.showing is not None else []
        for name in [name for name in self._again if name not in waiting]:
            del self._again[name]
        under_way = [gift.name for gift in self._gifts]
        for name in waiting:
            if name not in under_way:
                again = self._again.setdefault(name, _Again(inf))
                again.at, again.pause = min(again.at, now + GIVE_FIRST * self._rng.random()), GIVE_AGAIN

    def _give(self, name: str, now: float) -> Effects:
        again = self._again[name]
        try:
            number, out = self._node.searches.find(name, now, thorough=True)
        except UsageError:
            again.at = now + GIVE_FIRST
            return []
        again.at = inf
        self._gifts.append(_Gift(name, number))
        return out

    def _of_gifts(self, ask: Callable[[Reach], Effects], now: float) -> Effects:
        """Ask the reach of every gift, and follow what it says."""
        out: Effects = []
        for gift in list(self._gifts):
            if gift.reach is None:
                continue
            for effect in ask(gift.reach):
                match effect:
                    case Reached():
                        out += self._reached(gift, effect, now)
                    case Unreachable():
                        out += self._failed(gift, now)
                    case _:
                        out.append(effect)
        return out

    def _reached(self, gift: _Gift, event: Reached, now: float) -> Effects:
        gift.peer, gift.until = event.peer, now + GIVE_WITHIN
        sight = self.showing.sight if self.showing is not None else None
        allowed = self.showing is not None and gift.name in self.showing.allowed
        if sight is None or not allowed or event.party.name != gift.name:
            return self._failed(gift, now)
        gift.epoch = sight.epoch
        number = self._node.requests() & 0xFFFF
        return [Send(event.peer, WatchKey(epoch=sight.epoch, secret=sight.secret, request=number))]

    def _failed(self, gift: _Gift, now: float) -> Effects:
        again = self._again.get(gift.name)
        if again is not None:
            again.at = now + again.pause * (0.75 + 0.5 * self._rng.random())
            again.pause = min(GIVE_RARELY, 2 * again.pause)
        return self._end(gift)

    def _end(self, gift: _Gift) -> Effects:
        if gift not in self._gifts:
            return []
        self._gifts.remove(gift)
        out: Effects = [Unlink(gift.peer, "given")] if gift.peer is not None else []
        return out + (gift.reach.close() if gift.reach is not None else [])

    def _kept(self, effects: Effects) -> Effects:
        showing, watching = self.showing, self.watching
        if watching.changed or (showing is not None and showing.changed):
            watching.changed = False
            if showing is not None:
                showing.changed = False
            return [*effects, BuddiesChanged()]
        return effects
