"""Tickets: what somebody gets who may want to come back, and what is taken from him when he does.

    initiator                                   giver
      | --- AskTicket -------------------------> |   sealed
      | <-- Ticket: ticket, nonce, expires ----- |   sealed

    ticket  = id 16 | sealed | tag 16
    sealed  = the secret of the ticket and who holds it, under a key that only the giver knows
    secret  = from the secrets of the link on which the ticket is given, and the nonce

The giver keeps nothing of a ticket but that it was used.  His key changes every twelve hours and is forgotten twelve
hours later, so whoever steals it learns nothing of what was said with a ticket more than a day ago.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf

from halloo.base.errors import Malformed, Refused
from halloo.crypto.suite import Digest, Seal, Suite
from halloo.link.keys import LinkKeys
from halloo.link.persona import Persona
from halloo.messages.credential import MAX_CREDENTIAL, Claims, Party
from halloo.messages.link import Ticket
from halloo.wire.command import Shape, blob, decode_shape, encode_shape, number, shape

__all__ = ["HeldTicket", "TicketContent", "Tickets", "exported", "party_of", "same", "standing", "ticket_secret"]

TICKET_FOR = 12 * 3_600  # seconds that a ticket serves: a night
KEY_FOR = 12 * 3_600.0  # seconds that tickets are given under one key; it is kept for as long again, since they serve
MAX_SPENT = 32_768  # tickets of one key that were used: 800 clients who come back every quarter of an hour
NONCE = 16  # bytes
TAG = 16  # bytes
_CELL = 256  # bytes that the content of a ticket is filled up to a multiple of: most are of one size
_SECRET = 32  # bytes


@shape
class TicketContent(Shape):
    """What a giver tells himself in a ticket."""

    secret: bytes = blob(0x01, least=1, most=64)
    expires: int = number(0x02, most=1 << 40)
    key: bytes = blob(0x03, most=512, default=b"")
    """The holder's identity key, where there are no claims that have it."""
    claims: bytes = blob(0x04, most=MAX_CREDENTIAL, default=b"")
    """What the network said of the holder.  Its signature was checked when the link was made."""


@shape
class HeldTicket(Shape):
    """What a holder keeps of a ticket: with it he comes back to who gave it."""

    ticket: bytes = blob(0x01, least=1, most=1_024)
    secret: bytes = blob(0x02, least=1, most=64)
    expires: int = number(0x03, most=1 << 40)
    key: bytes = blob(0x04, most=512, default=b"")
    """The giver's identity key, where there are no claims that have it."""
    claims: bytes = blob(0x05, most=MAX_CREDENTIAL, default=b"")
    mine: bytes = blob(0x06, least=1, most=64)
    """Digest of the holder's own key and credential: the giver takes him for who he was then."""


@dataclass(slots=True)
class _Key:
    """One key of a giver."""

    secret: bytes
    born: float
    spent: dict[bytes, None] = field(default_factory=dict)
    """Ids of its tickets that were used."""


class Tickets:
    """The tickets that one node gives, and those that it was given."""

    def __init__(self, persona: Persona) -> None:
        self._persona = persona
        self._keys: list[_Key] = []
        """The oldest first; none before the first ticket is given."""

    @property
    def wake_at(self) -> float:
        """When a key has to be forgotten."""
        return self._keys[0].born + 2 * KEY_FOR if self._keys else inf

    def wake(self, now: float) -> None:
        """Forget keys whose tickets have all expired."""
        while self.wake_at <= now:
            del self._keys[0]

    def give(self, exporter: bytes, party: Party, now: float, wall: float) -> Ticket:
        """A ticket for ``party``, at the other end of a link with that exporter.  ``wall``: wall clock, seconds."""
        rng, suite = self._persona.rng, self._persona.suite
        self.wake(now)
        if not self._keys or now >= self._keys[-1].born + KEY_FOR:
            self._keys.append(_Key(rng.randbytes(32), now))
        key, nonce, mark = self._keys[-1].secret, rng.randbytes(NONCE), rng.randbytes(NONCE)
        expires = int(wall) + TICKET_FOR
        if party.claims is not None:
            expires = min(expires, party.claims.expires)
        content = TicketContent(secret=ticket_secret(suite, exporter, nonce), expires=expires, **_shown(party))
        body = encode_shape(content)
        filled = len(body).to_bytes(2, "big") + body
        filled += bytes(-len(filled) % _CELL)
        ticket = mark + _seal(suite, key, mark).close(0, filled, mark)
        return Ticket(ticket=ticket + _tag(suite, key, ticket), nonce=nonce, expires=expires)

    def open(self, ticket: bytes, wall: float) -> TicketContent:
        """What a ticket of ours says.

        Raises:
            Refused: none of ours, altered, used, or expired.
        """
        key = self._key_of(ticket)
        mark, sealed = ticket[:NONCE], ticket[NONCE:-TAG]
        if mark in key.spent:
            raise Refused("the ticket was used before")
        filled = _seal(self._persona.suite, key.secret, mark).open(0, sealed, mark)
        content = decode_shape(TicketContent, filled[2 : 2 + int.from_bytes(filled[:2], "big")])
        if content.expires <= wall:
            raise Refused("the ticket has expired")
        return content

    def spend(self, ticket: bytes) -> bool:
        """Note that an opened ticket was used; False where there is no room left to note it.

        Who gets False must not let the ticket do anything that must not be done twice.
        """
        key = self._key_of(ticket)
        if len(key.spent) >= MAX_SPENT:
            return False
        key.spent[ticket[:NONCE]] = None
        return True

    def hold(self, heard: Ticket, exporter: bytes, giver: Party) -> bytes:
        """What is to be kept of a ticket that was given to us on a link with that exporter."""
        persona = self._persona
        held = HeldTicket(
            ticket=heard.ticket,
            secret=ticket_secret(persona.suite, exporter, heard.nonce),
            expires=heard.expires,
            mine=_mine(persona),
            **_shown(giver),
        )
        return encode_shape(held)

    def usable(self, kept: bytes, key: bytes, wall: float) -> HeldTicket | None:
        """What was kept, if it may still serve to reach the holder of ``key`` (empty: its giver, whoever he is)."""
        try:
            held = decode_shape(HeldTicket, kept)
            giver = party_of(held.key, held.claims)
            standing(self._persona, giver, wall)
        except (Malformed, Refused):
            return None
        fits = not key or key == giver.key
        return held if fits and held.expires > wall and held.mine == _mine(self._persona) else None

    def _key_of(self, ticket: bytes) -> _Key:
        """The key that a ticket is under.  Raises Refused."""
        suite = self._persona.suite
        for key in reversed(self._keys):
            if same(suite.digest, key.secret, _tag(suite, key.secret, ticket[:-TAG]), ticket[-TAG:]):
                return key
        raise Refused("a ticket that is none of ours")


def exported(suite: Suite, keys: LinkKeys) -> bytes:
    """What the secrets of tickets on a link are made from; it tells nothing of the link's keys."""
    return suite.digest.derive(keys.initiators + keys.responders, "halloo resumption", keys.transcript, _SECRET)


def ticket_secret(suite: Suite, exporter: bytes, nonce: bytes) -> bytes:
    """The secret of the ticket with that nonce."""
    return suite.digest.derive(exporter, "halloo ticket", nonce, _SECRET)


def party_of(key: bytes, claims: bytes) -> Party:
    """Who was at the other end.  Raises Malformed."""
    if not claims:
        return Party(key, None)
    known = decode_shape(Claims, claims)
    return Party(known.key, known)


def standing(persona: Persona, party: Party, wall: float) -> None:
    """Whether the network still says what it said of a party.  Raises Refused."""
    if party.claims is not None:
        persona.notary.stands(party.claims, wall)


def same(digest: Digest, key: bytes, expected: bytes, shown: bytes) -> bool:
    """Whether two codes are the same; how long it takes tells nobody who lacks ``key`` where they differ."""
    return digest(key + expected) == digest(key + shown)


def _shown(party: Party) -> dict[str, bytes]:
    if party.claims is None:
        return {"key": party.key}
    return {"claims": encode_shape(party.claims)}


def _mine(persona: Persona) -> bytes:
    return persona.suite.digest(persona.public + persona.credential)


def _seal(suite: Suite, key: bytes, mark: bytes) -> Seal:
    """What one ticket is sealed with; used once, under the number 0."""
    return suite.seal(suite.digest.derive(key, "halloo ticket seal", mark, suite.seal_key_size))


def _tag(suite: Suite, key: bytes, ticket: bytes) -> bytes:
    """Of a ticket without its tag: a seal of the classic suite would let others change what is in it."""
    return suite.digest.derive(key, "halloo ticket tag", suite.digest(ticket), TAG)
