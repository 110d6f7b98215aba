"""Directory records to test with: true ones, old ones, and forged ones."""

from __future__ import annotations

import random

from halloo.messages.credential import Entry, Listing, list_entry
from halloo.sim.town import Town
from halloo.sim.world import WALL

__all__ = ["entry_of"]


def entry_of(town: Town, name: str, *, version: int = 1, issued: float = WALL, key_of: str = "") -> Entry:
    """A record of a user, signed with his key (or, forged, with somebody else's)."""
    rng = random.Random(name)
    private = town.suite.identity.make(rng)
    credential = town.credential(name, town.suite.identity.public(private))
    listing = Listing(version=version, issued=int(issued), state=1, node=bytes(8))
    signer = town.suite.identity.make(random.Random(key_of)) if key_of else private
    record = list_entry(credential, listing, signer, town.suite.identity.sign)
    return town.descriptor.notary.record(record, WALL) if not key_of else Entry(None, listing, record, int(issued))  # type: ignore[arg-type]
