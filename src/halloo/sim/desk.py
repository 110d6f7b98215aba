"""How much a supernode can do: logins wait at its desk, one after the other.

A login costs what it costs: a handshake with its keys and signatures, a record for nine others, a page of addresses.
A guest, who comes for a relay, costs the handshake.
A desk that has rested does a little at once; who comes while others wait, waits behind them; whoever would wait
for longer than a handshake lasts is not even heard, as a datagram for which the socket has no room.
"""

from __future__ import annotations

from dataclasses import dataclass

from halloo.link.onelink import HELLO_FOR

__all__ = ["Desk", "Work"]


@dataclass(frozen=True, slots=True)
class Work:
    """What each supernode of a world can do in a second.  ``logins``: in full; ``resumed``: of links resumed, as long
    as nobody is taken by them, and handshakes of other supernodes, which bring no record and take no page.
    """

    logins: float = 2.0
    resumed: float = 50.0
    at_once: float = 1.0
    """Seconds of work that a desk which has rested does at once."""


class Desk:
    """The desk of one supernode."""

    __slots__ = ("attempts", "busiest", "busy_until", "refused", "work")

    def __init__(self, work: Work) -> None:
        self.work = work
        self.busy_until = 0.0
        self.attempts = 0.0
        """Logins that were begun here, heard or not; who came back with a ticket, or as a guest, as what he costs."""
        self.refused = 0
        """Handshakes for which there was no room."""
        self.busiest = 0.0
        """The longest wait so far, in seconds."""

    def wait(self, now: float, share: float, *, again: bool = False) -> float | None:
        """Take a handshake in: seconds until it is answered; None: there is no room.

        ``share``: of a login's work, 0: a link is resumed; ``again``: a Hello is said again.
        """
        self.attempts += 0.0 if again else share
        took = share / self.work.logins or 1.0 / self.work.resumed
        backlog = max(0.0, self.busy_until - now)
        wait = max(0.0, backlog + took - self.work.at_once)
        if wait > HELLO_FOR:
            self.refused += 1
            return None
        self.busiest = max(self.busiest, wait)
        self.busy_until = now + backlog + took
        return wait

    def took(self, share: float, now: float) -> None:
        """Somebody who came back with a ticket was taken: ``share`` of a login's work."""
        self.attempts += share
        self.busy_until = max(self.busy_until, now) + share / self.work.logins
