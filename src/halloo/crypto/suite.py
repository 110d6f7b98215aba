"""The roles that cryptography plays here, named by what they do for us.

A suite fills every role once; the rest of the house holds roles and never asks which suite they came
from.  Secret keys travel as opaque bytes (``private``), so that they can be stored; sizes are
attributes, so that no caller has to know them.

    cloak             makes datagrams look like noise to a stranger; no secrecy is promised
    stream_cloak      the same for a TCP stream
    identity          long-term keys of nodes and users: sign, verify
    network_identity  the keys of the network itself, which certify users
    envelope          put a fresh secret where only the other node can read it
    answer_envelope   the same for the way back
    network_envelope  the same for the network's login key
    agree             from the two secrets of a handshake to the seals of a link
    seal              keep what a pair says secret and whole
    digest            fingerprints, and keys from secrets
    password          from name and password to what is proved to the login server
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Protocol

from halloo.base.errors import PeerError

__all__ = [
    "DISGUISED_PORT",
    "Cloak",
    "Covered",
    "Digest",
    "Disguise",
    "Envelope",
    "Identity",
    "Layout",
    "Mismatch",
    "Password",
    "Seal",
    "StreamCloak",
    "Suite",
]


@dataclass(frozen=True, slots=True)
class Layout:
    """How one kind of frame is treated by a cloak.

    ``head``: how many bytes of the content are fields of the frame itself (the classic suite leaves them
    readable).  ``hidden``: the rest is plain and must be hidden and checked; otherwise it is sealed
    already (or is nothing to hide), and only made to look like noise.  ``bound``: the check covers both public
    addresses, so that a sender who does not know his own is told it.  ``nonce_at``: where in the head four
    bytes stand that the classic suite uses in place of an initialisation vector (a resend's challenge); -1 for none.
    A frame that is neither hidden nor has fields (an Ack, a NAck) is said in the open: no suite may take it for sealed.
    """

    head: int
    hidden: bool
    bound: bool
    nonce_at: int = -1


@dataclass(frozen=True, slots=True)
class Covered:
    """A datagram with its cloak lifted: frame id (16 bits), kind (payload type), fields and body."""

    frame: int
    kind: int
    head: bytes
    body: bytes


class Mismatch(PeerError):
    """The check of a bound frame fails with the addresses as we see them: to be answered by a NAck."""

    def __init__(self, frame: int) -> None:
        super().__init__(f"frame {frame:#06x} was made for other addresses than we see")
        self.frame = frame


class Cloak(Protocol):
    """Datagrams to and from what looks like noise.  Knows the network's cloak key and the layouts, nothing else."""

    overhead: int
    """Bytes that a hidden frame is longer than its head and body, at most."""

    def cover(self, covered: Covered, source: bytes, destination: bytes, rng: Random) -> bytes:
        """The datagram.  ``source`` and ``destination`` are public hosts, 4 or 16 bytes; an unknown source is zeros."""

    def uncover(self, datagram: bytes, source: bytes, destination: bytes) -> Covered:
        """The reverse.

        Raises:
            Mismatch: well formed, but made for other addresses.
            Malformed: nothing of ours.
        """


DISGUISED_PORT = 443  # where nothing but TLS is expected
TLS_BEGINS = 0x16  # the first byte of a TLS connection, and of no opening of ours


@dataclass(frozen=True, slots=True)
class Disguise:
    """Bytes with which a stream to ``DISGUISED_PORT`` begins, so that it looks like something else."""

    hello: bytes
    """What the side that connects says first, without the random bytes at its end."""
    challenge: int
    """How many of these there are."""
    answer: bytes
    """What the other side says to it."""

    @property
    def hello_size(self) -> int:
        """Bytes of the whole hello."""
        return len(self.hello) + self.challenge


class StreamCloak(Protocol):
    """One end of a TCP stream.  Each direction has its own key, made by the side that sends."""

    recognised: bytes | None
    """None until the other side's opening is known to be one of this network; then what is new in each opening, so
    that a recorded one is noticed (empty where an opening holds too little of that)."""

    def opening(self) -> bytes:
        """What must be sent before anything else.  Called once."""

    def send(self, data: bytes) -> bytes:
        """Cover bytes that follow the opening, which must have been asked for before."""

    def receive(self, data: bytes) -> bytes:
        """Uncover what has arrived, the peer's opening included (which yields nothing).

        Raises:
            Malformed: the opening is not one of this network.
        """


class Identity(Protocol):
    """Long-term keys."""

    public_size: int
    signature_size: int

    def make(self, rng: Random) -> bytes:
        """A new private key."""

    def public(self, private: bytes) -> bytes:
        """Its public part.  Raises UsageError where the real suites find the private key damaged."""

    def sign(self, private: bytes, text: bytes) -> bytes:
        """A signature over ``text``."""

    def verify(self, public: bytes, signature: bytes, text: bytes) -> bool:
        """Whether it is one.  Never raises, whatever the bytes."""


class Envelope(Protocol):
    """Key transport or encapsulation: a fresh secret for the holder of a key."""

    public_size: int
    enclosed_size: int

    def make(self, rng: Random, identity: bytes) -> bytes:
        """A private key to receive a secret in one handshake.

        Fresh where the suite can afford it, else ``identity`` itself (pass ``b""`` for a long-term key of its own).
        """

    def public(self, private: bytes) -> bytes:
        """Its public part."""

    def enclose(self, public: bytes, rng: Random) -> tuple[bytes, bytes]:
        """A fresh secret, and the bytes that carry it.  Raises Refused when ``public`` is no such key."""

    def disclose(self, private: bytes, enclosed: bytes) -> bytes:
        """The secret.  Raises Refused when it was not made for this key."""


class Seal(Protocol):
    """One direction of a link, or one letter: secret and whole (as far as the suite can promise it)."""

    overhead: int

    def close(self, sequence: int, plain: bytes, beside: bytes) -> bytes:
        """Seal ``plain`` under a number never used before with this seal; ``beside`` is authenticated, not hidden.

        ``sequence`` is below 2**48, the classic index's end: a link of a thousand packets a second gets there in
        nine thousand years.
        """

    def open(self, sequence: int, sealed: bytes, beside: bytes) -> bytes:
        """The reverse.  Raises Refused."""


class Digest(Protocol):
    """Fingerprints and derived keys."""

    size: int

    def __call__(self, data: bytes) -> bytes:
        """The fingerprint of ``data``."""

    def derive(self, secret: bytes, label: str, context: bytes, size: int) -> bytes:
        """``size`` bytes of key material bound to ``label`` and ``context``."""


class Password(Protocol):
    """From name and password to a proof.  Costly on purpose; runs beside the event loop."""

    def prove(self, name: str, password: str, network: bytes) -> bytes:
        """What is shown to the login server in place of the password; bound to name and network.

        Raises:
            UsageError: name or password is no text that UTF-8 can write.
        """


@dataclass(frozen=True)
class Suite:
    """All roles, filled."""

    name: str
    number: int
    """The byte that names the suite on the wire."""
    danger: str
    """What to tell a person who chooses it; empty when there is nothing to warn of."""
    described: tuple[tuple[str, str], ...]
    """For people: what is protected, and how."""
    cloak: Callable[[bytes, Mapping[int, Layout]], Cloak]
    """From the network's cloak key and the layouts by kind."""
    stream_cloak: Callable[[bytes, Random], StreamCloak]
    """From the network's cloak key and a source of randomness; one for each TCP connection."""
    disguise: Disguise | None
    """How a stream to ``DISGUISED_PORT`` begins."""
    wrapped: bool
    """Whether streams to that port travel inside a real TLS connection, which the world makes."""
    identity: Identity
    network_identity: Identity
    envelope: Envelope
    """For the responder's secret in a handshake; the strongest there is."""
    answer_envelope: Envelope
    """For the initiator's; it adds freshness from the other side, and may be smaller."""
    network_envelope: Envelope
    agree: Callable[[bytes, bytes, bytes], tuple[Seal, Seal]]
    """(initiator's secret, responder's secret, transcript) -> (initiator's seal, responder's seal)."""
    renews: bool
    """Whether the keys of a link are renewed: only where a seal shows that it was made with another key."""
    seal: Callable[[bytes], Seal]
    """A seal from a key of ``seal_key_size`` bytes, for letters (login) and handshakes."""
    seal_key_size: int
    digest: Digest
    password: Password
    fragment_size: int
    """Bytes of body in one frame at most; longer bodies travel in fragments."""
    padded_sizes: tuple[int, ...]
    """Sealed signalling is padded to the next of these sizes, in bytes; the first is for signs of life alone.

    Empty: no padding.
    """
