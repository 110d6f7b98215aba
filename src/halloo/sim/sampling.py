"""What is looked at on a stage of minds every few seconds: for curves, and for what only a curve shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from halloo.sim.counting import Counting
from halloo.sim.desk import Desk

if TYPE_CHECKING:
    from halloo.sim.play import Play

__all__ = ["SAMPLE", "Sampling"]

SAMPLE = 5.0  # seconds between two samples


class Sampling:
    """The samples of one stage."""

    def __init__(self, stage: Play, counting: Counting) -> None:
        self._stage = stage
        self._counting = counting
        self._serving: dict[str, None] = {}
        """Who was a supernode when we looked last."""
        self._attempts: dict[str, tuple[Desk, float]] = {}

    def left_in_order(self, name: str) -> None:
        """Somebody is a supernode no more, and has said so."""
        self._serving.pop(name, None)

    def sample(self) -> None:
        """Look."""
        stage = self._stage
        now_supernodes = dict.fromkeys(stage.supernodes_now())
        for name in [name for name in self._serving if name not in now_supernodes]:
            if stage.town.runs(name):
                stage.shut_down += 1  # it runs on, and takes nobody in any more
            del self._serving[name]
        refused = 0
        peak = 0.0
        for name in now_supernodes:
            self._serving[name] = None
            desk = stage.world.dwellers[name].desk
            if desk is not None:
                desk_before, before = self._attempts.get(name, (desk, 0.0))
                begun = desk.attempts - (before if desk is desk_before else 0)
                peak = max(peak, begun / (SAMPLE + stage.setting.work.at_once))  # what a rested desk does in that time
                self._attempts[name] = desk, desk.attempts
                refused += desk.refused
        if stage.series:  # before the first sample lies more than the time of one: that in which the calls were made
            stage.attempts_peak = max(stage.attempts_peak, peak)
        stage.series.append(
            {
                "node_bytes_per_s": self._counting.lately(stage.users, SAMPLE),
                "supernode_bytes_per_s": self._counting.lately(list(now_supernodes), SAMPLE),
                "time": round(stage.now, 3),
                "on_line": len(stage.on_line),
                "expected": len(stage.expected),
                "supernodes": len(now_supernodes),
                "roles_changed": stage.promoted + stage.demoted,
                "joins": stage.joins,
                "losses": stage.losses,
                "dropped_handshakes": refused,
                "attempts_peak": peak,
                "calls": len(stage.calls),
                "calls_lost": len(stage.calls_lost),
                "delivered": stage.world.delivered,
            }
        )
