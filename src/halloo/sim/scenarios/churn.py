"""Steady churn: users and supernodes come and go as they do, and are looked for all the time."""

from __future__ import annotations

from halloo.sim.figures import Criterion, Outcome
from halloo.sim.lifetimes import SUPERNODES, USERS
from halloo.sim.play import Progress, Setting
from halloo.sim.scenarios.base import Scenario
from halloo.sim.stages import stage_of

__all__ = ["SCENARIO"]

HOURS = 1.0
SEARCHES = 12_000  # enough to see one failure in ten thousand


def play(setting: Setting, progress: Progress | None) -> Outcome:
    """Play it."""
    seconds = 3_600.0 * (setting.hours or HOURS)
    stage = stage_of(setting, length=seconds, progress=progress)
    stage.come_up()
    churn = stage.churn(SUPERNODES, USERS)
    churn.begin()
    stage.mark()
    before = stage.searching_said()
    stage.search_often(SEARCHES / seconds, seconds - 20.0)
    churn.look_for_recent(SEARCHES / 10 / seconds)
    stage.run(seconds)
    outcome = stage.outcome(SCENARIO.name)
    asked = stage.found_on_line.asked + stage.found_recent.asked
    outcome.figures |= stage.upkeep()
    outcome.figures |= {
        "search_messages": round((stage.searching_said() - before) / asked, 3) if asked else None,
        "share_on_line": churn.share_on_line(),
        "join_p50_s": churn.join_time(0.5),
        "join_p99_s": churn.join_time(0.99),
        "sessions_ended": churn.ended,
        "supernodes_ended": churn.supernodes_ended,
    }
    outcome.criteria = (
        Criterion("search_success", "searches for users on line that found them", least=0.9999),
        Criterion("recent_success", "searches for users seen within 72 hours that found them", least=0.999),
        Criterion("search_round_trips", "round trips of a search, on the average", most=1.6),
        Criterion("search_messages", "messages of a search, on the average", most=3.2),
        Criterion("search_p50_ms", "median time of a search, ms", most=145),
        Criterion("search_p99_ms", "and of the slowest of a hundred, ms", most=500),
        Criterion("node_idle_bits_per_s", "bit/s of an ordinary node beside keeping its binding alive", most=100),
        Criterion("supernode_bytes_per_s_at_800", "bytes/s of a supernode with 800 nodes", most=5_000),
    )
    return outcome


SCENARIO = Scenario("churn", "users and supernodes come and go, and are looked for", play)
