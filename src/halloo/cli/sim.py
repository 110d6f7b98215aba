"""``halloo sim``: what happens to a network in a scenario, played in virtual time with the code of real nodes."""

from __future__ import annotations

import importlib
import multiprocessing
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from halloo.base.errors import HallooError, UsageError
from halloo.cli.simreport import write_report
from halloo.cli.speak import Context, Exit
from halloo.sim.desk import Work
from halloo.sim.figures import Outcome
from halloo.sim.play import Setting
from halloo.sim.scenarios.base import Scenario
from halloo.sim.scenarios.catalogue import SCENARIOS
from halloo.sim.stages import DEGREES, degree_for

__all__ = ["play_one", "sim"]

MOST_NODES = 2_000_000  # of a crowd: some 3 kB each
_PLAYED = {"minds": "minds", "crowd": "a crowd"}
BAR = 40  # characters of the progress bar


def play_one(scenario: str, setting: Setting) -> Outcome:
    """Play a scenario from its begin to its end, in whatever process or machine."""
    return SCENARIOS[scenario].play(setting, None)


@click.command()
@click.argument("scenario", required=False)
@click.option("--nodes", type=click.IntRange(20, MOST_NODES), help="ordinary nodes; default: as the scenario has it")
@click.option("--per-supernode", type=click.IntRange(1, 5_000), default=100, help="of them for each supernode (100)")
@click.option("--degree", type=click.Choice(DEGREES), help="of truth; default: by the scenario and how many they are")
@click.option("--seed", type=click.IntRange(0), default=1, help="the same seed tells the same story")
@click.option("--seeds", type=click.IntRange(1, 10_000), default=1, help="play so many, from --seed on")
@click.option("--jobs", type=click.IntRange(1), help="processes at once; default: one per core")
@click.option("--dask", metavar="ADDRESS", help="play the seeds on the machines of a Dask cluster")
@click.option("--timings", type=click.Choice(["modern", "classic", "both"]), default="modern", help="pace of joining")
@click.option("--logins", type=click.FloatRange(0.01), default=2.0, help="full logins a second and supernode (2)")
@click.option("--calls", type=click.IntRange(0), help="calls under way when it happens; default: one per 50 nodes")
@click.option("--hours", type=click.FloatRange(0.0), default=0.0, help="how long a scenario without an event lasts")
@click.option("--willing", type=click.FloatRange(0.0, 1.0), default=0.1, help="share of users who would serve others")
@click.option("--places", type=click.IntRange(1, 5_000), default=800, help="nodes that a supernode takes at most (800)")
@click.option("--stands", type=click.FloatRange(0.0), default=0.0, help="seconds before anything happens")
@click.option("--report", type=click.Path(dir_okay=False, path_type=Path), help="write an HTML page of it")
@click.option("--json", "as_json", is_flag=True)
@click.pass_obj
def sim(
    context: Context,
    scenario: str | None,
    nodes: int | None,
    per_supernode: int,
    degree: str | None,
    seed: int,
    seeds: int,
    jobs: int | None,
    dask: str | None,
    timings: str,
    logins: float,
    calls: int | None,
    hours: float,
    willing: float,
    places: int,
    stands: float,
    report: Path | None,
    as_json: bool,
) -> None:
    """Play SCENARIO in virtual time; without one, list them."""
    if scenario is None:
        _list(context, as_json=as_json)
        return
    scenario = scenario.lower()
    if scenario not in SCENARIOS:
        raise UsageError(f"there is no scenario {scenario!r}; there are {', '.join(SCENARIOS)}")
    chosen = SCENARIOS[scenario]
    many = nodes or chosen.nodes
    first = Setting(
        nodes=many,
        seed=seed,
        per_supernode=per_supernode,
        calls=min(100, many // 50) if calls is None else calls,
        work=Work(logins=logins),
        hours=hours,
        willing=willing,
        places=places,
        stands=stands,
        degree=degree or degree_for(many, chosen.minds_most),
    )
    paces = ("modern", "classic") if timings == "both" else (timings,)
    settings = [replace(first, seed=seed + i, timings=pace) for i in range(seeds) for pace in paces]
    outcomes = list(_played(context, chosen, settings, jobs, dask))
    outcomes.sort(key=lambda outcome: (outcome.seed, outcome.timings != "modern"))
    if report is not None:
        write_report(report, chosen, outcomes)
    # Where both paces are shown, the article's is there to be compared with: it is not what is asked.
    judged = [outcome for outcome in outcomes if len(paces) == 1 or outcome.timings == "modern"]
    passed = all(outcome.passed for outcome in judged)
    table = outcomes[0].table() if len(outcomes) == 1 else _together(chosen, many, outcomes, passed=passed)
    if report is not None:
        table["report"] = str(report)
    context.result(table, "\n\n".join(_words(outcome) for outcome in outcomes), as_json=as_json)
    for outcome in judged:
        if not outcome.passed:
            failed = ", ".join(criterion.figure for criterion in outcome.failed)
            again = _again(outcome, replace(first, seed=outcome.seed, timings=outcome.timings), calls)
            click.echo(f"not reached: {failed}; again: {again}", err=True)
    if not passed:
        raise SystemExit(Exit.FAILED)


def _list(context: Context, *, as_json: bool) -> None:
    table = {"scenarios": [{"name": one.name, "nodes": one.nodes, "about": one.words} for one in SCENARIOS.values()]}
    context.result(table, "\n".join(f"{one.name:9} {one.words}" for one in SCENARIOS.values()), as_json=as_json)


def _played(
    context: Context, scenario: Scenario, settings: list[Setting], jobs: int | None, dask: str | None
) -> Iterator[Outcome]:
    """All settings, here, on the cores of this machine, or on a cluster; in the order in which they end."""
    bar = _Bar(context, len(settings))
    if dask is not None:
        yield from bar.counted(_on_cluster(scenario, settings, dask))
    elif len(settings) == 1:
        yield scenario.play(settings[0], bar.share)
    else:
        most = min(len(settings), jobs or multiprocessing.cpu_count())
        with ProcessPoolExecutor(most, mp_context=multiprocessing.get_context("spawn")) as pool:
            waiting = [pool.submit(play_one, scenario.name, setting) for setting in settings]
            yield from bar.counted(done.result() for done in as_completed(waiting))
    bar.end()


def _on_cluster(scenario: Scenario, settings: list[Setting], address: str) -> Iterator[Outcome]:
    try:
        distributed: Any = importlib.import_module("distributed")
    except ImportError:
        raise UsageError("--dask needs the package distributed: pip install 'halloo[cluster]'") from None
    try:
        client = distributed.Client(address, timeout=10)
    except (OSError, ValueError, TimeoutError) as fault:
        raise HallooError(f"no Dask cluster answers at {address}: {fault}") from None
    with client:
        # Not pure: two runs of one setting are the same, and whoever asks twice wants to see that.
        futures = client.map(play_one, [scenario.name] * len(settings), settings, pure=False)
        for done in distributed.as_completed(futures):
            yield done.result()


class _Bar:
    """Progress on standard error, for a person at a terminal."""

    def __init__(self, context: Context, runs: int) -> None:
        self._shown = not context.quiet and sys.stderr.isatty()
        self._runs = runs
        self._last = -1

    def share(self, share: float) -> None:
        """So much is done, from 0 to 1."""
        done = int(BAR * max(0.0, min(1.0, share)))
        if self._shown and done != self._last:
            self._last = done
            click.echo(f"\r[{'#' * done}{'.' * (BAR - done)}] {share:4.0%}", nl=False, err=True)

    def counted(self, outcomes: Iterator[Outcome]) -> Iterator[Outcome]:
        """Pass on, and count."""
        for i, outcome in enumerate(outcomes):
            self.share((i + 1) / self._runs)
            yield outcome

    def end(self) -> None:
        """Leave the line empty."""
        if self._shown:
            click.echo("\r" + " " * (BAR + 8) + "\r", nl=False, err=True)


def _together(scenario: Scenario, nodes: int, outcomes: list[Outcome], *, passed: bool) -> dict[str, Any]:
    """Several runs as one object: how many passed, and each."""
    return {
        "scenario": scenario.name,
        "nodes": nodes,
        "seed": outcomes[0].seed,
        "passed": passed,
        "runs_passed": sum(outcome.passed for outcome in outcomes),
        "runs": [outcome.table() for outcome in outcomes],
    }


def _words(outcome: Outcome) -> str:
    """One run, for a person."""
    said = [
        f"{outcome.scenario}, {outcome.nodes} nodes as {_PLAYED[outcome.degree]}, seed {outcome.seed}, "
        f"{outcome.timings} timings"
    ]
    asked = {criterion.figure: criterion for criterion in outcome.criteria}
    for figure, criterion in asked.items():
        value = _shown(outcome.figures.get(figure))
        verdict = "reached" if criterion.met(outcome.figures) else "NOT reached"
        said.append(f"  {criterion.words:76} {value:>10}  asked {criterion.bound:>10}: {verdict}")
    said += [
        f"  {name.replace('_', ' '):76} {_shown(value):>10}"
        for name, value in outcome.figures.items()
        if name not in asked and value is not None
    ]
    said.append(f"  {'passed' if outcome.passed else 'NOT passed'}")
    return "\n".join(said)


def _shown(value: Any) -> str:
    return "never" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _again(outcome: Outcome, setting: Setting, calls: int | None) -> str:
    """The command that plays the same story."""
    words = [f"halloo sim {outcome.scenario} --nodes {outcome.nodes} --seed {outcome.seed}"]
    options: list[tuple[str, object, object]] = [
        ("timings", outcome.timings, "modern"),
        ("degree", setting.degree, degree_for(setting.nodes, SCENARIOS[outcome.scenario].minds_most)),
        ("per-supernode", setting.per_supernode, 100),
        ("logins", setting.work.logins, 2.0),
        ("calls", calls, None),
        ("hours", setting.hours, 0.0),
        ("willing", setting.willing, 0.1),
        ("places", setting.places, 800),
        ("stands", setting.stands, 0.0),
    ]
    words += [f"--{name} {value}" for name, value, usual in options if value != usual]
    return " ".join(words)


