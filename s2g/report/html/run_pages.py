"""Pages of runs: what a key stands for, where its numbers are used, and what is stored of it here."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from s2g.errors import DamageError
from s2g.experiments.results import ResultRow, Results
from s2g.metrics.statistics import Estimate
from s2g.report.html.page import Pairs
from s2g.report.tables import flat, with_interval
from s2g.store.store import Store


@dataclass
class RunPage:
    """One run of the results."""

    key: str
    label: str
    command: str
    used: list[tuple[str, str, str]] = field(default_factory=list)  # table or figure, its page, the row
    values: dict[str, str] = field(default_factory=dict)  # by metric
    cost: list[tuple[str, str]] = field(default_factory=list)
    made: str = ""
    stored: str = ""
    knobs: Pairs = ()

    @property
    def page(self) -> str:
        """Its file."""
        return page_name(self.key)


def page_name(key: str) -> str:
    """The file of a run's page."""
    return f"run-{key}.html"


def keys_in(results: Iterable[Results]) -> dict[str, str]:
    """The page of every run that results speak of, by key."""
    return {key: page_name(key) for one in results for row in one.rows for key in row.keys.values()}


def run_pages(results: Iterable[Results], titles: Mapping[str, str], root: str) -> list[RunPage]:
    """A page for each run, from results; with its configuration where the run is stored below `root`."""
    pages: dict[str, RunPage] = {}
    for one in results:
        for row in one.rows:
            for key in row.keys.values():
                page = pages.setdefault(key, RunPage(key, row.label, row.command))
                page.used.append((titles[one.exhibit], f"{one.exhibit}.html", row.label))
                if len(row.keys) == 1:  # a row of several runs has no numbers that are one run's
                    _add(page, one, row)
    for page in pages.values():
        page.stored, page.knobs = stored(page.key, root)
    return sorted(pages.values(), key=lambda page: page.key)


def _add(page: RunPage, results: Results, row: ResultRow) -> None:
    for column, about in results.columns.items():
        cell = row.cell(column)
        if cell is not None and cell.value is not None:
            text = with_interval(Estimate(cell.value, cell.low, cell.high, 0), about["digits"])
            page.values.setdefault(f"{about['label']}, n = {row.n}", "; ".join([text, *cell.remarks]))
    if not page.cost and row.evaluations is not None and row.flops is not None and row.seconds is not None:
        scale = "none" if row.effective_scale is None else f"{row.effective_scale['value']:.2f}"
        page.cost = [
            ("network evaluations per item", f"{row.evaluations:g}"),
            ("GFLOP per item", f"{row.flops / 1e9:.2f}"),
            ("time per item", f"{1000 * row.seconds:.0f} ms"),
            ("effective guidance scale", scale),
        ]
        page.made = f"{results.made['date']}, {results.made['machine']}, torch {results.made['torch']}"


def stored(key: str, root: str) -> tuple[str, Pairs]:
    """How much of a run is stored below `root`, and its configuration; nothing if it is not there or damaged."""
    store = Store(Path(root).absolute() / key)
    if not (store.folder / "run.json").exists():
        return "", ()
    try:
        run = store.read_run()
    except DamageError:
        return "", ()
    items = len(store.stored()) * run["identity"]["model"]["unit"]
    knobs = [(name, value if isinstance(value, str) else json.dumps(value)) for name, value in flat(run["identity"])]
    return f"{items} items stored in {store.shown()}", knobs
