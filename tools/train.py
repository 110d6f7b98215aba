"""Make the tables of compression from this network's own traffic: ``python tools/train.py [--seeds 1,2,3,4]``.

It writes src/halloo/wire/tables.py; how well they do on traffic of other seeds says ``python -m bench.wire``.

What was captured (``bench._traffic``) is walked through as the writer does it, and every choice counted by its context.
Contexts that are rare, or that say nothing more than all contexts together, are left out.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter, defaultdict
from math import log2
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from bench._traffic import Captured, captured  # noqa: E402

from halloo.wire import alphabet, squeeze  # noqa: E402
from halloo.wire.alphabet import ALPHABET, BITS, END, TOP, Model  # noqa: E402
from halloo.wire.interval import PRECISION  # noqa: E402
from halloo.wire.tables import ANY  # noqa: E402

TABLES = ROOT / "src" / "halloo" / "wire" / "tables.py"
RAREST = 12  # times a context must have been seen to get a table of its own
LEAST_GAIN = 24  # bits that its own table must have saved in training
PRIOR = 0.05  # times that each choice counts as seen in a context where it was not


def counted(said: Captured) -> dict[int, dict[int, Counter[int]]]:
    """How often each choice was made, by model and context."""
    out: dict[int, dict[int, Counter[int]]] = {model: defaultdict(Counter) for model in Model}
    for subject, objects, network in said:
        walk = squeeze.Walk(network)
        walk.add(objects, TOP + subject, 0)
        for model, context, chosen in walk.choices:
            if model != BITS:
                wider = (context & 0xFF,) if model == Model.LETTER else ()
                for each in dict.fromkeys((context, *wider, ANY)):
                    out[model][each][chosen] += 1
    return out


def frequencies(counts: Counter[int], size: int) -> dict[int, int]:
    """Frequencies for a table: 2^12 in all, at least 1 each; those of 1 are left out."""
    whole = 1 << PRECISION
    total = sum(counts.values()) + PRIOR * size
    free = whole - size
    table = {chosen: 1 + int(free * (count + PRIOR) / total) for chosen, count in sorted(counts.items())}
    return {chosen: own for chosen, own in table.items() if own > 1} or {max(counts, key=counts.__getitem__): 2}


def cost(counts: Counter[int], table: dict[int, int], size: int) -> float:
    """Bits that choices cost under a table."""
    left = (1 << PRECISION) - sum(table.get(chosen, 1) for chosen in range(size))
    most = max(table, key=table.__getitem__)
    own = {chosen: table.get(chosen, 1) + (left if chosen == most else 0) for chosen in counts}
    return sum(count * (PRECISION - log2(own[chosen])) for chosen, count in counts.items())


def trained(said: Captured) -> dict[int, dict[int, dict[int, int]]]:
    """All tables."""
    out: dict[int, dict[int, dict[int, int]]] = {}
    for model, contexts in counted(said).items():
        size = ALPHABET[Model(model)]
        pooled = frequencies(contexts[ANY] or Counter({0: 1}), size)
        out[model] = {ANY: pooled}
        for context, counts in sorted(contexts.items()):
            if context == ANY or sum(counts.values()) < RAREST:
                continue
            own = frequencies(counts, size)
            if model == Model.HEAD and context >= alphabet.start(TOP):
                own[END] = max(own.get(END, 0), 16)  # so that the empty list is 42 15 whatever it belongs to
            wider = out[model].get(context & 0xFF, pooled) if model == Model.LETTER and context > 0xFF else pooled
            if cost(counts, wider, size) - cost(counts, own, size) >= LEAST_GAIN:
                out[model][context] = own
    return out


def frequent_distances(said: Captured) -> tuple[int, ...]:
    """Distances between large numbers that come back."""
    seen: Counter[int] = Counter()

    def walk(objects: object, before: list[int]) -> None:
        for kind, _, value in objects:  # type: ignore[attr-defined]
            inner = squeeze._list_in(value, 0) if isinstance(value, bytes) else None
            if isinstance(value, list) or inner is not None:
                walk(value if isinstance(value, list) else inner, before)
            elif kind == 0 and value >= alphabet.LARGE:
                if before:
                    seen[value - before[0]] += 1
                before[:] = [value]

    for _, objects, _ in said:
        walk(objects, [])
    return tuple(sorted(distance for distance, count in seen.most_common(8) if count >= RAREST and abs(distance) > 16))


def written(tables: dict[int, dict[int, dict[int, int]]], frequent: tuple[int, ...], what: str) -> str:
    """The file."""
    lines = [
        '"""Frequencies for the choices of compression, version 1 (head 0x42).  Made by tools/train.py, not by hand.',
        "",
        f"{what}",
        "A choice that is not in a table has frequency 1; what is missing to 2^12 belongs to the most frequent one.",
        "A change of one number here is another language: it takes a new head.",
        '"""',
        "",
        "from __future__ import annotations",
        "",
        '__all__ = ["ANY", "FREQUENT", "TABLES"]',
        "",
        "ANY = -1  # the context of all that have no table of their own",
        "# Distances between large numbers that come back (14 days: a credential's life).",
        f"FREQUENT = {frequent!r}",
        "TABLES: dict[int, dict[int, dict[int, int]]] = {",
    ]
    for model, contexts in tables.items():
        lines.append(f"    {int(model)}: {{  # {Model(model).name.lower()}")
        for context, table in sorted(contexts.items()):
            head = f"        {context}: {{"
            items = [f"{chosen}: {own}" for chosen, own in table.items()]
            if len(head) + len(", ".join(items)) <= 117:
                lines.append(head + ", ".join(items) + "},")
                continue
            lines.append(head)
            line = "            "
            for item in items:
                if len(line) + len(item) > 117:
                    lines.append(line.rstrip())
                    line = "            "
                line += item + ", "
            lines += [line.rstrip(), "        },"]
        lines.append("    },")
    lines.append("}")
    return "\n".join(lines) + "\n"


def main() -> None:
    """The program."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", default="1,2,3,4")
    asked = parser.parse_args()
    said: Captured = []
    for seed in [int(seed) for seed in asked.seeds.split(",")]:
        for suite, captures in captured(seed).items():
            print(f"seed {seed} {suite}: {len(captures)} lists", file=sys.stderr)
            said += captures
    frequent = frequent_distances(said)
    squeeze.FREQUENT = frequent
    ALPHABET[Model.NUMBER] = alphabet.FREQUENT_FROM + len(frequent)
    what = f"Trained on {len(said):,} lists of seeds {asked.seeds} of ``bench._traffic``."
    TABLES.write_text(written(trained(said), frequent, what), "utf-8")


if __name__ == "__main__":
    main()
