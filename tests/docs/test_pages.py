"""The specification's generated parts are what the declarations say, and nothing that can be is left out."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tools import ROOT, tool

from halloo.base.errors import UsageError
from halloo.messages.catalogue import OPEN, SEALED

specify = tool("specify")
PAGES = ROOT / "docs" / "protocol"


def test_the_generated_parts_are_up_to_date() -> None:
    assert specify.stale() == [], "python tools/specify.py"


def test_every_part_is_shown_somewhere() -> None:
    assert specify.unused() == []


def test_every_command_has_its_section() -> None:
    text = (PAGES / "commands.md").read_text("utf-8")
    for declared in (*OPEN.values(), *SEALED.values()):
        assert f"### {declared.kind.__name__}\n" in text
        assert f"Command {declared.number} " in text


def test_of_every_command_it_is_said_who_says_it() -> None:
    for declared in (*OPEN.values(), *SEALED.values()):
        assert re.fullmatch(r".+ to .+|either side|any of the three", specify.said_by(declared.kind)), declared.kind


def test_every_shape_has_its_section() -> None:
    text = "".join(page.read_text("utf-8") for page in PAGES.glob("*.md"))
    for name in specify.shapes():
        assert f"### {name}\n" in text


def test_every_bound_is_listed_with_its_reason() -> None:
    text = (PAGES / "limits.md").read_text("utf-8")
    assert not re.findall(r"^\| `[\w/.]+` \| `(\w+)` \| [^|]* \| +\|$", text, re.MULTILINE), "say its unit and reason"
    for name in ("MAX_HALF_OPEN", "HELLO_FOR", "RING_FOR", "KEEP_FOR", "VALID_FOR", "MAX_OBJECTS", "FIRST_WAIT"):
        (line,) = re.findall(rf"^\| `[\w/.]+` \| `{name}` \| .*$", text, re.MULTILINE)
        assert len(line.split("|")[4].strip()) > 5, name


def test_a_changed_page_is_noticed(tmp_path: Path) -> None:
    text = (PAGES / "objects.md").read_text("utf-8")
    (tmp_path / "objects.md").write_text(text, "utf-8")
    assert specify.stale(tmp_path) == []
    (tmp_path / "objects.md").write_text(text.replace("| 5 | OBJECTS |", "| 9 | OBJECTS |"), "utf-8")
    assert specify.stale(tmp_path) == ["objects.md"]
    assert specify.renewed((tmp_path / "objects.md").read_text("utf-8"), "objects.md") == text


def test_a_part_that_nobody_makes_is_named() -> None:
    with pytest.raises(UsageError, match="'nothing'"):
        specify.renewed("<!-- generated: nothing -->\n<!-- end -->", "page")
