"""Names and habits: no algorithm outside crypto, no forbidden words, a docstring for every file, no loop over a set."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "halloo"
CORE = ("base", "wire", "messages", "media", "link", "login", "overlay", "path", "call", "node")

FORBIDDEN = re.compile(r"(^|_)(manager|helper|util|utils|common|misc|get)(_|$)|(Manager|Helper|Util|Misc)$")
ALGORITHMS = re.compile(
    r"rsa|aes|gcm|sha\d|md5|rc4|ed25519|x25519|argon|chacha|poly1305|hkdf|hmac|kem|blake|scrypt|curve", re.IGNORECASE
)


def files() -> list[Path]:
    return sorted(path for path in SOURCE.rglob("*.py") if "migrations" not in path.parts)


def names(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """(line, name) of whatever a file defines, uses or imports."""
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                yield node.lineno, node.name
            case ast.arg():
                yield node.lineno, node.arg
            case ast.Name():
                yield node.lineno, node.id
            case ast.Attribute():
                yield node.lineno, node.attr
            case ast.alias():
                for part in node.name.split("."):
                    yield node.lineno, part


def defined(tree: ast.AST) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.lineno, node.name


def sets_by_name(tree: ast.AST) -> set[str]:
    """Names and attributes that a file declares to be sets."""
    found = set()
    for node in ast.walk(tree):
        match node:
            case ast.AnnAssign(target=target, annotation=kind):
                name = target.attr if isinstance(target, ast.Attribute) else getattr(target, "id", "")
            case ast.arg(arg=name, annotation=kind) if kind is not None:
                pass
            case _:
                continue
        if re.match(r"(set|frozenset|Set|AbstractSet)\b", ast.unparse(kind)):
            found.add(name)
    return found


def loops_over_sets(tree: ast.AST) -> Iterator[int]:
    """Lines that go through a set: its order depends on the hash seed."""
    declared = sets_by_name(tree)
    # What only counts, compares, sorts or makes another set of it does not see the order.
    blind = {"sorted", "set", "frozenset", "sum", "any", "all", "len", "min", "max"}
    unseen = {
        argument
        for call in ast.walk(tree)
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in blind
        for argument in call.args
    }
    for node in ast.walk(tree):
        match node:
            case ast.For():
                looped = [node.iter]
            case ast.ListComp() | ast.GeneratorExp() | ast.DictComp() if node not in unseen:
                looped = [generator.iter for generator in node.generators]
            case _:
                continue
        for each in looped:
            called = each.func.id if isinstance(each, ast.Call) and isinstance(each.func, ast.Name) else ""
            name = each.attr if isinstance(each, ast.Attribute) else each.id if isinstance(each, ast.Name) else ""
            if isinstance(each, ast.Set | ast.SetComp) or called in ("set", "frozenset") or name in declared:
                yield each.lineno


def test_every_file_says_what_it_is_for() -> None:
    silent = [path for path in files() if not ast.get_docstring(ast.parse(path.read_text("utf-8")))]
    assert not silent


def test_names_are_whole_words_that_say_something() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line}: {name}"
        for path in files()
        for line, name in (*defined(ast.parse(path.read_text("utf-8"))), (1, path.stem))
        if FORBIDDEN.search(name)
    ]
    # click's own words for finding a command, and the language's for an attribute
    assert [fault for fault in found if not fault.endswith(("get_command", "__get__"))] == []


def test_no_algorithm_is_named_outside_crypto() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line}: {name}"
        for path in files()
        if path.relative_to(SOURCE).parts[0] != "crypto"
        for line, name in names(ast.parse(path.read_text("utf-8")))
        if ALGORITHMS.search(name) and not re.search("universal|reversal", name)
    ]
    assert not found, "\n".join(found)


def test_no_machine_goes_through_a_set() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line}"
        for path in files()
        if path.relative_to(SOURCE).parts[0] in CORE
        for line in loops_over_sets(ast.parse(path.read_text("utf-8")))
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    "text",
    [
        "for x in {1, 2}: pass",
        "[x for x in set(y)]",
        "{x: 1 for x in frozenset(y)}",
        "class A:\n  peers: set[int]\n  def f(self):\n    for x in self.peers: pass",
        "def f(peers: frozenset[int]):\n  return [x for x in peers]",
    ],
)
def test_loops_over_sets_are_found(text: str) -> None:
    assert list(loops_over_sets(ast.parse(text)))


@pytest.mark.parametrize(
    "text",
    ["for x in sorted({1, 2}): pass", "def f(p: set[int]):\n  return sorted(x for x in p)", "for x in [1, 2]: pass"],
)
def test_loops_in_a_fixed_order_pass(text: str) -> None:
    assert not list(loops_over_sets(ast.parse(text)))


@pytest.mark.parametrize("name", ["ConnectionManager", "get_peer", "string_utils", "helper"])
def test_forbidden_words_are_found(name: str) -> None:
    assert FORBIDDEN.search(name)


def test_the_project_names_no_place_of_a_machine() -> None:
    """No absolute path of somebody's machine in what is committed."""
    pattern = re.compile("/(" + "|".join(("work", "root", "home/[a-z]+")) + ")/")
    found = [
        f"{path.relative_to(ROOT)}"
        for folder in ("src", "tests", "bench", "fuzz", "docs", "tools")
        for path in (ROOT / folder).rglob("*")
        if path.suffix in (".py", ".md", ".toml", "") and path.is_file() and pattern.search(path.read_text("utf-8"))
    ]
    assert not found
