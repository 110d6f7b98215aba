"""Calls on a stage of minds: who dials whom, the sound that stands for all sound, and which calls were lost.

A call is under way from the answer on.  It is lost where it ends on its caller's side without anybody's having hung up:
nobody does, as long as the story lasts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from halloo.base.machine import Event
from halloo.call.call import Answered, Ended, Rang
from halloo.node.node import Node
from halloo.path.reach import Policy
from halloo.sim.quiet import BEAT, PCM

if TYPE_CHECKING:
    from halloo.sim.play import Play

__all__ = ["Talks"]

ANSWERED_AFTER = 1.0  # seconds that it rings
FIRST_AFTER = 5.0  # seconds until the first one dials
DIALLED_WITHIN = 20.0  # seconds in which all the others do


class Talks:
    """The calls of one stage."""

    def __init__(self, stage: Play) -> None:
        self._stage = stage
        self.under_way: list[tuple[str, str, bytes]] = []
        """Caller, callee, and the caller's number of the call."""
        self.lost: list[str] = []
        """Who lost a call with whom, and why."""
        self._dialled: dict[bytes, tuple[str, str]] = {}

    def begin(self, count: int) -> None:
        """So many calls begin, between users who have nothing else to do."""
        stage = self._stage
        present = list(stage.expected)
        chosen = stage.rng.sample(present, min(len(present) // 2 * 2, 2 * count))
        for i, (caller, callee) in enumerate(zip(chosen[::2], chosen[1::2], strict=True)):
            stage.world.plan(FIRST_AFTER + DIALLED_WITHIN * i / max(1, count), self._dial, caller, callee)
        stage.world.every(BEAT, self._beat)

    def heard(self, name: str, event: Event) -> None:
        """Something has happened to a call of somebody's."""
        match event:
            case Rang(outgoing=False):
                stage = self._stage
                stage.world.plan(ANSWERED_AFTER, self._answer, name, event.call, stage.town.node(name))
            case Answered(outgoing=True):
                callee = self._dialled.pop(event.call, None)
                if callee is not None:
                    self.under_way.append((*callee, event.call))
            case Ended():
                self._ended(name, event)

    def _dial(self, caller: str, callee: str) -> None:
        stage = self._stage
        if stage.town.runs(caller):
            call, effects = stage.town.node(caller).calls.dial(callee, Policy.ANY, stage.world.now)
            self._dialled[call] = caller, callee
            stage.town.act(caller, effects)

    def _answer(self, name: str, call: bytes, node: Node) -> None:
        stage = self._stage
        if stage.town.runs(name) and stage.town.node(name) is node and call in node.calls.ringing:
            stage.town.act(name, node.calls.answer(call, stage.world.now))

    def _beat(self) -> bool:
        """A sign of sound in each call, both ways."""
        town, world = self._stage.town, self._stage.world
        for caller, callee, _ in list(self.under_way):
            for name in (caller, callee):
                if town.runs(name):
                    calls = town.node(name).calls
                    for active in calls.active:
                        world.speak(world.dwellers[name], calls.speak(active, PCM, world.now))
        return True

    def _ended(self, name: str, event: Ended) -> None:
        for i, (caller, callee, call) in enumerate(self.under_way):
            if call == event.call and name == caller:
                del self.under_way[i]
                self.lost.append(f"{caller} to {callee}: {event.reason}")
                return
