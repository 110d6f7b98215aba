"""A node whose address changes while it is on line."""

import pytest

from halloo.base.address import Address
from halloo.overlay.join import Lost
from halloo.overlay.publish import Published
from halloo.overlay.search import SearchDone
from halloo.sim.town import Town

ELSEWHERE = Address.parse("10.9.9.9:45678")


@pytest.mark.parametrize("profile", ["modern", "classic", "plain"])
def test_whoever_looks_it_up_finds_the_new_address(profile: str) -> None:
    town = Town(1, profile=profile)
    town.user("ada")
    town.user("bob")
    town.world.run(30, lambda: len(town.world.events(Published)) == 2)
    town.world.move("ada", ELSEWHERE)
    town.world.run(town.world.now + 150)  # two signs of life, the classic profile's at most
    assert not town.world.events(Lost, "ada")
    assert town.node("ada").observed == ELSEWHERE
    town.act("bob", town.node("bob").searches.find("ada", town.world.now)[1])
    town.world.run(town.world.now + 5)
    (entry,) = town.world.events(SearchDone, "bob")[-1].entries
    assert entry.listing.reachable[0] == ELSEWHERE
