"""Find relays for a call that has begun: supernodes to which both sides can have a link, and a channel through one.

    first                           supernode                        second
      | --- Probe: only asking ----> |                                 |   see ``welcome``
      | <-- ProbeAccept ------------ |                                 |
      | --- MeetAt: supernode (over the call's own link) ------------> |
      | ===== link ================> | <================== link ====== |   where it is not their own
      | --- RelayRequest ----------> | --- RelayOffer ---------------> |
      | <-- RelayGranted ----------- |

``first`` is the side with the lower key.  It chooses: its own supernode, the other's, then those that either has at
hand, better in another network than the relay there is; none that says it has too much to do.  When no word passes
between the two any more, both try the same supernodes in the same order: those that they have told each other of, then
all that either knows.  Many are asked whether they are there, few are given the work of a handshake; who answers that
it is busy is pressed only where nobody else is there.  Both ask for a channel: whichever opens first is taken.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from itertools import zip_longest
from math import inf

from halloo.base.address import Address, Channel, Peer, Route, Stream
from halloo.base.effects import Accept, Send
from halloo.base.machine import Effects, Event, Message, Numbers, Timers
from halloo.messages.overlay import Ping, ProbeAccept, ProbeRefuse
from halloo.messages.path import MAX_HINTS, MeetAt, RelayGranted, RelayRefused, RelayRequest
from halloo.path.hop import TCP_AFTER, Hop
from halloo.path.welcome import Stance, Welcome

__all__ = ["ChannelReady", "Standby"]

OPENS_WITHIN = 8.0  # seconds for a channel: a handshake that waits its turn takes up to six
ASK_AGAIN = 0.4  # seconds after which a supernode that does not know the other side yet is asked again
SEEK_EVERY = 1.5  # seconds between two supernodes that are proposed to the other side
SEEK_LATER = 20.0  # seconds until the search begins anew when nobody was left to be asked
NOT_AGAIN = 30.0  # seconds in which a supernode that led nowhere is not tried,
URGENT_AGAIN = 12.0  # and when no way is left,
SOON_AGAIN = 3.0  # and one that answered, but did not know the other side
UDP_ALONE = 2.5  # seconds before a supernode that does not answer is tried over TCP: others are tried meanwhile
AT_ONCE = 4  # supernodes that are tried at once when no way is left
ASKED_EACH = 2  # supernodes that are asked whether they are there, each time that a way is looked for in need
PRESS_AFTER = 1.0  # seconds after its answer that a busy supernode is come to all the same, where nobody else is there,
PRESS_EVERY = 2.0  # and seconds between two such: others have fewer reasons to be in haste
MAX_HOPS = 8  # links to supernodes for one call: four tried, two in use, and two that the other side has asked for
UNUSED_AFTER = 20.0  # seconds after which a link that no channel uses is given back


class Timer(Enum):
    """What is waited for."""

    SEEK = 0


@dataclass(frozen=True, slots=True)
class ChannelReady(Event):
    """The supernode at ``address`` passes on what we send by ``channel``; whether the other side hears is not known."""

    channel: Channel
    address: Address


@dataclass(slots=True)
class Standby:
    """The search for relays of one call.  ``node``: the other side's id; ``peer``: the link to it."""

    peer: Peer
    node: bytes
    first: bool
    peers: Numbers
    streams: Numbers
    requests: Numbers
    supernode: tuple[Peer, Address] | None
    """Our own: the link to it, and its address."""
    way: Route | None
    mine: tuple[Address, ...] = ()
    """Supernodes that we know, our own first."""
    theirs: tuple[Address, ...] = ()
    """Supernodes that the other side knows, its own first."""
    others: tuple[Address, ...] = ()
    """All others that we know, in the order that both sides have for them: for when no way is left."""
    timers: Timers = field(default_factory=Timers)
    welcome: Welcome = field(init=False)
    _queue: list[Address] = field(default_factory=list)
    """Whom to propose to the other side, if they would have us: the first of them is asked."""
    _full: list[Address] = field(default_factory=list)
    """Those that had no room for more nodes, but perhaps for guests."""
    _pressed_at: float = -inf
    """When a busy supernode was come to last."""
    _hops: dict[Address, Hop] = field(default_factory=dict)
    _used_at: dict[Address, float] = field(default_factory=dict)
    """When a link was last of use."""
    _asking: dict[Address, float] = field(default_factory=dict)
    """Supernodes that shall open a channel, and until when."""
    _again: dict[Address, float] = field(default_factory=dict)
    """When one that has refused is asked again."""
    _requests: dict[int, tuple[Peer, Address]] = field(default_factory=dict)
    _failed: dict[Address, float] = field(default_factory=dict)
    """Until when a supernode is not tried."""

    def __post_init__(self) -> None:
        self.welcome = Welcome(self.requests)

    @property
    def wake_at(self) -> float:
        """When ``wake`` has something to do."""
        at = min(self.timers.next, self.welcome.wake_at)
        for hop in self._hops.values():
            at = min(at, hop.wake_at)
        if self._asking:
            at = min(at, *self._asking.values(), *self._again.values())
        return at

    def knows(self, peer: Peer) -> bool:
        """Whether a link is one of ours to a supernode, and stands."""
        return any(hop.peer == peer for hop in self._hops.values())

    def address_of(self, peer: Peer) -> Address | None:
        """The supernode at the other end of a link."""
        if self.supernode is not None and self.supernode[0] == peer:
            return self.supernode[1]
        return next((hop.address for hop in self._hops.values() if hop.peer == peer), None)

    # --- intents

    def adopt(self, hop: Hop, now: float) -> None:
        """Take over a link that was made before."""
        self._hops[hop.address], self._used_at[hop.address] = hop, now

    def seek(self, used: list[Address], now: float) -> Effects:
        """Look for one more relay; ``used``: where there are channels already."""
        if self._asking or self._queue or self.timers.get(Timer.SEEK, -inf) > now or not self.first:
            return []
        self._queue, self._full = self._candidates(used, now)[:MAX_HINTS], []
        self.timers[Timer.SEEK] = now + (SEEK_EVERY if self._queue else SEEK_LATER)
        return self._propose(now)

    def search(self, used: list[Address], now: float) -> Effects:
        """Look for any relay, one more each time: there is no way left on which to agree about one."""
        self._queue.clear()
        out: Effects = []
        free: list[Address] = []
        for address in self._candidates(used, now + NOT_AGAIN - URGENT_AGAIN, *self.others):
            if address in self._asking:
                continue
            if self._link(address) is None:
                free.append(address)
            elif len(self._asking) < AT_ONCE:
                out += self._approach(address, now)
        chosen = self._chosen(free, now) if len(self._asking) < AT_ONCE else None
        if chosen is not None:
            out += self._approach(chosen, now)  # the next one a moment later: perhaps this one is enough
        if isinstance(self.way, Stream):
            return out
        unasked = [one for one in free if self.welcome.stance(one, now) is None and not self.welcome.asked(one)]
        for address in unasked[:ASKED_EACH]:
            out += self.welcome.ask(address, now)
        return out

    def meet(self, address: Address, now: float) -> Effects:
        """The other side wants us to have a link to a supernode."""
        own = self.supernode is not None and self.supernode[1] == address
        if own or self.first or self.timers.get(Timer.SEEK, -inf) > now:
            return []  # it need not, may not, or asks too often
        self.timers[Timer.SEEK] = now + SEEK_EVERY / 2
        return self._hop(address, now)

    def ping(self, relay: Peer) -> Effects:
        """A relay seems to be dead: ask it for a sign of life; a link on which that is unheard goes down."""
        if self.supernode is not None and self.supernode[0] == relay:
            return [Send(relay, Ping(request=self.requests() & 0xFFFF))]
        return next((hop.ping() for hop in self._hops.values() if hop.peer == relay), [])

    def avoid(self, address: Address, now: float, seconds: float = NOT_AGAIN) -> None:
        """A relay has died, or leads nowhere."""
        self._failed[address] = now + seconds
        while len(self._failed) > 4 * MAX_HINTS:
            del self._failed[next(iter(self._failed))]

    def trim(self, used: list[Address], now: float) -> Effects:
        """Give back links that nobody uses."""
        out: Effects = []
        for address, hop in list(self._hops.items()):
            if address in used or address in self._asking:
                self._used_at[address] = now
            elif now >= self._used_at[address] + UNUSED_AFTER:
                out += self._drop(address, hop)
        return out

    def rest(self) -> Effects:
        """What there is is enough: ask nobody any more."""
        self._asking.clear()
        self._again.clear()
        self._requests.clear()
        self._queue.clear()
        self.welcome.rest()
        return self._stop_trying()

    def close(self) -> Effects:
        """The call is over: give all links back."""
        out = self.rest()
        self.timers.clear()
        return out + [effect for address, hop in list(self._hops.items()) for effect in self._drop(address, hop)]

    # --- what is heard

    def up(self, peer: Peer, now: float) -> Effects:
        """A link stands."""
        for address, hop in self._hops.items():
            if peer in hop:
                out = hop.up(peer, now)
                return out + self._ask(peer, address) if hop.peer == peer and address in self._asking else out
        return []

    def down(self, peer: Peer, reason: str, now: float) -> None:
        """A link ended or never stood."""
        for address, hop in list(self._hops.items()):
            if peer in hop:
                hop.down(peer, reason)
                if hop.failed:
                    del self._hops[address], self._used_at[address]
                    self._give_up(address, now)
                return

    def probed(self, message: ProbeAccept | ProbeRefuse, address: Address, now: float) -> Effects:
        """An answer to a probe, perhaps of ours."""
        deaf = self.welcome.deaf
        if not self.welcome.hear(message, address, now):
            return []
        out = self._stop_trying() if deaf else []
        return out + self._propose(now) if address in self._queue[:1] else out

    def receive(self, message: Message, sender: Peer, now: float) -> Effects:
        """What a relay says."""
        match message:
            case RelayGranted() if self._requests.get(message.request, (None,))[0] == sender:
                _, address = self._requests.pop(message.request)
                self._asking.pop(address, None)
                self._again.pop(address, None)
                channel = Channel(sender, int.from_bytes(message.token, "big"))
                return [Accept(channel), ChannelReady(channel, address)]
            case RelayRefused() if self._requests.get(message.request, (None,))[0] == sender:
                _, address = self._requests.pop(message.request)
                if address in self._asking:
                    self._again[address] = now + ASK_AGAIN
        return []

    def wake(self, now: float) -> Effects:
        """Ask again, try another way, give up."""
        self.timers.due(now)
        out: Effects = []
        if self.welcome.wake_at <= now:
            again, silent = self.welcome.wake(now)
            out += again
            for address in silent if not self.welcome.deaf else ():
                self.avoid(address, now)
            if silent:
                out += self._propose(now)
        for hop in list(self._hops.values()):
            if hop.wake_at <= now:
                out += hop.wake(now)
        for address in [address for address, at in self._again.items() if at <= now]:
            del self._again[address]
            out += self._ask_at(address)
        for address in [address for address, until in self._asking.items() if until <= now]:
            out += self._give_up(address, now)
        return out

    # --- inside

    def _candidates(self, used: list[Address], now: float, *others: Address) -> list[Address]:
        """Whom to try, in an order that both sides come to: in turns what the one knows and what the other; then
        ``others``.
        """
        ours, theirs = (self.mine, self.theirs) if self.first else (self.theirs, self.mine)
        known = [address for pair in zip_longest(ours, theirs) for address in pair if address is not None]
        near = [address.host[:2] for address in used]
        free = [
            address
            for address in dict.fromkeys((*known, *others))
            if address not in used and self._failed.get(address, -inf) <= now
        ]
        return sorted(free, key=lambda address: address.host[:2] in near)

    def _stance(self, address: Address, now: float) -> Stance | None:
        """What a supernode says to guests; where none of our datagrams pass nobody can be asked, and all are tried."""
        blind = isinstance(self.way, Stream) or self.welcome.deaf
        return Stance.WILLING if blind else self.welcome.stance(address, now)

    def _propose(self, now: float) -> Effects:
        """Propose to the other side the first of those in the queue that would have us."""
        while self._queue:
            address = self._queue[0]
            stance = self._stance(address, now)
            if stance is None:
                return self.welcome.ask(address, now)
            del self._queue[0]
            if stance is Stance.FULL:
                self._full.append(address)
            elif stance is Stance.WILLING:
                self._full = [address]
                break
        chosen, self._full = self._full[:1], []
        self._queue.clear()
        out: Effects = []
        for address in chosen:
            if address not in self.theirs[:1]:  # it need not be told of its own
                out.append(Send(self.peer, MeetAt(supernode=address)))
            out += self._approach(address, now)
        return out

    def _chosen(self, free: list[Address], now: float) -> Address | None:
        """Whom to come to in need: who is willing, otherwise who is full, otherwise who is busy."""
        for wanted in (Stance.WILLING, Stance.FULL):
            for address in free:
                if self._stance(address, now) is wanted:
                    return address
        if now < self._pressed_at + PRESS_EVERY:
            return None
        for address in free:
            if self._stance(address, now) is Stance.BUSY and now >= self.welcome.since(address) + PRESS_AFTER:
                self._pressed_at = now
                return address
        return None

    def _link(self, address: Address) -> Peer | None:
        """The link that stands to a supernode."""
        if self.supernode is not None and self.supernode[1] == address:
            return self.supernode[0]
        hop = self._hops.get(address)
        return hop.peer if hop is not None else None

    def _approach(self, address: Address, now: float) -> Effects:
        self._asking[address] = now + OPENS_WITHIN
        link = self._link(address)
        return self._ask(link, address) if link is not None else self._hop(address, now)

    def _hop(self, address: Address, now: float) -> Effects:
        if address in self._hops or len(self._hops) >= MAX_HOPS:
            return []
        patience = TCP_AFTER if self.welcome.deaf else UDP_ALONE
        hop = Hop(address, self.peers, self.streams, self.requests, self.way, patience)
        self.adopt(hop, now)
        return hop.begin(now)

    def _ask_at(self, address: Address) -> Effects:
        link = self._link(address)
        return self._ask(link, address) if link is not None else []

    def _ask(self, relay: Peer, address: Address) -> Effects:
        request = self.requests() & 0xFFFF
        self._requests[request] = relay, address
        while len(self._requests) > 4 * MAX_HINTS:
            del self._requests[next(iter(self._requests))]
        return [Send(relay, RelayRequest(callee=self.node, request=request))]

    def _give_up(self, address: Address, now: float) -> Effects:
        if self._asking.pop(address, None) is None:
            return []
        self._again.pop(address, None)
        hop = self._hops.get(address)
        own = self.supernode is not None and self.supernode[1] == address
        self.avoid(address, now, SOON_AGAIN if own or (hop is not None and hop.peer is not None) else NOT_AGAIN)
        return self._drop(address, hop) if hop is not None and hop.peer is None else []

    def _stop_trying(self) -> Effects:
        """Give up all links that do not stand yet."""
        idle = [(address, hop) for address, hop in self._hops.items() if hop.peer is None]
        for address, _ in idle:
            self._asking.pop(address, None)
        return [effect for address, hop in idle for effect in self._drop(address, hop)]

    def _drop(self, address: Address, hop: Hop) -> Effects:
        del self._hops[address], self._used_at[address]
        return hop.close()
