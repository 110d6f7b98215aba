"""Explains bytes that stand alone: commands without a cloak, one datagram, the beginning of a stream."""

from __future__ import annotations

from collections.abc import Callable

from halloo.base.address import Address
from halloo.base.errors import PeerError
from halloo.decode.commands import LANGUAGE, explain_commands
from halloo.decode.datagrams import Frames, NotOurs
from halloo.decode.streams import StreamSide
from halloo.decode.tree import Cursor, Part

__all__ = ["FORMS", "explain"]

FORMS = ("guess", "commands", "datagram", "stream")


def explain(data: bytes, frames: Frames, source: Address, destination: Address, form: str = "guess") -> Part:
    """What the bytes are.  Where ``form`` is ``guess``: commands, else a datagram, else a stream, as whatever fits.

    A fault is in the tree, at the place where the bytes stop making sense.
    """
    tried: dict[str, Callable[[], Part]] = {
        "commands": lambda: _commands(data, frames.network),
        "datagram": lambda: _datagram(data, frames, source, destination),
        "stream": lambda: _stream(data, frames),
    }
    if form != "guess":
        return tried[form]()
    found = [make() for make in tried.values()]
    if not found[0].faults and not any(part.name.startswith("unknown") for part in found[0].parts):
        return found[0]
    for part in (*found[1:], found[0]):
        if not part.faults:
            return part
    # Nothing fits whole: what got furthest before it stopped.
    return max(found, key=_understood)


def _understood(part: Part) -> int:
    """How many parts were understood; 0 where the very beginning was not."""
    return sum(not each.fault for each in part.walk()) - 1


def _commands(data: bytes, network: bytes) -> Part:
    cursor = Cursor(data, network)
    explain_commands(cursor, LANGUAGE)
    return Part("commands", 0, data, "without a cloak", cursor.parts)


def _datagram(data: bytes, frames: Frames, source: Address, destination: Address) -> Part:
    try:
        part = frames.datagram(data, source, destination, 0.0)
    except NotOurs as fault:
        return Part(f"datagram of the {frames.suite.name} suite", 0, data, fault=str(fault))
    part.name = f"datagram of the {frames.suite.name} suite: {part.name}"
    return part


def _stream(data: bytes, frames: Frames) -> Part:
    side = StreamSide(frames)
    part = Part(f"stream of the {frames.suite.name} suite", 0, data)
    try:
        part.parts = side.feed(data, 0.0)
    except PeerError as fault:
        part.fault = str(fault)
    if side.waiting and not part.faults:
        part.parts.append(Part("cut short", 0, b"", f"{side.waiting} bytes of a frame that is not whole"))
    if not part.parts and not part.fault:
        part.fault = "too short for the opening of a stream"
    return part
