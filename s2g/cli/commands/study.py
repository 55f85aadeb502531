"""`s2g study`: people choose between stored runs that they cannot name."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from s2g.cli.commands.options import EXPERIMENTS, Runs
from s2g.errors import MissingError, UserError
from s2g.study.folder import Study

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="A study of people's preferences: stored runs side by side without their names.",
)
Folder = Annotated[Path, typer.Argument(help="Folder of the study.")]


@app.command(name="new")
def new(
    names: Annotated[
        list[str], typer.Argument(metavar="RUN RUN...", help="Runs: folders, keys, or unique beginnings of keys.")
    ],
    runs: Runs = "runs",
    prompts: Annotated[int, typer.Option(min=1, help="Number of prompts, drawn at random from those that all runs hold.")] = 40,
    participants: Annotated[int, typer.Option(min=1, help="Number of personal links; more can be made later.")] = 14,
    checks: Annotated[int, typer.Option(min=0, help="Attention checks: pages where all pictures but one are scrambled.")] = 0,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the choice of prompts and of all orders.")] = 0,
    config: Annotated[Path | None, typer.Option(help="A study.yaml: texts, criteria, choice, least seconds.")] = None,
    out: Annotated[Path, typer.Option(help="Folder of the study, which must not exist.")] = Path("outputs/study"),
) -> None:
    """Make a study from runs on the same prompts and noise; UserError if they are not, or lack items."""
    from s2g.cli.commands.inventory import find_run
    from s2g.store.store import Store
    from s2g.store.stored_run import stored_run
    from s2g.study.new import new_study

    names, runs = _names_and_root(names, runs)
    folders = [find_run(name, runs).resolve() for name in dict.fromkeys(names)]
    roots = {folder.parent for folder in folders}
    if len(roots) > 1:
        raise UserError(f"{names[-1]}: in another folder than {names[0]}", allowed="runs in one folder", todo="--runs FOLDER")
    stored = [stored_run(Store(folder)) for folder in dict.fromkeys(folders)]
    with new_study(out, stored, str(roots.pop()), prompts, participants, checks, seed, config) as study:
        console = Console(highlight=False)
        methods = ", ".join(method.label for method in study.material.methods)
        console.print(f"{out}: {methods}; {study.material.note}; {participants} personal links", soft_wrap=True, markup=False)
        console.print(
            f"edit {out / 'study.yaml'} (texts, questions), then: s2g study serve {out}", soft_wrap=True, markup=False
        )


@app.command(name="serve")
def serve(
    folder: Folder = Path("outputs/study"),
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0: all of this machine's.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 8000,
    address: Annotated[str, typer.Option(help="Where participants reach it, e.g. https://study.example.org.")] = "",
) -> None:
    """Serve a study until Ctrl-C; what was saved stays. MissingError if the extra `study` is not installed."""
    lacking = [name for name in ("fastapi", "uvicorn") if find_spec(name) is None]
    if lacking:
        raise MissingError(
            "extra", "study", f"{' and '.join(lacking)}: not installed", kind="environment", todo="pip install '.[study]'"
        )
    import uvicorn

    from s2g.study.material import check_media
    from s2g.study.server import app_of

    with Study.open(folder) as study:
        check_media(folder, study.material)
        console, shown = Console(highlight=False), address.rstrip("/") or f"http://{host}:{port}"
        console.print(f"all personal links (keep it to yourself): {shown}/admin/{study.admin}", soft_wrap=True, markup=False)
        # Requests are not logged: their addresses are the links.
        config = uvicorn.Config(app_of(study, address), host, port, access_log=False, log_level="warning", server_header=False)
        uvicorn.Server(config).run()


@app.command(name="report")
def report(
    folder: Folder = Path("outputs/study"),
    out: Annotated[Path | None, typer.Option(help="Folder of the report; default: report/ in the study's folder.")] = None,
    keep_all: Annotated[bool, typer.Option("--keep-all", help="Count those who missed an attention check too.")] = False,
) -> None:
    """Count the votes, print the shares, and write page, chart and CSV files; UserError if nobody has voted."""
    from s2g.experiments.specification_file import find_experiment
    from s2g.report.tables import to_console
    from s2g.study.report import write_report

    place = folder / "report" if out is None else out
    paper = find_experiment(EXPERIMENTS, "fig11") if (EXPERIMENTS / "fig11.yaml").is_file() else None
    with Study.open(folder) as study:
        page = write_report(study, place, keep_all, paper)
    console = Console(highlight=False)
    for words in (*page.lead, to_console(page.shares), to_console(page.pairs), f"report: {place / 'index.html'}"):
        console.print(words, soft_wrap=True)


def _names_and_root(names: list[str], runs: str) -> tuple[list[str], str]:
    """Return names of runs and their folder, where --runs A B C was typed to name runs."""
    root = Path(runs)
    return (names, runs) if root.is_dir() and not (root / "run.json").exists() else ([runs, *names], "runs")
