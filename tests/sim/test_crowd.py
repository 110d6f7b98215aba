"""A crowd on the stage: it tells the story that minds tell, the same each time, and does not need them."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import pytest
from click.testing import CliRunner

from halloo.base.errors import UsageError
from halloo.cli.main import cli
from halloo.overlay.join import Lost
from halloo.overlay.join import Timer as JoinTimer
from halloo.sim.crowd.crowd import noticed_after
from halloo.sim.crowd.rows import ATTACHED
from halloo.sim.crowd.stage import CrowdPlay
from halloo.sim.distances import Distances
from halloo.sim.mindtown import MindTown, user_address
from halloo.sim.play import Setting
from halloo.sim.scenarios.catalogue import SCENARIOS
from halloo.sim.stages import DEGREES, degree_for
from halloo.sim.truth import apart


def test_one_story_told_by_minds_and_by_a_crowd() -> None:
    """The larger comparison is ``python -m bench.crowd --compare 20000``."""
    for one in apart(Setting(nodes=400, calls=4), [1]):
        assert one.good, one


def test_a_loss_is_noticed_when_minds_notice_it() -> None:
    town = MindTown(5, 1, net={"distances": Distances(5)}, recorded=(Lost,))
    world = town.world
    town.start("supernode0")
    world.run(5.0)
    for i in range(6):
        town.household(f"user{i}", user_address(i, inside=False), user=True)
        town.start(f"user{i}")
    world.run(20.0)
    pings = {f"user{i}": town.node(f"user{i}").join.timers[JoinTimer.PING] for i in range(6)}
    town.stop("supernode0")
    world.run(120.0)
    for at, name, _ in world.story:
        travel = Distances(5).one_way(town.households[name].host, town.households["supernode0"].host)
        ping = town.profile.join.ping
        after = (at - pings[name]) % ping  # the last that was said may have been under way
        assert after == pytest.approx(float(noticed_after(np.array([travel]))[0]) % ping, abs=0.01)
    assert len({name for _, name, _ in world.story}) == 6


def test_a_scenario_has_the_same_figures_at_both_degrees() -> None:
    """All others share the stage; they are played by ``bench.overlay --storms``."""
    growth = SCENARIOS["growth"]
    minds, crowd = (growth.play(Setting(nodes=60, calls=2, degree=degree, hours=0.02), None) for degree in DEGREES)
    assert crowd.table().keys() == minds.table().keys()
    assert [sample.keys() for sample in crowd.series[:1]] == [sample.keys() for sample in minds.series[:1]]
    assert crowd.map


@pytest.mark.parametrize(("name", "dead"), [("s-2010", 0.28), ("s-2007", 0.4)])
def test_in_a_storm_supernodes_die_and_their_nodes_lose_them(name: str, dead: float) -> None:
    outcome = SCENARIOS[name].play(Setting(nodes=1_000, per_supernode=50, calls=6, degree="crowd"), None)
    figures = outcome.figures
    assert figures["losses"] >= 0.8 * dead * 1_000
    assert figures["on_line_least"] <= (1 - dead / 2) * 1_000
    assert figures["back_after_s"] is not None
    assert figures["calls_lost"] == 0


def test_the_command_that_is_said_to_play_it_again_names_the_degree() -> None:
    asked = ["sim", "s-2010", "--nodes", "200", "--degree", "crowd", "--places", "22"]
    told = CliRunner().invoke(cli, [*asked, "--json"])
    assert told.exit_code != 0  # who is left has no room for all, and nobody is promoted in a crowd
    assert "again: halloo sim s-2010 --nodes 200 --seed 1 --degree crowd --places 22" in told.stderr


def test_one_seed_tells_one_story() -> None:
    def told(seed: int) -> str:
        stage = CrowdPlay(Setting(nodes=300, calls=4, seed=seed), length=60.0)
        stage.come_up()
        stage.search_often(2.0, 40.0)
        for name in (*stage.supernodes[:3], *stage.users[:50]):
            stage.stop(name)
            stage.world.plan(20.0, stage.start, name)
        stage.run(60.0)
        outcome = stage.outcome("")
        return hashlib.sha256(json.dumps([outcome.table(), outcome.series, outcome.latencies]).encode()).hexdigest()

    assert told(1) == told(1) != told(2)


def test_the_command_line_chooses_a_degree_and_is_told_one() -> None:
    assert (degree_for(20_000), degree_for(20_001)) == ("minds", "crowd")
    assert degree_for(10_000, SCENARIOS["s-login"].minds_most) == "crowd"
    told = CliRunner().invoke(
        cli, ["sim", "growth", "--nodes", "60", "--degree", "crowd", "--hours", "0.01", "--json"]
    )
    table = json.loads(told.stdout)
    assert table["joins"] >= 59
    assert table["degree"] == "crowd"


def test_too_large_a_crowd_is_refused() -> None:
    with pytest.raises(UsageError, match="at most"):
        CrowdPlay(Setting(nodes=3_000_000), length=1.0)


def test_those_of_a_supernode_that_died_are_off_line_at_once_and_back_soon() -> None:
    stage = CrowdPlay(Setting(nodes=400, calls=0), length=200.0)
    stage.come_up()
    crowd = stage.crowd
    attached = int((crowd.rows.supernode == 3).sum())
    assert attached == 40
    stage.stop(stage.supernodes[3])
    crowd.apply()
    assert len(stage.on_line) == 400 - attached
    assert stage.until_back(stage.now, stage.expected, 120.0) is not None
    stage.run(60.0)
    assert int((crowd.rows.state == ATTACHED).sum()) == 400
    assert not (crowd.rows.supernode == 3).any()


def test_clients_are_counted_as_they_come_and_go() -> None:
    stage = CrowdPlay(Setting(nodes=200, calls=0), length=400.0)
    stage.come_up()
    for name in range(0, 200, 3):
        stage.stop(name)
        stage.world.plan(5.0, stage.start, name)
        if name % 2:
            stage.world.plan(15.0, stage.stop, name)
            stage.world.plan(20.0, stage.start, name)
    stage.run(130.0)
    crowd = stage.crowd
    attached = crowd.rows.supernode[crowd.rows.state == ATTACHED]
    assert crowd.desks.clients.tolist() == np.bincount(attached, minlength=len(crowd.desks)).tolist()


def test_a_torn_network_finds_nobody_across_until_it_is_whole() -> None:
    stage = CrowdPlay(Setting(nodes=400, calls=0), length=400.0)
    stage.come_up()
    sides = {name: name % 2 for name in (*stage.users, *stage.supernodes)}
    stage.tear(sides)
    stage.run(120.0)
    crowd = stage.crowd
    rows = np.flatnonzero(crowd.rows.state == ATTACHED)
    assert len(rows) >= 396
    assert (crowd.rows.supernode[rows] % 2 == rows % 2).all()
    stage.heal()
    stage.run(60.0)
    for who in range(0, 100, 2):
        stage.search(who, who + 101)
    assert stage.found_on_line.found == stage.found_on_line.asked >= 49
    assert stage.newest_share() == 1.0


def test_the_article_s_pace_wears_supernodes_down() -> None:
    worst = {}
    for pace in ("modern", "classic"):
        stage = CrowdPlay(Setting(nodes=1_000, calls=0, timings=pace), length=200.0)
        stage.come_up()
        for name in stage.rng.sample(stage.supernodes, 5):
            stage.stop(name)
        stage.run(70.0)
        worst[pace] = sum(stage.attempts())
    assert worst["classic"] > 2 * worst["modern"]
