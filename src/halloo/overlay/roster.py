"""The members of one block, as far as one of them knows: who stands how, who has gone.

A member's standing is signed by itself and carries its credential, so nobody invents a member; that one has gone can be
said by anybody, and is believed only after looking (``doubt.py``).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from zlib import crc32

from halloo.base.address import Address
from halloo.base.errors import Malformed, Refused
from halloo.messages.block import SignedStanding, Standing, prove_standing, sign_standing, standing_of
from halloo.messages.credential import Notary, Sign
from halloo.overlay.slots import EVERYTHING, GOING, SLOTS, SPARES, STANDBY, Key, Prefix, holders, mixed, seated

__all__ = ["Member", "Registrar", "Roster", "network_of"]

MAX_MEMBERS = 256  # of one block: it splits at 152, and may be late in doing so
MAX_GONE = 128  # members remembered that have gone
MAX_UNVOUCHED = 64  # members that the network says nothing of: their ids cost nothing, and shall not fill a block


@dataclass(frozen=True, slots=True)
class Member:
    """A supernode whose standing was found true."""

    node: bytes
    number: int
    address: Address
    place: Key
    since: int
    version: int
    slot: int
    depth: int
    room: int
    trusted: bool
    network: bytes
    signed: SignedStanding
    mark: int
    """What is compared: the version, and below it a digest, so that of two standings of one version the same wins
    everywhere."""
    clients: int = 0
    ready: int = 0
    refused: int = 0
    line: int = 0


def network_of(address: Address) -> bytes:
    """What neighbours share: /16 of IPv4, /32 of IPv6; empty for addresses that are no part of the internet."""
    host = address.host
    if len(host) == 16:
        return b"" if host[0] in (0x00, 0xFC, 0xFD, 0xFE) else host[:4]
    private = (
        host[0] in (0, 10, 127) or (host[0] == 172 and 16 <= host[1] < 32) or host[:2] in (b"\xc0\xa8", b"\xa9\xfe")
    )
    return b"" if private else host[:2]


@dataclass(slots=True)
class Registrar:
    """Opens standings, and signs our own.

    ``vouched``: addresses that the network's descriptor names; who is found to listen there needs no credential.
    """

    notary: Notary
    digest: Callable[[bytes], bytes]
    vouched: tuple[Address, ...]
    private: bytes
    public: bytes
    credential: bytes
    name: str
    sign: Sign

    def place(self, name: str, address: Address) -> Key:
        """Where someone belongs: nobody chooses it but by another account, or another address."""
        text = f"name {name}" if name else f"address {address}"
        return int.from_bytes(self.digest(b"halloo place\n" + self.notary.network + text.encode())[:8], "big")

    def signed(self, standing: Standing) -> SignedStanding:
        """Our own standing."""
        return sign_standing(standing, self.credential, self.public, self.private, self.sign)

    def opened(self, signed: SignedStanding, wall: float) -> Member:
        """The member that a standing speaks of.

        Raises:
            Malformed, Refused: it is none, or not true.
        """
        standing = standing_of(signed)
        if self.digest(signed.key)[:8] != standing.node:
            raise Refused("a standing under an id that is not its own")
        if not standing.listening.port:
            raise Malformed("a supernode that listens nowhere")
        if standing.version > wall + 86_400:
            raise Refused("a standing from the future")
        name = prove_standing(signed, self.notary, wall)
        return self.member(standing, signed, name, trusted=bool(name))

    def own(self, standing: Standing) -> Member:
        """Ourselves as a member."""
        trusted = bool(self.name) or standing.listening in self.vouched
        return self.member(standing, self.signed(standing), self.name, trusted=trusted)

    def member(self, standing: Standing, signed: SignedStanding, name: str, *, trusted: bool) -> Member:
        """A member from a true standing."""
        address = standing.listening
        return Member(
            standing.node,
            int.from_bytes(standing.node, "big"),
            address,
            self.place(name, address),
            standing.since,
            standing.version,
            standing.slot,
            standing.depth,
            standing.room,
            trusted,
            network_of(address),
            signed,
            standing.version << 16 | crc32(signed.standing) & 0xFFFF,
            standing.clients,
            standing.ready,
            standing.refused,
            standing.line,
        )


@dataclass(slots=True)
class Roster:
    """The members of the block of ``prefix``."""

    prefix: Prefix = EVERYTHING
    members: dict[bytes, Member] = field(default_factory=dict)
    gone: dict[bytes, Member] = field(default_factory=dict)
    """Who was a member and has gone, the latest last; a standing not newer than theirs does not bring them back."""
    _held: list[tuple[Member, ...]] | None = None
    _seated: list[tuple[Member, ...]] | None = None
    _digest: int | None = None

    def __len__(self) -> int:
        return len(self.members)

    @property
    def digest(self) -> int:
        """The same wherever the same members are known."""
        if self._digest is None:
            value = 0
            for member in self.members.values():
                value ^= mixed(member.number, member.mark)
            self._digest = value
        return self._digest

    @property
    def size(self) -> int:
        """How many members the network vouches for: only they make a block large."""
        return sum(1 for member in self.members.values() if member.trusted)

    def trust(self, node: bytes) -> bool:
        """A member was found where the network's description has a supernode; whether that was news."""
        member = self.members.get(node)
        if member is None or member.trusted:
            return False
        self.members[node] = replace(member, trusted=True)
        self._changed()
        return True

    def add(self, member: Member) -> bool:
        """Take a member in, or its newer standing; whether that was news."""
        if not self.prefix.covers(member.place):
            return False
        held = self.members.get(member.node) or self.gone.get(member.node)
        if held is not None and held.mark >= member.mark:
            return False
        if member.slot == GOING:
            return self._leave(member)
        if member.node not in self.members and not self._room_for(member):
            return False
        self.gone.pop(member.node, None)
        self.members[member.node] = member
        self._changed()
        return True

    def remove(self, node: bytes) -> bool:
        """A member has gone; whether it was one."""
        member = self.members.get(node)
        return member is not None and self._leave(member)

    def shrink(self, prefix: Prefix) -> None:
        """Know only the members of a smaller block, or make room for those of a larger one."""
        self.prefix = prefix
        self.members = {node: one for node, one in self.members.items() if prefix.covers(one.place)}
        self.gone = {node: one for node, one in self.gone.items() if prefix.covers(one.place)}
        self._changed()

    @property
    def seated(self) -> list[tuple[Member, ...]]:
        """Who sits in each slot, the longest serving first."""
        if self._seated is None:
            self._seated = [tuple(slot) for slot in seated(self.members.values(), self.prefix.depth)]
        return self._seated

    @property
    def held(self) -> list[tuple[Member, ...]]:
        """Who holds each slot: its own, nine or ten, and three of the opposite one."""
        if self._held is None:
            own = holders(self.members.values(), self.prefix.depth)
            self._held = []
            for slot in range(SLOTS):
                spare = [one for one in own[SLOTS - 1 - slot][:SPARES] if one not in own[slot]]
                self._held.append((*own[slot], *spare))
        return self._held

    def slots_of(self, node: bytes) -> list[int]:
        """The slots that a member holds."""
        return [slot for slot, held in enumerate(self.held) if any(one.node == node for one in held)]

    def is_standby(self, member: Member) -> bool:
        """Whether a member has no seat."""
        return member.slot >= STANDBY or member not in self.seated[member.slot]

    def _room_for(self, member: Member) -> bool:
        if not member.trusted and len(self.members) - self.size >= MAX_UNVOUCHED:
            return False
        return len(self.members) < MAX_MEMBERS

    def _leave(self, member: Member) -> bool:
        known = self.members.pop(member.node, None)
        self.gone.pop(member.node, None)
        self.gone[member.node] = member
        if len(self.gone) > MAX_GONE:
            del self.gone[next(iter(self.gone))]
        self._changed()
        return known is not None

    def _changed(self) -> None:
        self._held = self._seated = self._digest = None
