"""Looking after what is stored: how far it is, whether it is whole, what may go."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from s2g.cli.commands.inventory import find_run
from s2g.engine.progress import progress
from s2g.errors import UserError
from s2g.io.interrupt import uninterrupted
from s2g.report.tables import console_table
from s2g.store.gc import Garbage, leftovers, unreferenced
from s2g.store.status import State, state_of, states
from s2g.store.store import Store
from s2g.store.verify import Examined, examine

MANY = 20  # findings shown in full


def _console() -> Console:
    """As wide as the terminal; where nobody watches, wide enough that no path is broken."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=200)


def show_status(name: str, root: str) -> None:
    """A table of runs: units done, missing, set aside; pace and time left of those somebody works on."""
    console = _console()
    found = [state_of(Store(find_run(name, root).resolve()))] if name else states(root)
    if not found:
        console.print(f"no runs below {root}; python run.py makes one")
        return
    head = ["run", "units", "failed", "items/s", "left", "now"]
    table = console_table(head, [_row(state) for state in found])
    table.columns[0].no_wrap = True
    table.columns[-1].justify = "left"
    console.print(table)
    if any(state.failed for state in found):
        console.print("failed units are tried again by the run's own command; runs/KEY/failed has their tracebacks")


def _row(state: State) -> list[str]:
    if state.problem:
        return [state.key, "", "", "", "", state.problem]
    failed = str(state.failed) if state.failed else ""
    rate = f"{state.rate:.1f}" if state.rate else ""
    left = duration(state.left) if state.left else ""
    return [state.key, f"{state.done} of {state.wanted}", failed, rate, left, _now(state)]


def _now(state: State) -> str:
    if state.working:
        return "; ".join(f"{owner}: {count} at work" for owner, count in state.working.items())
    if not state.missing:
        return "complete"
    ago = f", last unit {duration((datetime.now(UTC) - state.last).total_seconds())} ago" if state.last else ""
    return f"stopped{ago}"


def duration(seconds: float) -> str:
    """A time in the largest unit that fits: "45 s", "12 min", "3.5 h", "2.1 d"."""
    for size, name, digits in ((86400, "d", 1), (3600, "h", 1), (60, "min", 0)):
        if seconds >= size:
            return f"{seconds / size:.{digits}f} {name}"
    return f"{max(seconds, 0):.0f} s"


def show_verify(name: str, root: str, mend: bool, workers: int | None, replace: bool = False) -> int:
    """Hash a run, say what is found, mend it if asked to; 1 if it is, or stays, damaged."""
    console = _console()
    store = Store(find_run(name, root).resolve())
    examined = _examined(store, console)
    _show_findings(examined, console)
    if not mend or not examined.findings:
        return _verdict(store, examined, console)
    with uninterrupted():
        from s2g.store.repair import repair  # loads torch

    for line in repair(store, examined, console, workers, replace):
        console.print(line, soft_wrap=True)
    examined = _examined(store, console)
    _show_findings(examined, console)
    return _verdict(store, examined, console)


def _examined(store: Store, console: Console) -> Examined:
    size = store.read_run()["identity"]["model"]["unit"]
    with progress(console, size * len(store.stored()), "hashing") as bar:
        return examine(store, len(os.sched_getaffinity(0)), bar.advance)


def _show_findings(examined: Examined, console: Console) -> None:
    if not examined.findings:
        return
    rows = [[finding.kind, finding.path, finding.problem] for finding in examined.findings[:MANY]]
    console.print(console_table(["", "where", "what"], rows, left=True))
    if len(examined.findings) > MANY:
        console.print(f"and {len(examined.findings) - MANY} more")


def _verdict(store: Store, examined: Examined, console: Console) -> int:
    bad = [finding for finding in examined.findings if finding.bad]
    if not bad:
        missing = f"; {examined.missing} units are missing" if examined.missing else ""
        whole = f"{examined.items} items of {examined.units} units are what was written"
        console.print(f"{store.shown()}: {whole}{missing}", soft_wrap=True)
        return 0
    if not examined.again:
        console.print(f"{store.shown()}: the folder is not the run its run.json describes; was it renamed?", soft_wrap=True)
        return 1
    units = len(examined.again)
    console.print(f"{store.shown()}: {units} of {examined.units} units need to be made anew", soft_wrap=True)
    console.print(f"  do: s2g verify {store.shown()} --repair", soft_wrap=True)
    return 1


def show_gc(root: str, whole: bool, yes: bool, referring: Sequence[Path]) -> None:
    """What nothing refers to, with sizes; removed only if `yes`."""
    console = _console()
    if not Path(root).is_dir():
        raise UserError(f"--runs {root}: no such folder", todo="give the folder samples are kept in")
    if whole and not any(place.is_dir() for place in referring):
        raise UserError(
            f"--runs-too: none of the folders that could refer to runs is here ({', '.join(map(str, referring))})",
            todo="go to the folder you run from, or name one with --refer",
        )
    files, runs = leftovers(root), unreferenced(root, referring)
    _list(files, "left over inside runs", root, console)
    _list(runs, "runs that no table or page refers to", root, console)
    chosen = [*files, *(runs if whole else [])]
    if yes:
        gone = [garbage for garbage in chosen if garbage.remove()]
        console.print(f"removed {len(gone)} ({size_text(sum(garbage.size for garbage in gone))})")
        if len(gone) < len(chosen):
            console.print(f"{len(chosen) - len(gone)} have come into use and were left")
        return
    if chosen:
        console.print(f"s2g gc {'--runs-too ' if whole else ''}--yes removes {'all of it' if whole else 'what is left over'}")
    if runs and not whole:
        console.print("s2g gc --runs-too --yes removes the runs as well")
    if not files and not runs:
        console.print("nothing to remove")


def _list(found: list[Garbage], title: str, root: str, console: Console) -> None:
    if not found:
        return
    base = Path(root).absolute()
    rows = [[str(garbage.path.relative_to(base)), size_text(garbage.size), garbage.why] for garbage in found[:MANY]]
    table = console_table([title, "size", ""], rows)
    table.columns[0].no_wrap = True
    table.columns[-1].justify = "left"
    console.print(table)
    more = f"{len(found) - MANY} more; " if len(found) > MANY else ""
    console.print(f"{more}{len(found)} in all, {size_text(sum(garbage.size for garbage in found))}")


def size_text(size: float) -> str:
    """Bytes in the largest unit that fits: "12 B", "3.4 KiB", "1.2 GiB"."""
    for power, unit in ((30, "GiB"), (20, "MiB"), (10, "KiB")):
        if size >= 2**power:
            return f"{size / 2**power:.1f} {unit}"
    return f"{size:.0f} B"
