"""A town in virtual time: calls over every path, on bad lines, with what breaks in the middle."""

from __future__ import annotations

import pytest
from town_calls import Talkers, call_in_town

from halloo.base.address import Address
from halloo.call.call import Ended, Result
from halloo.node.switchboard import PathKind
from halloo.overlay.join import Joined, JoinFailed, Lost
from halloo.overlay.search import SearchDone
from halloo.path.reach import Policy
from halloo.sim.town import Town


def test_a_call_rings_is_answered_and_ends_on_both_sides() -> None:
    told = call_in_town(1)
    assert told.over
    assert told.report.result is Result.ENDED
    assert told.report.path is PathKind.DIRECT
    assert told.theirs is not None
    assert told.theirs.result is Result.ENDED
    assert told.theirs.reason == "alice hung up"
    # Three round trips of 40 ms: search, handshake, invitation.
    assert told.report.setup == pytest.approx(0.12, abs=0.005)
    assert told.report.frames_played > 0.9 * told.report.frames_sent
    assert told.town.world.residents["alice"].station.endpoint.faults == 0


def test_a_call_through_a_supernode() -> None:
    told = call_in_town(2, policy=Policy.RELAYED)
    assert told.report.result is Result.ENDED
    assert told.report.path is PathKind.RELAYED
    assert told.theirs is not None
    assert told.theirs.path is PathKind.RELAYED
    told.town.world.run(told.town.world.now + 120)
    for name in ("supernode0", "supernode1", "supernode2"):
        relayer = told.town.node(name).relayer
        assert relayer is not None
        assert relayer.channels == 0


def test_udp_blocked_between_the_two_goes_over_tcp() -> None:
    told = call_in_town(3, policy=Policy.DIRECT, blocked=("alice", "bob"))
    assert told.report.result is Result.ENDED
    assert told.report.route.startswith("tcp")
    assert told.report.frames_played > 0


def test_udp_blocked_between_the_two_falls_back_to_the_relay_when_that_is_sooner() -> None:
    told = call_in_town(4, blocked=("alice", "bob"))
    assert told.report.result is Result.ENDED
    assert told.report.frames_played > 0
    assert told.report.setup is not None
    assert told.report.setup < 1.5


def test_a_node_without_udp_is_on_line_over_tcp_within_seconds() -> None:
    told = call_in_town(5, no_udp=("alice",))
    (joined,) = told.town.world.events(Joined, "alice")
    assert joined.way == "tcp 33033"
    assert joined.took < 5
    assert told.report.result is Result.ENDED
    assert told.report.frames_played > 0


@pytest.mark.parametrize("supernodes", [1, 2, 12])
def test_from_one_supernode_to_a_dozen(supernodes: int) -> None:
    told = call_in_town(6, supernodes=supernodes)
    assert told.report.result is Result.ENDED


@pytest.mark.slow
@pytest.mark.parametrize("hundred", range(4))
def test_every_call_ends_on_both_sides_whatever_is_lost(hundred: int, whole: bool) -> None:
    """The property; the seed of a failure is in the message."""
    for seed in range(100 * hundred, 100 * hundred + (100 if whole else 30)):  # ten of both policies and five losses
        policy = (Policy.ANY, Policy.RELAYED)[seed % 2]
        told = call_in_town(seed, policy=policy, loss=(seed % 5) / 10, jitter=0.03, duplicated=0.05)
        assert told.over, f"seed {seed}: a side still believes in the call"
        if told.report.answered_at is not None:
            assert told.report.result is Result.ENDED, f"seed {seed}"
        if seed % 5 == 0:
            assert told.report.result is Result.ENDED, f"seed {seed}: {told.report.reason}"


@pytest.mark.parametrize("profile", ["modern", "classic"])
@pytest.mark.parametrize("policy", [Policy.DIRECT, Policy.RELAYED])
def test_the_real_suites_in_virtual_time(profile: str, policy: Policy) -> None:
    told = call_in_town(7, policy=policy, profile=profile, loss=0.05)
    assert told.report.result is Result.ENDED


def test_one_seed_tells_one_story() -> None:
    stories = []
    for _ in range(2):
        told = call_in_town(8, loss=0.2, jitter=0.05)
        stories.append([(at, who, repr(event)) for at, who, event in told.town.world.story])
    assert stories[0] == stories[1]


def test_the_other_side_dies_in_the_middle() -> None:
    def dies(town: Town) -> None:
        town.world.kill("bob")
        town.world.run(town.world.now + 30)  # the call waits for half a minute for a way to him

    told = call_in_town(9, talk=dies)
    assert told.report.result is Result.ENDED
    assert "nothing was heard" in told.report.reason or "lost" in told.report.reason


def test_the_callers_address_changes_in_the_middle_and_the_call_goes_on() -> None:
    told = call_in_town(10, talk=lambda town: town.world.move("alice", Address.parse("10.9.9.9:5555")))
    assert told.report.result is Result.ENDED
    assert told.theirs is not None
    assert told.theirs.route == "udp 10.9.9.9:5555"
    assert told.theirs.frames_played > 0.8 * told.report.frames_sent


def test_the_supernode_dies_and_another_is_found() -> None:
    told = call_in_town(11)
    town, world = told.town, told.town.world
    before = town.node("alice").join.supernode
    dead = next(name for name, resident in world.residents.items() if resident.address == before)
    world.kill(dead)
    world.run(world.now + 120)
    assert world.events(Lost, "alice")
    assert town.node("alice").join.supernode not in (None, before)
    number, effects = town.node("alice").searches.find("bob", world.now)
    town.act("alice", effects)
    world.run(world.now + 10)
    (done,) = [event for event in world.events(SearchDone, "alice") if event.number == number]
    assert [entry.name for entry in done.entries] == ["bob"]


def test_refused_busy_unknown_and_off_line() -> None:
    town = Town(12)
    talkers = Talkers(town)
    for name in ("alice", "bob", "carol"):
        talkers.settle(name, answers=name != "carol")
    town.world.run(5)
    first = talkers.dial("alice", "bob")
    town.world.run(town.world.now + 4)
    busy = talkers.dial("carol", "bob")
    town.world.run(town.world.now + 4)
    report = town.node("carol").calls.report(busy, town.world.now)
    assert (report.result, report.reason) == (Result.BUSY, "bob is in another call")
    town.act("alice", town.node("alice").calls.hang_up(first, town.world.now))
    town.world.run(town.world.now + 10)

    refused = talkers.dial("alice", "carol")
    town.world.run(town.world.now + 1)
    (ringing,) = town.node("carol").calls.active
    town.act("carol", town.node("carol").calls.refuse(ringing, town.world.now))
    town.world.run(town.world.now + 5)
    assert town.node("alice").calls.report(refused, town.world.now).result is Result.REFUSED

    unknown = talkers.dial("alice", "nobody")
    town.world.run(town.world.now + 10)
    report = town.node("alice").calls.report(unknown, town.world.now)
    assert report.result is Result.UNREACHABLE
    assert "nobody of that name is known here" in report.reason

    town.world.kill("bob")
    gone = talkers.dial("alice", "bob")
    town.world.run(town.world.now + 30)
    report = town.node("alice").calls.report(gone, town.world.now)
    assert report.result is Result.UNREACHABLE
    assert "bob could not be reached" in report.reason


@pytest.mark.parametrize("apart", [0.0, 0.01, 0.05, 0.09])
@pytest.mark.parametrize("seed", range(6))
def test_two_who_call_each_other_at_the_same_moment_talk(seed: int, apart: float) -> None:
    town = Town(seed)
    talkers = Talkers(town)
    for name in ("alice", "bob"):
        talkers.settle(name, answers=False)
    town.world.run(5)
    mine = talkers.dial("alice", "bob")
    town.world.run(town.world.now + apart)
    theirs = talkers.dial("bob", "alice")
    town.world.run(town.world.now + 6)
    for name, call in (("alice", mine), ("bob", theirs)):
        report = town.node(name).calls.report(call, town.world.now)
        assert report.result is None, f"seed {seed}: {name}: {report.reason}"
        assert report.frames_played > 10
    town.act("bob", town.node("bob").calls.hang_up(theirs, town.world.now))
    town.world.run(town.world.now + 3)
    report = town.node("alice").calls.report(mine, town.world.now)
    assert (report.result, report.reason) == (Result.ENDED, "bob hung up")
    town.world.run(town.world.now + 20)
    assert not town.node("alice").calls.active
    assert not town.node("bob").calls.active


def test_an_unanswered_call_stops_ringing_on_both_sides() -> None:
    town = Town(13)
    talkers = Talkers(town)
    talkers.settle("alice")
    talkers.settle("bob", answers=False)
    town.world.run(5)
    call = talkers.dial("alice", "bob")
    town.world.run(town.world.now + 70)
    assert town.node("alice").calls.report(call, town.world.now).result is Result.NO_ANSWER
    ended = town.world.events(Ended, "bob")
    assert [event.result for event in ended] == [Result.NO_ANSWER]


def test_no_supernode_anywhere_is_said_by_the_classic_ladder_after_five_rounds() -> None:
    town = Town(14, supernodes=2, profile="classic")
    town.world.kill("supernode0")
    town.world.kill("supernode1")
    talkers = Talkers(town)
    talkers.settle("alice")
    town.world.run(300)
    (failed,) = town.world.events(JoinFailed, "alice")
    assert len(failed.tried) == 2
    # Five rounds of 17 s and four pauses of 6 s.
    (at,) = [at for at, _, event in town.world.story if isinstance(event, JoinFailed)]
    assert at == pytest.approx(109, abs=2)
