"""The walk-through tells what nodes say today, and everything in it is explained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tools import tool

from halloo.base.errors import Unusable

walk = tool("walk")
RECORDED = walk.read()


@pytest.mark.parametrize("profile", walk.PROFILES)
def test_a_new_recording_tells_the_same_story(profile: str) -> None:
    new, kept = walk.story(walk.record(profile)), walk.story(RECORDED[profile])
    assert new == kept, "python tools/walk.py --record; python tools/specify.py"


@pytest.mark.parametrize("profile", walk.PROFILES)
def test_everything_in_it_is_explained(profile: str) -> None:
    said: list[Any] = list(walk.told(RECORDED[profile]))
    assert {each.phase for each in said} == set(walk.PHASES)
    parts = [part for each in said for part in each.part.walk()]
    assert not [part.fault for part in parts if part.fault]
    assert not [part for part in parts if "no key" in part.meaning or "not known here" in part.meaning]
    names = {part.name for part in parts}
    for name in ("Probe", "nack", "resend", "ack", "Hello", "HelloAnswer", "Finish", "Attach", "Store"):
        assert name in {each.subject.rpartition(": ")[2] for each in said} | names
    for name in ("the proof of the initiator, opened", "the letter, opened", "the answer, opened", "Claims", "sound"):
        assert name in names
    for name in ("Search", "Found", "Invite", "Ringing", "Answer", "Bye"):
        assert any(name in each.subject for each in said)


@pytest.mark.parametrize(("content", "said"), [("{", "damaged"), ("{}", "damaged: it should hold"), (None, "missing")])
def test_a_damaged_recording_is_named(tmp_path: Path, content: str | None, said: str) -> None:
    path = tmp_path / "walkthrough.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(Unusable, match=rf"walkthrough\.json is {said}"):
        walk.read(path)
