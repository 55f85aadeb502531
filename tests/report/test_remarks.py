"""What must be said beside a score stands wherever the score does."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from s2g.cli.commands.table import TableMaker
from s2g.config.schema import CHECKOUT
from s2g.experiments.claims import Check
from s2g.experiments.results import Cell, Results
from s2g.experiments.runner import Measured, Rows
from s2g.experiments.specification_file import find_experiment
from s2g.experiments.verdicts import _one
from s2g.report.html.run_pages import run_pages
from s2g.report.results_table import results_table
from s2g.report.sweep import Job, Sweep

SAID = "not comparable: 7 of 10 images were there"


@pytest.fixture
def results() -> Results:
    found = Results.load(CHECKOUT / "experiments" / "results" / "table2-tiny.json")
    column = next(iter(found.columns))
    delta = {"value": 1.0, "low": 0.5, "high": 1.5}
    return replace(
        found, rows=tuple(replace(r, cells={**r.cells, column: Cell(1.0, 0.5, 1.5, delta, (SAID,))}) for r in found.rows)
    )


def test_a_runs_page_says_it(results: Results) -> None:
    pages = run_pages([results], {results.exhibit: "Table 2"}, "nowhere")
    assert any(SAID in text for page in pages for text in page.values.values())


def test_a_claim_says_it_with_the_number_of_items(results: Results) -> None:
    column = next(iter(results.columns))
    check = Check("better", results.exhibit, [column], ["s2"])
    found = _one(check, results.rows[-1], results.rows[0], column, results, "table2-tiny.json")
    assert found.said.endswith(f"; n = {results.rows[-1].n}; {SAID}")


def test_a_sweep_says_it_and_of_which_runs() -> None:
    def job(number: int, key: str, *remarks: str) -> Job:
        score: Any = SimpleNamespace(run=SimpleNamespace(key=key, num=1), remarks=remarks)
        return Job(number, {}, score, "runs")

    sweep = Sweep([job(1, "a", "x", "y"), job(2, "b", "x"), job(3, "a", "x", "y")])
    assert sweep.numbers == {("a", 1): 1, ("b", 1): 2} and sweep.remarks() == {"x": [1, 2], "y": [1]}


def test_the_console_table_is_followed_by_the_words_of_its_numbers(
    results: Results, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert results_table(find_experiment(CHECKOUT / "experiments", "table2"), results).numbered_remarks == [f"[1] {SAID}."]
    measured = nullcontext(Measured(results, Rows([], {}, {})))
    monkeypatch.setattr("s2g.cli.commands.table.run_experiment", lambda *given: measured)
    monkeypatch.setattr("s2g.cli.commands.table.write_measured", lambda *given: [".json"])
    TableMaker(CHECKOUT / "experiments", tmp_path, str(tmp_path), None, 1).make("table2", "tiny", Console(width=200))
    assert f"[1] {SAID}." in capsys.readouterr().out
