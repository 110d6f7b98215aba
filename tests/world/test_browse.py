"""The white pages in a virtual town: found by parts of names, city and e-mail, page by page, as far as each allows."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest

from halloo.base.errors import UsageError
from halloo.messages.whitepages import Findable, WordSearch, WordsFound, query_of
from halloo.overlay.browse import PAGE, Browsed
from halloo.sim.town import Town

CITIES = ("Ulm", "Bad Tölz", "Rio de Janeiro")


def peopled(town: Town, users: int) -> None:
    """Users move in, each with a full name and a city."""
    for i in range(users):
        name = f"{'anna' if i % 2 else 'bert'}.{i}"
        town.user(name)
        publisher = town.node(name).publisher
        publisher.full_name, publisher.city = f"Mx Number{i} {'Ängström' if i % 2 else 'Brown'}", CITIES[i % 3]


def pages_of(town: Town, who: str) -> list[Browsed]:
    """The pages that somebody was told."""
    return [event for _, name, event in town.world.story if name == who and isinstance(event, Browsed)]


def searched(town: Town, said: str = "", email: bytes = b"") -> tuple[list[list[str]], Browsed]:
    """All pages of a search of Zoe's, as names, and the last one."""
    node, known = town.node("zoe"), len(pages_of(town, "zoe"))
    number, effects = node.browses.find(query_of(said) if said else "", email, town.world.now)
    town.act("zoe", effects)
    names: list[list[str]] = []
    while True:
        latest = town.world.now + 30
        assert town.world.run(latest, lambda before=known: len(pages_of(town, "zoe")) > before)  # type: ignore[misc]
        *_, page = pages_of(town, "zoe")
        known += 1
        names.append(sorted(entry.name for entry in page.entries))
        assert page.number == number
        if not page.more:
            return names, page
        town.act("zoe", node.browses.more(number, town.world.now))


def town_of(seed: int, supernodes: int, users: int) -> Town:
    town = Town(seed, supernodes=supernodes)
    town.world.run(town.world.now + 15)
    peopled(town, users)
    town.user("zoe")
    town.world.run(town.world.now + 20)
    return town


@pytest.mark.parametrize("through_supernode", [False, True])
@pytest.mark.parametrize("supernodes", [1, 14])
def test_everybody_who_fits_is_found_once_page_by_page(supernodes: int, through_supernode: bool) -> None:
    town = town_of(5, supernodes, 61)
    if through_supernode:  # as one whose datagrams do not get through
        town.node("zoe")._browses.open_to = False
    pages, last = searched(town, "ANNA")
    names = [name for page in pages for name in page]
    assert sorted(names) == sorted(f"anna.{i}" for i in range(1, 61, 2))
    assert len(pages) == 2
    assert len(pages[0]) == PAGE
    assert last.complete
    assert last.searched == last.blocks == 1
    for said, found in (
        ("number12", ["bert.12"]),
        ("tölz ange", []),
        ("tolz", []),
        ("tölz ängst", [f"anna.{i}" for i in range(1, 60, 6)]),
        ("bert.1", ["bert.10", "bert.12", "bert.14", "bert.16", "bert.18"]),
        ("nobody", []),
    ):
        pages, last = searched(town, said)
        assert pages == [sorted(found)], said
        assert last.complete


def test_nobody_is_found_by_what_he_keeps_to_himself() -> None:
    town = town_of(6, 5, 4)
    node = town.node("anna.1")
    for findable, said, found in (
        (Findable.NAME, "anna 1", True),
        (Findable.NAME, "number1 ängström", False),
        (Findable.FULL_NAME, "number1 ängström", True),
        (Findable.FULL_NAME | Findable.CITY, "ängström tölz number1", True),
        (Findable.FULL_NAME, "ängström tölz number1", False),
        (Findable(0), "anna 1", False),
    ):
        node.publisher.findable = int(findable)
        town.act("anna.1", node.publisher.publish(town.world.now))
        town.world.run(town.world.now + 2)
        assert searched(town, said)[0] == [["anna.1"] if found else []], (findable, said)
    digest = bytes(range(20))
    for findable in (Findable(0), Findable.EMAIL):
        node.publisher.findable, node.publisher.email = int(findable), digest
        town.act("anna.1", node.publisher.publish(town.world.now))
        town.world.run(town.world.now + 2)
        assert searched(town, email=digest)[0] == [["anna.1"] if findable else []]
    assert searched(town, email=bytes(20))[0] == [[]]


def test_one_liar_for_each_slot_hides_nobody_and_makes_nobody_up() -> None:
    town = town_of(7, 14, 20)
    (table,) = town.node("zoe").searches.atlas.tables()
    pairs = [{table.gateways[index] for index in table.order[at : at + 2]} for at in range(0, 16, 2)]
    liars: list[object] = []
    for gateway in table.gateways:
        if all(not pair <= {*liars, gateway} for pair in pairs):
            liars.append(gateway)
    assert len(liars) >= 2
    for i in range(14):
        supernode = town.node(f"supernode{i}").supernode
        assert supernode is not None
        if supernode.listening in liars:
            # It leaves everybody out, and tells of somebody who does not fit.
            other = next(iter(supernode.directory.all())).record
            lie = WordsFound(records=(other,), slots=255, token=bytes(8))
            object.__setattr__(supernode, "whitepages", _Liar(lie))
    (names,), _ = searched(town, "anna")
    assert sorted(names) == sorted(f"anna.{i}" for i in range(1, 20, 2))


class _Liar:
    """Answers everything with one lie."""

    def __init__(self, lie: WordsFound) -> None:
        self.lie = lie

    def asked(self, message: WordSearch, asker: object, now: float) -> WordsFound:
        """The lie."""
        return replace(self.lie, token=message.token)


def test_supernodes_that_are_gone_are_not_waited_for_long_and_counted() -> None:
    town = town_of(8, 3, 10)
    for i in range(3):
        town.world.kill(f"supernode{i}")
    number, effects = town.node("zoe").browses.find("anna", b"", town.world.now)
    town.act("zoe", effects)
    town.world.run(town.world.now + 4)
    (page,) = pages_of(town, "zoe")
    assert (page.number, page.searched, page.blocks, page.more, page.complete) == (number, 0, 1, False, False)


def test_no_more_is_answered_than_was_asked_before_somebody_shows_that_he_hears() -> None:
    town = town_of(9, 1, 8)
    supernode = town.node("supernode0").supernode
    assert supernode is not None
    rng, now = Random(1), town.world.now
    stranger = town.node("anna.1").searches.own
    assert stranger is not None
    for _ in range(50):
        search = WordSearch(words="anna", slots=255, cookie=rng.randbytes(rng.randrange(17)), token=rng.randbytes(8))
        answer = supernode.whitepages.asked(search, stranger, now)
        assert answer is not None
        assert (answer.records, answer.slots) == ((), 0)
    search = replace(search, cookie=answer.cookie)
    answers = [supernode.whitepages.asked(search, stranger, now) for _ in range(200)]
    heard = [one for one in answers if one is not None]
    assert 0 < len(heard) < 100
    assert all(one.records for one in heard)
    elsewhere = replace(stranger, port=stranger.port ^ 1)
    answer = supernode.whitepages.asked(search, elsewhere, now)
    assert answer is not None
    assert not answer.records


@pytest.mark.parametrize("said", ["", " ", "a", "a b c", "!!", "x" * 100, "aa bb cc dd ee ff gg"])
def test_what_cannot_be_searched_for_is_said(said: str) -> None:
    with pytest.raises(UsageError):
        query_of(said)
