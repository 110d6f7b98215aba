"""What was said in a world of minds, and how many bytes that would be on the wire.

Nothing is encoded there.  Of each kind of message some are, as the modern suite would send them, and each counts for
those that were not since the one before.  Bytes are those of datagrams' content: the heads of IP and UDP, 28 bytes
each, are not in them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from random import Random

from halloo.base.machine import Message
from halloo.crypto.modern import MODERN, ModernSeal
from halloo.crypto.modern_cloak import ModernCloak
from halloo.link.handshake import Initiator, Responder
from halloo.link.mouth import SEALED_HEAD
from halloo.link.persona import Persona
from halloo.messages.credential import Notary, Record
from halloo.messages.link import Finish, Hello, HelloAnswer, Renew, RenewAnswer, RenewFinish
from halloo.messages.overlay import Ping, Pong
from halloo.wire.command import encode_command

__all__ = ["KEEP_ALIVE", "Ack", "Said", "Tally"]

SAMPLES = 48  # messages of each kind that are encoded at first,
EVERY = 64  # and one of so many later
RECORD_GROWS = 64  # bytes: two signatures of 64 bytes where the plain suite's have 32
NUMBERS = 4  # bytes before the commands of a sealed packet: what was heard, what this is
SOUND = 120  # bytes of one packet of sound with its cloak, 32 kbit/s in frames of 20 ms
KEEP_ALIVE = frozenset({"Ping", "Pong", "Ack of Ping", "Ack of Pong"})
"""What only keeps a link and its binding in a router alive."""


class Ack(Message):
    """A packet that only says what was heard."""


Said = dict[str, int]
"""How many messages, by the name of their kind."""


@dataclass(slots=True)
class Tally:
    """Mean sizes by kind of message.  ``network``: the id of the network they are sent in."""

    network: bytes
    _sum: dict[type[Message], int] = field(default_factory=dict)
    _sampled: dict[type[Message], int] = field(default_factory=dict)
    _seen: dict[type[Message], int] = field(default_factory=dict)
    _names: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._names |= _handshake()
        self._names["Ack"] = MODERN.padded_sizes[0] + ModernCloak.overhead

    def saw(self, message: Message, *, sealed: bool) -> None:
        """Take a look at a message that is said."""
        kind = type(message)
        seen = self._seen[kind] = self._seen.get(kind, 0) + 1
        if seen > SAMPLES and seen % EVERY:
            return
        weight = 1 if seen <= SAMPLES else EVERY
        try:
            size = len(encode_command(message, compressed=True, network=self.network))
        except ValueError:
            return  # a bound of the wire that a world of minds does not have
        least = 0 if isinstance(message, Ping | Pong) else 1
        size = on_wire(size + RECORD_GROWS * _records(message), sealed=sealed, least=least)
        self._sum[kind] = self._sum.get(kind, 0) + weight * size
        sampled = self._sampled[kind] = self._sampled.get(kind, 0) + weight
        self._names[kind.__name__] = self._sum[kind] / sampled

    def size(self, name: str) -> float:
        """Mean bytes of one message of the kind ``name``."""
        return self._names["Ack"] if name.startswith("Ack of ") else self._names.get(name, SOUND)

    def total(self, said: Said, *, without: Iterable[str] = ()) -> float:
        """Bytes of all that was said, but for the kinds in ``without``."""
        left_out = frozenset(without)
        return sum(count * self.size(name) for name, count in said.items() if name not in left_out)


def on_wire(size: int, *, sealed: bool, least: int = 1) -> int:
    """Bytes of the datagram with a command of ``size`` bytes; ``least``: the first padded size that it may have."""
    if not sealed:
        return size + ModernCloak.overhead
    whole = size + NUMBERS + SEALED_HEAD + ModernSeal.overhead
    sizes = MODERN.padded_sizes[least:]
    return next((padded for padded in sizes if padded >= whole), whole) + ModernCloak.overhead


def _records(message: Message) -> int:
    """How many records a message carries."""
    held = getattr(message, "records", None) or getattr(message, "record", None) or ()
    return sum(isinstance(one, Record) for one in held) if isinstance(held, tuple) else 0


def _handshake() -> dict[str, float]:
    """Bytes of the three messages of a handshake, and of the renewal of a link's keys, in the modern suite."""
    suite, rng = MODERN, Random(1)
    notary = Notary(bytes(8), (b"",), suite.network_identity.verify, suite.identity.verify, suite.digest)
    persona = Persona(suite, notary, suite.identity.make(rng), b"", rng)
    begins = Initiator(persona, 1)
    answers = Responder(persona, 2, begins.hello)
    finish, _, _ = begins.answer(answers.answer, 0.0)
    credential = 220  # bytes of a credential, which each of the two proofs carries
    sizes: dict[str, float] = {}
    for message, more in ((begins.hello, 0), (answers.answer, credential), (finish, credential)):
        sizes[type(message).__name__] = on_wire(len(encode_command(message)) + more, sealed=False)
    envelope, enclosed = len(begins.hello.envelope), len(answers.answer.enclosed)
    answered = len(answers.answer.envelope)
    sizes[Renew.__name__] = on_wire(envelope + 8, sealed=True)
    sizes[RenewAnswer.__name__] = on_wire(answered + enclosed + 12, sealed=True)
    sizes[RenewFinish.__name__] = on_wire(len(finish.enclosed) + 8, sealed=True)
    assert {Hello.__name__, HelloAnswer.__name__, Finish.__name__} <= set(sizes)
    return sizes
