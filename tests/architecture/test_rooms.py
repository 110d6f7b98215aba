"""Arrows only fall: who may import whom, and what the core may not know of the world."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "halloo"

# The same table stands in docs/architecture.md.  "roles" is crypto.suite alone, where the roles are described.
ROOMS = {
    "base": "",
    "wire": "base",
    "crypto": "base",
    "messages": "base wire",
    "media": "base wire",
    "link": "base wire roles messages",
    "login": "base wire roles messages",
    "overlay": "base wire roles messages",
    "path": "base wire roles messages",
    "call": "base wire roles messages",
    "node": "base wire crypto messages media link login overlay path call",
    "runtime": "base wire crypto messages media link login overlay path call node",
    "sim": "base wire crypto messages media link login overlay path call node",
    "decode": "base wire crypto messages media link login node",
    "lab": "base",
    "api": "base crypto messages media overlay path call node runtime",
    "cli": "base wire crypto messages media link login overlay path call node runtime sim decode lab api",
}
CORE = ("base", "wire", "crypto", "messages", "media", "link", "login", "overlay", "path", "call", "node")
WORLDLY = {"asyncio", "socket", "threading", "time", "os", "secrets", "logging", "subprocess", "signal", "datetime"}
OUTSIDE = {"crypto": {"cryptography", "Crypto"}, "media": {"numpy"}}
"""Libraries that a room of the core may use; the others use none."""


def imports(tree: ast.AST) -> Iterator[tuple[int, str, tuple[str, ...]]]:
    """(line, module, names) of every import, wherever it stands."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name, ()
        elif isinstance(node, ast.ImportFrom):
            yield node.lineno, "." * node.level + (node.module or ""), tuple(alias.name for alias in node.names)


def faults(room: str, text: str, where: str) -> list[str]:
    """What a file of a room does that it may not."""
    tree = ast.parse(text)
    out: list[str] = []
    allowed = ROOMS[room].split()
    for line, module, names in imports(tree):
        parts = module.split(".")
        place = f"{where}:{line}"
        if module.startswith("."):
            out.append(f"{place}: a relative import hides where it goes")
        elif parts[0] == "halloo" and len(parts) > 1:
            target = parts[1]
            if target == room or target in allowed:
                continue
            if not (target == "crypto" and parts[2:] == ["suite"] and "roles" in allowed):
                out.append(f"{place}: {room} may not import {module}")
        elif room in CORE and parts[0] in WORLDLY:
            out.append(f"{place}: the core knows no {parts[0]}")
        elif room in CORE and parts[0] == "random" and names != ("Random",):
            out.append(f"{place}: the core is given a Random, and makes none of its own chance")
        elif room in CORE and parts[0] not in OUTSIDE.get(room, set()) | STANDARD:
            out.append(f"{place}: {room} may not use {parts[0]}")
    return out


STANDARD = {
    *("__future__", "abc", "array", "ast", "base64", "binascii", "collections", "dataclasses", "enum", "functools"),
    *("hashlib", "heapq", "ipaddress", "itertools", "math", "random", "re", "struct", "tomllib", "typing"),
    *("sys", "unicodedata", "zlib", "halloo", "bisect", "contextlib"),
}


def files() -> list[Path]:
    return sorted(path for path in SOURCE.rglob("*.py") if path.parent != SOURCE and "migrations" not in path.parts)


def test_arrows_only_fall() -> None:
    found = [
        fault
        for path in files()
        for fault in faults(path.relative_to(SOURCE).parts[0], path.read_text("utf-8"), str(path.relative_to(ROOT)))
    ]
    assert not found, "\n".join(found)


def test_every_room_is_in_the_table() -> None:
    rooms = {path.relative_to(SOURCE).parts[0] for path in files()}
    assert rooms <= set(ROOMS)
    order = list(ROOMS)
    for room, allowed in ROOMS.items():
        for target in allowed.replace("roles", "crypto").split():
            assert order.index(target) < order.index(room), f"{room} -> {target} is an arrow back up"


@pytest.mark.parametrize(
    ("room", "text"),
    [
        ("wire", "from halloo.crypto.suite import Seal"),
        ("call", "from halloo.crypto.modern import MODERN"),
        ("call", "from halloo.path.reach import Reach"),
        ("base", "import asyncio"),
        ("node", "def f():\n    import time"),
        ("link", "from random import randrange"),
        ("sim", "from halloo.runtime.loop import Driver"),
        ("wire", "import numpy"),
        ("wire", "from . import frame"),
    ],
)
def test_the_test_finds_what_is_forbidden(room: str, text: str) -> None:
    assert faults(room, text, "example")


@pytest.mark.parametrize(
    ("room", "text"),
    [
        ("link", "from halloo.crypto.suite import Seal"),
        ("node", "from random import Random"),
        ("crypto", "import Crypto"),
    ],
)
def test_and_lets_pass_what_is_not(room: str, text: str) -> None:
    assert not faults(room, text, "example")


def test_the_documents_show_the_same_table() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    shown = dict(re.findall(r"^\| `(\w+)` \| ([\w ,()]*) \|", text, re.MULTILINE))
    assert {room: names.replace(",", "") for room, names in shown.items()} == {
        room: allowed or "(nothing)" for room, allowed in ROOMS.items()
    }
