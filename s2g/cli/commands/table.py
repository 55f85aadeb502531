"""`s2g table`: make tables and figures of the paper."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from s2g.cli.commands.options import EXPERIMENTS, ItemsPerRow, MadeBy, Profile, Runs, Workers
from s2g.engine.pool import Pool
from s2g.experiments.runner import Maker
from s2g.experiments.specification_file import panels
from s2g.integrations.wandb.run_log import read_logger


def table(
    names: Annotated[list[str], typer.Argument(help="Tables and figures of the paper: table1, table2, fig7, ...")],
    profile: Profile = "tiny",
    num: ItemsPerRow = None,
    runs: Runs = "runs",
    out: Annotated[Path, typer.Option(help="Folder for JSON, Markdown, CSV and LaTeX.")] = Path("outputs/results"),
    workers: Workers = None,
    command: MadeBy = "s2g table",
    logger: Annotated[str, typer.Option(help="wandb: also log the table and pictures to Weights & Biases.")] = "none",
) -> None:
    """Make each table or figure, all with one pool of workers: run what is missing, score, print, write."""
    maker = Maker(EXPERIMENTS, out, runs, num, workers, command, read_logger({"name": logger}))
    with Pool(workers) as pool:
        for panel in [panel for name in names for panel in panels(maker.folder, name)]:
            maker.make(panel, profile, Console(highlight=False), pool)
