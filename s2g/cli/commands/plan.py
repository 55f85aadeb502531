"""`s2g plan`: what a table or figure would take; nothing is loaded or run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from s2g.cli.commands.options import EXPERIMENTS, ItemsPerRow, Profile, Runs
from s2g.experiments import planning
from s2g.experiments.specification_file import expand_panels, find_experiment
from s2g.report.show_plan import show_plan


def show_plan_of(folder: Path, name: str, profile_name: str, num: int | None, root: str) -> None:
    """Print the plan of an experiment, or of each of its panels, in one profile."""
    console = Console(highlight=False)
    console.width = max(console.width, 120)  # a pipe has no width of its own, and rich would fold at 80 columns
    for panel in expand_panels(folder, name):
        experiment = find_experiment(folder, panel)
        profile = experiment.profile(profile_name)
        if profile.study:
            console.print(
                f"{experiment.title}: computed from the networks, seconds per row; nothing is sampled", soft_wrap=True
            )
            continue
        show_plan(experiment, profile, planning.plan(profile, num, root), console)


def plan(
    name: Annotated[str, typer.Argument(help="Name of an experiment, or the path of its file.")],
    profile: Profile = "tiny",
    num: ItemsPerRow = None,
    runs: Runs = "runs",
) -> None:
    """Print items, network calls, FLOPs, GPU-hours, disk, downloads and licences."""
    show_plan_of(EXPERIMENTS, name, profile, num, runs)
