"""The report of a scenario: one HTML file with its pictures inside, readable without a network.

A person should see at one glance how deep the network fell, how soon it was back, what each supernode had to bear, and
how the article's pace of joining would have fared beside ours.
"""

from __future__ import annotations

import html
import itertools
from collections.abc import Callable, Sequence
from math import ceil, floor, log10
from pathlib import Path
from typing import Any

from halloo.cli.report import STYLE
from halloo.runtime.home import replace_file
from halloo.sim.figures import Outcome
from halloo.sim.scenarios.base import Scenario

__all__ = ["write_report"]

_WIDTH, _HEIGHT, _LEFT, _BOTTOM, _TOP, _RIGHT = 560, 200, 56, 30, 24, 22  # pixels of a plot, and of its margins
_COLOURS = {"modern": "var(--one)", "classic": "var(--two)"}
_BINS = 50  # bars of a distribution
_MAP_CELL = 26  # pixels of a slot
MAX_DRAWN = 6  # runs drawn into one plot; more make it black

Line = tuple[str, str, list[tuple[float, float]]]
"""(name, colour, points)."""


def write_report(path: Path, scenario: Scenario, outcomes: Sequence[Outcome]) -> None:
    """Write the report.  Raises Unusable when the file cannot be written."""
    first = outcomes[0]
    passed = sum(outcome.passed for outcome in outcomes)
    good, words = passed == len(outcomes), f"{passed} of {len(outcomes)} runs passed"
    verdict = f'<span class="{"good" if good else "bad"}">{words if len(outcomes) > 1 else _verdict(first)}</span>'
    body = f"""
<h1>{_(scenario.name)}: {_(scenario.words)}</h1>
<p class="soft">{verdict} · {first.nodes} nodes · seeds {_(", ".join(dict.fromkeys(str(o.seed) for o in outcomes)))}
· {first.figures.get("supernodes_at_first")} supernodes at first</p>
<h2>What was asked</h2>
{_criteria(outcomes)}
<h2>How it went</h2>
<div class="cards">{"".join(_lines_of(outcomes))}</div>
<h2>Searches</h2>
<div class="cards">{_latencies(outcomes)}{_success(outcomes)}</div>
{_map(first)}
<h2>All figures</h2>
{_figures(outcomes)}
<p class="soft">Seconds are virtual, and counted from when the network had come up. Bytes are those of datagrams'
content; the heads of IP and UDP are not in them.</p>
"""
    page = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{_(scenario.name)}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{STYLE}</style></head><body>{body}</body></html>\n"
    )
    replace_file(path, page.encode())


def _(text: object) -> str:
    return html.escape(str(text))


def _verdict(outcome: Outcome) -> str:
    return "passed" if outcome.passed else "not passed: " + _(", ".join(one.words for one in outcome.failed))


def _value(value: Any) -> str:
    if value is None:
        return "never"
    return f"{value:,.6g}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else _(value)


def _name(outcome: Outcome) -> str:
    return f"seed {outcome.seed}, {outcome.timings}"


# --- tables -------------------------------------------------------------------------------------------------------


def _criteria(outcomes: Sequence[Outcome]) -> str:
    shown = outcomes[:MAX_DRAWN]
    head = "".join(f'<th class="n">{_(_name(outcome))}</th>' for outcome in shown)
    rows = "".join(
        f'<tr><td>{_(criterion.words)}</td><td class="n">{_(criterion.bound)}</td>'
        + "".join(
            f'<td class="n {"good" if criterion.met(outcome.figures) else "bad"}">'
            f"{_value(outcome.figures.get(criterion.figure))}</td>"
            for outcome in shown
        )
        + "</tr>"
        for criterion in outcomes[0].criteria
    )
    return f'<div class="scroll"><table><tr><th>figure</th><th class="n">asked</th>{head}</tr>{rows}</table></div>'


def _figures(outcomes: Sequence[Outcome]) -> str:
    shown = outcomes[:MAX_DRAWN]
    head = "".join(f'<th class="n">{_(_name(outcome))}</th>' for outcome in shown)
    names = dict.fromkeys(name for outcome in shown for name in outcome.figures)
    rows = "".join(
        f"<tr><td>{_(name.replace('_', ' '))}</td>"
        + "".join(f'<td class="n">{_value(outcome.figures.get(name))}</td>' for outcome in shown)
        + "</tr>"
        for name in names
    )
    return f'<div class="scroll"><table><tr><th>figure</th>{head}</tr>{rows}</table></div>'


# --- lines -------------------------------------------------------------------------------------------------------


def _lines_of(outcomes: Sequence[Outcome]) -> list[str]:
    shown = outcomes[:MAX_DRAWN]
    drawn: list[tuple[str, Callable[[Outcome], list[tuple[float, float]]]]] = [
        ("users on line (their record is in the directory)", _series("on_line")),
        ("supernodes", _series("supernodes")),
        ("joins per second", _steps("joins")),
        ("supernodes lost, by those attached, per second", _steps("losses")),
        ("logins begun a second at the busiest supernode", _series("attempts_peak")),
        ("handshakes dropped for want of room, per second", _steps("dropped_handshakes")),
        ("bytes per second of one supernode", _series("supernode_bytes_per_s")),
        ("bytes per second of one ordinary node", _series("node_bytes_per_s")),
        ("calls under way", _series("calls")),
    ]
    out: list[str] = []
    for title, points in drawn:
        lines: list[Line] = [
            (_name(outcome), _COLOURS.get(outcome.timings, "var(--one)"), points(outcome)) for outcome in shown
        ]
        if any(line[2] for line in lines):
            out.append(_figure(title, _plot(lines, " s")))
    return out


def _series(figure: str) -> Callable[[Outcome], list[tuple[float, float]]]:
    def points(outcome: Outcome) -> list[tuple[float, float]]:
        return [(sample["time"], sample[figure]) for sample in outcome.series if figure in sample]

    return points


def _steps(figure: str) -> Callable[[Outcome], list[tuple[float, float]]]:
    """What a count grows by in a second."""

    def points(outcome: Outcome) -> list[tuple[float, float]]:
        series = outcome.series
        return [
            (b["time"], max(0.0, b[figure] - a[figure]) / (b["time"] - a["time"]))
            for a, b in itertools.pairwise(series)
            if b["time"] > a["time"]
        ]

    return points


def _latencies(outcomes: Sequence[Outcome]) -> str:
    lines: list[Line] = []
    for outcome in outcomes[:MAX_DRAWN]:
        if outcome.latencies:
            most = sorted(outcome.latencies)[int(0.995 * len(outcome.latencies))] or 0.001
            counts = [0] * (_BINS + 1)
            for latency in outcome.latencies:
                counts[min(_BINS, int(_BINS * latency / most))] += 1
            points = [
                (1_000 * most * (i + 0.5) / _BINS, 100 * count / len(outcome.latencies))
                for i, count in enumerate(counts)
            ]
            lines.append((_name(outcome), _COLOURS.get(outcome.timings, "var(--one)"), points))
    return _figure("time of a search that found, % of all", _plot(lines, " ms")) if lines else ""


def _success(outcomes: Sequence[Outcome]) -> str:
    rows = "".join(
        f"<tr><td>{_(_name(outcome))}</td><td class=n>{_value(outcome.figures.get('searches'))}</td>"
        f"<td class=n>{_value(outcome.figures.get('search_success'))}</td>"
        f"<td class=n>{_value(outcome.figures.get('search_p50_ms'))}</td>"
        f"<td class=n>{_value(outcome.figures.get('search_p99_ms'))}</td>"
        f"<td class=n>{_value(outcome.figures.get('search_messages'))}</td></tr>"
        for outcome in outcomes[:MAX_DRAWN]
    )
    return (
        "<figure><figcaption>searches</figcaption><table><tr><th>run</th><th class=n>searches</th>"
        f"<th class=n>found</th><th class=n>p50 ms</th><th class=n>p99 ms</th><th class=n>messages</th></tr>{rows}"
        "</table></figure>"
    )


def _figure(title: str, picture: str) -> str:
    return f"<figure><figcaption>{_(title)}</figcaption>{picture}</figure>"


def _plot(drawn: Sequence[Line], unit: str) -> str:
    """Lines over one axis from nought on, so that small is small."""
    points = [point for _, _, line in drawn for point in line]
    if not points:
        return ""
    begin, end = min(x for x, _ in points), max(x for x, _ in points)
    top = _round_up(max(y for _, y in points)) or 1.0
    right, base = _WIDTH - _RIGHT, _HEIGHT - _BOTTOM

    def place(x: float, y: float) -> str:
        across = _LEFT + (right - _LEFT) * (x - begin) / max(1e-9, end - begin)
        return f"{across:.1f},{base - (base - _TOP) * min(y, top) / top:.1f}"

    grid = "".join(
        f'<line x1="{_LEFT}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}" stroke="var(--line)"/>'
        f'<text class="soft" x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{_short(top * part)}</text>'
        for part in (0.0, 0.5, 1.0)
        for y in [base - (base - _TOP) * part]
    )
    step = _round_up((end - begin) / 5) or 1.0
    marks = "".join(
        f'<text class="soft" x="{place(x, 0).split(",")[0]}" y="{_HEIGHT - 10}" text-anchor="middle">'
        f"{_short(x)}{unit}</text>"
        for x in (step * i for i in range(ceil(begin / step), floor(end / step) + 1))
    )
    lines = "".join(
        f'<polyline points="{" ".join(place(x, y) for x, y in _thinned(line))}" fill="none" stroke="{colour}" '
        f'stroke-width="1.6" stroke-linejoin="round"><title>{_(name)}</title></polyline>'
        for name, colour, line in drawn
        if line
    )
    kinds = dict.fromkeys(name.split(", ")[-1] for name, _, _ in drawn)
    legend = ""
    if len(kinds) > 1:
        legend = "".join(
            f'<text x="{_LEFT + 8 + 90 * i}" y="{_TOP - 10}" style="fill:{_COLOURS.get(kind, "")}">{_(kind)}</text>'
            for i, kind in enumerate(kinds)
        )
    return f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img">{grid}{marks}{lines}{legend}</svg>'


def _thinned(line: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Few enough points for a picture, the highest and lowest of each stretch among them."""
    stretch = max(1, len(line) // 400)
    if stretch == 1:
        return line
    out: list[tuple[float, float]] = []
    for at in range(0, len(line), stretch):
        part = line[at : at + stretch]
        low, high = min(part, key=lambda point: point[1]), max(part, key=lambda point: point[1])
        out += sorted({low, high})
    return out


def _round_up(value: float) -> float:
    """The next of 1, 2, 2.5, 5 and 10 times a power of ten."""
    if value <= 0:
        return 0.0
    power = 10.0 ** floor(log10(value))
    return next(step * power for step in (1.0, 2.0, 2.5, 5.0, 10.0) if step * power >= value * (1 - 1e-9))


def _short(value: float) -> str:
    return f"{value / 1000:g}k" if abs(value) >= 10_000 else f"{value:.4g}"


# --- the map ------------------------------------------------------------------------------------------------------


def _map(outcome: Outcome) -> str:
    """Blocks from top to bottom, their slots from left to right, each with how many supernodes hold it."""
    if not outcome.map:
        return ""
    blocks = list(dict.fromkeys(block for block, _, _ in outcome.map))
    slots = 1 + max(slot for _, slot, _ in outcome.map)
    cells = "".join(
        f'<rect x="{90 + slot * _MAP_CELL}" y="{24 + blocks.index(block) * _MAP_CELL}" width="{_MAP_CELL - 2}" '
        f'height="{_MAP_CELL - 2}" rx="4" fill="var(--one)" fill-opacity="{min(1.0, members / 10):.2f}">'
        f"<title>block {_(block or 'whole')}, slot {slot}: {members} supernodes</title></rect>"
        f'<text x="{90 + slot * _MAP_CELL + 12}" y="{24 + blocks.index(block) * _MAP_CELL + 16}" '
        f'text-anchor="middle">{members}</text>'
        for block, slot, members in outcome.map
    )
    names = "".join(
        f'<text class="soft" x="82" y="{40 + i * _MAP_CELL}" text-anchor="end">{_(block or "whole")}</text>'
        for i, block in enumerate(blocks)
    )
    heads = "".join(
        f'<text class="soft" x="{102 + slot * _MAP_CELL}" y="16" text-anchor="middle">{slot}</text>'
        for slot in range(slots)
    )
    height, width = 30 + len(blocks) * _MAP_CELL, 100 + slots * _MAP_CELL
    return (
        "<h2>Blocks and slots at the end</h2><figure><figcaption>supernodes that hold each slot of each block"
        f'</figcaption><svg viewBox="0 0 {width} {height}" style="max-width:{2 * width}px" role="img">'
        f"{heads}{names}{cells}</svg></figure>"
    )
