"""`s2g tables`, `figures` and `claims`: what results files hold, printed, drawn and held against the paper; nothing is run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from s2g.cli.commands.options import EXPERIMENTS, RESULTS, Results
from s2g.io.atomic import write_bytes
from s2g.report.published import draw_results, print_results
from s2g.report.show_claims import show_claims


def tables(
    results: Results = RESULTS,
    page: Annotated[Path | None, typer.Option(help="Write one page of all results instead.")] = None,
) -> None:
    """Print every measured table, and which rows are stale."""
    if page is None:
        print_results(EXPERIMENTS, results, Console(highlight=False))
        return
    from s2g.report.results_page import results_page

    write_bytes(page, results_page(EXPERIMENTS, results).encode())
    print(f"written: {page}")


def figures(
    results: Results = RESULTS,
    out: Annotated[Path, typer.Option(help="Folder for the pictures.")] = Path("outputs/figures"),
) -> None:
    """Draw every measured table or figure that has a plot, as SVG and PNG."""
    draw_results(EXPERIMENTS, results, out, Console(highlight=False))


def claims(
    results: Results = RESULTS,
    out: Annotated[Path, typer.Option(help="Folder for claims.md.")] = Path("outputs/claims"),
) -> None:
    """Print and write the verdict on every claim: holds, does not hold, inconclusive, not run."""
    show_claims(EXPERIMENTS, results, out, Console(highlight=False))
