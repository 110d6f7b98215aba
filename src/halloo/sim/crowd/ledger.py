"""How many bytes the rows and supernodes of a crowd have said."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from halloo.sim.counting import OF_CLIENTS
from halloo.sim.crowd.ground import Floats

__all__ = ["Ledger"]

_OF_CLIENTS = OF_CLIENTS | {"Refresh to a holder"}


class Ledger:
    """Sums by row and by supernode, in bytes.  Signs of life are not in the users': they are even."""

    def __init__(self, users: int, supernodes: int, size: Callable[[str], float]) -> None:
        self.size = size
        self._sizes: dict[str, float] = {}
        self.users = np.zeros(users, np.float32)
        self.speaking = np.zeros(users, np.float32)
        """Of searches, and what answers them."""
        self.supernodes: Floats = np.zeros(supernodes)
        self.of_clients: Floats = np.zeros(supernodes)
        self.messages = 0

    def of(self, name: str) -> float:
        """Bytes of one message of a kind."""
        size = self._sizes.get(name)
        if size is None:
            size = self._sizes[name] = self.size(name)
        return size

    def user(self, name: str, rows: Any) -> None:
        """Each of these rows says one."""
        if len(rows):
            np.add.at(self.users, rows, np.float32(self.of(name)))
            self.messages += len(rows)

    def supernode(self, name: str, numbers: Any, *, times: Any = 1.0, of_client: bool = False) -> None:
        """Each of these supernodes says one, or so many."""
        if len(numbers):
            size = self.of(name)
            np.add.at(self.supernodes, numbers, size * times)
            if of_client or name in _OF_CLIENTS:
                np.add.at(self.of_clients, numbers, size * times)
            self.messages += int(np.sum(times)) if np.ndim(times) else int(times * len(numbers))
