"""Between supernodes: who is in a block, who sits where, and what its slots hold.

    supernode                     supernode
      | --- Mesh ------------------> |  who I am; every link between supernodes begins so
      | <-- Meshed ----------------- |
      | --- Beat ------------------> |  from time to time: a digest of the members that I know
      | --- Summary ---------------> |  where digests differ: the members by version
      | <-- News ------------------- |  what the other does not know yet; also as it happens
      | --- Compare ---------------> |  a digest of the records of one slot
      | <-- Compare ---------------- |  where mine is another: the digests of its parts
      | --- Differs ---------------> |  the records in which we differ, by version
      | --- Wanted ----------------> |  send me these
      | --- Replicate -------------> |  hold these
      | <-- Replicated ------------- |
      | --- Alive -----------------> |  signs of life of those whose records you hold as well

In the open, to a supernode without a link, answered by a datagram at most three times as long:

    anybody                       supernode
      | --- Where -----------------> |  who holds this key?
      | <-- Here ------------------- |

Keys, places and versions are 64-bit numbers; where many travel they are packed, big-endian, in pairs.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from zlib import crc32

from halloo.base.address import Address
from halloo.base.errors import Malformed, Refused
from halloo.base.machine import Message
from halloo.messages.credential import MAX_CREDENTIAL, Notary, Record, Sign
from halloo.messages.log import SignedHead
from halloo.messages.presence import Pulse
from halloo.wire.command import (
    Form,
    Shape,
    address,
    addresses,
    blob,
    command,
    decode_shape,
    encode_shape,
    flag,
    nested,
    number,
    request_id,
    shape,
    wide,
)

__all__ = [
    "ALIVE_AT_ONCE",
    "MAX_FINER",
    "MAX_GONE",
    "PADDING",
    "PARTS",
    "STANDINGS",
    "WHOLE",
    "Alive",
    "Beat",
    "Compare",
    "Differs",
    "Here",
    "Mesh",
    "Meshed",
    "News",
    "Replicate",
    "Replicated",
    "SignedStanding",
    "Standing",
    "Summary",
    "Table",
    "Wanted",
    "Where",
    "mark_of",
    "paired",
    "pairs_of",
    "prove_standing",
    "sign_standing",
    "standing_of",
]

MAX_DEPTH = 32  # bits of a block's prefix: far more blocks than there are people
MAX_FINER = MAX_DEPTH + 13  # bits of what is compared: a slot has three more, a part of it five, one of that five
PARTS = 32  # in which the records under a prefix are compared
WHOLE = 8  # bytes of a digest of records
PADDING = bytes(160)  # what a question in the open is made longer by, so that its answer is no echo louder than it
MAX_GONE = 128  # members told to have gone in one message
ALIVE_AT_ONCE = 32  # signs of life in one message: some 850 bytes
STANDINGS = 6  # in one message: some 2.5 kB
READ = 1_024  # standings of which what they say is remembered: each is heard from many, and told again and again
_SIGNED = b"halloo standing\n"


@shape
class Standing(Shape):
    """What a supernode says of itself.  ``version`` grows with each change; the higher one wins.

    ``since``: wall-clock seconds since it serves; ``slot``: where it sits (8: on standby, 9: it goes);
    ``depth``: how many bits of its place name its block; ``room``: how many more nodes it would take; ``clients``: how
    many it has; ``ready``: of them, how many would be supernodes; ``refused``: hosts that it lately had no room for;
    ``line``: seconds for which who comes now would have to wait.
    """

    node: bytes = wide(0x01)
    listening: Address = address(0x11)
    since: int = number(0x02, most=1 << 40)
    version: int = number(0x03, most=1 << 48)
    slot: int = number(0x04, most=9, default=8)
    depth: int = number(0x05, most=MAX_DEPTH, default=0)
    room: int = number(0x06, most=1 << 20, default=0)
    clients: int = number(0x07, most=1 << 20, default=0)
    ready: int = number(0x08, most=1 << 20, default=0)
    refused: int = number(0x09, most=1 << 20, default=0)
    line: int = number(0x0A, most=3_600, default=0)


@shape
class SignedStanding(Shape):
    """A standing, the key that it is signed with, and what the network says of that key (empty: nothing)."""

    credential: bytes = blob(0x01, most=MAX_CREDENTIAL, default=b"")
    key: bytes = blob(0x02, least=1, most=512)
    standing: bytes = blob(0x03, least=1, most=256)
    signature: bytes = blob(0x04, least=1, most=512)


@shape
class Table(Shape):
    """One block as others need it: its prefix, and for each of its eight slots two supernodes that hold it.

    ``gateways`` names each address once; ``order`` has two of their indices for each slot (255: none).
    """

    depth: int = number(0x01, most=MAX_DEPTH, default=0)
    bits: int = number(0x02, most=1 << MAX_DEPTH, default=0)
    gateways: tuple[Address, ...] = addresses(0x11, most=16, default=())
    order: bytes = blob(0x03, least=16, most=16)


@command(0x65, Form.REQUEST)
class Mesh(Message):
    """One supernode to another: this is how I stand.  ``heads``: the newest head of the login servers' log."""

    standing: tuple[SignedStanding, ...] = nested(0x01, SignedStanding, most=1, default=())
    heads: tuple[SignedHead, ...] = nested(0x0A, SignedHead, most=1, default=())
    request: int = request_id(default=0)


@command(0x66, Form.REPLY)
class Meshed(Message):
    """And this is how I do.  ``tables``: the block that you belong to, as far as I know."""

    standing: tuple[SignedStanding, ...] = nested(0x01, SignedStanding, most=1, default=())
    tables: tuple[Table, ...] = nested(0x02, Table, most=2, default=())
    heads: tuple[SignedHead, ...] = nested(0x0A, SignedHead, most=1, default=())
    request: int = request_id(default=0)


@command(0x59, Form.NOTICE)
class Beat(Message):
    """I am here; ``members`` is a digest of the members of my block that I know."""

    members: bytes = wide(0x01)


@command(0x5A, Form.NOTICE)
class Summary(Message):
    """The members that I know of the block of a prefix, as (node, mark); ``gone``: those that I take for gone.

    A mark is the version of a standing, and 16 bits more that tell two of one version apart.

    ``answer``: it answers a summary, and is not answered by another.
    """

    depth: int = number(0x01, most=MAX_DEPTH, default=0)
    bits: int = number(0x02, most=1 << MAX_DEPTH, default=0)
    members: bytes = blob(0x03, most=16 * 256, default=b"")
    gone: bytes = blob(0x04, most=16 * MAX_GONE, default=b"")
    answer: bool = flag(0x05, default=False)


@command(0x5B, Form.NOTICE)
class News(Message):
    """Standings that are new to you, and members that have gone, as (node, mark)."""

    standings: tuple[SignedStanding, ...] = nested(0x01, SignedStanding, most=STANDINGS, default=())
    gone: bytes = blob(0x04, most=16 * MAX_GONE, default=b"")


@command(0x5D, Form.NOTICE)
class Compare(Message):
    """My records under a prefix (a block's and three bits more: a slot, or five or ten more: a part of one), digested.

    One digest of eight bytes is of all; 32 of them are of its 32 parts, by the next five bits of the key.
    """

    depth: int = number(0x01, most=MAX_FINER)
    bits: int = number(0x02, most=1 << MAX_FINER, default=0)
    parts: bytes = blob(0x03, least=WHOLE, most=PARTS * WHOLE)


@command(0x5E, Form.NOTICE)
class Differs(Message):
    """In these parts (a mask of 32 bits) we differ; this is what I hold in them, as (key, version)."""

    depth: int = number(0x01, most=MAX_FINER)
    bits: int = number(0x02, most=1 << MAX_FINER, default=0)
    parts: int = number(0x03, most=1 << 32)
    held: bytes = blob(0x04, most=16 * 256, default=b"")


@command(0x5F, Form.NOTICE)
class Wanted(Message):
    """Send me the records of these keys."""

    keys: bytes = blob(0x01, most=8 * 128, default=b"")


@command(0x67, Form.REQUEST)
class Replicate(Message):
    """Records that you should hold as well."""

    records: tuple[Record, ...] = nested(0x01, Record, most=8, default=())
    request: int = request_id(default=0)


@command(0x5C, Form.REPLY)
class Replicated(Message):
    """I hold ``held`` of them now, or newer ones."""

    held: int = number(0x01, most=8)
    request: int = request_id(default=0)


@command(0x6F, Form.NOTICE)
class Alive(Message):
    """Signs of life that I was told; they stand for records that you hold as well."""

    pulses: tuple[Pulse, ...] = nested(0x01, Pulse, most=ALIVE_AT_ONCE, default=())


@command(0x54, Form.REQUEST)
class Where(Message):
    """Which supernodes hold ``key``?  ``doubt``: the version of your standing that is said to be gone (0: none)."""

    key: bytes = wide(0x01)
    token: bytes = wide(0x02)
    doubt: int = number(0x03, most=1 << 48, default=0)
    padding: bytes = blob(0x08, most=256, default=b"")
    request: int = request_id(default=0)


@command(0x55, Form.REPLY)
class Here(Message):
    """I am ``node``, and know this of the block of that key; ``members``: how many it has, where it is mine."""

    node: bytes = wide(0x01)
    token: bytes = wide(0x02)
    members: int = number(0x04, most=1 << 16, default=0)
    tables: tuple[Table, ...] = nested(0x03, Table, most=1, default=())
    request: int = request_id(default=0)


def mark_of(table: Table) -> int:
    """A digest: another table has another one."""
    return crc32(encode_shape(table))


def sign_standing(standing: Standing, credential: bytes, key: bytes, private: bytes, sign: Sign) -> SignedStanding:
    """A standing signed by whom it speaks of."""
    body = encode_shape(standing)
    return SignedStanding(credential=credential, key=key, standing=body, signature=sign(private, _SIGNED + body))


def standing_of(signed: SignedStanding) -> Standing:
    """What a standing says, unproved.  Raises Malformed."""
    return _read(signed.standing)


@lru_cache(maxsize=READ)
def _read(standing: bytes) -> Standing:
    return decode_shape(Standing, standing)


def prove_standing(signed: SignedStanding, notary: Notary, wall: float) -> str:
    """The account name behind a standing, empty where the network says nothing of its key.

    Raises:
        Malformed, Refused: the credential is not true, or one of another key; or the signature does not hold.
    """
    name = ""
    if signed.credential:
        claims = notary.credential(signed.credential, wall)
        if claims.key != signed.key:
            raise Refused("a standing with somebody else's credential")
        name = claims.name
    if not notary.verify(signed.key, signed.signature, _SIGNED + signed.standing):
        raise Refused("a standing that was not signed by its owner")
    return name


def paired(pairs: Iterable[tuple[int, int]]) -> bytes:
    """64-bit pairs, packed."""
    return b"".join(first.to_bytes(8, "big") + second.to_bytes(8, "big") for first, second in pairs)


def pairs_of(packed: bytes) -> list[tuple[int, int]]:
    """And back.  Raises Malformed: not whole pairs."""
    if len(packed) % 16:
        raise Malformed("a list of pairs that ends within one")
    number = int.from_bytes
    return [
        (number(packed[at : at + 8], "big"), number(packed[at + 8 : at + 16], "big"))
        for at in range(0, len(packed), 16)
    ]
