"""What is printed of users who were found."""

from __future__ import annotations

import pytest
from members import WALL, digest, entry_of

from halloo.api.table import users_table
from halloo.messages.credential import LEASE
from halloo.overlay.search import SearchDone


@pytest.mark.parametrize(("after", "online"), [(-600.0, True), (0.0, True), (LEASE - 1, True), (LEASE + 1, False)])
def test_who_was_not_heard_of_for_half_an_hour_is_not_said_to_be_on_line(after: float, online: bool) -> None:
    done = SearchDone(1, "alice", (entry_of("alice"),), complete=True)
    (user,) = users_table(done, digest, WALL + after)["users"]
    assert (user["online"], user["seen"]) == (online, WALL)
