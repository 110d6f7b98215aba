"""The mind of a login server's station: letters and questions go to the server, everything else to nobody."""

from __future__ import annotations

from math import inf

from halloo.base.machine import Effects
from halloo.link.notice import Heard, Notice
from halloo.login.server import LoginServer
from halloo.messages.log import LogAsked
from halloo.messages.login import Letter

__all__ = ["LoginMind"]


class LoginMind:
    """A station with this mind is a login server."""

    wake_at = inf

    def __init__(self, server: LoginServer) -> None:
        self.server = server

    def receive(self, notice: Notice, now: float) -> Effects:
        """Answer a letter, or a question about the log, that came in the open."""
        match notice:
            case Heard(Letter() as letter, sender) if not isinstance(sender, int):
                return self.server.receive(letter, sender, now)
            case Heard(LogAsked() as question, sender) if not isinstance(sender, int):
                return self.server.asked(question, sender, now)
        return []

    def wake(self, now: float) -> Effects:
        """Nothing is ever due."""
        return []
