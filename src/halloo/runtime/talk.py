"""The sound of one call against the clock: every 20 ms a frame from the source, and one to the sink.

Frame n of the source is spoken in the 20 ms that end at tick n + 1; frame n of the sink is played from tick n on.
Both counts begin when the call was answered, so that a recording begins at that moment.  A late turn of the loop is
made up for at once, so that neither side's clock drifts.
"""

from __future__ import annotations

import asyncio

from halloo.media.codec import FRAME_SECONDS, SILENCE
from halloo.node.node import Node
from halloo.runtime.loop import Driver
from halloo.runtime.sound import Sink, Source

__all__ = ["Talk"]

class Talk:
    """Drives the sound of one call until it is stopped.  ``ends``: the call is over when the source is."""

    def __init__(
        self, driver: Driver, node: Node, call: bytes, source: Source, sink: Sink, began: float, *, ends: bool
    ) -> None:
        self._driver = driver
        self._node = node
        self._call = call
        self._source = source
        self._sink = sink
        self._began = began
        self._ends = ends
        self._tick = 0
        self._timer: asyncio.TimerHandle | None = None
        self.said_all = asyncio.Event()
        """Set when the source has come to its end."""
        self._turn()

    def stop(self) -> None:
        """No more sound but what had arrived already.  Harmless when called twice."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for frame in self._node.calls.drain(self._call, self._driver.now):
            self._sink.write(frame)

    def _turn(self) -> None:
        now = self._driver.now
        while self._began + self._tick * FRAME_SECONDS <= now:
            if self._tick and not self._speak(now):
                self.said_all.set()
            heard = self._node.calls.listen(self._call, now)
            if heard is None:
                return  # the call is over
            self._sink.write(heard)
            self._tick += 1
        self._timer = asyncio.get_running_loop().call_at(self._began + self._tick * FRAME_SECONDS, self._turn)

    def _speak(self, now: float) -> bool:
        """One frame from the source; False when it has ended, and silence was sent so that the line stays alive."""
        frame = self._source.read()
        if frame is None and self._ends:
            return False
        self._driver.do(self._node.act(self._node.calls.speak(self._call, frame or SILENCE, now), now))
        return frame is not None
