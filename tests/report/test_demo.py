"""The demo: same runs as the command line makes, a table with costs relative to CFG, a picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from s2g.metrics.statistics import Estimate
from s2g.report import demo
from s2g.report.grid import image_grid
from s2g.report.table import console_table, markdown_table, with_interval


def test_the_demo_makes_table_and_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd, run_of) -> None:
    quick = {name: run_of(f"guidance={name}", "num=16", "sampler.steps=4") for name in demo.METHODS}
    assert {name: demo.demo_run(name, 16).key for name in quick} == {name: run_of(f"guidance={name}").key for name in quick}
    monkeypatch.setattr(demo, "demo_run", lambda name, num: quick[name])
    demo.make_demo(16, str(tmp_path / "runs"), tmp_path / "out", workers=1)
    out = capfd.readouterr()
    assert out.err == "" and "48 items made" in out.out
    table = (tmp_path / "out" / "table.md").read_text()
    calls = next(line for line in table.splitlines() if "calls / item" in line)
    assert calls.split("|")[2:5] == [" 4 ", " 8 ", " 11 "]  # 3 of 4 steps lie in the central 80 %
    flops = next(line for line in table.splitlines() if "FLOPs" in line).split("|")
    assert (flops[2], flops[3]) == (" 0.50 ", " 1.00 ") and 1.0 < float(flops[4]) < 1.5
    picture = np.asarray(Image.open(tmp_path / "out" / "grid.png").convert("RGB"))
    assert picture.shape[1] > 1000 and len(np.unique(picture.reshape(-1, 3), axis=0)) > 500


def test_numbers_with_their_intervals() -> None:
    assert with_interval(Estimate(84.375, 81.2, 87.55, 16), 1) == "84.4±3.2"
    assert with_interval(Estimate(2.5, -1.0, 6.0, 4), 2, sign=True) == "+2.50±3.50"
    assert with_interval(Estimate(2.5, None, None, 1), 2) == "2.50"


def test_tables_keep_their_cells() -> None:
    assert markdown_table(["", "a"], [["x", "1"]]) == "|  | a |\n|---|---|\n| x | 1 |\n"
    assert console_table(["", "a"], [["x", "1"]]).row_count == 1


def test_wrong_images_get_a_frame() -> None:
    images = np.zeros((2, 4, 4, 3), np.uint8)
    figure = image_grid([("m", images)], ["one", "two"], [np.array([True, False])])
    frames = [axis.spines["left"].get_visible() for axis in figure.axes]
    assert frames == [True, False]
