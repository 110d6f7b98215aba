"""The log of certified keys: whatever is altered, dropped, moved, put in between or forked is noticed."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from office import PLAIN, WALL, Office

from halloo.base.errors import PeerError
from halloo.crypto.suite import Suite
from halloo.crypto.suites import SUITES
from halloo.login.accounts import AccountsInMemory
from halloo.login.audit import Chain, Known, NameChain, contradiction, examined
from halloo.login.log import Ledger, read_answer, read_head
from halloo.login.revocations import CREDENTIAL_LIFE, MAX_HELD, Revocations
from halloo.messages.credential import Claims
from halloo.messages.log import EntryKind, Head, LogAsked, LogEntry
from halloo.messages.login import Purpose
from halloo.wire.command import encode_command

LEDGER = Ledger(PLAIN.digest, b"network!")
NAMES = ("ada", "bob", "carol")
STORIES = st.lists(
    st.tuples(st.sampled_from(NAMES), st.sampled_from(EntryKind), st.integers(0, 3)), min_size=2, max_size=14
)


def written(story: list[tuple[str, EntryKind, int]]) -> list[LogEntry]:
    """The log of a story of (name, kind, which key)."""
    accounts = AccountsInMemory()
    for at, (name, kind, key) in enumerate(story):
        whose = LEDGER.name(name)
        digest = LEDGER.key(bytes([key])) if kind == EntryKind.CERTIFIED else b""
        accounts.append(whose, LEDGER.write(kind, whose, digest, int(WALL) + at))
    return accounts.log


def head_of(log: list[LogEntry], wall: float = WALL) -> Head:
    return Head(
        network=b"network!", count=len(log), newest=LEDGER.hash_of(log[-1]) if log else b"", wall=int(wall)
    )


def holds(log: list[LogEntry], head: Head) -> bool:
    """Whether a log is one, and that of a head."""
    chain = Chain(LEDGER)
    try:
        chain.add(log)
        chain.agrees(head)
    except PeerError:
        return False
    return chain.count == head.count


def name_holds(entries: list[LogEntry], name: str, head: Head) -> bool:
    chain = NameChain(LEDGER, LEDGER.name(name))
    try:
        chain.add(entries, head)
    except PeerError:
        return False
    return True


@given(STORIES)
def test_an_honest_log_holds(story: list[tuple[str, EntryKind, int]]) -> None:
    log = written(story)
    assert holds(log, head_of(log))
    for name in NAMES:
        mine = [entry for entry in log if entry.name == LEDGER.name(name)]
        assert name_holds(mine, name, head_of(log))
        half = len(mine) // 2
        chain = NameChain(LEDGER, LEDGER.name(name))
        chain.add(mine[:half], head_of(log))
        chain.add(mine[half:], head_of(log))
        assert list(chain.entries) == mine


def altered(data: st.DataObject, entry: LogEntry) -> LogEntry:
    """The same entry with one field changed."""
    field = data.draw(st.sampled_from(["kind", "name", "key", "wall", "previous", "previous_of_name", "number"]))
    held = getattr(entry, field)
    if isinstance(held, int):
        return replace(entry, **{field: data.draw(st.integers(0, 255).filter(lambda value: value != held))})
    return replace(entry, **{field: data.draw(st.binary(min_size=16, max_size=20).filter(lambda value: value != held))})


@given(STORIES, st.data())
def test_an_altered_entry_is_noticed(story: list[tuple[str, EntryKind, int]], data: st.DataObject) -> None:
    log = written(story)
    at = data.draw(st.integers(0, len(log) - 1))
    false = list(log)
    false[at] = altered(data, log[at])
    assert not holds(false, head_of(log))


@given(STORIES, st.data())
def test_a_dropped_or_doubled_entry_is_noticed(story: list[tuple[str, EntryKind, int]], data: st.DataObject) -> None:
    log = written(story)
    at = data.draw(st.integers(0, len(log) - 1))
    assert not holds(log[:at] + log[at + 1 :], head_of(log))
    assert not holds([*log[: at + 1], log[at], *log[at + 1 :]], head_of(log))


@given(STORIES, st.data())
def test_entries_in_another_order_are_noticed(story: list[tuple[str, EntryKind, int]], data: st.DataObject) -> None:
    log = written(story)
    order = data.draw(st.permutations(log).filter(lambda other: other != log))
    assert not holds(list(order), head_of(log))


@given(STORIES, STORIES, st.integers(0, 14))
def test_a_fork_is_noticed(
    story: list[tuple[str, EntryKind, int]], other: list[tuple[str, EntryKind, int]], at: int
) -> None:
    one = written(story)
    two = written(story[:at] + other)
    if len(two) == len(one) and two != one:
        assert "two different logs" in contradiction(head_of(one), head_of(two))
    if two[: len(one)] != one and len(two) > len(one):
        # Who has read the one does not go on by the other.
        chain = Chain(LEDGER)
        chain.add(one)
        with pytest.raises(PeerError):
            chain.add(two[len(one) :])


@given(STORIES, st.data())
def test_an_entry_of_my_name_that_is_altered_moved_or_left_out_is_noticed(
    story: list[tuple[str, EntryKind, int]], data: st.DataObject
) -> None:
    log = written([("ada", EntryKind.CERTIFIED, 0), *story, ("ada", EntryKind.CERTIFIED, 0)])
    mine = [entry for entry in log if entry.name == LEDGER.name("ada")]
    last = mine[-1]
    claims = Claims(
        name="ada",
        key=b"\0",
        expires=int(WALL) + CREDENTIAL_LIFE,
        issued=int(WALL),
        network=b"network!",
        entry=last.number,
        entry_hash=LEDGER.mark_of(last),
    )

    def noticed(entries: list[LogEntry]) -> bool:
        chain = NameChain(LEDGER, LEDGER.name("ada"))
        try:
            chain.add(entries, head_of(log))
        except PeerError:
            return True
        known = frozenset(LEDGER.key(bytes([key])) for key in range(256))
        return bool(examined(LEDGER, claims, chain, head_of(log), Known(known)).faults)

    assert not noticed(mine)
    at = data.draw(st.integers(0, len(mine) - 1))
    assert noticed(mine[:at] + mine[at + 1 :])
    false = list(mine)
    false[at] = altered(data, mine[at])
    assert noticed(false)


def test_what_two_heads_cannot_both_say() -> None:
    log = written([("ada", EntryKind.CERTIFIED, n % 4) for n in range(6)])
    longer, shorter = head_of(log), head_of(log[:4])
    assert contradiction(longer, longer) == ""
    assert contradiction(replace(shorter, wall=longer.wall - 10), longer) == ""
    assert contradiction(shorter, replace(longer, wall=longer.wall - 100)) == ""  # clocks of two servers
    assert "shrunk from 6 entries to 4" in contradiction(longer, replace(shorter, wall=longer.wall + 400))
    assert "shrunk" in contradiction(replace(shorter, wall=longer.wall + 400), longer)


@pytest.mark.parametrize("suite", SUITES.values(), ids=lambda suite: suite.name)
def test_heads_and_answers_are_signed_by_the_network(suite: Suite) -> None:
    office = Office(suite)
    office.sign_up("ada", "bob")
    question = LogAsked(first=1, most=9, padding=bytes(1000), request=4)
    told = office.told(question)
    assert told is not None
    head, signed = read_answer(office.ledger, office.notary, question, told)
    assert head.count == 2
    assert read_head(signed, office.notary) == head
    assert list(told.entries) == office.log
    stranger = replace(office.notary, network=b"another!")
    with pytest.raises(PeerError, match="another network"):
        read_head(signed, stranger)
    forged = bytearray(signed.head)
    forged[-1] ^= 1
    with pytest.raises(PeerError):
        read_head(replace(signed, head=bytes(forged)), office.notary)
    other_question = replace(question, name=office.ledger.name("ada"))
    for asked, answer in (
        (question, replace(told, entries=told.entries[:1])),
        (question, replace(told, more=True)),
        (other_question, told),
    ):
        with pytest.raises(PeerError, match="not signed"):
            read_answer(office.ledger, office.notary, asked, answer)


@given(
    first=st.integers(0, 40),
    most=st.integers(0, 64),
    padding=st.integers(0, 1024),
    name=st.booleans(),
    of=st.booleans(),
)
@settings(max_examples=60)
def test_an_answer_over_udp_is_never_longer_than_its_question(
    first: int, most: int, padding: int, name: bool, of: bool
) -> None:
    question = LogAsked(
        first=first, most=most, name=LEDGER.name("ada") if name else b"", revocations=of, padding=bytes(padding)
    )
    told = CROWDED.told(question, now=100.0 * next(TICKS))
    if told is None:
        assert padding < 300
        return
    assert len(encode_command(told)) <= len(encode_command(question))
    read_answer(CROWDED.ledger, CROWDED.notary, question, told)


CROWDED = Office()
for _number in range(12):
    CROWDED.sign_up("ada", f"user{_number}")
    CROWDED.ask(Purpose.CHANGE_PASSWORD, "ada", "secret", new="secret", now=float(_number))
TICKS = iter(range(1_000_000))


def test_questions_are_limited() -> None:
    office = Office()
    question = LogAsked(padding=bytes(500))
    burst = office.limits.questions_by_host.burst
    assert all(office.told(question) for _ in range(burst))
    assert office.told(question) is None
    assert office.told(question, host="192.0.2.61") is not None
    assert office.told(question, now=1.0) is not None


def test_strange_keys_and_revocations_are_told() -> None:
    office = Office()
    mine = office.claims(Purpose.SIGN_UP, "ada", "secret")
    known = frozenset([office.ledger.key(office.key)])
    chain = NameChain(office.ledger, office.ledger.name("ada"))

    def report(claims: Claims) -> object:
        chain.entries = ()
        head = Head(
            network=b"network!", count=len(office.log), newest=office.ledger.hash_of(office.log[-1]), wall=int(WALL)
        )
        chain.add([entry for entry in office.log if entry.name == chain.name], head)
        return examined(office.ledger, claims, chain, head, Known(known, mine.entry))

    assert report(mine).clean  # type: ignore[attr-defined]
    office.fresh_key()
    theirs = office.claims(Purpose.LOGIN, "ada", "secret", host="203.0.113.66")
    found = report(mine)
    assert [entry.number for entry in found.strange] == [theirs.entry]  # type: ignore[attr-defined]
    assert not found.clean  # type: ignore[attr-defined]
    office.ask(Purpose.CHANGE_PASSWORD, "ada", "secret", new="x")
    assert report(mine).revoked is not None  # type: ignore[attr-defined]


# --- revocations


def revoked(name: str, number: int, wall: float = WALL) -> LogEntry:
    return LogEntry(number=number, kind=EntryKind.REVOKED, name=LEDGER.name(name), wall=int(wall))


def claims_of(name: str, entry: int) -> Claims:
    return Claims(name=name, key=b"k", expires=0, issued=0, network=b"network!", entry=entry)


def test_a_revocation_covers_what_was_certified_before_it() -> None:
    held = Revocations(LEDGER)
    assert not held.covers(claims_of("ada", 5))
    assert held.add(revoked("ada", 7), WALL)
    assert not held.add(revoked("ada", 7), WALL)
    assert not held.add(revoked("ada", 6), WALL)
    assert held.covers(claims_of("ada", 6))
    assert held.covers(claims_of("ada", 0))  # older than the log
    assert not held.covers(claims_of("ada", 8))
    assert not held.covers(claims_of("bob", 6))


def test_old_revocations_are_forgotten_and_new_ones_bounded() -> None:
    held = Revocations(LEDGER)
    assert not held.add(revoked("ada", 1, WALL - CREDENTIAL_LIFE - 400), WALL)
    held.add(revoked("ada", 1), WALL)
    held.add(revoked("bob", 2, WALL + CREDENTIAL_LIFE), WALL + CREDENTIAL_LIFE + 400)
    assert len(held) == 1
    rng = random.Random(1)
    full = Revocations(LEDGER)
    for number in range(1, MAX_HELD + 20):
        full.add(
            LogEntry(number=number, kind=EntryKind.REVOKED, name=rng.randbytes(16), wall=int(WALL)), WALL
        )
    assert len(full) == MAX_HELD
