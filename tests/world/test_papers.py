"""Credentials in a town: renewed, revoked, audited, carried; and what works while every login server is dark."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from town_calls import Talkers

from halloo.base.address import Address
from halloo.call.call import Ended, Result
from halloo.login.auditor import Audited, AuditFailed, LogContradicted
from halloo.login.carrier import LetterCarried
from halloo.login.client import LoginDecided, LoginUnreachable
from halloo.login.renewal import CredentialExpired, RenewalRefused, Renewed
from halloo.login.server import LoginServer
from halloo.login.watch import EVERY, HeadSeen, KeysRevoked
from halloo.messages.credential import credential_of
from halloo.messages.log import EntryKind
from halloo.messages.login import Application, Purpose, Verdict
from halloo.node.login_mind import LoginMind
from halloo.overlay.join import Joined, Lost
from halloo.overlay.publish import Published
from halloo.overlay.search import SearchDone
from halloo.sim.town import LOGIN, Town
from halloo.sim.world import WALL

DAY = 86_400.0
LIFE = 4 * 3600  # seconds of a credential here: the same story as in 14 days, in fewer signs of life


def server(town: Town) -> LoginServer:
    mind = town.world.residents["login"].station.mind
    assert isinstance(mind, LoginMind)
    return mind.server


def settled(town: Town, *names: str) -> None:
    for name in names:
        town.user(name)
    count = len(names)
    assert town.world.run(town.world.now + 60, lambda: len(town.world.events(Published)) >= count)


def light(town: Town) -> None:
    """The login server is there again, with what it had."""
    resident = town.world.residents["login"]
    resident.alive = True
    town.world._by_address[LOGIN] = resident
    resident.planned = float("inf")


def ask(town: Town, name: str, purpose: int, password: bytes = b"", new: bytes = b"", key: bytes = b"") -> Any:
    """A user's application and what came of it."""
    node, world = town.node(name), town.world
    private = key or node.persona.private
    application = Application(
        purpose=purpose, name=name, proof=password, new_proof=new, key=town.suite.identity.public(private)
    )
    before = len(world.events(LoginDecided, name)) + len(world.events(LoginUnreachable, name))
    town.act(name, node.papers.ask.apply(application, private, world.now))
    world.run(
        world.now + 30,
        lambda: len(world.events(LoginDecided, name)) + len(world.events(LoginUnreachable, name)) > before,
    )
    both = LoginDecided | LoginUnreachable
    decided = [event for _, who, event in world.story if who == name and isinstance(event, both)]
    return decided[-1]


def search(town: Town, who: str, name: str) -> SearchDone:
    world = town.world
    number, effects = town.node(who).searches.find(name, world.now)
    town.act(who, effects)
    assert world.run(world.now + 10, lambda: any(event.number == number for event in world.events(SearchDone, who)))
    found: SearchDone = next(event for event in world.events(SearchDone, who) if event.number == number)
    return found


@pytest.mark.parametrize("profile", ["plain", "modern"])
def test_a_credential_is_renewed_when_half_of_its_life_is_over(profile: str) -> None:
    town = Town(3, supernodes=1, profile=profile, valid_for=LIFE)
    settled(town, "alice")
    first = credential_of(town.node("alice").persona.credential)
    town.world.run(0.5 * LIFE - 60)
    assert not town.world.events(Renewed)
    town.world.run(0.61 * LIFE)
    (renewed,) = town.world.events(Renewed, "alice")
    node = town.node("alice")
    assert node.persona.credential == node.publisher.credential == renewed.credential
    assert renewed.claims.expires > first.expires + 0.45 * LIFE
    assert renewed.claims.key == first.key
    town.world.run(town.world.now + 5)
    (held,) = [entry for entry in town.node("supernode0").supernode.directory.all() if entry.name == "alice"]  # type: ignore[union-attr]
    assert held.claims == renewed.claims  # the directory has the new one without a restart


def test_a_node_works_while_every_login_server_is_dark_until_its_credential_is_over_and_comes_back() -> None:
    town = Town(5, valid_for=LIFE)
    talkers = Talkers(town)
    for name in ("alice", "bob"):
        talkers.settle(name)
    world = town.world
    world.run(60, lambda: len(world.events(Published)) >= 2)
    world.kill("login")

    def call() -> Result:
        begun = talkers.dial("alice", "bob")
        world.run(world.now + 20)
        alice = town.node("alice").calls
        if begun in alice.active:
            town.act("alice", alice.hang_up(begun, world.now))
        world.run(world.now + 3)
        (ended,) = [event for event in world.events(Ended, "alice") if event.call == begun]
        return Result(ended.result)

    assert call() is Result.ENDED
    world.run(LIFE - 600)
    assert search(town, "bob", "alice").entries
    assert call() is Result.ENDED
    assert not world.events(CredentialExpired)
    assert not world.events(Renewed)

    # Somebody who comes on line only now does so as well.
    world.residents["alice"].station.mind.join.cache.add(town.descriptor.supernodes)  # type: ignore[union-attr]
    town.act("alice", town.node("alice").leave(world.now))
    world.run(world.now + 5)
    before = len(world.events(Published, "alice"))
    town.act("alice", town.node("alice").begin(world.now))
    assert world.run(world.now + 30, lambda: len(world.events(Published, "alice")) > before)
    assert world.events(Published, "alice")[-1].copies

    world.run(LIFE + 600)
    for name in ("alice", "bob"):
        (expired,) = world.events(CredentialExpired, name)
        assert f"halloo login {name}" in expired.reason
    assert world.events(Published, "alice")[-1].copies == 0
    assert "expired" in world.events(Published, "alice")[-1].reason

    light(town)
    latest = world.now + 12 * 3600  # tries have become rare
    while world.now < latest and not all(world.events(Published, name)[-1].copies for name in ("alice", "bob")):
        world.run(world.now + 60)
    for name in ("alice", "bob"):
        assert world.events(Renewed, name)
        assert world.events(Published, name)[-1].copies
    assert call() is Result.ENDED


def test_tries_at_a_dark_server_become_rare() -> None:
    town = Town(6, supernodes=1, valid_for=LIFE)
    settled(town, "alice")
    town.world.kill("login")
    town.world.run(0.61 * LIFE)
    sent = [0]
    carry = town.world._transmit

    def counted(source: Any, effect: Any) -> None:
        sent[0] += source.name == "alice" and effect.address == LOGIN
        carry(source, effect)

    town.world._transmit = counted  # type: ignore[method-assign]
    town.world.run(town.world.now + DAY)
    # A letter is two datagrams said three times over UDP: four tries a day, and the audits of an hour.
    assert 10 < sent[0] < 250


def test_a_revoked_key_is_renewed_no_more_and_leaves_the_directory() -> None:
    town = Town(7, valid_for=LIFE)
    settled(town, "alice", "bob")
    world = town.world
    assert world.run(world.now + 60, lambda: len(world.events(HeadSeen)) >= 3)
    assert search(town, "bob", "alice").entries
    decided = ask(town, "alice", Purpose.REVOKE)
    assert decided.decision.verdict == Verdict.OK
    world.run(world.now + 1.3 * EVERY)
    assert world.events(KeysRevoked)
    assert any("revoked" in lost.reason for lost in world.events(Lost, "alice"))
    assert not search(town, "bob", "alice").entries
    joined = len(world.events(Joined, "alice"))
    world.run(world.now + 600)
    assert len(world.events(Joined, "alice")) == joined  # no supernode takes it
    assert world.events(Audited, "alice")[-1].report.revoked is not None  # and its owner is told why
    world.run(LIFE)
    assert world.events(RenewalRefused, "alice")
    assert "halloo login alice" in world.events(RenewalRefused, "alice")[-1].reason
    assert not world.events(Renewed, "alice")
    assert world.events(Renewed, "bob")


def test_a_node_goes_on_whose_password_was_changed_by_another_program_of_its_device() -> None:
    town = Town(22)
    settled(town, "alice", "bob")
    world = town.world
    world.run(world.now + 60)
    assert ask(town, "alice", Purpose.SIGN_UP, b"old").decision.verdict == Verdict.OK
    # The same key, certified anew: the node itself still has the credential of before.
    assert ask(town, "alice", Purpose.CHANGE_PASSWORD, b"old", b"new").decision.verdict == Verdict.OK
    world.run(world.now + 1.3 * EVERY)
    assert any("revoked" in lost.reason for lost in world.events(Lost, "alice"))
    world.run(world.now + 180)
    assert world.events(Renewed, "alice")
    assert town.node("alice").join.peer is not None
    assert search(town, "bob", "alice").entries
    assert not world.events(RenewalRefused)


def test_a_supernode_that_starts_later_hears_of_earlier_revocations() -> None:
    town = Town(8, supernodes=2)
    world = town.world
    settled(town, "alice", "bob")
    world.kill("supernode1")
    for _ in range(30):  # more than one page over UDP
        ask(town, "alice", Purpose.REVOKE)
        town.credential("alice", town.node("alice").persona.public, wall=world.now + WALL)
    ask(town, "alice", Purpose.REVOKE)
    late = town._settle("late", Address.parse("10.1.0.9:33033"), supernode=True)
    world.run(world.now + 30)
    node = town.node(late.name)
    assert node.persona.notary.revoked(credential_of(town.node("alice").persona.credential))
    assert not node.persona.notary.revoked(credential_of(town.node("bob").persona.credential))
    assert node.papers.watch is not None
    assert node.papers.watch.chain.count == len(town.accounts.log)


def test_a_supernode_follows_the_log_over_udp_and_over_streams() -> None:
    town = Town(9, supernodes=1)
    settled(town, "alice")
    world = town.world
    world.run(world.now + 60)
    for count in (3, 400):
        for number in range(count):
            town.credential(f"user{number}", b"key", wall=world.now + WALL)
        world.run(world.now + 1.3 * EVERY)
        watch = town.node("supernode0").papers.watch
        assert watch is not None
        assert watch.chain.count == len(town.accounts.log)
    assert not world.events(LogContradicted)


def test_a_day_of_audits_finds_nothing_strange_in_a_town_without_evil() -> None:
    town = Town(10, supernodes=1)
    settled(town, "alice", "bob")
    town.world.run(2.3 * DAY)
    audits = town.world.events(Audited, "alice")
    assert 3 <= len(audits) <= 4
    assert all(audited.report.clean for audited in town.world.events(Audited))
    assert not town.world.events(LogContradicted)


def test_a_key_that_this_device_did_not_ask_for_is_noticed_within_a_day() -> None:
    town = Town(11, supernodes=1)
    settled(town, "alice")
    world = town.world
    world.run(100)
    assert world.events(Audited, "alice")[-1].report.clean
    town.credential("alice", b"a key that the operator made", wall=world.now + WALL)
    world.run(100 + 1.2 * DAY)
    report = world.events(Audited, "alice")[-1].report
    assert [entry.key for entry in report.strange] == [server(town).ledger.key(b"a key that the operator made")]


def test_an_entry_of_my_name_that_the_login_server_leaves_out_for_me_alone_is_noticed() -> None:
    town = Town(20, supernodes=1)
    world = town.world
    settled(town, "alice")
    world.run(200)
    theirs = town.credential("alice", b"a key that the operator made", wall=world.now + WALL)
    whose, page = server(town).ledger.name("alice"), town.accounts.page
    number = credential_of(theirs).entry

    def page_without(first: int, most: int, **more: Any) -> Any:
        told = page(first, most, **more)
        return tuple(entry for entry in told if entry.number < number) if more.get("name") == whose else told

    class Leaving(type(town.accounts)):  # type: ignore[misc]
        page = staticmethod(page_without)

    server(town).accounts = Leaving(town.accounts.accounts, town.accounts.log)
    world.run(200 + 1.3 * EVERY + 1200)  # the supernode reads it, alice publishes, and is told
    faults = world.events(Audited, "alice")[-1].report.faults
    assert len(faults) == 1
    assert f"has read entry {number}" in faults[0]


def test_a_strange_key_is_noticed_long_before_a_day_is_over_where_the_supernode_has_read_of_it() -> None:
    town = Town(21, supernodes=1)
    world = town.world
    settled(town, "alice")
    world.run(200)
    town.credential("alice", b"a key that the operator made", wall=world.now + WALL)
    world.run(200 + 1.3 * EVERY + 1200)
    assert world.events(Audited, "alice")[-1].report.strange


def test_a_log_that_was_written_anew_is_noticed_by_everybody() -> None:
    town = Town(12, supernodes=1)
    settled(town, "alice", "bob")
    world = town.world
    world.run(1000)
    assert not world.events(LogContradicted)
    # The operator takes an entry out and chains the rest anew.
    ledger = server(town).ledger
    old = list(town.accounts.log)
    town.accounts.log.clear()
    for entry in old[1:]:
        town.accounts.append(entry.name, ledger.write(EntryKind(entry.kind), entry.name, entry.key, entry.wall))
    world.run(1000 + 1.5 * DAY)
    assert world.events(LogContradicted, "supernode0")
    alice = world.events(Audited, "alice")[-1].report
    assert alice.faults or world.events(AuditFailed, "alice") or world.events(LogContradicted, "alice")
    assert all(event.evidence for event in world.events(LogContradicted))


def test_a_server_that_tells_us_another_story_than_our_supernode_is_noticed() -> None:
    town = Town(13, supernodes=1)
    world = town.world
    world.run(60)  # the supernode has seen the log as it is
    for name in ("dora", "emil"):
        town.credential(name, b"key")
    world.run(60 + 1.3 * EVERY)
    # For whoever asks now, the same log with another key in the place of emil's.
    other = replace(town.accounts.log[-1], key=b"another key for ever")
    town.accounts.log[-1] = other
    server(town)._head = None
    settled(town, "alice")
    world.run(world.now + 100)
    words = [event.words for event in world.events(LogContradicted, "alice")]
    assert words
    assert "our supernode" in words[-1]


# --- letters that supernodes carry


def blocked(town: Town, name: str) -> None:
    """A host from which no login server can be reached, neither by UDP nor by TCP."""
    host = town.world.residents[name].address.host
    town.world.net.udp_blocked.add(frozenset((host, LOGIN.host)))
    town.world.net.blocked.add(frozenset((host, LOGIN.host)))


def test_whose_way_to_the_login_servers_is_blocked_signs_up_and_renews_over_a_supernode() -> None:
    town = Town(14, valid_for=LIFE)
    world = town.world
    town.stranger("carol")
    blocked(town, "carol")
    assert world.run(60, lambda: bool(world.events(Joined, "carol")))
    began = world.now
    decided = ask(town, "carol", Purpose.SIGN_UP, b"proof")
    assert isinstance(decided, LoginDecided)
    assert decided.carried
    assert decided.decision.verdict == Verdict.OK
    assert 1.5 < world.now - began < 2.5
    assert [event.answered for event in world.events(LetterCarried)] == [True]
    assert town.accounts.find("carol") is not None

    settled(town, "alice")
    blocked(town, "alice")
    world.run(0.62 * LIFE)
    assert world.events(Renewed, "alice")
    audits = world.events(Audited, "alice")
    assert len(audits) == 2  # after each credential
    assert all(audited.report.clean for audited in audits)
    assert not world.events(AuditFailed, "alice")


def test_who_is_not_blocked_troubles_no_supernode() -> None:
    town = Town(15)
    world = town.world
    town.stranger("carol")
    world.run(60, lambda: bool(world.events(Joined, "carol")))
    decided = ask(town, "carol", Purpose.SIGN_UP, b"proof")
    assert (decided.decision.verdict, decided.carried) == (Verdict.OK, False)
    assert not world.events(LetterCarried)


def test_a_supernode_says_that_it_reaches_nobody_either() -> None:
    town = Town(16, supernodes=1)
    world = town.world
    town.stranger("carol")
    world.run(60, lambda: bool(world.events(Joined, "carol")))
    world.kill("login")
    gone = ask(town, "carol", Purpose.SIGN_UP, b"proof")
    assert isinstance(gone, LoginUnreachable)


def test_one_node_does_not_have_all_letters_carried() -> None:
    town = Town(17, supernodes=1)
    world = town.world
    town.stranger("carol")
    blocked(town, "carol")
    world.run(60, lambda: bool(world.events(Joined, "carol")))
    decided = [ask(town, "carol", Purpose.LOGIN, b"guess") for _ in range(9)]
    assert isinstance(decided[-1], LoginUnreachable)
    assert "carries no more letters" in decided[-1].reason
    assert len(world.events(LetterCarried)) <= 8


# --- what nodes and supernodes show each other


def test_a_credential_that_the_log_does_not_hold_is_noticed_where_it_is_published() -> None:
    town = Town(18, supernodes=2)
    settled(town, "alice")
    world = town.world
    world.run(world.now + 60)
    assert not world.events(LogContradicted)
    make = town.credential
    town.credential = lambda name, key, **more: _unlogged(town, make, name, key)  # type: ignore[method-assign]
    town.user("mallory")
    world.run(world.now + 2.4 * EVERY)
    words = [event.words for event in world.events(LogContradicted)]
    assert any("the credential of mallory speaks of another entry" in text for text in words)
    assert all(event.evidence for event in world.events(LogContradicted))


def _unlogged(town: Town, make: Any, name: str, key: bytes) -> bytes:
    """A credential whose entry is taken out of the log again, and another put in its place."""
    credential: bytes = make(name, key)
    town.accounts.log.pop()
    town.accounts.append(b"somebody", server(town).ledger.write(EntryKind.CERTIFIED, b"somebody" * 2, b"k", int(WALL)))
    return credential


def test_two_supernodes_that_are_told_different_stories_find_out() -> None:
    town = Town(19, supernodes=1)
    world = town.world
    town.credential("dora", b"key")
    world.run(30)
    watch = town.node("supernode0").papers.watch
    assert watch is not None
    honest = list(town.accounts.log)
    # From here on the server tells a log in which dora never was.
    town.accounts.log.clear()
    server(town)._head = None
    town.credential("emil", b"another")
    town._settle("late", Address.parse("10.1.0.9:33033"), supernode=True)
    world.run(world.now + 30)
    assert watch.chain.count == len(honest) == len(town.accounts.log)
    assert world.events(LogContradicted)
    assert "two different logs" in world.events(LogContradicted)[0].words
    assert len(world.events(LogContradicted)[0].evidence) == 2
