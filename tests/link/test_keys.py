"""The keys of a link, confided: both sides tell the same, nobody is told unasked, and a line comes back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from link_pair import HERE, THERE, Pair

from halloo.base.errors import Malformed
from halloo.crypto.suites import SUITES
from halloo.link.keys import LinkKeys
from halloo.wire.frame import FrameKind

KEYS = st.builds(
    LinkKeys,
    st.integers(0, 255),
    st.integers(0, 2**32 - 1),
    st.integers(0, 2**32 - 1),
    *[st.binary(min_size=1, max_size=40)] * 3,
)


@pytest.mark.parametrize("suite", SUITES.values(), ids=lambda suite: suite.name)
def test_both_sides_confide_the_same(suite) -> None:
    told: dict[object, list[LinkKeys]] = {HERE: [], THERE: []}
    pair = Pair(suite)
    for who, end in pair.ends.items():
        end.persona.confide = told[who].append
    pair.link()
    assert told[HERE] == told[THERE]
    (keys,) = told[HERE]
    assert keys.suite == suite.number
    out, _ = suite.agree(keys.initiators, keys.responders, keys.transcript)
    session = next(iter(pair.ends[HERE]._links)).session
    assert session is not None
    sequence = session.sent
    assert session.close(FrameKind.PAYLOAD, bytes(4), b"text")[1] == out.close(
        sequence, b"text", bytes([FrameKind.PAYLOAD]) + bytes(4)
    )


@given(KEYS)
def test_a_line_comes_back(keys: LinkKeys) -> None:
    assert LinkKeys.from_line(keys.to_line()) == keys


@pytest.mark.parametrize(
    "line",
    ["", "link 1 2 3 aa bb", "link 1 2 x aa bb cc", "link 1 2 3 aa bb zz", "link 256 2 3 aa bb cc", "x" * 5000],
)
def test_other_lines_are_malformed(line: str) -> None:
    with pytest.raises(Malformed):
        LinkKeys.from_line(line)
