"""Liars: a fifth of the supernodes lie about records, while users and supernodes come and go.

``facts/overlay.md``: no supernode can forge or roll back a record, nor hide one unless all who hold it agree.
"""

from __future__ import annotations

from random import Random

from halloo.sim.figures import Criterion, Outcome
from halloo.sim.liars import LIES, Liar
from halloo.sim.lifetimes import SUPERNODES, USERS
from halloo.sim.play import Play, Progress, Setting
from halloo.sim.population import Churn
from halloo.sim.scenarios.base import Scenario

__all__ = ["SCENARIO"]

LYING = 0.2  # of the supernodes
LIARS_FOR = 1_800.0  # seconds that they are watched
SETTLING = 300.0  # seconds after which those whose own supernode lied must have found out
SEARCHES = 6_000


def play(setting: Setting, progress: Progress | None) -> Outcome:
    """Play it."""
    seconds = 3_600.0 * setting.hours if setting.hours else LIARS_FOR
    stage = Play(setting, length=seconds + SETTLING, progress=progress)
    rng = Random(f"{setting.seed}/liars")
    liars: dict[str, Liar] = {}
    for i, name in enumerate(rng.sample(stage.supernodes, round(LYING * len(stage.supernodes)))):
        liars[name] = Liar(Random(f"{setting.seed}/{name}/lies"), LIES[i % len(LIES)], pretends=i // len(LIES) % 2 == 0)
    stage.tongues = liars
    stage.come_up()
    churn = Churn(stage, SUPERNODES, USERS)
    churn.begin()
    stage.run(SETTLING)
    stage.search_often(SEARCHES / seconds, seconds - 20.0)
    churn.look_for_recent(SEARCHES / 10 / seconds)
    stage.run(seconds)
    outcome = stage.outcome(SCENARIO.name)
    outcome.figures |= {
        "liars": len(liars),
        "lies": sum(liar.lies for liar in liars.values()),
        "newest_share": stage.newest_share(),
        "nodes_of_liars": sum(len(stage.nodes_of(name)) for name in liars),
    }
    outcome.criteria = (
        Criterion("search_success", "searches for users on line that found them", least=0.999),
        Criterion("recent_success", "searches for users seen within 72 hours that found them", least=0.999),
        Criterion("newest_share", "of the records found, those that lead to where their owner is", least=0.99),
        Criterion("lies", "lies told", least=1),
    )
    return outcome


SCENARIO = Scenario("liars", "a fifth of the supernodes lie about records", play)
