"""Keys that are renewed while two talk."""

import random
from typing import Any

import pytest
from link_pair import HERE, THERE, Pair

from halloo.base.address import Address
from halloo.base.errors import Refused
from halloo.crypto.suite import Suite
from halloo.crypto.suites import SUITES
from halloo.link.keys import LinkKeys
from halloo.link.notice import Down, Heard, SoundHeard
from halloo.link.onelink import OneLink
from halloo.link.renewal import RENEW_AFTER, RENEW_SOONEST
from halloo.link.session import REORDERED, Session
from halloo.messages.link import Renew, RenewAnswer, RenewFinish
from halloo.messages.overlay import Ping
from halloo.wire.frame import FrameKind

PLAIN = SUITES[0]
CLASSIC = SUITES[1]
RENEWING = [suite for suite in SUITES.values() if suite.renews]
all_suites = pytest.mark.parametrize("suite", RENEWING, ids=lambda suite: suite.name)
SOUND = bytes(range(150))


class Talking(Pair):
    """Two who say something every twenty seconds, and sound beside it."""

    def __init__(self, suite: Suite) -> None:
        super().__init__(suite)
        self.told: dict[Address, list[LinkKeys]] = {HERE: [], THERE: []}
        for who, end in self.ends.items():
            end.persona.confide = self.told[who].append
        self.peers = dict(zip((HERE, THERE), self.link(), strict=True))
        self.said = 0

    def talk(self, seconds: float) -> None:
        until = self.now + seconds
        while self.now < until:
            self.said += 1
            for who, end in self.ends.items():
                self.outcome(who, end.send(self.peers[who], Ping(request=self.said & 0xFFFF), self.now))
                self.outcome(who, end.send_sound(self.peers[who], SOUND, self.now))
            self.run(20.0)

    def heard(self, who: Address, kind: type[Any]) -> list[Any]:
        return [notice for notice in self.notices[who] if isinstance(notice, kind)]

    def link_of(self, who: Address) -> OneLink:
        link = self.ends[who]._links.of(self.peers[who])
        assert link is not None
        return link

    def session(self, who: Address) -> Session:
        session = self.link_of(who).session
        assert session is not None
        return session


@all_suites
def test_an_hour_later_other_keys_are_in_use(suite: Suite) -> None:
    pair = Talking(suite)
    pair.talk(3 * RENEW_AFTER + 60)
    assert pair.told[HERE] == pair.told[THERE]
    assert len(set(pair.told[HERE])) == 4
    assert pair.session(HERE).keys == pair.session(THERE).keys == pair.told[HERE][-1]
    for who in pair.ends:
        assert len(pair.heard(who, Heard)) == pair.said
        assert len(pair.heard(who, SoundHeard)) == pair.said
        assert not pair.heard(who, Down)
    assert not any(end.faults for end in pair.ends.values())


@pytest.mark.parametrize("seed", range(30))
def test_nothing_is_lost_on_a_line_that_loses_and_doubles(seed: int) -> None:
    rng = random.Random(seed)
    pair = Talking(PLAIN)
    pair.spoil = lambda data: [data] * rng.choices((0, 1, 2), (0.05, 0.9, 0.05))[0]
    pair.talk(2 * RENEW_AFTER + 300)
    pair.spoil = lambda data: [data]
    pair.talk(60)
    assert not pair.heard(HERE, Down)
    assert [notice.message.request for notice in pair.heard(THERE, Heard)] == list(range(1, pair.said + 1))
    assert pair.session(HERE).keys == pair.session(THERE).keys
    assert len(set(pair.told[HERE])) >= 2


@all_suites
def test_old_keys_open_nothing_new(suite: Suite) -> None:
    pair = Talking(suite)
    first = pair.told[HERE][0]
    pair.talk(RENEW_AFTER + 60)
    stolen = Session(suite, first, began=False)
    head = pair.link_of(HERE).theirs
    frame, sealed = pair.session(HERE).close(FrameKind.MEDIA, head, SOUND)
    with pytest.raises(Refused):
        stolen.open(FrameKind.MEDIA, head, frame, sealed)


def test_the_classic_suite_keeps_its_keys() -> None:
    pair = Talking(CLASSIC)
    pair.talk(RENEW_AFTER + 60)
    assert len(pair.told[HERE]) == 1
    asks = Renew(envelope=pair.ends[HERE].persona.public)
    with pytest.raises(Refused):
        pair.link_of(THERE).hear_renewal(pair.ends[THERE].persona, asks, pair.now)


def test_each_secret_is_mixed_with_the_one_before() -> None:
    """Who steals the keys but misses one renewal is out: the new secrets do not follow from the old."""
    suite = SUITES[2]
    pair, other = Talking(suite), Talking(suite)
    assert pair.told[HERE][0].suite == other.told[HERE][0].suite
    pair.talk(RENEW_AFTER + 60)
    before, after = pair.told[HERE]
    assert not {before.initiators, before.responders} & {after.initiators, after.responders}
    assert before.transcript != after.transcript
    assert (before.initiator, before.responder) == (after.initiator, after.responder)


@all_suites
def test_what_was_late_under_the_old_keys_is_still_opened(suite: Suite) -> None:
    keys = LinkKeys(suite.number, 1, 2, bytes(24), bytes(24), b"before")
    fresh = LinkKeys(suite.number, 1, 2, bytes(range(24)), bytes(range(24)), b"after")
    here, there = Session(suite, keys, began=True), Session(suite, keys, began=False)
    late = [here.close(FrameKind.MEDIA, bytes(4), SOUND) for _ in range(3)]
    here.expect(fresh)
    there.renew(fresh)
    assert here.open(FrameKind.MEDIA, bytes(4), *there.close(FrameKind.MEDIA, bytes(4), SOUND))[0] == SOUND
    new = [here.close(FrameKind.MEDIA, bytes(4), SOUND) for _ in range(3)]
    for packet in (new[0], late[0], new[2], late[2]):
        assert there.open(FrameKind.MEDIA, bytes(4), *packet)[0] == SOUND
    with pytest.raises(Refused):
        there.open(FrameKind.MEDIA, bytes(4), *late[0])


def test_the_old_keys_are_forgotten() -> None:
    suite = SUITES[2]
    keys = LinkKeys(suite.number, 1, 2, bytes(24), bytes(24), b"before")
    here, there = Session(suite, keys, began=True), Session(suite, keys, began=False)
    fresh = LinkKeys(suite.number, 1, 2, bytes(range(24)), bytes(range(24)), b"after")
    here.renew(fresh)
    there.renew(fresh)
    for _ in range(REORDERED + 2):
        there.open(FrameKind.MEDIA, bytes(4), *here.close(FrameKind.MEDIA, bytes(4), SOUND))
    forged = Session(suite, keys, began=True)
    forged.sent = here.sent
    with pytest.raises(Refused):
        there.open(FrameKind.MEDIA, bytes(4), *forged.close(FrameKind.MEDIA, bytes(4), SOUND))


def test_fresh_keys_out_of_turn_are_refused() -> None:
    pair = Talking(PLAIN)
    asks = Renew(envelope=b"e" * PLAIN.envelope.public_size)
    answers = RenewAnswer(envelope=b"e", enclosed=b"s")
    ends = RenewFinish(enclosed=b"s")
    here, there = pair.link_of(HERE), pair.link_of(THERE)
    persona = pair.ends[HERE].persona
    for link, message in ((here, asks), (here, answers), (here, ends), (there, answers), (there, ends)):
        with pytest.raises(Refused):
            link.hear_renewal(persona, message, pair.now)
    assert there.hear_renewal(persona, asks, pair.now) is not None
    with pytest.raises(Refused):  # too soon
        there.hear_renewal(persona, asks, pair.now + RENEW_SOONEST / 2)
    assert there.hear_renewal(persona, asks, pair.now + RENEW_SOONEST) is not None


def test_a_node_that_knows_nothing_of_it_is_left_in_peace(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its keys stay the first ones, and nothing else happens."""
    pair = Talking(PLAIN)
    monkeypatch.setattr(OneLink, "hear_renewal", lambda *_: None)
    pair.talk(2 * RENEW_AFTER + 60)
    assert len(pair.told[HERE]) == 1
    assert len(pair.heard(THERE, Heard)) == pair.said
