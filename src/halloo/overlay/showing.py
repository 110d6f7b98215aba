"""What an owner shows of himself, and to whom: the fields that his record gets each time it is published.

    allow(name)  -->  his secret is to be given to ``name``
    deny(name)   -->  a new secret, which those still allowed are to be given; what is published from then on, ``name``
                      can neither read nor watch
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from random import Random

from halloo.base.errors import UsageError
from halloo.crypto.suite import Digest, Seal
from halloo.messages.credential import Listing, Presence
from halloo.messages.name import folded
from halloo.overlay.presence import SALT_SIZE, SECRET_SIZE, Shown, Sight, mark

__all__ = ["MAX_ALLOWED", "Showing"]

MAX_ALLOWED = 200  # users that one may allow to see his presence: each is given a new secret when one is denied


@dataclass(slots=True)
class Showing:
    """One owner's presence.  ``allowed``: by name, the epoch of the secret that he was given (0: none yet)."""

    name: str
    digest: Digest
    seal: Callable[[bytes], Seal]
    seal_key_size: int
    rng: Random
    sight: Sight | None = None
    """The secret; None while nobody was ever allowed."""
    state: Presence = Presence.ONLINE
    invisible: bool = False
    """Whether those who may watch see him off line all the same."""
    everybody: bool = False
    """Whether the record tells his state to everybody."""
    mood: str = ""
    since: int = 0
    allowed: dict[str, int] = field(default_factory=dict)
    leaving: bool = False
    """Whether he is going off line."""
    changed: bool = False
    """Whether something has to be kept that was not yet."""
    _sealed: bytes = b""
    _shown: Shown | None = None

    # --- intents

    def show(self, state: Presence, mood: str | None, wall: float, *, invisible: bool = False) -> None:
        """Show another state, or another mood (None: the same).  Raises UsageError: this is no mood."""
        said = self.mood if mood is None else mood
        Shown(state, int(wall), said)
        if (state, invisible) != (self.state, self.invisible):
            self.since = int(wall)
        self.state, self.invisible, self.mood, self.changed = state, invisible, said, True

    def allow(self, name: str, wall: float) -> bool:
        """Let somebody see it; whether that is new.

        Raises:
            UsageError: this cannot be a name, or is the own one, or there are too many.
        """
        name = folded(name)
        if name == self.name:
            raise UsageError("you see yourself already")
        if name in self.allowed:
            return False
        if len(self.allowed) >= MAX_ALLOWED:
            raise UsageError(f"no more than {MAX_ALLOWED} users can be allowed to see your presence")
        if self.sight is None:
            self._renew(wall)
        self.allowed[name] = 0
        self.changed = True
        return True

    def deny(self, name: str, wall: float) -> bool:
        """Let him see it no longer; whether he could.  Raises UsageError: this cannot be a name."""
        if self.allowed.pop(folded(name), None) is None:
            return False
        self._renew(wall)
        return True

    def given(self, name: str, epoch: int) -> None:
        """Somebody has the secret of an epoch."""
        if name in self.allowed and self.allowed[name] < epoch:
            self.allowed[name] = epoch
            self.changed = True

    def waiting(self) -> list[str]:
        """Who is allowed, and has not the secret of today."""
        epoch = self.sight.epoch if self.sight is not None else 0
        return [name for name, given in self.allowed.items() if given < epoch]

    # --- what the record says

    @property
    def lives(self) -> bool:
        """Whether signs of life may be shown to everybody: not while those who watch see him off line."""
        return not self.leaving and not (self.invisible and self.sight is not None and self.allowed)

    @property
    def facts(self) -> tuple[object, ...]:
        """What the record says of it: while it is the same, a sign of life says enough."""
        shown = self.state, self.invisible, self.everybody, self.mood
        return *shown, self.leaving, bool(self.allowed), self.sight

    def filled(self, listing: Listing) -> Listing:
        """A listing with what its owner shows, at the second at which it is issued.

        Who is seen on line gets a new seal each time: a new record has a new chain of signs of life, and those who
        watch are told of it.
        """
        hidden = self.invisible or not self.everybody
        state = Presence.OFFLINE if self.leaving else Presence.ONLINE if hidden else self.state
        if self.sight is None or not self.allowed:
            return replace(listing, state=state)
        seen = Presence.OFFLINE if self.leaving or self.invisible else self.state
        self.since = self.since or listing.issued
        shown = Shown(seen, listing.issued if self.leaving else self.since, self.mood)
        if not self._sealed or shown != self._shown or seen:
            salt = self.rng.randbytes(SALT_SIZE)
            seal, size = self.seal, self.seal_key_size
            self._sealed = self.sight.sealed(shown, self.name, salt, self.digest, seal, size)
            self._shown = shown
        watched = mark(self.digest, self.sight.token(self.digest))
        return replace(listing, state=state, watch=watched, presence=self._sealed)

    def _renew(self, wall: float) -> None:
        """Epochs are seconds of the wall clock: who has lost his secret does not begin below the last one again."""
        epoch = max(int(wall), self.sight.epoch + 1 if self.sight is not None else 1)
        self.sight = Sight(epoch, self.rng.randbytes(SECRET_SIZE))
        self._sealed, self.changed = b"", True
