"""Every machine of a node, in every state that a story brings it to, with all its entrances: one table.

The states come from a story in a virtual town (``_stages``).  A new machine is one more entry of ``SUBJECTS``.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from math import inf
from random import Random
from typing import Any

from fuzz._anything import MESSAGES, any_address
from fuzz._login import apply, login_subjects
from halloo.base.address import Channel, Peer, Route, Stream, Wire
from halloo.call.call import Answered, Ended
from halloo.crypto.plain import DIGEST
from halloo.link.notice import Carried, Down, Heard, Moved, Observed, SoundHeard, Ticketed, Up
from halloo.link.resumption import Return
from halloo.link.tickets import HeldTicket, ticket_secret
from halloo.messages import call as calls
from halloo.messages import directory, overlay, path, presence, role, whitepages
from halloo.messages.catalogue import OPEN
from halloo.messages.credential import Party
from halloo.messages.link import AskTicket, Ticket
from halloo.overlay.presence import Sight
from halloo.overlay.promotion import Consent, Lending
from halloo.overlay.search import SearchDone
from halloo.path.reach import Policy
from halloo.sim.town import LOGIN, Town
from halloo.sim.world import WALL
from halloo.wire.buffer import varint
from halloo.wire.command import encode_command
from halloo.wire.frame import StreamFrame, encode_stream_frame

__all__ = ["SUBJECTS", "Subject", "containers", "party", "peer", "route"]

PEERS = [*(Peer(n) for n in range(1, 13)), *(Peer((1 << 32) + n) for n in range(8)), Peer(999)]
NAMES = ("alice", "bob", "carol", "zoe", "a b", "", "\ud7ff" * 9)
OPEN_KINDS = tuple(declared.kind for declared in OPEN.values())
ORDINARY = 70  # what a container may hold whose bound is not named below
Entrance = Callable[[Any, Random, float], Any]
Finder = Callable[[Town], list[Any]]


@dataclass(frozen=True)
class Subject:
    """One kind of machine: where it is found in a town, what tells its states apart, and how it is entered.

    ``hear`` is given messages of the kinds in ``hears`` and may raise PeerError; ``intents`` are the owner's and may
    raise UsageError; ``tidings`` are what siblings and the endpoint bring, and raise nothing.
    """

    name: str
    find: Finder
    signature: Callable[[Any], object]
    hear: Callable[[Any, Any, Any, float], Any] | None
    hears: tuple[type[Any], ...] = tuple(MESSAGES)
    intents: Mapping[str, Entrance] = field(default_factory=dict)
    tidings: Mapping[str, Entrance] = field(default_factory=dict)
    wake: Callable[[Any, float], Any] = lambda machine, now: machine.wake(now)
    real: Callable[[Any], dict[str, list[Any]]] = lambda _: {}
    bounds: Mapping[str, int] = field(default_factory=dict)
    """By attribute, what a container may hold; see ``ORDINARY``."""


def containers(thing: object, name: str = "", depth: int = 0) -> Iterator[tuple[str, int]]:
    """(attribute, size) of every container inside a machine."""
    if depth > 12:
        return
    if isinstance(thing, dict):
        yield name, len(thing)
        inside = [*list(thing.values())[:4], *list(thing)[:4]]
    elif isinstance(thing, list | tuple | deque | set | frozenset | bytearray):
        yield name, len(thing)
        inside = [] if isinstance(thing, bytearray) else list(thing)[:4]
    elif not type(thing).__module__.startswith("halloo") or isinstance(thing, type):
        return
    else:
        slots = [slot for kind in type(thing).__mro__ for slot in getattr(kind, "__slots__", ())]
        for attribute in dict.fromkeys([*slots, *getattr(thing, "__dict__", {})]):
            if not attribute.startswith("__"):
                yield from containers(getattr(thing, attribute, None), attribute, depth + 1)
        return
    for item in inside:
        yield from containers(item, name, depth + 1)


# --- what comes in --------------------------------------------------------------------------------------------------


def route(rng: Random) -> Route:
    """Any route."""
    match rng.randrange(5):
        case 0:
            return Stream(rng.randrange(20), any_address(rng))
        case 1:
            return Channel(rng.choice(PEERS), rng.getrandbits(64))
        case 2:
            return Wire(LOGIN)
    return Wire(any_address(rng))


def peer(rng: Random) -> Peer:
    """A peer, perhaps a known one."""
    return rng.choice(PEERS)


def party(rng: Random) -> Party:
    """Somebody who proved a key, but no name."""
    return Party(rng.randbytes(32), None)


def _down(machine: Any, rng: Random, now: float) -> Any:
    return machine.down(peer(rng), "cut", now)


def _promotion_hears(promotion: Any, message: Any, sender: Any, now: float) -> Any:
    if isinstance(message, role.ReachAnswer):
        return promotion.answered(message, sender, now) if isinstance(sender, int) else []
    if isinstance(sender, int):
        return []
    if isinstance(message, overlay.ProbeAccept | overlay.ProbeRefuse):
        promotion.probed(message, sender, now)
        return []
    return promotion.heard(message, sender, now)


def _either(rng: Random, *options: Any) -> Any:
    return rng.choice(options)


def _of_nodes(attribute: str) -> Finder:
    def find(town: Town) -> list[Any]:
        found = [getattr(town.node(name), attribute) for name in town.world.residents if name != "login"]
        return [machine for machine in found if machine is not None]

    return find


def _of_papers(attribute: str) -> Finder:
    return lambda town: [machine for node in _nodes(town) if (machine := getattr(node.papers, attribute)) is not None]


def _nodes(town: Town) -> list[Any]:
    return [town.node(name) for name in town.world.residents if name != "login"]


def _lines(town: Town) -> list[Any]:
    return [line for node in _nodes(town) for line in node.calls._lines.values()]


def _ways(town: Town) -> list[Any]:
    return [line.ways for line in _lines(town) if line.ways is not None]


def _endpoints(town: Town) -> list[Any]:
    return [resident.station.endpoint for resident in town.world.residents.values()]


def _kinds(*things: Any) -> tuple[str, ...]:
    return tuple(sorted({type(thing).__name__ for thing in things}))


# --- entrances that need more than a line ---------------------------------------------------------------------------


def _join_hears(join: Any, message: Any, sender: Any, now: float) -> Any:
    if isinstance(message, overlay.ProbeAccept | overlay.ProbeRefuse):
        routes = [probe.route for probe in join._tries.probes.values()] or [Wire(one) for one in join.scout._asked]
        return join.probed(message, routes[0] if routes and message.request % 2 else sender, now)
    return join.receive(message, sender, now) if isinstance(sender, int) else []


def _supernode_hears(supernode: Any, message: Any, sender: Any, now: float) -> Any:
    if not isinstance(sender, int):
        if isinstance(message, overlay.Probe):
            return supernode.clients.probed(message, sender, now)
        return supernode.heard(message, _one_asked(supernode, message) or sender, now)
    return supernode.receive(message, sender, Wire(LOGIN) if sender % 2 else None, now)


def _one_asked(supernode: Any, message: Any) -> Any:
    """Somebody whose answer is waited for, where the message is an answer."""
    asked = [one for errand in supernode.keeper._errands.values() for one in errand.asked]
    asked += [one for inquiry in supernode.inquiries._inquiries.values() for one in inquiry.asked]
    return Wire(asked[message.request % len(asked)]) if asked and hasattr(message, "others") else None


def _tokens(supernode: Any) -> list[bytes]:
    """Of all that is asked in the open."""
    return [*supernode.keeper._errands, *supernode.inquiries._tokens, *supernode.block._doubts.tokens]


def _watches_hear(watches: Any, message: Any, sender: Any, now: float) -> Any:
    if isinstance(sender, int):
        return watches.unseen(message, sender, now) if isinstance(message, presence.Unseen) else []
    address = sender.address if isinstance(sender, Wire) else LOGIN
    match message:
        case presence.Watch():
            return watches.asked(message, address, now)
        case presence.NoticeHeard():
            address = next((said.address for said in watches._said.values()), address)
            return watches.heard(message, address, now)
    return watches.unseen(message, address, now)


def _desk_hears(desk: Any, message: Any, sender: Any, now: float) -> Any:
    if isinstance(sender, int):
        if isinstance(message, presence.Watch):
            return desk.wished(message, sender, now)
        return desk.unwished(message, sender) if isinstance(message, presence.Unwatch) else []
    asked = [address for held in desk._topics.values() for address in held.holders]
    address = asked[message.request % len(asked)] if asked and hasattr(message, "request") else LOGIN
    if isinstance(message, presence.Watched):
        return desk.answered(message, address, now)
    return desk.noticed(message, address, now) if isinstance(message, presence.Noticed) else []


def _supernode_up(supernode: Any, rng: Random, now: float) -> Any:
    """The endpoint's promise: a number is given to one link only."""
    chosen = peer(rng)
    return supernode.down(chosen, "another", now) + supernode.up(chosen, party(rng), now)


def _searches_hear(searches: Any, message: Any, sender: Any, now: float) -> Any:
    if isinstance(sender, int):
        return searches.receive(message, sender, now)
    return (
        searches.answered(message, any_address(Random(message.request)), now)
        if isinstance(message, directory.Found)
        else []
    )


def _browses_hear(browses: Any, message: Any, sender: Any, now: float) -> Any:
    if isinstance(sender, int):
        return browses.told(message, sender, now)
    asked = [question.address for one in browses._browses.values() for question in one.questions.values()]
    rng = Random(message.request)
    return browses.answered(message, _either(rng, any_address(rng), *asked), now)


def _browses_find(browses: Any, rng: Random, now: float) -> Any:
    if len(browses._browses) >= 64:
        browses.drop(next(iter(browses._browses)))
    return browses.find(_either(rng, "al", "bob", ""), _either(rng, b"", bytes(20)), now)


def _relayer_hears(relayer: Any, message: Any, sender: Any, now: float) -> Any:
    if not isinstance(sender, int):
        return []
    if isinstance(message, path.RelayRequest):
        return relayer.requested(message, sender, _either(Random(message.request), None, *PEERS), now)
    return relayer.closed(message, sender, now)


def _carried(relayer: Any, rng: Random, now: float) -> Any:
    tokens = [*relayer._channels, rng.getrandbits(64)]
    return relayer.carried(rng.choice(tokens), rng.randbytes(50), _either(rng, None, peer(rng)), now)


def _board_hears(board: Any, message: Any, sender: Any, now: float) -> Any:
    if not isinstance(sender, int):
        return []
    if isinstance(message, path.RelayGranted | path.RelayRefused):
        return board.relay_said(message, sender, now)
    if isinstance(message, path.PathProbe | path.PathEcho | path.WayHints | path.MeetAt):
        way = next((line.route for line in board._lines.values() if line.call.peer == sender), None)
        return board.way_said(message, sender, way, now)
    if isinstance(message, calls.Invite):
        named = Party(bytes(32), _Named(_either(Random(message.rate), "alice", "bob", "carol")))  # type: ignore[arg-type]
        return _follow(board, board.invited(message, sender, named, Wire(LOGIN), now), now)
    return _follow(board, board.heard(message, message.call, sender, now), now)


def _relayer_up(relayer: Any, rng: Random, now: float) -> Any:
    """The endpoint's promise: a number is given to one link only."""
    chosen = peer(rng)
    out = relayer.down(chosen, now)
    relayer.up(chosen, rng.randbytes(8))
    return out


def _a_way(ways: Any, rng: Random) -> Any:
    return _either(rng, None, route(rng), ways.route, *ways._ways)


def _ways_hear(ways: Any, message: Any, sender: Any, now: float) -> Any:
    """What the other side says, or a relay."""
    if isinstance(message, path.RelayGranted | path.RelayRefused):
        asked = next(iter(ways.standby._requests.values()), None)
        return ways.relay_said(message, asked[0] if asked and message.request % 2 else sender, now)
    if isinstance(message, overlay.ProbeAccept | overlay.ProbeRefuse):
        asked_by_probe = [*ways.standby.welcome._questions, LOGIN]
        return ways.probed(message, asked_by_probe[message.request % len(asked_by_probe)], now)
    if isinstance(message, path.RelayClose):
        return ways.closed(int.from_bytes(message.token, "big"), sender, now) if isinstance(sender, int) else []
    known = [*ways._ways, None]
    return ways.receive(message, sender if not isinstance(sender, int) else known[sender % len(known)], now)


def _ways_begin_again(ways: Any, rng: Random, now: float) -> Any:
    return ways.close() + ways.begin(Channel(peer(rng), rng.getrandbits(64)), None, now)


def _ticket(admission: Any, at: int, host: bytes) -> bytes:
    return bytes(admission._ticket(at, host))


@dataclass(frozen=True)
class _Named:
    name: str


def _follow(board: Any, effects: Any, now: float) -> Any:
    """What a node does with the events of its switchboard."""
    for effect in effects:
        if isinstance(effect, Answered | Ended):
            board.react(effect, now)
    return effects


def _board(ask: Callable[[Any, Random, float], Any]) -> Entrance:
    return lambda board, rng, now: _follow(board, ask(board, rng, now), now)


def _a_call(board: Any, rng: Random) -> bytes:
    return rng.choice([*board.known, rng.randbytes(8)])


def _dial(board: Any, rng: Random, now: float) -> Any:
    return board.dial(rng.choice(NAMES), rng.choice(list(Policy)), now)[1]


def _found_for(board: Any, rng: Random, now: float) -> Any:
    return board.found(SearchDone(rng.randrange(1, 9), rng.choice(NAMES), (), rng.random() < 0.5), now)


def _endpoint_hears(endpoint: Any, message: Any, sender: Any, now: float) -> Any:
    """In the open, over UDP or a stream: as whoever has the network's description can say it."""
    body = encode_command(message)
    if isinstance(sender, Stream):
        endpoint.stream_opened(sender.number, sender.address, now)
        return endpoint.stream_received(sender.number, b"open" + encode_stream_frame(StreamFrame(None, 4, body)), now)
    address = sender.address if isinstance(sender, Wire) else LOGIN
    datagram = endpoint.datagrams.payload(Wire(address), 4, body)[0].data
    return endpoint.receive(datagram, address, now)


def _ask_ticket(endpoint: Any, rng: Random, now: float) -> Any:
    return endpoint.send(_either(rng, peer(rng), *(link.peer for link in endpoint._links)), AskTicket(), now)


def _return(endpoint: Any, rng: Random, now: float) -> Any:
    """Back to where a ticket is from, or may be from."""
    tickets = endpoint._reentry.tickets
    given = Ticket(ticket=rng.randbytes(300), nonce=rng.randbytes(16), expires=1 << 40)
    kept = _either(rng, tickets.hold(given, rng.randbytes(32), party(rng)), rng.randbytes(90))
    chosen = Peer(rng.randrange(1 << 20, 1 << 31))
    out = endpoint.link(chosen, route(rng), now, b"", kept)
    return out + endpoint.send(chosen, _either(rng, overlay.Ping(request=1), overlay.Leave()), now)


def _returns(endpoint: Any, rng: Random, now: float) -> Any:
    """Somebody with a true ticket: what he says early may be anything, and nothing."""
    persona, tickets = endpoint.persona, endpoint._reentry.tickets
    exporter = rng.randbytes(32)
    given = tickets.give(exporter, party(rng), now, now + WALL)
    secret = ticket_secret(persona.suite, exporter, given.nonce)
    held = HeldTicket(ticket=given.ticket, secret=secret, expires=given.expires, key=b"k", mine=b"m")
    commands = [encode_command(_either(rng, overlay.Ping(request=1), overlay.Leave(), AskTicket()))]
    early = _either(rng, b"", b"\0\1" + b"".join(commands), rng.randbytes(20))
    returning = Return(replace(persona, rng=Random(rng.random())), rng.getrandbits(32), held, b"")
    return _endpoint_hears(endpoint, returning.say(early, 1, now), route(rng), now)


def _bytes_at(endpoint: Any, rng: Random, now: float) -> Any:
    return endpoint.receive(rng.randbytes(rng.randrange(80)), any_address(rng), now)


def _reliable_hears(reliable: Any, message: Any, _: Any, now: float) -> Any:
    first = _either(Random(f"{message!r}"), reliable._heard + 1, reliable._heard + 9, 0, 1 << 40)
    plain = b"".join(varint(n) for n in (reliable._base - 1, first)) + encode_command(message)
    return reliable.heard(plain, now)


def _node_hears(node: Any, message: Any, sender: Any, now: float) -> Any:
    """The endpoint's own promise: what may be said in the open comes from a route, all else over a link."""
    if isinstance(message, OPEN_KINDS) == isinstance(sender, int):
        return []
    return node.receive(Heard(message, sender), now)


def _node_notice(make: Callable[[Random], Any]) -> Entrance:
    return lambda node, rng, now: node.receive(make(rng), now)


def _node_up(node: Any, rng: Random, now: float) -> Any:
    chosen = peer(rng)
    node.receive(Down(chosen, "another"), now)
    return node.receive(Up(chosen, party(rng), route(rng), rng.random() < 0.5), now)


def _node_real(node: Any) -> dict[str, list[Any]]:
    tokens = list(node.relayer._channels) if node.relayer else list(node._offers)
    return {
        "call": node.calls.known,
        "token": [token.to_bytes(8, "big") for token in tokens],
        "request": [node.publisher._request & 0xFFFF, *(n.request & 0xFFFF for n in node.searches._queries.values())],
        "node": [node.id, *(_id(held[0].key) for held in node.parties.values())],
        "name": ["alice", "bob"],
    }


def _id(key: bytes) -> bytes:
    return DIGEST(key)[:8]


# --- the table ------------------------------------------------------------------------------------------------------

_LINKS = {
    "_by_number": 4_096,
    "_by_peer": 4_096,
    "_by_route": 4_096,
    "_links": 256,
    "_by_host": 256,
    "_at": 4_096,
    "_heap": 16_500,
    "_waiting": 4_096,
}
_OVERLAY = {
    "_hosts": 200,
    "_signed": 4_096,
    "_tried": 200,
    "_clients": 800,
    "_asked": 1_024,
    "_entries": 50_000,
    "_gathered": 50_000,
    "_inquiries": 1_024,
    "_tokens": 1_024,
    "_spreads": 2_048,
    "_errands": 2_048,
    "members": 256,
    "gone": 128,
    "distrust": 512,
    "_tables": 20_000,
    "_fresh": 20_000,
    "_doubts": 128,
    "_fresh_news": 256,
    "_gone_news": 256,
    "_browsing": 800,
    "_left": 1_024,
    "_turned_away": 256,
    "_passed": 1_024,
    "_told": 800,
    "_written": 2_048,
    "_proofs": 16,
    "watched": 50_000,
    "fresh": 50_000,
    "_said": 4_096,
    "_doubted": 4_096,
    "_topics": 20_000,
    "_by_key": 20_000,
    "_by_client": 800,
    "_cookies": 2_048,
    "_shown": 800,
    "_news": 800,
    "_at": 20_000,
    "_heap": 90_000,
}

SUBJECTS: tuple[Subject, ...] = (
    Subject(
        "join",
        _of_nodes("join"),
        lambda join: (
            join.state.name,
            _kinds(*(attempt.route for attempt in join._tries.attempts.values())),
            bool(join._tries.probes),
            join._promises.appointment is not None,
            bool(join._promises.offers),
            bool(join.scout._asked),
        ),
        _join_hears,
        intents={
            "begin": lambda join, _, now: join.begin(now),
            "leave": lambda join, *_: join.leave(),
            "heard_of": lambda join, rng, now: join.heard_of((any_address(rng), any_address(rng)), now),
        },
        tidings={"up": lambda join, rng, now: join.up(peer(rng), now), "down": _down},
        real=lambda join: {
            "request": [asked.request for asked in (*join._tries.probes.values(), *join.scout._asked.values())],
            "ticket": [promise.ticket for promise in join._promises._told.values()],
        },
        bounds=_OVERLAY,
    ),
    Subject(
        "supernode",
        _of_nodes("supernode"),
        lambda it: (
            bool(len(it.clients)),
            bool(it.block.links),
            bool(it._asked),
            bool(it.block._links.dialling),
            bool(len(it.directory)),
            bool(it.keeper._errands),
            bool(it.keeper.pulses._gathered),
        ),
        _supernode_hears,
        intents={
            "begin": lambda supernode, _, now: supernode.begin(now),
            "retire": lambda supernode, _, now: supernode.retire(now),
            "stay": lambda supernode, _, now: supernode.stay(now),
            "shed": lambda supernode, _, now: supernode.shed(now),
        },
        tidings={"up": _supernode_up, "down": _down},
        real=lambda it: {
            "node": [_id(held.key) for held in it._parties.values()],
            "key": [key.to_bytes(8, "big") for key, _ in it.directory.items()],
            "pulse": [entry.pulse for entry in it.directory.all() if entry.pulse],
            "request": list(it.keeper._spreads),
            "token": _tokens(it),
            "ticket": [_ticket(it.clients.admission, at, host) for at, host in it.clients.admission._places.items()],
        },
        bounds=_OVERLAY,
    ),
    Subject(
        "searches",
        _of_nodes("searches"),
        lambda searches: (bool(searches._queries), searches.supernode is not None),
        _searches_hear,
        hears=(directory.Found, directory.AtlasTold),
        intents={"find": lambda searches, rng, now: searches.find(rng.choice(NAMES), now)},
        tidings={
            "attached": lambda searches, rng, now: searches.attached(
                _either(rng, None, peer(rng)), any_address(rng), now, open_to=rng.random() < 0.5
            )
        },
        real=lambda searches: {
            "request": [query.request & 0xFFFF for query in searches._queries.values()],
            "token": list(searches.inquiries._tokens),
        },
        bounds=_OVERLAY | {"_queries": 64},
    ),
    Subject(
        "browses",
        _of_nodes("_browses"),
        lambda browses: (
            bool(browses._browses),
            any(one.via is not None for one in browses._browses.values()),
            any(one.open for one in browses._browses.values()),
        ),
        _browses_hear,
        hears=(whitepages.WordsFound,),
        intents={"find": _browses_find},
        tidings={"lost": lambda browses, rng, now: browses.lost(peer(rng), now)},
        real=lambda browses: {
            "token": [
                token for one in browses._browses.values() for token in (one.token, *one.questions)
            ]
        },
        bounds=_OVERLAY | {"_browses": 64, "_cookies": 2_048, "seen": 4 * 4_096, "questions": 128},
    ),
    Subject(
        "watches",
        lambda town: [node.supernode.watches for node in _nodes(town) if node.supernode is not None],
        lambda it: (bool(len(it)), bool(it._said), bool(it._doubted)),
        _watches_hear,
        hears=(presence.Watch, presence.NoticeHeard, presence.Unseen),
        tidings={"look": lambda it, _, now: it.look(now)},
        real=lambda it: {
            "key": [key.to_bytes(8, "big") for key, _ in it.directory.items()],
            "cookie": [it._cookie(LOGIN)],
            "request": list(it._said),
        },
        bounds=_OVERLAY,
    ),
    Subject(
        "watchdesk",
        lambda town: [node.supernode.watchdesk for node in _nodes(town) if node.supernode is not None],
        lambda it: (bool(it._topics), bool(it._asked), any(one.entry is not None for one in it._topics.values())),
        _desk_hears,
        hears=(presence.Watch, presence.Unwatch, presence.Watched, presence.Noticed),
        tidings={
            "down": lambda it, rng, _: it.down(peer(rng)),
            "placed": lambda it, _, now: it.placed(now),
        },
        real=lambda it: {
            "key": [key.to_bytes(8, "big") for key, _ in it._topics],
            "token": [token for _, token in it._topics],
            "request": list(it._asked),
        },
        bounds=_OVERLAY | {"_asked": 4_096, "own": 300},
    ),
    Subject(
        "watching",
        lambda town: [node.buddies.watching for node in _nodes(town)],
        lambda it: (bool(it._buddies), bool(it.sights), it.supernode is not None),
        lambda it, message, sender, now: it.receive(message, sender, now) if isinstance(sender, int) else [],
        hears=(presence.Noticed,),
        intents={
            "watch": lambda it, rng, now: it.watch(rng.choice(NAMES), now),
            "unwatch": lambda it, rng, _: it.unwatch(rng.choice(NAMES)),
            "seen": lambda it, rng, now: it.seen(rng.choice(NAMES), now),
        },
        tidings={
            "attached": lambda it, rng, now: it.attached(_either(rng, None, peer(rng)), now),
            "given": lambda it, rng, now: it.given(
                rng.choice(NAMES), Sight(rng.getrandbits(rng.randrange(1, 41)), rng.randbytes(32)), now
            ),
        },
        real=lambda it: {
            "key": [one.key.to_bytes(8, "big") for one in it._buddies.values()],
            "pulse": [one.pulse for one in it._buddies.values() if one.pulse],
        },
        bounds={"sights": 600, "_buddies": 300},
    ),
    Subject(
        "promotion",
        lambda town: [node.roles.promotion for node in _nodes(town)],
        lambda it: (it.certified, it._supernode is not None, it._began < inf),
        _promotion_hears,
        hears=(role.ReachAnswer, role.Reached, overlay.ProbeAccept, overlay.ProbeRefuse),
        intents={
            "lend": lambda it, rng, now: it.lend(Lending(rng.choice(list(Consent))), now),
            "wanted": lambda it, rng, now: it.wanted(rng.choice([0, 1, 1_000_000]), [any_address(rng)], now),
        },
        tidings={
            "attached": lambda it, rng, now: it.attached(_either(rng, None, peer(rng)), now),
            "wrote": lambda it, rng, now: it.wrote(any_address(rng), now),
            "came": lambda it, rng, now: it.came(route(rng), now),
            "serves": lambda it, rng, now: it.serves(any_address(rng), now),
            "rests": lambda it, _, now: it.rests(now),
            "stays": lambda it, *_: it.stays(),
        },
        real=lambda it: {
            "token": [it._token],
            "request": [it._request & 0xFFFF, *(number & 0xFFFF for number in it.opinions._asked.values())],
        },
        bounds={"_written": 2_048, "_proofs": 16, "_asked": 3},
    ),
    Subject(
        "publisher",
        _of_nodes("publisher"),
        lambda it: (it._request >= 0, it._renewing, it.supernode is not None, it.wake_at < inf, bool(it.credential)),
        lambda publisher, message, sender, now: publisher.receive(message, sender, now),
        hears=(directory.Stored,),
        intents={"publish": lambda publisher, _, now: publisher.publish(now)},
        tidings={"attached": lambda it, rng, now: it.attached(_either(rng, None, (peer(rng), LOGIN)), now)},
        real=lambda publisher: {"request": [publisher._request & 0xFFFF]},
    ),
    *login_subjects(Subject, peer, route),
    Subject(
        "reach",
        lambda town: [line.reach for line in _lines(town) if line.reach is not None],
        lambda reach: (reach.done, _kinds(*reach._tries.values()), reach.hop is not None, reach.channel is not None),
        lambda reach, message, sender, now: reach.receive(message, sender, now) if isinstance(sender, int) else [],
        intents={"close": lambda reach, *_: reach.close()},
        tidings={"up": lambda reach, rng, now: reach.up(peer(rng), party(rng), now), "down": _down},
        real=lambda reach: {"request": [reach._request & 0xFFFF]},
    ),
    Subject(
        "hop",
        lambda town: [hop for ways in _ways(town) for hop in ways.standby._hops.values()],
        lambda hop: (hop.peer is not None, _kinds(*hop._tries.values())),
        None,
        intents={"close": lambda hop, *_: hop.close(), "ping": lambda hop, *_: hop.ping()},
        tidings={
            "up": lambda hop, rng, now: hop.up(peer(rng), now),
            "down": lambda hop, rng, _: hop.down(peer(rng), "cut"),
        },
    ),
    Subject(
        "continuity",
        _ways,
        lambda ways: (
            ways.first,
            ways.stranded,
            _kinds(*ways._ways),
            type(ways.route).__name__,
            all(way.proved for way in ways._ways.values()),
            bool(ways.standby._asking),
            bool(ways.standby._again),
            bool(ways.standby.welcome._questions),
            bool(ways.standby._queue),
        ),
        _ways_hear,
        hears=(
            path.PathProbe,
            path.PathEcho,
            path.WayHints,
            path.MeetAt,
            path.RelayGranted,
            path.RelayRefused,
            path.RelayClose,
            overlay.ProbeAccept,
            overlay.ProbeRefuse,
        ),
        intents={"hints": lambda ways, *_: ways.hints(), "close": _ways_begin_again},
        tidings={
            "up": lambda ways, rng, now: ways.up(peer(rng), now),
            "down": _down,
            "sound": lambda ways, rng, now: ways.sound(_a_way(ways, rng), now),
            "moved": lambda ways, rng, now: ways.moved(route(rng), now),
            "told": lambda ways, rng, now: ways.told(any_address(rng), (any_address(rng),) * 3, now),
            "attached": lambda ways, rng, _: ways.attached(_either(rng, None, (peer(rng), LOGIN)), route(rng)),
        },
        real=lambda ways: {
            "number": [number for way in ways._ways.values() for number in way.asked],
            "request": [
                *ways.standby._requests,
                *(question.request for question in ways.standby.welcome._questions.values()),
            ],
            "token": [channel.token.to_bytes(8, "big") for channel in ways.relays],
        },
    ),
    Subject(
        "relayer",
        _of_nodes("relayer"),
        lambda relayer: relayer.channels > 0,
        _relayer_hears,
        hears=(path.RelayRequest, path.RelayClose),
        tidings={
            "carried": _carried,
            "up": _relayer_up,
            "down": lambda relayer, rng, now: relayer.down(peer(rng), now),
        },
        real=lambda relayer: {"token": [token.to_bytes(8, "big") for token in relayer._channels]},
        bounds={"_channels": 400, "_linked": 4_096, "_node_of": 4_096},
    ),
    Subject(
        "call",
        lambda town: [line.call for line in _lines(town)],
        lambda call: (call.state.name, call.outgoing, call.peer is not None),
        lambda call, message, _, now: call.receive(message, now),
        intents={
            "reached": lambda call, rng, now: call.reached(peer(rng), now),
            "rings": lambda call, rng, now: call.rings(peer(rng), now),
            "answer": lambda call, _, now: call.answer(now),
            "meet": lambda call, rng, now: call.meet(peer(rng), rng.randbytes(8), now),
            "refuse": lambda call, _, now: call.refuse(now),
            "hang_up": lambda call, _, now: call.hang_up(now),
        },
        tidings={
            "unreachable": lambda call, _, now: call.unreachable("no way", now),
            "lost": lambda call, _, now: call.lost("cut", now),
            "sound": lambda call, _, now: call.sound_heard(now),
        },
    ),
    Subject(
        "switchboard",
        _of_nodes("calls"),
        lambda board: tuple(
            (line.call.state.name, line.call.outgoing, line.reach is not None, line.closes_at < inf)
            for line in list(board._lines.values())[-1:]
        ),
        _board_hears,
        hears=(
            calls.Invite,
            calls.Ringing,
            calls.Answer,
            calls.Decline,
            calls.Bye,
            path.RelayGranted,
            path.RelayRefused,
            path.PathProbe,
            path.PathEcho,
            path.WayHints,
            path.MeetAt,
        ),
        intents={
            "dial": _dial,
            "answer": _board(lambda board, rng, now: board.answer(_a_call(board, rng), now)),
            "refuse": _board(lambda board, rng, now: board.refuse(_a_call(board, rng), now)),
            "hang_up": _board(lambda board, rng, now: board.hang_up(_a_call(board, rng), now)),
            "report": lambda board, rng, now: board.report(_a_call(board, rng), now),
        },
        tidings={
            "found": _board(_found_for),
            "up": _board(lambda board, rng, now: board.up(peer(rng), party(rng), now)),
            "down": _board(lambda board, rng, now: board.down(peer(rng), "cut", now)),
            "moved": lambda board, rng, now: board.moved(peer(rng), route(rng), now),
            "sound": lambda board, rng, now: board.sound_heard(peer(rng), rng.randbytes(30), route(rng), now),
            "attached": lambda board, rng, now: board.attached(_either(rng, None, (peer(rng), LOGIN)), route(rng), now),
            "speak": lambda board, rng, now: board.speak(_a_call(board, rng), bytes(1920), now),
            "listen": lambda board, rng, now: board.listen(_a_call(board, rng), now),
            "drain": lambda board, rng, now: board.drain(_a_call(board, rng), now),
        },
        wake=lambda board, now: _follow(board, board.wake(now), now),
        real=lambda board: {"call": board.known},
        bounds={"_queries": 64, "history": 1 << 30, "_frames": 1_000},
    ),
    Subject(
        "reliable",
        lambda town: [link.reliable for endpoint in _endpoints(town) for link in endpoint._links],
        lambda reliable: (reliable.unheard, bool(reliable._early), reliable._ack_due, reliable.round_trip > 0),
        _reliable_hears,
        tidings={
            "say": lambda reliable, rng, _: reliable.say(b"\x02\x21\x41\x00" * rng.randrange(1, 9)),
            "packets": lambda reliable, _, now: reliable.packets(now, 1_000),
            "acknowledge": lambda reliable, *_: reliable.acknowledge(),
        },
        wake=lambda reliable, now: None if reliable.dead(now) else reliable.packets(now, 1_000),
        bounds={"_unheard": 512, "_early": 64},
    ),
    Subject(
        "tickets",
        lambda town: [endpoint._reentry.tickets for endpoint in _endpoints(town)],
        lambda tickets: len(tickets._keys),
        None,
        intents={
            "give": lambda tickets, rng, now: tickets.give(rng.randbytes(32), party(rng), now, now + WALL),
            "hold": lambda tickets, rng, _: tickets.hold(
                Ticket(ticket=rng.randbytes(9), nonce=rng.randbytes(16), expires=1), rng.randbytes(32), party(rng)
            ),
            "usable": lambda tickets, rng, now: tickets.usable(rng.randbytes(rng.randrange(90)), b"", now + WALL),
            "spend": lambda tickets, rng, now: tickets.spend(
                tickets.give(rng.randbytes(32), party(rng), now, now + WALL).ticket
            ),
        },
        wake=lambda tickets, now: tickets.wake(now),
        bounds={"spent": 32_768},
    ),
    Subject(
        "endpoint",
        _endpoints,
        lambda endpoint: tuple(
            sorted(
                {
                    (type(link.route).__name__, link.session is not None, link.inbound, link.admitted is not None)
                    for link in endpoint._links
                }
            )
        ),
        _endpoint_hears,
        intents={
            "link": lambda endpoint, rng, now: endpoint.link(Peer(rng.randrange(1 << 20, 1 << 31)), route(rng), now),
            "unlink": lambda endpoint, rng, now: endpoint.unlink(peer(rng), "x" * 200, now),
            "reroute": lambda endpoint, rng, now: endpoint.reroute(peer(rng), route(rng), now),
            "send": lambda endpoint, rng, now: endpoint.send(_either(rng, peer(rng), route(rng)), overlay.Leave(), now),
            "sound": lambda endpoint, rng, now: endpoint.send_sound(peer(rng), rng.randbytes(40), now),
            "forward": lambda endpoint, rng, _: endpoint.forward(peer(rng), rng.getrandbits(64), rng.randbytes(40)),
            "flush": lambda endpoint, _, now: endpoint.flush(now),
            "ask": _ask_ticket,
            "return": _return,
        },
        tidings={
            "returns": _returns,
            "bytes": _bytes_at,
            "opened": lambda endpoint, rng, now: endpoint.stream_opened(rng.randrange(20), any_address(rng), now),
            "received": lambda endpoint, rng, now: endpoint.stream_received(rng.randrange(20), rng.randbytes(30), now),
            "closed": lambda endpoint, rng, now: endpoint.stream_closed(rng.randrange(20), now),
        },
        wake=lambda endpoint, now: [*endpoint.wake(now), *endpoint.flush(now)],
        bounds=_LINKS
        | {"_sent": 512, "_seen_by": 512, "_partial": 64, "_open": 1_024, "waiting": 65_536, "_unheard": 512}
        | {"_stirred": 4_096, "_held": 32_772, "spent": 32_768},
    ),
    Subject(
        "node",
        _nodes,
        lambda node: (
            node.supernode is not None,
            node.join.state.name,
            tuple(line.call.state.name for line in list(node.calls._lines.values())[-1:]),
            bool(node._offers),
        ),
        _node_hears,
        intents={
            "begin": lambda node, _, now: node.begin(now),
            "leave": lambda node, _, now: node.leave(now),
            "dial": lambda node, rng, now: node.act(_dial(node.calls, rng, now), now),
            "answer": lambda node, rng, now: node.act(node.calls.answer(_a_call(node.calls, rng), now), now),
            "refuse": lambda node, rng, now: node.act(node.calls.refuse(_a_call(node.calls, rng), now), now),
            "hang_up": lambda node, rng, now: node.act(node.calls.hang_up(_a_call(node.calls, rng), now), now),
            "find": lambda node, rng, now: node.act(node.searches.find(rng.choice(NAMES), now)[1], now),
            "promote": lambda node, rng, now: node.act(node.roles.promote(any_address(rng), now), now),
            "demote": lambda node, _, now: node.act(node.roles.demote("wished", now), now),
            "measured": lambda node, rng, now: node.act(
                node.roles.measured(rng.choice([0, 1_000, 10**9]), rng.random(), now), now
            ),
            "apply": lambda node, rng, now: node.act(apply(node.papers.ask, rng, now), now),
        },
        tidings={
            "up": _node_up,
            "down": _node_notice(lambda rng: Down(peer(rng), "cut")),
            "moved": _node_notice(lambda rng: Moved(peer(rng), route(rng))),
            "observed": _node_notice(lambda rng: Observed(rng.randbytes(4), rng.randrange(3), any_address(rng))),
            "ticketed": _node_notice(lambda rng: Ticketed(peer(rng), rng.randbytes(90), rng.getrandbits(40))),
            "sound": _node_notice(lambda rng: SoundHeard(peer(rng), rng.randbytes(30))),
            "carried": _node_notice(lambda rng: Carried(rng.getrandbits(64), b"x", _either(rng, None, peer(rng)))),
        },
        real=_node_real,
        bounds=_OVERLAY
        | {"_offers": 32, "_channels": 400, "_queries": 64, "history": 1 << 30, "_frames": 1_000}
        | {"_linked": 4_096, "_node_of": 4_096},
    ),
)
