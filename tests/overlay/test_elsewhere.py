"""Searches of who can ask nobody in the open: others are asked by a link, as long as there are any."""

from __future__ import annotations

import random

import pytest

from halloo.base.address import Address, Peer, Stream
from halloo.base.effects import Link
from halloo.base.machine import Numbers
from halloo.overlay.elsewhere import Elsewhere
from halloo.overlay.hostcache import HostCache
from halloo.overlay.search import SearchDone, Searches
from halloo.sim.town import Town

OWN, OTHER = Address.parse("192.0.2.1:33033"), Address.parse("192.0.3.1:33033")


@pytest.mark.parametrize("lost", [True, False], ids=["the own one is lost", "the own one is silent"])
def test_who_knows_only_one_other_ends_when_that_one_is_silent(*, lost: bool) -> None:
    town = Town(1, supernodes=1)
    numbers, rng, notary, digest = Numbers(), random.Random(1), town.descriptor.notary, town.suite.digest
    cache = HostCache()
    cache.add([OWN, OTHER])
    elsewhere = Elsewhere(notary, digest, cache, rng, numbers, numbers, numbers, 0.0)
    searches = Searches(notary, digest, rng, numbers, 0.0, elsewhere)
    elsewhere.attached(OWN, Stream(1, OWN))
    searches.attached(Peer(9), OWN, 0.0, open_to=False)
    searches.find("ada", 0.0)
    now, out, links = 0.0, [], 0
    while now < 60.0 and not any(isinstance(effect, SearchDone) for effect in out):
        now = searches.wake_at
        out = searches.wake(now)
        links += sum(isinstance(effect, Link) for effect in out)
        if links and lost and elsewhere.way is not None:
            elsewhere.attached(None, None)
            searches.attached(None, None, now, open_to=False)
    assert links == 1
    (done,) = [effect for effect in out if isinstance(effect, SearchDone)]
    assert not done.entries
    assert not done.complete
