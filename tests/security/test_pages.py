"""The pages on security name what is there: every attack, every line that one guards, and no test that is not."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from tools import ROOT, tool

weaken = tool("weaken")
PAGE = (ROOT / "docs" / "security" / "handshake.md").read_text("utf-8")
TESTS = {
    node.name: path.name
    for path in sorted(Path(__file__).parent.glob("test_*.py"))
    if path.name not in (Path(__file__).name, "test_model.py")
    for node in ast.parse(path.read_text("utf-8")).body
    if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
}


def test_every_attack_is_on_the_page() -> None:
    assert [name for name in TESTS if f"`{name}`" not in PAGE] == []


def test_every_test_on_the_page_is_there() -> None:
    named = set(re.findall(r"`(test_\w+)`", PAGE))
    assert named - set(TESTS) == set()


@pytest.mark.parametrize("weakening", weaken.WEAKENINGS, ids=lambda each: each.name)
def test_every_line_that_is_guarded_is_there(weakening: object) -> None:
    assert isinstance(weakening, weaken.Weakening)
    source = (ROOT / "src" / "halloo" / weakening.file).read_text("utf-8")
    ast.parse(weakening.applied(source))
    file, name = weakening.test.split("::")
    assert TESTS[name] == file
    assert f"| {weakening.name} | `{weakening.file}` | `{file}`, `{name}` |" in PAGE


def test_a_line_that_is_gone_is_noticed() -> None:
    with pytest.raises(ValueError, match="0 times"):
        weaken.WEAKENINGS[0].applied("nothing of the kind")


def test_a_line_taken_out_fails_its_test() -> None:
    """One of them, for all: the rest takes two minutes (``python tools/weaken.py``)."""
    named = {each.name: each for each in weaken.WEAKENINGS}
    assert weaken.noticed(named["whom one looks for"])
