"""S-login: the login servers are dark for a day; everything goes on but signing up and changing the password.

What would ask them is the code of nodes, so this is played with it up to 2,000 nodes, the better part of an hour.  A
crowd, in which nobody ever asks them, shows the coming and going of a day.
"""

from __future__ import annotations

from halloo.sim.figures import Criterion, Outcome
from halloo.sim.lifetimes import SUPERNODES, USERS
from halloo.sim.play import Progress, Setting
from halloo.sim.scenarios.base import Scenario
from halloo.sim.stages import stage_of

__all__ = ["SCENARIO"]

DARK = 86_400.0  # seconds


def play(setting: Setting, progress: Progress | None) -> Outcome:
    """Play it."""
    dark = 3_600.0 * setting.hours or DARK
    stage = stage_of(setting, length=dark + 30.0, progress=progress)
    stage.come_up()
    stage.run(30.0)
    stage.world.kill("login")
    churn = stage.churn(SUPERNODES, USERS)
    churn.begin()
    stage.search_often(max(0.1, 20_000 / dark), dark)
    stage.run(dark)
    back = stage.until_back(stage.now, churn.settled(), 60.0)
    outcome = stage.outcome(SCENARIO.name)
    outcome.figures |= {
        "logins_meanwhile": stage.joins,
        "not_on_line": None if back is None else len([n for n in churn.settled() if n not in stage.on_line]),
        "share_on_line": churn.share_on_line(),
        "join_p99_s": churn.join_time(0.99),
    }
    outcome.criteria = (
        Criterion("search_success", "searches for users on line that found them", least=0.9999),
        Criterion("share_on_line", "of those who want to be on line a minute after they began", least=0.999),
        Criterion("calls_lost", "calls under way that were lost", most=0),
        Criterion("joins_given_up", "nodes that gave joining up", most=0),
    )
    return outcome


SCENARIO = Scenario(
    "s-login", "the login servers are dark for 24 hours, users come and go", play, nodes=1_000, minds_most=2_000
)
