"""`s2g claims`: the paper's claims against the measured results; nothing is run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from s2g.cli.commands.options import EXPERIMENTS, RESULTS, Results
from s2g.report.show_claims import show_claims


def claims(
    results: Results = RESULTS,
    out: Annotated[Path, typer.Option(help="Folder for claims.md.")] = Path("outputs/claims"),
) -> None:
    """Print and write the verdict on every claim: holds, does not hold, inconclusive, not run."""
    show_claims(EXPERIMENTS, results, out, Console(highlight=False))
