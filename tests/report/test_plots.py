"""Plots: what is drawn is what was measured, and the same numbers give the same file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from s2g.experiments.results import Cell, ResultRow, Results
from s2g.experiments.specification import ExperimentSpec
from s2g.experiments.specification_file import read_experiment
from s2g.report.plots import figure_of, series, write_pictures

SMALL = """
title: A figure
source: nowhere
columns: {fid: {bench: imagenet, metric: fid}}
against: cfg
rows:
  cfg: {label: CFG, set: {guidance: cfg}}
  s2: {label: S², set: {guidance: s2}, sweep: {guidance.omega: [0.5, 1], guidance.drop_ratio: [0.1, 0.2]}}
profiles:
  tiny:
    groups: {tiny_sit: {label: tiny, set: {model: tiny_sit}}}
    columns: {fd: {bench: shapes, metric: fd}, joint: {bench: shapes, metric: joint}}
    plot: {x: guidance.omega, y: [fd], by: guidance.drop_ratio}
"""


@pytest.fixture
def experiment(tmp_path: Path) -> ExperimentSpec:
    path = tmp_path / "fig9.yaml"
    path.write_text(SMALL)
    return read_experiment(path)


def measured(experiment: ExperimentSpec) -> Results:
    rows = []
    for at, (name, line) in enumerate(experiment.profiles["tiny"].rows.items()):
        delta = {"value": float(at), "low": at - 1.0, "high": at + 1.0} if at else None
        cells = {"fd": Cell(10.0 + at, 9.0 + at, 12.0 + at, delta), "joint": Cell(50.0 - at, None, None, None)}
        rows.append(ResultRow("tiny_sit", name, line.label, "", "run", {}, "cfg", 32, 2, cells, None, 1.0, 2e9, 1.0))
    columns = {"fd": {"label": "FD", "higher": False, "digits": 1}, "joint": {"label": "all", "higher": True, "digits": 1}}
    return Results("fig9", "tiny", 32, {}, columns, tuple(rows))


def test_a_sweep_of_two_knobs_is_a_series_for_each_value_of_the_second(experiment: ExperimentSpec) -> None:
    profile = experiment.profiles["tiny"]
    assert profile.plot is not None
    found = series(profile, profile.plot, measured(experiment), "fd", delta=False)
    assert list(found) == ["CFG", "S², drop ratio 0.1", "S², drop ratio 0.2"]
    assert [(p.x, p.y, p.low, p.high) for p in found["S², drop ratio 0.2"]] == [(0.5, 12, 11, 14), (1.0, 14, 13, 16)]
    assert found["CFG"][0].x is None


def test_the_compared_row_stands_at_zero_among_the_differences(experiment: ExperimentSpec) -> None:
    profile = experiment.profiles["tiny"]
    assert profile.plot is not None
    found = series(profile, profile.plot, measured(experiment), "fd", delta=True)
    assert [p.y for p in found["CFG"]] == [0]
    assert [(p.y, p.low, p.high) for p in found["S², drop ratio 0.1"]] == [(1, 0, 2), (3, 2, 4)]


@pytest.mark.slow("draws every plot twice")
@pytest.mark.parametrize("y", ["[fd]", "[fd, joint]"])
@pytest.mark.parametrize("x", ["x: guidance.omega", "x: flops", "x: joint, name: guidance.omega"])
def test_the_same_numbers_give_the_same_picture(tmp_path: Path, x: str, y: str) -> None:
    path = tmp_path / "fig9.yaml"
    path.write_text(SMALL.replace("x: guidance.omega", x).replace("y: [fd]", f"y: {y}"))
    drawn = read_experiment(path)
    pictures = []
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        files = write_pictures(drawn, measured(drawn), None, tmp_path / folder)
        assert [file.suffix for file in files] == [".svg", ".png"]
        pictures.append([file.read_bytes() for file in files])
    assert pictures[0] == pictures[1]
    assert "S²".encode() in pictures[0][0] or b"0.5" in pictures[0][0]


def test_nothing_measured_is_nothing_drawn(tmp_path: Path, experiment: ExperimentSpec) -> None:
    empty = Results("fig9", "tiny", None, {}, {}, ())
    assert write_pictures(experiment, empty, None, tmp_path) == []


def test_columns_of_one_unit_share_a_panel_for_each_group(tmp_path: Path) -> None:
    text = SMALL.replace("y: [fd], by: guidance.drop_ratio", "y: [fd, joint], together: points")
    text = text.replace("set: {model: tiny_sit}}}", "set: {model: tiny_sit}}, other: {label: o, set: {model: tiny_sit}}}")
    (tmp_path / "fig8.yaml").write_text(text)
    found = read_experiment(tmp_path / "fig8.yaml")
    results = measured(found)
    elsewhere = [replace(row, group="other", cells={"fd": row.cells["fd"]}) for row in results.rows[1:]]
    figure = figure_of(found, replace(results, rows=(*results.rows, *elsewhere)))
    assert [axis.get_title() for axis in figure.axes] == ["tiny", "o"] and figure.axes[0].get_ylabel() == "points"
    bars = [[list(bar.lines[0].get_ydata()) for bar in axis.containers] for axis in figure.axes]
    assert bars == [[[11, 12, 13, 14], [49, 48, 47, 46]], [[11, 12, 13, 14]]]  # one group lacks the second column
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["FD", "all"]
