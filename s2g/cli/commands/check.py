"""`s2g check`: sample the first items of committed results again and compare them, item by item."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from s2g.cli.commands.options import EXPERIMENTS, Profile, Runs, Workers
from s2g.engine.pool import Pool
from s2g.experiments.produce import produce
from s2g.experiments.runner import resolve_rows
from s2g.experiments.specification_file import expand_panels, find_experiment
from s2g.experiments.trail import collect_trail, compare_trails, read_trail
from s2g.report.tables import console_table

DIFFERS = "Other machines and torch versions differ in last bits; a score that differs is another result."


def check(
    names: Annotated[list[str], typer.Argument(help="Names of experiments with committed results: table2, fig7.")],
    profile: Profile = "tiny",
    num: Annotated[int, typer.Option(help="Items per row to sample again.", min=2)] = 64,
    results: Annotated[Path, typer.Option(help="Folder of the committed results.")] = Path("experiments/results"),
    runs: Runs = "runs",
    workers: Workers = None,
) -> int:
    """Print, for each row, how many of its first items have the committed bytes and scores; return 1 if a score differs."""
    console, exit_code = Console(highlight=False), 0
    for panel in [panel for name in names for panel in expand_panels(EXPERIMENTS, name)]:
        experiment = find_experiment(EXPERIMENTS, panel)
        committed = read_trail(results / f"{experiment.name}-{profile}.items.npz")
        rows = resolve_rows(experiment.profile(profile), num)
        distinct = {run.key: run for run in rows.runs.values()}
        with Pool(workers) as pool:
            scores = produce(list(distinct.values()), runs, pool, console)
        now = collect_trail(scores, runs)
        lines = []
        for key in distinct:
            found = compare_trails(committed, now, key)
            exit_code |= int(found.same_scores < found.items)
            counts = [f"{found.same_bytes} of {found.items}", f"{found.same_scores} of {found.items}"]
            lines.append([key, *counts, ", ".join(found.differing) or "-"])
        head = [f"{experiment.name}, profile {profile}", "same bytes", "same scores", "differing scores"]
        console.print(console_table(head, lines, left=False))
    console.print(DIFFERS if exit_code else "all scores agree with the committed ones")
    return exit_code
