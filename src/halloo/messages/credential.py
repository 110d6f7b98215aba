"""Who someone is: the credential that the network signs, and the record that its owner signs.

    credential = claims (network, name, key, issued, expires), signed by a login key of the network
    record     = credential, listing (where and how the owner is to be found), signed by the owner's key; and his latest
                 sign of life, which proves itself: it leads to the one in the listing (``chain``)

So the network vouches for the key and the owner for the rest; a supernode that keeps a record can forge nothing of it.
Wall clock times are whole seconds since 1970.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import IntEnum

from halloo.base.address import Address
from halloo.base.errors import Refused, UsageError
from halloo.messages.chain import LINK_SIZE, LONGEST_CHAIN, PULSE_EVERY, links_between
from halloo.messages.name import MAX_NAME, folded
from halloo.wire.command import (
    Shape,
    address,
    addresses,
    blob,
    decode_shape,
    encode_shape,
    number,
    shape,
    sparse_shape,
    text,
    wide,
)

__all__ = [
    "CLOCK_TOLERANCE",
    "MAX_CREDENTIAL",
    "MAX_RECORD",
    "Claims",
    "Entry",
    "Listing",
    "Notary",
    "Party",
    "Presence",
    "Record",
    "Sign",
    "SignedClaims",
    "Verify",
    "credential_of",
    "issue",
    "list_entry",
    "renewed",
]

MAX_CREDENTIAL = 1_024  # bytes: classic 128-byte keys under a 256-byte signature, twice over
MAX_RECORD = 2_048  # bytes: a credential, a listing and a signature
CLOCK_TOLERANCE = 300  # seconds that two machines' clocks may differ before a fresh credential is refused
LEASE = 1_800.0  # seconds from a sign of life for which its owner is believed to be on line; he shows two meanwhile
MOST_SIGNED = 4_096  # signatures of the network that are remembered: of all clients, and of whom they look for
_SIGNED_CLAIMS = b"halloo credential\n"
_SIGNED_LISTING = b"halloo listing\n"

Verify = Callable[[bytes, bytes, bytes], bool]
"""(public key, signature, text) -> whether it holds: ``Identity.verify`` of the suite in use."""
Sign = Callable[[bytes, bytes], bytes]
"""(private key, text) -> signature: ``Identity.sign``."""


class Presence(IntEnum):
    """How someone wants to be seen."""

    OFFLINE = 0
    ONLINE = 1
    AWAY = 2
    DO_NOT_DISTURB = 3


@shape
class Claims(Shape):
    """What the network says of a user."""

    name: str = text(0x00, most=MAX_NAME)
    key: bytes = blob(0x01, least=1, most=512)
    expires: int = number(0x04, most=1 << 40)
    issued: int = number(0x05, most=1 << 40)
    network: bytes = wide(0x06)
    entry: int = number(0x07, most=1 << 48, default=0)
    """The number of this certification in the network's log; 0: it is older than the log."""
    entry_hash: bytes = blob(0x08, most=64, default=b"")
    """The first 20 bytes of that entry's hash."""


@shape
class SignedClaims(Shape):
    """Claims with the network's signature."""

    claims: bytes = blob(0x01, most=MAX_CREDENTIAL)
    signature: bytes = blob(0x02, least=1, most=512)


@sparse_shape
class Listing(Shape):
    """What a user publishes of himself.  ``version`` grows with each change; the higher one wins.

    ``findable``: the bits of ``whitepages.Findable``, by what he may be found besides his exact name; ``email``: a
    costly digest of an address, bound to the network, of who wants to be found by it.

    ``state``: what reaching him needs, and no more, unless he shows his state to everybody.  ``presence``: it, sealed
    for those whom he allows to see it; ``watch``: a digest of the token by which he who holds the record knows them
    (empty: nobody may watch); ``pulse``: the first link of the chain of signs of life that follow (``chain``; empty:
    none do).
    """

    version: int = number(0x01, most=1 << 60)
    issued: int = number(0x02, most=1 << 40)
    state: int = number(0x89, most=3)
    node: bytes = wide(0x03)
    supernode: Address | None = address(0x11, default=None)
    reachable: tuple[Address, ...] = addresses(0x12, most=6, default=())
    full_name: str = text(0x14, most=64, default="")
    city: str = text(0x30, most=64, default="")
    findable: int = number(0x31, most=255, default=7)
    email: bytes = blob(0x32, most=64, default=b"")
    watch: bytes = blob(0x33, most=16, default=b"")
    presence: bytes = blob(0x34, most=160, default=b"")
    pulse: bytes = blob(0x35, most=LINK_SIZE, default=b"")


@sparse_shape
class Record(Shape):
    """A directory record as it travels and is kept.

    ``pulse``: the owner's latest sign of life, if there was one since the record was issued; not signed, for it leads
    to the one in the listing.
    """

    credential: bytes = blob(0x01, least=1, most=MAX_CREDENTIAL)
    listing: bytes = blob(0x02, least=1, most=1024)
    signature: bytes = blob(0x03, least=1, most=512)
    pulse: bytes = blob(0x04, most=LINK_SIZE, default=b"")


@dataclass(frozen=True, slots=True)
class Entry:
    """A record that was opened and found true.

    ``seen``: the second of the wall clock at which its owner was there for certain, by the record or a sign of life.
    """

    claims: Claims
    listing: Listing
    record: Record
    seen: int

    @property
    def name(self) -> str:
        """The account name, folded."""
        return self.claims.name

    @property
    def pulse(self) -> bytes:
        """The latest sign of life."""
        return self.record.pulse or self.listing.pulse

    def on_line(self, wall: float) -> bool:
        """Whether its owner is on line, as far as it can tell at ``wall``, the seconds of the wall clock."""
        return bool(self.listing.state) and wall < self.seen + LEASE

    def as_new_as(self, version: int, seen: int) -> bool:
        """Whether it is of this version with a sign of life from ``seen`` on, or of a higher one."""
        return (self.listing.version, self.seen) >= (version, seen) or self.listing.version > version


@dataclass(frozen=True, slots=True)
class Party:
    """Who is at the other end of a link: a key that was proved, and what the network says of it (None: nothing)."""

    key: bytes
    claims: Claims | None

    @property
    def name(self) -> str:
        """The account name, empty where there is no credential."""
        return self.claims.name if self.claims else ""


def issue(claims: Claims, private: bytes, sign: Sign) -> bytes:
    """A credential: claims signed with a login key of the network."""
    body = encode_shape(claims)
    return encode_shape(SignedClaims(claims=body, signature=sign(private, _SIGNED_CLAIMS + body)))


def credential_of(credential: bytes) -> Claims:
    """The claims of a credential, unproved.  Raises Malformed."""
    return decode_shape(Claims, decode_shape(SignedClaims, credential).claims)


def list_entry(credential: bytes, listing: Listing, private: bytes, sign: Sign) -> Record:
    """A record: a listing signed by its owner."""
    body = encode_shape(listing)
    return Record(credential=credential, listing=body, signature=sign(private, _SIGNED_LISTING + body))


def renewed(
    entry: Entry, pulse: bytes, digest: Callable[[bytes], bytes], wall: float, most: int = LONGEST_CHAIN
) -> Entry | None:
    """A record with a later sign of life; None where this is none, or is more than ``most`` links away.

    A verifier begins at the latest that he knows, so his work is a few digests.
    """
    begun, tick = entry.listing.issued // PULSE_EVERY, entry.seen // PULSE_EVERY
    ahead = int(wall + CLOCK_TOLERANCE) // PULSE_EVERY - tick
    links = links_between(digest, entry.pulse, pulse, min(most, ahead, begun + LONGEST_CHAIN - tick))
    if not links:
        return None
    return replace(entry, record=replace(entry.record, pulse=pulse), seen=(tick + links) * PULSE_EVERY)


def _nothing_is(_: Claims) -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Notary:
    """Checks credentials and records against one network's id and login keys."""

    network: bytes
    keys: tuple[bytes, ...]
    verify_network: Verify
    """``verify`` of the suite's network identity."""
    verify: Verify
    """``verify`` of the suite's identity."""
    digest: Callable[[bytes], bytes]
    """The suite's digest, of which the chains of signs of life are made."""
    revoked: Callable[[Claims], bool] = _nothing_is
    """What is known of keys that were called back before their time."""
    _signed: dict[bytes, None] = field(init=False, repr=False, compare=False, default_factory=dict)
    """Digests of what the network was found to have signed: the same credentials and heads come again and again."""

    def signed(self, signature: bytes, text: bytes) -> bool:
        """Whether the network has signed a text."""
        proof = self.digest(len(signature).to_bytes(2, "big") + signature + text)
        if proof in self._signed:
            return True
        if not any(self.verify_network(key, signature, text) for key in self.keys):
            return False
        if len(self._signed) >= MOST_SIGNED:
            del self._signed[next(iter(self._signed))]
        self._signed[proof] = None
        return True

    def credential(self, credential: bytes, wall: float) -> Claims:
        """What the network says in a credential, at wall clock time ``wall``.

        Raises:
            Malformed: no credential at all.
            Refused: of another network, not signed by it, expired, revoked, or from the future.
        """
        signed = decode_shape(SignedClaims, credential)
        claims = decode_shape(Claims, signed.claims)
        if claims.network != self.network:
            raise Refused("the credential is one of another network")
        if not self.signed(signed.signature, _SIGNED_CLAIMS + signed.claims):
            raise Refused("the credential is not signed by this network")
        if not _is_folded(claims.name):
            raise Refused("the credential names nobody that could exist")
        self.stands(claims, wall)
        return claims

    def stands(self, claims: Claims, wall: float) -> None:
        """Whether claims that were found true before still hold at wall clock time ``wall``.

        Raises:
            Refused: expired, revoked, or from the future.
        """
        if claims.expires <= wall:
            raise Refused("the credential has expired")
        if claims.issued > wall + CLOCK_TOLERANCE:
            raise Refused("the credential is from the future; one of the two clocks is wrong")
        if self.revoked(claims):
            raise Refused("the credential was revoked: its owner changed the password, or logged out everywhere")

    def record(self, record: Record, wall: float) -> Entry:
        """A record opened: the credential checked by the network's keys, the listing by the owner's.

        A sign of life that proves nothing is dropped; the record is as good without it.

        Raises:
            Malformed, Refused: as ``credential``, or the listing is not signed by the owner.
        """
        claims = self.credential(record.credential, wall)
        if not self.verify(claims.key, record.signature, _SIGNED_LISTING + record.listing):
            raise Refused("the record is not signed by its owner")
        listing = decode_shape(Listing, record.listing)
        if not record.pulse:
            return Entry(claims, listing, record, listing.issued)
        bare = Entry(claims, listing, replace(record, pulse=b""), listing.issued)
        return renewed(bare, record.pulse, self.digest, wall) or bare


def _is_folded(name: str) -> bool:
    try:
        return folded(name) == name
    except UsageError:
        return False
