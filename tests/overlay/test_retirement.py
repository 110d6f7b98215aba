"""How a supernode goes: nothing new first, then the nodes one after another, and who cannot go without harm stays."""

from __future__ import annotations

import itertools

from halloo.base.address import Peer
from halloo.base.effects import Send
from halloo.base.machine import Effects
from halloo.messages.role import Move
from halloo.overlay.retirement import (
    AGAIN,
    CALLS_FOR,
    PATIENCE,
    SELDOM,
    SHED_EVERY,
    SPREAD,
    Retired,
    Retirement,
)
from halloo.overlay.supernode import Supernode
from halloo.sim.mindtown import MindTown, user_address


def town(users: int, supernodes: int = 2, seed: int = 1) -> tuple[MindTown, Supernode]:
    """A supernode with nodes, in a town; what it says from here on is not heard."""
    held = MindTown(seed, supernodes, pace=None)
    held.start("supernode0")
    held.world.run(10.0)
    for number in range(users):
        name = f"user{number}"
        held.household(name, user_address(number, inside=False), user=True)
        held.start(name)
    held.world.run(60.0)
    for number in range(1, supernodes):
        held.start(f"supernode{number}")
    held.world.run(100.0)
    supernode = held.node("supernode0").supernode
    assert supernode is not None
    assert len(supernode.clients) == users
    return held, supernode


def told(effects: Effects) -> list[Peer]:
    """Who is asked to move."""
    return [effect.to for effect in effects if isinstance(effect, Send) and isinstance(effect.message, Move)]  # type: ignore[misc]


def gone(
    retirement: Retirement, begin: float, until: float
) -> tuple[dict[Peer, list[float]], list[tuple[float, Retired]]]:
    """Who is asked to move, and when; and when it is over."""
    now = begin
    asked: dict[Peer, list[float]] = {}
    over: list[tuple[float, Retired]] = []
    while retirement.wake_at <= until:
        now = retirement.wake_at
        effects = retirement.wake(now)
        for peer in told(effects):
            asked.setdefault(peer, []).append(now)
        over += [(now, effect) for effect in effects if isinstance(effect, Retired)]
    return asked, over


def test_nodes_are_asked_one_after_another_and_again() -> None:
    held, supernode = town(12)
    begin = held.world.now
    supernode.retire(begin)
    assert supernode.clients.room == 0
    assert supernode.retirement.begun
    assert not supernode.retire(begin + 0.5)  # once
    asked, over = gone(supernode.retirement, begin, begin + 2 * AGAIN)
    assert len(asked) == 12
    assert not over
    moments = sorted(at for times in asked.values() for at in times[:1])
    assert all(b - a >= 0.9 * SELDOM for a, b in itertools.pairwise(moments))
    assert all(b - a >= AGAIN for times in asked.values() for a, b in itertools.pairwise(times))


def test_many_are_spread_over_two_minutes() -> None:
    held, supernode = town(200)
    begin = held.world.now
    supernode.retire(begin)
    asked, _ = gone(supernode.retirement, begin, begin + SPREAD + 5.0)
    assert len(asked) == 200
    first = sorted(times[0] for times in asked.values())
    assert sum(at < begin + SPREAD / 2 for at in first) <= 0.6 * 200  # never all at once


def test_where_nobody_moves_it_ends_with_their_number() -> None:
    held, supernode = town(3)
    begin = held.world.now
    supernode.retire(begin)
    _, over = gone(supernode.retirement, begin, begin + 2 * PATIENCE)
    ((at, retired),) = over
    assert PATIENCE <= at - begin <= PATIENCE + 5.0
    assert retired.clients == 3


def test_calls_that_pass_are_heard_to_their_end() -> None:
    held, supernode = town(0)
    begin = held.world.now
    supernode.retire(begin)
    supernode.retirement.busy = True
    _, over = gone(supernode.retirement, begin, begin + PATIENCE + CALLS_FOR - 5.0)
    assert not over
    supernode.retirement.busy = False
    _, over = gone(supernode.retirement, begin, begin + 2 * CALLS_FOR)
    assert len(over) == 1


def test_who_stays_takes_nodes_again_and_sits_down_again() -> None:
    held, supernode = town(3)
    supernode.retire(held.world.now)
    held.world.run(held.world.now + 0.5)
    supernode.stay(held.world.now)
    assert supernode.clients.room > 0
    assert not supernode.retirement.begun
    held.act("supernode0", [])
    held.world.run(held.world.now + 30.0)
    assert supernode.block.slot < 8
    other = held.node("supernode1").supernode
    assert other is not None
    assert supernode.node in other.block.roster.members


def test_without_another_supernode_nobody_is_sent_away() -> None:
    held, supernode = town(3, supernodes=1)
    begin = held.world.now
    supernode.retire(begin)
    asked, over = gone(supernode.retirement, begin, begin + 2 * PATIENCE)
    assert not asked
    assert over[0][1].clients == 3
    assert not supernode.shed(begin)


def test_too_much_work_moves_the_newest_first_and_slowly() -> None:
    held, supernode = town(5)
    newest = supernode.clients.peers()[::-1]
    begin, moved = held.world.now, []
    for tenth in range(int(10 * 4.5 * SHED_EVERY)):
        moved += told(supernode.shed(begin + tenth / 10))
    assert moved == newest[:5]
    assert not supernode.retirement.begun
    assert len(supernode.clients) == 5  # until they go of themselves
