"""`s2g everything`: every committed result made again, and compared with the committed one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from s2g.cli.commands.methods import FILES, make_methods
from s2g.cli.commands.options import EXPERIMENTS, RESULTS, Results, Runs, Workers
from s2g.cli.commands.table import TableMaker
from s2g.engine.pool import Pool
from s2g.errors import UserError
from s2g.experiments.remade import Remade, compare_results
from s2g.io.atomic import write_bytes
from s2g.io.json_files import load_json
from s2g.report.tables import console_table, markdown_table

HEAD = ["result", "numbers", "equal", "within both intervals", "outside", "not in the committed one"]


def everything(
    names: Annotated[list[str] | None, typer.Argument(help="Only these results: table2-tiny fig5-real.")] = None,
    results: Results = RESULTS,
    out: Annotated[Path, typer.Option(help="Folder for the results that are made again.")] = Path("outputs/everything"),
    runs: Runs = "runs",
    workers: Workers = None,
) -> int:
    """Make every committed result again and compare all numbers; return 1 if one is outside the intervals or was not made.

    Resumes: a result that `out` holds is not made again.
    """
    found, console = committed_results(results, names or []), Console(highlight=False)
    lines: list[list[str]] = []
    remarks: list[str] = []
    with Pool(workers) as pool:
        for at, committed in enumerate(found, start=1):
            console.rule(f"{at} of {len(found)}: {committed.stem}")
            try:
                if not (out / committed.name).exists():
                    make_again(committed, out, runs, console, pool)
                remade = compare_results(committed, out / committed.name)
            except UserError as error:
                console.print(str(error), soft_wrap=True, markup=False)
                lines.append([committed.stem, "-", "-", "-", "not made", "-"])
                remarks.append(f"{committed.stem}: not made: {error}")
            else:
                lines.append([committed.stem, *counts_of(remade)])
                remarks += [f"{committed.stem}: {line}" for line in remade.outside]
            page = [markdown_table(HEAD, lines), *(f"- {remark}" for remark in remarks)]
            write_bytes(out / "everything.md", "\n".join([*page, ""]).encode())
    console.print(console_table(HEAD, lines))
    console.print(f"{out / 'everything.md'} names the numbers outside" if remarks else "all numbers agree", soft_wrap=True)
    return int(bool(remarks))


def make_again(committed: Path, out: Path, root: str, console: Console, pool: Pool) -> None:
    """Run, score and write into `out` what a results file holds, with as many items, under the command that it names."""
    stored = load_json(committed)
    (name, _, profile), command = committed.stem.rpartition("-"), stored["made"]["command"]
    if name == "methods":
        make_methods(FILES[profile], stored["made"]["n"], root, out, pool, command)
    else:
        TableMaker(EXPERIMENTS, out, root, stored["num"], None, command).make(name, profile, console, pool)


def committed_results(folder: Path, names: list[str]) -> list[Path]:
    """Return the results files of a folder in order of name, or those named; UserError for a name without a file."""
    stems = sorted(path.name.removesuffix(".runs.json") for path in folder.glob("*.runs.json"))
    if lacking := [name for name in names if name not in stems]:
        raise UserError(f"{folder}: no results {', '.join(lacking)}", todo=f"one of: {', '.join(stems)}")
    return [folder / f"{stem}.json" for stem in names or stems]


def counts_of(remade: Remade) -> list[str]:
    """Return one line of the table."""
    outside = len(remade.outside)
    return [str(n) for n in (remade.equal + remade.within + outside, remade.equal, remade.within, outside, remade.added)]
