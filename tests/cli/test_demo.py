"""The demo: same runs as the command line makes, a table with costs relative to CFG, a picture, a page."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from s2g.cli.commands import demo
from s2g.engine.bench import Metric
from s2g.errors import UserError
from s2g.metrics.statistics import Estimate
from s2g.report.grids import image_grid
from s2g.report.media import data_uri
from s2g.report.number_text import flat, heading, leaves_out_zero, with_interval
from s2g.report.tables import console_table, markdown_table
from s2g.store.store import Store


@pytest.mark.slow("makes a demo")
def test_the_demo_makes_table_picture_and_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd, run_of) -> None:
    quick = {name: run_of(f"guidance={name}", "num=16", "sampler.steps=4") for name in demo.METHODS}
    keys = {name: demo.demo_run("tiny_sit", name, 16).key for name in quick}
    assert keys == {name: run_of(f"guidance={name}").key for name in quick}
    monkeypatch.setattr(demo, "demo_run", lambda model, name, num: quick[name])
    demo.make_demo("tiny_sit", 16, str(tmp_path / "runs"), tmp_path / "out", workers=1)
    out = capfd.readouterr()
    assert out.err == "" and "48 items made" in out.out
    table = (tmp_path / "out" / "table.md").read_text()
    calls = next(line for line in table.splitlines() if "calls / item" in line)
    assert calls.split("|")[2:5] == [" 4 ", " 8 ", " 11 "]  # 3 of 4 steps lie in the central 80 %
    flops = next(line for line in table.splitlines() if "FLOPs" in line).split("|")
    assert (flops[2], flops[3]) == (" 0.50 ", " 1.00 ") and 1.0 < float(flops[4]) < 1.5
    picture = np.asarray(Image.open(tmp_path / "out" / "grid.png").convert("RGB"))
    assert picture.shape[1] > 1000 and len(np.unique(picture.reshape(-1, 3), axis=0)) > 500
    page = (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
    for name, run in quick.items():
        stored = Store.of(run, tmp_path / "runs").folder / "items" / "000015.png"
        assert data_uri(stored.read_bytes()) in page and run.key in page
        assert f"python run.py guidance={name} num=16 runs={tmp_path / 'runs'}" in page
    assert "All 16 start noises" in page and "No number here is an ImageNet number" in page
    assert json.loads((tmp_path / "out" / "runs.json").read_text()) == {"runs": [run.key for run in quick.values()]}
    assert out.out.rstrip().endswith(f"Table: {tmp_path / 'out' / 'table.md'}") and "index.html" in out.out.splitlines()[-1]


def test_no_items_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="num = 0"):
        demo.make_demo("tiny_sit", 0, str(tmp_path / "runs"), tmp_path / "out")
    assert not (tmp_path / "runs").exists()


def test_numbers_with_their_intervals() -> None:
    assert with_interval(Estimate(84.375, 81.2, 87.55, 16), 1) == "84.4±3.2"
    assert with_interval(Estimate(2.5, -1.0, 6.0, 4), 2, sign=True) == "+2.50±3.50"
    assert with_interval(Estimate(2.5, None, None, 1), 2) == "2.50"
    assert with_interval(Estimate(100.0, 98.84, 100.0, 16), 1) == "100.0 [98.8, 100.0]"  # none is more than all
    assert with_interval(Estimate(0.0, 0.0, 1.16, 16), 1) == "0.0 [0.0, 1.2]"
    assert with_interval(Estimate(96.9, 72.2, 99.9, 4), 1) == "96.9 [72.2, 99.9]"
    assert with_interval(Estimate(-0.5, -1.9, 0.2, 16), 1, sign=True) == "-0.5 [-1.9, +0.2]"
    assert with_interval(Estimate(75.0, 70.1, 79.7, 16), 1) == "75.0±4.8"  # its middle is 0.1 from the value
    assert with_interval(Estimate(0.0, 0.0, 0.0, 16), 1) == "0.0±0.0"
    assert with_interval(Estimate(float("nan"), float("nan"), float("nan"), 2), 1) == "–"


def test_a_metric_that_is_neither_better_nor_worse_has_no_arrow() -> None:
    labels = [heading(Metric("m", "m", higher, 1, items=lambda of: of["m"])) for higher in (True, False, None)]
    assert labels == ["m ↑", "m ↓", "m"]


def test_what_leaves_out_zero() -> None:
    ends = [(0.1, 2.0), (-2.0, -0.1), (-1.0, 1.0), (0.0, 1.0), (None, None), (float("nan"),) * 2]
    assert [leaves_out_zero(Estimate(1.0, *pair, 4)) for pair in ends] == [True, True, False, False, False, False]


def test_nested_settings_become_rows() -> None:
    assert flat({"a": {"b": 1, "c": {"d": None}}, "e": [2]}) == [("a.b", 1), ("a.c.d", None), ("e", [2])]


def test_tables_keep_their_cells() -> None:
    assert markdown_table(["", "a"], [["x", "1"]]) == "|  | a |\n|---|---|\n| x | 1 |\n"
    assert console_table(["", "a"], [["x", "1"]]).row_count == 1


def test_wrong_images_get_a_frame() -> None:
    images = np.zeros((2, 4, 4, 3), np.uint8)
    figure = image_grid([("m", images), ("n", images)], ["one", "two"], [np.array([True, False]), np.array([False, False])])
    (axis,) = figure.axes
    (frame,) = axis.patches
    assert frame.get_xy() == (-0.5, -0.5) and (frame.get_width(), frame.get_height()) == (4, 4)
    assert [text.get_text() for text in axis.texts] == ["one", "two", "m", "n"]
    assert axis.images[0].get_array().shape == (10, 10, 3)
