"""Who has said how much since when: bytes a second of nodes, beside what keeps their links and bindings alive."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from halloo.sim.minds import Dweller, MindWorld
from halloo.sim.tally import KEEP_ALIVE, Said

__all__ = ["OF_CLIENTS", "Counting"]

SPENDERS = 100  # nodes of a kind that are looked at for a curve
MANY = 800  # nodes of a supernode for which its bytes are worked out
_ASKING = ("Search", "Found")
_SPEAKING = ("Search", "Found", "Ack of Search", "Ack of Found", "Sound")
OF_CLIENTS = frozenset(
    {
        *("Pong", "Ack of Ping", "Stored", "Ack of Store", "Attached", "Ack of Attach"),
        *("HelloAnswer", "ProbeAccept", "RenewAnswer", "Ack of Finish"),
        *("Keep", "Kept", "Replicate", "Replicated", "Ack of Replicate", "Ack of Replicated"),
        *("Refresh", "Ack of Refresh", "Alive", "Ack of Alive"),
    }
)
"""What a supernode says because of each node that is attached to it, or, which is as many, whose record it holds."""


class Counting:
    """The counts of one world."""

    def __init__(self, world: MindWorld) -> None:
        self._world = world
        self._before: dict[str, tuple[Dweller, Said]] = {}
        self._since = 0.0
        self._totals: dict[str, tuple[Dweller, float]] = {}

    def mark(self) -> None:
        """Count what is said from here on."""
        self._before = {name: (dweller, dict(dweller.said)) for name, dweller in self._world.dwellers.items()}
        self._since = self._world.now

    def steady(self, names: Iterable[str]) -> list[str]:
        """Those of ``names`` whose program has run since the mark."""
        dwellers = self._world.dwellers
        return [name for name in names if name in self._before and dwellers.get(name) is self._before[name][0]]

    def said(self, names: Iterable[str]) -> Said:
        """What these have said since the mark, if they have run since then."""
        total: Said = {}
        for name in self.steady(names):
            dweller, before = self._before[name]
            for kind, count in dweller.said.items():
                total[kind] = total.get(kind, 0) + count - before.get(kind, 0)
        return total

    def rate(self, names: Sequence[str], *, without: Iterable[str] = ()) -> float | None:
        """Bytes a second that one of ``names`` has said on the average since the mark; None where none has run."""
        steady, seconds = self.steady(names), self._world.now - self._since
        if not steady or seconds <= 0:
            return None
        return self._world.tally.total(self.said(steady), without=without) / len(steady) / seconds

    def lately(self, names: Sequence[str], seconds: float) -> float:
        """The same by a sample, since this was asked last, ``seconds`` ago."""
        spent, counted = 0.0, 0
        for name in names[:: max(1, len(names) // SPENDERS)]:
            dweller = self._world.dwellers.get(name)
            if dweller is None:
                self._totals.pop(name, None)
                continue
            total = self._world.tally.total(dweller.said)
            before = self._totals.get(name)
            self._totals[name] = dweller, total
            if before is not None and before[0] is dweller:
                spent += max(0.0, total - before[1])  # a mean that is known better now may take some back
                counted += 1
        return round(spent / counted / seconds, 2) if counted else 0.0

    def searching(self) -> int:
        """How many messages of searches have been said by all who run."""
        return sum(dweller.said.get(kind, 0) for dweller in self._world.dwellers.values() for kind in _ASKING)

    def upkeep(self, users: Sequence[str], supernodes: Sequence[str], attached: int) -> dict[str, float | None]:
        """What ordinary nodes and supernodes have said, in bytes a second; ``attached``: how many users there are."""
        idle = self.rate(users, without=(*KEEP_ALIVE, *_SPEAKING))
        whole, alive = self.rate(users), self.rate(supernodes)
        of_others = [kind for kind in self.said(supernodes) if kind not in OF_CLIENTS]
        of_clients = self.rate(supernodes, without=of_others)
        clients = attached / max(1, len(supernodes))
        at_many = None
        if alive is not None and of_clients is not None and clients:
            at_many = alive + of_clients / clients * (MANY - clients)
        return {
            "node_idle_bits_per_s": _rounded(None if idle is None else 8 * idle),
            "node_bytes_per_s": _rounded(whole),
            "supernode_bytes_per_s": _rounded(alive),
            f"supernode_bytes_per_s_at_{MANY}": _rounded(at_many),
            "clients_per_supernode": round(clients, 1),
        }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 2)
