"""Runs to stored samples: what is missing is made, with a progress bar where somebody watches."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from s2g.engine.executor import LocalExecutor
from s2g.engine.run import Run
from s2g.engine.store import Store
from s2g.engine.worker import Task


def execute(runs: Sequence[Run], root: str, executor: LocalExecutor, reuse: bool, console: Console) -> int:
    """Make what the runs still lack below `root`, their stores begun; returns the number of items made.

    The units of several runs take turns, so that a machine that slows down slows all of them.
    """
    tasks = []
    for run in {run.key: run for run in runs}.values():
        store = Store.of(run, root)
        store.begin(run, reuse)
        tasks += [(unit, Task(run, unit, store, reuse, executor.device)) for unit in store.missing(run)]
    ordered = [task for _, task in sorted(tasks, key=lambda pair: pair[0])]
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    made = 0
    total = sum(task.run.model.unit for task in ordered)
    with Progress(*columns, console=console, disable=not (ordered and console.is_terminal), transient=True) as bar:
        shown = bar.add_task("sampling", total=total, rate="")
        for task in executor.each(ordered):
            made += task.run.model.unit
            bar.update(shown, advance=task.run.model.unit)
            speed = bar.tasks[0].speed
            bar.update(shown, rate=f"{speed:.1f} items/s" if speed else "")
    return made
