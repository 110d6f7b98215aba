"""The documents: every row of the mission has its line, every link leads somewhere."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
ROWS = [
    *(f"N{i}" for i in range(1, 14)),
    *(f"W{i}" for i in range(1, 10)),
    *(f"T{i}" for i in range(1, 11)),
    *(f"A{i}" for i in range(1, 7)),
    *(f"P{i}" for i in range(1, 6)),
]


def test_every_row_of_the_mission_has_a_line() -> None:
    cells = [line.strip("|").split("|") for line in (DOCS / "rows.md").read_text("utf-8").splitlines()]
    lines = [tuple(cell.strip() for cell in line) for line in cells if len(line) == 5 and line[0].strip() in ROWS]
    assert [row for row, *_ in lines] == ROWS
    for row, _, where, test, state in lines:
        assert state in ("works", "thin", "not yet"), row
        if state != "not yet":
            for path in re.findall(r"`([\w/.]+)`", where):
                assert (ROOT / "src" / "halloo" / path).exists(), f"{row}: {path}"
            tests = re.findall(r"`([\w/.]+)`", test)
            assert tests, f"{row} is said to stand and names no test"
            for path in tests:
                assert (ROOT / "tests" / path).exists(), f"{row}: {path}"


def test_every_link_leads_somewhere() -> None:
    for page in [*DOCS.rglob("*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md"]:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text("utf-8")):
            assert (page.parent / target).exists(), f"{page.name} -> {target}"


def test_every_page_is_in_the_index() -> None:
    index = (DOCS / "index.md").read_text("utf-8")
    for page in DOCS.rglob("*.md"):
        if page.name != "index.md":
            assert str(page.relative_to(DOCS)) in index, page.name
