"""The paper's tables as data: its numbers by arithmetic, every row composed in both profiles, mistakes by file and line."""

from __future__ import annotations

from pathlib import Path

import pytest

from s2g.config import CHECKOUT
from s2g.engine.bench import PlannedBench
from s2g.engine.run import outline
from s2g.errors import UserError
from s2g.report.exhibit import Exhibit, wanted
from s2g.report.exhibit_file import exhibits, find_exhibit, read_exhibit
from s2g.report.planning import composed, composing

FOLDER = CHECKOUT / "experiments"
EVERY = [(name, profile) for name in exhibits(FOLDER) for profile in read_exhibit(FOLDER / f"{name}.yaml").profiles]
SMALL = """
title: A table
source: nowhere
columns: {fid: {bench: imagenet, metric: fid}}
paper: {big: {cfg: [2.0]}}
against: cfg
rows:
  cfg: {label: CFG, set: {guidance: cfg}}
  s2: {label: S², set: {guidance: s2}}
profiles:
  tiny:
    groups: {tiny_sit: {label: tiny, set: {model: tiny_sit}}}
    columns: {fd: {bench: shapes, metric: fd, beside: fid}}
"""


def test_every_table_has_both_profiles() -> None:
    assert {"table1", "table2", "table3"} <= set(exhibits(FOLDER))
    for name in exhibits(FOLDER):
        assert set(read_exhibit(FOLDER / f"{name}.yaml").profiles) == {"tiny", "paper"}, name


def metrics_of(bench: object) -> set[str]:
    return set(bench.columns) if isinstance(bench, PlannedBench) else {metric.name for metric in bench.metrics}


@pytest.mark.parametrize(("name", "profile"), EVERY)
def test_every_row_composes_and_every_column_is_a_metric_of_its_bench(name: str, profile: str) -> None:
    found = find_exhibit(FOLDER, name).profiles[profile]
    with composing():
        benches = {want.bench: outline(composed(want)).bench for want in wanted(found)}
    for column in found.columns.values():
        assert column.metric in metrics_of(benches[column.bench]), column


def table(name: str) -> Exhibit:
    return find_exhibit(FOLDER, name)


def test_hps_averages_are_means_of_the_styles() -> None:
    for group in table("table1").paper.values():
        for row, values in group.items():
            # Four numbers and their mean, each rounded by at most 0.005.
            assert sum(values[:4]) / 4 == pytest.approx(values[4], abs=0.01), row


def test_vbench_totals_are_four_parts_quality_and_one_semantic() -> None:
    for group in table("table3").paper.values():
        for row, (total, quality, semantic, *_) in group.items():
            assert (4 * quality + semantic) / 5 == pytest.approx(total, abs=0.0061), row


def test_s2_is_best_in_table_2_as_the_paper_says() -> None:
    two = table("table2")
    values = two.paper["sit_xl"]
    assert max(values, key=lambda row: values[row][0]) == min(values, key=lambda row: values[row][1]) == "s2"
    assert two.printed("sit_xl", "s2", "fid") == 2.03
    assert two.printed("sit_xl", "nothing", "fid") is None


@pytest.mark.parametrize(
    ("old", "new", "line", "said"),
    [
        ("against: cfg", "against: cgf", 11, "Did you mean 'cfg'"),
        ("beside: fid", "beside: fit", 13, "Did you mean 'fid'"),
        ("label: S², set", "lable: S², set", 9, "Did you mean 'label'"),
        ("[2.0]", "[2.0, 1.0]", 5, "2 numbers for 1 columns"),
        ("  s2: {label: S²", "  cfg: {label: S²", 9, "is there twice"),
        ("  tiny:", "  tinny:", 11, "Did you mean 'tiny'"),
    ],
)
def test_a_mistake_is_named_with_file_and_line(tmp_path: Path, old: str, new: str, line: int, said: str) -> None:
    path = tmp_path / "table9.yaml"
    assert old in SMALL
    path.write_text(SMALL.replace(old, new))
    with pytest.raises(UserError) as raised:
        read_exhibit(path)
    assert str(raised.value).startswith(f"table9.yaml:{line}: ")
    assert said in str(raised.value)


def test_a_sweep_is_a_row_for_each_value(tmp_path: Path) -> None:
    path = tmp_path / "fig9.yaml"
    path.write_text(SMALL.replace("set: {guidance: s2}", "set: {guidance: s2}, sweep: {guidance.omega: [0.1, 0.5]}"))
    rows = read_exhibit(path).profiles["tiny"].rows
    assert list(rows) == ["cfg", "s2@0.1", "s2@0.5"]
    assert rows["s2@0.5"].set == {"guidance": "s2", "guidance.omega": 0.5}


def test_an_unknown_table_is_answered_with_the_nearest() -> None:
    with pytest.raises(UserError, match="Did you mean 'table1'"):
        find_exhibit(FOLDER, "tabel1")
