"""Payloads longer than a datagram: cut on the way out, put together on the way in, and what was lost of them asked for.

    sender                          receiver
      | -- fragment 0 --------------> |
      | -- fragment 1 ---- lost       |
      | -- fragment 2, the last ----> |
      | <- fragment, wanted: 1 ------ |   when nothing new came for a while
      | -- fragment 1 --------------> |

A stranger may send fragments: what is held of one sender and of all is bounded, little is asked for and never more
than was sent, so that nobody can make us a louder echo of himself.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from math import inf
from zlib import crc32

from halloo.base.address import Route
from halloo.base.errors import Malformed, Refused
from halloo.wire.frame import Reassembly, cut, decode_wanted, encode_wanted

__all__ = ["Fragments"]

MAX_SENDERS = 64  # whose fragments are held at once; the longest held go first
MAX_PIECE = 1_400  # bytes of one fragment; no honest one is longer
MAX_KEPT = 64  # payloads of ours kept to be asked for
ANSWERS = 2  # times that pieces of one payload are sent again

Fragment = tuple[bytes, bytes]
"""Head and piece."""


@dataclass(slots=True)
class _Kept:
    frame: int
    fragments: list[Fragment]
    answers: int = ANSWERS


class Fragments:
    """Both directions of one node, by the route that fragments travel."""

    def __init__(self) -> None:
        self.wake_at = inf
        """When ``wake`` may have something to ask for."""
        self._kept: OrderedDict[tuple[Route, int], _Kept] = OrderedDict()
        self._partial: OrderedDict[Route, Reassembly] = OrderedDict()

    def cut(self, route: Route, frame: int, payload: bytes, size: int) -> list[Fragment]:
        """The fragments of a payload, at most ``size`` bytes each, to be sent under ``frame``; kept for a while.

        Their number follows from the content, so that a payload that is said again completes what was lost of it.
        """
        number = crc32(payload) & 0xFFFF
        fragments = cut(payload, size, number)
        self._kept[route, number] = _Kept(frame, fragments)
        if len(self._kept) > MAX_KEPT:
            self._kept.popitem(last=False)
        return fragments

    def hear(self, route: Route, head: bytes, piece: bytes, now: float) -> bytes | None:
        """Add one fragment; the payload when it is whole.  Raises Malformed."""
        if len(piece) > MAX_PIECE:
            raise Malformed("a fragment longer than any honest one")
        held = self._partial.get(route)
        if held is None:
            if len(self._partial) >= MAX_SENDERS:
                self._partial.popitem(last=False)
            held = self._partial[route] = Reassembly()
        whole = held.add(head, piece, now)
        self.wake_at = min(self.wake_at, held.ask_at)
        return whole

    def wanted(self, route: Route, head: bytes, body: bytes) -> tuple[int, list[Fragment]]:
        """(frame id, fragments) that the other side asks for again.  Raises Malformed, Refused."""
        number, missing = decode_wanted(head, body)
        kept = self._kept.get((route, number))
        if kept is None:
            raise Refused("fragments are asked for that are not kept")
        kept.answers -= 1
        if not kept.answers:
            del self._kept[route, number]
        return kept.frame, [fragment for place, fragment in enumerate(kept.fragments) if place in missing]

    def wake(self, now: float) -> list[tuple[Route, Fragment]]:
        """What to ask for, and of whom."""
        out: list[tuple[Route, Fragment]] = []
        self.wake_at = inf
        for route, held in list(self._partial.items()):
            out += [(route, encode_wanted(number, missing)) for number, missing in held.wanted(now)]
            if held.idle(now):
                del self._partial[route]
            else:
                self.wake_at = min(self.wake_at, held.ask_at)
        return out
