"""What a user shows, and whom he watches: kept, read back; a damaged file is named and lets nobody watch."""

from __future__ import annotations

import json

import pytest

from halloo.base.errors import UsageError
from halloo.messages.credential import Presence
from halloo.node.buddies import KeptPresence
from halloo.overlay.presence import Sight
from halloo.runtime.presence import presence_text, read_presence

KEPT = KeptPresence(
    Sight(7, bytes(range(32))),
    Presence.AWAY,
    False,
    True,
    "{braces} ☕",
    (("bob", 7), ("carol", 0)),
    (("zoe", Sight(3, bytes(32))),),
    ("zoe", "dora"),
)


def test_it_is_kept_and_read_back_for_its_user_alone() -> None:
    text = presence_text(KEPT, "ada")
    assert read_presence(text, "Ada") == KEPT
    assert read_presence(text, "bob") == KeptPresence()


@pytest.mark.parametrize(
    "change",
    [
        {"name": 3},
        {"sight": None},
        {"sight": [1, "AAAA"]},
        {"sight": [-1, "x"]},
        {"state": 0},
        {"state": 9},
        {"mood": 7},
        {"mood": "x" * 81},
        {"allowed": []},
        {"allowed": {"a b": 1}},
        {"allowed": {f"friend{number}": 0 for number in range(201)}},
        {"sights": {"zoe": 3}},
        {"watched": 5},
    ],
)
def test_what_is_damaged_is_said_to_be(change: dict[str, object]) -> None:
    table = json.loads(presence_text(KEPT, "ada")) | change
    with pytest.raises(UsageError):
        read_presence(json.dumps(table), "ada")
