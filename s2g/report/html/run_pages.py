"""Pages of runs: configuration, command, scores, cost, the tables that use them, and what is stored here."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from s2g.errors import DamageError
from s2g.experiments.results import ResultRow, Results
from s2g.experiments.trail import items_of, read_trail
from s2g.metrics.statistics import Estimate
from s2g.report.html.page import Pairs
from s2g.report.number_text import flat, gflop, with_interval
from s2g.store.store import Store

ITEMS = 32  # shown of a run


@dataclass
class RunPage:
    """A run that results refer to."""

    key: str
    label: str
    command: str
    used: list[tuple[str, str, str]] = field(default_factory=list)  # table or figure, its page, the row
    values: dict[str, str] = field(default_factory=dict)  # by metric
    cost: list[tuple[str, str]] = field(default_factory=list)
    made: str = ""
    stored: str = ""
    knobs: Pairs = ()
    items: list[list[str]] = field(default_factory=list)  # rows of text, the head first

    @property
    def page(self) -> str:
        """Return its file name."""
        return page_name(self.key)


def page_name(key: str) -> str:
    """Return the file name of a run's page."""
    return f"run-{key}.html"


def page_of_keys(results: Iterable[Results]) -> dict[str, str]:
    """Return the page of every run that results refer to, by key."""
    return {key: page_name(key) for result in results for row in result.rows for key in row.keys.values()}


def run_pages(results: Iterable[Results], titles: Mapping[str, str], root: str, measured: Path | None = None) -> list[RunPage]:
    """Return a page per run, with its configuration if the run is stored below `root`.

    measured: folder of the results, for hashes and scores of the first items where they are kept (NAME-PROFILE.items.npz).
    """
    pages: dict[str, RunPage] = {}
    for result in results:
        file = None if measured is None else measured / f"{result.exhibit}-{result.profile}.items.npz"
        trail = read_trail(file) if file is not None and file.exists() else {}
        for row in result.rows:
            for key in row.keys.values():
                page = pages.setdefault(key, RunPage(key, row.label, row.command))
                page.items = page.items or items_of(trail, key, ITEMS)
                page.used.append((titles[result.exhibit], f"{result.exhibit}.html", row.label))
                if len(row.keys) == 1:  # numbers of a row of several runs are not one run's
                    _add(page, result, row)
    for page in pages.values():
        page.stored, page.knobs = stored(page.key, root)
    return sorted(pages.values(), key=lambda page: page.key)


def _add(page: RunPage, results: Results, row: ResultRow) -> None:
    for column, shown in results.columns.items():
        cell = row.cell(column)
        if cell is not None and cell.value is not None:
            text = with_interval(Estimate(cell.value, cell.low, cell.high, 0), shown["digits"])
            page.values.setdefault(f"{shown['label']}, n = {row.n}", "; ".join([text, *cell.remarks]))
    if not page.cost and row.evaluations is not None and row.seconds is not None:
        scale = "none" if row.effective_scale is None else f"{row.effective_scale['value']:.2f}"
        page.cost = [
            ("network evaluations per item", f"{row.evaluations:g}"),
            ("GFLOP per item", gflop(row.flops)),
            ("time per item", f"{1000 * row.seconds:.0f} ms"),
            ("effective guidance scale", scale),
        ]
        page.made = f"{results.made['date']}, {results.made['machine']}, torch {results.made['torch']}"


def stored(key: str, root: str) -> tuple[str, Pairs]:
    """Return how much of a run is stored below `root`, and its configuration; empty if it is not stored or damaged."""
    store = Store(Path(root).absolute() / key)
    if not (store.folder / "run.json").exists():
        return "", ()
    try:
        run = store.read_run()
    except DamageError:
        return "", ()
    items = len(store.stored()) * run["identity"]["model"]["unit"]
    knobs = [(name, value if isinstance(value, str) else json.dumps(value)) for name, value in flat(run["identity"])]
    return f"{items} items stored in {store.display_path()}", knobs
