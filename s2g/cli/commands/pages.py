"""`s2g report` and `s2g gallery`: pages of all measured results, and of stored runs on the same prompts; nothing is run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from s2g.cli.commands.inventory import find_run
from s2g.cli.commands.options import EXPERIMENTS, RESULTS, FirstImages, Results, Runs
from s2g.errors import UserError
from s2g.report.html.gallery_page import write_gallery_page
from s2g.report.html.site import write_site
from s2g.store.store import Store
from s2g.store.stored_run import stored_run


def report(
    results: Results = RESULTS,
    out: Annotated[Path, typer.Option(help="Folder for the pages; its content is replaced.")] = Path("outputs/report"),
    runs: Annotated[str, typer.Option(help="Folder that holds the stored runs; the site shows their configuration.")] = "runs",
) -> None:
    """Write the site."""
    write_site(EXPERIMENTS, results, runs, out, Console(highlight=False))


def gallery(
    names: Annotated[list[str], typer.Argument(metavar="RUN...", help="Runs: folders, keys, or unique beginnings of keys.")],
    runs: Runs = "runs",
    out: Annotated[Path | None, typer.Option(help="The page's file; default: outputs/gallery/KEY.html.")] = None,
    num: FirstImages = None,
) -> None:
    """Write the page; UserError if the runs have other prompts, lie in different folders, or lack items."""
    folders = [find_run(name, runs).resolve() for name in dict.fromkeys(names)]
    roots = {folder.parent for folder in folders}
    if len(roots) > 1:
        raise UserError(f"{names[-1]}: in another folder than {names[0]}", allowed="runs in one folder", todo="--runs FOLDER")
    path = write_gallery_page([stored_run(Store(folder)) for folder in folders], str(roots.pop()), out, num)
    Console(highlight=False).print(str(path), soft_wrap=True)
