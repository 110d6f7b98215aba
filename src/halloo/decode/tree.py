"""What is said of bytes: a tree of parts, each with its place, its bytes, its name and its meaning.

The parts of a part lie in the same bytes, at places counted from the same beginning; those of a *fresh* part lie in
bytes of their own (what a cloak or a seal hid), counted from zero.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from halloo.base.errors import PeerError
from halloo.wire.buffer import Reader

__all__ = ["Cursor", "Part", "table", "words"]

SHOWN = 8  # bytes of one part that the text form shows; the form for programs has them all


@dataclass(slots=True)
class Part:
    """Some bytes, explained.  ``fault``: why a node would not take them."""

    name: str
    at: int
    data: bytes
    meaning: str = ""
    parts: list[Part] = field(default_factory=list)
    fault: str = ""
    fresh: bool = False

    def walk(self) -> Iterator[Part]:
        """Itself and all below it, in order."""
        yield self
        for part in self.parts:
            yield from part.walk()

    @property
    def faults(self) -> list[str]:
        """Why a node would not take it; empty where nothing is wrong."""
        return [part.fault for part in self.walk() if part.fault]


class Cursor(Reader):
    """A reader that notes what it has read."""

    __slots__ = ("network", "parts", "whole")

    def __init__(self, data: bytes, network: bytes = b"") -> None:
        super().__init__(data)
        self.whole = data
        self.network = network
        """The id of the network that the bytes were said in, where it is known."""
        self.parts: list[Part] = []

    def note(self, name: str, start: int, meaning: str = "", parts: list[Part] | None = None) -> Part:
        """A part from ``start`` to where the reader stands now."""
        part = Part(name, start, self.whole[start : self.position], meaning, parts or [])
        self.parts.append(part)
        return part

    def limit(self, size: int) -> int:
        """Let the bytes end ``size`` from here; what the end was before.  Raises Malformed when they end sooner."""
        before = self._end
        self.take(size)
        self._end = self.position
        self.position -= size
        return before

    def unlimit(self, end: int) -> None:
        """Let the bytes end where they did before ``limit``."""
        self._end = end

    def stop(self, fault: PeerError, start: int = 0) -> None:
        """After what was noted last it makes no sense; ``start``: where that is when nothing was noted."""
        last = next((part for part in reversed(self.parts) if not part.fresh), None)
        self.position = self._end
        self.note("not understood", last.at + len(last.data) if last else start).fault = str(fault)


def words(part: Part, depth: int = 0) -> Iterator[str]:
    """The lines of a part, for people: place, bytes, name, meaning."""
    size = f" ({len(part.data)} bytes)" if len(part.data) > SHOWN or (part.fresh and part.data) else ""
    if part.fresh or not part.data:
        place, shown = "", ""
    else:
        place, shown = f"{part.at:04x}", part.data[:SHOWN].hex(" ") + (" …" if len(part.data) > SHOWN else "")
    said = f": {part.meaning}" if part.meaning else ""
    yield f"{place:<5} {shown:<{3 * SHOWN + 1}} {'  ' * depth}{part.name}{size}{said}"
    if part.fault:
        yield f"{'':<5} {'':<{3 * SHOWN + 1}} {'  ' * depth}!! {part.fault}"
    for each in part.parts:
        yield from words(each, depth + 1)


def table(part: Part) -> dict[str, Any]:
    """The part for programs: offset, bytes, name, meaning, and what is inside."""
    out: dict[str, Any] = {"name": part.name, "offset": part.at, "hex": part.data.hex()}
    if part.meaning:
        out["meaning"] = part.meaning
    if part.fresh:
        out["fresh"] = True
    if part.fault:
        out["fault"] = part.fault
    if part.parts:
        out["parts"] = [table(each) for each in part.parts]
    return out
