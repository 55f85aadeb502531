"""`s2g report`: all measured results as a static site; nothing is run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from s2g.cli.commands.options import EXPERIMENTS, RESULTS, Results
from s2g.report.html.site import write_site


def report(
    results: Results = RESULTS,
    out: Annotated[Path, typer.Option(help="Folder for the pages; its content is replaced.")] = Path("outputs/report"),
    runs: Annotated[str, typer.Option(help="Folder that holds the stored runs; the site shows their configuration.")] = "runs",
) -> None:
    """Write the site."""
    write_site(EXPERIMENTS, results, runs, out, Console(highlight=False))
