"""Frames: how datagrams begin, how long payloads are cut, and how frames are told apart in a TCP stream.

Start of Frame of a datagram (the classic protocol's): frame id 2 bytes, payload type 1 byte of which the bits
0x8F count and the rest is filler.  The cloak (a role of the suite) writes and reads it; this page
numbers the payload types and lays out the fields that are not commands.

    0x02 payload    commands, or one sealed packet
    0x03 resend     a payload again after a NAck: attempt 1, challenge 4, destination host 4, then the payload
    0x05 ack        the frame id is one received; body: the sender's host as we see it, port 2, zero 2
    0x07 nack       the frame id is one refused; body: the sender's host as we see it, challenge 4
    0x0B forward    a datagram for somebody else: token 8, then the datagram
    0x0D media      link number 4, then a sealed packet of sound; empty: a keep-alive
    0x0F fragment   message number 2, last flag and index 1, 0x02, then a piece of a payload; or, with 0x40 in the place
                    of flag and index, two bytes whose bits say which pieces are wanted again

In a stream a frame begins with a varint: bit 0 clear, a payload of length v >> 1 after a frame id of two bytes
that it counts; bit 0 set, a control frame of length v >> 1 that begins with its type.

    0x03 padding or keep-alive      0x05 media      0x0B forward
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import IntEnum
from math import inf

from halloo.base.errors import Malformed
from halloo.wire.buffer import Reader, Writer

__all__ = [
    "KIND_MASK",
    "Control",
    "FrameKind",
    "Reassembly",
    "StreamFrame",
    "StreamReader",
    "cut",
    "decode_ack",
    "decode_nack",
    "decode_resend",
    "decode_wanted",
    "encode_ack",
    "encode_nack",
    "encode_resend",
    "encode_stream_frame",
    "encode_wanted",
    "is_wanted",
]

KIND_MASK = 0x8F
MAX_STREAM_FRAME = 32_768  # bytes: the largest honest frame is a payload of sixteen fragments, some 22 kB
MAX_PIECES = 16  # the index has four bits
WANTED = 0x40  # in the place of a fragment's flags: the body says which pieces are wanted
ASK_AFTER = 0.08  # seconds without a new piece, after which what is missing is asked for; twice as long the next time
ASKS = 2  # times that the missing pieces of one payload are asked for
WORTH_ASKING = 200  # bytes that must have come: asking must not be an echo louder than what came


class FrameKind(IntEnum):
    """Payload types."""

    PAYLOAD = 0x02
    RESEND = 0x03
    ACK = 0x05
    NACK = 0x07
    FORWARD = 0x0B
    MEDIA = 0x0D
    FRAGMENT = 0x0F


# --- fields of the small frames -----------------------------------------------------------------------------------


def encode_nack(host: bytes, challenge: int) -> bytes:
    """The body of a NAck."""
    return host + challenge.to_bytes(4, "big")


def decode_nack(body: bytes) -> tuple[bytes, int]:
    """(the host that the other side saw, its challenge).  Raises Malformed."""
    if len(body) not in (8, 20):
        raise Malformed(f"a NAck of {len(body)} bytes")
    return body[:-4], int.from_bytes(body[-4:], "big")


def encode_ack(host: bytes, port: int) -> bytes:
    """The body of an Ack."""
    return host + port.to_bytes(2, "big") + bytes(2)


def decode_ack(body: bytes) -> tuple[bytes, int]:
    """(host, port) that the other side saw.  Raises Malformed."""
    if len(body) not in (8, 20):
        raise Malformed(f"an Ack of {len(body)} bytes")
    return body[:-4], int.from_bytes(body[-4:-2], "big")


def encode_resend(attempt: int, challenge: int, destination: bytes) -> bytes:
    """The head of a resend.  An IPv6 destination has no room in it: it is left out, for nothing rewrites it."""
    return bytes([attempt]) + challenge.to_bytes(4, "big") + (destination if len(destination) == 4 else bytes(4))


def decode_resend(head: bytes) -> tuple[int, bytes]:
    """(challenge, the host that the sender knows us by)."""
    return int.from_bytes(head[1:5], "big"), head[5:9]


# --- fragments ----------------------------------------------------------------------------------------------------


def cut(payload: bytes, size: int, message: int) -> list[tuple[bytes, bytes]]:
    """Cut a payload into (head, piece) of fragments of at most ``size`` bytes.

    Raises:
        ValueError: it needs more than sixteen; nothing we say is that long.
    """
    pieces = [payload[at : at + size] for at in range(0, len(payload), size)]
    if len(pieces) > MAX_PIECES:
        raise ValueError(f"{len(payload)} bytes do not fit {MAX_PIECES} fragments of {size}")
    last = len(pieces) - 1
    number = (message & 0xFFFF).to_bytes(2, "big")
    return [(number + bytes([(0x80 if i == last else 0) | i, 0x02]), piece) for i, piece in enumerate(pieces)]


def is_wanted(head: bytes) -> bool:
    """Whether the head of a fragment asks for others, instead of bringing one."""
    return head[2] == WANTED


def encode_wanted(message: int, missing: Iterable[int]) -> tuple[bytes, bytes]:
    """(head, body) of a fragment that asks for the pieces ``missing`` of a payload."""
    bits = sum(1 << place for place in missing)
    return message.to_bytes(2, "big") + bytes([WANTED, FrameKind.PAYLOAD]), bits.to_bytes(2, "big")


def decode_wanted(head: bytes, body: bytes) -> tuple[int, list[int]]:
    """(message number, places of the pieces asked for).  Raises Malformed."""
    bits = int.from_bytes(body, "big")
    if len(body) != 2 or not bits or head[2] != WANTED or head[3] != FrameKind.PAYLOAD:
        raise Malformed("not a wish for fragments of a payload")
    return int.from_bytes(head[:2], "big"), [place for place in range(MAX_PIECES) if bits >> place & 1]


@dataclass(slots=True)
class _Partial:
    pieces: dict[int, bytes] = field(default_factory=dict)
    count: int = 0
    born: float = 0.0
    ask_at: float = inf
    asked: int = 0

    def missing(self) -> list[int]:
        """Places of what is not there; as long as the last piece is not, all that there could be."""
        return [place for place in range(self.count or MAX_PIECES) if place not in self.pieces]


@dataclass(slots=True)
class Reassembly:
    """Puts fragments of one sender together: at most ``most`` unfinished payloads, each kept ``patience`` seconds."""

    most: int = 4
    patience: float = 5.0
    _partial: dict[int, _Partial] = field(default_factory=dict)
    _done: deque[int] = field(default_factory=lambda: deque(maxlen=8))
    """Payloads put together lately: a late copy of one of their pieces is no reason to ask for the others."""

    def add(self, head: bytes, piece: bytes, now: float) -> bytes | None:
        """Take one fragment; the whole payload when it was the last one missing.  Raises Malformed."""
        number, flags = int.from_bytes(head[:2], "big"), head[2]
        index, last = flags & 0x0F, bool(flags & 0x80)
        if flags & 0x70 or head[3] != FrameKind.PAYLOAD or not piece:
            raise Malformed("not a fragment of a payload")
        self._forget(now)
        partial = self._partial.get(number)
        if partial is None:
            if len(self._partial) >= self.most:
                del self._partial[next(iter(self._partial))]
            partial = self._partial[number] = _Partial(born=now)
        if last:
            partial.count = index + 1
        if index not in partial.pieces:
            partial.pieces[index] = piece
            partial.ask_at = now + ASK_AFTER if number not in self._done and partial.asked < ASKS else inf
        if not partial.count or len(partial.pieces) < partial.count:
            return None
        del self._partial[number]
        self._done.append(number)
        try:
            return b"".join(partial.pieces[i] for i in range(partial.count))
        except KeyError:
            raise Malformed("fragments that do not fit each other") from None

    @property
    def held(self) -> int:
        """Bytes kept in unfinished payloads."""
        return sum(len(piece) for partial in self._partial.values() for piece in partial.pieces.values())

    @property
    def ask_at(self) -> float:
        """When something may be missed, in seconds of the world's clock."""
        return min((partial.ask_at for partial in self._partial.values()), default=inf)

    def wanted(self, now: float) -> list[tuple[int, list[int]]]:
        """(message number, places) of what is missed by now; not of those of whom hardly anything came."""
        out = []
        for number, partial in self._partial.items():
            if now < partial.ask_at:
                continue
            partial.asked += 1
            partial.ask_at = now + ASK_AFTER * 2**partial.asked if partial.asked < ASKS else inf
            if sum(map(len, partial.pieces.values())) >= WORTH_ASKING:
                out.append((number, partial.missing()))
        return out

    def idle(self, now: float) -> bool:
        """Whether nothing is held, and nothing remembered that still matters."""
        self._forget(now)
        return not self._partial

    def _forget(self, now: float) -> None:
        for old in [key for key, held in self._partial.items() if now - held.born > self.patience]:
            del self._partial[old]


# --- streams ------------------------------------------------------------------------------------------------------


class Control(IntEnum):
    """Types of control frames in a stream."""

    PADDING = 0x03
    MEDIA = 0x05
    FORWARD = 0x0B


@dataclass(frozen=True, slots=True)
class StreamFrame:
    """One frame of a stream: a payload (``control`` is None), or a control frame with its content."""

    control: Control | None
    frame: int
    body: bytes


def encode_stream_frame(content: StreamFrame) -> bytes:
    """The bytes of one frame, before the stream's cloak."""
    out = Writer()
    if content.control is None:
        out.varint((2 + len(content.body)) << 1).number(content.frame, 2)
    else:
        out.varint((1 + len(content.body)) << 1 | 1).byte(content.control)
    out += content.body
    return bytes(out)


@dataclass(slots=True)
class StreamReader:
    """Cuts the uncovered bytes of a stream into frames.  Holds at most one unfinished frame."""

    _held: bytearray = field(default_factory=bytearray)

    def feed(self, data: bytes) -> list[StreamFrame]:
        """Frames completed by ``data``.  Unknown control frames are passed over.

        Raises:
            Malformed: a frame too long or too short; the stream cannot be read on.
        """
        self._held += data
        held = bytes(self._held)
        out: list[StreamFrame] = []
        taken = 0
        while (length := _frame_length(held, taken)) is not None:
            head_size, size, is_control = length
            if len(held) - taken - head_size < size:
                break
            body = held[taken + head_size : taken + head_size + size]
            taken += head_size + size
            if not is_control:
                out.append(StreamFrame(None, int.from_bytes(body[:2], "big"), body[2:]))
            elif body[0] in Control._value2member_map_:
                out.append(StreamFrame(Control(body[0]), 0, body[1:]))
        del self._held[:taken]
        return out


def _frame_length(data: bytes, at: int) -> tuple[int, int, bool] | None:
    """(bytes of the length, length, is control) of the frame that begins at ``at``; None when not there yet."""
    head = data[at : at + 4]
    ends = [i for i, byte in enumerate(head) if byte < 0x80]
    if not ends:
        if len(head) == 4:
            raise Malformed("the length of a stream frame is out of bounds")
        return None
    value = Reader(head[: ends[0] + 1]).varint()
    size, is_control = value >> 1, bool(value & 1)
    if size > MAX_STREAM_FRAME or size < (1 if is_control else 2):
        raise Malformed(f"a stream frame of {size} bytes")
    return ends[0] + 1, size, is_control
