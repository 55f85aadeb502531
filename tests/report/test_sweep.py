"""Sweeps: one line a job, paired differences to a baseline, files that are never overwritten, means over seeds."""

from __future__ import annotations

import csv
import itertools
import json
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy import stats

from s2g.cli.run import main
from s2g.metrics.statistics import over_seeds

QUICK = ["sampler.steps=2", "num=32", "executor.workers=1"]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A store that the sweeps of this file share."""
    return str(tmp_path_factory.mktemp("store"))


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder of its own."""
    monkeypatch.chdir(tmp_path)
    return tmp_path / "outputs" / "sweeps"


def rows_of(folder: Path) -> list[dict[str, str]]:
    (path,) = folder.glob("*.csv")
    return list(csv.DictReader(path.open()))


@pytest.mark.slow("a sweep of six runs")
def test_a_sweep_over_seeds_ends_in_means_over_seeds(root: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["-m", "guidance=none,cfg", "seed=1,2,3", *QUICK, f"runs={root}"]) == 0
    lines = capfd.readouterr().out.splitlines()
    runs, seeds = (next(i for i, line in enumerate(lines) if line.split()[-1:] == [word]) for word in ("run", "seeds"))
    rows = [line.split() for line in lines[runs:seeds] if line.split()[:1] in (["none"], ["cfg"]) and "+" not in line]
    means = {line.split()[0]: line.split() for line in lines[seeds:] if line.split()[:1] in (["none"], ["cfg"])}
    values = [float(row[3].partition("±")[0]) for row in rows[:6] if row[0] == "none"]
    assert len(values) == 3 and set(means) == {"none", "cfg"}
    mean, half = (float(text) for text in means["none"][2].split("±"))
    reach = stats.t.ppf(0.975, 2) * (sum((v - sum(values) / 3) ** 2 for v in values) / 2 / 3) ** 0.5
    assert (mean, half) == pytest.approx((sum(values) / 3, reach), abs=0.11) and means["none"][-1] == "3"
    jobs = [line for line in lines if " of 6: " in line]
    assert [line.partition(": ")[0] for line in jobs] == [f"{n} of 6" for n in range(1, 7)]
    assert jobs[3].startswith("4 of 6: guidance=cfg seed=1: n = 32, all right % ") and "runs" not in jobs[3].split(";")[0]


def test_a_difference_is_to_the_baselines_run_with_the_same_seed(root: str, folder: Path) -> None:
    assert main(["-m", "guidance=none,cfg", "seed=1,2", "baseline=3", *QUICK, f"runs={root}"]) == 0
    none, cfg = ([row for row in rows_of(folder) if row["guidance"] == name] for name in ("none", "cfg"))
    for one, other in zip(none, cfg, strict=True):
        assert one["seed"] == other["seed"] and one["run"].startswith("tiny_sit-none-")
        for metric in ("joint", "fd"):
            assert float(one[f"{metric}_delta"]) == pytest.approx(float(one[metric]) - float(other[metric]), abs=1e-6)
        assert (one["no_delta"], other["no_delta"], other["joint_delta"]) == ("", "the baseline", "")
    text = next(folder.glob("*.md")).read_text()
    assert "Δ to job 3 (guidance=cfg), paired on the same noise" in text and "`tiny_sit-cfg-" in text


def test_other_noise_has_no_difference_and_the_reason(root: str, folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["-m", "guidance=cfg", "model.unit=16,8", *QUICK, f"runs={root}"]) == 0
    assert "no Δ for job 2: not on the baseline's noise: unit 8, not 16" in capfd.readouterr().out
    assert [row["joint_delta"] for row in rows_of(folder)] == ["", ""]


@pytest.mark.slow("samples a sweep")
def test_a_numeric_knob_is_a_curve_and_nothing_is_overwritten(
    root: str, folder: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from s2g.report import show_sweep

    class Noon(datetime):
        @classmethod
        def now(cls, tz: object = None) -> Noon:
            return cls(2026, 1, 2, 12)

    monkeypatch.setattr(show_sweep, "datetime", Noon)
    for _ in range(2):
        assert main(["-m", "guidance=cfg", "guidance.scale=1,2,nought", *QUICK, f"runs={root}"]) == 2
    out, stems = capfd.readouterr().out, [f"2026-01-02-120000-scale{end}" for end in ("", "-2")]
    endings = (".csv", ".md", ".png", ".runs.json")
    assert {path.name for path in folder.iterdir()} == {f"{stem}{end}" for stem, end in itertools.product(stems, endings)}
    picture = np.asarray(Image.open(folder / f"{stems[0]}.png").convert("L"))
    assert picture.std() > 10
    assert "3 of 3: guidance.scale=nought: failed: guidance.scale = 'nought'" in out
    assert "failed: job 3 of 3" in (folder / f"{stems[0]}.md").read_text()
    keys = json.loads((folder / f"{stems[0]}.runs.json").read_text())["runs"]
    assert keys == sorted(row["run"] for row in csv.DictReader((folder / f"{stems[1]}.csv").open()))


def test_a_sweep_of_prompts_ends_in_one_page(root: str, folder: Path) -> None:
    typed = ["model=tiny_sd3", "bench=prompts", "bench.text=a red circle", "num=1", "sampler.steps=2", "executor.workers=1"]
    assert main(["-m", "guidance=none,cfg", *typed, f"runs={root}"]) == 0
    (page,) = folder.glob("*.html")
    assert 'data-method="tiny_sd3-none-' in page.read_text() and 'data-method="tiny_sd3-cfg-' in page.read_text()


@pytest.mark.parametrize(
    ("typed", "said"),
    [(["baseline=2"], "this is one run"), (["-m", "seed=0,1", "baseline=3"], "2 jobs"), (["baseline=0"], "1 or more")],
)
def test_a_baseline_that_means_nothing_is_refused(typed: list[str], said: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert main([*QUICK, *typed]) == 2
    assert f"baseline = {typed[-1][-1]}" in (err := capfd.readouterr().err) and said in err


def test_one_seed_has_no_interval_over_seeds() -> None:
    assert over_seeds([3.0]).low is None
