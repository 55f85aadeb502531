"""`s2g tune`: choose the settings of an experiment's methods on the tuning seed."""

from __future__ import annotations

from typing import Annotated

import typer

from s2g.cli.commands.options import EXPERIMENTS, Runs, Workers
from s2g.experiments import tuning


def tune(
    name: Annotated[str, typer.Argument(help="An experiment with settings to choose: experiments/NAME.yaml.")] = "methods",
    runs: Runs = "runs",
    workers: Workers = None,
) -> None:
    """Choose the settings and write experiments/NAME.chosen.yaml."""
    tuning.tune(EXPERIMENTS / f"{name}.yaml", runs, workers)
