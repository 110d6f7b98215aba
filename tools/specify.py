"""Renews the generated parts of docs/protocol from the declarations: ``python tools/specify.py [--check]``.

A generated part stands between ``<!-- generated: NAME -->`` and ``<!-- end -->``; all else is prose, written by hand.
``--check`` changes nothing and exits with 1 where a part is not what the declarations say.
"""

from __future__ import annotations

import argparse
import ast
import dataclasses
import importlib
import io
import itertools
import re
import sys
import tokenize
from collections.abc import Callable, Iterator
from enum import IntEnum
from inspect import cleandoc
from pathlib import Path
from typing import Any

import walk

import halloo
from halloo.base.errors import HallooError, Unusable, UsageError
from halloo.crypto.classic import CLASSIC
from halloo.crypto.modern import MODERN
from halloo.link.datagrams import LAYOUTS
from halloo.login.limits import Limits, Rate
from halloo.messages.call import Why
from halloo.messages.catalogue import OPEN, SEALED
from halloo.messages.credential import Presence
from halloo.messages.log import EntryKind
from halloo.messages.login import Carriage, Purpose, Verdict
from halloo.node.descriptor import Descriptor
from halloo.node.profile import CLASSIC_JOIN, MODERN_JOIN
from halloo.overlay.join import JoinTimings
from halloo.wire.alphabet import ALPHABET, LETTERS, Model
from halloo.wire.buffer import varint
from halloo.wire.command import NEVER, Declaration, FieldRule, Form, Shape, rules_of
from halloo.wire.frame import Control, FrameKind
from halloo.wire.objects import Kind
from halloo.wire.tables import TABLES

PAGES = Path(__file__).parents[1] / "docs" / "protocol"
SOURCE = Path(halloo.__file__).parent
BOUNDED = ("wire", "link", "messages", "login", "overlay", "path", "call", "node", "media")
"""Rooms whose constants are bounds and timers that another implementation should keep, too."""
CODERS = ("alphabet", "interval", "tables", "squeeze", "unsqueeze")  # files whose constants are the coder itself
SUITES = (CLASSIC, MODERN)
FORMS = {Form.NOTICE: "one-way", Form.REQUEST: "request", Form.REPLY: "reply"}
MARK = re.compile(r"(<!-- generated: ([\w-]+) -->\n).*?(<!-- end -->)", re.DOTALL)


# --- tables -------------------------------------------------------------------------------------------------------


def table(head: tuple[str, ...], rows: list[tuple[Any, ...]]) -> str:
    """A table in Markdown."""
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines) + "\n"


def said(text: str | None) -> str:
    """A docstring as Markdown."""
    return cleandoc(text or "").replace("``", "`")


def hexadecimal(number: int) -> str:
    """A number as it is written in code and in these pages."""
    return f"{number:#04x}".replace("0X", "0x")


def frames() -> str:
    """Kinds of frames, and how a cloak treats each."""
    rows = []
    for kind in FrameKind:
        layout = LAYOUTS.get(kind)
        if layout is None:
            rows.append((hexadecimal(kind), kind.name.lower(), "", "", ""))
            continue
        check = "yes, with both hosts" if layout.bound else "yes" if layout.hidden else "no"
        rows.append((hexadecimal(kind), kind.name.lower(), layout.head, check, "yes" if layout.hidden else "no"))
    return table(("kind", "name", "bytes of fields", "checked", "body hidden by the cloak"), rows)


def controls() -> str:
    """Kinds of control frames in a stream."""
    return table(("type", "name"), [(hexadecimal(kind), kind.name.lower()) for kind in Control])


def disguise() -> str:
    """The greeting that classic streams to port 443 begin with."""
    worn = CLASSIC.disguise
    assert worn is not None
    lines = []
    for name, data in (("hello, without its random bytes", worn.hello), ("answer", worn.answer)):
        lines += [f"{name}:", *(f"  {data[at : at + 24].hex(' ')}" for at in range(0, len(data), 24))]
    return "```\n" + "\n".join(lines) + "\n```\n"


def kinds() -> str:
    """Kinds of objects."""
    forms = {
        Kind.NUMBER: ("a number from 0 to 2^64 - 1", "varint"),
        Kind.WIDE: ("64 bits", "8 bytes"),
        Kind.ADDRESS4: ("IPv4 address and port", "host 4, port 2"),
        Kind.TEXT: ("text", "UTF-8, ended by a zero byte"),
        Kind.BLOB: ("bytes", "varint length, the bytes"),
        Kind.OBJECTS: ("an object list", "the whole list, its own first byte included"),
        Kind.NUMBERS: ("numbers", "varint count, that many varints"),
        Kind.ADDRESS6: ("IPv6 address and port", "host 16, port 2"),
    }
    return table(("kind", "name", "value", "bytes"), [(int(kind), kind.name, *forms[kind]) for kind in Kind])


def classes() -> str:
    """The classes of bytes in compressed text."""
    rows = [(number, _letters(letters)) for number, letters in enumerate(LETTERS)]
    return table(("class", "bytes"), rows)


def _letters(letters: bytes) -> str:
    if len(letters) == letters[-1] - letters[0] + 1 and len(letters) > 9:
        return f"{letters[0]:#04x} to {letters[-1]:#04x}"
    shown = [chr(byte) if 0x20 < byte < 0x7F and chr(byte) not in "`|" else f"{byte:02x}" for byte in letters]
    if max(letters) < 0x80 and not letters.isalnum() and len(letters) > 1:
        return "all others, in the order of their numbers"
    return f"`{' '.join(shown)}`"


def models() -> str:
    """The models of compression: how many choices, how many contexts have tables."""
    rows = [
        (Model(model).name.lower(), ALPHABET[model], len(contexts) - 1)
        for model, contexts in TABLES.items()
    ]
    return table(("model", "choices", "contexts with a table of their own"), rows)


def fields(kind: type[Any]) -> str:
    """The objects of a message or shape."""
    rows = []
    defaults = {field.name: field.default for field in dataclasses.fields(kind)}
    for name, rule in rules_of(kind).items():
        rows.append((hexadecimal(rule.key), f"`{name}`", _kinds(rule), _bounds(rule), _presence(rule, defaults[name])))
    if not rows:
        return "No objects: an empty list.\n"
    return table(("id", "name", "kind", "bounds", "presence"), rows)


def _kinds(rule: FieldRule) -> str:
    if rule.inner is not None:
        return f"{int(Kind.OBJECTS)} OBJECTS, shape {rule.inner.__name__}"
    return " or ".join(f"{int(kind)} {kind.name}" for kind in rule.kinds)


def _bounds(rule: FieldRule) -> str:
    if rule.many or rule.inner is not None:
        return ""
    if rule.boolean:
        return "1: yes; left out: no"
    most = f"2^{rule.most.bit_length() - 1}" if rule.most > 1 << 32 and rule.most & (rule.most - 1) == 0 else rule.most
    match rule.kinds[0]:
        case Kind.NUMBER:
            return "any" if rule.most == (1 << 64) - 1 else f"0 to {most}"
        case Kind.TEXT:
            return f"at most {rule.most} characters"
        case Kind.BLOB:
            return f"{rule.least} to {rule.most} bytes" if rule.least != rule.most else f"{rule.least} bytes"
        case Kind.NUMBERS:
            return f"at most {rule.most}"
    return ""


def _presence(rule: FieldRule, default: Any) -> str:
    if rule.many:
        return f"0 to {rule.most} times"
    if default is dataclasses.MISSING:
        return "required"
    if rule.boolean or default is None:
        return "optional"
    shown = "empty" if default in (b"", "", ()) else default
    return f"optional, else {shown}" if rule.absent is NEVER else f"left out if {shown}"


def commands() -> str:
    """Every command, by the file that declares it."""
    declared = {**OPEN, **SEALED}
    files: dict[str, list[Declaration]] = {}
    for key in sorted(declared):
        files.setdefault(declared[key].kind.__module__, []).append(declared[key])
    out = []
    for module, members in sorted(files.items(), key=lambda item: min(each.number for each in item[1])):
        title, _, text = (importlib.import_module(module).__doc__ or "").partition("\n")
        out.append(f"## {title.rstrip('.:')}\n\n{said(text)}\n")
        out += [_command(each) for each in members]
    return "\n".join(out)


def _command(declared: Declaration) -> str:
    key = declared.number, declared.form
    places = [name for name, catalogue in (("in the open", OPEN), ("over a link", SEALED)) if key in catalogue]
    head = declared.number << 3 | declared.form
    request = "" if declared.form is Form.NOTICE else ", carries a request number"
    return (
        f"### {declared.kind.__name__}\n\n{said(declared.kind.__doc__)}\n\n"
        f"Command {declared.number} ({hexadecimal(declared.number)}), {FORMS[declared.form]}{request}; head "
        f"`{_varint(head)}`; said by {said_by(declared.kind)}, {' and '.join(places)}.\n\n{fields(declared.kind)}"
    )


def _varint(value: int) -> str:
    return varint(value).hex(" ")


# --- who says what to whom ----------------------------------------------------------------------------------------

SAID_BY = {
    "AttachRefused": "supernode to node",
    "Bye": "either side",
    "Decline": "callee to caller",
    "Goodbye": "either side",
    "Mesh": "supernode to supernode",
    "Meshed": "supernode to supernode",
    "Ping": "either side",
    "Pong": "either side",
    "ProbeRefuse": "supernode to node",
    "RelayClose": "any of the three",
    "RelayRefused": "supernode to caller",
    "Replicate": "supernode to supernode",
    "Search": "node to supernode, supernode to supernode",
    "Found": "supernode to node, supernode to supernode",
}
"""What the ladders do not show, or show for one case of several."""


def said_by(kind: type[Any]) -> str:
    """Who says it to whom: as the ladder at the head of its file has it."""
    if kind.__name__ in SAID_BY:
        return SAID_BY[kind.__name__]
    people: list[tuple[int, str]] = []
    for line in (importlib.import_module(kind.__module__).__doc__ or "").splitlines():
        if "|" not in line:
            people = [(found.start(), found[0]) for found in re.finditer(r"\S+(?: \S+)*", line)]
            continue
        bars = [at for at, letter in enumerate(line) if letter == "|"]
        for left, right in itertools.pairwise(bars):
            rung = line[left + 1 : right]
            if re.search(rf"\b{kind.__name__}\b", rung) and len(people) > 1:
                ends = [min(people, key=lambda one: abs(one[0] + len(one[1]) / 2 - at))[1] for at in (left, right)]
                ends = ends[::-1] if "<" in rung else ends
                return " to ".join(ends)
    return ""


def summary() -> str:
    """All commands in one table."""
    declared = {**OPEN, **SEALED}
    rows = []
    for key in sorted(declared):
        name = declared[key].kind.__name__
        where = "in the open" if key in OPEN else "over a link"
        link = f"[{name}](#{name.lower()})"
        rows.append((key[0], hexadecimal(key[0]), FORMS[key[1]], link, said_by(declared[key].kind), where))
    return table(("number", "", "form", "command", "said by", "where"), rows)


def shape_part(*names: str) -> Callable[[], str]:
    """Some shapes, by name, each with its fields."""

    def part() -> str:
        return "\n".join(_shape(shapes()[name]) for name in names)

    return part


def other_shapes() -> str:
    """The shapes that no page shows by name."""
    shown = {name for names in SHAPE_PARTS.values() for name in names}
    left = [kind for name, kind in shapes().items() if name not in shown]
    return "\n".join(_shape(kind) for kind in left) or "There is none.\n"


def _shape(kind: type[Any]) -> str:
    return f"### {kind.__name__}\n\n{said(kind.__doc__)}\n\n{fields(kind)}"


def shapes() -> dict[str, type[Any]]:
    """Every shape that travels, by name."""
    names = sorted(path.stem for path in (SOURCE / "messages").glob("[!_]*.py"))
    modules = [importlib.import_module(f"halloo.messages.{name}") for name in names]
    held = [each for module in modules for each in vars(module).values() if isinstance(each, type)]
    found = {each.__name__: each for each in held if issubclass(each, Shape) and each is not Shape}
    return {**{name: found[name] for name in sorted(found)}, "Descriptor": Descriptor}


def enum_part(kind: type[IntEnum]) -> Callable[[], str]:
    """What the numbers of one kind stand for."""

    def part() -> str:
        source = ast.parse((SOURCE / Path(*kind.__module__.split(".")[1:])).with_suffix(".py").read_text("utf-8"))
        classes = [node for node in ast.walk(source) if isinstance(node, ast.ClassDef)]
        body = next(node.body for node in classes if node.name == kind.__name__)
        meaning: dict[str, str] = {}
        for line, after in zip(body, [*body[1:], None], strict=True):
            if isinstance(line, ast.Assign) and isinstance(line.targets[0], ast.Name):
                spoken_of = isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
                meaning[line.targets[0].id] = said(str(after.value.value)) if spoken_of else ""
        return table(("number", "name", "meaning"), [(int(each), each.name, meaning[each.name]) for each in kind])

    return part


def sizes() -> str:
    """Sizes of what the suites make, in bytes."""
    rows: list[tuple[Any, ...]] = [("number of the suite", *(suite.number for suite in SUITES))]
    for role in ("identity", "network_identity"):
        for what in ("public_size", "signature_size"):
            words = f"{role.replace('_', ' ')}: {what.removesuffix('_size')}"
            rows.append((words, *(getattr(getattr(suite, role), what) for suite in SUITES)))
    for role in ("envelope", "answer_envelope", "network_envelope"):
        for what in ("public_size", "enclosed_size"):
            words = f"{role.replace('_', ' ')}: {what.removesuffix('_size')}"
            rows.append((words, *(getattr(getattr(suite, role), what) for suite in SUITES)))
    rows.append(("seal: key", *(suite.seal_key_size for suite in SUITES)))
    overheads = [suite.seal(bytes(suite.seal_key_size)).overhead for suite in SUITES]
    rows.append(("seal: added to what is sealed", *overheads))
    rows.append(("digest", *(suite.digest.size for suite in SUITES)))
    rows.append(("body of one frame at most", *(suite.fragment_size for suite in SUITES)))
    padded = [", ".join(str(size) for size in suite.padded_sizes) or "not padded" for suite in SUITES]
    rows.append(("sealed signalling is padded to (the first: signs of life alone)", *padded))
    return table(("bytes", *(suite.name for suite in SUITES)), rows)


def joining() -> str:
    """The pace of joining, by profile."""

    def ladder(timings: JoinTimings) -> str:
        names = {"TCP_80": "TCP to port 80", "TCP_443": "TCP to port 443"}
        return "; ".join(f"{after:g} s: {names.get(way.name, way.name)}" for after, way in timings.ladder.rungs)

    both = (CLASSIC_JOIN, MODERN_JOIN)
    rows: list[tuple[Any, ...]] = [
        ("ways to one supernode, from the begin of a round", *(ladder(each) for each in both)),
        ("supernodes tried in a round", *(each.ladder.entries for each in both)),
        ("seconds between two of them", *(f"{each.ladder.stagger:g}" for each in both)),
        ("seconds of a round", *(f"{each.ladder.round:g}" for each in both)),
        ("rounds", *(each.rounds or "without end" for each in both)),
        ("seconds between rounds", *(f"{'random, up to ' * each.jitter}{each.pause:g}" for each in both)),
        ("heeds a supernode that says when to come back", *("yes" if each.patient else "no" for each in both)),
        ("seconds between signs of life on an idle link", *(f"{each.ping:g}" for each in both)),
    ]
    return table(("", "classic", "modern"), rows)


# --- limits -------------------------------------------------------------------------------------------------------


def limits() -> str:
    """Every bound and timer, with its unit and reason."""
    out = []
    for room in BOUNDED:
        rows = []
        for path in sorted((SOURCE / room).glob("*.py")):
            for name, value, why in constants(path) if path.stem not in CODERS else ():
                if not why and not name.startswith("MAX_"):
                    continue  # a number that bounds nothing
                rows.append((f"`{room}/{path.name}`", f"`{name}`", _figure(value), why))
        if rows:
            out.append(f"### {room}\n\n{table(('file', 'name', 'value', 'unit and reason'), rows)}")
    return "\n".join(out)


def constants(path: Path) -> Iterator[tuple[str, Any, str]]:
    """(name, value, comment) of the numbers, pairs of numbers and rates that a file declares in capitals."""
    text = path.read_text("utf-8")
    comments = {
        token.start[0]: token.string.lstrip("# ").rstrip()
        for token in tokenize.generate_tokens(io.StringIO(text).readline)
        if token.type == tokenize.COMMENT
    }
    module = importlib.import_module(f"halloo.{path.parent.name}.{path.stem}")
    for node in ast.parse(text).body:
        if not isinstance(node, ast.Assign | ast.AnnAssign) or node.value is None:
            continue
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        names = [each.id for target in targets for each in ast.walk(target) if isinstance(each, ast.Name)]
        for name in names:
            value = getattr(module, name, None)
            if re.fullmatch(r"[A-Z][A-Z0-9_]+", name) and _is_figure(value):
                yield name, value, comments.get(node.end_lineno or node.lineno, "")


def _is_figure(value: Any) -> bool:
    if isinstance(value, tuple):
        return bool(value) and all(_is_figure(each) for each in value)
    return isinstance(value, int | float | Rate) and not isinstance(value, bool)


def _figure(value: Any) -> str:
    if isinstance(value, tuple):
        return " and ".join(_figure(each) for each in value)
    if isinstance(value, Rate):
        return f"{value.burst:,}, then one each {value.refill:g} s"
    if isinstance(value, int) and value >= 1 << 31 and value & (value - 1) == 0:
        return f"2^{value.bit_length() - 1}"
    if isinstance(value, int) and value >= 1 << 31 and value & (value + 1) == 0:
        return f"2^{value.bit_length()} - 1"
    return f"{value:,}"


def rates() -> str:
    """What one login server allows, and how often."""
    source = ast.parse((SOURCE / "login" / "limits.py").read_text("utf-8"))
    (body,) = [node.body for node in ast.walk(source) if isinstance(node, ast.ClassDef) and node.name == "Limits"]
    why: dict[str, str] = {}
    for line, after in zip(body, [*body[1:], None], strict=True):
        if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name):
            spoken_of = isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
            why[line.target.id] = said(str(after.value.value)) if spoken_of else ""
    rows = [(name.replace("_", " "), _figure(getattr(Limits(), name)), words) for name, words in why.items()]
    return f"{said(Limits.__doc__)}\n\n" + table(("what", "how often", ""), rows)


def walk_part(profile: str) -> Callable[[], str]:
    """The recorded join, login and call of one profile, explained."""

    def part() -> str:
        return walk.page(walk.read()[profile])

    return part


# --- pages --------------------------------------------------------------------------------------------------------

SHAPE_PARTS: dict[str, tuple[str, ...]] = {
    "credential-shapes": ("Claims", "SignedClaims", "Listing", "Record"),
    "handshake-shapes": ("Proof",),
    "login-shapes": ("Application", "Decision"),
    "log-shapes": ("LogEntry", "Head", "SignedHead"),
    "descriptor-shape": ("Descriptor",),
}
PARTS: dict[str, Callable[[], str]] = {
    "classes": classes,
    "models": models,
    "commands": commands,
    "controls": controls,
    "disguise": disguise,
    "frames": frames,
    "joining": joining,
    "carriages": enum_part(Carriage),
    "entry-kinds": enum_part(EntryKind),
    "kinds": kinds,
    "limits": limits,
    "other-shapes": other_shapes,
    "presence": enum_part(Presence),
    "rates": rates,
    "purposes": enum_part(Purpose),
    "sizes": sizes,
    "summary": summary,
    "verdicts": enum_part(Verdict),
    "why": enum_part(Why),
    **{name: shape_part(*names) for name, names in SHAPE_PARTS.items()},
    **{f"walk-{profile}": walk_part(profile) for profile in walk.PROFILES},
}


def renewed(text: str, page: str) -> str:
    """A page with its generated parts made anew.

    Raises:
        UsageError: it asks for a part that nobody makes.
    """

    def part(found: re.Match[str]) -> str:
        if found[2] not in PARTS:
            raise UsageError(f"{page} wants a part {found[2]!r} that nobody makes")
        return f"{found[1]}\n{PARTS[found[2]]().strip()}\n\n{found[3]}"

    return MARK.sub(part, text)


def stale(folder: Path = PAGES) -> list[str]:
    """Pages whose generated parts are not what the declarations say now."""
    return [page.name for page in _pages(folder) if renewed(_text(page), page.name) != _text(page)]


def unused(folder: Path = PAGES) -> list[str]:
    """Parts that no page shows."""
    shown = {name for page in _pages(folder) for _, name, _ in MARK.findall(_text(page))}
    return sorted(set(PARTS) - shown)


def _pages(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.md"))


def _text(page: Path) -> str:
    try:
        return page.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as fault:
        raise Unusable(f"{page.name} cannot be read: {fault}") from None


def main() -> int:
    """The program."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="only compare")
    arguments = parser.parse_args()
    old = stale()
    for name in old:
        if arguments.check:
            print(f"docs/protocol/{name} is out of date: python tools/specify.py", file=sys.stderr)
        else:
            page = PAGES / name
            page.write_text(renewed(_text(page), name), "utf-8")
            print(f"renewed {name}")
    return 1 if old and arguments.check else 0


if __name__ == "__main__":
    try:
        raise SystemExit(main())
    except HallooError as fault:
        print(f"specify: {fault}", file=sys.stderr)
        raise SystemExit(1) from None
