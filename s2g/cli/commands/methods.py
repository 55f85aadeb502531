"""`s2g methods`: every guidance method on the built-in model, beside CFG of the same strength and cost."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from s2g.cli.commands.options import EXPERIMENTS, MadeBy, Runs, Workers
from s2g.experiments.methods import make_methods


def methods(
    num: Annotated[int | None, typer.Option(help="Items per row; default: the experiment's own number.")] = None,
    runs: Runs = "runs",
    out: Annotated[Path, typer.Option(help="Folder for the table, as Markdown and JSON.")] = Path("outputs/methods"),
    workers: Workers = None,
    command: MadeBy = "s2g methods",
) -> None:
    """Make the table of methods."""
    make_methods(EXPERIMENTS / "methods.yaml", num, runs, out, workers, command)
