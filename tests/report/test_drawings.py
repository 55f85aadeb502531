"""Drawings: arrays collected from runs, kept beside results, and everything of them in the picture."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from s2g.cli.commands.table import TableMaker
from s2g.errors import UserError
from s2g.experiments.results import Results
from s2g.experiments.specification_file import read_experiment
from s2g.report.drawing import read_arrays, read_drawing, write_arrays
from s2g.report.published import draw_results

POINTS = """
title: Points
source: nowhere
columns: {}
against: cfg
rows:
  none: {label: plain, set: {guidance: none}}
  cfg: {label: CFG, set: {guidance: cfg}}
profiles:
  tiny:
    set: {bench: gmm, num: 128, sampler.steps: 4}
    groups:
      exact_1d: {label: line, set: {model: exact_1d}}
      exact_2d: {label: square, set: {model: exact_2d}}
    columns: {w1: {metric: w1}}
    drawing: {kind: KIND}
"""
STUDY = """
title: Vectors
source: nowhere
study: directions
columns: {}
rows:
  level: {label: level, set: {guidance: s2, study.count: 16}, sweep: {study.level: [0.9, 0.5]}}
profiles:
  tiny:
    set: {bench: gmm}
    groups: {toy_2d: {label: square, set: {model: toy_2d}, over: {model.network.seed: [0, 1]}}}
    columns: {along: {metric: along}}
    drawing: {kind: vectors}
"""


@pytest.fixture
def made(tmp_path: Path) -> Callable[[str, str], Path]:
    def make(name: str, text: str) -> Path:
        (tmp_path / f"{name}.yaml").write_text(text)
        maker = TableMaker(tmp_path, tmp_path / "out", str(tmp_path / "runs"), None, 1)
        maker.make(name, "tiny", Console(quiet=True))
        return tmp_path / "out" / f"{name}-tiny.drawing.npz"

    return make


def test_points_stand_over_the_truth_and_are_drawn_again_from_what_is_kept(
    made: Callable[[str, str], Path], tmp_path: Path
) -> None:
    kept = made("fig3", POINTS.replace("KIND", "samples, count: 100"))
    arrays = read_arrays(kept)
    assert arrays["exact_2d/cfg/points"].shape == (100, 2) and arrays["exact_1d/none/means"].shape == (2, 1)
    profile = read_experiment(tmp_path / "fig3.yaml").profiles["tiny"]
    assert profile.drawing is not None
    figure = read_drawing(profile.drawing).figure(profile, arrays)
    seen = [axis for axis in figure.axes if axis.get_visible()]
    assert [axis.get_title() for axis in seen[:2]] == ["plain", "CFG"] and len(seen) == 4
    assert [axis.get_ylabel() for axis in seen[::2]] == ["line", "square"]
    dots = sum(len(line.get_xdata()) for line in seen[2].lines)  # type: ignore[arg-type]
    assert dots == 100 + 4  # every point, and the means
    truth = np.asarray(seen[0].collections[0].get_paths()[0].vertices)
    # The height of a mode of two: half of 1 / (std sqrt(2 pi)).
    assert truth[:, 1].max() == pytest.approx(0.5 / (0.5 * np.sqrt(2 * np.pi)), rel=1e-3)
    before = kept.with_suffix(".svg").read_bytes()
    kept.with_suffix(".svg").unlink()
    draw_results(tmp_path, tmp_path / "out", tmp_path / "out", Console(quiet=True))
    assert kept.with_suffix(".svg").read_bytes() == before
    assert "fig3-tiny.drawing.png" in (tmp_path / "out" / "fig3-tiny.md").read_text()


def test_a_sweep_goes_down_and_methods_across(made: Callable[[str, str], Path], tmp_path: Path) -> None:
    text = POINTS.replace("KIND", "samples").replace("set: {guidance: cfg}}", "set: {guidance: cfg}, sweep: {seed: [3, 4]}}")
    text = text.replace("against: cfg", "against: none").replace("      exact_1d: {label: line, set: {model: exact_1d}}\n", "")
    arrays = read_arrays(made("fig10", text))
    profile = read_experiment(tmp_path / "fig10.yaml").profiles["tiny"]
    figure = read_drawing(profile.drawing or {}).figure(profile, arrays)
    seen = [axis for axis in figure.axes if axis.get_visible()]
    assert sorted(axis.get_ylabel() for axis in seen) == ["3", "4", "square"]


def test_ways_end_at_the_points(made: Callable[[str, str], Path], tmp_path: Path) -> None:
    text = POINTS.replace("KIND", "paths, count: 8").replace("      exact_2d: {label: square, set: {model: exact_2d}}\n", "")
    arrays = read_arrays(made("fig9", text.replace("w1: {metric: w1}", "detour: {metric: detour}, bend: {metric: bend}")))
    assert arrays["exact_1d/cfg/points"].shape == (8, 5, 1)
    profile = read_experiment(tmp_path / "fig9.yaml").profiles["tiny"]
    figure = read_drawing(profile.drawing or {}).figure(profile, arrays)
    ways = [line for line in figure.axes[0].lines if len(line.get_xdata()) == 5]  # type: ignore[arg-type]
    assert len(ways) == 8 and figure.axes[0].get_ylim() == (4, 0)  # the first step is on top


def test_a_study_is_computed_over_its_networks_and_drawn(made: Callable[[str, str], Path], tmp_path: Path) -> None:
    arrays = read_arrays(made("fig2", STUDY))
    assert {name.split("/")[1] for name in arrays} == {"level@0.9", "level@0.5"}
    text = (tmp_path / "out" / "fig2-tiny.md").read_text()
    assert "nothing is sampled: means over 2 runs" in text and "| n |" in text and "FLOPs" not in text
    assert not (tmp_path / "runs").exists()
    profile = read_experiment(tmp_path / "fig2.yaml").profiles["tiny"]
    figure = read_drawing(profile.drawing or {}).figure(profile, arrays)
    assert len(figure.axes) == 2 and len(figure.axes[0].collections) >= 4  # rings and three kinds of arrows


def test_what_each_block_changes_is_drawn_as_the_study_has_it(made: Callable[[str, str], Path], tmp_path: Path) -> None:
    text = STUDY.replace("directions", "redundancy").replace("vectors", "blocks").replace("along", "first")
    text = text.replace("toy_2d: {label: square, set: {model: toy_2d}", "tiny_sit: {label: sit, set: {model: tiny_sit}")
    text = text.replace("{model.network.seed: [0, 1]}", "{seed: [0, 1, 2]}").replace("bench: gmm", "bench: shapes")
    arrays = read_arrays(made("redundancy", text.replace("study.count: 16", "study.count: 2")))
    change = arrays["tiny_sit/level@0.9/change"]
    assert change.shape == arrays["tiny_sit/level@0.5/excess"].shape == (3, 12)
    results = Results.load(tmp_path / "out" / "redundancy-tiny.json")
    cell = results.rows[0].cell("first")
    assert cell is not None and cell.value == pytest.approx(100 * change[:, 0].mean(), rel=1e-4)
    profile = read_experiment(tmp_path / "redundancy.yaml").profiles["tiny"]
    upper, lower, gain = read_drawing(profile.drawing or {}).figure(profile, arrays).axes
    np.testing.assert_allclose(upper.containers[0].lines[0].get_ydata(), 100 * change.mean(0), rtol=1e-5)
    low, high = np.array(upper.containers[0].lines[2][0].get_segments())[0, :, 1]  # the bar of the first block
    assert (low, high) == pytest.approx((cell.low, cell.high), rel=1e-4)
    assert upper.get_title() == "sit" and lower.get_ylabel() == "excess denoising loss %" and gain.lines


def test_the_same_arrays_are_the_same_bytes_and_a_broken_file_is_said(tmp_path: Path) -> None:
    write_arrays(tmp_path / "a.npz", {"x": np.arange(5.0)})
    write_arrays(tmp_path / "b.npz", {"x": np.arange(5.0)})
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    (tmp_path / "a.npz").write_bytes(b"nothing")
    with pytest.raises(UserError, match="make it again"):
        read_arrays(tmp_path / "a.npz")


def test_an_unknown_kind_or_knob_is_said_with_its_line(tmp_path: Path) -> None:
    for drawing, said in (("kind: smaples", "samples"), ("kind: samples, cuont: 3", "count"), ("count: 3", "drawing.kind")):
        (tmp_path / "fig3.yaml").write_text(POINTS.replace("kind: KIND", drawing))
        with pytest.raises(UserError, match=rf"fig3\.yaml:16[\s\S]*{said}"):
            read_experiment(tmp_path / "fig3.yaml")
