"""`s2g plan`: what a table or figure would take; nothing is loaded or run."""

from __future__ import annotations

from typing import Annotated

import typer

from s2g.cli.commands.options import EXPERIMENTS, ItemsPerRow, Profile, Runs
from s2g.experiments.planning import show_plan_of


def plan(
    name: Annotated[str, typer.Argument(help="A table or figure of the paper: table1, table2, ...")],
    profile: Profile = "tiny",
    num: ItemsPerRow = None,
    runs: Runs = "runs",
) -> None:
    """Print items, network calls, FLOPs, GPU-hours, disk, downloads and licences."""
    show_plan_of(EXPERIMENTS, name, profile, num, runs)
