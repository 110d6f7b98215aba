"""The demonstration's report: one HTML file with its pictures inside, readable without a network.

A person should see at one glance who was connected how, what was heard, how well and how late, and what was encrypted.
"""

from __future__ import annotations

import html
import os
from collections.abc import Callable, Sequence
from math import cos, pi, sin
from pathlib import Path
from typing import Any

from halloo.crypto.suites import suite_named
from halloo.media.quality import opinion, rating
from halloo.runtime.home import replace_file

__all__ = ["STYLE", "write_report"]

STYLE = """
:root { color-scheme: light dark; --ink: #1b1f24; --soft: #667085; --line: #d0d5dd; --paper: #fff; --card: #f7f8fa;
  --one: #2563eb; --two: #d97706; --good: #15803d; --bad: #b91c1c; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e8eb; --soft: #98a2b3; --line: #344054; --paper: #101418;
  --card: #181e25; --one: #7aa2ff; --two: #fbbf24; --good: #4ade80; --bad: #f87171; } }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); margin: 0 auto;
  max-width: 62rem; padding: 2rem 1.2rem 4rem; }
h1 { font-size: 1.7rem; margin: 0; } h2 { font-size: 1.15rem; margin: 2.2rem 0 .6rem; }
p.soft, .soft { color: var(--soft); } .good { color: var(--good); } .bad { color: var(--bad); }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .35rem .6rem; border-bottom: 1px solid var(--line); vertical-align: top; }
th { font-weight: 600; color: var(--soft); font-size: .85rem; } td.n, th.n { text-align: right; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(26rem, 1fr)); gap: 1rem; }
figure { margin: 0; background: var(--card); border: 1px solid var(--line); border-radius: .6rem; padding: .8rem; }
figcaption { font-size: .9rem; color: var(--soft); margin-bottom: .4rem; }
svg { width: 100%; height: auto; display: block; } svg text { fill: var(--ink); font: 12px system-ui, sans-serif; }
svg text.soft { fill: var(--soft); } audio { width: 12rem; height: 2rem; display: block; }
.scroll { overflow-x: auto; }
"""

_WIDTH, _HEIGHT, _LEFT, _BOTTOM = 460, 150, 44, 24  # pixels of a plot, and of its margins


def write_report(path: Path, table: dict[str, Any]) -> None:
    """Write the report of a demonstration.  Raises Unusable when the file cannot be written."""
    calls: list[dict[str, Any]] = table["calls"]
    verdict = '<span class="good">All well</span>' if table["ok"] else f'<span class="bad">{_(table["reason"])}</span>'
    suite = suite_named(table["profile"])
    warning = f'<p class="bad">{_(suite.danger)}</p>' if suite.danger else ""
    body = f"""
<h1>A telephone network on one machine</h1>
<p class="soft">{verdict} · profile {_(table["profile"])} · network {_(table["fingerprint"])}</p>{warning}
<h2>The network</h2>
<figure>{_network(table)}</figure>
<h2>The calls</h2>
<div class="scroll"><table>
<tr><th>who spoke</th><th>to</th><th>path</th><th class="n">rang after</th><th class="n">first sound</th>
<th class="n">mouth to ear</th><th class="n">quality</th><th class="n">frames played / sent</th>
<th class="n">concealed</th><th>heard</th></tr>
{"".join(_row(call, path.parent) for call in calls)}
</table></div>
<p class="soft">“Rang after” is from dialling to the bell, “first sound” from the answer to the first frame that was
played; “mouth to ear” is measured by comparing what was heard with what was said, framing and codec included.
Quality: {_(_measures(calls))}</p>
<h2>How it went, second by second</h2>
<div class="cards">{"".join(_plots(call) for call in calls)}</div>
<h2>What was encrypted, and how</h2>
<table>{"".join(f"<tr><td>{_(what)}</td><td>{_(how)}</td></tr>" for what, how in suite.described)}</table>
<h2>Step by step</h2>
<table><tr><th class="n">at</th><th class="n">took</th><th>step</th></tr>
{"".join(_step(step) for step in table["steps"])}</table>
"""
    page = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Halloo demonstration</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{STYLE}</style></head><body>{body}</body></html>\n"
    )
    replace_file(path, page.encode())


def _(text: object) -> str:
    return html.escape(str(text))


def _number(value: float | None, unit: str = "", digits: int = 0) -> str:
    return "–" if value is None else f"{value:.{digits}f}{unit}"


def _row(call: dict[str, Any], folder: Path) -> str:
    recording = os.path.relpath(call["wav"], folder)
    return (
        f"<tr><td>{_(call['from'])}</td><td>{_(call['to'])}</td><td>{_(call['path'])}</td>"
        f"<td class=n>{_number(call['setup_ms'], ' ms')}</td><td class=n>{_number(call['first_audio_ms'], ' ms')}</td>"
        f"<td class=n>{_number(call['mouth_to_ear_ms'], ' ms')}</td><td class=n>{_number(call['score'], '', 2)}</td>"
        f"<td class=n>{call['frames_played']} / {call['frames_sent']}</td><td class=n>{call['frames_concealed']}</td>"
        f'<td><audio controls preload="none" src="{_(recording)}"></audio></td></tr>'
    )


def _measures(calls: Sequence[dict[str, Any]]) -> str:
    names = {
        "pesq-wb": "wideband PESQ (ITU-T P.862.2), 1 to 4.64.",
        "stoi": "STOI, a measure of intelligibility from 0 to 1 (PESQ could not be built here).",
        "snr": "a signal-to-noise figure in dB (neither PESQ nor STOI is installed here).",
    }
    used = dict.fromkeys(call["measure"] for call in calls)
    return " ".join(names.get(measure, measure) for measure in used) or "no call was scored."


def _step(step: dict[str, Any]) -> str:
    return (
        f"<tr><td class=n>{step['at_ms'] / 1000:.2f} s</td><td class=n>{step['took_ms']} ms</td>"
        f"<td>{_(step['step'])}</td></tr>"
    )


# --- pictures -----------------------------------------------------------------------------------------------------


def _network(table: dict[str, Any]) -> str:
    """Supernodes in the middle, all linked to each other; who is attached where; the two ways of the calls."""
    supernodes: list[str] = table["supernodes"]
    attached: dict[str, str] = table["attached"]
    centre_x, centre_y, radius = 380, 165, 78
    place = {
        address: (
            centre_x + radius * cos(2 * pi * i / len(supernodes) - pi / 2),
            centre_y + radius * sin(2 * pi * i / len(supernodes) - pi / 2),
        )
        for i, address in enumerate(supernodes)
    }
    people = {"alice": (70.0, 165.0), "bob": (690.0, 165.0), "echo123": (560.0, 40.0)}
    out = [_line(*place[a], *place[b], "var(--line)") for i, a in enumerate(supernodes) for b in supernodes[i + 1 :]]
    out += [
        _line(*people[name], *place[address], "var(--line)", dash="3 4")
        for name, address in attached.items()
        if name in people and address in place
    ]
    ways = {call["path"] for call in table["calls"]}
    if "direct" in ways:
        (x1, y1), (x2, y2) = people["alice"], people["bob"]
        out.append(
            f'<path d="M{x1} {y1 + 18} Q{centre_x} 355 {x2} {y2 + 18}" fill="none" stroke="var(--one)" '
            'stroke-width="3"/>'
        )
        out.append(f'<text x="{centre_x}" y="292" text-anchor="middle">direct call</text>')
    relay = place.get(attached.get("bob", ""))
    if "relayed" in ways and relay is not None:
        out += [_line(*people[name], *relay, "var(--two)", width=3) for name in ("alice", "bob")]
        x, y = (relay[0] + people["bob"][0]) / 2, (165 + relay[1]) / 2 - 12
        out.append(f'<text x="{x:.0f}" y="{y:.0f}" text-anchor="middle">relayed call</text>')
    out += [_node(x, y, "supernode", address) for address, (x, y) in place.items()]
    out += [_node(x, y, name, "") for name, (x, y) in people.items()]
    out.append(_node(70, 40, "login server", "not in any call"))
    return f'<svg viewBox="0 0 760 320" role="img" aria-label="the network">{"".join(out)}</svg>'


def _line(x1: float, y1: float, x2: float, y2: float, colour: str, *, width: int = 1, dash: str = "") -> str:
    dashed = f' stroke-dasharray="{dash}"' if dash else ""
    return (
        f'<line x1="{x1:.0f}" y1="{y1:.0f}" x2="{x2:.0f}" y2="{y2:.0f}" stroke="{colour}" '
        f'stroke-width="{width}"{dashed}/>'
    )


def _node(x: float, y: float, name: str, detail: str) -> str:
    middle = f'x="{x:.0f}" text-anchor="middle"'
    return (
        f'<rect x="{x - 56:.0f}" y="{y - 18:.0f}" width="112" height="36" rx="8" fill="var(--paper)" '
        f'stroke="var(--soft)"/><text {middle} y="{y + (0 if detail else 4):.0f}">{_(name)}</text>'
        f'<text class="soft" {middle} y="{y + 13:.0f}" style="font-size:10px">{_(detail)}</text>'
    )


def _plots(call: dict[str, Any]) -> str:
    seconds: list[dict[str, Any]] = call["seconds"]
    title = f"{_(call['to'])} hears {_(call['from'])}, {_(call['path'])}"
    plots: list[tuple[str, str, Callable[[dict[str, Any]], float], float]] = [
        ("expected opinion (MOS, E-model)", "var(--good)", _opinion, 4.5),
        ("delay in the buffer and before (ms)", "var(--one)", lambda second: second["delay_ms"], 100.0),
        ("jitter (ms)", "var(--two)", lambda second: second["jitter_ms"], 10.0),
    ]
    drawn = "".join(
        f"<figcaption>{title}: {label}</figcaption>{_plot([value(second) for second in seconds], colour, top)}"
        for label, colour, value, top in plots
    )
    return f"<figure>{drawn}</figure>"


def _opinion(second: dict[str, Any]) -> float:
    frames = second["received"] + second["lost"]
    return opinion(rating(100 * second["lost"] / frames if frames else 100.0, second["delay_ms"]))


def _plot(values: Sequence[float], colour: str, least_top: float) -> str:
    """A line over seconds; the scale begins at nought, so that small is small."""
    top = max([least_top, *(1.1 * value for value in values)])
    right, base = _WIDTH - 8, _HEIGHT - _BOTTOM
    step = (right - _LEFT) / max(1, len(values) - 1)
    points = " ".join(
        f"{_LEFT + i * step:.1f},{base - (base - 8) * value / top:.1f}" for i, value in enumerate(values)
    )
    digits = 0 if top >= 20 else 1
    grid = "".join(
        f'<line x1="{_LEFT}" x2="{right}" y1="{y:.0f}" y2="{y:.0f}" stroke="var(--line)"/>'
        f'<text class="soft" x="{_LEFT - 6}" y="{y + 4:.0f}" text-anchor="end">{top * part:.{digits}f}</text>'
        for part in (0.0, 0.5, 1.0)
        for y in [base - (base - 8) * part]
    )
    marks = "".join(
        f'<text class="soft" x="{_LEFT + i * step:.0f}" y="{_HEIGHT - 6}" text-anchor="middle">{i} s</text>'
        for i in range(0, len(values), max(1, len(values) // 5))
    )
    line = f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>' if values else ""
    return f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img">{grid}{marks}{line}</svg>'
