"""The inputs that are kept: every one is played again, and together they are small."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from fuzz._harness import CORPUS, load_corpus
from fuzz._targets import TARGETS


@pytest.mark.parametrize("name", TARGETS)
def test_every_kept_input_is_taken(name: str) -> None:
    inputs = load_corpus(name)
    assert inputs
    for data in inputs:
        TARGETS[name](data)
        TARGETS[name](data[: len(data) // 2])


def test_the_corpus_is_small_and_each_input_is_there_once() -> None:
    files = sorted(CORPUS.glob("*/*.bin"))
    assert sum(path.stat().st_size for path in files) < 1_000_000
    assert {path.parent.name for path in files} <= set(TARGETS)
    for path in files:
        assert path.stem == hashlib.sha256(path.read_bytes()).hexdigest()[:12]
    assert not list(Path(CORPUS).glob("*.bin"))
