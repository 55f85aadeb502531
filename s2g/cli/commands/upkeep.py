"""`s2g status`, `s2g verify` and `s2g gc`: progress, integrity and clean-up of stored runs."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from s2g.cli.commands.inventory import find_run
from s2g.cli.commands.options import Runs, StoredRun, Workers
from s2g.engine.progress import progress
from s2g.errors import UserError, unknown
from s2g.io.interrupt import uninterrupted
from s2g.io.machine import cores
from s2g.report.run_list import ORDERS, Summary, in_order, summary
from s2g.report.tables import Cell, Column, Row, Table, console_table
from s2g.store.gc import Garbage, leftovers, unreferenced
from s2g.store.status import State, run_folders, state_of
from s2g.store.store import Store
from s2g.store.verify import Examined, examine

SHOWN = 20  # findings listed one by one
EVERY = 5.0  # seconds between looks at the store


def _console() -> Console:
    """Return a console as wide as the terminal; where the output is a file, wide enough that no path is broken."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=200)


def status(
    run: Annotated[str, typer.Argument(help="A run's folder, key, or a unique beginning of its key; default: all runs.")] = "",
    runs: Runs = "runs",
    sort: Annotated[str, typer.Option(help="date: newest first; score: best first, metric by metric.")] = "date",
    watch: Annotated[
        bool, typer.Option("--watch", help="Print again every five seconds, until every run is complete.")
    ] = False,
) -> None:
    """Print a table of runs: what was typed, date, n, headline score, and progress; columns that are empty are left out.

    Below it, who works on them: machines, their processes, and the units these are sampling.
    """
    if sort not in ORDERS:
        raise unknown("--sort", sort, ORDERS)
    console = _console()
    while True:
        folders = [find_run(run, runs).resolve()] if run else run_folders(runs)
        if not folders:
            console.print(f"no runs in {runs}; python run.py makes one")
            return
        listed = [(one, state_of(one.store)) for one in in_order((summary(Store(f.absolute())) for f in folders), sort)]
        if watch and console.is_terminal:
            console.clear()
        _show(listed, console)
        if not watch or not any(state.missing for _, state in listed):
            return
        time.sleep(EVERY)


def _show(listed: Sequence[tuple[Summary, State]], console: Console) -> None:
    rows = [Row(one.store.folder.name, list(map(Cell, _cells(one, state)))) for one, state in listed]
    columns = ["typed", "begun", "n", "score", "units", "failed", "items/s", "left", "now"]
    shown = Table([Column(name) for name in columns], rows, "run").without_empty_columns()
    table = console_table(shown.head, [list(map(Text, row)) for row in shown.body()], left=True)
    table.columns[0].no_wrap = True
    console.print(table)
    processes: dict[str, set[int]] = {}
    units: Counter[str] = Counter()
    for owner, count in ((owner, count) for _, state in listed for owner, count in state.working.items()):
        processes.setdefault(owner.host, set()).add(owner.pid)
        units[owner.host] += count
    if processes:
        places = [[host, str(len(pids)), str(units[host])] for host, pids in sorted(processes.items())]
        console.print(console_table(["machine", "processes", "units being sampled"], places))
    if any(state.failed for _, state in listed):
        console.print("the run's own command tries failed units again; their tracebacks are in runs/KEY/failed")


def _cells(one: Summary, state: State) -> list[str]:
    if state.problem:
        return ["", "", "", "", "", "", "", "", state.problem]
    failed = str(state.failed) if state.failed else ""
    rate = f"{state.rate:.1f}" if state.rate else ""
    left = duration(state.left) if state.left else ""
    told = [one.typed, one.date, str(one.num), str(one.score or "–")]
    return [*told, f"{state.done} of {state.wanted}", failed, rate, left, _now(state)]


def _now(state: State) -> str:
    if state.working:
        alone = next(iter(state.working)) if len(state.working) == 1 else f"{len(state.working)} processes"
        return f"{alone}: {sum(state.working.values())} at work"
    if not state.missing:
        return "complete"
    ago = f", last unit {duration((datetime.now(UTC) - state.last).total_seconds())} ago" if state.last else ""
    return f"stopped{ago}"


def duration(seconds: float) -> str:
    """Return a time in the largest unit that fits: "45 s", "12 min", "3.5 h", "2.1 d"."""
    for size, name, digits in ((86400, "d", 1), (3600, "h", 1), (60, "min", 0)):
        if seconds >= size:
            return f"{seconds / size:.{digits}f} {name}"
    return f"{max(seconds, 0):.0f} s"


def verify(
    run: StoredRun,
    runs: Runs = "runs",
    repair: Annotated[bool, typer.Option("--repair", help="Sample damaged units again and compare hashes.")] = False,
    workers: Workers = None,
    replace: Annotated[bool, typer.Option("--replace", help="Repair even if intact items of a damaged unit change.")] = False,
) -> int:
    """Hash a run's items, print findings, repair them on request; return 1 if damage remains."""
    console = _console()
    store = Store(find_run(run, runs).resolve())
    examined = _examined(store, console)
    _show_findings(examined, console)
    if not repair or not examined.findings:
        return _verdict(store, examined, console)
    with uninterrupted():
        from s2g.store.repair import repair as repaired  # loads torch

    for line in repaired(store, examined, console, workers, replace):
        console.print(line, soft_wrap=True)
    examined = _examined(store, console)
    _show_findings(examined, console)
    return _verdict(store, examined, console)


def _examined(store: Store, console: Console) -> Examined:
    size = store.read_run()["identity"]["model"]["unit"]
    with progress(console, size * len(store.stored()), "hashing") as bar:
        return examine(store, cores(), bar.advance)


def _show_findings(examined: Examined, console: Console) -> None:
    if not examined.findings:
        return
    rows = [[finding.kind, finding.path, finding.problem] for finding in examined.findings[:SHOWN]]
    console.print(console_table(["", "where", "what"], rows, left=True))
    if len(examined.findings) > SHOWN:
        console.print(f"and {len(examined.findings) - SHOWN} more")


def _verdict(store: Store, examined: Examined, console: Console) -> int:
    bad = [finding for finding in examined.findings if finding.bad]
    if not bad:
        missing = f"; {examined.missing} units are missing" if examined.missing else ""
        whole = f"{examined.items} items of {examined.units} units are intact"
        console.print(f"{store.display_path()}: {whole}{missing}", soft_wrap=True)
        return 0
    if not examined.again:
        console.print(f"{store.display_path()}: its run.json describes another run; was the folder renamed?", soft_wrap=True)
        return 1
    units = len(examined.again)
    console.print(f"{store.display_path()}: {units} of {examined.units} units must be sampled again", soft_wrap=True)
    console.print(f"  do: s2g verify {store.display_path()} --repair", soft_wrap=True)
    return 1


def gc(
    runs: Runs = "runs",
    runs_too: Annotated[bool, typer.Option("--runs-too", help="Include whole runs that no table or page refers to.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Delete what is listed.")] = False,
    refer: Annotated[
        list[Path] | None,
        typer.Option(help="Folders whose tables and pages (runs.json) refer to runs; default: outputs and experiments."),
    ] = None,
) -> None:
    """List files and runs that nothing refers to, with sizes; delete them only if `yes`."""
    console = _console()
    referring = refer or [Path("outputs"), Path("experiments")]
    if not Path(runs).is_dir():
        raise UserError(f"--runs {runs}: no such folder", todo="name the folder that holds the stored runs")
    if runs_too and not any(folder.is_dir() for folder in referring):
        raise UserError(
            f"--runs-too: no folder exists that could refer to runs ({', '.join(map(str, referring))})",
            todo="change to the folder you run from, or name one with --refer",
        )
    files, unused = leftovers(runs), unreferenced(runs, referring)
    _list(files, "leftovers inside runs", runs, console)
    _list(unused, "runs that no table or page refers to", runs, console)
    chosen = [*files, *(unused if runs_too else [])]
    if yes:
        removed = [garbage for garbage in chosen if garbage.remove()]
        console.print(f"removed {len(removed)} ({size_text(sum(garbage.size for garbage in removed))})")
        if len(removed) < len(chosen):
            console.print(f"{len(chosen) - len(removed)} came into use in the meantime and were kept")
        return
    if chosen:
        console.print(f"s2g gc {'--runs-too ' if runs_too else ''}--yes removes {'all of it' if runs_too else 'the leftovers'}")
    if unused and not runs_too:
        console.print("s2g gc --runs-too --yes removes the runs as well")
    if not files and not unused:
        console.print("nothing to remove")


def _list(garbage: list[Garbage], title: str, root: str, console: Console) -> None:
    if not garbage:
        return
    base = Path(root).absolute()
    rows = [[str(one.path.relative_to(base)), size_text(one.size), one.why] for one in garbage[:SHOWN]]
    table = console_table([title, "size", ""], rows)
    table.columns[0].no_wrap = True
    table.columns[-1].justify = "left"
    console.print(table)
    more = f"{len(garbage) - SHOWN} more; " if len(garbage) > SHOWN else ""
    console.print(f"{more}{len(garbage)} in all, {size_text(sum(one.size for one in garbage))}")


def size_text(size: float) -> str:
    """Return a size in the largest unit that fits: "12 B", "3.4 KiB", "1.2 GiB"."""
    for power, unit in ((30, "GiB"), (20, "MiB"), (10, "KiB")):
        if size >= 2**power:
            return f"{size / 2**power:.1f} {unit}"
    return f"{size:.0f} B"
