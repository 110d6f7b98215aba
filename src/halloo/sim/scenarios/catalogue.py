"""All scenarios by name."""

from __future__ import annotations

from halloo.sim.scenarios import build, churn, growth, liars, login, s90, s2007, s2010, split, village
from halloo.sim.scenarios.base import Scenario

__all__ = ["SCENARIOS"]

SCENARIOS: dict[str, Scenario] = {
    module.SCENARIO.name: module.SCENARIO
    for module in (s2007, s2010, s90, login, split, build, churn, growth, liars, village)
}
