"""Who lives in a network of minds: behind which box, knowing whom, with a machine that may serve others or not."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from halloo.overlay.promotion import Consent, Lending
from halloo.sim.mindtown import MindTown, supernode_address, user_address
from halloo.sim.nat import drawn_kind
from halloo.sim.setting import LENT, Setting

__all__ = ["settle_users"]

KNOWN = 20  # supernodes that a user knows who has been here before, not the same as everybody else


def settle_users(town: MindTown, setting: Setting, users: Sequence[str]) -> None:
    """Give each user a home; nobody's program runs yet."""
    rng = Random(f"{setting.seed}/boxes")
    count = round(setting.willing * len(users))
    willing = dict.fromkeys(Random(f"{setting.seed}/willing").sample(users, count))
    for i, name in enumerate(users):
        kind = drawn_kind(rng) if setting.boxes else None
        behind = kind is not None and kind.translates
        known = [supernode_address(rng.randrange(setting.supernodes)) for _ in range(KNOWN)]
        lending = Lending(Consent.YES, clients=min(LENT, setting.places)) if name in willing else None
        town.household(name, user_address(i, inside=behind), kind=kind, user=True, known=known, lending=lending)
