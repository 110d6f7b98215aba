"""What a station needs of whoever thinks behind it."""

from __future__ import annotations

from typing import Protocol

from halloo.base.machine import Effects
from halloo.link.notice import Notice

__all__ = ["Mind"]


class Mind(Protocol):
    """A node, or a login server."""

    @property
    def wake_at(self) -> float:
        """When ``wake`` has something to do."""

    def receive(self, notice: Notice, now: float) -> Effects:
        """What the endpoint has to tell."""

    def wake(self, now: float) -> Effects:
        """Do what is due."""
