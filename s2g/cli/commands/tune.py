"""`s2g tune`: choose the settings of an experiment's methods on the tuning seed."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from s2g.cli.commands.options import EXPERIMENTS, Runs, Workers
from s2g.engine.pool import Pool
from s2g.experiments.produce import produce
from s2g.experiments.tuning import choices_yaml, choose, chosen_before, chosen_path
from s2g.experiments.tuning_specification import read_tuning
from s2g.io.atomic import write_bytes
from s2g.report.methods_table import tried_table


def tune_experiment(path: Path, root: str, workers: int | None, new: bool = False) -> None:
    """Choose the open knobs of an experiment's YAML, print what was tried, and write NAME.chosen.yaml beside it.

    new: only of rows that NAME.chosen.yaml does not have.
    """
    experiment, console = read_tuning(path), Console(highlight=False)
    kept = chosen_before(path, experiment) if new else None
    console.width = max(console.width, 120)  # a pipe has no width of its own, and rich would fold at 80 columns
    chosen = {}
    with Pool(workers) as pool:
        scored = partial(produce, root=root, pool=pool, console=console)
        for choice in choose(experiment, scored, kept and kept["rows"]):
            console.print(tried_table(experiment.rows[choice.row].label, choice))
            chosen[choice.row] = choice.chosen
    write_bytes(chosen_path(path), choices_yaml(path.stem, experiment, chosen, kept).encode())
    console.print(f"written: {chosen_path(path)}", soft_wrap=True)


def tune(
    name: Annotated[str, typer.Argument(help="An experiment with settings to choose: experiments/NAME.yaml.")] = "methods",
    runs: Runs = "runs",
    workers: Workers = None,
    new: Annotated[bool, typer.Option("--new", help="Only rows that experiments/NAME.chosen.yaml does not have yet.")] = False,
) -> None:
    """Choose the settings and write experiments/NAME.chosen.yaml."""
    tune_experiment(EXPERIMENTS / f"{name}.yaml", runs, workers, new)
