"""A supernode watches for its nodes: it stands beside the records in their place, and passes on what it is told.

    node                     its supernode               two holders of the slot
      | --- Watch ------------> |                            |
      | <-- Watched ----------- | --- Watch (open) --------> |  batched by holder, renewed before the lease ends
      |                         | <-- Watched -------------- |
      |                         | <-- Noticed -------------- |
      | <-- Noticed ----------- | --- NoticeHeard ---------> |

Two holders, so that neither a death nor a liar silences an owner.  What one of them has told and the other has not a
while later shows that the other is of no use: another one is asked in his place.  Every record is opened here, and
every pulse has to lead to the one before, so a holder makes nobody up and keeps nobody alive.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from math import inf
from random import Random

from halloo.base.address import Address, Peer, Wire
from halloo.base.effects import Send
from halloo.base.errors import PeerError
from halloo.base.machine import Alarms, Effects, Numbers
from halloo.messages.credential import Entry, Notary, renewed
from halloo.messages.presence import (
    KNOWN_BY,
    NOTICED_AT_ONCE,
    PULSES_AT_ONCE,
    WISHES_AT_ONCE,
    Doubt,
    Noticed,
    NoticeHeard,
    Pulse,
    Unwatch,
    Watch,
    Watched,
    Wish,
)
from halloo.overlay.block import Block
from halloo.overlay.presence import mark
from halloo.overlay.slots import Key, key_of
from halloo.overlay.watches import LEASE

__all__ = ["WatchDesk"]

HOLDERS_ASKED = 2  # that are watched at for one record
MAX_TOPICS = 20_000  # records watched for all our nodes
MAX_OF_CLIENT = 300  # of one node: a whole contact list
ASK_WITHIN = 0.1  # seconds in which wishes are gathered
ANSWER_WITHIN = (0.7, 1.5, 3.0)  # seconds for a holder's Watched; then another one is asked in his place
NOBODY_FOR = 30.0  # seconds until holders are looked for again where none is known
CHECK_WITHIN = 12.0  # seconds after the first holder told of a change in which the other one has to
PASS_WITHIN = 0.1  # seconds in which changes for one node are gathered
PULSES_WITHIN = 60.0  # seconds in which signs of life are
MAX_COOKIES_KEPT = 2_048  # holders whose cookie is remembered
MAX_WATCH_ASKED = 4_096  # questions to holders that are not answered yet

Topic = tuple[Key, bytes]
"""A record and the token with which it is watched: who has a wrong one is in nobody's way."""


@dataclass(slots=True)
class _Holder:
    """One holder who is to tell us of a record."""

    tries: int = 0
    due: float = -inf
    version: int = 0
    """The newest version that he has told."""


@dataclass(slots=True)
class _Topic:
    clients: dict[Peer, None] = field(default_factory=dict)
    holders: dict[Address, _Holder] = field(default_factory=dict)
    failed: dict[Address, None] = field(default_factory=dict)
    """Who was of no use, since all were tried."""
    entry: Entry | None = None
    doubted_at: int = 0
    check_at: float = inf


@dataclass(slots=True)
class _News:
    """What one node is to be told, and when."""

    records: dict[Topic, None] = field(default_factory=dict)
    pulses: dict[Topic, None] = field(default_factory=dict)
    doubts: dict[Topic, None] = field(default_factory=dict)


@dataclass(slots=True)
class WatchDesk:
    """What a supernode watches for its nodes."""

    block: Block
    notary: Notary
    digest: Callable[[bytes], bytes]
    holds: Callable[[Key], bool]
    candidates: Callable[[Key], list[Address]]
    listening: Address
    rng: Random
    requests: Numbers
    wall: float
    _topics: dict[Topic, _Topic] = field(default_factory=dict)
    _by_key: dict[Key, dict[bytes, None]] = field(default_factory=dict)
    """The tokens that a record is watched with."""
    _by_client: dict[Peer, dict[Topic, None]] = field(default_factory=dict)
    _alarms: Alarms[Topic] = field(default_factory=Alarms)
    _news: dict[Peer, _News] = field(default_factory=dict)
    _news_at: Alarms[Peer] = field(default_factory=Alarms)
    _cookies: dict[Address, bytes] = field(default_factory=dict)
    _asked: dict[int, tuple[Address, tuple[Topic, ...]]] = field(default_factory=dict)

    @property
    def wake_at(self) -> float:
        """When ``wake`` has something to do."""
        return min(self._alarms.next, self._news_at.next)

    def __len__(self) -> int:
        return len(self._topics)

    # --- our nodes

    def wished(self, message: Watch, client: Peer, now: float) -> Effects:
        """One of our nodes would watch some."""
        own = self._by_client.setdefault(client, {})
        for wish in message.wishes:
            topic = int.from_bytes(wish.key, "big"), wish.token
            for old in [one for one in own if one[0] == topic[0] and one != topic]:
                self._leave(client, old)  # he has a newer token
            if topic not in own and len(own) >= MAX_OF_CLIENT:
                continue
            held = self._topics.get(topic)
            if held is None:
                if len(self._topics) >= MAX_TOPICS:
                    continue
                held = self._topics[topic] = _Topic()
                self._by_key.setdefault(topic[0], {})[topic[1]] = None
            own[topic] = held.clients[client] = None
            if held.entry is None:
                for holder in held.holders.values():
                    holder.due = now  # he asks again, so should we
                self._alarms[topic] = now + ASK_WITHIN
            elif held.entry.listing.presence[:KNOWN_BY] != wish.known:
                self._tell(client, topic, now, record=True)
            elif held.entry.record.pulse:
                self._tell(client, topic, now, pulse=True)
        if not own:
            del self._by_client[client]
        return [Send(client, Watched(request=message.request))]

    def unwished(self, message: Unwatch, client: Peer) -> None:
        """It wants to hear of some no longer."""
        keys = {int.from_bytes(message.keys[at : at + 8], "big") for at in range(0, len(message.keys) - 7, 8)}
        for topic in [one for one in self._by_client.get(client, {}) if one[0] in keys]:
            self._leave(client, topic)

    def down(self, client: Peer) -> None:
        """A link ended."""
        for topic in list(self._by_client.get(client, {})):
            self._leave(client, topic)
        self._news.pop(client, None)
        del self._news_at[client]

    def placed(self, now: float) -> None:
        """Others hold records now: where one of ours does no longer, another is asked."""
        for topic, held in self._topics.items():
            if self._gone(topic[0], held):
                self._alarms[topic] = min(now + 2 * self.rng.random(), self._due(held))

    # --- holders

    def answered(self, message: Watched, address: Address, now: float) -> Effects:
        """A holder has heard us."""
        asked = self._asked.get(message.request)
        if asked is None or asked[0] != address:
            return []
        del self._asked[message.request]
        if message.cookie:
            self._cookies.pop(address, None)
            while len(self._cookies) >= MAX_COOKIES_KEPT:
                del self._cookies[next(iter(self._cookies))]
            self._cookies[address] = message.cookie
            again = [topic for topic in asked[1] if address in self._holders(topic)]
            return self._ask(address, again, now)
        unheld = {message.unheld[at : at + 8] for at in range(0, len(message.unheld) - 7, 8)}
        for topic in asked[1]:
            held = self._topics.get(topic)
            holder = held.holders.get(address) if held is not None else None
            if held is None or holder is None:
                continue
            if topic[0].to_bytes(8, "big") in unheld:
                self._fail(held, address)
                for other in message.others[: HOLDERS_ASKED - len(held.holders)]:
                    if other not in held.failed:
                        held.holders.setdefault(other, _Holder())
            else:
                holder.tries = 0
                holder.due = now + LEASE * (0.65 + 0.3 * self.rng.random())
            self._alarms[topic] = self._due(held) if held.holders else now + ASK_WITHIN
        return []

    def noticed(self, message: Noticed, address: Address, now: float) -> Effects:
        """A holder tells what is new."""
        unwanted: dict[bytes, None] = {}
        for record in message.records:
            try:
                entry = self.notary.record(record, now + self.wall)
            except PeerError:
                continue
            key = key_of(self.digest, entry.name)
            if not any(self._record(topic, entry, address, now) for topic in self._of(key, address)):
                unwanted[key.to_bytes(8, "big")] = None
        for beat in message.pulses:
            key = int.from_bytes(beat.key, "big")
            topics = self._of(key, address)
            for topic in topics:
                self._pulse(topic, beat.pulse, now)
            if not topics:
                unwanted[beat.key] = None
        for doubt in message.doubts:
            for topic in self._of(int.from_bytes(doubt.key, "big"), address):
                self._doubt(topic, min(doubt.at, int(now + self.wall)), now)
        return [Send(Wire(address), NoticeHeard(unwanted=b"".join(unwanted), request=message.request))]

    def wake(self, now: float) -> Effects:
        """Ask holders, renew, replace; pass on what was gathered."""
        questions: dict[Address, list[Topic]] = {}
        for topic in self._alarms.due(now):
            self._attend(topic, self._topics[topic], questions, now)
        out: Effects = []
        for address, topics in questions.items():
            out += self._ask(address, topics, now)
        for client in self._news_at.due(now):
            out += self._pass_on(client)
        return out

    # --- inside: asking

    def _attend(self, topic: Topic, held: _Topic, questions: dict[Address, list[Topic]], now: float) -> None:
        if held.check_at <= now:
            held.check_at = inf
            newest = max((holder.version for holder in held.holders.values()), default=0)
            for address in [one for one, holder in held.holders.items() if holder.version < newest]:
                self._fail(held, address)
        silent = [one for one, holder in held.holders.items() if holder.tries >= len(ANSWER_WITHIN)]
        for address in dict.fromkeys([*silent, *self._gone(topic[0], held)]):
            self._fail(held, address)
        self._choose(topic, held, self._able(topic[0]))
        for address, holder in held.holders.items():
            if holder.due <= now:
                holder.due = now + ANSWER_WITHIN[min(holder.tries, len(ANSWER_WITHIN) - 1)]
                holder.tries += 1
                questions.setdefault(address, []).append(topic)
        self._alarms[topic] = self._due(held) if held.holders else now + NOBODY_FOR

    def _choose(self, topic: Topic, held: _Topic, able: list[Address]) -> None:
        fresh = [one for one in able if one not in held.holders and one not in held.failed]
        if len(fresh) + len(held.holders) < min(HOLDERS_ASKED, len(able)):
            held.failed.clear()
            fresh = [one for one in able if one not in held.holders]
        own = [self.listening] if self.listening in fresh and self.listening not in held.holders else []
        others = [one for one in fresh if one != self.listening]
        self.rng.shuffle(others)
        for address in [*own, *others]:
            if len(held.holders) >= HOLDERS_ASKED:
                break
            held.holders[address] = _Holder()

    def _able(self, key: Key) -> list[Address]:
        """Who holds a key, ourselves included."""
        own = [self.listening] if self.holds(key) else []
        return [*own, *self.candidates(key)]

    def _gone(self, key: Key, held: _Topic) -> list[Address]:
        """Which of those who should tell us do not hold the record any more, as far as we can know."""
        if not self.block.roster.prefix.covers(key):
            return []
        able = self._able(key)
        return [address for address in held.holders if address not in able]

    def _ask(self, address: Address, topics: list[Topic], now: float) -> Effects:
        out: Effects = []
        for at in range(0, len(topics), WISHES_AT_ONCE):
            part = tuple(topics[at : at + WISHES_AT_ONCE])
            number = self.requests() & 0xFFFF
            while len(self._asked) >= MAX_WATCH_ASKED:
                del self._asked[next(iter(self._asked))]
            self._asked[number] = address, part
            wishes = tuple(self._wish(topic) for topic in part)
            cookie = self._cookies.get(address, b"")
            out.append(Send(Wire(address), Watch(wishes=wishes, cookie=cookie, request=number)))
        return out

    def _wish(self, topic: Topic) -> Wish:
        entry = self._topics[topic].entry
        known = entry.listing.presence[:KNOWN_BY] if entry is not None else b""
        return Wish(key=topic[0].to_bytes(8, "big"), token=topic[1], known=known)

    def _holders(self, topic: Topic) -> dict[Address, _Holder]:
        held = self._topics.get(topic)
        return held.holders if held is not None else {}

    def _fail(self, held: _Topic, address: Address) -> None:
        del held.holders[address]
        held.failed[address] = None

    def _due(self, held: _Topic) -> float:
        return min(held.check_at, min((holder.due for holder in held.holders.values()), default=inf))

    def _of(self, key: Key, address: Address) -> list[Topic]:
        """What we watch of a key at a holder."""
        topics = [(key, token) for token in self._by_key.get(key, {})]
        return [topic for topic in topics if address in self._topics[topic].holders]

    def _leave(self, client: Peer, topic: Topic) -> None:
        own = self._by_client[client]
        del own[topic]
        if not own:
            del self._by_client[client]
        held = self._topics[topic]
        del held.clients[client]
        if held.clients:
            return
        del self._topics[topic]
        del self._alarms[topic]
        del self._by_key[topic[0]][topic[1]]
        if not self._by_key[topic[0]]:
            del self._by_key[topic[0]]

    # --- inside: telling

    def _record(self, topic: Topic, entry: Entry, address: Address, now: float) -> bool:
        """Take a record in; whether its owner lets those who have this token watch."""
        if mark(self.digest, topic[1]) != entry.listing.watch:
            return False
        held = self._topics[topic]
        holder, version = held.holders[address], entry.listing.version
        holder.version = max(holder.version, version)
        if held.entry is not None and held.entry.as_new_as(version, entry.seen):
            return True
        if held.entry is not None and held.entry.listing.version == version:
            self._lives(topic, entry, now)
            return True
        if held.entry is not None or len(held.holders) > 1:
            held.check_at = min(held.check_at, now + CHECK_WITHIN)
            self._alarms[topic] = self._due(held)
        held.entry, held.doubted_at = entry, 0
        for client in held.clients:
            self._tell(client, topic, now, record=True)
        return True

    def _pulse(self, topic: Topic, pulse: bytes, now: float) -> None:
        entry = self._topics[topic].entry
        later = renewed(entry, pulse, self.digest, now + self.wall) if entry is not None else None
        if later is not None:
            self._lives(topic, later, now)

    def _lives(self, topic: Topic, later: Entry, now: float) -> None:
        held = self._topics[topic]
        held.entry = later
        for client in held.clients:
            self._tell(client, topic, now, pulse=True)

    def _doubt(self, topic: Topic, at: int, now: float) -> None:
        held = self._topics[topic]
        if held.entry is None or at <= held.doubted_at:
            return
        held.doubted_at = at
        for client in held.clients:
            self._tell(client, topic, now, doubt=True)

    def _tell(
        self, client: Peer, topic: Topic, now: float, *, record: bool = False, pulse: bool = False, doubt: bool = False
    ) -> None:
        news = self._news.setdefault(client, _News())
        if record:
            news.records[topic] = None
        if pulse:
            news.pulses[topic] = None
        if doubt:
            news.doubts[topic] = None
        within = PULSES_WITHIN if not (record or doubt) else PASS_WITHIN
        if self._news_at.at(client) > now + within:
            self._news_at[client] = now + within

    def _pass_on(self, client: Peer) -> Effects:
        news = self._news.pop(client, _News())
        held = {topic: self._topics[topic] for topic in self._by_client.get(client, {})}
        entries = {topic: one.entry for topic, one in held.items() if one.entry is not None}
        records = [entries[topic].record for topic in news.records if topic in entries]
        told = [topic for topic in news.pulses if topic in entries and topic not in news.records]
        beats = {topic[0]: entries[topic].pulse for topic in told}
        pulses = [Pulse(key=key.to_bytes(8, "big"), pulse=pulse) for key, pulse in beats.items()]
        doubtful = [topic for topic in (*news.doubts, *news.records) if topic in held and held[topic].doubted_at]
        doubts = [Doubt(key=topic[0].to_bytes(8, "big"), at=held[topic].doubted_at) for topic in doubtful]
        out: Effects = []
        while records or pulses or doubts:
            out.append(
                Send(
                    client,
                    Noticed(
                        records=tuple(records[:NOTICED_AT_ONCE]),
                        pulses=tuple(pulses[:PULSES_AT_ONCE]),
                        doubts=tuple(doubts[:PULSES_AT_ONCE]),
                        request=self.requests() & 0xFFFF,
                    ),
                )
            )
            del records[:NOTICED_AT_ONCE], pulses[:PULSES_AT_ONCE], doubts[:PULSES_AT_ONCE]
        return out
