"""What a user tells of himself, and by what he lets himself be found: kept in his home, published in his record.

The e-mail address itself never leaves the machine: only a digest of it does, as costly to guess as a password.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace

from halloo.base.errors import UsageError
from halloo.crypto.suite import Suite
from halloo.messages.whitepages import Findable

__all__ = ["FIELDS", "Profile", "email_digest"]

MAX_FIELD = 64  # characters of a full name or a city
MAX_EMAIL = 254  # characters (RFC 5321)
FIELDS = {
    "name": Findable.NAME,
    "full-name": Findable.FULL_NAME,
    "city": Findable.CITY,
    "email": Findable.EMAIL,
}
"""What a user may be found by, as he writes it."""
_ADDRESS = re.compile(r"[^@\s]+@[^@\s]+")


@dataclass(frozen=True, slots=True)
class Profile:
    """``findable``: names of ``FIELDS``; whoever knows the exact name always finds its user."""

    full_name: str = ""
    city: str = ""
    email: str = ""
    findable: tuple[str, ...] = ("name", "full-name", "city")

    def __post_init__(self) -> None:
        for what, said in (("full name", self.full_name), ("city", self.city)):
            if not isinstance(said, str) or len(said) > MAX_FIELD or not said.isprintable():
                raise UsageError(f"a {what} is a line of at most {MAX_FIELD} characters")
        if not isinstance(self.email, str) or len(self.email) > MAX_EMAIL:
            raise UsageError(f"an e-mail address has at most {MAX_EMAIL} characters")
        if self.email and not _ADDRESS.fullmatch(self.email):
            raise UsageError(f"{self.email!r} is no e-mail address")
        unknown = [word for word in self.findable if word not in FIELDS]
        if unknown:
            raise UsageError(f"nobody is found by {unknown[0]!r}; choose of {', '.join(FIELDS)}")

    @property
    def bits(self) -> int:
        """What the record says of ``findable``."""
        bits = 0
        for word in self.findable:
            bits |= FIELDS[word]
        return bits

    def table(self) -> dict[str, object]:
        """As JSON."""
        return {
            "full_name": self.full_name,
            "city": self.city,
            "email": self.email,
            "findable": list(self.findable),
        }

    def changed(self, table: object) -> Profile:
        """With some fields said anew.  Raises UsageError."""
        if not isinstance(table, dict) or not set(table) <= {"full_name", "city", "email", "findable"}:
            raise UsageError("a profile has full_name, city, email and findable")
        new = dict(table)
        if "findable" in new:
            if not isinstance(new["findable"], list) or not all(isinstance(word, str) for word in new["findable"]):
                raise UsageError("findable is a list of words")
            new["findable"] = tuple(dict.fromkeys(new["findable"]))
        return replace(self, **new)

    @classmethod
    def load(cls, text: str) -> Profile:
        """Read it back.  Raises UsageError where it is damaged."""
        try:
            return cls().changed(json.loads(text))
        except (ValueError, RecursionError) as fault:
            raise UsageError(f"this is no profile: {fault}") from None


def email_digest(suite: Suite, email: str, network: bytes) -> bytes:
    """What is published in place of an address, bound to the network; it takes as long as a password's proof.

    Raises:
        UsageError: this is no address.
    """
    folded = email.strip().casefold()
    if len(folded) > MAX_EMAIL or not _ADDRESS.fullmatch(folded):
        raise UsageError(f"{email!r} is no e-mail address")
    return suite.password.prove("@", folded, network)  # no account has that name
