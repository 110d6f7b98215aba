"""Where a crowd lives: hosts, boxes and distances of all its rows at once.

The same hosts, and for a pair the same round trip, as in a world of minds (``mindtown``, ``distances``).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from halloo.sim.distances import MEDIAN, Distances, quantiles
from halloo.sim.nat import KINDS

__all__ = ["NOBODY", "Bools", "Floats", "Ground", "Ints"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
NOBODY = 0xFFFF  # in the place of a supernode's number
MAX_SUPERNODES = NOBODY  # numbers of two bytes
MAX_USERS = 1 << 21  # hosts that ``mindtown.public_host`` has

_ODD, _ONE, _TWO = np.uint64(0x9E37_79B9_7F4A_7C15), np.uint64(0xBF58_476D_1CE4_E5B9), np.uint64(0x94D0_49BB_1331_11EB)
_BY_30, _BY_27, _BY_31 = np.uint64(30), np.uint64(27), np.uint64(31)
_ONE_WAY = MEDIAN / 2 * np.array(quantiles())
_STEPS = np.uint64(len(_ONE_WAY) - 1)


def _mix(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """What ``distances._mix`` does, to many: arrays overflow in silence."""
    x = x + _ODD
    x ^= x >> _BY_30
    x *= _ONE
    x ^= x >> _BY_27
    x *= _TWO
    x ^= x >> _BY_31
    return x


class Ground:
    """The hosts of ``users`` ordinary nodes and ``supernodes`` supernodes, and what stands before them."""

    def __init__(self, seed: int, users: int, supernodes: int, chance: np.random.Generator, *, boxes: bool) -> None:
        i = np.arange(users, dtype=np.uint64)
        self.user_hosts = _host(20 + i % 32, i // 32 % 256, i // 8_192)
        i = np.arange(supernodes, dtype=np.uint64)
        self.supernode_hosts = _host(60 + i % 150, i // 150 % 256, i // 38_400)
        self._distances = Distances(seed)
        self._mixed = _mix(np.array([seed & (1 << 64) - 1], dtype=np.uint64))[0]
        kinds = list(KINDS.values())
        drawn = chance.choice(len(kinds), users, p=[kind.share for kind in kinds]) if boxes else np.zeros(users, int)
        self.kinds = drawn.astype(np.uint8)
        self.by_udp: Bools = np.array([kind.udp for kind in kinds])[drawn]
        """By row, whether datagrams pass."""
        self.sides: dict[str, Any] = {}
        """While the network is torn: by row (``users``) and number (``supernodes``), the side."""

    def travel(self, rows: Any, supernodes: Any) -> Floats:
        """Seconds from users to supernodes, or back."""
        return self._between(self.user_hosts[rows], self.supernode_hosts[supernodes])

    def between(self, some: Any, others: Any) -> Floats:
        """Seconds from supernodes to supernodes."""
        return self._between(self.supernode_hosts[some], self.supernode_hosts[others])

    def _between(self, some: NDArray[np.uint64], others: NDArray[np.uint64]) -> Floats:
        low, high = np.minimum(some, others), np.maximum(some, others)
        low ^= self._mixed
        drawn = _mix(_mix(low) + high) & _STEPS
        out: Floats = _ONE_WAY[drawn.astype(np.int64)]
        return out

    def trip(self, row: int, number: int) -> float:
        """Seconds from one user to one supernode."""
        return self._distances.one_way(_bytes(self.user_hosts[row]), _bytes(self.supernode_hosts[number]))

    def trip_between(self, one: int, other: int) -> float:
        """The same from one supernode to another."""
        return self._distances.one_way(_bytes(self.supernode_hosts[one]), _bytes(self.supernode_hosts[other]))

    def passes(self, rows: Any, supernodes: Any) -> Any:
        """Whether anything passes between users and supernodes, as the network is torn."""
        if not self.sides:
            return True
        return self.sides["users"][rows] == self.sides["supernodes"][supernodes]

    def passes_between(self, some: Any, others: Any) -> Any:
        """The same between supernodes."""
        if not self.sides:
            return True
        return self.sides["supernodes"][some] == self.sides["supernodes"][others]


def _host(first: NDArray[np.uint64], second: NDArray[np.uint64], third: NDArray[np.uint64]) -> NDArray[np.uint64]:
    out: NDArray[np.uint64] = first << np.uint64(24) | second << np.uint64(16) | third << np.uint64(8) | np.uint64(1)
    return out


def _bytes(host: Any) -> bytes:
    return int(host).to_bytes(4, "big")
