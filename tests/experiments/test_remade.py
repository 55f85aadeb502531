"""Results made again: what counts as equal, within the intervals, outside, and what `s2g everything` does with each."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from s2g.cli.main import app
from s2g.config.schema import CHECKOUT
from s2g.experiments.remade import Remade, compare_results

RESULTS = CHECKOUT / "experiments" / "results"


def cell(value: float | None, half: float | None = None) -> dict[str, Any]:
    ends = (None, None) if half is None or value is None else (value - half, value + half)
    return {"value": value, "low": ends[0], "high": ends[1], "delta": None}


def results(path: Path, **rows: dict[str, Any]) -> Path:
    path.write_text(json.dumps({"rows": [{"group": "g", "row": row, "cells": cells} for row, cells in rows.items()]}))
    return path


@pytest.mark.parametrize(
    ("before", "after", "counts"),
    [
        (cell(10, 1), cell(10, 2), (1, 0, 0)),
        (cell(10, 1), cell(10.9, 1), (0, 1, 0)),
        (cell(10, 1), cell(10.9, 0.5), (0, 0, 1)),  # the old value is not in the new interval
        (cell(10), cell(10.001), (0, 1, 0)),  # without intervals: last bits
        (cell(10), cell(10.1), (0, 0, 1)),
        (cell(10, 1), cell(None), (0, 0, 1)),
        (cell(None), cell(None), (1, 0, 0)),
    ],
)
def test_a_number_is_equal_or_within_both_intervals_or_outside(
    before: dict[str, Any], after: dict[str, Any], counts: tuple[int, int, int], tmp_path: Path
) -> None:
    old, new = results(tmp_path / "old.json", cfg={"fd": before}), results(tmp_path / "new.json", cfg={"fd": after})
    remade = compare_results(old, new)
    assert (remade.equal, remade.within, len(remade.outside), remade.added) == (*counts, 0)


def test_differences_count_and_what_only_one_side_has_is_named(tmp_path: Path) -> None:
    with_delta = {**cell(10, 1), "delta": {"value": -1.0, "low": -2.0, "high": 0.0}}
    old = results(tmp_path / "old.json", cfg={"fd": cell(3, 1)}, s2={"fd": with_delta})
    new = results(
        tmp_path / "new.json",
        s2={"fd": {**with_delta, "delta": {"value": 5.0, "low": 4.0, "high": 6.0}}, "pis": cell(1, 1)},
    )
    outside = ("g cfg: cells: fd: 3 -> not made", "g s2: cells: fd: delta: -1.0 -> 5.0")
    assert compare_results(old, new) == Remade(1, 0, outside, 1)


def test_every_committed_result_is_equal_to_itself() -> None:
    for path in sorted(RESULTS.glob("*.runs.json")):
        stored = path.with_name(path.name.replace(".runs", ""))
        remade = compare_results(stored, stored)
        assert remade.equal > 0 and (remade.within, remade.outside, remade.added) == (0, (), 0), stored.name


@pytest.mark.slow("counts full-size models")
def test_the_command_makes_a_result_again_once_and_names_what_differs(tmp_path: Path) -> None:
    committed, out = tmp_path / "committed", tmp_path / "out"
    committed.mkdir()
    for path in RESULTS.glob("table5-paper*.json"):
        shutil.copy(path, committed)
    typed = ["everything", "--results", str(committed), "--out", str(out), "--runs", str(tmp_path / "runs")]
    first = CliRunner().invoke(app, typed)
    assert first.exit_code == 0 and "all numbers agree" in first.stdout, first.output
    made = out / "table5-paper.json"
    stored = json.loads(made.read_text())
    assert stored["made"]["command"] == json.loads((committed / made.name).read_text())["made"]["command"]
    stored["rows"][0]["cells"]["macs"]["value"] *= 2
    made.write_text(json.dumps(stored))  # kept, and compared: it is not made a second time
    again = CliRunner().invoke(app, typed)
    assert again.exit_code == 1 and "sd3 cfg: cells: macs: 168.406 -> 336.812" in (out / "everything.md").read_text()


def test_an_unknown_name_is_refused_with_those_there_are(tmp_path: Path) -> None:
    (tmp_path / "fig5-real.runs.json").write_text("{}")
    refused = CliRunner().invoke(app, ["everything", "fig5", "--results", str(tmp_path)])
    assert refused.exit_code != 0 and "no results fig5" in str(refused.exception)
