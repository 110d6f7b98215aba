"""Object lists: the parameters of a command, in their raw form (``raw``) or compressed (``squeeze``).

Whoever writes chooses the shorter of the two, whoever reads takes both.  What is signed, or goes into a digest, is
always raw: there every list has one form.
"""

from __future__ import annotations

from halloo.wire.alphabet import SQUEEZED
from halloo.wire.buffer import Reader
from halloo.wire.raw import Kind, Object, ObjectList, Value, decode_raw, encode_objects
from halloo.wire.squeeze import squeezed
from halloo.wire.unsqueeze import unsqueezed

__all__ = ["Kind", "Object", "ObjectList", "Value", "decode_objects", "encode_objects", "shortest_form"]

EMPTY = b"\x42\x15"  # as in the published dumps; raw it would be 41 00


def shortest_form(objects: ObjectList, subject: int, network: bytes = b"") -> bytes:
    """The shorter form of the list of command number ``subject``; the raw one when both are of the same length."""
    if not objects:
        return EMPTY
    raw = encode_objects(objects)
    packed = squeezed(objects, subject, len(raw), network)
    return packed if packed is not None and len(packed) < len(raw) else raw


def decode_objects(reader: Reader, subject: int = 0, depth: int = 0, network: bytes = b"") -> ObjectList:
    """Read one list of command number ``subject``, said in the network of id ``network``, in whichever form it is.

    Raises:
        Malformed: not a list, cut short, of an unknown kind, nested deeper than four, or out of bounds.
    """
    if reader.left and reader.peek() == SQUEEZED:
        return unsqueezed(reader, subject, depth, network)
    return decode_raw(reader, depth, _inner)


def _inner(reader: Reader, depth: int) -> ObjectList:
    return decode_objects(reader, 0, depth)
