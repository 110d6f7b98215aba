"""Ask another supernode than our own: for nodes whose datagrams do not pass, which can ask nobody in the open.

    node                          another supernode
      | ===== link (TCP) ==========> |
      | --- Search ----------------> |
      | <-- Found ------------------ |
      | --- Store -----------------> |  our own record, where it is that which it has not found
      | <-- Stored ----------------- |
      | --- Goodbye ---------------> |

Only needed where our own supernode says that there is nothing, or nothing at all, or may only pretend to have stored
our record; so the cost of a handshake is paid seldom.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from math import inf
from random import Random

from halloo.base.address import Address, Peer, Route, Stream
from halloo.base.effects import Link, Send, Unlink
from halloo.base.machine import Effects, Numbers
from halloo.messages.credential import Entry, Notary, Record
from halloo.messages.directory import Found, Search, Store
from halloo.overlay.hostcache import HostCache
from halloo.overlay.inquiry import Learnt, record_under
from halloo.overlay.slots import Key

__all__ = ["FIRST_ELSEWHERE", "Elsewhere"]

ELSEWHERE_FOR = 4.0  # seconds that one has for the link and the answer
MOST_ELSEWHERE = 16  # questions at once
FIRST_ELSEWHERE = -2  # the numbers of these questions go down from here: those of inquiries go up
AT_LEISURE_AMONG = 64  # known supernodes of which one is asked where there is time: the best known are asked by all
WEB = (80, 443)  # ports by which we may have reached our own


@dataclass(slots=True)
class _Question:
    number: int
    key: Key
    address: Address
    until: float
    record: Record | None = None
    """Our own record under that key, which is left there if it is not found."""
    version: int = 0
    seen: int = 0
    request: int = -1


@dataclass(slots=True)
class Elsewhere:
    """Questions through other supernodes.  ``way``: how our own one is reached."""

    notary: Notary
    digest: Callable[[bytes], bytes]
    cache: HostCache
    rng: Random
    peers: Numbers
    streams: Numbers
    requests: Numbers
    wall: float
    way: Stream | None = None
    supernode: Address | None = None
    _questions: dict[Peer, _Question] = field(default_factory=dict)
    _leaving: dict[Peer, float] = field(default_factory=dict)
    """With whom our own record is being left, and until when we wait."""
    _number: int = FIRST_ELSEWHERE

    @property
    def wake_at(self) -> float:
        """When ``wake`` has something to do."""
        questions = min((question.until for question in self._questions.values()), default=inf)
        return min(questions, min(self._leaving.values(), default=inf))

    def attached(self, supernode: Address | None, way: Route | None) -> None:
        """Our supernode changed."""
        self.supernode, self.way = supernode, way if isinstance(way, Stream) else None

    def ask(
        self,
        key: Key,
        but: list[Address],
        now: float,
        record: Record | None = None,
        version: int = 0,
        seen: int = 0,
    ) -> tuple[int, Address | None, Effects]:
        """Ask one whom we have not asked yet (``but``); its number in the Learnt that follows, and who is asked.

        ``record``: our own, of that ``version`` and with a sign of life of the second ``seen``; who does not find it so
        new is asked to store it.  There is time for
        that, so it is any of many; otherwise the best known.
        Nobody is asked, where there is no other, or datagrams of ours pass: then a Learnt that knows nothing follows
        at once.
        """
        number = self._number
        self._number -= 1
        way, others = self.way, [one for one in (*but, self.supernode) if one is not None]
        most = 1 if record is None else AT_LEISURE_AMONG
        chosen = self.cache.best(most, self.rng, now + self.wall, others) if way is not None else []
        if way is None or not chosen or len(self._questions) >= MOST_ELSEWHERE:
            return number, None, [Learnt(number, key, None, complete=False, heard=0, messages=0)]
        address = self.rng.choice(chosen)
        port = way.address.port if way.address.port in WEB else address.port
        peer = Peer(self.peers())
        self._questions[peer] = _Question(number, key, address, now + ELSEWHERE_FOR, record, version, seen)
        return number, address, [Link(peer, Stream(self.streams(), Address(address.host, port), way.proxied))]

    def up(self, peer: Peer, now: float) -> Effects:
        """The link stands."""
        question = self._questions.get(peer)
        if question is None:
            return []
        question.request = self.requests() & 0xFFFF
        search = Search(key=question.key.to_bytes(8, "big"), ask_others=True, request=question.request)
        return [Send(peer, search)]

    def down(self, peer: Peer, now: float) -> Effects:
        """The link ended before the answer came."""
        self._leaving.pop(peer, None)
        question = self._questions.pop(peer, None)
        return [] if question is None else [_told(question, None, complete=False, heard=0)]

    def receive(self, message: Found, sender: Peer, now: float) -> Effects:
        """The answer."""
        question = self._questions.get(sender)
        if question is None or message.request != question.request:
            return []
        del self._questions[sender]
        entry = record_under(question.key, message, self.notary, self.digest, now + self.wall)
        told = _told(question, entry, complete=message.complete or entry is not None, heard=1)
        if question.record is None or (entry is not None and entry.as_new_as(question.version, question.seen)):
            return [Unlink(sender, "answered"), told]
        self._leaving[sender] = now + ELSEWHERE_FOR
        return [Send(sender, Store(record=(question.record,), request=self.requests() & 0xFFFF)), told]

    def stored(self, sender: Peer) -> Effects:
        """Our record is there."""
        return [Unlink(sender, "stored")] if self._leaving.pop(sender, None) is not None else []

    def wake(self, now: float) -> Effects:
        """Give up who does not answer."""
        out: Effects = []
        for peer, question in list(self._questions.items()):
            if question.until <= now:
                del self._questions[peer]
                out += [Unlink(peer, "no answer"), _told(question, None, complete=False, heard=0)]
        for peer in [peer for peer, until in self._leaving.items() if until <= now]:
            del self._leaving[peer]
            out.append(Unlink(peer, "no answer"))
        return out


def _told(question: _Question, entry: Entry | None, *, complete: bool, heard: int) -> Learnt:
    return Learnt(question.number, question.key, entry, complete, heard, messages=2 * heard)
