"""`s2g check`, `everything` and `redo`: committed results, and one stored item, made again.

`check` samples the first items of committed results and compares them, `everything` makes whole results and compares their
numbers, `redo` makes one item of a stored run.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from s2g import __version__
from s2g.cli.commands.inventory import find_run
from s2g.cli.commands.methods import FILES, make_methods
from s2g.cli.commands.options import EXPERIMENTS, RESULTS, Profile, Results, Runs, StoredRun, Workers
from s2g.cli.commands.table import TableMaker
from s2g.config.kernels import Kernels
from s2g.config.schema import ExecutorConfig
from s2g.engine.environment import THREADS, machine
from s2g.engine.executors.local import device_of
from s2g.engine.pool import Pool
from s2g.engine.redo import make_item
from s2g.engine.run import Run
from s2g.errors import UserError, unknown
from s2g.experiments.methods import read_chosen, runs_of
from s2g.experiments.produce import produce
from s2g.experiments.remade import Remade, compare_results
from s2g.experiments.runner import resolve_rows
from s2g.experiments.specification import METHODS
from s2g.experiments.specification_file import expand_panels, find_experiment
from s2g.experiments.trail import ENDING, collect_trail, compare_trails, kept_keys, read_trail
from s2g.experiments.tuning_specification import read_tuning
from s2g.io.atomic import write_bytes
from s2g.io.input_files import is_litter
from s2g.io.json_files import load_json
from s2g.report.tables import console_table, markdown_table
from s2g.store.env_file import environment_of
from s2g.store.items import STILL, Film
from s2g.store.likeness import entry_of, file_of, likeness
from s2g.store.repair import restored
from s2g.store.store import Store

HEAD = ["result", "numbers", "equal", "within both intervals", "outside", "not in the committed one"]
DIFFERS = "Other machines and torch versions differ in last bits; a score that differs is another result."


def check(
    names: Annotated[list[str], typer.Argument(help="Names of experiments with committed results and items: table2.")],
    profile: Profile = "tiny",
    num: Annotated[int, typer.Option(help="Items per row to sample again.", min=2)] = 64,
    results: Results = RESULTS,
    runs: Runs = "runs",
    workers: Workers = None,
) -> int:
    """Print, for each row, how many of its first items have the committed bytes and scores; return 1 if a score differs."""
    console, exit_code = Console(highlight=False), 0
    for panel in [panel for name in names for panel in ([name] if name == METHODS else expand_panels(EXPERIMENTS, name))]:
        committed = read_trail(results / f"{Path(panel).stem}-{profile}{ENDING}")
        runs_now = _runs(panel, profile, num)
        distinct = {key: runs_now[key] for key in kept_keys(committed, list(runs_now), Path(panel).stem, profile)}
        if others := [key for key in runs_now if key not in distinct]:
            console.print(f"not in the committed results, so left out: {', '.join(others)}", soft_wrap=True, markup=False)
        with Pool(workers) as pool:
            scores = produce(list(distinct.values()), runs, pool, console)
        now = collect_trail(scores, runs)
        lines = []
        for key in distinct:
            found = compare_trails(committed, now, key)
            exit_code |= int(found.same_scores < found.items)
            counts = [f"{found.same_bytes} of {found.items}", f"{found.same_scores} of {found.items}"]
            lines.append([key, *counts, ", ".join(found.differing) or "-"])
        head = [f"{Path(panel).stem}, profile {profile}", "same bytes", "same scores", "differing scores"]
        console.print(console_table(head, lines, left=False))
    console.print(DIFFERS if exit_code else "all scores agree with the committed ones")
    return exit_code


def _runs(panel: str, profile: str, num: int) -> dict[str, Run]:
    """Return an experiment's distinct runs of `num` items by key; UserError for a profile that it does not have."""
    if panel != METHODS:
        rows = resolve_rows(find_experiment(EXPERIMENTS, panel).profile(profile), num)
        return {run.key: run for run in rows.runs.values()}
    if profile not in FILES:
        raise unknown("--profile", profile, FILES)
    experiment, chosen = read_chosen(FILES[profile], read_tuning(FILES[profile]))
    return runs_of(experiment, chosen, num)[2]


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
    """Run, score and write into `out` what a results file holds, with as many items."""
    stored = load_json(committed)
    name, _, profile = committed.stem.rpartition("-")
    if name == METHODS:
        make_methods(FILES[profile], stored["made"]["n"], root, out, pool)
    else:
        TableMaker(EXPERIMENTS, out, root, stored["num"], None).make(name, profile, console, pool)


def committed_results(folder: Path, names: list[str]) -> list[Path]:
    """Return the results files of a folder in order of name, or those named; UserError for a name without a file."""
    names_there = (path.name for path in folder.glob("*.runs.json") if not is_litter(path.name))
    stems = sorted(name.removesuffix(".runs.json") for name in names_there)
    if lacking := [name for name in names if name not in stems]:
        raise UserError(f"{folder}: no results {', '.join(lacking)}", todo=f"one of: {', '.join(stems)}")
    return [folder / f"{stem}.json" for stem in names or stems]


def counts_of(remade: Remade) -> list[str]:
    """Return one line of the table."""
    outside = len(remade.outside)
    return [str(n) for n in (remade.equal + remade.within + outside, remade.equal, remade.within, outside, remade.added)]


def redo(
    run: StoredRun,
    item: Annotated[int, typer.Argument(help="Number of the item, from 0.")],
    out: Annotated[Path | None, typer.Option(help="File for the item: a PNG or video, or an array of a point.")] = None,
    whole_unit: Annotated[bool, typer.Option("--whole-unit", help="Make it in its batch, as the run does.")] = False,
    device: Annotated[str, typer.Option(help="stored: the kind that made it; auto, cpu, cuda or mps.")] = "stored",
    runs: Runs = "runs",
) -> int:
    """Make one item again and print whether it is the stored one to the byte, or how far it is; exit code 1 if it is not."""
    store = Store(find_run(run, runs).resolve())
    entry_of(store, item)  # before anything is loaded
    again, about = restored(store), store.read_run()
    then = environment_of(store, item // again.model.unit)
    kind = device_of(ExecutorConfig(device=then.get("device", "auto") if device == "stored" else device))
    where = "cuda:0" if kind == "cuda" else kind
    made = make_item(again, item, about["fixed"]["reuse"], whole_unit, where, Kernels.of(about["fixed"]))
    film = Film(again.model.film, again.model.video_fps) if again.model.makes_videos else STILL
    found = likeness(store, item, made, film)
    print(f"{store.folder.name} item {item}, made {'in its unit' if whole_unit else 'alone'}: {found}")
    if not found.same:
        for reason in reasons_to_differ(then, kind, whole_unit):
            print(reason)
    if out is not None:
        write_bytes(out, file_of(item, made, film))
        print(out)
    return int(not found.same)


def reasons_to_differ(then: Mapping[str, Any], device: str, whole_unit: bool) -> list[str]:
    """Return why an item may differ from the stored one in last bits. then: the environment that made that one."""
    now = {"device": device, "machine": machine(), "torch": version("torch"), "s2g": __version__, "threads": THREADS}
    was = {"torch": then.get("packages", {}).get("torch"), **{key: then.get(key) for key in now if key != "torch"}}
    others = [f"{key} {was[key]}, now {now[key]}" for key in now if was[key] not in (None, now[key])]
    found = [f"the stored one was made with {'; '.join(others)}: last bits may differ"] if others else []
    if not whole_unit:
        found.append("alone, a batch has another size, and last bits may differ: --whole-unit makes it in the run's batches")
    return found
